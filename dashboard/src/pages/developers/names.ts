// Names that stand in addresses and in the API, the same in every language.
import type { EventType } from "@/gql/graphql";

// Each type, as REST and webhooks write it: one that the schema has and this lacks is an error of types.
const EVENT_NAMES = {
  MESSAGE_QUEUED: "message.queued",
  MESSAGE_SENT: "message.sent",
  MESSAGE_DELIVERED: "message.delivered",
  MESSAGE_FAILED: "message.failed",
  MESSAGE_REPLIED: "message.replied",
  MESSAGE_CLICKED: "message.clicked",
  MESSAGE_CANCELED: "message.canceled",
  MESSAGE_SKIPPED: "message.skipped",
  CONTACT_OPTED_IN: "contact.opted_in",
  CONTACT_OPTED_OUT: "contact.opted_out",
  CONTACT_MERGED: "contact.merged",
  CONTACT_UNREACHABLE: "contact.unreachable",
  CONTACT_REACHABLE: "contact.reachable",
  INBOUND_RECEIVED: "inbound.received",
  CAMPAIGN_STARTED: "campaign.started",
  CAMPAIGN_PAUSED: "campaign.paused",
  CAMPAIGN_RESUMED: "campaign.resumed",
  CAMPAIGN_DISPATCHED: "campaign.dispatched",
  CAMPAIGN_COMPLETED: "campaign.completed",
  CAMPAIGN_CANCELED: "campaign.canceled",
  CAMPAIGN_APPROVAL_REQUESTED: "campaign.approval_requested",
  CAMPAIGN_APPROVED: "campaign.approved",
  CAMPAIGN_REJECTED: "campaign.rejected",
  CAMPAIGN_TESTED: "campaign.tested",
  CAMPAIGN_WINNER_CHOSEN: "campaign.winner_chosen",
  SEQUENCE_PUBLISHED: "sequence.published",
  SEQUENCE_PAUSED: "sequence.paused",
  SEQUENCE_RESUMED: "sequence.resumed",
  SEQUENCE_ARCHIVED: "sequence.archived",
  CONVERSION_CREATED: "conversion.created",
  CONVERSION_REFUNDED: "conversion.refunded",
  SEQUENCE_ENTERED: "sequence.entered",
  SEQUENCE_COMPLETED: "sequence.completed",
  SEQUENCE_LEFT: "sequence.left",
  TEMPLATE_CREATED: "template.created",
  TEMPLATE_UPDATED: "template.updated",
  TEMPLATE_DELETED: "template.deleted",
  IMPORT_COMPLETED: "import.completed",
  BULK_ACTION_COMPLETED: "bulk_action.completed",
  LIST_SYNC_COMPLETED: "list.sync.completed",
  LIST_SYNC_FAILED: "list.sync.failed",
  CREDITS_LOW: "credits.low",
  WEBHOOK_DISABLED: "webhook.disabled",
  TEST_PING: "test.ping",
} as const satisfies Record<EventType, string>;

export const EVENT_TYPES = Object.keys(EVENT_NAMES) as [EventType, ...EventType[]];

export const METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"] as const;

export const SCOPES = [
  "messages:read",
  "messages:send",
  "inbox:write",
  "campaigns:read",
  "campaigns:write",
  "conversions:read",
  "conversions:write",
  "contacts:read",
  "contacts:write",
  "contacts:erase",
  "exports:read",
  "exports:write",
  "events:read",
  "webhooks:read",
  "webhooks:write",
  "settings:read",
  "settings:write",
  "credits:read",
  "credits:buy",
  "keys:read",
] as const;

/** Return an event's type as REST and webhooks write it: `contact.opted_out`. */
export const eventName = (type: string): string => (EVENT_NAMES as Partial<Record<string, string>>)[type] ?? type.toLowerCase();
