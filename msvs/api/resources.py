"""The public shape of each resource, as answers and events carry it.

Events store these shapes for ever, so they belong to the domain; REST renders them and GraphQL reads the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec

from msvs.api import ids
from msvs.api.permissions import shown_scopes
from msvs.json_types import JSONObject
from msvs.models import rows
from msvs.models.campaigns import Audience
from msvs.models.messages import MetadataValue

UNSET = msgspec.UNSET
UnsetType = msgspec.UnsetType


class Resource(msgspec.Struct, kw_only=True):
    """Base of all public shapes."""


class ErrorDetail(Resource, kw_only=True):
    """Why a message failed, was canceled by the service or was skipped."""

    code: str
    message: str


class ReplyResource(Resource, kw_only=True):
    """What the recipient answered."""

    id: str
    body: str
    from_: str = msgspec.field(name="from")
    received_at: str


class MessageResource(Resource, kw_only=True):
    """One SMS to one phone."""

    id: str
    object: Literal["message"] = "message"
    livemode: bool
    to: str
    from_: str = msgspec.field(name="from")
    body: str
    status: str
    delivery: str | None = None
    encoding: str
    segments: int
    credits_used: int
    campaign_id: str | None = None
    contact_id: str | None = None
    metadata: dict[str, MetadataValue]
    error: ErrorDetail | None = None
    scheduled_at: str | None = None
    expires_at: str | None = None
    sent_at: str | None = None
    delivered_at: str | None = None
    failed_at: str | None = None
    canceled_at: str | None = None
    replied_at: str | None = None
    created_at: str
    reply: ReplyResource | UnsetType = UNSET


class AudienceResource(Resource, kw_only=True, omit_defaults=True):
    """Who a campaign goes to: the union of lists, a segment and single contacts."""

    list_ids: list[str] = []
    segment_id: str | None = None
    contact_ids: list[str] = []


class CampaignStats(Resource, kw_only=True):
    """How many recipients are in each state. `replied` is part of `delivered`; `opted_out` counts STOP answers."""

    recipients: int = 0
    queued: int = 0
    sending: int = 0
    sent: int = 0
    delivered: int = 0
    failed: int = 0
    skipped: int = 0
    canceled: int = 0
    replied: int = 0
    opted_out: int = 0
    credits_used: int = 0


class CampaignResource(Resource, kw_only=True):
    """One body sent to many contacts."""

    id: str
    object: Literal["campaign"] = "campaign"
    livemode: bool
    name: str
    body: str
    from_: str = msgspec.field(name="from")
    audience: AudienceResource
    status: str
    pause_reason: str | None = None
    stats: CampaignStats
    metadata: dict[str, MetadataValue]
    quiet_hours: bool
    rate_per_minute: int | None = None
    spread_hours: float | None = None
    scheduled_at: str | None = None
    expires_at: str | None = None
    dispatched_at: str | None = None
    completed_at: str | None = None
    canceled_at: str | None = None
    created_at: str


class OptInResource(Resource, kw_only=True):
    """Where a contact's consent stands, and the evidence for it."""

    status: str
    source: str | None = None
    ip: str | None = None
    at: str | None = None


class ContactResource(Resource, kw_only=True):
    """A person you send SMS to."""

    id: str
    object: Literal["contact"] = "contact"
    livemode: bool
    phone: str
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    timezone: str | None = None
    opt_in: OptInResource
    attributes: JSONObject
    created_at: str
    updated_at: str


class ContactListResource(Resource, kw_only=True):
    """A collection of contacts."""

    id: str
    object: Literal["contact_list"] = "contact_list"
    livemode: bool
    name: str
    kind: str
    contact_count: int
    created_at: str
    updated_at: str


class SegmentResource(Resource, kw_only=True):
    """A saved filter over contacts."""

    id: str
    object: Literal["segment"] = "segment"
    livemode: bool
    name: str
    filter: JSONObject
    created_at: str
    updated_at: str


class PurchaseResource(Resource, kw_only=True):
    """Credits that were added to the balance."""

    kind: str
    credits: int
    created_at: str


class WorkspaceResource(Resource, kw_only=True):
    """The settings of your workspace in this mode."""

    id: str
    object: Literal["workspace"] = "workspace"
    name: str
    default_sender: str
    double_opt_in: bool
    campaigns_admit_unknown: bool
    blocked_regions: list[str]
    enabled_regions: list[str]
    daily_credit_cap: int | None = None
    prefix_hourly_cap: int | None = None
    quiet_hours: bool
    timezone: str
    low_balance_threshold: int
    opt_in_text: str
    opt_out_text: str
    welcome_text: str
    help_text: str
    created_at: str


