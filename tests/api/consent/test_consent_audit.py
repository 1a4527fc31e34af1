"""The audit of consent: what undid an opt-out without reason is found, put back, and found no more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from msvs import database as db
from msvs.api import crypto, ids
from msvs.api.consent import consent_audit, consent_chain, consent_seals
from msvs.api.consent.consent_audit import KeyMismatch, audit, repair, repair_due
from msvs.api.contacts.contacts import CreateContact, OptInEvidence, UpdateContact, create_contact, update_contact
from msvs.api.context import Context
from msvs.api.errors import ComplianceRefused, Conflict
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.models import ConsentEvent, Contact, ErasedSuppression, Event, Message, Repair, Suppression
from tests.factories import make_contact, renewed
from tests.services import CONSENT_SECRET, SERVICES

PHONE = "+12125550123"
MOBILE, BARE = "+5491123456789", "+541123456789"
NOW = datetime(2026, 5, 1, 20, 0, tzinfo=UTC)
KEY = "key_01HYZ8K5VQAE2N0PWQ6DC9V8MP"

# What happened to a phone: the status, the source and the actor.
Entry = tuple[str, str, str]
IN: Entry = ("opted_in", "checkout", KEY)
OUT: Entry = ("opted_out", "keyword", "system")
START: Entry = ("opted_in", "keyword", "system")
YES: Entry = ("opted_in", "double_opt_in", "system")
ASKED: Entry = ("pending", "checkout", KEY)
JOINED: Entry = ("opted_in", "keyword:COHORT6", "system")
CLAIMED: Entry = ("opted_in", "keyword", KEY)
REPAIRED: Entry = ("opted_out", "consent_audit", "system")


async def write(
    ctx: Context,
    entries: Sequence[Entry],
    phone: str = PHONE,
    contact: Contact | None = None,
    given_at: datetime | None = None,
    is_renewed: bool | None = None,
) -> None:
    """Write a history as the release before wrote it: every phone was opted in."""
    for status, source, actor in entries:
        id = ids.new_id()
        await ConsentEvent.create(
            id=id,
            workspace_id=ctx.workspace_id,
            livemode=ctx.livemode,
            phone=phone,
            phone_hash=crypto.phone_hash(ctx, phone),
            details_hash=SERVICES.keyring.hash_details(id, None, None, None),
            contact_id=None if contact is None else contact.id,
            status=status,
            source=source,
            actor=actor,
            given_at=given_at,
            is_renewed=is_renewed,
        )
    await consent_seals.seal_as_they_are(SERVICES)


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([], None),
        ([IN], None),
        ([IN, IN], None),
        ([IN, OUT], None),
        ([OUT, IN], 2),
        ([IN, OUT, IN], 3),
        ([IN, OUT, IN, IN], 3),
        ([IN, OUT, CLAIMED], 3),
        ([IN, OUT, START], None),
        ([IN, OUT, START, IN], None),
        ([IN, OUT, JOINED], None),
        ([IN, OUT, IN, START], None),
        ([IN, OUT, IN, OUT], None),
        ([IN, OUT, START, OUT, IN], 5),
        ([ASKED, OUT, YES], 3),
        ([OUT, ASKED, YES], None),
        ([OUT, ASKED], None),
        ([IN, OUT, IN, REPAIRED], None),
        ([IN, OUT, IN, REPAIRED, IN], 5),
    ],
)
async def test_an_opt_in_after_an_opt_out_needs_a_reason(
    ctx: Context, entries: Sequence[Entry], found: int | None
) -> None:
    await write(ctx, [IN], "+12125550199")
    await write(ctx, entries)
    undone = await audit(SERVICES)
    assert [each.sequence - 1 for each in undone] == ([] if found is None else [found])
    assert [(each.workspace_id, each.livemode, each.phone) for each in undone] == [
        (ctx.workspace_id, False, PHONE) for _ in undone
    ]


@pytest.mark.parametrize(
    ("offset", "is_renewed", "found"),
    [(-1, True, 1), (0, True, 1), (1, True, 0), (1, False, 1), (-1, None, 1), (1, None, 0)],
)
async def test_newer_evidence_is_a_reason(ctx: Context, offset: int, is_renewed: bool | None, found: int) -> None:
    """Of entries from before it was kept, what has a time was renewed: else it was refused after an opt-out."""
    await write(ctx, [OUT])
    out = await ConsentEvent.get()
    await write(ctx, [IN], given_at=out.created_at + timedelta(microseconds=offset), is_renewed=is_renewed)
    assert len(await audit(SERVICES)) == found


async def test_two_spellings_are_one_phone(ctx: Context) -> None:
    await write(ctx, [OUT], BARE)
    await write(ctx, [IN], MOBILE)
    (found,) = await audit(SERVICES)
    assert (found.phone, found.sequence) == (MOBILE, 2)
    await write(ctx, [START], BARE)
    assert await audit(SERVICES) == []


async def test_chains_are_distinguished(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    await write(ctx, [OUT])
    await write(live_ctx, [IN])
    await write(other_ctx, [OUT, IN])
    assert [each.workspace_id for each in await audit(SERVICES)] == [other_ctx.workspace_id]
    assert await audit(SERVICES, workspace_id=ctx.workspace_id) == []


async def undone(ctx: Context, phone: str = PHONE) -> Contact:
    """A contact that old evidence opted in again, as the release before left it."""
    contact = await make_contact(ctx, phone, opt_in_source="checkout", opt_in_at=NOW)
    await write(ctx, [IN, OUT, IN], phone, contact)
    return contact


async def test_what_was_undone_is_put_back(ctx: Context, live_ctx: Context) -> None:
    contact = await undone(live_ctx)
    innocent = await make_contact(live_ctx, "+12125550124")
    await write(live_ctx, [OUT, START], innocent.phone, innocent)
    async with unit_of_work():
        await Message.create(
            workspace_id=live_ctx.workspace_id,
            livemode=True,
            kind="api",
            contact_id=contact.id,
            to_phone=PHONE,
            sender="MASSIVESMS",
            body="Hey",
            encoding="gsm7",
            segments=1,
            credits_used=0,
            status="queued",
            due_at=NOW,
        )
    stop = await ConsentEvent.get(status="opted_out", phone=PHONE)

    assert await repair(SERVICES) == 1

    row = await Contact.get(id=contact.id)
    assert (row.opt_in_status, row.opt_in_source) == ("opted_out", "consent_audit")
    suppression = await Suppression.get()
    assert (suppression.phone, suppression.source, suppression.livemode) == (PHONE, "consent_audit", True)
    last = await ConsentEvent.filter(phone=PHONE).order_by("-sequence").first()
    assert last is not None
    assert (last.status, last.source, last.actor, last.contact_id) == (
        "opted_out",
        "consent_audit",
        "system",
        contact.id,
    )
    assert await Event.filter(type="contact.opted_out").count() == 1
    assert (await Message.get()).status == "canceled"
    assert (await Contact.get(id=innocent.id)).opt_in_status == "opted_in"
    assert (await consent_chain.verify(SERVICES)).is_whole
    assert await audit(SERVICES) == []
    assert await repair(SERVICES) == 0
    # What counts is when the person said it, not when it was put back.
    with pytest.raises(Conflict) as caught:
        async with unit_of_work():
            await update_contact(live_ctx, contact.id, UpdateContact(opt_in=renewed_at(stop.created_at)))
    assert caught.value.code == "opt_in_revoked"
    between = stop.created_at + timedelta(microseconds=1)
    async with unit_of_work():
        back = await update_contact(live_ctx, contact.id, UpdateContact(opt_in=renewed_at(between)))
    assert back.opt_in_status == "opted_in"
    assert await audit(SERVICES) == []


def renewed_at(at: datetime) -> OptInEvidence:
    return replace(renewed(), at=at)


async def test_a_deleted_contact_is_put_back_by_its_phone(ctx: Context) -> None:
    contact = await undone(ctx)
    await contact.delete()
    assert await repair(SERVICES) == 1
    assert (await Suppression.get()).phone == PHONE
    async with unit_of_work():
        made = await create_contact(ctx, CreateContact(PHONE))
    assert made.opt_in_status == "opted_out"
    assert (await consent_chain.verify(SERVICES)).is_whole


async def test_an_erased_phone_is_suppressed_by_its_hash(ctx: Context) -> None:
    contact = await undone(ctx)
    await contact.delete()
    await db.execute(
        "UPDATE consent_events SET phone = NULL, ip = NULL, user_agent = NULL, text = NULL, erased_at = now()"
    )
    (found,) = await audit(SERVICES)
    assert found.phone is None

    assert await repair(SERVICES) == 1

    assert (await ErasedSuppression.get()).phone_hash == crypto.phone_hash(ctx, PHONE)
    assert (await audit(SERVICES), await repair(SERVICES)) == ([], 0)
    async with unit_of_work():
        assert (await create_contact(ctx, CreateContact(PHONE))).opt_in_status == "opted_out"
    assert await audit(SERVICES) == []
    assert (await consent_chain.verify(SERVICES)).is_whole


async def test_many_are_put_back_by_parts(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consent_audit, "CHUNK", 2)
    monkeypatch.setattr(consent_audit, "BATCH", 4)
    for number in range(5):
        await undone(ctx, f"+1212555010{number}")
    assert await repair(SERVICES) == 5
    assert await Suppression.all().count() == 5
    assert (await consent_chain.verify(SERVICES)).is_whole


async def test_another_secret_writes_nothing(ctx: Context) -> None:
    await undone(ctx)
    SERVICES.keyring.hash_with("another")
    try:
        with pytest.raises(KeyMismatch):
            await repair(SERVICES)
    finally:
        SERVICES.keyring.hash_with(CONSENT_SECRET)
    assert (await Suppression.all().count(), await ConsentEvent.all().count()) == (0, 3)


async def test_the_repair_that_is_due_is_made_once_and_counted(ctx: Context) -> None:
    assert not await consent_audit.is_due()
    await Repair.create(name="opt_outs_undone", requested_at=NOW)
    await undone(ctx)
    assert await consent_audit.is_due()
    assert await repair_due(SERVICES) == 1
    row = await Repair.get()
    assert (row.changed_count, row.done_at is not None) == (1, True)
    assert not await consent_audit.is_due()
    with pytest.raises(ComplianceRefused):
        async with unit_of_work():
            await send_message(ctx, SendMessage(PHONE, "Hi"))
