"""Giving a workspace away and having it deleted: who may, what stops at once, what is erased and what stays."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.accounts import workspace_deletion, workspaces
from msvs.api.accounts.auth import authenticate
from msvs.api.accounts.confirmations import FullConfirmation
from msvs.api.accounts.keys import create_key
from msvs.api.accounts.login_sessions import Identity, WorkspaceMembership, enter_workspace
from msvs.api.accounts.users import change_role, leave_workspace
from msvs.api.accounts.workspace_deletion import GRACE, cancel_deletion, delete_workspace, transfer_ownership
from msvs.api.context import Context, Services, Visitor
from msvs.api.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from msvs.api.privacy.workspace_erasure import ERASED, KEPT, erase_some, find_due_deletion
from msvs.api.unit_of_work import unit_of_work
from msvs.models import (
    AuditEntry,
    ConsentEvent,
    Contact,
    LedgerEntry,
    ListMember,
    Membership,
    Notification,
    Role,
    User,
    Workspace,
)
from msvs.workers.maintenance import erase_deleted
from tests import factories
from tests.services import SERVICES

HERE = Visitor("203.0.113.4", "req_1", services=SERVICES)
TABLES = """
SELECT DISTINCT columns.table_name AS name
FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
WHERE column_name = 'workspace_id' AND table_type = 'BASE TABLE' AND columns.table_schema = 'public'
    AND NOT (SELECT relispartition FROM pg_class WHERE oid = columns.table_name::regclass)
