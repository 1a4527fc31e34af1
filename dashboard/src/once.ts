import { useRef } from "react";
import { newKey } from "./api/hooks";
import type { Problem } from "./api/problems";

export interface Once {
  keyOf: (input: unknown) => string;
  settle: (problem: Problem | null) => void;
}

/** A key for what is sent: the same while nobody knows what came of it, another once it was answered or has changed. */
export function useOnce(): Once {
  const kept = useRef<{ input: string; key: string } | null>(null);
  return {
    keyOf: (value) => {
      const input = JSON.stringify(value);
      if (kept.current?.input !== input) kept.current = { input, key: newKey() };
      return kept.current.key;
    },
    settle: (problem) => {
      if (problem === null || (problem.kind !== "offline" && problem.kind !== "server")) kept.current = null;
    },
  };
}
