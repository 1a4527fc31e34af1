"""Notes about contacts: kept, told to the workspace's people alone, and gone with the contact."""

from __future__ import annotations

from dataclasses import replace

import pytest

from msvs.api.contacts.contacts import delete_contact
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest, NotFound, PermissionDenied
from msvs.api.inbound.notes import add_note, delete_note, list_notes
from msvs.api.pages import PageRequest
from msvs.api.privacy.contact_export import export_contact
from msvs.api.privacy.erasure import erase_contact
from msvs.api.resources import MAX_NOTE
from msvs.api.unit_of_work import unit_of_work
from msvs.models import ContactNote, Role
from tests import factories

PAGE = PageRequest()


async def test_notes_are_listed_newest_first(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    contact, other = await factories.make_contact(ctx), await factories.make_contact(ctx)
    first = await add_note(ctx, contact.id, "  Asked for the payment plan.\n")
    second = await add_note(replace(ctx, actor="usr_01HYZ8K5VQAE2N0PWQ6DC9V8MP", role=Role.MEMBER), contact.id, "Call.")
    await add_note(ctx, other.id, "Somebody else's.")
    page = await list_notes(ctx, contact.id, PAGE)
    assert [(row.body, row.author) for row in page.items] == [
        ("Call.", "usr_01HYZ8K5VQAE2N0PWQ6DC9V8MP"),
        ("Asked for the payment plan.", ctx.actor),
    ]
    for stranger in (live_ctx, other_ctx):
        with pytest.raises(NotFound):
            await list_notes(stranger, contact.id, PAGE)
        with pytest.raises(NotFound):
            await add_note(stranger, contact.id, "No.")
        with pytest.raises(NotFound):
            await delete_note(stranger, first.id)
    await delete_note(ctx, first.id)
    assert [row.id for row in (await list_notes(ctx, contact.id, PAGE)).items] == [second.id]


@pytest.mark.parametrize("body", ["", "  \n", "x" * (MAX_NOTE + 1), "a\0b", "a\ud800b"], ids=range(5))
async def test_an_invalid_note_is_refused(ctx: Context, body: str) -> None:
    contact = await factories.make_contact(ctx)
    with pytest.raises(InvalidRequest) as refused:
        await add_note(ctx, contact.id, body)
    assert refused.value.param == "body"
    assert await ContactNote.all().count() == 0


async def test_a_read_only_member_writes_no_notes(ctx: Context) -> None:
    contact = await factories.make_contact(ctx)
    note = await add_note(ctx, contact.id, "Kept.")
    reader = replace(ctx, role=Role.READ_ONLY)
    with pytest.raises(PermissionDenied):
        await add_note(reader, contact.id, "No.")
    with pytest.raises(PermissionDenied):
        await delete_note(reader, note.id)
    assert len((await list_notes(reader, contact.id, PAGE)).items) == 1


async def test_notes_are_the_persons_data(ctx: Context) -> None:
    """They are told to the person who asks, and go with the contact."""
    kept, deleted, erased = [await factories.make_contact(ctx) for _ in range(3)]
    for contact in (kept, deleted, erased):
        await add_note(ctx, contact.id, "Asked for the payment plan.")
    assert [note.body for note in (await export_contact(ctx, kept.id)).notes] == ["Asked for the payment plan."]
    async with unit_of_work():
        await delete_contact(ctx, deleted.id)
    async with unit_of_work():
        await erase_contact(ctx, erased.id)
    assert [row.contact_id for row in await ContactNote.all()] == [kept.id]
