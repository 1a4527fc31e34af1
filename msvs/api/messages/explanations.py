"""Explanations and timelines: everything that was recorded about a message."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.credits.credits import message_reference
from msvs.api.dispatch.outcomes import FAULT, REFUSED, THROTTLED
from msvs.api.messages.messages import get_message
from msvs.api.messages.statistics import ID_MARGIN
from msvs.api.resources import (
    FAILURES,
    ErrorDetail,
    InboundMessageResource,
    MessageResource,
    MessageView,
    Resource,
    inbound_message_resource,
    message_resource,
    moment,
    optional_id,
    optional_moment,
)
from msvs.api.scope import scoped
from msvs.api.settings_of_mode import find_settings
from msvs.api.text import quiet_hours
from msvs.api.text.phones import canonical, region_of, spellings
from msvs.api.text.sms import forcing_characters, measure, split
from msvs.api.webhooks.events import EventType
from msvs.database import Row, fetch
from msvs.fields import AT, TEXT, ULID, about
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
)

MAX_REPLIES = 100
# An event is written in the transaction of its change: its id was made then, or moments later.
BEFORE, AFTER = timedelta(milliseconds=100), timedelta(minutes=5)

# Events have no index by resource; in the order of their ids, each search ends where its event is.
FIND_EVENTS_OF_MESSAGES = """
SELECT wanted.place, found.id, found.type, found.created_at
FROM unnest($3::int[], $4::uuid[], $5::uuid[], $6::varchar[], $7::uuid[], $8::timestamptz[])
    AS wanted (place, first_id, end_id, type, resource_id, written_at)
