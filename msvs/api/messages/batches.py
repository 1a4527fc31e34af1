"""Batches: send many different messages in one call, each accepted or refused by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, ClassVar, NamedTuple

from msgspec import structs

from msvs.api.contacts.contacts import make_automatic
from msvs.api.context import Context
from msvs.api.credits import caps, credits
from msvs.api.credits.caps import Spendable
from msvs.api.dispatch.enqueue import insert_batch
from msvs.api.dispatch.new_messages import NewMessage
from msvs.api.dispatch.routing import check_route, plan_for, require_carrier
from msvs.api.dispatch.senders import choose_senders
from msvs.api.errors import ApiError, ComplianceRefused, ErrorCode, InvalidRequest, PaymentRequired, Unavailable
from msvs.api.messages.bodies import Wanted, read_bodies
from msvs.api.messages.messages import (
    Draft,
    SendMessage,
    compose,
    find_recipients,
    needs_route,
    opted_out,
    read_draft,
    refusal_resource,
    wish_of,
)
from msvs.api.permissions import Permission, allow
from msvs.api.resources import (
    MessageBatchEntry,
    MessageBatchResource,
    MessageView,
    message_resource,
)
from msvs.api.text.phones import canonical
from msvs.api.unit_of_work import unit_of_work
from msvs.database import Row
from msvs.fields import Request, about
from msvs.models import Contact, MessageStatus, OptInStatus

MAX_MESSAGES = 1000
# Each further try had another call take credits, make a contact or fill a range in between.
TRIES = 20
# Other tasks of the process get their turn after this many messages: one with five links takes a millisecond.
TURN = 20


class SendBatch(Request, frozen=True):
    """Messages to send in one call."""

    # REST has the refusal of a message that cannot be read in its place.
    read_by_row: ClassVar[str] = "messages"

    messages: Annotated[
        list[SendMessage],
        about(
            f"From 1 to {MAX_MESSAGES} messages, each with the fields of a single send. Messages with the same phone"
            " or body are different messages.",
            example=[
                {"to": "+14155550123", "body": "Hey Maria, your seat is 12A."},
                {"to": "+14155550124", "body": "Hey {name}, your seat is 14C.", "variables": {"name": "Ana"}},
            ],
            minItems=1,
            maxItems=MAX_MESSAGES,
        ),
    ]


def count_of(data: SendBatch) -> int:
    """Return how many messages a batch has, as its rate limit counts them: at most those that one may have."""
    return min(max(len(data.messages), 1), MAX_MESSAGES)


Outcome = NewMessage | ApiError


class _Made(NamedTuple):
    """The messages that can be written, the refusals of the others by index, and the hour's cap of a range."""

    messages: Sequence[_Composed]
    refused: dict[int, ApiError]
    prefix_cap: int | None


class _Composed(NamedTuple):
    """A message that is about to be written; `draft` is what it is made of, `is_newcomer` if its contact is missing."""

    place: int
    draft: Draft
    message: NewMessage
    is_newcomer: bool


