import { expect, test } from "vitest";
import { revenueText } from "./revenue";

test("amounts have the digits of their currency", () => {
  expect(revenueText(14900, "USD", "en")).toBe("$149.00");
  expect(revenueText(149, "JPY", "en")).toBe("¥149");
  expect(revenueText(1234, "KWD", "en")).toMatch(/1\.234$/);
  expect(revenueText(14950, "HUF", "en")).toMatch(/149\.50$/);
});
