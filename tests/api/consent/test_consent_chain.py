"""The chain of consent: no row escapes it, none changes unseen, and only erasure changes one at all."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from asyncpg import NotNullViolationError, RaiseError

from msvs import database as db
from msvs.api import crypto, ids
from msvs.api.consent import consent, consent_chain, consent_seals
from msvs.api.consent.consent_chain import GENESIS, Break, VerifiedChain
from msvs.api.contacts.contacts import CreateContact, OptInEvidence, create_contact, ensure_contact, opt_out_contact
from msvs.api.context import Context
from msvs.api.errors import Unavailable
from msvs.api.pages import PageRequest
from msvs.api.privacy.erasure import erase_contact
from msvs.api.unit_of_work import unit_of_work
from msvs.models import ConsentChain, ConsentEvent, OptInStatus
from tests.factories import make_contact, next_phone
from tests.owner import as_owner, run_as_owner
from tests.services import CONSENT_SECRET, SERVICES

NOW = datetime(2026, 5, 1, 20, 0, 0, 123456, tzinfo=UTC)
EVIDENCE = OptInEvidence("checkout", "203.0.113.4", "Mozilla/5.0", "I agree.\nSTOP ends it.", "v3")


async def opt_in(ctx: Context, evidence: OptInEvidence = EVIDENCE) -> Any:
    async with unit_of_work():
        return await create_contact(ctx, CreateContact(next_phone(), opt_in=evidence))


async def suppress(ctx: Context, phones: list[str]) -> None:
    async with unit_of_work():
        await consent.suppress(ctx, phones, source="import", now=NOW)


async def make_chain(ctx: Context, rows: int) -> list[ConsentEvent]:
    """A chain of so many rows."""
    for _ in range(rows):
        await opt_in(ctx)
    return await chain_of(ctx)


async def chain_of(ctx: Context) -> list[ConsentEvent]:
    rows = ConsentEvent.filter(workspace_id=ctx.workspace_id, livemode=ctx.livemode)
    return list(await rows.order_by("sequence", "id"))


async def tamper(statement: str, *values: Any) -> None:
    """What somebody may do who owns the tables."""
    async with as_owner(), unit_of_work():
        await db.execute("ALTER TABLE consent_events DISABLE TRIGGER USER")
        await db.execute(statement, *values)
        await db.execute("ALTER TABLE consent_events ENABLE TRIGGER USER")


async def verify_one(ctx: Context, **options: Any) -> VerifiedChain:
    found = await consent_chain.verify(SERVICES, workspace_id=ctx.workspace_id, **options)
    (chain,) = [each for each in found.chains if each.livemode == ctx.livemode]
    assert found.is_whole is (chain.first_break is None)
    return chain


async def test_every_change_is_a_link(ctx: Context) -> None:
    contact = await opt_in(ctx)
    async with unit_of_work():
        await opt_out_contact(ctx, contact.id)

    first, second = await chain_of(ctx)

    assert (first.sequence, first.previous_hash, second.sequence, second.previous_hash) == (1, GENESIS, 2, first.hash)
    assert (first.text, first.user_agent, first.version) == ("I agree.\nSTOP ends it.", "Mozilla/5.0", "v3")
    head = await ConsentChain.get()
    assert (head.sequence, head.hash) == (2, second.hash)
    assert await verify_one(ctx) == VerifiedChain(ctx.workspace_id, False, 2, second.hash or "")


NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOON_IN_MICROS = "1777636800000000"


@pytest.mark.parametrize(
    ("given", "more"),
    [
        ({}, []),
        ({"given_at": NOON}, [NOON_IN_MICROS]),
        *(
            ({"given_at": NOON, "is_renewed": is_renewed}, [NOON_IN_MICROS, text])
            for is_renewed, text in ((False, "false"), (True, "true"))
        ),
    ],
)
async def test_a_hash_is_what_the_document_says(ctx: Context, given: dict[str, Any], more: list[str]) -> None:
    """Computed by hand, so that neither the trigger nor `row_hash` can change unseen.

    Entries from before something was kept of evidence are as they were.
    """
    id = ids.new_id()
    await ConsentEvent.create(
        id=id,
        workspace_id=ctx.workspace_id,
        livemode=False,
        phone="+14155550123",
        phone_hash=crypto.phone_hash(ctx, "+14155550123"),
        contact_id=ids.new_id(),
        status="opted_in",
        source="checkout",
        actor="test",
        version="v3",
        details_hash=SERVICES.keyring.hash_details(id, None, None, None),
        **given,
    )
    await consent_seals.seal_as_they_are(SERVICES)
    (row,) = await chain_of(ctx)
    micros = str((row.created_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
    parts = [GENESIS, "1", str(row.id), str(row.workspace_id), "test", row.phone_hash, str(row.contact_id), "opted_in"]
    parts += ["checkout", "test", micros, "v3", row.details_hash, *more]
    text = ",".join(f"{len(part or '')}:{part}" for part in parts)
    assert row.hash == hashlib.sha256(text.encode()).hexdigest()
    assert (await verify_one(ctx)).first_break is None


async def test_the_key_is_nowhere_in_the_database_and_the_phone_is_in_no_hash(ctx: Context, live_ctx: Context) -> None:
    phone = "+14155550123"
    hashes = [crypto.phone_hash(each, phone) for each in (ctx, live_ctx)]
    assert len({*hashes, hashlib.sha256(phone.encode()).hexdigest()}) == 3
    SERVICES.keyring.hash_with("another")
    try:
        assert crypto.phone_hash(ctx, phone) not in hashes
    finally:
        SERVICES.keyring.hash_with(CONSENT_SECRET)
    assert [crypto.phone_hash(each, phone) for each in (ctx, live_ctx)] == hashes


def test_without_a_key_nothing_is_hashed() -> None:
    SERVICES.keyring.hash_with(None)
    try:
        with pytest.raises(Unavailable):
            SERVICES.keyring.hash_details(ids.new_id(), None, None, None)
        with pytest.raises(ValueError, match="empty"):
            SERVICES.keyring.hash_with("")
    finally:
        SERVICES.keyring.hash_with(CONSENT_SECRET)


@pytest.mark.parametrize(
    ("one", "other"), [(("a", "b"), ("ab",)), (("a", None), ("a", "-")), (("1:a",), ("a",)), ((None,), ("",))]
)
def test_no_two_lists_have_the_same_text(one: tuple[str | None, ...], other: tuple[str | None, ...]) -> None:
    assert crypto.canonical_text(*one) != crypto.canonical_text(*other)


@pytest.mark.parametrize("source", ["checkout", "Café ☕ 日本", "a,b:c-", "12:x"])
async def test_the_database_and_python_agree_on_any_text(ctx: Context, source: str) -> None:
    await opt_in(ctx, OptInEvidence(source, None, None, None, None))
    assert (await verify_one(ctx)).first_break is None


async def test_many_rows_of_one_statement_are_links_too(ctx: Context) -> None:
    await make_chain(ctx, 2)
    await suppress(ctx, [next_phone() for _ in range(50)])
    assert [row.sequence for row in await chain_of(ctx)] == list(range(1, 53))
    assert (await verify_one(ctx)).rows == 52


async def test_writers_at_once_make_one_chain(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    contacts = {each: [await make_contact(each) for _ in range(10)] for each in (ctx, live_ctx, other_ctx)}

    async def out(each: Context, contact: Any) -> bool:
        async with unit_of_work():
            return await consent.opt_out(each, contact, source="keyword", now=NOW)

    writers = [out(each, contact) for each, rows in contacts.items() for contact in rows]
    bulk = [suppress(ctx, [next_phone() for _ in range(20)]) for _ in range(3)]
    await asyncio.gather(*writers, *bulk)

    found = await consent_chain.verify(SERVICES)
    assert found.is_whole
    assert sorted(chain.rows for chain in found.chains) == [10, 10, 70]
    assert [row.sequence for row in await chain_of(ctx)] == list(range(1, 71))


async def test_bulk_writers_of_the_same_phones_do_not_deadlock(ctx: Context) -> None:
    phones = [(await make_contact(ctx)).phone for _ in range(30)]
    await asyncio.gather(*(suppress(ctx, phones[::step]) for step in (1, -1, 1, -1)))
    assert await ConsentEvent.all().count() == 30
    assert (await verify_one(ctx)).first_break is None


async def test_what_brings_no_hashes_is_refused_once_others_bring_them(ctx: Context, other_ctx: Context) -> None:
    """A process from before the chain goes on until it is restarted; nobody else may write like one."""

    async def write_as_before() -> None:
        await db.execute(
            "INSERT INTO consent_events (id, workspace_id, livemode, phone, status, actor, created_at)"
            " VALUES (gen_random_uuid(), $1, false, '+12125550100', 'opted_in', 'nobody', now())",
            ctx.workspace_id,
        )

    await make_chain(other_ctx, 1)
    await write_as_before()
    await write_as_before()
    await consent_seals.seal_as_they_are(SERVICES, workspace_id=ctx.workspace_id)
    await make_chain(ctx, 1)
    with pytest.raises(NotNullViolationError):
        await write_as_before()
    assert [row.sequence for row in await chain_of(ctx)] == [1, 2, 3]
    assert (await verify_one(ctx)).first_break is None


async def test_a_row_cannot_choose_its_place(ctx: Context) -> None:
    await make_chain(ctx, 2)
    await ConsentEvent.create(
        workspace_id=ctx.workspace_id,
        livemode=False,
        phone="+12125550100",
        phone_hash=crypto.phone_hash(ctx, "+12125550100"),
        details_hash="0" * 64,
        status="opted_in",
        actor="nobody",
        sequence=1,
        previous_hash=GENESIS,
        hash="f" * 64,
    )
    rows = await chain_of(ctx)
    assert [row.sequence for row in rows] == [1, 2, 3]
    assert rows[2].previous_hash == rows[1].hash


async def rewrite(ctx: Context) -> None:
    """Number and hash all rows again, and name the last one as the head, as anyone may who writes to the database."""
    previous = GENESIS
    rows = await chain_of(ctx)
    for sequence, row in enumerate(rows, 1):
        row.sequence = sequence
        hash = consent_chain.row_hash(row, previous)
        await tamper(
            "UPDATE consent_events SET sequence = $2, previous_hash = $3, hash = $4 WHERE id = $1",
            row.id,
            sequence,
            previous,
            hash,
        )
        previous = hash
    await db.execute("UPDATE consent_chains SET sequence = $1, hash = $2", len(rows), previous)


ERASE = "phone = NULL, ip = NULL, user_agent = NULL, text = NULL, erased_at = now()"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM consent_events",
        "TRUNCATE consent_events",
        "UPDATE consent_events SET status = 'opted_out'",
        "UPDATE consent_events SET ip = NULL",
        "UPDATE consent_events SET phone = NULL, ip = NULL, user_agent = NULL, text = NULL",
        "UPDATE consent_events SET erased_at = now()",
        f"UPDATE consent_events SET {ERASE}, source = 'form'",
        f"UPDATE consent_events SET {ERASE}, hash = repeat('0', 64)",
        f"UPDATE consent_events SET {ERASE}, sequence = 7",
    ],
)
async def test_only_erasure_changes_a_row(ctx: Context, statement: str) -> None:
    before = [dict(row) for row in await make_chain(ctx, 2)]
    with pytest.raises(RaiseError, match="append-only"):
        await run_as_owner(statement)
    assert [dict(row) for row in await chain_of(ctx)] == before


async def test_an_erased_row_is_final_and_the_chain_is_whole(ctx: Context) -> None:
    await make_chain(ctx, 2)
    await db.execute(f"UPDATE consent_events SET {ERASE} WHERE sequence = 1")
    with pytest.raises(RaiseError, match="append-only"):
        await db.execute(f"UPDATE consent_events SET {ERASE} WHERE sequence = 1")
    await db.execute("DELETE FROM contacts")
    assert (await verify_one(ctx)).first_break is None


async def test_the_history_survives_deletion_and_erasure(ctx: Context) -> None:
    contact = await opt_in(ctx)
    async with unit_of_work():
        await erase_contact(ctx, contact.id)
    page = await consent.list_consent(ctx, PageRequest(), phone=contact.phone)
    (row,) = page.items
    shown = consent.consent_entry_resource(row)
    assert (shown.status, shown.source, shown.version, shown.sequence) == ("opted_in", "checkout", "v3", 1)
    assert (shown.phone, shown.ip, shown.user_agent, shown.text) == (None, None, None, None)
    assert shown.erased_at is not None


Tampering = Callable[[Context, list[ConsentEvent]], Awaitable[None]]


def changing(column: str, value: str) -> Tampering:
    async def change(ctx: Context, rows: list[ConsentEvent]) -> None:
        await tamper(f"UPDATE consent_events SET {column} = {value} WHERE id = $1", rows[2].id)

    return change


async def delete_one(ctx: Context, rows: list[ConsentEvent]) -> None:
    await tamper("DELETE FROM consent_events WHERE id = $1", rows[2].id)


async def delete_first(ctx: Context, rows: list[ConsentEvent]) -> None:
    await tamper("DELETE FROM consent_events WHERE id = $1", rows[0].id)


async def delete_last(ctx: Context, rows: list[ConsentEvent]) -> None:
    await tamper("DELETE FROM consent_events WHERE id = $1", rows[4].id)


async def insert_in_the_middle(ctx: Context, rows: list[ConsentEvent]) -> None:
    row = rows[2]
    await tamper(
        "INSERT INTO consent_events SELECT (jsonb_populate_record(c, jsonb_build_object('id', $2::uuid,"
        " 'status', 'opted_out'))).* FROM consent_events AS c WHERE c.id = $1",
        row.id,
        ids.new_id(),
    )


async def insert_outside(ctx: Context, rows: list[ConsentEvent]) -> None:
    await tamper(
        "INSERT INTO consent_events SELECT (jsonb_populate_record(c, jsonb_build_object('id', $2::uuid,"
        " 'sequence', null))).* FROM consent_events AS c WHERE c.id = $1",
        rows[2].id,
        ids.new_id(),
    )


async def alter_head(ctx: Context, rows: list[ConsentEvent]) -> None:
    await db.execute("UPDATE consent_chains SET hash = repeat('0', 64)")


async def rewind_head(ctx: Context, rows: list[ConsentEvent]) -> None:
    await db.execute("UPDATE consent_chains SET sequence = 4, hash = $1", rows[3].hash)


async def delete_head(ctx: Context, rows: list[ConsentEvent]) -> None:
    await db.execute("DELETE FROM consent_chains")


async def rehash_one(ctx: Context, rows: list[ConsentEvent]) -> None:
    """A row that was changed and given the hash of what it is now."""
    await tamper("UPDATE consent_events SET status = 'opted_out' WHERE id = $1", rows[2].id)
    row = (await chain_of(ctx))[2]
    await tamper(
        "UPDATE consent_events SET hash = $2 WHERE id = $1",
        row.id,
        consent_chain.row_hash(row, row.previous_hash or ""),
    )


OWN_HASH = "its hash is not that of its contents"
DETAILS = "its ip, user agent or text is not what was hashed"


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        (changing("status", "'opted_out'"), Break(3, OWN_HASH)),
        (changing("source", "'form'"), Break(3, OWN_HASH)),
        (changing("source", "NULL"), Break(3, OWN_HASH)),
        (changing("actor", "'system'"), Break(3, OWN_HASH)),
        (changing("version", "'v4'"), Break(3, OWN_HASH)),
        (changing("contact_id", "NULL"), Break(3, OWN_HASH)),
        (changing("id", "gen_random_uuid()"), Break(3, OWN_HASH)),
        (changing("created_at", "created_at + interval '1 microsecond'"), Break(3, OWN_HASH)),
        (changing("phone_hash", "repeat('a', 64)"), Break(3, OWN_HASH)),
        (changing("phone_hash", "NULL"), Break(3, OWN_HASH)),
        (changing("details_hash", "NULL"), Break(3, OWN_HASH)),
        (changing("hash", "repeat('a', 64)"), Break(3, OWN_HASH)),
        (changing("previous_hash", "repeat('a', 64)"), Break(3, "it does not follow the row before it")),
        (changing("phone", "'+12125550100'"), Break(3, "its phone is not the one that was hashed")),
        (changing("phone", "NULL"), Break(3, "its phone is missing although it was not erased")),
        (changing("ip", "'203.0.113.5'"), Break(3, DETAILS)),
        (changing("user_agent", "NULL"), Break(3, DETAILS)),
        (changing("text", "'I agree to more.'"), Break(3, DETAILS)),
        (changing("erased_at", "now()"), Break(3, "it is erased and still holds what was erased")),
        (changing("sequence", "9"), Break(4, "row 3 is missing")),
        (changing("livemode", "true"), Break(4, "row 3 is missing")),
        (delete_one, Break(4, "row 3 is missing")),
        (delete_first, Break(2, "row 1 is missing")),
        (delete_last, Break(5, "the head names row 5, the last one is 4")),
        (insert_outside, Break(None, "rows outside the chain: 1")),
        (alter_head, Break(6, "the head names row 5, the last one is 5")),
        (rewind_head, Break(6, "the head names row 4, the last one is 5")),
        (delete_head, Break(5, "the head is missing")),
        (rehash_one, Break(4, "it does not follow the row before it")),
    ],
)
async def test_tampering_is_found(ctx: Context, tampering: Tampering, found: Break) -> None:
    rows = await make_chain(ctx, 5)
    await tampering(ctx, rows)
    chain = await verify_one(ctx)
    assert chain.first_break == found


async def test_a_row_in_the_middle_is_found(ctx: Context) -> None:
    rows = await make_chain(ctx, 5)
    await insert_in_the_middle(ctx, rows)
    chain = await verify_one(ctx)
    assert chain.rows == 6
    assert chain.first_break is not None
    assert chain.first_break.sequence == 3


async def test_only_the_broken_chain_is_broken(ctx: Context, other_ctx: Context) -> None:
    rows = await make_chain(ctx, 3)
    await make_chain(other_ctx, 3)
    await tamper("UPDATE consent_events SET source = 'form' WHERE id = $1", rows[0].id)
    found = await consent_chain.verify(SERVICES)
    assert not found.is_whole
    assert {chain.workspace_id: chain.first_break is None for chain in found.chains} == {
        ctx.workspace_id: False,
        other_ctx.workspace_id: True,
    }
    assert (await consent_chain.verify(SERVICES, workspace_id=other_ctx.workspace_id)).is_whole


async def test_a_rewritten_chain_lacks_the_head_noted_before(ctx: Context) -> None:
    """Even one whose seal was made with the service's key, as by an operator after the change."""
    rows = await make_chain(ctx, 3)
    noted = rows[1].hash or ""
    assert (await consent_chain.verify(SERVICES, noted_head=noted)).is_whole
    await tamper("UPDATE consent_events SET source = 'form'")
    await rewrite(ctx)
    await consent_seals.seal_as_they_are(SERVICES)

    assert (await consent_chain.verify(SERVICES)).is_whole
    found = await consent_chain.verify(SERVICES, noted_head=noted)
    assert (found.is_whole, found.has_noted_head) == (False, False)


