import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useMemo, useState } from "react";
import { useChange, useData } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { InvitationRowFragment, MemberRowFragment, Role } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Checkbox, Field, Select } from "@/ui/fields";
import { Callout, CopyId, Time } from "@/ui/show";
import { States, useProblemText, useRoleName } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { useIsAdmin, useTell } from "@/ui/tell";
import { SecondFactorDemand } from "./demand";

export const MemberRow = graphql(`
  fragment MemberRow on Member { id email name role createdAt }
`);
export const InvitationRow = graphql(`
  fragment InvitationRow on Invitation { id email role createdAt expiresAt revokedAt }
`);
const MembersData = graphql(`
  query MembersPage { members { ...MemberRow } invitations { ...InvitationRow } }
`);
const Holdings = graphql(`
  query MembersHoldings($id: ID!) {
    memberHoldings(id: $id) {
      apiKeys { id name last4 livemode }
      webhooks { id url livemode }
      invitations { id email }
      syncedLists { id name livemode }
    }
  }
`);
const Invite = graphql(`
  mutation MembersInvite($email: String!, $role: Role!) {
    inviteMember(email: $email, role: $role) {
      __typename
      ... on InvitationWithToken { token invitation { ...InvitationRow } }
      ... on Error { code message param }
    }
  }
`);
const Resend = graphql(`
  mutation MembersResend($id: ID!) {
    resendInvitation(id: $id) {
      __typename
      ... on Invitation { ...InvitationRow }
      ... on Error { code message }
    }
  }
`);
const Revoke = graphql(`
  mutation MembersRevoke($id: ID!) {
    revokeInvitation(id: $id) {
      __typename
      ... on Invitation { ...InvitationRow }
      ... on Error { code message }
    }
  }
`);
const ChangeRole = graphql(`
  mutation MembersRole($id: ID!, $role: Role!) {
    changeMemberRole(id: $id, role: $role) {
      __typename
      ... on Member { ...MemberRow }
      ... on Error { code message }
    }
  }
`);
const Remove = graphql(`
  mutation MembersRemove($id: ID!, $endHoldings: Boolean!) {
    removeMember(id: $id, endHoldings: $endHoldings) {
      __typename
      ... on Deleted { deletedId }
      ... on Error { code message }
    }
  }
`);

/** The roles that the reader may give. */
function useRoleChoices() {
  const { t } = useLingui();
  const roleName = useRoleName();
  const isOwner = useSession().membership?.role === "OWNER";
  const hints: Record<Role, string> = {
    OWNER: t`Everything, other owners included`,
    ADMIN: t`Everything but owners`,
    MEMBER: t`Sends, and changes contacts and campaigns`,
    READ_ONLY: t`Looks`,
  };
  const given: readonly Role[] = isOwner ? ["OWNER", "ADMIN", "MEMBER", "READ_ONLY"] : ["ADMIN", "MEMBER", "READ_ONLY"];
  return given.map((value) => ({ value, label: roleName(value), hint: hints[value] }));
}

export function Members() {
  const { t } = useLingui();
  const isAdmin = useIsAdmin();
  const reading = useData(MembersData, {});
  const [isInviting, setInviting] = useState(false);
  const [removed, setRemoved] = useState<MemberRowFragment | null>(null);
  return (
    <States of={reading}>
      {({ members, invitations }) => (
        <div className="space-y-8">
          <section>
            <div className="mb-3 flex flex-wrap items-center justify-between gap-3">
              <h2 className="text-lg font-semibold">{t`Members`}</h2>
              {isAdmin && <Button look="primary" icon="plus" onPress={() => setInviting(true)}>{t`Invite`}</Button>}
            </div>
            <SecondFactorDemand />
            <MemberTable members={members} onRemove={setRemoved} />
          </section>
          <section>
            <h2 className="mb-3 text-lg font-semibold">{t`Invitations`}</h2>
            {invitations.filter(({ revokedAt }) => revokedAt == null).length === 0 ? (
              <p className="text-muted">{t`None is open.`}</p>
            ) : (
              <InvitationTable invitations={invitations.filter(({ revokedAt }) => revokedAt == null)} isAdmin={isAdmin} />
            )}
          </section>
          {isInviting && <InviteDialog onClose={() => setInviting(false)} />}
          {removed !== null && <RemoveDialog member={removed} onClose={() => setRemoved(null)} />}
        </div>
      )}
    </States>
  );
}

