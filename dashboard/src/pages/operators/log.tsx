import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { Select } from "@/ui/fields";
import { SearchField } from "@/ui/searchfield";
import { Badge, Card, PageHead, Time } from "@/ui/show";
import { EmptyState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { useOpsFeed, type Entry } from "./api";
import { ACTIONS } from "./names";
import { List } from "./shared";

const ALL = "-";
type Action = (typeof ACTIONS)[number];

export function LogPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { operator, action } = useSearch({ from: "/operators/log" });
  const feed = useOpsFeed<Entry>("/entries", { operator, action });
  const go = (next: { operator?: string | undefined; action?: Action | undefined }) => void navigate({ to: "/operators/log", search: { operator, action, ...next }, replace: true, resetScroll: false });
  const names: Record<string, string> = useMemo(
    () => ({
      credits_granted: t`Granted credits`, workspace_held: t`Held a workspace`, workspace_released: t`Released a workspace`, route_added: t`Added a route`, route_removed: t`Removed a route`,
      job_requeued: t`Ran a job again`, changed: t`Changed something on RQ's page`, signed_in: t`Signed in`, sign_in_refused: t`Sign-in refused`, signed_out: t`Signed out`,
      added: t`Was added`, reset: t`Was reset`, disabled: t`Was disabled`,
    }),
    [t],
  );
  const columns = useMemo<TableColumn<Entry>[]>(
    () => [
      { id: "act", header: t`What`, cell: (entry) => (
          <>
            <Badge tone={entry.action === "sign_in_refused" ? "warn" : "neutral"}>{names[entry.action] ?? entry.action}</Badge>
            <span className="mt-1 block max-w-60 text-sm wrap-anywhere text-muted md:hidden">{entry.detail}</span>
          </>
        ), text: (entry) => entry.action },
      { id: "operator", header: t`Who`, cell: (entry) => (
          <>
            <span className="block max-w-28 truncate sm:max-w-40">{entry.operator}</span>
            <span className="text-sm text-muted sm:hidden">
              <Time at={entry.at} />
            </span>
          </>
        ), text: (entry) => entry.operator },
      { id: "detail", header: t`Of what, and why`, cell: (entry) => <span className="block max-w-[36rem] text-sm break-words text-muted">{entry.detail}</span>, text: (entry) => entry.detail, className: "hidden md:table-cell" },
      { id: "network", header: t`From`, cell: (entry) => <span className="text-sm text-muted">{entry.network}</span>, text: (entry) => entry.network, className: "hidden lg:table-cell" },
      { id: "device", header: t`Browser`, cell: (entry) => <span className="block max-w-60 truncate text-sm text-muted">{entry.device}</span>, text: (entry) => entry.device, isExtra: true },
      { id: "at", header: t`When`, cell: (entry) => <Time at={entry.at} />, text: (entry) => entry.at, className: "hidden sm:table-cell" },
    ],
    [t, names],
  );
  return (
    <>
      <PageHead title={t`Log`} lead={<Trans>What operators did. Nobody can change or delete it.</Trans>} />
      <div className="mb-4 flex flex-wrap items-end gap-3">
        <Select label={t`What`} className="w-full sm:w-60" choices={[{ value: ALL, label: t`Everything` }, ...ACTIONS.map((each) => ({ value: each as string, label: names[each]! }))]} value={action ?? ALL} onChange={(next) => go({ action: next === ALL ? undefined : (next as Action) })} />
        <SearchField label={t`Operator`} className="w-full sm:w-60" hint={t`The whole name.`} value={operator ?? ""} onChange={(next) => go({ operator: next || undefined })} />
      </div>
      <List
        of={feed}
        isFiltered={operator !== undefined || action !== undefined}
        onClear={() => go({ operator: undefined, action: undefined })}
        empty={
          <Card>
            <EmptyState icon="lists" title={t`Nothing yet`}>{t`Sign-ins and acts of operators show here.`}</EmptyState>
          </Card>
        }
      >
        {(rows) => <DataTable label={t`Log`} rows={rows} columns={columns} rowKey={(entry) => entry.id} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="operators-log" />}
      </List>
    </>
  );
}
