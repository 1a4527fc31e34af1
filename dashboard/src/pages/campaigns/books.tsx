import { Trans, useLingui } from "@lingui/react/macro";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import { Button } from "@/ui/button";
import { Badge, Callout, Card, Count, Time } from "@/ui/show";
import { EmptyState, States } from "@/ui/states";

const BooksData = graphql(`
  query CampaignBooks($id: ID!) {
    campaignReconciliation(id: $id) {
      recipients
      notExpanded
      creditsUsed
      balanced
      checks { check expected found differences ok }
      asOf
    }
  }
`);

/** The proof that each recipient, credit and event of the campaign is accounted for, once. */
export function Books({ id }: { id: string }) {
  const { t } = useLingui();
  const reading = useData(BooksData, { id });
  return (
    <States of={reading}>
      {({ campaignReconciliation: books }) =>
        books == null ? (
          <EmptyState icon="credits" title={t`There are no books yet`}>
            <Trans>They open when the campaign begins.</Trans>
          </EmptyState>
        ) : (
          <div className="space-y-5">
            <Callout tone={books.balanced ? "good" : "danger"} action={<Button size="small" icon="refresh" onPress={reading.retry}>{t`Count again`}</Button>}>
              {books.balanced ? <Trans>Every recipient and every credit is accounted for.</Trans> : <Trans>Some counts differ. While a campaign is sending they may for a moment; after its end please tell us.</Trans>}
            </Callout>
            <Card title={t`Checks`} tools={<span className="text-sm text-muted"><Time at={books.asOf} style="full" /></span>}>
              <div className="overflow-x-auto" tabIndex={0} role="region" aria-label={t`Checks`}>
                <table className="w-full text-left">
                  <thead className="text-sm text-muted max-sm:text-xs">
                    <tr>
                      <th scope="col" className="py-2 pr-2 font-medium sm:pr-4">{t`What`}</th>
                      <th scope="col" className="px-1 py-2 text-right font-medium sm:px-4">{t`Expected`}</th>
                      <th scope="col" className="px-1 py-2 text-right font-medium sm:px-4">{t`Found`}</th>
                      <th scope="col" className="py-2 pl-2 font-medium sm:pl-4"><span className="max-sm:sr-only">{t`Result`}</span></th>
                    </tr>
                  </thead>
                  <tbody>
                    {books.checks.map(({ check, expected, found, ok }) => (
                      <tr key={check}>
                        <th scope="row" className="border-t border-line py-2.5 pr-2 font-normal break-words sm:pr-4">{check.replaceAll("_", " ").replaceAll(".", " · ")}</th>
                        <td className="border-t border-line px-1 py-2.5 text-right sm:px-4"><Count value={expected} /></td>
                        <td className="border-t border-line px-1 py-2.5 text-right sm:px-4"><Count value={found} /></td>
                        <td className="border-t border-line py-2.5 pl-2 sm:pl-4">
                          <Badge tone={ok ? "good" : "danger"} icon={ok ? "check" : "warning"}><span className="max-sm:sr-only">{ok ? t`holds` : t`differs`}</span></Badge>
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            </Card>
          </div>
        )
      }
    </States>
  );
}
