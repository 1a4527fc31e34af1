import { expect, test } from "vitest";
import { linesOf, metadataOf } from "./metadata";

test("each line is a value, and its type is what it reads as", () => {
  expect(metadataOf("cohort=spring\n tier = 2 \n\npaid=true\nref=a=b")).toEqual({ cohort: "spring", tier: 2, paid: true, ref: "a=b" });
  expect(metadataOf("")).toEqual({});
});

test("a line without a name or a value's sign is no metadata", () => {
  expect(metadataOf("cohort")).toBeNull();
  expect(metadataOf("=spring")).toBeNull();
});

test("what is shown reads back as it was, also text that looks like a number", () => {
  const kept = { cohort: "spring 26", tier: "2", count: 2, paid: false, quoted: '"so"', zip: "00501" };
  expect(metadataOf(linesOf(kept))).toEqual(kept);
});

test("lines are sorted by name, as the service returns values in an order of its own", () => {
  expect(linesOf({ tier: 2, cohort: "spring" })).toBe("cohort=spring\ntier=2");
});
