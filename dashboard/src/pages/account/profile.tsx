// The user's own account: who they are, how they log in, and where they are logged in.
import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { useChange } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { enterWorkspace, resume, useSession, type Membership } from "@/api/session";
import { graphql } from "@/gql";
import { Button } from "@/ui/button";
import { Confirm, Dialog } from "@/ui/dialog";
import { Field } from "@/ui/fields";
import { isOfProof, ProofFields, useProof } from "@/ui/proof";
import { Badge, Callout, Card, Facts, PageHead, Time } from "@/ui/show";
import { useProblemText, useRoleName } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { toast } from "@/ui/toast";
import { SecondFactors } from "./factors";
import { MIN_PASSWORD } from "./frame";
import { AuthenticationLog, Sessions } from "./sessions";
import { ResendButton } from "./unconfirmed";

const ChangePassword = graphql(`
  mutation DashboardChangePassword($password: String!, $currentPassword: String!, $code: String, $passkey: PasskeyAnswerInput) {
    changePassword(password: $password, currentPassword: $currentPassword, code: $code, passkey: $passkey) {
      __typename
      ... on Session { csrfToken }
      ... on RateLimitError { retryAfter }
      ... on Error { code message param }
    }
  }
`);

const UpdateProfile = graphql(`
  mutation DashboardUpdateProfile($name: String!) {
    updateProfile(name: $name) {
      __typename
      ... on Session { user { id name } }
      ... on Error { code message param }
    }
  }
`);
const ChangeEmail = graphql(`
  mutation DashboardChangeEmail($email: String!, $currentPassword: String!, $code: String, $passkey: PasskeyAnswerInput) {
    changeEmail(email: $email, currentPassword: $currentPassword, code: $code, passkey: $passkey) {
      __typename
      ... on Session { user { id email pendingEmail } }
      ... on RateLimitError { retryAfter }
      ... on Error { code message param }
    }
  }
`);

const CancelDeletion = graphql(`
  mutation DashboardCancelDeletion($workspaceId: ID!, $currentPassword: String!, $code: String, $passkey: PasskeyAnswerInput) {
    cancelWorkspaceDeletion(workspaceId: $workspaceId, currentPassword: $currentPassword, code: $code, passkey: $passkey) {
      __typename
      ... on Session { csrfToken }
      ... on RateLimitError { retryAfter }
      ... on Error { code message param }
    }
  }
`);
const LeaveWorkspace = graphql(`
  mutation DashboardLeaveWorkspace($workspaceId: ID!) {
    leaveWorkspace(workspaceId: $workspaceId) {
      __typename
      ... on Session { csrfToken }
      ... on Error { code message param }
    }
  }
`);
const CreateWorkspace = graphql(`
  mutation DashboardCreateWorkspace($name: String!) {
    createWorkspace(name: $name) {
      __typename
      ... on Session { memberships { workspaceId } }
      ... on RateLimitError { retryAfter }
      ... on Error { code message param }
    }
  }
`);

export function AccountPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { part = "profile" } = useSearch({ from: "/shell/account" });
  const tabs = [
    { value: "profile", label: t`Profile` },
    { value: "security", label: t`Second factor` },
    { value: "sessions", label: t`Sessions` },
  ];
  return (
    <>
      <PageHead title={t`Your account`} lead={t`It is yours alone, in all workspaces.`} />
      <Tabs label={t`Parts`} tabs={tabs} value={part} onChange={(next) => void navigate({ to: "/account", search: next === "profile" ? {} : { part: next as "security" }, resetScroll: false })} />
      {part === "profile" && (
        <div className="grid items-start gap-5 lg:grid-cols-2">
          <div className="space-y-5">
            <Profile />
            <Email />
          </div>
          <Password />
        </div>
      )}
      {part === "security" && <SecondFactors />}
      {part === "sessions" && (
        <div className="grid items-start gap-5 xl:grid-cols-2">
          <Sessions />
          <AuthenticationLog />
        </div>
      )}
    </>
  );
}

