import { expect, test } from "vitest";
import { conditionsOf, inputOf, tagOf, whomOf, type Doing } from "./selection";

const zone = "UTC";
const NONE: ReadonlySet<string> = new Set();
const TAG: Doing = { action: "TAG", tags: ["vip"], list: null };

test("the filters of an address", () => {
  expect(conditionsOf({}, zone)).toEqual({});
  expect(conditionsOf({ q: "(415) 555-0123", tag: "vip", since: "2026-11-01", until: "2026-11-02", attribute: "plan", value: "gold" }, zone)).toEqual({
    search: "(415) 555-0123",
    tag: "vip",
    createdFrom: "2026-11-01T00:00:00.000Z",
    createdBefore: "2026-11-03T00:00:00.000Z",
    attributes: { plan: "gold" },
  });
});

test("those who cannot be reached, and those who can", () => {
  expect(conditionsOf({ unreachable: "yes" }, zone)).toEqual({ unreachable: true });
  expect(conditionsOf({ unreachable: "no" }, zone)).toEqual({ unreachable: false });
});

test("a bulk action is for those chosen, for those found, or for every contact", () => {
  const chosen = new Set(["con_1", "con_2"]);
  expect(inputOf({ asked: { list: "lst_1" }, zone, chosen }, "chosen", TAG)).toEqual({ action: "TAG", dryRun: false, every: false, contactIds: ["con_1", "con_2"], tags: ["vip"] });
  expect(inputOf({ asked: { list: "lst_1" }, zone, chosen }, "found", TAG)).toEqual({ action: "TAG", dryRun: false, every: false, listId: "lst_1", tags: ["vip"] });
  expect(inputOf({ asked: { attribute: "plan", value: "gold" }, zone, chosen: NONE }, "found", TAG)).toEqual({ action: "TAG", dryRun: false, every: false, attributes: { plan: "gold" }, tags: ["vip"] });
  expect(inputOf({ asked: {}, zone, chosen: NONE }, "found", { action: "OPT_OUT", tags: ["left"], list: "lst_2" })).toEqual({ action: "OPT_OUT", dryRun: false, every: true });
});

test("an action without its tags or its list is not asked for", () => {
  const target = { asked: {}, zone, chosen: NONE };
  expect(inputOf(target, "found", { action: "UNTAG", tags: [], list: null })).toBeNull();
  expect(inputOf(target, "found", { action: "ADD_TO_LIST", tags: ["vip"], list: null })).toBeNull();
  expect(inputOf(target, "found", { action: "ADD_TO_LIST", tags: ["vip"], list: "lst_1" })).toEqual({ action: "ADD_TO_LIST", dryRun: false, every: true, targetListId: "lst_1" });
});

test("whom an action can be for", () => {
  expect(whomOf({ asked: {}, zone, chosen: NONE })).toEqual(["found"]);
  expect(whomOf({ asked: {}, zone, chosen: new Set(["con_1"]) })).toEqual(["chosen", "found"]);
  const many = new Set(Array.from({ length: 1001 }, (_, index) => `con_${index}`));
  expect(whomOf({ asked: {}, zone, chosen: many })).toEqual(["found"]);
});

test("a tag as the service keeps it", () => {
  expect(tagOf("  Spring  Sale ")).toBe("spring sale");
  expect(tagOf("a,b")).toBeNull();
  expect(tagOf(" ")).toBeNull();
  expect(tagOf("x".repeat(41))).toBeNull();
});
