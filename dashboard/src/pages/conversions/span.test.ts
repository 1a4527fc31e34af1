import { expect, test } from "vitest";
import { intervalOf, linesOf, spanOf } from "./span";

test("days of the address become the instants of a zone, the last day within", () => {
  expect(spanOf("2026-11-01", "2026-11-02", "America/Sao_Paulo")).toEqual({ occurredFrom: "2026-11-01T03:00:00.000Z", occurredBefore: "2026-11-03T03:00:00.000Z" });
  expect(spanOf(undefined, "soon", "UTC")).toEqual({});
});

test("a long time is drawn by weeks", () => {
  expect(intervalOf("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")).toBe("DAY");
  expect(intervalOf("2026-01-01T00:00:00Z", "2026-12-01T00:00:00Z")).toBe("WEEK");
});

test("a line has a value at each time, in units of its currency", () => {
  const points = [
    { startAt: "2026-11-01T00:00:00Z", currencies: [{ currency: "USD", net: 14_900, attributedNet: 4900 }] },
    { startAt: "2026-11-02T00:00:00Z", currencies: [{ currency: "JPY", net: 500, attributedNet: 0 }] },
  ];
  const first = Date.parse("2026-11-01T00:00:00Z") / 1000;
  expect(linesOf(points, "USD")).toEqual({ times: [first, first + 86_400], attributed: [49, 0], all: [149, 0] });
  expect(linesOf(points, "JPY").all).toEqual([0, 500]);
});
