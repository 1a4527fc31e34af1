import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useChange, useFeed } from "@/api/hooks";
import type { Problem } from "@/api/problems";
import { graphql } from "@/gql";
import type { EventType, WebhookFieldsFragment, WebhookHealthStatus } from "@/gql/graphql";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Checkbox, Field, Segmented } from "@/ui/fields";
import { Badge, Callout, Card, Time } from "@/ui/show";
import { EmptyState, Loading, ProblemState, useProblemText } from "@/ui/states";
import { DataTable, type TableColumn } from "@/ui/table";
import { useIsAdmin } from "@/ui/tell";
import { EVENT_TYPES, eventName } from "./names";
import { linesOf, metadataOf, type Metadata } from "./metadata";
import { ShownOnce } from "./parts";
import { FilterFields, type FilterDraft } from "./webhookfilter";

export const WebhookFields = graphql(`
  fragment WebhookFields on Webhook { id url everyEvent events description enabled disabledReason verified previousSecretUntil createdAt autoReplay standardWebhooks batchSize filter { campaignIds metadata } }
`);
const WebhookList = graphql(`
  query WebhookList($first: Int, $after: String) {
    webhooks(first: $first, after: $after) {
      nodes { ...WebhookFields health { status } attempts(first: 1) { nodes { id statusCode error createdAt } } }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const Create = graphql(`
  mutation WebhooksCreate($input: CreateWebhookInput!) {
    createWebhook(input: $input) {
      __typename
      ... on WebhookWithSecret { secret webhook { ...WebhookFields } }
      ... on Error { code message param }
    }
  }
`);
const Update = graphql(`
  mutation WebhooksUpdate($id: ID!, $input: UpdateWebhookInput!) {
    updateWebhook(id: $id, input: $input) {
      __typename
      ... on Webhook { ...WebhookFields }
      ... on Error { code message param }
    }
  }
`);

type Row = WebhookFieldsFragment & { health: { status: WebhookHealthStatus } } & { attempts: { nodes: { id: string; statusCode: number | null; error: string | null; createdAt: string }[] } };

export function Webhooks() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const isAdmin = useIsAdmin();
  const feed = useFeed(WebhookList, {}, ({ webhooks }) => webhooks);
  const [isMaking, setMaking] = useState(false);
  const [secret, setSecret] = useState<string | null>(null);
  const columns = useMemo<TableColumn<Row>[]>(
    () => [
      {
        id: "url",
        header: t`Address`,
        cell: ({ id, url, description }) => (
          <span className="block max-w-44 min-w-32 sm:max-w-96">
            <Link to="/developers/webhooks/$id" params={{ id }} className="block truncate font-medium text-text no-underline hover:underline">
              {url}
            </Link>
            <span className="block truncate text-sm text-muted">{description}</span>
          </span>
        ),
        text: ({ url }) => url,
      },
      { id: "state", header: t`State`, cell: (row) => <WebhookState webhook={row} status={row.health.status} />, text: ({ enabled }) => (enabled ? "enabled" : "disabled") },
      { id: "events", header: t`Events`, cell: ({ everyEvent, events }) => <span className="text-sm text-muted">{everyEvent ? t({ message: "All", context: "events" }) : events.length}</span>, text: ({ everyEvent, events }) => (everyEvent ? "all" : events.map(eventName).join(" ")), className: "hidden md:table-cell" },
      { id: "last", header: t`Last attempt`, cell: ({ attempts: { nodes: [last] } }) => (last === undefined ? <span className="text-muted">{t`None yet`}</span> : <LastAttempt {...last} />), className: "hidden sm:table-cell" },
    ],
    [t],
  );
  const make = <Button look="primary" icon="plus" onPress={() => setMaking(true)}>{t`Add webhook`}</Button>;
  return (
    <>
      <div className="mb-4 flex flex-wrap items-center justify-between gap-3">
        <p className="max-w-xl text-muted">{t`What happens here is posted to your servers, signed, and again until they answer: eleven times within a day.`}</p>
        {isAdmin && (feed.rows?.length ?? 0) > 0 && make}
      </div>
      {feed.problem !== null && feed.rows === undefined ? (
        <ProblemState problem={feed.problem} onRetry={feed.retry} />
      ) : feed.rows === undefined ? (
        <Loading />
      ) : feed.rows.length === 0 ? (
        <Card>
          <EmptyState icon="refresh" title={t`Hear of events as they happen`} action={isAdmin ? make : undefined}>
            <Trans>Name an https address of yours. Replies, deliveries and opt-outs then come to it within seconds.</Trans>
          </EmptyState>
        </Card>
      ) : (
        <DataTable
          label={t`Webhooks`}
          rows={feed.rows as Row[]}
          columns={columns}
          rowKey={({ id }) => id}
          onOpen={({ id }) => void navigate({ to: "/developers/webhooks/$id", params: { id } })}
          totalCount={feed.totalCount}
          hasMore={feed.hasMore}
          onMore={feed.loadMore}
          isLoading={feed.isLoading}
        />
      )}
      {isMaking && (
        <WebhookForm
          onClose={() => setMaking(false)}
          onMade={(made) => {
            setMaking(false);
            setSecret(made);
          }}
        />
      )}
      <ShownOnce secret={secret} title={t`The webhook's secret`} onClose={() => setSecret(null)}>
        <Trans>Your server checks each signature with it. The code samples show how.</Trans>
      </ShownOnce>
    </>
  );
}

