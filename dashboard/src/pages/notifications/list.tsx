// Notifications as a list: read by opening one, or all at once.
import { Trans, useLingui } from "@lingui/react/macro";
import { useRouter } from "@tanstack/react-router";
import { useChange, useFeed } from "@/api/hooks";
import { enterMode, useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { NotificationRowFragment } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { classes } from "@/ui/classes";
import { Icon } from "@/ui/icons";
import { Badge, Time } from "@/ui/show";
import { EmptyState, Loading, ProblemState } from "@/ui/states";
import { useTell } from "@/ui/tell";
import { useTextOf } from "./names";
import { ICONS, placeOf } from "./places";

const NotificationList = graphql(`
  query NotificationList($unread: Boolean, $first: Int, $after: String) {
    notifications(unread: $unread, first: $first, after: $after) {
      nodes { ...NotificationRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const MarkRead = graphql(`
  mutation NotificationsMarkRead($ids: [ID!]) {
    markNotificationsRead(ids: $ids) {
      __typename
      ... on NotificationsRead { unreadCount }
      ... on Error { code message param }
    }
  }
`);

export function Notifications({ isUnreadOnly = false, onOpened }: { isUnreadOnly?: boolean; onOpened?: () => void }) {
  const { t } = useLingui();
  const tell = useTell();
  const feed = useFeed(NotificationList, isUnreadOnly ? { unread: true } : {}, ({ notifications }) => notifications);
  const mark = useChange(MarkRead);
  if (feed.problem !== null && feed.rows === undefined) return <ProblemState problem={feed.problem} onRetry={feed.retry} />;
  if (feed.rows === undefined) return <Loading />;
  if (feed.rows.length === 0)
    return (
      <EmptyState icon="bell" title={isUnreadOnly ? t`All read` : t`Nothing to tell yet`}>
        <Trans>Low credits, paused campaigns, imports that ended and new members show up here.</Trans>
      </EmptyState>
    );
  const hasUnread = feed.rows.some(({ readAt }) => readAt === null);
  const markAll = async () => tell((await mark.run({})).problem, t`All are marked as read.`);
  return (
    <>
      <div className="mb-2 flex justify-end">
        <Button size="small" icon="check" isPending={mark.isRunning} isDisabled={!hasUnread} onPress={markAll}>{t`Mark all as read`}</Button>
      </div>
      <ul aria-label={t`Notifications`} className="divide-y divide-line">
        {feed.rows.map((row) => (
          <Row
            key={row.id}
            row={row}
            onOpen={() => {
              if (row.readAt === null) void mark.run({ ids: [row.id] });
              onOpened?.();
            }}
          />
        ))}
      </ul>
      {feed.hasMore && (
        <div className="mt-4 flex justify-center">
          <Button onPress={feed.loadMore} isPending={feed.isLoading}>{t`Show older ones`}</Button>
        </div>
      )}
    </>
  );
}

function Row({ row, onOpen }: { row: NotificationRowFragment; onOpen: () => void }) {
  const { t } = useLingui();
  const router = useRouter();
  const textOf = useTextOf();
  const { livemode } = useSession();
  const { to, isOfMode } = placeOf(row);
  const isUnread = row.readAt === null;
  const open = () => {
    onOpen();
    if (isOfMode && row.livemode !== livemode) enterMode(row.livemode);
    void router.navigate({ to: to as "/" });
  };
  return (
    <li>
      <button type="button" onClick={open} className="flex w-full items-start gap-3 rounded-lg px-2 py-3 text-left outline-offset-[-2px] hover:bg-sunken">
        <span className={classes("mt-0.5 flex size-9 shrink-0 items-center justify-center rounded-full", isUnread ? "bg-brand-soft text-brand" : "bg-sunken text-muted")}>
          <Icon name={ICONS[row.kind]} className="size-4.5" />
        </span>
        <span className="min-w-0 flex-1">
          <span className={classes("block break-words", isUnread ? "font-medium" : "text-muted")}>
            {isUnread && <span className="sr-only">{t`Unread`}: </span>}
            {textOf(row)}
          </span>
          <span className="mt-1 flex flex-wrap items-center gap-2 text-sm text-muted">
            <Time at={row.createdAt} style="relative" />
            {isOfMode && !row.livemode && <Badge>{t`Sandbox`}</Badge>}
            {isOfMode && row.livemode && !livemode && <Badge tone="info">{t`Live`}</Badge>}
          </span>
        </span>
        {isUnread && <span className="mt-2 size-2.5 shrink-0 rounded-full bg-brand" aria-hidden="true" />}
      </button>
    </li>
  );
}
