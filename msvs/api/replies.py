"""Replies: keywords change consent, everything else answers the latest message."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from msvs.api import consent, ids
from msvs.api.autoreplies import send_auto
from msvs.api.contacts import ensure_contact
from msvs.api.context import Context
from msvs.api.events import EventType, NewEvent, record_events
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.resources import ReplyResource, message_resource, moment
from msvs.api.scope import find, scoped
from msvs.api.words import Keyword, classify_reply
from msvs.database import Row, fetch_row
from msvs.models import InboundMessage, OptInStatus, Workspace

MAX_BODY = 1600

# What is on the wire is not answered yet: a reply to an older message proves nothing of a newer one.
LATEST = """
SELECT * FROM messages
WHERE contact_id = $1 AND workspace_id = $2 AND livemode = $3 AND kind <> 'auto'
    AND status IN ('sent', 'delivered', 'replied')
ORDER BY id DESC LIMIT 1 FOR UPDATE
"""


async def receive_inbound(
    ctx: Context, *, from_phone: str, to_sender: str, text: str, dedupe_key: str, now: datetime | None = None
) -> Row:
    """Take in a message from a phone, once a `dedupe_key`: the row, new or already there.

    STOP opts out, START in, YES confirms a double opt-in, HELP is answered; anything else is a reply to the
    latest message to that phone.
    """
    at = now or datetime.now(UTC)
    contact = await ensure_contact(ctx, from_phone, now=at)
    keyword = classify_reply(text)
    row = await fetch_row(
        "INSERT INTO inbound_messages (id, workspace_id, livemode, from_phone, to_sender, body, keyword, contact_id,"
        " dedupe_key, received_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        " ON CONFLICT (workspace_id, livemode, dedupe_key) DO NOTHING RETURNING *",
        ids.new_id(),
        ctx.workspace_id,
        ctx.livemode,
        from_phone,
        to_sender,
        text[:MAX_BODY],
        None if keyword is None else keyword.value,
        contact.id,
        dedupe_key,
        at,
    )
    if row is None:
        existing = await fetch_row(
            "SELECT * FROM inbound_messages WHERE workspace_id = $1 AND livemode = $2 AND dedupe_key = $3",
            ctx.workspace_id,
            ctx.livemode,
            dedupe_key,
        )
        assert existing is not None
        return existing
    workspace = await Workspace.get(id=ctx.workspace_id)
    if keyword is Keyword.STOP:
        return await _stop(ctx, row, contact, workspace, at)
    if keyword is Keyword.START:
        return await _start(ctx, row, contact, workspace, at)
    if keyword is Keyword.HELP:
        await send_auto(ctx, phone=from_phone, contact_id=contact.id, text=workspace.help_text, now=at)
        return row
    if keyword is Keyword.CONFIRM and await consent.confirm(ctx, contact, now=at):
        await send_auto(ctx, phone=from_phone, contact_id=contact.id, text=workspace.welcome_text, now=at)
        return row
    return await _reply(ctx, row, contact.id, at)


async def get_inbound(ctx: Context, id: UUID) -> InboundMessage:
    """One inbound message. Raises NotFound."""
    return await find(ctx, InboundMessage, id, prefix=ids.INBOUND, noun="inbound message")


async def list_inbound(ctx: Context, page: PageRequest, *, contact_id: UUID | None = None) -> Page[InboundMessage]:
    """Inbound messages, newest first, optionally of one contact."""
    query = scoped(ctx, InboundMessage)
    if contact_id is not None:
        query = query.filter(contact_id=contact_id)
    return await fetch_page(query, page)


async def _stop(ctx: Context, row: Row, contact: Row, workspace: Workspace, now: datetime) -> Row:
    """Opt out once, with one confirmation; a phone that says STOP again hears nothing more."""
    if not await consent.opt_out(ctx, contact, source="keyword", now=now):
        return row
    message = await _latest(ctx, contact.id)
    if message is not None:
        await fetch_row("UPDATE messages SET opted_out = true WHERE id = $1", message.id)
        row = await _attach(row, message.id)
    await send_auto(ctx, phone=row.from_phone, contact_id=contact.id, text=workspace.opt_out_text, now=now)
    return row


async def _start(ctx: Context, row: Row, contact: Row, workspace: Workspace, now: datetime) -> Row:
    if contact.opt_in_status != OptInStatus.OPTED_IN:
        await consent.opt_in(ctx, contact, source="keyword", ip=None, now=now, confirmed=True)
        await send_auto(ctx, phone=row.from_phone, contact_id=contact.id, text=workspace.welcome_text, now=now)
    return row


async def _reply(ctx: Context, row: Row, contact_id: UUID, now: datetime) -> Row:
    message = await _latest(ctx, contact_id)
    if message is None:
        return row
    replied = await fetch_row(
        "UPDATE messages SET status = 'replied', replied_at = coalesce(replied_at, $2), delivery = NULL"
        " WHERE id = $1 AND status IN ('sent', 'delivered', 'replied') RETURNING *",
        message.id,
        now,
    )
    if replied is None:
        return row
    row = await _attach(row, message.id)
    reply = ReplyResource(
        id=ids.encode_id(ids.INBOUND, row.id), body=row.body, from_=row.from_phone, received_at=moment(row.received_at)
    )
    data = message_resource(replied, reply=reply)
    await record_events([NewEvent(EventType.MESSAGE_REPLIED, ctx.workspace_id, ctx.livemode, message.id, data)], now)
    return row


async def _latest(ctx: Context, contact_id: UUID) -> Row | None:
    return await fetch_row(LATEST, contact_id, ctx.workspace_id, ctx.livemode)


async def _attach(row: Row, message_id: UUID) -> Row:
    attached = await fetch_row(
        "UPDATE inbound_messages SET message_id = $2 WHERE id = $1 RETURNING *", row.id, message_id
    )
    assert attached is not None
    return attached