CROSS JOIN LATERAL (
    SELECT id, type, created_at FROM events
    WHERE workspace_id = $1 AND livemode = $2 AND id >= wanted.first_id AND id < wanted.end_id
        AND type = wanted.type AND resource_id = wanted.resource_id
        AND (wanted.written_at IS NULL OR created_at = wanted.written_at)
    ORDER BY id LIMIT 1
) AS found
"""


class ConsentRecord(Resource, kw_only=True):
    """One consent record of a phone, with its evidence."""

    status: Annotated[str, about("The new consent status.", example="opted_in")]
    source: Annotated[str, about("The source; null if not given.", example="checkout")] | None
    ip: (
        Annotated[str, about("The IP address from which consent was given; null if not given.", example="203.0.113.4")]
        | None
    )
    actor: Annotated[str, about("Who recorded it.", example=f"key_{ULID}")]
    at: Annotated[str, about("When it was recorded.")]


class ConsentExplanation(Resource, kw_only=True):
    """The consent that counted: the latest `record` at `decided_at`, and the contact's status now.

    `decided_at` is the last hand-over, else the refusal, else now. No record means that consent was never recorded.
    """

    contact_id: Annotated[str, about(example=f"con_{ULID}")] | None
    current_status: (
        Annotated[str, about("The consent status now; null if the contact was deleted.", example="opted_in")] | None
    )
    decided_at: Annotated[str, about("When consent was last checked.")]
    record: ConsentRecord | None


class SuppressionExplanation(Resource, kw_only=True):
    """Whether the phone is suppressed now, with the source and the time."""

    suppressed: Annotated[bool, about("Whether nothing is sent to it.", example=False)]
    source: Annotated[str, about("The source; null if it is not suppressed.")] | None = None
    since: Annotated[str, about("The time of suppression; null if it is not suppressed.")] | None = None


class QuietHoursExplanation(Resource, kw_only=True):
    """Whether the recipient could be texted at `at`: every zone it may be in had to be open.

    `zone_source` is `contact` or `number`; `rule_source` names where the country's hours come from.
    """

    at: Annotated[str, about("The moment.")]
    zones: Annotated[
        list[str],
        about(
            "The time zones in which the recipient may be; it must be daytime in all of them.",
            example=["America/Los_Angeles"],
        ),
    ]
    zone_source: Annotated[str, about("The source of the zones: `contact` or `number`.", example="number")]
    rule_source: Annotated[str, about("The source of the country's hours.", example="47 CFR 64.1200(c)(1)")]
    open: Annotated[bool, about("Whether sending was allowed.")]
    next_opening: Annotated[str, about("When sending is allowed next.", example=AT)]


class CharacterExplanation(Resource, kw_only=True):
    """A character that is not in GSM-7, and its Unicode name."""

    character: str
    name: Annotated[str, about("Its Unicode name.", example="LEFT SINGLE QUOTATION MARK")]


class EncodingExplanation(Resource, kw_only=True):
    """The encoding of the body. `units` are septets (gsm7) or UTF-16 units (ucs2); `forced_by` made it ucs2."""

    encoding: Annotated[str, about("The character encoding.", example="gsm7")]
    units: Annotated[int, about("Septets (GSM-7) or UTF-16 units (UCS-2).", example=64)]
    segments: Annotated[int, about("The number of segments.")]
    parts: Annotated[list[str], about("The text of each SMS.", example=[TEXT])]
    forced_by: Annotated[list[CharacterExplanation], about(example=[])]


class SenderExplanation(Resource, kw_only=True):
    """The sender and where it comes from: `given`, `workspace_default` or `campaign`.

    A sender that was given and equals the workspace's default shows as the default.
    """

    sender: Annotated[str, about("The sender.", example="MASSIVESMS")]
    source: Annotated[
        Literal["given", "workspace_default", "campaign"],
        about("`given`, `workspace_default` or `campaign`.", example="workspace_default"),
    ]


class MessageAttemptResource(Resource, kw_only=True):
    """One attempt to hand the message to a carrier. `outcome` is null while it lasts."""

    id: Annotated[str, about("The id of the attempt.")]
    number: Annotated[int, about("The number of the attempt, from 1.")]
    carrier: Annotated[str, about("The carrier.", example="virtual")]
    outcome: Annotated[str, about("The outcome; null while it lasts.", example="accepted")] | None
    error: Annotated[ErrorDetail | None, about(example=None)]
    started_at: Annotated[str, about("When it started.")]
    ended_at: Annotated[str, about("When it ended; null while it lasts.", example=AT)] | None
    resend: Annotated[
        bool,
        about("Whether it repeats an attempt with an unknown outcome.", example=False),
    ] = False


class MessageLedgerEntry(Resource, kw_only=True):
    """One movement of credits for the message."""

    kind: Annotated[str, about("The kind of movement.", example="reserve")]
    amount: Annotated[int, about("The amount: positive for additions, negative for charges.", example=-1)]
    at: Annotated[str, about("When the credits moved.")]


class PriceExplanation(Resource, kw_only=True):
    """The cost of the message: its segments at the rate of its destination when it was accepted."""

    region: Annotated[str, about("The destination, ISO 3166-1; null if unknown.", example="US")] | None
    credits_per_segment: Annotated[int, about("The credits for each segment at that time.", example=1)]
    segments: Annotated[int, about("The number of segments.")]
    credits: Annotated[int, about("The cost, in credits.", example=1)]


class CarrierExplanation(Resource, kw_only=True):
    """The carrier of the last attempt, and its id of the message."""

    name: Annotated[str, about("The name of the carrier.", example="virtual")]
    reference: Annotated[str, about("The carrier's id of the message; null if it gave none.", example="8f3a1c")] | None


class StateChange(Resource, kw_only=True):
    """A status that the message reached, with the time; `event_id` is the event that reported it, if any."""

    status: Annotated[str, about(example="queued")]
    at: str
    event_id: Annotated[str, about(example=f"evt_{ULID}")] | None = None
    error: Annotated[ErrorDetail | None, about(example=None)] = None


class MessageExplanation(Resource, kw_only=True):
    """A message, with everything that was recorded about it.

    `encoding` is null for a recipient that was skipped before its body was rendered; `quiet_hours` is null if none
    are kept; `ledger` is empty in the sandbox.
    """

    id: str
    object: Literal["message_explanation"] = "message_explanation"
    livemode: bool
    kind: Annotated[str, about("The kind of message.", example="api")]
    message: MessageResource
    consent: ConsentExplanation
    suppression: SuppressionExplanation
    quiet_hours: QuietHoursExplanation | None
    encoding: EncodingExplanation | None
    price: PriceExplanation
    sender: SenderExplanation
    attempts: list[MessageAttemptResource]
    ledger: list[MessageLedgerEntry]
    carrier: CarrierExplanation | None
    replies: Annotated[list[InboundMessageResource], about(example=[])]
    states: list[StateChange]


class TimelineEntry(Resource, kw_only=True):
    """One thing that happened to a message: a status, the start or end of an attempt, an event, or a reply.

    The fields of other kinds of entry are null.
    """

    kind: Annotated[
        Literal["state", "attempt_started", "attempt_ended", "event", "reply"],
        about("The kind of entry.", example="state"),
    ]
    at: Annotated[str, about("When it happened.")]
    status: (
        Annotated[str, about("The status; null for other kinds.", example="queued", enum=[*MessageStatus])] | None
    ) = None
    attempt: Annotated[MessageAttemptResource | None, about(example=None)] = None
    event_id: Annotated[str, about("The event's id; null for other kinds.")] | None = None
    event_type: Annotated[str, about("The type of the event; null for other kinds.")] | None = None
    reply: Annotated[InboundMessageResource | None, about(example=None)] = None
    error: Annotated[ErrorDetail | None, about(example=None)] = None


class MessageTimeline(Resource, kw_only=True):
    """Everything that happened to a message, in order."""

    id: str
    object: Literal["message_timeline"] = "message_timeline"
    livemode: bool
    entries: list[TimelineEntry]


@dataclass(slots=True)
class _Step:
    """A state that a message came to, and the event that told of it."""

    status: MessageStatus
    at: datetime
    event: Row | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class _Search:
    """An event to look for: of a message, from a moment before `at` until a while after `until`, above the id `since`.

    Without `until` it was written with the time `at` itself.
    """

    message_id: UUID
    type: EventType
    at: datetime
    until: datetime | None
    since: UUID


# What was found, by what was looked for.
_Events = Mapping[_Search, Row]


async def explain_message(ctx: Context, id: UUID, *, now: datetime | None = None) -> MessageExplanation:
    """Return why a message was sent, put off, refused or failed, and each state it went through. Raises NotFound."""
    at = now or ctx.services.clock()
    message = await get_message(ctx, id)
    attempts = await MessageAttempt.filter(message_id=id).order_by("id")
    campaign = None
    if message.campaign_id is not None:
        campaign = await scoped(ctx, Campaign).filter(id=message.campaign_id).first()
    contact = None
    if message.contact_id is not None:
        contact = await scoped(ctx, Contact).filter(id=message.contact_id).first()
    events = await _find_events(ctx, _searches(message, attempts, campaign, at))
    steps = _steps(message, attempts, campaign, events, at)
    skipped_at = next((step.at for step in steps if step.status is MessageStatus.SKIPPED), None)
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
        price=PriceExplanation(
            region=region_of(message.to_phone),
            credits_per_segment=message.price,
            segments=message.segments,
            credits=message.segments * message.price,
        ),
        sender=await _sender(ctx, message),
        attempts=[_attempt(number, row) for number, row in enumerate(attempts, 1)],
        ledger=await _ledger(ctx, message),
        carrier=None
        if message.carrier is None
        else CarrierExplanation(name=message.carrier, reference=message.carrier_ref),
        replies=await _replies(ctx, message),
        states=[_state(step) for step in steps],
    )


def _decided_at(message: Message, attempts: Sequence[MessageAttempt], skipped_at: datetime | None) -> datetime | None:
    """Return when consent was last asked for: at the last hand-over, else at the refusal, or None if that is yet to
    come.
    """
    if message.status in (MessageStatus.CANCELED, MessageStatus.SKIPPED):
        return message.canceled_at or skipped_at or message.created_at
    if attempts:
        return attempts[-1].started_at
    return message.failed_at


async def _consent(ctx: Context, message: Message, contact: Contact | None, decided_at: datetime) -> ConsentExplanation:
    record = (
        await scoped(ctx, ConsentEvent)
        .filter(phone__in=spellings(message.to_phone), created_at__lte=decided_at)
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
    row = await scoped(ctx, Suppression).filter(canonical=canonical(message.to_phone)).first()
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
    workspace = await find_settings(ctx)
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
        resend=row.is_resend,
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
    """Return what the recipient answered, in order; a message that says it has no answer is not searched for one."""
    if message.replied_at is None and not message.opted_out:
        return []
    rows = (
        await scoped(ctx, InboundMessage)
        .filter(message_id=message.id, id__gte=ids.id_since(message.created_at - ID_MARGIN, message))
        .order_by("id")
        .limit(MAX_REPLIES)
    )
    return [inbound_message_resource(row) for row in rows]


def _searches(
    message: MessageView, attempts: Sequence[MessageAttempt], campaign: Campaign | None, now: datetime
) -> list[_Search]:
    """Return the events that tell of a message's states."""

    def search(type: EventType, at: datetime, until: datetime | None = None) -> _Search:
        return _Search(message.id, type, at, until or at, ids.id_since(at - BEFORE, message))

    created_at = message.created_at
    if message.status is MessageStatus.SKIPPED and message.segments == 0:
        return [search(EventType.MESSAGE_SKIPPED, created_at)]
    found = []
    if message.scheduled_at is None or message.scheduled_at <= created_at:
        found.append(search(EventType.MESSAGE_QUEUED, created_at))
    elif message.scheduled_at <= now:
        until = message.canceled_at or (attempts[0].started_at if attempts else now)
        found.append(search(EventType.MESSAGE_QUEUED, message.scheduled_at, until))
    found += [search(type, at) for _, type, at in _dated(message) if at is not None]
    if message.status is MessageStatus.SKIPPED:
        ended_at = None if campaign is None else campaign.completed_at or campaign.canceled_at
        found.append(search(EventType.MESSAGE_SKIPPED, message.due_at, ended_at or now))
    return found


