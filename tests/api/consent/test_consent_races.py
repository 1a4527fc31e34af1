"""Everybody who writes consent takes locks in one order: no phone, however many write of it, costs a deadlock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from asyncpg import LockNotAvailableError

from msvs import database as db
from msvs.api.consent import consent, consent_chain
from msvs.api.contacts.contacts import (
    CreateContact,
    OptInEvidence,
    UpdateContact,
    create_contact,
    delete_contact,
    update_contact,
)
from msvs.api.contacts.imports import ImportContacts, import_contacts
from msvs.api.context import Context
from msvs.api.errors import Conflict, NotFound
from msvs.api.inbound.replies import receive_inbound
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Contact, OptInStatus, Suppression
from tests.factories import next_phone
from tests.services import SERVICES

ROUNDS = 20
EVIDENCE = OptInEvidence("checkout")


async def deadlocks() -> int:
    await db.execute("SELECT pg_stat_force_next_flush()")
    row = await db.fetch_row("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert row is not None
    return int(row.deadlocks)


async def find_id(ctx: Context, phone: str) -> Any:
    contact = await Contact.filter(workspace_id=ctx.workspace_id, livemode=ctx.livemode, phone=phone).first()
    if contact is None:
        raise NotFound("none yet")
    return contact.id


async def test_all_who_write_of_a_phone_at_once_take_locks_in_one_order(ctx: Context) -> None:
    """Opt-outs, suppressions, imports, updates and deletions of phones that have no contact yet, at once."""
    before = await deadlocks()
    for _ in range(ROUNDS):
        phones = [next_phone() for _ in range(3)]
        await race(ctx, phones)
        assert await Suppression.filter(workspace_id=ctx.workspace_id, phone__in=phones).count() == 3
        left = await Contact.filter(workspace_id=ctx.workspace_id, phone__in=phones)
        assert {contact.opt_in_status for contact in left} <= {OptInStatus.OPTED_OUT}
    assert await deadlocks() == before
    assert (await consent_chain.verify(SERVICES, workspace_id=ctx.workspace_id)).is_whole


async def test_a_suppression_does_not_look_for_new_contacts_for_ever(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where somebody deletes and makes a contact again at each look, and holds it when it is looked for."""
    phone = next_phone()
    async with unit_of_work():
        await create_contact(ctx, CreateContact(phone))
    monkeypatch.setattr(consent, "LOCK_CONTACTS", consent.LOCK_CONTACTS.replace("WHERE", "WHERE false AND"))
    held, released = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with unit_of_work():
            await Contact.filter(phone=phone).select_for_update().first()
            held.set()
            await released.wait()

    holding = asyncio.create_task(hold())
    await held.wait()
    with pytest.raises(LockNotAvailableError):
        async with unit_of_work():
            await consent.suppress(ctx, [phone], source="import", now=datetime.now(UTC))
    released.set()
    await holding
    assert await Suppression.all().count() == 0
    assert (await Contact.get(phone=phone)).opt_in_status == OptInStatus.UNKNOWN


async def race(ctx: Context, phones: list[str]) -> None:
    first = phones[0]

    async def stop(phone: str) -> None:
        await receive_inbound(ctx, from_phone=phone, to_sender="", text="STOP", dedupe_key=phone)

    async def make() -> None:
        await create_contact(ctx, CreateContact(first, opt_in=EVIDENCE))

    async def change() -> None:
        await update_contact(ctx, await find_id(ctx, first), UpdateContact(first_name="Ada", opt_in=EVIDENCE))

    async def delete() -> None:
        await delete_contact(ctx, await find_id(ctx, first))

    async def bring() -> None:
        await import_contacts(ctx, ImportContacts([CreateContact(each) for each in phones], opt_in=EVIDENCE))

    async def suppress(named: list[str]) -> None:
        await consent.suppress(ctx, named, source="import", now=datetime.now(UTC))

    await asyncio.gather(
        *(attempt(partial(stop, phone)) for phone in phones),
        attempt(partial(suppress, phones)),
        attempt(partial(suppress, phones[::-1])),
        *(attempt(each) for each in (bring, make, change, delete, change, bring)),
    )


async def attempt(act: Callable[[], Awaitable[None]]) -> None:
    """Do it as the edge does, in one transaction; a refusal is an answer, an error of the database is none."""
    try:
        async with unit_of_work():
            await act()
    except (Conflict, NotFound):
        pass
