import { plural } from "@lingui/core/macro";
import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useChange, useData, useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import type { AttemptRowFragment, WebhookFieldsFragment, WebhookHealthFieldsFragment } from "@/gql/graphql";
import { Button, ButtonLink } from "@/ui/button";
import { byName } from "@/ui/byname";
import { Confirm, Dialog } from "@/ui/dialog";
import { Select } from "@/ui/fields";
import { Callout, Card, Count, CopyId, Facts, PageHead, Time } from "@/ui/show";
import { EmptyState, Loading, ProblemState, States } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { useIsAdmin, useTell } from "@/ui/tell";
import { eventName } from "./names";
import { Code, ShownOnce } from "./parts";
import { AttemptBadge, WebhookForm, WebhookState } from "./webhooks";

const WebhookData = graphql(`
  query WebhookPage($id: ID!) { webhook(id: $id) { ...WebhookFields health { ...WebhookHealthFields } } }
`);
export const WebhookHealthFields = graphql(`
  fragment WebhookHealthFields on WebhookHealth { status failingSince lastSuccessAt lastError pendingCount missedCount lastSequence recentAttemptCount recentSuccessCount medianMs p95Ms }
`);
export const AttemptRow = graphql(`
  fragment AttemptRow on WebhookAttempt { id number statusCode error responseHead elapsedMs createdAt replay event { id type } }
`);
const Attempts = graphql(`
  query WebhookAttempts($id: ID!, $first: Int, $after: String) {
    webhook(id: $id) {
      id
      attempts(first: $first, after: $after) {
        nodes { ...AttemptRow }
        pageInfo { hasNextPage endCursor }
        totalCount
      }
    }
  }
`);
const Enable = graphql(`
  mutation WebhookEnable($id: ID!, $enabled: Boolean!) {
    updateWebhook(id: $id, input: { enabled: $enabled }) {
      __typename
      ... on Webhook { ...WebhookFields }
      ... on Error { code message param }
    }
  }
`);
const Test = graphql(`
  mutation WebhookTest($id: ID!) {
    testWebhook(id: $id) {
      __typename
      ... on Event { id type }
      ... on Error { code message }
    }
  }
`);
const Rotate = graphql(`
  mutation WebhookRotate($id: ID!) {
    rotateWebhookSecret(id: $id) {
      __typename
      ... on WebhookWithSecret { secret webhook { ...WebhookFields } }
      ... on Error { code message }
    }
  }
`);
const Recover = graphql(`
  mutation WebhookRecover($id: ID!, $since: DateTime!) {
    recoverWebhook(id: $id, since: $since) {
      __typename
      ... on Redelivery { deliveryCount }
      ... on Error { code message param }
    }
  }
`);
const Delete = graphql(`
  mutation WebhookDelete($id: ID!) {
    deleteWebhook(id: $id) {
      __typename
      ... on Deleted { deletedId }
      ... on Error { code message }
    }
  }
`);

const HOUR_MS = 3_600_000;
const ARRIVED_MS = 2000;
const NONE = { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } };

export function WebhookPage() {
  const { t } = useLingui();
  const { id } = useParams({ from: "/shell/developers/webhooks/$id" });
  const reading = useData(WebhookData, { id });
  return (
    <States of={reading} title={t`Webhook`}>
      {({ webhook }) =>
        webhook == null ? (
          <EmptyState isPage icon="search" title={t`There is no such webhook`} action={<ButtonLink to="/developers" search={{ tab: "webhooks" }}>{t`All webhooks`}</ButtonLink>}>
            <Trans>It may be of another workspace, or of the other mode.</Trans>
          </EmptyState>
        ) : (
          <Shown webhook={webhook} health={webhook.health} />
        )
      }
    </States>
  );
}

