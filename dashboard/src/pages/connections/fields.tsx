// What each field of the people is, and what holds for all of them.
import { Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useChange } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { UpdateListSourceInput } from "@/gql/graphql";
import { instantOf, localOf } from "@/pages/campaigns/times";
import { ATTRIBUTE, claimedTwice, FIELDS, IGNORE, keyOf, type Mapping } from "@/pages/imports/mapping";
import { Button } from "@/ui/button";
import { useFieldNames, useRegionName } from "@/ui/contactfields";
import { EvidenceFields, lacksSource } from "@/ui/evidence";
import { Field, Select, type Choice } from "@/ui/fields";
import { Callout, Card, useZone } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { changedOf, filled, SettingsForm, shownOf, type Values } from "./settings";
import type { Connector, Source } from "./shared";

export const Update = graphql(`
  mutation PageUpdateListSource($id: ID!, $input: UpdateListSourceInput!) {
    updateListSource(id: $id, input: $input) {
      __typename
      ... on ContactList { ...ConnectionFull }
      ... on Error { code message param }
    }
  }
`);

export function useRuleNames() {
  const { t } = useLingui();
  return {
    update: { fill: t`Fill only what is blank`, overwrite: t`Change what the service says`, skip: t`Leave as they are` } as Record<string, string>,
    removal: { leave: t`Take them off the list`, stay: t`Keep them on the list` } as Record<string, string>,
    every: { "15": t`Every 15 minutes`, "60": t`Every hour`, "360": t`Every 6 hours`, "1440": t`Every day`, "10080": t`Every week` } as Record<string, string>,
  };
}

interface Options {
  mapping: Mapping;
  region: string;
  update: string;
  removal: string;
  every: string;
  source: string;
  at: string;
  text: string;
}

const textIn = (evidence: Source["evidence"], name: string) => String(evidence?.[name] ?? "");

function optionsOf({ knownFields, defaultRegion, update, removal, everyMinutes, evidence }: Source, zone: string): Options {
  const at = textIn(evidence, "at");
  return {
    mapping: Object.fromEntries(knownFields.map(({ key, field }) => [key, field])),
    region: defaultRegion ?? "",
    update,
    removal,
    every: String(everyMinutes),
    source: textIn(evidence, "source"),
    at: at === "" ? "" : localOf(at, zone),
    text: textIn(evidence, "text"),
  };
}

/** Return what to send of options that were changed; nothing where none was. */
function changesOf(before: Options, now: Options, zone: string): UpdateListSourceInput {
  const changes: UpdateListSourceInput = {};
  if (JSON.stringify(before.mapping) !== JSON.stringify(now.mapping)) changes.mapping = filled(Object.fromEntries(Object.entries(now.mapping).filter(([, field]) => field !== IGNORE)));
  const region = now.region.trim().toUpperCase();
  if (before.region !== region) changes.defaultRegion = region === "" ? null : region;
  if (before.update !== now.update) changes.update = now.update;
  if (before.removal !== now.removal) changes.removal = now.removal;
  if (before.every !== now.every) changes.everyMinutes = Number(now.every);
  const [source, text] = [now.source.trim(), now.text.trim()];
  if (before.source !== source || before.at !== now.at || before.text !== text) {
    const at = now.at === "" ? null : instantOf(now.at, zone);
    changes.evidence = source === "" ? null : { source, at, text: text === "" ? null : text, renewed: false };
  }
  return changes;
}

interface Props {
  id: string;
  source: Source;
  connector: Connector | undefined;
  /** What ends the step, and what follows it. */
  action: string;
  onDone: (hasChanged: boolean) => void;
}

