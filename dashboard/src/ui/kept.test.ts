import { expect, test } from "vitest";
import { isSame, kept } from "./kept";

test("what says nothing is not kept, and the order of filters is none", () => {
  expect(kept({ q: "ana", consent: undefined, list: "", skipped: 1 })).toEqual({ q: "ana", skipped: "1" });
  expect(Object.keys(kept({ tag: "vip", consent: "OPTED_IN" }))).toEqual(["consent", "tag"]);
  expect(isSame({ tag: "vip", q: "ana" }, { q: "ana", tag: "vip", list: undefined })).toBe(true);
  expect(isSame({ tag: "vip" }, { tag: "vips" })).toBe(false);
  expect(isSame({ tag: "vip" }, {})).toBe(false);
});