class CreditsResource(Resource, kw_only=True):
    """The workspace's credit balance."""

    object: Literal["credits"] = "credits"
    balance: int
    total_lifetime: int
    low_balance_threshold: int
    estimated_runway_days: int | None = None
    recent_purchases: list[PurchaseResource] = []


class WebhookResource(Resource, kw_only=True):
    """A webhook subscription. `secret` is there only in the answer that creates or rotates it."""

    id: str
    object: Literal["webhook"] = "webhook"
    livemode: bool
    url: str
    events: list[str]
    description: str
    status: str
    disabled_reason: str | None = None
    created_at: str
    secret: str | UnsetType = UNSET


class WebhookAttemptResource(Resource, kw_only=True):
    """One POST to an endpoint and what came of it."""

    id: str
    object: Literal["webhook_attempt"] = "webhook_attempt"
    webhook_id: str
    event_id: str
    number: int
    status_code: int | None = None
    error: str | None = None
    response_head: str
    elapsed_ms: int
    created_at: str


class EventResource(Resource, kw_only=True):
    """Something that happened, as webhooks deliver it."""

    id: str
    object: Literal["event"] = "event"
    type: str
    livemode: bool
    api_version: Literal["v1"] = "v1"
    created_at: str
    data: Any


class InboundMessageResource(Resource, kw_only=True):
    """A message that a recipient sent.

    `intent` says how surely its words, where they are no keyword, ask for no more: `certain` or `likely`. One that is
    likely is flagged until somebody has looked at it.
    """

    id: str
    object: Literal["inbound_message"] = "inbound_message"
    livemode: bool
    from_: str = msgspec.field(name="from")
    to: str
    body: str
    keyword: str | None = None
    intent: str | None = None
    is_flagged: bool = False
    contact_id: str | None = None
    message_id: str | None = None
    received_at: str
    read_at: str | None = None


class KeywordResource(Resource, kw_only=True):
    """A word that opts in whoever texts it, and adds them to a list. `reply` null: the workspace's welcome text."""

    id: str
    object: Literal["keyword"] = "keyword"
    livemode: bool
    word: str
    list_id: str
    reply: str | None = None
    created_at: str


class ApiKeyResource(Resource, kw_only=True):
    """An API key, with the scopes of what it may change. `key` is there only in the answer that creates or rolls it."""

    id: str
    object: Literal["api_key"] = "api_key"
    livemode: bool
    name: str
    prefix: str
    last4: str
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None
    last_used_at: str | None = None
    scopes: list[str] = []
    key: str | UnsetType = UNSET


class SenderResource(Resource, kw_only=True):
    """A sender that the workspace may use live. `regions` empty: wherever its kind of sender is taken."""

    id: str
    object: Literal["sender"] = "sender"
    value: str
    kind: Literal["long_code", "toll_free", "short_code", "alphanumeric"]
    regions: list[str]
    registration: str | None = None
    created_at: str


# Why a message failed or was not sent: code → the sentence an integrator reads.
FAILURES: Mapping[str, str] = {
    "invalid_number": "The carrier says that the number does not exist.",
    "carrier_filtered": "The carrier filtered the message as unwanted.",
    "unreachable": "The handset could not be reached.",
    "carrier_rejected": "The carrier refused the message.",
    "sender_rejected": "The carrier refused the sender.",
    "sender_not_allowed": "No sender that is the workspace's may be used for the recipient's region.",
    "no_route": "No carrier takes messages to the recipient's region from this sender.",
    "insufficient_credits": "The balance did not cover the message when it was due.",
    "recipient_opted_out": "The recipient opted out.",
    "recipient_not_opted_in": "The recipient has not opted in.",
    "recipient_deleted": "The contact was deleted before the message was due.",
    "outcome_unknown": "The carrier's answer was lost and no report came; the message was not sent again.",
    "expired": "The message was not handed over before its expires_at.",
    "region_blocked": "The number's region is blocked.",
    "region_not_enabled": "The number's region is off until the workspace enables it.",
    "daily_cap_reached": "The workspace's credits of the UTC day were used up when the message was due.",
    "number_type_blocked": "Numbers of this kind are not sent to.",
    "variable_missing": "A variable of the body has no value and no fallback.",
    "body_too_long": "The rendered body is longer than 1600 characters.",
    "body_empty": "The rendered body is blank.",
}


