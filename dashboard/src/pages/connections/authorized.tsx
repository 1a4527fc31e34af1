// The way back from a service's page: what it sends is passed on once, and the connection goes on.
import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { useChange } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import { ButtonLink } from "@/ui/button";
import { Callout, Card, PageHead } from "@/ui/show";
import { Loading, useProblemText } from "@/ui/states";

const Grant = graphql(`
  mutation PageGrantListSource($state: String!, $code: String!) {
    grantListSource(state: $state, code: $code) {
      __typename
      ... on ContactList { ...ConnectionFull }
      ... on Error { code message param }
    }
  }
`);

export function AuthorizedPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const textOf = useProblemText();
  const { state, code } = useSearch({ from: "/shell/connections/authorized" });
  const { run } = useChange(Grant);
  const [problem, setProblem] = useState<Problem | null>(null);
  const isSent = useRef(false);
  const isGranted = state !== undefined && code !== undefined;
  useEffect(() => {
    // A state is valid once.
    if (!isGranted || isSent.current) return;
    isSent.current = true;
    void run({ state, code }).then(({ done, problem: found }) => {
      setProblem(found);
      if (done !== null) void navigate({ to: "/connections/$id", params: { id: done.id }, replace: true });
    });
  }, [isGranted, state, code, run, navigate]);
  return (
    <>
      <PageHead title={t`Connect a service`} />
      {isGranted && problem === null ? (
        <Loading />
      ) : (
        <Card className="max-w-3xl">
          <div className="space-y-4">
            <Callout tone="danger">{problem === null ? <Trans>The service granted no access. Nothing has changed.</Trans> : textOf(problem)}</Callout>
            <ButtonLink to="/connections">{t`All connections`}</ButtonLink>
          </div>
        </Card>
      )}
    </>
  );
}
