// What conversions brought: the sums of a time, and a line over its days.
import { Plural, useLingui } from "@lingui/react/macro";
import { lazy, Suspense, useMemo } from "react";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import { Segmented } from "@/ui/fields";
import { revenueText } from "@/ui/revenue";
import { Card, Time, useNumbers } from "@/ui/show";
import { Skeleton } from "@/ui/states";
import { intervalOf, linesOf, type Span } from "./span";

const Series = lazy(() => import("@/ui/series"));

const Totals = graphql(`
  query ConversionSums($occurredFrom: DateTime, $occurredBefore: DateTime) {
    conversionTotals(occurredFrom: $occurredFrom, occurredBefore: $occurredBefore) {
      occurredFrom
      occurredBefore
      currencies { currency conversions net attributed attributedNet }
    }
  }
`);
const Days = graphql(`
  query ConversionDays($interval: Interval!, $since: DateTime!, $until: DateTime!, $campaignId: ID) {
    conversionActivity(interval: $interval, since: $since, until: $until, campaignId: $campaignId) {
      startAt
      currencies { currency net attributedNet }
    }
  }
`);

interface Props {
  days: Span;
  campaign: string | undefined;
  currency: string | undefined;
  onCurrency: (currency: string) => void;
}

export function Revenue({ days, campaign, currency, onCurrency }: Props) {
  // The service says what the last days are: a sandbox with a clock lives in a time of its own.
  const totals = useData(Totals, days).data?.conversionTotals;
  if (totals === undefined || totals.currencies.length === 0) return null;
  const { currencies, occurredFrom, occurredBefore } = totals;
  const chosen = currencies.find((each) => each.currency === currency) ?? currencies.toSorted((one, other) => other.conversions - one.conversions)[0]!;
  return (
    <div className="mb-6 space-y-4">
      {campaign === undefined && <Sums currencies={currencies} from={occurredFrom} before={occurredBefore} isAsked={Object.keys(days).length > 0} />}
      <Graph from={occurredFrom} before={occurredBefore} campaign={campaign} currency={chosen.currency} currencies={currencies.map((each) => each.currency)} onCurrency={onCurrency} />
    </div>
  );
}

interface Sum {
  currency: string;
  conversions: number;
  net: number;
  attributed: number;
  attributedNet: number;
}

function Followed({ count, of, sum }: { count: number; of: number; sum: string }) {
  const followed = useNumbers().whole(count);
  return <Plural value={of} one={`${followed} of # order follows a message; all together are ${sum}.`} other={`${followed} of # orders follow a message; all together are ${sum}.`} />;
}

/** A currency each. */
function Sums({ currencies, from, before, isAsked }: { currencies: readonly Sum[]; from: string; before: string; isAsked: boolean }) {
  const { t, i18n } = useLingui();
  return (
    <div className="grid gap-4 sm:grid-cols-2 lg:grid-cols-3">
      {currencies.map(({ currency, conversions, net, attributed, attributedNet }) => (
        <Card key={currency} title={isAsked ? t`Revenue in ${currency}` : t`The last 30 days, in ${currency}`}>
          <p className="text-2xl font-semibold tabular">{revenueText(attributedNet, currency, i18n.locale)}</p>
          <p className="text-sm text-muted">
            <Followed count={attributed} of={conversions} sum={revenueText(net, currency, i18n.locale)} />
          </p>
          {isAsked && (
            <p className="mt-1 text-sm text-muted">
              <Time at={from} style="day" /> – <Time at={new Date(Date.parse(before) - 1).toISOString()} style="day" />
            </p>
          )}
        </Card>
      ))}
    </div>
  );
}

interface GraphProps {
  from: string;
  before: string;
  campaign: string | undefined;
  currency: string;
  currencies: readonly string[];
  onCurrency: (currency: string) => void;
}

function Graph({ from, before, campaign, currency, currencies, onCurrency }: GraphProps) {
  const { t } = useLingui();
  const interval = intervalOf(from, before);
  const points = useData(Days, { interval, since: from, until: before, ...(campaign === undefined ? {} : { campaignId: campaign }) }).data?.conversionActivity;
  const lines = useMemo(() => (points === undefined ? null : linesOf(points, currency)), [points, currency]);
  const isOfCampaign = campaign !== undefined;
  // All orders of a campaign follow one of its messages.
  const values = useMemo(() => (lines === null ? [] : isOfCampaign ? [lines.attributed] : [lines.attributed, lines.all]), [lines, isOfCampaign]);
  const title = interval === "WEEK" ? t`Revenue by week, in ${currency}` : t`Revenue by day, in ${currency}`;
  return (
    <Card title={title} tools={currencies.length > 1 && <Segmented label={t`Currency`} hideLabel choices={currencies.map((each) => ({ value: each, label: each }))} value={currency} onChange={onCurrency} />}>
      {lines === null ? (
        <Skeleton className="h-60 w-full" />
      ) : (
        <Suspense fallback={<Skeleton className="h-60 w-full" />}>
          <Series
            caption={title}
            times={lines.times}
            values={values}
            series={[{ name: t`After a message`, color: "--brand" }, ...(isOfCampaign ? [] : [{ name: t`All orders`, color: "--info" as const }])]}
          />
        </Suspense>
      )}
    </Card>
  );
}
