"""Cancel messages that no carrier has: the row, its credits and its event in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msvs.api.context import Context
from msvs.api.credits import credits
from msvs.api.dispatch import open_months
from msvs.api.dispatch.lane_bounds import NONE, Bound
from msvs.api.dispatch.open_months import IdRange, months_of
from msvs.api.resources import message_resource
from msvs.api.text.phones import with_spellings
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import execute, fetch
from msvs.models.rows import MessageRow

# Rows are locked in the order of their ids, so that two cancellations never wait for each other in a circle.
CANCEL_MESSAGES = """
WITH waiting AS (
    SELECT id, credits_used FROM messages
    WHERE workspace_id = $1 AND livemode = $2 AND status IN ('queued', 'scheduled') AND {condition} AND {{in_months}}
    ORDER BY id FOR UPDATE
)
UPDATE messages SET status = 'canceled', canceled_at = $3, error_code = $4, credits_used = 0
FROM waiting WHERE messages.id = waiting.id AND {{in_months}}
RETURNING messages.*, waiting.credits_used AS credits_held
"""


# In the order of its lane, whose index holds what waits and nothing else: of a late campaign nearly all is finished.
# What another transaction holds is passed over, so that the order makes no circle; a worker comes back for it. From
# the place where the batch before ended: beside a snapshot that is held, the index keeps what that batch took. The
# credits are looked up in an object, as a join of rows that PostgreSQL takes for one compares each with each.
CANCEL_LANE = """
WITH waiting AS MATERIALIZED (
    SELECT id, credits_used FROM messages
    WHERE workspace_id = $1 AND livemode = $2 AND status = 'queued' AND campaign_id = $5
        AND (due_at, id) >= ($7, $8) AND {in_months}
    ORDER BY due_at, id LIMIT $6 FOR UPDATE SKIP LOCKED
)
UPDATE messages SET status = 'canceled', canceled_at = $3, error_code = $4, credits_used = 0
WHERE id = ANY (ARRAY(SELECT id FROM waiting)) AND {in_months}
RETURNING messages.*,
    ((SELECT jsonb_object_agg(id, credits_used) FROM waiting) ->> messages.id::text)::int AS credits_held
"""


class CanceledMessage(MessageRow, Protocol):
    """A message that was canceled, with the credits that it held."""

    @property
    def credits_held(self) -> int: ...


async def cancel_waiting(ctx: Context, *, phone: str, reason: str, now: datetime) -> int:
    """Cancel the queued and scheduled messages to a phone, other than the service's own answers. Return the count."""
    return await cancel_waiting_many(ctx, phones=[phone], reason=reason, now=now)


async def cancel_waiting_many(ctx: Context, *, phones: Sequence[str], reason: str, now: datetime) -> int:
    """Cancel the queued and scheduled messages to phones, other than the service's own answers. Return the count."""
    condition = "to_phone = ANY($5::varchar[]) AND kind <> 'auto'"
    # What lies in no open month is not looked at by claims either, which ask for consent once they do.
    _, months = await open_months.look()
    return len(await _cancel(ctx, condition, [with_spellings(phones)], months, reason=reason, now=now))


async def cancel_one(ctx: Context, message_id: UUID, *, now: datetime) -> CanceledMessage | None:
    """Cancel one message if it is still queued or scheduled; the row as it now stands, or None."""
    canceled = await _cancel(ctx, "id = $5", [message_id], months_of([message_id]), reason=None, now=now)
    return canceled[0] if canceled else None


# What a carrier may have cannot be canceled; that it is handed over once more can.
FORGO_RESEND = """
UPDATE messages SET on_unknown = 'never'
WHERE id = $3 AND workspace_id = $1 AND livemode = $2 AND status = 'sending' AND on_unknown = 'resend'
"""


async def forgo_resend(ctx: Context, message_id: UUID) -> None:
    """Have a message in doubt not handed over once more."""
    await execute(FORGO_RESEND, ctx.workspace_id, ctx.livemode, message_id)


async def cancel_messages(ctx: Context, message_ids: Sequence[UUID], *, reason: str, now: datetime) -> int:
    """Cancel those of these messages that are still queued or scheduled. Return the count."""
    months = months_of(message_ids)
    return len(await _cancel(ctx, "id = ANY($5::uuid[])", [list(message_ids)], months, reason=reason, now=now))


async def cancel_campaign_messages(
    ctx: Context, campaign_id: UUID, *, limit: int, now: datetime, since: Bound = NONE
) -> tuple[int, Bound]:
    """Cancel up to `limit` waiting messages of a campaign from a place in its lane on.

    Return how many, and the place of the last of them.
    """
    _, months = await open_months.look()
    values = (ctx.workspace_id, ctx.livemode, now, None, campaign_id, limit, since.due_at, since.id)
    rows = await fetch(CanceledMessage, open_months.between(CANCEL_LANE, months), *values)
    await _conclude(ctx, rows, now)
    return len(rows), max((Bound(row.due_at, row.id) for row in rows), default=since)


async def cancel_campaign_contact(ctx: Context, contact_id: UUID, *, reason: str, now: datetime) -> int:
    """Cancel the waiting campaign messages to a contact. Return the count."""
    condition = "contact_id = $5 AND campaign_id IS NOT NULL"
    _, months = await open_months.look()
    return len(await _cancel(ctx, condition, [contact_id], months, reason=reason, now=now))


async def _cancel(
    ctx: Context, condition: str, values: list[object], months: IdRange, *, reason: str | None, now: datetime
) -> Sequence[CanceledMessage]:
    statement = open_months.between(CANCEL_MESSAGES.format(condition=condition), months)
    return await _conclude(
        ctx, await fetch(CanceledMessage, statement, ctx.workspace_id, ctx.livemode, now, reason, *values), now
    )


async def _conclude(ctx: Context, rows: Sequence[CanceledMessage], now: datetime) -> Sequence[CanceledMessage]:
    """Return what follows from messages having been canceled: their credits are given back and their events written."""
    if ctx.livemode:
        held = {row.id: row.credits_held for row in rows if row.credits_held}
        await credits.release(ctx.workspace_id, held, now)
    await record_events(
        (
            NewEvent(EventType.MESSAGE_CANCELED, ctx.workspace_id, ctx.livemode, row.id, message_resource(row))
            for row in rows
        ),
        now,
    )
    return rows
