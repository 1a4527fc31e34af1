// What states are called and how they look, the same on every page.
import { useLingui } from "@lingui/react/macro";
import type { CampaignStatus, MessageStatus } from "@/gql/graphql";
import { Badge, type Tone } from "@/ui/show";

export type OptInStatus = "UNKNOWN" | "PENDING" | "OPTED_IN" | "OPTED_OUT";

const CAMPAIGN_TONES: Record<CampaignStatus, Tone> = {
  DRAFT: "neutral",
  SCHEDULED: "info",
  PREPARING: "brand",
  SENDING: "brand",
  PAUSED: "warn",
  COMPLETED: "good",
  CANCELED: "neutral",
  FAILED: "danger",
};
const MESSAGE_TONES: Record<MessageStatus, Tone> = {
  SCHEDULED: "info",
  QUEUED: "neutral",
  SENDING: "brand",
  SENT: "info",
  DELIVERED: "good",
  FAILED: "danger",
  REPLIED: "good",
  CANCELED: "neutral",
  SKIPPED: "warn",
};
const OPT_IN_TONES: Record<OptInStatus, Tone> = { UNKNOWN: "neutral", PENDING: "info", OPTED_IN: "good", OPTED_OUT: "danger" };

interface StatusNames {
  campaigns: Record<CampaignStatus, string>;
  messages: Record<MessageStatus, string>;
  optIns: Record<OptInStatus, string>;
}

// Of each language, made once: each row of a table asks for one of them.
const made = new WeakMap<object, StatusNames>();

export function useStatusNames(): StatusNames {
  const { t, i18n } = useLingui();
  const known = made.get(i18n);
  if (known !== undefined) return known;
  const campaigns: Record<CampaignStatus, string> = {
    DRAFT: t`Draft`,
    SCHEDULED: t`Scheduled`,
    PREPARING: t`Preparing`,
    SENDING: t`Sending`,
    PAUSED: t`Paused`,
    COMPLETED: t`Completed`,
    CANCELED: t`Canceled`,
    FAILED: t`Failed`,
  };
  const messages: Record<MessageStatus, string> = {
    SCHEDULED: t`Scheduled`,
    QUEUED: t`Queued`,
    SENDING: t`Sending`,
    SENT: t`Sent`,
    DELIVERED: t`Delivered`,
    FAILED: t`Failed`,
    REPLIED: t`Replied`,
    CANCELED: t`Canceled`,
    SKIPPED: t`Skipped`,
  };
  const optIns: Record<OptInStatus, string> = { UNKNOWN: t`Unknown`, PENDING: t`Pending`, OPTED_IN: t`Opted in`, OPTED_OUT: t`Opted out` };
  const names = { campaigns, messages, optIns };
  made.set(i18n, names);
  return names;
}

export function CampaignBadge({ status }: { status: CampaignStatus }) {
  return <Badge tone={CAMPAIGN_TONES[status]}>{useStatusNames().campaigns[status]}</Badge>;
}

export function MessageBadge({ status }: { status: MessageStatus }) {
  return <Badge tone={MESSAGE_TONES[status]}>{useStatusNames().messages[status]}</Badge>;
}

export function OptInBadge({ status }: { status: OptInStatus }) {
  return <Badge tone={OPT_IN_TONES[status]}>{useStatusNames().optIns[status]}</Badge>;
}

/** Messages to the contact's number failed again and again: campaigns skip it. */
export function UnreachableBadge() {
  const { t } = useLingui();
  return <Badge tone="warn">{t`Unreachable`}</Badge>;
}