def unproven(*rows: Any) -> Break:
    """Contacts that are opted in, and no row says so."""
    contact = ids.encode_id(ids.CONTACT, rows[0].contact_id)
    return Break(None, f"contacts that are opted in without a row: {len(rows)}, the first {contact}")


async def test_an_opt_in_that_nobody_gave_is_found(ctx: Context) -> None:
    contact = await make_contact(ctx, status=OptInStatus.UNKNOWN)
    assert (await consent_chain.verify(SERVICES)).chains == []
    await db.execute("UPDATE contacts SET opt_in_status = 'opted_in'")
    (row,) = await db.fetch("SELECT id AS contact_id FROM contacts")
    found = VerifiedChain(ctx.workspace_id, False, first_break=unproven(row))
    assert await verify_one(ctx) == found

    # Nor does a row with the hashes of another, made to look as if it had been erased.
    async with unit_of_work():
        await consent.opt_out(ctx, contact, source="keyword", now=NOW)
    assert (await verify_one(ctx)).first_break is None
    await db.execute(
        "INSERT INTO consent_events (id, workspace_id, livemode, phone, phone_hash, contact_id, status, source,"
        " details_hash, actor, created_at) SELECT gen_random_uuid(), workspace_id, livemode, phone, phone_hash,"
        " contact_id, 'opted_in', 'form', details_hash, actor, created_at FROM consent_events"
    )
    await consent_seals.seal_as_they_are(SERVICES)
    await db.execute(f"UPDATE consent_events SET {ERASE} WHERE sequence = 2")
    await db.execute("UPDATE contacts SET opt_in_status = 'opted_in'")
    assert (await verify_one(ctx)).first_break == unproven(row)


