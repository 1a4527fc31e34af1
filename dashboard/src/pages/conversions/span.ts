// The days that conversions are looked at for, and what they brought on each.
import { daysOf } from "@/pages/messages/filter";
import { unitsOfCurrency } from "@/ui/revenue";

/** The filters of the page, as the address has them. */
export type Asked = Partial<Record<"campaign" | "contact" | "order" | "since" | "until" | "currency", string | undefined>>;

export interface Span {
  occurredFrom?: string;
  occurredBefore?: string;
}

/** Return the bounds of two days of a zone, the last one within. */
export function spanOf(since: string | undefined, until: string | undefined, zone: string): Span {
  const { createdFrom, createdBefore } = daysOf(since, until, zone);
  return { ...(createdFrom !== undefined && { occurredFrom: createdFrom }), ...(createdBefore !== undefined && { occurredBefore: createdBefore }) };
}

const DAY_MS = 86_400_000;
// Of a longer time, single days would be narrower than what a pointer meets.
const MOST_DAYS = 120;

/** Return the interval at which a time is drawn. */
export const intervalOf = (from: string, before: string): "DAY" | "WEEK" => ((Date.parse(before) - Date.parse(from)) / DAY_MS > MOST_DAYS ? "WEEK" : "DAY");

interface Point {
  startAt: string;
  currencies: readonly { currency: string; net: number; attributedNet: number }[];
}

/** Return what was earned at each time in one currency, in its units: after a message, and in all. */
export function linesOf(points: readonly Point[], currency: string): { times: number[]; attributed: number[]; all: number[] } {
  const units = unitsOfCurrency(currency);
  const found = points.map(({ currencies }) => currencies.find((each) => each.currency === currency));
  return {
    times: points.map(({ startAt }) => Date.parse(startAt) / 1000),
    attributed: found.map((each) => (each?.attributedNet ?? 0) / units),
    all: found.map((each) => (each?.net ?? 0) / units),
  };
}