function LastAttempt({ statusCode, error, createdAt }: { statusCode: number | null; error: string | null; createdAt: string }) {
  return (
    <span className="inline-flex flex-wrap items-center gap-2">
      <AttemptBadge statusCode={statusCode} error={error} />
      <span className="text-sm text-muted">
        <Time at={createdAt} style="relative" />
      </span>
    </span>
  );
}

export function AttemptBadge({ statusCode, error }: { statusCode: number | null; error: string | null }) {
  const { t } = useLingui();
  return <Badge tone={error === null ? "good" : "danger"}>{statusCode ?? t`No answer`}</Badge>;
}

export function WebhookState({ webhook: { enabled, disabledReason, verified }, status }: { webhook: WebhookFieldsFragment; status?: WebhookHealthStatus }) {
  const { t } = useLingui();
  if (status === "FAILING") return <Badge tone="danger">{t`Fails`}</Badge>;
  if (status === "REPLAYING") return <Badge tone="info">{t`Catches up`}</Badge>;
  if (!enabled) return <Badge tone={disabledReason === null ? "neutral" : "danger"}>{disabledReason === null ? t`Off` : t`Turned off by us`}</Badge>;
  return verified ? <Badge tone="good">{t`Works`}</Badge> : <Badge tone="info">{t`Not answered yet`}</Badge>;
}

