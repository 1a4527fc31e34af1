import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useEffect, useMemo, useState, type ReactNode } from "react";
import { Sparkline } from "@/ui/charts";
import { Icon } from "@/ui/icons";
import { Badge, Card, Count, PageHead, useNumbers } from "@/ui/show";
import { Loading, Skeleton, States } from "@/ui/states";
import { useOps, type Check, type Overview, type Sample } from "./api";
import { QUEUES } from "./names";

const EVERY_MS = 5000;
const KEPT = 120;
// What was read is kept while the area is open, so that a look at another page leaves no gap.
const history: { waiting: number; overdue: number }[] = [];

const sum = (samples: readonly Sample[] | undefined, has: (sample: Sample) => boolean = () => true) =>
  (samples ?? []).filter(has).reduce((total, { value }) => total + value, 0);
const most = (samples: readonly Sample[] | undefined) => Math.max(0, ...(samples ?? []).map(({ value }) => value));

export function OverviewPage() {
  const { t } = useLingui();
  const reading = useOps<Overview>("/overview", EVERY_MS);
  const { data } = reading;
  const [, setTurn] = useState(0);
  useEffect(() => {
    if (data === undefined) return;
    history.push({ waiting: waitingOf(data), overdue: most(data.numbers["messages_overdue_seconds"]) });
    history.splice(0, history.length - KEPT);
    setTurn((turn) => turn + 1);
  }, [data]);
  return (
    <>
      <PageHead title={t`Overview`} lead={<Trans>As it was five seconds ago at most.</Trans>} />
      <States
        of={reading}
        loading={
          <Loading>
            <div className="grid gap-4 sm:grid-cols-2 xl:grid-cols-4">
              {[0, 1, 2, 3].map((each) => (
                <Skeleton key={each} className="h-32 w-full" />
              ))}
            </div>
            <Skeleton className="mt-4 h-80 w-full" />
          </Loading>
        }
      >
        {(shown) => <Shown overview={shown} />}
      </States>
    </>
  );
}

const waitingOf = ({ numbers }: Overview) => sum(numbers["messages_waiting"], ({ status }) => status === "queued");

function Shown({ overview }: { overview: Overview }) {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const { numbers, checks } = overview;
  const overdue = Math.round(most(numbers["messages_overdue_seconds"]));
  const failed = sum(numbers["jobs_failed"]);
  const made = sum(numbers["messages_last_minute"]);
  const wrong = checks.filter(({ state }) => state !== "ok");
  return (
    <div className="space-y-4">
      <div className="grid gap-4 sm:grid-cols-2 xl:grid-cols-4">
        <Figure title={t`Messages waiting`} value={whole(waitingOf(overview))} chart={<Sparkline values={history.map(({ waiting }) => waiting)} label={t`Messages waiting, over the last minutes`} className="h-10 w-full" />} />
        <Figure title={t`Longest overdue`} value={t`${whole(overdue)} s`} isBad={overdue > 60} chart={<Sparkline values={history.map((each) => each.overdue)} label={t`Seconds that the oldest has been due, over the last minutes`} className="h-10 w-full" />} />
        <Figure title={t`Made in the last minute`} value={whole(made)}>
          <Outcomes samples={numbers["messages_last_minute"]} by="status" />
        </Figure>
        <Figure title={t`Failed jobs`} value={whole(failed)} isBad={failed > 0}>
          <Link to="/operators/jobs">{failed > 0 ? t`See them` : t`None in the last hour`}</Link>
        </Figure>
      </div>
      <div className="grid gap-4 xl:grid-cols-3">
        <Card title={t`Health`} tools={wrong.length === 0 ? <Badge tone="good" icon="check">{t`All checks pass`}</Badge> : <Badge tone="danger" icon="warning"><Plural value={wrong.length} one="# check fails" other="# checks fail" /></Badge>}>
          <ul className="divide-y divide-line">
            {checks.map((check) => (
              <CheckLine key={check.name} check={check} />
            ))}
          </ul>
        </Card>
        <Card title={t`Queues`} className="xl:col-span-2">
          <Queues numbers={numbers} />
        </Card>
      </div>
      <div className="grid gap-4 lg:grid-cols-2 xl:grid-cols-3">
        <Card title={t`What waits`}>
          <Labelled samples={numbers["messages_waiting"]} by={["mode", "kind", "status"]} empty={t`No message waits.`} />
        </Card>
        <Card title={t`Handed over in the last minute`}>
          <Labelled samples={numbers["carrier_attempts_last_minute"]} by={["carrier", "outcome"]} empty={t`Nothing was handed over.`} />
        </Card>
        <Card title={t`Campaigns under way`}>
          <Labelled samples={numbers["campaigns"]} by={["mode", "status", "reason"]} empty={t`No campaign is under way.`} />
        </Card>
        <Card title={t`Webhooks`}>
          <Labelled samples={[...(numbers["webhook_endpoints"] ?? []), ...(numbers["webhook_deliveries_waiting"] ?? [])]} by={["state", "reason"]} empty={t`There is no webhook.`} />
        </Card>
        <Card title={t`Waiting elsewhere`}>
          <Numbers
            items={[
              [t`Delivery reports to apply`, sum(numbers["carrier_events_waiting"])],
              [t`Sent, not reported on yet`, sum(numbers["messages_unreported"])],
              [t`Leases that ran out`, sum(numbers["leases_expired"])],
              [t`Replies that could not be read`, sum(numbers["inbound_unread"])],
              [t`Workspaces low on credits`, sum(numbers["workspaces_low_on_credits"])],
            ]}
          />
        </Card>
        <Card title={t`Processes`}>
          <Numbers
            items={[
              [t`Workers`, sum(numbers["workers"])],
              [t`Crons`, sum(numbers["crons"])],
              [t`Connections to PostgreSQL`, sum(numbers["database_connections"], ({ state }) => state === "used")],
              [t`Connections it allows`, sum(numbers["database_connections"], ({ state }) => state === "most")],
            ]}
            last={[t`Version`, overview.version]}
          />
        </Card>
      </div>
    </div>
  );
}

