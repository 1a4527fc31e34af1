// The filters of the address as the API has them.
import type { MessageFilter } from "@/gql/graphql";
import { instantOf } from "../campaigns/times";

/** Those that are folded away until one is used. */
export const MORE = ["phone", "from", "error", "since", "until", "key", "value", "order"] as const;

export type Asked = Partial<Record<"campaign" | "contact" | "phone" | "from" | "q" | "error" | "since" | "until" | "key" | "value" | "skipped", string | undefined>> & {
  status?: MessageFilter["status"] | undefined;
  origin?: MessageFilter["origin"] | undefined;
};

const DAY_MS = 86_400_000;

/** Return the instant at which a day such as 2026-11-29 begins in a zone; null for what is no day. */
function dayStart(day: string | undefined, zone: string, later = 0): string | null {
  if (day === undefined || !/^\d{4}-\d\d-\d\d$/.test(day)) return null;
  const time = Date.parse(`${day}T00:00:00Z`);
  return Number.isNaN(time) ? null : instantOf(`${new Date(time + later * DAY_MS).toISOString().slice(0, 10)}T00:00`, zone);
}

/** Return the bounds of two days, the last one within. */
export function daysOf(since: string | undefined, until: string | undefined, zone: string): { createdFrom?: string; createdBefore?: string } {
  const [first, end] = [dayStart(since, zone), dayStart(until, zone, 1)];
  return { ...(first !== null && { createdFrom: first }), ...(end !== null && { createdBefore: end }) };
}

/** Return the conditions that an address asks for. */
export function filterOf(asked: Asked, zone: string): Partial<MessageFilter> {
  const phone = asked.phone?.replace(/[\s().-]/g, "");
  return {
    ...(asked.status != null && { status: asked.status }),
    ...(asked.origin != null && { origin: asked.origin }),
    ...(asked.campaign !== undefined && { campaignId: asked.campaign }),
    ...(asked.contact !== undefined && { contactId: asked.contact }),
    ...(asked.skipped !== undefined && asked.status == null && { includeSkipped: true }),
    ...(phone !== undefined && { to: phone }),
    ...(asked.from !== undefined && { from: asked.from }),
    ...(asked.q !== undefined && { q: asked.q }),
    ...(asked.error !== undefined && { errorCode: asked.error }),
    ...daysOf(asked.since, asked.until, zone),
    ...(asked.key !== undefined && asked.value !== undefined && { metadata: { [asked.key]: asked.value } }),
  };
}
