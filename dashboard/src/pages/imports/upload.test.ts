import { expect, test } from "vitest";
import { PART_BYTES, partsOf } from "./upload";

test("a small file is one part, which is the last", () => {
  expect(partsOf(10, 0)).toEqual([{ start: 0, end: 10, isLast: true }]);
});

test("parts follow each other to the end, and only the last one ends the file", () => {
  const parts = partsOf(2 * PART_BYTES + 1, 0);
  expect(parts.map(({ end, start }) => end - start)).toEqual([PART_BYTES, PART_BYTES, 1]);
  expect(parts.map(({ isLast }) => isLast)).toEqual([false, false, true]);
});

test("what broke off goes on where it was, also where only its end is missing", () => {
  expect(partsOf(PART_BYTES + 5, PART_BYTES)).toEqual([{ start: PART_BYTES, end: PART_BYTES + 5, isLast: true }]);
  expect(partsOf(7, 7)).toEqual([{ start: 7, end: 7, isLast: true }]);
});
