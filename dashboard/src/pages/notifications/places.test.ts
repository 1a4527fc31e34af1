import { expect, test } from "vitest";
import { ICONS, placeOf } from "./places";

test("every kind leads somewhere", () => {
  for (const kind of Object.keys(ICONS) as (keyof typeof ICONS)[]) {
    const { to } = placeOf({ kind, subjectId: "cmp_1" });
    expect(to).toMatch(/^\/[a-z]/);
  }
  expect(placeOf({ kind: "CAMPAIGN_PAUSED", subjectId: "cmp_1" })).toEqual({ to: "/campaigns/cmp_1", isOfMode: true });
  expect(placeOf({ kind: "THREAD_ASSIGNED", subjectId: "con_1" }).to).toBe("/inbox?id=con_1");
});