function MemberTable({ members, onRemove }: { members: readonly MemberRowFragment[]; onRemove: (member: MemberRowFragment) => void }) {
  const { t } = useLingui();
  const { user, membership } = useSession();
  const roleName = useRoleName();
  const tell = useTell();
  const change = useChange(ChangeRole);
  const choices = useRoleChoices();
  const isAdmin = useIsAdmin();
  const isOwner = membership?.role === "OWNER";
  const mayChange = (row: MemberRowFragment) => isAdmin && row.id !== user.id && (isOwner || row.role !== "OWNER");
  const columns: TableColumn<MemberRowFragment>[] = [
    {
      id: "name",
      header: t`Name`,
      cell: ({ id, name, email }) => (
        <span className="block max-w-36 min-w-28 sm:max-w-72">
          <span className="block truncate font-medium">
            {name || email} {id === user.id && <span className="font-normal text-muted">{t`(you)`}</span>}
          </span>
          <span className="block truncate text-sm text-muted">{email}</span>
        </span>
      ),
      text: ({ email }) => email,
    },
    {
      id: "role",
      header: t`Role`,
      cell: (row) => {
        const who = row.name || row.email;
        return mayChange(row) ? (
          <Select label={t`Role of ${who}`} hideLabel className="w-36" choices={choices} value={row.role} onChange={async (role) => tell((await change.run({ id: row.id, role })).problem, t`The role is changed.`)} />
        ) : (
          roleName(row.role)
        );
      },
      text: ({ role }) => role,
      isUnder: true,
    },
    { id: "since", header: t`Since`, cell: ({ createdAt }) => <Time at={createdAt} style="day" />, text: ({ createdAt }) => createdAt, className: "hidden md:table-cell" },
    {
      id: "actions",
      header: t`Actions`,
      cell: (row) => (mayChange(row) ? <Button size="small" look="danger" aria-label={t`Remove ${row.name || row.email}`} onPress={() => onRemove(row)}>{t`Remove`}</Button> : null),
    },
  ];
  return <DataTable label={t`Members`} rows={members} columns={columns} rowKey={({ id }) => id} />;
}

function InvitationTable({ invitations, isAdmin }: { invitations: readonly InvitationRowFragment[]; isAdmin: boolean }) {
  const { t } = useLingui();
  const roleName = useRoleName();
  const tell = useTell();
  const { run: resend } = useChange(Resend);
  const { run: revoke } = useChange(Revoke);
  const columns = useMemo<TableColumn<InvitationRowFragment>[]>(
    () => [
      { id: "email", header: t`E-mail`, cell: ({ email }) => <span className="block max-w-36 truncate font-medium sm:max-w-72">{email}</span>, text: ({ email }) => email },
      { id: "role", header: t`Role`, cell: ({ role }) => roleName(role), text: ({ role }) => role, className: "hidden sm:table-cell" },
      { id: "until", header: t`Open until`, cell: ({ expiresAt }) => <Time at={expiresAt} />, text: ({ expiresAt }) => expiresAt, className: "hidden md:table-cell" },
      {
        id: "actions",
        header: t`Actions`,
        cell: ({ id, email }) =>
          isAdmin ? (
            <span className="flex flex-wrap gap-1.5">
              <Button size="small" aria-label={t`Send again to ${email}`} onPress={async () => tell((await resend({ id })).problem, t`It is sent again.`)}>{t`Send again`}</Button>
              <Button size="small" look="danger" aria-label={t`End the invitation of ${email}`} onPress={async () => tell((await revoke({ id })).problem, t`The invitation is ended.`)}>{t`End`}</Button>
            </span>
          ) : null,
      },
    ],
    [t, roleName, isAdmin, resend, revoke, tell],
  );
  return <DataTable label={t`Invitations`} rows={invitations} columns={columns} rowKey={({ id }) => id} />;
}

