// A sequence as its editor holds it, and how that becomes what the API takes.
import type { SequenceFullFragment, UpdateSequenceInput } from "@/gql/graphql";
import { instantOf, localOf } from "@/pages/campaigns/times";
import { readFilter, writeFilter, type Fields, type Filter, type Group } from "@/pages/contacts/filter";
import { splitMinutes } from "./spans";

export type Unit = "minutes" | "hours" | "days";
export const UNITS: readonly Unit[] = ["minutes", "hours", "days"];
const SIZES: Record<Unit, number> = { minutes: 1, hours: 60, days: 1440 };
const MOST_MINUTES = 365 * 1440;
export const MOST_STEPS = 50;
export const MOST_BODY = 1600;

export const ASKS = ["clicked", "notClicked", "replied", "notReplied"] as const;
export type Ask = (typeof ASKS)[number];

export interface StepDraft {
  /** Stays as the step is moved or renamed. */
  uid: number;
  key: string;
  body: string;
  when: "after" | "anchor";
  amount: string;
  unit: Unit;
  side: "before" | "after";
  /** A time of day of the recipient's clock; empty for any. */
  at: string;
  /** The earlier steps that are asked for, by their `uid`; none for no question. */
  asks: Readonly<Partial<Record<Ask, number>>>;
  filter: Group | null;
  otherwise: "SKIP" | "LEAVE";
  shortenLinks: boolean;
}

export interface SequenceDraft {
  name: string;
  from: string;
  steps: readonly StepDraft[];
  listIds: readonly string[];
  keywordIds: readonly string[];
  tags: readonly string[];
  events: readonly string[];
  goal: Group | null;
  leaveOnReply: boolean;
  mayReenter: boolean;
  quietHours: boolean;
  /** A clock time in the workspace's zone, as a field of the kind datetime-local has it. */
  anchor: string;
}

let last = 0;
const nextUid = () => ++last;

const readGroup = (filter: unknown): Group | null => (filter == null ? null : readFilter(filter as Filter));

/** Return the draft of a sequence as it stands. */
export function draftOf(sequence: SequenceFullFragment, zone: string): SequenceDraft {
  const uids = new Map(sequence.steps.map(({ key }) => [key, nextUid()]));
  const steps = sequence.steps.map(({ key, body, waitMinutes, anchorMinutes, sendAtLocal, onlyIf, otherwise, shortenLinks }): StepDraft => {
    const { amount, unit } = splitMinutes(Math.abs(anchorMinutes ?? waitMinutes));
    const asks: Partial<Record<Ask, number>> = {};
    for (const ask of ASKS) {
      const uid = uids.get(onlyIf?.[ask] ?? "");
      if (uid !== undefined) asks[ask] = uid;
    }
    return {
      uid: uids.get(key)!,
      key,
      body,
      when: anchorMinutes == null ? "after" : "anchor",
      amount: String(amount),
      unit,
      side: (anchorMinutes ?? 0) < 0 ? "before" : "after",
      at: sendAtLocal ?? "",
      asks,
      filter: readGroup(onlyIf?.filter),
      otherwise: otherwise ?? "SKIP",
      shortenLinks: shortenLinks ?? false,
    };
  });
  const { entry } = sequence;
  return {
    name: sequence.name,
    from: sequence.from ?? "",
    steps,
    listIds: entry?.listIds ?? [],
    keywordIds: entry?.keywordIds ?? [],
    tags: entry?.tags ?? [],
    events: entry?.events ?? [],
    goal: readGroup(sequence.goal),
    leaveOnReply: sequence.leaveOnReply,
    mayReenter: sequence.mayReenter,
    quietHours: sequence.quietHours,
    anchor: sequence.anchorAt == null ? "" : localOf(sequence.anchorAt, zone),
  };
}

/** Return a new step, with a name that no other has. */
export function newStep(steps: readonly StepDraft[]): StepDraft {
  const taken = new Set(steps.map(({ key }) => key));
  let number = steps.length + 1;
  while (taken.has(`step_${number}`)) number++;
  return { uid: nextUid(), key: `step_${number}`, body: "", when: "after", amount: steps.length === 0 ? "0" : "1", unit: "days", side: "before", at: "", asks: {}, filter: null, otherwise: "SKIP", shortenLinks: false };
}

/** Return the steps with one of them moved a place up (-1) or down (1). */
export function moved(steps: readonly StepDraft[], uid: number, by: -1 | 1): readonly StepDraft[] {
  const from = steps.findIndex((each) => each.uid === uid);
  const to = from + by;
  if (from < 0 || to < 0 || to >= steps.length) return steps;
  const next = [...steps];
  [next[from], next[to]] = [next[to]!, next[from]!];
  return next;
}

/** Return the steps without one, which no other asks for any more. */
export function without(steps: readonly StepDraft[], uid: number): readonly StepDraft[] {
  return steps
    .filter((each) => each.uid !== uid)
    .map((each) => ({ ...each, asks: Object.fromEntries(Object.entries(each.asks).filter(([, asked]) => asked !== uid)) }));
}

