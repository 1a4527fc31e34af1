import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { send } from "@/api/client";
import { problemOfResult, type Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { DashboardRequestResetMutation } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Field } from "@/ui/fields";
import { Callout } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { AccountFrame, thrownProblem } from "./frame";
import { MailboxLink } from "./mailbox";

const RequestReset = graphql(`
  mutation DashboardRequestReset($email: String!) {
    requestPasswordReset(email: $email) {
      __typename
      ... on RateLimitError { retryAfter }
      ... on Error { code message }
    }
  }
`);

export function ForgotPage() {
  const { t } = useLingui();
  const textOf = useProblemText();
  const [email, setEmail] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isSending, setSending] = useState(false);
  const [sentTo, setSentTo] = useState<string | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setSending(true);
    setProblem(null);
    try {
      const address = email.trim();
      const { requestPasswordReset } = await send<DashboardRequestResetMutation>(RequestReset, { email: address });
      const found = problemOfResult(requestPasswordReset);
      setProblem(found);
      if (found === null) setSentTo(address);
    } catch (error) {
      setProblem(thrownProblem(error));
    } finally {
      setSending(false);
    }
  };
  const foot = (
    <Trans>
      Back to <Link to="/login">logging in</Link>
    </Trans>
  );
  if (sentTo !== null)
    return (
      <AccountFrame title={t`Look into your mailbox`} foot={foot}>
        <div className="space-y-4" role="status">
          <p>
            <Trans>
              If <strong className="break-all">{sentTo}</strong> has an account, a link is on its way there. It sets a new password, once, within an hour.
            </Trans>
          </p>
          <div className="flex flex-wrap gap-2">
            <Button onPress={() => setSentTo(null)}>{t`Use another address`}</Button>
            <MailboxLink />
          </div>
        </div>
      </AccountFrame>
    );
  return (
    <AccountFrame title={t`Set a new password`} lead={t`We send you a link for it.`} foot={foot}>
      <form onSubmit={submit} className="space-y-4" noValidate>
        {problem !== null && <Callout tone="danger">{problem.code === "email_invalid" ? t`Write an e-mail address.` : textOf(problem)}</Callout>}
        <Field label={t`E-mail`} type="email" name="email" autoComplete="username" value={email} onChange={setEmail} isRequired autoFocus />
        <Button type="submit" look="primary" className="w-full" isPending={isSending}>{t`Send the link`}</Button>
      </form>
    </AccountFrame>
  );
}
