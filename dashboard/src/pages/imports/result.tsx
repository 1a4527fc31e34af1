// What came of the rows of a file, or would: counts that add up, consent, and the rows that cannot be taken.
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useClient } from "urql";
import { useData } from "@/api/hooks";
import { problemOf, type Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { ImportInvalidQuery } from "@/gql/graphql";
import { Share } from "@/ui/charts";
import { Button } from "@/ui/button";
import { CountsTable } from "@/ui/counts";
import { Callout, Card, Count, Facts, Time } from "@/ui/show";
import { Loading, ProblemState, useProblemText } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { toast } from "@/ui/toast";
import type { Counts, Import } from "./shared";

const Invalid = graphql(`
  query ImportInvalid($id: ID!, $after: Int) {
    contactImport(id: $id) {
      id
      rows(status: "invalid", after: $after, first: 100) {
        nodes { number line reason cells }
        hasMore
      }
    }
  }
`);
const InvalidFile = graphql(`
  query ImportInvalidFile($id: ID!, $after: Int) {
    contactImport(id: $id) {
      id
      invalidRows(after: $after) { fileName mediaType content hasMore last }
    }
  }
`);
const DoubleOptIn = graphql(`
  query ImportDoubleOptIn {
    workspace { id doubleOptIn }
  }
`);

type Row = NonNullable<ImportInvalidQuery["contactImport"]>["rows"]["nodes"][number];

/** The rows by what came of them; each is one of these, so that they add up. */
export function CountsCard({ counts, title, isExpected = false }: { counts: Counts; title: string; isExpected?: boolean }) {
  const { t } = useLingui();
  const parts = [
    { id: "created", name: t({ message: "Created", context: "counted" }), hint: t`Phones that no contact had`, value: counts.created, dot: "bg-good" },
    { id: "updated", name: t`Updated`, hint: t`Contacts that were there, changed`, value: counts.updated, dot: "bg-brand" },
    { id: "unchanged", name: t`Unchanged`, hint: t`Contacts that were so already`, value: counts.unchanged, dot: "bg-line-strong" },
    { id: "duplicate", name: t`Duplicates`, hint: t`The same phone as a row before, which they add to`, value: counts.duplicate, dot: "bg-info" },
    { id: "suppressed", name: t({ message: "Opted out", context: "counted" }), hint: t`They stay opted out`, value: counts.suppressed, dot: "bg-warn" },
    { id: "invalid", name: t`Invalid`, hint: t`Rows that cannot be taken`, value: counts.invalid, dot: "bg-danger" },
    { id: "remaining", name: isExpected ? t`Not looked at` : t`Not imported`, hint: t`Rows whose turn has not come`, value: counts.remaining, dot: "bg-line" },
  ];
  const sum = parts.reduce((all, { value }) => all + value, 0);
  const shown = parts.filter(({ id, value }) => id !== "remaining" || value > 0);
  return (
    <Card title={title}>
      <Share parts={shown} label={title} />
      <div className="mt-4">
        <CountsTable label={title} parts={shown} sum={{ id: "rows", name: t`Rows in the file`, value: counts.rows }} />
      </div>
      {counts.remaining === 0 && sum === counts.rows && counts.rows > 0 && <p className="mt-2 text-sm text-good">{t`Every row is accounted for.`}</p>}
      {sum !== counts.rows && <p className="mt-2 text-sm text-danger">{t`The counts do not add up. Tell us, with the import's id.`}</p>}
    </Card>
  );
}

/** What consent people will have, or have. */
export function ConsentCard({ row, isExpected = false }: { row: Import; isExpected?: boolean }) {
  const { t } = useLingui();
  const isDouble = useData(DoubleOptIn, {}, { pause: !isExpected }).data?.workspace?.doubleOptIn ?? false;
  const { evidence, counts } = row;
  const columns = row.columns.filter(({ field }) => field === "consent").map(({ name }) => name);
  const hasNone = evidence == null && columns.length === 0;
  return (
    <Card title={isExpected ? t`What their consent will be` : t`Their consent`}>
      <div className="space-y-4">
        {hasNone && (
          <Callout tone="warn">
            {isExpected ? (
              <Trans>There is no evidence: nobody is opted in. The contacts stay unknown, and campaigns skip them.</Trans>
            ) : (
              <Trans>There was no evidence: nobody was opted in. Campaigns skip contacts whose consent is unknown.</Trans>
            )}
          </Callout>
        )}
        {isExpected && !hasNone && (
          <Callout tone="good">
            {isDouble ? (
              <Trans>Those with evidence are asked to confirm by YES, as this workspace keeps double opt-in. Who opted in before stays so.</Trans>
            ) : (
              <Trans>Those with evidence are opted in. Who opted in before stays so.</Trans>
            )}
          </Callout>
        )}
        <Facts
          items={[
            evidence != null && [t`Evidence for all`, <span key="all" className="wrap-anywhere">{evidence.source}{evidence.at != null && <>, <Time at={evidence.at} style="full" /></>}</span>],
            evidence?.text != null && [t`In these words`, <span key="words" className="wrap-anywhere">{evidence.text}</span>],
            columns.length > 0 && [t`Row by row, from`, columns.join(", ")],
            !isExpected && [t({ message: "Opted in", context: "counted" }), <Count key="in" value={counts.optedIn} />],
            !isExpected && counts.pending > 0 && [t`Asked to confirm`, <Count key="pending" value={counts.pending} />],
            counts.withoutOptIn > 0 && [t`Left before, so not opted in`, <Count key="without" value={counts.withoutOptIn} />],
            counts.suppressed > 0 && [t`Said STOP, and stay opted out`, <Count key="stop" value={counts.suppressed} />],
            !isExpected && row.listId != null && [t`Put on the list`, <Count key="list" value={counts.addedToList} />],
          ]}
        />
      </div>
    </Card>
  );
}

/** The rows that cannot be taken, with the reasons, and as the file that they came from. */
export function InvalidRows({ row }: { row: Import }) {
  const { t } = useLingui();
  const client = useClient();
  const textOf = useProblemText();
  const [rows, setRows] = useState<readonly Row[] | null>(null);
  const [hasMore, setMore] = useState(false);
  const [isLoading, setLoading] = useState(false);
  const [isSaving, setSaving] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const { id, counts } = row;
  const load = useCallback(
    async (after: number) => {
      setLoading(true);
      const { data, error } = await client.query(Invalid, { id, after }, { requestPolicy: "network-only" }).toPromise();
      setLoading(false);
      setProblem(error === undefined ? null : problemOf(error));
      const found = data?.contactImport?.rows;
      if (found === undefined) return;
      setRows((before) => [...(after === 0 ? [] : (before ?? [])), ...found.nodes]);
      setMore(found.hasMore);
    },
    [client, id],
  );
  useEffect(() => {
    if (counts.invalid > 0) void load(0);
  }, [counts.invalid, load]);
  const columns = useMemo<TableColumn<Row>[]>(
    () => [
      { id: "line", header: t`Line`, cell: ({ line }) => <span className="tabular">{line}</span> },
      {
        id: "reason",
        header: t`Why`,
        cell: ({ reason, cells }) => (
          <span className="block max-w-56 sm:max-w-none sm:min-w-40">
            {reason}
            <span className="block truncate text-sm text-muted sm:hidden">{cells?.filter(Boolean).join(" · ")}</span>
          </span>
        ),
      },
      { id: "cells", header: t`Row`, cell: ({ cells }) => <span className="block max-w-md truncate text-muted" title={cells?.join(" · ")}>{cells?.filter(Boolean).join(" · ")}</span>, className: "hidden sm:table-cell" },
    ],
    [t],
  );
  if (counts.invalid === 0) return null;
  const read = (after: number) => client.query(InvalidFile, { id, after }, { requestPolicy: "network-only" }).toPromise();
  const save = async () => {
    setSaving(true);
    const parts: string[] = [];
    let name = "invalid.csv";
    let type = "text/csv";
    let after: number | null = 0;
    while (after !== null) {
      const { data, error } = await read(after);
      const file = data?.contactImport?.invalidRows;
      if (file === undefined) {
        setSaving(false);
        return toast({ text: error === undefined ? t`The rows are gone: they are kept for seven days.` : textOf(problemOf(error)), tone: "danger" });
      }
      parts.push(file.content);
      name = file.fileName;
      type = file.mediaType;
      after = file.hasMore ? (file.last ?? null) : null;
    }
    setSaving(false);
    const url = URL.createObjectURL(new Blob(["\ufeff", ...parts], { type }));
    Object.assign(document.createElement("a"), { href: url, download: name }).click();
    URL.revokeObjectURL(url);
  };
  return (
    <Card title={<Plural value={counts.invalid} one="# row cannot be taken" other="# rows cannot be taken" />} tools={<Button size="small" isPending={isSaving} onPress={save}>{t`Download the faulty rows`}</Button>}>
      <p className="mb-4 text-sm text-muted">
        <Trans>The file holds them as they came, with the reason beside each. Mend them there, and import that file.</Trans>
      </p>
      {problem !== null && rows === null ? (
        <ProblemState problem={problem} onRetry={() => void load(0)} />
      ) : rows === null ? (
        <Loading rows={3} />
      ) : rows.length === 0 ? (
        <p className="text-muted">{t`The rows are gone: they are kept for seven days.`}</p>
      ) : (
        <DataTable label={t`Invalid rows`} rows={rows} columns={columns} rowKey={({ number }) => String(number)} totalCount={counts.invalid} hasMore={hasMore} onMore={() => void load(rows.at(-1)!.number)} isLoading={isLoading} />
      )}
    </Card>
  );
}
