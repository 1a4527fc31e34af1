// Which column is what, and what holds for the whole file.
import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useChange, useData } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import { instantOf, localOf } from "@/pages/campaigns/times";
import { Button } from "@/ui/button";
import { useFieldNames, useRegionName } from "@/ui/contactfields";
import { EvidenceFields, lacksSource } from "@/ui/evidence";
import { Field, Select, type Choice } from "@/ui/fields";
import { timesOf } from "@/ui/formats";
import { Badge, Callout, Card, Facts, useZone } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { ATTRIBUTE, changesOf, claimedTwice, FIELDS, IGNORE, keyOf, mappingOf, type Mapping, type Options } from "./mapping";
import { useBytes, type Import } from "./shared";

const Update = graphql(`
  mutation PageUpdateImport($id: ID!, $input: UpdateImportInput!) {
    updateImport(id: $id, input: $input) {
      __typename
      ... on ContactImport { ...ImportFull }
      ... on Error { code message param }
    }
  }
`);
const Lists = graphql(`
  query ImportLists {
    contactLists(first: 100) { nodes { id name kind } }
  }
`);

const CreateList = graphql(`
  mutation ImportCreateList($name: String!) {
    createList(name: $name) {
      __typename
      ... on ContactList { id name kind }
      ... on Error { code message param }
    }
  }
`);

const NONE = "-";
const NEW = "new";
const STATIC = "static";

const fieldOf = (problem: Problem | null) => (problem?.param ?? "").split(".").pop()?.replaceAll("_", "").toLowerCase();

