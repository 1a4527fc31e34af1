// Formats of numbers and times. Making one takes longer than a row of a table may: each is made once.
const made = new Map<string, unknown>();

function once<Format>(kind: string, locale: string, options: object, make: () => Format): Format {
  const key = `${kind} ${locale} ${JSON.stringify(options)}`;
  let format = made.get(key) as Format | undefined;
  if (format === undefined) made.set(key, (format = make()));
  return format;
}

export const numbersOf = (locale: string, options: Intl.NumberFormatOptions = {}): Intl.NumberFormat =>
  once("number", locale, options, () => new Intl.NumberFormat(locale, options));

export const timesOf = (locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat =>
  once("time", locale, options, () => new Intl.DateTimeFormat(locale, options));

export const spansOf = (locale: string, options: Intl.RelativeTimeFormatOptions): Intl.RelativeTimeFormat =>
  once("span", locale, options, () => new Intl.RelativeTimeFormat(locale, options));
