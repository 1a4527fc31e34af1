"""The events in openapi.yaml: description, data and example of each type."""

from __future__ import annotations

from collections.abc import Mapping

from msvs.api.resources import FAILURES
from msvs.api.webhooks.events import EventType
from msvs.fields import AT, ULID
from msvs.rest_compat.openapi_details import Schema

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
    EventType.INBOUND_RECEIVED: (
        "A person sent a message: an answer, STOP, START, a keyword, or an unprompted text. `data.message` is"
        " the message that it answers, or null."
    ),
    EventType.MESSAGE_CANCELED: "Message canceled before a carrier had it.",
    EventType.MESSAGE_SKIPPED: "A campaign skipped a recipient; `data.error` tells why.",
    EventType.MESSAGE_CLICKED: "A person followed a short link of the message for the first time; see `data.click`.",
    EventType.CAMPAIGN_STARTED: "Campaign began to dispatch.",
    EventType.CAMPAIGN_PAUSED: "Campaign paused; `data.pause_reason` tells why.",
    EventType.CAMPAIGN_RESUMED: "Campaign resumed.",
    EventType.CAMPAIGN_CANCELED: "Campaign canceled.",
    EventType.CAMPAIGN_APPROVAL_REQUESTED: "Campaign waits for the approval of a second person.",
    EventType.CAMPAIGN_APPROVED: "Campaign approved by a second person.",
    EventType.CAMPAIGN_REJECTED: "Campaign rejected; `data.approval.comment` tells why.",
    EventType.CAMPAIGN_TESTED: "All messages of the campaign's A/B test queued; the rest waits for the winner.",
    EventType.CAMPAIGN_WINNER_CHOSEN: "Winner of the campaign's A/B test chosen: `data.ab_test.winner`.",
    EventType.SEQUENCE_PUBLISHED: "Version of a sequence published: contacts enter it from now on.",
    EventType.SEQUENCE_PAUSED: "Sequence paused.",
    EventType.SEQUENCE_RESUMED: "Sequence resumed.",
    EventType.SEQUENCE_ARCHIVED: "Sequence archived: all who were inside leave.",
    EventType.SEQUENCE_ENTERED: "Contact entered a sequence.",
    EventType.SEQUENCE_COMPLETED: "Contact took the last step of a sequence.",
    EventType.SEQUENCE_LEFT: "Contact left a sequence before its end; `data.reason` tells why.",
    EventType.TEMPLATE_CREATED: "Template created.",
    EventType.TEMPLATE_UPDATED: "Template changed, archived or taken out of the archive.",
    EventType.TEMPLATE_DELETED: "Template deleted; `data` is the template as it was.",
    EventType.CONVERSION_CREATED: "Conversion recorded; `data.attributed` is the message that it is attributed to.",
    EventType.CONVERSION_REFUNDED: "Conversion refunded, all or in part; see `data.refunded_value`.",
    EventType.CONTACT_MERGED: "Contact merged into another, which is `data`; `data.merged_id` is the one that is gone.",
    EventType.CONTACT_UNREACHABLE: (
        "Messages to the contact's number failed again and again: campaigns skip it. `data.unreachable` tells why."
    ),
    EventType.CONTACT_REACHABLE: (
        "Campaigns reach the contact again: a message arrived, its number wrote, or somebody said so."
    ),
    EventType.IMPORT_COMPLETED: "Import of contacts ended; its `status` tells how.",
    EventType.BULK_ACTION_COMPLETED: "Bulk action ended; its `status` tells how. No condition names a person.",
    EventType.LIST_SYNC_COMPLETED: "Sync of a list completed, or its dry run; `data.counts` tells what came of it.",
    EventType.LIST_SYNC_FAILED: "Sync of a list failed; `data.error` tells why.",
    EventType.WEBHOOK_DISABLED: "Webhook disabled after 410 Gone, or after three days of failures only.",
    EventType.TEST_PING: "You asked for a test event.",
}

# The component that is an event's `data`, by its type, or by the first part of it.
EVENT_DATA: Mapping[str, str] = {
    **dict.fromkeys(
        (
            EventType.SEQUENCE_PUBLISHED,
            EventType.SEQUENCE_PAUSED,
            EventType.SEQUENCE_RESUMED,
            EventType.SEQUENCE_ARCHIVED,
        ),
        "MessageSequence",
    ),
    "message": "Message",
    "contact": "Contact",
    "campaign": "Campaign",
    "sequence": "Enrollment",
    "template": "Template",
    "conversion": "Conversion",
    "import": "Import",
    "bulk_action": "BulkAction",
    "list": "ListSync",
    "credits": "Credits",
    "webhook": "Webhook",
    "test": "Webhook",
    "inbound": "InboundReceived",
}


