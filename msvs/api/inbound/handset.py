"""The sandbox handset: phones with messages, their messages in both directions, and scripted numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msvs.api.context import Context
from msvs.api.errors import ErrorCode, PermissionDenied
from msvs.api.inbound import inbox
from msvs.api.messages.sandbox import REFUSED_CREDITS, REFUSED_REGION
from msvs.api.pages import Page, PageRequest
from msvs.api.permissions import Permission, allow
from msvs.api.scope import scoped
from msvs.api.text.phones import by_canonical, canonical, parse_phone
from msvs.database import fetch
from msvs.models import Contact, InboundMessage, Message, OptInStatus, Suppression

MAX_HANDSETS = 50
# The phones of so many messages, and of as many replies, are listed.
LOOKED_AT = 1000

# What the virtual carrier does with each scripted number, as docs/sandbox.md has it.
SCRIPTED: Mapping[str, str] = {
    "+14155550101": "The carrier refuses it: invalid number.",
    "+14155550102": "The carrier filters it.",
    "+14155550103": "Sent, then the handset cannot be reached.",
    "+14155550104": "The delivery report comes after 60 seconds.",
    "+14155550105": "Replies STOP after 2 seconds.",
    "+14155550106": "Replies YES after 2 seconds.",
    "+14155550107": "Replies with text after 2 seconds.",
    "+14155550108": "No delivery report ever comes.",
    "+14155550109": "The report comes twice, then one that contradicts it.",
    "+14155550111": "The carrier throttles, then accepts.",
    "+14155550112": "The carrier accepts and its answer is lost.",
    REFUSED_REGION: "Refused at once: blocked region.",
    REFUSED_CREDITS: "Refused at once: no credits.",
}

FIND_LATEST_OF_HANDSETS = """
WITH recent AS (
    (
        SELECT id, to_phone AS phone, false AS is_inbound FROM messages
        WHERE workspace_id = $1 AND livemode = $2 AND status <> 'skipped' ORDER BY id DESC LIMIT $3
    ) UNION ALL (
        SELECT id, from_phone AS phone, true AS is_inbound FROM inbound_messages
        WHERE workspace_id = $1 AND livemode = $2 ORDER BY id DESC LIMIT $3
    )
), latest AS (
    SELECT DISTINCT ON (phone) id, phone, is_inbound FROM recent ORDER BY phone, id DESC
)
SELECT id, phone, is_inbound FROM latest ORDER BY id DESC LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class Handset:
    """A phone: its contact, whether it has opted out, and what it received or sent last where that was looked at."""

    phone: str
    contact: Contact | None
    is_opted_out: bool
    last: InboundMessage | Message | None = None


async def list_handsets(ctx: Context) -> list[Handset]:
    """List the phones of the last LOOKED_AT messages and replies, newest first, at most MAX_HANDSETS."""
    _check(ctx)
    found = await fetch(FIND_LATEST_OF_HANDSETS, ctx.workspace_id, ctx.livemode, LOOKED_AT, MAX_HANDSETS)
    replied = [row.id for row in found if row.is_inbound]
    sent = [row.id for row in found if not row.is_inbound]
    last: dict[object, InboundMessage | Message] = {}
    if replied:
        last |= {row.id: row for row in await scoped(ctx, InboundMessage).filter(id__in=replied)}
    if sent:
        last |= {row.id: row for row in await scoped(ctx, Message).filter(id__in=sent)}
    known = await _look_up(ctx, [row.phone for row in found])
    phones = by_canonical(row.phone for row in found)
    # Of several spellings the latest stands for the phone.
    latest = [row for row in found if phones[canonical(row.phone)] == row.phone]
    return [Handset(row.phone, *known[row.phone], last.get(row.id)) for row in latest]


async def get_handset(ctx: Context, phone: str) -> Handset:
    """Return one phone, whether or not it has ever had a message. Raises InvalidRequest."""
    _check(ctx)
    e164 = parse_phone(phone, param="phone").e164
    return Handset(e164, *(await _look_up(ctx, [e164]))[e164])


async def list_handset_messages(ctx: Context, phone: str, page: PageRequest) -> Page[InboundMessage | Message]:
    """List what a phone received and sent, newest first. Raises InvalidRequest."""
    handset = await get_handset(ctx, phone)
    if handset.contact is None:
        return Page([], False)
    return await inbox.list_thread_messages(ctx, handset.contact.id, page)


async def count_handset_messages(ctx: Context, phone: str) -> int:
    """Return how many messages a phone received and sent. Raises InvalidRequest."""
    handset = await get_handset(ctx, phone)
    return 0 if handset.contact is None else await inbox.count_thread_messages(ctx, handset.contact.id)


async def _look_up(ctx: Context, phones: list[str]) -> dict[str, tuple[Contact | None, bool]]:
    """Phone → its contact and whether it has opted out."""
    if not phones:
        return {}
    named = {phone: canonical(phone) for phone in phones}
    wanted = list(named.values())
    contacts = {row.canonical: row for row in await scoped(ctx, Contact).filter(canonical__in=wanted)}
    stopped = {row.canonical for row in await scoped(ctx, Suppression).filter(canonical__in=wanted)}
    stopped |= {row.canonical for row in contacts.values() if row.opt_in_status == OptInStatus.OPTED_OUT}
    return {phone: (contacts.get(one), one in stopped) for phone, one in named.items()}


def _check(ctx: Context) -> None:
    """Refuse the live mode, whose handsets are people's own. Raises PermissionDenied code `sandbox_only`."""
    allow(ctx, Permission.MESSAGES_READ)
    if ctx.livemode:
        raise PermissionDenied("Handsets exist only in the sandbox.", code=ErrorCode.SANDBOX_ONLY)