def moment(value: datetime) -> str:
    """A time on the wire: ISO-8601, UTC, whole seconds, `Z`."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return f"{value.isoformat(timespec='seconds')[:19]}Z"


def optional_moment(value: datetime | None) -> str | None:
    """`moment`, or None."""
    return None if value is None else moment(value)


def optional_id(prefix: str, value: UUID | None) -> str | None:
    """A public id, or None."""
    return None if value is None else ids.encode_id(prefix, value)


# The messages of a campaign all name it.
_campaign_id = lru_cache(maxsize=256)(partial(optional_id, ids.CAMPAIGN))


class MessageView(Protocol):
    """What is shown of a message: a row of `messages`, or a NewMessage that is not written yet."""

    @property
    def id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def kind(self) -> str: ...

    @property
    def campaign_id(self) -> UUID | None: ...

    @property
    def contact_id(self) -> UUID | None: ...

    @property
    def to_phone(self) -> str: ...

    @property
    def sender(self) -> str: ...

    @property
    def body(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def delivery(self) -> str | None: ...

    @property
    def encoding(self) -> str: ...

    @property
    def segments(self) -> int: ...

    @property
    def credits_used(self) -> int: ...

    @property
    def metadata(self) -> dict[str, MetadataValue]: ...

    @property
    def error_code(self) -> str | None: ...

    @property
    def due_at(self) -> datetime: ...

    @property
    def scheduled_at(self) -> datetime | None: ...

    @property
    def expires_at(self) -> datetime | None: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def sent_at(self) -> datetime | None: ...

    @property
    def delivered_at(self) -> datetime | None: ...

    @property
    def failed_at(self) -> datetime | None: ...

    @property
    def canceled_at(self) -> datetime | None: ...

    @property
    def replied_at(self) -> datetime | None: ...


def message_resource(row: MessageView, *, reply: ReplyResource | UnsetType = UNSET) -> MessageResource:
    """The shape of a message row (a model or a result row)."""
    code = row.error_code
    return MessageResource(
        id=ids.encode_id(ids.MESSAGE, row.id),
        livemode=row.livemode,
        to=row.to_phone,
        from_=row.sender,
        body=row.body,
        status=str(row.status),
        delivery=row.delivery,
        encoding=row.encoding,
        segments=row.segments,
        credits_used=row.credits_used,
        campaign_id=_campaign_id(row.campaign_id),
        contact_id=optional_id(ids.CONTACT, row.contact_id),
        metadata=row.metadata,
        error=None if code is None else ErrorDetail(code=code, message=FAILURES.get(code, code)),
        scheduled_at=optional_moment(row.scheduled_at),
        expires_at=optional_moment(row.expires_at),
        sent_at=optional_moment(row.sent_at),
        delivered_at=optional_moment(row.delivered_at),
        failed_at=optional_moment(row.failed_at),
        canceled_at=optional_moment(row.canceled_at),
        replied_at=optional_moment(row.replied_at),
        created_at=moment(row.created_at),
        reply=reply,
    )


def audience_resource(audience: Audience) -> AudienceResource:
    """The shape of a stored audience (the ids as they were given)."""
    return AudienceResource(
        list_ids=audience.get("list_ids", []),
        segment_id=audience.get("segment_id"),
        contact_ids=audience.get("contact_ids", []),
    )


def campaign_resource(row: rows.CampaignRow, stats: CampaignStats) -> CampaignResource:
    """The shape of a campaign row and its stats."""
    return CampaignResource(
        id=ids.encode_id(ids.CAMPAIGN, row.id),
        livemode=row.livemode,
        name=row.name,
        body=row.body,
        from_=row.sender,
        audience=audience_resource(row.audience),
        status=str(row.status),
        pause_reason=row.pause_reason,
        stats=stats,
        metadata=row.metadata,
        quiet_hours=row.respects_quiet_hours,
        rate_per_minute=row.rate_per_minute,
        spread_hours=row.spread_hours,
        scheduled_at=optional_moment(row.scheduled_at),
        expires_at=optional_moment(row.expires_at),
        dispatched_at=optional_moment(row.dispatched_at),
        completed_at=optional_moment(row.completed_at),
        canceled_at=optional_moment(row.canceled_at),
        created_at=moment(row.created_at),
    )


def contact_resource(row: rows.ContactRow) -> ContactResource:
    """The shape of a contact row."""
    return ContactResource(
        id=ids.encode_id(ids.CONTACT, row.id),
        livemode=row.livemode,
        phone=row.phone,
        first_name=row.first_name,
        last_name=row.last_name,
        email=row.email,
        timezone=row.timezone,
        opt_in=OptInResource(
            status=str(row.opt_in_status),
            source=row.opt_in_source,
            ip=row.opt_in_ip,
            at=optional_moment(row.opt_in_at),
        ),
        attributes=row.attributes,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )


def contact_list_resource(row: rows.ContactListRow) -> ContactListResource:
    """The shape of a contact list row."""
    return ContactListResource(
        id=ids.encode_id(ids.CONTACT_LIST, row.id),
        livemode=row.livemode,
        name=row.name,
        kind=row.kind,
        contact_count=row.contact_count,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )


def segment_resource(row: rows.SegmentRow) -> SegmentResource:
    """The shape of a segment row."""
    return SegmentResource(
        id=ids.encode_id(ids.SEGMENT, row.id),
        livemode=row.livemode,
        name=row.name,
        filter=row.conditions,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )


def workspace_resource(row: rows.WorkspaceRow, *, low_balance_threshold: int) -> WorkspaceResource:
    """The shape of a workspace row and its balance's threshold."""
    return WorkspaceResource(
        id=ids.encode_id(ids.WORKSPACE, row.id),
        name=row.name,
        default_sender=row.default_sender,
        double_opt_in=row.double_opt_in,
        campaigns_admit_unknown=row.campaigns_admit_unknown,
        blocked_regions=row.blocked_regions,
        enabled_regions=row.enabled_regions,
        daily_credit_cap=row.daily_credit_cap,
        prefix_hourly_cap=row.prefix_hourly_cap,
        quiet_hours=row.quiet_hours,
        timezone=row.timezone,
        low_balance_threshold=low_balance_threshold,
        opt_in_text=row.opt_in_text,
        opt_out_text=row.opt_out_text,
        welcome_text=row.welcome_text,
        help_text=row.help_text,
        created_at=moment(row.created_at),
    )


