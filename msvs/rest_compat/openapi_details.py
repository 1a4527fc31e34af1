"""The parts of openapi.yaml that belong to no field: operations, tags, patterns and examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msvs.api import ids
from msvs.api.consent.consent import CONSENT_EVENT
from msvs.api.contacts import details, segments, suppressions, tags
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
    "Campaigns": "Send one message to many contacts: lists, a segment, or contacts by id.",
    "Sequences": "Send messages one after the other to each contact that enters: a welcome, a challenge, reminders.",
    "Contacts": "The people you send SMS to, with their consent and attributes.",
    "Imports": "Import contacts from files: upload, map, check, run and undo.",
    "Suppressions": "Phones to which nothing is sent, and consent records.",
    "Lists": "Collections of contacts to send to as a group.",
    "Templates": "Bodies under names, to create messages, campaigns and steps of sequences with.",
    "Snippets": "Pieces of text that bodies include by their names.",
    "Conversions": "What contacts buy, and the message that each order is attributed to.",
    "Keywords": "Words that opt in anyone who texts them, and add them to a list.",
    "Segments": "Saved filters over contacts.",
    "Credits": "The balance, its movements, and purchases.",
    "Webhooks": "Endpoints that receive events at your URL.",
    "Webhook events": "Events that webhooks deliver to your URL.",
    "Events": "Events, as webhooks deliver them, to read or deliver again.",
    "Exports": "Exports of your data as files, kept for seven days.",
    "Senders": "Senders that the workspace can use in live mode.",
    "Inbound": "Messages from recipients.",
    "Inbox": "Conversations with contacts, to answer and mark as read.",
    "Workspace": "The settings of this mode. The sandbox starts with the live settings until it changes them.",
    "Sandbox": "Operations for sandbox keys only.",
    "API keys": "The API keys of this mode, without their secrets.",
}

OPERATIONS: Mapping[str, str] = {
    "createConversion": (
        "It is attributed to the contact's last click on a short link in the `click_window_hours` of the workspace"
        " before it, or else to the last message delivered in its `message_window_hours`. An order is recorded once:"
        " the same again answers what is there, another with its id 409 `conversion_exists`."
    ),
    "createOrderHook": (
        "`url` is shown only in this answer. Register it with the service, and give the secret that the service shows"
        " as `signing_secret`, here or later: until then, what is posted is refused."
    ),
    "updateOrderHook": "Fields that are left out stay. A new `signing_secret` takes the place of the one before.",
    "deleteOrderHook": "Its address answers 404 from then on. The conversions that it recorded stay.",
    "listConversions": "Newest first, by when they were recorded.",
    "totalConversions": "The last 30 days if you say nothing, at most 366. Amounts are in the smallest unit.",
    "refundConversion": (
        "All that was refunded so far, so that a refund may be told twice or out of order. Its revenue goes down in the"
        " statistics; the conversion still counts."
    ),
    "createImport": (
        "Send `multipart/form-data` with a `file` and `options`, or JSON with a `file_name` and then the"
        " content in parts. The file is CSV with any delimiter and encoding, or XLSX, also compressed with"
        " gzip. Columns that are not mapped are recognized by their titles; if none is recognized as phones,"
        " the import is `needs_mapping`. With `dry_run` it ends as `checked`."
    ),
    "addImportPart": "The content at `offset`, in base64. After a broken upload, continue at `file_size`.",
    "updateImport": "Only while the import is `uploading`, `needs_mapping` or `checked`; the file is read again.",
    "listImportRows": "In order. Invalid rows have a `reason` and their `cells`.",
    "retrieveInvalidRows": (
        "CSV with the columns of the original file and a column `reason`, at most 10,000 rows at once. Correct"
        " the rows and import the file again."
    ),
    "cancelImport": "The rows imported so far stay, and can be undone. An import that has ended is returned unchanged.",
    "undoImport": (
        "Possible for seven days after it ended. Contacts that were used since stay; consent records and"
        " opt-outs always stay."
    ),
    "mergeContacts": (
        "The contact keeps its phone and gets the lists, tags, messages and notes of both; the other is deleted. An"
        " opt-out of either holds for it. With `dry_run`, only shows what would result. It cannot be undone."
    ),
    "createBulkAction": (
        "A worker takes the contacts in batches, in the order of their ids; contacts made later are not touched. With"
        " `dry_run`, `matched` tells how many there are and nothing changes. Opting out and deleting cannot be undone."
    ),
    "cancelBulkAction": "What it has done stays. A bulk action that has ended is returned unchanged.",
    "createExport": (
        "Contacts, messages, results of a campaign, suppressions, the ledger or events, as CSV or JSON Lines. The file"
        " is a snapshot of one moment. Requires the scope of its contents beside `exports:write`."
    ),
    "retrieveExport": "When it is `completed`, `download_url` is the address of the file.",
    "cancelExport": "The partial file is deleted. An export that has ended is returned unchanged.",
    "createMessage": (
        "Sends one SMS now, or at `scheduled_at`. Costs 1 credit for each segment; sandbox messages are free."
        " The first message to a number creates its contact."
    ),
    "createMessageBatch": (
        "Each message is accepted or refused by itself, in its place of `data`: a bad number or an opted-out recipient"
        " costs no other message. Credits go to the messages in their order. One `Idempotency-Key` stands for the whole"
        " call. A batch counts as one request for each message, against the limit of campaign routes."
    ),
    "listMessages": "Newest first. `status=delivered` includes messages that were replied to.",
    "cancelMessage": "Cancels a scheduled or queued message. Any other message is returned unchanged.",
    "createCampaign": (
        "Sends one message to each phone of the audience (lists, a segment and contacts together), now or at"
        " `scheduled_at`. Credits are charged when messages are sent."
    ),
    "listCampaigns": "Newest first. Drafts are listed only with `status=draft`.",
    "updateCampaign": (
        "Only for drafts, scheduled campaigns, and those that wait for approval or were paused by hand before their"
        " first message was made; for others, the answer is 409. Fields that are left out stay, null clears a field,"
        " and `audience` replaces the whole audience. A campaign that was paused by hand stays paused, and what needs"
        " approval is asked for again."
    ),
    "deleteCampaign": "For a launched campaign, the answer is 409.",
    "launchCampaign": (
        "Starts at `scheduled_at`, or now if it is null, or at the draft's own time if it is left out. For a"
        " campaign that is not a draft, the answer is 409."
    ),
    "cloneCampaign": "The clone has the same body, sender, audience, metadata and pace, but not the times.",
    "testCampaign": (
        "Sends to at most 5 phones. Each gets a single message with `test` in its metadata; credits are charged."
    ),
    "cancelCampaign": "Messages that no carrier has are not sent. For a campaign that has ended, the answer is 409.",
    "pauseCampaign": "No more messages are sent until the campaign is resumed.",
    "createContact": (
        "`opt_in` is the evidence of consent; without it the contact is `unknown`, or `opted_out` if the phone"
        " opted out. Only renewed evidence, newer than the opt-out, undoes an opt-out; with any other, the"
        " answer is 409 `opt_in_revoked`."
    ),
    "importContacts": (
        "At most 500 contacts. Existing contacts are updated; fields that are left out stay. Invalid rows are"
        " reported, and the others are imported. Evidence opts in contacts that are `unknown`; a number that"
        " opted out stays opted out, and is counted in `opted_out`."
    ),
    "updateContact": (
        "Fields that are left out stay; null clears a field. `attributes` are merged key by key; null removes"
        " a key. If the phone opted out, `opt_in` must be renewed and newer; otherwise the answer is 409"
        " `opt_in_revoked`, and nothing changes."
    ),
    "deleteContact": (
        "The contact is removed from its lists. Its consent records stay, so a number that opted out stays suppressed."
    ),
    "listContacts": (
        "A contact must match every filter. `q` finds words of names and e-mail addresses, or digits of phones."
    ),
    "optOutContact": (
        "Cancels messages that wait to be sent to the contact. If it is opted out already, the answer is 409."
    ),
    "listContactConsent": "Newest first, with the evidence and the position of each record in the consent chain.",
    "exportContact": "The newest 1000 rows of each kind; `complete` tells whether that is everything.",
    "eraseContact": (
        "Deletes the contact, and anonymizes its messages, events and consent records. A number that opted out"
        " stays suppressed, as a keyed hash. Erasing again changes nothing; while a message is being sent, the"
        " answer is 409."
    ),
    "listConsent": "Newest first. The records of a phone outlive the deletion and the erasure of its contact.",
    "createSuppression": (
        "Opts out the contact of the phone, if there is one, and cancels messages that wait to be sent to it."
    ),
    "listSuppressions": "Newest first. An erased suppression can be found by its phone.",
    "importSuppressions": "At most 1000 phones. Phones that are suppressed already stay so; invalid ones are reported.",
    "liftSuppression": (
        "Needs newer evidence: a `source`, `renewed: true`, and an `at` later than the opt-out; otherwise the"
        " answer is 409 `opt_in_revoked`. With double opt-in, the suppression stays until the person confirms."
    ),
    "createList": (
        "With a `source`, the list is kept in step with a service. The first sync is a dry run: look at its counts and"
        " samples, then confirm it."
    ),
    "updateListSource": "Fields that are left out stay, secrets too. The next sync reads everyone again.",
    "syncList": "Returns the sync that goes on, if there is one.",
    "confirmListSync": (
        "Confirms the dry run of a new list, or that suspiciously many people leave. A list that is active is returned"
        " unchanged."
    ),
    "pauseListSync": "A sync that goes on stops after its page, and goes on from there when it is resumed.",
    "disconnectList": (
        "The list becomes a static one. Its contacts and the history of its syncs stay; its secrets are deleted."
    ),
    "listListSyncs": "Newest first, kept for 90 days. People who were posted are counted in one entry an hour.",
    "addListContacts": "At most 1000 ids. Contacts that are on the list stay; unknown ids are reported.",
    "removeListContact": "Does nothing if the contact is not on the list.",
    "createWebhook": (
        "`secret` is shown only in this answer; if you send none, one is generated. `*` subscribes to all"
        " events. A live webhook first gets a single event; the others follow when it has answered one with"
        " 2xx. Each mode has one webhook for a URL: for a second one, the answer is 409 `webhook_exists`."
    ),
    "updateWebhook": (
        "Fields that are left out stay. In live mode, a new URL must answer one event with 2xx before it gets more."
    ),
    "retrieveWebhookHealth": (
        "Whether it answers, how long it takes, what waits for it and what was given up. Counts are bounded."
    ),
    "listEvents": (
        "Newest first. With `webhook_id`, what was sent to that webhook: the oldest first, each with its `sequence`;"
        " `after_seq` begins after the last number that you have."
    ),
    "testWebhook": (
        "Sends one `test.ping` event to this webhook only, regardless of its subscriptions. A webhook that is"
        " not verified yet gets it before waiting events."
    ),
    "recoverWebhook": (
        "Delivers events that failed since a time, at most 30 days ago, or came while the webhook was"
        " disabled. One call covers the oldest 100,000 events; call again until `delivery_count` is 0."
    ),
    "resendEvent": (
        "To one webhook, or to all enabled webhooks that subscribe to the event. A test event goes to the"
        " webhook that it tests."
    ),
    "listInboxThreads": "The thread with the newest reply first. The id of a thread is that of its last reply.",
    "listInboxMessages": "Newest first, in both directions.",
    "answerInboxThread": "Sends one SMS from the sender to which the contact wrote, and marks the thread as read.",
    "readInboxThread": "Up to the reply `until`, or the whole thread.",
    "listCreditPurchases": "Newest first, bought or granted.",
    "listConnectors": (
        "The same for every workspace. `settings` of each are those of `source.settings`, in the order to ask for them."
    ),
    "listCreditPacks": "In the operator's order; empty if none are sold.",
    "createCheckout": (
        "Send the buyer to `url`. The credits are added after payment, at the price in this answer. Needs a"
        " live key with the scope `credits:buy`; the sandbox sells nothing. If nothing is for sale, the answer"
        " is 409 `billing_closed`."
    ),
    "listCheckouts": "Newest first. Granted credits and all movements of the balance are in the ledger.",
    "updateAutoTopUp": (
        "Fields that are left out stay. It needs a card that a checkout with `save_card` saved; otherwise the answer is"
        " 409 `card_missing`. Turning it on agrees to the current price of the pack. The card is then charged"
        " automatically, and at once if the balance is below `threshold` already. Live mode only, with the scope"
        " `credits:buy`."
    ),
    "retrieveAutoTopUp": "`off_reason` says why it was turned off.",
    "listCreditRates": (
        "By region and time: the current rates and those to come. A region that is not listed costs one credit a"
        " segment. A message keeps the price at which it was accepted."
    ),
    "retrieveCredits": "Both modes share the balance of the workspace; only live messages change it.",
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
    "exports": ids.EXPORT,
    "tags": ids.TAG,
    "test": ids.TEST_CLOCK,
    "bulk_actions": ids.BULK_ACTION,
    "campaigns": ids.CAMPAIGN,
    "sequences": ids.SEQUENCE,
    "conversions": ids.CONVERSION,
    "order_hooks": ids.ORDER_HOOK,
    "contacts": ids.CONTACT,
    "lists": ids.CONTACT_LIST,
    "segments": ids.SEGMENT,
    "suppressions": suppressions.SUPPRESSION,
    "consent": CONSENT_EVENT,
    "webhooks": ids.WEBHOOK,
    "events": ids.EVENT,
    "inbound": ids.INBOUND,
    "keywords": ids.KEYWORD,
    "templates": ids.TEMPLATE,
    "snippets": ids.SNIPPET,
    "senders": ids.SENDER,
    "api_keys": ids.API_KEY,
    "credits": PURCHASE,
}
RESOURCE_IDS: Mapping[str, str] = {
    "Message": ids.MESSAGE,
    "TestClock": ids.TEST_CLOCK,
    "Campaign": ids.CAMPAIGN,
    "CampaignPreflight": ids.PREFLIGHT,
    "AbTestReport": ids.CAMPAIGN,
    "Contact": ids.CONTACT,
    "ContactList": ids.CONTACT_LIST,
    "ListSync": ids.LIST_SYNC,
    "Import": ids.IMPORT,
    "Export": ids.EXPORT,
    "Tag": ids.TAG,
    "BulkAction": ids.BULK_ACTION,
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
    "MessageSequence": ids.SEQUENCE,
    "SequenceStats": ids.SEQUENCE,
    "Enrollment": ids.ENROLLMENT,
    "Template": ids.TEMPLATE,
    "Snippet": ids.SNIPPET,
    "Conversion": ids.CONVERSION,
    "OrderHook": ids.ORDER_HOOK,
}
REFERENCES: Mapping[str, str] = {
    "campaign_id": ids.CAMPAIGN,
    "sequence_id": ids.SEQUENCE,
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

# What combines conditions. Components, because generators of clients go round in circles by their names alone.
COMBINATIONS: Mapping[str, Schema] = {
    f"SegmentCondition{key.title()}": {
        "type": "object",
        "title": f"SegmentCondition{key.title()}",
        "description": means,
        "properties": {key: of},
        "required": [key],
        "additionalProperties": False,
    }
    for key, means, of in (
        ("all", "All of the conditions hold.", {"type": "array", "minItems": 1, "items": FILTER}),
        ("any", "At least one of the conditions holds.", {"type": "array", "minItems": 1, "items": FILTER}),
        ("not", "The condition does not hold.", FILTER),
    )
}
# A segment's filter.
CONDITION: Schema = {
    "title": "SegmentCondition",
    "description": "A condition over contacts: a comparison of a field, a list or tag, an engagement, or a combination."
    " At most 8 levels and 50 comparisons.",
    "oneOf": [
        *({"$ref": f"#/components/schemas/{name}"} for name in COMBINATIONS),
        {
            "type": "object",
            "title": "InList",
            "properties": {"list": {"type": "string", **id_of(ids.CONTACT_LIST)}},
            "required": ["list"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "title": "HasTag",
            "properties": {"tag": {"type": "string", **tags.TAG}},
            "required": ["tag"],
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
                    f"|attributes\\..{{1,{details.MAX_ATTRIBUTE_KEY}}})$",
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
