// Leaving a workspace, giving it to another member, and having it deleted.
import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { useChange, useData } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { resume, useSession } from "@/api/session";
import { graphql } from "@/gql";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Field, Select } from "@/ui/fields";
import { isOfProof, ProofFields, useProof } from "@/ui/proof";
import { Callout, Card } from "@/ui/show";
import { States, useProblemText } from "@/ui/states";
import { useTell } from "@/ui/tell";

const Heirs = graphql(`
  query OwnershipMembers { members { id name email role } }
`);
const Transfer = graphql(`
  mutation OwnershipTransfer($userId: ID!, $currentPassword: String!, $code: String, $passkey: PasskeyAnswerInput) {
    transferOwnership(userId: $userId, currentPassword: $currentPassword, code: $code, passkey: $passkey) {
      __typename
      ... on Member { id role }
      ... on RateLimitError { retryAfter }
      ... on Error { code message param }
    }
  }
`);
const Delete = graphql(`
  mutation OwnershipDelete($name: String!, $currentPassword: String!, $code: String, $passkey: PasskeyAnswerInput) {
    deleteWorkspace(name: $name, currentPassword: $currentPassword, code: $code, passkey: $passkey) {
      __typename
      ... on WorkspaceDeletion { deletesAt }
      ... on RateLimitError { retryAfter }
      ... on Error { code message param }
    }
  }
`);
const Leave = graphql(`
  mutation OwnershipLeave($workspaceId: ID!) {
    leaveWorkspace(workspaceId: $workspaceId) {
      __typename
      ... on Error { code message }
    }
  }
`);

export function Ownership() {
  const { membership } = useSession();
  const isOwner = membership?.role === "OWNER";
  return (
    <div className="max-w-2xl space-y-5">
      {isOwner && <TransferCard />}
      <LeaveCard />
      {isOwner && <DeleteCard />}
    </div>
  );
}

function TransferCard() {
  const { t } = useLingui();
  const tell = useTell();
  const textOf = useProblemText();
  const { user } = useSession();
  const reading = useData(Heirs, {});
  const transfer = useChange(Transfer);
  const [userId, setUserId] = useState<string | null>(null);
  const proof = useProof();
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (userId === null) return;
    const found = await proof.send((given) => transfer.run({ userId, ...given }));
    setProblem(found);
    if (found !== null) return;
    tell(null, t`The workspace has a new owner.`);
    await resume();
  };
  return (
    <Card title={t`Give it to another owner`}>
      <States of={reading}>
        {({ members }) => {
          const others = members.filter(({ id }) => id !== user.id);
          if (others.length === 0)
            return (
              <p className="text-muted">
                <Trans>You are its only member. Invite somebody first.</Trans>
              </p>
            );
          return (
            <form onSubmit={submit} className="space-y-4" noValidate>
              <p className="text-muted">
                <Trans>They become the owner, and you an admin.</Trans>
              </p>
              {problem !== null && !isOfProof(problem) && <Callout tone="danger">{textOf(problem)}</Callout>}
              <Select label={t`New owner`} placeholder={t`Choose a member`} choices={others.map(({ id, name, email }) => ({ value: id, label: name === "" ? email : `${name} (${email})` }))} value={userId} onChange={setUserId} />
              <ProofFields of={proof} problem={problem} />
              <Button type="submit" isPending={transfer.isRunning} isDisabled={userId === null || !proof.isComplete}>{t`Give it away`}</Button>
            </form>
          );
        }}
      </States>
    </Card>
  );
}

function LeaveCard() {
  const { t } = useLingui();
  const tell = useTell();
  const navigate = useNavigate();
  const { membership } = useSession();
  const leave = useChange(Leave);
  const [isAsking, setAsking] = useState(false);
  const name = membership?.workspaceName ?? "";
  return (
    <Card title={t`Leave it`}>
      <p className="mb-4 text-muted">
        <Trans>You lose the workspace at once; what you made stays. The last owner gives it away first.</Trans>
      </p>
      <Button onPress={() => setAsking(true)}>{t`Leave the workspace`}</Button>
      <Confirm
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        title={t`Leave ${name}?`}
        action={t`Leave`}
        isPending={leave.isRunning}
        onConfirm={async () => {
          if (membership === null) return;
          if (!tell((await leave.run({ workspaceId: membership.workspaceId })).problem, t`You left ${name}.`)) return;
          await resume();
          await navigate({ to: "/account" });
        }}
      >
        <p>
          <Trans>Only an invitation brings you back.</Trans>
        </p>
      </Confirm>
    </Card>
  );
}

function DeleteCard() {
  const { t } = useLingui();
  const tell = useTell();
  const textOf = useProblemText();
  const navigate = useNavigate();
  const { membership } = useSession();
  const remove = useChange(Delete);
  const [typed, setTyped] = useState("");
  const proof = useProof();
  const [problem, setProblem] = useState<Problem | null>(null);
  const name = membership?.workspaceName ?? "";
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const found = await proof.send((given) => remove.run({ name: typed, ...given }));
    setProblem(found);
    if (found !== null) return;
    tell(null, t`The workspace will be deleted. Until then you can cancel this here.`);
    await resume();
    await navigate({ to: "/account" });
  };
  return (
    <Card title={t`Delete the workspace`}>
      <form onSubmit={submit} className="space-y-4" noValidate>
        <p className="text-muted">
          <Trans>Its API keys and all sending stop at once. After 30 days its contacts, messages and campaigns are erased; until then an owner can cancel the deletion. The credit ledger, the consent history and the audit log are kept, as the law requires.</Trans>
        </p>
        {problem !== null && !isOfProof(problem) && problem.param !== "name" && <Callout tone="danger">{textOf(problem)}</Callout>}
        <Field label={t`Type ${name} to go on`} value={typed} onChange={setTyped} autoComplete="off" error={problem?.param === "name" ? textOf(problem) : undefined} />
        <ProofFields of={proof} problem={problem} />
        <Button type="submit" look="danger" isPending={remove.isRunning} isDisabled={typed.trim() !== name || !proof.isComplete}>{t`Delete the workspace`}</Button>
      </form>
    </Card>
  );
}
