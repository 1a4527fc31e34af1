import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { send } from "@/api/client";
import { problemOfResult, type Problem } from "@/api/problems";
import { openSession, useSessionState } from "@/api/session";
import { graphql } from "@/gql";
import type { DashboardBeginPasskeyLoginMutation, DashboardLogInMutation, DashboardLogInWithCodeMutation, DashboardLogInWithPasskeyMutation } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Field } from "@/ui/fields";
import { Callout } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { AccountFrame, thrownProblem } from "./frame";
import { givePasskey, hasPasskeys } from "@/ui/passkey";

const LogIn = graphql(`
  mutation DashboardLogIn($email: String!, $password: String!) {
    logIn(email: $email, password: $password) {
      __typename
      ... on Session { ...OpenedSession }
      ... on SecondFactorNeeded { token hasTotp hasPasskey }
      ... on RateLimitError { retryAfter }
      ... on Error { code message }
    }
  }
`);
const LogInWithCode = graphql(`
  mutation DashboardLogInWithCode($token: String!, $code: String!) {
    logInWithCode(token: $token, code: $code) {
      __typename
      ... on Session { ...OpenedSession }
      ... on RateLimitError { retryAfter }
      ... on Error { code message }
    }
  }
`);
const BeginPasskeyLogin = graphql(`
  mutation DashboardBeginPasskeyLogin($token: String) {
    beginPasskeyLogin(token: $token) {
      __typename
      ... on PasskeyChallenge { token options }
      ... on RateLimitError { retryAfter }
      ... on Error { code message }
    }
  }
`);
const LogInWithPasskey = graphql(`
  mutation DashboardLogInWithPasskey($token: String!, $credential: String!) {
    logInWithPasskey(token: $token, credential: $credential) {
      __typename
      ... on Session { ...OpenedSession }
      ... on RateLimitError { retryAfter }
      ... on Error { code message }
    }
  }
`);

type Step = Extract<DashboardLogInMutation["logIn"], { __typename: "SecondFactorNeeded" }>;

interface FormProps {
  email?: string;
  onDone: () => void;
}

/** Run one step at a time, and keep what went wrong in it. */
function useStep() {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isSending, setSending] = useState(false);
  const run = async (step: () => Promise<Problem | null>) => {
    setSending(true);
    setProblem(null);
    try {
      setProblem(await step());
    } catch (error) {
      setProblem(thrownProblem(error));
    } finally {
      setSending(false);
    }
  };
  return { problem, isSending, run };
}

/** Log in with a passkey: after the password, or without a token in its place. */
async function enterByPasskey(second: string | null, onDone: () => void): Promise<Problem | null> {
  const { beginPasskeyLogin: begun } = await send<DashboardBeginPasskeyLoginMutation>(BeginPasskeyLogin, { token: second });
  if (begun.__typename !== "PasskeyChallenge") return problemOfResult(begun);
  const credential = await givePasskey(begun.options);
  const { logInWithPasskey: opened } = await send<DashboardLogInWithPasskeyMutation>(LogInWithPasskey, { token: begun.token, credential });
  if (opened.__typename !== "Session") return problemOfResult(opened);
  openSession(opened);
  onDone();
  return null;
}

export function LoginForm({ email: known = "", onDone }: FormProps) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const [email, setEmail] = useState(known);
  const [password, setPassword] = useState("");
  const [second, setSecond] = useState<Step | null>(null);
  const { problem, isSending, run } = useStep();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void run(async () => {
      const { logIn } = await send<DashboardLogInMutation>(LogIn, { email: email.trim(), password });
      if (logIn.__typename === "SecondFactorNeeded") setSecond(logIn);
      if (logIn.__typename === "Session") {
        openSession(logIn);
        onDone();
      }
      return problemOfResult(logIn);
    });
  };
  if (second !== null)
    return (
      <SecondStep
        step={second}
        onDone={onDone}
        onBack={() => {
          setPassword("");
          setSecond(null);
        }}
      />
    );
  const isWrong = problem?.kind === "input" && problem.code !== "passkey_refused" && problem.code !== "second_factor_invalid";
  return (
    <form onSubmit={submit} className="space-y-4" noValidate>
      {problem !== null && <Callout tone="danger">{isWrong ? t`E-mail address or password is wrong.` : textOf(problem)}</Callout>}
      <Field label={t`E-mail`} type="email" name="email" autoComplete="username" value={email} onChange={setEmail} isRequired autoFocus={known === ""} />
      <Field label={t`Password`} type="password" name="password" autoComplete="current-password" value={password} onChange={setPassword} isRequired autoFocus={known !== ""} />
      <Button type="submit" look="primary" className="w-full" isPending={isSending}>{t`Log in`}</Button>
      {hasPasskeys() && (
        <Button className="w-full" isDisabled={isSending} onPress={() => void run(() => enterByPasskey(null, onDone))}>
          {t`Log in with a passkey`}
        </Button>
      )}
      <p className="text-center text-sm">
        <Link to="/forgot">{t`Forgot your password?`}</Link>
      </p>
    </form>
  );
}

/** The step after the password: a code of the app, a recovery code or a passkey. */
function SecondStep({ step, onDone, onBack }: { step: Step; onDone: () => void; onBack: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const [isRecovery, setRecovery] = useState(!step.hasTotp && !step.hasPasskey);
  const [code, setCode] = useState("");
  const { problem, isSending, run } = useStep();
  const asksCode = step.hasTotp || isRecovery;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void run(async () => {
      const { logInWithCode } = await send<DashboardLogInWithCodeMutation>(LogInWithCode, { token: step.token, code: code.trim() });
      if (logInWithCode.__typename === "Session") {
        openSession(logInWithCode);
        onDone();
      }
      return problemOfResult(logInWithCode);
    });
  };
  return (
    <form onSubmit={submit} className="space-y-4" noValidate>
      {problem !== null && (
        <Callout tone="danger">
          {problem.code === "second_factor_invalid" ? t`That is not right, or this log-in has run out. Try again, or start over.` : textOf(problem)}
        </Callout>
      )}
      <p className="text-muted">{t`Your password is right. One more step shows that it is you.`}</p>
      {asksCode && (
        <>
          <Field
            key={isRecovery ? "recovery" : "code"}
            label={isRecovery ? t`Recovery code` : t`Code`}
            hint={isRecovery ? t`One of the ten that you put away; each counts once.` : t`The six digits that your authenticator app shows.`}
            name="code"
            autoComplete={isRecovery ? "off" : "one-time-code"}
            inputMode={isRecovery ? "text" : "numeric"}
            value={code}
            onChange={setCode}
            isRequired
            autoFocus
          />
          <Button type="submit" look="primary" className="w-full" isPending={isSending} isDisabled={code.trim() === ""}>{t`Log in`}</Button>
        </>
      )}
      {step.hasPasskey && hasPasskeys() && (
        <Button look={asksCode ? "secondary" : "primary"} className="w-full" isDisabled={isSending} onPress={() => void run(() => enterByPasskey(step.token, onDone))}>
          {t`Use a passkey`}
        </Button>
      )}
      <div className="flex flex-wrap justify-center gap-2">
        <Button
          look="quiet"
          size="small"
          onPress={() => {
            setCode("");
            setRecovery(!isRecovery);
          }}
        >
          {!isRecovery ? t`Use a recovery code` : step.hasTotp ? t`Use the app` : t`Use no recovery code`}
        </Button>
        <Button look="quiet" size="small" onPress={onBack}>{t`Start over`}</Button>
      </div>
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
