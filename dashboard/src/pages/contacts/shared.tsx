// What the pages of contacts share: who may change them, how a contact is called, the filters that type themselves.
import { useLingui } from "@lingui/react/macro";
import { useEffect, useState } from "react";
import type { Problem } from "@/api/problems";
import { useData } from "@/api/hooks";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import { Field } from "@/ui/fields";
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
    createdAt
    optIn { status source at }
  }
`);
const ListChoices = graphql(`
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

const PAUSE_MS = 300;

/** A filter that takes effect a moment after the last key. */
export function SearchField({ label, value, onChange, placeholder, className }: { label: string; value: string; onChange: (value: string) => void; placeholder?: string; className?: string }) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    if (typed.trim() === value) return undefined;
    const timer = setTimeout(() => onChange(typed.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
    // The address follows what is typed, not what the page calls it by.
  }, [typed]);
  return <Field label={label} type="search" value={typed} onChange={setTyped} {...(placeholder === undefined ? {} : { placeholder })} className={className ?? ""} />;
}

/** What a source of consent is called; those of your own stand as they are. */
export function useSourceName() {
  const { t } = useLingui();
  const names: Record<string, string> = { keyword: t`Keyword`, reply: t`Reply`, api: "API", import: t`Import`, web_form: t`Web form`, manual: t`By hand` };
  return (source: string | null | undefined) => (source == null ? "–" : (names[source] ?? source));
}
