// Who may change a workspace, and how a change is told.
import type { Problem } from "@/api/problems";
import { useSession } from "@/api/session";
import { useProblemText } from "./states";
import { toast } from "./toast";

export function useIsAdmin(): boolean {
  const role = useSession().membership?.role;
  return role === "OWNER" || role === "ADMIN";
}

/** Return what says how a change went, and whether it went well. */
export function useTell() {
  const textOf = useProblemText();
  return (problem: Problem | null, text: string): boolean => {
    toast(problem === null ? { text, tone: "good" } : { text: textOf(problem), tone: "danger" });
    return problem === null;
  };
}
