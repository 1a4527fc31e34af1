import { expect, test } from "vitest";
import { filterOf } from "./filter";

test("days are those of the workspace's zone, and the last one is within", () => {
  expect(filterOf({ since: "2026-11-01", until: "2026-11-01" }, "America/New_York")).toEqual({ createdFrom: "2026-11-01T04:00:00.000Z", createdBefore: "2026-11-02T05:00:00.000Z" });
  expect(filterOf({ since: "soon", until: "2026-13-40" }, "UTC")).toEqual({});
});

test("a phone is told without its spaces, and metadata by key and value together", () => {
  expect(filterOf({ phone: "+1 (212) 555-0142", key: "order" }, "UTC")).toEqual({ to: "+12125550142" });
  expect(filterOf({ key: "order", value: "1042", skipped: "1", status: "FAILED" }, "UTC")).toEqual({ status: "FAILED", metadata: { order: "1042" } });
});
