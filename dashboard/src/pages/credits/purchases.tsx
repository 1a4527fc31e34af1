import { Trans, useLingui } from "@lingui/react/macro";
import { useMemo, type ReactNode } from "react";
import { useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import type { CheckoutStatus, PurchaseRowFragment } from "@/gql/graphql";
import { Select } from "@/ui/fields";
import { Badge, Card, Time, useNumbers, type Tone } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { money } from "./money";

export const PurchaseRow = graphql(`
  fragment PurchaseRow on Checkout {
    id
    status
    label
    credits
    amount
    currency
    total
    tax
    refundedAmount
    disputedAmount
    returnedCredits
    automatic
    url
    invoiceUrl
    receiptUrl
    createdAt
    paidAt
  }
`);
const Purchases = graphql(`
  query CreditsCheckouts($status: CheckoutStatus, $first: Int, $after: String) {
    checkouts(status: $status, first: $first, after: $after) {
      nodes { ...PurchaseRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);

/** Where a purchase stays, so far as a buyer can see. */
export const ENDED: ReadonlySet<CheckoutStatus> = new Set(["PAID", "FAILED", "EXPIRED", "REVIEW"]);
const TONES: Record<CheckoutStatus, Tone> = { OPENING: "neutral", OPEN: "info", PENDING: "warn", PAID: "good", EXPIRED: "neutral", FAILED: "danger", REVIEW: "danger" };

function Away({ href, name, children }: { href: string; name: string; children: ReactNode }) {
  return (
    <a href={href} target="_blank" rel="noreferrer" aria-label={name} className="whitespace-nowrap">
      {children}
    </a>
  );
}

function useStatusNames(): Record<CheckoutStatus, string> {
  const { t } = useLingui();
  return useMemo(
    () => ({
      OPENING: t`Opening`,
      OPEN: t`Not paid yet`,
      PENDING: t`On its way`,
      PAID: t`Paid`,
      EXPIRED: t`Expired`,
      FAILED: t`Failed`,
      REVIEW: t`In review`,
    }),
    [t],
  );
}

function useColumns(): TableColumn<PurchaseRowFragment>[] {
  const { t, i18n } = useLingui();
  const { locale } = i18n;
  const { whole } = useNumbers();
  const names = useStatusNames();
  return useMemo(() => {
    const paid = (row: PurchaseRowFragment, amount: number) => money(amount, row.currency, locale);
    return [
      { id: "pack", header: t`Pack`, cell: ({ label, automatic }) => (
          <span className="block max-w-40">
            <span className="block truncate font-medium">{label}</span>
            {automatic && <span className="block text-sm text-muted">{t`by automatic top-up`}</span>}
          </span>
        ), text: ({ label }) => label },
      { id: "status", header: t`Status`, cell: ({ status }) => <Badge tone={TONES[status]}>{names[status]}</Badge>, text: ({ status }) => status, isUnder: true },
      {
        id: "credits",
        header: t`Credits`,
        cell: ({ credits, returnedCredits }) => {
          const back = whole(returnedCredits);
          return (
            <>
              {whole(credits)}
              {returnedCredits > 0 && <span className="block text-sm text-warn">{t`${back} taken back`}</span>}
            </>
          );
        },
        text: ({ credits }) => credits,
        isNumber: true,
        className: "hidden sm:table-cell",
      },
      {
        id: "amount",
        header: t`Amount`,
        cell: (row) => {
          const tax = row.tax == null || row.tax === 0 ? null : paid(row, row.tax);
          const refunded = row.refundedAmount === 0 ? null : paid(row, row.refundedAmount);
          const disputed = row.disputedAmount === 0 ? null : paid(row, row.disputedAmount);
          return (
            <>
              {paid(row, row.total ?? row.amount)}
              {tax !== null && <span className="block text-sm text-muted">{t`with ${tax} of tax`}</span>}
              {refunded !== null && <span className="block text-sm text-warn">{t`${refunded} refunded`}</span>}
              {disputed !== null && <span className="block text-sm text-danger">{t`${disputed} disputed`}</span>}
            </>
          );
        },
        text: ({ total, amount }) => total ?? amount,
        isNumber: true,
      },
      { id: "currency", header: t`Currency`, cell: ({ currency }) => currency.toUpperCase(), text: ({ currency }) => currency, isExtra: true },
      { id: "tax", header: t`Tax`, cell: (row) => (row.tax == null ? "–" : paid(row, row.tax)), text: ({ tax }) => tax, isNumber: true, isExtra: true },
      {
        id: "refunded",
        header: t`Refunded`,
        cell: (row) => (row.refundedAmount === 0 ? "–" : paid(row, row.refundedAmount)),
        text: ({ refundedAmount }) => refundedAmount,
        isNumber: true,
        isExtra: true,
      },
      {
        id: "papers",
        header: t`Documents`,
        cell: ({ label, url, invoiceUrl, receiptUrl }) => (
          <span className="flex flex-wrap gap-x-3">
            {url != null && <a href={url} aria-label={t`Pay for ${label}`} className="whitespace-nowrap">{t`Pay`}</a>}
            {receiptUrl != null && <Away href={receiptUrl} name={t`Receipt of ${label}`}>{t`Receipt`}</Away>}
            {invoiceUrl != null && <Away href={invoiceUrl} name={t`Invoice of ${label}`}>{t`Invoice`}</Away>}
          </span>
        ),
        isUnder: true,
      },
      { id: "at", header: t`When`, cell: ({ createdAt, paidAt }) => <Time at={paidAt ?? createdAt} style="full" />, text: ({ createdAt, paidAt }) => paidAt ?? createdAt, isUnder: true },
      { id: "id", header: t`Id`, cell: ({ id }) => <span className="font-mono text-xs">{id}</span>, text: ({ id }) => id, isExtra: true },
    ];
  }, [t, locale, whole, names]);
}

const STATUSES = Object.keys(TONES) as CheckoutStatus[];

interface ListProps {
  isSold: boolean;
  status: CheckoutStatus | undefined;
  onStatus: (status: CheckoutStatus | undefined) => void;
}

export function PurchaseList({ isSold, status, onStatus }: ListProps) {
  const { t } = useLingui();
  const names = useStatusNames();
  const choices = [{ value: "ALL" as const, label: t`Every purchase` }, ...STATUSES.map((value) => ({ value, label: names[value] }))];
  return (
    <>
      <Select className="mb-4 max-w-60" label={t`Status`} choices={choices} value={status ?? "ALL"} onChange={(value) => onStatus(value === "ALL" ? undefined : value)} />
      <PurchaseRows isSold={isSold} status={status} onStatus={onStatus} />
    </>
  );
}

function PurchaseRows({ isSold, status, onStatus }: ListProps) {
  const { t } = useLingui();
  const columns = useColumns();
  const feed = useFeed(Purchases, { status: status ?? null }, ({ checkouts }) => checkouts);
  if (feed.problem !== null && feed.rows === undefined) return <ProblemState problem={feed.problem} onRetry={feed.retry} />;
  if (feed.rows === undefined) return <Loading />;
  if (feed.rows.length === 0 && status !== undefined) return <FilteredEmpty onClear={() => onStatus(undefined)} />;
  if (feed.rows.length === 0)
    return (
      <Card>
        <EmptyState icon="credits" title={t`Nothing was bought yet`}>
          {isSold ? <Trans>Each purchase stands here with its receipt, once you choose a pack above.</Trans> : <Trans>Credits are not sold here: the operator adds them.</Trans>}
        </EmptyState>
      </Card>
    );
  return <DataTable label={t`Purchases`} rows={feed.rows} columns={columns} rowKey={({ id }) => id} totalCount={feed.totalCount} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="purchases" />;
}
