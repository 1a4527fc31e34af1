"""Conversions: record what contacts buy, attribute it to a message, and record refunds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, cast
from uuid import UUID

from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.contacts.details import read_name
from msvs.api.context import Context
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, NotFound
from msvs.api.messages.conversion_shapes import (
    MAX_AMOUNT,
    MAX_ORDER_ID,
    ConversionTotals,
    CreateConversion,
    CurrencyTotal,
    ListConversions,
    RefundConversion,
    TotalConversions,
    conversion_resource,
)
from msvs.api.messages.messages import MAX_AHEAD
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import moment
from msvs.api.scope import find, scoped
from msvs.api.settings_of_mode import find_settings
from msvs.api.text.currencies import read_currency
from msvs.api.text.emails import read_email
from msvs.api.text.phones import canonical, parse_phone
from msvs.api.text.rendering import check_metadata
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import encode_json, fetch, fetch_row
from msvs.fields import FIRST, LAST
from msvs.json_types import JSON
from msvs.models import Conversion, ConversionSource, rows
from msvs.models.messages import MetadataValue

NOUN = "conversion"
# How far the clock of another system may be ahead.
MAX_SKEW = timedelta(minutes=5)
# How many contacts with one e-mail address are looked at, the newest first.
MAX_SAME_EMAIL = 10
TOTALLED = timedelta(days=30)
MAX_TOTALLED = timedelta(days=366)
WAYS = ("contact_id", "phone", "email", "external_id")

# Held until the conversion is recorded: an erasure or a merge comes before or after it, and of two conversions of one
# message the later finds the earlier.
HOLD_BUYERS = """
SELECT id FROM contacts WHERE workspace_id = $1 AND livemode = $2 AND id = ANY (ARRAY(
    SELECT id FROM contacts WHERE workspace_id = $1 AND livemode = $2 AND {condition} ORDER BY id DESC LIMIT $4
)) ORDER BY id FOR NO KEY UPDATE
"""
FOUND_BY: Mapping[str, str] = {
    "contact_id": "id = $3",
    "phone": "canonical = $3",
    "email": "lower(email) = $3",
    "external_id": "external_id = $3",
}
# The last click before it, or else the last delivery: of each contact by an index alone. Of a link that was clicked
# afterwards too, the first click is known. No message is older than the times by a year and more, as none is scheduled
# further ahead.
ATTRIBUTE = """
SELECT found.*, campaigns.sequence_id, step.key AS sequence_step FROM (
    SELECT person.id AS contact_id, last.* FROM unnest($3::uuid[]) AS person (id) CROSS JOIN LATERAL (
        (
            SELECT 'click' AS attributed_by,
                CASE WHEN last_clicked_at <= $6 THEN last_clicked_at ELSE first_clicked_at END AS attributed_at,
                message_id, campaign_id, variant
            FROM short_links
            WHERE contact_id = person.id AND clicks > 0 AND last_clicked_at >= $4
                AND workspace_id = $1 AND livemode = $2
                AND CASE WHEN last_clicked_at <= $6 THEN last_clicked_at ELSE first_clicked_at END BETWEEN $4 AND $6
            ORDER BY 2 DESC, message_id DESC LIMIT 1
        )
        UNION ALL
        (
            SELECT 'message', delivered_at, id, campaign_id, variant FROM messages
            WHERE contact_id = person.id AND id >= $7 AND id < $8 AND workspace_id = $1 AND livemode = $2
                AND delivered_at BETWEEN $5 AND $6 AND kind <> 'auto'
            ORDER BY delivered_at DESC, id DESC LIMIT 1
        )
    ) AS last
    ORDER BY attributed_by, attributed_at DESC, contact_id DESC LIMIT 1
) AS found
LEFT JOIN campaigns ON campaigns.id = found.campaign_id
LEFT JOIN LATERAL (
    SELECT version.definition -> 'steps' -> (made.place - 1)::int ->> 'key' AS key
    FROM sequence_versions AS version,
        jsonb_array_elements_text(version.campaign_ids) WITH ORDINALITY AS made (id, place)
    WHERE version.sequence_id = campaigns.sequence_id AND made.id = found.campaign_id::text LIMIT 1
) AS step ON true
"""
RECORD = """
INSERT INTO conversions (id, workspace_id, livemode, order_id, contact_id, value, currency, source, metadata,
    occurred_at, created_at, attributed_by, attributed_at, message_id, campaign_id, variant, sequence_id,
    sequence_step)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11, $12, $13, $14, $15, $16, $17, $18)
