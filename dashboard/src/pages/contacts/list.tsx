import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useData, useFeed, useReadNow } from "@/api/hooks";
import { graphql } from "@/gql";
import type { ContactRowFragment, OptInStatus } from "@/gql/graphql";
import { OptInBadge, UnreachableBadge, useStatusNames } from "@/status";
import { Button, ButtonLink } from "@/ui/button";
import { Field, Select } from "@/ui/fields";
import { Card, PageHead, Time, useNumbers, useZone } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState } from "@/ui/states";
import { DataTable, type TableColumn, type TableProps } from "@/ui/table";
import { SavedViews } from "@/ui/views";
import { AddContact } from "./add";
import { BulkDialog, BulkLines } from "./bulk";
import { CONSENTS } from "./routes";
import { conditionsOf } from "./selection";
import { ListChoices, nameOf, SearchField, useLists, useMayWrite, useSourceName } from "./shared";
import { TagChoices, TagFilter, TagRow } from "./tags";

export const ContactRowsQuery = graphql(`
  query ContactRows($filter: ContactFilter, $orderBy: ListOrder! = NEWEST, $first: Int, $after: String) {
    contacts(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
      nodes { ...ContactRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);

const SegmentNames = graphql(`
  query ContactSegmentNames { segments(first: 100) { nodes { id name } } }
`);

const ALL = "-";
const NONE: ReadonlySet<string> = new Set();

export function ContactsPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const search = useSearch({ from: "/shell/contacts" });
  const { order, ...asked } = search;
  const { q, consent, list, segment, tag, unreachable, since, until, attribute, value } = asked;
  const zone = useZone();
  const names = useStatusNames().optIns;
  const { whole } = useNumbers();
  const lists = useLists();
  const segments = useData(SegmentNames, {}).data?.segments.nodes ?? [];
  const [open, setOpen] = useState<"add" | "bulk" | null>(null);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(NONE);
  const [started, setStarted] = useState<ReadonlyMap<string, number>>(new Map());
  const filter = conditionsOf(search, zone);
  const isFiltered = Object.keys(filter).length > 0;
  const feed = useFeed(ContactRowsQuery, { ...(isFiltered ? { filter } : {}), ...(order === undefined ? {} : { orderBy: "OLDEST" as const }) } as never, ({ contacts }) => contacts);
  const key = JSON.stringify(filter);
  // Other filters, other rows: what was chosen among those before is not seen any more.
  useEffect(() => setChosen(NONE), [key]);
  const readNow = useReadNow();
  const { retry } = feed;
  const readAgain = useCallback(() => {
    setChosen(NONE);
    retry();
    void readNow(ListChoices, {});
    void readNow(TagChoices, {});
  }, [readNow, retry]);
  const chosenCount = whole(chosen.size);
  const target = { asked: search, zone, chosen };
  const go = (changes: Partial<typeof search>) => void navigate({ to: "/contacts", search: { ...search, ...changes }, replace: true });
  const isFirst = feed.rows?.length === 0 && !isFiltered;
  const onto = list === undefined ? {} : { list };
  const adding = (
    <>
      <ButtonLink to="/exports/new" search={{ kind: "contacts", ...asked }}>{t`Export`}</ButtonLink>
      <ButtonLink to="/imports/new" search={onto}>{t`Import`}</ButtonLink>
      <Button look="primary" icon="plus" onPress={() => setOpen("add")}>{t`Add contact`}</Button>
    </>
  );
  return (
    <>
      <PageHead title={t`Contacts`} lead={t`The people you may text, and the proof that they agreed.`} actions={mayWrite && !isFirst ? adding : undefined} />
      {!isFirst && <SavedViews page="CONTACTS" filters={search} onChoose={(next) => void navigate({ to: "/contacts", search: next, replace: true })} />}
      {!isFirst && (
        <div className="mb-4 grid grid-cols-2 items-end gap-3 lg:grid-cols-4" role="search" aria-label={t`Filters`}>
          <SearchField label={t`Search`} className="col-span-2 lg:col-span-4" placeholder={t`Name, e-mail or phone`} maxLength={100} value={q ?? ""} onChange={(next) => go({ q: next || undefined })} />
          <Select
            label={t`Consent`}
            choices={[{ value: ALL, label: t`Any` }, ...CONSENTS.map((each) => ({ value: each as string, label: names[each] }))]}
            value={consent ?? ALL}
            onChange={(next) => go({ consent: next === ALL ? undefined : (next as OptInStatus) })}
          />
          <Select
            label={t`List`}
            choices={[{ value: ALL, label: t`All contacts` }, ...lists.map(({ id, name }) => ({ value: id, label: name })), ...(list !== undefined && !lists.some(({ id }) => id === list) ? [{ value: list, label: list }] : [])]}
            value={list ?? ALL}
            onChange={(next) => go({ list: next === ALL ? undefined : next })}
          />
          <Select
            label={t`Segment`}
            choices={[{ value: ALL, label: t`Any segment` }, ...segments.map(({ id, name }) => ({ value: id, label: name })), ...(segment !== undefined && !segments.some(({ id }) => id === segment) ? [{ value: segment, label: segment }] : [])]}
            value={segment ?? ALL}
            onChange={(next) => go({ segment: next === ALL ? undefined : next })}
          />
          <TagFilter value={tag} onChange={(next) => go({ tag: next })} />
          <details className="col-span-2 lg:col-span-4" open={[unreachable, since, until, attribute, order].some((each) => each !== undefined) || undefined}>
            <summary className="cursor-pointer py-1 text-sm text-muted">{t`More filters`}</summary>
            <div className="mt-2 grid gap-3 sm:grid-cols-2 lg:grid-cols-3">
              <Field label={t`Added from day`} type={"date" as "text"} value={since ?? ""} onChange={(next) => go({ since: next || undefined })} />
              <Field label={t`Added to day`} type={"date" as "text"} value={until ?? ""} onChange={(next) => go({ until: next || undefined })} />
              <Select
                label={t`Number`}
                choices={[{ value: ALL, label: t`Any` }, { value: "yes", label: t`Unreachable` }, { value: "no", label: t`Reachable` }]}
                value={unreachable ?? ALL}
                onChange={(next) => go({ unreachable: next === ALL ? undefined : (next as "yes") })}
              />
              <SearchField label={t`Attribute`} value={attribute ?? ""} onChange={(next) => go({ attribute: next || undefined })} />
              <SearchField label={t`Its value`} value={value ?? ""} onChange={(next) => go({ value: next || undefined })} />
              <Select label={t`Order`} choices={[{ value: ALL, label: t`Newest first` }, { value: "oldest", label: t`Oldest first` }]} value={order ?? ALL} onChange={(next) => go({ order: next === ALL ? undefined : "oldest" })} />
            </div>
          </details>
        </div>
      )}
      <BulkLines started={started} onEnd={readAgain} />
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading rows={8} />
      ) : isFirst ? (
        <Card>
          <EmptyState icon="contacts" title={t`Bring your first contacts`} action={mayWrite ? <div className="flex flex-wrap justify-center gap-2"><ButtonLink look="primary" to="/imports/new">{t`Import contacts`}</ButtonLink><Button look="quiet" onPress={() => setOpen("add")}>{t`Add one by hand`}</Button></div> : undefined}>
            <Trans>Choose a CSV or Excel file, or paste rows. Say how people agreed to be texted: it is kept with each of them.</Trans>
          </EmptyState>
        </Card>
      ) : feed.rows.length === 0 ? (
        <FilteredEmpty onClear={() => void navigate({ to: "/contacts", search: {} })} />
      ) : (
        <ContactTable
          feed={feed}
          {...(mayWrite && {
            selected: chosen,
            onSelect: setChosen,
            tools: (
              <>
                {chosen.size > 0 && <Button size="small" look="quiet" onPress={() => setChosen(NONE)}>{t`Choose none`}</Button>}
                <Button size="small" onPress={() => setOpen("bulk")}>
                  {chosen.size === 0 ? t`Change all of them` : t`Change ${chosenCount} chosen`}
                </Button>
              </>
            ),
          })}
        />
      )}
      {open === "add" && <AddContact onClose={() => setOpen(null)} />}
      {open === "bulk" && <BulkDialog target={target} foundCount={feed.totalCount} onClose={() => setOpen(null)} onStart={(id, count) => setStarted(new Map(started).set(id, count))} />}
    </>
  );
}

type ContactFeed = ReturnType<typeof useFeed<unknown, object, ContactRowFragment>>;

/** A table of contacts: all, of a list, or of a segment. */
export function ContactTable({ feed, action, label, fileName = "contacts", ...choosing }: { feed: ContactFeed; action?: TableColumn<ContactRowFragment>; label?: string; fileName?: string } & Pick<TableProps<ContactRowFragment>, "selected" | "onSelect" | "tools">) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const sourceName = useSourceName();
  const columns = useMemo<TableColumn<ContactRowFragment>[]>(
    () => [
      {
        id: "phone",
        header: t`Contact`,
        cell: (row) => (
          <span className="block max-w-44 min-w-28 sm:max-w-72">
            <Link to="/contacts/$id" params={{ id: row.id }} className="block truncate font-medium text-text no-underline hover:underline">
              {nameOf(row) || row.phone}
            </Link>
            {nameOf(row) !== "" && <span className="block truncate text-sm text-muted tabular">{row.phone}</span>}
          </span>
        ),
        text: ({ phone }) => phone,
      },
      { id: "consent", header: t`Consent`, cell: ({ optIn, unreachable }) => <span className="flex flex-wrap gap-1"><OptInBadge status={optIn.status} />{unreachable != null && <UnreachableBadge />}</span>, text: ({ optIn }) => optIn.status, isUnder: action !== undefined },
      { id: "tags", header: t`Tags`, cell: ({ tags }) => <TagRow tags={tags} />, text: ({ tags }) => tags.join(", "), className: "hidden md:table-cell" },
      { id: "source", header: t`Source`, cell: ({ optIn }) => <span className="text-muted">{sourceName(optIn.source)}</span>, text: ({ optIn }) => optIn.source, className: "hidden lg:table-cell" },
      { id: "email", header: t`E-mail`, cell: ({ email }) => <span className="block max-w-56 truncate text-muted">{email}</span>, text: ({ email }) => email, className: "hidden md:table-cell" },
      { id: "first", header: t`First name`, cell: ({ firstName }) => firstName, text: ({ firstName }) => firstName, isExtra: true },
      { id: "last", header: t`Last name`, cell: ({ lastName }) => lastName, text: ({ lastName }) => lastName, isExtra: true },
      { id: "made", header: t`Added`, cell: ({ createdAt }) => <Time at={createdAt} style="day" />, text: ({ createdAt }) => createdAt, className: "hidden sm:table-cell" },
      ...(action === undefined ? [] : [action]),
    ],
    [t, sourceName, action],
  );
  return (
    <DataTable
      label={label ?? t`Contacts`}
      rows={feed.rows!}
      columns={columns}
      rowKey={({ id }) => id}
      onOpen={({ id }) => void navigate({ to: "/contacts/$id", params: { id } })}
      totalCount={feed.totalCount}
      hasMore={feed.hasMore}
      onMore={feed.loadMore}
      isLoading={feed.isLoading}
      fileName={fileName}
      {...choosing}
    />
  );
}
