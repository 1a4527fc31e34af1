"""Timelines and explanations of messages: types and queries."""

from __future__ import annotations

import asyncio
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.errors import NotFound
from msvs.api.messages import explanations
from msvs.api.messages.explanations import MessageAttemptResource
from msvs.api.resources import ErrorDetail
from msvs.api.text.sms import Encoding
from msvs.api.webhooks.events import EventType
from msvs.graphql.context import Info
from msvs.graphql.enums import describe
from msvs.graphql.fields import field
from msvs.graphql.nodes import load_node
from msvs.graphql.scalars import read_time
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import LedgerKind, MessageKind, MessageStatus, OptInStatus

if TYPE_CHECKING:
    from msvs.graphql.contacts import Contact
    from msvs.graphql.inbound import InboundMessage
    from msvs.graphql.messages import Message

T = TypeVar("T")


class TimelineKind(StrEnum):
    """The kind of an entry of a timeline."""

    STATE = "state"
    ATTEMPT_STARTED = "attempt_started"
    ATTEMPT_ENDED = "attempt_ended"
    EVENT = "event"
    REPLY = "reply"


describe(
    TimelineKind,
    "TimelineKind",
    "The kind of an entry of a message's timeline.",
    {
        "STATE": "The message reached the status in `status`.",
        "ATTEMPT_STARTED": "Handing it to the carrier began.",
        "ATTEMPT_ENDED": "Handing it to the carrier ended.",
        "EVENT": "The event in `eventId` was recorded.",
        "REPLY": "The recipient answered.",
    },
)


@strawberry.type(description="Why a message failed, was canceled by the service or was skipped.")
class MessageFailure:
    code: str = strawberry.field(description="A stable code, such as `unreachable`.")
    message: str = strawberry.field(description="The reason, in English.")


@resource_type(MessageAttemptResource, "One attempt to hand a message to a carrier.")
class MessageAttempt:
    id: ID
    number: int
    carrier: str
    outcome: str | None
    error: MessageFailure | None = strawberry.field(description="Why it failed; null if it did not.")
    started_at: datetime
    ended_at: datetime | None
    resend: bool


@resource_type(explanations.TimelineEntry, "One thing that happened to a message.")
class TimelineEntry:
    entry: strawberry.Private[explanations.TimelineEntry]
    kind: TimelineKind
    at: datetime
    status: MessageStatus | None
    attempt: MessageAttempt | None = strawberry.field(description="The attempt; null for other kinds.")
    event_id: ID | None
    event_type: EventType | None
    error: MessageFailure | None = strawberry.field(description="Why it failed; null if nothing failed.")

    @field("The reply; null for other kinds.")
    async def reply(self, info: Info) -> Annotated[InboundMessage, strawberry.lazy("msvs.graphql.inbound")] | None:
        if self.entry.reply is None:
            return None
        return cast("InboundMessage | None", await load_node(info, self.entry.reply.id, prefix=ids.INBOUND))

    @classmethod
    def from_entry(cls, entry: explanations.TimelineEntry) -> TimelineEntry:
        """Return the type of an entry."""
        return cls(
            entry=entry,
            kind=TimelineKind(entry.kind),
            at=read_time(entry.at),
            status=None if entry.status is None else MessageStatus(entry.status),
            attempt=None if entry.attempt is None else _attempt(entry.attempt),
            event_id=None if entry.event_id is None else ID(entry.event_id),
            event_type=None if entry.event_type is None else EventType(entry.event_type),
            error=_failure(entry.error),
        )


@resource_type(explanations.ConsentRecord, "One consent record of a phone, with its evidence.")
class ConsentRecord:
    status: OptInStatus
    source: str | None
    ip: str | None
    actor: str
    at: datetime


@resource_type(explanations.ConsentExplanation, "The consent that applied to a message.")
class ConsentExplanation:
    current_status: OptInStatus | None
    decided_at: datetime
    record: ConsentRecord | None = strawberry.field(
        description="The latest record at that time; null if there was none."
    )
    contact_id: strawberry.Private[str | None]

    @field("The recipient; null if the contact was deleted.")
    async def contact(self, info: Info) -> Annotated[Contact, strawberry.lazy("msvs.graphql.contacts")] | None:
        if self.contact_id is None:
            return None
        return cast("Contact | None", await load_node(info, self.contact_id, prefix=ids.CONTACT))


@resource_type(explanations.SuppressionExplanation, "Whether a phone is suppressed now.")
class SuppressionExplanation:
    suppressed: bool
    source: str | None
    since: datetime | None


@resource_type(explanations.QuietHoursExplanation, "Whether quiet hours allowed sending to the recipient at a moment.")
class QuietHoursExplanation:
    at: datetime
    zones: list[str]
    zone_source: str
    rule_source: str
    open: bool
    next_opening: datetime


@strawberry.type(description="A character that is not in GSM-7.")
class NamedCharacter:
    character: str = strawberry.field(description="The character.")
    name: str = strawberry.field(description="Its Unicode name.")


@resource_type(explanations.EncodingExplanation, "The encoding and segments of a body.")
class EncodingExplanation:
    encoding: Encoding
    units: int
    segments: int
    parts: list[str]
    forced_by: list[NamedCharacter] = strawberry.field(description="The characters that force UCS-2.")


@resource_type(explanations.SenderExplanation, "The sender, and where it was set.")
class SenderExplanation:
    sender: str
    source: str


