"""Consent: opting in and out, with a history that is only ever added to."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from msvs.api import autoreplies, canceling, ids
from msvs.api.context import Context
from msvs.api.events import EventType, NewEvent, record_events
from msvs.api.resources import contact_resource
from msvs.api.scope import scoped
from msvs.database import Row, fetch_row
from msvs.models import Contact, OptInStatus, Workspace

CONFIRMATION_WINDOW = timedelta(hours=72)
CONFIRMATION_SOURCE = "double_opt_in"

OPT_OUT = """
WITH changed AS (
    UPDATE contacts
    SET opt_in_status = 'opted_out', opt_in_source = $4, opt_in_ip = $5, opt_in_at = $6, updated_at = $6
    WHERE id = $1 AND workspace_id = $2 AND livemode = $3 AND opt_in_status <> 'opted_out'
    RETURNING *
), history AS (
    INSERT INTO consent_events (id, workspace_id, livemode, phone, contact_id, status, source, ip, actor, created_at)
    SELECT $7::uuid, workspace_id, livemode, phone, id, opt_in_status, $4, $5, $8, $6 FROM changed
), suppressed AS (
    INSERT INTO suppressions (id, workspace_id, livemode, phone, source, created_at)
    SELECT $9::uuid, workspace_id, livemode, phone, $4, $6 FROM changed
    ON CONFLICT (workspace_id, livemode, phone) DO NOTHING
)
SELECT * FROM changed
"""

# Only `opted_in` lifts the suppression: a number that said STOP stays suppressed while its confirmation is awaited.
OPT_IN = """
WITH changed AS (
    UPDATE contacts
    SET opt_in_status = $4, opt_in_source = $5, opt_in_ip = $6, opt_in_at = $7, updated_at = $7
    WHERE id = $1 AND workspace_id = $2 AND livemode = $3
    RETURNING *
), history AS (
    INSERT INTO consent_events (id, workspace_id, livemode, phone, contact_id, status, source, ip, actor, created_at)
    SELECT $8::uuid, workspace_id, livemode, phone, id, opt_in_status, $10, $6, $9, $7 FROM changed
), lifted AS (
    DELETE FROM suppressions USING changed
    WHERE suppressions.workspace_id = changed.workspace_id AND suppressions.livemode = changed.livemode
        AND suppressions.phone = changed.phone AND changed.opt_in_status = 'opted_in'
)
SELECT * FROM changed
"""


async def opt_out(ctx: Context, contact: Contact | Row, *, source: str, ip: str | None = None, now: datetime) -> bool:
    """Opt a contact out, suppress its phone and cancel what waits for it; False where it was out already.

    The event `contact.opted_out` is written once, however many callers race; its `opt_in.source` tells why.
    """
    if await _lock(ctx, contact.id) is None:
        return False
    row = await fetch_row(
        OPT_OUT,
        contact.id,
        ctx.workspace_id,
        ctx.livemode,
        source,
        ip,
        now,
        ids.new_id(),
        ctx.actor,
        ids.new_id(),
    )
    if row is None:
        return False
    await _record(EventType.CONTACT_OPTED_OUT, row, now)
    await canceling.cancel_waiting(ctx, phone=row.phone, reason="recipient_opted_out", now=now)
    return True


async def opt_in(
    ctx: Context,
    contact: Contact | Row,
    *,
    source: str,
    ip: str | None,
    now: datetime,
    confirmed: bool,
    announce: bool = True,
) -> bool:
    """Opt a contact in on evidence; whether its status changed.

    Confirmed, it is opted in, its phone is no longer suppressed, and `contact.opted_in` is written unless it was in
    before or `announce` is False. Unconfirmed (double opt-in), it becomes pending and is sent the workspace's one
    confirmation SMS; while a confirmation is awaited nothing changes. Evidence given again is added to the history.
    """
    row = await _lock(ctx, contact.id)
    if row is None:
        return False
    before = row.opt_in_status
    if not confirmed and before == OptInStatus.PENDING and _awaits(row, now):
        return False
    status = OptInStatus.OPTED_IN if confirmed or before == OptInStatus.OPTED_IN else OptInStatus.PENDING
    changed = await _write(ctx, row, status, source=source, ip=ip, evidence=source, now=now)
    if status is OptInStatus.PENDING:
        workspace = await Workspace.get(id=ctx.workspace_id).only("opt_in_text")
        await autoreplies.send_auto(
            ctx, phone=changed.phone, contact_id=changed.id, text=workspace.opt_in_text, now=now
        )
    elif announce and before != OptInStatus.OPTED_IN:
        await _record(EventType.CONTACT_OPTED_IN, changed, now)
    return before != status


async def confirm(ctx: Context, contact: Contact | Row, *, now: datetime) -> bool:
    """Take a pending contact's answer to the confirmation SMS; False unless it is pending and within 72 h.

    The contact keeps the source and IP of its evidence; `opt_in.at` becomes the time of the answer.
    """
    row = await _lock(ctx, contact.id)
    if row is None or row.opt_in_status != OptInStatus.PENDING or not _awaits(row, now):
        return False
    changed = await _write(
        ctx,
        row,
        OptInStatus.OPTED_IN,
        source=row.opt_in_source,
        ip=row.opt_in_ip,
        evidence=CONFIRMATION_SOURCE,
        now=now,
    )
    await _record(EventType.CONTACT_OPTED_IN, changed, now)
    return True


async def _lock(ctx: Context, contact_id: UUID) -> Contact | None:
    # In a statement of its own, so that the one after it sees what the last holder of the lock committed, and the ids
    # of the history sort as its rows were committed.
    return await scoped(ctx, Contact).filter(id=contact_id).select_for_update().first()


def _awaits(contact: Contact, now: datetime) -> bool:
    return contact.opt_in_at is not None and now - contact.opt_in_at <= CONFIRMATION_WINDOW


async def _write(
    ctx: Context,
    contact: Contact,
    status: OptInStatus,
    *,
    source: str | None,
    ip: str | None,
    evidence: str,
    now: datetime,
) -> Row:
    row = await fetch_row(
        OPT_IN,
        contact.id,
        ctx.workspace_id,
        ctx.livemode,
        status.value,
        source,
        ip,
        now,
        ids.new_id(),
        ctx.actor,
        evidence,
    )
    assert row is not None, "the row is locked"
    return row


async def _record(type: EventType, row: Row, now: datetime) -> None:
    await record_events([NewEvent(type, row.workspace_id, row.livemode, row.id, contact_resource(row))], now)
