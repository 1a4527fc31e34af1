import { useEffect, useRef } from "react";

const WRITES = "input, textarea, select, [contenteditable], [role='textbox'], [role='dialog'], [role='alertdialog'], [role='listbox'], [role='menu']";

/** Hear single keys, but for those that are typed into something. */
export function useKeys(keys: Readonly<Record<string, () => void>>) {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const hear = (event: KeyboardEvent) => {
      if (event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented) return;
      if ((event.target as Element | null)?.closest?.(WRITES)) return;
      if (document.querySelector("[role='dialog'], [role='alertdialog']") !== null) return;
      const act = latest.current[event.key];
      if (act === undefined) return;
      event.preventDefault();
      act();
    };
    window.addEventListener("keydown", hear);
    return () => window.removeEventListener("keydown", hear);
  }, []);
}
