import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useMemo, useState, type ReactNode } from "react";
import { useData, useFeed } from "@/api/hooks";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { CheckoutStatus, CreditsPageQuery, LedgerKind, LedgerRowFragment } from "@/gql/graphql";
import { ButtonLink } from "@/ui/button";
import { StackedBars } from "@/ui/charts";
import { Segmented, Select } from "@/ui/fields";
import { timesOf } from "@/ui/formats";
import { Badge, Callout, Card, Count, Credits, PageHead, Time, useNumbers, useZone, type Tone } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState, Skeleton, States } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { Tabs } from "@/ui/tabs";
import { useIsAdmin } from "@/ui/tell";
import { Packs } from "./packs";
import { PurchaseList } from "./purchases";
import { RateList } from "./rates";
import { TopUp } from "./topup";
import { Returned } from "./watch";

const CreditsData = graphql(`
  query CreditsPage($since: DateTime!, $until: DateTime!) {
    credits { balance totalLifetime lowBalanceThreshold estimatedRunwayDays debt }
    autoTopUp { available }
    creditPacks { ...CreditPackCard }
    activity(interval: DAY, since: $since, until: $until) { startAt messageCount credits }
  }
`);
export const LedgerRow = graphql(`
  fragment LedgerRow on LedgerEntry { id kind amount reference note createdAt }
`);
const Ledger = graphql(`
  query CreditsLedger($kind: LedgerKind, $first: Int, $after: String) {
    credits {
      ledger(kind: $kind, first: $first, after: $after) {
        nodes { ...LedgerRow }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`);
const Added = graphql(`
  query CreditsAdded($first: Int, $after: String) {
    credits {
      purchases(first: $first, after: $after) {
        nodes { ...LedgerRow }
        pageInfo { hasNextPage endCursor }
        totalCount
      }
    }
  }
`);

const DAY_MS = 86_400_000;
const PLAIN_CHARACTERS = 160;
const UNICODE_CHARACTERS = 70;

/** Whole days up to the end of this one, so that asking again within it asks for the same. */
function periodOf(days: number) {
  const until = (Math.floor(Date.now() / DAY_MS) + 1) * DAY_MS;
  return { since: new Date(until - days * DAY_MS).toISOString(), until: new Date(until).toISOString() };
}

type Tab = "ledger" | "purchases" | "added" | "rates";

interface Place {
  tab: Tab;
  days: "7" | "30" | "90";
  kind: LedgerKind | undefined;
  status: CheckoutStatus | undefined;
  checkout: undefined;
}

export function CreditsPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { livemode } = useSession();
  const isAdmin = useIsAdmin();
  const { tab = "ledger", days = "30", kind, status, checkout } = useSearch({ from: "/shell/credits" });
  const period = useMemo(() => periodOf(Number(days)), [days]);
  const reading = useData(CreditsData, period, { every: 60_000 });
  // What a purchase that has ended changed in the lists is read again.
  const [ended, setEnded] = useState(0);
  const end = useCallback(() => setEnded((count) => count + 1), []);
  const choices = [
    { value: "7", label: t`7 days` },
    { value: "30", label: t`30 days` },
    { value: "90", label: t`90 days` },
  ] as const;
  const go = (next: Partial<Place>) => {
    const { tab: part, days: span, kind: only, status: state, checkout: back } = { tab, days, kind, status, checkout, ...next };
    const search = {
      ...(part === "ledger" ? {} : { tab: part }),
      ...(span === "30" ? {} : { days: span }),
      ...(part === "ledger" && only !== undefined ? { kind: only } : {}),
      ...(part === "purchases" && state !== undefined ? { status: state } : {}),
      ...(back === undefined ? {} : { checkout: back }),
    };
    void navigate({ to: "/credits", search, replace: true, resetScroll: false });
  };
  return (
    <>
      <PageHead title={t`Credits`} lead={t`A message takes credits for each segment, when it is accepted. What is not sent gives them back.`} actions={<ButtonLink to="/exports/new" search={{ kind: "ledger" }}>{t`Export`}</ButtonLink>} />
      {checkout !== undefined && <Returned key={checkout} isCanceled={checkout === "canceled"} onEnd={end} onClose={() => go({ checkout: undefined })} />}
      <States of={reading} loading={<CreditsLoading />}>
        {(data) => (
          <div className="space-y-6">
            {!livemode && !(isAdmin && data.creditPacks.length > 0) && (
              <Callout tone="info">
                <Trans>The balance is of the whole workspace. Messages in the sandbox take nothing of it.</Trans>
              </Callout>
            )}
            <Figures credits={data.credits} />
            {data.credits.debt > 0 && <Owed debt={data.credits.debt} />}
            {data.creditPacks.length > 0 && <Packs packs={data.creditPacks} savesCards={data.autoTopUp.available} />}
            <TopUp packs={data.creditPacks} />
            <div className={data.creditPacks.length > 0 ? "" : "grid gap-6 xl:grid-cols-[2fr_1fr]"}>
              <Card title={livemode ? t`Used by day` : t`What messages would take live, by day`} tools={<Segmented label={t`Period`} hideLabel choices={choices} value={days} onChange={(next) => go({ days: next })} />}>
                <Burn points={data.activity} isLive={livemode} />
              </Card>
              {data.creditPacks.length === 0 && <HowTheyCome />}
            </div>
          </div>
        )}
      </States>
      <div className="mt-8">
        <Tabs
          label={t`Parts`}
          tabs={[
            { value: "ledger", label: t`Ledger` },
            { value: "purchases", label: t`Purchases` },
            { value: "added", label: t`Purchases and gifts` },
            { value: "rates", label: t`Rates` },
          ]}
          value={tab}
          onChange={(next) => go({ tab: next as Tab })}
        />
        {tab === "ledger" && <LedgerList key={ended} kind={kind} onKind={(next) => go({ kind: next })} />}
        {tab === "purchases" && <PurchaseList key={ended} isSold={(reading.data?.creditPacks.length ?? 0) > 0} status={status} onStatus={(next) => go({ status: next })} />}
        {tab === "rates" && <RateList />}
        {tab === "added" && <AddedList key={ended} />}
      </div>
    </>
  );
}

