import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useEffect, useState, type ReactNode } from "react";
import { useFeed } from "@/api/hooks";
import { graphql } from "@/gql";
import type { CampaignRowFragment, CampaignStatus } from "@/gql/graphql";
import { CampaignBadge } from "@/status";
import { Button } from "@/ui/button";
import { classes } from "@/ui/classes";
import { timesOf } from "@/ui/formats";
import { Count, useZone } from "@/ui/show";
import { Loading, ProblemState } from "@/ui/states";
import { dayOf, instantOf } from "./times";

const DAY_MS = 86_400_000;

const monthOf = (day: string) => day.slice(0, 7);
const at = (day: string) => new Date(`${day}T12:00:00Z`);
const shifted = (month: string, by: number) => {
  const [year, number] = month.split("-").map(Number) as [number, number];
  return new Date(Date.UTC(year, number - 1 + by, 1, 12)).toISOString().slice(0, 7);
};

/** Weeks from Monday that hold all days of a month. */
function weeksOf(month: string): string[][] {
  const first = at(`${month}-01`);
  const start = first.getTime() - ((first.getUTCDay() + 6) % 7) * DAY_MS;
  const weeks: string[][] = [];
  for (let week = 0; week === 0 || monthOf(new Date(start + week * 7 * DAY_MS).toISOString()) === month; week++)
    weeks.push(Array.from({ length: 7 }, (_, day) => new Date(start + (week * 7 + day) * DAY_MS).toISOString().slice(0, 10)));
  return weeks;
}

