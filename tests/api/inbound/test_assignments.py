"""Who answers a thread: assigned, filtered, and undone with the member or the contact."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from msvs.api import ids
from msvs.api.contacts.contacts import delete_contact
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest, NotFound, PermissionDenied
from msvs.api.inbound.assignments import assign_thread
from msvs.api.inbound.inbox import ThreadFilter, count_threads, get_thread, list_threads
from msvs.api.inbound.replies import receive_inbound
from msvs.api.pages import PageRequest
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Contact, Membership, Role, ThreadAssignment, User
from tests import factories


async def make_member(ctx: Context, name: str, role: Role = Role.MEMBER) -> UUID:
    user = await User.create(email=f"{name}-{ids.new_id()}@cohortlabs.co", name=name, password_hash="-")
    await Membership.create(user_id=user.id, workspace_id=ctx.workspace_id, role=role)
    return user.id


async def make_thread(ctx: Context) -> Contact:
    contact = await factories.make_contact(ctx)
    async with unit_of_work():
        await receive_inbound(
            ctx, from_phone=contact.phone, to_sender="MASSIVESMS", text="When?", dedupe_key=str(ids.new_id())
        )
    return contact


async def found(ctx: Context, which: ThreadFilter) -> set[UUID]:
    page = await list_threads(ctx, PageRequest(), which)
    assert await count_threads(ctx, which) == len(page.items)
    return {thread.contact.id for thread in page.items}


async def test_a_member_is_given_threads(ctx: Context) -> None:
    luis, rosa = await make_member(ctx, "luis"), await make_member(ctx, "rosa")
    first, second, third = [(await make_thread(ctx)).id for _ in range(3)]
    assert (await get_thread(ctx, first)).assignee_id is None
    assert (await assign_thread(ctx, first, luis)).assignee_id == luis
    await assign_thread(ctx, second, luis)
    assert (await assign_thread(ctx, second, rosa)).assignee_id == rosa
    await assign_thread(ctx, second, rosa)
    assert await found(ctx, ThreadFilter(assigned_to=luis)) == {first}
    assert await found(ctx, ThreadFilter(assigned_to=rosa)) == {second}
    assert await found(ctx, ThreadFilter(unassigned=True)) == {third}
    assert await found(ctx, ThreadFilter(assigned_to=luis, unassigned=True)) == set()
    assert (await assign_thread(ctx, first, None)).assignee_id is None
    assert await found(ctx, ThreadFilter(unassigned=True)) == {first, third}
    # Who left answers nobody, and comes back to nothing that was given to somebody else meanwhile.
    await Membership.filter(user_id=rosa).delete()
    assert (await get_thread(ctx, second)).assignee_id is None
    assert await found(ctx, ThreadFilter(unassigned=True)) == {first, second, third}
    assert await found(ctx, ThreadFilter(assigned_to=rosa)) == set()


async def test_a_member_without_permission_is_not_assigned(ctx: Context, other_ctx: Context) -> None:
    contact = await make_thread(ctx)
    silent = await factories.make_contact(ctx)
    reader = await make_member(ctx, "reader", Role.READ_ONLY)
    stranger = await make_member(other_ctx, "stranger")
    member = await make_member(ctx, "member")
    for user_id in (reader, stranger, ids.new_id()):
        with pytest.raises(InvalidRequest) as refused:
            await assign_thread(ctx, contact.id, user_id)
        assert refused.value.param == "user_id"
    for other, id in ((ctx, silent.id), (other_ctx, contact.id)):
        with pytest.raises(NotFound):
            await assign_thread(other, id, member)
    with pytest.raises(PermissionDenied):
        await assign_thread(replace(ctx, role=Role.READ_ONLY), contact.id, member)
    assert await ThreadAssignment.all().count() == 0


async def test_the_assignment_is_deleted_with_the_contact(ctx: Context) -> None:
    contact = await make_thread(ctx)
    await assign_thread(ctx, contact.id, await make_member(ctx, "luis"))
    async with unit_of_work():
        await delete_contact(ctx, contact.id)
    assert await ThreadAssignment.all().count() == 0