ON CONFLICT (workspace_id, livemode, order_id) DO NOTHING RETURNING *
"""
REFUND = """
UPDATE conversions SET refunded_value = $4, refunded_at = $5
WHERE workspace_id = $1 AND livemode = $2 AND id = $3 AND refunded_value < $4 RETURNING *
"""
SUM_CONVERSIONS = """
SELECT currency, count(*) AS conversions, sum(value)::bigint AS gross, sum(refunded_value)::bigint AS refunded,
    count(attributed_by) AS attributed,
    coalesce(sum(value - refunded_value) FILTER (WHERE attributed_by IS NOT NULL), 0)::bigint AS attributed_net
FROM conversions WHERE workspace_id = $1 AND livemode = $2 AND occurred_at >= $3 AND occurred_at < $4
GROUP BY currency ORDER BY currency
"""


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it was read: `by` says how its contact is found, and `found` by which value."""

    by: str
    found: object
    order_id: str
    value: int
    currency: str
    occurred_at: datetime | None = None
    metadata: Mapping[str, MetadataValue] | None = None
    refunded_value: int = 0
    source: ConversionSource = ConversionSource.API


class _Id(Protocol):
    id: UUID


class _Attribution(Protocol):
    contact_id: UUID
    attributed_by: str
    attributed_at: datetime
    message_id: UUID
    campaign_id: UUID | None
    variant: int | None
    sequence_id: UUID | None
    sequence_step: str | None


class _Total(Protocol):
    currency: str
    conversions: int
    gross: int
    refunded: int
    attributed: int
    attributed_net: int


async def create_conversion(ctx: Context, data: CreateConversion) -> rows.ConversionRow:
    """Record what a contact bought, and attribute it to the contact's last click or message before it.

    An order is recorded once: the same again returns what is there. Raises InvalidRequest, NotFound where there is no
    such contact, and Conflict `conversion_exists` where the order was recorded otherwise.
    """
    allow(ctx, Permission.CONVERSIONS_WRITE)
    order = _read(ctx, data)
    recorded = await record_order(ctx, order)
    if not recorded.is_same:
        raise Conflict(
            "The order was recorded otherwise.",
            code=ErrorCode.CONVERSION_EXISTS,
            param="order_id",
            existing_id=ids.encode_id(ids.CONVERSION, recorded.row.id),
        )
    return recorded.row


def _read(ctx: Context, data: CreateConversion) -> Order:
    given = {name: _read_contact(name, text) for name in WAYS if (text := getattr(data, name)) is not None}
    message = f"Name the contact in one way: {', '.join(WAYS)}."
    if not given:
        raise InvalidRequest(message, param="contact_id", code=ErrorCode.PARAMETER_MISSING)
    if len(given) > 1:
        raise InvalidRequest(message, param=next(iter(given)))
    ((by, found),) = given.items()
    order_id = read_name(data.order_id.strip(), param="order_id", maximum=MAX_ORDER_ID)
    if not 0 <= data.value <= MAX_AMOUNT:
        raise _out_of_range("value", f"must be from 0 to {MAX_AMOUNT}")
    if data.occurred_at is not None and data.occurred_at > ctx.services.clock() + MAX_SKEW:
        raise _out_of_range("occurred_at", "must not lie in the future")
    return Order(
        by,
        found,
        order_id,
        data.value,
        read_currency(data.currency, "currency"),
        data.occurred_at,
        None if data.metadata is None else check_metadata(cast("Mapping[str, JSON]", data.metadata)),
    )