export function ColumnsStep({ row }: { row: Import }) {
  const { t, i18n } = useLingui();
  const zone = useZone();
  const navigate = useNavigate();
  const textOf = useProblemText();
  const regionName = useRegionName();
  const update = useChange(Update);
  const createList = useChange(CreateList);
  const known = useData(Lists, {}).data?.contactLists.nodes.filter(({ id, kind }) => kind === STATIC || id === row.listId);
  const lists = known ?? [];
  // Campaigns go to lists: where there is none yet, the people of the file make the first.
  const [isChosen, setChosen] = useState(false);
  const [isNew, setNew] = useState(false);
  const makesList = isChosen ? isNew : known?.length === 0;
  const [listName, setListName] = useState(() => {
    const day = timesOf(i18n.locale, { day: "numeric", month: "long", timeZone: zone }).format(new Date());
    return t`Contacts of ${day}`;
  });
  const [before] = useState<Options>(() => ({
    mapping: mappingOf(row.columns),
    listId: row.listId ?? null,
    region: row.defaultRegion ?? "",
    update: row.update,
    source: row.evidence?.source ?? "",
    at: row.evidence?.at == null ? "" : localOf(row.evidence.at, zone),
    text: row.evidence?.text ?? "",
  }));
  const [now, setNow] = useState(before);
  const [problem, setProblem] = useState<Problem | null>(null);
  const set = (changes: Partial<Options>) => setNow((last) => ({ ...last, ...changes }));
  const fields = Object.values(now.mapping);
  const hasPhone = fields.includes("phone");
  const twice = claimedTwice(now.mapping);
  const hasUnnamed = fields.includes(ATTRIBUTE);
  const consents = row.columns.filter(({ key }) => now.mapping[key] === "consent").map(({ name }) => name);
  const hasEvidence = now.source.trim() !== "";
  const region = now.region.trim();
  const isUnknownRegion = region !== "" && regionName(region) === undefined;
  const at = fieldOf(problem);
  const check = async () => {
    let asked = now;
    if (makesList) {
      const { done, problem: found } = await createList.run({ name: listName.trim() });
      setProblem(found);
      if (done === null) return;
      asked = { ...now, listId: done.id };
      // Who comes back to this finds it chosen, and makes no other.
      setNow(asked);
      setChosen(true);
      setNew(false);
    }
    const input = changesOf(before, asked, row, (local) => instantOf(local, zone));
    if (Object.keys(input).length > 0) {
      const { problem: found } = await update.run({ id: row.id, input });
      setProblem(found);
      if (found !== null) return;
    }
    await navigate({ to: "/imports/$id", params: { id: row.id }, search: { step: "check" } });
  };
  const errorOf = (name: string) => (problem !== null && at === name ? textOf(problem) : undefined);
  const isPlaced = ["source", "at", "text", "defaultregion"].includes(at ?? "") || (makesList && at === "name");
  return (
    <div className="grid items-start gap-6 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
      <div className="min-w-0 space-y-6">
        <Card title={t`Columns`} tools={<FileFacts row={row} />}>
          {!hasPhone && (
            <div className="mb-4">
              <Callout tone="warn">{t`No column is known to hold phones. Say which one does.`}</Callout>
            </div>
          )}
          <ColumnList row={row} mapping={now.mapping} twice={twice} onChange={(mapping) => set({ mapping })} />
        </Card>
      </div>
      <div className="min-w-0 space-y-6">
        <Card title={t`How they agreed to be texted`}>
          <div className="space-y-4">
            {!hasEvidence && consents.length === 0 && (
              <Callout tone="warn">
                <Trans>Without evidence nobody is opted in: the contacts stay unknown, and campaigns skip them. Say where they agreed, or choose the column that holds their consent to texts. Consent to e-mail is not consent to texts.</Trans>
              </Callout>
            )}
            {consents.length > 0 && (
              <Callout tone="info">
                <Trans>Consent is read row by row from “{consents.join("”, “")}”. The title is kept as what each person agreed to.</Trans>
              </Callout>
            )}
            <EvidenceFields value={now} onChange={set} timeHint={t`The time of the import, where it is left empty.`} errorOf={errorOf} />
            <p className="text-sm text-muted">
              <Trans>Who said STOP stays opted out, and who left (unsubscribed, canceled, bounced) is not opted in.</Trans>
            </p>
          </div>
        </Card>
        <Card title={t`What holds for the file`}>
          <div className="space-y-4">
            <Select
              label={t`Put them on a list`}
              choices={[{ value: NONE, label: t`No list` }, { value: NEW, label: t`A new list` }, ...lists.map(({ id, name }) => ({ value: id, label: name }))]}
              value={makesList ? NEW : (now.listId ?? NONE)}
              onChange={(next) => {
                setChosen(true);
                setNew(next === NEW);
                set({ listId: next === NONE || next === NEW ? null : next });
              }}
            />
            {makesList && <Field label={t`Name of the new list`} value={listName} onChange={setListName} maxLength={200} error={errorOf("name")} />}
            <Field
              label={t`Country of phones without +`}
              hint={regionName(region) ?? t`Two letters, such as US or BR. A column of countries goes before it.`}
              value={now.region}
              onChange={(next) => set({ region: next })}
              maxLength={2}
              error={errorOf("defaultregion") ?? (isUnknownRegion && region.length === 2 ? t`There is no such country.` : undefined)}
            />
            <Select
              label={t`Contacts that are there already`}
              choices={[
                { value: "overwrite", label: t`Change what the row says` },
                { value: "fill", label: t`Fill only what is blank` },
                { value: "skip", label: t`Leave as they are` },
              ]}
              value={now.update}
              onChange={(next) => set({ update: next })}
            />
          </div>
        </Card>
      </div>
      <div className="space-y-3 xl:col-span-2">
        {problem !== null && !isPlaced && <Callout tone="danger">{textOf(problem)}</Callout>}
        <Button look="primary" isPending={update.isRunning || createList.isRunning} isDisabled={(makesList && listName.trim() === "") || !hasPhone || twice.size > 0 || hasUnnamed || lacksSource(now) || isUnknownRegion} onPress={check}>{t`See what would come of it`}</Button>
      </div>
    </div>
  );
}

