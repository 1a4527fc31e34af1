import { useLingui } from "@lingui/react/macro";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import { Field, Segmented, Select, Switch } from "@/ui/fields";
import { Card, useZone } from "@/ui/show";
import type { Draft } from "./draft";
import { localOf } from "./times";

const Senders = graphql(`
  query ComposeSenders {
    senders(first: 50) { nodes { id value kind } }
  }
`);

const OWN = "-";

export function DeliveryCard({ draft, onChange, defaultSender }: { draft: Draft; onChange: (changes: Partial<Draft>) => void; defaultSender: string }) {
  const { t } = useLingui();
  const zone = useZone();
  const { data } = useData(Senders, {});
  const senders = (data?.senders.nodes ?? []).filter(({ value }) => value !== defaultSender);
  const times = [
    { value: "now", label: t`At once` },
    { value: "later", label: t`At a time` },
  ] as const;
  const paces = [
    { value: "fast", label: t`As fast as it goes` },
    { value: "rate", label: t`A few a minute` },
    { value: "spread", label: t`Over some hours` },
  ] as const;
  return (
    <Card title={t`Delivery`}>
      <div className="space-y-5">
        {senders.length > 0 && (
          <Select
            label={t`Sender`}
            className="max-w-sm"
            choices={[{ value: OWN, label: defaultSender, hint: t`The workspace's own` }, ...senders.map(({ value }) => ({ value, label: value }))]}
            value={draft.from === "" ? OWN : draft.from}
            onChange={(from) => onChange({ from: from === OWN ? "" : from })}
          />
        )}
        <div className="flex flex-wrap items-end gap-4">
          <Segmented label={t`Start`} choices={times} value={draft.when} onChange={(when) => onChange({ when, at: when === "later" && draft.at === "" ? localOf(new Date(Date.now() + 3_600_000).toISOString(), zone) : draft.at })} />
          {draft.when === "later" && <Field label={t`Time (${zone})`} type={"datetime-local" as "text"} value={draft.at} onChange={(at) => onChange({ at })} error={draft.at === "" ? t`Choose a time.` : undefined} />}
        </div>
        <div className="flex flex-wrap items-end gap-4">
          <Segmented label={t`Pace`} choices={paces} value={draft.pace} onChange={(pace) => onChange({ pace })} />
          {draft.pace === "rate" && <Field label={t`Messages a minute`} inputMode="numeric" className="w-40" value={draft.ratePerMinute} onChange={(ratePerMinute) => onChange({ ratePerMinute })} />}
          {draft.pace === "spread" && <Field label={t`Hours`} inputMode="decimal" className="w-32" value={draft.spreadHours} onChange={(spreadHours) => onChange({ spreadHours })} />}
        </div>
        <div className="flex flex-wrap items-start gap-4">
          <Field label={t`At the recipient's time`} hint={t`Each gets it at this time of their own day. Empty for any time.`} type={"time" as "text"} className="w-56" value={draft.localTime} onChange={(localTime) => onChange({ localTime })} />
          <Field label={t`Most campaigns a day`} hint={t`To one person, this one included.`} inputMode="numeric" className="w-52" value={draft.dailyCap} onChange={(dailyCap) => onChange({ dailyCap })} />
          <Field label={t`Most campaigns a week`} inputMode="numeric" className="w-52" value={draft.weeklyCap} onChange={(weeklyCap) => onChange({ weeklyCap })} />
        </div>
        <Switch isSelected={draft.quietHours} onChange={(quietHours) => onChange({ quietHours })} hint={t`Where it is night for a recipient, the message waits for the morning there.`}>
          {t`Keep quiet hours`}
        </Switch>
      </div>
    </Card>
  );
}
