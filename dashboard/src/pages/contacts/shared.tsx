// What the pages of contacts share: who may change them, how a contact is called, the filters that type themselves.
import { useLingui } from "@lingui/react/macro";
import type { Problem } from "@/api/problems";
import { useData } from "@/api/hooks";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import { useProblemText } from "@/ui/states";
import { toast } from "@/ui/toast";

export const ContactRow = graphql(`
  fragment ContactRow on Contact {
    id
    phone
    firstName
    lastName
    email
    attributes
    tags
    createdAt
    optIn { status source at }
    unreachable { at }
  }
`);
export const ListChoices = graphql(`
  query ListChoices {
    contactLists(first: 100) { nodes { id name kind contactCount } }
  }
`);

export const useMayWrite = () => {
  const { membership } = useSession();
  return membership !== null && membership.role !== "READ_ONLY";
};

export const useIsAdmin = () => {
  const { membership } = useSession();
  return membership?.role === "OWNER" || membership?.role === "ADMIN";
};

/** Say how a change ended; whether it did. */
export function useTell() {
  const textOf = useProblemText();
  return (problem: Problem | null, text: string): boolean => {
    toast(problem === null ? { text } : { text: textOf(problem), tone: "danger" });
    return problem === null;
  };
}

export const nameOf = ({ firstName, lastName }: { firstName?: string | null | undefined; lastName?: string | null | undefined }) => [firstName, lastName].filter(Boolean).join(" ");

/** The newest 100 lists, to choose from. */
export function useLists() {
  const { data } = useData(ListChoices, {});
  return data?.contactLists.nodes ?? [];
}

export { SearchField } from "@/ui/searchfield";

/** What a source of consent is called; those of your own stand as they are. */
export function useSourceName() {
  const { t } = useLingui();
  const names: Record<string, string> = { keyword: t`Keyword`, reply: t`Reply`, api: "API", import: t`Import`, web_form: t`Web form`, manual: t`By hand` };
  return (source: string | null | undefined) => (source == null ? "–" : (names[source] ?? source));
}
