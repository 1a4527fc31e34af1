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
import { AccountFrame, thrownProblem } from "./frame";

const SignUp = graphql(`
  mutation DashboardSignUp($input: SignUpInput!) {
    signUp(input: $input) {
      __typename
      ... on SignedUp {
        workspaceId
        testKey
        liveKey
        session {
          user { id email name }
          memberships { workspaceId workspaceName role }
          csrfToken
        }
      }
      ... on RateLimitError { retryAfter }
      ... on Error { code message param }
    }
  }
`);

const MIN_PASSWORD = 10;

interface Values {
  name: string;
  email: string;
  password: string;
  workspaceName: string;
}

interface FormProps {
  /** The token and address of an invitation that is taken, rather than a workspace made. */
  invitation?: { token: string; email: string };
  onDone: (made: { testKey: string | null; liveKey: string | null }) => void;
}

export function SignUpForm({ invitation, onDone }: FormProps) {
  const { t } = useLingui();
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
    const variables: DashboardSignUpMutationVariables = { input: { name: name.trim(), email: email.trim(), password, ...place } };
    try {
      const { signUp } = await send<DashboardSignUpMutation>(SignUp, variables);
      if (signUp.__typename === "SignedUp") {
        openSession(signUp.session, signUp.workspaceId);
        onDone(signUp);
        return;
      }
      const found = problemOfResult(signUp);
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
      {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
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
  const [keys, setKeys] = useState<{ testKey: string; liveKey: string } | null>(null);
  if (keys !== null)
    return (
      <AccountFrame title={t`Your workspace is ready`} lead={t`These are its API keys. They are shown this once; more can be made at any time.`}>
        <dl className="space-y-3">
          <dt className="text-sm font-medium">{t`Sandbox key`}</dt>
          <dd>
            <CopyId id={keys.testKey} />
          </dd>
          <dt className="text-sm font-medium">{t`Live key`}</dt>
          <dd>
            <CopyId id={keys.liveKey} />
          </dd>
        </dl>
        <Button look="primary" className="mt-6 w-full" onPress={() => void navigate({ to: "/" })}>{t`Go to the dashboard`}</Button>
      </AccountFrame>
    );
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
      <SignUpForm
        onDone={({ testKey, liveKey }) => {
          if (testKey !== null && liveKey !== null) setKeys({ testKey, liveKey });
          else void navigate({ to: "/" });
        }}
      />
    </AccountFrame>
  );
}
