import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { useChange, useFeed } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { ExportListQuery, ExportStatus } from "@/gql/graphql";
import { useMayWrite } from "@/pages/contacts/shared";
import { Button, ButtonAnchor, ButtonLink } from "@/ui/button";
import { Callout, Card, Count, PageHead, Time, useNumbers } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState, useProblemText } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { Tabs } from "@/ui/tabs";
import { STATUSES } from "./routes";
import { DUE, ExportBadge, useBytes, useExportNames, useKindNames } from "./shared";

const ExportList = graphql(`
  query ExportList($status: ExportStatus, $first: Int, $after: String) {
    exports(status: $status, first: $first, after: $after) {
      nodes { id kind status fileName fileSize rowsTotal rowsDone downloadUrl error { code message } createdAt expiresAt }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const Cancel = graphql(`
  mutation PageCancelExport($id: ID!) {
    cancelExport(id: $id) {
      __typename
      ... on Export { id status fileSize }
      ... on Error { code message param }
    }
  }
`);

type Row = ExportListQuery["exports"]["nodes"][number];

const AGAIN_MS = 2000;

/** Return the address of a file on this page's own site, to which its public name leads too. */
const here = (url: string) => new URL(url).pathname;

export function ExportsPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const names = useExportNames();
  const kinds = useKindNames();
  const bytes = useBytes();
  const { whole } = useNumbers();
  const textOf = useProblemText();
  const cancel = useChange(Cancel);
  const [problem, setProblem] = useState<Problem | null>(null);
  const { status } = useSearch({ from: "/shell/exports" });
  const feed = useFeed(ExportList, (status === undefined ? {} : { status }) as never, ({ exports }) => exports);
  const isMoving = feed.rows?.some((row) => DUE.has(row.status)) ?? false;
  const { retry } = feed;
  useEffect(() => {
    if (!isMoving) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && retry(), AGAIN_MS);
    return () => clearInterval(timer);
  }, [isMoving, retry]);
  const { run } = cancel;
  const columns = useMemo<TableColumn<Row>[]>(
    () => [
      { id: "kind", header: t`What it holds`, cell: ({ kind }) => kinds[kind], text: ({ kind }) => kind },
      {
        id: "status",
        header: t`State`,
        cell: ({ status: at, error, rowsDone, rowsTotal }) => (
          <span className="flex flex-wrap items-center gap-2">
            <ExportBadge status={at} />
            {at === "RUNNING" && rowsTotal !== null && <span className="text-sm text-muted">{t`${whole(rowsDone)} of ${whole(rowsTotal)}`}</span>}
            {error !== null && <span className="text-sm text-danger">{error.message}</span>}
          </span>
        ),
        text: (row) => row.status,
        isUnder: true,
      },
      { id: "rows", header: t`Rows`, cell: ({ rowsDone }) => <Count value={rowsDone} />, text: ({ rowsDone }) => rowsDone, isNumber: true, className: "hidden md:table-cell" },
      { id: "size", header: t`Size`, cell: ({ fileSize }) => bytes(fileSize), text: ({ fileSize }) => fileSize, isNumber: true, className: "hidden lg:table-cell" },
      { id: "when", header: t`Asked for`, cell: ({ createdAt }) => <Time at={createdAt} />, text: ({ createdAt }) => createdAt, className: "hidden sm:table-cell" },
      {
        id: "file",
        header: t`File`,
        cell: ({ id, status: at, downloadUrl, fileName }) =>
          downloadUrl !== null ? (
            <ButtonAnchor href={here(downloadUrl)} aria-label={t`Download ${fileName}`}>{t`Download`}</ButtonAnchor>
          ) : mayWrite && DUE.has(at) ? (
            <Button look="quiet" onPress={async () => setProblem((await run({ id })).problem)}>{t`Cancel`}</Button>
          ) : null,
        text: ({ fileName }) => fileName,
      },
    ],
    [t, kinds, bytes, whole, mayWrite, run],
  );
  const adding = mayWrite ? <ButtonLink look="primary" icon="plus" to="/exports/new">{t`New export`}</ButtonLink> : undefined;
  const isFirst = feed.rows?.length === 0 && status === undefined;
  const tabs = [{ value: "", label: t`All` }, ...STATUSES.map((each) => ({ value: each as string, label: names[each] }))];
  return (
    <>
      <PageHead title={t`Exports`} lead={t`Files of what there is, each of one moment, kept for seven days.`} actions={isFirst ? undefined : adding} />
      {problem !== null && <div className="mb-4"><Callout tone="danger">{textOf(problem)}</Callout></div>}
      {!isFirst && <Tabs label={t`State`} tabs={tabs} value={status ?? ""} onChange={(next) => void navigate({ to: "/exports", search: next === "" ? {} : { status: next as ExportStatus } })} />}
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : isFirst ? (
        <Card>
          <EmptyState icon="exports" title={t`Export what is yours`} action={adding}>
            <Trans>Contacts, messages, the results of a campaign, suppressions, credits or events, for a spreadsheet or a program. A file of contacts can be imported as it is.</Trans>
          </EmptyState>
        </Card>
      ) : feed.rows.length === 0 ? (
        <FilteredEmpty onClear={() => void navigate({ to: "/exports", search: {} })} />
      ) : (
        <DataTable label={t`Exports`} rows={feed.rows} columns={columns} rowKey={({ id }) => id} totalCount={feed.totalCount} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading && !isMoving} fileName="exports" />
      )}
    </>
  );
}
