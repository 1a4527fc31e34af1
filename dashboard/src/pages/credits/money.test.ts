import { expect, test } from "vitest";
import { money, priceOfOne } from "./money";

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

test("a credit costs a fraction of a cent", () => {
  expect(priceOfOne(1900, 1000, "usd", "en")).toBe("$0.019");
  expect(priceOfOne(14_900, 10_000, "usd", "en")).toBe("$0.0149");
  expect(priceOfOne(200_000, 1000, "usd", "en")).toBe("$2.00");
});