async def _find_events(ctx: Context, searches: Sequence[_Search]) -> _Events:
    rows = await fetch(
        FIND_EVENTS_OF_MESSAGES,
        ctx.workspace_id,
        ctx.livemode,
        list(range(len(searches))),
        [search.since for search in searches],
        [ids.id_at(search.until or search.at, after=AFTER) for search in searches],
        [search.type.value for search in searches],
        [search.message_id for search in searches],
        [search.at if search.until is None else None for search in searches],
    )
    return {searches[row.place]: row for row in rows}


def _dated(message: MessageView) -> tuple[tuple[MessageStatus, EventType, datetime | None], ...]:
    return (
        (MessageStatus.SENT, EventType.MESSAGE_SENT, message.sent_at),
        (MessageStatus.DELIVERED, EventType.MESSAGE_DELIVERED, message.delivered_at),
        (MessageStatus.FAILED, EventType.MESSAGE_FAILED, message.failed_at),
        (MessageStatus.CANCELED, EventType.MESSAGE_CANCELED, message.canceled_at),
        (MessageStatus.REPLIED, EventType.MESSAGE_REPLIED, message.replied_at),
    )


def _steps(
    message: MessageView,
    attempts: Sequence[MessageAttempt],
    campaign: Campaign | None,
    events: _Events,
    now: datetime,
) -> list[_Step]:
    """Return every state in order.

    Times come from the row and its attempts; the queueing of a scheduled message and the skipping of a recipient
    have no column of their own, so their events tell.
    """
    told = {
        search.type: events.get(search)
        for search in _searches(message, attempts, campaign, now)
        if search.message_id == message.id
    }
    queued, skipped = told.get(EventType.MESSAGE_QUEUED), told.get(EventType.MESSAGE_SKIPPED)
    if message.status is MessageStatus.SKIPPED and message.segments == 0:
        return [_Step(MessageStatus.SKIPPED, message.created_at, skipped, message.error_code)]
    steps = []
    if message.scheduled_at is not None and message.scheduled_at > message.created_at:
        steps.append(_Step(MessageStatus.SCHEDULED, message.created_at))
        if queued is not None:
            steps.append(_Step(MessageStatus.QUEUED, queued.created_at, queued))
    else:
        steps.append(_Step(MessageStatus.QUEUED, message.created_at, queued))
    for attempt in attempts:
        steps.append(_Step(MessageStatus.SENDING, attempt.started_at))
        # Throttled, or refused by one carrier and passed on to the next; a resend leaves the message in doubt.
        is_over = attempt.ended_at is None or attempt.ended_at == message.failed_at
        is_over = is_over or attempt.is_resend
        if attempt.ended_at is not None and not is_over and attempt.outcome in (THROTTLED, FAULT, REFUSED):
            steps.append(_Step(MessageStatus.QUEUED, attempt.ended_at))
    for status, type, at in _dated(message):
        if at is not None:
            is_refusal = status in (MessageStatus.FAILED, MessageStatus.CANCELED)
            steps.append(_Step(status, at, told.get(type), message.error_code if is_refusal else None))
    if message.status is MessageStatus.SKIPPED:
        at = message.due_at if skipped is None else skipped.created_at
        steps.append(_Step(MessageStatus.SKIPPED, at, skipped, message.error_code))
    # The sort is stable: what happened in one moment stays in the order of its steps.
    return sorted(steps, key=lambda step: step.at)