/** Return the minutes of a step's time; null for what is no whole number from 0 to a year. */
export function minutesOf({ amount, unit }: Pick<StepDraft, "amount" | "unit">): number | null {
  if (!/^\d+$/.test(amount.trim())) return null;
  const minutes = Number(amount) * SIZES[unit];
  return minutes > MOST_MINUTES ? null : minutes;
}

export type Fault = "name" | "body" | "long" | "key" | "twice" | "amount" | "order" | "filter" | "goal" | "anchor";

const KEY = /^[a-z0-9][a-z0-9_-]{0,39}$/;

/** Return what cannot be saved, by the field in which it stands: `name`, `3.body`. */
export function faultsOf(draft: SequenceDraft, fields: Fields): Readonly<Record<string, Fault>> {
  const faults: Record<string, Fault> = {};
  if (draft.name.trim() === "") faults["name"] = "name";
  if (draft.goal !== null && writeFilter(draft.goal, fields) === null) faults["goal"] = "goal";
  const earlier = new Map<number, string>();
  for (const step of draft.steps) {
    const put = (field: string, fault: Fault) => (faults[`${step.uid}.${field}`] = fault);
    if (step.body.trim() === "") put("body", "body");
    else if (step.body.length > MOST_BODY) put("body", "long");
    if (!KEY.test(step.key)) put("key", "key");
    else if ([...earlier.values()].includes(step.key)) put("key", "twice");
    if (minutesOf(step) === null) put("amount", "amount");
    for (const ask of ASKS) if (step.asks[ask] !== undefined && !earlier.has(step.asks[ask])) put(ask, "order");
    if (step.filter !== null && writeFilter(step.filter, fields) === null) put("filter", "filter");
    earlier.set(step.uid, step.key);
  }
  return faults;
}

/** Return the field of a draft that the API names: `steps[1].onlyIf.clicked` is `7.clicked` where the second step is 7. */
export function fieldOf(param: string | null | undefined, draft: SequenceDraft): string | null {
  if (param == null) return null;
  const found = /^steps\[(\d+)\](?:\.(.+))?$/.exec(param);
  if (found === null) return /^(\w+)/.exec(param)?.[1] ?? null;
  const step = draft.steps[Number(found[1])];
  const [head = "", next = ""] = (found[2] ?? "").split(/[.[]/);
  const field = head === "onlyIf" ? next : head;
  const shown: Record<string, string> = { waitMinutes: "amount", anchorMinutes: "amount", sendAtLocal: "at" };
  return step === undefined ? "steps" : `${step.uid}.${shown[field] ?? field}`;
}

function conditionOf(step: StepDraft, keys: ReadonlyMap<number, string>, fields: Fields) {
  const asked = Object.fromEntries(ASKS.flatMap((ask) => (step.asks[ask] === undefined ? [] : [[ask, keys.get(step.asks[ask]) ?? ""]])));
  const filter = step.filter === null ? null : writeFilter(step.filter, fields);
  return filter === null && Object.keys(asked).length === 0 ? null : { ...asked, ...(filter === null ? {} : { filter }) };
}

/** Return the draft as the API takes it, with every field that it has; `zone` is the workspace's. */
export function inputOf(draft: SequenceDraft, fields: Fields, zone: string): UpdateSequenceInput {
  const keys = new Map(draft.steps.map(({ uid, key }) => [uid, key]));
  const { listIds, keywordIds, tags, events } = draft;
  const enters = listIds.length + keywordIds.length + tags.length + events.length > 0;
  const input = {
    name: draft.name.trim(),
    from: draft.from === "" ? null : draft.from,
    steps: draft.steps.map((step) => {
      const minutes = minutesOf(step) ?? 0;
      const onlyIf = conditionOf(step, keys, fields);
      return {
        key: step.key,
        body: step.body,
        waitMinutes: step.when === "after" ? minutes : 0,
        anchorMinutes: step.when === "after" ? null : step.side === "before" ? -minutes : minutes,
        sendAtLocal: step.at === "" ? null : step.at,
        onlyIf,
        otherwise: onlyIf === null ? null : step.otherwise,
        shortenLinks: step.shortenLinks,
      };
    }),
    entry: enters ? { listIds: [...listIds], keywordIds: [...keywordIds], tags: [...tags], events: [...events] } : null,
    goal: draft.goal === null ? null : writeFilter(draft.goal, fields),
    leaveOnReply: draft.leaveOnReply,
    mayReenter: draft.mayReenter,
    quietHours: draft.quietHours,
    anchorAt: draft.anchor === "" ? null : instantOf(draft.anchor, zone),
  };
  return input as UpdateSequenceInput;
}

export const isAnchored = ({ steps }: Pick<SequenceDraft, "steps">) => steps.some(({ when }) => when === "anchor");
