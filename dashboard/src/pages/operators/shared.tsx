// What the pages of the area share: lists with their states, and a dialog that asks why.
import { useLingui } from "@lingui/react/macro";
import { useState, type ReactNode } from "react";
import type { Problem } from "@/api/problems";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/fields";
import { Callout } from "@/ui/show";
import { FilteredEmpty, Loading, ProblemState, useProblemText } from "@/ui/states";

interface Listed<Row> {
  rows: Row[] | undefined;
  problem: Problem | null;
  retry: () => void;
}

/** A list, or why there is none to show; a problem of a list that is there stands above it. */
export function List<Row>({ of, isFiltered, onClear, empty, children }: { of: Listed<Row>; isFiltered: boolean; onClear: () => void; empty: ReactNode; children: (rows: Row[]) => ReactNode }) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const { rows, problem, retry } = of;
  if (rows === undefined) return problem === null ? <Loading /> : <ProblemState problem={problem} onRetry={retry} />;
  return (
    <>
      {problem !== null && (
        <div className="mb-4">
          <Callout tone="warn" action={<Button size="small" icon="refresh" onPress={retry}>{t`Try again`}</Button>}>
            {textOf(problem)}
          </Callout>
        </div>
      )}
      {rows.length > 0 ? children(rows) : isFiltered ? <FilteredEmpty onClear={onClear} /> : empty}
    </>
  );
}

interface ReasonProps {
  title: string;
  action: string;
  look?: "primary" | "danger";
  isPending: boolean;
  onClose: () => void;
  onSave: (reason: string) => Promise<Problem | null>;
  /** What else is asked for, and whether it is complete. */
  isComplete?: boolean;
  paramOf?: readonly string[];
  children?: ReactNode | ((problem: Problem | null) => ReactNode);
  hint?: string;
}

export const MAX_REASON = 120;

/** An act with its reason, which stands in the log. */
export function ReasonDialog({ title, action, look = "primary", isPending, onClose, onSave, isComplete = true, paramOf = [], children, hint }: ReasonProps) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const [reason, setReason] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const isReady = isComplete && reason.trim() !== "";
  const save = async () => {
    if (!isReady) return;
    const found = await onSave(reason.trim());
    setProblem(found);
    if (found === null) onClose();
  };
  const isPlaced = problem?.param === "reason" || paramOf.includes(problem?.param ?? "");
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={title}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look={look} isDisabled={!isReady} isPending={isPending} onPress={save}>
            {action}
          </Button>
        </>
      }
    >
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {typeof children === "function" ? children(problem) : children}
        <Field label={t`Why`} hint={hint ?? t`It stands in the log of operators.`} value={reason} onChange={setReason} maxLength={MAX_REASON} error={problem?.param === "reason" ? textOf(problem) : undefined} />
        {problem !== null && !isPlaced && <Callout tone="danger">{textOf(problem)}</Callout>}
        <button type="submit" hidden />
      </form>
    </Dialog>
  );
}
