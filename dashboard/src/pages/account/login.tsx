import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { send } from "@/api/client";
import { problemOfResult, type Problem } from "@/api/problems";
import { openSession, useSessionState } from "@/api/session";
import { graphql } from "@/gql";
import type { DashboardLogInMutation } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Field } from "@/ui/fields";
import { Callout } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { AccountFrame, thrownProblem } from "./frame";

const LogIn = graphql(`
  mutation DashboardLogIn($email: String!, $password: String!) {
    logIn(email: $email, password: $password) {
      __typename
      ... on Session {
        user { id email name }
        memberships { workspaceId workspaceName role }
        csrfToken
      }
      ... on RateLimitError { retryAfter }
      ... on Error { code message }
    }
  }
`);

interface FormProps {
  email?: string;
  onDone: () => void;
}

export function LoginForm({ email: known = "", onDone }: FormProps) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const [email, setEmail] = useState(known);
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isSending, setSending] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setSending(true);
    setProblem(null);
    try {
      const { logIn } = await send<DashboardLogInMutation>(LogIn, { email: email.trim(), password });
      setProblem(problemOfResult(logIn));
      if (logIn.__typename === "Session") {
        openSession(logIn);
        onDone();
      }
    } catch (error) {
      setProblem(thrownProblem(error));
    } finally {
      setSending(false);
    }
  };
  return (
    <form onSubmit={submit} className="space-y-4" noValidate>
      {problem !== null && <Callout tone="danger">{problem.kind === "input" ? t`E-mail address or password is wrong.` : textOf(problem)}</Callout>}
      <Field label={t`E-mail`} type="email" name="email" autoComplete="username" value={email} onChange={setEmail} isRequired autoFocus={known === ""} />
      <Field label={t`Password`} type="password" name="password" autoComplete="current-password" value={password} onChange={setPassword} isRequired autoFocus={known !== ""} />
      <Button type="submit" look="primary" className="w-full" isPending={isSending}>{t`Log in`}</Button>
    </form>
  );
}

export function LoginPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { next } = useSearch({ from: "/login" });
  // Only a path of our own is followed.
  const target = next !== undefined && /^\/(?![/\\])/.test(next) ? next : "/";
  return (
    <AccountFrame
      title={t`Log in`}
      foot={
        <Trans>
          New here? <Link to="/signup">Create a workspace</Link>
        </Trans>
      }
    >
      <LoginForm onDone={() => void navigate({ to: target.replace(/^\/dashboard(?=\/|$)/, "") || "/" })} />
    </AccountFrame>
  );
}

/** The same form over a page whose session has ended. */
export function LoginAgain() {
  const state = useSessionState();
  return <LoginForm {...("session" in state ? { email: state.session.user.email } : {})} onDone={() => undefined} />;
}
