"""Redact a message: delete its text everywhere; that it was sent, and its cost, stay."""

from __future__ import annotations

from uuid import UUID

import msgspec

from msvs.api import ids
from msvs.api.audit import AuditAction, record_audit
from msvs.api.context import Context
from msvs.api.errors import Conflict, ErrorCode
from msvs.api.permissions import Permission, allow
from msvs.api.privacy.erasure import (
    ERASE_ATTEMPTS,
    READ_ANSWERS,
    READ_EVENTS,
    READ_SECONDS,
    WRITE_ANSWERS,
    WRITE_EVENTS,
)
from msvs.api.privacy.naming import without_target
from msvs.api.scope import find
from msvs.database import execute, fetch
from msvs.models import Message, MessageStatus

# A worker needs the text of these.
IN_PROGRESS = frozenset((MessageStatus.SCHEDULED, MessageStatus.QUEUED, MessageStatus.SENDING))
BLANKED: dict[str, object] = {"body": "", "text": "", "parts": [], "suggested_body": None, "warnings": []}

REDACT_MESSAGE = """
UPDATE messages SET body = '', warnings = NULL WHERE workspace_id = $1 AND livemode = $2 AND id = $3
"""
# Where they lead is a part of the text.
REDACT_LINKS = "DELETE FROM short_links WHERE workspace_id = $1 AND livemode = $2 AND message_id = $3"
FIND_EVENTS_OF_MESSAGE = """
SELECT id FROM events WHERE workspace_id = $1 AND livemode = $2 AND id >= $3 AND resource_id = $3
"""
FIND_ATTEMPTS_OF_EVENTS = """
SELECT id FROM webhook_attempts
WHERE workspace_id = $1 AND livemode = $2 AND id >= $3 AND event_id = ANY($4::uuid[]) AND response_head <> ''
"""
MARK_DELETED = """
INSERT INTO twilio_messages (message_id, workspace_id, livemode, retry_count, retry_on, deleted_at, created_at)
VALUES ($1, $2, $3, 0, '[]', now(), now())
ON CONFLICT (message_id) DO UPDATE SET deleted_at = now(), callback_url = NULL, signatures = NULL
"""


async def redact_message(ctx: Context, id: UUID) -> Message:
    """Forget the text of a message that has ended or is with a carrier. Return it without.

    Raises NotFound, and Conflict code `message_in_progress` where it may yet be sent; then nothing is changed.
    """
    row = await _redact(ctx, id)
    await record_audit(ctx, AuditAction.MESSAGE_REDACTED, ids.encode_id(ids.MESSAGE, id), {"livemode": ctx.livemode})
    return row


async def delete_message(ctx: Context, id: UUID) -> None:
    """Forget the text of a message and have Twilio's API show it no more; the books keep that it was sent.

    Raises NotFound, and Conflict code `message_in_progress`.
    """
    await _redact(ctx, id)
    await execute(MARK_DELETED, id, ctx.workspace_id, ctx.livemode)
    await record_audit(ctx, AuditAction.MESSAGE_DELETED, ids.encode_id(ids.MESSAGE, id), {"livemode": ctx.livemode})


async def _redact(ctx: Context, id: UUID) -> Message:
    allow(ctx, Permission.MESSAGES_SEND)
    row = await find(ctx, Message, id, prefix=ids.MESSAGE, noun="message", lock=True)
    if row.status in IN_PROGRESS:
        raise Conflict(
            "The message may yet be sent; wait until it has, or cancel it.", code=ErrorCode.MESSAGE_IN_PROGRESS
        )
    scope = (ctx.workspace_id, ctx.livemode)
    await execute(REDACT_MESSAGE, *scope, id)
    await execute(REDACT_LINKS, *scope, id)
    names = frozenset((ids.encode_id(ids.MESSAGE, id), f"SM{id.hex}"))
    events = [found.id for found in await fetch(FIND_EVENTS_OF_MESSAGE, *scope, id, timeout=READ_SECONDS)]
    rows = await fetch(READ_EVENTS, *scope, events)
    await execute(WRITE_EVENTS, *scope, [each.id for each in rows], [_without_text(each.data, names) for each in rows])
    attempts = await fetch(FIND_ATTEMPTS_OF_EVENTS, *scope, id, events, timeout=READ_SECONDS)
    await execute(ERASE_ATTEMPTS, *scope, [each.id for each in attempts])
    # An answer stays, so that its request is not done twice.
    answers = await fetch(READ_ANSWERS, *scope, sorted(names))
    texts = [_without_text(each.body, names) for each in answers]
    await execute(WRITE_ANSWERS, *scope, [each.id for each in answers], texts)
    row.body, row.warnings = "", None
    return row


def _without_text(text: str, names: frozenset[str]) -> str:
    """Return a stored JSON text without the text of the message of these names."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        # Sealed, or of another shape: neither holds a message.
        return text
    return msgspec.json.encode(_blanked(value, names)).decode()


def _blank(name: str, value: object) -> object:
    if name == "click" and isinstance(value, dict):
        return without_target(value)
    return BLANKED.get(name, value)


def _blanked(value: object, names: frozenset[str]) -> object:
    match value:
        case list():
            return [_blanked(each, names) for each in value]
        case dict():
            if not names.isdisjoint(str(value.get(name)) for name in ("id", "sid")):
                return {name: _blank(name, each) for name, each in value.items()}
            return {name: _blanked(each, names) for name, each in value.items()}
    return value
