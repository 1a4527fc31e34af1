import { useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useChange, useReadNow } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import { Button } from "@/ui/button";
import { byName } from "@/ui/byname";
import { Conflict, useVersioned } from "@/ui/conflict";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/fields";
import { Callout } from "@/ui/show";
import { useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";
import type { Contact } from "./contact";

const Update = graphql(`
  mutation EditContact($id: ID!, $input: UpdateContactInput!) {
    updateContact(id: $id, input: $input) {
      __typename
      ... on Contact { ...ContactFull warnings { code message } }
      ... on ConflictError { existingId }
      ... on Error { code message param }
    }
  }
`);

const Now = graphql(`
  query ContactNow($id: ID!) { contact(id: $id) { ...ContactFull } }
`);

/** The contact as the editor found it, against what stands there when it is saved. */
function useContact(contact: Contact) {
  const readNow = useReadNow();
  return useVersioned(contact, async () => (await readNow(Now, { id: contact.id }))?.contact ?? null);
}

const FIELDS = ["firstName", "lastName", "phone", "email", "timezone", "externalId"] as const;
type Name = (typeof FIELDS)[number];

export function DetailsDialog({ contact, onClose }: { contact: Contact; onClose: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const update = useChange(Update);
  const [values, setValues] = useState<Record<Name, string>>(() => Object.fromEntries(FIELDS.map((name) => [name, contact[name] ?? ""])) as Record<Name, string>);
  const [problem, setProblem] = useState<Problem | null>(null);
  const { base, theirs, isConflict, settle } = useContact(contact);
  const labels: Record<Name, string> = { firstName: t`First name`, lastName: t`Last name`, phone: t`Phone`, email: t`E-mail`, timezone: t`Time zone`, externalId: t`Your own id` };
  const at = problem?.param?.split(".").pop();
  const isMine = (name: Name) => values[name].trim() !== (base[name] ?? "");
  const save = async (version = base.version) => {
    const mine = FIELDS.filter(isMine);
    if (mine.length === 0) return onClose();
    const input = Object.fromEntries(mine.map((name) => [name, values[name].trim() || null]));
    const { done, problem: found } = await update.run({ id: contact.id, input: { ...input, version } as never });
    const isTheirs = await isConflict(found);
    setProblem(isTheirs ? null : found);
    if (done === null) return;
    const [warning] = done.warnings;
    toast(warning === undefined ? { text: t`Saved.` } : { text: warning.message, tone: "info" });
    onClose();
  };
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Edit details`}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look="primary" isPending={update.isRunning} onPress={() => void save()}>{t`Save`}</Button>
        </>
      }
    >
      <form
        className="grid gap-4 sm:grid-cols-2"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {theirs !== null && (
          <div className="sm:col-span-2">
            <Conflict
              differences={FIELDS.filter((name) => isMine(name) || (base[name] ?? "") !== (theirs[name] ?? "")).map((name) => ({ label: labels[name], mine: values[name], theirs: theirs[name] ?? "" }))}
              isPending={update.isRunning}
              onMine={() => void save(theirs.version)}
              onTheirs={() => {
                setValues(Object.fromEntries(FIELDS.map((name) => [name, theirs[name] ?? ""])) as Record<Name, string>);
                settle(theirs);
              }}
            />
          </div>
        )}
        {FIELDS.map((name) => (
          <Field
            key={name}
            label={labels[name]}
            value={values[name]}
            onChange={(next) => setValues({ ...values, [name]: next })}
            error={at === name ? textOf(problem!) : undefined}
            {...(name === "timezone" ? { hint: t`Such as America/New_York.` } : name === "phone" ? { type: "tel", hint: t`Consent belongs to a number: another one begins without.` } : {})}
          />
        ))}
        {problem !== null && !FIELDS.includes(at as Name) && (
          <div className="sm:col-span-2">
            <Callout tone="danger">{textOf(problem)}</Callout>
          </div>
        )}
        <button type="submit" hidden />
      </form>
    </Dialog>
  );
}

interface Row {
  key: number;
  name: string;
  value: string;
}

const valueOf = (text: string): string | number | boolean => {
  if (text === "true" || text === "false") return text === "true";
  return text !== "" && String(Number(text)) === text ? Number(text) : text;
};

const rowsOf = (attributes: Record<string, unknown>): Row[] => [...byName(attributes).map(([name, value], key) => ({ key, name, value: String(value) })), { key: -1, name: "", value: "" }];
const written = (attributes: Record<string, unknown>) => byName(attributes).map(([name, value]) => `${name}: ${String(value)}`).join(", ");

export function AttributesDialog({ contact, onClose }: { contact: Contact; onClose: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const update = useChange(Update);
  const { base, theirs, isConflict, settle } = useContact(contact);
  const before = base.attributes as Record<string, unknown>;
  const [rows, setRows] = useState<Row[]>(() => rowsOf(before));
  const [problem, setProblem] = useState<Problem | null>(null);
  const change = (key: number, changes: Partial<Row>) => setRows(rows.map((row) => (row.key === key ? { ...row, ...changes } : row)));
  const save = async (version = base.version) => {
    const attributes: Record<string, unknown> = {};
    const kept = rows.filter(({ name, value }) => name.trim() !== "" && value.trim() !== "");
    for (const name of Object.keys(before)) if (!kept.some((row) => row.name.trim() === name)) attributes[name] = null;
    for (const { name, value } of kept) if (String(before[name.trim()] ?? "") !== value.trim()) attributes[name.trim()] = valueOf(value.trim());
    if (Object.keys(attributes).length === 0) return onClose();
    const { done, problem: found } = await update.run({ id: contact.id, input: { attributes, version } });
    const isTheirs = await isConflict(found);
    setProblem(isTheirs ? null : found);
    if (done === null) return;
    toast({ text: t`Saved.` });
    onClose();
  };
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Edit attributes`}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look="primary" isPending={update.isRunning} onPress={() => void save()}>{t`Save`}</Button>
        </>
      }
    >
      <div className="space-y-3">
        {theirs !== null && (
          <Conflict
            differences={[{ label: t`Attributes`, mine: written(Object.fromEntries(rows.filter(({ name }) => name !== "").map(({ name, value }) => [name, value]))), theirs: written(theirs.attributes as Record<string, unknown>) }]}
            isPending={update.isRunning}
            onMine={() => void save(theirs.version)}
            onTheirs={() => {
              setRows(rowsOf(theirs.attributes as Record<string, unknown>));
              settle(theirs);
            }}
          />
        )}
        {rows.map(({ key, name, value }, index) => (
          <div key={key} role="group" aria-label={t`Attribute ${index + 1}`} className="grid grid-cols-[1fr_1fr_auto] items-end gap-2">
            <Field label={t`Name`} value={name} onChange={(next) => change(key, { name: next })} />
            <Field label={t`Value`} value={value} onChange={(next) => change(key, { value: next })} />
            <Button look="quiet" size="icon" icon="close" aria-label={t`Remove attribute ${index + 1}`} onPress={() => setRows(rows.filter((row) => row.key !== key))} />
          </div>
        ))}
        <Button size="small" icon="plus" onPress={() => setRows([...rows, { key: Math.max(0, ...rows.map((row) => row.key)) + 1, name: "", value: "" }])}>{t`Another attribute`}</Button>
        {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
      </div>
    </Dialog>
  );
}
