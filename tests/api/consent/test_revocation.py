"""What undoes an opt-out: the person's own act or evidence newer than it, and nothing else on any path."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from msvs import database as db
from msvs.api import crypto, ids
from msvs.api.consent import consent, consent_chain, revocation
from msvs.api.consent.revocation import EVIDENCE_ALONE, OWN_ACT, Claim, claim_of, may_undo
from msvs.api.contacts import suppressions
from msvs.api.contacts.contacts import (
    CreateContact,
    OptInEvidence,
    UpdateContact,
    create_contact,
    delete_contact,
    update_contact,
)
from msvs.api.contacts.imports import ContactsImported, ImportContacts, import_contacts
from msvs.api.context import Context
from msvs.api.errors import Conflict, InvalidRequest
from msvs.api.inbound import keywords
from msvs.api.inbound.replies import receive_inbound
from msvs.api.privacy.erasure import erase_contact
from msvs.api.resources import moment
from msvs.api.unit_of_work import unit_of_work
from msvs.models import ConsentEvent, Contact, ErasedSuppression, Event, Message, OptInStatus, Suppression, Workspace
from tests.factories import make_contact, make_list, renewed
from tests.owner import as_owner
from tests.services import SERVICES

PHONE = "+12125550123"
MOBILE, BARE = "+5491123456789", "+541123456789"
OLD = OptInEvidence("checkout", "203.0.113.4")
NOW = datetime(2026, 5, 1, 20, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


async def within(operation: Callable[[], Awaitable[Any]]) -> Any:
    async with unit_of_work():
        return await operation()


async def create(ctx: Context, evidence: OptInEvidence | None = None, phone: str = PHONE) -> Any:
    return await within(lambda: create_contact(ctx, CreateContact(phone, opt_in=evidence)))


async def update(ctx: Context, contact: Any, **changes: Any) -> Any:
    return await within(lambda: update_contact(ctx, contact.id, UpdateContact(**changes)))


async def hear(ctx: Context, text: str, phone: str = PHONE, **more: Any) -> Any:
    key = str(ids.new_id())
    return await within(
        lambda: receive_inbound(ctx, from_phone=phone, to_sender="MASSIVESMS", text=text, dedupe_key=key, **more)
    )


async def status(phone: str = PHONE) -> str:
    return str((await Contact.get(phone=phone)).opt_in_status)


TABLES = ("contacts", "suppressions", "erased_suppressions", "consent_events", "events", "messages", "list_members")


async def everything() -> list[Any]:
    return [[dict(row) for row in await db.fetch(f"SELECT * FROM {table} ORDER BY id")] for table in TABLES]


async def refused(operation: Callable[[], Awaitable[Any]]) -> Conflict:
    """The refusal of an operation as old evidence, which changed nothing."""
    before = await everything()
    with pytest.raises(Conflict) as caught:
        await within(operation)
    assert (caught.value.code, caught.value.status, caught.value.param) == ("opt_in_revoked", 409, "opt_in")
    assert caught.value.details["opted_out_at"] in caught.value.message
    assert await everything() == before
    return caught.value


@pytest.mark.parametrize(
    ("claim", "undoes"),
    [
        (OWN_ACT, True),
        (EVIDENCE_ALONE, False),
        (Claim(given_at=NOW + SECOND), False),
        (Claim(is_renewed=True), False),
        (Claim(given_at=NOW + SECOND, is_renewed=True), True),
        (Claim(given_at=NOW + 2 * SECOND, is_renewed=True), True),
        (Claim(given_at=NOW, is_renewed=True), False),
        (Claim(given_at=NOW - SECOND, is_renewed=True), False),
        (Claim(given_at=NOW + 3 * SECOND, is_renewed=True), False),
    ],
)
def test_only_an_act_of_the_person_or_newer_evidence_undoes_an_opt_out(claim: Claim, undoes: bool) -> None:
    assert may_undo(claim, NOW, NOW + 2 * SECOND) is undoes


@pytest.mark.parametrize(
    ("source", "actor", "is_own"),
    [
        ("keyword", "system", True),
        ("keyword:COHORT6", "system", True),
        ("double_opt_in", "system", True),
        ("keyword", "key_01HYZ8K5VQAE2N0PWQ6DC9V8MP", False),
        ("double_opt_in", "usr_01HYZ8K5VQAE2N0PWQ6DC9V8MP", False),
        ("checkout", "system", False),
        (None, "system", False),
    ],
)
def test_an_integrators_claim_is_no_act_of_the_person_with_any_source(
    source: str | None, actor: str, is_own: bool
) -> None:
    assert claim_of(ConsentEvent(source=source, actor=actor)).is_own_act is is_own


@pytest.mark.parametrize("is_renewed", [None, False, True])
def test_an_entry_is_renewed_evidence_only_where_it_says_so(is_renewed: bool | None) -> None:
    entry = ConsentEvent(source="checkout", actor="key_1", given_at=NOW, is_renewed=is_renewed)
    assert claim_of(entry) == Claim(given_at=NOW, is_renewed=is_renewed is True)


OLD_EVIDENCE = [
    ("plain", lambda at: OLD),
    ("dated but not renewed", lambda at: OptInEvidence("checkout", at=datetime.now(UTC))),
    ("renewed without a time", lambda at: OptInEvidence("checkout", renewed=True)),
    ("renewed before it", lambda at: OptInEvidence("checkout", at=at - SECOND, renewed=True)),
    ("renewed at that moment", lambda at: OptInEvidence("checkout", at=at, renewed=True)),
]


@pytest.mark.parametrize("evidence", [make for _, make in OLD_EVIDENCE], ids=[name for name, _ in OLD_EVIDENCE])
async def test_old_evidence_opts_nobody_in_again(ctx: Context, evidence: Callable[[datetime], OptInEvidence]) -> None:
    made = await create(ctx, OLD)
    await hear(ctx, "STOP")
    stop = await Suppression.get()
    given = evidence(stop.created_at)

    refusals = [
        await refused(lambda: update_contact(ctx, made.id, UpdateContact(first_name="Maria", opt_in=given))),
        await refused(lambda: create_contact(ctx, CreateContact(PHONE, opt_in=given))),
        await refused(lambda: suppressions.lift_suppression(ctx, stop.id, given)),
    ]
    await within(lambda: delete_contact(ctx, made.id))
    refusals += [
        await refused(lambda: create_contact(ctx, CreateContact(PHONE, opt_in=given))),
        await refused(lambda: suppressions.lift_suppression(ctx, stop.id, given)),
    ]

    assert {each.details["opted_out_at"] for each in refusals} == {moment(stop.created_at)}
    assert refusals[1].details["existing_id"] == ids.encode_id(ids.CONTACT, made.id)
    again = await create(ctx)
    assert (again.opt_in_status, again.opt_in_at) == ("opted_out", stop.created_at)
    await refused(lambda: update_contact(ctx, again.id, UpdateContact(opt_in=given)))
    changed = await update(ctx, again, first_name="Maria")
    assert (changed.first_name, changed.opt_in_status) == ("Maria", "opted_out")


async def test_the_same_evidence_opts_in_people_who_never_opted_out(ctx: Context) -> None:
    for number, (_, make) in enumerate(OLD_EVIDENCE):
        phone = f"+1212555010{number}"
        made = await create(ctx, make(datetime.now(UTC)), phone)
        again = await update(ctx, made, opt_in=make(datetime.now(UTC)))
        assert (made.opt_in_status, again.opt_in_status) == ("opted_in", "opted_in")


async def test_newer_evidence_opts_in_again_and_is_kept_with_its_time(ctx: Context) -> None:
    made = await create(ctx, OLD)
    await hear(ctx, "STOP")
    evidence = renewed("webinar", ip="203.0.113.9")

    changed = await update(ctx, made, opt_in=evidence)

    assert (changed.opt_in_status, changed.opt_in_source) == ("opted_in", "webinar")
    assert await Suppression.all().count() == 0
    entries = await ConsentEvent.all().order_by("sequence")
    assert [(entry.given_at, entry.is_renewed) for entry in entries] == [(None, None)] * 2 + [(evidence.at, True)]
    assert [event.type for event in await Event.filter(type__startswith="contact.")] == ["contact.opted_out"]
    assert (await consent_chain.verify(SERVICES)).is_whole
    # What was newer than one STOP is older than the next.
    await hear(ctx, "STOP")
    await refused(lambda: update_contact(ctx, made.id, UpdateContact(opt_in=evidence)))


@pytest.mark.parametrize(
    ("is_renewed", "change"),
    [
        (True, "given_at = given_at + interval '1 hour'"),
        (True, "is_renewed = false"),
        (True, "is_renewed = NULL"),
        (False, "is_renewed = true"),
        (False, "is_renewed = NULL"),
    ],
)
async def test_what_is_said_of_evidence_is_sealed_by_the_chain(ctx: Context, is_renewed: bool, change: str) -> None:
    await create(ctx, OptInEvidence("webinar", at=datetime.now(UTC), renewed=is_renewed))
    assert (await consent_chain.verify(SERVICES)).is_whole
    async with as_owner(), unit_of_work():
        await db.execute("ALTER TABLE consent_events DISABLE TRIGGER USER")
        await db.execute(f"UPDATE consent_events SET {change}")
        await db.execute("ALTER TABLE consent_events ENABLE TRIGGER USER")
    (chain,) = (await consent_chain.verify(SERVICES)).chains
    assert chain.first_break is not None
    assert chain.first_break.reason == "its hash is not that of its contents"


@pytest.mark.parametrize("text", ["START", "UNSTOP", "COHORT6"])
async def test_the_person_comes_back_by_a_word(ctx: Context, text: str) -> None:
    row = await make_list(ctx)
    await within(
        lambda: keywords.create_keyword(ctx, keywords.CreateKeyword("COHORT6", ids.encode_id(ids.CONTACT_LIST, row.id)))
    )
    await create(ctx, OLD)
    await hear(ctx, "STOP")
    await hear(ctx, text)
    assert (await status(), await Suppression.all().count()) == ("opted_in", 0)
    again = await update(ctx, await Contact.get(), opt_in=OLD)
    assert again.opt_in_status == "opted_in"


@pytest.mark.parametrize("text", ["STOP", "please stop texting me"])
async def test_a_stop_said_again_counts_though_it_changes_nothing(ctx: Context, text: str) -> None:
    made = await create(ctx, OLD)
    await hear(ctx, "STOP")
    between = renewed()
    await hear(ctx, text)
    await refused(lambda: update_contact(ctx, made.id, UpdateContact(opt_in=between)))
    await within(lambda: delete_contact(ctx, made.id))
    await refused(lambda: create_contact(ctx, CreateContact(PHONE, opt_in=between)))
    assert (await create(ctx, renewed())).opt_in_status == "opted_in"


@pytest.mark.parametrize("gone", ["deleted", "erased", "renumbered", "suppressed first"])
async def test_a_repeated_stop_is_recorded_without_a_contact(ctx: Context, gone: str) -> None:
    if gone == "suppressed first":
        await within(lambda: suppressions.import_suppressions(ctx, [PHONE]))
    else:
        await create(ctx, OLD)
        await hear(ctx, "STOP")
    between = renewed()
    await hear(ctx, "STOP")
    heard = await Contact.get()
    if gone == "erased":
        await within(lambda: erase_contact(ctx, heard.id))
    elif gone == "renumbered":
        await update(ctx, heard, phone=MOBILE)
    else:
        await within(lambda: delete_contact(ctx, heard.id))
    before = await everything()
    await refused(lambda: create_contact(ctx, CreateContact(PHONE, opt_in=between)))
    assert await everything() == before
    assert (await consent_chain.verify(SERVICES)).is_whole
    assert (await create(ctx, renewed())).opt_in_status == "opted_in"


@pytest.mark.parametrize("at", [datetime.now(UTC) + timedelta(days=365), datetime(1989, 12, 31, tzinfo=UTC)])
@pytest.mark.parametrize("is_out", [False, True])
async def test_a_time_that_is_none_is_refused(ctx: Context, at: datetime, is_out: bool) -> None:
    made = await create(ctx, OLD)
    if is_out:
        await hear(ctx, "STOP")
    before = await everything()
    evidence = OptInEvidence("checkout", at=at, renewed=True)
    with pytest.raises(InvalidRequest) as caught:
        await update(ctx, made, opt_in=evidence)
    assert (caught.value.code, caught.value.param) == ("parameter_out_of_range", "opt_in.at")
    assert await everything() == before


async def test_an_erased_phone_is_still_opted_out(ctx: Context) -> None:
    made = await create(ctx, OLD)
    await hear(ctx, "STOP")
    at = (await Suppression.get()).created_at
    await within(lambda: erase_contact(ctx, made.id))

    told = await refused(lambda: create_contact(ctx, CreateContact(PHONE, opt_in=OLD)))

    assert told.details == {"opted_out_at": moment(at)}
    assert await ErasedSuppression.all().count() == 1
    done = await within(lambda: import_contacts(ctx, ImportContacts([CreateContact(PHONE)], opt_in=renewed())))
    assert done == ContactsImported(created=1, opted_out=1)
    assert (await status(), (await Suppression.get()).created_at) == ("opted_out", at)
    contact = await Contact.get()
    await refused(lambda: update_contact(ctx, contact.id, UpdateContact(opt_in=OLD)))
    assert (await update(ctx, await Contact.get(), opt_in=renewed())).opt_in_status == "opted_in"


async def test_a_suppression_that_somebody_deletes_opts_nobody_in(ctx: Context) -> None:
    made = await create(ctx, OLD)
    await hear(ctx, "STOP")
    at = (await Suppression.get()).created_at
    await within(lambda: delete_contact(ctx, made.id))
    await db.execute("DELETE FROM suppressions")

    told = await refused(lambda: create_contact(ctx, CreateContact(PHONE, opt_in=OLD)))

    assert told.details == {"opted_out_at": moment(at)}
    done = await within(lambda: import_contacts(ctx, ImportContacts([CreateContact(PHONE)], opt_in=OLD)))
    assert (done.opted_in, done.opted_out) == (0, 1)
    assert await status() == "unknown"


async def test_a_contact_that_is_out_without_a_suppression_is_out(ctx: Context) -> None:
    made = await make_contact(ctx, PHONE, status=OptInStatus.OPTED_OUT, opt_in_at=NOW)
    told = await refused(lambda: update_contact(ctx, made.id, UpdateContact(opt_in=OLD)))
    assert told.details == {"opted_out_at": "2026-05-01T20:00:00Z"}


@pytest.mark.parametrize("kept", ["plain", "erased", "contact"])
async def test_a_phone_is_out_by_its_other_spelling(ctx: Context, kept: str) -> None:
    """As rows from before the spellings were known have it: only one number is there."""
    if kept == "contact":
        await make_contact(ctx, BARE, status=OptInStatus.OPTED_OUT, opt_in_at=NOW, opt_in_source="keyword")
    else:
        scope = {"workspace_id": ctx.workspace_id, "livemode": False, "source": "keyword", "created_at": NOW}
        if kept == "plain":
            await Suppression.create(phone=BARE, **scope)
            await Suppression.all().update(created_at=NOW)
        else:
            await ErasedSuppression.create(phone_hash=crypto.phone_hash(ctx, BARE), **scope)
    told = await refused(lambda: create_contact(ctx, CreateContact(MOBILE, opt_in=OLD)))
    assert told.details["opted_out_at"] == "2026-05-01T20:00:00Z"

    made = await Contact.get() if kept == "contact" else await create(ctx, None, MOBILE)

    assert (made.opt_in_status, made.opt_in_source, made.opt_in_at) == ("opted_out", "keyword", NOW)
    await refused(lambda: update_contact(ctx, made.id, UpdateContact(opt_in=OLD)))
    other = await make_contact(ctx)
    await within(lambda: delete_contact(ctx, made.id))
    await refused(lambda: update_contact(ctx, other.id, UpdateContact(phone=MOBILE, opt_in=OLD)))
    assert (await update(ctx, other, phone=MOBILE)).opt_in_status == "opted_out"


async def test_a_phone_that_came_back_by_one_spelling_is_opted_in_by_the_other(ctx: Context) -> None:
    made = await create(ctx, OLD, MOBILE)
    await hear(ctx, "STOP", MOBILE)
    await hear(ctx, "START", MOBILE)
    assert (await update(ctx, made, opt_in=OLD)).opt_in_status == "opted_in"
    await within(lambda: delete_contact(ctx, made.id))
    assert (await create(ctx, OLD, BARE)).opt_in_status == "opted_in"
    with pytest.raises(Conflict) as caught:
        await within(lambda: create_contact(ctx, CreateContact(MOBILE, opt_in=OLD)))
    assert caught.value.code == "contact_exists"


async def test_an_import_skips_opted_out_phones_with_any_evidence(ctx: Context) -> None:
    await create(ctx, OLD)
    await hear(ctx, "STOP")
    await Suppression.create(workspace_id=ctx.workspace_id, livemode=False, phone=BARE, source="keyword")
    rows = [CreateContact(PHONE, first_name="Maria"), CreateContact(MOBILE), CreateContact("+12125550124")]

    done = await within(lambda: import_contacts(ctx, ImportContacts(rows, opt_in=renewed())))

    assert done == ContactsImported(created=2, updated=1, opted_in=1, opted_out=2)
    assert [await status(row.phone) for row in rows] == ["opted_out", "opted_out", "opted_in"]
    assert await ConsentEvent.filter(status="opted_in").count() == 2


async def test_an_import_asks_nobody_who_is_out(ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(double_opt_in=True)
    await Suppression.create(workspace_id=ctx.workspace_id, livemode=False, phone=BARE, source="keyword")
    done = await within(lambda: import_contacts(ctx, ImportContacts([CreateContact(MOBILE)], opt_in=renewed())))
    assert done == ContactsImported(created=1, opted_out=1)
    assert await Message.all().count() == 0


# Double opt-in


async def test_an_opted_out_phone_is_asked_only_on_newer_evidence(ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(double_opt_in=True)
    made = await create(ctx)
    await hear(ctx, "STOP")
    asked = await Message.all().count()
    await refused(lambda: update_contact(ctx, made.id, UpdateContact(opt_in=OLD)))

    pending = await update(ctx, made, opt_in=renewed())

    assert (pending.opt_in_status, await Message.all().count() - asked) == ("pending", 1)
    assert await Suppression.all().count() == 1
    # Until the answer the phone is out.
    await refused(lambda: update_contact(ctx, made.id, UpdateContact(opt_in=OLD)))
    await hear(ctx, "YES")
    assert (await status(), await Suppression.all().count()) == ("opted_in", 0)


async def test_a_yes_to_a_question_from_before_the_stop_confirms_nothing(ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(double_opt_in=True)
    await create(ctx, OLD)
    await hear(ctx, "STOP")
    await hear(ctx, "YES")
    assert await status() == "opted_out"
    # As where the two came at once: pending, and suppressed since.
    await Contact.all().update(opt_in_status="pending", opt_in_at=datetime.now(UTC) - timedelta(hours=1))
    await hear(ctx, "YES")
    assert (await status(), await Suppression.all().count()) == ("pending", 1)


async def test_a_yes_to_a_question_that_was_never_sent_confirms_nothing(ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(double_opt_in=True)
    made = await create(ctx)
    await hear(ctx, "STOP")
    await update(ctx, made, opt_in=renewed())
    await Message.all().update(status="failed", sent_at=None)
    await hear(ctx, "YES")
    assert (await status(), await Suppression.all().count()) == ("pending", 1)


# At once


async def test_a_stop_that_commits_first_is_not_undone_by_creating_the_contact(ctx: Context) -> None:
    """Neither sees the other's rows: the head of the chain decides who was first."""
    suppressed, released = asyncio.Event(), asyncio.Event()

    async def stop() -> None:
        async with unit_of_work():
            await consent.suppress(ctx, [PHONE], source="keyword", now=datetime.now(UTC))
            suppressed.set()
            await released.wait()

    async def opt_in() -> None:
        await suppressed.wait()
        await create(ctx, OLD)

    stopping, joining = asyncio.create_task(stop()), asyncio.create_task(opt_in())
    await suppressed.wait()
    await waiting_for_a_lock()
    released.set()
    await stopping
    with pytest.raises(Conflict) as caught:
        await joining

    assert caught.value.code == "opt_in_revoked"
    assert await Contact.all().count() == 0
    assert await Suppression.all().count() == 1
    assert [row.status.value for row in await ConsentEvent.all()] == ["opted_out"]


