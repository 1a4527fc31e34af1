import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState, type ReactNode } from "react";
import { useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import type { SnippetRowFragment, TemplateRowFragment } from "@/gql/graphql";
import { useMayWrite } from "@/pages/contacts/shared";
import { Button } from "@/ui/button";
import { Checkbox } from "@/ui/fields";
import { SearchField } from "@/ui/searchfield";
import { Badge, Card, PageHead, Time } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { Tabs } from "@/ui/tabs";
import { EditSnippet, EditTemplate } from "./edit";
import { NEW } from "./routes";
import { includeOf } from "./shared";

const TemplateList = graphql(`
  query TemplateList($q: String, $tag: String, $archived: Boolean, $first: Int, $after: String) {
    messageTemplates(q: $q, tag: $tag, archived: $archived, first: $first, after: $after) {
      nodes { ...TemplateRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const SnippetList = graphql(`
  query SnippetList($first: Int, $after: String) {
    snippets(first: $first, after: $after) {
      nodes { ...SnippetRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);

export function TemplatesPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const found = useSearch({ from: "/shell/templates" });
  const { tab, open } = found;
  const isSnippets = tab === "snippets";
  // The first use offers one thing to do, in the middle of the page.
  const [isFirst, setFirst] = useState(false);
  const go = (changes: Partial<typeof found>, replace = true) => void navigate({ to: "/templates", search: { ...found, ...changes }, replace, resetScroll: false });
  const close = () => go({ open: undefined });
  const adding = mayWrite ? (
    <Button look="primary" icon="plus" onPress={() => go({ open: NEW })}>
      {isSnippets ? t`New snippet` : t`New template`}
    </Button>
  ) : undefined;
  const tabs = [
    { value: "", label: t`Templates` },
    { value: "snippets", label: t`Snippets` },
  ];
  return (
    <>
      <PageHead title={t`Templates`} lead={isSnippets ? t`Pieces of text that many messages include by name.` : t`Texts that you send again and again, under a name each.`} actions={isFirst ? undefined : adding} />
      <Tabs label={t`Kind`} tabs={tabs} value={tab ?? ""} onChange={(next) => void navigate({ to: "/templates", search: next === "" ? {} : { tab: "snippets" }, resetScroll: false })} />
      {isSnippets ? <Snippets onOpen={(id) => go({ open: id })} onFirst={setFirst} adding={adding} /> : <Templates onOpen={(id) => go({ open: id })} onFirst={setFirst} adding={adding} />}
      {open !== undefined && (isSnippets ? <EditSnippet key={open} id={open === NEW ? null : open} onClose={close} /> : <EditTemplate key={open} id={open === NEW ? null : open} onClose={close} />)}
    </>
  );
}

interface PartProps {
  onOpen: (id: string) => void;
  onFirst: (isFirst: boolean) => void;
  adding: ReactNode;
}

function Templates({ onOpen, onFirst, adding }: PartProps) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const found = useSearch({ from: "/shell/templates" });
  const { q, tag, archived } = found;
  const which = { archived: archived !== undefined, ...(q === undefined ? {} : { q }), ...(tag === undefined ? {} : { tag }) };
  const feed = useFeed(TemplateList, which as never, ({ messageTemplates }) => messageTemplates);
  const go = (changes: Partial<typeof found>) => void navigate({ to: "/templates", search: { ...found, ...changes }, replace: true, resetScroll: false });
  const isFiltered = q !== undefined || tag !== undefined || archived !== undefined;
  const isFirst = feed.rows?.length === 0 && !isFiltered;
  useEffect(() => onFirst(isFirst), [isFirst, onFirst]);
  return (
    <>
      <div role="search" aria-label={t`Filters`} className="mb-4 flex flex-wrap items-end gap-3">
        <SearchField label={t`Search`} className="min-w-0 flex-1 basis-60 sm:max-w-96" placeholder={t`Name of the template`} maxLength={200} value={q ?? ""} onChange={(next) => go({ q: next || undefined })} />
        <span className="flex min-h-10 items-center">
          <Checkbox isSelected={archived !== undefined} onChange={(isAway) => go({ archived: isAway ? "1" : undefined })}>{t`Archived`}</Checkbox>
        </span>
        {tag !== undefined && <Button look="quiet" icon="close" onPress={() => go({ tag: undefined })}>{t`Tag: ${tag}`}</Button>}
      </div>
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : feed.rows.length > 0 ? (
        <TemplateTable feed={feed} onOpen={onOpen} onTag={(next) => go({ tag: next })} />
      ) : isFiltered ? (
        <FilteredEmpty onClear={() => go({ q: undefined, tag: undefined, archived: undefined })} />
      ) : (
        <Card>
          <EmptyState icon="template" title={t`Write a good text once`} action={adding}>
            <Trans>Campaigns, single messages, answers and steps of sequences can begin with it. What was sent keeps its text when the template changes.</Trans>
          </EmptyState>
        </Card>
      )}
    </>
  );
}

const NAME = "block max-w-40 truncate text-left font-medium text-text hover:underline sm:max-w-64";
const TEXT = "line-clamp-2 max-w-xl min-w-0 text-sm break-words whitespace-pre-line text-muted";

function TemplateTable({ feed, onOpen, onTag }: { feed: ReturnType<typeof useFeed<unknown, object, TemplateRowFragment>>; onOpen: (id: string) => void; onTag: (tag: string) => void }) {
  const { t } = useLingui();
  const columns = useMemo<TableColumn<TemplateRowFragment>[]>(
    () => [
      {
        id: "name",
        header: t`Name`,
        cell: ({ id, name, tags, archivedAt }) => (
          <span className="block">
            <button type="button" className={NAME} title={name} onClick={() => onOpen(id)}>
              {name}
            </button>
            <span className="mt-0.5 flex flex-wrap gap-x-2 gap-y-1">
              {archivedAt != null && <Badge>{t`Archived`}</Badge>}
              {tags.map((each) => (
                <button key={each} type="button" className="max-w-40 truncate text-sm text-muted hover:underline" onClick={() => onTag(each)}>
                  #{each}
                </button>
              ))}
            </span>
          </span>
        ),
        text: ({ name }) => name,
      },
      { id: "text", header: t`Text`, cell: ({ body }) => <span className={TEXT}>{body}</span>, text: ({ body }) => body, isUnder: true },
      { id: "changed", header: t`Changed`, cell: ({ updatedAt }) => <Time at={updatedAt} />, text: ({ updatedAt }) => updatedAt, className: "hidden md:table-cell" },
    ],
    [t, onOpen, onTag],
  );
  return <DataTable label={t`Templates`} rows={feed.rows!} columns={columns} rowKey={({ id }) => id} onOpen={({ id }) => onOpen(id)} totalCount={feed.totalCount} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="templates" />;
}

function Snippets({ onOpen, onFirst, adding }: PartProps) {
  const { t } = useLingui();
  const feed = useFeed(SnippetList, {} as never, ({ snippets }) => snippets);
  const columns = useMemo<TableColumn<SnippetRowFragment>[]>(
    () => [
      {
        id: "name",
        header: t`Name`,
        cell: ({ id, name }) => (
          <button type="button" className={`${NAME} font-mono text-sm`} title={name} onClick={() => onOpen(id)}>
            {includeOf(name)}
          </button>
        ),
        text: ({ name }) => name,
      },
      { id: "text", header: t`Text`, cell: ({ body }) => <span className={TEXT}>{body}</span>, text: ({ body }) => body, isUnder: true },
      { id: "changed", header: t`Changed`, cell: ({ updatedAt }) => <Time at={updatedAt} />, text: ({ updatedAt }) => updatedAt, className: "hidden md:table-cell" },
    ],
    [t, onOpen],
  );
  const isFirst = feed.rows?.length === 0;
  useEffect(() => onFirst(isFirst), [isFirst, onFirst]);
  const example = includeOf("signature");
  if (feed.rows === undefined) return feed.problem === null ? <Loading /> : <ProblemState problem={feed.problem} onRetry={feed.retry} />;
  if (feed.rows.length === 0)
    return (
      <Card>
        <EmptyState icon="template" title={t`Keep what every message says in one place`} action={adding}>
          <Trans>A snippet is a piece of text, such as your signature. Messages include it as {example}.</Trans>
        </EmptyState>
      </Card>
    );
  return <DataTable label={t`Snippets`} rows={feed.rows} columns={columns} rowKey={({ id }) => id} onOpen={({ id }) => onOpen(id)} totalCount={feed.totalCount} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="snippets" />;
}
