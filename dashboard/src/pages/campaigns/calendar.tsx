import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useEffect, type ReactNode } from "react";
import type { CampaignRowFragment } from "@/gql/graphql";
import { CampaignBadge } from "@/status";
import { Button } from "@/ui/button";
import { classes } from "@/ui/classes";
import { Time, useZone } from "@/ui/show";
import { dayOf } from "./times";

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

interface CalendarProps {
  /** Campaigns come newest first: those that were made before the oldest that was read are not known yet. */
  feed: { hasMore: boolean; loadMore: () => void; isLoading: boolean };
  campaigns: readonly CampaignRowFragment[];
  month: string | undefined;
  onMonth: (month: string) => void;
}

/** Campaigns by the day on which they go or went out, in the workspace's zone. */
export function Calendar({ feed: { hasMore, loadMore, isLoading }, campaigns, month, onMonth }: CalendarProps) {
  const { t, i18n } = useLingui();
  const zone = useZone();
  const today = dayOf(new Date().toISOString(), zone);
  const shown = month !== undefined && /^\d{4}-(0[1-9]|1[0-2])$/.test(month) ? month : monthOf(today);
  const days = new Map<string, CampaignRowFragment[]>();
  for (const each of campaigns) {
    const when = each.startedAt ?? each.scheduledAt;
    if (when == null) continue;
    const day = dayOf(when, zone);
    days.set(day, [...(days.get(day) ?? []), each]);
  }
  const title = new Intl.DateTimeFormat(i18n.locale, { month: "long", year: "numeric", timeZone: "UTC" }).format(at(`${shown}-01`));
  const weekday = new Intl.DateTimeFormat(i18n.locale, { weekday: "short", timeZone: "UTC" });
  const weeks = weeksOf(shown);
  const oldest = campaigns.at(-1)?.createdAt;
  const oldestDay = oldest === undefined ? undefined : dayOf(oldest, zone);
  // A month is read to its first day by itself; what was made before it, and goes out in it, is asked for.
  const isShort = hasMore && !isLoading && oldestDay !== undefined && oldestDay >= weeks[0]![0]!;
  useEffect(() => {
    if (isShort) loadMore();
    // One page at a time: each that comes asks for the next.
  }, [isShort, oldest]);
  return (
    <section>
      <div className="mb-3 flex items-center gap-2">
        <h2 className="mr-auto text-lg font-semibold capitalize" aria-live="polite">
          {title}
        </h2>
        <Button size="icon" look="quiet" icon="left" aria-label={t`Month before`} onPress={() => onMonth(shifted(shown, -1))} />
        <Button size="icon" look="quiet" icon="right" aria-label={t`Month after`} onPress={() => onMonth(shifted(shown, 1))} />
      </div>
      <div className="overflow-x-auto rounded-2xl border border-line bg-surface" tabIndex={0} role="region" aria-label={title}>
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
                  <td key={day} className={classes("h-28 border-r border-b border-line p-1.5 align-top last:border-r-0", monthOf(day) !== shown && "bg-sunken")}>
                    <span className={classes("inline-flex size-6 items-center justify-center rounded-full text-sm", day === today ? "bg-brand font-semibold text-on-brand" : "text-muted")}>{Number(day.slice(8))}</span>
                    <ul className="mt-1 space-y-1">
                      {(days.get(day) ?? []).map(({ id, name, status }) => (
                        <li key={id}>
                          <Entry id={id} isDraft={status === "DRAFT"}>
                            <span className="block truncate">{name}</span>
                            <CampaignBadge status={status} />
                          </Entry>
                        </li>
                      ))}
                    </ul>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {hasMore && oldestDay !== undefined && (
        <p className="mt-3 flex flex-wrap items-center gap-3 text-sm text-muted">
          <Trans>
            Campaigns that were made before <Time at={oldest!} style="day" /> are not shown.
          </Trans>
          <Button size="small" isPending={isLoading} onPress={loadMore}>{t`Show older ones`}</Button>
        </p>
      )}
    </section>
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
