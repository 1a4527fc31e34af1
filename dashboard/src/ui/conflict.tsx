// Two people edit one thing: the later one sees both values, and chooses.
import { Trans, useLingui } from "@lingui/react/macro";
import { useState, type ReactNode } from "react";
import type { Problem } from "@/api/problems";
import { Button } from "./button";
import { Callout } from "./show";

export interface Difference {
  label: string;
  mine: ReactNode;
  theirs: ReactNode;
}

export interface Versioned<Thing> {
  /** What the editor began with, or took over since. */
  base: Thing;
  /** What stands there now, once somebody else has changed it. */
  theirs: Thing | null;
  /** Return whether a change was refused because of another's; what stands there is read then. */
  isConflict: (problem: Problem | null) => Promise<boolean>;
  /** Begin again from a thing, as after saving. */
  settle: (thing: Thing) => void;
}

/** Hold the version that an editor goes by; `read` reads the thing as it stands now. */
export function useVersioned<Thing>(thing: Thing, read: () => Promise<Thing | null>): Versioned<Thing> {
  const [base, setBase] = useState(thing);
  const [theirs, setTheirs] = useState<Thing | null>(null);
  return {
    base,
    theirs,
    isConflict: async (problem) => {
      if (problem?.code !== "version_conflict") return false;
      const now = await read();
      setTheirs(now);
      return now !== null;
    },
    settle: (next) => {
      setBase(next);
      setTheirs(null);
    },
  };
}

interface Props {
  differences: readonly Difference[];
  isPending: boolean;
  onMine: () => void;
  onTheirs: () => void;
}

export function Conflict({ differences, isPending, onMine, onTheirs }: Props) {
  const { t } = useLingui();
  return (
    <Callout
      tone="warn"
      action={
        <div className="flex flex-wrap gap-2">
          <Button size="small" onPress={onTheirs}>{t`Take theirs`}</Button>
          <Button size="small" look="primary" isPending={isPending} onPress={onMine}>{t`Keep mine`}</Button>
        </div>
      }
    >
      <p role="alert">
        <Trans>Somebody else changed this meanwhile. Nothing of theirs is overwritten until you choose.</Trans>
      </p>
      {differences.length > 0 && (
        <dl className="mt-2 space-y-2">
          {differences.map(({ label, mine, theirs }) => (
            <div key={label}>
              <dt className="font-medium">{label}</dt>
              <dd className="break-words">
                <span className="font-medium">{t`Yours`}:</span> {mine === "" ? "–" : mine}
              </dd>
              <dd className="break-words">
                <span className="font-medium">{t`Theirs`}:</span> {theirs === "" ? "–" : theirs}
              </dd>
            </div>
          ))}
        </dl>
      )}
    </Callout>
  );
}
