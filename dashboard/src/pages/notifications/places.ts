// Where notifications lead.
import type { NotificationKind, NotificationRowFragment } from "@/gql/graphql";
import type { IconName } from "@/ui/icons";

export const ICONS: Record<NotificationKind, IconName> = {
  CREDITS_LOW: "credits",
  CAMPAIGN_COMPLETED: "campaign",
  CAMPAIGN_PAUSED: "pause",
  APPROVAL_REQUESTED: "pause",
  APPROVAL_DECIDED: "campaign",
  IMPORT_ENDED: "imports",
  LIST_SYNC_STOPPED: "warning",
  WEBHOOK_DISABLED: "developers",
  SENDER_REMOVED: "phone",
  MEMBER_JOINED: "user",
  THREAD_ASSIGNED: "inbox",
  NEW_DEVICE: "warning",
  WORKSPACE_DELETING: "warning",
};

/** Where a notification leads, and whether that is in a mode of its own. */
export function placeOf({ kind, subjectId }: Pick<NotificationRowFragment, "kind" | "subjectId">): { to: string; isOfMode: boolean } {
  const id = subjectId ?? "";
  switch (kind) {
    case "CAMPAIGN_COMPLETED":
    case "CAMPAIGN_PAUSED":
    case "APPROVAL_REQUESTED":
    case "APPROVAL_DECIDED":
      return { to: `/campaigns/${id}`, isOfMode: true };
    case "IMPORT_ENDED":
      return { to: `/imports/${id}`, isOfMode: true };
    case "LIST_SYNC_STOPPED":
      return { to: `/connections/${id}`, isOfMode: true };
    case "WEBHOOK_DISABLED":
      return { to: `/developers/webhooks/${id}`, isOfMode: true };
    case "THREAD_ASSIGNED":
      return { to: `/inbox?id=${id}`, isOfMode: true };
    case "SENDER_REMOVED":
      return { to: "/settings?tab=senders", isOfMode: false };
    case "MEMBER_JOINED":
      return { to: "/settings?tab=members", isOfMode: false };
    case "WORKSPACE_DELETING":
      return { to: "/account", isOfMode: false };
    case "NEW_DEVICE":
      return { to: "/account?part=sessions", isOfMode: false };
    default:
      return { to: "/credits", isOfMode: false };
  }
}
