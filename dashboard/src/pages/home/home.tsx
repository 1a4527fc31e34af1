import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, type ReactNode } from "react";
import { useData } from "@/api/hooks";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import type { HomeQuery } from "@/gql/graphql";
import { StackedBars, Sparkline, type Bar } from "@/ui/charts";
import { ButtonLink } from "@/ui/button";
import { classes } from "@/ui/classes";
import { Segmented } from "@/ui/fields";
import { timesOf } from "@/ui/formats";
import { revenueText } from "@/ui/revenue";
import { Card, PageHead, useNumbers, useZone } from "@/ui/show";
import { EmptyState, Loading, Skeleton, States } from "@/ui/states";
import { Alerts } from "./alerts";
import { FirstSteps } from "./steps";
import { Running } from "./running";

const Home = graphql(`
  query Home($since: DateTime!, $until: DateTime!, $before: DateTime!, $days: Int!) {
    credits { balance lowBalanceThreshold estimatedRunwayDays }
    now: activity(interval: DAY, since: $since, until: $until) {
      startAt
      messageCount
      messages { status count }
      credits
      replies
      optOuts
    }
    then: activity(interval: DAY, since: $before, until: $since) {
      messageCount
      messages { status count }
      credits
      replies
      optOuts
    }
    conversionTotals(occurredFrom: $since, occurredBefore: $until) { currencies { currency attributed attributedNet } }
    conversationOverview(days: $days) { waitingCount }
    reachable: contacts(filter: { optInStatus: OPTED_IN }, first: 1) { totalCount }
    contacts(first: 1) { totalCount }
    everything: campaigns(first: 1) { totalCount }
    sending: campaigns(status: SENDING, first: 5) { nodes { ...RunningCampaign } }
    paused: campaigns(status: PAUSED, first: 5) { nodes { ...RunningCampaign } }
    waiting: campaigns(status: PAUSED, first: 20) { nodes { id name pauseReason approval { state requestedBy } } }
    scheduled: campaigns(status: SCHEDULED, first: 5) { nodes { id name status scheduledAt } }
    flagged: inboundMessages(flagged: true, first: 1) { totalCount }
    webhooks(first: 20) { nodes { id url enabled disabledReason } }
  }
`);

export type HomeData = HomeQuery;

type Point = HomeQuery["then"][number];

const DELIVERED = new Set(["DELIVERED", "REPLIED"]);
const GONE = new Set(["DELIVERED", "REPLIED", "FAILED", "SENT"]);

const sum = (values: readonly number[]) => values.reduce((total, each) => total + each, 0);
const counted = (points: readonly Point[], statuses: ReadonlySet<string>) =>
  sum(points.flatMap(({ messages }) => messages.filter(({ status }) => statuses.has(status)).map(({ count }) => count)));

function sumsOf(points: readonly Point[]) {
  const sent = counted(points, GONE);
  return {
    messages: sum(points.map(({ messageCount }) => messageCount)),
    delivered: sent === 0 ? null : counted(points, DELIVERED) / sent,
    replies: sum(points.map(({ replies }) => replies)),
    optOuts: sum(points.map(({ optOuts }) => optOuts)),
    credits: sum(points.map(({ credits }) => credits)),
  };
}

/** Whole days up to the end of this one, so that asking again within it asks for the same. */
function periodOf(days: number) {
  const day = 86_400_000;
  const until = (Math.floor(Date.now() / day) + 1) * day;
  const at = (time: number) => new Date(time).toISOString();
  return { since: at(until - days * day), until: at(until), before: at(until - 2 * days * day) };
}

export function HomePage() {
  const { t } = useLingui();
  const { user, livemode } = useSession();
  const navigate = useNavigate();
  const { days = "30" } = useSearch({ from: "/shell/" });
  const period = useMemo(() => periodOf(Number(days)), [days]);
  const reading = useData(Home, { ...period, days: Number(days) }, { every: 60_000 });
  const first = user.name.split(" ")[0] ?? "";
  const choices = [
    { value: "7", label: t`7 days` },
    { value: "30", label: t`30 days` },
    { value: "90", label: t`90 days` },
  ] as const;
  return (
    <>
      <PageHead
        title={first === "" ? t`Home` : t`Hello, ${first}`}
        lead={livemode ? t`What went out, and what came back.` : t`What went out in the sandbox, and what came back.`}
        actions={<Segmented label={t`Period`} hideLabel choices={choices} value={days} onChange={(value) => void navigate({ to: "/", search: value === "30" ? {} : { days: value } })} />}
      />
      <States of={reading} loading={<HomeLoading />}>
        {(data) => (
          <div className="space-y-6">
            <Alerts data={data} isLive={livemode} />
            <FirstSteps data={data} isLive={livemode} />
            <Figures data={data} />
            <div className="grid gap-6 xl:grid-cols-[2fr_1fr]">
              <Card title={t`Activity`}>
                <Activity data={data} />
              </Card>
              <Running sending={[...data.sending.nodes, ...data.paused.nodes]} scheduled={data.scheduled.nodes} />
            </div>
          </div>
        )}
      </States>
    </>
  );
}

function HomeLoading() {
  return (
    <Loading>
      <div className="grid grid-cols-2 gap-4 lg:grid-cols-3 xl:grid-cols-6">
        {Array.from({ length: 6 }, (_, index) => (
          <Skeleton key={index} className="h-28 w-full" />
        ))}
      </div>
      <Skeleton className="mt-6 h-72 w-full" />
    </Loading>
  );
}

