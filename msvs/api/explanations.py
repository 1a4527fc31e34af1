"""Explanations: why a message is as it is, from everything that was recorded of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from msvs.api import ids, quiet_hours
from msvs.api.context import Context
from msvs.api.credits import message_reference
from msvs.api.dispatching import THROTTLED
from msvs.api.events import EventType
from msvs.api.messages import get_message
from msvs.api.resources import (
    FAILURES,
    ErrorDetail,
    InboundMessageResource,
    MessageResource,
    Resource,
    inbound_message_resource,
    message_resource,
    moment,
    optional_id,
    optional_moment,
)
from msvs.api.scope import scoped
from msvs.api.sms import forcing_characters, measure, split
from msvs.api.statistics import ID_MARGIN, id_at
from msvs.database import Row, fetch_row
from msvs.models import (
    Campaign,
    ConsentEvent,
    Contact,
    InboundMessage,
    LedgerEntry,
    Message,
    MessageAttempt,
    MessageKind,
    MessageStatus,
    Suppression,
    Workspace,
)

MAX_REPLIES = 100
# An event is written in the transaction of its change: its id was made then, or moments later.
BEFORE, AFTER = timedelta(milliseconds=100), timedelta(minutes=5)

# Events have no index by resource; in the order of their ids, the search ends where the event is.
FIND_EVENT = """
SELECT id, created_at FROM events
WHERE workspace_id = $1 AND livemode = $2 AND id >= $3 AND id < $4 AND type = $5 AND resource_id = $6
ORDER BY id LIMIT 1
"""


class ConsentRecord(Resource, kw_only=True):
    """One entry of the history of a phone's consent, with its evidence."""

    status: str
    source: str | None
    ip: str | None
    actor: str
    at: str


class ConsentExplanation(Resource, kw_only=True):
    """The consent that counted: the latest `record` at `decided_at`, and the contact's status now.

    `decided_at` is the last hand-over, else the refusal, else now. No record means that consent was never recorded.
    """

    contact_id: str | None
    current_status: str | None
    decided_at: str
    record: ConsentRecord | None


class SuppressionExplanation(Resource, kw_only=True):
    """Whether the phone is suppressed now, by what, and since when."""

    suppressed: bool
    source: str | None = None
    since: str | None = None


class QuietHoursExplanation(Resource, kw_only=True):
    """Whether the recipient could be texted at `at`: every zone it may be in had to be open.

    `zone_source` is `contact` or `number`; `rule_source` names where the country's hours come from.
    """

    at: str
    zones: list[str]
    zone_source: str
    rule_source: str
    open: bool
    next_opening: str


class CharacterExplanation(Resource, kw_only=True):
    """A character that GSM-7 lacks, and its Unicode name."""

    character: str
    name: str


class EncodingExplanation(Resource, kw_only=True):
    """How the body goes on the air. `units` are septets (gsm7) or UTF-16 units (ucs2); `forced_by` made it ucs2."""

    encoding: str
    units: int
    segments: int
    parts: list[str]
    forced_by: list[CharacterExplanation]


class SenderExplanation(Resource, kw_only=True):
    """The sender and where it comes from: `given`, `workspace_default` or `campaign`.

    A sender that was given and equals the workspace's default shows as the default.
    """

    sender: str
    source: Literal["given", "workspace_default", "campaign"]


class MessageAttemptResource(Resource, kw_only=True):
    """One try to hand the message to a carrier. `outcome` is null while it lasts."""

    id: str
    number: int
    carrier: str
    outcome: str | None
    error: ErrorDetail | None
    started_at: str
    ended_at: str | None


class MessageLedgerEntry(Resource, kw_only=True):
    """One movement of credits for the message."""

    kind: str
    amount: int
    at: str


class CarrierExplanation(Resource, kw_only=True):
    """The carrier that was last tried, and its own id of the message."""

    name: str
    reference: str | None


class StateChange(Resource, kw_only=True):
    """A state and when the message came to it; `event_id` is the event that told of it, where there is one."""

    status: str
    at: str
    event_id: str | None = None
    error: ErrorDetail | None = None


class MessageExplanation(Resource, kw_only=True):
    """A message and why it is as it is.

    `encoding` is null for a recipient that was skipped before its body was rendered; `quiet_hours` is null where none
    are kept; `ledger` is empty in the sandbox.
    """

    id: str
    object: Literal["message_explanation"] = "message_explanation"
    livemode: bool
    kind: str
    message: MessageResource
    consent: ConsentExplanation
    suppression: SuppressionExplanation
    quiet_hours: QuietHoursExplanation | None
    encoding: EncodingExplanation | None
    sender: SenderExplanation
    attempts: list[MessageAttemptResource]
    ledger: list[MessageLedgerEntry]
    carrier: CarrierExplanation | None
    replies: list[InboundMessageResource]
    states: list[StateChange]