function Shown({ webhook, health }: { webhook: WebhookFieldsFragment; health: WebhookHealthFieldsFragment }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const tell = useTell();
  const isAdmin = useIsAdmin();
  const { id, url, enabled, everyEvent, events, previousSecretUntil, autoReplay, standardWebhooks, batchSize, filter } = webhook;
  const feed = useFeed(Attempts, { id } as never, ({ webhook: found }) => found?.attempts ?? NONE);
  const enable = useChange(Enable);
  const test = useChange(Test);
  const rotate = useChange(Rotate);
  const remove = useChange(Delete);
  const [asked, setAsked] = useState<"edit" | "rotate" | "recover" | "delete" | null>(null);
  const [secret, setSecret] = useState<string | null>(null);
  const close = () => setAsked(null);
  return (
    <>
      <PageHead
        above={
          <Link to="/developers" search={{ tab: "webhooks" }} className="mb-1 inline-block text-sm">
            {t`Webhooks`}
          </Link>
        }
        title={<span className="text-lg break-all sm:text-2xl">{url}</span>}
        lead={
          <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <WebhookState webhook={webhook} status={health.status} />
            {webhook.description}
            <CopyId id={id} short />
          </span>
        }
        actions={
          isAdmin && (
            <>
              {enabled && (
                <Button
                  isPending={test.isRunning}
                  onPress={async () => {
                    if (tell((await test.run({ id })).problem, t`A test event is on its way.`)) setTimeout(feed.retry, ARRIVED_MS);
                  }}
                >{t`Send a test`}</Button>
              )}
              <Button onPress={() => setAsked("edit")}>{t`Edit`}</Button>
              <Button isPending={enable.isRunning} onPress={async () => tell((await enable.run({ id, enabled: !enabled })).problem, enabled ? t`It is off. Nothing is posted to it.` : t`It is on.`)}>
                {enabled ? t`Turn off` : t`Turn on`}
              </Button>
            </>
          )
        }
      />
      {webhook.disabledReason !== null && (
        <div className="mb-5">
          <Callout tone="danger">
            <Trans>We turned it off because it kept failing: {webhook.disabledReason}. Turn it on once it answers, then recover what it missed.</Trans>
          </Callout>
        </div>
      )}
      <div className="mb-6 grid gap-5 lg:grid-cols-2">
        <Card title={t`Subscription`}>
          <Facts
            items={[
              [t`Events`, everyEvent ? t({ message: "All", context: "events" }) : <span key="events" className="font-mono text-sm">{events.map(eventName).join(", ")}</span>],
              filter !== null && [t`Filter`, <FilterText key="filter" filter={filter} />],
              [t`What it missed`, autoReplay ? t`Sent once it answers again` : t`Sent when you recover it`],
              batchSize !== null && [t`Events in one request`, t`Up to ${batchSize}`],
              standardWebhooks && [t`Headers`, t`Those of Standard Webhooks, too`],
              [t`Created`, <Time key="at" at={webhook.createdAt} style="full" />],
              previousSecretUntil !== null && [t`The old secret signs until`, <Time key="until" at={previousSecretUntil} style="full" />],
            ]}
          />
        </Card>
        <Health health={health} />
        {isAdmin && (
          <Card title={t`Secret and repair`}>
            <div className="flex flex-wrap gap-2">
              <Button onPress={() => setAsked("rotate")}>{t`Rotate secret`}</Button>
              <Button isDisabled={!enabled} onPress={() => setAsked("recover")}>{t`Recover missed events`}</Button>
              <Button look="danger" onPress={() => setAsked("delete")}>{t`Delete`}</Button>
            </div>
            <p className="mt-3 text-sm text-muted">{t`After a rotation both secrets sign for a while, so that nothing is lost.`}</p>
          </Card>
        )}
      </div>
      <div className="mb-3 flex items-center justify-between gap-3">
        <h2 className="text-lg font-semibold">{t`Attempts`}</h2>
        <Button size="small" look="quiet" icon="refresh" onPress={feed.retry}>{t`Read again`}</Button>
      </div>
      <AttemptList feed={feed} />
      {asked === "edit" && <WebhookForm webhook={webhook} onClose={close} />}
      {asked === "recover" && <RecoverDialog id={id} onClose={close} onDone={() => setTimeout(feed.retry, ARRIVED_MS)} />}
      <Confirm
        isOpen={asked === "rotate"}
        onClose={close}
        title={t`Rotate the secret?`}
        action={t`Rotate secret`}
        isPending={rotate.isRunning}
        onConfirm={async () => {
          const { done, problem } = await rotate.run({ id });
          if (tell(problem, t`There is a new secret.`) && done !== null) setSecret(done.secret);
        }}
      >
        <p>{t`The new secret is shown once. Put it on your server before the old one stops signing.`}</p>
      </Confirm>
      <Confirm
        isOpen={asked === "delete"}
        onClose={close}
        title={t`Delete this webhook?`}
        action={t`Delete`}
        isPending={remove.isRunning}
        onConfirm={async () => {
          if (tell((await remove.run({ id })).problem, t`The webhook is deleted.`)) await navigate({ to: "/developers", search: { tab: "webhooks" } });
        }}
      >
        <p>{t`Nothing more is posted to it, and its attempts are gone.`}</p>
      </Confirm>
      <ShownOnce secret={secret} title={t`The webhook's secret`} onClose={() => setSecret(null)}>
        <Trans>Your server checks each signature with it. The code samples show how.</Trans>
      </ShownOnce>
    </>
  );
}

function FilterText({ filter: { campaignIds, metadata } }: { filter: NonNullable<WebhookFieldsFragment["filter"]> }) {
  const pairs = byName(metadata as Record<string, unknown>).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return <span className="font-mono text-sm break-all">{[...campaignIds, ...pairs].join(", ")}</span>;
}