function Profile() {
  const { t } = useLingui();
  const { user, memberships } = useSession();
  const roleName = useRoleName();
  return (
    <Card title={t`Profile`}>
      <Name />
      <Facts
        items={[
          [
            t`E-mail`,
            <span key="email" className="flex flex-wrap items-center justify-end gap-2">
              <span className="min-w-0 break-all">{user.email}</span>
              {user.isConfirmed ? <Badge tone="good">{t`Confirmed`}</Badge> : <Badge tone="warn">{t`Not confirmed`}</Badge>}
            </span>,
          ],
          user.isConfirmed && user.pendingEmail !== null && [t`Waits for its link`, <span key="pending" className="wrap-anywhere">{user.pendingEmail}</span>],
        ]}
      />
      {(!user.isConfirmed || user.pendingEmail !== null) && (
        <div className="mt-3 text-right">
          <ResendButton size="small" />
        </div>
      )}
      <h3 className="mt-5 mb-1 text-sm font-medium text-muted">{t`Workspaces`}</h3>
      <Facts
        items={memberships.map((each) => [
          each.workspaceName,
          <span key={each.workspaceId} className="flex flex-wrap items-center justify-end gap-2">
            {roleName(each.role)}
            {each.isSuspended && <Badge tone="warn">{t`Suspended`}</Badge>}
            {each.deletesAt !== null && <Deleting membership={each} deletesAt={each.deletesAt} />}
            <Leaving membership={each} />
          </span>,
        ] as const)}
      />
      {user.isConfirmed && <NewWorkspace />}
    </Card>
  );
}

/** A workspace that is to be deleted; its owners can cancel that. */
function Deleting({ membership, deletesAt }: { membership: Membership; deletesAt: string }) {
  const { t } = useLingui();
  const [isAsking, setAsking] = useState(false);
  return (
    <>
      <Badge tone="warn">
        <Trans>
          Deleted on <Time at={deletesAt} style="day" />
        </Trans>
      </Badge>
      {membership.role === "OWNER" && <Button size="small" onPress={() => setAsking(true)}>{t`Cancel the deletion`}</Button>}
      <Dialog isOpen={isAsking} onClose={() => setAsking(false)} title={t`Cancel the deletion`}>
        {isAsking && <CancelForm membership={membership} onDone={() => setAsking(false)} />}
      </Dialog>
    </>
  );
}

function CancelForm({ membership, onDone }: { membership: Membership; onDone: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const cancel = useChange(CancelDeletion);
  const proof = useProof();
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const found = await proof.send((given) => cancel.run({ workspaceId: membership.workspaceId, ...given }));
    setProblem(found);
    if (found !== null) return;
    await resume();
    toast({ text: t`The workspace goes on where it stopped.`, tone: "good" });
    onDone();
  };
  return (
    <form onSubmit={submit} className="space-y-4" noValidate>
      {problem !== null && !isOfProof(problem) && <Callout tone="danger">{textOf(problem)}</Callout>}
      <ProofFields of={proof} problem={problem} />
      <Button type="submit" look="primary" isPending={cancel.isRunning} isDisabled={!proof.isComplete}>{t`Cancel the deletion`}</Button>
    </form>
  );
}

/** Leaving a workspace, also one that may not be entered. */
function Leaving({ membership }: { membership: Membership }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const leave = useChange(LeaveWorkspace);
  const [isAsking, setAsking] = useState(false);
  const name = membership.workspaceName;
  return (
    <>
      <Button look="quiet" size="small" aria-label={t`Leave ${name}`} onPress={() => setAsking(true)}>{t`Leave`}</Button>
      <Confirm
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        title={t`Leave ${name}?`}
        action={t`Leave`}
        isPending={leave.isRunning}
        onConfirm={async () => {
          const { problem } = await leave.run({ workspaceId: membership.workspaceId });
          if (problem !== null) return toast({ text: textOf(problem), tone: "danger" });
          await resume();
          toast({ text: t`You left ${name}.` });
        }}
      >
        <p>
          <Trans>Only an invitation brings you back.</Trans>
        </p>
      </Confirm>
    </>
  );
}

