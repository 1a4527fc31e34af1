// What the pages of connections share: what is read of one, and how its state, its syncs and its settings are called.
import { useLingui } from "@lingui/react/macro";
import { graphql } from "@/gql";
import type { ConnectionFullFragment, ConnectorsPageQuery, SyncFullFragment } from "@/gql/graphql";
import { useData } from "@/api/hooks";
import { Badge, type Tone } from "@/ui/show";
import { healthOf, type Health, type Told } from "./health";

export const SyncRow = graphql(`
  fragment SyncRow on ListSync {
    id
    trigger
    status
    dryRun
    full
    counts { people created updated unchanged duplicate suppressed invalid erased left addedToList removedFromList optedIn pending }
    error { code message setting }
    createdAt
    endedAt
  }
`);
export const SyncFull = graphql(`
  fragment SyncFull on ListSync {
    ...SyncRow
    samples { phone firstName lastName email status }
    problems { externalId reason }
  }
`);
export const ConnectionFull = graphql(`
  fragment ConnectionFull on ContactList {
    id
    name
    kind
    contactCount
    source {
      type
      status
      paused
      account
      settings
      settingChoices { setting choices { value label } }
      knownFields { key label type field }
      mapping
      defaultRegion
      evidence
      update
      removal
      everyMinutes
      writesOptOuts
      nextSyncAt
      error { code message setting }
      lastSync { ...SyncFull }
    }
  }
`);
const ConnectorsData = graphql(`
  query ConnectorsPage {
    connectors {
      type
      label
      settings { name label kind required help example choices { value label } listed }
      capabilities { reads writesOptOuts hasHook registersHook grantsAccess reportsConsent }
    }
  }
`);

export type Connection = ConnectionFullFragment;
export type Source = NonNullable<Connection["source"]>;
export type Sync = SyncFullFragment;
export type Connector = ConnectorsPageQuery["connectors"][number];
export type Setting = Connector["settings"][number];

export const useConnectors = () => useData(ConnectorsData, {});

/** Return how a kind of connection is called. */
export function useServiceName() {
  const { data } = useConnectors();
  return (type: string) => data?.connectors.find((each) => each.type === type)?.label ?? type;
}

const TONES: Record<Health, Tone> = {
  CHECKING: "brand",
  WAITING: "info",
  CHECKED: "info",
  SYNCING: "brand",
  ACTIVE: "good",
  PAUSED: "neutral",
  HELD: "warn",
  RETRYING: "warn",
  STOPPED: "danger",
};

export function useHealthNames(): Record<Health, string> {
  const { t } = useLingui();
  return {
    CHECKING: t`Dry run`,
    WAITING: t`Waits for a first post`,
    CHECKED: t`Ready to confirm`,
    SYNCING: t`Syncing`,
    ACTIVE: t`Up to date`,
    PAUSED: t`Paused`,
    HELD: t`Needs you`,
    RETRYING: t`Tries again`,
    STOPPED: t`Stopped`,
  };
}

export function HealthBadge({ source }: { source: Told }) {
  const health = healthOf(source);
  return <Badge tone={TONES[health]}>{useHealthNames()[health]}</Badge>;
}

export function useSyncNames(): Record<Sync["status"], string> {
  const { t } = useLingui();
  return { QUEUED: t`Waiting`, RUNNING: t`Running`, HELD: t`Needs you`, COMPLETED: t`Completed`, FAILED: t`Failed`, CANCELED: t`Canceled` };
}

const SYNC_TONES: Record<Sync["status"], Tone> = { QUEUED: "neutral", RUNNING: "brand", HELD: "warn", COMPLETED: "good", FAILED: "danger", CANCELED: "neutral" };

export function SyncBadge({ status }: { status: Sync["status"] }) {
  return <Badge tone={SYNC_TONES[status]}>{useSyncNames()[status]}</Badge>;
}

export function useTriggerNames(): Record<Sync["trigger"], string> {
  const { t } = useLingui();
  return { CREATED: t`Connected`, CONFIRMED: t`Confirmed`, CHANGED: t`Changed`, SCHEDULE: t`Schedule`, MANUAL: t`By hand`, HOOK: t`Posted` };
}

/** Return how a setting is called: in the reader's language where it is known, else as the connector says. */
export function useSettingName() {
  const { t } = useLingui();
  const names: Record<string, string> = {
    api_key: t`API key`,
    client_id: t`Client ID`,
    client_secret: t`Client secret`,
    access_token: t`Access token`,
    tag_id: t`Tag`,
    form_id: t`Form`,
    site_id: t`Site`,
    list_id: t`List in the service`,
    opt_out_tag_id: t`Tag for opt-outs`,
    opt_out_field: t`Custom field for opt-outs`,
    opt_out_property: t`Property for opt-outs`,
    opt_out: t`Opt-outs`,
    url: t`Address`,
    id_column: t`Column that identifies a person`,
    id_field: t`Field that identifies a person`,
    left_when: t`Who has left`,
    signature_header: t`Header of the signature`,
    signing_secret: t`Secret of the signature`,
    shop: t`Shop`,
    query: t`Which customers`,
    properties: t`More properties`,
    mapping: t`Fields`,
  };
  return (name: string, label = name) => names[name] ?? label;
}
