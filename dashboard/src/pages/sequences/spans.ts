// Time spans, in the units that people say.
const HOUR = 60;
const DAY = 1440;

/** Return minutes in the largest unit that holds them wholly. */
export function splitMinutes(minutes: number): { amount: number; unit: "minutes" | "hours" | "days" } {
  if (minutes !== 0 && minutes % DAY === 0) return { amount: minutes / DAY, unit: "days" };
  if (minutes !== 0 && minutes % HOUR === 0) return { amount: minutes / HOUR, unit: "hours" };
  return { amount: minutes, unit: "minutes" };
}
