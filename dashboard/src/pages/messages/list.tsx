import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch, type RegisteredRouter } from "@tanstack/react-router";
import { lazy, Suspense, useMemo, useState } from "react";
import { useData, useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import type { LogRowFragment, MessageOrigin, MessageStatus } from "@/gql/graphql";
import { MessageBadge, useStatusNames } from "@/status";
import { Button, ButtonLink } from "@/ui/button";
import { FailureText } from "@/ui/failures";
import { Checkbox, Field, Select } from "@/ui/fields";
import { SearchField } from "@/ui/searchfield";
import { Card, Count, PageHead, Time, useZone } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { SavedViews } from "@/ui/views";
import { MessageDrawer } from "./drawer";
import { filterOf, MORE } from "./filter";
import { useOriginNames } from "./names";
import { ORIGINS, STATUSES } from "./routes";

export const LogRow = graphql(`
  fragment LogRow on Message {
    id
    to
    from
    body
    status
    origin
    segments
    creditsUsed
    createdAt
    error { code message }
    contact { id firstName lastName }
    campaign { id name }
  }
`);
const MessageLog = graphql(`
  query MessageLog($filter: MessageFilter, $orderBy: ListOrder! = NEWEST, $counted: Boolean! = true, $first: Int, $after: String) {
    messages(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
      nodes { ...LogRow }
      pageInfo { hasNextPage endCursor }
      totalCount @include(if: $counted)
    }
  }
`);
const LogChoices = graphql(`
  query MessageLogChoices { campaigns(first: 100) { nodes { id name } } }
`);
const LogContact = graphql(`
  query MessageLogContact($id: ID!) { contact(id: $id) { id firstName lastName phone } }
`);

const SendDialog = lazy(() => import("./send").then(({ SendDialog: component }) => ({ default: component })));
const ALL = "-";

export function MessagesPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const found = useSearch({ from: "/shell/messages" });
  const { id, tab, send, to, order } = found;
  const zone = useZone();
  const filter = filterOf(found, zone);
  // What no index finds is not counted: that would look at every message there is.
  const isCounted = filter["q"] === undefined && filter["from"] === undefined && filter["metadata"] === undefined;
  const feed = useFeed(MessageLog, { filter, counted: isCounted, ...(order === undefined ? {} : { orderBy: "OLDEST" }) } as never, ({ messages }) => messages);
  const isFiltered = Object.keys(filter).length > 0;
  const go = (changes: Partial<typeof found>) => void navigate({ to: "/messages", search: { ...found, ...changes }, resetScroll: false });
  const { id: _id, tab: _tab, send: _send, to: _to, ...viewed } = found;
  const clear = () => void navigate({ to: "/messages", search: {} });
  return (
    <>
      <PageHead
        title={t`Messages`}
        lead={t`Every message that was asked for, and what became of it.`}
        actions={
          <>
            <ButtonLink to="/exports/new" search={{ kind: "messages" }}>{t`Export`}</ButtonLink>
            <Button look="primary" icon="plus" onPress={() => go({ send: "1" })}>
              {t`Send a message`}
            </Button>
          </>
        }
      />
      <SavedViews page="MESSAGES" filters={viewed} onChoose={(next) => void navigate({ to: "/messages", search: next })} />
      <Filters found={found} onChange={go} onClear={isFiltered ? clear : undefined} />
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : feed.rows.length === 0 ? (
        feed.hasMore ? (
          <EmptyState icon="search" title={t`None among those looked at`} action={<Button look="primary" onPress={feed.loadMore} isPending={feed.isLoading}>{t`Look further back`}</Button>}>
            <Trans>Fifty thousand messages are looked at a time. Dates, a phone or a campaign find what you want sooner.</Trans>
          </EmptyState>
        ) : isFiltered ? (
          <FilteredEmpty onClear={clear} />
        ) : (
          <Card>
            <EmptyState icon="message" title={t`No message yet`} action={<Button look="primary" icon="plus" onPress={() => go({ send: "1" })}>{t`Send the first message`}</Button>}>
              <Trans>Those of campaigns, of the API and of this dashboard all show here. In the sandbox they reach the handset and cost nothing.</Trans>
            </EmptyState>
          </Card>
        )
      ) : (
        <Log feed={feed} onOpen={(row) => go({ id: row.id, tab: undefined })} />
      )}
      {id !== undefined && (
        <MessageDrawer
          id={id}
          tab={tab}
          onTab={(next) => go({ tab: next })}
          onContact={(next) => go({ contact: next, id: undefined, tab: undefined })}
          onClose={() => go({ id: undefined, tab: undefined })}
        />
      )}
      {send !== undefined && (
        <Suspense>
          <SendDialog to={to} onClose={() => go({ send: undefined, to: undefined })} onSent={(sent) => go({ send: undefined, to: undefined, id: sent })} />
        </Suspense>
      )}
    </>
  );
}

