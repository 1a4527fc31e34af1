// The sandbox's clock: its time where it has one, and the dialog that moves it.
import { useLingui } from "@lingui/react/macro";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { useData } from "@/api/hooks";
import { RECONNECTED } from "@/api/live";
import { graphql } from "@/gql";
import { loadTexts } from "@/i18n";
import { classes } from "@/ui/classes";
import { Icon } from "@/ui/icons";
import { Time } from "@/ui/show";

export const ClockState = graphql(`
  fragment ClockState on TestClock { id status now advancingTo failure createdAt }
`);
const ShellClock = graphql(`
  query ShellClock { testClock { ...ClockState } }
`);

const load = async () => {
  const [module] = await Promise.all([import("@/pages/clock/dialog"), loadTexts("clock")]);
  return { default: module.ClockDialog };
};
const Dialog = lazy(load);

// Another tab or a key may move it.
const STANDS_MS = 20_000;
const MOVES_MS = 1000;

export function SandboxClock() {
  const { t } = useLingui();
  const [isMoving, setMoving] = useState(false);
  const [isOpen, setOpen] = useState(false);
  const { data, retry } = useData(ShellClock, {}, { every: isMoving ? MOVES_MS : STANDS_MS });
  const clock = data?.testClock ?? null;
  const moves = clock?.status === "ADVANCING";
  useEffect(() => setMoving(moves), [moves]);
  useRenewed(data === undefined ? undefined : clock === null ? "real" : `${clock.now} ${clock.status}`, moves);
  if (data === undefined) return null;
  return (
    <>
      <button
        type="button"
        aria-haspopup="dialog"
        aria-expanded={isOpen}
        onPointerEnter={() => void load()}
        onFocus={() => void load()}
        onClick={() => setOpen(true)}
        className="inline-flex items-center gap-1.5 rounded bg-surface px-2 py-0.5 text-text hover:bg-sunken"
      >
        <Icon name="clock" className={classes("size-4", moves && "animate-pulse text-brand")} />
        {clock === null ? t`Clock` : <Time at={clock.now} style="full" />}
        {clock !== null && <span className="sr-only"> {t`Sandbox clock`}</span>}
      </button>
      {isOpen && (
        <Suspense>
          <Dialog clock={clock} onMoved={retry} onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </>
  );
}

/** Have all pages read again once the time of the sandbox has changed: what they show is of another time then. */
function useRenewed(time: string | undefined, moves: boolean) {
  const before = useRef(time);
  useEffect(() => {
    if (moves || time === undefined || time === before.current) return;
    const isFirst = before.current === undefined;
    before.current = time;
    if (!isFirst) window.dispatchEvent(new Event(RECONNECTED));
  }, [time, moves]);
}
