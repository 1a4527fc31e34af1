"""Enums: the domain's own, each value with its description."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import strawberry

from msvs.api.audit import AuditAction
from msvs.api.contacts.segments import FieldType
from msvs.api.messages.statistics import Dimension, Interval
from msvs.api.pages import Order
from msvs.api.text.opt_out_phrases import Intent
from msvs.api.text.sms import Encoding
from msvs.api.text.words import Keyword
from msvs.api.webhooks.events import EventType
from msvs.api.webhooks.member_notifications import NotificationKind
from msvs.models import (
    CampaignStatus,
    ImportStatus,
    LedgerKind,
    MessageKind,
    MessageOrigin,
    MessageStatus,
    OnUnknown,
    OptInStatus,
    PurchaseStatus,
    Role,
    SenderKind,
)


def describe(enum: type[Enum], name: str, description: str, values: Mapping[str, str]) -> None:
    """Make an enum known to the schema, its values described by name."""
    strawberry.enum(enum, name=name, description=description)
    for value in enum.__strawberry_definition__.values:  # type: ignore[attr-defined]
        value.description = values.get(value.name)


describe(
    Encoding,
    "Encoding",
    "How the characters of a message are encoded, which sets how many fit in a segment.",
    {
        "GSM7": "The GSM alphabet: 160 in one segment, else 153 each.",
        "UCS2": "Any character: 70 in one segment, else 67 each.",
    },
)
describe(
    Order,
    "ListOrder",
    "In which order a list comes.",
    {"NEWEST": "What was made last comes first.", "OLDEST": "What was made first comes first."},
)
describe(
    MessageStatus,
    "MessageStatus",
    "Where a message stands.",
    {
        "SCHEDULED": "It waits for its time.",
        "QUEUED": "It waits for a worker.",
        "SENDING": "It is being handed to the carrier.",
        "SENT": "The carrier took it.",
        "DELIVERED": "The handset has it.",
        "FAILED": "It was not delivered, for the reason in `error`.",
        "REPLIED": "The recipient answered it, so it was delivered.",
        "CANCELED": "It was canceled before it left.",
        "SKIPPED": "A campaign's recipient that was never to be sent to, for the reason in `error`.",
    },
)
describe(
    MessageKind,
    "MessageKind",
    "What brought a message about.",
    {
        "API": "It was sent by itself.",
        "CAMPAIGN": "It belongs to a campaign.",
        "AUTO": "The service answered a keyword with it.",
    },
)
describe(
    MessageOrigin,
    "MessageOrigin",
    "Where a message comes from.",
    {
        "API": "A request of yours.",
        "CAMPAIGN": "A campaign.",
        "AUTOMATIC": "The service itself: a confirmation, a welcome or a question. It costs credits like any other.",
        "DASHBOARD": "Somebody who had logged in.",
    },
)
describe(
    ImportStatus,
    "ImportStatus",
    "How far an import of contacts is.",
    {
        "UPLOADING": "Its file is still to come.",
        "QUEUED": "It waits for a worker.",
        "READING": "Its file is being read.",
        "NEEDS_MAPPING": "No column is known to hold phones: say which one does.",
        "CHECKING": "It is found out what would come of it.",
        "CHECKED": "A dry run is over; it waits to be run.",
        "RUNNING": "Contacts are being made and changed.",
        "COMPLETED": "It is done.",
        "CANCELED": "It was ended; what it had done stays.",
        "FAILED": "It could not go on; its error says why.",
        "EXPIRED": "Nobody ran it for seven days.",
        "UNDOING": "What it made is being deleted.",
        "UNDONE": "What it made is deleted.",
    },
)
describe(
    OnUnknown,
    "OnUnknown",
    "What is done where a carrier cannot be asked whether it has a message.",
    {
        "NEVER": "It is never handed over again; its delivery report alone tells.",
        "RESEND": "It is handed over once more, so that it may arrive twice.",
    },
)
describe(
    CampaignStatus,
    "CampaignStatus",
    "Where a campaign stands.",
    {
        "DRAFT": "It is being written, and waits to be launched.",
        "SCHEDULED": "It waits for its time.",
        "PREPARING": "Its audience is being resolved.",
        "SENDING": "Its messages are being sent.",
        "PAUSED": "It is held, for the reason in `pauseReason`.",
        "COMPLETED": "Every recipient is in a final state.",
        "CANCELED": "It was canceled.",
        "FAILED": "It could not be run.",
    },
)
describe(
    Interval,
    "Interval",
    "How long a point of a time series is.",
    {
        "MINUTE": "A minute.",
        "HOUR": "An hour.",
        "DAY": "A day, from midnight where the workspace is.",
        "WEEK": "A week, from Monday.",
    },
)
describe(
    Dimension,
    "DeliverabilityDimension",
    "What deliverability is told apart by.",
    {
        "CODE": "The code of what kept messages from arriving; null for those that nothing did.",
        "REGION": "The region of the contact's phone, ISO 3166-1; null once the contact is deleted.",
        "CARRIER": "The carrier that took or refused messages; null for those that never reached one.",
        "SENDER": "The sender.",
    },
)
describe(
    FieldType,
    "SegmentFieldType",
    "What the values of a field are.",
    {
        "TEXT": "Text.",
        "NUMBER": "Numbers.",
        "BOOLEAN": "True or false.",
        "DATE": "Dates, such as 2026-05-01.",
        "TIME": "Times with an offset.",
        "CHOICE": "One of a few.",
    },
)
describe(
    OptInStatus,
    "OptInStatus",
    "Where a contact's consent stands.",
    {
        "UNKNOWN": "Nothing is known of it.",
        "PENDING": "The answer to the confirmation SMS is awaited.",
        "OPTED_IN": "The person agreed to be texted.",
        "OPTED_OUT": "The person said STOP or was opted out: nothing is sent.",
    },
)
describe(
    LedgerKind,
    "LedgerKind",
    "What moved credits.",
    {
        "GRANT": "Credits were given.",
        "PURCHASE": "Credits were bought.",
        "RESERVE": "A message took credits when it was accepted.",
        "CAPTURE": "A carrier took the message, which makes its reservation final; moves nothing.",
        "RELEASE": "A message that was not handed to a carrier gave its credits back.",
        "REFUND": "A purchase was refunded, and its credits taken back as far as the balance went.",
        "DISPUTE": "The bank of who bought took the money back, and the credits went with it.",
        "RESTORE": "A refund failed or a dispute was won, and gave its credits back.",
        "DEBT": "Credits that came in paid off what a refund or a dispute had left owing.",
    },
)
describe(
    PurchaseStatus,
    "CheckoutStatus",
    "Where a purchase stands.",
    {
        "OPENING": "The page where it is paid is being opened.",
        "OPEN": "It can be paid.",
        "PENDING": "A slow payment is on its way.",
        "PAID": "It is paid, and the credits are there.",
        "EXPIRED": "Nobody paid in time.",
        "FAILED": "The payment did not go through.",
        "REVIEW": "What was paid is not what was sold; the operator looks at it.",
    },
)
describe(
    Keyword,
    "Keyword",
    "What a reply was understood as.",
    {
        "STOP": "Opt me out.",
        "START": "Opt me in again.",
        "HELP": "Who is this?",
        "CONFIRM": "Yes, to a double opt-in.",
        "JOIN": "Put me on the list whose keyword this is.",
    },
)
describe(
    Intent,
    "OptOutIntent",
    "How surely the words of a message ask for no more.",
    {
        "CERTAIN": "They cannot mean anything else.",
        "LIKELY": "They most probably do; somebody should look.",
        "UNCLEAR": "They speak of ending something; never the intent of a message that was taken in.",
    },
)
describe(
    EventType,
    "EventType",
    "What happened.",
    {
        "MESSAGE_QUEUED": "A message was accepted into the dispatch queue.",
        "MESSAGE_SENT": "A message was handed to the carrier.",
        "MESSAGE_DELIVERED": "The carrier confirmed delivery to the handset.",
        "MESSAGE_FAILED": "A message failed for good.",
        "MESSAGE_REPLIED": "A recipient replied.",
        "CONTACT_OPTED_IN": "A person opted in: YES to the question of a double opt-in, START or a keyword.",
        "CONTACT_OPTED_OUT": "A contact opted out.",
        "CAMPAIGN_DISPATCHED": "All messages of a campaign are queued.",
        "CAMPAIGN_COMPLETED": "All messages of a campaign are in a final state.",
        "CREDITS_LOW": "The balance fell below its threshold.",
        "INBOUND_RECEIVED": "Somebody sent a message.",
        "MESSAGE_CANCELED": "A message was canceled before it left.",
        "MESSAGE_SKIPPED": "A campaign skipped a recipient.",
        "CAMPAIGN_STARTED": "A campaign began to resolve its audience.",
        "CAMPAIGN_PAUSED": "A campaign was paused.",
        "CAMPAIGN_RESUMED": "A campaign goes on.",
        "CAMPAIGN_CANCELED": "A campaign was canceled.",
        "IMPORT_COMPLETED": "An import of contacts ended; its status says how.",
        "WEBHOOK_DISABLED": "A webhook was disabled because it kept failing.",
        "TEST_PING": "A test of one webhook.",
    },
)
describe(
    NotificationKind,
    "NotificationKind",
    "What a notification tells.",
    {
        "CREDITS_LOW": "The balance fell below its threshold.",
        "CAMPAIGN_COMPLETED": "All messages of a campaign are in a final state.",
        "CAMPAIGN_PAUSED": "The service paused a campaign; `reason` says why.",
        "IMPORT_ENDED": "An import of contacts ended; `reason` says how.",
        "WEBHOOK_DISABLED": "A webhook was disabled because it kept failing.",
        "SENDER_REMOVED": "The workspace lost a sender.",
        "MEMBER_JOINED": "Somebody took a place in the workspace.",
        "THREAD_ASSIGNED": "A thread of the inbox is the member's to answer.",
        "NEW_DEVICE": "Somebody logged in as the member from a device that is new.",
    },
)
describe(
    Role,
    "Role",
    "What a member of a workspace may do.",
    {
        "OWNER": "Everything, other owners included.",
        "ADMIN": "Everything but make or unmake owners.",
        "MEMBER": "Send, and change contacts, lists, segments and campaigns.",
        "READ_ONLY": "Look.",
    },
)
describe(
    AuditAction,
    "AuditAction",
    "What somebody did.",
    {
        "WORKSPACE_CREATED": "Made the workspace.",
        "WORKSPACE_UPDATED": "Changed its settings, or its sender was no longer its own.",
        "SANDBOX_UPDATED": "Changed the sandbox's own settings.",
        "SENDER_ADDED": "Gave it a sender.",
        "SENDER_CLAIMED": "Took a name as its sender.",
        "SENDER_REMOVED": "Took a sender from it.",
        "MEMBER_INVITED": "Offered somebody a place.",
        "INVITATION_REVOKED": "Ended an invitation.",
        "MEMBER_JOINED": "Took a place.",
        "MEMBER_ROLE_CHANGED": "Gave a member another role.",
        "MEMBER_REMOVED": "Took a member from the workspace.",
        "MEMBER_LEFT": "Left the workspace.",
        "PASSWORD_CHANGED": "Changed their password.",
        "EMAIL_CONFIRMED": "Confirmed their e-mail address.",
        "KEY_CREATED": "Made an API key.",
        "KEY_ROLLED": "Made an API key in place of another.",
        "KEY_REVOKED": "Ended an API key.",
        "MESSAGE_REDACTED": "Took the text out of a message.",
        "MESSAGE_DELETED": "Deleted a message for Twilio's libraries.",
        "CONTACT_ERASED": "Erased a contact.",
        "CONTACT_JOINED": "Joined contacts that were one phone's under several spellings.",
        "WEBHOOK_CREATED": "Made a webhook.",
        "WEBHOOK_UPDATED": "Changed a webhook.",
        "WEBHOOK_DELETED": "Ended a webhook.",
        "WEBHOOK_SECRET_ROTATED": "Gave a webhook a new secret.",
    },
)
describe(
    SenderKind,
    "SenderKind",
    "What a sender is to carriers.",
    {
        "LONG_CODE": "An ordinary phone number.",
        "TOLL_FREE": "A toll-free number.",
        "SHORT_CODE": "A short code of 3 to 8 digits.",
        "ALPHANUMERIC": "A name of up to 11 characters; it cannot be answered.",
    },
)
