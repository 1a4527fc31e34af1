"""Lists: their names, their members and the count of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from msvs.api import ids
from msvs.api.contacts.lists import (
    STATIC,
    SYNCED,
    ContactsAdded,
    add_contacts,
    create_list,
    delete_list,
    get_list,
    list_lists,
    list_members,
    remove_contact,
    select_lists,
    update_list,
)
from msvs.api.context import Context
from msvs.api.errors import Conflict, InvalidRequest, NotFound
from msvs.api.pages import PageRequest
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Contact, ContactList, ListMember
from tests.factories import make_contact, make_list


def public(*contacts: Contact) -> list[str]:
    return [ids.encode_id(ids.CONTACT, contact.id) for contact in contacts]


async def add(ctx: Context, row: ContactList, contact_ids: list[str]) -> ContactsAdded:
    async with unit_of_work():
        return await add_contacts(ctx, row.id, contact_ids)


async def make_synced(ctx: Context, contacts: list[Contact]) -> ContactList:
    row = await make_list(ctx, contacts)
    await ContactList.filter(id=row.id).update(kind="kit")
    return row


async def test_a_list_is_made_empty(ctx: Context) -> None:
    made = await create_list(ctx, "Cohort 06 — open cart")

    row = await get_list(ctx, made.id)
    assert (row.name, row.kind, row.contact_count, row.livemode) == ("Cohort 06 — open cart", "static", 0, False)


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\nb", "a\x00", "\ud800"])
async def test_a_bad_name_is_refused(ctx: Context, name: str) -> None:
    row = await make_list(ctx)

    for operation in (create_list(ctx, name), update_list(ctx, row.id, name)):
        with pytest.raises(InvalidRequest) as refused:
            await operation
        assert refused.value.param == "name"
    assert [each.name for each in await ContactList.all()] == ["Cohort 06"]


async def test_a_list_is_renamed(ctx: Context) -> None:
    row = await make_list(ctx, [await make_contact(ctx)])

    renamed = await update_list(ctx, row.id, "x" * 200)

    assert (renamed.name, renamed.contact_count) == ("x" * 200, 1)
    assert (await get_list(ctx, row.id)).name == "x" * 200
    assert renamed.updated_at > row.updated_at


async def test_adding_counts_what_happened(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    member, first, second = [await make_contact(ctx) for _ in range(3)]
    row = await make_list(ctx, [member])
    never = ids.encode_id(ids.CONTACT, ids.new_id())
    foreign = public(await make_contact(other_ctx), await make_contact(live_ctx))
    strange = ["con_03...", "", "\ud800", ids.encode_id(ids.MESSAGE, first.id), first.phone]

    added = await add(ctx, row, [*public(member, first, first, second), never, *foreign, *strange])

    assert added == ContactsAdded(added=2, already_members=1, not_found=[never, *foreign, *strange])
    assert (await get_list(ctx, row.id)).contact_count == 3
    assert await add(ctx, row, public(first, second)) == ContactsAdded(added=0, already_members=2, not_found=[])
    assert await add(ctx, row, []) == ContactsAdded(added=0, already_members=0, not_found=[])
    assert {contact.id for contact in (await list_members(ctx, row.id, PageRequest())).items} == {
        member.id,
        first.id,
        second.id,
    }


async def test_a_call_adds_at_most_a_thousand(ctx: Context) -> None:
    row = await make_list(ctx)
    contact = await make_contact(ctx)
    unknown = [ids.encode_id(ids.CONTACT, ids.new_id()) for _ in range(999)]

    with pytest.raises(InvalidRequest) as refused:
        await add(ctx, row, [*public(contact), *unknown, "one more"])
    assert refused.value.param == "contact_ids"
    assert await ListMember.all().count() == 0

    assert await add(ctx, row, [*public(contact), *unknown]) == ContactsAdded(1, 0, unknown)


async def test_adding_at_once_counts_each_contact_once(ctx: Context) -> None:
    row = await make_list(ctx)
    contacts = [await make_contact(ctx) for _ in range(10)]

    results = await asyncio.gather(*(add(ctx, row, public(*contacts[n:], *contacts[:n])) for n in range(10)))

    assert sum(result.added for result in results) == 10
    assert sum(result.already_members for result in results) == 90
    assert (await get_list(ctx, row.id)).contact_count == 10


async def test_removing_is_repeatable(ctx: Context) -> None:
    stays, leaves = [await make_contact(ctx) for _ in range(2)]
    row = await make_list(ctx, [stays, leaves])

    for _ in range(2):
        async with unit_of_work():
            await remove_contact(ctx, row.id, leaves.id)

    assert (await get_list(ctx, row.id)).contact_count == 1
    assert [contact.id for contact in (await list_members(ctx, row.id, PageRequest())).items] == [stays.id]


async def test_removing_needs_a_list_and_a_contact(ctx: Context, other_ctx: Context) -> None:
    contact = await make_contact(ctx)
    row = await make_list(ctx, [contact])
    foreign = await make_contact(other_ctx)

    for list_id, contact_id in ((ids.new_id(), contact.id), (row.id, ids.new_id()), (row.id, foreign.id)):
        with pytest.raises(NotFound):
            await remove_contact(ctx, list_id, contact_id)
    assert (await get_list(ctx, row.id)).contact_count == 1


async def test_a_synced_list_is_not_edited_by_hand(ctx: Context) -> None:
    member, other = [await make_contact(ctx) for _ in range(2)]
    row = await make_synced(ctx, [member])
    edits: list[Any] = [
        add_contacts(ctx, row.id, public(other)),
        remove_contact(ctx, row.id, member.id),
        update_list(ctx, row.id, "Mine"),
    ]

    for edit in edits:
        with pytest.raises(Conflict) as refused:
            await edit
        assert refused.value.code == "list_synced"
    unchanged = await get_list(ctx, row.id)
    assert (unchanged.name, unchanged.contact_count) == ("Cohort 06", 1)
    assert [contact.id for contact in (await list_members(ctx, row.id, PageRequest())).items] == [member.id]


@pytest.mark.parametrize("synced", [False, True])
async def test_a_deleted_list_leaves_its_contacts(ctx: Context, synced: bool) -> None:
    contact = await make_contact(ctx)
    row = await (make_synced if synced else make_list)(ctx, [contact])
    other = await make_list(ctx, [contact])

    async with unit_of_work():
        await delete_list(ctx, row.id)

    assert [each.id for each in await ContactList.all()] == [other.id]
    assert await ListMember.all().values_list("list_id", "contact_id") == [(other.id, contact.id)]
    assert await Contact.all().count() == 1
    with pytest.raises(NotFound):
        await delete_list(ctx, row.id)


async def test_deleting_a_list_while_it_fills_leaves_no_members(ctx: Context) -> None:
    contacts = [await make_contact(ctx) for _ in range(5)]

    async def delete(row: ContactList) -> None:
        async with unit_of_work():
            await delete_list(ctx, row.id)

    for _ in range(5):
        row = await make_list(ctx)
        results = await asyncio.gather(
            add(ctx, row, public(*contacts)), delete(row), add(ctx, row, public(*contacts)), return_exceptions=True
        )
        assert {type(result) for result in results} <= {ContactsAdded, type(None), NotFound}
        assert await ContactList.all().count() == 0
        assert await ListMember.all().count() == 0


async def test_lists_of_others_are_not_there(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    contact = await make_contact(ctx)
    row = await make_list(ctx, [contact])

    for stranger in (live_ctx, other_ctx):
        operations: list[Any] = [
            get_list(stranger, row.id),
            update_list(stranger, row.id, "Mine"),
            delete_list(stranger, row.id),
            add_contacts(stranger, row.id, public(contact)),
            list_members(stranger, row.id, PageRequest()),
        ]
        for operation in operations:
            with pytest.raises(NotFound):
                await operation
        assert (await list_lists(stranger, PageRequest())).items == []
    assert (await get_list(ctx, row.id)).contact_count == 1


async def test_pages_run_newest_first(ctx: Context) -> None:
    contacts = [await make_contact(ctx) for _ in range(3)]
    rows = [await make_list(ctx, contacts) for _ in range(3)]

    lists = await list_lists(ctx, PageRequest(limit=2))
    members = await list_members(ctx, rows[0].id, PageRequest(limit=2, starting_after=contacts[2].id))

    assert ([row.id for row in lists.items], lists.has_more) == ([rows[2].id, rows[1].id], True)
    assert ([row.id for row in members.items], members.has_more) == ([contacts[1].id, contacts[0].id], False)


async def test_lists_of_one_kind(ctx: Context) -> None:
    by_hand = await make_list(ctx)
    synced = await make_list(ctx)
    await ContactList.filter(id=synced.id).update(kind=SYNCED)

    for kind, found in ((None, [synced.id, by_hand.id]), (STATIC, [by_hand.id]), (SYNCED, [synced.id])):
        assert [row.id for row in (await list_lists(ctx, PageRequest(), kind=kind)).items] == found
        assert await select_lists(ctx, kind).count() == len(found)
    with pytest.raises(InvalidRequest) as refusal:
        await list_lists(ctx, PageRequest(), kind="kit")
    assert refusal.value.param == "kind"