function CreditsLoading() {
  return (
    <Loading>
      <div className="mb-6 grid gap-4 sm:grid-cols-2 xl:grid-cols-4">
        {Array.from({ length: 4 }, (_, index) => (
          <Skeleton key={index} className="h-28 w-full" />
        ))}
      </div>
      <Skeleton className="h-72 w-full" />
    </Loading>
  );
}

function Figure({ label, value, children, tone }: { label: string; value: ReactNode; children: ReactNode; tone?: "warn" }) {
  return (
    <Card>
      <p className="text-sm text-muted">{label}</p>
      <p className={tone === "warn" ? "mt-1 text-2xl font-semibold text-warn tabular [&>span]:whitespace-normal" : "mt-1 text-2xl font-semibold tabular [&>span]:whitespace-normal"}>{value}</p>
      <p className="mt-1 text-sm text-muted">{children}</p>
    </Card>
  );
}

function Figures({ credits: { balance, totalLifetime, lowBalanceThreshold, estimatedRunwayDays } }: { credits: CreditsPageQuery["credits"] }) {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const threshold = whole(lowBalanceThreshold);
  const isLow = balance < lowBalanceThreshold;
  const short = whole(balance);
  return (
    <div className="grid gap-4 sm:grid-cols-2 xl:grid-cols-4">
      <Figure label={t`Balance`} value={<Credits value={balance} />} {...(isLow ? { tone: "warn" as const } : {})}>
        {isLow ? <Trans>Below {threshold}, where we warn you.</Trans> : <Trans>We warn you below {threshold}.</Trans>} <Link to="/credits" search={{ tab: "added" }}>{t`What was added`}</Link>
      </Figure>
      <Figure label={t`What it buys`} value={<Plural value={balance} one={`${short} message`} other={`${short} messages`} />}>
        <Trans>
          of one segment: up to {PLAIN_CHARACTERS} plain characters, or {UNICODE_CHARACTERS} with others. Of two segments: <Count value={Math.floor(balance / 2)} />.
        </Trans>
      </Figure>
      <Figure label={t`How long it lasts`} value={estimatedRunwayDays == null ? "–" : <Plural value={estimatedRunwayDays} one="# day" other="# days" />} {...(estimatedRunwayDays != null && estimatedRunwayDays < 7 ? { tone: "warn" as const } : {})}>
        {estimatedRunwayDays == null ? <Trans>Live messages used nothing in the last 30 days.</Trans> : <Trans>at the use of the last 30 days.</Trans>}
      </Figure>
      <Figure label={t`Ever added`} value={<Count value={totalLifetime} />}>
        <Trans>credits, bought or given.</Trans>
      </Figure>
    </div>
  );
}

function Owed({ debt }: { debt: number }) {
  const { whole } = useNumbers();
  const owed = whole(debt);
  return (
    <Callout tone="warn">
      <Trans>{owed} credits are owed: they were spent before their payment was refunded or disputed. What comes in pays them first.</Trans>
    </Callout>
  );
}

function Burn({ points, isLive }: { points: CreditsPageQuery["activity"]; isLive: boolean }) {
  const { t, i18n } = useLingui();
  const zone = useZone();
  const day = timesOf(i18n.locale, { day: "numeric", month: "short", timeZone: zone });
  if (points.every(({ credits }) => credits === 0))
    return (
      <EmptyState icon="credits" title={t`Nothing was used in these days`}>
        {isLive ? <Trans>Live messages show here, day by day.</Trans> : <Trans>Messages in the sandbox cost nothing. Look in live mode.</Trans>}
      </EmptyState>
    );
  return (
    <StackedBars
      caption={t`Credits used by day`}
      series={[{ name: t`Credits`, fill: "fill-brand", dot: "bg-brand" }]}
      bars={points.map(({ startAt, credits }) => ({ label: day.format(new Date(startAt)), values: [credits] }))}
    />
  );
}

