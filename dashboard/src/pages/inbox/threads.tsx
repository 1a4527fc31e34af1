import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useSearch } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import type { Feed } from "@/api/hooks";
import type { ThreadRowFragment } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { classes } from "@/ui/classes";
import { Icon } from "@/ui/icons";
import { Badge, Time } from "@/ui/show";

export interface InboxMember {
  id: string;
  name: string;
  email: string;
}

export const nameOf = ({ firstName, lastName, phone }: { firstName?: string | null; lastName?: string | null; phone: string }) => [firstName, lastName].filter(Boolean).join(" ") || phone;

export function Threads({ feed, current, members }: { feed: Feed<ThreadRowFragment>; current: string | undefined; members: readonly InboxMember[] }) {
  const { t } = useLingui();
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => void list.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" }), [current]);
  return (
    <>
      <ul ref={list} className="divide-y divide-line">
        {feed.rows!.map((thread) => (
          <li key={thread.contact.id}>
            <Thread thread={thread} isCurrent={thread.contact.id === current} assignee={members.find(({ id }) => id === thread.assigneeId)} />
          </li>
        ))}
      </ul>
      {feed.hasMore && (
        <div className="p-3 text-center">
          <Button size="small" onPress={feed.loadMore} isPending={feed.isLoading}>{t`Show more`}</Button>
        </div>
      )}
    </>
  );
}

function Thread({ thread, isCurrent, assignee }: { thread: ThreadRowFragment; isCurrent: boolean; assignee: InboxMember | undefined }) {
  const { t } = useLingui();
  const found = useSearch({ from: "/shell/inbox" });
  const { contact, lastReply, lastMessage, unreadCount, waiting } = thread;
  const isOurs = lastMessage != null && lastMessage.createdAt > lastReply.receivedAt;
  const { body, at } = isOurs ? { body: lastMessage.body, at: lastMessage.createdAt } : { body: lastReply.body, at: lastReply.receivedAt };
  return (
    <Link
      to="/inbox"
      search={{ ...found, id: contact.id, about: undefined }}
      resetScroll={false}
      activeOptions={{ exact: true, includeSearch: true }}
      aria-current={isCurrent ? "true" : undefined}
      className={classes("block px-4 py-3 text-text no-underline outline-offset-[-2px]", isCurrent ? "bg-brand-soft" : "hover:bg-sunken")}
    >
      <span className="flex items-baseline justify-between gap-3">
        <span className={classes("min-w-0 truncate", unreadCount > 0 ? "font-semibold" : "font-medium")}>{nameOf(contact)}</span>
        <span className="text-xs text-muted">
          <Time at={at} style="relative" />
        </span>
      </span>
      <span className="mt-0.5 flex items-center gap-2">
        <span className={classes("min-w-0 flex-1 truncate text-sm", unreadCount > 0 ? "text-text" : "text-muted")}>
          {isOurs && <Trans>You:</Trans>} {body}
        </span>
        {unreadCount > 0 && (
          <span className="rounded-full bg-brand px-2 text-xs font-medium text-on-brand tabular">
            {unreadCount}
            <span className="sr-only"> {t`unread`}</span>
          </span>
        )}
      </span>
      {(waiting || assignee !== undefined || lastReply.isFlagged || contact.optIn.status === "OPTED_OUT") && (
        <span className="mt-1.5 flex flex-wrap items-center gap-1.5">
          {lastReply.isFlagged && <Badge tone="warn" icon="warning">{t`Flagged`}</Badge>}
          {contact.optIn.status === "OPTED_OUT" ? <Badge tone="danger">{t`Opted out`}</Badge> : waiting && <Badge tone="info">{t`Waiting`}</Badge>}
          {assignee !== undefined && (
            <span className="inline-flex min-w-0 items-center gap-1 text-xs text-muted">
              <Icon name="user" className="size-3.5" />
              <span className="truncate">{assignee.name || assignee.email}</span>
            </span>
          )}
        </span>
      )}
    </Link>
  );
}
