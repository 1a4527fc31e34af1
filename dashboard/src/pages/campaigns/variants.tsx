import { Trans, useLingui } from "@lingui/react/macro";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import { Button } from "@/ui/button";
import { Field, Segmented, Select, TextArea } from "@/ui/fields";
import { Card } from "@/ui/show";
import { MOST_VARIANTS, type Draft, type Metric, type Test, type Variant } from "./draft";

const Senders = graphql(`
  query VariantSenders {
    senders(first: 50) { nodes { id value } }
  }
`);

const SAME = "-";
const LETTERS = "ABCDE";
const MOST = 1600;

/** Other texts to try out on a part of the audience; the text above is variant A. */
export function VariantsCard({ draft, onChange }: { draft: Draft; onChange: (changes: Partial<Draft>) => void }) {
  const { t } = useLingui();
  const { variants, test } = draft;
  const metrics: readonly { value: Metric; label: string }[] = [
    { value: "DELIVERY", label: t`Delivered` },
    { value: "CLICK", label: t`Clicked` },
    { value: "REPLY", label: t`Replied` },
    { value: "CONVERSION", label: t`People who bought` },
  ];
  const set = (place: number, changes: Partial<Variant>) => onChange({ variants: variants.map((each, number) => (number === place ? { ...each, ...changes } : each)) });
  const change = (changes: Partial<Test>) => onChange({ test: { ...test, ...changes } });
  return (
    <Card title={t`A/B test`}>
      <div className="space-y-5">
        {variants.length > 0 && (
          <p className="text-sm text-muted">
            <Trans>The text above is variant A. The variants go to a part of the audience, and the best of them to the rest.</Trans>
          </p>
        )}
        {variants.map((variant, place) => (
          <Written key={place} name={LETTERS[place + 1] ?? ""} variant={variant} onChange={(changes) => set(place, changes)} onRemove={() => onChange({ variants: variants.filter((_, number) => number !== place) })} />
        ))}
        {variants.length < MOST_VARIANTS - 1 && (
          <Button size="small" onPress={() => onChange({ variants: [...variants, { body: "", from: "" }] })}>{variants.length === 0 ? t`Try out another text` : t`Add a variant`}</Button>
        )}
        {variants.length > 0 && (
          <div className="flex flex-wrap items-end gap-4">
            <Field label={t`Test on percent of the audience`} hint={t`100: all of it, and no winner is chosen.`} inputMode="numeric" className="w-56" value={test.percent} onChange={(percent) => change({ percent })} />
            <Segmented label={t`Best is what is most often`} choices={metrics} value={test.metric} onChange={(metric) => change({ metric })} />
            <Field label={t`Choose the winner after hours`} hint={t`Empty: you choose it.`} inputMode="decimal" className="w-56" value={test.hours} onChange={(hours) => change({ hours })} />
          </div>
        )}
      </div>
    </Card>
  );
}

interface WrittenProps {
  name: string;
  variant: Variant;
  onChange: (changes: Partial<Variant>) => void;
  onRemove: () => void;
}

function Written({ name, variant: { body, from }, onChange, onRemove }: WrittenProps) {
  const { t } = useLingui();
  const { data } = useData(Senders, {});
  const senders = data?.senders.nodes ?? [];
  return (
    <fieldset className="space-y-3 rounded-lg border border-line p-4">
      <legend className="px-1 text-sm font-medium">{t`Variant ${name}`}</legend>
      <TextArea label={t`Text of variant ${name}`} hint={t`Empty: the text above, from another sender.`} value={body} onChange={(text) => onChange({ body: text })} maxLength={MOST} rows={4} tools={<span className="text-sm text-muted tabular">{`${body.length}/${MOST}`}</span>} />
      <div className="flex flex-wrap items-end justify-between gap-4">
        {senders.length > 0 && (
          <Select
            label={t`Sender of variant ${name}`}
            className="max-w-sm"
            choices={[{ value: SAME, label: t`As the campaign` }, ...senders.map(({ value }) => ({ value, label: value }))]}
            value={from === "" ? SAME : from}
            onChange={(value) => onChange({ from: value === SAME ? "" : value })}
          />
        )}
        <Button size="small" look="quiet" onPress={onRemove}>{t`Remove variant ${name}`}</Button>
      </div>
    </fieldset>
  );
}
