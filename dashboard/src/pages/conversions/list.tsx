import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { useData, useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import type { ConversionListQuery } from "@/gql/graphql";
import { Button, ButtonLink } from "@/ui/button";
import { revenueText } from "@/ui/revenue";
import { SearchField } from "@/ui/searchfield";
import { Card, Count, PageHead, Time } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { Shops } from "./shops";

const ConversionList = graphql(`
  query ConversionList($campaignId: ID, $contactId: ID, $orderId: String, $first: Int, $after: String) {
    conversions(campaignId: $campaignId, contactId: $contactId, orderId: $orderId, first: $first, after: $after) {
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
const Totals = graphql(`
  query ConversionSums {
    conversionTotals { currencies { currency conversions net attributed attributedNet } }
  }
`);

type Row = ConversionListQuery["conversions"]["nodes"][number];

export function ConversionsPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const found = useSearch({ from: "/shell/conversions" });
  const { campaign, contact, order } = found;
  const which = {
    ...(campaign === undefined ? {} : { campaignId: campaign }),
    ...(contact === undefined ? {} : { contactId: contact }),
    ...(order === undefined ? {} : { orderId: order }),
  };
  const feed = useFeed(ConversionList, which as never, ({ conversions }) => conversions);
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
      {!isFiltered && <Sums />}
      {!isFiltered && <Shops />}
      <div role="search" aria-label={t`Filters`} className="mb-4 flex flex-wrap items-end gap-3">
        <SearchField label={t`Order number`} className="min-w-0 flex-1 basis-60 sm:max-w-96" placeholder={t`The whole id of an order`} maxLength={200} value={order ?? ""} onChange={(next) => go({ order: next || undefined })} />
        {campaign !== undefined && <Button look="quiet" icon="close" onPress={() => go({ campaign: undefined })}>{t`Of one campaign`}</Button>}
        {contact !== undefined && <Button look="quiet" icon="close" onPress={() => go({ contact: undefined })}>{t`Of one contact`}</Button>}
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
            <EmptyState icon="credits" title={t`See what your campaigns earn`}>
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

/** The last 30 days, a currency each. */
function Sums() {
  const { t, i18n } = useLingui();
  const totals = useData(Totals, {}).data?.conversionTotals.currencies ?? [];
  if (totals.length === 0) return null;
  return (
    <div className="mb-6 grid gap-4 sm:grid-cols-2 lg:grid-cols-3">
      {totals.map(({ currency, conversions, net, attributed, attributedNet }) => (
        <Card key={currency} title={t`The last 30 days, in ${currency}`}>
          <p className="text-2xl font-semibold tabular">{revenueText(attributedNet, currency, i18n.locale)}</p>
          <p className="text-sm text-muted">
            <Trans>
              <Count value={attributed} /> of <Count value={conversions} /> orders follow a message; all together are {revenueText(net, currency, i18n.locale)}.
            </Trans>
          </p>
        </Card>
      ))}
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
      { id: "follows", header: t`Follows`, cell: (row) => <Follows row={row} />, text: ({ attributed }) => attributed?.type ?? "" },
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
