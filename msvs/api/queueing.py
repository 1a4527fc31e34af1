"""Writing a single message: its row, its reservation, its event and that event's deliveries in one statement."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from msvs.api import credits, ids
from msvs.api.context import Context
from msvs.api.drafts import Draft
from msvs.api.events import EventType
from msvs.api.jobs import Doorbell
from msvs.api.rendering import Rendered
from msvs.api.resources import message_resource
from msvs.api.unit_of_work import ring_after_commit
from msvs.database import encode_json, fetch_row
from msvs.models import MessageKind, MessageStatus

COLUMNS = (
    "id, workspace_id, livemode, kind, contact_id, to_phone, sender, body, encoding, segments, credits_used, status,"
    " metadata, due_at, scheduled_at, expires_at, created_at, opted_out, attempt_count"
)
VALUES = (
    "$1::uuid, $2::uuid, $3::bool, $4::varchar, $5::uuid, $6::varchar, $7::varchar, $8::text, $9::varchar,"
    " $10::smallint, $11::smallint, $12::varchar, $13::jsonb, $14::timestamptz, $15::timestamptz, $16::timestamptz,"
    " $17::timestamptz, false, 0::smallint"
)

SCHEDULE = f"INSERT INTO messages ({COLUMNS}) VALUES ({VALUES})"

# `paid` has one row where the message is paid for (or costs nothing) and none where it is not; then nothing is written.
QUEUE = f"""
, message AS (
    INSERT INTO messages ({COLUMNS}) SELECT {VALUES} FROM paid
), event AS (
    INSERT INTO events (id, workspace_id, livemode, type, resource_id, data, created_at)
    SELECT $18::uuid, $2, $3, '{EventType.MESSAGE_QUEUED.value}', $1, $19::text, $17 FROM paid
), deliveries AS (
    INSERT INTO webhook_deliveries (id, endpoint_id, event_id, state, attempt_count, next_attempt_at, created_at)
    SELECT gen_random_uuid(), endpoint.id, $18, 'pending', 0, $17, $17
    FROM paid JOIN webhook_endpoints AS endpoint ON endpoint.workspace_id = $2 AND endpoint.livemode = $3
        AND endpoint.enabled AND endpoint.events ?| ARRAY['{EventType.MESSAGE_QUEUED.value}', '*']
    RETURNING 1
)
SELECT paid.*, (SELECT count(*) FROM deliveries) AS deliveries FROM paid
"""

SANDBOX = "WITH paid AS (SELECT false AS is_low)" + QUEUE

LIVE = (
    """
WITH paid AS (
    UPDATE credit_balances SET balance = balance - $10 WHERE workspace_id = $2 AND balance >= $10
    RETURNING balance < low_balance_threshold AND NOT low_notified AS is_low
), entry AS (
    INSERT INTO ledger_entries (id, workspace_id, kind, reference, amount, note, created_at)
    SELECT $20::uuid, $2, 'reserve', $21::varchar, -$10, '', $17 FROM paid
), used AS (
    INSERT INTO credit_usage (workspace_id, day, credits)
    SELECT $2, ($17 AT TIME ZONE 'UTC')::date, $10 FROM paid
    ON CONFLICT (workspace_id, day) DO UPDATE SET credits = credit_usage.credits + excluded.credits
)"""
    + QUEUE
)


async def insert_single(
    ctx: Context,
    *,
    kind: MessageKind,
    contact_id: UUID | None,
    phone: str,
    sender: str,
    rendered: Rendered,
    metadata: Mapping[str, str],
    scheduled_at: datetime | None,
    due_at: datetime,
    now: datetime,
    expires_at: datetime | None = None,
) -> Draft:
    """Write a message that belongs to no campaign: queued and paid for if due, else scheduled.

    Raises PaymentRequired; nothing is written then.
    """
    is_due = due_at <= now
    draft = Draft(
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
        rendered.segments if is_due else 0,
        MessageStatus.QUEUED.value if is_due else MessageStatus.SCHEDULED.value,
    )
    if is_due:
        await _queue(ctx, draft)
    else:
        await fetch_row(SCHEDULE, *_values(draft))
    return draft


async def _queue(ctx: Context, draft: Draft) -> None:
    data = msgspec.json.encode(message_resource(draft)).decode()
    values = [*_values(draft), ids.new_id(), data]
    if ctx.livemode:
        values += [ids.new_id(), credits.message_reference(draft.id)]
    paid = await fetch_row(LIVE if ctx.livemode else SANDBOX, *values)
    if paid is None:
        raise credits.insufficient(draft.segments, await credits.available(ctx.workspace_id))
    if paid.is_low:
        await credits.tell_low(ctx.workspace_id, draft.created_at)
    ring_after_commit(Doorbell.MESSAGES)
    if paid.deliveries:
        ring_after_commit(Doorbell.WEBHOOKS)


def _values(draft: Draft) -> list[Any]:
    return [
        draft.id,
        draft.workspace_id,
        draft.livemode,
        draft.kind,
        draft.contact_id,
        draft.to_phone,
        draft.sender,
        draft.body,
        draft.encoding,
        draft.segments,
        draft.credits_used,
        draft.status,
        encode_json(draft.metadata),
        draft.due_at,
        draft.scheduled_at,
        draft.expires_at,
        draft.created_at,
    ]