type Found = ReturnType<typeof useSearch<RegisteredRouter, "/shell/messages">>;

interface FiltersProps {
  found: Found;
  onChange: (changes: Partial<Found>) => void;
  onClear: (() => void) | undefined;
}

const HALF = "w-[calc(50%-0.375rem)] sm:w-44";

function Filters({ found, onChange, onClear }: FiltersProps) {
  const { status, origin, campaign, contact, skipped, q } = found;
  const { t } = useLingui();
  const statuses = useStatusNames().messages;
  const origins = useOriginNames();
  const { data } = useData(LogChoices, {});
  const { data: person } = useData(LogContact, { id: contact ?? "" }, { pause: contact === undefined });
  const [isOpen, setOpen] = useState(MORE.some((name) => found[name] !== undefined));
  const campaigns = data?.campaigns.nodes ?? [];
  const named = campaign === undefined || campaigns.some((each) => each.id === campaign) ? campaigns : [...campaigns, { id: campaign, name: campaign }];
  const of = contact === undefined ? undefined : person?.contact;
  const who = of == null ? contact : [of.firstName, of.lastName].filter(Boolean).join(" ") || of.phone;
  return (
    <div className="mb-5 space-y-3" role="search" aria-label={t`Filters`}>
      <div className="flex flex-wrap items-end gap-3">
        <SearchField className="w-full sm:w-64" label={t`Text`} placeholder={t`Words of the message`} value={q ?? ""} onChange={(next) => onChange({ q: next || undefined })} />
        <Select className={HALF} label={t`State`} choices={[{ value: ALL, label: t`All` }, ...STATUSES.map((each) => ({ value: each as string, label: statuses[each] }))]} value={status ?? ALL} onChange={(next) => onChange({ status: next === ALL ? undefined : (next as MessageStatus) })} />
        <Select className={HALF} label={t`Origin`} choices={[{ value: ALL, label: t`All` }, ...ORIGINS.map((each) => ({ value: each as string, label: origins[each] }))]} value={origin ?? ALL} onChange={(next) => onChange({ origin: next === ALL ? undefined : (next as MessageOrigin) })} />
        <Select className="w-full sm:w-56" label={t`Campaign`} choices={[{ value: ALL, label: t`All` }, ...named.map((each) => ({ value: each.id, label: each.name }))]} value={campaign ?? ALL} onChange={(next) => onChange({ campaign: next === ALL ? undefined : next })} />
        <Button look="quiet" aria-expanded={isOpen} onPress={() => setOpen(!isOpen)}>{isOpen ? t`Fewer filters` : t`More filters`}</Button>
        {contact !== undefined && (
          <Button icon="close" onPress={() => onChange({ contact: undefined })}>
            {t`Contact: ${who}`}
          </Button>
        )}
        {onClear !== undefined && <Button look="quiet" onPress={onClear}>{t`Clear filters`}</Button>}
      </div>
      {isOpen && <MoreFilters found={found} onChange={onChange} />}
      {status === undefined && (
        <Checkbox isSelected={skipped !== undefined} onChange={(isIn) => onChange({ skipped: isIn ? "1" : undefined })}>
          {t`With skipped recipients`}
        </Checkbox>
      )}
    </div>
  );
}

