import { plural } from "@lingui/core/macro";
import { useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { lazy, Suspense, useMemo } from "react";
import { useData } from "@/api/hooks";
import { graphql } from "@/gql";
import { MessageBadge } from "@/status";
import { Share } from "@/ui/charts";
import { classes } from "@/ui/classes";
import { FailureText } from "@/ui/failures";
import { Card, Count, Credits, Facts, Time, useNumbers } from "@/ui/show";
import { Skeleton } from "@/ui/states";
import type { Campaign } from "./campaign";
import { AbTest } from "./abtest";
import { Links } from "./links";
import { RevenueCard } from "./revenue";

const Series = lazy(() => import("@/ui/series"));

const Throughput = graphql(`
  query CampaignThroughput($id: ID!, $interval: Interval!, $since: DateTime!, $until: DateTime!) {
    campaignActivity(id: $id, interval: $interval, since: $since, until: $until) { startAt sent delivered failed replied }
  }
`);

const MOST_POINTS = 240;
const LIVE_MS = 5000;

export function Overview({ campaign }: { campaign: Campaign }) {
  return (
    <div className="grid items-start gap-6 xl:grid-cols-[minmax(0,2fr)_minmax(0,1fr)]">
      <div className="min-w-0 space-y-6">
        <Funnel campaign={campaign} />
        <RevenueCard campaign={campaign} />
        {campaign.abTest != null && <AbTest campaign={campaign} />}
        {campaign.startedAt != null && <Pace campaign={campaign} startedAt={campaign.startedAt} />}
        {campaign.shortenLinks && <Links campaign={campaign} />}
        <Failures campaign={campaign} />
      </div>
      <div className="min-w-0 space-y-6">
        <Text campaign={campaign} />
        <Settings campaign={campaign} />
      </div>
    </div>
  );
}

function Funnel({ campaign: { stats, shortenLinks } }: { campaign: Campaign }) {
  const { t } = useLingui();
  const { whole, percent } = useNumbers();
  const left = stats.sent + stats.delivered + stats.failed;
  const steps = [
    { name: t`Recipients`, value: stats.recipients, of: null, bar: "bg-line-strong" },
    { name: t`Sent`, value: stats.sent + stats.delivered, of: stats.recipients, bar: "bg-info" },
    { name: t`Delivered`, value: stats.delivered, of: stats.recipients, bar: "bg-brand" },
    ...(shortenLinks ? [{ name: t`Clicked`, value: stats.uniqueClicks, of: stats.delivered, bar: "bg-brand" }] : []),
    { name: t`Replied`, value: stats.replied, of: stats.delivered, bar: "bg-good" },
  ];
  const states = [
    { name: t`Waiting`, value: stats.queued, dot: "bg-line" },
    { name: t`Sending`, value: stats.sending, dot: "bg-info" },
    { name: t`Sent`, value: stats.sent, dot: "bg-info" },
    { name: t`Delivered`, value: stats.delivered, dot: "bg-brand" },
    { name: t`Failed`, value: stats.failed, dot: "bg-danger" },
    { name: t`Skipped`, value: stats.skipped, dot: "bg-warn" },
    { name: t`Canceled`, value: stats.canceled, dot: "bg-line-strong" },
  ];
  const ended = left + stats.skipped + stats.canceled;
  return (
    <Card title={t`Progress`} tools={<span className="text-sm text-muted tabular">{stats.recipients === 0 ? "–" : percent(ended / stats.recipients)}</span>}>
      <Share parts={states} label={t`Progress`} />
      <ol className={classes("mt-5 grid grid-cols-2 gap-4", shortenLinks ? "md:grid-cols-5" : "md:grid-cols-4")}>
        {steps.map(({ name, value, of, bar }) => (
          <li key={name} data-step={name}>
            <p className="text-sm text-muted">{name}</p>
            <p className="text-2xl font-semibold tracking-tight tabular">{whole(value)}</p>
            <p className="text-sm text-muted tabular">{of === null || of === 0 ? "\u00a0" : percent(value / of)}</p>
            <div className="mt-2 h-1.5 overflow-hidden rounded-full bg-sunken">
              <div className={classes("h-full rounded-full transition-[width] duration-500", bar)} style={{ width: `${stats.recipients === 0 ? 0 : (value / stats.recipients) * 100}%` }} />
            </div>
          </li>
        ))}
      </ol>
      <ul className="mt-5 flex flex-wrap gap-x-5 gap-y-2 border-t border-line pt-4 text-sm">
        {states.map(({ name, value, dot }) => (
          <li key={name} className="flex items-center gap-1.5">
            <span className={classes("size-2.5 rounded-sm", dot)} aria-hidden="true" />
            <span className="text-muted">{name}</span> <Count value={value} />
          </li>
        ))}
        <li className="flex items-center gap-1.5">
          <span className="text-muted">{t`Opt-outs`}</span> <Count value={stats.optedOut} />
        </li>
        {shortenLinks && (
          <li className="flex items-center gap-1.5">
            <span className="text-muted">{t`Clicks`}</span> <Count value={stats.clicks} />
          </li>
        )}
        <li className="ml-auto">
          <Credits value={stats.creditsUsed} />
        </li>
      </ul>
    </Card>
  );
}

/** A window of minutes or hours that holds the campaign, the end of which moves on by the minute. */
function windowOf(startedAt: string, completedAt: string | null | undefined, now: number) {
  const minute = 60_000;
  const start = Math.floor(Date.parse(startedAt) / minute) * minute;
  const end = Math.max(completedAt == null ? now : Math.min(now, Date.parse(completedAt) + 10 * minute), start + 10 * minute);
  const unit = end - start > MOST_POINTS * minute ? 60 * minute : minute;
  return { interval: unit === minute ? ("MINUTE" as const) : ("HOUR" as const), since: new Date(Math.floor(start / unit) * unit).toISOString(), until: new Date((Math.floor(end / unit) + 1) * unit).toISOString() };
}

function Pace({ campaign, startedAt }: { campaign: Campaign; startedAt: string }) {
  const { t } = useLingui();
  const isRunning = campaign.status === "SENDING";
  const now = Math.floor(Date.now() / 60_000) * 60_000;
  const period = useMemo(() => windowOf(startedAt, campaign.completedAt, now), [startedAt, campaign.completedAt, now]);
  const { data } = useData(Throughput, { id: campaign.id, ...period }, isRunning ? { every: LIVE_MS } : {});
  const points = data?.campaignActivity;
  const series = [
    { name: t`Sent`, color: "--info" },
    { name: t`Delivered`, color: "--brand" },
    { name: t`Failed`, color: "--danger" },
    { name: t`Replied`, color: "--good" },
  ] as const;
  return (
    <Card title={period.interval === "MINUTE" ? t`Messages a minute` : t`Messages an hour`}>
      {points === undefined ? (
        <Skeleton className="h-56 w-full" />
      ) : (
        <Suspense fallback={<Skeleton className="h-56 w-full" />}>
          <Series
            caption={t`Messages over time`}
            times={points.map(({ startAt }) => Date.parse(startAt) / 1000)}
            values={[points.map(({ sent }) => sent), points.map(({ delivered }) => delivered), points.map(({ failed }) => failed), points.map(({ replied }) => replied)]}
            series={series}
          />
        </Suspense>
      )}
    </Card>
  );
}

function Failures({ campaign: { id, failures } }: { campaign: Campaign }) {
  const { t } = useLingui();
  if (failures.length === 0) return null;
  return (
    <Card title={t`Not reached, by reason`}>
      <ul className="divide-y divide-line">
        {failures.map(({ code, message, status, count }) => (
          <li key={`${status} ${code}`} className="flex flex-wrap items-center gap-x-3 gap-y-1 py-2.5">
            <MessageBadge status={status} />
            <span className="min-w-0 flex-1 basis-52">
              <FailureText of={{ code, message }} /> <a href={`/docs/errors#${code}`} className="font-mono text-xs text-muted">{code}</a>
            </span>
            <Link to="/campaigns/$id" params={{ id }} search={{ tab: "recipients", status }} className="tabular">
              <Count value={count} />
            </Link>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Text({ campaign: { body, from } }: { campaign: Campaign }) {
  const { t } = useLingui();
  return (
    <Card title={t`Text`}>
      <p className="rounded-2xl rounded-bl-md bg-brand-soft px-4 py-3 leading-snug break-words whitespace-pre-wrap">{body}</p>
      <p className="mt-3 text-sm text-muted">{t`From ${from}`}</p>
    </Card>
  );
}

function Settings({ campaign }: { campaign: Campaign }) {
  const { t } = useLingui();
  const { percent } = useNumbers();
  const { lists, segment, contactIds } = campaign.audience;
  const { ratePerMinute, spreadHours } = campaign;
  const pace = ratePerMinute != null ? t`${ratePerMinute} a minute` : spreadHours != null ? t`${plural(spreadHours, { one: "Over # hour", other: "Over # hours" })}` : t`As fast as it goes`;
  const names = [...lists.map(({ name }) => name), ...(segment == null ? [] : [segment.name]), ...(contactIds.length > 0 ? [t`${plural(contactIds.length, { one: "# single contact", other: "# single contacts" })}`] : [])];
  const left = campaign.exclude;
  const leftOut = left == null ? [] : [
    ...(left.listIds.length > 0 ? [t`${plural(left.listIds.length, { one: "# list", other: "# lists" })}`] : []),
    ...(left.segmentIds.length > 0 ? [t`${plural(left.segmentIds.length, { one: "# segment of contacts", other: "# segments of contacts" })}`] : []),
    ...(left.campaignIds.length > 0 ? [t`${plural(left.campaignIds.length, { one: "recipients of # campaign", other: "recipients of # campaigns" })}`] : []),
    ...(left.messagedWithinDays == null ? [] : [t`${plural(left.messagedWithinDays, { one: "who got a message in the last day", other: "who got a message in the last # days" })}`]),
  ];
  return (
    <Card title={t`Details`}>
      <Facts
        items={[
          campaign.tags.length > 0 && [t`Tags`, campaign.tags.join(", ")],
          [t`Audience`, names.join(", ") || "–"],
          leftOut.length > 0 && [t`Left out`, leftOut.join(", ")],
          [t`Pace`, pace],
          campaign.sendAtLocal != null && [t`At the recipient's time`, campaign.sendAtLocal],
          campaign.contactDailyCap != null && [t`Most campaigns a day`, campaign.contactDailyCap],
          campaign.contactWeeklyCap != null && [t`Most campaigns a week`, campaign.contactWeeklyCap],
          campaign.guardRails?.maxCredits != null && [t`Most credits`, <Count key="m" value={campaign.guardRails.maxCredits} />],
          campaign.guardRails?.maxDrift != null && [t`May move by`, percent(campaign.guardRails.maxDrift)],
          [t`Quiet hours`, campaign.quietHours ? t`kept` : t`not kept`],
          campaign.scheduledAt != null && [t`Scheduled`, <Time key="s" at={campaign.scheduledAt} style="full" />],
          campaign.startedAt != null && [t`Began`, <Time key="b" at={campaign.startedAt} style="full" />],
          campaign.dispatchedAt != null && [t`All queued`, <Time key="d" at={campaign.dispatchedAt} style="full" />],
          campaign.completedAt != null && [t`Ended`, <Time key="c" at={campaign.completedAt} style="full" />],
          campaign.canceledAt != null && [t`Canceled`, <Time key="x" at={campaign.canceledAt} style="full" />],
          campaign.expiresAt != null && [t`Nothing after`, <Time key="e" at={campaign.expiresAt} style="full" />],
        ]}
      />
    </Card>
  );
}

