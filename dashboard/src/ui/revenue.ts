// Revenue: whole numbers of a currency's smallest unit, by ISO 4217.
import { numbersOf } from "./formats";

const WHOLE = new Set(["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"]);
const THOUSANDTHS = new Set(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]);

const digitsOf = (currency: string): number => (WHOLE.has(currency) ? 0 : THOUSANDTHS.has(currency) ? 3 : 2);

/** Return how many of the smallest unit of a currency are one of it. */
export const unitsOfCurrency = (currency: string): number => 10 ** digitsOf(currency);

/** Return an amount in words of a language. Intl alone would leave the hundredths of some currencies out. */
export function revenueText(amount: number, currency: string, locale: string): string {
  const digits = digitsOf(currency);
  const options = { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits } as const;
  return numbersOf(locale, options).format(amount / 10 ** digits);
}
