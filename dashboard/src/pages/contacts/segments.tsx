import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { useChange, useData, useFeed, useReadNow } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { SegmentRowFragment } from "@/gql/graphql";
import { Button, ButtonLink } from "@/ui/button";
import { Conflict, useVersioned } from "@/ui/conflict";
import { Confirm } from "@/ui/dialog";
import { Field } from "@/ui/fields";
import { Callout, Card, CopyId, Count, PageHead, Time } from "@/ui/show";
import { EmptyState, Loading, ProblemState, States, useProblemText } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { toast } from "@/ui/toast";
import { GroupEditor } from "./conditions";
import { newComparison, newGroup, readFilter, writeFilter, type Fields, type Filter, type Group } from "./filter";
import { ContactTable } from "./list";
import { useMayWrite, useTell } from "./shared";

export const SegmentRow = graphql(`
  fragment SegmentRow on Segment {
    id
    name
    filter
    contactCount
    createdAt
    updatedAt
    version
  }
`);
const SegmentFeed = graphql(`
  query SegmentRows($first: Int, $after: String) {
    segments(first: $first, after: $after) {
      nodes { ...SegmentRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const SegmentData = graphql(`
  query SegmentPage($id: ID!) {
    segment(id: $id) { ...SegmentRow }
    segmentFields { field type ops values }
  }
`);
const FieldData = graphql(`
  query SegmentEditorFields {
    segmentFields { field type ops values }
  }
`);
const Preview = graphql(`
  query SegmentCount($filter: JSONObject!) {
    segmentPreview(filter: $filter)
  }
`);
const MemberFeed = graphql(`
  query SegmentMemberRows($id: ID!, $first: Int, $after: String) {
    segment(id: $id) {
      id
      members(first: $first, after: $after) {
        nodes { ...ContactRow }
        pageInfo { hasNextPage endCursor }
        totalCount
      }
    }
  }
`);
const Create = graphql(`
  mutation PageCreateSegment($name: String!, $filter: JSONObject!) {
    createSegment(name: $name, filter: $filter) {
      __typename
      ... on Segment { ...SegmentRow }
      ... on Error { code message param }
    }
  }
`);
const Update = graphql(`
  mutation PageUpdateSegment($id: ID!, $name: String!, $filter: JSONObject!, $version: String) {
    updateSegment(id: $id, name: $name, filter: $filter, version: $version) {
      __typename
      ... on Segment { ...SegmentRow }
      ... on Error { code message param }
    }
  }
`);
const Delete = graphql(`
  mutation PageDeleteSegment($id: ID!) {
    deleteSegment(id: $id) {
      __typename
      ... on Deleted { deletedId }
      ... on Error { code message }
    }
  }
`);

const Now = graphql(`
  query SegmentNow($id: ID!) { segment(id: $id) { ...SegmentRow } }
`);

const NOTHING = { nodes: [], pageInfo: { hasNextPage: false, endCursor: null }, totalCount: 0 };
const PAUSE_MS = 400;

export function SegmentsPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const feed = useFeed(SegmentFeed, {}, ({ segments }) => segments);
  const columns = useMemo<TableColumn<SegmentRowFragment>[]>(
    () => [
      {
        id: "name",
        header: t`Name`,
        cell: ({ id, name }) => (
          <Link to="/segments/$id" params={{ id }} className="block max-w-44 truncate font-medium text-text no-underline hover:underline sm:max-w-md">
            {name}
          </Link>
        ),
        text: ({ name }) => name,
      },
      { id: "contacts", header: t`Contacts now`, cell: ({ contactCount }) => <Count value={contactCount} />, text: ({ contactCount }) => contactCount, isNumber: true },
      { id: "changed", header: t`Changed`, cell: ({ updatedAt }) => <Time at={updatedAt} style="day" />, text: ({ updatedAt }) => updatedAt, className: "hidden sm:table-cell" },
    ],
    [t],
  );
  const adding = mayWrite ? <ButtonLink look="primary" icon="plus" to="/segments/new">{t`New segment`}</ButtonLink> : undefined;
  return (
    <>
      <PageHead title={t`Segments`} lead={t`Contacts that match a filter, kept up to date as they change.`} actions={feed.rows?.length === 0 ? undefined : adding} />
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : feed.rows.length === 0 ? (
        <Card>
          <EmptyState icon="segment" title={t`Make your first segment`} action={adding}>
            <Trans>Such as those on a list who replied in the last 30 days. You see how many they are while you write it.</Trans>
          </EmptyState>
        </Card>
      ) : (
        <DataTable label={t`Segments`} rows={feed.rows} columns={columns} rowKey={({ id }) => id} onOpen={({ id }) => void navigate({ to: "/segments/$id", params: { id } })} totalCount={feed.totalCount} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="segments" />
      )}
    </>
  );
}

function Back() {
  const { t } = useLingui();
  return (
    <Link to="/segments" className="mb-1 inline-block text-sm">
      {t`Segments`}
    </Link>
  );
}

export function NewSegmentPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const create = useChange(Create);
  const reading = useData(FieldData, {});
  return (
    <>
      <PageHead above={<Back />} title={t`New segment`} />
      {mayWrite ? (
        <States of={reading}>
          {({ segmentFields }) => (
            <Editor
              fields={segmentFields}
              segment={null}
              isPending={create.isRunning}
              onSave={async (name, filter) => {
                const { done, problem } = await create.run({ name, filter });
                if (done !== null) {
                  toast({ text: t`The segment is saved.` });
                  await navigate({ to: "/segments/$id", params: { id: done.id } });
                }
                return problem;
              }}
            />
          )}
        </States>
      ) : (
        <Callout tone="info">{t`Your role may look at segments, but not make any.`}</Callout>
      )}
    </>
  );
}

export function SegmentPage() {
  const { t } = useLingui();
  const { id } = useParams({ from: "/shell/segments/$id" });
  const reading = useData(SegmentData, { id });
  return (
    <States of={reading} title={t`Segment`}>
      {({ segment, segmentFields }) =>
        segment == null ? (
          <EmptyState isPage icon="search" title={t`There is no such segment`} action={<ButtonLink to="/segments">{t`All segments`}</ButtonLink>}>
            <Trans>It may be deleted, or of another workspace, or of the other mode.</Trans>
          </EmptyState>
        ) : (
          <Shown segment={segment} fields={segmentFields} />
        )
      }
    </States>
  );
}

function Shown({ segment, fields }: { segment: SegmentRowFragment; fields: Fields }) {
  const { t } = useLingui();
  const tell = useTell();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const update = useChange(Update);
  const remove = useChange(Delete);
  const [isLeaving, setLeaving] = useState(false);
  // The editor begins again once it has saved, and not when another did: what is written in it stays.
  const [saved, setSaved] = useState(0);
  const { id, name, contactCount } = segment;
  const feed = useFeed(MemberFeed, { id }, (data) => data.segment?.members ?? NOTHING);
  return (
    <>
      <PageHead
        above={<Back />}
        title={name}
        lead={
          <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <span>
              <Trans>
                <Count value={contactCount} /> in it now
              </Trans>
            </span>
            <CopyId id={id} short />
          </span>
        }
        actions={
          mayWrite && (
            <>
              <ButtonLink look="primary" icon="campaign" to="/campaigns/new" search={{ segment: id }}>{t`Write to them`}</ButtonLink>
              <ButtonLink to="/exports/new" search={{ kind: "contacts", segment: id }}>{t`Export`}</ButtonLink>
              <Button look="danger" onPress={() => setLeaving(true)}>{t`Delete`}</Button>
            </>
          )
        }
      />
      {mayWrite && (
        <div className="mb-6">
          <Editor
            key={`${id} ${saved}`}
            fields={fields}
            segment={segment}
            isPending={update.isRunning}
            onSave={async (next, filter, version) => {
              const { problem } = await update.run({ id, name: next, filter, ...(version === undefined ? {} : { version }) });
              if (problem === null) {
                setSaved((count) => count + 1);
                toast({ text: t`The segment is saved.` });
                feed.retry();
              }
              return problem;
            }}
          />
        </div>
      )}
      <h2 className="mb-3 text-lg font-semibold">{t`Members now`}</h2>
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : feed.rows.length === 0 ? (
        <Card>
          <EmptyState icon="contacts" title={t`Nobody meets it now`}>
            <Trans>Contacts come in and go out by themselves, as what is known of them changes.</Trans>
          </EmptyState>
        </Card>
      ) : (
        <ContactTable feed={feed} label={t`Members`} fileName={`segment-${id}`} />
      )}
      <Confirm
        isOpen={isLeaving}
        onClose={() => setLeaving(false)}
        title={t`Delete “${name}”?`}
        action={t`Delete`}
        isPending={remove.isRunning}
        onConfirm={async () => {
          if (tell((await remove.run({ id })).problem, t`The segment is deleted.`)) await navigate({ to: "/segments" });
        }}
      >
        <p>
          <Trans>Its contacts stay. A campaign that still waits then finds nobody through it.</Trans>
        </p>
      </Confirm>
    </>
  );
}

interface EditorProps {
  fields: Fields;
  segment: SegmentRowFragment | null;
  isPending: boolean;
  onSave: (name: string, filter: Filter, version?: string) => Promise<Problem | null>;
}

function Editor({ fields, segment, isPending, onSave }: EditorProps) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const [name, setName] = useState(segment?.name ?? "");
  const [root, setRoot] = useState<Group>(() => (segment === null ? newGroup("all", fields[0] === undefined ? [] : [newComparison(fields[0])]) : readFilter(segment.filter as Filter)));
  const [problem, setProblem] = useState<Problem | null>(null);
  const filter = useMemo(() => writeFilter(root, fields), [root, fields]);
  const readNow = useReadNow();
  const { base, theirs, isConflict, settle } = useVersioned(segment, async () => (segment === null ? null : ((await readNow(Now, { id: segment.id }))?.segment ?? null)));
  const save = async (version = base?.version) => {
    if (filter === null) return;
    const found = await onSave(name.trim(), filter, version);
    const isTheirs = await isConflict(found);
    setProblem(isTheirs ? null : found);
  };
  const at = problem?.param;
  return (
    <Card>
      <div className="space-y-5">
        {theirs !== null && (
          <Conflict
            differences={[
              { label: t`Name`, mine: name, theirs: theirs.name },
              { label: t`Conditions`, mine: <code>{JSON.stringify(filter)}</code>, theirs: <code>{JSON.stringify(theirs.filter)}</code> },
            ]}
            isPending={isPending}
            onMine={() => void save(theirs.version)}
            onTheirs={() => {
              setName(theirs.name);
              setRoot(readFilter(theirs.filter as Filter));
              settle(theirs);
            }}
          />
        )}
        <Field label={t`Name`} value={name} onChange={setName} maxLength={200} className="max-w-md" error={at === "name" ? textOf(problem!) : undefined} />
        <GroupEditor item={root} fields={fields} onChange={(next) => setRoot(next as Group)} />
        {problem !== null && at !== "name" && <Callout tone="danger">{textOf(problem)}</Callout>}
        <div className="flex flex-wrap items-center justify-between gap-3 border-t border-line pt-4">
          <LiveCount filter={filter} />
          <Button
            look="primary"
            isDisabled={filter === null || name.trim() === ""}
            isPending={isPending}
            onPress={() => void save()}
          >{t`Save segment`}</Button>
        </div>
      </div>
    </Card>
  );
}

/** How many contacts the filter finds, a moment after it was last changed. */
function LiveCount({ filter }: { filter: Filter | null }) {
  const textOf = useProblemText();
  const wanted = filter === null ? "" : JSON.stringify(filter);
  const [asked, setAsked] = useState(wanted);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(wanted), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [wanted]);
  const variables = useMemo(() => ({ filter: (asked === "" ? {} : JSON.parse(asked)) as Filter }), [asked]);
  const { data, problem, isLoading } = useData(Preview, variables, { pause: asked === "" });
  const isFresh = asked === wanted && !isLoading && data !== undefined;
  return (
    <p aria-live="polite" className="min-h-7 text-muted">
      {wanted === "" ? (
        <Trans>Fill in each condition, and their number shows here.</Trans>
      ) : problem !== null && asked === wanted ? (
        <span className="text-danger">{textOf(problem)}</span>
      ) : isFresh ? (
        <Trans>
          <strong className="text-xl text-text">
            <Count value={data.segmentPreview} />
          </strong>{" "}
          contacts meet it now
        </Trans>
      ) : (
        <Trans>Counting…</Trans>
      )}
    </p>
  );
}
