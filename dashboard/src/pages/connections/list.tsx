import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo } from "react";
import { useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import type { ConnectionListQuery } from "@/gql/graphql";
import { useMayWrite } from "@/pages/contacts/shared";
import { ButtonLink } from "@/ui/button";
import { Card, Count, PageHead, Time } from "@/ui/show";
import { EmptyState, Loading, ProblemState } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { healthOf } from "./health";
import { HealthBadge, useHealthNames, useServiceName, useSettingName } from "./shared";

const ConnectionList = graphql(`
  query ConnectionList($first: Int, $after: String) {
    contactLists(kind: "synced", first: $first, after: $after) {
      nodes {
        id
        name
        contactCount
        source {
          type
          status
          paused
          nextSyncAt
          error { code message setting }
          lastSync { id status dryRun createdAt endedAt }
        }
      }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);

type Row = ConnectionListQuery["contactLists"]["nodes"][number];

const AGAIN_MS = 3000;
const MOVING = new Set(["CHECKING", "SYNCING"]);

export function ConnectionsPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const serviceName = useServiceName();
  const settingName = useSettingName();
  const names = useHealthNames();
  const feed = useFeed(ConnectionList, {} as never, ({ contactLists }) => contactLists);
  const moves = feed.rows?.some(({ source }) => source != null && MOVING.has(healthOf(source))) ?? false;
  const { retry } = feed;
  useEffect(() => {
    if (!moves) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && retry(), AGAIN_MS);
    return () => clearInterval(timer);
  }, [moves, retry]);
  const columns = useMemo<TableColumn<Row>[]>(
    () => [
      {
        id: "list",
        header: t`List`,
        cell: ({ id, name }) => (
          <Link to="/connections/$id" params={{ id }} className="block max-w-32 min-w-24 truncate font-medium text-text no-underline hover:underline sm:max-w-64">
            {name}
          </Link>
        ),
        text: ({ name }) => name,
      },
      { id: "service", header: t`Service`, cell: ({ source }) => source != null && serviceName(source.type), text: ({ source }) => source?.type, className: "hidden sm:table-cell" },
      {
        id: "health",
        header: t`State`,
        cell: ({ source }) =>
          source != null && (
            <>
              <HealthBadge source={source} />
              {source.error != null && (
                <span className="mt-1 hidden max-w-72 text-sm text-danger sm:block">
                  {source.error.setting != null && <strong>{settingName(source.error.setting)}: </strong>}
                  {source.error.message}
                </span>
              )}
            </>
          ),
        text: ({ source }) => (source == null ? "" : names[healthOf(source)]),
      },
      { id: "contacts", header: t`Contacts`, cell: ({ contactCount }) => <Count value={contactCount} />, text: ({ contactCount }) => contactCount, isNumber: true, className: "hidden md:table-cell" },
      {
        id: "last",
        header: t`Last sync`,
        cell: ({ source }) => (source?.lastSync == null ? "–" : <Time at={source.lastSync.endedAt ?? source.lastSync.createdAt} />),
        text: ({ source }) => source?.lastSync?.endedAt,
        className: "hidden lg:table-cell",
      },
      { id: "next", header: t`Next sync`, cell: ({ source }) => (source?.nextSyncAt == null ? "–" : <Time at={source.nextSyncAt} />), text: ({ source }) => source?.nextSyncAt, className: "hidden lg:table-cell" },
    ],
    [t, serviceName, settingName, names],
  );
  const adding = mayWrite ? <ButtonLink look="primary" icon="plus" to="/connections/new">{t`Connect a service`}</ButtonLink> : undefined;
  return (
    <>
      <PageHead title={t`Connections`} lead={t`Lists that are kept in step with other services. A first sync changes nothing until you confirm it.`} actions={feed.rows?.length === 0 ? undefined : adding} />
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : feed.rows.length === 0 ? (
        <Card>
          <EmptyState icon="refresh" title={t`Keep a list in step`} action={adding}>
            <Trans>People who join in Kit, Kajabi, Shopify, a sheet or another service join the list, and people who leave there leave it. Consent stays as it is here.</Trans>
          </EmptyState>
        </Card>
      ) : (
        <DataTable
          label={t`Connections`}
          rows={feed.rows}
          columns={columns}
          rowKey={({ id }) => id}
          onOpen={({ id }) => void navigate({ to: "/connections/$id", params: { id } })}
          totalCount={feed.totalCount}
          hasMore={feed.hasMore}
          onMore={feed.loadMore}
          isLoading={feed.isLoading && !moves}
          fileName="connections"
        />
      )}
    </>
  );
}
