// The bell: how much is unread, live, and the panel that tells it.
import { useLingui } from "@lingui/react/macro";
import { lazy, Suspense, useState } from "react";
import { useData, useLive } from "@/api/hooks";
import { graphql } from "@/gql";
import { loadTexts } from "@/i18n";
import { Icon } from "@/ui/icons";

const Unread = graphql(`
  query ShellNotifications { notifications(unread: true, first: 1) { totalCount } }
`);
const Told = graphql(`
  subscription ShellNotified { newNotifications { id } }
`);

const load = async () => {
  const [module] = await Promise.all([import("@/pages/notifications/panel"), loadTexts("notifications")]);
  return { default: module.Panel };
};
const Panel = lazy(load);
const MOST_SHOWN = 99;

export function Bell() {
  const { t } = useLingui();
  const { data } = useData(Unread, {});
  useLive(Told, {});
  const [isOpen, setOpen] = useState(false);
  const unread = data?.notifications.totalCount ?? 0;
  return (
    <>
      <button
        type="button"
        aria-label={unread === 0 ? t`Notifications` : t`Notifications, ${unread} unread`}
        aria-haspopup="dialog"
        aria-expanded={isOpen}
        onPointerEnter={() => void load()}
        onFocus={() => void load()}
        onClick={() => setOpen(true)}
        className="relative flex size-10 items-center justify-center rounded-lg hover:bg-sunken"
      >
        <Icon name="bell" />
        {unread > 0 && (
          <span aria-hidden="true" className="absolute top-0.5 right-0.5 min-w-4.5 rounded-full bg-brand px-1 text-center text-xs font-medium text-on-brand tabular">
            {unread > MOST_SHOWN ? `${MOST_SHOWN}+` : unread}
          </span>
        )}
      </button>
      {isOpen && (
        <Suspense>
          <Panel onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </>
  );
}
