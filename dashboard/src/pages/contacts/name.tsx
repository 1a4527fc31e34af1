import { useLingui } from "@lingui/react/macro";
import { useState } from "react";
import type { Problem } from "@/api/problems";
import { Button } from "@/ui/button";
import { Conflict, useVersioned } from "@/ui/conflict";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/fields";
import { useProblemText } from "@/ui/states";

interface Props {
  title: string;
  action: string;
  name?: string;
  isPending: boolean;
  onClose: () => void;
  onSave: (name: string, version?: string) => Promise<Problem | null>;
  /** What is named, and how it is read as it stands now, where somebody else may name it too. */
  of?: { name: string; version: string } | null;
  readNow?: () => Promise<{ name: string; version: string } | null>;
}

const readNothing = () => Promise.resolve(null);

/** Asks for a name. */
export function NameDialog({ title, action, name = "", isPending, onClose, onSave, of = null, readNow = readNothing }: Props) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const [typed, setTyped] = useState(name);
  const [problem, setProblem] = useState<Problem | null>(null);
  const { base, theirs, isConflict, settle } = useVersioned(of, readNow);
  const save = async (version = base?.version) => {
    if (typed.trim() === "") return;
    const found = await onSave(typed.trim(), version);
    const isTheirs = await isConflict(found);
    setProblem(isTheirs ? null : found);
    if (found === null) onClose();
  };
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={title}
      actions={
        <>
          <Button onPress={onClose}>{t`Not now`}</Button>
          <Button look="primary" isDisabled={typed.trim() === ""} isPending={isPending} onPress={() => void save()}>
            {action}
          </Button>
        </>
      }
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {theirs !== null && (
          <div className="mb-4">
            <Conflict
              differences={[{ label: t`Name`, mine: typed, theirs: theirs.name }]}
              isPending={isPending}
              onMine={() => void save(theirs.version)}
              onTheirs={() => {
                setTyped(theirs.name);
                settle(theirs);
              }}
            />
          </div>
        )}
        <Field label={t`Name`} value={typed} onChange={setTyped} maxLength={200} autoFocus error={problem === null ? undefined : textOf(problem)} />
      </form>
    </Dialog>
  );
}