function InviteDialog({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const invite = useChange(Invite);
  const choices = useRoleChoices();
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("MEMBER");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [link, setLink] = useState<string | null>(null);
  const isOfEmail = problem?.param?.split(".").pop() === "email";
  if (link !== null)
    return (
      <Dialog isOpen onClose={onClose} title={t`The invitation is made`} isAlert actions={<Button look="primary" onPress={onClose}>{t`Done`}</Button>}>
        <div className="space-y-4">
          <p>
            <Trans>It goes to {email} by e-mail where this service sends mail. You can also pass this address on; it is shown this once.</Trans>
          </p>
          <div className="rounded-xl border border-line bg-sunken p-3">
            <CopyId id={link} />
          </div>
        </div>
      </Dialog>
    );
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Invite somebody`}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button
            look="primary"
            isPending={invite.isRunning}
            isDisabled={email.trim() === ""}
            onPress={async () => {
              const { done, problem: found } = await invite.run({ email: email.trim(), role });
              setProblem(found);
              if (done !== null) setLink(`${location.origin}/dashboard/invitation#${done.token}`);
            }}
          >{t`Invite`}</Button>
        </>
      }
    >
      <div className="space-y-5">
        {problem !== null && !isOfEmail && <Callout tone="danger">{textOf(problem)}</Callout>}
        <Field label={t`E-mail`} type="email" value={email} onChange={setEmail} autoFocus error={isOfEmail ? problem?.message : undefined} />
        <Select label={t`Role`} choices={choices} value={role} onChange={setRole} />
      </div>
    </Dialog>
  );
}

function RemoveDialog({ member, onClose }: { member: MemberRowFragment; onClose: () => void }) {
  const { t } = useLingui();
  const tell = useTell();
  const remove = useChange(Remove);
  const reading = useData(Holdings, { id: member.id });
  const [isEnding, setEnding] = useState(true);
  const who = member.name || member.email;
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Remove ${who}?`}
      isAlert
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button
            look="danger"
            isPending={remove.isRunning}
            isDisabled={reading.data === undefined}
            onPress={async () => {
              if (tell((await remove.run({ id: member.id, endHoldings: isEnding })).problem, t`Removed.`)) onClose();
            }}
          >{t`Remove`}</Button>
        </>
      }
    >
      <States of={reading}>
        {({ memberHoldings: { apiKeys, webhooks, invitations, syncedLists } }) => (
          <div className="space-y-4">
            <p>
              <Trans>They are logged out of this workspace at once.</Trans>
            </p>
            {apiKeys.length + webhooks.length + invitations.length + syncedLists.length > 0 && (
              <>
                <p>
                  <Trans>What they made still works:</Trans>
                </p>
                <ul className="list-disc space-y-1 pl-5 text-sm">
                  {apiKeys.map(({ id, name, last4, livemode }) => (
                    <li key={id}>
                      {livemode ? t`Live key` : t`Sandbox key`} {name || `…${last4}`}
                    </li>
                  ))}
                  {webhooks.map(({ id, url }) => (
                    <li key={id} className="break-all">
                      {t`Webhook`} {url}
                    </li>
                  ))}
                  {syncedLists.map(({ id, name }) => (
                    <li key={id}>
                      {t`Synced list`} {name}
                    </li>
                  ))}
                  {invitations.length > 0 && (
                    <li>
                      <Plural value={invitations.length} one="# invitation" other="# invitations" />
                    </li>
                  )}
                </ul>
                <Checkbox isSelected={isEnding} onChange={setEnding} hint={t`Leave it out only where something still needs them.`}>{t`End their keys and webhooks, and pause their synced lists`}</Checkbox>
              </>
            )}
          </div>
        )}
      </States>
    </Dialog>
  );
}