function MoreFilters({ found, onChange }: Omit<FiltersProps, "onClear">) {
  const { t } = useLingui();
  const zone = useZone();
  const field = (name: (typeof MORE)[number], label: string, placeholder?: string) => (
    <SearchField key={name} label={label} value={found[name] ?? ""} onChange={(next) => onChange({ [name]: next || undefined })} {...(placeholder === undefined ? {} : { placeholder })} />
  );
  const day = (name: "since" | "until", label: string) => (
    <Field label={label} type={"date" as "text"} value={found[name] ?? ""} onChange={(next) => onChange({ [name]: next || undefined })} />
  );
  return (
    <Card>
      <div className="grid gap-3 sm:grid-cols-2 lg:grid-cols-4">
        {field("phone", t`Phone`, "+12125550142")}
        {field("from", t`Sender`)}
        {field("error", t`Error code`, "unreachable")}
        <Select label={t`Order`} choices={[{ value: ALL, label: t`Newest first` }, { value: "oldest", label: t`Oldest first` }]} value={found.order ?? ALL} onChange={(next) => onChange({ order: next === ALL ? undefined : "oldest" })} />
        {day("since", t`From day (${zone})`)}
        {day("until", t`To day (${zone})`)}
        {field("key", t`Metadata key`)}
        {field("value", t`Metadata value`)}
      </div>
    </Card>
  );
}

function Log({ feed, onOpen }: { feed: ReturnType<typeof useFeed<unknown, object, LogRowFragment>>; onOpen: (row: LogRowFragment) => void }) {
  const { t } = useLingui();
  const origins = useOriginNames();
  const columns = useMemo<TableColumn<LogRowFragment>[]>(
    () => [
      {
        id: "to",
        header: t`To`,
        cell: ({ to, contact, body }) => (
          <span className="block max-w-40">
            <span className="block font-medium tabular">{to}</span>
            <span className="block truncate text-sm text-muted">{[contact?.firstName, contact?.lastName].filter(Boolean).join(" ")}</span>
            {/* On a phone the text has no column of its own. */}
            <span className="block truncate text-sm md:hidden">{body}</span>
          </span>
        ),
        text: ({ to }) => to,
      },
      { id: "status", header: t`State`, cell: ({ status }) => <MessageBadge status={status} />, text: ({ status }) => status },
      {
        id: "body",
        header: t`Text`,
        cell: ({ body, error }) => (
          <span className="block max-w-72 2xl:max-w-md">
            <span className="block truncate">{body}</span>
            {error != null && <span className="block truncate text-sm text-danger"><FailureText of={error} /></span>}
          </span>
        ),
        text: ({ body }) => body,
        className: "hidden md:table-cell",
      },
      { id: "error", header: t`Why`, cell: ({ error }) => error?.code ?? "–", text: ({ error }) => error?.code, isExtra: true },
      { id: "origin", header: t`Origin`, cell: ({ origin, campaign }) => <span className="block max-w-44 truncate text-sm text-muted">{campaign?.name ?? origins[origin]}</span>, text: ({ origin }) => origin, className: "hidden xl:table-cell" },
      { id: "from", header: t`From`, cell: ({ from }) => <span className="tabular">{from}</span>, text: ({ from }) => from, isExtra: true },
      { id: "segments", header: t`Segments`, cell: ({ segments }) => <Count value={segments} />, text: ({ segments }) => segments, isNumber: true, isExtra: true },
      { id: "credits", header: t`Credits`, cell: ({ creditsUsed }) => <Count value={creditsUsed} />, text: ({ creditsUsed }) => creditsUsed, isNumber: true, className: "hidden lg:table-cell" },
      { id: "when", header: t`When`, cell: ({ createdAt }) => <Time at={createdAt} />, text: ({ createdAt }) => createdAt, className: "hidden sm:table-cell" },
      { id: "id", header: "ID", cell: ({ id }) => <span className="font-mono text-xs">{id}</span>, text: ({ id }) => id, isExtra: true },
    ],
    [t, origins],
  );
  return (
    <DataTable
      label={t`Messages`}
      rows={feed.rows!}
      columns={columns}
      rowKey={({ id }) => id}
      onOpen={onOpen}
      totalCount={feed.totalCount}
      hasMore={feed.hasMore}
      onMore={feed.loadMore}
      isLoading={feed.isLoading}
      fileName="messages"
      tools={<Button size="small" look="quiet" icon="refresh" onPress={feed.retry}>{t`Refresh`}</Button>}
    />
  );
}
