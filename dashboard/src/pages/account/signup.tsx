import { zodResolver } from "@hookform/resolvers/zod";
import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { Controller, useForm } from "react-hook-form";
import * as z from "zod/mini";
import { send } from "@/api/client";
import { problemOfResult, type Problem } from "@/api/problems";
import { openSession } from "@/api/session";
import { graphql } from "@/gql";
import type { DashboardSignUpMutation, DashboardSignUpMutationVariables } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Field } from "@/ui/fields";
import { Callout, CopyId } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { AccountFrame, MIN_PASSWORD, thrownProblem } from "./frame";
import { MailboxLink } from "./mailbox";
import { ResendButton } from "./unconfirmed";

const SignUp = graphql(`
  mutation DashboardSignUp($input: SignUpInput!) {
    signUp(input: $input) {
      __typename
      ... on SignedUp {
        workspaceId
        testKey
        session { ...OpenedSession }
      }
      ... on RateLimitError { retryAfter }
      ... on Error { code message param }
    }
  }
`);

interface Values {
  name: string;
  email: string;
  password: string;
  workspaceName: string;
}

interface Made {
  testKey: string | null;
  session: { user: { email: string; isConfirmed: boolean } };
}

interface FormProps {
  /** The token and address of an invitation that is taken, rather than a workspace made. */
  invitation?: { token: string; email: string };
  onDone: (made: Made) => void;
}

export function SignUpForm({ invitation, onDone }: FormProps) {
  const { t, i18n } = useLingui();
  const textOf = useProblemText();
  const [problem, setProblem] = useState<Problem | null>(null);
  const rules = z.object({
    name: z.string().check(z.trim(), z.minLength(1, t`Write your name.`), z.maxLength(100)),
    email: z.string().check(z.trim(), z.regex(/^\S+@\S+\.\S+$/, t`Write an e-mail address.`)),
    password: z.string().check(z.minLength(MIN_PASSWORD, t`Use at least ${MIN_PASSWORD} characters.`), z.maxLength(256)),
    workspaceName: z.string().check(z.trim(), z.minLength(invitation === undefined ? 1 : 0, t`Name your workspace.`), z.maxLength(100)),
  });
  const { control, handleSubmit, setError, formState } = useForm<Values>({
    resolver: zodResolver(rules),
    defaultValues: { name: "", email: invitation?.email ?? "", password: "", workspaceName: "" },
  });
  const submit = handleSubmit(async ({ name, email, password, workspaceName }) => {
    setProblem(null);
    const place = invitation === undefined ? { workspaceName: workspaceName.trim() } : { invitation: invitation.token };
    const variables: DashboardSignUpMutationVariables = { input: { name: name.trim(), email: email.trim(), password, language: i18n.locale, ...place } };
    try {
      const { signUp } = await send<DashboardSignUpMutation>(SignUp, variables);
      if (signUp.__typename === "SignedUp") {
        openSession(signUp.session, signUp.workspaceId);
        onDone(signUp);
        return;
      }
      const found = problemOfResult(signUp);
      if (found?.code === "email_taken") found.message = t`This address has an account already. Log in with it.`;
      const field = found?.param?.split(".").pop();
      if (found !== null && field !== undefined && field in rules.shape) setError(field as keyof Values, { message: found.message });
      else setProblem(found);
    } catch (error) {
      setProblem(thrownProblem(error));
    }
  });
  const field = (name: keyof Values, label: string, more: Partial<Parameters<typeof Field>[0]> = {}) => (
    <Controller
      control={control}
      name={name}
      render={({ field: { ref: _ref, ...bound }, fieldState }) => <Field label={label} {...bound} {...more} error={fieldState.error?.message} />}
    />
  );
  return (
    <form onSubmit={submit} className="space-y-4" noValidate>
      {problem !== null && <Callout tone="danger">{problem.code === "sign_up_closed" ? t`Sign-up is by invitation here. Ask the operator of this service for one.` : textOf(problem)}</Callout>}
      {field("name", t`Your name`, { autoComplete: "name", autoFocus: true })}
      {invitation === undefined && field("workspaceName", t`Workspace`, { hint: t`Your company or project; you can rename it.`, autoComplete: "organization" })}
      {field("email", t`E-mail`, { type: "email", autoComplete: "username", isReadOnly: invitation !== undefined })}
      {field("password", t`Password`, { type: "password", autoComplete: "new-password", hint: t`At least ${MIN_PASSWORD} characters; a few words are easy to keep in mind.` })}
      <Button type="submit" look="primary" className="w-full" isPending={formState.isSubmitting}>
        {invitation === undefined ? t`Create workspace` : t`Join`}
      </Button>
    </form>
  );
}

export function SignUpPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const [made, setMade] = useState<Made | null>(null);
  if (made !== null) return <Ready made={made} onGo={() => void navigate({ to: "/" })} />;
  return (
    <AccountFrame
      title={t`Create a workspace`}
      lead={t`It starts in the sandbox: free, and no real phone is reached.`}
      foot={
        <Trans>
          Already registered? <Link to="/login">Log in</Link>
        </Trans>
      }
    >
      <SignUpForm onDone={setMade} />
    </AccountFrame>
  );
}

/** Show the workspace's key and ask the user to check their mailbox. A known address gets the same page. */
function Ready({ made, onGo }: { made: Made; onGo: () => void }) {
  const { t } = useLingui();
  const { email, isConfirmed } = made.session.user;
  return (
    <AccountFrame title={t`Your workspace is ready`}>
      <div className="space-y-6">
        {!isConfirmed && (
          <section className="space-y-3">
            <h2 className="font-medium">{t`Look into your mailbox`}</h2>
            <p className="text-muted">
              <Trans>
                A mail is on its way to <strong className="break-all text-text">{email}</strong>. Its link confirms the address, within 24 hours. Until then you work in the sandbox, and invite
                nobody. If you had an account already, the mail says how to get into it.
              </Trans>
            </p>
            <div className="flex flex-wrap gap-2">
              <ResendButton size="small" />
              <MailboxLink size="small" />
            </div>
          </section>
        )}
        {made.testKey !== null && (
          <section className="space-y-2">
            <h2 className="font-medium">{t`Sandbox key`}</h2>
            <CopyId id={made.testKey} />
            <p className="text-sm text-muted">{t`For the API. It is shown this once; more can be made at any time.`}</p>
          </section>
        )}
        <Button look="primary" className="w-full" onPress={onGo}>{t`Go to the dashboard`}</Button>
      </div>
    </AccountFrame>
  );
}
