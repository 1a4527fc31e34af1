// Light, dark, or as the system has it.
import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const KEPT = "msvs.theme";
const listeners = new Set<() => void>();
let theme: Theme = "system";

function apply() {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  for (const each of listeners) each();
}

export function startTheme() {
  try {
    const kept = localStorage.getItem(KEPT);
    if (kept === "light" || kept === "dark") theme = kept;
  } catch {
    // As the system has it.
  }
  apply();
}

export function chooseTheme(next: Theme) {
  theme = next;
  try {
    localStorage.setItem(KEPT, next);
  } catch {
    // It holds for this page then.
  }
  apply();
}

export function useTheme(): Theme {
  return useSyncExternalStore(
    (heard) => {
      listeners.add(heard);
      return () => listeners.delete(heard);
    },
    () => theme,
  );
}