@pytest.mark.parametrize("many", [False, True])
async def test_a_stop_finds_the_contact_that_was_made_meanwhile(ctx: Context, many: bool) -> None:
    made, released = asyncio.Event(), asyncio.Event()

    async def opt_in() -> None:
        async with unit_of_work():
            if many:
                await import_contacts(ctx, ImportContacts([CreateContact(PHONE)], opt_in=OLD))
            else:
                await create_contact(ctx, CreateContact(PHONE, opt_in=OLD))
            made.set()
            await released.wait()

    async def stop() -> None:
        await made.wait()
        await within(lambda: consent.suppress(ctx, [PHONE], source="keyword", now=datetime.now(UTC)))

    joining, stopping = asyncio.create_task(opt_in()), asyncio.create_task(stop())
    await made.wait()
    await waiting_for_a_lock()
    released.set()
    await asyncio.gather(joining, stopping)

    assert (await status(), await Suppression.all().count()) == ("opted_out", 1)
    assert [row.status.value for row in await ConsentEvent.all().order_by("sequence")] == ["opted_in", "opted_out"]
    assert await Event.filter(type="contact.opted_out").count() == 1
    assert (await consent_chain.verify(SERVICES)).is_whole


async def test_a_stop_that_commits_first_is_not_undone_by_an_import(ctx: Context) -> None:
    suppressed, released = asyncio.Event(), asyncio.Event()

    async def stop() -> None:
        async with unit_of_work():
            await consent.suppress(ctx, [PHONE], source="keyword", now=datetime.now(UTC))
            suppressed.set()
            await released.wait()

    async def opt_in() -> Any:
        await suppressed.wait()
        return await within(lambda: import_contacts(ctx, ImportContacts([CreateContact(PHONE)], opt_in=OLD)))

    stopping, joining = asyncio.create_task(stop()), asyncio.create_task(opt_in())
    await suppressed.wait()
    await waiting_for_a_lock()
    released.set()
    await stopping
    done = await joining

    assert (done.created, done.opted_in) == (1, 0)
    assert (await status(), await Suppression.all().count()) == ("opted_out", 1)
    assert (await consent_chain.verify(SERVICES)).is_whole


WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def waiting_for_a_lock() -> None:
    """Wait until some statement of this database waits for another's lock."""
    while not await db.fetch_value(WAITING):  # noqa: ASYNC110 - another connection's
        await asyncio.sleep(0.01)


async def test_concurrent_stops_and_syncs_leave_every_stop_in_force(ctx: Context) -> None:
    phones = [f"+121255502{number:02d}" for number in range(10)]

    syncs = [create(ctx, OLD, phone) for phone in phones]
    stops = [hear(ctx, "STOP", phone) for phone in phones]
    done = await asyncio.gather(*syncs, *stops, return_exceptions=True)

    errors = [each for each in done if isinstance(each, BaseException)]
    assert {error.code for error in errors if isinstance(error, Conflict)} <= {"opt_in_revoked", "contact_exists"}
    assert all(isinstance(error, Conflict) for error in errors)
    assert await Suppression.all().count() == 10
    assert {str(row.opt_in_status) for row in await Contact.all()} == {"opted_out"}
    out = await revocation.find_opt_outs(ctx, phones)
    assert sorted(out) == phones
