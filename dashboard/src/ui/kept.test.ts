import { expect, test } from "vitest";
import { readViews } from "./kept";

test("what is kept is read, and anything else is none", () => {
  expect(readViews(null)).toEqual([]);
  expect(readViews("{")).toEqual([]);
  expect(readViews('{"name": "x"}')).toEqual([]);
  expect(readViews('[1, null, {"name": "VIPs", "filters": {"q": "ana"}}, {"name": 2, "filters": {}}]')).toEqual([{ name: "VIPs", filters: { q: "ana" } }]);
  expect(readViews(JSON.stringify(Array.from({ length: 30 }, (_, place) => ({ name: String(place), filters: {} }))))).toHaveLength(20);
});
