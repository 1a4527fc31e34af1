"""Messages, clicks and orders for tests of conversions."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from msvs import database as db
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.messages.conversion_shapes import CreateConversion
from msvs.api.messages.conversions import create_conversion
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Contact, Message, ShortLink, rows

_numbers = count(1)
HOUR = timedelta(hours=1)


async def deliver(ctx: Context, contact: Contact, *, ago: timedelta, **values: Any) -> Message:
    """A message that was delivered to a contact so long ago."""
    at = await db.now() - ago
    told = {
        "kind": "api",
        "sender": "MASSIVESMS",
        "body": "Hi",
        "encoding": "GSM7",
        "segments": 1,
        "status": "delivered",
        "due_at": at,
        "sent_at": at,
        "delivered_at": at,
        **values,
    }
    return await Message.create(
        id=UUID(int=ids.id_before(at).int + (60_000 << 80) + next(_numbers)),
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        contact_id=contact.id,
        to_phone=contact.phone,
        **told,
    )


async def click(message: Message, *, ago: timedelta, first: timedelta | None = None) -> ShortLink:
    """A link of a message that its contact followed so long ago."""
    now = await db.now()
    return await ShortLink.create(
        code=f"{next(_numbers):011d}",
        workspace_id=message.workspace_id,
        livemode=message.livemode,
        message_id=message.id,
        campaign_id=message.campaign_id,
        contact_id=message.contact_id,
        variant=message.variant,
        position=0,
        url="https://cohortlabs.co/cart",
        clicks=1,
        created_at=now,
        expires_at=now + timedelta(days=30),
        first_clicked_at=now - (first or ago),
        last_clicked_at=now - ago,
    )


async def buy(ctx: Context, contact: Contact | None = None, **values: Any) -> rows.ConversionRow:
    """Record an order of a contact."""
    who = {} if contact is None else {"contact_id": ids.encode_id(ids.CONTACT, contact.id)}
    told = {"order_id": f"order-{next(_numbers)}", "value": 14900, "currency": "USD", **who, **values}
    async with unit_of_work():
        return await create_conversion(ctx, CreateConversion(**told))


async def at(ago: timedelta) -> datetime:
    """The time so long ago."""
    return await db.now() - ago