function Figure({ title, value, isBad = false, chart, children }: { title: string; value: string; isBad?: boolean; chart?: ReactNode; children?: ReactNode }) {
  return (
    <Card>
      <h2 className="text-sm text-muted">{title}</h2>
      <p className={`mt-1 text-2xl font-semibold tabular ${isBad ? "text-danger" : ""}`}>{value}</p>
      <div className="mt-3 min-h-10 text-sm">{chart ?? children}</div>
    </Card>
  );
}

function CheckLine({ check: { name, state, is_needed: isNeeded } }: { check: Check }) {
  const { t } = useLingui();
  const names: Record<string, string> = { database: "PostgreSQL", migrations: t`Migrations`, redis: "Redis", workers: t`Workers`, cron: t`Cron`, disk: t`Disk of PostgreSQL` };
  const isWell = state === "ok";
  return (
    <li className="flex items-center justify-between gap-4 py-2">
      <span className="flex items-center gap-2">
        <Icon name={isWell ? "check" : "warning"} className={`size-4.5 ${isWell ? "text-good" : isNeeded ? "text-danger" : "text-warn"}`} />
        {names[name] ?? name}
      </span>
      <span className="min-w-0 text-right text-sm break-words text-muted">{isWell ? t`OK` : state}</span>
    </li>
  );
}

function Queues({ numbers }: { numbers: Overview["numbers"] }) {
  const { t } = useLingui();
  const of = (name: string, queue: string) => numbers[name]?.find((sample) => sample["queue"] === queue)?.value;
  const known = QUEUES.filter((queue) => of("workers", queue) !== undefined);
  if (known.length === 0) return <p className="text-muted">{t`Redis does not answer, so the queues are not seen. Messages are safe.`}</p>;
  return (
    <div className="overflow-x-auto" tabIndex={0} role="region" aria-label={t`Queues`}>
      <table className="w-full text-left max-sm:text-sm">
        <thead className="text-sm text-muted max-sm:text-xs">
          <tr>
            <th scope="col" className="py-1.5 pr-1 font-medium sm:pr-4">{t`Queue`}</th>
            <th scope="col" className="px-1 py-1.5 text-right font-medium sm:px-4">{t`Workers`}</th>
            <th scope="col" className="px-1 py-1.5 text-right font-medium sm:px-4">{t`Jobs waiting`}</th>
            <th scope="col" className="py-1.5 pl-1 text-right font-medium sm:pl-4">{t({ message: "Failed", context: "counted" })}</th>
          </tr>
        </thead>
        <tbody>
          {known.map((queue) => {
            const workers = of("workers", queue) ?? 0;
            const failed = of("jobs_failed", queue) ?? 0;
            return (
              <tr key={queue}>
                <th scope="row" className="border-t border-line py-2 pr-1 font-normal sm:pr-4">{queue}</th>
                <td className="border-t border-line px-1 py-2 text-right sm:px-4">{workers === 0 ? <Badge tone="danger">{t`none`}</Badge> : <Count value={workers} />}</td>
                <td className="border-t border-line px-1 py-2 text-right sm:px-4">
                  <Count value={of("jobs_waiting", queue) ?? 0} />
                </td>
                <td className="border-t border-line py-2 pl-1 text-right sm:pl-4">
                  {failed > 0 ? (
                    <Link to="/operators/jobs" search={{ queue }} className="text-danger">
                      <Count value={failed} />
                    </Link>
                  ) : (
                    <Count value={0} />
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Outcomes({ samples, by }: { samples: readonly Sample[] | undefined; by: string }) {
  const { whole } = useNumbers();
  const totals = useMemo(() => {
    const found = new Map<string, number>();
    for (const sample of samples ?? []) found.set(String(sample[by]), (found.get(String(sample[by])) ?? 0) + sample.value);
    return [...found].sort((a, b) => b[1] - a[1]).slice(0, 3);
  }, [samples, by]);
  return <p className="text-muted">{totals.map(([name, value]) => `${name} ${whole(value)}`).join(" · ")}</p>;
}

function Labelled({ samples, by, empty }: { samples: readonly Sample[] | undefined; by: readonly string[]; empty: string }) {
  const found = (samples ?? []).filter(({ value }) => value > 0);
  if (found.length === 0) return <p className="text-muted">{empty}</p>;
  return <Numbers items={found.map((sample): readonly [string, number] => [by.map((label) => sample[label]).filter(Boolean).join(" · "), sample.value])} />;
}

function Numbers({ items, last }: { items: readonly (readonly [string, number])[]; last?: readonly [string, string] }) {
  return (
    <dl className="divide-y divide-line">
      {items.map(([name, value]) => (
        <div key={name} className="flex justify-between gap-4 py-1.5">
          <dt className="min-w-0 break-words text-muted">{name}</dt>
          <dd className="font-medium">
            <Count value={value} />
          </dd>
        </div>
      ))}
      {last !== undefined && (
        <div className="flex justify-between gap-4 py-1.5">
          <dt className="text-muted">{last[0]}</dt>
          <dd className="min-w-0 font-medium break-words">{last[1]}</dd>
        </div>
      )}
    </dl>
  );
}
