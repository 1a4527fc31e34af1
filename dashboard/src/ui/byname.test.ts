import { expect, test } from "vitest";
import { byName } from "./byname";

test("names are sorted by the alphabet, not by their length", () => {
  expect(byName({ tier: 2, cohort: "spring", a: null })).toEqual([["a", null], ["cohort", "spring"], ["tier", 2]]);
  expect(byName({})).toEqual([]);
});
