import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useChange, useFeed } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { SuppressionRowFragment } from "@/gql/graphql";
import { Button, ButtonLink } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/fields";
import { Callout, Card, PageHead, Time } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState, useProblemText } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { toast } from "@/ui/toast";
import { EvidenceDialog } from "./evidence";
import { SearchField, useMayWrite, useSourceName } from "./shared";

export const SuppressionRow = graphql(`
  fragment SuppressionRow on Suppression {
    id
    phone
    source
    createdAt
  }
`);
const SuppressionFeed = graphql(`
  query SuppressionRows($phone: String, $first: Int, $after: String) {
    suppressions(phone: $phone, first: $first, after: $after) {
      nodes { ...SuppressionRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const Add = graphql(`
  mutation PageSuppress($input: CreateSuppressionInput!) {
    createSuppression(input: $input) {
      __typename
      ... on Suppression { ...SuppressionRow }
      ... on Error { code message param }
    }
  }
`);
const Lift = graphql(`
  mutation PageLift($id: ID!, $optIn: OptInInput!) {
    liftSuppression(id: $id, optIn: $optIn) {
      __typename
      ... on Contact { id optIn { status source ip at } }
      ... on Error { code message param }
    }
  }
`);

// The service finds whole phones alone, and refuses a part of one.
const WHOLE = /^\+[1-9]\d{7,14}$/;

export function SuppressionsPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const sourceName = useSourceName();
  const { phone } = useSearch({ from: "/shell/suppressions" });
  const lift = useChange(Lift);
  const [isAdding, setAdding] = useState(false);
  const [lifted, setLifted] = useState<SuppressionRowFragment | null>(null);
  const feed = useFeed(SuppressionFeed, phone === undefined ? {} : { phone }, ({ suppressions }) => suppressions);
  const columns = useMemo<TableColumn<SuppressionRowFragment>[]>(
    () => [
      { id: "phone", header: t`Phone`, cell: (row) => <span className="font-medium tabular">{row.phone}</span>, text: (row) => row.phone },
      { id: "source", header: t`Why`, cell: ({ source }) => sourceName(source), text: ({ source }) => source, isUnder: true },
      { id: "since", header: t`Since`, cell: ({ createdAt }) => <Time at={createdAt} style="full" />, text: ({ createdAt }) => createdAt, className: "hidden sm:table-cell" },
      ...(mayWrite ? [{ id: "lift", header: t`Lift`, cell: (row: SuppressionRowFragment) => <Button size="small" aria-label={t`Lift ${row.phone}`} onPress={() => setLifted(row)}>{t`Lift`}</Button> }] : []),
    ],
    [t, mayWrite, sourceName],
  );
  const isFirst = feed.rows?.length === 0 && phone === undefined;
  const adding = mayWrite ? (
    <>
      <ButtonLink to="/exports/new" search={{ kind: "suppressions" }}>{t`Export`}</ButtonLink>
      <Button look="primary" icon="plus" onPress={() => setAdding(true)}>{t`Suppress a phone`}</Button>
    </>
  ) : undefined;
  return (
    <>
      <PageHead title={t`Suppressions`} lead={t`Phones that never get a message, even if they are on a list.`} actions={isFirst ? undefined : adding} />
      {!isFirst && (
        <div className="mb-4 max-w-xs">
          <SearchField label={t`The whole phone`} placeholder="+12125550142" value={phone ?? ""} onChange={(next) => (next === "" || WHOLE.test(next)) && void navigate({ to: "/suppressions", search: next === "" ? {} : { phone: next }, replace: true })} />
        </div>
      )}
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : feed.rows.length === 0 ? (
        isFirst ? (
          <Card>
            <EmptyState icon="suppression" title={t`No phone is suppressed`} action={adding}>
              <Trans>Contacts who reply STOP are added automatically. You can add other phones that must never be texted.</Trans>
            </EmptyState>
          </Card>
        ) : (
          <FilteredEmpty onClear={() => void navigate({ to: "/suppressions", search: {} })} />
        )
      ) : (
        <DataTable label={t`Suppressions`} rows={feed.rows} columns={columns} rowKey={({ id }) => id} totalCount={feed.totalCount} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="suppressions" />
      )}
      {isAdding && <Suppress onClose={() => setAdding(false)} />}
      {lifted !== null && (
        <EvidenceDialog
          isOpen
          isRenewal
          title={t`Lift ${lifted.phone}`}
          action={t`Lift`}
          isPending={lift.isRunning}
          onClose={() => setLifted(null)}
          onSave={async (optIn) => {
            const { problem } = await lift.run({ id: lifted.id, optIn });
            if (problem === null) toast({ text: t`Lifted. The evidence is kept.` });
            return problem;
          }}
        />
      )}
    </>
  );
}

function Suppress({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const add = useChange(Add);
  const [phone, setPhone] = useState("");
  const [source, setSource] = useState("manual");
  const [problem, setProblem] = useState<Problem | null>(null);
  const at = problem?.param?.split(".").pop();
  const save = async () => {
    const { problem: found } = await add.run({ input: { phone: phone.replace(/[\s().-]/g, ""), source: source.trim() } });
    setProblem(found);
    if (found !== null) return;
    toast({ text: t`Nothing more is sent to this phone.` });
    onClose();
  };
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Suppress a phone`}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look="primary" isDisabled={phone.trim() === "" || source.trim() === ""} isPending={add.isRunning} onPress={save}>{t`Suppress`}</Button>
        </>
      }
    >
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <Field label={t`Phone`} type="tel" hint={t`With + and the country, such as +12125550142.`} value={phone} onChange={setPhone} autoFocus error={at === "phone" ? textOf(problem!) : undefined} />
        <Field label={t`Why`} hint={t`Such as complaint or manual.`} value={source} onChange={setSource} error={at === "source" ? textOf(problem!) : undefined} />
        {problem !== null && at !== "phone" && at !== "source" && <Callout tone="danger">{textOf(problem)}</Callout>}
        <button type="submit" hidden />
      </form>
    </Dialog>
  );
}
