// Amounts of money as Stripe counts them: whole numbers of a currency's smallest unit.

// Where Stripe counts in other decimals than the currency is written with.
const DECIMALS: Record<string, number> = { isk: 2, mga: 0, ugx: 2 };
// A credit costs a fraction of a cent.
const FINER = 3;

export function decimalsOf(currency: string): number {
  const written = () => new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
  return DECIMALS[currency] ?? written();
}

export function money(amount: number, currency: string, locale: string): string {
  return new Intl.NumberFormat(locale, { style: "currency", currency }).format(amount / 10 ** decimalsOf(currency));
}

/** Return the price of one of so many, as finely as it needs. */
export function priceOfOne(amount: number, count: number, currency: string, locale: string): string {
  const decimals = decimalsOf(currency);
  return new Intl.NumberFormat(locale, { style: "currency", currency, maximumFractionDigits: decimals + FINER }).format(amount / 10 ** decimals / count);
}