interface FigureProps {
  name: string;
  value: ReactNode;
  values?: readonly number[];
  now?: number | null;
  then?: number | null;
  /** Whether more of it is good; neither where left out. */
  isBetter?: "more" | "less";
  note?: ReactNode;
  className?: string;
}

function Figure({ name, value, values, now, then, isBetter, note, className }: FigureProps) {
  const { t } = useLingui();
  const { percent } = useNumbers();
  const change = now == null || then == null || then === 0 ? null : (now - then) / then;
  const isGood = change === null || isBetter === undefined || Math.abs(change) < 0.005 ? null : change > 0 === (isBetter === "more");
  const shown = change === null ? null : `${change > 0 ? "+" : ""}${percent(change)}`;
  return (
    <div className={classes("flex min-w-0 flex-col rounded-2xl border border-line bg-surface p-4 shadow-card", className)}>
      <p className="text-sm text-muted">{name}</p>
      <p className="mt-1 text-2xl font-semibold tracking-tight tabular">{value}</p>
      <p className={classes("mt-auto pt-1 text-sm", isGood === null ? "text-muted" : isGood ? "text-good" : "text-danger")}>
        {shown !== null ? (
          <>
            {shown} <span className="text-muted">{t`vs. before`}</span>
          </>
        ) : (
          (note ?? "\u00a0")
        )}
      </p>
      {values !== undefined && <Sparkline values={values} label={t`${name} by day`} className="mt-2 h-7 w-full" />}
    </div>
  );
}

function Figures({ data }: { data: HomeData }) {
  const { t, i18n } = useLingui();
  const { whole, compact, percent } = useNumbers();
  const now = sumsOf(data.now);
  const then = sumsOf(data.then);
  const rate = (part: number, all: number) => (all === 0 ? null : part / all);
  const outNow = rate(now.optOuts, now.messages);
  const outThen = rate(then.optOuts, then.messages);
  const waiting = data.conversationOverview.waitingCount;
  const [earned] = data.conversionTotals.currencies;
  // Seven figures end in a wide one, so that no row has a hole.
  const isSeven = earned !== undefined;
  return (
    <section aria-label={t`Figures`} className={classes("grid grid-cols-2 gap-4 lg:grid-cols-3", isSeven ? "xl:grid-cols-4" : "xl:grid-cols-6")}>
      <Figure name={t`Messages`} value={compact(now.messages)} now={now.messages} then={then.messages} values={data.now.map(({ messageCount }) => messageCount)} />
      <Figure name={t`Delivered`} value={now.delivered === null ? "–" : percent(now.delivered)} now={now.delivered} then={then.delivered} isBetter="more" values={data.now.map((point) => counted([point], DELIVERED))} />
      <Figure name={t`Replies`} value={compact(now.replies)} now={now.replies} then={then.replies} isBetter="more" values={data.now.map(({ replies }) => replies)} note={waiting > 0 ? <Plural value={waiting} one="# waits" other="# wait" /> : undefined} />
      <Figure name={t`Opt-outs`} value={outNow === null ? "–" : percent(outNow)} now={outNow} then={outThen} isBetter="less" values={data.now.map(({ optOuts }) => optOuts)} />
      <Figure name={t`Credits used`} value={compact(now.credits)} now={now.credits} then={then.credits} values={data.now.map(({ credits }) => credits)} />
      {earned !== undefined && <Figure name={t`Revenue`} value={revenueText(earned.attributedNet, earned.currency, i18n.locale)} note={t`Orders: ${whole(earned.attributed)}`} />}
      <Figure className={classes(isSeven && "col-span-2 lg:col-span-3 xl:col-span-2")} name={t`Reachable contacts`} value={compact(data.reachable.totalCount)} note={t`of ${whole(data.contacts.totalCount)}`} />
    </section>
  );
}

function Activity({ data }: { data: HomeData }) {
  const { t, i18n } = useLingui();
  const zone = useZone();
  const series = [
    { name: t`Delivered`, fill: "fill-brand", dot: "bg-brand" },
    { name: t`On the way`, fill: "fill-info", dot: "bg-info" },
    { name: t`Failed`, fill: "fill-danger", dot: "bg-danger" },
    { name: t`Not sent`, fill: "fill-line-strong", dot: "bg-line-strong" },
  ];
  const bars = useMemo<Bar[]>(() => {
    const format = timesOf(i18n.locale, { day: "numeric", month: "short", timeZone: zone });
    return data.now.map((point) => {
      const of = (...statuses: string[]) => counted([point], new Set(statuses));
      const values = [of("DELIVERED", "REPLIED"), of("SENT", "SENDING", "QUEUED", "SCHEDULED"), of("FAILED"), of("SKIPPED", "CANCELED")];
      return { label: format.format(new Date(point.startAt)), values };
    });
  }, [data.now, i18n.locale, zone]);
  if (bars.every(({ values }) => sum(values) === 0))
    return (
      <EmptyState icon="message" title={t`Nothing was sent in these days`} action={<ButtonLink icon="plus" to="/campaigns/new">{t`Write a campaign`}</ButtonLink>}>
        <Trans>Messages show here by the day, as soon as some are sent.</Trans>
      </EmptyState>
    );
  return <StackedBars bars={bars} series={series} caption={t`Messages by day and state`} />;
}

