import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useMemo, useState } from "react";
import { useChange } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { ImportContactsInput, ImportRowsMutation } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Select, TextArea } from "@/ui/fields";
import { Callout, Count, Facts } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { MAX_ROWS, readSheet, type Sheet } from "./csv";
import { nameOf, useLists } from "./shared";

const Import = graphql(`
  mutation ImportRows($input: ImportContactsInput!) {
    importContacts(input: $input) {
      __typename
      ... on ContactsImported {
        created
        updated
        unchanged
        duplicates
        addedToList
        optedIn
        pending
        optedOut
        invalid { index code message param }
      }
      ... on Error { code message param }
    }
  }
`);

type Report = Extract<ImportRowsMutation["importContacts"], { __typename: "ContactsImported" }>;

const NONE = "-";
const SHOWN = 5;

export function ImportDialog({ list, onClose }: { list?: string | undefined; onClose: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const lists = useLists();
  const run = useChange(Import);
  const [text, setText] = useState("");
  const [listId, setListId] = useState(list ?? NONE);
  const [source, setSource] = useState("");
  const [region, setRegion] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [report, setReport] = useState<Report | null>(null);
  const sheet = useMemo(() => readSheet(text), [text]);
  const count = sheet.rows.length;
  const isTooMany = count > MAX_ROWS;
  const save = async () => {
    const input: ImportContactsInput = { contacts: sheet.rows.map(({ contact }) => contact) };
    if (listId !== NONE) input.listId = listId;
    if (source.trim() !== "") input.optIn = { source: source.trim(), renewed: false };
    if (region.trim() !== "") input.defaultRegion = region.trim().toUpperCase();
    const { done, problem: found } = await run.run({ input });
    setProblem(found);
    if (done !== null) setReport(done);
  };
  if (report !== null)
    return (
      <Dialog isOpen isWide onClose={onClose} title={t`What came of the import`} actions={<Button look="primary" onPress={onClose}>{t`Done`}</Button>}>
        <ReportView report={report} sheet={sheet} />
      </Dialog>
    );
  return (
    <Dialog
      isOpen
      isWide
      onClose={onClose}
      title={t`Import contacts`}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look="primary" isDisabled={count === 0 || isTooMany || !sheet.hasPhones} isPending={run.isRunning} onPress={save}>
            {count === 0 ? t`Import` : <Plural value={count} one="Import # contact" other="Import # contacts" />}
          </Button>
        </>
      }
    >
      <div className="space-y-4">
        <label className="block text-sm">
          <span className="mb-1 block font-medium">{t`CSV file`}</span>
          <input
            type="file"
            accept=".csv,.tsv,.txt,text/csv,text/plain"
            className="field file:mr-3 file:rounded-md file:border-0 file:bg-brand-soft file:px-3 file:py-1 file:text-brand"
            onChange={async (event) => {
              const [file] = event.target.files ?? [];
              if (file !== undefined) setText(await file.text());
            }}
          />
        </label>
        <TextArea
          label={t`Or paste rows`}
          hint={t`At most ${MAX_ROWS}. The first row may name the columns; those of other names become attributes.`}
          placeholder={"phone,first name,email,plan\n+12125550142,Ana,ana@example.com,gold"}
          value={text}
          onChange={setText}
          rows={5}
        />
        {count > 0 && !sheet.hasPhones && <Callout tone="warn">{t`No column holds phones. Name one of them “phone”.`}</Callout>}
        {isTooMany && (
          <Callout tone="warn">
            <Trans>
              These are <Count value={count} /> rows; at most {MAX_ROWS} go at once. Split them and import one part after the other.
            </Trans>
          </Callout>
        )}
        {count > 0 && sheet.hasPhones && <Sample sheet={sheet} />}
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label={t`Where they agreed to be texted`} hint={t`Kept with each of them. Left empty, the consent is unknown.`} value={source} onChange={setSource} />
          <Select label={t`Put them on a list`} choices={[{ value: NONE, label: t`No list` }, ...lists.map(({ id, name }) => ({ value: id, label: name }))]} value={listId} onChange={setListId} />
          <Field label={t`Country of phones without +`} hint={t`Two letters, such as US or BR.`} value={region} onChange={setRegion} maxLength={2} />
        </div>
        {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
      </div>
    </Dialog>
  );
}

function Sample({ sheet: { rows } }: { sheet: Sheet }) {
  const { t } = useLingui();
  return (
    <div className="overflow-x-auto rounded-xl border border-line">
      <table className="w-full text-left text-sm" aria-label={t`The first rows, as they are read`}>
        <thead className="bg-sunken text-muted">
          <tr>
            {[t`Phone`, t`Name`, t`E-mail`, t`Attributes`].map((each) => (
              <th key={each} scope="col" className="px-3 py-2 font-medium">
                {each}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, SHOWN).map(({ line, contact }) => (
            <tr key={line} className="border-t border-line">
              <td className="px-3 py-1.5 whitespace-nowrap tabular">{contact.phone || "–"}</td>
              <td className="px-3 py-1.5">{nameOf(contact)}</td>
              <td className="px-3 py-1.5">{contact.email}</td>
              <td className="px-3 py-1.5 text-muted">
                {Object.entries((contact.attributes ?? {}) as Record<string, unknown>)
                  .map(([name, value]) => `${name}: ${String(value)}`)
                  .join(", ")}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ReportView({ report, sheet }: { report: Report; sheet: Sheet }) {
  const { t } = useLingui();
  const taken = report.created + report.updated + report.unchanged;
  const line = (label: string, value: number, isAlways = false) => (value > 0 || isAlways) && ([label, <Count key={label} value={value} />] as const);
  return (
    <div className="space-y-4">
      <Callout tone={report.invalid.length === 0 ? "good" : "warn"}>
        {report.invalid.length === 0 ? <Trans>All rows were taken.</Trans> : <Plural value={report.invalid.length} one="# row was not taken." other="# rows were not taken." />} <Plural value={taken} one="# contact is in." other="# contacts are in." />
      </Callout>
      <Facts
        items={[
          line(t`Created`, report.created, true),
          line(t`Updated`, report.updated, true),
          line(t`As they were`, report.unchanged),
          line(t`The same phone twice`, report.duplicates),
          line(t`Put on the list`, report.addedToList),
          line(t`Opted in`, report.optedIn),
          line(t`Asked to confirm`, report.pending),
          line(t`Had opted out, and stay so`, report.optedOut),
          line(t`Invalid`, report.invalid.length, true),
        ]}
      />
      {report.invalid.length > 0 && (
        <div className="max-h-72 overflow-auto rounded-xl border border-line" tabIndex={0} role="region" aria-label={t`Invalid rows`}>
          <table className="w-full text-left text-sm" aria-label={t`Invalid rows`}>
            <thead className="bg-sunken text-muted">
              <tr>
                {[t`Line`, t`Phone`, t`Why`].map((each) => (
                  <th key={each} scope="col" className="px-3 py-2 font-medium">
                    {each}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {report.invalid.map(({ index, param, message }) => (
                <tr key={`${index}${param}`} className="border-t border-line">
                  <td className="px-3 py-1.5 tabular">{sheet.rows[index]?.line ?? index + 1}</td>
                  <td className="px-3 py-1.5 tabular">{sheet.rows[index]?.contact.phone}</td>
                  <td className="px-3 py-1.5">{message}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
