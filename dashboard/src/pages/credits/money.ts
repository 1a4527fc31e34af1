// Amounts of money as Stripe counts them: whole numbers of a currency's smallest unit.
import { numbersOf } from "@/ui/formats";

// How many digits of an amount stand behind the point, where they are not two; as `DIGITS` of msvs/packs.py. What Intl knows is
// how a currency is commonly written: COP, HUF and others without the hundredths in which Stripe counts them.
const DECIMALS: Readonly<Record<string, number>> = Object.fromEntries([
  ...["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"].map((code) => [code, 0]),
  ...["bhd", "jod", "kwd", "omr", "tnd"].map((code) => [code, 3]),
]);
// Stripe counts these in hundredths that do not exist.
const WITHOUT_HUNDREDTHS: ReadonlySet<string> = new Set(["isk", "ugx"]);
// A credit costs a fraction of a cent.
const FINER = 3;

export function decimalsOf(currency: string): number {
  return DECIMALS[currency] ?? 2;
}

function shownDecimals(currency: string): number {
  return WITHOUT_HUNDREDTHS.has(currency) ? 0 : decimalsOf(currency);
}

export function money(amount: number, currency: string, locale: string): string {
  const digits = shownDecimals(currency);
  const options = { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits } as const;
  return numbersOf(locale, options).format(amount / 10 ** decimalsOf(currency));
}

/** Return the price of one of so many, as finely as it needs. */
export function priceOfOne(amount: number, count: number, currency: string, locale: string): string {
  const decimals = decimalsOf(currency);
  const options = { style: "currency", currency, minimumFractionDigits: shownDecimals(currency), maximumFractionDigits: decimals + FINER } as const;
  return numbersOf(locale, options).format(amount / 10 ** decimals / count);
}
