// What somebody writes of a campaign, and how that becomes what the API takes.
import type { CreateCampaignInput, PreviewCampaignInput } from "@/gql/graphql";
import { instantOf } from "./times";

export interface Draft {
  name: string;
  /** Tags as they are typed, separated by commas. */
  tags: string;
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
  /** The other variants of an A/B test, B first; none for no test. */
  variants: readonly Variant[];
  test: Test;
  shortenLinks: boolean;
  /** UTM parameters of the short links, each empty for none. */
  utm: Readonly<Record<UtmName, string>>;
}

export interface Variant {
  /** Empty for the campaign's own text. */
  body: string;
  /** Empty for the campaign's own sender. */
  from: string;
}

export const METRICS = ["DELIVERY", "CLICK", "REPLY", "CONVERSION"] as const;
export type Metric = (typeof METRICS)[number];
export const MOST_VARIANTS = 5;

export interface Test {
  /** The part of the audience in the test, in percent, as it is typed. */
  percent: string;
  metric: Metric;
  /** Hours until the winner is chosen, as they are typed; empty where somebody chooses. */
  hours: string;
  /** What variant A differs in from the campaign, and the shares, where the API was told of some. */
  first: Variant;
  shares: readonly (number | null)[];
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
  tags: "",
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
  variants: [],
  test: { percent: "20", metric: "DELIVERY", hours: "4", first: { body: "", from: "" }, shares: [] },
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

const variantOf = ({ body, from }: Variant) => ({ ...(body.trim() === "" ? {} : { body }), ...(from === "" ? {} : { from }) });

/** Return the A/B test as the API takes it, null while no other variant says anything. */
function testOf({ variants, test }: Draft) {
  const others = variants.filter(({ body, from }) => body.trim() !== "" || from !== "");
  if (others.length === 0) return null;
  const all = [test.first, ...others];
  const hasShares = test.shares.length === all.length;
  return {
    variants: all.map((variant, place) => ({ ...variantOf(variant), ...(hasShares ? { share: test.shares[place] ?? null } : {}) })),
    testPercent: Math.round(number(test.percent) ?? 0),
    metric: test.metric,
    testMinutes: test.hours.trim() === "" ? null : Math.round((number(test.hours) ?? 0) * 60),
  };
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
    abTest: testOf(draft),
  };
}

export const tagsOf = ({ tags }: Draft) => tags.split(",").map((each) => each.trim()).filter((each) => each !== "");

export function createInput(draft: Draft, zone: string): CreateCampaignInput {
  return { ...inputOf(draft, zone), name: draft.name.trim(), tags: tagsOf(draft), draft: true } as CreateCampaignInput;
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
