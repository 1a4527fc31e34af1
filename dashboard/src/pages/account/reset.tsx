import { Trans, useLingui } from "@lingui/react/macro";
import { useRouterState } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { send } from "@/api/client";
import { problemOfResult, type Problem } from "@/api/problems";
import { closeSession } from "@/api/session";
import { graphql } from "@/gql";
import type { DashboardResetPasswordMutation } from "@/gql/graphql";
import { Button, ButtonLink } from "@/ui/button";
import { Field } from "@/ui/fields";
import { Callout } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { AccountFrame, MIN_PASSWORD, thrownProblem } from "./frame";

const ResetPassword = graphql(`
  mutation DashboardResetPassword($token: String!, $password: String!) {
    resetPassword(token: $token, password: $password) {
      __typename
      ... on Error { code message param }
    }
  }
`);

export function ResetPage() {
  const { t } = useLingui();
  const textOf = useProblemText();
  const token = useRouterState({ select: (state) => state.location.hash });
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isSending, setSending] = useState(false);
  const [isDone, setDone] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setSending(true);
    setProblem(null);
    try {
      const { resetPassword } = await send<DashboardResetPasswordMutation>(ResetPassword, { token, password });
      const found = problemOfResult(resetPassword);
      setProblem(found);
      setDone(found === null);
      if (found === null) closeSession();
    } catch (error) {
      setProblem(thrownProblem(error));
    } finally {
      setSending(false);
    }
  };
  if (isDone)
    return (
      <AccountFrame title={t`Your password is set`} lead={t`Every session of yours has ended. Log in with the new one.`}>
        <ButtonLink to="/login" look="primary" className="w-full">{t`Log in`}</ButtonLink>
      </AccountFrame>
    );
  if (token === "" || problem?.code === "link_invalid")
    return (
      <AccountFrame title={t`Set a new password`}>
        <div className="space-y-4">
          <Callout tone="danger">
            <Trans>This link counts no more: it was used, is older than an hour, or a newer one was sent.</Trans>
          </Callout>
          <ButtonLink to="/forgot" look="primary" className="w-full">{t`Ask for another`}</ButtonLink>
        </div>
      </AccountFrame>
    );
  return (
    <AccountFrame title={t`Set a new password`} lead={t`It ends every session of yours.`}>
      <form onSubmit={submit} className="space-y-4" noValidate>
        {problem !== null && problem.param !== "password" && <Callout tone="danger">{textOf(problem)}</Callout>}
        <Field
          label={t`New password`}
          type="password"
          name="password"
          autoComplete="new-password"
          hint={t`At least ${MIN_PASSWORD} characters; a few words are easy to keep in mind.`}
          error={problem?.param === "password" ? problem.message : undefined}
          value={password}
          onChange={setPassword}
          isRequired
          autoFocus
        />
        <Button type="submit" look="primary" className="w-full" isPending={isSending} isDisabled={password.length < MIN_PASSWORD}>{t`Set the password`}</Button>
      </form>
    </AccountFrame>
  );
}
