import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useRef, useState } from "react";
import { useChange, useData, useFeed, useLive } from "@/api/hooks";
import { graphql } from "@/gql";
import type { EventRowFragment, EventType } from "@/gql/graphql";
import { Button, ButtonLink } from "@/ui/button";
import { CopyButton } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import { Select, Switch } from "@/ui/fields";
import { Card, CopyId, Facts, Time } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState, States } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { useIsAdmin, useTell } from "@/ui/tell";
import { EVENT_TYPES, eventName } from "./names";
import { Code } from "./parts";

export const EventRow = graphql(`
  fragment EventRow on Event { id type data createdAt }
`);
const EventList = graphql(`
  query EventList($type: EventType, $first: Int, $after: String) {
    events(type: $type, first: $first, after: $after) {
      nodes { ...EventRow }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
const EventData = graphql(`
  query EventDrawer($id: ID!) { event(id: $id) { ...EventRow } }
`);
const Tail = graphql(`
  subscription EventsTail($types: [EventType!], $after: ID) { eventTail(types: $types, after: $after) { id type data createdAt } }
`);
const Resend = graphql(`
  mutation EventsResend($id: ID!) {
    resendEvent(id: $id) {
      __typename
      ... on Redelivery { deliveryCount }
      ... on Error { code message param }
    }
  }
`);

const ALL = "-";
const TAIL_MOST = 200;
// The list is read again before the tail drops what the list does not have.
const READ_AGAIN = 150;

export function Events() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { type, still, event } = useSearch({ from: "/shell/developers" });
  const feed = useFeed(EventList, type === undefined ? {} : { type }, ({ events }) => events);
  const [tail, setTail] = useState<readonly EventRowFragment[]>([]);
  const heard = useRef(0);
  useLive(Tail, type === undefined ? {} : { types: [type] }, {
    pause: still === "1",
    onItem: ({ eventTail }) => {
      setTail((before) => [eventTail, ...before.filter(({ id }) => id !== eventTail.id)].slice(0, TAIL_MOST));
      if (++heard.current % READ_AGAIN === 0) feed.retry();
    },
  });
  const go = (next: { type?: EventType | undefined; still?: "1" | undefined; event?: string | undefined }) =>
    void navigate({ to: "/developers", search: { tab: "events", type, still, ...next }, replace: true, resetScroll: false });
  const rows = useMemo(() => {
    if (feed.rows === undefined) return undefined;
    const known = new Set(feed.rows.map(({ id }) => id));
    const more = tail.filter((each) => !known.has(each.id) && (type === undefined || each.type === type));
    // After a gap the list may be ahead of the tail; ids begin with their time.
    return more.length === 0 ? feed.rows : [...more, ...feed.rows].sort((a, b) => (a.id < b.id ? 1 : -1));
  }, [feed.rows, tail, type]);
  const columns = useMemo<TableColumn<EventRowFragment>[]>(
    () => [
      { id: "type", header: t`Event`, cell: (row) => <span className="font-mono text-sm font-medium">{eventName(row.type)}</span>, text: (row) => eventName(row.type) },
      { id: "of", header: t`Of`, cell: ({ data }) => <span className="block max-w-64 truncate font-mono text-xs text-muted">{typeof data["id"] === "string" ? data["id"] : ""}</span>, text: ({ data }) => String(data["id"] ?? ""), className: "hidden md:table-cell" },
      { id: "id", header: t`Id`, cell: ({ id }) => <CopyId id={id} short />, text: ({ id }) => id, className: "hidden lg:table-cell" },
      { id: "at", header: t`When`, cell: ({ createdAt }) => <Time at={createdAt} />, text: ({ createdAt }) => createdAt },
    ],
    [t],
  );
  return (
    <>
      <div className="mb-4 flex flex-wrap items-end justify-between gap-3">
        <Select
          label={t`Event`}
          className="w-full sm:w-64"
          choices={[{ value: ALL, label: t`All events` }, ...EVENT_TYPES.map((each) => ({ value: each as string, label: eventName(each) }))]}
          value={type ?? ALL}
          onChange={(next) => go({ type: next === ALL ? undefined : (next as EventType) })}
        />
        <Switch isSelected={still !== "1"} onChange={(on) => go({ still: on ? undefined : "1" })}>{t`Show new ones as they happen`}</Switch>
      </div>
      {feed.problem !== null && rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : rows === undefined ? (
        <Loading />
      ) : rows.length === 0 ? (
        type !== undefined ? (
          <FilteredEmpty onClear={() => go({ type: undefined })} />
        ) : (
          <Card>
            <EmptyState icon="clock" title={t`Nothing has happened yet`} action={<ButtonLink look="primary" to="/messages" search={{ send: "1" }}>{t`Send a message`}</ButtonLink>}>
              <Trans>Send a message, and its events show here as they happen.</Trans>
            </EmptyState>
          </Card>
        )
      ) : (
        <DataTable label={t`Events`} rows={rows} columns={columns} rowKey={({ id }) => id} onOpen={({ id }) => go({ event: id })} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="events" />
      )}
      {event !== undefined && <EventDrawer id={event} onClose={() => go({ event: undefined })} />}
    </>
  );
}

function EventDrawer({ id, onClose }: { id: string; onClose: () => void }) {
  const { t } = useLingui();
  const tell = useTell();
  const isAdmin = useIsAdmin();
  const resend = useChange(Resend);
  const reading = useData(EventData, { id });
  const again = (
    <Button
      isPending={resend.isRunning}
      onPress={async () => {
        const { done, problem } = await resend.run({ id });
        const count = done?.deliveryCount ?? 0;
        tell(problem, t`On its way again, to webhooks: ${count}.`);
      }}
    >{t`Send to webhooks again`}</Button>
  );
  return (
    <Dialog isOpen onClose={onClose} title={t`Event`} isDrawer actions={isAdmin ? again : undefined}>
      <States of={reading}>
        {({ event }) => {
          if (event == null) return <EmptyState icon="search" title={t`There is no such event`} />;
          const json = JSON.stringify(event.data, null, 2);
          return (
            <div className="space-y-4">
              <Facts
                items={[
                  [t`Event`, <span key="type" className="font-mono text-sm">{eventName(event.type)}</span>],
                  [t`Id`, <CopyId key="id" id={event.id} />],
                  [t`When`, <Time key="at" at={event.createdAt} style="full" />],
                ]}
              />
              <div className="flex justify-end">
                <CopyButton text={json} label={t`Copy`} />
              </div>
              <Code label={t`Data`}>{json}</Code>
            </div>
          );
        }}
      </States>
    </Dialog>
  );
}