const CampaignMonth = graphql(`
  query CampaignMonth($statuses: [CampaignStatus!], $q: String, $tag: String, $archived: Boolean, $startsFrom: DateTime, $startsBefore: DateTime, $first: Int, $after: String) {
    campaigns(statuses: $statuses, q: $q, tag: $tag, archived: $archived, startsFrom: $startsFrom, startsBefore: $startsBefore, orderBy: OLDEST, first: $first, after: $after) {
      nodes { ...CampaignRow }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);

// What is read by itself of one month, and what a day shows before it is asked for more.
const MOST = 500;
const OF_DAY = 4;

interface CalendarProps {
  which: { statuses: CampaignStatus[]; archived: boolean; q?: string; tag?: string };
  isFiltered: boolean;
  month: string | undefined;
  onMonth: (month: string) => void;
}

/** Campaigns by the day on which they go or went out, in the workspace's zone. */
export function Calendar({ which, isFiltered, month, onMonth }: CalendarProps) {
  const { t, i18n } = useLingui();
  const zone = useZone();
  const today = dayOf(new Date().toISOString(), zone);
  const shown = month !== undefined && /^\d{4}-(0[1-9]|1[0-2])$/.test(month) ? month : monthOf(today);
  const weeks = weeksOf(shown);
  const last = weeks.at(-1)!.at(-1)!;
  const startsFrom = instantOf(`${weeks[0]![0]!}T00:00`, zone);
  const startsBefore = instantOf(`${new Date(at(last).getTime() + DAY_MS).toISOString().slice(0, 10)}T00:00`, zone);
  const { rows, problem, hasMore, isLoading, loadMore, retry, totalCount } = useFeed(CampaignMonth, { ...which, startsFrom, startsBefore } as never, ({ campaigns }) => campaigns);
  const count = rows?.length ?? 0;
  useEffect(() => {
    if (hasMore && !isLoading && count < MOST) loadMore();
    // One page at a time: each that comes asks for the next.
  }, [hasMore, isLoading, count]);
  const [opened, setOpened] = useState<string | null>(null);
  const days = new Map<string, CampaignRowFragment[]>();
  for (const each of rows ?? []) {
    const when = each.startedAt ?? each.scheduledAt;
    if (when == null) continue;
    const day = dayOf(when, zone);
    days.set(day, [...(days.get(day) ?? []), each]);
  }
  const title = timesOf(i18n.locale, { month: "long", year: "numeric", timeZone: "UTC" }).format(at(`${shown}-01`));
  const weekday = timesOf(i18n.locale, { weekday: "short", timeZone: "UTC" });
  const dayName = timesOf(i18n.locale, { weekday: "long", day: "numeric", month: "long", timeZone: "UTC" });
  return (
    <section>
      <div className="mb-3 flex items-center gap-2">
        <h2 className="mr-auto text-lg font-semibold first-letter:capitalize" aria-live="polite">
          {title}
        </h2>
        {shown !== monthOf(today) && <Button size="small" look="quiet" onPress={() => onMonth(monthOf(today))}>{t`Today`}</Button>}
        <Button size="icon" look="quiet" icon="left" aria-label={t`Month before`} onPress={() => onMonth(shifted(shown, -1))} />
        <Button size="icon" look="quiet" icon="right" aria-label={t`Month after`} onPress={() => onMonth(shifted(shown, 1))} />
      </div>
      {problem !== null && rows === undefined ? (
        <ProblemState problem={problem} onRetry={retry} />
      ) : rows === undefined ? (
        <Loading rows={6} />
      ) : (
        <>
          {count === 0 && (
            <p className="mb-3 text-muted" role="status">
              {isFiltered ? t`No campaign of this month matches these filters.` : t`No campaign starts in this month.`}
            </p>
          )}
          {/* A phone has a list of the days that have something; a wider screen has the weeks. */}
          <ol className="space-y-3 sm:hidden">
            {[...days].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([day, found]) => (
              <li key={day} className="rounded-2xl border border-line bg-surface p-3">
                <h3 className={classes("text-sm font-medium first-letter:capitalize", day === today ? "text-brand" : "text-muted")}>{dayName.format(at(day))}</h3>
                <Entries day={dayName.format(at(day))} found={found} isOpen={opened === day} onOpen={() => setOpened(day)} />
              </li>
            ))}
          </ol>
          <div className="hidden overflow-x-auto rounded-2xl border border-line bg-surface sm:block" tabIndex={0} role="region" aria-label={title}>
            <table className="w-full min-w-[44rem] table-fixed">
              <thead>
                <tr>
                  {weeks[0]!.map((day) => (
                    <th key={day} scope="col" className="border-b border-line px-2 py-2 text-left text-sm font-medium text-muted capitalize">
                      {weekday.format(at(day))}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {weeks.map((week) => (
                  <tr key={week[0]}>
                    {week.map((day) => (
                      <td key={day} className={classes("h-28 border-r border-b border-line p-1.5 align-top last:border-r-0", monthOf(day) !== shown && "bg-bg")}>
                        <span className={classes("inline-flex size-6 items-center justify-center rounded-full text-sm", day === today ? "bg-brand font-semibold text-on-brand" : "text-muted")}>{Number(day.slice(8))}</span>
                        <Entries day={dayName.format(at(day))} found={days.get(day) ?? []} isOpen={opened === day} onOpen={() => setOpened(day)} />
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          {hasMore && count >= MOST && (
            <p className="mt-3 flex flex-wrap items-center gap-3 text-sm text-muted">
              <Trans>
                <Count value={count} /> of <Count value={totalCount ?? count} /> campaigns are shown.
              </Trans>
              <Button size="small" isPending={isLoading} onPress={loadMore}>{t`Show more`}</Button>
            </p>
          )}
        </>
      )}
    </section>
  );
}

/** The campaigns of one day, the first few unless it was opened. */
function Entries({ day, found, isOpen, onOpen }: { day: string; found: readonly CampaignRowFragment[]; isOpen: boolean; onOpen: () => void }) {
  const { t } = useLingui();
  if (found.length === 0) return null;
  const shown = isOpen ? found : found.slice(0, OF_DAY);
  const left = found.length - shown.length;
  return (
    <>
      <ul className="mt-1 space-y-1">
        {shown.map(({ id, name, status }) => (
          <li key={id}>
            <Entry id={id} isDraft={status === "DRAFT"}>
              <span className="block truncate">{name}</span>
              <CampaignBadge status={status} />
            </Entry>
          </li>
        ))}
      </ul>
      {left > 0 && (
        <button type="button" className="mt-1 rounded-md p-1 text-sm text-brand hover:bg-brand-soft" onClick={onOpen}>
          {t`${left} more`}
          <span className="sr-only">: {day}</span>
        </button>
      )}
    </>
  );
}

function Entry({ id, isDraft, children }: { id: string; isDraft: boolean; children: ReactNode }) {
  const shape = "block rounded-md p-1 text-sm text-text no-underline hover:bg-brand-soft";
  return isDraft ? (
    <Link to="/campaigns/new" search={{ id }} className={shape}>
      {children}
    </Link>
  ) : (
    <Link to="/campaigns/$id" params={{ id }} className={shape}>
      {children}
    </Link>
  );
}
