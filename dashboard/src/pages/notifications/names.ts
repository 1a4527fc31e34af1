// What notifications say.
import { plural } from "@lingui/core/macro";
import { useLingui } from "@lingui/react/macro";
import { graphql } from "@/gql";
import type { NotificationKind, NotificationRowFragment } from "@/gql/graphql";
import { useNumbers } from "@/ui/show";

export const NotificationRow = graphql(`
  fragment NotificationRow on Notification { id kind livemode subjectId name reason count createdAt readAt }
`);

export function useKindNames(): Record<NotificationKind, string> {
  const { t } = useLingui();
  return {
    CREDITS_LOW: t`Credits run low`,
    CAMPAIGN_COMPLETED: t`A campaign is complete`,
    CAMPAIGN_PAUSED: t`The service paused a campaign`,
    APPROVAL_REQUESTED: t`A campaign waits for approval`,
    APPROVAL_DECIDED: t`Your campaign was approved or rejected`,
    IMPORT_ENDED: t`An import ended`,
    LIST_SYNC_STOPPED: t`A list is no longer synced`,
    WEBHOOK_DISABLED: t`A webhook was disabled`,
    SENDER_REMOVED: t`A sender was taken away`,
    MEMBER_JOINED: t`Somebody joined`,
    THREAD_ASSIGNED: t`A conversation was given to you`,
    NEW_DEVICE: t`A new device logged in`,
    WORKSPACE_DELETING: t`An owner asked to delete the workspace`,
  };
}

/** Return what a notification says, in one sentence. */
export function useTextOf() {
  const { t } = useLingui();
  const { whole } = useNumbers();
  const reasons: Record<string, string> = {
    insufficient_credits: t`the credits do not cover it`,
    daily_cap: t`the day's cap is reached`,
    missed: t`its time went by while the service was away`,
    exclusion_missing: t`something it leaves out was deleted`,
    gone: t`its address says that it is gone`,
    failing: t`it failed for three days`,
    credentials_refused: t`the service refuses the credentials`,
    source_gone: t`what it follows is no longer there`,
    invalid_setting: t`a setting is not valid`,
    mapping_missing: t`no field is mapped to phones`,
    list_shrank: t`too many people would leave it`,
    interrupted: t`it was interrupted too often`,
  };
  return ({ kind, name, reason, count }: Pick<NotificationRowFragment, "kind" | "name" | "reason" | "count">): string => {
    const what = name ?? "–";
    const number = whole(Number(count ?? 0));
    const why = reasons[reason ?? ""] ?? reason ?? "";
    switch (kind) {
      case "CREDITS_LOW":
        return t`Credits run low: ${number} left.`;
      case "CAMPAIGN_COMPLETED":
        return t`${what} is complete: ${number} delivered.`;
      case "CAMPAIGN_PAUSED":
        return t`${what} was paused: ${why}.`;
      case "APPROVAL_REQUESTED":
        return t`${plural(Number(count ?? 0), { one: `${what} waits for your approval: it goes to # recipient.`, other: `${what} waits for your approval: it goes to # recipients.` })}`;
      case "APPROVAL_DECIDED":
        return reason === "approved" ? t`${what} was approved.` : t`${what} was rejected.`;
      case "IMPORT_ENDED":
        return reason === "completed" ? t`${what} is imported.` : reason === "failed" ? t`${what} could not be imported.` : t`The import of ${what} ended.`;
      case "LIST_SYNC_STOPPED":
        return t`The list ${what} is no longer synced: ${why}.`;
      case "WEBHOOK_DISABLED":
        return t`The webhook to ${what} was disabled: ${why}.`;
      case "SENDER_REMOVED":
        return t`The sender ${what} is not yours any more. Nothing is sent from it.`;
      case "MEMBER_JOINED":
        return t`${what} joined the workspace.`;
      case "THREAD_ASSIGNED":
        return t`A conversation was given to you to answer.`;
      case "WORKSPACE_DELETING":
        return t`An owner asked to delete ${what}. Until its data is erased, an owner can cancel the deletion.`;
      case "NEW_DEVICE":
        return t`Somebody logged in as you on a new device: ${what}. If it was not you, end that session.`;
      default:
        return what;
    }
  };
}
