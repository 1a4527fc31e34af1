import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useChange } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { ExportKind } from "@/gql/graphql";
import { useLists, useMayWrite } from "@/pages/contacts/shared";
import { daysOf } from "@/pages/messages/filter";
import { Button, ButtonLink } from "@/ui/button";
import { Checkbox, Field, Select } from "@/ui/fields";
import { Callout, Card, Facts, PageHead, useZone } from "@/ui/show";
import { EmptyState, useProblemText } from "@/ui/states";
import { KINDS } from "./routes";
import { useKindNames } from "./shared";

const Create = graphql(`
  mutation PageCreateExport($input: CreateExportInput!) {
    createExport(input: $input) {
      __typename
      ... on Export { id }
      ... on Error { code message param }
    }
  }
`);

type Kind = (typeof KINDS)[number];

/** What of the address is a condition of each kind. */
const CONDITIONS: Record<Kind, readonly ("q" | "consent" | "list" | "segment" | "tag" | "unreachable" | "attribute" | "campaign")[]> = {
  contacts: ["q", "consent", "list", "segment", "tag", "unreachable", "attribute"],
  messages: ["q", "campaign"],
  campaign_results: ["campaign"],
  suppressions: [],
  ledger: [],
  events: [],
  conversions: ["campaign"],
};

export function NewExportPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const kinds = useKindNames();
  const textOf = useProblemText();
  const lists = useLists();
  const create = useChange(Create);
  const [problem, setProblem] = useState<Problem | null>(null);
  const search = useSearch({ from: "/shell/exports/new" });
  const zone = useZone();
  const { gzip, q, consent, list, segment, tag, unreachable, since, until, attribute, value, campaign } = search;
  const kind: Kind = search.kind ?? "contacts";
  const format: "csv" | "jsonl" = search.format ?? "csv";
  const go = (changes: Partial<typeof search>) => void navigate({ to: "/exports/new", search: { ...search, ...changes }, replace: true });
  const counts = new Set(CONDITIONS[kind]);
  const begin = async () => {
    setProblem(null);
    const { done, problem: found } = await create.run({
      input: {
        kind,
        format,
        gzip: gzip !== undefined,
        ...(counts.has("q") && q !== undefined ? { q } : {}),
        ...(counts.has("consent") && consent !== undefined ? { optInStatus: consent.toLowerCase() } : {}),
        ...(counts.has("list") && list !== undefined ? { listId: list } : {}),
        ...(counts.has("segment") && segment !== undefined ? { segmentId: segment } : {}),
        ...(counts.has("tag") && tag !== undefined ? { tag } : {}),
        ...(counts.has("unreachable") && unreachable !== undefined ? { unreachable: unreachable === "yes" } : {}),
        ...(counts.has("attribute") && attribute !== undefined && value !== undefined ? { attributes: { [attribute]: value } } : {}),
        ...daysOf(since, until, zone),
        ...(counts.has("campaign") && campaign !== undefined ? { campaignId: campaign } : {}),
      },
    });
    setProblem(found);
    if (done !== null) await navigate({ to: "/exports" });
  };
  return (
    <>
      <PageHead
        above={
          <Link to="/exports" className="mb-1 inline-block text-sm">
            {t`Exports`}
          </Link>
        }
        title={t`New export`}
        lead={t`All of the file is of the moment when it is begun.`}
      />
      {!mayWrite ? (
        <Card>
          <EmptyState icon="suppression" title={t`Your role reads only`} action={<ButtonLink to="/exports">{t`All exports`}</ButtonLink>}>
            <Trans>An owner, an admin or a member can export.</Trans>
          </EmptyState>
        </Card>
      ) : (
        <Card className="max-w-3xl">
          <div className="space-y-4">
            <div className="grid gap-4 sm:grid-cols-2">
              <Select label={t`What it holds`} choices={KINDS.map((each) => ({ value: each, label: kinds[each.toUpperCase() as ExportKind] }))} value={kind} onChange={(next) => go({ kind: next })} />
              <Select label={t`Format`} choices={[{ value: "csv", label: t`CSV, for spreadsheets` }, { value: "jsonl", label: t`JSON Lines, for programs` }]} value={format} onChange={(next) => go({ format: next })} />
            </div>
            {kind === "campaign_results" && <Field label={t`The id of the campaign`} value={campaign ?? ""} onChange={(next) => go({ campaign: next || undefined })} />}
            <Facts
              items={[
                counts.has("q") && q !== undefined && [t`Found by`, q],
                counts.has("consent") && consent !== undefined && [t`Consent`, consent.toLowerCase().replace("_", " ")],
                counts.has("list") && list !== undefined && [t`On the list`, lists.find(({ id }) => id === list)?.name ?? list],
                counts.has("segment") && segment !== undefined && [t`In the segment`, segment],
                counts.has("tag") && tag !== undefined && [t`With the tag`, tag],
                counts.has("unreachable") && unreachable !== undefined && [t`Number`, unreachable === "yes" ? t`Unreachable` : t`Reachable`],
                counts.has("attribute") && attribute !== undefined && value !== undefined && [attribute, value],
                since !== undefined && [t`Added from day`, since],
                until !== undefined && [t`Added to day`, until],
                kind === "messages" && campaign !== undefined && [t`Of the campaign`, campaign],
              ]}
            />
            <Checkbox isSelected={gzip !== undefined} onChange={(next) => go({ gzip: next ? "1" : undefined })} hint={t`A tenth of the size, for files of millions of rows.`}>{t`Compress it (.gz)`}</Checkbox>
            {problem !== null && <Callout tone="danger">{textOf(problem)}</Callout>}
            <Button look="primary" isPending={create.isRunning} onPress={() => void begin()}>{t`Export`}</Button>
          </div>
        </Card>
      )}
    </>
  );
}
