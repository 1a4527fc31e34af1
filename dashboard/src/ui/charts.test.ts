import { expect, test } from "vitest";
import { niceTop } from "./charts";

test("an axis of counts has whole numbers at its four steps", () => {
  expect([0, 1, 4, 5, 9, 12, 13, 36, 41, 99, 100, 101, 2500].map(niceTop)).toEqual([4, 4, 4, 8, 12, 20, 20, 40, 60, 100, 100, 200, 4000]);
  for (let most = 0; most < 3000; most += 7) {
    expect(niceTop(most)).toBeGreaterThanOrEqual(most);
    expect(niceTop(most) % 4).toBe(0);
  }
});
