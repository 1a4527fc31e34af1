"""Enums of the domain, with a description of each value."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import strawberry

from msvs.api.audit import AuditAction
from msvs.api.campaigns.sequence_requests import Otherwise, Template
from msvs.api.contacts.saved_views import ViewPage
from msvs.api.contacts.segments import FieldType
from msvs.api.messages.statistics import Dimension, Interval
from msvs.api.pages import Order
from msvs.api.text.opt_out_phrases import Intent
from msvs.api.text.sms import Encoding
from msvs.api.text.words import Keyword
from msvs.api.webhooks.events import EventType
from msvs.api.webhooks.health import HealthStatus
from msvs.api.webhooks.member_notifications import NotificationKind
from msvs.models import (
    AttributedBy,
    BulkKind,
    BulkStatus,
    CampaignStatus,
    ClockStatus,
    ConversionSource,
    EnrollmentState,
    ExportKind,
    ExportStatus,
    ImportStatus,
    LeaveReason,
    LedgerKind,
    MessageKind,
    MessageOrigin,
    MessageStatus,
    OnUnknown,
    OptInStatus,
    PurchaseStatus,
    Role,
    SenderKind,
    SequenceStatus,
    SourceStatus,
    SyncStatus,
    SyncTrigger,
    TopUpOff,
)
from msvs.models.campaigns import Metric


def describe(enum: type[Enum], name: str, description: str, values: Mapping[str, str]) -> None:
    """Make an enum known to the schema, its values described by name."""
    strawberry.enum(enum, name=name, description=description)
    for value in enum.__strawberry_definition__.values:  # type: ignore[attr-defined]
        value.description = values.get(value.name)


describe(
    ClockStatus,
    "ClockStatus",
    "What a test clock does.",
    {
        "READY": "It stands, and all that is due is done.",
        "ADVANCING": "It moves on, and does what becomes due.",
        "FAILED": "Something could not be done; it can be advanced again.",
    },
)
describe(
    Encoding,
    "Encoding",
    "The character encoding of a message, which determines how many characters fit in a segment.",
    {
        "GSM7": "The GSM alphabet: 160 in one segment, else 153 each.",
        "UCS2": "Any character: 70 in one segment, else 67 each.",
    },
)
describe(
    HealthStatus,
    "WebhookHealthStatus",
    "How deliveries to a webhook go.",
    {
        "HEALTHY": "The last attempt was taken.",
        "FAILING": "The last attempt was not taken.",
        "REPLAYING": "It is sent what it missed.",
        "WAITING": "It has yet to answer an event.",
        "DISABLED": "Nothing is sent to it.",
    },
)
describe(
    Order,
    "ListOrder",
    "The order of a list.",
    {"NEWEST": "Newest first.", "OLDEST": "Oldest first."},
)
describe(
    MessageStatus,
    "MessageStatus",
    "The status of a message.",
    {
        "SCHEDULED": "Waiting for its scheduled time.",
        "QUEUED": "Waiting for a worker.",
        "SENDING": "Being handed to the carrier.",
        "SENT": "Accepted by the carrier.",
        "DELIVERED": "Received by the handset.",
        "FAILED": "Not delivered, for the reason in `error`.",
        "REPLIED": "Delivered, and answered by the recipient.",
        "CANCELED": "Canceled before it was sent.",
        "SKIPPED": "A campaign recipient that was skipped, for the reason in `error`.",
    },
)
describe(
    MessageKind,
    "MessageKind",
    "The kind of a message.",
    {
        "API": "A single message.",
        "CAMPAIGN": "A message of a campaign.",
        "AUTO": "An automatic answer of the service.",
    },
)
describe(
    MessageOrigin,
    "MessageOrigin",
    "The origin of a message.",
    {
        "API": "Sent with an API key.",
        "CAMPAIGN": "A campaign.",
        "AUTOMATIC": "The service itself: a confirmation, a welcome or a question. It costs credits like any other.",
        "DASHBOARD": "Sent by a person who was logged in.",
    },
)
describe(
    BulkKind,
    "BulkKind",
    "What a bulk action does to each contact.",
    {
        "OPT_OUT": "Opts it out: nothing more is sent to the phone.",
        "DELETE": "Deletes it. Its consent records stay.",
        "ERASE": "Erases all personal data of it, for good.",
        "TAG": "Gives it tags.",
        "UNTAG": "Takes tags from it.",
        "ADD_TO_LIST": "Puts it on a list.",
        "REMOVE_FROM_LIST": "Takes it off a list.",
    },
)
describe(
    BulkStatus,
    "BulkStatus",
    "How far a bulk action is.",
    {
        "QUEUED": "It waits for a worker.",
        "RUNNING": "Contacts are being changed.",
        "COMPLETED": "All contacts were dealt with.",
        "CANCELED": "It was ended; what it had done stays.",
        "FAILED": "It could not go on; its error says why.",
    },
)
describe(
    ExportKind,
    "ExportKind",
    "The kind of data in an export.",
    {
        "CONTACTS": "Contacts.",
        "MESSAGES": "Messages. Skipped recipients are included only with the status `skipped`.",
        "CONVERSIONS": "What contacts bought.",
        "CAMPAIGN_RESULTS": "The results of a campaign, one row for each recipient.",
        "SUPPRESSIONS": "Suppressed phones.",
        "LEDGER": "Every movement of credits.",
        "EVENTS": "Events, each with its resource.",
    },
)
describe(
    ExportStatus,
    "ExportStatus",
    "The status of an export.",
    {
        "QUEUED": "Waiting for a worker.",
        "RUNNING": "The file is being written.",
        "COMPLETED": "The file can be downloaded.",
        "CANCELED": "Canceled before the file was complete.",
        "FAILED": "Failed, for the reason in `error`.",
        "EXPIRED": "The file was deleted, after seven days or because a person in it was erased.",
    },
)
describe(
    SourceStatus,
    "SourceStatus",
    "The status of the source of a synced list.",
    {
        "CHECKING": "Its first sync, a dry run, goes on.",
        "CHECKED": "It waits for you to confirm the dry run.",
        "ACTIVE": "The list is kept in step.",
        "STOPPED": "It waits for a change, which its error names.",
    },
)
describe(
    SyncStatus,
    "SyncStatus",
    "The status of a sync of a list.",
    {
        "QUEUED": "Waiting for a worker.",
        "RUNNING": "People are being read.",
        "HELD": "Suspiciously many people would leave: confirm it, or check the service.",
        "COMPLETED": "Completed.",
        "FAILED": "Failed, for the reason in `error`.",
        "CANCELED": "Canceled by a change of its source.",
    },
)
describe(
    SyncTrigger,
    "SyncTrigger",
    "What began a sync of a list.",
    {
        "CREATED": "The list was connected: a dry run.",
        "CONFIRMED": "The dry run was confirmed.",
        "CHANGED": "The source was changed.",
        "SCHEDULE": "The schedule.",
        "MANUAL": "You asked for it.",
        "HOOK": "People were posted to the address of the list.",
    },
)
describe(
    ImportStatus,
    "ImportStatus",
    "The status of an import.",
    {
        "UPLOADING": "The file is being uploaded.",
        "QUEUED": "Waiting for a worker.",
        "READING": "The file is being read.",
        "NEEDS_MAPPING": "No column is recognized as phones: map one.",
        "CHECKING": "A dry run is checking the rows.",
        "CHECKED": "The dry run has ended; the import can be run.",
        "RUNNING": "Contacts are being created and updated.",
        "COMPLETED": "Completed.",
        "CANCELED": "Canceled; the rows imported before stay.",
        "FAILED": "Failed, for the reason in `error`.",
        "EXPIRED": "Not run for seven days.",
        "UNDOING": "Its contacts are being deleted.",
        "UNDONE": "Its contacts were deleted.",
    },
)
describe(
    OnUnknown,
    "OnUnknown",
    "What to do if a carrier cannot be asked whether it has a message.",
    {
        "NEVER": "Never send it again; wait for its delivery report.",
        "RESEND": "Send it once more, even though it may arrive twice.",
    },
)
describe(
    CampaignStatus,
    "CampaignStatus",
    "The status of a campaign.",
    {
        "DRAFT": "Not launched yet.",
        "SCHEDULED": "Waiting for its scheduled time.",
        "PREPARING": "Its recipients are being determined.",
        "SENDING": "Messages are being sent.",
        "PAUSED": "Paused, for the reason in `pauseReason`.",
        "COMPLETED": "Every message has a final status.",
        "CANCELED": "It was canceled.",
        "FAILED": "The campaign could not be sent.",
    },
)
describe(
    Interval,
    "Interval",
    "The interval of a time series.",
    {
        "MINUTE": "A minute.",
        "HOUR": "An hour.",
        "DAY": "A day, from midnight in the workspace's time zone.",
        "WEEK": "A week, from Monday.",
    },
)
describe(
    Dimension,
    "DeliverabilityDimension",
    "The dimension by which deliverability is grouped.",
    {
        "CODE": "The failure code; null for messages without one.",
        "REGION": "The region of the contact's phone, ISO 3166-1; null if the contact was deleted.",
        "CARRIER": "The carrier; null for messages that never reached one.",
        "SENDER": "The sender.",
    },
)
describe(
    FieldType,
    "SegmentFieldType",
    "The type of the values of a field.",
    {
        "TEXT": "Text.",
        "NUMBER": "Numbers.",
        "BOOLEAN": "True or false.",
        "DATE": "Dates, such as 2026-05-01.",
        "TIME": "Times with an offset.",
        "CHOICE": "One of a fixed set.",
    },
)
describe(
    OptInStatus,
    "OptInStatus",
    "The consent status of a contact.",
    {
        "UNKNOWN": "No evidence of consent.",
        "PENDING": "Asked to confirm, and has not answered.",
        "OPTED_IN": "The person agreed to receive texts.",
        "OPTED_OUT": "The person opted out: nothing is sent.",
    },
)
describe(
    LedgerKind,
    "LedgerKind",
    "The kind of a movement of credits.",
    {
        "GRANT": "Credits were granted.",
        "PURCHASE": "Credits were bought.",
        "RESERVE": "Credits were reserved for a message.",
        "CAPTURE": "A carrier accepted the message, which makes its reservation final; moves no credits.",
        "RELEASE": "The reservation of a message that was not sent was refunded.",
        "REFUND": "A purchase was refunded, and its credits were taken back as far as the balance allowed.",
        "DISPUTE": "The buyer's bank took the money back, and its credits were taken back.",
        "RESTORE": "A refund failed or a dispute was won, and the credits were given back.",
        "DEBT": "New credits paid a debt left by a refund or a dispute.",
    },
)
describe(
    PurchaseStatus,
    "CheckoutStatus",
    "The status of a purchase.",
    {
        "OPENING": "The payment page is being opened.",
        "OPEN": "It can be paid.",
        "PENDING": "A slow payment is being processed.",
        "PAID": "Paid, and the credits are in the balance.",
        "EXPIRED": "Not paid in time.",
        "FAILED": "The payment failed.",
        "REVIEW": "The payment does not match the order; the operator checks it.",
    },
)
describe(
    TopUpOff,
    "AutoTopUpOffReason",
    "Why automatic top-up is off.",
    {
        "OWNER": "A member turned it off.",
        "DECLINED": "The card was declined: two hard declines, or five of any kind, in a row.",
        "AUTHENTICATION_REQUIRED": "The bank asks for the owner of the card: buy a pack that saves it again.",
        "CARD_MISSING": "The saved card no longer exists.",
        "DISPUTE": "The bank of the buyer took money back.",
        "PACK_CHANGED": "The price of the pack rose, or the pack is no longer sold.",
        "REVIEW": "The payment does not match the order; the operator checks it.",
    },
)
describe(
    Keyword,
    "Keyword",
    "The keyword of a reply.",
    {
        "STOP": "The person opts out.",
        "START": "The person opts in again.",
        "HELP": "The person asks who is writing.",
        "CONFIRM": "The person confirms a double opt-in.",
        "JOIN": "The person joins the list of the keyword.",
    },
)
describe(
    Intent,
    "OptOutIntent",
    "How certain it is that a message asks to opt out.",
    {
        "CERTAIN": "Certain.",
        "LIKELY": "Likely; a person should read it.",
        "UNCLEAR": "Unclear; never the intent of a received message.",
    },
)
describe(
    EventType,
    "EventType",
    "The type of event.",
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
        "INBOUND_RECEIVED": "A person sent a message.",
        "MESSAGE_CANCELED": "A message was canceled before it left.",
        "MESSAGE_SKIPPED": "A campaign skipped a recipient.",
        "MESSAGE_CLICKED": "A person followed a short link of a message for the first time.",
        "CAMPAIGN_STARTED": "A campaign started.",
        "CAMPAIGN_PAUSED": "A campaign was paused.",
        "CAMPAIGN_RESUMED": "A campaign was resumed.",
        "CAMPAIGN_CANCELED": "A campaign was canceled.",
        "CAMPAIGN_APPROVAL_REQUESTED": "A campaign waits for the approval of a second person.",
        "CAMPAIGN_APPROVED": "A second person approved a campaign.",
        "CAMPAIGN_REJECTED": "A second person rejected a campaign.",
        "CAMPAIGN_TESTED": "All messages of a campaign's A/B test are queued.",
        "CAMPAIGN_WINNER_CHOSEN": "The winner of a campaign's A/B test was chosen.",
        "SEQUENCE_PUBLISHED": "A version of a sequence was published.",
        "SEQUENCE_PAUSED": "A sequence was paused.",
        "SEQUENCE_RESUMED": "A sequence was resumed.",
        "SEQUENCE_ARCHIVED": "A sequence was archived.",
        "CONVERSION_CREATED": "What a contact bought was recorded.",
        "CONVERSION_REFUNDED": "A conversion was refunded, all or in part.",
        "SEQUENCE_ENTERED": "A contact entered a sequence.",
        "SEQUENCE_COMPLETED": "A contact took the last step of a sequence.",
        "SEQUENCE_LEFT": "A contact left a sequence before its end; the reason says why.",
        "TEMPLATE_CREATED": "A template was created.",
        "TEMPLATE_UPDATED": "A template was changed, archived or taken out of the archive.",
        "TEMPLATE_DELETED": "A template was deleted.",
        "CONTACT_MERGED": "A contact was merged into another, which is the data.",
        "CONTACT_UNREACHABLE": "Messages to a contact's number failed again and again: campaigns skip it.",
        "CONTACT_REACHABLE": "Campaigns reach a contact again.",
        "IMPORT_COMPLETED": "An import of contacts ended, with the outcome in its status.",
        "BULK_ACTION_COMPLETED": "A bulk action ended, with the outcome in its status.",
        "LIST_SYNC_COMPLETED": "A sync of a list completed.",
        "LIST_SYNC_FAILED": "A sync of a list failed; its error tells why.",
        "WEBHOOK_DISABLED": "A webhook was disabled because it kept failing.",
        "TEST_PING": "A test of one webhook.",
    },
)
describe(
    Metric,
    "AbTestMetric",
    "By what the variants of a campaign are compared.",
    {
        "DELIVERY": "The messages that were delivered.",
        "CLICK": "The messages whose links were clicked.",
        "REPLY": "The messages that were replied to.",
        "CONVERSION": "The messages that a conversion is attributed to.",
    },
)
describe(
    AttributedBy,
    "AttributionType",
    "What a conversion is attributed to.",
    {
        "CLICK": "The contact's last click on a link before it.",
        "MESSAGE": "The last message delivered to the contact before it.",
    },
)
describe(
    ConversionSource,
    "ConversionSource",
    "How a conversion came in.",
    {
        "API": "By a call.",
        "SHOPIFY": "By an order in Shopify.",
        "STRIPE": "By a payment with Stripe.",
    },
)
describe(
    ViewPage,
    "ViewPage",
    "A page of the dashboard whose filters can be saved.",
    {
        "CONTACTS": "The contacts.",
        "MESSAGES": "The log of messages.",
        "CAMPAIGNS": "The campaigns, as a list or a calendar.",
    },
)
describe(
    NotificationKind,
    "NotificationKind",
    "The kind of a notification.",
    {
        "CREDITS_LOW": "The balance fell below its threshold.",
        "CAMPAIGN_COMPLETED": "All messages of a campaign are in a final state.",
        "CAMPAIGN_PAUSED": "The service paused a campaign; `reason` says why.",
        "APPROVAL_REQUESTED": "A campaign waits for the approval of a second person.",
        "APPROVAL_DECIDED": "A campaign of the member was approved or rejected; `reason` says which.",
        "IMPORT_ENDED": "An import of contacts ended; `reason` says how.",
        "LIST_SYNC_STOPPED": "A list is no longer kept in step; `reason` says why.",
        "WEBHOOK_DISABLED": "A webhook was disabled because it kept failing.",
        "SENDER_REMOVED": "The workspace lost a sender.",
        "MEMBER_JOINED": "A member joined the workspace.",
        "THREAD_ASSIGNED": "An inbox thread was assigned to the member.",
        "NEW_DEVICE": "The member's account was used on a new device.",
        "WORKSPACE_DELETING": "An owner asked to delete the workspace.",
    },
)
describe(
    Role,
    "Role",
    "The role of a member.",
    {
        "OWNER": "Everything, including other owners.",
        "ADMIN": "Everything except adding or removing owners.",
        "MEMBER": "Send messages, and change contacts, lists, segments and campaigns.",
        "READ_ONLY": "Read.",
    },
)
describe(
    AuditAction,
    "AuditAction",
    "An action in the audit log.",
    {
        "WORKSPACE_CREATED": "Created the workspace.",
        "WORKSPACE_UPDATED": "Changed its settings, or lost its default sender.",
        "SANDBOX_UPDATED": "Changed the sandbox's own settings.",
        "SENDER_ADDED": "Added a sender.",
        "SENDER_CLAIMED": "Claimed a name as a sender.",
        "SENDER_REMOVED": "Removed a sender.",
        "MEMBER_INVITED": "Invited a member.",
        "INVITATION_REVOKED": "Revoked an invitation.",
        "MEMBER_JOINED": "Accepted an invitation.",
        "MEMBER_ROLE_CHANGED": "Changed the role of a member.",
        "MEMBER_REMOVED": "Removed a member.",
        "MEMBER_LEFT": "Left the workspace.",
        "PASSWORD_CHANGED": "Changed their password.",
        "EMAIL_CONFIRMED": "Confirmed their e-mail address.",
        "KEY_CREATED": "Created an API key.",
        "EXPORT_CREATED": "Exported data.",
        "LIST_CONNECTED": "Connected a list to a service.",
        "LIST_SOURCE_UPDATED": "Changed the source of a synced list.",
        "LIST_DISCONNECTED": "Disconnected a list from its service.",
        "BULK_ACTION_CREATED": "Asked for an action on many contacts.",
        "CAMPAIGN_APPROVED": "Approved a campaign.",
        "CAMPAIGN_REJECTED": "Rejected a campaign.",
        "KEY_ROLLED": "Rolled an API key.",
        "KEY_REVOKED": "Revoked an API key.",
        "MESSAGE_REDACTED": "Redacted a message.",
        "MESSAGE_DELETED": "Deleted a message through the Twilio-compatible API.",
        "CONTACT_ERASED": "Erased a contact.",
        "CONTACT_MERGED": "Merged a contact into another.",
        "CONTACT_JOINED": "Joined contacts that had the same phone in several formats.",
        "ORDER_HOOK_CREATED": "Created an order hook.",
        "ORDER_HOOK_UPDATED": "Changed an order hook.",
        "ORDER_HOOK_DELETED": "Deleted an order hook.",
        "WEBHOOK_CREATED": "Created a webhook.",
        "WEBHOOK_UPDATED": "Changed a webhook.",
        "WEBHOOK_DELETED": "Deleted a webhook.",
        "WEBHOOK_SECRET_ROTATED": "Rotated the secret of a webhook.",
        "AUTO_TOP_UP_UPDATED": "Turned automatic top-up on or off, or changed its limits.",
    },
)
describe(
    SenderKind,
    "SenderKind",
    "The kind of a sender.",
    {
        "LONG_CODE": "An ordinary phone number.",
        "TOLL_FREE": "A toll-free number.",
        "SHORT_CODE": "A short code of 3 to 8 digits.",
        "ALPHANUMERIC": "A name of up to 11 characters, which cannot receive replies.",
    },
)
describe(
    SequenceStatus,
    "SequenceStatus",
    "The status of a sequence.",
    {
        "DRAFT": "Not published yet.",
        "ACTIVE": "Published: contacts enter, and steps are taken.",
        "PAUSED": "Held: contacts enter, and no step is taken.",
        "ARCHIVED": "Ended for good.",
    },
)
describe(
    EnrollmentState,
    "EnrollmentState",
    "The state of an enrollment.",
    {
        "ACTIVE": "The contact is inside.",
        "COMPLETED": "The contact took the last step.",
        "LEFT": "The contact left before it; the reason says why.",
    },
)
describe(
    LeaveReason,
    "LeaveReason",
    "Why a contact left a sequence before its end.",
    {
        "REPLIED": "The contact replied.",
        "OPTED_OUT": "The contact opted out.",
        "GOAL": "The contact reached the goal.",
        "CONDITION": "The contact did not meet a condition whose step says so.",
        "REMOVED": "Somebody took the contact out.",
        "ARCHIVED": "The sequence was archived.",
        "CONTACT_DELETED": "The contact was deleted.",
    },
)
describe(
    Otherwise,
    "StepOtherwise",
    "What happens at a step whose condition a contact does not meet.",
    {"SKIP": "The contact skips the step.", "LEAVE": "The contact leaves the sequence."},
)
describe(
    Template,
    "SequenceTemplate",
    "The sequences to begin with.",
    {
        "WELCOME": "Three messages to somebody who has joined.",
        "CHALLENGE": "A task a day, for five days.",
        "WEBINAR_REMINDER": "Reminders of a webinar, counted from its start.",
    },
)
