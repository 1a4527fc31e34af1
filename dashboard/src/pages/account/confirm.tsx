// Where the link of a confirmation leads. One press confirms: programs that open links in mails do not press.
import { Trans, useLingui } from "@lingui/react/macro";
import { useRouterState } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "@/api/client";
import { problemOfResult, type Problem } from "@/api/problems";
import { resume, useSessionState } from "@/api/session";
import { graphql } from "@/gql";
import type { DashboardConfirmEmailMutation } from "@/gql/graphql";
import { Button, ButtonLink } from "@/ui/button";
import { Callout } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { AccountFrame, thrownProblem } from "./frame";
import { ResendButton } from "./unconfirmed";

const Confirm = graphql(`
  mutation DashboardConfirmEmail($token: String!) {
    confirmEmail(token: $token) {
      __typename
      ... on Error { code message }
    }
  }
`);

export function ConfirmPage() {
  const { t } = useLingui();
  const textOf = useProblemText();
  const token = useRouterState({ select: (state) => state.location.hash });
  const state = useSessionState();
  const isIn = state.status === "in";
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isSending, setSending] = useState(false);
  const [isDone, setDone] = useState(false);
  const confirm = async () => {
    setSending(true);
    setProblem(null);
    try {
      const { confirmEmail } = await send<DashboardConfirmEmailMutation>(Confirm, { token });
      const found = problemOfResult(confirmEmail);
      setProblem(found);
      setDone(found === null);
      if (found === null && isIn) await resume();
    } catch (error) {
      setProblem(thrownProblem(error));
    } finally {
      setSending(false);
    }
  };
  const isInvalid = token === "" || problem?.code === "link_invalid";
  if (isDone)
    return (
      <AccountFrame title={t`Your address is confirmed`} lead={t`Live mode is open to you now, and you can invite others.`}>
        {isIn ? (
          <ButtonLink to="/" look="primary" className="w-full">{t`Go to the dashboard`}</ButtonLink>
        ) : (
          <ButtonLink to="/login" look="primary" className="w-full">{t`Log in`}</ButtonLink>
        )}
      </AccountFrame>
    );
  return (
    <AccountFrame title={t`Confirm your address`}>
      <div className="space-y-4">
        {isInvalid ? (
          <Callout tone="danger">
            <Trans>This link counts no more: it was used, is older than 24 hours, or a newer one was sent.</Trans>
          </Callout>
        ) : (
          problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>
        )}
        {!isInvalid && <Button look="primary" className="w-full" onPress={confirm} isPending={isSending}>{t`Confirm this address`}</Button>}
        {isInvalid && isIn && !state.session.user.isConfirmed && <ResendButton />}
        {isInvalid && !isIn && (
          <p className="text-muted">
            <Trans>Log in, and send yourself another from the line at the top.</Trans>
          </p>
        )}
        {isInvalid && <ButtonLink to={isIn ? "/" : "/login"} className="w-full">{isIn ? t`Go to the dashboard` : t`Log in`}</ButtonLink>}
      </div>
    </AccountFrame>
  );
}
