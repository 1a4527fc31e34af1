import { expect, test } from "vitest";
import { countsOf, firstTime } from "./ran";

const event = (type: string, createdAt: string) => ({ type, createdAt });

test("what ran is what happened within the step, the most frequent first", () => {
  const events = [
    event("MESSAGE_DELIVERED", "2031-03-05T18:00:01Z"),
    event("MESSAGE_SENT", "2031-03-05T18:00:00Z"),
    event("MESSAGE_DELIVERED", "2031-03-04T09:00:00Z"),
    event("CAMPAIGN_STARTED", "2031-03-03T09:00:00Z"),
    event("MESSAGE_QUEUED", "2031-03-12T09:00:00Z"),
  ];
  expect(countsOf(events, "2031-03-03T09:00:00Z", "2031-03-10T09:00:00Z")).toEqual([
    { type: "MESSAGE_DELIVERED", count: 2 },
    { type: "MESSAGE_SENT", count: 1 },
  ]);
  expect(countsOf([], "2031-03-03T09:00:00Z", "2031-03-10T09:00:00Z")).toEqual([]);
});

test("a clock begins at a full hour, more than an hour away", () => {
  expect(firstTime(Date.parse("2026-11-30T10:00:00Z"))).toBe("2026-11-30T12:00:00.000Z");
  expect(firstTime(Date.parse("2026-11-30T10:57:00Z"))).toBe("2026-11-30T13:00:00.000Z");
});
