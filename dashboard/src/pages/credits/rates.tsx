// What a segment costs by its destination.
import { Trans, useLingui } from "@lingui/react/macro";
import { useMemo } from "react";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import type { CreditsRatesQuery } from "@/gql/graphql";
import { Card, Time, useNumbers } from "@/ui/show";
import { EmptyState, States } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";

const Rates = graphql(`
  query CreditsRates { creditRates { region creditsPerSegment effectiveAt } }
`);
type Rate = CreditsRatesQuery["creditRates"][number];

export function RateList() {
  const { t, i18n } = useLingui();
  const { whole } = useNumbers();
  const reading = useData(Rates, {});
  const columns = useMemo((): TableColumn<Rate>[] => {
    const names = new Intl.DisplayNames(i18n.locale, { type: "region" });
    const nameOf = (region: string) => names.of(region) ?? region;
    return [
      { id: "region", header: t`Destination`, cell: ({ region }) => nameOf(region), text: ({ region }) => nameOf(region) },
      { id: "credits", header: t`Credits a segment`, cell: ({ creditsPerSegment }) => whole(creditsPerSegment), text: ({ creditsPerSegment }) => creditsPerSegment, isNumber: true },
      { id: "since", header: t({ message: "From", context: "since" }), cell: ({ effectiveAt }) => <Time at={effectiveAt} style="full" />, text: ({ effectiveAt }) => effectiveAt, isUnder: true },
    ];
  }, [t, i18n.locale, whole]);
  return (
    <States of={reading}>
      {({ creditRates }) =>
        creditRates.length === 0 ? (
          <Card>
            <EmptyState icon="credits" title={t`A segment costs one credit everywhere`}>
              <Trans>Where a destination costs more, it stands here, before it counts.</Trans>
            </EmptyState>
          </Card>
        ) : (
          <>
            <p className="mb-3 text-sm text-muted">
              <Trans>Every other destination costs one credit a segment. A message keeps the price it was accepted at.</Trans>
            </p>
            <DataTable label={t`Rates`} rows={creditRates} columns={columns} rowKey={({ region, effectiveAt }) => `${region} ${effectiveAt}`} fileName="rates" />
          </>
        )
      }
    </States>
  );
}
