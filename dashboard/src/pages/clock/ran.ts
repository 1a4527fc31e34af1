// What a clock's step did, as its events tell; and when a new clock begins.

interface Told {
  type: string;
  createdAt: string;
}

/** Count events by type, of those after one time and up to another; the most frequent first, then by name. */
export function countsOf(events: readonly Told[], from: string, to: string): { type: string; count: number }[] {
  const [after, until] = [Date.parse(from), Date.parse(to)];
  const counts = new Map<string, number>();
  for (const { type, createdAt } of events) {
    const at = Date.parse(createdAt);
    if (at > after && at <= until) counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return [...counts].map(([type, count]) => ({ type, count })).toSorted((one, other) => other.count - one.count || (one.type < other.type ? -1 : 1));
}

const HOUR_MS = 3_600_000;

/** Return a time for a clock to begin at: the next full hour that is at least an hour away. */
export const firstTime = (now: number): string => new Date(Math.ceil(now / HOUR_MS + 1.1) * HOUR_MS).toISOString();
