import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { Card, Count, Facts, useNumbers } from "@/ui/show";
import { revenueText } from "@/ui/revenue";
import type { Campaign } from "./campaign";

/** What the campaign's messages led to, a currency each. */
export function RevenueCard({ campaign: { id, stats } }: { campaign: Campaign }) {
  const { t, i18n } = useLingui();
  const { percent } = useNumbers();
  if (stats.conversions === 0) return null;
  const shown = (amount: number, currency: string) => revenueText(amount, currency, i18n.locale);
  return (
    <Card title={t`Revenue`} tools={<Link to="/conversions" search={{ campaign: id }} className="text-sm">{t`Conversions`}</Link>}>
      {/* On a phone a table of four columns would be cut. */}
      <div className="space-y-3 sm:hidden">
        {stats.revenue.map(({ currency, conversions, net, refunded, perRecipient }) => (
          <div key={currency}>
            <p className="text-xl font-semibold tabular">{shown(net, currency)}</p>
            <Facts items={[[t`Conversions`, <Count key="c" value={conversions} />], [t`Refunded`, shown(refunded, currency)], [t`Per recipient`, shown(perRecipient, currency)]]} />
          </div>
        ))}
      </div>
      <div className="overflow-x-auto max-sm:hidden" tabIndex={0} role="region" aria-label={t`Revenue`}>
        <table className="w-full text-left">
          <thead className="text-sm text-muted">
            <tr>
              <th scope="col" className="py-2 pr-4 font-medium">{t`Revenue`}</th>
              <th scope="col" className="px-4 py-2 text-right font-medium">{t`Conversions`}</th>
              <th scope="col" className="px-4 py-2 text-right font-medium">{t`Refunded`}</th>
              <th scope="col" className="py-2 pl-4 text-right font-medium">{t`Per recipient`}</th>
            </tr>
          </thead>
          <tbody>
            {stats.revenue.map(({ currency, conversions, net, refunded, perRecipient }) => (
              <tr key={currency}>
                <th scope="row" className="border-t border-line py-2.5 pr-4 text-xl font-semibold tabular">{shown(net, currency)}</th>
                <td className="border-t border-line px-4 py-2.5 text-right"><Count value={conversions} /></td>
                <td className="border-t border-line px-4 py-2.5 text-right tabular">{shown(refunded, currency)}</td>
                <td className="border-t border-line py-2.5 pl-4 text-right tabular">{shown(perRecipient, currency)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="mt-3 text-sm text-muted">
        <Trans>{percent(stats.conversionRate)} of the messages that arrived led to an order.</Trans>
      </p>
    </Card>
  );
}