"""


async def join(workspace: Workspace, role: Role) -> tuple[Context, FullConfirmation]:
    """A member, and their proof that they gave the password."""
    user = await User.create(email=f"{ids.new_id()}@cohortlabs.co", name=role.value.title(), password_hash="!")
    await Membership.create(user_id=user.id, workspace_id=workspace.id, role=role)
    ctx = Context(workspace.id, True, ids.encode_id(ids.USER, user.id), role=role, services=SERVICES)
    return ctx, FullConfirmation(await identity_of(user, workspace, role))


async def identity_of(user: User, workspace: Workspace, role: Role) -> Identity:
    row = await Workspace.get(id=workspace.id)
    place = WorkspaceMembership(row.id, row.name, role, row.suspended_at is not None, False, row.deletes_at)
    now = datetime.now(UTC)
    return Identity(user.id, str(user.email), user.name, ids.new_id(), "csrf", now, (place,))


async def roles(workspace: Workspace) -> dict[str, Role]:
    return {
        ids.encode_id(ids.USER, row.user_id): row.role for row in await Membership.filter(workspace_id=workspace.id)
    }


async def test_ownership_goes_to_another_member(workspace: Workspace) -> None:
    (owner, proof), (admin, _) = await join(workspace, Role.OWNER), await join(workspace, Role.ADMIN)
    async with unit_of_work():
        made = await transfer_ownership(owner, proof, ids.find_id(ids.USER, admin.actor, "member"))
    assert made.role is Role.OWNER
    assert await roles(workspace) == {owner.actor: Role.ADMIN, admin.actor: Role.OWNER}


async def test_only_an_owner_gives_a_workspace_away(workspace: Workspace, other_ctx: Context) -> None:
    (owner, proof), (admin, admins) = await join(workspace, Role.OWNER), await join(workspace, Role.ADMIN)
    before = await roles(workspace)
    own_id, admin_id = (ids.find_id(ids.USER, each.actor, "member") for each in (owner, admin))
    for attempt, error in (
        ((admin, admins, admin_id), InvalidRequest),
        ((admin, admins, own_id), PermissionDenied),
        ((owner, proof, own_id), InvalidRequest),
        ((owner, proof, ids.new_id()), NotFound),
    ):
        with pytest.raises((error, PermissionDenied)):
            async with unit_of_work():
                await transfer_ownership(*attempt)
    assert await roles(workspace) == before


async def test_a_deletion_stops_everything_at_once_and_can_be_canceled(workspace: Workspace) -> None:
    (owner, proof), (_, admins) = await join(workspace, Role.OWNER), await join(workspace, Role.ADMIN)
    _, key = await create_key(workspace.id, livemode=True, name="Live")
    await authenticate(replace_services(), f"Bearer {key}", ip="203.0.113.4")
    async with unit_of_work():
        row = await delete_workspace(owner, proof, "Cohort Labs")
    assert row.deletes_at is not None
    assert row.deletion_asked_at is not None
    assert row.deletes_at - row.deletion_asked_at == GRACE
    with pytest.raises(PermissionDenied) as refused:
        await authenticate(replace_services(), f"Bearer {key}", ip="203.0.113.4")
    assert refused.value.code == "workspace_suspended"
    user = await User.get(id=proof.identity.user_id)
    identity = await identity_of(user, workspace, Role.OWNER)
    with pytest.raises(PermissionDenied) as refused:
        enter_workspace(identity, workspace.id, HERE, livemode=True)
    assert refused.value.code == "workspace_deleting"
    assert [row.data for row in await Notification.filter(kind="workspace_deleting")] == [
        {"name": "Cohort Labs", "count": GRACE.days}
    ] * 2
    with pytest.raises(Conflict):
        async with unit_of_work():
            await delete_workspace(owner, proof, "Cohort Labs")
    stranger = await identity_of(await User.get(id=admins.identity.user_id), workspace, Role.ADMIN)
    with pytest.raises(PermissionDenied):
        async with unit_of_work():
            await cancel_deletion(HERE, FullConfirmation(stranger), workspace.id)
    async with unit_of_work():
        await cancel_deletion(HERE, FullConfirmation(identity), workspace.id)
    row = await Workspace.get(id=workspace.id)
    assert (row.suspended_at, row.deletes_at, row.deletion_asked_at) == (None, None, None)
    await authenticate(replace_services(), f"Bearer {key}", ip="203.0.113.4")
    with pytest.raises(Conflict):
        async with unit_of_work():
            await cancel_deletion(HERE, FullConfirmation(identity), workspace.id)
    told = [row.changes for row in await AuditEntry.filter(workspace_id=workspace.id).order_by("id")]
    assert [each["deletes_at"][0] is None for each in told] == [True, False]


def replace_services() -> Services:
    """Services that remember no key: a process trusts what it read for less than a second."""
    return replace(SERVICES, _kept={})


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.READ_ONLY])
async def test_only_an_owner_deletes(role: Role, workspace: Workspace) -> None:
    member, proof = await join(workspace, role)
    with pytest.raises(PermissionDenied):
        await delete_workspace(member, proof, "Cohort Labs")
    assert (await Workspace.get(id=workspace.id)).deletes_at is None


@pytest.mark.parametrize("name", ["", "cohort labs", "Cohort", "Cohort Labs!"])
async def test_the_name_is_typed_as_it_is(name: str, workspace: Workspace) -> None:
    owner, proof = await join(workspace, Role.OWNER)
    with pytest.raises(InvalidRequest) as refused:
        await delete_workspace(owner, proof, name)
    assert (refused.value.param, (await Workspace.get(id=workspace.id)).deletes_at) == ("name", None)


async def test_what_an_operator_suspended_stays_so(workspace: Workspace) -> None:
    owner, proof = await join(workspace, Role.OWNER)
    async with unit_of_work():
        await workspaces.suspend_workspace(SERVICES, workspace.id)
        await delete_workspace(owner, proof, "Cohort Labs")
        await cancel_deletion(HERE, proof, workspace.id)
    assert (await Workspace.get(id=workspace.id)).suspended_at is not None
    async with unit_of_work():
        await workspaces.resume_workspace(SERVICES, workspace.id)
        await delete_workspace(owner, proof, "Cohort Labs")
        assert await workspaces.suspend_workspace(SERVICES, workspace.id)
        await cancel_deletion(HERE, proof, workspace.id)
    assert (await Workspace.get(id=workspace.id)).suspended_at is not None


async def demote(ctx: Context, workspace: Workspace) -> None:
    user_id = ids.find_id(ids.USER, ctx.actor, "member")
    await Membership.filter(user_id=user_id, workspace_id=workspace.id).update(role=Role.ADMIN)


async def test_an_owner_who_is_demoted_meanwhile_does_nothing(workspace: Workspace) -> None:
    """The role of the request is that of when it came in."""
    (owner, proof), (other, _) = await join(workspace, Role.OWNER), await join(workspace, Role.OWNER)
    await demote(owner, workspace)
    with pytest.raises(PermissionDenied):
        async with unit_of_work():
            await delete_workspace(owner, proof, "Cohort Labs")
    with pytest.raises(PermissionDenied):
        async with unit_of_work():
            await transfer_ownership(owner, proof, ids.find_id(ids.USER, other.actor, "member"))
    assert (await Workspace.get(id=workspace.id)).deletes_at is None
    await Workspace.filter(id=workspace.id).update(deletes_at=datetime.now(UTC) + GRACE)
    with pytest.raises(PermissionDenied):
        async with unit_of_work():
            await cancel_deletion(HERE, proof, workspace.id)
    assert (await Workspace.get(id=workspace.id)).deletes_at is not None
    await Membership.filter(user_id=proof.identity.user_id).delete()
    with pytest.raises(PermissionDenied):
        async with unit_of_work():
            await cancel_deletion(HERE, proof, workspace.id)


async def test_an_owner_is_demoted_while_the_deletion_waits_for_the_members(workspace: Workspace) -> None:
    (owner, proof), (other, _) = await join(workspace, Role.OWNER), await join(workspace, Role.OWNER)
    demoted, done = asyncio.Event(), asyncio.Event()

    async def change() -> None:
        async with unit_of_work():
            await change_role(other, proof.identity.user_id, Role.ADMIN)
            demoted.set()
            await done.wait()

    async def delete() -> None:
        await demoted.wait()
        asyncio.get_running_loop().call_later(0.1, done.set)
        async with unit_of_work():
            await delete_workspace(owner, proof, "Cohort Labs")

    _, refused = await asyncio.gather(change(), delete(), return_exceptions=True)
    assert isinstance(refused, PermissionDenied)
    assert (await Workspace.get(id=workspace.id)).deletes_at is None


async def test_canceling_a_deletion_asks_for_the_second_factor_that_the_workspace_demands(
    workspace: Workspace,
) -> None:
    owner, proof = await join(workspace, Role.OWNER)
    async with unit_of_work():
        await delete_workspace(owner, proof, "Cohort Labs")
    (place,) = proof.identity.memberships
    lacking = replace(proof.identity, memberships=[replace(place, requires_second_factor=True)])
    with pytest.raises(PermissionDenied) as refused:
        async with unit_of_work():
            await cancel_deletion(HERE, FullConfirmation(lacking), workspace.id)
    assert refused.value.code == "second_factor_required"
    async with unit_of_work():
        await cancel_deletion(HERE, FullConfirmation(replace(lacking, has_second_factor=True)), workspace.id)


@pytest.mark.parametrize("condition", ["suspended_at", "deletes_at", "requires_second_factor"])
async def test_who_may_not_enter_may_leave(condition: str, workspace: Workspace) -> None:
    (_, owners), (_, members) = await join(workspace, Role.OWNER), await join(workspace, Role.MEMBER)
    value = True if condition == "requires_second_factor" else datetime.now(UTC)
    await Workspace.filter(id=workspace.id).update(**{condition: value})
    async with unit_of_work():
        left = await leave_workspace(HERE, members.identity, workspace.id)
    assert left.memberships == []
    assert await Membership.filter(workspace_id=workspace.id).count() == 1
    (entry,) = await AuditEntry.filter(workspace_id=workspace.id)
    assert (entry.action, entry.actor) == ("member.left", members.identity.actor)
    with pytest.raises(NotFound):
        await leave_workspace(HERE, left, workspace.id)
    with pytest.raises(Conflict) as refused:
        async with unit_of_work():
            await leave_workspace(HERE, owners.identity, workspace.id)
    assert refused.value.code == "last_owner"


async def test_another_s_workspace_is_none(workspace: Workspace, other_ctx: Context) -> None:
    _, proof = await join(workspace, Role.OWNER)
    with pytest.raises(NotFound):
        await cancel_deletion(HERE, proof, other_ctx.workspace_id)


async def test_the_data_goes_once_the_grace_is_over_and_the_books_stay(
    workspace: Workspace, ctx: Context, other_ctx: Context
) -> None:
    owner, proof = await join(workspace, Role.OWNER)
    for each in (ctx, other_ctx):
        contact = await factories.make_contact(each)
        await factories.make_list(each, [contact])
    async with unit_of_work():
        row = await delete_workspace(owner, proof, "Cohort Labs")
    assert row.deletes_at is not None
    assert await find_due_deletion(row.deletes_at - timedelta(seconds=1)) is None
    assert await erase_deleted(SERVICES, row.deletes_at - timedelta(seconds=1)) == 0
    assert await Contact.filter(workspace_id=workspace.id).count() == 1
    assert await erase_deleted(SERVICES, row.deletes_at) > 0
    assert await Contact.filter(workspace_id=workspace.id).count() == 0
    assert await Membership.filter(workspace_id=workspace.id).count() == 0
    assert await Contact.all().count() == 1
    assert await ListMember.all().count() == 1
    assert await LedgerEntry.filter(workspace_id=workspace.id).count() == 1
    assert (await Workspace.get(id=workspace.id)).erased_at is not None
    assert await find_due_deletion(row.deletes_at) is None
    assert await erase_deleted(SERVICES, row.deletes_at) == 0
    assert await AuditEntry.filter(workspace_id=workspace.id, actor="system").count() == 1
    with pytest.raises((Conflict, PermissionDenied)):
        await cancel_deletion(HERE, proof, workspace.id)


async def test_every_table_is_erased_or_kept_for_a_reason(database: None) -> None:
    named = {row.name for row in await db.fetch(TABLES)}
    assert named - set(ERASED) - set(KEPT) == {"messages"}
    assert set(ERASED) & set(KEPT) == set()
    for table in ERASED:
        assert await db.fetch_value("SELECT to_regclass($1)::text", table) == table


async def test_erasing_in_small_steps_ends(workspace: Workspace, ctx: Context) -> None:
    contacts = [await factories.make_contact(ctx) for _ in range(5)]
    await factories.make_list(ctx, contacts)
    steps = 0
    async with unit_of_work():
        while await erase_some(SERVICES, workspace.id, datetime.now(UTC), limit=2):
            steps += 1
    assert await Contact.filter(workspace_id=workspace.id).count() == 0
    assert steps >= 6
    assert await ConsentEvent.filter(workspace_id=workspace.id).count() == 0
    assert timedelta(days=30) == workspace_deletion.GRACE


def test_the_page_says_the_same_grace() -> None:
    page = Path(__file__).parents[3] / "dashboard" / "src" / "pages" / "settings" / "ownership.tsx"
    assert f"After {GRACE.days} days its contacts" in page.read_text()
