import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { decimalsOf, money, priceOfOne } from "./money";

test("an amount is written in its currency's decimals and the reader's language", () => {
  expect(money(14_900, "usd", "en")).toBe("$149.00");
  expect(money(1900, "jpy", "en")).toBe("¥1,900");
  expect(money(14_900, "brl", "pt-BR").replace(/\s/, " ")).toBe("R$ 149,00");
  expect(money(1500, "kwd", "en").replace(/\s/, " ")).toBe("KWD 1.500");
});

test("currencies that Stripe counts otherwise than they are written", () => {
  expect(money(50_000, "ugx", "en").replace(/\s/, " ")).toBe("UGX 500");
  expect(money(50_000, "isk", "en").replace(/\s/, " ")).toBe("ISK 500");
});

test("currencies that are commonly written without the hundredths in which Stripe counts them", () => {
  expect(money(5_000_000, "cop", "en").replace(/\s/, " ")).toBe("COP 50,000.00");
  expect(money(700_000, "huf", "en").replace(/\s/, " ")).toBe("HUF 7,000.00");
  expect(money(29_900_050, "idr", "en").replace(/\s/, " ")).toBe("IDR 299,000.50");
  expect(priceOfOne(5_000_000, 1000, "cop", "en").replace(/\s/, " ")).toBe("COP 50.00");
});

test("the decimals are those by which the service counts", () => {
  const source = readFileSync("../msvs/packs.py", "utf8");
  const listed = (digits: number) =>
    [...source.matchAll(new RegExp(String.raw`dict\.fromkeys\(\(([^)]*)\), ${digits}\)`, "g"))].flatMap((found) => found[1]!.match(/[a-z]{3}/g) ?? []);
  const all = Intl.supportedValuesOf("currency").map((code) => code.toLowerCase());
  expect(all.filter((code) => decimalsOf(code) === 0).toSorted()).toEqual(listed(0).toSorted());
  expect(all.filter((code) => decimalsOf(code) === 3).toSorted()).toEqual(listed(3).toSorted());
});

test("a credit costs a fraction of a cent", () => {
  expect(priceOfOne(1900, 1000, "usd", "en")).toBe("$0.019");
  expect(priceOfOne(14_900, 10_000, "usd", "en")).toBe("$0.0149");
  expect(priceOfOne(200_000, 1000, "usd", "en")).toBe("$2.00");
});
