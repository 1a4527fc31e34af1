import { useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { Switch } from "@/ui/fields";
import { SearchField } from "@/ui/searchfield";
import { Badge, Card, Count, Credits, PageHead, Time } from "@/ui/show";
import { EmptyState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { useOpsFeed, type WorkspaceRow } from "./api";
import { List } from "./shared";

export function WorkspacesPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { q, held } = useSearch({ from: "/operators/workspaces" });
  const feed = useOpsFeed<WorkspaceRow>("/workspaces", { q, held });
  const go = (next: { q?: string | undefined; held?: "1" | undefined }) => void navigate({ to: "/operators/workspaces", search: { q, held, ...next }, replace: true, resetScroll: false });
  const columns = useMemo<TableColumn<WorkspaceRow>[]>(
    () => [
      {
        id: "name",
        header: t`Workspace`,
        cell: (row) => (
          <Link to="/operators/workspaces/$id" params={{ id: row.id }} className="block max-w-48 truncate font-medium text-text no-underline hover:underline sm:max-w-96">
            {row.name}
            <span className="block text-sm font-normal text-muted sm:hidden">
              <Credits value={row.balance} />
            </span>
          </Link>
        ),
        text: (row) => row.name,
      },
      { id: "state", header: t`State`, cell: (row) => <State of={row} />, text: (row) => row.erased_at ?? row.deletes_at ?? row.held_at },
      { id: "balance", header: t`Credits`, cell: (row) => <Count value={row.balance} />, text: (row) => row.balance, isNumber: true, className: "hidden sm:table-cell" },
      { id: "users", header: t`Members`, cell: (row) => <Count value={row.users} />, text: (row) => row.users, isNumber: true, className: "hidden sm:table-cell" },
      { id: "since", header: t`Since`, cell: (row) => <Time at={row.created_at} style="day" />, text: (row) => row.created_at, className: "hidden md:table-cell" },
      { id: "id", header: t`Id`, cell: (row) => <span className="font-mono text-xs text-muted">{row.id}</span>, text: (row) => row.id, className: "hidden lg:table-cell" },
    ],
    [t],
  );
  return (
    <>
      <PageHead title={t`Workspaces`} />
      <div className="mb-4 flex flex-wrap items-end gap-x-6 gap-y-3">
        <SearchField label={t`Name, id or a member's address`} className="w-full sm:w-96" value={q ?? ""} onChange={(next) => go({ q: next || undefined })} />
        <div className="pb-2">
          <Switch isSelected={held !== undefined} onChange={(isOn) => go({ held: isOn ? "1" : undefined })}>{t`Only held ones`}</Switch>
        </div>
      </div>
      <List
        of={feed}
        isFiltered={q !== undefined || held !== undefined}
        onClear={() => go({ q: undefined, held: undefined })}
        empty={
          <Card>
            <EmptyState icon="contacts" title={t`No workspace yet`}>{t`Somebody who signs up makes the first, or the command msvs workspace create.`}</EmptyState>
          </Card>
        }
      >
        {(rows) => (
          <DataTable label={t`Workspaces`} rows={rows} columns={columns} rowKey={(row) => row.id} onOpen={(row) => void navigate({ to: "/operators/workspaces/$id", params: { id: row.id } })} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="workspaces" />
        )}
      </List>
    </>
  );
}

/** What stops a workspace: operators hold it, an owner had it deleted, or both. */
function State({ of: { held_at: held, deletes_at: deletes, erased_at: erased } }: { of: WorkspaceRow }) {
  const { t } = useLingui();
  if (held === null && deletes === null) return <Badge tone="good">{t`Working`}</Badge>;
  return (
    <span className="flex flex-wrap gap-1">
      {held !== null && <Badge tone="danger">{t`Held`}</Badge>}
      {erased !== null ? <Badge>{t`Erased`}</Badge> : deletes !== null && <Badge tone="warn">{t`To be deleted`}</Badge>}
    </span>
  );
}
