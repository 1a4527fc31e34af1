// Whether a workspace lets only members in who have a second factor.
import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useChange } from "@/api/hooks";
import { resume, useSession } from "@/api/session";
import { graphql } from "@/gql";
import { Switch } from "@/ui/fields";
import { Card } from "@/ui/show";
import { useIsAdmin, useTell } from "@/ui/tell";

const Demand = graphql(`
  mutation MembersDemandFactor($required: Boolean!) {
    requireSecondFactor(required: $required) {
      __typename
      ... on Accepted { accepted }
      ... on Error { code message }
    }
  }
`);

export function SecondFactorDemand() {
  const { t } = useLingui();
  const tell = useTell();
  const { membership, user } = useSession();
  const isAdmin = useIsAdmin();
  const demand = useChange(Demand);
  if (!isAdmin || membership === null) return null;
  const change = async (required: boolean) => {
    const { problem } = await demand.run({ required });
    if (tell(problem, required ? t`Only members with a second factor get in now.` : t`A second factor is no longer demanded.`)) await resume();
  };
  return (
    <Card className="mb-5 max-w-2xl">
      <Switch
        isSelected={membership.requiresSecondFactor}
        isDisabled={demand.isRunning || (!user.hasSecondFactor && !membership.requiresSecondFactor)}
        onChange={(on) => void change(on)}
        hint={t`Members without one add it to their account before they get in.`}
      >{t`Demand a second factor of everybody`}</Switch>
      {!user.hasSecondFactor && !membership.requiresSecondFactor && (
        <p className="mt-2 text-sm text-muted">
          <Trans>
            <Link to="/account" search={{ part: "security" }}>Add one to your own account</Link> first.
          </Trans>
        </p>
      )}
    </Card>
  );
}
