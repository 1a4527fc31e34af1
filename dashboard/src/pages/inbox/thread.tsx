import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { useCaughtUp, useChange, useData, useFeed } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { ThreadEntryFragment } from "@/gql/graphql";
import { MessageBadge } from "@/status";
import { Button } from "@/ui/button";
import { classes } from "@/ui/classes";
import { FailureText } from "@/ui/failures";
import { Select } from "@/ui/fields";
import { Badge, Callout, Time } from "@/ui/show";
import { EmptyState, Loading, ProblemState, States, useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";
import { AnswerBox } from "./answer";
import { useUnflag } from "./flagged";
import { nameOf, type InboxMember } from "./threads";

const HeadData = graphql(`
  query ThreadHead($id: ID!) {
    contact(id: $id) { id firstName lastName phone optIn { status } }
    inboxThread(contactId: $id) { contact { id } unreadCount waiting assigneeId }
  }
`);
export const ThreadEntry = graphql(`
  fragment ThreadEntry on ThreadMessage {
    body
    createdAt
    inbound { id readAt isFlagged intent keyword }
    message { id status origin campaign { id name } error { code message } }
  }
`);
const Entries = graphql(`
  query ThreadEntries($contactId: ID!, $first: Int, $after: String) {
    threadMessages(contactId: $contactId, first: $first, after: $after) {
      nodes { ...ThreadEntry }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
const Answer = graphql(`
  mutation AnswerOneThread($contactId: ID!, $input: AnswerThreadInput!, $key: String) {
    answerThread(contactId: $contactId, input: $input, idempotencyKey: $key) {
      __typename
      ... on Message { id body status }
      ... on Error { code message param }
    }
  }
`);
const Assign = graphql(`
  mutation AssignOneThread($contactId: ID!, $userId: ID) {
    assignThread(contactId: $contactId, userId: $userId) {
      __typename
      ... on InboxThread { assigneeId contact { id } }
      ... on Error { code message param }
    }
  }
`);

const NOBODY = "-";
const POLL_MS = 4000;
const RECENT_MS = 5 * 60_000;
const UNDER_WAY = new Set(["QUEUED", "SENDING", "SENT"]);

/** An answer that shows before the service took it. */
interface Pending {
  key: string;
  body: string;
  problem: Problem | null;
  id: string | null;
}

interface Props {
  id: string;
  members: readonly InboxMember[];
  isReader: boolean;
  onBack: () => void;
  onAbout: () => void;
  onMark: (isRead: boolean) => void;
  isMarking: boolean;
}

const idOf = ({ inbound, message }: ThreadEntryFragment) => inbound?.id ?? message?.id ?? "";

// A variable that is blank is refused, so what is not known is left out.
const variablesOf = ({ firstName, lastName }: { firstName?: string | null; lastName?: string | null }) => ({ ...(firstName ? { firstName } : {}), ...(lastName ? { lastName } : {}) });

export function ThreadPane({ id, members, isReader, onBack, onAbout, onMark, isMarking }: Props) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const head = useData(HeadData, { id });
  const feed = useFeed(Entries, { contactId: id } as never, ({ threadMessages }) => threadMessages);
  useCaughtUp(feed.retry);
  const answer = useChange(Answer);
  const assign = useChange(Assign);
  const [pending, setPending] = useState<readonly Pending[]>([]);
  const scroller = useRef<HTMLDivElement>(null);

  const rows = feed.rows ?? [];
  const known = new Set(rows.map(idOf));
  const shown = pending.filter((each) => each.id === null || !known.has(each.id));
  const newest = `${rows[0] === undefined ? "" : idOf(rows[0])} ${shown.length}`;
  // In newer browsers scrolling answers with a promise, which is no clean-up.
  useEffect(() => void scroller.current?.scrollTo({ top: scroller.current.scrollHeight }), [newest]);
  const isMoving = rows.slice(0, 10).some(({ message, createdAt }) => message != null && UNDER_WAY.has(message.status) && Date.now() - Date.parse(createdAt) < RECENT_MS);
  const { retry } = feed;
  useEffect(() => {
    if (!isMoving) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && retry(), POLL_MS);
    return () => clearInterval(timer);
  }, [isMoving, retry]);

  const put = (key: string, changes: Partial<Pending>) => setPending((before) => before.map((each) => (each.key === key ? { ...each, ...changes } : each)));
  const send = async (body: string, key: string) => {
    setPending((before) => [...before.filter((each) => each.key !== key), { key, body, problem: null, id: null }]);
    const { done, problem } = await answer.run({ contactId: id, input: { body }, key });
    put(key, { id: done?.id ?? null, problem });
  };
  const drop = (key: string) => setPending((before) => before.filter((each) => each.key !== key));

  return (
    <section aria-label={t`Thread`} className="flex h-[calc(100dvh-7rem)] min-h-96 flex-col rounded-2xl border border-line bg-surface lg:h-full">
      <States of={head} loading={<div className="p-4"><Loading rows={2} /></div>}>
        {({ contact, inboxThread }) =>
          contact == null ? (
            <EmptyState icon="contacts" title={t`There is no such contact`} action={<Button onPress={onBack}>{t`All threads`}</Button>} />
          ) : (
            <>
              <header className="flex flex-wrap items-center gap-2 border-b border-line px-3 py-2.5">
                <Button size="icon" look="quiet" icon="left" aria-label={t`All threads`} className="lg:hidden" onPress={onBack} />
                <div className="min-w-0 flex-1 basis-32">
                  <h2 className="truncate font-semibold">{nameOf(contact)}</h2>
                  <p className="truncate text-sm text-muted tabular">{contact.phone}</p>
                </div>
                <Button size="icon" look="quiet" icon="user" aria-label={t`About the contact`} className="xl:hidden" onPress={onAbout} />
                {!isReader && inboxThread != null && (
                  <>
                    <Button size="small" isPending={isMarking} onPress={() => onMark(inboxThread.unreadCount > 0)}>
                      {inboxThread.unreadCount > 0 ? t`Mark read` : t`Mark unread`}
                    </Button>
                    {members.length > 0 && (
                      <Select
                        className="w-full sm:w-56"
                        label={t`Answered by`}
                        hideLabel
                        choices={[{ value: NOBODY, label: t`Nobody in particular` }, ...members.map((each) => ({ value: each.id, label: each.name || each.email }))]}
                        value={inboxThread.assigneeId ?? NOBODY}
                        onChange={async (next) => {
                          const { problem } = await assign.run({ contactId: id, userId: next === NOBODY ? null : next });
                          toast(problem === null ? { text: t`The thread is assigned.` } : { text: textOf(problem), tone: "danger" });
                        }}
                      />
                    )}
                  </>
                )}
              </header>
              <div ref={scroller} role="log" aria-label={t`Messages of the thread`} tabIndex={0} className="relative min-h-0 flex-1 space-y-3 overflow-y-auto p-4 outline-offset-[-2px]">
                {feed.rows === undefined ? (
                  feed.problem !== null ? (
                    <ProblemState problem={feed.problem} onRetry={feed.retry} />
                  ) : (
                    <Loading />
                  )
                ) : (
                  <>
                    {feed.hasMore && (
                      <div className="text-center">
                        <Button size="small" onPress={feed.loadMore} isPending={feed.isLoading}>{t`Older messages`}</Button>
                      </div>
                    )}
                    {rows.toReversed().map((entry) => (
                      <Bubble key={idOf(entry)} entry={entry} isReader={isReader} />
                    ))}
                    {shown.map((each) => (
                      <div key={each.key} className="flex flex-col items-end gap-1">
                        <p className={classes("max-w-[85%] rounded-2xl rounded-br-md bg-brand-soft px-4 py-2.5 leading-snug break-words whitespace-pre-wrap", each.problem === null && "border border-dashed border-line-strong")}>{each.body}</p>
                        {each.problem === null ? (
                          <span className="text-xs text-muted">{t`Sending …`}</span>
                        ) : (
                          <Callout
                            tone="danger"
                            action={
                              <>
                                <Button size="small" icon="refresh" onPress={() => void send(each.body, each.key)}>{t`Try again`}</Button>
                                <Button size="small" look="quiet" onPress={() => drop(each.key)}>{t`Discard`}</Button>
                              </>
                            }
                          >
                            {textOf(each.problem)}
                          </Callout>
                        )}
                      </div>
                    ))}
                  </>
                )}
              </div>
              {isReader ? (
                <p className="border-t border-line px-4 py-3 text-sm text-muted">
                  <Trans>Your role reads the inbox and answers nobody.</Trans>
                </p>
              ) : contact.optIn.status === "OPTED_OUT" ? (
                <div className="border-t border-line p-3">
                  <Callout tone="warn">
                    <Trans>This contact opted out and cannot be answered until it agrees again.</Trans>
                  </Callout>
                </div>
              ) : (
                <AnswerBox to={contact.phone} variables={variablesOf(contact)} onSend={(body, key) => void send(body, key)} />
              )}
            </>
          )
        }
      </States>
    </section>
  );
}

function Bubble({ entry: { body, createdAt, inbound, message }, isReader }: { entry: ThreadEntryFragment; isReader: boolean }) {
  const { t } = useLingui();
  const unflag = useUnflag();
  const isIn = inbound != null;
  return (
    <div className={classes("flex flex-col gap-1", isIn ? "items-start" : "items-end")}>
      <p className={classes("max-w-[85%] rounded-2xl px-4 py-2.5 leading-snug break-words whitespace-pre-wrap", isIn ? "rounded-bl-md bg-sunken" : "rounded-br-md bg-brand-soft")}>
        <span className="sr-only">{isIn ? t`From the contact:` : t`To the contact:`} </span>
        {body}
      </p>
      <div className={classes("flex flex-wrap items-center gap-2 text-xs text-muted", !isIn && "justify-end")}>
        <Time at={createdAt} />
        {inbound?.keyword != null && <Badge tone="info">{inbound.keyword}</Badge>}
        {isIn && inbound.readAt == null && <Badge tone="brand">{t`Unread`}</Badge>}
        {message != null && <MessageBadge status={message.status} />}
        {message?.campaign != null && (
          <Link to="/campaigns/$id" params={{ id: message.campaign.id }}>
            {message.campaign.name}
          </Link>
        )}
        {message != null && (
          <Link to="/messages" search={{ id: message.id }}>
            {t`Details`}
          </Link>
        )}
      </div>
      {message?.error != null && <p className="text-xs text-danger"><FailureText of={message.error} /></p>}
      {inbound?.isFlagged && (
        <Callout tone="warn" action={!isReader && <Button size="small" isPending={unflag.isRunning} onPress={() => unflag.run(inbound.id)}>{t`Take the flag off`}</Button>}>
          {inbound.intent === "LIKELY" ? t`It likely asks for no more texts. Opt the contact out, or take the flag off.` : t`It could not surely be read. Look at it, then take the flag off.`}
        </Callout>
      )}
    </div>
  );
}