def data_of(type: str) -> str:
    """Return the component that is the `data` of the events of a type."""
    return EVENT_DATA.get(type) or EVENT_DATA[type.partition(".")[0]]


_SENT = {"status": "sent", "sent_at": AT}
_DELIVERED = {**_SENT, "status": "delivered", "delivered_at": AT}
_UNDERWAY = {"recipients": 412, "queued": 300, "sending": 12, "sent": 20, "delivered": 73, "skipped": 7}
_SENDING = {"status": "sending", "dispatched_at": AT, "stats": {**_UNDERWAY, "credits_used": 105}}

_TESTING = {"status": "sending", "stats": {"recipients": 82, "sent": 20, "delivered": 62, "credits_used": 82}}
_TEST = {
    "variants": [
        {"variant": "A", "body": "Cohort 06 closes tonight at 8pm ET.", "from": "MASSIVESMS", "share": None},
        {"variant": "B", "body": "8pm ET tonight: last seats of Cohort 06.", "from": "MASSIVESMS", "share": None},
    ],
    "test_percent": 20,
    "metric": "click",
    "test_minutes": 120,
    "tested_at": None,
    "ends_at": AT,
    "winner": None,
    "winner_chosen_at": None,
    "winner_chosen_by": None,
}

_WAITING: Schema = {
    "state": "required",
    "recipient_count": 1200,
    "requested_by": f"usr_{ULID}",
    "requested_at": AT,
    "decided_by": None,
    "decided_at": None,
    "comment": None,
}
_DECIDED = {"decided_by": f"usr_{ULID}", "decided_at": AT}

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
    EventType.MESSAGE_CLICKED: {
        **_DELIVERED,
        "body": "Cart closes tonight: https://go.cohortlabs.co/4Xb9QmT0aZk",
        "click": {"url": "https://cohortlabs.co/cart", "position": 0, "clicked_at": AT},
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
    EventType.CAMPAIGN_APPROVAL_REQUESTED: {
        "status": "paused",
        "pause_reason": "approval_required",
        "approval": _WAITING,
    },
    EventType.CAMPAIGN_APPROVED: {"status": "scheduled", "approval": {**_WAITING, "state": "approved", **_DECIDED}},
    EventType.CAMPAIGN_REJECTED: {
        "status": "paused",
        "pause_reason": "approval_required",
        "approval": {**_WAITING, "state": "rejected", **_DECIDED, "comment": "Wrong list."},
    },
    EventType.CAMPAIGN_TESTED: {**_TESTING, "ab_test": {**_TEST, "tested_at": AT}},
    EventType.CAMPAIGN_WINNER_CHOSEN: {
        **_TESTING,
        "status": "preparing",
        "ab_test": {**_TEST, "tested_at": AT, "winner": "B", "winner_chosen_at": AT, "winner_chosen_by": "time"},
    },
    EventType.SEQUENCE_PUBLISHED: {},
    EventType.SEQUENCE_PAUSED: {"status": "paused"},
    EventType.SEQUENCE_RESUMED: {},
    EventType.SEQUENCE_ARCHIVED: {"status": "archived", "archived_at": AT},
    EventType.CONVERSION_CREATED: {},
    EventType.CONVERSION_REFUNDED: {"refunded_value": 14900, "refunded_at": AT},
    EventType.SEQUENCE_ENTERED: {},
    EventType.SEQUENCE_COMPLETED: {"state": "completed", "step": None, "due_at": None, "ended_at": AT},
    EventType.SEQUENCE_LEFT: {"state": "left", "reason": "replied", "step": None, "due_at": None, "ended_at": AT},
    EventType.TEMPLATE_CREATED: {},
    EventType.TEMPLATE_UPDATED: {"archived_at": AT},
    EventType.TEMPLATE_DELETED: {},
    EventType.CONTACT_MERGED: {"merged_id": f"con_{ULID}"},
    EventType.CONTACT_UNREACHABLE: {
        "unreachable": {"at": AT, "code": "invalid_number", "message": FAILURES["invalid_number"]}
    },
    EventType.IMPORT_COMPLETED: {"status": "completed", "started_at": AT, "ended_at": AT},
    EventType.BULK_ACTION_COMPLETED: {"status": "completed", "started_at": AT, "ended_at": AT},
    EventType.LIST_SYNC_COMPLETED: {
        "status": "completed",
        "error": None,
        "started_at": AT,
        "ended_at": AT,
    },
    EventType.LIST_SYNC_FAILED: {"status": "failed", "started_at": AT, "ended_at": AT},
    EventType.CREDITS_LOW: {"balance": 940, "estimated_runway_days": 2},
    EventType.WEBHOOK_DISABLED: {"status": "disabled", "disabled_reason": "gone"},
    EventType.TEST_PING: {},
}