def webhook_resource(row: rows.WebhookEndpointRow, *, secret: str | UnsetType = UNSET) -> WebhookResource:
    """The shape of a webhook endpoint row."""
    return WebhookResource(
        id=ids.encode_id(ids.WEBHOOK, row.id),
        livemode=row.livemode,
        url=row.url,
        events=row.events,
        description=row.description,
        status="enabled" if row.enabled else "disabled",
        disabled_reason=row.disabled_reason,
        created_at=moment(row.created_at),
        secret=secret,
    )


def webhook_attempt_resource(row: rows.WebhookAttemptRow) -> WebhookAttemptResource:
    """The shape of a webhook attempt row."""
    return WebhookAttemptResource(
        id=ids.encode_id(ids.ATTEMPT, row.id),
        webhook_id=ids.encode_id(ids.WEBHOOK, row.endpoint_id),
        event_id=ids.encode_id(ids.EVENT, row.event_id),
        number=row.number,
        status_code=row.status_code,
        error=row.error,
        response_head=row.response_head,
        elapsed_ms=row.elapsed_ms,
        created_at=moment(row.created_at),
    )


def event_resource(row: rows.EventRow) -> EventResource:
    """The shape of an event row; also the payload of its webhook."""
    return EventResource(
        id=ids.encode_id(ids.EVENT, row.id),
        type=row.type,
        livemode=row.livemode,
        created_at=moment(row.created_at),
        data=msgspec.Raw(row.data.encode()),
    )


def inbound_message_resource(row: rows.InboundMessageRow) -> InboundMessageResource:
    """The shape of an inbound message row."""
    return InboundMessageResource(
        id=ids.encode_id(ids.INBOUND, row.id),
        livemode=row.livemode,
        from_=row.from_phone,
        to=row.to_sender,
        body=row.body,
        keyword=row.keyword,
        intent=row.intent,
        is_flagged=row.is_flagged,
        contact_id=optional_id(ids.CONTACT, row.contact_id),
        message_id=optional_id(ids.MESSAGE, row.message_id),
        received_at=moment(row.received_at),
        read_at=optional_moment(row.read_at),
    )


def sender_resource(row: rows.SenderRow) -> SenderResource:
    """The shape of a sender row."""
    return SenderResource(
        id=ids.encode_id(ids.SENDER, row.id),
        value=row.value,
        kind=str(row.kind),  # type: ignore[arg-type]
        regions=list(row.regions),
        registration=row.registration,
        created_at=moment(row.created_at),
    )


def keyword_resource(row: rows.KeywordRow) -> KeywordResource:
    """The shape of a keyword row."""
    return KeywordResource(
        id=ids.encode_id(ids.KEYWORD, row.id),
        livemode=row.livemode,
        word=row.word,
        list_id=ids.encode_id(ids.CONTACT_LIST, row.list_id),
        reply=row.reply,
        created_at=moment(row.created_at),
    )


def api_key_resource(row: rows.ApiKeyRow, *, key: str | UnsetType = UNSET) -> ApiKeyResource:
    """The shape of an API key row."""
    return ApiKeyResource(
        id=ids.encode_id(ids.API_KEY, row.id),
        livemode=row.livemode,
        name=row.name,
        prefix=row.prefix,
        last4=row.last4,
        created_at=moment(row.created_at),
        expires_at=optional_moment(row.expires_at),
        revoked_at=optional_moment(row.revoked_at),
        last_used_at=optional_moment(row.last_used_at),
        scopes=shown_scopes(row.scopes),
        key=key,
    )
