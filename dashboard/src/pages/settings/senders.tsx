import { Trans, useLingui } from "@lingui/react/macro";
import { useMemo } from "react";
import { useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import type { SenderKind, SenderRowFragment } from "@/gql/graphql";
import { ButtonLink } from "@/ui/button";
import { Card, Time } from "@/ui/show";
import { EmptyState, Loading, ProblemState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";

export const SenderRow = graphql(`
  fragment SenderRow on Sender { id value kind regions registration createdAt }
`);
const SenderList = graphql(`
  query SenderList($first: Int, $after: String) {
    senders(first: $first, after: $after) {
      nodes { ...SenderRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);

export function Senders() {
  const { t } = useLingui();
  const feed = useFeed(SenderList, {}, ({ senders }) => senders);
  const columns = useMemo<TableColumn<SenderRowFragment>[]>(() => {
    const kinds: Record<SenderKind, string> = { LONG_CODE: t`Phone number`, TOLL_FREE: t`Toll-free number`, SHORT_CODE: t`Short code`, ALPHANUMERIC: t`Name, cannot be answered` };
    return [
      { id: "value", header: t`Sender`, cell: ({ value }) => <span className="font-medium tabular">{value}</span>, text: ({ value }) => value },
      { id: "kind", header: t`Kind`, cell: ({ kind }) => kinds[kind], text: ({ kind }) => kind },
      { id: "regions", header: t`Regions`, cell: ({ regions }) => <span className="text-sm text-muted">{regions.length === 0 ? t`Every region that takes it` : regions.join(", ")}</span>, text: ({ regions }) => regions.join(" "), className: "hidden sm:table-cell" },
      { id: "registration", header: t`Registration`, cell: ({ registration }) => <span className="font-mono text-xs text-muted">{registration ?? "–"}</span>, text: ({ registration }) => registration, className: "hidden md:table-cell" },
      { id: "at", header: t`Added`, cell: ({ createdAt }) => <Time at={createdAt} style="day" />, text: ({ createdAt }) => createdAt, className: "hidden md:table-cell" },
    ];
  }, [t]);
  if (feed.problem !== null && feed.rows === undefined) return <ProblemState problem={feed.problem} onRetry={feed.retry} />;
  if (feed.rows === undefined) return <Loading />;
  if (feed.rows.length === 0)
    return (
      <Card>
        <EmptyState icon="phone" title={t`No sender of your own yet`} action={<ButtonLink to="/settings" search={{ tab: "sending" }}>{t`Choose the default sender`}</ButtonLink>}>
          <Trans>The operator of this service adds numbers. A name that nobody has becomes yours when you make it the live default sender.</Trans>
        </EmptyState>
      </Card>
    );
  return (
    <>
      <p className="mb-4 max-w-xl text-muted">{t`The operator of this service adds and registers them.`}</p>
      <DataTable label={t`Senders`} rows={feed.rows} columns={columns} rowKey={({ id }) => id} totalCount={feed.totalCount} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="senders" />
    </>
  );
}
