// The database keeps named values by the length of their names: people find them by the alphabet.

/** Return the names and values of an object, sorted by name. */
export const byName = (values: Record<string, unknown>): [name: string, value: unknown][] =>
  Object.entries(values).toSorted(([one], [other]) => (one < other ? -1 : 1));
