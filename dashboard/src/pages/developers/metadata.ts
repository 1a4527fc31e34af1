// The metadata of a webhook's filter as lines of a field: `cohort=spring`, one value a line.

import { byName } from "@/ui/byname";

export type Metadata = Record<string, unknown>;

// A number, true, false and null are what they say; all else is text.
const PLAIN = /^(?:-?(?:0|[1-9]\d*)(?:\.\d+)?|true|false|null)$/;

const lineOf = (value: unknown): string => (typeof value === "string" && !PLAIN.test(value) && !value.startsWith('"') ? value : JSON.stringify(value));

/** Return the lines of metadata; text that reads as a number or the like is quoted. */
export const linesOf = (metadata: Metadata): string => byName(metadata).map(([name, value]) => `${name}=${lineOf(value)}`).join("\n");

/** Return the value that a text stands for: what is JSON of a plain value, and the text itself otherwise. */
function valueOf(text: string): unknown {
  if (!PLAIN.test(text) && !/^".*"$/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Return the metadata of lines; null where a line has no name or no `=`. */
export function metadataOf(lines: string): Metadata | null {
  const found: Metadata = {};
  for (const line of lines.split("\n").map((each) => each.trim()).filter((each) => each !== "")) {
    const at = line.indexOf("=");
    const name = line.slice(0, Math.max(0, at)).trim();
    if (name === "") return null;
    found[name] = valueOf(line.slice(at + 1).trim());
  }
  return found;
}
