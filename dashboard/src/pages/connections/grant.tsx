// Access by OAuth: the way to the service's page, and what to put into the app that the user has there.
import { Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useChange } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import { Button } from "@/ui/button";
import { Callout, Card } from "@/ui/show";
import { useProblemText } from "@/ui/states";

const Authorize = graphql(`
  mutation PageAuthorizeListSource($id: ID!) {
    authorizeListSource(id: $id) {
      __typename
      ... on ListSourceAuthorization { url }
      ... on Error { code message param }
    }
  }
`);

/** Where services send the browser back to. */
const back = () => `${window.location.origin}/dashboard/connections/authorized`;

/** What to put into the app that the user makes in the service. */
export function RedirectNote() {
  return (
    <div className="text-sm text-muted">
      <Trans>With an app instead of a key, give the app this redirect address:</Trans> <code className="wrap-anywhere">{back()}</code>
    </div>
  );
}

export function GrantButton({ id, label, isFirst }: { id: string; label: string; isFirst: boolean }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const authorize = useChange(Authorize);
  const [problem, setProblem] = useState<Problem | null>(null);
  const go = async () => {
    const { done, problem: found } = await authorize.run({ id });
    setProblem(found);
    if (done !== null) window.location.assign(done.url);
  };
  return (
    <>
      {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
      <Button look={isFirst ? "primary" : "secondary"} isPending={authorize.isRunning} onPress={() => void go()}>
        {isFirst ? t`Grant access in ${label}` : t`Grant access again in ${label}`}
      </Button>
    </>
  );
}

/** What is left to do before anybody can be read. */
export function GrantCard({ id, label }: { id: string; label: string }) {
  const { t } = useLingui();
  return (
    <Card title={t`Access`} className="max-w-3xl">
      <div className="space-y-4">
        <p>
          <Trans>{label} asks you whether we may read your account, and sends you back here. Then who is there is read, and nothing changes.</Trans>
        </p>
        <RedirectNote />
        <GrantButton id={id} label={label} isFirst />
      </div>
    </Card>
  );
}