function Health({ health }: { health: WebhookHealthFieldsFragment }) {
  const { t } = useLingui();
  const { failingSince, lastSuccessAt, lastError, pendingCount, missedCount, lastSequence, recentAttemptCount, recentSuccessCount, medianMs, p95Ms } = health;
  return (
    <Card title={t`Health`}>
      <Facts
        items={[
          [t`Last success`, lastSuccessAt === null ? t`None yet` : <Time key="success" at={lastSuccessAt} style="full" />],
          failingSince !== null && [t`Fails since`, <Time key="since" at={failingSince} style="full" />],
          lastError !== null && [t`Last error`, <span key="error" className="font-mono text-sm">{lastError}</span>],
          recentAttemptCount > 0 && [t`Taken in the last 24 hours`, t`${plural(recentAttemptCount, { one: `${recentSuccessCount} of # attempt`, other: `${recentSuccessCount} of # attempts` })}`],
          medianMs !== null && p95Ms !== null && [t`Answers within`, t`${medianMs} ms mostly, ${p95Ms} ms for 95 of 100`],
          [t`Waiting`, <Count key="waiting" value={pendingCount} />],
          [t`Missed`, <Count key="missed" value={missedCount} />],
          [t`Last number`, <Count key="sequence" value={lastSequence} />],
        ]}
      />
    </Card>
  );
}

function AttemptList({ feed }: { feed: ReturnType<typeof useFeed<unknown, object, AttemptRowFragment>> }) {
  const { t } = useLingui();
  const [open, setOpen] = useState<AttemptRowFragment | null>(null);
  const columns = useMemo<TableColumn<AttemptRowFragment>[]>(
    () => [
      { id: "event", header: t`Event`, cell: ({ event, id }) => <span className="block max-w-40 truncate font-mono text-sm sm:max-w-none">{event === null ? id : eventName(event.type)}</span>, text: ({ event }) => event?.id },
      { id: "status", header: t`Answer`, cell: (row) => <AttemptBadge {...row} />, text: ({ statusCode, error }) => statusCode ?? error },
      { id: "number", header: t`Try`, cell: ({ number }) => <Count value={number} />, text: ({ number }) => number, isNumber: true, className: "hidden md:table-cell" },
      { id: "time", header: t`Took`, cell: ({ elapsedMs }) => <span className="whitespace-nowrap">{elapsedMs} ms</span>, text: ({ elapsedMs }) => elapsedMs, isNumber: true, className: "hidden sm:table-cell" },
      { id: "at", header: t`When`, cell: ({ createdAt }) => <Time at={createdAt} />, text: ({ createdAt }) => createdAt, className: "hidden sm:table-cell" },
      { id: "error", header: t`What went wrong`, cell: ({ error }) => <span className="block max-w-72 truncate text-sm text-muted">{error}</span>, text: ({ error }) => error, className: "hidden lg:table-cell" },
    ],
    [t],
  );
  if (feed.problem !== null && feed.rows === undefined) return <ProblemState problem={feed.problem} onRetry={feed.retry} />;
  if (feed.rows === undefined) return <Loading />;
  if (feed.rows.length === 0)
    return (
      <Card>
        <EmptyState icon="clock" title={t`Nothing was posted yet`}>
          <Trans>Send a test to see whether it answers.</Trans>
        </EmptyState>
      </Card>
    );
  return (
    <>
      <DataTable label={t`Attempts`} rows={feed.rows} columns={columns} rowKey={({ id }) => id} onOpen={setOpen} totalCount={feed.totalCount} hasMore={feed.hasMore} onMore={feed.loadMore} isLoading={feed.isLoading} fileName="attempts" />
      <Dialog isOpen={open !== null} onClose={() => setOpen(null)} title={t`Attempt`} isDrawer>
        {open !== null && (
          <div className="space-y-4">
            <Facts
              items={[
                [t`Answer`, <AttemptBadge key="answer" {...open} />],
                open.event !== null && [t`Event`, <CopyId key="event" id={open.event.id} />],
                [t`Try`, open.number],
                open.replay && [t`Replay`, t`Sent again`],
                [t`Took`, `${open.elapsedMs} ms`],
                [t`When`, <Time key="at" at={open.createdAt} style="full" />],
                open.error !== null && [t`What went wrong`, open.error],
              ]}
            />
            {open.responseHead !== "" && <Code label={t`How the answer began`}>{open.responseHead}</Code>}
          </div>
        )}
      </Dialog>
    </>
  );
}

function RecoverDialog({ id, onClose, onDone }: { id: string; onClose: () => void; onDone: () => void }) {
  const { t } = useLingui();
  const tell = useTell();
  const recover = useChange(Recover);
  const [hours, setHours] = useState("24");
  const choices = [
    { value: "1", label: t`Of the last hour` },
    { value: "24", label: t`Of the last 24 hours` },
    { value: "168", label: t`Of the last 7 days` },
    { value: "719", label: t`Of the last 30 days` },
  ];
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t`Recover missed events`}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button
            look="primary"
            isPending={recover.isRunning}
            onPress={async () => {
              const { done, problem } = await recover.run({ id, since: new Date(Date.now() - Number(hours) * HOUR_MS).toISOString() });
              const count = done?.deliveryCount ?? 0;
              if (tell(problem, t`Events on their way again: ${count}.`)) {
                onDone();
                onClose();
              }
            }}
          >{t`Recover`}</Button>
        </>
      }
    >
      <div className="space-y-4">
        <p>{t`Events that this webhook did not take are posted again, under the ids that they had.`}</p>
        <Select label={t`Which`} choices={choices} value={hours} onChange={setHours} />
      </div>
    </Dialog>
  );
}
