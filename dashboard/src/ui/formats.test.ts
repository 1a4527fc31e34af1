import { expect, test } from "vitest";
import { numbersOf, timesOf } from "./formats";

test("a format is made once for what it is asked for", () => {
  expect(numbersOf("en")).toBe(numbersOf("en"));
  expect(numbersOf("pt-BR")).not.toBe(numbersOf("en"));
  expect(numbersOf("pt-BR").format(1234)).toBe("1.234");
  expect(numbersOf("en", { style: "percent" }).format(0.5)).toBe("50%");
  expect(timesOf("en", { timeStyle: "short", timeZone: "UTC" })).not.toBe(timesOf("en", { timeStyle: "short", timeZone: "Asia/Tokyo" }));
});
