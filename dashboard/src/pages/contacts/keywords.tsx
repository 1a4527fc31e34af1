import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useChange, useFeed, useReadNow } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { KeywordRowFragment } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Conflict, useVersioned } from "@/ui/conflict";
import { Confirm, Dialog } from "@/ui/dialog";
import { Field, Select, TextArea } from "@/ui/fields";
import { Callout, Card, PageHead, Time } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState, useProblemText } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { useLists, useMayWrite, useTell } from "./shared";

export const KeywordRow = graphql(`
  fragment KeywordRow on JoinKeyword {
    id
    word
    reply
    createdAt
    contactList { id name }
    version
  }
`);
const KeywordFeed = graphql(`
  query KeywordRows($listId: ID, $first: Int, $after: String) {
    joinKeywords(listId: $listId, first: $first, after: $after) {
      nodes { ...KeywordRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const Create = graphql(`
  mutation PageCreateKeyword($input: CreateJoinKeywordInput!) {
    createJoinKeyword(input: $input) {
      __typename
      ... on JoinKeyword { ...KeywordRow }
      ... on Error { code message param }
    }
  }
`);
const Update = graphql(`
  mutation PageUpdateKeyword($id: ID!, $input: UpdateJoinKeywordInput!) {
    updateJoinKeyword(id: $id, input: $input) {
      __typename
      ... on JoinKeyword { ...KeywordRow }
      ... on Error { code message param }
    }
  }
`);
const Delete = graphql(`
  mutation PageDeleteKeyword($id: ID!) {
    deleteJoinKeyword(id: $id) {
      __typename
      ... on Deleted { deletedId }
      ... on Error { code message }
    }
  }
`);

const Now = graphql(`
  query KeywordNow($id: ID!) { joinKeyword(id: $id) { ...KeywordRow } }
`);

const ALL = "-";

export function KeywordsPage() {
  const { t } = useLingui();
  const tell = useTell();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const lists = useLists();
  const { list } = useSearch({ from: "/shell/keywords" });
  const remove = useChange(Delete);
  const [edited, setEdited] = useState<KeywordRowFragment | "new" | null>(null);
  const [leaving, setLeaving] = useState<KeywordRowFragment | null>(null);
  const feed = useFeed(KeywordFeed, list === undefined ? {} : { listId: list }, ({ joinKeywords }) => joinKeywords);
  const columns = useMemo<TableColumn<KeywordRowFragment>[]>(
    () => [
      { id: "word", header: t`Word`, cell: ({ word }) => <span className="block max-w-32 truncate font-medium sm:max-w-60" title={word}>{word}</span>, text: ({ word }) => word },
      {
        id: "list",
        header: t`List`,
        cell: ({ contactList }) =>
          contactList == null ? null : (
            <Link to="/lists/$id" params={{ id: contactList.id }} className="block max-w-32 truncate sm:max-w-60">
              {contactList.name}
            </Link>
          ),
        text: ({ contactList }) => contactList?.name,
        className: "hidden sm:table-cell",
      },
      { id: "reply", header: t`Answer`, cell: ({ reply }) => <span className="block max-w-80 truncate text-muted">{reply ?? t`The workspace's welcome text`}</span>, text: ({ reply }) => reply, className: "hidden lg:table-cell" },
      { id: "made", header: t`Added`, cell: ({ createdAt }) => <Time at={createdAt} style="day" />, text: ({ createdAt }) => createdAt, className: "hidden md:table-cell" },
      ...(mayWrite
        ? [
            {
              id: "change",
              header: t`Change`,
              cell: (row: KeywordRowFragment) => (
                <span className="flex gap-1">
                  <Button size="small" aria-label={t`Edit ${row.word}`} onPress={() => setEdited(row)}>{t`Edit`}</Button>
                  <Button size="small" look="quiet" icon="close" aria-label={t`Delete ${row.word}`} onPress={() => setLeaving(row)} />
                </span>
              ),
            },
          ]
        : []),
    ],
    [t, mayWrite],
  );
  const isFirst = feed.rows?.length === 0 && list === undefined;
  const adding = mayWrite ? <Button look="primary" icon="plus" onPress={() => setEdited("new")}>{t`New keyword`}</Button> : undefined;
  return (
    <>
      <PageHead title={t`Keywords`} lead={t`Who texts the word has opted in, and is on its list.`} actions={isFirst ? undefined : adding} />
      {!isFirst && (
        <Select
          label={t`List`}
          className="mb-4 max-w-xs"
          choices={[{ value: ALL, label: t`All lists` }, ...lists.map(({ id, name }) => ({ value: id, label: name })), ...(list !== undefined && !lists.some(({ id }) => id === list) ? [{ value: list, label: list }] : [])]}
          value={list ?? ALL}
          onChange={(next) => void navigate({ to: "/keywords", search: next === ALL ? {} : { list: next }, replace: true })}
        />
      )}
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : feed.rows.length === 0 ? (
        isFirst ? (
          <Card>
            <EmptyState icon="keyword" title={t`Let people join by a word`} action={adding}>
              <Trans>Print it on a poster: “Text SHOW to our number”. The message itself is the proof of consent.</Trans>
            </EmptyState>
          </Card>
        ) : (
          <FilteredEmpty onClear={() => void navigate({ to: "/keywords", search: {} })} />
        )
      ) : (
        <DataTable label={t`Keywords`} rows={feed.rows} columns={columns} rowKey={({ id }) => id} totalCount={feed.totalCount} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="keywords" />
      )}
      {edited !== null && <KeywordDialog keyword={edited === "new" ? null : edited} list={list} onClose={() => setEdited(null)} />}
      <Confirm isOpen={leaving !== null} onClose={() => setLeaving(null)} title={t`Delete “${leaving?.word ?? ""}”?`} action={t`Delete`} isPending={remove.isRunning} onConfirm={async () => void tell((await remove.run({ id: leaving!.id })).problem, t`The keyword is deleted.`)}>
        <p>
          <Trans>Who joined by it stays opted in and on the list.</Trans>
        </p>
      </Confirm>
    </>
  );
}

