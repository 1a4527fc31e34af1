"""Write single messages: rows, reservations, events and webhook deliveries in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from msvs import present, tracing
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.credits import caps, credits
from msvs.api.dispatch import traces
from msvs.api.dispatch.batching import Batcher
from msvs.api.dispatch.new_messages import NewLink, NewMessage
from msvs.api.dispatch.short_links import insert_links
from msvs.api.errors import ComplianceRefused, PaymentRequired
from msvs.api.resources import message_resource
from msvs.api.text.rendering import Rendered
from msvs.api.unit_of_work import WorkQueue, is_single_statement, notify_after_commit, single_statement, unit_of_work
from msvs.api.webhooks.events import ENDED, IS_KEPT, MATCHES, STATE, EventType
from msvs.database import encode_json, execute, fetch_row
from msvs.models import MessageKind, MessageStatus, OnUnknown
from msvs.models.messages import KeptWarning, MetadataValue

COLUMNS = (
    "id, workspace_id, livemode, kind, contact_id, to_phone, sender, body, encoding, segments, credits_used, status,"
    " price, metadata, due_at, scheduled_at, expires_at, created_at, warnings, on_unknown, is_by_user,"
    " opted_out, attempt_count"
)

# The arrays of new messages, from $4 on: see _columns.
NEW = """unnest($4::uuid[], $5::varchar[], $6::uuid[], $7::varchar[], $8::varchar[], $9::text[], $10::varchar[],
    $11::smallint[], $12::text[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[],
    $17::text[], $18::varchar[], $19::bool[], $20::smallint[]{more_types})
    AS message (id, kind, contact_id, to_phone, sender, body, encoding, segments, metadata, due_at, scheduled_at,
    expires_at, created_at, warnings, on_unknown, is_by_user, price{more_names})"""

# $3 is what a queued message would cost: nothing yet.
SCHEDULE = f"""
INSERT INTO messages ({COLUMNS})
SELECT id, $1, $2, kind, contact_id, to_phone, sender, body, encoding, segments, $3::smallint, 'scheduled', price,
    metadata::jsonb, due_at, scheduled_at, expires_at, created_at, warnings::jsonb, on_unknown, is_by_user, false, 0
FROM {NEW.format(more_types="", more_names="")}
"""

# Messages of one workspace and mode. `paid` has a row where all of them are paid for (or cost nothing) and none where
# they are not; then nothing at all is written. All are due, by any clock: workers go by PostgreSQL's.
QUEUE = f"""
, new_messages AS (
    SELECT * FROM paid, {NEW.format(more_types=", $21::uuid[], $22::text[]", more_names=", event_id, event_data")}
), messages_written AS (
    INSERT INTO messages ({COLUMNS})
    SELECT id, $1, $2, kind, contact_id, to_phone, sender, body, encoding, segments, segments * price,
        'queued', price, metadata::jsonb, least(due_at, now()), scheduled_at, expires_at, created_at,
        warnings::jsonb, on_unknown, is_by_user, false, 0
    FROM new_messages
), events_written AS (
    INSERT INTO events (id, workspace_id, livemode, type, resource_id, data, created_at)
    SELECT event_id, $1, $2, '{EventType.MESSAGE_QUEUED.value}', id, event_data, created_at FROM new_messages
), deliveries AS (
    INSERT INTO webhook_deliveries (id, endpoint_id, event_id, state, attempt_count, next_attempt_at, created_at,
        ended_at)
    SELECT gen_random_uuid(), endpoint.id, new_messages.event_id, {STATE}, 0, new_messages.created_at,
        new_messages.created_at, {ENDED.format(now="new_messages.created_at")}
    FROM new_messages JOIN webhook_endpoints AS endpoint ON endpoint.workspace_id = $1 AND endpoint.livemode = $2
        AND {IS_KEPT} AND endpoint.events ?| ARRAY['{EventType.MESSAGE_QUEUED.value}', '*']
        AND {MATCHES.format(data="new_messages.event_data")}
    RETURNING 1
)
SELECT paid.is_low, (SELECT count(*) FROM deliveries) AS deliveries FROM paid
"""

SANDBOX = "WITH paid AS (SELECT false AS is_low WHERE $3::bigint >= 0)" + QUEUE
# Of a sandbox with a clock, by which it is due.
AHEAD = SANDBOX.replace("least(due_at, now())", "due_at")
# A time that is so far beyond the real one is that of such a clock.
SKEW = timedelta(minutes=1)

# By the clock of the cap alone: what is given back counts for the day of its entry.
PAID = (
    """
WITH paid AS (
    UPDATE credit_balances SET balance = balance - $3::bigint, {note_top_up}
    WHERE workspace_id = $1 AND balance >= $3::bigint AND {is_allowed}
    RETURNING balance < low_balance_threshold AND NOT low_notified AS is_low
), entries AS (
    INSERT INTO ledger_entries (id, workspace_id, kind, reference, amount, note, created_at)
    SELECT entry.id, $1, 'reserve', entry.reference, -entry.segments * entry.price, '', now()
    FROM paid, unnest($23::uuid[], $24::varchar[], $11::smallint[], $20::smallint[])
        AS entry (id, reference, segments, price)
), used AS (
    INSERT INTO credit_usage (workspace_id, day, credits)
    SELECT $1, (now() AT TIME ZONE 'UTC')::date, $3::bigint FROM paid
    ON CONFLICT (workspace_id, day) DO UPDATE SET credits = credit_usage.credits + excluded.credits
)"""
    + QUEUE
)
NOTE_TOP_UP = credits.NOTE_TOP_UP.format(credits="$3::bigint", now="now()")
LIVE = PAID.format(note_top_up=NOTE_TOP_UP, is_allowed=caps.UNCAPPED)
# For a workspace with a daily cap, its balance locked.
CAPPED = PAID.format(
    note_top_up=NOTE_TOP_UP,
    is_allowed=caps.WITHIN_CAP.format(day="(now() AT TIME ZONE 'UTC')::date", credits="$3::bigint"),
)


def make_single(
    ctx: Context,
    *,
    kind: MessageKind,
    contact_id: UUID | None,
    phone: str,
    sender: str,
    rendered: Rendered,
    price: int,
    metadata: dict[str, MetadataValue],
    scheduled_at: datetime | None,
    due_at: datetime,
    now: datetime,
    expires_at: datetime | None = None,
    warnings: list[KeptWarning] | None = None,
    on_unknown: OnUnknown | None = None,
    links: tuple[NewLink, ...] = (),
) -> NewMessage:
    """Make a message that belongs to no campaign: queued if due, else scheduled. Nothing is written yet."""
    is_due = due_at <= now
    return NewMessage(
        ids.new_id(),
        ctx.workspace_id,
        ctx.livemode,
        kind.value,
        None,
        contact_id,
        phone,
        sender,
        metadata,
        now,
        due_at,
        scheduled_at,
        expires_at,
        rendered.body,
        rendered.encoding.value,
        rendered.segments,
        price,
        rendered.segments * price if is_due else 0,
        MessageStatus.QUEUED.value if is_due else MessageStatus.SCHEDULED.value,
        warnings=warnings or None,
        on_unknown=(on_unknown or OnUnknown.NEVER).value,
        # A key has no role.
        is_by_user=ctx.role is not None,
        links=links,
        trace=tracing.traceparent(),
    )


async def insert_single(ctx: Context, message: NewMessage) -> NewMessage:
    """Write a message of `make_single`, and pay for it if it is queued.

    Raises PaymentRequired, and ComplianceRefused `daily_cap_reached`; nothing is written then.
    """
    if message.links:
        async with unit_of_work():
            await insert_batch(ctx, [message])
    elif _is_due(message):
        await _write_due(ctx, message)
    else:
        await _schedule(message.workspace_id, message.livemode, [message])
    return message


async def insert_batch(ctx: Context, messages: Sequence[NewMessage]) -> None:
    """Write messages of `make_single` in the current unit of work: all that are due in one statement, with their cost.

    Raises PaymentRequired, and ComplianceRefused `daily_cap_reached`; the caller rolls back then.
    """
    due = [message for message in messages if _is_due(message)]
    later = [message for message in messages if not _is_due(message)]
    if due:
        await _queue(ctx.workspace_id, ctx.livemode, due)
    if later:
        await _schedule(ctx.workspace_id, ctx.livemode, later)
    await insert_links(ctx.services, messages)


def _is_due(message: NewMessage) -> bool:
    return message.status == MessageStatus.QUEUED


async def _write_due(ctx: Context, message: NewMessage) -> None:
    if is_single_statement():
        await ctx.services.keep(NewMessages).submit((message.workspace_id, message.livemode), message)
    else:
        await _queue(message.workspace_id, message.livemode, [message])


async def _schedule(workspace_id: UUID, livemode: bool, new_messages: Sequence[NewMessage]) -> None:
    await _keep_traces(workspace_id, livemode, new_messages)
    await execute(SCHEDULE, workspace_id, livemode, 0, *_columns(new_messages))


async def _keep_traces(workspace_id: UUID, livemode: bool, new_messages: Sequence[NewMessage]) -> None:
    """Keep traces before their messages, which a worker may take at once where they are a transaction of their own."""
    await traces.keep(workspace_id, livemode, {each.id: each.trace for each in new_messages if each.trace is not None})


def _columns(new_messages: Sequence[NewMessage]) -> list[object]:
    return [
        [message.id for message in new_messages],
        [message.kind for message in new_messages],
        [message.contact_id for message in new_messages],
        [message.to_phone for message in new_messages],
        [message.sender for message in new_messages],
        [message.body for message in new_messages],
        [message.encoding for message in new_messages],
        [message.segments for message in new_messages],
        [encode_json(message.metadata) for message in new_messages],
        [message.due_at for message in new_messages],
        [message.scheduled_at for message in new_messages],
        [message.expires_at for message in new_messages],
        [message.created_at for message in new_messages],
        [_json_of(message.warnings) for message in new_messages],
        [message.on_unknown for message in new_messages],
        [message.is_by_user for message in new_messages],
        [message.price for message in new_messages],
    ]


def _json_of(warnings: list[KeptWarning] | None) -> str | None:
    return None if warnings is None else encode_json(warnings)


async def _queue(workspace_id: UUID, livemode: bool, new_messages: Sequence[NewMessage]) -> None:
    """Write due messages in one statement, all or none. Raises PaymentRequired and ComplianceRefused."""
    encode = msgspec.json.encode
    for message in new_messages:
        message.shown = message_resource(message)
    total = sum(message.cost for message in new_messages)
    values: list[object] = [
        workspace_id,
        livemode,
        total,
        *_columns(new_messages),
        [ids.new_id() for _ in new_messages],
        [encode(message.shown).decode() for message in new_messages],
    ]
    if livemode:
        values.append([ids.new_id() for _ in new_messages])
        values.append([credits.message_reference(message.id) for message in new_messages])
    await _keep_traces(workspace_id, livemode, new_messages)
    is_ahead = new_messages[0].due_at > present.real() + SKEW
    sandbox = AHEAD if is_ahead else SANDBOX
    paid = await fetch_row(_Paid, LIVE if livemode else sandbox, *values)
    if paid is None:
        paid = await _queue_capped(workspace_id, total, values, new_messages[0].created_at)
    if paid.is_low:
        async with unit_of_work():
            await credits.tell_low(workspace_id, new_messages[0].created_at)
    notify_after_commit(WorkQueue.MESSAGES)
    if paid.deliveries:
        notify_after_commit(WorkQueue.WEBHOOKS)


class _Paid(Protocol):
    """The result of queueing: whether the balance became low, and the number of webhook deliveries."""

    is_low: bool
    deliveries: int


async def _queue_capped(workspace_id: UUID, required: int, values: Sequence[object], now: datetime) -> _Paid:
    """Write what the statement without a cap did not, with the balance locked; or tell why not."""
    async with unit_of_work():
        await caps.lock(workspace_id)
        paid = await fetch_row(_Paid, CAPPED, *values)
        if paid is None:
            raise await credits.refusal(workspace_id, required, now)
        return paid


async def _queue_batch(scope: tuple[UUID, bool], new_messages: Sequence[NewMessage]) -> Sequence[Exception | None]:
    """Write a batch; where balance or cap do not cover all of it, one after the other, so that each has its answer."""
    workspace_id, livemode = scope
    async with single_statement():
        if len(new_messages) > 1:
            try:
                await _queue(workspace_id, livemode, new_messages)
            except (PaymentRequired, ComplianceRefused):
                return [await _queue_one(workspace_id, livemode, message) for message in new_messages]
            return [None] * len(new_messages)
        return [await _queue_one(workspace_id, livemode, message) for message in new_messages]


async def _queue_one(workspace_id: UUID, livemode: bool, message: NewMessage) -> Exception | None:
    try:
        await _queue(workspace_id, livemode, [message])
    except (PaymentRequired, ComplianceRefused) as refusal:
        return refusal
    return None


class NewMessages(Batcher[tuple[UUID, bool], NewMessage, None]):
    """The messages that a process is writing, those of one workspace and mode together."""

    def __init__(self) -> None:
        super().__init__(_queue_batch)