async def explain_message(ctx: Context, id: UUID, *, now: datetime | None = None) -> MessageExplanation:
    """Why a message was sent, put off, refused or failed, and each state it went through. Raises NotFound."""
    at = now or datetime.now(UTC)
    message = await get_message(ctx, id)
    attempts = await MessageAttempt.filter(message_id=id).order_by("id")
    campaign = None
    if message.campaign_id is not None:
        campaign = await scoped(ctx, Campaign).filter(id=message.campaign_id).first()
    contact = None
    if message.contact_id is not None:
        contact = await scoped(ctx, Contact).filter(id=message.contact_id).first()
    states, skipped_at = await _states(ctx, message, attempts, campaign, at)
    decided_at = _decided_at(message, attempts, skipped_at) or at
    return MessageExplanation(
        id=ids.encode_id(ids.MESSAGE, id),
        livemode=message.livemode,
        kind=message.kind.value,
        message=message_resource(message),
        consent=await _consent(ctx, message, contact, decided_at),
        suppression=await _suppression(ctx, message),
        quiet_hours=_quiet_hours(message, campaign, contact, decided_at),
        encoding=_encoding(message),
        sender=await _sender(ctx, message),
        attempts=[_attempt(number, row) for number, row in enumerate(attempts, 1)],
        ledger=await _ledger(ctx, message),
        carrier=None
        if message.carrier is None
        else CarrierExplanation(name=message.carrier, reference=message.carrier_ref),
        replies=await _replies(ctx, message),
        states=states,
    )


def _decided_at(message: Message, attempts: Sequence[MessageAttempt], skipped_at: datetime | None) -> datetime | None:
    """When consent was last asked for: at the last hand-over, else at the refusal; None where that is yet to come."""
    if message.status in (MessageStatus.CANCELED, MessageStatus.SKIPPED):
        return message.canceled_at or skipped_at or message.created_at
    if attempts:
        return attempts[-1].started_at
    return message.failed_at


async def _consent(ctx: Context, message: Message, contact: Contact | None, decided_at: datetime) -> ConsentExplanation:
    record = (
        await scoped(ctx, ConsentEvent)
        .filter(phone=message.to_phone, created_at__lte=decided_at)
        .order_by("-id")
        .first()
    )
    return ConsentExplanation(
        contact_id=optional_id(ids.CONTACT, message.contact_id),
        current_status=None if contact is None else contact.opt_in_status.value,
        decided_at=moment(decided_at),
        record=None
        if record is None
        else ConsentRecord(
            status=record.status.value,
            source=record.source,
            ip=record.ip,
            actor=record.actor,
            at=moment(record.created_at),
        ),
    )


async def _suppression(ctx: Context, message: Message) -> SuppressionExplanation:
    row = await scoped(ctx, Suppression).filter(phone=message.to_phone).first()
    if row is None:
        return SuppressionExplanation(suppressed=False)
    return SuppressionExplanation(suppressed=True, source=row.source, since=moment(row.created_at))


def _quiet_hours(
    message: Message, campaign: Campaign | None, contact: Contact | None, at: datetime
) -> QuietHoursExplanation | None:
    if campaign is None or not campaign.respects_quiet_hours:
        return None
    region, timezone = (None, None) if contact is None else (contact.region, contact.timezone)
    found = quiet_hours.explain(message.to_phone, region, timezone, at)
    return QuietHoursExplanation(
        at=moment(at),
        zones=found["zones"],
        zone_source=found["zone_source"],
        rule_source=found["rule_source"],
        open=found["open"],
        next_opening=moment(found["next_opening"]),
    )


def _encoding(message: Message) -> EncodingExplanation | None:
    if message.segments == 0:
        return None
    return EncodingExplanation(
        encoding=message.encoding,
        units=measure(message.body).units,
        segments=message.segments,
        parts=split(message.body),
        forced_by=[
            CharacterExplanation(character=character, name=unicodedata.name(character, f"U+{ord(character):04X}"))
            for character in forcing_characters(message.body)
        ],
    )


async def _sender(ctx: Context, message: Message) -> SenderExplanation:
    if message.kind is MessageKind.CAMPAIGN:
        return SenderExplanation(sender=message.sender, source="campaign")
    workspace = await Workspace.get(id=ctx.workspace_id).only("default_sender")
    is_default = message.kind is MessageKind.AUTO or message.sender == workspace.default_sender
    return SenderExplanation(sender=message.sender, source="workspace_default" if is_default else "given")