function KeywordDialog({ keyword, list, onClose }: { keyword: KeywordRowFragment | null; list: string | undefined; onClose: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const tell = useTell();
  const lists = useLists();
  const create = useChange(Create);
  const update = useChange(Update);
  const [word, setWord] = useState(keyword?.word ?? "");
  const [listId, setListId] = useState<string | null>(keyword?.contactList?.id ?? list ?? null);
  const [reply, setReply] = useState(keyword?.reply ?? "");
  const [problem, setProblem] = useState<Problem | null>(null);
  const at = problem?.param?.split(".").pop();
  const readNow = useReadNow();
  const { base, theirs, isConflict, settle } = useVersioned(keyword, async () => (keyword === null ? null : ((await readNow(Now, { id: keyword.id }))?.joinKeyword ?? null)));
  const nameOfList = (id: string | null | undefined) => lists.find((each) => each.id === id)?.name ?? "";
  const save = async (version = base?.version) => {
    if (listId === null) return;
    const input = { word: word.trim(), listId, reply: reply.trim() === "" ? null : reply.trim() };
    const { problem: found } = keyword === null || version === undefined ? await create.run({ input }) : await update.run({ id: keyword.id, input: { ...input, version } });
    const isTheirs = await isConflict(found);
    setProblem(isTheirs ? null : found);
    if (found === null) {
      tell(null, t`Saved.`);
      onClose();
    }
  };
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={keyword === null ? t`New keyword` : t`Edit keyword`}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look="primary" isDisabled={word.trim() === "" || listId === null} isPending={create.isRunning || update.isRunning} onPress={() => void save()}>{t`Save`}</Button>
        </>
      }
    >
      <div className="space-y-4">
        {lists.length === 0 && (
          <Callout tone="info">
            <Trans>
              A keyword adds to a list. <Link to="/lists">Make one first.</Link>
            </Trans>
          </Callout>
        )}
        {theirs !== null && (
          <Conflict
            differences={[
              { label: t`Word`, mine: word, theirs: theirs.word },
              { label: t`List`, mine: nameOfList(listId), theirs: theirs.contactList?.name ?? "" },
              { label: t`Answer`, mine: reply, theirs: theirs.reply ?? "" },
            ].filter(({ mine, theirs: other }) => mine !== other)}
            isPending={update.isRunning}
            onMine={() => void save(theirs.version)}
            onTheirs={() => {
              setWord(theirs.word);
              setListId(theirs.contactList?.id ?? null);
              setReply(theirs.reply ?? "");
              settle(theirs);
            }}
          />
        )}
        <Field label={t`Word`} hint={t`Case and accents do not count.`} value={word} onChange={setWord} autoFocus error={at === "word" ? textOf(problem!) : undefined} />
        <Select label={t`List`} placeholder={t`Choose a list`} choices={lists.map(({ id, name }) => ({ value: id, label: name }))} value={listId} onChange={setListId} error={at === "listId" ? textOf(problem!) : undefined} />
        <TextArea label={t`Answer`} hint={t`Left empty, the workspace's welcome text answers.`} rows={3} value={reply} onChange={setReply} error={at === "reply" ? textOf(problem!) : undefined} />
        {problem !== null && !["word", "listId", "reply"].includes(at ?? "") && <Callout tone="danger">{textOf(problem)}</Callout>}
      </div>
    </Dialog>
  );
}
