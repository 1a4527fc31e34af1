// Which contacts are meant: the filters of the address as the API has them, and the contacts of a bulk action.
import type { BulkKind, CreateBulkActionInput, OptInStatus } from "@/gql/graphql";
import { daysOf } from "../messages/filter";

export interface Asked {
  q?: string | undefined;
  consent?: OptInStatus | undefined;
  list?: string | undefined;
  segment?: string | undefined;
  tag?: string | undefined;
  unreachable?: "yes" | "no" | undefined;
  since?: string | undefined;
  until?: string | undefined;
  attribute?: string | undefined;
  value?: string | undefined;
}

/** What both a list and a bulk action can be asked by. */
type Conditions = Pick<CreateBulkActionInput, "search" | "optInStatus" | "listId" | "segmentId" | "tag" | "unreachable" | "attributes" | "createdFrom" | "createdBefore">;

/** Return the conditions that an address asks for. */
export function conditionsOf({ q, consent, list, segment, tag, unreachable, since, until, attribute, value }: Asked, zone: string): Conditions {
  return {
    ...(q !== undefined && { search: q }),
    ...(consent !== undefined && { optInStatus: consent }),
    ...(list !== undefined && { listId: list }),
    ...(segment !== undefined && { segmentId: segment }),
    ...(tag !== undefined && { tag }),
    ...(unreachable !== undefined && { unreachable: unreachable === "yes" }),
    ...(attribute !== undefined && value !== undefined && { attributes: { [attribute]: value } }),
    ...daysOf(since, until, zone),
  };
}

/** The contacts that were chosen in the table, or all that the filters find. */
export type Whom = "chosen" | "found";

// The service takes so many ids at once.
export const MOST_CHOSEN = 1000;

export interface Target {
  asked: Asked;
  zone: string;
  chosen: ReadonlySet<string>;
}

/** Return whom a bulk action can be for. */
export function whomOf({ chosen }: Target): Whom[] {
  return chosen.size > 0 && chosen.size <= MOST_CHOSEN ? ["chosen", "found"] : ["found"];
}

export interface Doing {
  action: BulkKind;
  tags: readonly string[];
  list: string | null;
}

export const DOES_TAG: ReadonlySet<BulkKind> = new Set<BulkKind>(["TAG", "UNTAG"]);
export const DOES_LIST: ReadonlySet<BulkKind> = new Set<BulkKind>(["ADD_TO_LIST", "REMOVE_FROM_LIST"]);
/** What cannot be taken back by another action. */
export const IS_FINAL: ReadonlySet<BulkKind> = new Set<BulkKind>(["OPT_OUT", "DELETE", "ERASE"]);

/** Return what to ask the service for; null while something is missing. */
export function inputOf({ asked, zone, chosen }: Target, whom: Whom, { action, tags, list }: Doing): CreateBulkActionInput | null {
  if (DOES_TAG.has(action) && tags.length === 0) return null;
  if (DOES_LIST.has(action) && list === null) return null;
  const conditions = conditionsOf(asked, zone);
  const isEvery = Object.keys(conditions).length === 0;
  return {
    action,
    dryRun: false,
    every: whom === "found" && isEvery,
    ...(whom === "chosen" ? { contactIds: [...chosen] } : conditions),
    ...(DOES_TAG.has(action) && { tags: [...tags] }),
    ...(DOES_LIST.has(action) && { targetListId: list }),
  };
}

const MOST_LETTERS = 40;

/** Return a tag as the service keeps it; null for what is none. */
export function tagOf(text: string): string | null {
  const name = text.trim().replace(/\s+/g, " ").toLowerCase();
  return name === "" || name.length > MOST_LETTERS || name.includes(",") ? null : name;
}
