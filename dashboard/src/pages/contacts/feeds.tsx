import { Trans, useLingui } from "@lingui/react/macro";
import { useMemo, useState } from "react";
import { useChange, useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import type { ContactMessageRowFragment } from "@/gql/graphql";
import { MessageBadge } from "@/status";
import { Button, ButtonLink } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { FailureText } from "@/ui/failures";
import { TextArea } from "@/ui/fields";
import { Card, Count, Time } from "@/ui/show";
import { EmptyState, Loading, ProblemState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { useMayWrite, useTell } from "./shared";

export const ContactMessageRow = graphql(`
  fragment ContactMessageRow on Message {
    id
    body
    status
    creditsUsed
    createdAt
    error { code message }
    campaign { id name }
  }
`);
const MessageFeed = graphql(`
  query ContactMessages($id: ID!, $first: Int, $after: String) {
    contact(id: $id) {
      id
      messages(first: $first, after: $after) {
        nodes { ...ContactMessageRow }
        pageInfo { hasNextPage endCursor }
        totalCount
      }
    }
  }
`);
const NoteFeed = graphql(`
  query ContactPageNotes($contactId: ID!, $first: Int, $after: String) {
    contactNotes(contactId: $contactId, first: $first, after: $after) {
      nodes { id body author createdAt }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const Add = graphql(`
  mutation PageAddNote($contactId: ID!, $body: String!) {
    addNote(contactId: $contactId, body: $body) {
      __typename
      ... on ContactNote { id body author createdAt }
      ... on Error { code message param }
    }
  }
`);
const Remove = graphql(`
  mutation PageDeleteNote($id: ID!) {
    deleteNote(id: $id) {
      __typename
      ... on Deleted { deletedId }
      ... on Error { code message }
    }
  }
`);

const NOTHING = { nodes: [], pageInfo: { hasNextPage: false, endCursor: null }, totalCount: 0 };
const MAX_NOTE = 2000;

export function ContactMessages({ id }: { id: string }) {
  const { t } = useLingui();
  const feed = useFeed(MessageFeed, { id }, ({ contact }) => contact?.messages ?? NOTHING);
  const columns = useMemo<TableColumn<ContactMessageRowFragment>[]>(
    () => [
      {
        id: "body",
        header: t`Text`,
        cell: ({ body, campaign }) => (
          <span className="block max-w-44 min-w-32 sm:max-w-md">
            <span className="block truncate">{body}</span>
            {campaign != null && <span className="block truncate text-sm text-muted">{campaign.name}</span>}
          </span>
        ),
        text: ({ body }) => body,
      },
      { id: "status", header: t`State`, cell: ({ status }) => <MessageBadge status={status} />, text: ({ status }) => status },
      { id: "error", header: t`Why`, cell: ({ error }) => (error == null ? null : <span className="text-sm text-muted"><FailureText of={error} /></span>), text: ({ error }) => error?.code, className: "hidden lg:table-cell" },
      { id: "credits", header: t`Credits`, cell: ({ creditsUsed }) => <Count value={creditsUsed} />, text: ({ creditsUsed }) => creditsUsed, isNumber: true, className: "hidden md:table-cell" },
      { id: "at", header: t`When`, cell: ({ createdAt }) => <Time at={createdAt} />, text: ({ createdAt }) => createdAt, className: "hidden sm:table-cell" },
    ],
    [t],
  );
  if (feed.problem !== null && feed.rows === undefined) return <ProblemState problem={feed.problem} onRetry={feed.retry} />;
  if (feed.rows === undefined) return <Loading />;
  if (feed.rows.length === 0)
    return (
      <Card>
        <EmptyState icon="message" title={t`No messages yet`} action={<ButtonLink to="/messages" search={{ send: "1" }}>{t`Send a message`}</ButtonLink>}>
          <Trans>What is sent to this contact shows here.</Trans>
        </EmptyState>
      </Card>
    );
  return <DataTable label={t`Messages`} rows={feed.rows} columns={columns} rowKey={(row) => row.id} totalCount={feed.totalCount} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName={`messages-${id}`} />;
}

export function Notes({ id }: { id: string }) {
  const { t } = useLingui();
  const tell = useTell();
  const mayWrite = useMayWrite();
  const add = useChange(Add);
  const remove = useChange(Remove);
  const [body, setBody] = useState("");
  const [leaving, setLeaving] = useState<string | null>(null);
  const feed = useFeed(NoteFeed, { contactId: id }, ({ contactNotes }) => contactNotes);
  return (
    <Card className="max-w-3xl">
      {mayWrite && (
        <div className="mb-5 space-y-2">
          <TextArea label={t`New note`} hint={t`For your workspace alone; nobody is sent it.`} rows={3} value={body} onChange={setBody} maxLength={MAX_NOTE} />
          <Button
            look="primary"
            isDisabled={body.trim() === ""}
            isPending={add.isRunning}
            onPress={async () => {
              if (tell((await add.run({ contactId: id, body: body.trim() })).problem, t`The note is kept.`)) setBody("");
            }}
          >{t`Add note`}</Button>
        </div>
      )}
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading rows={3} />
      ) : feed.rows.length === 0 ? (
        <p className="text-muted">{t`No notes yet.`}</p>
      ) : (
        <ul className="divide-y divide-line">
          {feed.rows.map((note) => (
            <li key={note.id} className="flex items-start justify-between gap-4 py-3">
              <div className="min-w-0">
                <p className="break-words whitespace-pre-wrap">{note.body}</p>
                <p className="mt-1 text-sm break-words text-muted">
                  <Time at={note.createdAt} style="full" /> · {note.author}
                </p>
              </div>
              {mayWrite && <Button look="quiet" size="icon" icon="close" aria-label={t`Delete note`} onPress={() => setLeaving(note.id)} />}
            </li>
          ))}
        </ul>
      )}
      {feed.hasMore && <Button size="small" onPress={feed.loadMore} isPending={feed.isLoading}>{t`Show more`}</Button>}
      <Confirm isOpen={leaving !== null} onClose={() => setLeaving(null)} title={t`Delete this note?`} action={t`Delete`} isPending={remove.isRunning} onConfirm={async () => void tell((await remove.run({ id: leaving! })).problem, t`The note is deleted.`)}>
        <p>
          <Trans>It cannot be brought back.</Trans>
        </p>
      </Confirm>
    </Card>
  );
}
