// A segment's filter as the editor holds it: a tree of groups and conditions, each of which may be turned around.
import type { SegmentFieldType } from "@/gql/graphql";

export type Mode = "all" | "any";

interface Base {
  key: number;
  isNot: boolean;
}

export interface Group extends Base {
  kind: "group";
  mode: Mode;
  items: Item[];
}

export interface Comparison extends Base {
  kind: "field";
  field: string;
  op: string;
  /** As it is typed; several values have commas between them. */
  value: string;
}

export interface OnList extends Base {
  kind: "list";
  list: string;
}

export interface HasTag extends Base {
  kind: "tag";
  tag: string;
}

export interface Engagement extends Base {
  kind: "engagement";
  engagement: string;
  days: string;
  atLeast: string;
}

export type Item = Group | Comparison | OnList | HasTag | Engagement;
export type Fields = readonly { field: string; type: SegmentFieldType; ops: string[]; values: string[] }[];
export type Filter = Record<string, unknown>;

let last = 0;
export const nextKey = () => ++last;

export const newGroup = (mode: Mode = "all", items: Item[] = []): Group => ({ key: nextKey(), isNot: false, kind: "group", mode, items });
export const newComparison = (field: Fields[number]): Comparison => ({ key: nextKey(), isNot: false, kind: "field", field: field.field, op: field.ops[0] ?? "eq", value: field.type === "BOOLEAN" ? "true" : field.type === "CHOICE" ? (field.values[0] ?? "") : "" });
export const newOnList = (list: string): OnList => ({ key: nextKey(), isNot: false, kind: "list", list });
export const newHasTag = (tag: string): HasTag => ({ key: nextKey(), isNot: false, kind: "tag", tag });
export const newEngagement = (): Engagement => ({ key: nextKey(), isNot: false, kind: "engagement", engagement: "delivered", days: "30", atLeast: "1" });

function readItem(filter: Filter, isNot = false): Item {
  const base = { key: nextKey(), isNot };
  if (filter["not"] !== undefined) return readItem(filter["not"] as Filter, !isNot);
  for (const mode of ["all", "any"] as const) if (Array.isArray(filter[mode])) return { ...base, kind: "group", mode, items: (filter[mode] as Filter[]).map((each) => readItem(each)) };
  if (typeof filter["list"] === "string") return { ...base, kind: "list", list: filter["list"] };
  if (typeof filter["tag"] === "string") return { ...base, kind: "tag", tag: filter["tag"] };
  if (typeof filter["engagement"] === "string")
    return { ...base, kind: "engagement", engagement: filter["engagement"], days: String(filter["within_days"] ?? ""), atLeast: String(filter["at_least"] ?? "1") };
  const { field, op, value } = filter;
  return { ...base, kind: "field", field: String(field), op: String(op), value: Array.isArray(value) ? value.join(", ") : String(value ?? "") };
}

/** Return the tree of a filter; its root is a group. */
export function readFilter(filter: Filter): Group {
  const item = readItem(filter);
  return item.kind === "group" && !item.isNot ? item : newGroup("all", [item]);
}

const whole = (text: string): number | null => (/^\d+$/.test(text.trim()) && Number(text) > 0 ? Number(text) : null);

function valueOf(text: string, type: string): unknown {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  if (type === "BOOLEAN") return trimmed === "true";
  if (type === "NUMBER") return Number.isFinite(Number(trimmed)) ? Number(trimmed) : null;
  return trimmed;
}

function writeComparison({ field, op, value }: Comparison, fields: Fields): Filter | null {
  const type = fields.find((each) => each.field === field)?.type ?? "TEXT";
  if (op === "exists") return { field, op, value: value !== "false" };
  if (op === "in" || op === "not_in") {
    const values = value.split(",").filter((each) => each.trim() !== "").map((each) => valueOf(each, type));
    return values.length === 0 || values.includes(null) ? null : { field, op, value: values };
  }
  const read = valueOf(value, type);
  return read === null ? null : { field, op, value: read };
}

/** Return the filter of a tree; null while a condition is not complete or a group is empty. */
export function writeFilter(item: Item, fields: Fields): Filter | null {
  let filter: Filter | null = null;
  if (item.kind === "group") {
    const parts = item.items.map((each) => writeFilter(each, fields));
    filter = parts.length === 0 || parts.includes(null) ? null : { [item.mode]: parts };
  } else if (item.kind === "list") filter = item.list === "" ? null : { list: item.list };
  else if (item.kind === "tag") filter = item.tag === "" ? null : { tag: item.tag };
  else if (item.kind === "engagement") {
    const [days, atLeast] = [whole(item.days), whole(item.atLeast)];
    filter = atLeast === null || (days === null && item.days.trim() !== "") ? null : { engagement: item.engagement, ...(days === null ? {} : { within_days: days }), at_least: atLeast };
  } else filter = writeComparison(item, fields);
  return filter === null || !item.isNot ? filter : { not: filter };
}