@pytest.mark.parametrize(
    ("comes_back", "statement", "missing"),
    [
        (False, "SELECT", ()),
        (False, "DELETE FROM suppressions", (3,)),
        (False, "DELETE FROM erased_suppressions", (2,)),
        (True, "SELECT", ()),
        (True, "DELETE FROM suppressions", (2, 3)),
    ],
)
async def test_an_opt_out_that_suppresses_nothing_is_found(
    ctx: Context, comes_back: bool, statement: str, missing: tuple[int, ...]
) -> None:
    contact = await opt_in(ctx)
    await suppress(ctx, [contact.phone, next_phone()])
    async with unit_of_work():
        await erase_contact(ctx, contact.id)
    if comes_back:
        # Suppressed by its phone again, which its row does not have any more.
        async with unit_of_work():
            await ensure_contact(ctx, contact.phone, now=NOW)
    await db.execute(statement)
    reason = f"phones that opted out and are not suppressed: {len(missing)}, the first in row {min(missing, default=0)}"
    assert (await verify_one(ctx)).first_break == (Break(min(missing), reason) if missing else None)


async def test_a_chain_cut_short_with_its_head_lacks_the_head_noted_before(ctx: Context) -> None:
    rows = await make_chain(ctx, 3)
    await tamper("DELETE FROM consent_events WHERE id = $1", rows[2].id)
    await db.execute("UPDATE consent_chains SET sequence = 2, hash = $1", rows[1].hash)
    assert (await verify_one(ctx)).first_break == Break(3, "rows were sealed up to 3, the last one is 2")
    await consent_seals.seal_as_they_are(SERVICES)
    assert (await verify_one(ctx)).first_break == unproven(rows[2])
    await db.execute("DELETE FROM contacts")
    assert (await consent_chain.verify(SERVICES)).is_whole
    assert (await consent_chain.verify(SERVICES, noted_head=rows[1].hash)).is_whole
    found = await consent_chain.verify(SERVICES, noted_head=rows[2].hash)
    assert (found.is_whole, found.has_noted_head) == (False, False)


