// The variables that texts are offered, of which the first name has a word for who has none.
import { useLingui } from "@lingui/react/macro";

export function useFirstName(): string {
  const { t } = useLingui();
  const word = t({ message: "there", context: "Hi … – where no first name is known" });
  return `{firstName|${word}}`;
}

export const useVariables = (): readonly string[] => [useFirstName(), "{lastName}", "{email}"];
