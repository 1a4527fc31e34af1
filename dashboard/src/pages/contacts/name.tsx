import { useLingui } from "@lingui/react/macro";
import { useState } from "react";
import type { Problem } from "@/api/problems";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/fields";
import { useProblemText } from "@/ui/states";

interface Props {
  title: string;
  action: string;
  name?: string;
  isPending: boolean;
  onClose: () => void;
  onSave: (name: string) => Promise<Problem | null>;
}

/** Asks for a name. */
export function NameDialog({ title, action, name = "", isPending, onClose, onSave }: Props) {
  const { t } = useLingui();
  const textOf = useProblemText();
  const [typed, setTyped] = useState(name);
  const [problem, setProblem] = useState<Problem | null>(null);
  const save = async () => {
    if (typed.trim() === "") return;
    const found = await onSave(typed.trim());
    setProblem(found);
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
          <Button look="primary" isDisabled={typed.trim() === ""} isPending={isPending} onPress={save}>
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
        <Field label={t`Name`} value={typed} onChange={setTyped} maxLength={200} autoFocus error={problem === null ? undefined : textOf(problem)} />
      </form>
    </Dialog>
  );
}