def _read_contact(by: str, text: str) -> object:
    match by:
        case "contact_id":
            return ids.read_id(ids.CONTACT, text, by)
        case "phone":
            return canonical(parse_phone(text.strip(), param=by).e164)
        case "email":
            return read_email(text.strip()).lower()
    return read_name(text.strip(), param=by)


def _out_of_range(param: str, rule: str) -> InvalidRequest:
    return InvalidRequest(f"{param} {rule}.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The row of an order, whether it is new, and whether it says what the order says."""

    row: rows.ConversionRow
    is_new: bool
    is_same: bool


async def record_order(ctx: Context, order: Order) -> Recorded:
    """Record an order in the current unit of work, unless it was recorded.

    Raises NotFound for no contact, and InvalidRequest for a time at the start of the calendar: the database's driver
    writes that one as minus infinity.
    """
    if order.occurred_at is not None and order.occurred_at <= FIRST:
        raise _out_of_range("occurred_at", "lies too far in the past")
    scope = (ctx.workspace_id, ctx.livemode)
    held = await fetch(_Id, HOLD_BUYERS.format(condition=FOUND_BY[order.by]), *scope, order.found, MAX_SAME_EMAIL)
    if not held:
        raise NotFound("No such contact.", param=order.by)
    contact_ids = [row.id for row in held]
    now = ctx.services.clock()
    occurred_at = min(order.occurred_at or now, now)
    to = await _attribute(ctx, contact_ids, occurred_at)
    row = await fetch_row(
        rows.ConversionRow,
        RECORD,
        ids.new_id(),
        *scope,
        order.order_id,
        contact_ids[-1] if to is None else to.contact_id,
        order.value,
        order.currency,
        order.source.value,
        encode_json(dict(order.metadata or {})),
        occurred_at,
        now,
        *([None] * 7 if to is None else _columns(to)),
    )
    if row is None:
        # It was recorded by another call, which has committed by now.
        there = await scoped(ctx, Conversion).get(order_id=order.order_id)
        return Recorded(there, is_new=False, is_same=there.contact_id in contact_ids and _is_same(there, order))
    await _record_event(EventType.CONVERSION_CREATED, row, now)
    return Recorded(row, is_new=True, is_same=True)


def _columns(to: _Attribution) -> Sequence[object]:
    return (
        to.attributed_by,
        to.attributed_at,
        to.message_id,
        to.campaign_id,
        to.variant,
        to.sequence_id,
        to.sequence_step,
    )


async def _attribute(ctx: Context, contact_ids: Sequence[UUID], occurred_at: datetime) -> _Attribution | None:
    settings = await find_settings(ctx)
    # A window of 0 hours has no time in it.
    clicked_from, delivered_from = (
        _earlier(occurred_at, timedelta(hours=hours)) if hours else LAST
        for hours in (settings.click_window_hours, settings.message_window_hours)
    )
    if clicked_from == delivered_from == LAST:
        return None
    oldest = _earlier(occurred_at, timedelta(hours=settings.message_window_hours) + MAX_AHEAD)
    return await fetch_row(
        _Attribution,
        ATTRIBUTE,
        ctx.workspace_id,
        ctx.livemode,
        list(contact_ids),
        clicked_from,
        delivered_from,
        occurred_at,
        ids.id_before(oldest),
        ids.id_after(occurred_at),
    )


def _earlier(time: datetime, by: timedelta) -> datetime:
    """Return the time that lies so much earlier, or the first of the calendar."""
    return time - by if time - FIRST > by else FIRST


def _is_same(row: rows.ConversionRow, order: Order) -> bool:
    """Return whether an order says what is recorded; of its time and metadata, where it says anything."""
    return (
        (row.value, row.currency) == (order.value, order.currency)
        and order.occurred_at in (None, row.occurred_at)
        and (order.metadata is None or order.metadata == row.metadata)
    )


async def refund_conversion(ctx: Context, id: UUID, data: RefundConversion) -> rows.ConversionRow:
    """Record how much of a conversion was refunded so far. An amount below the one recorded changes nothing.

    Raises NotFound and InvalidRequest.
    """
    allow(ctx, Permission.CONVERSIONS_WRITE)
    row = await get_conversion(ctx, id)
    refunded = row.value if data.refunded_value is None else data.refunded_value
    if not 0 <= refunded <= row.value:
        raise _out_of_range("refunded_value", f"must be from 0 to the value of the conversion, {row.value}")
    return await refund_to(ctx, row, refunded) or await get_conversion(ctx, id)


async def refund_to(ctx: Context, row: rows.ConversionRow, refunded: int) -> rows.ConversionRow | None:
    """Raise what was refunded of a conversion to an amount; None where as much was recorded before."""
    now = ctx.services.clock()
    scope = (ctx.workspace_id, ctx.livemode)
    found = await fetch_row(rows.ConversionRow, REFUND, *scope, row.id, min(refunded, row.value), now)
    if found is not None:
        await _record_event(EventType.CONVERSION_REFUNDED, found, now)
    return found


async def _record_event(type: EventType, row: rows.ConversionRow, now: datetime) -> None:
    """Record an event; it is the contact's, so that its record and erasure find it."""
    data = conversion_resource(row)
    await record_events([NewEvent(type, row.workspace_id, row.livemode, row.contact_id, data)], now)


async def get_conversion(ctx: Context, id: UUID) -> Conversion:
    """Return a conversion. Raises NotFound."""
    return await find(ctx, Conversion, id, prefix=ids.CONVERSION, noun=NOUN)


async def list_conversions(ctx: Context, page: PageRequest, which: ListConversions | None = None) -> Page[Conversion]:
    """Return a page of the conversions that meet every condition, newest first. Raises InvalidRequest."""
    return await fetch_page(conversion_query(ctx, which or ListConversions()), page)


def conversion_query(ctx: Context, which: ListConversions) -> QuerySet[Conversion]:
    """Return the query of the conversions that meet every condition. Raises InvalidRequest."""
    query = scoped(ctx, Conversion)
    for name, prefix in (("contact_id", ids.CONTACT), ("campaign_id", ids.CAMPAIGN)):
        id = ids.read_optional_id(prefix, getattr(which, name), name)
        query = query if id is None else query.filter(**{name: id})
    if which.order_id is not None:
        query = query.filter(order_id=read_name(which.order_id.strip(), param="order_id", maximum=MAX_ORDER_ID))
    if which.occurred_from is not None:
        # What happened later was recorded later.
        query = query.filter(occurred_at__gte=which.occurred_from, id__gte=ids.id_before(which.occurred_from))
    if which.occurred_before is not None:
        query = query.filter(occurred_at__lt=which.occurred_before)
    return query


async def total_conversions(ctx: Context, which: TotalConversions | None = None) -> ConversionTotals:
    """Sum up the conversions of a time by currency. Raises InvalidRequest."""
    which = which or TotalConversions()
    until = which.occurred_before or ctx.services.clock()
    since = which.occurred_from or _earlier(until, TOTALLED)
    if not timedelta(0) <= until - since <= MAX_TOTALLED:
        raise _out_of_range("occurred_from", f"must lie at most {MAX_TOTALLED.days} days before occurred_before")
    found = await fetch(_Total, SUM_CONVERSIONS, ctx.workspace_id, ctx.livemode, since, until)
    return ConversionTotals(
        occurred_from=moment(since),
        occurred_before=moment(until),
        currencies=[
            CurrencyTotal(
                currency=row.currency,
                conversions=row.conversions,
                gross=row.gross,
                refunded=row.refunded,
                net=row.gross - row.refunded,
                attributed=row.attributed,
                attributed_net=row.attributed_net,
            )
            for row in found
        ],
    )
