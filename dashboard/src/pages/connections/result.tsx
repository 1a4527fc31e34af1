// What came of a sync, or would: counts, the first people, and those who could not be read.
import { Trans, useLingui } from "@lingui/react/macro";
import { useMemo } from "react";
import { CountsTable } from "@/ui/counts";
import { Callout, Card } from "@/ui/show";
import { DataTable, type TableColumn } from "@/ui/table";
import type { Sync } from "./shared";

type Sample = Sync["samples"][number] & { number: number };
type Trouble = Sync["problems"][number];

export function CountsCard({ sync, title }: { sync: Sync; title: string }) {
  const { t } = useLingui();
  const { counts } = sync;
  const parts = [
    { id: "created", name: t({ message: "Created", context: "counted" }), hint: t`Phones that no contact had`, value: counts.created },
    { id: "updated", name: t`Updated`, hint: t`Contacts that were there, changed`, value: counts.updated },
    { id: "unchanged", name: t`Unchanged`, hint: t`People who are as they were`, value: counts.unchanged },
    { id: "duplicate", name: t`Duplicates`, hint: t`Another person there has the same phone`, value: counts.duplicate },
    { id: "suppressed", name: t({ message: "Opted out", context: "counted" }), hint: t`They stay opted out`, value: counts.suppressed },
    { id: "erased", name: t({ message: "Left out", context: "counted" }), hint: t`They were erased here`, value: counts.erased },
    { id: "invalid", name: t`Invalid`, hint: t`People without a valid phone`, value: counts.invalid },
  ].filter(({ id, value }) => id !== "erased" || value > 0);
  const more = [
    { id: "addedToList", name: t`Put on the list`, value: counts.addedToList },
    { id: "removedFromList", name: t`Taken off the list`, value: counts.removedFromList },
    { id: "optedIn", name: t({ message: "Opted in", context: "counted" }), value: counts.optedIn },
    { id: "pending", name: t`Asked to confirm`, value: counts.pending },
  ].filter(({ value }) => value > 0);
  return (
    <Card title={title}>
      <CountsTable label={title} parts={parts} sum={{ id: "people", name: t`People who were read`, value: counts.people }} more={more} />
    </Card>
  );
}

/** What becomes of a person, as a sync says it. */
function useOutcomes(): Record<string, string> {
  const { t } = useLingui();
  return { created: t({ message: "Created", context: "counted" }), updated: t`Updated`, unchanged: t`Unchanged`, duplicate: t`Duplicate`, suppressed: t`Stays opted out`, invalid: t`Invalid`, erased: t({ message: "Left out", context: "counted" }) };
}

export function SamplesCard({ sync }: { sync: Sync }) {
  const { t } = useLingui();
  const outcomes = useOutcomes();
  const rows = useMemo(() => sync.samples.map((each, number) => ({ ...each, number })), [sync.samples]);
  const columns = useMemo<TableColumn<Sample>[]>(
    () => [
      { id: "phone", header: t`Phone`, cell: ({ phone }) => <span className="whitespace-nowrap tabular">{phone ?? "–"}</span> },
      { id: "name", header: t`Name`, cell: ({ firstName, lastName }) => [firstName, lastName].filter(Boolean).join(" ") || "–", className: "hidden sm:table-cell" },
      { id: "email", header: t`E-mail`, cell: ({ email }) => <span className="block max-w-48 truncate">{email ?? "–"}</span>, className: "hidden md:table-cell" },
      { id: "outcome", header: t`What would come of it`, cell: ({ status }) => outcomes[status] ?? status },
    ],
    [t, outcomes],
  );
  if (rows.length === 0) return null;
  return (
    <Card title={t`The first people`}>
      <DataTable label={t`The first people`} rows={rows} columns={columns} rowKey={({ number }) => String(number)} />
    </Card>
  );
}

export function TroublesCard({ sync }: { sync: Sync }) {
  const { t } = useLingui();
  const columns = useMemo<TableColumn<Trouble>[]>(
    () => [
      { id: "id", header: t`Their id there`, cell: ({ externalId }) => <span className="block max-w-40 truncate sm:max-w-72">{externalId}</span> },
      { id: "reason", header: t`Why`, cell: ({ reason }) => reason },
    ],
    [t],
  );
  if (sync.problems.length === 0) return null;
  return (
    <Card title={t`People who could not be read`}>
      <DataTable label={t`People who could not be read`} rows={sync.problems} columns={columns} rowKey={({ externalId }) => externalId} />
    </Card>
  );
}

/** What consent becomes of a first sync. */
export function ConsentNote({ sync, hasEvidence }: { sync: Sync; hasEvidence: boolean }) {
  const { counts } = sync;
  if (counts.optedIn > 0 || counts.pending > 0 || hasEvidence)
    return (
      <Callout tone="info">
        <Trans>Those with evidence are opted in, and who opted in before stays so. Nobody who said STOP is opted in.</Trans>
      </Callout>
    );
  return (
    <Callout tone="warn">
      <Trans>Nobody is opted in by this: new contacts stay unknown, and campaigns skip them until they agree.</Trans>
    </Callout>
  );
}
