"""The tables, one file a resource."""

from msvs.models.billing import (
    AutoTopUp,
    BillingDay,
    EventState,
    ForgottenCard,
    Purchase,
    PurchaseReturn,
    PurchaseStatus,
    ReturnKind,
    StripeEvent,
    TopUpOff,
)
from msvs.models.bulk_actions import BulkAction, BulkKind, BulkStatus
from msvs.models.campaigns import Campaign, CampaignStatus
from msvs.models.carriers import (
    CARRIER_GARBLED,
    CARRIER_OPTED_OUT,
    CarrierEventKind,
    CarrierSession,
    CarrierState,
    MessagePart,
    StoredCarrierEvent,
)
from msvs.models.clocks import CarrierScript, ClockStatus, SandboxClock
from msvs.models.contacts import (
    ConsentChain,
    ConsentEvent,
    ConsentRegister,
    Contact,
    ErasedSuppression,
    OptInStatus,
    Suppression,
)
from msvs.models.conversions import AttributedBy, Conversion, ConversionSource, OrderHook
from msvs.models.credits import CreditBalance, LedgerEntry, LedgerKind
from msvs.models.events import Event
from msvs.models.exports import Export, ExportKind, ExportStatus
from msvs.models.idempotency import IdempotencyRecord
from msvs.models.imports import ContactImport, ImportStatus
from msvs.models.inbound import InboundMessage
from msvs.models.inbox import CannedAnswer, ContactNote, ThreadAssignment
from msvs.models.keys import ApiKey
from msvs.models.keywords import Keyword
from msvs.models.links import ShortLink
from msvs.models.lists import ContactList, ListMember
from msvs.models.mail import Mail, MailState
from msvs.models.messages import Message, MessageAttempt, MessageKind, MessageOrigin, MessageStatus, OnUnknown
from msvs.models.notifications import Notification
from msvs.models.operators import Operator, OperatorEntry, OperatorSession
from msvs.models.preflights import Preflight
from msvs.models.rates import CreditRate
from msvs.models.repairs import Repair
from msvs.models.requests import ApiRequest
from msvs.models.secrets import SecretKey
from msvs.models.segments import Segment
from msvs.models.senders import Route, Sender, SenderKind
from msvs.models.sequences import (
    EnrollmentState,
    LeaveReason,
    MessageSequence,
    SequenceEnrollment,
    SequenceStatus,
    SequenceVersion,
)
from msvs.models.syncs import ListSource, ListSync, SourceStatus, SyncStatus, SyncTrigger
from msvs.models.tags import Tag
from msvs.models.templates import MessageTemplate, Snippet
from msvs.models.traces import KeptTrace
from msvs.models.twilio import StatusCallback, TwilioMessage
from msvs.models.users import (
    AccountToken,
    AuditEntry,
    AuthenticationEntry,
    Invitation,
    LoginThrottle,
    Membership,
    Passkey,
    RecoveryCode,
    Role,
    Session,
    User,
)
from msvs.models.views import SavedView
from msvs.models.virtual import VirtualEvent, VirtualSubmission
from msvs.models.webhooks import DeliveryState, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from msvs.models.workspaces import Workspace

__all__ = [
    "CARRIER_GARBLED",
    "CARRIER_OPTED_OUT",
    "AccountToken",
    "ApiKey",
    "ApiRequest",
    "AttributedBy",
    "AuditEntry",
    "AuthenticationEntry",
    "AutoTopUp",
    "BillingDay",
    "BulkAction",
    "BulkKind",
    "BulkStatus",
    "Campaign",
    "CampaignStatus",
    "CannedAnswer",
    "CarrierEventKind",
    "CarrierScript",
    "CarrierSession",
    "CarrierState",
    "ClockStatus",
    "ConsentChain",
    "ConsentEvent",
    "ConsentRegister",
    "Contact",
    "ContactImport",
    "ContactList",
    "ContactNote",
    "Conversion",
    "ConversionSource",
    "CreditBalance",
    "CreditRate",
    "DeliveryState",
    "EnrollmentState",
    "ErasedSuppression",
    "Event",
    "EventState",
    "Export",
    "ExportKind",
    "ExportStatus",
    "ForgottenCard",
    "IdempotencyRecord",
    "ImportStatus",
    "InboundMessage",
    "Invitation",
    "KeptTrace",
    "Keyword",
    "LeaveReason",
    "LedgerEntry",
    "LedgerKind",
    "ListMember",
    "ListSource",
    "ListSync",
    "LoginThrottle",
    "Mail",
    "MailState",
    "Membership",
    "Message",
    "MessageAttempt",
    "MessageKind",
    "MessageOrigin",
    "MessagePart",
    "MessageSequence",
    "MessageStatus",
    "MessageTemplate",
    "Notification",
    "OnUnknown",
    "Operator",
    "OperatorEntry",
    "OperatorSession",
    "OptInStatus",
    "OrderHook",
    "Passkey",
    "Preflight",
    "Purchase",
    "PurchaseReturn",
    "PurchaseStatus",
    "RecoveryCode",
    "Repair",
    "ReturnKind",
    "Role",
    "Route",
    "SandboxClock",
    "SavedView",
    "SecretKey",
    "Segment",
    "Sender",
    "SenderKind",
    "SequenceEnrollment",
    "SequenceStatus",
    "SequenceVersion",
    "Session",
    "ShortLink",
    "Snippet",
    "SourceStatus",
    "StatusCallback",
    "StoredCarrierEvent",
    "StripeEvent",
    "Suppression",
    "SyncStatus",
    "SyncTrigger",
    "Tag",
    "ThreadAssignment",
    "TopUpOff",
    "TwilioMessage",
    "User",
    "VirtualEvent",
    "VirtualSubmission",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "Workspace",
]