def _attempt(number: int, row: MessageAttempt) -> MessageAttemptResource:
    return MessageAttemptResource(
        id=ids.encode_id(ids.ATTEMPT, row.id),
        number=number,
        carrier=row.carrier,
        outcome=row.outcome,
        error=_error(row.error_code),
        started_at=moment(row.started_at),
        ended_at=optional_moment(row.ended_at),
    )


def _error(code: str | None) -> ErrorDetail | None:
    return None if code is None else ErrorDetail(code=code, message=FAILURES.get(code, code))


async def _ledger(ctx: Context, message: Message) -> list[MessageLedgerEntry]:
    if not ctx.livemode:
        return []
    rows = await LedgerEntry.filter(
        workspace_id=ctx.workspace_id,
        kind__in=["reserve", "capture", "release"],
        reference=message_reference(message.id),
    ).order_by("id")
    return [MessageLedgerEntry(kind=row.kind.value, amount=row.amount, at=moment(row.created_at)) for row in rows]


async def _replies(ctx: Context, message: Message) -> list[InboundMessageResource]:
    """What the recipient answered, in order; a message that says it has no answer is not searched for one."""
    if message.replied_at is None and not message.opted_out:
        return []
    rows = (
        await scoped(ctx, InboundMessage)
        .filter(message_id=message.id, id__gte=id_at(message.created_at - ID_MARGIN))
        .order_by("id")
        .limit(MAX_REPLIES)
    )
    return [inbound_message_resource(row) for row in rows]


async def _states(
    ctx: Context, message: Message, attempts: Sequence[MessageAttempt], campaign: Campaign | None, now: datetime
) -> tuple[list[StateChange], datetime | None]:
    """Every state in order, and when the message was skipped, if it was.

    Times come from the row and its attempts; the queueing of a scheduled message and the skipping of a recipient
    have no column of their own, so their events tell.
    """
    found: list[tuple[datetime, StateChange]] = []

    def add(status: MessageStatus, at: datetime, event: Row | None = None, code: str | None = None) -> None:
        event_id = None if event is None else ids.encode_id(ids.EVENT, event.id)
        found.append((at, StateChange(status=status.value, at=moment(at), event_id=event_id, error=_error(code))))

    async def event(type: EventType, at: datetime, until: datetime | None = None) -> Row | None:
        return await fetch_row(
            FIND_EVENT,
            ctx.workspace_id,
            ctx.livemode,
            id_at(at - BEFORE),
            id_at((until or at) + AFTER),
            type.value,
            message.id,
        )

    created_at, skipped_at = message.created_at, None
    if message.status is MessageStatus.SKIPPED and message.segments == 0:
        skipped_at = created_at
        add(MessageStatus.SKIPPED, created_at, await event(EventType.MESSAGE_SKIPPED, created_at), message.error_code)
        return [state for _, state in found], skipped_at
    if message.scheduled_at is not None and message.scheduled_at > created_at:
        add(MessageStatus.SCHEDULED, created_at)
        if message.scheduled_at <= now:
            until = message.canceled_at or (attempts[0].started_at if attempts else now)
            queued = await event(EventType.MESSAGE_QUEUED, message.scheduled_at, until)
            if queued is not None:
                add(MessageStatus.QUEUED, queued.created_at, queued)
    else:
        add(MessageStatus.QUEUED, created_at, await event(EventType.MESSAGE_QUEUED, created_at))
    for attempt in attempts:
        add(MessageStatus.SENDING, attempt.started_at)
        if attempt.outcome == THROTTLED and attempt.ended_at is not None and attempt.ended_at != message.failed_at:
            add(MessageStatus.QUEUED, attempt.ended_at)
    for status, type, at in (
        (MessageStatus.SENT, EventType.MESSAGE_SENT, message.sent_at),
        (MessageStatus.DELIVERED, EventType.MESSAGE_DELIVERED, message.delivered_at),
        (MessageStatus.FAILED, EventType.MESSAGE_FAILED, message.failed_at),
        (MessageStatus.CANCELED, EventType.MESSAGE_CANCELED, message.canceled_at),
        (MessageStatus.REPLIED, EventType.MESSAGE_REPLIED, message.replied_at),
    ):
        if at is not None:
            is_refusal = status in (MessageStatus.FAILED, MessageStatus.CANCELED)
            add(status, at, await event(type, at), message.error_code if is_refusal else None)
    if message.status is MessageStatus.SKIPPED:
        ended_at = None if campaign is None else campaign.completed_at or campaign.canceled_at
        skipped = await event(EventType.MESSAGE_SKIPPED, message.due_at, ended_at or now)
        skipped_at = message.due_at if skipped is None else skipped.created_at
        add(MessageStatus.SKIPPED, skipped_at, skipped, message.error_code)
    # The sort is stable: what happened in one moment stays in the order of its steps.
    found.sort(key=lambda step: step[0])
    return [state for _, state in found], skipped_at