def _state(step: _Step) -> StateChange:
    return StateChange(
        status=step.status.value,
        at=moment(step.at),
        event_id=None if step.event is None else ids.encode_id(ids.EVENT, step.event.id),
        error=_error(step.code),
    )


async def get_timeline(ctx: Context, id: UUID) -> MessageTimeline:
    """Return every state, attempt, event and reply of a message, in order. Raises NotFound."""
    message = await get_message(ctx, id)
    found = await message_timelines(ctx, [message])
    return MessageTimeline(id=ids.encode_id(ids.MESSAGE, id), livemode=message.livemode, entries=found[id])


async def message_timelines(ctx: Context, messages: Sequence[MessageView]) -> dict[UUID, list[TimelineEntry]]:
    """Return the timelines of the caller's messages, by id, in a fixed number of statements."""
    now = ctx.services.clock()
    known = [message.id for message in messages]
    attempts: dict[UUID, list[MessageAttempt]] = {id: [] for id in known}
    for attempt in await MessageAttempt.filter(message_id__in=known).order_by("id"):
        attempts[attempt.message_id].append(attempt)
    replies: dict[UUID, list[InboundMessage]] = {id: [] for id in known}
    for reply in await scoped(ctx, InboundMessage).filter(message_id__in=known).order_by("id"):
        assert reply.message_id is not None
        replies[reply.message_id].append(reply)
    wanted = {row.campaign_id for row in messages if row.status == MessageStatus.SKIPPED and row.campaign_id}
    campaigns: dict[UUID | None, Campaign] = (
        {row.id: row for row in await scoped(ctx, Campaign).filter(id__in=wanted)} if wanted else {}
    )
    searches = []
    for message in messages:
        campaign = campaigns.get(message.campaign_id)
        searches += _searches(message, attempts[message.id], campaign, now)
        searches += [
            _Search(
                message.id,
                EventType.MESSAGE_REPLIED,
                reply.received_at,
                None,
                ids.id_since(reply.received_at - BEFORE, message),
            )
            for reply in replies[message.id]
        ]
    events = await _find_events(ctx, searches)
    return {
        message.id: _timeline(
            _steps(message, attempts[message.id], campaigns.get(message.campaign_id), events, now),
            attempts[message.id],
            replies[message.id],
            [row for search, row in events.items() if search.message_id == message.id],
        )
        for message in messages
    }


