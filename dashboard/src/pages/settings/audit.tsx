import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useData, useFeed } from "@/api/hooks";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { AuditAction, AuditFilter, AuditRowFragment } from "@/gql/graphql";
import { Dialog } from "@/ui/dialog";
import { Select } from "@/ui/fields";
import { Card, CopyId, Facts, Time } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";

export const AuditRow = graphql(`
  fragment AuditRow on AuditEntry { id actor action resourceId changes ip requestId createdAt }
`);
const AuditList = graphql(`
  query AuditList($filter: AuditFilter, $first: Int, $after: String) {
    auditLog(filter: $filter, first: $first, after: $after) {
      nodes { ...AuditRow }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
const Actors = graphql(`
  query AuditActors { members { id name email } }
`);

const ALL = "-";

function useActionNames(): Record<AuditAction, string> {
  const { t } = useLingui();
  return useMemo(
    () => ({
      WORKSPACE_CREATED: t`Workspace created`,
      WORKSPACE_UPDATED: t`Settings changed`,
      SANDBOX_UPDATED: t`Sandbox settings changed`,
      SENDER_ADDED: t`Sender added`,
      SENDER_CLAIMED: t`Sender claimed`,
      SENDER_REMOVED: t`Sender removed`,
      MEMBER_INVITED: t`Member invited`,
      INVITATION_REVOKED: t`Invitation ended`,
      MEMBER_JOINED: t`Member joined`,
      MEMBER_ROLE_CHANGED: t`Role changed`,
      MEMBER_REMOVED: t`Member removed`,
      MEMBER_LEFT: t`Member left`,
      PASSWORD_CHANGED: t`Password changed`,
      EMAIL_CONFIRMED: t`E-mail confirmed`,
      KEY_CREATED: t`Key created`,
      KEY_ROLLED: t`Key rolled`,
      KEY_REVOKED: t`Key revoked`,
      MESSAGE_REDACTED: t`Message redacted`,
      MESSAGE_DELETED: t`Message deleted`,
      CONTACT_ERASED: t`Contact erased`,
      CONTACT_JOINED: t`Contacts joined`,
      CONTACT_MERGED: t`Contacts merged`,
      BULK_ACTION_CREATED: t`Asked for an action on many contacts`,
      EXPORT_CREATED: t`Asked for an export`,
      LIST_CONNECTED: t`List connected to a service`,
      LIST_SOURCE_UPDATED: t`Source of a list changed`,
      LIST_DISCONNECTED: t`List disconnected`,
      ORDER_HOOK_CREATED: t`Order hook added`,
      ORDER_HOOK_UPDATED: t`Order hook changed`,
      ORDER_HOOK_DELETED: t`Order hook deleted`,
      CAMPAIGN_APPROVED: t`Campaign approved`,
      CAMPAIGN_REJECTED: t`Campaign rejected`,
      WEBHOOK_CREATED: t`Webhook added`,
      WEBHOOK_UPDATED: t`Webhook changed`,
      WEBHOOK_DELETED: t`Webhook deleted`,
      AUTO_TOP_UP_UPDATED: t`Automatic top-up changed`,
      WEBHOOK_SECRET_ROTATED: t`Webhook secret rotated`,
    }),
    [t],
  );
}

/** Write a field's name as words. */
const spaced = (name: string) => name.replaceAll("_", " ");

export function Audit() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { user } = useSession();
  const { action, actor, on } = useSearch({ from: "/shell/settings" });
  const names = useActionNames();
  const known = action !== undefined && action in names ? (action as AuditAction) : undefined;
  const filter: Partial<AuditFilter> = { ...(known !== undefined && { action: known }), ...(actor !== undefined && { actor }), ...(on !== undefined && { resourceId: on }) };
  const isFiltered = Object.keys(filter).length > 0;
  const feed = useFeed(AuditList, (isFiltered ? { filter } : {}) as never, ({ auditLog }) => auditLog);
  const members = useData(Actors, {}).data?.members;
  const [open, setOpen] = useState<AuditRowFragment | null>(null);
  const people = useMemo(() => new Map([[user.id, user.name || user.email], ...(members ?? []).map(({ id, name, email }) => [id, name || email] as const), ["system", t`The service itself`], ["operator", t`The operator`]]), [members, user, t]);
  const go = (next: { action?: string | undefined; actor?: string | undefined; on?: string | undefined }) =>
    void navigate({ to: "/settings", search: { tab: "audit", action: known, actor, on, ...next }, replace: true, resetScroll: false });
  const columns = useMemo<TableColumn<AuditRowFragment>[]>(
    () => [
      { id: "action", header: t`What`, cell: (row) => <span className="font-medium">{names[row.action]}</span>, text: (row) => row.action },
      { id: "actor", header: t`Who`, cell: (row) => <span className="block max-w-32 truncate sm:max-w-60">{people.get(row.actor) ?? <span className="font-mono text-xs text-muted">{row.actor}</span>}</span>, text: (row) => row.actor },
      { id: "fields", header: t`Changed`, cell: ({ changes }) => <span className="block max-w-72 truncate text-sm text-muted">{Object.keys(changes).map(spaced).join(", ")}</span>, text: ({ changes }) => Object.keys(changes).join(" "), className: "hidden lg:table-cell" },
      { id: "ip", header: t`From`, cell: ({ ip }) => <span className="font-mono text-xs text-muted">{ip}</span>, text: ({ ip }) => ip, className: "hidden xl:table-cell" },
      { id: "at", header: t`When`, cell: ({ createdAt }) => <Time at={createdAt} />, text: ({ createdAt }) => createdAt, className: "hidden sm:table-cell" },
    ],
    [t, names, people],
  );
  if (feed.problem !== null && feed.rows === undefined) return <ProblemState problem={feed.problem} onRetry={feed.retry} />;
  return (
    <>
      <div className="mb-4 flex flex-wrap items-end gap-3">
        <Select label={t`What`} className="w-full sm:w-60" choices={[{ value: ALL, label: t`Everything` }, ...Object.entries(names).map(([value, label]) => ({ value, label }))]} value={known ?? ALL} onChange={(next) => go({ action: next === ALL ? undefined : next })} />
        <Select
          label={t`Who`}
          className="w-full sm:w-60"
          choices={[{ value: ALL, label: t`Everybody` }, ...[...people].map(([value, label]) => ({ value, label })), ...(actor !== undefined && !people.has(actor) ? [{ value: actor, label: actor }] : [])]}
          value={actor ?? ALL}
          onChange={(next) => go({ actor: next === ALL ? undefined : next })}
        />
      </div>
      {feed.rows === undefined ? (
        <Loading />
      ) : feed.rows.length === 0 ? (
        isFiltered ? (
          <FilteredEmpty onClear={() => void navigate({ to: "/settings", search: { tab: "audit" } })} />
        ) : (
          <Card>
            <EmptyState icon="clock" title={t`Nothing was changed yet`}>
              <Trans>Who changes settings, members, keys or webhooks stands here for good.</Trans>
            </EmptyState>
          </Card>
        )
      ) : (
        <DataTable label={t`Audit log`} rows={feed.rows} columns={columns} rowKey={({ id }) => id} onOpen={setOpen} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="audit" />
      )}
      <Dialog isOpen={open !== null} onClose={() => setOpen(null)} title={open === null ? "" : names[open.action]} isDrawer>
        {open !== null && (
          <div className="space-y-4">
            <Facts
              items={[
                [t`Who`, people.get(open.actor) ?? open.actor],
                open.resourceId !== null && [t`Of`, <CopyId key="of" id={open.resourceId} />],
                open.ip !== null && [t`From`, open.ip],
                open.requestId !== null && [t`Request`, <CopyId key="request" id={open.requestId} />],
                [t`When`, <Time key="at" at={open.createdAt} style="full" />],
              ]}
            />
            {Object.keys(open.changes).length > 0 && (
              <pre tabIndex={0} role="region" aria-label={t`Changed`} className="overflow-auto rounded-xl border border-line bg-sunken p-4 font-mono text-sm">
                {JSON.stringify(open.changes, null, 2)}
              </pre>
            )}
          </div>
        )}
      </Dialog>
    </>
  );
}
