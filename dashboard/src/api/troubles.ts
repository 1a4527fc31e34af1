// What could not be read and no part of the page tells of: the shell says it above the page, so that nothing is missing in silence.
import { useEffect, useSyncExternalStore } from "react";
import type { Problem, ProblemKind } from "./problems";

export interface Trouble {
  problem: Problem;
  retry: () => void;
}

// Told by the shell, or no trouble: a part that is not for a role is left out.
const QUIET: ReadonlySet<ProblemKind> = new Set(["session", "permission", "missing"]);

// Of the whole service: said once is said for all that was asked.
const COMMON: ReadonlySet<ProblemKind> = new Set(["offline", "rate", "outdated"]);

const told = new WeakSet<Problem>();
const stated = new Map<ProblemKind, number>();
const listeners = new Set<() => void>();
let all: readonly Trouble[] = [];
let untold: readonly Trouble[] = [];

function renew() {
  const next = all.filter(({ problem }) => !told.has(problem) && !(COMMON.has(problem.kind) && (stated.get(problem.kind) ?? 0) > 0));
  if (next.length === 0 && untold.length === 0) return;
  untold = next;
  for (const each of listeners) each();
}

/** Say that a part of the page shows this problem. */
export function useTold(problem: Problem | null) {
  useEffect(() => {
    if (problem === null) return undefined;
    const { kind } = problem;
    told.add(problem);
    stated.set(kind, (stated.get(kind) ?? 0) + 1);
    renew();
    return () => {
      stated.set(kind, (stated.get(kind) ?? 0) - 1);
      renew();
    };
  }, [problem]);
}

/** Have the shell tell of a problem, unless a part of the page does. */
export function useTrouble(problem: Problem | null, retry: () => void) {
  useEffect(() => {
    if (problem === null || QUIET.has(problem.kind)) return undefined;
    const mine = { problem, retry };
    all = [...all, mine];
    renew();
    return () => {
      all = all.filter((each) => each !== mine);
      renew();
    };
  }, [problem, retry]);
}

/** Read again what could not be read, also what stands behind a drawer: one press is for all of it. */
export function retryAll(own: () => void) {
  for (const each of new Set([own, ...all.map(({ retry }) => retry)])) each();
}

export function useTroubles(): readonly Trouble[] {
  return useSyncExternalStore(
    (heard) => {
      listeners.add(heard);
      return () => listeners.delete(heard);
    },
    () => untold,
  );
}