@resource_type(explanations.MessageLedgerEntry, "One movement of credits for a message.")
class MessageLedgerEntry:
    kind: LedgerKind
    amount: int
    at: datetime


@resource_type(explanations.PriceExplanation, "The cost of a message: its segments at the rate when it was accepted.")
class PriceExplanation:
    region: str | None
    credits_per_segment: int
    segments: int
    credits: int


@resource_type(explanations.CarrierExplanation, "The carrier of the last attempt.")
class CarrierExplanation:
    name: str
    reference: str | None


@resource_type(explanations.MessageExplanation, "A message, with everything that was recorded about it.")
class MessageExplanation:
    found: strawberry.Private[explanations.MessageExplanation]
    kind: MessageKind
    consent: ConsentExplanation = strawberry.field(description="The consent that applied.")
    suppression: SuppressionExplanation = strawberry.field(description="Whether its phone is suppressed now.")
    quiet_hours: QuietHoursExplanation | None = strawberry.field(
        description="Whether quiet hours allowed sending; null if quiet hours are off."
    )
    encoding: EncodingExplanation | None = strawberry.field(
        description="The encoding; null for a recipient who was skipped before the body was rendered."
    )
    price: PriceExplanation = strawberry.field(description="The cost, at the rate when it was accepted.")
    sender: SenderExplanation = strawberry.field(description="The sender, and where it was set.")
    attempts: list[MessageAttempt] = strawberry.field(description="The attempts to hand it to a carrier.")
    ledger: list[MessageLedgerEntry] = strawberry.field(
        description="The credits charged and refunded; empty in the sandbox."
    )
    carrier: CarrierExplanation | None = strawberry.field(
        description="The carrier of the last attempt; null before the first."
    )

    @field("The message.")
    async def message(self, info: Info) -> Annotated[Message, strawberry.lazy("msvs.graphql.messages")]:
        return cast("Message", await load_node(info, self.found.id, prefix=ids.MESSAGE))

    @field("The replies of the recipient, at most 100.")
    async def replies(self, info: Info) -> list[Annotated[InboundMessage, strawberry.lazy("msvs.graphql.inbound")]]:
        found = await asyncio.gather(*(load_node(info, each.id, prefix=ids.INBOUND) for each in self.found.replies))
        return [cast("InboundMessage", each) for each in found if each is not None]


@strawberry.type
class ExplanationQuery:
    @field("Explain why a message was sent, delayed, refused or failed; null if it does not exist.")
    async def explain_message(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The message's id.")]
    ) -> MessageExplanation | None:
        message_id = ids.decode_id(ids.MESSAGE, id)
        if message_id is None:
            return None
        try:
            found = await explanations.explain_message(info.context.ctx, message_id)
        except NotFound:
            return None
        return _explanation(found)


def _explanation(found: explanations.MessageExplanation) -> MessageExplanation:
    suppression, quiet, encoding = found.suppression, found.quiet_hours, found.encoding
    return MessageExplanation(
        found=found,
        kind=MessageKind(found.kind),
        consent=_consent(found.consent),
        suppression=SuppressionExplanation(
            suppressed=suppression.suppressed, source=suppression.source, since=_time(suppression.since)
        ),
        quiet_hours=None
        if quiet is None
        else QuietHoursExplanation(
            at=read_time(quiet.at),
            zones=quiet.zones,
            zone_source=quiet.zone_source,
            rule_source=quiet.rule_source,
            open=quiet.open,
            next_opening=read_time(quiet.next_opening),
        ),
        encoding=None
        if encoding is None
        else EncodingExplanation(
            encoding=Encoding(encoding.encoding),
            units=encoding.units,
            segments=encoding.segments,
            parts=encoding.parts,
            forced_by=[NamedCharacter(character=each.character, name=each.name) for each in encoding.forced_by],
        ),
        price=from_row(PriceExplanation, found.price),
        sender=SenderExplanation(sender=found.sender.sender, source=found.sender.source),
        attempts=[_attempt(each) for each in found.attempts],
        ledger=[
            MessageLedgerEntry(kind=LedgerKind(each.kind), amount=each.amount, at=read_time(each.at))
            for each in found.ledger
        ],
        carrier=None
        if found.carrier is None
        else CarrierExplanation(name=found.carrier.name, reference=found.carrier.reference),
    )


def _consent(consent: explanations.ConsentExplanation) -> ConsentExplanation:
    record = consent.record
    return ConsentExplanation(
        current_status=None if consent.current_status is None else OptInStatus(consent.current_status),
        decided_at=read_time(consent.decided_at),
        record=None
        if record is None
        else ConsentRecord(
            status=OptInStatus(record.status),
            source=record.source,
            ip=record.ip,
            actor=record.actor,
            at=read_time(record.at),
        ),
        contact_id=consent.contact_id,
    )


def _attempt(attempt: explanations.MessageAttemptResource) -> MessageAttempt:
    return MessageAttempt(
        id=ID(attempt.id),
        number=attempt.number,
        carrier=attempt.carrier,
        outcome=attempt.outcome,
        error=_failure(attempt.error),
        started_at=read_time(attempt.started_at),
        ended_at=_time(attempt.ended_at),
        resend=attempt.resend,
    )


def _failure(error: ErrorDetail | None) -> MessageFailure | None:
    return None if error is None else MessageFailure(code=error.code, message=error.message)


def _time(text: str | None) -> datetime | None:
    return None if text is None else read_time(text)