export function FieldsStep({ id, source, connector, action, onDone }: Props) {
  const { t } = useLingui();
  const zone = useZone();
  const textOf = useProblemText();
  const regionName = useRegionName();
  const rules = useRuleNames();
  const update = useChange(Update);
  const [before] = useState(() => optionsOf(source, zone));
  const [now, setNow] = useState(before);
  const [problem, setProblem] = useState<Problem | null>(null);
  const set = (changes: Partial<Options>) => setNow((last) => ({ ...last, ...changes }));
  const fields = Object.values(now.mapping);
  const hasPhone = fields.includes("phone");
  const twice = claimedTwice(now.mapping);
  const consents = source.knownFields.filter(({ key }) => now.mapping[key] === "consent").map(({ label }) => label);
  const hasEvidence = now.source.trim() !== "";
  const region = now.region.trim();
  const isUnknownRegion = region !== "" && regionName(region) === undefined;
  const can = connector?.capabilities;
  const listed = connector?.settings.filter((each) => each.listed) ?? [];
  const [chosenBefore] = useState<Values>(() => shownOf(listed, source));
  const [chosen, setChosen] = useState(chosenBefore);
  const save = async () => {
    const settings = changedOf(chosenBefore, chosen);
    const input = { ...changesOf(before, now, zone), ...(Object.keys(settings).length === 0 ? {} : { settings }) };
    const hasChanged = Object.keys(input).length > 0;
    if (hasChanged) {
      const { problem: found } = await update.run({ id, input });
      setProblem(found);
      if (found !== null) return;
    }
    onDone(hasChanged);
  };
  const choicesOf = (names: Record<string, string>, value: string): Choice<string>[] => [
    ...Object.entries(names).map(([each, label]) => ({ value: each, label })),
    ...(value in names ? [] : [{ value, label: value }]),
  ];
  return (
    <div className="grid items-start gap-6 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
      {listed.length > 0 && (
        <Card title={t`What is synced`} className="xl:col-span-2">
          <div className="max-w-3xl">
            <SettingsForm settings={listed} values={chosen} onChange={setChosen} known={source.settingChoices} />
          </div>
        </Card>
      )}
      <Card title={t`Fields`}>
        {!hasPhone && (
          <div className="mb-4">
            <Callout tone="warn">{t`No field is known to hold phones. Say which one does.`}</Callout>
          </div>
        )}
        <FieldList source={source} mapping={now.mapping} twice={twice} onChange={(mapping) => set({ mapping })} />
      </Card>
      <div className="min-w-0 space-y-6">
        <Card title={t`How they agreed to be texted`}>
          <div className="space-y-4">
            {can?.reportsConsent === true && <Callout tone="info">{t`This service knows who agreed to texts. What it says is kept with its own time, source and wording.`}</Callout>}
            {!hasEvidence && consents.length === 0 && can?.reportsConsent !== true && (
              <Callout tone="warn">
                <Trans>Nobody is opted in by a sync alone: the contacts stay unknown, and campaigns skip them. Say where they agreed to texts, or choose the field that holds it. Subscribing to e-mails is not agreeing to texts.</Trans>
              </Callout>
            )}
            {consents.length > 0 && (
              <Callout tone="info">
                <Trans>Consent is read person by person from “{consents.join("”, “")}”.</Trans>
              </Callout>
            )}
            <EvidenceFields value={now} onChange={set} timeHint={t`The time of the sync, where it is left empty.`} />
            <p className="text-sm text-muted">
              <Trans>People who said STOP stay opted out, no matter what the service says. Unsubscribing from its e-mails opts nobody in or out.</Trans>
            </p>
          </div>
        </Card>
        <Card title={t`What holds for all`}>
          <div className="space-y-4">
            <Field
              label={t`Country of phones without +`}
              hint={regionName(region) ?? t`Two letters, such as US or BR. A field of countries goes before it.`}
              value={now.region}
              onChange={(next) => set({ region: next })}
              maxLength={2}
              error={isUnknownRegion && region.length === 2 ? t`There is no such country.` : undefined}
            />
            <Select label={t`Contacts that are there already`} choices={choicesOf(rules.update, now.update)} value={now.update} onChange={(next) => set({ update: next })} />
            <Select label={t`Who is no longer in the service`} hint={t`Their consent stays as it is either way.`} choices={choicesOf(rules.removal, now.removal)} value={now.removal} onChange={(next) => set({ removal: next })} />
            {can?.reads !== false && <Select label={t`How often it syncs`} choices={choicesOf(rules.every, now.every)} value={now.every} onChange={(next) => set({ every: next })} />}
          </div>
        </Card>
      </div>
      <div className="space-y-3 xl:col-span-2">
        {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
        <Button look="primary" isPending={update.isRunning} isDisabled={!hasPhone || twice.size > 0 || fields.includes(ATTRIBUTE) || lacksSource(now) || isUnknownRegion} onPress={() => void save()}>
          {action}
        </Button>
      </div>
    </div>
  );
}

function FieldList({ source, mapping, twice, onChange }: { source: Source; mapping: Mapping; twice: ReadonlySet<string>; onChange: (mapping: Mapping) => void }) {
  const { t } = useLingui();
  const names = useFieldNames();
  const choices: Choice<string>[] = [
    { value: IGNORE, label: t`Leave out` },
    ...FIELDS.map((each) => ({ value: each as string, label: names[each] })),
    { value: ATTRIBUTE, label: t`An attribute` },
  ];
  const types: Record<string, string> = { number: t`Numbers`, boolean: t`Yes or no`, date: t`Dates`, time: t`Times`, text: t`Text` };
  return (
    <ul className="divide-y divide-line">
      {source.knownFields.map(({ key, label, type }) => {
        const field = mapping[key] ?? IGNORE;
        const isAttribute = field.startsWith(ATTRIBUTE);
        const isTwice = twice.has(field);
        return (
          <li key={key} className="grid gap-x-4 gap-y-2 py-3 sm:grid-cols-[minmax(0,1fr)_minmax(0,15rem)]" data-field={key}>
            <div className="min-w-0">
              <p className="font-medium wrap-anywhere">{label}</p>
              <p className="text-sm text-muted">{types[type] ?? type}</p>
            </div>
            <div className="min-w-0 space-y-2">
              <Select
                label={t`What “${label}” is`}
                hideLabel
                choices={choices}
                value={isAttribute ? ATTRIBUTE : field}
                onChange={(next) => onChange({ ...mapping, [key]: next === ATTRIBUTE ? ATTRIBUTE + keyOf(label) : next })}
                error={isTwice && !isAttribute ? t`Only one field can be this.` : undefined}
              />
              {isAttribute && (
                <Field
                  label={t`Its key`}
                  value={field.slice(ATTRIBUTE.length)}
                  onChange={(next) => onChange({ ...mapping, [key]: ATTRIBUTE + next })}
                  maxLength={40}
                  error={field === ATTRIBUTE ? t`Name the attribute.` : isTwice ? t`Another field has this key.` : undefined}
                />
              )}
            </div>
          </li>
        );
      })}
    </ul>
  );
}
