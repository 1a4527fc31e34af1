import { Trans, useLingui } from "@lingui/react/macro";
import { Badge, Card, Facts, PageHead, Time, useNumbers } from "@/ui/show";
import { EmptyState, States } from "@/ui/states";
import { useOps, type Carrier } from "./api";

const EVERY_MS = 5000;

export function CarriersPage() {
  const { t } = useLingui();
  const reading = useOps<{ items: Carrier[] }>("/carriers", EVERY_MS);
  return (
    <>
      <PageHead title={t`Carriers`} lead={<Trans>A carrier in trouble is paused by its breaker: its messages wait, and a single one tries it after a while.</Trans>} />
      <States of={reading}>
        {({ items }) =>
          items.length === 0 ? (
            <Card>
              <EmptyState icon="phone" title={t`No carrier is configured`}>{t`The settings say which there are.`}</EmptyState>
            </Card>
          ) : (
            <ul className="grid gap-4 md:grid-cols-2 2xl:grid-cols-3">
              {items.map((carrier) => (
                <li key={carrier.name}>
                  <CarrierCard carrier={carrier} />
                </li>
              ))}
            </ul>
          )
        }
      </States>
    </>
  );
}

function CarrierCard({ carrier: { name, kind, capability, rate, binds, breaker } }: { carrier: Carrier }) {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const states = { closed: t`Closed: messages go out`, open: t`Open: messages wait`, half_open: t`Half open: a single message tries it` } as const;
  const tones = { closed: "good", open: "danger", half_open: "warn" } as const;
  const bound = binds === null ? "" : t`${whole(binds.bound)} of ${whole(binds.wanted)}`;
  return (
    <Card title={name} tools={<Badge tone={tones[breaker.state]} icon={breaker.state === "closed" ? "check" : "warning"}>{breaker.state === "closed" ? t`Closed` : breaker.state === "open" ? t`Open` : t`Half open`}</Badge>}>
      <Facts
        items={[
          [t`Kind`, kind],
          [t`Rate`, rate === null ? t`No limit` : t`${whole(rate)} a second`],
          [t`After a lost answer`, capability],
          binds !== null && [t`Binds`, <span key="b" className={binds.bound < binds.wanted ? "text-danger" : ""}>{bound}</span>],
          [t`Breaker`, states[breaker.state]],
          breaker.state !== "closed" && [t`Faults in a row`, whole(breaker.failures)],
          breaker.state !== "closed" && breaker.retry_at !== null && [t`Tried again`, <Time key="r" at={breaker.retry_at} style="relative" />],
          breaker.state !== "closed" && breaker.reason !== null && [t`Why`, breaker.reason],
        ]}
      />
    </Card>
  );
}