function HowTheyCome() {
  const { t } = useLingui();
  return (
    <Card title={t`How credits come`}>
      <div className="space-y-3 text-muted">
        <p>
          <Trans>The operator of this service adds credits. Send them your workspace's name and the number of credits you need.</Trans>
        </p>
        <p>
          <Trans>If you run it yourself, this adds 10,000:</Trans>
        </p>
        <HowCommand />
      </div>
    </Card>
  );
}

function HowCommand() {
  const { t } = useLingui();
  const { membership } = useSession();
  return (
    <pre tabIndex={0} role="region" aria-label={t`Command`} className="overflow-x-auto rounded-lg border border-line bg-sunken p-3 font-mono text-sm text-text">
      {`msvs credits grant --workspace ${membership?.workspaceId ?? "wsp_…"} 10000`}
    </pre>
  );
}

const TONES: Record<LedgerKind, Tone> = {
  GRANT: "good",
  PURCHASE: "good",
  RESERVE: "neutral",
  CAPTURE: "info",
  RELEASE: "brand",
  REFUND: "warn",
  DISPUTE: "danger",
  RESTORE: "good",
  DEBT: "warn",
};

function useKindNames(): Record<LedgerKind, string> {
  const { t } = useLingui();
  return useMemo(
    () => ({
      GRANT: t`Given`,
      PURCHASE: t`Bought`,
      RESERVE: t`Taken`,
      CAPTURE: t`Final`,
      RELEASE: t`Given back`,
      REFUND: t`Refunded`,
      DISPUTE: t`Disputed`,
      RESTORE: t`Restored`,
      DEBT: t`Debt paid off`,
    }),
    [t],
  );
}

function useColumns(): TableColumn<LedgerRowFragment>[] {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const names = useKindNames();
  return useMemo(() => {
    return [
      {
        id: "kind",
        header: t`What`,
        cell: ({ kind }) => <Badge tone={TONES[kind]}>{names[kind]}</Badge>,
        text: ({ kind }) => kind,
      },
      {
        id: "amount",
        header: t`Credits`,
        cell: ({ amount }) => <span className={amount > 0 ? "font-medium text-good" : "font-medium"}>{amount > 0 ? `+${whole(amount)}` : whole(amount)}</span>,
        text: ({ amount }) => amount,
        isNumber: true,
      },
      {
        id: "why",
        header: t`Why`,
        cell: ({ reference, note }) => (
          <span className="block max-w-72 truncate text-sm text-muted">{note === "" ? <span className="font-mono text-xs">{reference}</span> : note}</span>
        ),
        text: ({ reference, note }) => note || reference,
        className: "hidden sm:table-cell",
      },
      { id: "at", header: t`When`, cell: ({ createdAt }) => <Time at={createdAt} />, text: ({ createdAt }) => createdAt, isUnder: true },
    ];
  }, [t, whole, names]);
}

const KINDS = Object.keys(TONES) as LedgerKind[];

function LedgerList({ kind, onKind }: { kind: LedgerKind | undefined; onKind: (kind: LedgerKind | undefined) => void }) {
  const { t } = useLingui();
  const names = useKindNames();
  const choices = [{ value: "ALL" as const, label: t`Every movement` }, ...KINDS.map((value) => ({ value, label: names[value] }))];
  return (
    <>
      <Select className="mb-4 max-w-60" label={t`Movements`} choices={choices} value={kind ?? "ALL"} onChange={(value) => onKind(value === "ALL" ? undefined : value)} />
      <LedgerRows kind={kind} onClear={() => onKind(undefined)} />
    </>
  );
}

function LedgerRows({ kind, onClear }: { kind: LedgerKind | undefined; onClear: () => void }) {
  const { t } = useLingui();
  const columns = useColumns();
  const feed = useFeed(Ledger, { kind: kind ?? null }, ({ credits }) => credits.ledger);
  if (feed.problem !== null && feed.rows === undefined) return <ProblemState problem={feed.problem} onRetry={feed.retry} />;
  if (feed.rows === undefined) return <Loading />;
  if (feed.rows.length === 0 && kind !== undefined) return <FilteredEmpty onClear={onClear} />;
  if (feed.rows.length === 0)
    return (
      <Card>
        <EmptyState icon="credits" title={t`No credit has moved yet`}>
          <Trans>Each movement stands here for good, with the message that caused it.</Trans>
        </EmptyState>
      </Card>
    );
  return <DataTable label={t`Ledger`} rows={feed.rows} columns={columns} rowKey={({ id }) => id} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="ledger" />;
}

function AddedList() {
  const { t } = useLingui();
  const columns = useColumns();
  const feed = useFeed(Added, {}, ({ credits }) => credits.purchases);
  if (feed.problem !== null && feed.rows === undefined) return <ProblemState problem={feed.problem} onRetry={feed.retry} />;
  if (feed.rows === undefined) return <Loading />;
  if (feed.rows.length === 0)
    return (
      <Card>
        <EmptyState icon="credits" title={t`Nothing was added yet`}>
          <Trans>What you buy and what the operator adds shows here.</Trans>
        </EmptyState>
      </Card>
    );
  return <DataTable label={t`Purchases and gifts`} rows={feed.rows} columns={columns} rowKey={({ id }) => id} totalCount={feed.totalCount} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="added" />;
}
