// Days and clock times of a zone, without a library.
import { timesOf } from "@/ui/formats";

interface Parts {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
}

function partsOf(time: number, zone: string): Parts {
  const format = timesOf("en-US", { timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric" });
  const found = Object.fromEntries(format.formatToParts(time).map(({ type, value }) => [type, Number(value)]));
  return found as unknown as Parts;
}

const asUtc = ({ year, month, day, hour, minute }: Parts) => Date.UTC(year, month - 1, day, hour, minute);
const two = (value: number) => String(value).padStart(2, "0");

/** Return the day of an instant in a zone, as 2026-11-29. */
export function dayOf(instant: string, zone: string): string {
  const { year, month, day } = partsOf(Date.parse(instant), zone);
  return `${year}-${two(month)}-${two(day)}`;
}

/** Return an instant as a field of the kind datetime-local shows it in a zone. */
export function localOf(instant: string, zone: string): string {
  const { year, month, day, hour, minute } = partsOf(Date.parse(instant), zone);
  return `${year}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}`;
}

/** Return the instant at which clocks of a zone show a time; null for what is no time. */
export function instantOf(local: string, zone: string): string | null {
  const wanted = /^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(local) ? Date.parse(`${local}:00Z`) : Number.NaN;
  if (Number.isNaN(wanted)) return null;
  // Twice, since the first guess may stand on the other side of a change of clocks.
  let time = wanted;
  for (let turn = 0; turn < 2; turn++) time += wanted - asUtc(partsOf(time, zone));
  return new Date(time).toISOString();
}