export function WebhookForm({ webhook, onClose, onMade }: { webhook?: WebhookFieldsFragment; onClose: () => void; onMade?: (secret: string) => void }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const create = useChange(Create);
  const update = useChange(Update);
  const [url, setUrl] = useState(webhook?.url ?? "https://");
  const [description, setDescription] = useState(webhook?.description ?? "");
  const [reach, setReach] = useState<"all" | "some">(webhook === undefined || webhook.everyEvent ? "all" : "some");
  const [events, setEvents] = useState<readonly EventType[]>(webhook?.events ?? []);
  const [autoReplay, setAutoReplay] = useState(webhook?.autoReplay ?? true);
  const [standardWebhooks, setStandardWebhooks] = useState(webhook?.standardWebhooks ?? false);
  const [batchSize, setBatchSize] = useState(webhook?.batchSize?.toString() ?? "");
  const [wanted, setWanted] = useState<FilterDraft>({ campaignIds: webhook?.filter?.campaignIds ?? [], metadata: linesOf((webhook?.filter?.metadata ?? {}) as Metadata) });
  const [problem, setProblem] = useState<Problem | null>(null);
  const at = problem?.param?.replace(/^input\./, "") ?? "";
  const isOfUrl = at === "url";
  const isOfMetadata = /metadata/.test(at);
  const isOfCampaigns = /campaign_?ids/i.test(at);
  const isKnown = isOfUrl || isOfMetadata || isOfCampaigns;
  const metadata = metadataOf(wanted.metadata);
  const submit = async () => {
    if (metadata === null) return;
    // A part of the filter that asks for nothing is left out: an empty one would be refused.
    const campaigns = wanted.campaignIds.length === 0 ? {} : { campaignIds: [...wanted.campaignIds] };
    const values = Object.keys(metadata).length === 0 ? {} : { metadata };
    const parts = { ...campaigns, ...values };
    const filter = Object.keys(parts).length === 0 ? null : parts;
    const options = { autoReplay, standardWebhooks, batchSize: batchSize.trim() === "" ? null : Number(batchSize), filter };
    const input = { url: url.trim(), description: description.trim(), ...options, ...(reach === "all" ? { everyEvent: true } : { events: [...events] }) };
    if (webhook === undefined) {
      const { done, problem: found } = await create.run({ input: { everyEvent: false, ...input } });
      setProblem(found);
      if (done !== null) onMade?.(done.secret);
    } else {
      const { problem: found } = await update.run({ id: webhook.id, input: { everyEvent: false, ...input } });
      setProblem(found);
      if (found === null) onClose();
    }
  };
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={webhook === undefined ? t`Add a webhook` : t`Edit the webhook`}
      isDrawer
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look="primary" isPending={create.isRunning || update.isRunning} isDisabled={(reach === "some" && events.length === 0) || metadata === null} onPress={submit}>
            {webhook === undefined ? t`Add webhook` : t`Save`}
          </Button>
        </>
      }
    >
      <div className="space-y-5">
        {problem !== null && !isKnown && <Callout tone="danger">{textOf(problem)}</Callout>}
        <Field label={t`Address`} type="url" hint={t`An https address that the internet reaches.`} value={url} onChange={setUrl} autoFocus error={isOfUrl ? problem?.message : undefined} />
        <Field label={t`Description`} value={description} onChange={setDescription} />
        <Segmented label={t`Which events`} choices={[{ value: "all", label: t`All, those to come too` }, { value: "some", label: t`Only some` }] as const} value={reach} onChange={setReach} />
        {reach === "some" && (
          <fieldset className="grid gap-2 sm:grid-cols-2">
            <legend className="mb-2 text-sm font-medium">{t`Events`}</legend>
            {EVENT_TYPES.filter((type) => type !== "TEST_PING").map((type) => (
              <Checkbox key={type} isSelected={events.includes(type)} onChange={(on) => setEvents(on ? [...events, type] : events.filter((each) => each !== type))}>
                <span className="font-mono text-sm">{eventName(type)}</span>
              </Checkbox>
            ))}
          </fieldset>
        )}
        <FilterFields
          draft={wanted}
          onChange={setWanted}
          error={isOfCampaigns ? problem?.message : undefined}
          metadataError={metadata === null ? t`Write each line as name=value.` : isOfMetadata ? problem?.message : undefined}
        />
        <fieldset className="space-y-3">
          <legend className="mb-2 text-sm font-medium">{t`How they are sent`}</legend>
          <Checkbox isSelected={autoReplay} onChange={setAutoReplay}>
            {t`Send what it missed once it answers again, the oldest first`}
          </Checkbox>
          <Checkbox isSelected={standardWebhooks} onChange={setStandardWebhooks}>
            {t`Add the headers of Standard Webhooks`}
          </Checkbox>
          <Field label={t`Events in one request`} type="number" hint={t`Leave it empty for one event each. Up to 100 come as a batch.`} value={batchSize} onChange={setBatchSize} />
        </fieldset>
      </div>
    </Dialog>
  );
}
