"""Contacts: making, finding, changing and deleting them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from msvs.api import ids
from msvs.api.contacts.contact_pages import list_matching
from msvs.api.contacts.contacts import (
    CreateContact,
    ListContacts,
    OptInEvidence,
    UpdateContact,
    create_contact,
    delete_contact,
    ensure_contact,
    get_contact,
    opt_out_contact,
    update_contact,
)
from msvs.api.contacts.lists import add_contacts
from msvs.api.context import Context
from msvs.api.errors import ApiError, Conflict, InvalidRequest, NotFound
from msvs.api.pages import PageRequest
from msvs.api.unit_of_work import unit_of_work
from msvs.models import (
    ConsentEvent,
    Contact,
    ContactList,
    Event,
    ListMember,
    Message,
    OptInStatus,
    Suppression,
    Workspace,
)
from tests.factories import make_contact, make_list, renewed

PHONE = "+14155550123"
OTHER_PHONE = "+5511987654321"
NOW = datetime(2026, 5, 1, 20, 0, tzinfo=UTC)
EVIDENCE = OptInEvidence("checkout", "203.0.113.4")
DOCUMENTED = CreateContact(
    phone=PHONE,
    first_name="Maria",
    last_name="Silva",
    email="maria@example.com",
    opt_in=EVIDENCE,
    attributes={"tier": "vip", "joined_at": "2026-04-22"},
)


async def create(ctx: Context, data: CreateContact) -> Any:
    async with unit_of_work():
        return await create_contact(ctx, data)


async def update(ctx: Context, contact: Any, **changes: Any) -> Contact:
    async with unit_of_work():
        return await update_contact(ctx, contact.id, UpdateContact(**changes))


async def opt_out(ctx: Context, contact: Any) -> Contact:
    async with unit_of_work():
        return await opt_out_contact(ctx, contact.id)


async def delete(ctx: Context, contact: Any) -> None:
    async with unit_of_work():
        await delete_contact(ctx, contact.id)


async def find(ctx: Context, **filters: Any) -> list[str]:
    page = await list_matching(ctx, PageRequest(), ListContacts(**filters))
    return sorted(contact.phone for contact in page.items)


async def event_types() -> list[str]:
    return [event.type for event in await Event.all().order_by("id")]


async def test_a_contact_keeps_what_it_was_given(ctx: Context) -> None:
    made = await create(ctx, DOCUMENTED)

    contact = await get_contact(ctx, made.id)
    assert (contact.phone, contact.region, contact.number_kind) == (PHONE, "US", "fixed_line_or_mobile")
    assert (contact.first_name, contact.last_name, contact.email) == ("Maria", "Silva", "maria@example.com")
    assert contact.attributes == {"tier": "vip", "joined_at": "2026-04-22"}
    assert (contact.opt_in_status, contact.opt_in_source, contact.opt_in_ip) == ("opted_in", "checkout", "203.0.113.4")
    assert contact.opt_in_at == contact.created_at
    history = await ConsentEvent.all()
    assert [(row.phone, row.contact_id, row.status, row.source, row.ip, row.actor) for row in history] == [
        (PHONE, made.id, "opted_in", "checkout", "203.0.113.4", "test")
    ]
    assert await event_types() == []


async def test_without_evidence_consent_is_unknown(ctx: Context) -> None:
    made = await create(ctx, CreateContact(PHONE))

    assert (made.opt_in_status, made.opt_in_source, made.opt_in_at) == ("unknown", None, None)
    assert (made.first_name, made.last_name, made.email, made.attributes) == (None, None, None, {})
    assert await ConsentEvent.all().count() == 0


async def test_double_opt_in_starts_pending_with_one_question(ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(double_opt_in=True, opt_in_text="Reply YES to join.")

    made = await create(ctx, DOCUMENTED)

    assert made.opt_in_status == "pending"
    messages = await Message.all()
    assert [(row.to_phone, row.contact_id, row.body, row.kind) for row in messages] == [
        (PHONE, made.id, "Reply YES to join.", "auto")
    ]
    assert "contact.opted_in" not in await event_types()


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"phone": "+1abc"}, "phone_number_invalid", "phone"),
        ({"phone": "4155550123"}, "phone_number_invalid", "phone"),
        ({"first_name": ""}, "parameter_out_of_range", "first_name"),
        ({"first_name": "x" * 101}, "parameter_out_of_range", "first_name"),
        ({"last_name": "Sil\nva"}, "parameter_invalid", "last_name"),
        ({"last_name": "Sil\x00va"}, "parameter_invalid", "last_name"),
        ({"last_name": "\ud800"}, "parameter_invalid", "last_name"),
        ({"email": "maria"}, "email_invalid", "email"),
        ({"email": "maria@example"}, "email_invalid", "email"),
        ({"email": "ma ria@example.com"}, "email_invalid", "email"),
        ({"email": "maria@exam\nple.com"}, "email_invalid", "email"),
        ({"email": " \n"}, "email_invalid", "email"),
        ({"external_id": " "}, "parameter_out_of_range", "external_id"),
        ({"external_id": "c\n1"}, "parameter_invalid", "external_id"),
        ({"email": "a@b@example.com"}, "email_invalid", "email"),
        ({"email": "maria@-example.com"}, "email_invalid", "email"),
        ({"email": "maria@example..com"}, "email_invalid", "email"),
        ({"email": "maria\ud800@example.com"}, "email_invalid", "email"),
        ({"email": "m" * 60 + "@" + "example." * 25 + "com"}, "email_invalid", "email"),
        ({"opt_in": OptInEvidence()}, "parameter_missing", "opt_in.source"),
        ({"opt_in": OptInEvidence("  ")}, "parameter_out_of_range", "opt_in.source"),
        ({"opt_in": OptInEvidence("x" * 101)}, "parameter_out_of_range", "opt_in.source"),
        ({"opt_in": OptInEvidence("form", "203.0.113")}, "ip_invalid", "opt_in.ip"),
        ({"opt_in": OptInEvidence("form", "fe80::1%eth0")}, "ip_invalid", "opt_in.ip"),
        ({"attributes": {"": 1}}, "parameter_invalid", "attributes"),
        ({"attributes": {"k" * 41: 1}}, "parameter_invalid", "attributes"),
        ({"attributes": {"a\x00": 1}}, "parameter_invalid", "attributes"),
        ({"attributes": {"a": "x" * 501}}, "parameter_invalid", "attributes.a"),
        ({"attributes": {"a": "\x00"}}, "parameter_invalid", "attributes.a"),
        ({"attributes": {"a": []}}, "parameter_invalid", "attributes.a"),
        ({"attributes": {"a": {}}}, "parameter_invalid", "attributes.a"),
        ({"attributes": {"a": float("nan")}}, "parameter_invalid", "attributes.a"),
        ({"attributes": {"a": 2**53 + 1}}, "parameter_invalid", "attributes.a"),
        ({"attributes": {f"k{n}": n for n in range(51)}}, "parameter_out_of_range", "attributes"),
    ],
)
async def test_values_out_of_bounds_are_refused(ctx: Context, changes: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await create(ctx, CreateContact(**{"phone": PHONE, **changes}))

    assert (refused.value.code, refused.value.param) == (code, param)
    assert await Contact.all().count() == 0


async def test_the_bounds_themselves_are_taken(ctx: Context) -> None:
    attributes = {f"{n:040d}": "x" * 500 for n in range(47)} | {"n": 2**53, "f": -1.5, "b": False, "gone": None}
    made = await create(
        ctx,
        CreateContact(PHONE, "x" * 100, "ß", "josé@exämple.com", OptInEvidence("x" * 100, "2001:DB8::1"), attributes),
    )

    del attributes["gone"]
    assert made.attributes == attributes
    assert (made.first_name, made.email, made.opt_in_ip) == ("x" * 100, "josé@exämple.com", "2001:db8::1")


async def test_a_second_contact_for_a_phone_conflicts(ctx: Context) -> None:
    made = await create(ctx, CreateContact(PHONE))

    with pytest.raises(Conflict) as refused:
        await create(ctx, DOCUMENTED)

    assert refused.value.code == "contact_exists"
    assert refused.value.details == {"existing_id": ids.encode_id(ids.CONTACT, made.id)}
    assert await Contact.all().count() == 1
    assert await ConsentEvent.all().count() == 0


async def test_modes_and_workspaces_do_not_share_phones(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    made = [await create(each, CreateContact(PHONE)) for each in (ctx, live_ctx, other_ctx)]

    assert len({contact.id for contact in made}) == 3
    for stranger in (live_ctx, other_ctx):
        for operation in (
            get_contact(stranger, made[0].id),
            update(stranger, made[0], first_name="Eve"),
            opt_out(stranger, made[0]),
            delete(stranger, made[0]),
        ):
            with pytest.raises(NotFound):
                await operation
        assert [contact.id for contact in (await list_matching(stranger, PageRequest())).items] == [
            made[1 if stranger is live_ctx else 2].id
        ]
    assert (await get_contact(ctx, made[0].id)).opt_in_status == "unknown"


async def test_twenty_at_once_make_one_contact(ctx: Context) -> None:
    results = await asyncio.gather(*(create(ctx, DOCUMENTED) for _ in range(20)), return_exceptions=True)

    made = [result for result in results if not isinstance(result, BaseException)]
    conflicts = [result for result in results if isinstance(result, Conflict)]
    assert (len(made), len(conflicts)) == (1, 19)
    assert {conflict.details["existing_id"] for conflict in conflicts} == {ids.encode_id(ids.CONTACT, made[0].id)}
    assert await Contact.all().count() == 1
    assert await ConsentEvent.all().count() == 1


async def test_twenty_first_messages_at_once_make_one_contact(ctx: Context) -> None:
    async def ensure() -> Any:
        async with unit_of_work():
            return await ensure_contact(ctx, PHONE, now=NOW)

    rows = await asyncio.gather(*(ensure() for _ in range(20)))

    assert len({row.id for row in rows}) == 1
    assert {(row.phone, row.region, row.opt_in_status, row.created_at) for row in rows} == {
        (PHONE, "US", "unknown", NOW)
    }
    assert await Contact.all().count() == 1


async def test_ensure_finds_the_contact_there_is(ctx: Context) -> None:
    made = await create(ctx, DOCUMENTED)

    row = await ensure_contact(ctx, PHONE, now=NOW)

    assert (row.id, row.first_name, row.opt_in_status) == (made.id, "Maria", "opted_in")


async def test_a_phone_that_said_stop_stays_suppressed(ctx: Context) -> None:
    made = await create(ctx, DOCUMENTED)
    stopped = await opt_out(ctx, made)
    await delete(ctx, made)

    ensured = await ensure_contact(ctx, PHONE, now=NOW)
    assert (ensured.opt_in_status, ensured.opt_in_source, ensured.opt_in_at) == (
        "opted_out",
        "api",
        stopped.opt_in_at,
    )
    await delete(ctx, ensured)
    imported = await create(ctx, CreateContact(PHONE))
    assert (imported.opt_in_status, imported.opt_in_source) == ("opted_out", "api")
    assert await Suppression.all().count() == 1
    with pytest.raises(Conflict) as refused:
        await opt_out(ctx, imported)
    assert refused.value.code == "contact_opted_out"


async def test_a_phone_that_said_stop_opts_in_again_on_evidence(ctx: Context) -> None:
    made = await create(ctx, DOCUMENTED)
    await opt_out(ctx, made)
    await delete(ctx, made)

    again = await create(ctx, CreateContact(PHONE, opt_in=renewed("webinar")))

    assert (again.opt_in_status, again.opt_in_source) == ("opted_in", "webinar")
    assert await Suppression.all().count() == 0
    assert [row.status for row in await ConsentEvent.all().order_by("id")] == ["opted_in", "opted_out", "opted_in"]
    # `contact.opted_in` is for what the person does.
    assert await event_types() == ["contact.opted_out"]


async def test_an_update_changes_only_what_it_names(ctx: Context) -> None:
    made = await create(ctx, DOCUMENTED)

    changed = await update(ctx, made, first_name="Ana", email=None, attributes={"tier": None, "score": 7})

    assert (changed.first_name, changed.last_name, changed.email) == ("Ana", "Silva", None)
    assert changed.attributes == {"joined_at": "2026-04-22", "score": 7}
    assert (changed.opt_in_status, changed.opt_in_at) == ("opted_in", made.opt_in_at)
    assert changed.updated_at > made.updated_at
    assert changed.created_at == made.created_at
    assert await ConsentEvent.all().count() == 1


async def test_the_limit_of_attributes_counts_those_already_there(ctx: Context) -> None:
    made = await create(ctx, CreateContact(PHONE, attributes={f"k{n}": n for n in range(50)}))

    with pytest.raises(InvalidRequest) as refused:
        await update(ctx, made, attributes={"more": 1})
    assert refused.value.param == "attributes"
    changed = await update(ctx, made, attributes={"k0": None, "more": 1})

    assert len(changed.attributes) == 50
    assert changed.attributes["more"] == 1


async def test_merges_at_once_lose_nothing(ctx: Context) -> None:
    made = await create(ctx, CreateContact(PHONE))

    await asyncio.gather(*(update(ctx, made, attributes={f"k{n}": n}) for n in range(20)))

    assert (await get_contact(ctx, made.id)).attributes == {f"k{n}": n for n in range(20)}


async def test_an_update_opts_in_again_with_its_source_only(ctx: Context) -> None:
    made = await create(ctx, DOCUMENTED)
    await opt_out(ctx, made)

    with pytest.raises(InvalidRequest) as refused:
        await update(ctx, made, opt_in=OptInEvidence(ip="203.0.113.9"))
    assert (refused.value.code, refused.value.param) == ("parameter_missing", "opt_in.source")
    assert (await get_contact(ctx, made.id)).opt_in_status == "opted_out"
    changed = await update(ctx, made, opt_in=renewed("form", ip="203.0.113.9"))

    assert (changed.opt_in_status, changed.opt_in_source, changed.opt_in_ip) == ("opted_in", "form", "203.0.113.9")
    assert await Suppression.all().count() == 0
    # `contact.opted_in` is for what the person does.
    assert await event_types() == ["contact.opted_out"]


async def test_another_phone_is_another_consent(ctx: Context) -> None:
    made = await create(ctx, DOCUMENTED)

    changed = await update(ctx, made, phone=OTHER_PHONE)

    assert (changed.phone, changed.region, changed.number_kind) == (OTHER_PHONE, "BR", "mobile")
    assert (changed.opt_in_status, changed.opt_in_source, changed.opt_in_ip, changed.opt_in_at) == (
        "unknown",
        None,
        None,
        None,
    )
    assert (await update(ctx, changed, phone=OTHER_PHONE, opt_in=EVIDENCE)).opt_in_status == "opted_in"
    assert (await update(ctx, changed, phone=OTHER_PHONE)).opt_in_status == "opted_in"


async def test_a_suppressed_phone_suppresses_the_contact_that_takes_it(ctx: Context) -> None:
    stopped = await create(ctx, DOCUMENTED)
    await opt_out(ctx, stopped)
    await delete(ctx, stopped)
    made = await create(ctx, CreateContact(OTHER_PHONE, opt_in=EVIDENCE))

    changed = await update(ctx, made, phone=PHONE)

    assert (changed.opt_in_status, changed.opt_in_source) == ("opted_out", "api")


async def test_a_phone_that_is_taken_changes_nothing(ctx: Context) -> None:
    taken = await create(ctx, DOCUMENTED)
    made = await create(ctx, CreateContact(OTHER_PHONE, "Ana"))

    async with unit_of_work():
        with pytest.raises(Conflict) as refused:
            await update_contact(ctx, made.id, UpdateContact(phone=PHONE))
        # The caller's transaction is still of use, as idempotency needs it.
        assert (await get_contact(ctx, made.id)).phone == OTHER_PHONE

    assert refused.value.code == "contact_exists"
    assert refused.value.details == {"existing_id": ids.encode_id(ids.CONTACT, taken.id)}


async def test_of_ten_that_want_a_phone_one_gets_it(ctx: Context) -> None:
    contacts = [await make_contact(ctx) for _ in range(10)]

    results = await asyncio.gather(
        *(update(ctx, contact, phone=OTHER_PHONE) for contact in contacts), return_exceptions=True
    )

    winners = [result for result in results if not isinstance(result, BaseException)]
    assert len(winners) == 1
    assert {(error.code, error.details["existing_id"]) for error in results if isinstance(error, ApiError)} == {
        ("contact_exists", ids.encode_id(ids.CONTACT, winners[0].id))
    }
    assert await Contact.filter(phone=OTHER_PHONE).count() == 1


async def test_a_deleted_contact_leaves_its_lists_and_its_history(ctx: Context) -> None:
    made = await create(ctx, DOCUMENTED)
    stays = await make_contact(ctx)
    first = await make_list(ctx, [await get_contact(ctx, made.id), stays])
    second = await make_list(ctx, [await get_contact(ctx, made.id)])

    await delete(ctx, made)

    with pytest.raises(NotFound):
        await get_contact(ctx, made.id)
    counts = {row.id: row.contact_count for row in await ContactList.all()}
    assert counts == {first.id: 1, second.id: 0}
    assert await ListMember.all().values_list("contact_id", flat=True) == [stays.id]
    assert await ConsentEvent.filter(phone=PHONE).count() == 1
    with pytest.raises(NotFound):
        await delete(ctx, made)


async def test_a_deleted_contact_is_not_texted_by_a_waiting_campaign(ctx: Context) -> None:
    made = await make_contact(ctx, PHONE)
    campaign, single = [
        await Message.create(
            workspace_id=ctx.workspace_id,
            livemode=False,
            kind="campaign" if campaign_id else "api",
            campaign_id=campaign_id,
            contact_id=made.id,
            to_phone=PHONE,
            sender="MASSIVESMS",
            body="Hey",
            encoding="gsm7",
            segments=1,
            credits_used=1,
            status="queued",
            due_at=NOW,
        )
        for campaign_id in (ids.new_id(), None)
    ]

    await delete(ctx, made)

    canceled = await Message.get(id=campaign.id)
    assert (canceled.status, canceled.error_code, canceled.credits_used) == ("canceled", "recipient_deleted", 0)
    assert (await Message.get(id=single.id)).status == "queued"


async def test_adding_and_deleting_at_once_leaves_no_ghost_on_a_list(ctx: Context) -> None:
    lists = [await make_list(ctx) for _ in range(3)]
    contacts = [await make_contact(ctx) for _ in range(8)]
    public_ids = [ids.encode_id(ids.CONTACT, contact.id) for contact in contacts]

    async def add(row: ContactList) -> None:
        async with unit_of_work():
            await add_contacts(ctx, row.id, public_ids)

    await asyncio.gather(*(add(row) for row in lists), *(delete(ctx, contact) for contact in contacts[:4]))

    members = await ListMember.all().values_list("contact_id", flat=True)
    assert sorted(members) == sorted([contact.id for contact in contacts[4:]] * 3)
    assert [row.contact_count for row in await ContactList.all()] == [4, 4, 4]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"q": "mari"}, {"maria", "marina"}),
        ({"q": "SILVA maria"}, {"maria"}),
        ({"q": "example.com"}, {"maria"}),
        ({"q": "+1 (415) 555"}, {"maria", "percent"}),
        ({"q": "98765"}, {"marina"}),
        ({"q": "%"}, {"percent"}),
        ({"q": "_"}, set()),
        ({"q": "\\"}, set()),
        ({"q": "' OR 1=1 --"}, set()),
        ({"q": "   "}, {"maria", "marina", "percent"}),
        ({"phone": PHONE}, {"maria"}),
        ({"phone": "+14155550199"}, set()),
        ({"email": "MARIA@Example.com"}, {"maria"}),
        ({"opt_in_status": "opted_out"}, {"marina"}),
        ({"opt_in_status": "unknown", "q": "ana"}, {"percent"}),
    ],
)
async def test_contacts_are_found_by(ctx: Context, filters: dict[str, str], expected: set[str]) -> None:
    named: dict[str, tuple[str, dict[str, Any]]] = {
        PHONE: ("maria", {"first_name": "Maria", "last_name": "Silva", "email": "Maria@example.com"}),
        OTHER_PHONE: ("marina", {"first_name": "Marina", "status": OptInStatus.OPTED_OUT}),
        "+14155550124": ("percent", {"first_name": "100% Ana", "status": OptInStatus.UNKNOWN}),
    }
    for phone, (_, values) in named.items():
        await make_contact(ctx, phone, **values)

    assert {named[phone][0] for phone in await find(ctx, **filters)} == expected


async def test_contacts_are_found_by_list(ctx: Context, other_ctx: Context) -> None:
    listed = await make_contact(ctx)
    await make_contact(ctx)
    row = await make_list(ctx, [listed])
    foreign = await make_list(other_ctx, [await make_contact(other_ctx)])

    assert await find(ctx, list_id=ids.encode_id(ids.CONTACT_LIST, row.id)) == [listed.phone]
    assert await find(ctx, list_id=ids.encode_id(ids.CONTACT_LIST, foreign.id)) == []


@pytest.mark.parametrize(
    ("filters", "param"),
    [
        ({"opt_in_status": "maybe"}, "opt_in_status"),
        ({"phone": "4155550123"}, "phone"),
        ({"email": "maria"}, "email"),
        ({"q": "x" * 101}, "q"),
        ({"q": "a\x00"}, "q"),
    ],
)
async def test_a_filter_that_cannot_be_read_is_refused(ctx: Context, filters: dict[str, str], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await find(ctx, **filters)

    assert refused.value.param == param


async def test_pages_of_contacts_run_newest_first(ctx: Context) -> None:
    made = [await make_contact(ctx) for _ in range(5)]

    first = await list_matching(ctx, PageRequest(limit=2))
    second = await list_matching(ctx, PageRequest(limit=2, starting_after=first.items[-1].id))

    assert [row.id for row in (*first.items, *second.items)] == [row.id for row in made[:0:-1]]
    assert (first.has_more, second.has_more) == (True, True)


async def test_a_contact_that_made_itself_is_adopted_once(ctx: Context) -> None:
    async with unit_of_work():
        itself = await ensure_contact(ctx, PHONE, now=datetime.now(UTC))

    adopted = await create(ctx, DOCUMENTED)

    assert (adopted.id, adopted.first_name, adopted.opt_in_status) == (itself.id, "Maria", "opted_in")
    assert [(row.status, row.source) for row in await ConsentEvent.all()] == [("opted_in", "checkout")]
    assert await event_types() == []
    with pytest.raises(Conflict) as again:
        await create(ctx, DOCUMENTED)
    assert (again.value.code, await Contact.all().count()) == ("contact_exists", 1)


async def test_one_that_made_itself_and_said_stop_is_adopted_as_it_is_and_not_opted_in(ctx: Context) -> None:
    async with unit_of_work():
        itself = await ensure_contact(ctx, PHONE, now=datetime.now(UTC))
    await opt_out(ctx, itself)
    with pytest.raises(Conflict) as refused:
        await create(ctx, DOCUMENTED)
    assert (refused.value.code, (await get_contact(ctx, itself.id)).first_name) == ("opt_in_revoked", None)

    adopted = await create(ctx, CreateContact(PHONE, first_name="Maria"))

    assert (adopted.id, adopted.first_name, adopted.opt_in_status) == (itself.id, "Maria", "opted_out")


async def test_one_that_somebody_changed_is_no_longer_to_be_adopted(ctx: Context) -> None:
    async with unit_of_work():
        itself = await ensure_contact(ctx, PHONE, now=datetime.now(UTC))
    await update(ctx, itself, first_name="Ana")
    with pytest.raises(Conflict) as refused:
        await create(ctx, DOCUMENTED)
    assert (refused.value.code, (await get_contact(ctx, itself.id)).first_name) == ("contact_exists", "Ana")


async def test_of_two_concurrent_creations_one_takes_over_the_contact(ctx: Context) -> None:
    async with unit_of_work():
        itself = await ensure_contact(ctx, PHONE, now=datetime.now(UTC))
    done = await asyncio.gather(create(ctx, DOCUMENTED), create(ctx, DOCUMENTED), return_exceptions=True)
    (adopted,) = [each for each in done if not isinstance(each, Exception)]
    (refused,) = [each for each in done if isinstance(each, Conflict)]
    assert (adopted.id, refused.code) == (itself.id, "contact_exists")


async def test_an_upsert_changes_by_phone_and_by_external_id_and_keeps_what_it_leaves_out(ctx: Context) -> None:
    async def upsert(phone: str, **values: Any) -> Any:
        async with unit_of_work():
            return await create_contact(ctx, CreateContact(phone, on_conflict="update", **values))

    made = await upsert(PHONE, first_name="Maria", email="maria@example.com")
    by_phone = await upsert(PHONE, last_name="Silva", external_id="c-1")
    assert (by_phone.id, by_phone.first_name, by_phone.last_name) == (made.id, "Maria", "Silva")
    by_id = await upsert("+12125550199", external_id="c-1", opt_in=OptInEvidence("form"))
    assert (by_id.id, by_id.phone, by_id.email) == (made.id, "+12125550199", "maria@example.com")
    assert by_id.opt_in_status == "opted_in"
    other = await upsert(PHONE, external_id="c-2")
    assert other.id != made.id
    with pytest.raises(Conflict) as refused:
        await upsert(PHONE, external_id="c-1")
    assert (refused.value.param, refused.value.details["existing_id"]) == (
        "phone",
        ids.encode_id(ids.CONTACT, other.id),
    )
    assert await Contact.all().count() == 2


async def test_what_a_contact_is_found_by_has_no_spaces_at_its_edges(ctx: Context) -> None:
    made = await create(ctx, CreateContact(PHONE, email=" maria@example.com\u00a0", external_id="\tc-1 \u200b"))
    assert (made.email, made.external_id) == ("maria@example.com", "c-1")
    with pytest.raises(Conflict):
        await create(ctx, CreateContact("+12125550199", external_id=" c-1"))
    async with unit_of_work():
        changed = await create_contact(
            ctx, CreateContact(PHONE, external_id="c-1 ", email="ana@example.com "), upsert=True
        )
    assert (changed.id, changed.email) == (made.id, "ana@example.com")
    changed = await update(ctx, changed, external_id=" c-2 ", email="\ufeffbia@example.com")
    assert (changed.email, changed.external_id) == ("bia@example.com", "c-2")
    for email in ("\nbia@example.com", "bia@example.com\x1f"):
        with pytest.raises(InvalidRequest, match="The e-mail address is not valid"):
            await update(ctx, changed, email=email)
    assert await find(ctx, external_id="c-2 ") == await find(ctx, email=" BIA@example.com ") == [PHONE]


async def test_an_external_id_is_one_contacts_alone(ctx: Context, other_ctx: Context) -> None:
    first = await create(ctx, CreateContact(PHONE, external_id="c-1"))
    await create(other_ctx, CreateContact(PHONE, external_id="c-1"))
    second = await create(ctx, CreateContact("+12125550199"))
    refusals = [
        lambda: create(ctx, CreateContact("+12125550198", external_id="c-1")),
        lambda: update(ctx, second, external_id="c-1"),
    ]
    for refusal in refusals:
        with pytest.raises(Conflict) as refused:
            await refusal()
        assert (refused.value.code, refused.value.param) == ("contact_exists", "external_id")
        assert refused.value.details["existing_id"] == ids.encode_id(ids.CONTACT, first.id)
    assert (await update(ctx, first, external_id="c-1")).external_id == "c-1"
    assert (await update(ctx, first, external_id=None)).external_id is None
    assert (await update(ctx, second, external_id="c-1")).external_id == "c-1"


async def test_on_conflict_has_two_values(ctx: Context) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await create(ctx, CreateContact(PHONE, on_conflict="merge"))
    assert (refused.value.param, await Contact.all().count()) == ("on_conflict", 0)
