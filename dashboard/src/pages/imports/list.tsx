import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo } from "react";
import { useFeed } from "@/api/hooks";
import { useMayWrite } from "@/pages/contacts/shared";
import { graphql } from "@/gql";
import type { ImportListQuery, ImportStatus } from "@/gql/graphql";
import { ButtonLink } from "@/ui/button";
import { Card, Count, PageHead, Time } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { Tabs } from "@/ui/tabs";
import { DUE, ImportBadge, useImportNames } from "./shared";

const ImportList = graphql(`
  query ImportList($status: ImportStatus, $first: Int, $after: String) {
    contactImports(status: $status, first: $first, after: $after) {
      nodes { id status fileName counts { rows created updated unchanged duplicate suppressed invalid remaining } createdAt endedAt }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);

type Row = ImportListQuery["contactImports"]["nodes"][number];

const SHOWN = ["CHECKED", "RUNNING", "COMPLETED", "CANCELED", "FAILED"] as const;
const AGAIN_MS = 3000;

export function ImportsPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const names = useImportNames();
  const { status } = useSearch({ from: "/shell/imports" });
  const feed = useFeed(ImportList, (status === undefined ? {} : { status }) as never, ({ contactImports }) => contactImports);
  const isMoving = feed.rows?.some((row) => DUE.has(row.status)) ?? false;
  const { retry } = feed;
  useEffect(() => {
    if (!isMoving) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && retry(), AGAIN_MS);
    return () => clearInterval(timer);
  }, [isMoving, retry]);
  const columns = useMemo<TableColumn<Row>[]>(
    () => [
      {
        id: "file",
        header: t`File`,
        cell: ({ id, fileName }) => (
          <Link to="/imports/$id" params={{ id }} className="block max-w-40 min-w-28 truncate font-medium text-text no-underline hover:underline sm:max-w-72">
            {fileName}
          </Link>
        ),
        text: ({ fileName }) => fileName,
      },
      { id: "status", header: t`State`, cell: (row) => <ImportBadge status={row.status} />, text: (row) => row.status },
      { id: "rows", header: t`Rows`, cell: ({ counts }) => <Count value={counts.rows} />, text: ({ counts }) => counts.rows, isNumber: true, className: "hidden sm:table-cell" },
      { id: "created", header: t({ message: "Created", context: "counted" }), cell: ({ counts }) => <Count value={counts.created} />, text: ({ counts }) => counts.created, isNumber: true, className: "hidden md:table-cell" },
      { id: "updated", header: t`Updated`, cell: ({ counts }) => <Count value={counts.updated} />, text: ({ counts }) => counts.updated, isNumber: true, className: "hidden md:table-cell" },
      { id: "invalid", header: t`Invalid`, cell: ({ counts }) => <Count value={counts.invalid} />, text: ({ counts }) => counts.invalid, isNumber: true, className: "hidden lg:table-cell" },
      { id: "unchanged", header: t`Unchanged`, cell: ({ counts }) => <Count value={counts.unchanged} />, text: ({ counts }) => counts.unchanged, isNumber: true, isExtra: true },
      { id: "duplicate", header: t`Duplicates`, cell: ({ counts }) => <Count value={counts.duplicate} />, text: ({ counts }) => counts.duplicate, isNumber: true, isExtra: true },
      { id: "suppressed", header: t({ message: "Opted out", context: "counted" }), cell: ({ counts }) => <Count value={counts.suppressed} />, text: ({ counts }) => counts.suppressed, isNumber: true, isExtra: true },
      { id: "when", header: t`Begun`, cell: ({ createdAt }) => <Time at={createdAt} />, text: ({ createdAt }) => createdAt, className: "hidden sm:table-cell" },
    ],
    [t],
  );
  const adding = mayWrite ? <ButtonLink look="primary" icon="plus" to="/imports/new">{t`Import a file`}</ButtonLink> : undefined;
  const isFirst = feed.rows?.length === 0 && status === undefined;
  const tabs = [{ value: "", label: t`All` }, ...SHOWN.map((each) => ({ value: each as string, label: names[each] }))];
  if (status !== undefined && !(SHOWN as readonly string[]).includes(status)) tabs.push({ value: status, label: names[status as ImportStatus] });
  return (
    <>
      <PageHead title={t`Imports`} lead={t`Contacts from files, by the million. You see what would come of a file before anything changes.`} actions={isFirst ? undefined : adding} />
      {!isFirst && <Tabs label={t`State`} tabs={tabs} value={status ?? ""} onChange={(next) => void navigate({ to: "/imports", search: next === "" ? {} : { status: next as ImportStatus } })} />}
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : isFirst ? (
        <Card>
          <EmptyState icon="imports" title={t`Import your first file`} action={adding}>
            <Trans>The exports of Kajabi, Kit, HubSpot, Mailchimp and many others map themselves. Nothing changes until you say so, and what an import made can be undone for seven days.</Trans>
          </EmptyState>
        </Card>
      ) : feed.rows.length === 0 ? (
        <FilteredEmpty onClear={() => void navigate({ to: "/imports", search: {} })} />
      ) : (
        <DataTable
          label={t`Imports`}
          rows={feed.rows}
          columns={columns}
          rowKey={({ id }) => id}
          onOpen={({ id }) => void navigate({ to: "/imports/$id", params: { id } })}
          totalCount={feed.totalCount}
          hasMore={feed.hasMore}
          onMore={feed.loadMore}
          isLoading={feed.isLoading && !isMoving}
          fileName="imports"
        />
      )}
    </>
  );
}
