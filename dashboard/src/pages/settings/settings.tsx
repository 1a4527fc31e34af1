import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useData } from "@/api/hooks";
import { useSession } from "@/api/session";
import { graphql } from "@/gql";
import { Callout, PageHead } from "@/ui/show";
import { States } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { useIsAdmin } from "@/ui/tell";
import { Audit } from "./audit";
import { Members } from "./members";
import { Ownership } from "./ownership";
import { Senders } from "./senders";
import { Sending, Texts, General } from "./workspace";

export const WorkspaceFields = graphql(`
  fragment WorkspaceFields on Workspace {
    id
    name
    timezone
    defaultSender
    doubleOptIn
    campaignsAdmitUnknown
    quietHours
    dailyCreditCap
    prefixHourlyCap
    contactDailyCap
    contactWeeklyCap
    contactCapsCoverAll
    unreachableAfter
    approvalThreshold
    clickWindowHours
    messageWindowHours
    lowBalanceThreshold
    blockedRegions
    enabledRegions
    optInText
    optOutText
    welcomeText
    helpText
    version
  }
`);
const SettingsData = graphql(`
  query SettingsPage { workspace { ...WorkspaceFields } }
`);

export function SettingsPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { livemode } = useSession();
  const isAdmin = useIsAdmin();
  const { tab = "workspace" } = useSearch({ from: "/shell/settings" });
  const reading = useData(SettingsData, {});
  const tabs = [
    { value: "workspace", label: t`Workspace` },
    { value: "sending", label: t`Sending` },
    { value: "texts", label: t`Texts` },
    { value: "senders", label: t`Senders` },
    { value: "members", label: t`Members` },
    { value: "audit", label: t`Audit log` },
    { value: "ownership", label: t`Ownership` },
  ];
  const isOfWorkspace = tab === "workspace" || tab === "sending" || tab === "texts";
  return (
    <>
      <PageHead title={t`Settings`} lead={t`How this workspace sends, and who works in it.`} />
      <Tabs label={t`Parts`} tabs={tabs} value={tab} onChange={(next) => void navigate({ to: "/settings", search: next === "workspace" ? {} : { tab: next as "texts" }, resetScroll: false })} />
      {isOfWorkspace && (
        <div className="mb-5 space-y-2">
          {!livemode && (
            <Callout tone="info">
              <Trans>These settings are the sandbox's own. Those you leave alone follow live.</Trans>
            </Callout>
          )}
          {!isAdmin && (
            <Callout tone="info">
              <Trans>Owners and admins change these. You see how they stand.</Trans>
            </Callout>
          )}
        </div>
      )}
      {isOfWorkspace && (
        <States of={reading}>
          {({ workspace }) => (
            <>
              {tab === "workspace" && <General workspace={workspace} />}
              {tab === "sending" && <Sending workspace={workspace} />}
              {tab === "texts" && <Texts workspace={workspace} />}
            </>
          )}
        </States>
      )}
      {tab === "senders" && <Senders />}
      {tab === "members" && <Members />}
      {tab === "audit" && <Audit />}
      {tab === "ownership" && <Ownership />}
    </>
  );
}
