// The panel behind the bell.
import { useLingui } from "@lingui/react/macro";
import { ButtonLink } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Notifications } from "./list";

export function Panel({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  return (
    <Dialog
      isOpen
      isDrawer
      onClose={onClose}
      title={t`Notifications`}
      actions={
        <>
          <ButtonLink to="/notifications" search={{ tab: "mail" }} onClick={onClose}>{t`By mail`}</ButtonLink>
          <ButtonLink to="/notifications" onClick={onClose}>{t`Open all`}</ButtonLink>
        </>
      }
    >
      <Notifications onOpened={onClose} />
    </Dialog>
  );
}
