import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useChange, useData, useFeed, useReadNow } from "@/api/hooks";
import { graphql } from "@/gql";
import type { ContactRowFragment, ListRowFragment } from "@/gql/graphql";
import { Button, ButtonLink } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Badge, Card, CopyId, Count, PageHead, Time } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState, States } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { TakeOff } from "./contact";
import { ContactRowsQuery, ContactTable } from "./list";
import { NameDialog } from "./name";
import { SearchField, useMayWrite, useTell } from "./shared";

export const ListRow = graphql(`
  fragment ListRow on ContactList {
    id
    name
    kind
    contactCount
    createdAt
    updatedAt
    version
  }
`);
const ListFeed = graphql(`
  query ListRows($first: Int, $after: String) {
    contactLists(first: $first, after: $after) {
      nodes { ...ListRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const ListData = graphql(`
  query ListPage($id: ID!) {
    contactList(id: $id) { ...ListRow }
  }
`);
const Create = graphql(`
  mutation PageCreateList($name: String!) {
    createList(name: $name) {
      __typename
      ... on ContactList { ...ListRow }
      ... on Error { code message param }
    }
  }
`);
const Rename = graphql(`
  mutation PageRenameList($id: ID!, $name: String!, $version: String) {
    updateList(id: $id, name: $name, version: $version) {
      __typename
      ... on ContactList { ...ListRow }
      ... on Error { code message param }
    }
  }
`);
const Delete = graphql(`
  mutation PageDeleteList($id: ID!) {
    deleteList(id: $id) {
      __typename
      ... on Deleted { deletedId }
      ... on Error { code message }
    }
  }
`);

const STATIC = "static";

export function ListsPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const create = useChange(Create);
  const [isOpen, setOpen] = useState(false);
  const feed = useFeed(ListFeed, {}, ({ contactLists }) => contactLists);
  const columns = useMemo<TableColumn<ListRowFragment>[]>(
    () => [
      {
        id: "name",
        header: t`Name`,
        cell: ({ id, name }) => (
          <Link to="/lists/$id" params={{ id }} className="block max-w-44 truncate font-medium text-text no-underline hover:underline sm:max-w-md">
            {name}
          </Link>
        ),
        text: ({ name }) => name,
      },
      { id: "contacts", header: t`Contacts`, cell: ({ contactCount }) => <Count value={contactCount} />, text: ({ contactCount }) => contactCount, isNumber: true },
      { id: "kind", header: t`Kept`, cell: ({ kind }) => <Kind kind={kind} />, text: ({ kind }) => kind, className: "hidden md:table-cell" },
      { id: "made", header: t`Added`, cell: ({ createdAt }) => <Time at={createdAt} style="day" />, text: ({ createdAt }) => createdAt, className: "hidden sm:table-cell" },
    ],
    [t],
  );
  const adding = mayWrite ? <Button look="primary" icon="plus" onPress={() => setOpen(true)}>{t`New list`}</Button> : undefined;
  return (
    <>
      <PageHead title={t`Lists`} lead={t`Contacts that you send to as a group.`} actions={feed.rows?.length === 0 ? undefined : adding} />
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : feed.rows.length === 0 ? (
        <Card>
          <EmptyState icon="lists" title={t`Make your first list`} action={adding}>
            <Trans>A list holds contacts who get the same campaigns. Contacts can be imported right onto it.</Trans>
          </EmptyState>
        </Card>
      ) : (
        <DataTable label={t`Lists`} rows={feed.rows} columns={columns} rowKey={({ id }) => id} onOpen={({ id }) => void navigate({ to: "/lists/$id", params: { id } })} totalCount={feed.totalCount} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="lists" />
      )}
      {isOpen && (
        <NameDialog
          title={t`New list`}
          action={t`Make list`}
          isPending={create.isRunning}
          onClose={() => setOpen(false)}
          onSave={async (name) => {
            const { done, problem } = await create.run({ name });
            if (done !== null) await navigate({ to: "/lists/$id", params: { id: done.id } });
            return problem;
          }}
        />
      )}
    </>
  );
}

function Kind({ kind }: { kind: string }) {
  const { t } = useLingui();
  return <Badge>{kind === STATIC ? t`By hand` : t`Synced`}</Badge>;
}

export function ListPage() {
  const { t } = useLingui();
  const { id } = useParams({ from: "/shell/lists/$id" });
  const reading = useData(ListData, { id });
  return (
    <States of={reading} title={t`List`}>
      {({ contactList }) =>
        contactList == null ? (
          <EmptyState isPage icon="search" title={t`There is no such list`} action={<ButtonLink to="/lists">{t`All lists`}</ButtonLink>}>
            <Trans>It may be deleted, or of another workspace, or of the other mode.</Trans>
          </EmptyState>
        ) : (
          <Shown list={contactList} />
        )
      }
    </States>
  );
}

function Shown({ list }: { list: ListRowFragment }) {
  const { t } = useLingui();
  const tell = useTell();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const { q } = useSearch({ from: "/shell/lists/$id" });
  const rename = useChange(Rename);
  const readNow = useReadNow();
  const remove = useChange(Delete);
  const takeOff = useChange(TakeOff);
  const [open, setOpen] = useState<"rename" | "delete" | null>(null);
  const { id, name, kind, contactCount } = list;
  const feed = useFeed(ContactRowsQuery, { filter: { listId: id, ...(q === undefined ? {} : { search: q }) } }, ({ contacts }) => contacts);
  const mayChange = mayWrite && kind === STATIC;
  const { run } = takeOff;
  const removing = useMemo<TableColumn<ContactRowFragment> | undefined>(
    () =>
      mayChange
        ? {
            id: "remove",
            header: t`Remove`,
            cell: (row) => <Button size="small" look="quiet" icon="close" aria-label={t`Take ${row.phone} off the list`} onPress={async () => tell((await run({ id, contactId: row.id })).problem, t`Taken off the list.`)} />,
          }
        : undefined,
    [mayChange, id, run, t],
  );
  const close = () => setOpen(null);
  return (
    <>
      <PageHead
        above={
          <Link to="/lists" className="mb-1 inline-block text-sm">
            {t`Lists`}
          </Link>
        }
        title={name}
        lead={
          <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <span>
              <Trans>
                <Count value={contactCount} /> on it
              </Trans>
            </span>
            <Kind kind={kind} />
            <CopyId id={id} short />
          </span>
        }
        actions={
          mayWrite && (
            <>
              <ButtonLink look="primary" icon="campaign" to="/campaigns/new" search={{ list: id }}>{t`Write to them`}</ButtonLink>
              <ButtonLink to="/exports/new" search={{ kind: "contacts", list: id }}>{t`Export`}</ButtonLink>
              {kind !== STATIC && <ButtonLink icon="refresh" to="/connections/$id" params={{ id }}>{t`Connection`}</ButtonLink>}
              {mayChange && <ButtonLink to="/imports/new" search={{ list: id }}>{t`Import`}</ButtonLink>}
              {mayChange && <Button onPress={() => setOpen("rename")}>{t`Rename`}</Button>}
              <Button look="danger" onPress={() => setOpen("delete")}>{t`Delete`}</Button>
            </>
          )
        }
      />
      {(contactCount > 0 || q !== undefined) && (
        <div className="mb-4 max-w-md">
          <SearchField label={t`Search`} placeholder={t`Name, e-mail or digits of a phone`} value={q ?? ""} onChange={(next) => void navigate({ to: "/lists/$id", params: { id }, search: next === "" ? {} : { q: next }, replace: true })} />
        </div>
      )}
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : feed.rows.length === 0 ? (
        q !== undefined ? (
          <FilteredEmpty onClear={() => void navigate({ to: "/lists/$id", params: { id }, search: {} })} />
        ) : (
          <Card>
            <EmptyState icon="contacts" title={t`Nobody is on it yet`} action={mayChange ? <ButtonLink look="primary" to="/imports/new" search={{ list: id }}>{t`Import contacts`}</ButtonLink> : undefined}>
              <Trans>Import contacts onto it, or put one on it on the contact's page.</Trans>
            </EmptyState>
          </Card>
        )
      ) : (
        <ContactTable feed={feed} label={t`Members`} fileName={`list-${id}`} {...(removing === undefined ? {} : { action: removing })} />
      )}
      {open === "rename" && (
        <NameDialog title={t`Rename list`} action={t`Rename`} name={name} isPending={rename.isRunning} onClose={close} of={list} readNow={async () => (await readNow(ListData, { id }))?.contactList ?? null} onSave={async (next, version) => (await rename.run({ id, name: next, ...(version === undefined ? {} : { version }) })).problem} />
      )}
      <Confirm
        isOpen={open === "delete"}
        onClose={close}
        title={t`Delete “${name}”?`}
        action={t`Delete`}
        isPending={remove.isRunning}
        onConfirm={async () => {
          if (tell((await remove.run({ id })).problem, t`The list is deleted.`)) await navigate({ to: "/lists" });
        }}
      >
        <p>
          <Trans>Its contacts stay. Its keywords go with it.</Trans>
        </p>
      </Confirm>
    </>
  );
}
