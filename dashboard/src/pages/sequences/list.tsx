import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import type { SequenceRowFragment, SequenceStatus } from "@/gql/graphql";
import { ButtonLink } from "@/ui/button";
import { Badge, Card, Count, PageHead, Time } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { Tabs } from "@/ui/tabs";
import { STATUSES } from "./routes";
import { SequenceBadge, useMayWrite, useNames } from "./shared";

export const SequenceRow = graphql(`
  fragment SequenceRow on Sequence {
    id
    name
    status
    hasChanges
    createdAt
    publishedAt
    steps { key }
    stats { entered inside completed left }
  }
`);
const SequenceFeed = graphql(`
  query SequenceRows($status: SequenceStatus, $first: Int, $after: String) {
    sequences(status: $status, first: $first, after: $after) {
      nodes { ...SequenceRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);

export function SequencesPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const { status } = useSearch({ from: "/shell/sequences" });
  const names = useNames().statuses;
  const feed = useFeed(SequenceFeed, (status === undefined ? {} : { status }) as never, ({ sequences }) => sequences);
  const tabs = [{ value: "", label: t`All` }, ...STATUSES.map((each) => ({ value: each as string, label: names[each] }))];
  const adding = mayWrite ? <ButtonLink look="primary" icon="plus" to="/sequences/new">{t`New sequence`}</ButtonLink> : undefined;
  const isFirst = feed.rows?.length === 0 && status === undefined;
  return (
    <>
      <PageHead title={t`Sequences`} lead={t`Several messages to each person, one after the other, counted from when they enter.`} actions={isFirst ? undefined : adding} />
      <Tabs label={t`State`} tabs={tabs} value={status ?? ""} onChange={(next) => void navigate({ to: "/sequences", search: next === "" ? {} : { status: next as SequenceStatus }, resetScroll: false })} />
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : isFirst ? (
        <Card>
          <EmptyState icon="sequence" title={t`Write a welcome that sends itself`} action={adding}>
            <Trans>Begin with a template: a welcome, a five-day challenge, or the reminders of a webinar. In the sandbox it reaches the handset and costs nothing.</Trans>
          </EmptyState>
        </Card>
      ) : feed.rows.length === 0 ? (
        <FilteredEmpty onClear={() => void navigate({ to: "/sequences", search: {} })} />
      ) : (
        <SequenceTable feed={feed} />
      )}
    </>
  );
}

function SequenceTable({ feed }: { feed: ReturnType<typeof useFeed<unknown, object, SequenceRowFragment>> }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const columns = useMemo<TableColumn<SequenceRowFragment>[]>(
    () => [
      {
        id: "name",
        header: t`Name`,
        cell: ({ id, name }) => (
          <Link to="/sequences/$id" params={{ id }} className="block max-w-40 truncate font-medium text-text no-underline hover:underline sm:max-w-80" title={name}>
            {name}
          </Link>
        ),
        text: ({ name }) => name,
      },
      {
        id: "status",
        header: t`State`,
        cell: ({ status, hasChanges }) => (
          <span className="flex flex-wrap gap-1.5">
            <SequenceBadge status={status} />
            {hasChanges && <Badge tone="info">{t`Changed`}</Badge>}
          </span>
        ),
        text: ({ status }) => status,
        isUnder: true,
      },
      { id: "steps", header: t`Steps`, cell: ({ steps }) => <Count value={steps.length} />, text: ({ steps }) => steps.length, isNumber: true, className: "hidden md:table-cell" },
      { id: "inside", header: t`Inside`, cell: ({ stats }) => <Count value={stats.inside} />, text: ({ stats }) => stats.inside, isNumber: true },
      { id: "entered", header: t`Entered`, cell: ({ stats }) => <Count value={stats.entered} />, text: ({ stats }) => stats.entered, isNumber: true, className: "hidden sm:table-cell" },
      { id: "completed", header: t`Finished`, cell: ({ stats }) => <Count value={stats.completed} />, text: ({ stats }) => stats.completed, isNumber: true, className: "hidden md:table-cell" },
      { id: "left", header: t`Left`, cell: ({ stats }) => <Count value={stats.left} />, text: ({ stats }) => stats.left, isNumber: true, className: "hidden md:table-cell" },
      { id: "when", header: t`Made`, cell: ({ createdAt }) => <Time at={createdAt} style="day" />, text: ({ createdAt }) => createdAt, className: "hidden lg:table-cell" },
    ],
    [t],
  );
  return (
    <DataTable
      label={t`Sequences`}
      rows={feed.rows!}
      columns={columns}
      rowKey={({ id }) => id}
      onOpen={({ id }) => void navigate({ to: "/sequences/$id", params: { id } })}
      totalCount={feed.totalCount}
      hasMore={feed.hasMore}
      onMore={feed.loadMore}
      isLoading={feed.isLoading}
      fileName="sequences"
    />
  );
}
