import { useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ButtonAnchor } from "@/ui/button";
import { PageHead } from "@/ui/show";
import { Tabs } from "@/ui/tabs";
import { Events } from "./events";
import { Keys } from "./keys";
import { Requests } from "./requests";
import { Samples } from "./samples";
import { Webhooks } from "./webhooks";

export function DevelopersPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { tab = "keys" } = useSearch({ from: "/shell/developers" });
  const tabs = [
    { value: "keys", label: t`API keys` },
    { value: "webhooks", label: t`Webhooks` },
    { value: "events", label: t`Events` },
    { value: "requests", label: t`Requests` },
    { value: "samples", label: t`Code samples` },
  ];
  return (
    <>
      <PageHead
        title={t`Developers`}
        lead={t`Keys for your programs, events to your servers, and what was asked of the API.`}
        actions={<ButtonAnchor href="/docs/">{t`API reference`}</ButtonAnchor>}
      />
      <Tabs label={t`Parts`} tabs={tabs} value={tab} onChange={(next) => void navigate({ to: "/developers", search: next === "keys" ? {} : { tab: next as "webhooks" }, resetScroll: false })} />
      {tab === "keys" && <Keys />}
      {tab === "webhooks" && <Webhooks />}
      {tab === "events" && <Events />}
      {tab === "requests" && <Requests />}
      {tab === "samples" && <Samples />}
    </>
  );
}
