"""Writing a single message's row, with its reservation, its event and its doorbell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from msvs.api import credits, ids
from msvs.api.context import Context
from msvs.api.events import EventType, NewEvent, record_events
from msvs.api.jobs import Doorbell
from msvs.api.rendering import Rendered
from msvs.api.resources import message_resource
from msvs.api.unit_of_work import ring_after_commit
from msvs.database import Row, fetch_row
from msvs.models import MessageKind, MessageStatus

INSERT = """
INSERT INTO messages (id, workspace_id, livemode, kind, contact_id, to_phone, sender, body, encoding, segments,
    credits_used, status, metadata, due_at, scheduled_at, created_at, expires_at, opted_out, attempt_count)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, false, 0)
RETURNING *
"""


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
) -> Row:
    """Write a message that belongs to no campaign: queued and paid for if due, else scheduled.

    Raises PaymentRequired.
    """
    is_due = due_at <= now
    row = await fetch_row(
        INSERT,
        ids.new_id(),
        ctx.workspace_id,
        ctx.livemode,
        kind.value,
        contact_id,
        phone,
        sender,
        rendered.body,
        rendered.encoding.value,
        rendered.segments,
        rendered.segments if is_due else 0,
        MessageStatus.QUEUED.value if is_due else MessageStatus.SCHEDULED.value,
        metadata,
        due_at,
        scheduled_at,
        now,
        expires_at,
    )
    assert row is not None
    if is_due:
        if ctx.livemode:
            await credits.reserve(ctx.workspace_id, {row.id: rendered.segments}, now)
        queued = NewEvent(EventType.MESSAGE_QUEUED, ctx.workspace_id, ctx.livemode, row.id, message_resource(row))
        await record_events([queued], now)
        ring_after_commit(Doorbell.MESSAGES)
    return row
