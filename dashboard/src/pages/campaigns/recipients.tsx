import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import type { MessageStatus, RecipientRowFragment } from "@/gql/graphql";
import { MessageBadge, useStatusNames } from "@/status";
import { FailureText } from "@/ui/failures";
import { Select } from "@/ui/fields";
import { Card, Count, Time } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { MESSAGE_STATUSES } from "./routes";

export const RecipientRow = graphql(`
  fragment RecipientRow on Message {
    id
    to
    body
    status
    segments
    creditsUsed
    createdAt
    sentAt
    deliveredAt
    repliedAt
    error { code message }
    contact { id firstName lastName }
    lastReply @include(if: $replies) { id body receivedAt }
  }
`);
const RecipientList = graphql(`
  query RecipientList($filter: MessageFilter, $replies: Boolean! = false, $first: Int, $after: String) {
    messages(filter: $filter, first: $first, after: $after) {
      nodes { ...RecipientRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);

const ALL = "-";

const timeOf = (row: RecipientRowFragment) => row.lastReply?.receivedAt ?? row.repliedAt ?? row.deliveredAt ?? row.sentAt ?? row.createdAt;

/** The messages of a campaign, those that were skipped among them; or those that were answered alone. */
export function Recipients({ id, status, isFixed = false }: { id: string; status: MessageStatus | undefined; isFixed?: boolean }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const names = useStatusNames().messages;
  const filter = status === undefined ? { campaignId: id, includeSkipped: true } : { campaignId: id, status };
  const feed = useFeed(RecipientList, { filter, ...(isFixed && { replies: true }) } as never, ({ messages }) => messages);
  const choose = (next: string) =>
    void navigate({ to: "/campaigns/$id", params: { id }, search: { tab: "recipients", ...(next === ALL ? {} : { status: next as MessageStatus }) }, resetScroll: false });
  // What somebody replied is read in their thread; what became of a message, in the log.
  const open = ({ id: message, contact }: RecipientRowFragment) =>
    void (isFixed && contact != null ? navigate({ to: "/inbox", search: { id: contact.id } }) : navigate({ to: "/messages", search: { id: message } }));
  const columns = useMemo<TableColumn<RecipientRowFragment>[]>(
    () => [
      {
        id: "to",
        header: t`Recipient`,
        cell: ({ to, contact }) => (
          <span>
            <span className="block font-medium tabular">{to}</span>
            <span className="text-sm text-muted">{[contact?.firstName, contact?.lastName].filter(Boolean).join(" ")}</span>
          </span>
        ),
        text: ({ to }) => to,
      },
      ...(isFixed
        ? [{ id: "reply", header: t`Reply`, cell: ({ lastReply }: RecipientRowFragment) => <span className="line-clamp-3 max-w-prose break-words whitespace-pre-wrap">{lastReply?.body}</span>, text: ({ lastReply }: RecipientRowFragment) => lastReply?.body }]
        : [
            { id: "status", header: t`State`, cell: (row: RecipientRowFragment) => <MessageBadge status={row.status} />, text: (row: RecipientRowFragment) => row.status, isUnder: true },
            { id: "error", header: t`Why`, cell: ({ error }: RecipientRowFragment) => (error == null ? null : <span className="text-sm text-muted"><FailureText of={error} /></span>), text: ({ error }: RecipientRowFragment) => error?.code, className: "hidden md:table-cell" },
          ]),
      { id: "body", header: isFixed ? t`Answered text` : t`Text`, cell: ({ body }) => <span className="block max-w-80 truncate text-sm text-muted">{body}</span>, text: ({ body }) => body, className: "hidden lg:table-cell" },
      { id: "segments", header: t`Segments`, cell: ({ segments }) => <Count value={segments} />, text: ({ segments }) => segments, isNumber: true, isExtra: true },
      { id: "at", header: t`When`, cell: (row) => <Time at={timeOf(row)} />, text: timeOf, className: "hidden sm:table-cell" },
    ],
    [t, isFixed],
  );
  const empty = isFixed ? (
    <Card>
      <EmptyState icon="inbox" title={t`Nobody has replied yet`}>
        <Trans>Replies show here as they arrive.</Trans>
      </EmptyState>
    </Card>
  ) : status !== undefined ? (
    <FilteredEmpty onClear={() => choose(ALL)} />
  ) : (
    <Card>
      <EmptyState icon="contacts" title={t`No recipients yet`}>
        <Trans>They show here once the campaign begins.</Trans>
      </EmptyState>
    </Card>
  );
  const chooser = (
    <Select
      label={t`State`}
      hideLabel
      className="w-44"
      choices={[{ value: ALL, label: t`All states` }, ...MESSAGE_STATUSES.map((each) => ({ value: each as string, label: names[each] }))]}
      value={status ?? ALL}
      onChange={choose}
    />
  );
  if (feed.problem !== null && feed.rows === undefined) return <ProblemState problem={feed.problem} onRetry={feed.retry} />;
  if (feed.rows === undefined) return <Loading />;
  if (feed.rows.length === 0)
    return (
      <>
        {!isFixed && <div className="mb-3 flex justify-end">{chooser}</div>}
        {empty}
      </>
    );
  return (
    <DataTable
      label={t`Recipients`}
      rows={feed.rows}
      columns={columns}
      rowKey={({ id: key }) => key}
      onOpen={open}
      totalCount={feed.totalCount}
      hasMore={feed.hasMore}
      onMore={feed.loadMore}
      isLoading={feed.isLoading}
      fileName={`recipients-${id}`}
      tools={isFixed ? undefined : chooser}
    />
  );
}
