"""What openapi.yaml says beyond the types of the endpoint table: limits, patterns, examples and words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msvs.api import ids, settings_of_mode
from msvs.api.accounts import workspaces
from msvs.api.consent.consent import CONSENT_EVENT
from msvs.api.contacts import contacts, lists, segments, suppressions
from msvs.api.inbound import keywords
from msvs.api.permissions import Scope
from msvs.api.resources import FAILURES
from msvs.api.text.opt_out_phrases import Intent
from msvs.api.text.sms import Encoding
from msvs.api.text.words import Keyword
from msvs.api.webhooks import endpoints
from msvs.api.webhooks.events import EventType
from msvs.fields import AT, LIST_ID, ULID, VIPS, id_pattern
from msvs.rest_compat.schemas import LEDGER_ENTRY

Schema = dict[str, Any]

# The version of the contract; the server has its own.
VERSION = "1.0.0"

INTRODUCTION = """\
Send SMS, manage contacts, fire scheduled campaigns, and receive delivery events.

Authenticate with `Authorization: Bearer <API key>`. A sandbox key (`msvs_test_…`) sends through a virtual carrier and
charges nothing; a live key (`msvs_live_…`) sends for real. All bodies are JSON. Every error has one shape, `Error`.
"""

TAGS: Mapping[str, str] = {
    "Messages": "One SMS to one phone.",
    "Campaigns": "One body to many contacts: lists, a segment, or contacts by id.",
    "Contacts": "The people you send SMS to, with their consent and attributes.",
    "Suppressions": "Phones that nothing is sent to, and how consent came and went.",
    "Lists": "Collections of contacts to send to as a group.",
    "Keywords": "Words with which whoever texts one opts in and joins a list.",
    "Segments": "Saved filters over contacts.",
    "Credits": "The balance and what moved it.",
    "Webhooks": "Subscriptions that push events to your URL.",
    "Events": "What happened, as webhooks deliver it; kept to be read and delivered again.",
    "Senders": "What the workspace owns and may send from, live.",
    "Inbound": "What recipients sent to you.",
    "Inbox": "Threads of replies, to be answered and marked read.",
    "Workspace": "Your settings in this mode. The sandbox's are live's until it changes them for itself.",
    "Sandbox": "What only a sandbox key can do.",
    "API keys": "The keys of this mode, without their text, and what each may change.",
}

OPERATIONS: Mapping[str, str] = {
    "createMessage": "Sends one SMS now, or at `scheduled_at`. Charged 1 credit a segment; sandbox messages are not"
    " charged. The first message to a number makes its contact.",
    "listMessages": "Newest first. `status=delivered` includes messages that were replied to.",
    "cancelMessage": "Cancels a scheduled or queued message. A message that is past that is returned unchanged.",
    "createCampaign": "Sends one body to the union of the audience's lists, segment and contacts, one message a phone,"
    " now or at `scheduled_at`. Credits are debited when messages are sent.",
    "listCampaigns": "Newest first. Drafts show only under `status=draft`.",
    "updateCampaign": "For drafts and scheduled campaigns; others answer 409. What is left out stays, null clears, and"
    " `audience` replaces the whole audience.",
    "deleteCampaign": "A campaign that was launched answers 409.",
    "launchCampaign": "At `scheduled_at`: null for now; left out, at the draft's own time. A campaign that is no draft"
    " answers 409.",
    "cloneCampaign": "The clone has the body, sender, audience, metadata and pace, but not the times.",
    "testCampaign": "At most 5 phones. Each gets a single message whose metadata has `test`; credits are charged.",
    "cancelCampaign": "Stops what no carrier has yet. A campaign that has ended answers 409.",
    "pauseCampaign": "Nothing more is handed to a carrier until the campaign is resumed.",
    "createContact": "`opt_in` is the evidence of consent; without it the contact is `unknown`, or `opted_out` where"
    " the phone said STOP. Only renewed evidence, newer than the STOP, undoes it; any other answers 409"
    " `opt_in_revoked`.",
    "importContacts": "At most 500 contacts. A phone that is known has its contact changed, as an update would; what is"
    " left out stays. A row that cannot be taken is reported, and the others are taken. Evidence opts in whoever is"
    " `unknown`; a number that said STOP stays opted out whatever the evidence, and is counted in `opted_out`.",
    "updateContact": "What is left out stays; null clears. `attributes` are merged key by key and null removes one."
    " Where the phone said STOP, an `opt_in` that is not renewed and newer answers 409 `opt_in_revoked`, and nothing"
    " changes.",
    "deleteContact": "The contact leaves its lists. The history of its consent stays, so a number that said STOP stays"
    " suppressed.",
    "listContacts": "Every filter given must hold. `q` finds words in names and e-mail addresses, or digits in phones.",
    "optOutContact": "Cancels what waits for the contact. Doing it again answers 409.",
    "listContactConsent": "Newest first, with the evidence, and each entry's place in the chain of consent.",
    "exportContact": "At most 1000 rows of each kind, the newest; `complete` says whether that is all.",
    "eraseContact": "The contact is gone, and messages, events and consent keep nothing that names it. A number that"
    " said STOP stays suppressed, as a keyed hash. Doing it again changes nothing; while a message is on its way, 409.",
    "listConsent": "Newest first. The history of a phone survives the deletion and the erasure of its contact.",
    "createSuppression": "Its contact, if it has one, is opted out, and what waits for it is canceled.",
    "listSuppressions": "Newest first. By phone, one that was erased is found too.",
    "importSuppressions": "At most 1000 phones. One that is suppressed stays; what is no phone is reported.",
    "liftSuppression": "Only the person may come back: `source` is required, `renewed`, and an `at` after the opt-out;"
    " else 409 `opt_in_revoked`. Under double opt-in the suppression stands until the person confirms.",
    "addListContacts": "At most 1000 ids. A contact that is on the list stays; an unknown id is reported.",
    "removeListContact": "Nothing happens where the contact is not on the list.",
    "createWebhook": "`secret` is shown in this answer alone; it is made where you send none. `*` subscribes to all"
    " events.",
    "testWebhook": "Sends one `test.ping` event to this webhook alone, whatever it subscribes to.",
    "recoverWebhook": "Delivers what was given up since a time, at most 30 days back, and what came while the webhook"
    " was disabled: of that the oldest 100,000 events, so call again until `delivery_count` is 0.",
    "resendEvent": "To one webhook, or to all enabled ones that subscribe to the event. A test event goes to the"
    " webhook that it tests.",
    "listInboxThreads": "The one with the newest reply first. A thread's id is that of its last reply.",
    "listInboxMessages": "Newest first, what the contact sent and what was sent to it in one order of time.",
    "answerInboxThread": "Sends one SMS, from the sender that the contact wrote to, and marks the thread as read.",
    "readInboxThread": "Up to the reply `until`, or all of it.",
    "listCreditPurchases": "Newest first, bought or given.",
    "retrieveCredits": "The balance is the workspace's, for both modes; only live messages move it.",
}

EVENTS: Mapping[EventType, str] = {
    EventType.MESSAGE_QUEUED: "Message accepted into the dispatch queue.",
    EventType.MESSAGE_SENT: "Message handed off to carrier.",
    EventType.MESSAGE_DELIVERED: "Carrier confirms delivery to handset.",
    EventType.MESSAGE_FAILED: "Carrier returns a permanent failure (e.g. invalid number).",
    EventType.MESSAGE_REPLIED: "Recipient replied. Body in `data.reply.body`.",
    EventType.CONTACT_OPTED_IN: "Contact confirmed opt-in (double opt-in flow).",
    EventType.CONTACT_OPTED_OUT: "Contact replied STOP/UNSUBSCRIBE/CANCELAR.",
    EventType.CAMPAIGN_DISPATCHED: "All messages in campaign queued.",
    EventType.CAMPAIGN_COMPLETED: "All messages in campaign reached terminal status.",
    EventType.CREDITS_LOW: "Balance dropped below `low_balance_threshold`.",
    EventType.INBOUND_RECEIVED: "Somebody sent a message: an answer, STOP, START, a keyword, or a text from somebody"
    " who was sent nothing. `data.message` is the message that it answers, or null.",
    EventType.MESSAGE_CANCELED: "Message canceled before a carrier had it.",
    EventType.MESSAGE_SKIPPED: "A campaign's recipient was not sent to; `data.error` says why.",
    EventType.CAMPAIGN_STARTED: "Campaign began to dispatch.",
    EventType.CAMPAIGN_PAUSED: "Campaign paused; `data.pause_reason` says why.",
    EventType.CAMPAIGN_RESUMED: "Campaign goes on.",
    EventType.CAMPAIGN_CANCELED: "Campaign canceled.",
    EventType.WEBHOOK_DISABLED: "Webhook disabled after 410 Gone, or three days of nothing but failures.",
    EventType.TEST_PING: "You asked for a test event.",
}

# The component that is an event's `data`, by the first part of its type.
EVENT_DATA: Mapping[str, str] = {
    "message": "Message",
    "contact": "Contact",
    "campaign": "Campaign",
    "credits": "Credits",
    "webhook": "Webhook",
    "test": "Webhook",
    "inbound": "InboundReceived",
}


def id_of(prefix: str) -> Schema:
    """Return the schema of an id."""
    return {"pattern": id_pattern(prefix)}


TIME: Schema = {"format": "date-time", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}
PHONE: Schema = {"pattern": "^\\+[1-9][0-9]{6,14}$", "description": "A phone number in E.164 format."}
REGION: Schema = {"type": "string", "pattern": "^[A-Z]{2}$"}
SENDER: Schema = {
    "pattern": "^(?:(?=.{0,10}[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9 ._&-]{0,9}[A-Za-z0-9._&-])?"
    "|\\+[1-9][0-9]{6,14}|[0-9]{3,8})$",
    "description": "Sender ID (1 to 11 letters and digits, at least one letter), phone in E.164, or short code.",
}
TIMEZONE: Schema = {"description": "An IANA time zone such as America/New_York."}
FILTER: Schema = {"$ref": "#/components/schemas/SegmentCondition"}
EVENT_NAMES: Schema = {
    "minItems": 1,
    "maxItems": endpoints.MAX_EVENTS,
    "items": {"type": "string", "enum": [endpoints.EVERY_EVENT, *EventType]},
}
URL: Schema = {"format": "uri", "maxLength": 2048, "description": "A public https URL."}
WORD: Schema = {
    "minLength": 1,
    "maxLength": keywords.MAX_WORD,
    "description": "The word. Case, accents and punctuation do not count when a message is compared with it.",
}
JOIN_REPLY: Schema = {
    "minLength": 1,
    "maxLength": keywords.MAX_REPLY,
    "description": "The SMS that answers whoever joins; null for the workspace's welcome text.",
}
DESCRIPTION: Schema = {"maxLength": endpoints.MAX_DESCRIPTION_LENGTH}


def _cap(name: str) -> Schema:
    lowest, highest = workspaces.CAPS[name]
    return {"minimum": lowest, "maximum": highest}


def _named(limit: int) -> Schema:
    return {"minLength": 1, "maxLength": limit}


# What a request's field must be beyond its type, by component and field.
REQUEST_FIELDS: Mapping[str, Mapping[str, Schema]] = {
    "ThreadRead": {"until": id_of(ids.INBOUND)},
    "WorkspaceUpdate": {
        "name": _named(workspaces.MAX_NAME_LENGTH),
        "default_sender": {
            **SENDER,
            "description": "The sender of messages that name none: one of the workspace's senders, or the platform's. A"
            " name that nobody has becomes the workspace's when it is made the live default.",
        },
        "blocked_regions": {"items": REGION, "description": "ISO 3166-1 regions nothing is sent to."},
        "enabled_regions": {
            "items": REGION,
            "description": "ISO 3166-1 regions to send to, of those that are off until enabled.",
        },
        "daily_credit_cap": {
            **_cap("daily_credit_cap"),
            "description": "The credits that live messages may take in a UTC day; null for no cap.",
        },
        "prefix_hourly_cap": {
            **_cap("prefix_hourly_cap"),
            "description": "How many single messages an hour one range of numbers may get; null for no cap.",
        },
        "quiet_hours": {"description": "Whether campaigns keep quiet hours unless they say otherwise."},
        "timezone": TIMEZONE,
        "low_balance_threshold": {"minimum": 0, "description": "The balance below which `credits.low` is sent."},
        "opt_in_text": {**_named(settings_of_mode.MAX_TEXT_LENGTH), "description": "The SMS that asks for a YES."},
        "opt_out_text": {**_named(settings_of_mode.MAX_TEXT_LENGTH), "description": "The SMS that answers STOP."},
        "welcome_text": {**_named(settings_of_mode.MAX_TEXT_LENGTH), "description": "The SMS that confirms an opt-in."},
        "help_text": {**_named(settings_of_mode.MAX_TEXT_LENGTH), "description": "The SMS that answers HELP."},
    },
    "SuppressionCreate": {
        "phone": PHONE,
        "source": {**_named(contacts.MAX_SOURCE), "description": "Why, such as `complaint`."},
    },
    "SuppressionImport": {
        "phones": {"maxItems": suppressions.MAX_IMPORTED, "description": "Phones in E.164 format."},
        "source": {**_named(contacts.MAX_SOURCE), "description": "Why; `import` unless told."},
    },
    "ListCreate": {"name": _named(lists.MAX_NAME)},
    "ListUpdate": {"name": _named(lists.MAX_NAME)},
    "ListContacts": {"contact_ids": {"maxItems": lists.MAX_ADDED}},
    "KeywordCreate": {"word": WORD, "list_id": id_of(ids.CONTACT_LIST), "reply": JOIN_REPLY},
    "KeywordUpdate": {"word": WORD, "list_id": id_of(ids.CONTACT_LIST), "reply": JOIN_REPLY},
    "SegmentCreate": {"name": _named(segments.MAX_NAME), "filter": FILTER},
    "SegmentUpdate": {"name": _named(segments.MAX_NAME), "filter": FILTER},
    "SegmentFilter": {"filter": FILTER},
    "WebhookCreate": {
        "url": URL,
        "events": EVENT_NAMES,
        "secret": {"pattern": "^[ -~]{8,256}$", "description": "The key of the signatures. Omit to have one made."},
        "description": DESCRIPTION,
    },
    "WebhookUpdate": {"url": URL, "events": EVENT_NAMES, "description": DESCRIPTION},
    "WebhookRecover": {"since": {"description": "ISO-8601 time with an offset, at most 30 days ago."}},
    "EventResend": {"webhook_id": id_of(ids.WEBHOOK)},
    "InboundTest": {"from": PHONE, "to": SENDER, "body": {"description": "The text of the reply."}},
}

# The id prefix of what a path or page names.
PATH_IDS: Mapping[str, str] = {
    "messages": ids.MESSAGE,
    "campaigns": ids.CAMPAIGN,
    "contacts": ids.CONTACT,
    "lists": ids.CONTACT_LIST,
    "segments": ids.SEGMENT,
    "suppressions": suppressions.SUPPRESSION,
    "consent": CONSENT_EVENT,
    "webhooks": ids.WEBHOOK,
    "events": ids.EVENT,
    "inbound": ids.INBOUND,
    "keywords": ids.KEYWORD,
    "senders": ids.SENDER,
    "api_keys": ids.API_KEY,
}
RESOURCE_IDS: Mapping[str, str] = {
    "Message": ids.MESSAGE,
    "Campaign": ids.CAMPAIGN,
    "Contact": ids.CONTACT,
    "ContactList": ids.CONTACT_LIST,
    "ContactExport": ids.CONTACT,
    "ConsentEntry": CONSENT_EVENT,
    "Erasure": ids.CONTACT,
    "Suppression": suppressions.SUPPRESSION,
    "Segment": ids.SEGMENT,
    "Webhook": ids.WEBHOOK,
    "WebhookAttempt": ids.ATTEMPT,
    "Event": ids.EVENT,
    "InboundMessage": ids.INBOUND,
    "InboundReceived": ids.INBOUND,
    "Keyword": ids.KEYWORD,
    "Sender": ids.SENDER,
    "ApiKey": ids.API_KEY,
    "LedgerEntry": LEDGER_ENTRY,
    "Reply": ids.INBOUND,
    "MessageExplanation": ids.MESSAGE,
    "MessageTimeline": ids.MESSAGE,
    "Workspace": ids.WORKSPACE,
    "InboxThread": ids.INBOUND,
    "InboxMessage": f"(?:{ids.INBOUND}|{ids.MESSAGE})",
    "CampaignTestSent": ids.CAMPAIGN,
    "MessageAttempt": ids.ATTEMPT,
    "Reconciliation": ids.CAMPAIGN,
}
REFERENCES: Mapping[str, str] = {
    "campaign_id": ids.CAMPAIGN,
    "contact_id": ids.CONTACT,
    "list_id": ids.CONTACT_LIST,
    "segment_id": ids.SEGMENT,
    "webhook_id": ids.WEBHOOK,
    "event_id": ids.EVENT,
    "message_id": ids.MESSAGE,
}

# Values of response fields that rooms above the shapes know, by component and field.
ENUMS: Mapping[str, Mapping[str, Schema]] = {
    "Message": {"encoding": {"enum": [*Encoding]}},
    "TimelineEntry": {"event_type": {"enum": [*EventType]}},
    "Webhook": {"events": {"items": {"type": "string", "enum": [endpoints.EVERY_EVENT, *EventType]}}},
    "ApiKey": {"scopes": {"items": {"type": "string", "enum": sorted(Scope)}}},
    "InboundMessage": {"keyword": {"enum": [*Keyword]}, "intent": {"enum": [Intent.CERTAIN, Intent.LIKELY]}},
}

# A segment's filter.
CONDITION: Schema = {
    "title": "SegmentCondition",
    "description": "A condition over contacts: a comparison of a field, a membership, an engagement, or a combination."
    " At most 8 levels and 50 comparisons.",
    "oneOf": [
        {
            "type": "object",
            "title": "All",
            "properties": {"all": {"type": "array", "minItems": 1, "items": FILTER}},
            "required": ["all"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "title": "Any",
            "properties": {"any": {"type": "array", "minItems": 1, "items": FILTER}},
            "required": ["any"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "title": "Not",
            "properties": {"not": FILTER},
            "required": ["not"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "title": "InList",
            "properties": {"list": {"type": "string", **id_of(ids.CONTACT_LIST)}},
            "required": ["list"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "title": "Engagement",
            "properties": {
                "engagement": {"type": "string", "enum": sorted(segments.ENGAGEMENTS)},
                "within_days": {"type": "integer", "minimum": 1, "maximum": segments.MAX_DAYS},
                "at_least": {"type": "integer", "minimum": 1, "maximum": segments.MAX_MESSAGES, "default": 1},
            },
            "required": ["engagement", "within_days"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "title": "Comparison",
            "properties": {
                "field": {
                    "type": "string",
                    "pattern": f"^(?:{'|'.join((*segments.TEXT_FIELDS, *segments.TIME_FIELDS, 'opt_in_status'))}"
                    f"|attributes\\..{{1,{contacts.MAX_ATTRIBUTE_KEY}}})$",
                },
                "op": {"type": "string", "enum": sorted(segments.OPS)},
                "value": {"description": "What the field is compared with; `in` and `not_in` take an array."},
            },
            "required": ["field", "op"],
            "additionalProperties": False,
        },
    ],
}

# Examples

REQUEST_EXAMPLES: Mapping[str, object] = {
    "ThreadRead": {},
    "WorkspaceUpdate": {"timezone": "America/New_York", "quiet_hours": True, "low_balance_threshold": 1000},
    "SuppressionCreate": {"phone": "+12125550123", "source": "complaint"},
    "SuppressionImport": {"phones": ["+12125550123", "+12125550124"], "source": "previous provider"},
    "ListCreate": {"name": "Cohort 06 — open cart"},
    "ListUpdate": {"name": "Cohort 06 — closed cart"},
    "KeywordCreate": {
        "word": "COHORT6",
        "list_id": LIST_ID,
        "reply": "You are on the list for Cohort 06. Reply STOP to opt out.",
    },
    "KeywordUpdate": {"word": "COHORT7"},
    "ListContacts": {"contact_ids": [f"con_{ULID}"]},
    "SegmentCreate": {"name": "VIPs of Cohort 06", "filter": VIPS},
    "SegmentUpdate": {"name": "VIPs"},
    "SegmentFilter": {"filter": VIPS},
    "WebhookCreate": {
        "url": "https://api.cohortlabs.co/webhooks/sms",
        "events": ["message.delivered", "message.failed", "message.replied", "contact.opted_out"],
    },
    "WebhookUpdate": {"events": ["*"], "enabled": True},
    "WebhookRecover": {"since": AT},
    "EventResend": {"webhook_id": f"whk_{ULID}"},
    "InboundTest": {"from": "+14155550123", "body": "Is there a payment plan?"},
}

_SENT = {"status": "sent", "sent_at": AT}
_DELIVERED = {**_SENT, "status": "delivered", "delivered_at": AT}
_UNDERWAY = {"recipients": 412, "queued": 300, "sending": 12, "sent": 20, "delivered": 73, "skipped": 7}
_SENDING = {"status": "sending", "dispatched_at": AT, "stats": {**_UNDERWAY, "credits_used": 105}}

# What the moment of an event makes of the example of its `data`.
EVENT_EXAMPLES: Mapping[EventType, Schema] = {
    EventType.MESSAGE_QUEUED: {},
    EventType.MESSAGE_SENT: _SENT,
    EventType.MESSAGE_DELIVERED: _DELIVERED,
    EventType.MESSAGE_FAILED: {
        "status": "failed",
        "failed_at": AT,
        "error": {"code": "invalid_number", "message": FAILURES["invalid_number"]},
    },
    EventType.MESSAGE_REPLIED: {
        **_DELIVERED,
        "status": "replied",
        "replied_at": AT,
        "reply": {
            "id": f"inb_{ULID}",
            "body": "Is there a payment plan?",
            "from": "+14155550123",
            "received_at": AT,
        },
    },
    EventType.INBOUND_RECEIVED: {
        "reply": {
            "id": f"inb_{ULID}",
            "body": "Is there a payment plan?",
            "from": "+14155550123",
            "received_at": AT,
        },
        "message": {"status": "replied", "sent_at": AT, "delivered_at": AT, "replied_at": AT},
    },
    EventType.MESSAGE_CANCELED: {"status": "canceled", "canceled_at": AT, "credits_used": 0},
    EventType.MESSAGE_SKIPPED: {
        "body": "Hey {firstName|there}, Cohort 06 closes tonight at 8pm ET.",
        "status": "skipped",
        "segments": 0,
        "credits_used": 0,
        "campaign_id": f"cmp_{ULID}",
        "error": {"code": "recipient_not_opted_in", "message": FAILURES["recipient_not_opted_in"]},
    },
    EventType.CONTACT_OPTED_IN: {},
    EventType.CONTACT_OPTED_OUT: {"opt_in": {"status": "opted_out", "source": "keyword", "ip": None}},
    EventType.CAMPAIGN_STARTED: {"status": "preparing"},
    EventType.CAMPAIGN_DISPATCHED: _SENDING,
    EventType.CAMPAIGN_COMPLETED: {
        "status": "completed",
        "dispatched_at": AT,
        "completed_at": AT,
        "stats": {"recipients": 412, "delivered": 405, "skipped": 7, "credits_used": 405},
    },
    EventType.CAMPAIGN_PAUSED: {**_SENDING, "status": "paused", "pause_reason": "manual"},
    EventType.CAMPAIGN_RESUMED: _SENDING,
    EventType.CAMPAIGN_CANCELED: {
        "status": "canceled",
        "dispatched_at": AT,
        "canceled_at": AT,
        "stats": {"recipients": 412, "delivered": 105, "skipped": 7, "canceled": 300, "credits_used": 105},
    },
    EventType.CREDITS_LOW: {"balance": 940, "estimated_runway_days": 2},
    EventType.WEBHOOK_DISABLED: {"status": "disabled", "disabled_reason": "gone"},
    EventType.TEST_PING: {},
}

SECRET_EXAMPLE = "whsec_9f4a2c7e1b8d4f60a35c"  # noqa: S105 - an example
SECRET_SHOWN_BY = frozenset(("createWebhook", "rotateWebhookSecret"))
SIGNATURE_EXAMPLE = "t=1777665614,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd"
