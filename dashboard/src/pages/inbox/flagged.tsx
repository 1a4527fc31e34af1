import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useSearch } from "@tanstack/react-router";
import { useChange, useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import { Button } from "@/ui/button";
import { classes } from "@/ui/classes";
import { Badge, Time } from "@/ui/show";
import { EmptyState, Loading, ProblemState, useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";
import { nameOf } from "./threads";

const FlaggedList = graphql(`
  query InboxFlagged($first: Int, $after: String) {
    inboundMessages(flagged: true, first: $first, after: $after) {
      nodes { id from body intent isFlagged receivedAt contact { id firstName lastName phone } }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const Unflag = graphql(`
  mutation InboxUnflag($id: ID!) {
    unflagInboundMessage(id: $id) {
      __typename
      ... on InboundMessage { id isFlagged intent }
      ... on Error { code message }
    }
  }
`);

export function useUnflag() {
  const { t } = useLingui();
  const textOf = useProblemText();
  const unflag = useChange(Unflag);
  return {
    isRunning: unflag.isRunning,
    run: async (id: string) => {
      const { problem } = await unflag.run({ id });
      toast(problem === null ? { text: t`The flag is off.` } : { text: textOf(problem), tone: "danger" });
    },
  };
}

/** Replies that likely ask for no more, for a person to decide. */
export function Flagged({ current, isReader }: { current: string | undefined; isReader: boolean }) {
  const { t } = useLingui();
  const feed = useFeed(FlaggedList, {} as never, ({ inboundMessages }) => inboundMessages);
  const unflag = useUnflag();
  const found = useSearch({ from: "/shell/inbox" });
  if (feed.rows === undefined) {
    return feed.problem !== null ? (
      <ProblemState problem={feed.problem} onRetry={feed.retry} />
    ) : (
      <div className="p-3">
        <Loading />
      </div>
    );
  }
  if (feed.rows.length === 0) {
    return (
      <EmptyState icon="check" title={t`Nothing to look at`}>
        <Trans>Replies that may ask for no more, without saying STOP, are flagged and wait here for a person.</Trans>
      </EmptyState>
    );
  }
  return (
    <>
      <ul className="divide-y divide-line">
        {feed.rows.map(({ id, from, body, intent, receivedAt, contact }) => (
          <li key={id} className={classes("px-4 py-3", contact != null && contact.id === current && "bg-brand-soft")}>
            <div className="flex items-baseline justify-between gap-3">
              {contact == null ? (
                <span className="font-medium">{from}</span>
              ) : (
                <Link to="/inbox" search={{ ...found, id: contact.id, about: undefined }} resetScroll={false} className="min-w-0 truncate font-medium text-text">
                  {nameOf(contact)}
                </Link>
              )}
              <span className="text-xs text-muted">
                <Time at={receivedAt} style="relative" />
              </span>
            </div>
            <p className="mt-0.5 text-sm break-words">{body}</p>
            <div className="mt-2 flex flex-wrap items-center gap-2">
              <Badge tone="warn">{intent === "LIKELY" ? t`Likely asks for no more` : t`Not surely read`}</Badge>
              {!isReader && <Button size="small" isPending={unflag.isRunning} onPress={() => unflag.run(id)}>{t`Take the flag off`}</Button>}
            </div>
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
