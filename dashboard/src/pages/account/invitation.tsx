import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useRouterState } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { send } from "@/api/client";
import { problemOfResult, type Problem } from "@/api/problems";
import { closeSession, enterWorkspace, resume, useSessionState } from "@/api/session";
import { graphql } from "@/gql";
import type { DashboardAcceptMutation, DashboardInvitationQuery } from "@/gql/graphql";
import { Button, ButtonLink } from "@/ui/button";
import { Callout, Facts, Time } from "@/ui/show";
import { EmptyState, Loading, useProblemText, useRoleName } from "@/ui/states";
import { AccountFrame, thrownProblem } from "./frame";
import { LoginForm } from "./login";
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
        <EmptyState icon="warning" title={t`This invitation cannot be taken`} action={<ButtonLink to="/login">{t`Log in`}</ButtonLink>}>
          <Trans>It has run out, was ended, or has been taken. Ask for another.</Trans>
        </EmptyState>
      )}
      {preview && <Offer preview={preview} token={token} />}
    </AccountFrame>
  );
}

const LogOut = graphql(`
  mutation DashboardInvitationLogOut {
    logOut { __typename }
  }
`);

function Offer({ preview, token }: { preview: Preview; token: string }) {
  const { t } = useLingui();
  const state = useSessionState();
  const roleName = useRoleName();
  const textOf = useProblemText();
  const navigate = useNavigate();
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isSending, setSending] = useState(false);
  const [isKnown, setKnown] = useState(false);
  const accept = async () => {
    setSending(true);
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
    } finally {
      setSending(false);
    }
  };
  const logOut = async () => {
    await send(LogOut, {}).catch(() => undefined);
    closeSession();
  };
  const user = state.status === "in" ? state.session.user : null;
  const isAnother = user !== null && user.email !== preview.email;
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
      {isAnother && (
        <>
          <Callout tone="warn">
            <Trans>
              You are logged in as {user.email}. This place is for {preview.email}.
            </Trans>
          </Callout>
          <Button className="w-full" onPress={logOut}>{t`Log out`}</Button>
        </>
      )}
      {user !== null && !isAnother && <Button look="primary" className="w-full" onPress={accept} isPending={isSending}>{t`Join`}</Button>}
      {user === null &&
        (isKnown ? (
          <LoginForm email={preview.email} onDone={() => undefined} />
        ) : (
          <SignUpForm invitation={{ token, email: preview.email }} onDone={() => void navigate({ to: "/" })} />
        ))}
      {user === null && (
        <p className="text-center text-sm">
          <Button look="quiet" size="small" onPress={() => setKnown(!isKnown)}>
            {isKnown ? t`I am new here` : t`I have an account already`}
          </Button>
        </p>
      )}
    </div>
  );
}
