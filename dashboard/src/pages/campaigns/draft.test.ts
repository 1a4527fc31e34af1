import { describe, expect, test } from "vitest";
import { EMPTY, inputOf, insertAt, unitsOf } from "./draft";
import { dayOf, instantOf, localOf } from "./times";

describe("a draft", () => {
  test("clears what its choices leave out", () => {
    const written = { ...EMPTY, body: "Doors open at 8pm", listIds: ["lst_1"], at: "2026-12-01T09:00", pace: "fast" as const };
    expect(inputOf(written, "UTC")).toMatchObject({ scheduledAt: null, ratePerMinute: null, spreadHours: null, from: null });
  });
  test("is scheduled by the clocks of the workspace", () => {
    const written = { ...EMPTY, when: "later" as const, at: "2026-12-01T09:00" };
    expect(inputOf(written, "America/Sao_Paulo").scheduledAt).toBe("2026-12-01T12:00:00.000Z");
  });
  test("skips whom it leaves out, and nobody where that is empty", () => {
    expect(inputOf(EMPTY, "UTC").exclude).toBeNull();
    expect(inputOf({ ...EMPTY, exclude: { ...EMPTY.exclude, days: "3" } }, "UTC").exclude).toEqual({ listIds: [], segmentIds: [], campaignIds: [], messagedWithinDays: 3 });
    expect(inputOf({ ...EMPTY, exclude: { ...EMPTY.exclude, listIds: ["lst_1"], days: "none" } }, "UTC").exclude).toMatchObject({ listIds: ["lst_1"], messagedWithinDays: null });
  });
  test("has a local time and caps only where they are given", () => {
    expect(inputOf(EMPTY, "UTC")).toMatchObject({ sendAtLocal: null, contactDailyCap: null, contactWeeklyCap: null });
    expect(inputOf({ ...EMPTY, localTime: "10:00", dailyCap: "1", weeklyCap: "none" }, "UTC")).toMatchObject({ sendAtLocal: "10:00", contactDailyCap: 1, contactWeeklyCap: null });
  });
  test("has an A/B test once another variant says something", () => {
    expect(inputOf({ ...EMPTY, body: "A", variants: [{ body: " ", from: "" }] }, "UTC").abTest).toBeNull();
    expect(inputOf({ ...EMPTY, body: "A", variants: [{ body: "B", from: "" }, { body: "", from: "COHORT" }] }, "UTC").abTest).toEqual({
      variants: [{}, { body: "B" }, { from: "COHORT" }],
      testPercent: 20,
      metric: "DELIVERY",
      testMinutes: 240,
    });
    const test = { ...EMPTY.test, hours: "", shares: [70, 30] };
    expect(inputOf({ ...EMPTY, body: "A", variants: [{ body: "B", from: "" }], test }, "UTC").abTest).toMatchObject({ variants: [{ share: 70 }, { body: "B", share: 30 }], testMinutes: null });
  });
  test("has a pace of whole messages", () => {
    expect(inputOf({ ...EMPTY, pace: "rate", ratePerMinute: "30.4" }, "UTC").ratePerMinute).toBe(30);
    expect(inputOf({ ...EMPTY, pace: "spread", spreadHours: "1.5" }, "UTC").spreadHours).toBe(1.5);
    expect(inputOf({ ...EMPTY, pace: "rate", ratePerMinute: "none" }, "UTC").ratePerMinute).toBeNull();
  });
});

describe("units", () => {
  test("count extended characters twice in the default alphabet", () => expect(unitsOf("10 € {a}", "GSM7")).toBe(11));
  test("are UTF-16 units in UCS-2", () => expect(unitsOf("🎉", "UCS2")).toBe(2));
});

describe("clock times", () => {
  test("come back as they went", () => {
    for (const zone of ["America/New_York", "Asia/Kolkata", "Pacific/Auckland"])
      for (const local of ["2026-03-08T12:30", "2026-11-01T00:30", "2026-07-01T23:59"]) expect(localOf(instantOf(local, zone)!, zone)).toBe(local);
  });
  test("of a day are the zone's", () => expect(dayOf("2026-11-29T02:00:00Z", "America/New_York")).toBe("2026-11-28"));
  test("that are none are null", () => expect(instantOf("", "UTC")).toBeNull());
});

test("a variable goes in at the cursor", () => {
  expect(insertAt("Hi , doors open", 3, 3, "{firstName|there}")).toEqual({ text: "Hi {firstName|there}, doors open", cursor: 20 });
});
