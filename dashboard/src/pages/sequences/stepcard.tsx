// One step to write: its message, when it goes, and whom it is for.
import { useLingui } from "@lingui/react/macro";
import { useRef } from "react";
import { GroupEditor } from "@/pages/contacts/conditions";
import { newGroup, newHasTag, type Fields, type Group } from "@/pages/contacts/filter";
import { InsertRow } from "@/pages/templates/insert";
import { TemplateTools } from "@/pages/templates/tools";
import { Button } from "@/ui/button";
import { Checkbox, Field, Segmented, Select, TextArea } from "@/ui/fields";
import { Card } from "@/ui/show";
import { ASKS, MOST_BODY, UNITS, type Ask, type StepDraft } from "./draft";
import type { Told } from "./edit";

const NONE = "-";

interface Props {
  step: StepDraft;
  number: number;
  /** The steps before it, which it may ask for. */
  earlier: readonly StepDraft[];
  all: readonly StepDraft[];
  fields: Fields;
  told: Told;
  isLast: boolean;
  onChange: (step: StepDraft) => void;
  onMove: (by: -1 | 1) => void;
  onRemove: () => void;
}

export function StepCard(props: Props) {
  const { t } = useLingui();
  const { step, number, told, isLast, onChange, onMove, onRemove } = props;
  const change = (changes: Partial<StepDraft>) => onChange({ ...step, ...changes });
  const at = (field: string) => told.at(`${step.uid}.${field}`);
  return (
    <Card
      title={t`Step ${number}`}
      tools={
        <span className="flex gap-1">
          <Button size="icon" look="quiet" icon="up" data-move="up" isDisabled={number === 1} aria-label={t`Move step ${number} up`} onPress={() => onMove(-1)} />
          <Button size="icon" look="quiet" icon="down" data-move="down" isDisabled={isLast} aria-label={t`Move step ${number} down`} onPress={() => onMove(1)} />
          <Button size="icon" look="quiet" icon="close" aria-label={t`Remove step ${number}`} onPress={onRemove} />
        </span>
      }
    >
      <div className="space-y-5">
        <When step={step} change={change} at={at} isFirst={number === 1} />
        <Body step={step} change={change} at={at} />
        <Conditions {...props} change={change} at={at} />
        <Field label={t`Name of the step`} hint={t`Statistics and conditions call it by this.`} className="max-w-xs" value={step.key} onChange={(key) => change({ key })} maxLength={40} error={at("key")} />
      </div>
    </Card>
  );
}

interface Part {
  step: StepDraft;
  change: (changes: Partial<StepDraft>) => void;
  at: (field: string) => string | undefined;
}

function When({ step, change, at, isFirst }: Part & { isFirst: boolean }) {
  const { t } = useLingui();
  const names = { minutes: t`minutes`, hours: t`hours`, days: t`days` };
  const kinds = [
    { value: "after", label: isFirst ? t`After they enter` : t`After the step before` },
    { value: "anchor", label: t`Around a date` },
  ] as const;
  const sides = [
    { value: "before", label: t`before it` },
    { value: "after", label: t`after it` },
  ] as const;
  return (
    <div className="space-y-3">
      <Segmented label={t`When`} choices={kinds} value={step.when} onChange={(when) => change({ when })} />
      <div className="flex flex-wrap items-start gap-3">
        <Field label={step.when === "after" ? t`Wait` : t`How long`} inputMode="numeric" className="w-28" value={step.amount} onChange={(amount) => change({ amount })} error={at("amount")} />
        <Select label={t`Unit`} className="w-36" choices={UNITS.map((value) => ({ value, label: names[value] }))} value={step.unit} onChange={(unit) => change({ unit })} />
        {step.when === "anchor" && <Select label={t`Before or after`} className="w-36" choices={sides} value={step.side} onChange={(side) => change({ side })} />}
        <Field label={t`At their time of day`} hint={t`Empty for any.`} type={"time" as "text"} className="w-44" value={step.at} onChange={(next) => change({ at: next })} error={at("at")} />
      </div>
    </div>
  );
}

