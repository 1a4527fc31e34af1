// What saved views are, and how they are read.
export type Filters = Record<string, unknown>;
export interface View {
  name: string;
  filters: Filters;
}

export const MOST = 20;

/** Return what is kept under a key; anything else than views counts as none. */
export function readViews(text: string | null): View[] {
  try {
    const found: unknown = JSON.parse(text ?? "[]");
    if (!Array.isArray(found)) return [];
    return found.filter((each): each is View => typeof each === "object" && each !== null && typeof (each as View).name === "string" && typeof (each as View).filters === "object" && (each as View).filters !== null).slice(0, MOST);
  } catch {
    return [];
  }
}

export const kept = (filters: Filters): Filters => Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined && value !== "").toSorted());
export const isSame = (one: Filters, other: Filters) => JSON.stringify(kept(one)) === JSON.stringify(kept(other));
