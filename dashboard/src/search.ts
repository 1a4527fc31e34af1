// Filters in the address: what cannot be read is left out, so that an old or mistyped address still opens its page.
import * as z from "zod/mini";

z.config({ jitless: true });

export const text = () => z.catch(z.optional(z.string().check(z.maxLength(200))), undefined);
/** What another service puts into the address. */
export const long = () => z.catch(z.optional(z.string().check(z.maxLength(2000))), undefined);
export const oneOf = <const Values extends readonly [string, ...string[]]>(values: Values) => z.catch(z.optional(z.enum(values)), undefined);
export const count = () => z.catch(z.optional(z.coerce.number().check(z.int(), z.positive())), undefined);
export const flag = () => z.catch(z.optional(z.literal("1")), undefined);
export const search = z.object;

export function parseSearch(query: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(query));
}

export function stringifySearch(values: Record<string, unknown>): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return query === "" ? "" : `?${query}`;
}
