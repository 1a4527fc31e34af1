import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useRef } from "react";
import { useCaughtUp, newKey, useChange, useData, useFeed, useLive } from "@/api/hooks";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { HandsetEntryFragment } from "@/gql/graphql";
import { MessageBadge, OptInBadge } from "@/status";
import { Button, ButtonLink } from "@/ui/button";
import { classes } from "@/ui/classes";
import { FailureText } from "@/ui/failures";
import { AnswerAs, useAnswerAs } from "@/ui/handset";
import { BUBBLE } from "@/ui/phone";
import { Badge, Callout, Time } from "@/ui/show";
import { EmptyState, Loading, ProblemState, States, useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";

const Owner = graphql(`
  query HandsetOwner($phone: String!) {
    handset(phone: $phone) { phone optedOut script contact { id firstName lastName optIn { status } } }
  }
`);
export const HandsetEntry = graphql(`
  fragment HandsetEntry on ThreadMessage {
    body
    createdAt
    inbound { id to keyword }
    message { id from parts segments encoding status kind error { code message } }
  }
`);
const Entries = graphql(`
  query HandsetEntries($phone: String!, $first: Int, $after: String) {
    handsetMessages(phone: $phone, first: $first, after: $after) {
      nodes { ...HandsetEntry }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
const Events = graphql(`
  subscription HandsetEvents($types: [EventType!], $after: ID) {
    eventTail(types: $types, after: $after) { id type }
  }
`);
const Replies = graphql(`
  subscription HandsetReplies($after: ID) {
    newReplies(after: $after) { id from body }
  }
`);
const Send = graphql(`
  mutation HandsetSend($input: SendMessageInput!, $key: String) {
    sendMessage(input: $input, idempotencyKey: $key) {
      __typename
      ... on Message { id status }
      ... on Error { code message param }
    }
  }
`);
const HEARD = ["MESSAGE_QUEUED", "MESSAGE_SENT", "MESSAGE_DELIVERED", "MESSAGE_FAILED", "MESSAGE_CANCELED", "CONTACT_OPTED_IN", "CONTACT_OPTED_OUT"] as const;
const FIRST_BODY = "Doors open at 8pm. Are you coming? Reply STOP to opt out.";
// What people answer most, by one press.
const QUICK = ["STOP", "HELP", "YES", "START"] as const;
const SOON_MS = 400;

const idOf = ({ inbound, message }: HandsetEntryFragment) => inbound?.id ?? message?.id ?? "";

/** Return what runs a reading soon, once for all that happened meanwhile. */
function useSoon(read: () => void): () => void {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return useCallback(() => {
    clearTimeout(timer.current);
    timer.current = setTimeout(read, SOON_MS);
  }, [read]);
}

/** One phone of the sandbox; `onChange` is told when anything happened in the sandbox. */
export function Phone({ phone, onChange }: { phone: string; onChange: () => void }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { membership } = useSession();
  const isReader = membership?.role === "READ_ONLY";
  const owner = useData(Owner, { phone });
  const feed = useFeed(Entries, { phone } as never, ({ handsetMessages }) => handsetMessages);
  const readAgain = useCallback(() => {
    owner.retry();
    feed.retry();
    onChange();
  }, [owner.retry, feed.retry, onChange]);
  const soon = useSoon(readAgain);
  useLive(Events, { types: [...HEARD] }, { onItem: soon });
  useLive(Replies, {}, { onItem: soon });
  useCaughtUp(feed.retry);
  const scroller = useRef<HTMLDivElement>(null);
  const newest = feed.rows?.[0] === undefined ? "" : idOf(feed.rows[0]);
  useEffect(() => void scroller.current?.scrollTo({ top: scroller.current.scrollHeight }), [newest]);
  // An answer goes to the last sender, as on a phone.
  const heard = feed.rows?.find(({ message }) => message != null)?.message?.from;
  return (
    <section aria-label={t`Phone`} className="flex h-[calc(100dvh-7rem)] min-h-96 min-w-0 flex-col rounded-2xl border border-line bg-surface lg:h-full">
      <header className="flex flex-wrap items-center gap-2 border-b border-line px-3 py-2.5">
        <Button size="icon" look="quiet" icon="left" aria-label={t`All phones`} className="lg:hidden" onPress={() => void navigate({ to: "/handset" })} />
        <div className="min-w-0 flex-1 basis-40">
          <h2 className="font-semibold tabular">{phone}</h2>
          <Script phone={owner.data?.handset.script} contact={owner.data?.handset.contact} />
        </div>
        {owner.data?.handset.contact != null && (
          <>
            <OptInBadge status={owner.data.handset.contact.optIn.status} />
            <ButtonLink size="small" to="/contacts/$id" params={{ id: owner.data.handset.contact.id }}>{t`The contact`}</ButtonLink>
          </>
        )}
      </header>
      <States of={owner} loading={<div className="p-4"><Loading rows={3} /></div>}>
        {({ handset }) => (
          <>
            <div ref={scroller} role="log" aria-label={t`Messages of the phone`} tabIndex={0} className="relative min-h-0 flex-1 overflow-y-auto p-4 outline-offset-[-2px]">
              <div className="mx-auto flex max-w-xl flex-col gap-3">
                {feed.rows === undefined ? (
                  feed.problem !== null ? <ProblemState problem={feed.problem} onRetry={feed.retry} /> : <Loading />
                ) : feed.rows.length === 0 ? (
                  <EmptyState icon="message" title={t`Nothing received yet`} action={!isReader && !handset.optedOut ? <FirstMessage phone={phone} onSent={readAgain} /> : undefined}>
                    <Trans>What is sent to this number shows here: by a campaign, by the API, or now.</Trans>
                  </EmptyState>
                ) : (
                  <>
                    {feed.hasMore && (
                      <div className="text-center">
                        <Button size="small" onPress={feed.loadMore} isPending={feed.isLoading}>{t`Older messages`}</Button>
                      </div>
                    )}
                    {feed.rows.toReversed().map((entry) => (
                      <Entry key={idOf(entry)} entry={entry} />
                    ))}
                  </>
                )}
              </div>
            </div>
            {handset.optedOut && (
              <div className="border-t border-line p-3">
                <Callout tone="warn">
                  <Trans>This number has opted out: nothing is sent to it until it answers START.</Trans>
                </Callout>
              </div>
            )}
            {!isReader && <Answers phone={phone} to={heard} />}
          </>
        )}
      </States>
    </section>
  );
}

function Script({ phone: script, contact }: { phone: string | null | undefined; contact: { firstName?: string | null; lastName?: string | null } | null | undefined }) {
  const { t } = useLingui();
  const name = [contact?.firstName, contact?.lastName].filter(Boolean).join(" ");
  return (
    <p className="text-sm text-muted">
      {name !== "" && `${name} · `}
      {script ?? t`Delivered after about a second.`}
    </p>
  );
}

function FirstMessage({ phone, onSent }: { phone: string; onSent: () => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const send = useChange(Send);
  const run = async () => {
    const { problem } = await send.run({ input: { to: phone, body: FIRST_BODY }, key: newKey() });
    if (problem === null) onSent();
    else toast({ text: textOf(problem), tone: "danger" });
  };
  return <Button look="primary" isPending={send.isRunning} onPress={run}>{t`Send a first message`}</Button>;
}

function Answers({ phone, to }: { phone: string; to: string | undefined }) {
  const { t } = useLingui();
  const { send, isRunning } = useAnswerAs(phone, to);
  return (
    <div className="border-t border-line">
      <div role="group" aria-label={t`Quick answers`} className="mx-auto flex max-w-xl flex-wrap gap-2 px-3 pt-3">
        {QUICK.map((word) => (
          <Button key={word} size="small" isPending={isRunning} onPress={() => void send(word)}>
            {word}
          </Button>
        ))}
      </div>
      <div className="mx-auto max-w-xl [&>form]:border-0">
        <AnswerAs phone={phone} to={to} />
      </div>
    </div>
  );
}

function Entry({ entry: { body, createdAt, inbound, message } }: { entry: HandsetEntryFragment }) {
  const { t } = useLingui();
  const isTheirs = inbound != null;
  const parts = message?.parts ?? [];
  const encoding = message?.encoding === "UCS2" ? t`Unicode` : t`plain text`;
  return (
    <div className={classes("flex flex-col gap-1", isTheirs ? "items-end" : "items-start")}>
      <p className={classes(BUBBLE, isTheirs ? "rounded-br-md bg-brand text-on-brand" : "rounded-bl-md bg-sunken")}>
        <span className="sr-only">{isTheirs ? t`From this phone:` : t`To this phone:`} </span>
        {parts.length > 1
          ? parts.map((part, index) => (
              <span key={index} className={classes(index % 2 === 1 && "border-b-2 border-dotted border-line-strong")}>
                {part}
              </span>
            ))
          : body}
      </p>
      <div className={classes("flex flex-wrap items-center gap-2 text-xs text-muted", isTheirs && "justify-end")}>
        <Time at={createdAt} />
        {inbound?.keyword != null && <Badge tone="info">{inbound.keyword}</Badge>}
        {message != null && (
          <>
            <MessageBadge status={message.status} />
            <span className="tabular">
              <Plural value={message.segments} one="# segment" other="# segments" /> · {encoding}
            </span>
            {message.kind === "AUTO" && <Badge>{t`Automatic`}</Badge>}
          </>
        )}
      </div>
      {message?.error != null && <p className="text-xs text-danger"><FailureText of={message.error} /></p>}
    </div>
  );
}
