// What a page's filters are once they are saved, and whether two are the same.
export type Filters = Record<string, unknown>;

/** Return the filters that say something, as the service keeps them. */
export const kept = (filters: Filters): Record<string, string> =>
  Object.fromEntries(
    Object.entries(filters)
      .filter(([, value]) => value !== undefined && value !== "")
      .map(([name, value]): [string, string] => [name, String(value)])
      .toSorted(([one], [other]) => (one < other ? -1 : 1)),
  );

export const isSame = (one: Filters, other: Filters) => JSON.stringify(kept(one)) === JSON.stringify(kept(other));
