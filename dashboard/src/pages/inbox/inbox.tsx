import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useCaughtUp, useChange, useData, useFeed, useLive } from "@/api/hooks";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import { useSettled } from "@/settled";
import { ButtonLink } from "@/ui/button";
import { classes } from "@/ui/classes";
import { Field, Segmented, type Choice } from "@/ui/fields";
import { Card, PageHead } from "@/ui/show";
import { EmptyState, FilteredEmpty, Loading, ProblemState, useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";
import { About } from "./about";
import { Flagged } from "./flagged";
import { useKeys } from "./keys";
import type { VIEWS } from "./routes";
import { ThreadPane } from "./thread";
import { nameOf, Threads } from "./threads";

export const ThreadRow = graphql(`
  fragment ThreadRow on InboxThread {
    contact { id firstName lastName phone optIn { status } }
    lastReply { id body receivedAt readAt isFlagged }
    lastMessage { id body status createdAt }
    unreadCount
    waiting
    assigneeId
  }
`);
const ThreadList = graphql(`
  query ThreadList($q: String, $unread: Boolean = false, $waiting: Boolean = false, $assignedTo: ID, $unassigned: Boolean = false, $first: Int, $after: String) {
    inboxThreads(q: $q, unread: $unread, waiting: $waiting, assignedTo: $assignedTo, unassigned: $unassigned, first: $first, after: $after) {
      nodes { ...ThreadRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const NewReplies = graphql(`
  subscription InboxReplies($after: ID) {
    newReplies(after: $after) { id from body receivedAt contact { id firstName lastName phone } }
  }
`);
const InboxMembers = graphql(`
  query InboxMembers { members { id name email } }
`);
const MarkRead = graphql(`
  mutation InboxMarkRead($contactId: ID!) {
    markThreadRead(contactId: $contactId) {
      __typename
      ... on InboxThread { unreadCount contact { id } lastReply { id readAt } }
      ... on Error { code message }
    }
  }
`);
const MarkUnread = graphql(`
  mutation InboxMarkUnread($contactId: ID!) {
    markThreadUnread(contactId: $contactId) {
      __typename
      ... on InboxThread { unreadCount contact { id } lastReply { id readAt } }
      ... on Error { code message }
    }
  }
`);

type View = (typeof VIEWS)[number];

function conditions(view: View | undefined, userId: string) {
  if (view === "unread") return { unread: true };
  if (view === "waiting") return { waiting: true };
  if (view === "mine") return { assignedTo: userId };
  return view === "unassigned" ? { unassigned: true } : {};
}

export function InboxPage() {
  const { t } = useLingui();
  const { user, livemode, membership } = useSession();
  const navigate = useNavigate();
  const textOf = useProblemText();
  const found = useSearch({ from: "/shell/inbox" });
  const { view, q, id, about } = found;
  const go = (changes: Partial<typeof found>, replace = false) => void navigate({ to: "/inbox", search: { ...found, ...changes }, replace, resetScroll: false });

  // What is typed goes into the address once it rests; the address is what is asked for.
  const [typed, setTyped] = useState(q ?? "");
  const wanted = useSettled(typed.trim(), 300);
  useEffect(() => {
    if (wanted !== (q ?? "")) go({ q: wanted === "" ? undefined : wanted }, true);
    // Only what is typed changes the address here.
  }, [wanted]);
  useEffect(() => {
    if ((q ?? "") !== wanted) setTyped(q ?? "");
    // And another address changes what is typed.
  }, [q]);

  const isFlagged = view === "flagged";
  const feed = useFeed(ThreadList, { ...(q === undefined ? {} : { q }), ...conditions(view, user.id) } as never, ({ inboxThreads }) => inboxThreads, { pause: isFlagged });
  const { data: team } = useData(InboxMembers, {});
  const live = useLive(NewReplies, {});
  useCaughtUp(feed.retry);
  const markRead = useChange(MarkRead);
  const markUnread = useChange(MarkUnread);
  const isReader = membership?.role === "READ_ONLY";

  const rows = isFlagged ? [] : (feed.rows ?? []);
  const place = rows.findIndex(({ contact }) => contact.id === id);
  const move = (by: number) => {
    const next = rows[place === -1 ? 0 : Math.max(0, Math.min(rows.length - 1, place + by))];
    if (next !== undefined) go({ id: next.contact.id });
  };
  const mark = async (isRead: boolean) => {
    if (id === undefined) return;
    const { problem } = await (isRead ? markRead : markUnread).run({ contactId: id });
    toast(problem === null ? { text: isRead ? t`Marked as read.` : t`Marked as unread.` } : { text: textOf(problem), tone: "danger" });
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    r: () => document.querySelector<HTMLElement>("#answer textarea")?.focus(),
    e: () => void mark(true),
    u: () => void mark(false),
  });

  const choices: readonly Choice<View | "">[] = [
    { value: "", label: t`All` },
    { value: "unread", label: t`Unread` },
    { value: "waiting", label: t`Waiting` },
    { value: "mine", label: t`Mine` },
    { value: "unassigned", label: t`Unassigned` },
    { value: "flagged", label: t`Flagged` },
  ];
  const clear = () => {
    setTyped("");
    void navigate({ to: "/inbox", search: id === undefined ? {} : { id } });
  };
  const isEmpty = !isFlagged && feed.rows !== undefined && feed.rows.length === 0 && view === undefined && q === undefined && id === undefined;
  const arrived = live?.newReplies;
  const arrivedFrom = arrived === undefined ? "" : arrived.contact == null ? arrived.from : nameOf(arrived.contact);
  const members = team?.members ?? [];
  return (
    <>
      <p className="sr-only" role="status">
        {arrived !== undefined && t`New reply from ${arrivedFrom}`}
      </p>
      <div className={classes(id !== undefined && "max-lg:sr-only")}>
        <PageHead title={t`Inbox`} lead={t`What people answer, and who answers them.`} />
      </div>
      {isEmpty ? (
        <Card>
          <EmptyState
            icon="inbox"
            title={t`Nobody replied yet`}
            action={
              livemode ? undefined : (
                <ButtonLink look="primary" icon="phone" to="/handset">
                  {t`Reply from the handset`}
                </ButtonLink>
              )
            }
          >
            <Trans>Replies show here as they arrive, one thread for each contact.</Trans>
          </EmptyState>
        </Card>
      ) : (
        <div className="grid grid-cols-1 gap-4 lg:h-[calc(100dvh-14.5rem)] lg:min-h-[28rem] lg:grid-cols-[20rem_minmax(0,1fr)] xl:grid-cols-[20rem_minmax(0,1fr)_18rem]">
          <section aria-label={t`Threads`} className={classes("min-h-0 min-w-0 flex-col rounded-2xl border border-line bg-surface lg:flex", id === undefined ? "flex" : "hidden")}>
            <div className="border-b border-line p-3">
              <Field label={t`Search threads`} value={typed} onChange={setTyped} type="search" className="mb-2" placeholder={t`Text, name or phone`} isDisabled={isFlagged} />
              <Segmented label={t`Which threads`} hideLabel choices={choices} value={view ?? ""} onChange={(next) => go({ view: next === "" ? undefined : next })} />
            </div>
            <div className="relative min-h-0 flex-1 overflow-y-auto">
              {isFlagged ? (
                <Flagged current={id} isReader={isReader} />
              ) : feed.problem !== null && feed.rows === undefined ? (
                <ProblemState problem={feed.problem} onRetry={feed.retry} />
              ) : feed.rows === undefined ? (
                <div className="p-3">
                  <Loading />
                </div>
              ) : feed.rows.length === 0 ? (
                <FilteredEmpty onClear={clear} />
              ) : (
                <Threads feed={feed} current={id} members={members} />
              )}
            </div>
            <p className="hidden border-t border-line px-4 py-2 text-xs text-muted lg:block">
              <Trans>
                <kbd>j</kbd> <kbd>k</kbd> move · <kbd>r</kbd> answer · <kbd>e</kbd> read · <kbd>u</kbd> unread
              </Trans>
            </p>
          </section>
          {id === undefined ? (
            <section aria-label={t`Thread`} className="hidden min-w-0 items-center justify-center rounded-2xl border border-line bg-surface lg:flex xl:col-span-2">
              <EmptyState icon="message" title={t`No thread is open`}>
                <Trans>Choose one on the left, or press j.</Trans>
              </EmptyState>
            </section>
          ) : (
            <>
              <div className={classes("min-h-0 min-w-0", about !== undefined && "hidden xl:block")}>
                <ThreadPane
                  key={id}
                  id={id}
                  members={members}
                  isReader={isReader}
                  onBack={() => go({ id: undefined, about: undefined })}
                  onAbout={() => go({ about: "1" })}
                  onMark={(isRead) => void mark(isRead)}
                  isMarking={markRead.isRunning || markUnread.isRunning}
                />
              </div>
              <div className={classes("min-h-0 min-w-0", about === undefined && "hidden xl:block")}>
                <About key={id} id={id} members={members} isReader={isReader} onBack={() => go({ about: undefined })} />
              </div>
            </>
          )}
        </div>
      )}
    </>
  );
}
