import { useLingui } from "@lingui/react/macro";
import { useEffect, type ReactNode } from "react";
import { Dialog as AriaDialog, Heading, Modal, ModalOverlay } from "react-aria-components";
import { Button } from "./button";
import { classes } from "./classes";

interface Props {
  isOpen: boolean;
  onClose: () => void;
  title: ReactNode;
  children: ReactNode;
  /** At the foot: what ends the dialog. */
  actions?: ReactNode;
  /** Beside the page on the right rather than in the middle. */
  isDrawer?: boolean;
  isWide?: boolean;
  isAlert?: boolean;
}

export function Dialog({ isOpen, onClose, title, children, actions, isDrawer = false, isWide = false, isAlert = false }: Props) {
  const { t } = useLingui();
  useEscape(isOpen, onClose);
  return (
    <ModalOverlay
      isOpen={isOpen}
      onOpenChange={(open) => !open && onClose()}
      isDismissable={!isAlert}
      className={classes("fixed inset-0 z-40 flex bg-black/40 backdrop-blur-[1px]", isDrawer ? "justify-end" : "items-end justify-center p-0 sm:items-center sm:p-6")}
    >
      <Modal
        className={classes(
          "flex max-h-dvh flex-col border-line bg-raised shadow-raised outline-none",
          isDrawer ? "drawer h-full w-full border-l sm:w-[34rem]" : classes("panel w-full rounded-t-2xl border sm:rounded-2xl", isWide ? "sm:max-w-3xl" : "sm:max-w-lg"),
        )}
      >
        <AriaDialog role={isAlert ? "alertdialog" : "dialog"} className="flex min-h-0 flex-1 flex-col outline-none">
          <header className="flex items-start justify-between gap-4 px-5 pt-4 pb-2 sm:px-6">
            <Heading slot="title" className="pt-1.5 text-lg font-semibold">
              {title}
            </Heading>
            <Button look="quiet" size="icon" icon="close" aria-label={t`Close`} onPress={onClose} className="-mr-2" />
          </header>
          <div className="relative min-h-0 flex-1 overflow-y-auto px-5 pb-5 sm:px-6" tabIndex={-1}>
            {children}
          </div>
          {actions !== undefined && <footer className="flex flex-wrap justify-end gap-2 border-t border-line px-5 py-3 sm:px-6">{actions}</footer>}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

/** Close on Escape also where what had the focus is gone, as the button of a step that was taken. */
function useEscape(isOpen: boolean, onClose: () => void) {
  useEffect(() => {
    if (!isOpen) return undefined;
    const hear = (event: KeyboardEvent) => {
      if (event.key === "Escape" && document.activeElement === document.body) onClose();
    };
    document.addEventListener("keydown", hear);
    return () => document.removeEventListener("keydown", hear);
  }, [isOpen, onClose]);
}

export { Confirm } from "./confirm";
