// Names that stand in addresses and in the API, the same in every language.
import type { EventType } from "@/gql/graphql";

export const EVENT_TYPES = [
  "MESSAGE_QUEUED",
  "MESSAGE_SENT",
  "MESSAGE_DELIVERED",
  "MESSAGE_FAILED",
  "MESSAGE_REPLIED",
  "MESSAGE_CANCELED",
  "MESSAGE_SKIPPED",
  "CONTACT_OPTED_IN",
  "CONTACT_OPTED_OUT",
  "INBOUND_RECEIVED",
  "CAMPAIGN_STARTED",
  "CAMPAIGN_PAUSED",
  "CAMPAIGN_RESUMED",
  "CAMPAIGN_DISPATCHED",
  "CAMPAIGN_COMPLETED",
  "CAMPAIGN_CANCELED",
  "CREDITS_LOW",
  "WEBHOOK_DISABLED",
  "TEST_PING",
] as const satisfies readonly EventType[];

export const METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"] as const;

export const SCOPES = [
  "messages:read",
  "messages:send",
  "inbox:write",
  "campaigns:read",
  "campaigns:write",
  "contacts:read",
  "contacts:write",
  "contacts:erase",
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
export const eventName = (type: string): string => type.toLowerCase().replace("_", ".");