def _timeline(
    steps: Sequence[_Step],
    attempts: Sequence[MessageAttempt],
    replies: Sequence[InboundMessage],
    events: Sequence[Row],
) -> list[TimelineEntry]:
    # In one moment: an attempt begins, a state is come to, the attempt ends, a reply arrives, an event tells.
    found: list[tuple[datetime, int, TimelineEntry]] = []
    for number, row in enumerate(attempts, 1):
        attempt = _attempt(number, row)
        found.append((row.started_at, 0, TimelineEntry(kind="attempt_started", at=attempt.started_at, attempt=attempt)))
        if row.ended_at is not None:
            entry = TimelineEntry(kind="attempt_ended", at=moment(row.ended_at), attempt=attempt, error=attempt.error)
            found.append((row.ended_at, 2, entry))
    for step in steps:
        entry = TimelineEntry(kind="state", at=moment(step.at), status=step.status.value, error=_error(step.code))
        found.append((step.at, 1, entry))
    for reply in replies:
        entry = TimelineEntry(kind="reply", at=moment(reply.received_at), reply=inbound_message_resource(reply))
        found.append((reply.received_at, 3, entry))
    for event in {row.id: row for row in events}.values():
        entry = TimelineEntry(
            kind="event",
            at=moment(event.created_at),
            event_id=ids.encode_id(ids.EVENT, event.id),
            event_type=event.type,
        )
        found.append((event.created_at, 4, entry))
    return [entry for _, _, entry in sorted(found, key=lambda each: each[:2])]
