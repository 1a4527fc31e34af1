"""The seals of the chain of consent: who can only write to the database undoes no STOP unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from msvs import database as db
from msvs.api import crypto, ids
from msvs.api.consent import consent, consent_chain, consent_seals
from msvs.api.consent.consent_chain import Break
from msvs.api.contacts.contacts import opt_out_contact
from msvs.api.context import Context
from msvs.api.unit_of_work import unit_of_work
from msvs.models import ConsentChain, ConsentEvent, ConsentRegister, Repair, Suppression
from tests.api.consent.test_consent_chain import chain_of, opt_in, rewrite, suppress, tamper, verify_one
from tests.factories import next_phone
from tests.services import SERVICES

NOW = datetime(2026, 5, 1, 20, tzinfo=UTC)

Undoing = Callable[[Context], Awaitable[None]]


async def make_stopped(ctx: Context) -> None:
    """A chain of four rows, of which the second is a STOP."""
    contact = await opt_in(ctx)
    async with unit_of_work():
        await opt_out_contact(ctx, contact.id)
    await opt_in(ctx)
    await opt_in(ctx)
    assert [row.status.value for row in await chain_of(ctx)] == ["opted_in", "opted_out", "opted_in", "opted_in"]


async def undo_stop(ctx: Context) -> None:
    """What a STOP leaves besides its row is taken away."""
    await db.execute("DELETE FROM suppressions")
    await db.execute("UPDATE contacts SET opt_in_status = 'opted_in'")


async def delete_stop(ctx: Context) -> None:
    await tamper("DELETE FROM consent_events WHERE status = 'opted_out'")
    await rewrite(ctx)


async def turn_stop(ctx: Context) -> None:
    await tamper("UPDATE consent_events SET status = 'opted_in' WHERE status = 'opted_out'")
    await rewrite(ctx)


async def cut_off(ctx: Context) -> None:
    """The chain ends before the STOP."""
    await tamper("DELETE FROM consent_events WHERE sequence > 1")
    await db.execute("DELETE FROM contacts WHERE phone <> $1", (await chain_of(ctx))[0].phone)
    await rewrite(ctx)


async def name_other_seal(ctx: Context) -> None:
    """The seal says that it is of the row that is last now."""
    await delete_stop(ctx)
    await db.execute("UPDATE consent_chains SET sealed_sequence = sequence, sealed_hash = hash")


async def take_seal(ctx: Context) -> None:
    await delete_stop(ctx)
    await db.execute("UPDATE consent_chains SET sealed_sequence = NULL, sealed_hash = NULL, seal = NULL")


async def take_parts_of_seal(ctx: Context) -> None:
    await delete_stop(ctx)
    await db.execute("UPDATE consent_chains SET seal = NULL")


async def renew_row_of_head(ctx: Context) -> None:
    """The head is deleted and inserted, as the trigger does for a new chain."""
    await delete_stop(ctx)
    await db.execute(
        "WITH gone AS (DELETE FROM consent_chains RETURNING *) INSERT INTO consent_chains (id, workspace_id, livemode,"
        " sequence, hash) SELECT gen_random_uuid(), workspace_id, livemode, sequence, hash FROM gone"
    )


UNDONE: list[tuple[Undoing, Break]] = [
    (delete_stop, Break(4, "rows were sealed up to 4, the last one is 3")),
    (turn_stop, Break(4, "row 4 is not the one that was sealed")),
    (cut_off, Break(4, "rows were sealed up to 4, the last one is 1")),
    (name_other_seal, Break(3, "the seal is not the service's own")),
    (take_seal, Break(None, "the chain was never sealed")),
    (take_parts_of_seal, Break(4, "the seal is not the service's own")),
    (renew_row_of_head, Break(None, "the chain was never sealed")),
]


@pytest.mark.parametrize(("undoing", "found"), UNDONE, ids=[undoing.__name__ for undoing, _ in UNDONE])
async def test_a_stop_undone_in_a_chain_written_again_is_found(ctx: Context, undoing: Undoing, found: Break) -> None:
    await make_stopped(ctx)
    assert (await verify_one(ctx)).first_break is None
    await undo_stop(ctx)
    await undoing(ctx)
    assert (await verify_one(ctx)).first_break == found


@pytest.mark.parametrize("undoing", [undoing for undoing, _ in UNDONE], ids=lambda undoing: undoing.__name__)
async def test_later_entries_do_not_seal_what_was_changed(ctx: Context, undoing: Undoing) -> None:
    """They are taken in all the same: a STOP is never refused."""
    await make_stopped(ctx)
    await undo_stop(ctx)
    await undoing(ctx)
    before = await ConsentChain.get()
    contact = await opt_in(ctx)
    async with unit_of_work():
        await opt_out_contact(ctx, contact.id)
    await suppress(ctx, [next_phone() for _ in range(3)])

    after = await ConsentChain.get()
    assert after.sequence == before.sequence + 5
    assert (after.sealed_sequence, after.sealed_hash, after.seal) == (
        before.sealed_sequence,
        before.sealed_hash,
        before.seal,
    )
    assert (await verify_one(ctx)).first_break is not None
    assert await Suppression.all().count() == 4


async def test_a_seal_of_another_chain_or_key_does_not_fit(ctx: Context, live_ctx: Context) -> None:
    for each in (ctx, live_ctx):
        await opt_in(each)
    seals = {row.livemode: row for row in await ConsentChain.all()}
    assert seals[False].seal != seals[True].seal
    own = seals[False]
    for workspace_id, livemode in ((ctx.workspace_id, True), (ids.new_id(), False)):
        assert not consent_chain.is_authentic(SERVICES, workspace_id, livemode, own)
    assert consent_chain.is_authentic(SERVICES, ctx.workspace_id, False, own)
    another = crypto.Keyring("another")
    assert another.seal_head(ctx.workspace_id, False, own.sealed_sequence or 0, own.sealed_hash or "") != own.seal


async def write_as_before(ctx: Context, *, details: str | None = None) -> None:
    """An entry as a process without seals writes it, during an upgrade."""
    id = ids.new_id()
    phone = next_phone()
    await ConsentEvent.create(
        id=id,
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        phone=phone,
        phone_hash=crypto.phone_hash(ctx, phone),
        details_hash=details or SERVICES.keyring.hash_details(id, None, None, None),
        status="opted_in",
        source="checkout",
        actor="system",
    )


async def test_entries_of_a_process_without_seals_are_sealed_by_the_next(ctx: Context) -> None:
    await opt_in(ctx)
    await write_as_before(ctx)
    await write_as_before(ctx)
    assert (await verify_one(ctx)).first_break == Break(1, "rows after the seal: 2")
    await opt_in(ctx)
    assert (await verify_one(ctx)).first_break is None
    assert (await ConsentChain.get()).sealed_sequence == 4


async def test_a_chain_that_is_gone_is_missed(ctx: Context, other_ctx: Context) -> None:
    await make_stopped(ctx)
    await opt_in(other_ctx)
    assert (await consent_chain.verify(SERVICES)).is_whole
    for table in ("suppressions", "contacts", "consent_chains"):
        await db.execute(f"DELETE FROM {table} WHERE workspace_id = $1", ctx.workspace_id)
    await tamper("DELETE FROM consent_events WHERE workspace_id = $1", ctx.workspace_id)
    gone = await consent_chain.verify(SERVICES)
    assert (gone.is_whole, gone.fault) == (False, "the service made 2 chains, and 1 are there: not the same")

    # Nor does one that begins again stand in its place.
    await opt_in(ctx)
    again = await consent_chain.verify(SERVICES)
    assert (again.is_whole, again.fault) == (False, "the service made 3 chains, and 2 are there: not the same")
    await consent_seals.seal_as_they_are(SERVICES)
    assert (await consent_chain.verify(SERVICES)).is_whole


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE consent_registers SET chain_count = 0", "the register of chains is not the service's own"),
        ("UPDATE consent_registers SET digest = repeat('0', 64)", "the register of chains is not the service's own"),
        ("DELETE FROM consent_registers", "the register of chains is missing"),
    ],
)
async def test_the_register_is_sealed_too(ctx: Context, live_ctx: Context, statement: str, fault: str) -> None:
    await opt_in(ctx)
    await db.execute(statement)
    assert (await consent_chain.verify(SERVICES)).fault == fault
    await opt_in(live_ctx)
    assert not (await consent_chain.verify(SERVICES)).is_whole


async def test_chains_begun_at_once_are_all_registered(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    await asyncio.gather(*(opt_in(each) for each in (ctx, live_ctx, other_ctx)))
    assert (await consent_chain.verify(SERVICES)).is_whole
    assert (await ConsentRegister.get()).chain_count == 3


@pytest.mark.parametrize("is_erased", [False, True])
async def test_entries_that_took_no_key_are_not_sealed(ctx: Context, is_erased: bool) -> None:
    await opt_in(ctx)
    await write_as_before(ctx, details="0" * 64)
    if is_erased:
        await db.execute(
            "UPDATE consent_events SET phone = NULL, ip = NULL, user_agent = NULL, text = NULL, erased_at = now()"
            " WHERE sequence = 2"
        )
    await opt_in(ctx)
    assert (await ConsentChain.get()).sealed_sequence == 1
    assert (await verify_one(ctx)).first_break is not None


async def test_an_upgrade_seals_the_chains_that_are_there_once(ctx: Context, live_ctx: Context) -> None:
    await write_as_before(ctx)
    await write_as_before(live_ctx)
    await Repair.create(name=consent_seals.DUE, requested_at=NOW)
    assert (await verify_one(ctx)).first_break == Break(None, "the chain was never sealed")

    assert await consent_seals.is_due()
    assert await consent_seals.seal_due(SERVICES) == 2

    assert not await consent_seals.is_due()
    assert (await Repair.get()).changed_count == 2
    assert (await consent_chain.verify(SERVICES)).is_whole
    await opt_in(ctx)
    assert (await verify_one(ctx)).first_break is None


async def test_an_operator_seals_what_was_looked_into(ctx: Context, other_ctx: Context) -> None:
    await make_stopped(ctx)
    await undo_stop(ctx)
    await delete_stop(ctx)
    await opt_in(other_ctx)
    assert await consent_seals.seal_as_they_are(SERVICES, workspace_id=ctx.workspace_id) == [(ctx.workspace_id, False)]
    found = await consent_chain.verify(SERVICES, workspace_id=other_ctx.workspace_id)
    assert found.is_whole


async def test_a_rollback_keeps_the_seal(ctx: Context) -> None:
    contact = await opt_in(ctx)

    async def fail() -> None:
        async with unit_of_work():
            await consent.suppress(ctx, [contact.phone], source="import", now=NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert (await ConsentChain.get()).sealed_sequence == 1
    assert (await verify_one(ctx)).first_break is None
