import { expect, test } from "vitest";
import { newComparison, newGroup, newHasTag, readFilter, writeFilter, type Fields } from "./filter";

const FIELDS: Fields = [
  { field: "first_name", type: "TEXT", ops: ["eq", "in", "exists"], values: [] },
  { field: "attributes.visits", type: "NUMBER", ops: ["eq", "in", "gt"], values: ["1"] },
  { field: "attributes.vip", type: "BOOLEAN", ops: ["eq"], values: ["true"] },
];

test("a filter is written as it was read", () => {
  const filter = {
    all: [
      { field: "first_name", op: "exists", value: false },
      { any: [{ field: "attributes.visits", op: "in", value: [1, 2.5] }, { not: { list: "lst_1" } }, { not: { tag: "vip" } }] },
      { not: { all: [{ engagement: "replied", within_days: 30, at_least: 2 }, { field: "attributes.vip", op: "eq", value: true }] } },
    ],
  };
  expect(writeFilter(readFilter(filter), FIELDS)).toEqual(filter);
});

test("a lone condition and a turned group become parts of a group", () => {
  expect(writeFilter(readFilter({ list: "lst_1" }), FIELDS)).toEqual({ all: [{ list: "lst_1" }] });
  expect(writeFilter(readFilter({ not: { not: { list: "lst_1" } } }), FIELDS)).toEqual({ all: [{ list: "lst_1" }] });
  expect(writeFilter(readFilter({ not: { any: [{ list: "lst_1" }] } }), FIELDS)).toEqual({ all: [{ not: { any: [{ list: "lst_1" }] } }] });
});

test("what is not complete is no filter", () => {
  expect(writeFilter(newGroup(), FIELDS)).toBeNull();
  expect(writeFilter(newGroup("all", [newComparison(FIELDS[0]!)]), FIELDS)).toBeNull();
  expect(writeFilter(newGroup("all", [newHasTag("")]), FIELDS)).toBeNull();
  expect(writeFilter(newGroup("all", [{ ...newComparison(FIELDS[1]!), value: "many" }]), FIELDS)).toBeNull();
});
