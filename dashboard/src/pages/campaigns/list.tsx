import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import type { CampaignRowFragment, CampaignStatus } from "@/gql/graphql";
import { CampaignBadge, useStatusNames } from "@/status";
import { Button, ButtonLink } from "@/ui/button";
import { Share } from "@/ui/charts";
import { Checkbox, Segmented } from "@/ui/fields";
import { revenueText } from "@/ui/revenue";
import { SearchField } from "@/ui/searchfield";
import { Card, Count, PageHead, Time, useNumbers } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { Tabs } from "@/ui/tabs";
import { SavedViews } from "@/ui/views";
import { Calendar } from "./calendar";
import { STATUSES } from "./routes";

export const CampaignRow = graphql(`
  fragment CampaignRow on Campaign {
    id
    name
    body
    status
    pauseReason
    scheduledAt
    startedAt
    createdAt
    tags
    stats { recipients queued sending sent delivered failed skipped canceled replied optedOut creditsUsed conversions revenue { currency net } }
  }
`);
const CampaignList = graphql(`
  query CampaignList($statuses: [CampaignStatus!], $q: String, $tag: String, $archived: Boolean, $first: Int, $after: String) {
    campaigns(statuses: $statuses, q: $q, tag: $tag, archived: $archived, first: $first, after: $after) {
      nodes { ...CampaignRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);

const SHOWN = ["DRAFT", "SCHEDULED", "SENDING", "PAUSED", "COMPLETED"] as const;

export function CampaignsPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const found = useSearch({ from: "/shell/campaigns" });
  const { status, view, month, q, tag, archived } = found;
  const names = useStatusNames().campaigns;
  const which = { statuses: status === undefined ? [...STATUSES] : [status], archived: archived !== undefined, ...(q === undefined ? {} : { q }), ...(tag === undefined ? {} : { tag }) };
  const isCalendar = view === "calendar";
  const feed = useFeed(CampaignList, which as never, ({ campaigns }) => campaigns, { pause: isCalendar });
  const tabs = [{ value: "", label: t`All` }, ...SHOWN.map((each) => ({ value: each as string, label: names[each] }))];
  if (status !== undefined && !(SHOWN as readonly string[]).includes(status)) tabs.push({ value: status, label: names[status as CampaignStatus] });
  const views = [
    { value: "list", label: t`List` },
    { value: "calendar", label: t`Calendar` },
  ] as const;
  const go = (changes: Partial<typeof found>, replace = false) => void navigate({ to: "/campaigns", search: { ...found, ...changes }, replace, resetScroll: false });
  const isFiltered = status !== undefined || q !== undefined || tag !== undefined || archived !== undefined;
  const clear = () => void navigate({ to: "/campaigns", search: { view, month } });
  const { month: _month, ...viewed } = found;
  return (
    <>
      <PageHead
        title={t`Campaigns`}
        lead={t`One text to many people, each of them once.`}
        actions={
          <>
            <Segmented label={t`View`} hideLabel choices={views} value={view ?? "list"} onChange={(next) => go(next === "list" ? { view: undefined, month: undefined } : { view: next })} />
            <ButtonLink look="primary" icon="plus" to="/campaigns/new">{t`New campaign`}</ButtonLink>
          </>
        }
      />
      <SavedViews page="CAMPAIGNS" filters={viewed} onChoose={(next) => void navigate({ to: "/campaigns", search: next })} />
      <Tabs label={t`State`} tabs={tabs} value={status ?? ""} onChange={(next) => go({ status: next === "" ? undefined : (next as CampaignStatus) })} />
      <div role="search" aria-label={t`Filters`} className="mb-4 flex flex-wrap items-end gap-3">
        <SearchField label={t`Search`} className="min-w-0 flex-1 basis-60 sm:max-w-96" placeholder={t`Name of the campaign`} maxLength={200} value={q ?? ""} onChange={(next) => go({ q: next || undefined }, true)} />
        <span className="flex min-h-10 items-center">
          <Checkbox isSelected={archived !== undefined} onChange={(isAway) => go({ archived: isAway ? "1" : undefined })}>{t`Archived`}</Checkbox>
        </span>
        {tag !== undefined && <Button look="quiet" icon="close" onPress={() => go({ tag: undefined })}>{t`Tag: ${tag}`}</Button>}
        {isFiltered && isCalendar && <Button look="quiet" icon="close" onPress={clear}>{t`Clear filters`}</Button>}
      </div>
      {isCalendar ? (
        <Calendar which={which} isFiltered={isFiltered} month={month} onMonth={(next) => go({ month: next })} />
      ) : feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : feed.rows.length === 0 ? (
        isFiltered ? (
          <FilteredEmpty onClear={clear} />
        ) : (
          <Card>
            <EmptyState icon="campaign" title={t`Send your first campaign`} action={<ButtonLink look="primary" icon="plus" to="/campaigns/new">{t`Write a campaign`}</ButtonLink>}>
              <Trans>Before it goes you see who gets it, who is skipped and why, and what it costs. In the sandbox it reaches the handset and costs nothing.</Trans>
            </EmptyState>
          </Card>
        )
      ) : (
        <CampaignTable feed={feed} />
      )}
    </>
  );
}

function CampaignTable({ feed }: { feed: ReturnType<typeof useFeed<unknown, object, CampaignRowFragment>> }) {
  const { t, i18n } = useLingui();
  const { percent } = useNumbers();
  const navigate = useNavigate();
  const columns = useMemo<TableColumn<CampaignRowFragment>[]>(
    () => [
      {
        id: "name",
        header: t`Name`,
        cell: (row) => (
          <span className="block max-w-40 min-w-28 sm:max-w-64 sm:min-w-44">
            <CampaignLink row={row} />
            <span className="block truncate text-sm text-muted">{row.body}</span>
            {row.tags.length > 0 && <span className="block truncate text-sm text-muted">{row.tags.map((each) => `#${each}`).join(" ")}</span>}
          </span>
        ),
        text: ({ name }) => name,
      },
      { id: "status", header: t`State`, cell: ({ status }) => <CampaignBadge status={status} />, text: ({ status }) => status },
      { id: "progress", header: t`Progress`, cell: (row) => <Progress row={row} />, className: "hidden min-w-32 2xl:table-cell" },
      { id: "recipients", header: t`Recipients`, cell: ({ stats }) => <Count value={stats.recipients} />, text: ({ stats }) => stats.recipients, isNumber: true, className: "hidden sm:table-cell" },
      { id: "delivered", header: t`Delivered`, cell: ({ stats }) => rate(stats.delivered, stats.recipients - stats.skipped - stats.canceled, percent), text: ({ stats }) => stats.delivered, isNumber: true, className: "hidden sm:table-cell" },
      { id: "replied", header: t`Replied`, cell: ({ stats }) => <Count value={stats.replied} />, text: ({ stats }) => stats.replied, isNumber: true, className: "hidden md:table-cell" },
      { id: "optedOut", header: t`Opt-outs`, cell: ({ stats }) => <Count value={stats.optedOut} />, text: ({ stats }) => stats.optedOut, isNumber: true, isExtra: true },
      { id: "revenue", header: t`Revenue`, cell: ({ stats }) => (stats.revenue.length === 0 ? "–" : stats.revenue.map(({ currency, net }) => <span key={currency} className="block tabular">{revenueText(net, currency, i18n.locale)}</span>)), text: ({ stats }) => stats.revenue.map(({ currency, net }) => `${net} ${currency}`).join(", "), isNumber: true, className: "hidden xl:table-cell" },
      { id: "credits", header: t`Credits`, cell: ({ stats }) => <Count value={stats.creditsUsed} />, text: ({ stats }) => stats.creditsUsed, isNumber: true, className: "hidden xl:table-cell" },
      { id: "when", header: t`When`, cell: (row) => <Time at={row.startedAt ?? row.scheduledAt ?? row.createdAt} />, text: (row) => row.startedAt ?? row.scheduledAt ?? row.createdAt, className: "hidden md:table-cell" },
    ],
    [t, i18n, percent],
  );
  return (
    <DataTable
      label={t`Campaigns`}
      rows={feed.rows!}
      columns={columns}
      rowKey={({ id }) => id}
      onOpen={({ id, status }) => void (status === "DRAFT" ? navigate({ to: "/campaigns/new", search: { id } }) : navigate({ to: "/campaigns/$id", params: { id } }))}
      totalCount={feed.totalCount}
      hasMore={feed.hasMore}
      onMore={feed.loadMore}
      isLoading={feed.isLoading}
      fileName="campaigns"
    />
  );
}

const rate = (part: number, all: number, percent: (value: number) => string) => (all <= 0 ? "–" : percent(part / all));

function CampaignLink({ row: { id, name, status } }: { row: CampaignRowFragment }) {
  const shape = "block truncate font-medium text-text no-underline hover:underline";
  return status === "DRAFT" ? (
    <Link to="/campaigns/new" search={{ id }} className={shape}>
      {name}
    </Link>
  ) : (
    <Link to="/campaigns/$id" params={{ id }} className={shape}>
      {name}
    </Link>
  );
}

function Progress({ row: { name, stats } }: { row: CampaignRowFragment }) {
  const { t } = useLingui();
  const parts = [
    { name: t`Delivered`, value: stats.delivered, dot: "bg-brand" },
    { name: t`Sent`, value: stats.sent + stats.sending, dot: "bg-info" },
    { name: t`Failed`, value: stats.failed, dot: "bg-danger" },
    { name: t`Skipped`, value: stats.skipped + stats.canceled, dot: "bg-line-strong" },
  ];
  return stats.recipients === 0 ? null : <Share parts={[...parts, { name: t`Waiting`, value: stats.queued, dot: "bg-line" }]} label={name} />;
}
