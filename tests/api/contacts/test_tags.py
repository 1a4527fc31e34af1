"""Tags: adding, removing, counting, filtering, and deletion of tagged contacts."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.contacts.contact_pages import count_matching, list_matching
from msvs.api.contacts.contacts import ListContacts, delete_contact
from msvs.api.contacts.tags import MAX_TAGS, ChangeTags, ListTags, change_tags, count_tags, list_tags, tag_contact
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest, NotFound
from msvs.api.pages import PageRequest
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Contact
from tests.factories import make_contact

MEMBERS = """
SELECT tags.name, count(member.contact_id) AS members, tags.contact_count FROM tags
LEFT JOIN tag_members AS member ON member.tag_id = tags.id GROUP BY tags.id ORDER BY name
"""


async def tag(ctx: Context, id: UUID, **change: Any) -> Contact:
    async with unit_of_work():
        return await tag_contact(ctx, id, ChangeTags(**change))


async def counts() -> dict[str, int]:
    rows = await db.fetch(MEMBERS)
    assert all(row.members == row.contact_count for row in rows)
    return {row.name: row.contact_count for row in rows}


async def test_tags_are_added_removed_and_counted(ctx: Context, other_ctx: Context) -> None:
    ana, bea = await make_contact(ctx), await make_contact(ctx)
    theirs = await make_contact(other_ctx)
    before = (await Contact.get(id=ana.id)).updated_at

    assert (await tag(ctx, ana.id, add=["VIP", " Cohort  07 ", "vip"])).tags == ["cohort 07", "vip"]
    assert (await tag(ctx, bea.id, add=["vip", "lead"], remove=["lead"])).tags == ["vip"]
    assert (await tag(other_ctx, theirs.id, add=["vip"])).tags == ["vip"]
    changed = (await Contact.get(id=ana.id)).updated_at
    assert changed > before
    assert (await tag(ctx, ana.id, add=["vip"], remove=["never"])).updated_at == changed
    assert (await tag(ctx, ana.id, remove=["Cohort 07"])).tags == ["vip"]

    named = [(row.name, row.contact_count) for row in (await list_tags(ctx, PageRequest())).items]
    assert named == [("vip", 2)]
    assert (await count_tags(ctx, ListTags(q="VI")), await count_tags(ctx, ListTags(q="x"))) == (1, 0)
    with pytest.raises(NotFound):
        await tag(ctx, theirs.id, add=["x"])


async def test_contacts_are_found_by_tag(ctx: Context, other_ctx: Context) -> None:
    ana, bea = await make_contact(ctx, first_name="Ana"), await make_contact(ctx, first_name="Bea")
    await tag(ctx, ana.id, add=["vip"])
    await tag(ctx, bea.id, add=["lead"])
    await tag(other_ctx, (await make_contact(other_ctx)).id, add=["theirs"])

    async def find(**which: Any) -> list[str | None]:
        page = await list_matching(ctx, PageRequest(), ListContacts(**which))
        assert await count_matching(ctx, ListContacts(**which)) == len(page.items)
        return [row.first_name for row in page.items]

    assert await find(tag="VIP") == ["Ana"]
    assert await find(tag="vip", search="bea") == []
    assert await find(tag="theirs") == []


@pytest.mark.parametrize("text", ["", "  ", "x" * 41, "a,b", "a\x00b", "a\x07"])
async def test_what_is_no_tag_is_refused(ctx: Context, text: str) -> None:
    contact = await make_contact(ctx)
    with pytest.raises(InvalidRequest) as refused:
        await tag(ctx, contact.id, add=["good", text])
    assert refused.value.param == "add[1]"
    assert await counts() == {}


async def test_a_contact_has_no_more_than_so_many(ctx: Context) -> None:
    full, other = await make_contact(ctx), await make_contact(ctx)
    await tag(ctx, full.id, add=[f"t{place}" for place in range(MAX_TAGS)])
    with pytest.raises(InvalidRequest):
        await tag(ctx, full.id, add=["one more"])
    async with unit_of_work():
        changed = await change_tags(ctx, [full.id, other.id], add=["one more"], now=full.created_at)
    assert changed == 1
    assert (await counts())["one more"] == 1


async def test_counts_follow_contacts_that_go(ctx: Context) -> None:
    ana, bea = await make_contact(ctx), await make_contact(ctx)
    for each in (ana, bea):
        await tag(ctx, each.id, add=["vip", "lead"])
    async with unit_of_work():
        await delete_contact(ctx, ana.id)
    assert await counts() == {"lead": 1, "vip": 1}


async def test_many_at_once_tag_and_delete_without_a_deadlock(ctx: Context) -> None:
    people = [await make_contact(ctx) for _ in range(6)]
    names = [f"t{place}" for place in range(6)]

    async def remove(id: UUID) -> None:
        async with unit_of_work():
            await delete_contact(ctx, id)

    await asyncio.gather(
        *(tag(ctx, people[place].id, add=names[place:] + names[:place]) for place in range(6)),
        *(remove(person.id) for person in people[:2]),
        return_exceptions=True,
    )
    assert set((await counts()).values()) <= {4}
    for person in people[2:]:
        assert (await Contact.get(id=person.id)).tags == names


async def test_a_tag_has_an_id_of_its_own(ctx: Context) -> None:
    await tag(ctx, (await make_contact(ctx)).id, add=["vip"])
    row = (await list_tags(ctx, PageRequest())).items[0]
    assert ids.encode_id(ids.TAG, row.id).startswith("tag_")
