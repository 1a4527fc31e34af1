import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useRouterState } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { send } from "@/api/client";
import { problemOfResult, type Problem } from "@/api/problems";
import { enterWorkspace, resume, useSessionState } from "@/api/session";
import { graphql } from "@/gql";
import type { DashboardAcceptMutation, DashboardInvitationQuery } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Callout, Facts, Time } from "@/ui/show";
import { EmptyState, Loading, useProblemText, useRoleName } from "@/ui/states";
import { AccountFrame, thrownProblem } from "./frame";
import { SignUpForm } from "./signup";

const Invitation = graphql(`
  query DashboardInvitation($token: String!) {
    invitationPreview(token: $token) { workspaceName email role expiresAt }
  }
`);
const Accept = graphql(`
  mutation DashboardAccept($token: String!) {
    acceptInvitation(token: $token) {
      __typename
      ... on Session { memberships { workspaceId workspaceName role } }
      ... on Error { code message }
    }
  }
`);

type Preview = NonNullable<DashboardInvitationQuery["invitationPreview"]>;

export function InvitationPage() {
  const { t } = useLingui();
  const token = useRouterState({ select: (state) => state.location.hash });
  const [preview, setPreview] = useState<Preview | null | undefined>();
  const [problem, setProblem] = useState<Problem | null>(null);
  const textOf = useProblemText();
  useEffect(() => {
    send<DashboardInvitationQuery>(Invitation, { token }).then(
      (data) => setPreview(data.invitationPreview ?? null),
      (error: unknown) => setProblem(thrownProblem(error)),
    );
  }, [token]);
  return (
    <AccountFrame title={t`Invitation`}>
      {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
      {preview === undefined && problem === null && <Loading rows={3} />}
      {preview === null && (
        <EmptyState icon="warning" title={t`This invitation cannot be taken`}>
          <Trans>It has run out, was ended, or has been taken. Ask for another.</Trans>
        </EmptyState>
      )}
      {preview && <Offer preview={preview} token={token} />}
    </AccountFrame>
  );
}

function Offer({ preview, token }: { preview: Preview; token: string }) {
  const { t } = useLingui();
  const state = useSessionState();
  const roleName = useRoleName();
  const textOf = useProblemText();
  const navigate = useNavigate();
  const [problem, setProblem] = useState<Problem | null>(null);
  const accept = async () => {
    try {
      const { acceptInvitation } = await send<DashboardAcceptMutation>(Accept, { token });
      const found = problemOfResult(acceptInvitation);
      setProblem(found);
      if (found !== null || acceptInvitation.__typename !== "Session") return;
      await resume();
      const joined = acceptInvitation.memberships.find(({ workspaceName }) => workspaceName === preview.workspaceName);
      if (joined !== undefined) enterWorkspace(joined.workspaceId);
      await navigate({ to: "/" });
    } catch (error) {
      setProblem(thrownProblem(error));
    }
  };
  return (
    <div className="space-y-5">
      <Facts
        items={[
          [t`Workspace`, preview.workspaceName],
          [t`For`, preview.email],
          [t`Role`, roleName(preview.role)],
          [t`Open until`, <Time key="until" at={preview.expiresAt} style="full" />],
        ]}
      />
      {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
      {state.status === "in" ? (
        <Button look="primary" className="w-full" onPress={accept}>{t`Join`}</Button>
      ) : (
        <>
          <SignUpForm invitation={{ token, email: preview.email }} onDone={() => void navigate({ to: "/" })} />
          <p className="text-center text-sm text-muted">
            <Trans>
              Already registered? <Link to="/login">Log in</Link> first, then open this address again.
            </Trans>
          </p>
        </>
      )}
    </div>
  );
}
