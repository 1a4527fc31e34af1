"""What openapi.yaml says beyond the types of the endpoint table: limits, patterns, examples and words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msvs.api import ids
from msvs.api.consent.consent import CONSENT_EVENT
from msvs.api.contacts import contacts, segments, suppressions
from msvs.api.credits.gateway import PURCHASE
from msvs.api.permissions import Scope
from msvs.api.text.opt_out_phrases import Intent
from msvs.api.text.sms import Encoding
from msvs.api.text.words import Keyword
from msvs.api.webhooks import endpoints
from msvs.api.webhooks.events import EventType
from msvs.fields import id_pattern

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
    "Imports": "Contacts from files: read, mapped, tried, run, and undone.",
    "Suppressions": "Phones that nothing is sent to, and how consent came and went.",
    "Lists": "Collections of contacts to send to as a group.",
    "Keywords": "Words with which anyone who texts one opts in and joins a list.",
    "Segments": "Saved filters over contacts.",
    "Credits": "The balance, what moved it, and how to buy more.",
    "Webhooks": "Subscriptions that push events to your URL.",
    "Webhook events": "What webhooks bring to your URL.",
    "Events": "What happened, as webhooks deliver it; kept to be read and delivered again.",
    "Senders": "What the workspace owns and may send from, live.",
    "Inbound": "What recipients sent to you.",
    "Inbox": "Threads of replies, to be answered and marked read.",
    "Workspace": "Your settings in this mode. The sandbox's are live's until it changes them for itself.",
    "Sandbox": "What only a sandbox key can do.",
    "API keys": "The keys of this mode, without their text, and what each may change.",
}

OPERATIONS: Mapping[str, str] = {
    "createImport": "As `multipart/form-data` with a `file` and `options`, or as JSON with a `file_name`, whose bytes"
    " follow in parts. CSV in any dialect and encoding, XLSX, also as gzip. Columns that are not mapped are known by"
    " their titles; where none is known to hold phones, the import is `needs_mapping`. With `dry_run` it stops"
    " `checked`.",
    "addImportPart": "The bytes at `offset`, in base64. What breaks off goes on at `file_size`.",
    "updateImport": "For imports that are `uploading`, `needs_mapping` or `checked`; the file is read again.",
    "listImportRows": "In their order. Rows that cannot be taken come with their `reason` and their `cells`.",
    "retrieveInvalidRows": "CSV with the titles of the file and a column `reason`, at most 10,000 rows at once. Mended,"
    " it can be imported as it is.",
    "cancelImport": "What is done stays, and can be undone. An import that has ended is returned unchanged.",
    "undoImport": "Within seven days of its end. Contacts that were used since stay; consent and opt-outs always do.",
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
    " left out stays. A row that cannot be taken is reported, and the others are taken. Evidence opts in people who are"
    " `unknown`; a number that said STOP stays opted out regardless of the evidence, and is counted in `opted_out`.",
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
    " events. A live one is sent its first event alone; the others follow once one was answered with 2xx. A mode has"
    " one webhook of a URL: another one answers 409 `webhook_exists`.",
    "updateWebhook": "What is left out stays. In live another URL has to answer as that of a new one.",
    "testWebhook": "Sends one `test.ping` event to this webhook alone, no matter what it subscribes to. One that is"
    " not verified yet is sent it before the events that wait.",
    "recoverWebhook": "Delivers what was given up since a time, at most 30 days back, and what came while the webhook"
    " was disabled: of that the oldest 100,000 events, so call again until `delivery_count` is 0.",
    "resendEvent": "To one webhook, or to all enabled ones that subscribe to the event. A test event goes to the"
    " webhook that it tests.",
    "listInboxThreads": "The one with the newest reply first. A thread's id is that of its last reply.",
    "listInboxMessages": "Newest first, what the contact sent and what was sent to it in one order of time.",
    "answerInboxThread": "Sends one SMS, from the sender that the contact wrote to, and marks the thread as read.",
    "readInboxThread": "Up to the reply `until`, or all of it.",
    "listCreditPurchases": "Newest first, bought or given.",
    "listCreditPacks": "In the operator's order; none where nothing is sold.",
    "createCheckout": "Send the buyer to `url`. The credits come once it is paid, at the figures of this answer. Only a"
    " live key with the scope `credits:buy` may: the sandbox buys nothing. 409 `billing_closed` where nothing is sold.",
    "listCheckouts": "Newest first. What was given, and what moved the balance, is in the ledger.",
    "retrieveCredits": "The balance is the workspace's, for both modes; only live messages move it.",
}


def id_of(prefix: str) -> Schema:
    """Return the schema of an id."""
    return {"pattern": id_pattern(prefix)}


TIME: Schema = {"format": "date-time", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}
SENDER: Schema = {
    "pattern": "^(?:(?=.{0,10}[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9 ._&-]{0,9}[A-Za-z0-9._&-])?"
    "|\\+[1-9][0-9]{6,14}|[0-9]{3,8})$",
    "description": "Sender ID (1 to 11 letters and digits, at least one letter), phone in E.164, or short code.",
}
FILTER: Schema = {"$ref": "#/components/schemas/SegmentCondition"}
URL: Schema = {"format": "uri", "maxLength": 2048, "description": "A public https URL."}


# The id prefix of what a path or page names.
PATH_IDS: Mapping[str, str] = {
    "messages": ids.MESSAGE,
    "imports": ids.IMPORT,
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
    "credits": PURCHASE,
}
RESOURCE_IDS: Mapping[str, str] = {
    "Message": ids.MESSAGE,
    "Campaign": ids.CAMPAIGN,
    "Contact": ids.CONTACT,
    "ContactList": ids.CONTACT_LIST,
    "Import": ids.IMPORT,
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
    "LedgerEntry": ids.LEDGER_ENTRY,
    "Reply": ids.INBOUND,
    "MessageExplanation": ids.MESSAGE,
    "MessageTimeline": ids.MESSAGE,
    "Workspace": ids.WORKSPACE,
    "InboxThread": ids.INBOUND,
    "InboxMessage": f"(?:{ids.INBOUND}|{ids.MESSAGE})",
    "CampaignTestSent": ids.CAMPAIGN,
    "MessageAttempt": ids.ATTEMPT,
    "Reconciliation": ids.CAMPAIGN,
    "Checkout": PURCHASE,
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

SECRET_EXAMPLE = "whsec_9f4a2c7e1b8d4f60a35c"  # noqa: S105 - an example
SECRET_SHOWN_BY = frozenset(("createWebhook", "rotateWebhookSecret"))
SIGNATURE_EXAMPLE = "t=1777665614,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd"
