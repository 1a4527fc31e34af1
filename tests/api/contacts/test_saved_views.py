"""Saved views: shared by members, each mode's own, told apart by name, bounded, and gone with the person they name."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from msvs.api import ids
from msvs.api.contacts.contacts import CreateContact, create_contact
from msvs.api.contacts.saved_views import (
    MAX_VIEWS,
    CreateSavedView,
    UpdateSavedView,
    ViewPage,
    create_saved_view,
    delete_saved_view,
    list_saved_views,
    saved_view_version,
    update_saved_view,
)
from msvs.api.context import Context
from msvs.api.errors import ApiError, Conflict, ErrorCode, InvalidRequest, NotFound, PermissionDenied
from msvs.api.privacy.erasure import erase_contact
from msvs.api.unit_of_work import in_unit_of_work
from msvs.models import Role, SavedView

PHONE = "+12125550142"


def member(ctx: Context, role: Role = Role.MEMBER) -> Context:
    return replace(ctx, actor=ids.encode_id(ids.USER, ids.new_id()), role=role)


def view(name: str, page: ViewPage = ViewPage.CONTACTS, **filters: str) -> CreateSavedView:
    return CreateSavedView(page, name, filters or {"consent": "OPTED_IN"})


async def names(ctx: Context, page: ViewPage = ViewPage.CONTACTS) -> list[str]:
    return [row.name for row in await list_saved_views(ctx, page)]


async def test_a_view_is_seen_by_all_members_of_its_mode(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    ana, bea = member(ctx), member(ctx, Role.READ_ONLY)
    row = await create_saved_view(ana, view(" Agreed ", consent="OPTED_IN", q="São"))
    await create_saved_view(ana, view("Agreed", ViewPage.MESSAGES, status="FAILED"))
    await create_saved_view(member(live_ctx), view("Live's"))
    (found,) = await list_saved_views(bea, ViewPage.CONTACTS)
    assert (found.name, found.filters, found.created_by) == ("Agreed", {"consent": "OPTED_IN", "q": "São"}, ana.actor)
    assert await names(member(other_ctx)) == []
    assert await names(member(live_ctx)) == ["Live's"]
    for stranger in (member(live_ctx), member(other_ctx)):
        with pytest.raises(NotFound):
            await update_saved_view(stranger, row.id, UpdateSavedView(name="Mine"))
        with pytest.raises(NotFound):
            await delete_saved_view(stranger, row.id)
    await delete_saved_view(ana, row.id)
    assert (await names(bea), await names(bea, ViewPage.MESSAGES)) == ([], ["Agreed"])


async def test_a_view_is_changed_by_who_has_seen_it_as_it_is(ctx: Context) -> None:
    ana = member(ctx)
    row = await create_saved_view(ana, view("Agreed"))
    seen = saved_view_version(row)
    changed = await update_saved_view(ana, row.id, UpdateSavedView(filters={"tag": "vip"}, version=seen))
    assert (changed.name, changed.filters) == ("Agreed", {"tag": "vip"})
    with pytest.raises(Conflict) as refused:
        await update_saved_view(ana, row.id, UpdateSavedView(name="VIPs", version=seen))
    assert refused.value.code == ErrorCode.VERSION_CONFLICT
    assert await names(ana) == ["Agreed"]


async def test_a_name_is_taken_once_on_a_page(ctx: Context) -> None:
    ana = member(ctx)
    await create_saved_view(ana, view("Agreed"))
    other = await create_saved_view(ana, view("VIPs"))
    for attempt in (
        create_saved_view(ana, view("Agreed", tag="vip")),
        update_saved_view(ana, other.id, UpdateSavedView(name="Agreed")),
    ):
        with pytest.raises(Conflict) as refused:
            await attempt
        assert (refused.value.code, refused.value.param) == (ErrorCode.SAVED_VIEW_EXISTS, "name")
    assert await names(ana) == ["Agreed", "VIPs"]
    assert (await SavedView.get(name="Agreed")).filters == {"consent": "OPTED_IN"}


async def test_a_page_has_so_many_views_and_no_more(ctx: Context) -> None:
    ana = member(ctx)
    for number in range(MAX_VIEWS - 1):
        await create_saved_view(ana, view(f"View {number:02}"))

    adding = [in_unit_of_work(partial(create_saved_view, ana, view(f"Last {number}"))) for number in range(4)]
    refused = [each for each in await asyncio.gather(*adding, return_exceptions=True) if isinstance(each, ApiError)]
    assert [error.code for error in refused] == [ErrorCode.SAVED_VIEW_LIMIT] * 3
    assert len(await names(ana)) == MAX_VIEWS
    await create_saved_view(ana, view("Elsewhere", ViewPage.CAMPAIGNS))


@pytest.mark.parametrize(
    ("data", "param"),
    [
        (view(" "), "name"),
        (view("x" * 61), "name"),
        (CreateSavedView(ViewPage.CONTACTS, "Empty", {}), "filters"),
        (CreateSavedView(ViewPage.CONTACTS, "Many", {f"f{number}": "x" for number in range(31)}), "filters"),
        (CreateSavedView(ViewPage.CONTACTS, "Odd", {"a b": "x"}), "filters"),
        (CreateSavedView(ViewPage.CONTACTS, "Number", {"q": 1}), "filters.q"),  # type: ignore[dict-item]
        (CreateSavedView(ViewPage.CONTACTS, "NUL", {"q": "\0"}), "filters.q"),
        (view("Long", q="x" * 201), "filters.q"),
    ],
)
async def test_what_is_no_view_is_refused(ctx: Context, data: CreateSavedView, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await create_saved_view(member(ctx), data)
    assert refused.value.param == param
    assert await SavedView.all().count() == 0


async def test_keys_have_no_views_and_readers_save_none(ctx: Context) -> None:
    row = await create_saved_view(member(ctx), view("Agreed"))
    for caller in (ctx, member(ctx, Role.READ_ONLY)):
        for attempt in (
            create_saved_view(caller, view("Mine")),
            update_saved_view(caller, row.id, UpdateSavedView(name="Mine")),
            delete_saved_view(caller, row.id),
        ):
            with pytest.raises(PermissionDenied):
                await attempt
    with pytest.raises(PermissionDenied):
        await list_saved_views(replace(ctx, actor=ids.encode_id(ids.API_KEY, ids.new_id())), ViewPage.CONTACTS)
    assert await SavedView.all().count() == 1


async def test_a_view_that_names_an_erased_person_goes(ctx: Context, live_ctx: Context) -> None:
    ana = member(ctx)
    contact = await in_unit_of_work(
        lambda: create_contact(ctx, CreateContact(PHONE, "Maria", "Silva", email="maria@example.com"))
    )
    await create_saved_view(ana, view("By phone", ViewPage.MESSAGES, phone="(212) 555-0142"))
    await create_saved_view(ana, view("By id", ViewPage.MESSAGES, contact=ids.encode_id(ids.CONTACT, contact.id)))
    await create_saved_view(ana, view("By address", q="Maria@example.com"))
    await create_saved_view(ana, view("Maria Silva", tag="vip"))
    await create_saved_view(ana, view("Agreed"))
    await create_saved_view(member(live_ctx), view("By phone", q=PHONE))
    await in_unit_of_work(lambda: erase_contact(member(ctx, Role.OWNER), contact.id))
    assert (await names(ana), await names(ana, ViewPage.MESSAGES)) == (["Agreed"], [])
    assert await names(member(live_ctx)) == ["By phone"]