function Name() {
  const { t } = useLingui();
  const textOf = useProblemText();
  const { user } = useSession();
  const update = useChange(UpdateProfile);
  const [name, setName] = useState(user.name);
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const outcome = await update.run({ name: name.trim() });
    setProblem(outcome.problem);
    if (outcome.problem !== null) return;
    await resume();
    toast({ text: t`Saved.` });
  };
  return (
    <form onSubmit={submit} className="mb-4 flex flex-wrap items-end gap-2" noValidate>
      <Field className="min-w-0 flex-1 basis-48" label={t`Name`} autoComplete="name" value={name} onChange={setName} maxLength={100} error={problem === null ? undefined : textOf(problem)} />
      <Button type="submit" isPending={update.isRunning} isDisabled={name.trim() === "" || name.trim() === user.name}>{t`Save`}</Button>
    </form>
  );
}

function NewWorkspace() {
  const { t } = useLingui();
  const textOf = useProblemText();
  const create = useChange(CreateWorkspace);
  const [name, setName] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const { done, problem: found } = await create.run({ name: name.trim() });
    setProblem(found);
    if (done === null) return;
    setName("");
    await resume();
    const made = done.memberships.at(-1);
    if (made !== undefined) enterWorkspace(made.workspaceId);
    toast({ text: t`The workspace is made, and open.` });
  };
  return (
    <form onSubmit={submit} className="mt-3 flex flex-wrap items-end gap-2" noValidate>
      <Field className="min-w-0 flex-1 basis-48" label={t`Another workspace`} value={name} onChange={setName} maxLength={100} error={problem === null ? undefined : textOf(problem)} />
      <Button type="submit" isPending={create.isRunning} isDisabled={name.trim() === ""}>{t`Create`}</Button>
    </form>
  );
}

function Email() {
  const { t } = useLingui();
  const textOf = useProblemText();
  const { user } = useSession();
  const change = useChange(ChangeEmail);
  const proof = useProof();
  const [email, setEmail] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const found = await proof.send((given) => change.run({ email: email.trim(), ...given }));
    setProblem(found);
    if (found !== null) return;
    setEmail("");
    proof.setPassword("");
    await resume();
    toast({ text: t`The link is on its way. The address counts once it is opened.` });
  };
  const isUnfit = problem?.param === "email";
  return (
    <Card title={t`Another e-mail address`}>
      <form onSubmit={submit} className="space-y-4" noValidate>
        {problem !== null && !isUnfit && !isOfProof(problem) && <Callout tone="danger">{textOf(problem)}</Callout>}
        <Field label={t`New e-mail address`} type="email" autoComplete="email" hint={t`A link goes to it. ${user.email} is told, and counts until the link is opened.`} value={email} onChange={setEmail} error={isUnfit ? textOf(problem) : undefined} />
        <ProofFields of={proof} problem={problem} passwordLabel={t`Password to confirm it`} />
        <Button type="submit" isPending={change.isRunning} isDisabled={email.trim() === "" || !proof.isComplete}>{t`Send the link`}</Button>
      </form>
    </Card>
  );
}

function Password() {
  const { t } = useLingui();
  const textOf = useProblemText();
  const { user } = useSession();
  const change = useChange(ChangePassword);
  const proof = useProof();
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const found = await proof.send((given) => change.run({ password, ...given }));
    setProblem(found);
    if (found !== null) return;
    proof.setPassword("");
    setPassword("");
    await resume();
    toast({ text: t`Your password is changed, and your other sessions have ended.` });
  };
  const isWeak = problem?.param === "password";
  return (
    <Card title={t`Password`}>
      <form onSubmit={submit} className="space-y-4" noValidate>
        {problem !== null && !isWeak && !isOfProof(problem) && <Callout tone="danger">{textOf(problem)}</Callout>}
        <input type="hidden" name="username" autoComplete="username" value={user.email} readOnly />
        <ProofFields of={proof} problem={problem} passwordLabel={t`Current password`} />
        <Field
          label={t`New password`}
          type="password"
          name="new-password"
          autoComplete="new-password"
          hint={t`At least ${MIN_PASSWORD} characters; a few words are easy to keep in mind.`}
          value={password}
          onChange={setPassword}
          error={isWeak ? problem.message : undefined}
        />
        <div className="flex flex-wrap items-center justify-between gap-3">
          <p className="text-sm text-muted">
            <Trans>Your other sessions end.</Trans>
          </p>
          <Button type="submit" look="primary" isPending={change.isRunning} isDisabled={!proof.isComplete || password.length < MIN_PASSWORD}>{t`Change the password`}</Button>
        </div>
      </form>
    </Card>
  );
}
