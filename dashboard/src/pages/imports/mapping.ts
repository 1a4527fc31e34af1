// What columns are taken for, and what of an import's options was changed.
import type { UpdateImportInput } from "@/gql/graphql";
import type { Import } from "./shared";

export const FIELDS = [
  "phone", "first_name", "last_name", "full_name", "email", "timezone", "external_id", "country",
  "consent", "consent_at", "consent_source", "consent_ip", "consent_text", "opted_out", "status",
] as const;
export type FieldName = (typeof FIELDS)[number];

export const IGNORE = "ignore";
export const ATTRIBUTE = "attributes.";
/** Several columns may be these. */
const REPEATED: ReadonlySet<string> = new Set(["phone", "country", "status", "opted_out", "consent", IGNORE]);
const LONGEST_KEY = 40;

export type Mapping = Readonly<Record<string, string>>;

export const mappingOf = (columns: Import["columns"]): Mapping => Object.fromEntries(columns.map(({ key, field }) => [key, field]));

/** Return the key of an attribute that a column's title suggests. */
export const keyOf = (title: string) =>
  title
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^_+|_+$/g, "")
    .slice(0, LONGEST_KEY) || "column";

/** Return the fields that more than one column claims, though one alone can be each. */
export function claimedTwice(mapping: Mapping): ReadonlySet<string> {
  const fields = Object.values(mapping).filter((field) => !REPEATED.has(field));
  return new Set(fields.filter((field, index) => fields.indexOf(field) !== index));
}

export interface Options {
  mapping: Mapping;
  listId: string | null;
  region: string;
  update: string;
  source: string;
  /** As a field of the kind datetime-local has it, in the workspace's zone. */
  at: string;
  text: string;
}

/** Return what to send of options that were changed; nothing where none was. */
export function changesOf(before: Options, now: Options, row: Import, instantOf: (local: string) => string | null): UpdateImportInput {
  const changes: UpdateImportInput = {};
  if (JSON.stringify(before.mapping) !== JSON.stringify(now.mapping)) changes.mapping = now.mapping;
  if (before.listId !== now.listId) changes.listId = now.listId;
  const region = now.region.trim().toUpperCase();
  if (before.region !== region) changes.defaultRegion = region === "" ? null : region;
  if (before.update !== now.update) changes.update = now.update;
  const source = now.source.trim();
  const text = now.text.trim();
  if (before.source !== source || before.at !== now.at || before.text !== text) {
    const { ip = null, userAgent = null, version = null, at: told = null } = row.evidence ?? {};
    const at = now.at === before.at ? told : now.at === "" ? null : instantOf(now.at);
    changes.evidence = source === "" ? null : { source, at, text: text === "" ? null : text, ip, userAgent, version, renewed: false };
  }
  return changes;
}
