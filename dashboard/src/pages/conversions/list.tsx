import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { useData, useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import type { ConversionListQuery } from "@/gql/graphql";
import { Button, ButtonLink } from "@/ui/button";
import { Field, Select } from "@/ui/fields";
import { revenueText } from "@/ui/revenue";
import { SearchField } from "@/ui/searchfield";
import { Card, PageHead, Time, useZone } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { Revenue } from "./revenue";
import { Shops } from "./shops";
import { spanOf, type Asked } from "./span";

const ConversionList = graphql(`
  query ConversionList($campaignId: ID, $contactId: ID, $orderId: String, $occurredFrom: DateTime, $occurredBefore: DateTime, $first: Int, $after: String) {
    conversions(campaignId: $campaignId, contactId: $contactId, orderId: $orderId, occurredFrom: $occurredFrom, occurredBefore: $occurredBefore, first: $first, after: $after) {
      nodes {
        id
        orderId
        value
        refundedValue
        currency
        source
        occurredAt
        contact { id phone firstName lastName }
        attributed { type at campaignId variant campaign { id name } }
      }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const FilterNames = graphql(`
  query ConversionFilters($contact: ID!, $hasContact: Boolean!) {
    campaigns(first: 100) { nodes { id name } }
    contact(id: $contact) @include(if: $hasContact) { id phone firstName lastName }
  }
`);

const ALL = "-";

type Row = ConversionListQuery["conversions"]["nodes"][number];

export function ConversionsPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const found = useSearch({ from: "/shell/conversions" });
  const zone = useZone();
  const { campaign, contact, order, since, until } = found;
  const days = spanOf(since, until, zone);
  const which = {
    ...days,
    ...(campaign === undefined ? {} : { campaignId: campaign }),
    ...(contact === undefined ? {} : { contactId: contact }),
    ...(order === undefined ? {} : { orderId: order }),
  };
  const feed = useFeed(ConversionList, which as never, ({ conversions }) => conversions);
  // Of one order or contact the list says all there is.
  const isSummed = order === undefined && contact === undefined;
  const isFiltered = Object.keys(which).length > 0;
  const clear = () => void navigate({ to: "/conversions", search: {} });
  const go = (changes: Partial<typeof found>) => void navigate({ to: "/conversions", search: { ...found, ...changes }, replace: true, resetScroll: false });
  return (
    <>
      <PageHead
        title={t`Conversions`}
        lead={t`What your contacts bought, and the message that led to it.`}
        actions={<ButtonLink to="/exports/new" search={{ kind: "conversions", ...(campaign === undefined ? {} : { campaign }) }}>{t`Export`}</ButtonLink>}
      />
      <Filters found={found} zone={zone} onChange={go} onClear={isFiltered && feed.rows?.length !== 0 ? clear : undefined} />
      {isSummed && <Revenue days={days} campaign={campaign} currency={found.currency} onCurrency={(currency) => go({ currency })} />}
      {!isFiltered && <Shops />}
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : feed.rows.length === 0 ? (
        isFiltered ? (
          <FilteredEmpty onClear={clear} />
        ) : (
          <Card>
            <EmptyState icon="conversions" title={t`See what your campaigns earn`}>
              <Trans>Record each order with POST /v1/conversions. It is attributed to the last click of its contact, or else to the last message.</Trans>
            </EmptyState>
          </Card>
        )
      ) : (
        <Table feed={feed} />
      )}
    </>
  );
}

interface FiltersProps {
  found: Asked;
  zone: string;
  onChange: (changes: Asked) => void;
  onClear: (() => void) | undefined;
}

function Filters({ found, zone, onChange, onClear }: FiltersProps) {
  const { t } = useLingui();
  const { campaign, contact, order, since, until } = found;
  const names = useData(FilterNames, { contact: contact ?? "", hasContact: contact !== undefined }).data;
  const known = names?.campaigns.nodes ?? [];
  const campaigns = campaign === undefined || known.some(({ id }) => id === campaign) ? known : [...known, { id: campaign, name: campaign }];
  const of = names?.contact;
  const who = of == null ? contact : [of.firstName, of.lastName].filter(Boolean).join(" ") || of.phone;
  const day = (name: "since" | "until", value: string | undefined, label: string) => (
    <Field label={label} type={"date" as "text"} className="min-w-0 flex-1 basis-36 sm:max-w-48" value={value ?? ""} onChange={(next) => onChange({ [name]: next || undefined })} />
  );
  return (
    <div role="search" aria-label={t`Filters`} className="mb-4 flex flex-wrap items-end gap-3">
      <SearchField label={t`Order number`} className="min-w-0 flex-1 basis-60 sm:max-w-96" placeholder={t`The whole id of an order`} maxLength={200} value={order ?? ""} onChange={(next) => onChange({ order: next || undefined })} />
      <Select className="w-full sm:w-56" label={t`Campaign`} choices={[{ value: ALL, label: t`All` }, ...campaigns.map(({ id, name }) => ({ value: id, label: name }))]} value={campaign ?? ALL} onChange={(next) => onChange({ campaign: next === ALL ? undefined : next })} />
      {day("since", since, t`From day (${zone})`)}
      {day("until", until, t`To day (${zone})`)}
      {contact !== undefined && (
        <Button icon="close" onPress={() => onChange({ contact: undefined })}>
          {t`Contact: ${who}`}
        </Button>
      )}
      {onClear !== undefined && <Button look="quiet" onPress={onClear}>{t`Clear filters`}</Button>}
    </div>
  );
}

function Table({ feed }: { feed: ReturnType<typeof useFeed<unknown, object, Row>> }) {
  const { t, i18n } = useLingui();
  const columns = useMemo<TableColumn<Row>[]>(
    () => [
      { id: "order", header: t`Order number`, cell: ({ orderId }) => <span className="block max-w-24 truncate font-medium sm:max-w-48" title={orderId}>{orderId}</span>, text: ({ orderId }) => orderId },
      {
        id: "value",
        header: t`Revenue`,
        cell: ({ value, refundedValue, currency }) => (
          <span className="tabular">
            {revenueText(value - refundedValue, currency, i18n.locale)}
            {refundedValue > 0 && <span className="block text-sm text-muted">{t`${revenueText(refundedValue, currency, i18n.locale)} refunded`}</span>}
          </span>
        ),
        text: ({ value, refundedValue }) => value - refundedValue,
        isNumber: true,
      },
      {
        id: "contact",
        header: t`Contact`,
        cell: ({ contact }) => (contact == null ? <span className="text-muted">{t`Deleted`}</span> : <Link to="/contacts/$id" params={{ id: contact.id }}>{[contact.firstName, contact.lastName].filter(Boolean).join(" ") || contact.phone}</Link>),
        text: ({ contact }) => contact?.phone ?? "",
        className: "hidden sm:table-cell",
      },
      { id: "follows", header: t`Follows`, cell: (row) => <Follows row={row} />, text: ({ attributed }) => attributed?.type ?? "", isUnder: true },
      { id: "when", header: t`When`, cell: ({ occurredAt }) => <Time at={occurredAt} />, text: ({ occurredAt }) => occurredAt, className: "hidden md:table-cell" },
    ],
    [t, i18n],
  );
  return <DataTable label={t`Conversions`} rows={feed.rows!} columns={columns} rowKey={({ id }) => id} totalCount={feed.totalCount} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="conversions" />;
}

function Follows({ row: { attributed } }: { row: Row }) {
  const { t } = useLingui();
  if (attributed == null) return <span className="text-muted">{t`No message`}</span>;
  // The name of a sequence's campaign has its step in it.
  const { type, campaign, variant } = attributed;
  const how = type === "CLICK" ? t`A click` : t`A message`;
  return (
    <span>
      {how}
      {campaign != null && (
        <Link to="/campaigns/$id" params={{ id: campaign.id }} className="block max-w-28 truncate text-sm sm:max-w-60">{variant == null ? campaign.name : `${campaign.name} (${variant})`}</Link>
      )}
    </span>
  );
}
