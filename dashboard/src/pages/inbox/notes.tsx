import { Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { useChange, useFeed } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import { Button } from "@/ui/button";
import { TextArea } from "@/ui/fields";
import { Time } from "@/ui/show";
import { Loading, useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";
import type { InboxMember } from "./threads";

const NoteList = graphql(`
  query InboxNotes($contactId: ID!, $first: Int, $after: String) {
    contactNotes(contactId: $contactId, first: $first, after: $after) {
      nodes { id body author createdAt }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
const Add = graphql(`
  mutation InboxAddNote($contactId: ID!, $body: String!) {
    addNote(contactId: $contactId, body: $body) {
      __typename
      ... on ContactNote { id body author createdAt }
      ... on Error { code message param }
    }
  }
`);
const Delete = graphql(`
  mutation InboxDeleteNote($id: ID!) {
    deleteNote(id: $id) {
      __typename
      ... on Error { code message }
    }
  }
`);
const MOST = 2000;

/** What the team wrote down; the contact never sees it. */
export function Notes({ id, members, isReader }: { id: string; members: readonly InboxMember[]; isReader: boolean }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const feed = useFeed(NoteList, { contactId: id } as never, ({ contactNotes }) => contactNotes);
  const add = useChange(Add);
  const remove = useChange(Delete);
  const [body, setBody] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const save = async () => {
    const { problem: found } = await add.run({ contactId: id, body: body.trim() });
    setProblem(found);
    if (found === null) setBody("");
  };
  return (
    <section className="mt-5 border-t border-line pt-4">
      <h3 className="mb-2 text-sm font-semibold">{t`Notes`}</h3>
      {!isReader && (
        <>
          <TextArea label={t`A note for the team`} value={body} onChange={setBody} maxLength={MOST} rows={2} error={problem === null ? undefined : textOf(problem)} />
          <div className="mt-2 text-right">
            <Button size="small" isDisabled={body.trim() === ""} isPending={add.isRunning} onPress={save}>{t`Add note`}</Button>
          </div>
        </>
      )}
      {feed.rows === undefined ? (
        feed.problem !== null ? (
          <p role="alert" className="text-sm text-danger">
            {textOf(feed.problem)} <Button size="small" onPress={feed.retry}>{t`Try again`}</Button>
          </p>
        ) : (
          <Loading rows={2} />
        )
      ) : feed.rows.length === 0 ? (
        <p className="mt-2 text-sm text-muted">
          <Trans>None yet. The contact never sees them.</Trans>
        </p>
      ) : (
        <ul className="mt-2 space-y-2">
          {feed.rows.map(({ id: key, body: text, author, createdAt }) => (
            <li key={key} className="rounded-xl bg-sunken px-3 py-2 text-sm">
              <p className="break-words whitespace-pre-wrap">{text}</p>
              <div className="mt-1 flex flex-wrap items-center gap-x-2 text-xs text-muted">
                <span className="break-all">{members.find((each) => each.id === author)?.name ?? author}</span>
                <Time at={createdAt} />
                {!isReader && (
                  <button
                    type="button"
                    className="ml-auto rounded px-1.5 py-1 underline hover:text-text"
                    onClick={async () => {
                      const { problem: found } = await remove.run({ id: key });
                      if (found !== null) toast({ text: textOf(found), tone: "danger" });
                    }}
                  >
                    {t`Delete`}
                  </button>
                )}
              </div>
            </li>
          ))}
        </ul>
      )}
      {feed.hasMore && <Button size="small" onPress={feed.loadMore}>{t`Show more`}</Button>}
    </section>
  );
}
