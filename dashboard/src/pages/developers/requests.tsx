import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useData, useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import type { ApiRequestFilter, RequestRowFragment } from "@/gql/graphql";
import { Button, ButtonLink } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Select } from "@/ui/fields";
import { Badge, Card, CopyId, Facts, Time } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { METHODS } from "./names";
import { TextFilter } from "./parts";

export const RequestRow = graphql(`
  fragment RequestRow on ApiRequest { id apiKeyId requestId method path status errorCode elapsedMs createdAt }
`);
const RequestList = graphql(`
  query RequestList($filter: ApiRequestFilter, $first: Int, $after: String) {
    apiRequests(filter: $filter, first: $first, after: $after) {
      nodes { ...RequestRow }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
const KeyNames = graphql(`
  query RequestKeyNames { apiKeys { id name last4 } }
`);

const ALL = "-";
const CLIENT_ERROR = 400;
const SERVER_ERROR = 500;

export function Requests() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { key, method, outcome, path, request } = useSearch({ from: "/shell/developers" });
  const given = { key, method, outcome, path, request };
  const filter: Partial<ApiRequestFilter> = {
    ...(key !== undefined && { apiKeyId: key }),
    ...(method !== undefined && { method }),
    ...(outcome !== undefined && { failed: outcome === "failed" }),
    ...(path !== undefined && { path }),
    ...(request !== undefined && { requestId: request }),
  };
  const isFiltered = Object.keys(filter).length > 0;
  const feed = useFeed(RequestList, (isFiltered ? { filter } : {}) as never, ({ apiRequests }) => apiRequests);
  const keys = useData(KeyNames, {}).data?.apiKeys;
  const [open, setOpen] = useState<RequestRowFragment | null>(null);
  const names = useMemo(() => new Map((keys ?? []).map(({ id, name, last4 }) => [id, name || `…${last4}`])), [keys]);
  const go = (next: Partial<typeof given>) => void navigate({ to: "/developers", search: { tab: "requests", ...given, ...next }, replace: true, resetScroll: false });
  const clear = () => void navigate({ to: "/developers", search: { tab: "requests" } });
  const columns = useMemo<TableColumn<RequestRowFragment>[]>(
    () => [
      {
        id: "request",
        header: t`Request`,
        cell: (row) => (
          <span className="block max-w-44 truncate font-mono text-sm sm:max-w-96">
            <span className="font-semibold">{row.method}</span> {row.path}
          </span>
        ),
        text: (row) => `${row.method} ${row.path}`,
      },
      { id: "status", header: t`Answer`, cell: ({ status }) => <AnswerBadge status={status} />, text: ({ status }) => status },
      { id: "code", header: t`Error`, cell: ({ errorCode }) => <span className="font-mono text-xs text-muted">{errorCode}</span>, text: ({ errorCode }) => errorCode, className: "hidden lg:table-cell" },
      { id: "key", header: t`Key`, cell: ({ apiKeyId }) => <span className="block max-w-40 truncate text-sm text-muted">{names.get(apiKeyId) ?? apiKeyId}</span>, text: ({ apiKeyId }) => apiKeyId, className: "hidden md:table-cell" },
      { id: "time", header: t`Took`, cell: ({ elapsedMs }) => <span className="whitespace-nowrap">{elapsedMs} ms</span>, text: ({ elapsedMs }) => elapsedMs, isNumber: true, className: "hidden sm:table-cell" },
      { id: "at", header: t`When`, cell: ({ createdAt }) => <Time at={createdAt} />, text: ({ createdAt }) => createdAt, className: "hidden sm:table-cell" },
    ],
    [t, names],
  );
  if (feed.problem !== null && feed.rows === undefined && feed.problem.kind === "permission") return <ProblemState problem={feed.problem} onRetry={feed.retry} />;
  const outcomes = [
    { value: ALL, label: t`All answers` },
    { value: "failed", label: t`Refused or failed` },
    { value: "done", label: t({ message: "Done", context: "requests" }) },
  ];
  return (
    <>
      <div className="mb-4 grid grid-cols-2 items-end gap-3 sm:flex sm:flex-wrap">
        <Select label={t`Answer`} className="w-full sm:w-44" choices={outcomes} value={outcome ?? ALL} onChange={(next) => go({ outcome: next === ALL ? undefined : (next as "failed") })} />
        <Select
          label={t`Method`}
          className="w-full sm:w-36"
          choices={[{ value: ALL, label: t({ message: "All", context: "events" }) }, ...METHODS.map((each) => ({ value: each as string, label: each as string }))]}
          value={method ?? ALL}
          onChange={(next) => go({ method: next === ALL ? undefined : (next as "GET") })}
        />
        <Select
          label={t`Key`}
          className="col-span-2 w-full sm:w-52"
          choices={[{ value: ALL, label: t`All keys` }, ...[...names].map(([value, label]) => ({ value, label })), ...(key !== undefined && !names.has(key) ? [{ value: key, label: key }] : [])]}
          value={key ?? ALL}
          onChange={(next) => go({ key: next === ALL ? undefined : next })}
        />
        <TextFilter label={t`Path begins with`} placeholder="/v1/messages" value={path} onChange={(next) => go({ path: next })} />
        <TextFilter label={t`Request id`} placeholder="req_…" value={request} onChange={(next) => go({ request: next })} />
        <Button look="quiet" icon="refresh" onPress={feed.retry}>{t`Read again`}</Button>
      </div>
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : feed.rows.length === 0 ? (
        isFiltered ? (
          <FilteredEmpty onClear={clear} />
        ) : (
          <Card>
            <EmptyState icon="developers" title={t`No requests yet`} action={<ButtonLink look="primary" to="/developers" search={{ tab: "samples" }}>{t`Code samples`}</ButtonLink>}>
              <Trans>What your keys ask for shows here, without its content.</Trans>
            </EmptyState>
          </Card>
        )
      ) : (
        <DataTable label={t`Requests`} rows={feed.rows} columns={columns} rowKey={({ id }) => id} onOpen={setOpen} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="requests" />
      )}
      <Dialog isOpen={open !== null} onClose={() => setOpen(null)} title={t`Request`} isDrawer>
        {open !== null && (
          <Facts
            items={[
              [t`Request`, <span key="path" className="font-mono text-sm break-all">{`${open.method} ${open.path}`}</span>],
              [t`Answer`, <AnswerBadge key="status" status={open.status} />],
              open.errorCode !== null && [
                t`Error`,
                <span key="code" className="font-mono text-sm">
                  {open.errorCode}
                </span>,
              ],
              [t`Key`, names.get(open.apiKeyId) ?? open.apiKeyId],
              [t`Request id`, <CopyId key="id" id={open.requestId} />],
              [t`Took`, `${open.elapsedMs} ms`],
              [t`When`, <Time key="at" at={open.createdAt} style="full" />],
            ]}
          />
        )}
      </Dialog>
    </>
  );
}

function AnswerBadge({ status }: { status: number }) {
  return <Badge tone={status >= SERVER_ERROR ? "danger" : status >= CLIENT_ERROR ? "warn" : "good"}>{status}</Badge>;
}
