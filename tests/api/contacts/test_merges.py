"""Merges: the values and the consent of the kept contact, and the deletion of the other."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from msvs.api import ids
from msvs.api.consent import consent
from msvs.api.contacts.contacts import UpdateContact, update_contact
from msvs.api.contacts.merges import ContactMergeResource, MergeContacts, merge_contacts
from msvs.api.contacts.tags import ChangeTags, tag_contact
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest, NotFound
from msvs.api.unit_of_work import unit_of_work
from msvs.models import AuditEntry, Campaign, Contact, ContactList, ContactNote, Event, Message, Suppression
from tests.factories import make_contact, make_list
from tests.plans import make_messages

PHONE, OTHER = "+14155550123", "+442079460958"


def public(row: Any) -> str:
    return ids.encode_id(ids.CONTACT, row.id)


async def merge(ctx: Context, kept: Any, other: Any, **how: Any) -> ContactMergeResource:
    async with unit_of_work():
        return await merge_contacts(ctx, kept.id, MergeContacts(contact_id=public(other), **how))


async def two(ctx: Context, **other: Any) -> tuple[Contact, Contact]:
    kept = await make_contact(
        ctx,
        PHONE,
        first_name="Ana",
        email="ana@cohortlabs.co",
        attributes={"tier": "vip", "seats": 2},
        status="opted_in",
    )
    values: dict[str, Any] = {
        "first_name": "Anna",
        "last_name": "Silva",
        "external_id": "crm-7",
        "attributes": {"tier": "free", "city": "Lisbon"},
        "status": "opted_in",
    }
    return kept, await make_contact(ctx, OTHER, **values | other)


async def test_the_kept_has_what_both_had(ctx: Context) -> None:
    kept, other = await two(ctx)
    shared, theirs = await make_list(ctx, [kept, other]), await make_list(ctx, [other])
    for each, name in ((kept, "lead"), (other, "vip")):
        async with unit_of_work():
            await tag_contact(ctx, each.id, ChangeTags(add=[name]))
    await make_messages(ctx, 2, "delivered", contact_id=other.id)
    await ContactNote.create(
        workspace_id=ctx.workspace_id, livemode=ctx.livemode, contact_id=other.id, body="Call.", author="usr_x"
    )

    preview = await merge(ctx, kept, other, dry_run=True)
    assert (preview.dry_run, preview.lists_joined, preview.messages_moved) == (True, 1, 2)
    assert await Contact.all().count() == 2
    done = await merge(ctx, kept, other)

    row = await Contact.get()
    assert (row.id, row.phone, row.first_name, row.last_name) == (kept.id, PHONE, "Ana", "Silva")
    assert (row.email, row.external_id, row.tags) == ("ana@cohortlabs.co", "crm-7", ["lead", "vip"])
    assert row.attributes == {"tier": "vip", "seats": 2, "city": "Lisbon"}
    assert row.opt_in_status.value == "opted_in"
    shown, was = done.contact, preview.contact
    assert (shown.attributes, shown.tags, shown.external_id, shown.opt_in) == (
        was.attributes,
        was.tags,
        was.external_id,
        was.opt_in,
    )
    assert [(await ContactList.get(id=each.id)).contact_count for each in (shared, theirs)] == [1, 1]
    assert {message.contact_id for message in await Message.all()} == {kept.id}
    assert (await ContactNote.get()).contact_id == kept.id
    event = await Event.get(type="contact.merged")
    assert (event.resource_id, public(other) in event.data) == (kept.id, True)
    entry = await AuditEntry.get(action="contact.merged")
    assert entry.changes == {"livemode": False, "merged": public(other), "messages": 2}


async def test_the_other_s_values_win_where_they_are_preferred(ctx: Context) -> None:
    kept, other = await two(ctx)
    await merge(ctx, kept, other, prefer="other")
    row = await Contact.get()
    assert (row.phone, row.first_name, row.email) == (PHONE, "Anna", "ana@cohortlabs.co")
    assert row.attributes == {"tier": "free", "seats": 2, "city": "Lisbon"}


@pytest.mark.parametrize("who", ["kept", "other"])
async def test_an_opt_out_of_either_holds(ctx: Context, who: str) -> None:
    kept, other = await two(ctx)
    async with unit_of_work():
        await consent.opt_out(ctx, kept if who == "kept" else other, source="keyword", now=kept.created_at)
    assert (await merge(ctx, kept, other, dry_run=True)).contact.opt_in.status == "opted_out"
    assert (await merge(ctx, kept, other)).contact.opt_in.status == "opted_out"
    stopped = {PHONE} if who == "kept" else {PHONE, OTHER}
    assert {row.phone for row in await Suppression.all()} == stopped


async def test_consent_of_the_other_is_not_taken_over(ctx: Context) -> None:
    kept, other = await make_contact(ctx, PHONE, status="unknown"), await make_contact(ctx, OTHER, status="opted_in")
    assert (await merge(ctx, kept, other)).contact.opt_in.status == "unknown"


async def test_a_draft_that_names_the_other_names_the_kept(ctx: Context) -> None:
    kept, other = await two(ctx)
    draft = await Campaign.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        name="Close",
        sender="MASSIVESMS",
        body="Hi",
        status="draft",
        audience={"contact_ids": [public(other), public(kept)]},
    )
    await merge(ctx, kept, other)
    assert (await Campaign.get(id=draft.id)).audience["contact_ids"] == [public(kept)]


async def test_what_cannot_be_merged_changes_nothing(ctx: Context, other_ctx: Context) -> None:
    kept, other = await two(ctx)
    theirs = await make_contact(other_ctx)
    with pytest.raises(InvalidRequest):
        await merge(ctx, kept, kept)
    with pytest.raises(InvalidRequest):
        await merge(ctx, kept, other, prefer="none")
    for first, second in ((kept, theirs), (theirs, kept)):
        with pytest.raises(NotFound):
            await merge(ctx, first, second)
    async with unit_of_work():
        await update_contact(ctx, other.id, UpdateContact(attributes={f"k{n}": n for n in range(48)}))
    with pytest.raises(InvalidRequest) as refused:
        await merge(ctx, kept, other)
    assert refused.value.param == "attributes"
    assert (await Contact.all().count(), await Event.filter(type="contact.merged").count()) == (3, 0)


async def test_of_two_merges_at_once_one_is_done(ctx: Context) -> None:
    kept, other = await two(ctx)
    done = await asyncio.gather(merge(ctx, kept, other), merge(ctx, other, kept), return_exceptions=True)
    assert sum(isinstance(each, ContactMergeResource) for each in done) == 1
    assert sum(isinstance(each, NotFound) for each in done) == 1
    assert isinstance((await Contact.get()).id, UUID)