function FileFacts({ row: { fileKind, encoding, delimiter, fileSize } }: { row: Import }) {
  const { t } = useLingui();
  const bytes = useBytes();
  const names: Record<string, string> = { ",": t`comma`, ";": t`semicolon`, "\t": t`tab`, "|": t`vertical bar` };
  const parts = [fileKind === "xlsx" ? "Excel" : "CSV", encoding?.toUpperCase(), delimiter == null ? null : (names[delimiter] ?? delimiter), bytes(fileSize)];
  return (
    <ul aria-label={t`The file`} className="flex flex-wrap gap-1.5">
      {parts.map((part) => part != null && <li key={part}><Badge>{part}</Badge></li>)}
    </ul>
  );
}

function ColumnList({ row, mapping, twice, onChange }: { row: Import; mapping: Mapping; twice: ReadonlySet<string>; onChange: (mapping: Mapping) => void }) {
  const { t } = useLingui();
  const names = useFieldNames();
  const choices: Choice<string>[] = [
    { value: IGNORE, label: t`Leave out` },
    ...FIELDS.map((each) => ({ value: each as string, label: names[each] })),
    { value: ATTRIBUTE, label: t`An attribute` },
  ];
  const types: Record<string, string> = { integer: t`Numbers`, number: t`Numbers`, boolean: t`Yes or no`, date: t`Dates`, time: t`Times`, text: t`Text` };
  return (
    <ul className="divide-y divide-line">
      {row.columns.map(({ key, name, samples, type }) => {
        const field = mapping[key] ?? IGNORE;
        const isAttribute = field.startsWith(ATTRIBUTE);
        const isTwice = twice.has(field);
        const called = name === "" ? t`(no title)` : name;
        return (
          <li key={key} className="grid gap-x-4 gap-y-2 py-3 sm:grid-cols-[minmax(0,1fr)_minmax(0,15rem)]" data-column={name}>
            <div className="min-w-0">
              <p className="font-medium wrap-anywhere">{called}</p>
              <p className="truncate text-sm text-muted" title={samples.join(" · ")}>
                {samples.length === 0 ? t`blank in the first rows` : samples.join(" · ")}
              </p>
            </div>
            <div className="min-w-0 space-y-2">
              <Select
                label={t`What “${called}” is`}
                hideLabel
                choices={choices}
                value={isAttribute ? ATTRIBUTE : field}
                onChange={(next) => onChange({ ...mapping, [key]: next === ATTRIBUTE ? ATTRIBUTE + keyOf(name) : next })}
                error={isTwice && !isAttribute ? t`Only one column can be this.` : undefined}
              />
              {isAttribute && (
                <Field
                  label={t`Its key`}
                  hint={types[type] ?? type}
                  value={field.slice(ATTRIBUTE.length)}
                  onChange={(next) => onChange({ ...mapping, [key]: ATTRIBUTE + next })}
                  maxLength={40}
                  error={field === ATTRIBUTE ? t`Name the attribute.` : isTwice ? t`Another column has this key.` : undefined}
                />
              )}
            </div>
          </li>
        );
      })}
    </ul>
  );
}

/** What holds for a file, in words. */
export function OptionFacts({ row }: { row: Import }) {
  const { t } = useLingui();
  const regionName = useRegionName();
  const lists = useData(Lists, {}, { pause: row.listId == null }).data?.contactLists.nodes ?? [];
  const rules: Record<string, string> = { overwrite: t`Change what the row says`, fill: t`Fill only what is blank`, skip: t`Leave as they are` };
  return (
    <Facts
      items={[
        [t`List`, row.listId == null ? t`No list` : (lists.find(({ id }) => id === row.listId)?.name ?? row.listId)],
        [t`Country of phones without +`, row.defaultRegion == null ? "–" : (regionName(row.defaultRegion) ?? row.defaultRegion)],
        [t`Contacts that are there already`, rules[row.update] ?? row.update],
      ]}
    />
  );
}
