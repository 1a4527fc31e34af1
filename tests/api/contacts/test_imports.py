"""Importing contacts: made, changed and counted once, and nobody who said STOP is brought back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.consent import consent_chain
from msvs.api.contacts.contacts import CreateContact, OptInEvidence, delete_contact, ensure_contact, opt_out_contact
from msvs.api.contacts.imports import ContactsImported, ImportContacts, RowRefused, import_contacts
from msvs.api.contacts.lists import add_contacts
from msvs.api.contacts.suppressions import create_suppression
from msvs.api.context import Context
from msvs.api.errors import Conflict, InvalidRequest, PermissionDenied
from msvs.api.privacy.erasure import erase_contact
from msvs.api.unit_of_work import unit_of_work
from msvs.http.body import convert
from msvs.models import (
    ConsentEvent,
    Contact,
    ContactList,
    Event,
    ListMember,
    Message,
    OptInStatus,
    Role,
    Suppression,
    Workspace,
)
from tests.factories import make_contact, make_list
from tests.services import SERVICES

MARIA, ANA, EVA = "+12125550171", "+12125550172", "+12125550173"
EVIDENCE = OptInEvidence("webinar", "203.0.113.4", text="Text me about Cohort 06.", version="2026-04")


def list_ref(id: UUID) -> str:
    return ids.encode_id(ids.CONTACT_LIST, id)


async def import_(ctx: Context, *rows: CreateContact | str, **options: Any) -> ContactsImported:
    contacts = [CreateContact(row) if isinstance(row, str) else row for row in rows]
    async with unit_of_work():
        return await import_contacts(ctx, ImportContacts(contacts, **options))


async def status(phone: str) -> tuple[str, str | None]:
    contact = await Contact.get(phone=phone)
    return contact.opt_in_status.value, contact.opt_in_source


async def test_new_phones_get_contacts_on_a_list_with_their_evidence(ctx: Context) -> None:
    row = await make_list(ctx)
    own = OptInEvidence("checkout")
    people = [
        CreateContact(MARIA, first_name="Maria", email="maria@example.com", attributes={"tier": "vip", "old": None}),
        CreateContact(ANA, timezone="America/Sao_Paulo", opt_in=own),
    ]

    done = await import_(ctx, *people, list_id=list_ref(row.id), opt_in=EVIDENCE)

    assert done == ContactsImported(created=2, added_to_list=2, opted_in=2)
    maria = await Contact.get(phone=MARIA)
    assert (maria.first_name, maria.last_name, maria.email, maria.attributes) == (
        "Maria",
        None,
        "maria@example.com",
        {"tier": "vip"},
    )
    assert (maria.region, maria.number_kind, maria.livemode) == ("US", "fixed_line_or_mobile", ctx.livemode)
    assert (maria.opt_in_status, maria.opt_in_source, maria.opt_in_ip) == ("opted_in", "webinar", "203.0.113.4")
    assert await status(ANA) == ("opted_in", "checkout")
    assert (await Contact.get(phone=ANA)).timezone == "America/Sao_Paulo"
    assert (await ContactList.get()).contact_count == 2
    first, second = await ConsentEvent.all().order_by("sequence")
    assert (first.phone, first.contact_id, first.source, first.ip, first.text, first.version, first.actor) == (
        MARIA,
        maria.id,
        "webinar",
        "203.0.113.4",
        "Text me about Cohort 06.",
        "2026-04",
        ctx.actor,
    )
    assert (second.phone, second.source, second.text) == (ANA, "checkout", None)
    assert (await consent_chain.verify(SERVICES)).is_whole
    assert await Event.all().count() == 0


async def test_known_contacts_are_updated_and_other_fields_stay(ctx: Context) -> None:
    maria = await make_contact(
        ctx, MARIA, first_name="Maria", last_name="Silva", attributes={"tier": "vip", "city": "Porto"}
    )
    ana = await make_contact(ctx, ANA, status=OptInStatus.UNKNOWN, first_name="Ana")
    row = await make_list(ctx, [maria])

    done = await import_(
        ctx,
        CreateContact(MARIA, last_name="Santos", attributes={"tier": None, "joined": 2026}),
        CreateContact(ANA, first_name="Ana"),
        list_id=list_ref(row.id),
        opt_in=EVIDENCE,
    )

    assert done == ContactsImported(updated=1, unchanged=1, added_to_list=1, opted_in=1)
    changed = await Contact.get(id=maria.id)
    assert (changed.first_name, changed.last_name, changed.attributes) == (
        "Maria",
        "Santos",
        {"city": "Porto", "joined": 2026},
    )
    # Maria is in already, and her evidence is not touched.
    assert changed.opt_in_source is None
    assert await Event.all().count() == 0
    assert await ListMember.filter(list_id=row.id).count() == 2
    before = await Contact.get(id=ana.id)
    assert await import_(ctx, CreateContact(ANA, first_name="Ana")) == ContactsImported(unchanged=1)
    assert (await Contact.get(id=ana.id)).updated_at == before.updated_at


async def test_rows_of_one_phone_are_one_and_the_last_word_holds(ctx: Context) -> None:
    done = await import_(
        ctx,
        CreateContact(MARIA, first_name="Mary", last_name="Silva", attributes={"a": 1, "b": 2}),
        CreateContact("(212) 555-0171", first_name="Maria", attributes={"b": None}, opt_in=EVIDENCE),
        CreateContact(f" {MARIA} "),
        default_region="US",
    )

    assert done == ContactsImported(created=1, duplicates=2, opted_in=1)
    contact = await Contact.get()
    assert (contact.phone, contact.first_name, contact.last_name, contact.attributes) == (
        MARIA,
        "Maria",
        "Silva",
        {"a": 1},
    )


@pytest.mark.parametrize(
    ("written", "region", "phone"),
    [
        ("2125550171", "US", MARIA),
        ("1-212-555-0171", "US", MARIA),
        ("+1 (212) 555.0171", "BR", MARIA),
        ("(11) 98765-4321", "BR", "+5511987654321"),
        ("07911 123456", "GB", "+447911123456"),
        ("0044 7911 123456", "FR", "+447911123456"),
        ("1-800-FLOWERS", "US", None),
        ("２１２５５５０１７１", "US", None),
        ("212 555 0171 ext. 5", "US", None),
        ("2125550171;phone-context=+44", "US", None),
        ("555-0171", "US", None),
        ("", "US", None),
        ("1" * 40, "US", None),
        ("2125550171", None, None),
        ("+1 212 555 0171", None, None),
    ],
)
async def test_phones_are_read_as_they_are_dialed_in_a_region(
    ctx: Context, written: str, region: str | None, phone: str | None
) -> None:
    done = await import_(ctx, written, default_region=region)

    assert [row.phone for row in await Contact.all()] == ([] if phone is None else [phone])
    assert [(row.index, row.code, row.param) for row in done.invalid] == (
        [(0, "phone_number_invalid", "contacts[0].phone")] if phone is None else []
    )


async def test_a_row_that_cannot_be_taken_is_reported_and_the_others_are_imported(ctx: Context) -> None:
    full = await make_contact(ctx, EVA, attributes={f"a{number}": number for number in range(50)})
    row = await make_list(ctx)

    done = await import_(
        ctx,
        CreateContact(EVA, first_name="Eva", attributes={"one": "more"}),
        CreateContact("12"),
        CreateContact(MARIA, first_name="x" * 101),
        CreateContact(MARIA, email="maria"),
        CreateContact(MARIA, timezone="Mars"),
        CreateContact(MARIA, attributes={"tags": ["vip"]}),
        CreateContact(ANA),
        list_id=list_ref(row.id),
    )

    assert [(refused.index, refused.code, refused.param) for refused in done.invalid] == [
        (0, "parameter_out_of_range", "contacts[0].attributes"),
        (1, "phone_number_invalid", "contacts[1].phone"),
        (2, "parameter_out_of_range", "contacts[2].first_name"),
        (3, "email_invalid", "contacts[3].email"),
        (4, "timezone_invalid", "contacts[4].timezone"),
        (5, "parameter_invalid", "contacts[5].attributes.tags"),
    ]
    assert done.invalid[3] == RowRefused(3, "email_invalid", "The e-mail address is not valid.", "contacts[3].email")
    assert (done.created, done.updated, done.unchanged, done.added_to_list) == (1, 0, 0, 1)
    assert await Contact.all().count() == 2
    assert (await Contact.get(id=full.id)).first_name is None


async def test_an_import_opts_no_stop_in_again(ctx: Context) -> None:
    out = await make_contact(ctx, MARIA)
    gone = await make_contact(ctx, ANA)
    erased = await make_contact(ctx, EVA)
    async with unit_of_work():
        for contact in (out, gone, erased):
            await opt_out_contact(ctx, contact.id)
        await delete_contact(ctx, gone.id)
    async with unit_of_work():
        await erase_contact(ctx, erased.id)
    async with unit_of_work():
        await create_suppression(ctx, "+12125550174", source="complaint")
    entries = await ConsentEvent.all().count()

    done = await import_(ctx, MARIA, ANA, EVA, "+12125550174", opt_in=EVIDENCE)

    assert done == ContactsImported(created=3, unchanged=1, opted_out=4)
    assert [await status(phone) for phone in (MARIA, ANA, EVA)] == [("opted_out", "api")] * 3
    assert await status("+12125550174") == ("opted_out", "complaint")
    assert await Suppression.all().count() == 4
    assert await ConsentEvent.all().count() == entries
    assert await Event.filter(type="contact.opted_in").count() == 0


async def test_a_stop_that_came_without_a_contact_is_seen_though_the_contact_is_unknown(ctx: Context) -> None:
    await make_contact(ctx, MARIA, status=OptInStatus.UNKNOWN)
    await Suppression.create(workspace_id=ctx.workspace_id, livemode=ctx.livemode, phone=MARIA, source="keyword")
    assert await import_(ctx, MARIA, opt_in=EVIDENCE) == ContactsImported(unchanged=1, opted_out=1)
    assert await status(MARIA) == ("unknown", None)
    await Workspace.filter(id=ctx.workspace_id).update(double_opt_in=True)
    assert await import_(ctx, MARIA, opt_in=EVIDENCE) == ContactsImported(unchanged=1, opted_out=1)
    assert await Message.all().count() == 0


async def test_under_double_opt_in_each_is_asked_once(ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(double_opt_in=True)
    await make_contact(ctx, ANA, status=OptInStatus.UNKNOWN)

    assert await import_(ctx, MARIA, ANA, opt_in=EVIDENCE) == ContactsImported(created=1, unchanged=1, pending=2)
    assert await import_(ctx, MARIA, ANA, opt_in=EVIDENCE) == ContactsImported(unchanged=2)

    assert [row.opt_in_status for row in await Contact.all()] == ["pending", "pending"]
    assert sorted([row.to_phone for row in await Message.all()]) == [MARIA, ANA]
    assert await Event.filter(type="contact.opted_in").count() == 0


async def test_without_evidence_consent_is_unknown(ctx: Context) -> None:
    assert await import_(ctx, MARIA) == ContactsImported(created=1)
    assert await status(MARIA) == ("unknown", None)
    assert await ConsentEvent.all().count() == 0


async def test_an_invalid_import_is_refused_and_nothing_is_written(ctx: Context, other_ctx: Context) -> None:
    foreign = await make_list(other_ctx)
    cases: list[tuple[list[CreateContact], dict[str, Any], str, str]] = [
        ([CreateContact(MARIA)] * 501, {}, "parameter_out_of_range", "contacts"),
        ([CreateContact(MARIA)], {"default_region": "XX"}, "parameter_invalid", "default_region"),
        ([CreateContact(MARIA)], {"opt_in": OptInEvidence()}, "parameter_missing", "opt_in.source"),
        ([CreateContact(MARIA)], {"list_id": list_ref(foreign.id)}, "resource_missing", "list_id"),
    ]
    for rows, options, code, param in cases:
        with pytest.raises(InvalidRequest) as refused:
            await import_(ctx, *rows, **options)
        assert (refused.value.code, refused.value.param) == (code, param)
    synced = await make_list(ctx)
    await ContactList.filter(id=synced.id).update(kind="synced")
    with pytest.raises(Conflict) as conflict:
        await import_(ctx, MARIA, list_id=list_ref(synced.id))
    assert conflict.value.code == "list_synced"
    with pytest.raises(PermissionDenied):
        await import_(Context(ctx.workspace_id, ctx.livemode, role=Role.READ_ONLY, services=SERVICES), MARIA)
    assert await Contact.all().count() == 0


async def test_modes_and_workspaces_are_apart(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    others = [await make_contact(each, MARIA, first_name="Theirs") for each in (live_ctx, other_ctx)]
    assert await import_(ctx, CreateContact(MARIA, first_name="Ours")) == ContactsImported(created=1)
    assert [(await Contact.get(id=each.id)).first_name for each in others] == ["Theirs", "Theirs"]
    assert await import_(ctx) == ContactsImported()


async def test_imports_at_once_make_each_contact_once(ctx: Context) -> None:
    row = await make_list(ctx)
    phones = [f"+12125550{number}" for number in range(100, 160)]
    orders = [phones, phones[::-1], phones[30:] + phones[:30]]

    done = await asyncio.gather(*(import_(ctx, *order, list_id=list_ref(row.id), opt_in=EVIDENCE) for order in orders))

    assert sum(each.created for each in done) == sum(each.opted_in for each in done) == len(phones)
    assert sum(each.unchanged for each in done) == 2 * len(phones)
    assert await Contact.all().count() == len(phones)
    assert (await ContactList.get()).contact_count == len(phones)
    assert await ConsentEvent.all().count() == len(phones)
    assert (await consent_chain.verify(SERVICES)).is_whole


async def test_an_import_waits_for_a_contact_being_created_and_adds_it_to_its_list(ctx: Context) -> None:
    row = await make_list(ctx)
    is_made = asyncio.Event()

    async def join() -> None:
        async with unit_of_work():
            contact = await ensure_contact(ctx, ANA, now=datetime.now(UTC))
            is_made.set()
            while not await db.fetch_value("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await add_contacts(ctx, row.id, [ids.encode_id(ids.CONTACT, contact.id)])

    joining = asyncio.create_task(join())
    await is_made.wait()
    done = await import_(ctx, MARIA, ANA, EVA, list_id=list_ref(row.id))
    await joining

    assert done == ContactsImported(created=2, unchanged=1, added_to_list=2)
    assert (await ContactList.get()).contact_count == 3


async def test_five_hundred_at_once(ctx: Context) -> None:
    row = await make_list(ctx)
    phones = [f"+1213555{number:04d}" for number in range(500)]
    done = await import_(ctx, *phones, list_id=list_ref(row.id), opt_in=EVIDENCE)
    assert done == ContactsImported(created=500, added_to_list=500, opted_in=500)
    assert await import_(ctx, *phones, list_id=list_ref(row.id), opt_in=EVIDENCE) == ContactsImported(unchanged=500)


@pytest.mark.parametrize("ip", ["", " ", "x", "203.0.113.4:80"])
async def test_only_the_row_with_bad_evidence_is_refused(ctx: Context, ip: str) -> None:
    bad = CreateContact(ANA, opt_in=OptInEvidence("web", ip))
    done = await import_(ctx, CreateContact(MARIA, opt_in=EVIDENCE), bad, CreateContact(EVA), opt_in=EVIDENCE)
    assert (done.created, done.opted_in) == (2, 2)
    assert [(each.index, each.code, each.param) for each in done.invalid] == [
        (1, "ip_invalid", "contacts[1].opt_in.ip")
    ]
    assert await Contact.filter(phone=ANA).count() == 0


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("::ffff:203.0.113.4", "203.0.113.4"),
        ("::FFFF:cb00:7104", "203.0.113.4"),
        ("2001:DB8:0::4", "2001:db8::4"),
        ("::203.0.113.4", "::cb00:7104"),
    ],
)
async def test_an_address_of_evidence_is_kept_in_its_usual_spelling(ctx: Context, said: str, kept: str) -> None:
    """A server that listens on both families tells of its IPv4 visitors in IPv6."""
    await import_(ctx, CreateContact(ANA, opt_in=OptInEvidence("web", said)))
    ana = await Contact.get(phone=ANA)
    assert ana.opt_in_ip == kept


async def test_blank_cells_are_ignored_and_edges_trimmed(ctx: Context) -> None:
    known = await make_contact(ctx, MARIA, first_name="Maria", attributes={"city": "Porto", "tier": "vip"})
    attributes = {"city": " ", "tier": " gold "}
    done = await import_(
        ctx,
        CreateContact(f" {MARIA}\u200b", "", "\u00a0 \u200b", "maria@example.com ", attributes=attributes),
        CreateContact(ANA, " Ana\t", "\ufeffSilva", "", timezone=" ", external_id="\u202ac-1\u202c"),
        opt_in=OptInEvidence("form"),
    )
    assert (done.updated, done.created, done.invalid) == (1, 1, [])
    maria, ana = await Contact.get(id=known.id), await Contact.get(phone=ANA)
    assert (maria.first_name, maria.last_name, maria.email) == ("Maria", None, "maria@example.com")
    assert maria.attributes == {"city": "Porto", "tier": "gold"}
    assert (ana.first_name, ana.last_name, ana.email, ana.timezone, ana.external_id) == (
        "Ana",
        "Silva",
        None,
        None,
        "c-1",
    )


async def test_only_the_row_with_the_external_id_of_another_is_refused(ctx: Context) -> None:
    await import_(ctx, CreateContact(MARIA, external_id="c-1"))
    done = await import_(
        ctx,
        CreateContact(MARIA, "Maria", external_id="c-1"),
        CreateContact(ANA, external_id="c-1"),
        CreateContact(EVA, external_id="c-2"),
        CreateContact("+12125550174", external_id="c-2"),
    )
    assert (done.updated, done.created) == (1, 1)
    assert [(each.index, each.code, each.param) for each in done.invalid] == [
        (1, "contact_exists", "contacts[1].external_id"),
        (3, "contact_exists", "contacts[3].external_id"),
    ]


async def test_only_the_row_that_cannot_be_read_is_refused(ctx: Context) -> None:
    good = {"phone": "+12125550161", "email": "", "first_name": " Ana "}
    bad: list[tuple[object, str, str]] = [
        ({"phone": 1}, "parameter_invalid", "contacts[1].phone"),
        ({"phone": "+12125550162", "name": "x"}, "parameter_unknown", "contacts[2].name"),
        ({"phone": "+12125550162", "opt_in": {}}, "parameter_missing", "contacts[3].opt_in.source"),
        ({"phone": "+12125550162", "opt_in": {"source": "web", "ip": ""}}, "ip_invalid", "contacts[4].opt_in.ip"),
        ({"phone": "+12125550162", "opt_in": "web"}, "parameter_invalid", "contacts[5].opt_in"),
        (
            {"phone": "+12125550162", "opt_in": {"source": "web", "at": "x"}},
            "parameter_invalid",
            "contacts[6].opt_in.at",
        ),
        ({"phone": "+12125550162", "attributes": [1]}, "parameter_invalid", "contacts[7].attributes"),
        ({"first_name": "Ana"}, "parameter_missing", "contacts[8].phone"),
        ("+12125550162", "parameter_invalid", "contacts[9]"),
        (None, "parameter_invalid", "contacts[10]"),
    ]
    body = {"contacts": [good, *(row for row, _, _ in bad), {"phone": "+12125550163"}], "opt_in": {"source": "form"}}
    async with unit_of_work():
        done = await import_contacts(ctx, convert(body, ImportContacts))
    assert (done.created, done.opted_in) == (2, 2)
    assert [(row.index, row.code, row.param) for row in done.invalid] == [
        (index, why, param) for index, (_, why, param) in enumerate(bad, start=1)
    ]
    ana = await Contact.get(phone="+12125550161")
    assert (ana.first_name, ana.email) == ("Ana", None)
