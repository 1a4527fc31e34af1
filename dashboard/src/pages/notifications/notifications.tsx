import { useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Card, PageHead } from "@/ui/show";
import { Tabs } from "@/ui/tabs";
import { Notifications } from "./list";
import { MailChoices } from "./mail";

export function NotificationsPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { tab = "all" } = useSearch({ from: "/shell/notifications" });
  const tabs = [
    { value: "all", label: t`All` },
    { value: "unread", label: t`Unread` },
    { value: "mail", label: t`By mail` },
  ];
  return (
    <>
      <PageHead title={t`Notifications`} lead={t`What happened in this workspace that you should know. The newest 200 are kept, for 90 days.`} />
      <Tabs label={t`Parts`} tabs={tabs} value={tab} onChange={(next) => void navigate({ to: "/notifications", search: next === "all" ? {} : { tab: next as "mail" }, resetScroll: false })} />
      {tab === "mail" ? (
        <MailChoices />
      ) : (
        <Card className="max-w-3xl">
          <Notifications key={tab} isUnreadOnly={tab === "unread"} />
        </Card>
      )}
    </>
  );
}