async def test_a_chain_that_is_gone_altogether_lacks_the_head_noted_before(ctx: Context) -> None:
    rows = await make_chain(ctx, 2)
    await tamper("DELETE FROM consent_events")
    await db.execute("DELETE FROM consent_chains")
    assert (await verify_one(ctx)).first_break == unproven(*rows)
    await db.execute("DELETE FROM contacts")
    found = await consent_chain.verify(SERVICES)
    assert (found.is_whole, found.fault) == (False, "the service made 1 chains, and 0 are there: not the same")
    await consent_seals.seal_as_they_are(SERVICES)
    assert (await consent_chain.verify(SERVICES)).is_whole
    assert not (await consent_chain.verify(SERVICES, noted_head=rows[1].hash)).is_whole


async def test_what_is_rolled_back_leaves_no_gap(ctx: Context) -> None:
    await make_chain(ctx, 1)
    phones = [next_phone() for _ in range(3)]

    async def suppress_and_fail(some: list[str]) -> None:
        async with unit_of_work():
            await consent.suppress(ctx, some, source="import", now=NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await suppress_and_fail(phones[:2])
    async with unit_of_work():
        # A savepoint of the transaction.
        with pytest.raises(ZeroDivisionError):
            await suppress_and_fail(phones[:1])
        await consent.suppress(ctx, phones[2:], source="import", now=NOW)
    assert [row.sequence for row in await chain_of(ctx)] == [1, 2]
    assert (await verify_one(ctx)).first_break is None


async def test_long_chains_are_read_in_batches(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consent_chain, "BATCH", 3)
    rows = await make_chain(ctx, 8)
    assert (await verify_one(ctx)).rows == 8
    await insert_in_the_middle(ctx, rows)
    chain = await verify_one(ctx)
    assert chain.rows == 9
    assert chain.first_break is not None


async def test_what_stood_before_the_chain_is_chained_in_its_order(
    ctx: Context, live_ctx: Context, other_ctx: Context
) -> None:
    """Without hashes of the phones, because the key was not at hand; what comes after has them."""
    for number, each in enumerate((ctx, other_ctx, live_ctx, other_ctx, ctx, other_ctx)):
        await tamper(
            "INSERT INTO consent_events (id, workspace_id, livemode, phone, contact_id, status, source, ip, actor,"
            " created_at) VALUES ($1, $2, $3, '+12125550100', $1, 'opted_in', $4, '203.0.113.4', 'system', now())",
            ids.new_id(),
            each.workspace_id,
            each.livemode,
            None if number == 3 else f"form {number}",
        )
    assert not (await consent_chain.verify(SERVICES)).is_whole
    await tamper(import_module("msvs.migrations.0006_consent_chain").ADOPTION)
    assert await consent_seals.seal_due(SERVICES) == 3

    found = await consent_chain.verify(SERVICES)
    assert found.is_whole
    assert {(chain.workspace_id, chain.livemode): chain.rows for chain in found.chains} == {
        (ctx.workspace_id, False): 2,
        (ctx.workspace_id, True): 1,
        (other_ctx.workspace_id, False): 3,
    }
    assert [(row.sequence, row.source, row.phone_hash) for row in await chain_of(other_ctx)] == [
        (1, "form 1", None),
        (2, None, None),
        (3, "form 5", None),
    ]
    await suppress(other_ctx, ["+12125550100"])
    page = await consent.list_consent(other_ctx, PageRequest(), phone="+12125550100")
    assert [row.sequence for row in page.items] == [4, 3, 2, 1]
    assert (await verify_one(other_ctx)).first_break is None


async def test_a_row_without_its_own_hash_breaks_the_chain(ctx: Context) -> None:
    await make_chain(ctx, 3)
    await tamper("UPDATE consent_events SET hash = NULL WHERE sequence = 2")
    found = await verify_one(ctx)
    assert found.rows == 3
    assert found.first_break == Break(2, "its hash is not that of its contents")


async def test_a_row_that_lost_its_hash_passes_for_none_from_before(ctx: Context) -> None:
    await make_chain(ctx, 2)
    await tamper("UPDATE consent_events SET phone_hash = NULL WHERE sequence = 2")
    row = (await chain_of(ctx))[1]
    fixed = consent_chain.row_hash(row, row.previous_hash or "")
    await tamper("UPDATE consent_events SET hash = $1 WHERE sequence = 2", fixed)
    await db.execute("UPDATE consent_chains SET hash = $1", fixed)
    assert (await verify_one(ctx)).first_break == Break(2, "it has no hash of its phone")


async def test_another_secret_is_distinguished_from_another_chain(ctx: Context) -> None:
    await make_chain(ctx, 1)
    SERVICES.keyring.hash_with("another")
    try:
        chain = await verify_one(ctx)
    finally:
        SERVICES.keyring.hash_with(CONSENT_SECRET)
    assert chain.first_break == Break(1, "its phone is not the one that was hashed")