function Body({ step, change, at }: Part) {
  const { t } = useLingui();
  const field = useRef<HTMLDivElement>(null);
  const used = step.body.length;
  const put = (body: string) => change({ body });
  return (
    <div ref={field}>
      <TextArea label={t`Message`} rows={3} value={step.body} onChange={put} maxLength={MOST_BODY} tools={<span className="text-sm text-muted tabular">{`${used}/${MOST_BODY}`}</span>} error={at("body")} />
      <div className="mt-2 space-y-2">
        <InsertRow box={field} body={step.body} onChange={put} hasMail={false} hasSnippets />
        <TemplateTools body={step.body} onChange={put} />
      </div>
      <div className="mt-3">
        <Checkbox isSelected={step.shortenLinks} onChange={(shortenLinks) => change({ shortenLinks })} hint={t`Clicks are counted, and later steps can ask for them.`}>
          {t`Short links`}
        </Checkbox>
      </div>
    </div>
  );
}

/** Whom the step is for: what they did with earlier steps, and a filter. */
function Conditions({ step, earlier, all, fields, change, at }: Props & Part) {
  const { t } = useLingui();
  const labels: Record<Ask, string> = { clicked: t`Clicked a link of`, notClicked: t`Clicked no link of`, replied: t`Replied to the message of`, notReplied: t`Did not reply to the message of` };
  const others = [
    { value: "SKIP", label: t`Skip this step` },
    { value: "LEAVE", label: t`Leave the sequence` },
  ] as const;
  const asked = ASKS.filter((ask) => step.asks[ask] !== undefined);
  const free = ASKS.filter((ask) => step.asks[ask] === undefined);
  const put = (ask: Ask, uid: number | undefined) => {
    const { [ask]: _before, ...rest } = step.asks;
    change({ asks: uid === undefined ? rest : { ...rest, [ask]: uid } });
  };
  const ofAsk = (ask: Ask) => {
    const uid = step.asks[ask];
    // A step that was moved behind this one is still named, with what is wrong about it.
    const known = earlier.some((each) => each.uid === uid) ? earlier : [...earlier, ...all.filter((each) => each.uid === uid)];
    return known.map((each) => ({ value: String(each.uid), label: each.key }));
  };
  const hasAny = asked.length > 0 || step.filter !== null;
  return (
    <fieldset className="space-y-3">
      <legend className="mb-2 text-sm font-medium">{t`Only who`}</legend>
      {asked.map((ask) => {
        const label = labels[ask];
        return (
          <div key={ask} className="flex flex-wrap items-end gap-2">
            <Select label={label} className="w-60" choices={ofAsk(ask)} value={String(step.asks[ask])} onChange={(uid) => put(ask, Number(uid))} error={at(ask)} />
            <Button size="icon" look="quiet" icon="close" aria-label={t`Remove: ${label}`} onPress={() => put(ask, undefined)} />
          </div>
        );
      })}
      {step.filter !== null && (
        <div>
          <GroupEditor item={step.filter} fields={fields} onChange={(next) => change({ filter: next as Group })} />
          {at("filter") !== undefined && (
            <p role="alert" tabIndex={-1} className="mt-1 text-sm font-medium text-danger">
              {at("filter")}
            </p>
          )}
          <Button size="small" look="quiet" className="mt-2" onPress={() => change({ filter: null })}>{t`Remove the conditions on contacts`}</Button>
        </div>
      )}
      <div className="flex flex-wrap items-end gap-2">
        {earlier.length > 0 && free.length > 0 && (
          <Select
            label={t`Ask for an earlier step`}
            className="w-60"
            choices={[{ value: NONE as Ask | typeof NONE, label: t`Choose what they did` }, ...free.map((ask) => ({ value: ask, label: labels[ask] }))]}
            value={NONE}
            onChange={(ask) => ask !== NONE && put(ask, earlier.at(-1)!.uid)}
          />
        )}
        {step.filter === null && <Button size="small" icon="plus" className="mb-1" onPress={() => change({ filter: newGroup("all", [newHasTag("")]) })}>{t`Ask for what a contact is`}</Button>}
      </div>
      {hasAny && <Segmented label={t`The others`} choices={others} value={step.otherwise} onChange={(otherwise) => change({ otherwise })} />}
    </fieldset>
  );
}