async def send_batch(ctx: Context, data: SendBatch) -> list[Outcome]:
    """Accept many messages as `send_message` accepts one; return each message or its refusal, in their order.

    A message is refused by itself: the others are accepted. Credits and the hour's cap of a range go to the messages
    in their order, as if they were sent one after the other. All that are due are written and paid for in one
    statement, and everything in one unit of work. Raises InvalidRequest, also where live has no carrier, and
    Unavailable.
    """
    allow(ctx, Permission.MESSAGES_SEND)
    if not 1 <= len(data.messages) <= MAX_MESSAGES:
        raise InvalidRequest(
            f"messages must have from 1 to {MAX_MESSAGES} entries.",
            param="messages",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    now = ctx.services.clock()
    require_carrier(ctx.services, ctx.livemode)
    refused: dict[int, ApiError] = {}
    drafts: dict[int, Draft] = {}
    for index, each in enumerate(await _with_bodies(ctx, data.messages)):
        if index % TURN == 0:
            await asyncio.sleep(0)
        try:
            drafts[index] = _read(ctx, each, now)
        except InvalidRequest as error:
            refused[index] = error
    spendable: Spendable | None = None
    for _ in range(TRIES):
        made = await _compose(ctx, drafts, spendable, now)
        try:
            async with unit_of_work():
                await _write(ctx, made, now)
        except _Opted as opted:
            refused |= dict.fromkeys(opted.places, opted_out())
            for place in opted.places:
                del drafts[place]
        except _Changed:
            pass
        except (PaymentRequired, ComplianceRefused):
            spendable = await caps.spendable(ctx.workspace_id, now)
        else:
            outcomes: dict[int, Outcome] = {each.place: each.message for each in made.messages}
            outcomes |= refused | made.refused
            return [outcomes[index] for index in range(len(data.messages))]
    raise Unavailable("Other calls took what this batch needs. Nothing was sent: try again.", retry_after=1)


async def _with_bodies(
    ctx: Context, messages: Sequence[SendMessage | InvalidRequest]
) -> Sequence[SendMessage | InvalidRequest]:
    """Return messages with the bodies that they ask for, or why one has none."""
    wanted: dict[int, Wanted] = {}
    for index, each in enumerate(messages):
        if index % TURN == 0:
            await asyncio.sleep(0)
        if isinstance(each, SendMessage) and not (asked := Wanted(each.body, each.template_id)).is_plain:
            wanted[index] = asked
    if not wanted:
        return messages
    filled = [*messages]
    for index, found in zip(wanted, await read_bodies(ctx, [*wanted.values()]), strict=True):
        filled[index] = _filled(filled[index], found)
    return filled


def _filled(message: SendMessage | InvalidRequest, body: str | InvalidRequest) -> SendMessage | InvalidRequest:
    if isinstance(message, InvalidRequest):
        return message
    return body if isinstance(body, InvalidRequest) else structs.replace(message, body=body, template_id=None)


def _read(ctx: Context, message: SendMessage | InvalidRequest, now: datetime) -> Draft:
    if isinstance(message, InvalidRequest):
        raise message
    return read_draft(ctx.services, message, now)


async def _compose(ctx: Context, drafts: Mapping[int, Draft], spendable: Spendable | None, now: datetime) -> _Made:
    """Make the messages of drafts, and return the refusals of the others; `spendable` is None while all is paid for."""
    refused: dict[int, ApiError] = {}
    phones = [canonical(draft.phone.e164) for draft in drafts.values()]
    found = dict(zip(drafts, await find_recipients((ctx.workspace_id, ctx.livemode), phones), strict=True))
    wishes = {}
    for index, draft in drafts.items():
        try:
            wishes[index] = wish_of(ctx, draft, found[index])
        except ApiError as error:
            refused[index] = error
    if not wishes:
        return _Made([], refused, None)
    settings = next(iter(found.values()))
    senders = dict(zip(wishes, await choose_senders(ctx, [*wishes.values()], settings.default_sender), strict=True))
    plan = await plan_for(ctx.services, ctx.workspace_id, True, now) if needs_route(ctx) else None
    cap: int | None = settings.prefix_hourly_cap
    wanted = [drafts[index].phone for index in wishes]
    room = None if cap is None else await caps.find_room(ctx, wanted, cap, now)
    composed = []
    for number, (index, sender) in enumerate(senders.items(), 1):
        if number % TURN == 0:
            await asyncio.sleep(0)
        draft, row = drafts[index], found[index]
        try:
            if isinstance(sender, ApiError):
                raise sender
            if plan is not None:
                check_route(plan, draft.phone.region, sender)
            if row.is_suppressed:
                raise opted_out()
            message = compose(ctx, draft, _addressee(draft, row), sender, row.rates, now)
            if room is not None:
                room.check(draft.phone)
            if spendable is not None and message.status == MessageStatus.QUEUED:
                if message.cost > spendable.credits:
                    raise credits.refusal_of(spendable, message.cost, now)
                spendable = spendable.less(message.cost)
        except ApiError as error:
            refused[index] = error
            continue
        if room is not None:
            room.take(draft.phone)
        composed.append(_Composed(index, draft, message, row.id is None))
    return _Made(composed, refused, cap)


def _addressee(draft: Draft, row: Row) -> Row | Contact:
    """Return the contact of a message, or one as it will be made."""
    if row.id is not None:
        return row
    return Contact(phone=draft.phone.e164, attributes={}, opt_in_status=OptInStatus.UNKNOWN)


class _Changed(Exception):
    """Another call changed what the messages were made of: they are to be made again."""


class _Opted(Exception):
    """Phones without a contact turned out to have opted out: the messages to them are refused."""

    def __init__(self, places: Sequence[int]) -> None:
        super().__init__(places)
        self.places = places


async def _write(ctx: Context, made: _Made, now: datetime) -> None:
    """Write the messages, with the contacts that they need and what they count, in the order in which singles do.

    Raises _Changed and _Opted, PaymentRequired and ComplianceRefused; the unit of work is rolled back then.
    """
    newcomers = [each for each in made.messages if each.is_newcomer]
    if newcomers:
        contacts = await make_automatic(ctx, [each.draft.phone for each in newcomers], now=now)
        opted = []
        for each in newcomers:
            contact = contacts.get(canonical(each.draft.phone.e164))
            if contact is None:
                raise _Changed
            if contact.opt_in_status == OptInStatus.OPTED_OUT:
                opted.append(each.place)
            each.message.contact_id = contact.id
        if opted:
            raise _Opted(opted)
    if not made.messages:
        return
    phones = [each.draft.phone for each in made.messages]
    if made.prefix_cap is not None and not await caps.count_messages(ctx, phones, made.prefix_cap, now):
        raise _Changed
    await insert_batch(ctx, [each.message for each in made.messages])


def batch_resource(outcomes: Sequence[MessageView | ApiError]) -> MessageBatchResource:
    """Return the public shape of the outcomes of a batch."""
    return MessageBatchResource(data=[_entry(index, each) for index, each in enumerate(outcomes)])


def _entry(index: int, outcome: MessageView | ApiError) -> MessageBatchEntry:
    if isinstance(outcome, ApiError):
        return MessageBatchEntry(index=index, error=refusal_resource(outcome))
    # What its event shows is the same, and made already.
    shown = outcome.shown if isinstance(outcome, NewMessage) else None
    return MessageBatchEntry(index=index, message=shown or message_resource(outcome))
