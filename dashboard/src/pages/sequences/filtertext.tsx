// A filter in words, as far as a line of a page needs them.
import { useLingui } from "@lingui/react/macro";
import { useFieldNames } from "@/pages/contacts/conditions";
import type { Filter } from "@/pages/contacts/filter";
import { useLists } from "@/pages/contacts/shared";

/** Return what says a filter in the reader's language. */
export function useFilterText() {
  const { t, i18n } = useLingui();
  const lists = useLists();
  const { nameOf, opOf } = useFieldNames();
  const joined = (type: "conjunction" | "disjunction", parts: readonly Filter[]) => new Intl.ListFormat(i18n.locale, { type }).format(parts.map(said));
  const said = (filter: Filter): string => {
    if (filter["not"] !== undefined) {
      const refused = said(filter["not"] as Filter);
      return t`not: ${refused}`;
    }
    if (Array.isArray(filter["all"])) return joined("conjunction", filter["all"] as Filter[]);
    if (Array.isArray(filter["any"])) return joined("disjunction", filter["any"] as Filter[]);
    if (typeof filter["list"] === "string") {
      const name = lists.find(({ id }) => id === filter["list"])?.name ?? filter["list"];
      return t`on the list “${name}”`;
    }
    const { tag, engagement } = filter;
    if (typeof tag === "string") return t`with the tag ${tag}`;
    if (typeof engagement === "string") return t`by their messages (${engagement})`;
    const value = Array.isArray(filter["value"]) ? filter["value"].join(", ") : String(filter["value"] ?? "");
    return [nameOf(String(filter["field"])), opOf(String(filter["op"])), filter["op"] === "exists" ? "" : value].join(" ").trim();
  };
  return said;
}
