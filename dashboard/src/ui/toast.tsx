import { useLingui } from "@lingui/react/macro";
import { useSyncExternalStore } from "react";
import { Button } from "./button";
import { classes } from "./classes";
import { Icon } from "./icons";

export interface Toast {
  text: string;
  tone?: "good" | "danger" | "info";
  action?: { label: string; act: () => void };
}

interface Shown extends Toast {
  id: number;
}

const SHOWN_MS = 6000;
let shown: readonly Shown[] = [];
let last = 0;
const listeners = new Set<() => void>();

function become(next: readonly Shown[]) {
  shown = next;
  for (const each of listeners) each();
}

const dismiss = (id: number) => become(shown.filter((each) => each.id !== id));

/** Say something at the edge of the page for a moment; what went wrong stays until it is closed. */
export function toast(said: Toast) {
  const id = ++last;
  become([...shown.slice(-3), { ...said, id }]);
  if (said.tone !== "danger") setTimeout(() => dismiss(id), SHOWN_MS);
}

const TONES = { good: "text-good", danger: "text-danger", info: "text-info" } as const;

export function Toasts() {
  const { t } = useLingui();
  const current = useSyncExternalStore(
    (heard) => {
      listeners.add(heard);
      return () => listeners.delete(heard);
    },
    () => shown,
  );
  return (
    <section aria-label={t`Notices`} aria-live="polite" className="pointer-events-none fixed inset-x-0 bottom-0 z-50 flex flex-col items-center gap-2 p-4 sm:items-end">
      {current.map(({ id, text, tone = "good", action }) => (
        <div key={id} className="pointer-events-auto flex w-full max-w-sm items-center gap-3 rounded-xl border border-line bg-raised py-2 pr-2 pl-4 shadow-raised">
          <Icon name={tone === "good" ? "check" : tone === "danger" ? "warning" : "info"} className={classes("size-5", TONES[tone])} />
          <p className="min-w-0 flex-1 text-sm break-words">{text}</p>
          {action !== undefined && (
            <Button size="small" look="quiet" onPress={action.act}>
              {action.label}
            </Button>
          )}
          <Button size="icon" look="quiet" icon="close" aria-label={t`Close`} onPress={() => dismiss(id)} />
        </div>
      ))}
    </section>
  );
}
