import { useLingui } from "@lingui/react/macro";
import { useState, type ReactNode } from "react";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { Field } from "./fields";

/** From how many people on their count has to be typed. */
export const TYPED_ABOVE = { live: 100, sandbox: 1000 } as const;

interface ConfirmProps {
  isOpen: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
  action: string;
  onConfirm: () => void | Promise<void>;
  isPending?: boolean;
  /** What has to be typed first, where a slip would cost much. */
  typed?: string | undefined;
  typedLabel?: string;
}

export function Confirm({ isOpen, onClose, title, children, action, onConfirm, isPending = false, typed, typedLabel }: ConfirmProps) {
  const { t } = useLingui();
  const [text, setText] = useState("");
  const close = () => {
    setText("");
    onClose();
  };
  const actions = (
    <>
      <Button onPress={close}>{t`Not now`}</Button>
      <Button
        look="danger"
        isPending={isPending}
        isDisabled={typed !== undefined && text.replace(/\s/g, "") !== typed}
        onPress={async () => {
          await onConfirm();
          close();
        }}
      >
        {action}
      </Button>
    </>
  );
  return (
    <Dialog isOpen={isOpen} onClose={close} title={title} actions={actions} isAlert>
      <div className="space-y-4">
        {children}
        {typed !== undefined && <Field label={typedLabel ?? t`Type ${typed} to go on`} value={text} onChange={setText} autoFocus />}
      </div>
    </Dialog>
  );
}
