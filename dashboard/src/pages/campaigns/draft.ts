// What somebody writes of a campaign, and how that becomes what the API takes.
import type { CreateCampaignInput, PreviewCampaignInput } from "@/gql/graphql";
import { instantOf } from "./times";

export interface Draft {
  name: string;
  body: string;
  from: string;
  listIds: readonly string[];
  segmentId: string | null;
  when: "now" | "later";
  /** A clock time in the workspace's zone, as a field of the kind datetime-local has it. */
  at: string;
  pace: "fast" | "rate" | "spread";
  ratePerMinute: string;
  spreadHours: string;
  quietHours: boolean;
  /** The recipients' own time of day, empty for any. */
  localTime: string;
  /** The most campaign messages that a recipient gets, as they are typed; empty for no cap. */
  dailyCap: string;
  weeklyCap: string;
  /** Who of the audience is skipped. */
  exclude: Left;
  shortenLinks: boolean;
  /** UTM parameters of the short links, each empty for none. */
  utm: Readonly<Record<UtmName, string>>;
}

export const UTM_NAMES = ["source", "medium", "campaign", "term", "content"] as const;
export type UtmName = (typeof UTM_NAMES)[number];

export interface Left {
  listIds: readonly string[];
  segmentIds: readonly string[];
  campaignIds: readonly string[];
  /** Days as they are typed; empty for none. */
  days: string;
}

export const EMPTY: Draft = {
  name: "",
  body: "",
  from: "",
  listIds: [],
  segmentId: null,
  when: "now",
  at: "",
  pace: "fast",
  ratePerMinute: "60",
  spreadHours: "4",
  quietHours: true,
  localTime: "",
  dailyCap: "",
  weeklyCap: "",
  exclude: { listIds: [], segmentIds: [], campaignIds: [], days: "" },
  shortenLinks: false,
  utm: { source: "", medium: "", campaign: "", term: "", content: "" },
};

const number = (text: string): number | null => {
  const value = Number(text);
  return text.trim() === "" || !Number.isFinite(value) || value <= 0 ? null : value;
};

/** Return who is skipped as the API takes it, null for nobody. */
function excludeOf({ listIds, segmentIds, campaignIds, days }: Left) {
  const within = Math.round(number(days) ?? 0) || null;
  if (listIds.length + segmentIds.length + campaignIds.length === 0 && within === null) return null;
  return { listIds: [...listIds], segmentIds: [...segmentIds], campaignIds: [...campaignIds], messagedWithinDays: within };
}

/** Return the UTM parameters as the API takes them, null where there are none or where no link is shortened. */
function utmOf({ shortenLinks, utm }: Draft) {
  const given = UTM_NAMES.filter((name) => utm[name].trim() !== "");
  return !shortenLinks || given.length === 0 ? null : Object.fromEntries(given.map((name) => [name, utm[name].trim()]));
}

type Written = Omit<PreviewCampaignInput, "name" | "metadata" | "expiresAt">;

/** Return the draft as the API takes it, with every field that an update may clear. */
export function inputOf(draft: Draft, zone: string): Written {
  return {
    body: draft.body,
    from: draft.from === "" ? null : draft.from,
    audience: { listIds: [...draft.listIds], segmentId: draft.segmentId, contactIds: [] },
    scheduledAt: draft.when === "later" ? instantOf(draft.at, zone) : null,
    ratePerMinute: draft.pace === "rate" ? Math.round(number(draft.ratePerMinute) ?? 0) || null : null,
    spreadHours: draft.pace === "spread" ? number(draft.spreadHours) : null,
    quietHours: draft.quietHours,
    sendAtLocal: draft.localTime === "" ? null : draft.localTime,
    contactDailyCap: Math.round(number(draft.dailyCap) ?? 0) || null,
    contactWeeklyCap: Math.round(number(draft.weeklyCap) ?? 0) || null,
    exclude: excludeOf(draft.exclude),
    shortenLinks: draft.shortenLinks,
    utm: utmOf(draft),
  };
}

export function createInput(draft: Draft, zone: string): CreateCampaignInput {
  return { ...inputOf(draft, zone), name: draft.name.trim(), draft: true } as CreateCampaignInput;
}

export const hasAudience = ({ listIds, segmentId }: Draft) => listIds.length > 0 || segmentId !== null;

const EXTENDED = new Set("^{}\\[~]|€\f");

/** Return how many units a text takes: septets of the default alphabet, where some characters take two, or UTF-16 units. */
export function unitsOf(text: string, encoding: string): number {
  if (encoding === "UCS2") return text.length;
  let units = 0;
  for (const each of text) units += EXTENDED.has(each) ? 2 : 1;
  return units;
}

/** Insert a text at the cursor of a field, and return all of it with where the cursor goes. */
export function insertAt(text: string, start: number, end: number, added: string): { text: string; cursor: number } {
  return { text: text.slice(0, start) + added + text.slice(end), cursor: start + added.length };
}
