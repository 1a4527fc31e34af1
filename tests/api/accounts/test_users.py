"""Members: who may let in, change and remove whom, and what stays true in every race."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.accounts import users
from msvs.api.accounts.auth import authenticate
from msvs.api.accounts.keys import issue_key
from msvs.api.accounts.login_sessions import Identity, authenticate_session, log_in
from msvs.api.accounts.tokens import digest_token
from msvs.api.accounts.users import (
    Holdings,
    SignedUp,
    SignUp,
    accept_invitation,
    change_role,
    find_holdings,
    get_member,
    list_invitations,
    list_members,
    remove_member,
    revoke_invitation,
    sign_up,
)
from msvs.api.contacts.source_options import NewSource
from msvs.api.contacts.sources import create_synced_list, pause_sync
from msvs.api.context import Context, Visitor
from msvs.api.errors import ApiError, Conflict, InvalidRequest, NotFound, PermissionDenied
from msvs.api.permissions import NOT_FOR_KEYS, ROLES, Permission, Scope, allow, may
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks.endpoints import CreateWebhook, create_webhook
from msvs.models import (
    ApiKey,
    AuditEntry,
    ContactList,
    Invitation,
    ListSource,
    Membership,
    Role,
    User,
    WebhookEndpoint,
    Workspace,
)
from tests.services import SERVICES

PASSWORD = "correct horse battery"
HERE = Visitor("203.0.113.4", "req_1", services=SERVICES)

_numbers = count(1)


async def make_user(email: str | None = None) -> User:
    """A user with no workspace, who cannot log in."""
    return await User.create(email=email or f"user{next(_numbers)}@cohortlabs.co", name="Someone", password_hash="!")


async def join(workspace: Workspace, role: Role) -> Context:
    """A new member, as the context of their requests."""
    user = await make_user()
    await Membership.create(user_id=user.id, workspace_id=workspace.id, role=role)
    return Context(
        workspace.id, True, ids.encode_id(ids.USER, user.id), "req_1", role=role, ip="203.0.113.4", services=SERVICES
    )


def user_of(ctx: Context) -> UUID:
    return ids.find_id(ids.USER, ctx.actor, "user")


async def roles(workspace: Workspace) -> dict[UUID, Role]:
    rows = await Membership.filter(workspace_id=workspace.id)
    return {row.user_id: row.role for row in rows}


async def connect_list(ctx: Context, name: str) -> ContactList:
    """A list that people of another service are posted to."""
    return await create_synced_list(ctx, name, NewSource(type="hook", settings={}, mapping={"phone": "phone"}))


async def actions() -> list[str]:
    return await AuditEntry.all().order_by("id").values_list("action", flat=True)  # type: ignore[return-value]


async def register(email: str = "maria@cohortlabs.co", **values: str) -> SignedUp:
    data = {"name": "Maria Silva", **({} if "invitation" in values else {"workspace_name": "Cohort Labs"}), **values}
    async with unit_of_work():
        return await sign_up(HERE, SignUp(email, PASSWORD, **data))


async def invite_member(ctx: Context, *, email: str, role: Role) -> tuple[Invitation, str]:
    async with unit_of_work():
        return await users.invite_member(ctx, email=email, role=role)


READ = (
    Permission.MESSAGES_READ,
    Permission.CAMPAIGNS_READ,
    Permission.CONVERSIONS_READ,
    Permission.CONTACTS_READ,
    Permission.EVENTS_READ,
    Permission.EXPORTS_READ,
)
WRITTEN = (
    Permission.MESSAGES_SEND,
    Permission.INBOX_WRITE,
    Permission.CAMPAIGNS_WRITE,
    Permission.CONVERSIONS_WRITE,
    Permission.CONTACTS_WRITE,
    Permission.EXPORTS_WRITE,
)
# What each role may do, written out once more by hand.
MATRIX = {
    Role.OWNER: set(Permission),
    Role.ADMIN: set(Permission) - {Permission.OWNERS_WRITE},
    Role.MEMBER: {
        *READ,
        *WRITTEN,
        Permission.WEBHOOKS_READ,
        Permission.WORKSPACE_READ,
        Permission.CREDITS_READ,
        Permission.MEMBERS_READ,
    },
    Role.READ_ONLY: {
        *READ,
        Permission.WEBHOOKS_READ,
        Permission.WORKSPACE_READ,
        Permission.CREDITS_READ,
        Permission.MEMBERS_READ,
    },
    None: {
        *READ,
        *WRITTEN,
        Permission.CONTACTS_ERASE,
        Permission.WEBHOOKS_READ,
        Permission.WEBHOOKS_WRITE,
        Permission.WORKSPACE_READ,
        Permission.WORKSPACE_WRITE,
        Permission.CREDITS_READ,
        Permission.CREDITS_BUY,
        Permission.KEYS_READ,
    },
}


@pytest.mark.parametrize("role", MATRIX)
@pytest.mark.parametrize("permission", Permission)
def test_the_permission_matrix(role: Role | None, permission: Permission) -> None:
    ctx = Context(ids.new_id(), True, actor="test", role=role, services=SERVICES)
    if permission in MATRIX[role]:
        allow(ctx, permission)
    else:
        with pytest.raises(PermissionDenied) as caught:
            allow(ctx, permission)
        assert caught.value.details == {"permission": permission.value}


def test_every_permission_is_in_the_table_and_more_role_is_never_less() -> None:
    assert set(ROLES) == set(Permission)
    for higher, lower in zip(Role, list(Role)[1:], strict=False):
        assert {p for p in Permission if may(lower, p)} <= {p for p in Permission if may(higher, p)}
    assert all(may(None, p) <= may(Role.ADMIN, p) for p in Permission)
    assert Permission.MEMBERS_WRITE in NOT_FOR_KEYS


async def test_signing_up_makes_a_workspace_that_one_owns(clean: None) -> None:
    made = await register(" Maria@CohortLabs.co")
    identity = await authenticate_session(SERVICES, made.session.token)
    assert (identity.user_id, identity.email) == (made.user_id, "maria@cohortlabs.co")
    assert [(row.workspace_id, row.role) for row in identity.memberships] == [(made.workspace_id, Role.OWNER)]
    assert made.test_key is not None
    ctx = await authenticate(SERVICES, f"Bearer {made.test_key}")
    assert (ctx.workspace_id, ctx.livemode, ctx.role) == (made.workspace_id, False, None)
    assert await ApiKey.filter(livemode=True).count() == 0
    user = await User.get(id=made.user_id)
    assert user.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    entry = await AuditEntry.get()
    assert (entry.action, entry.actor, entry.workspace_id) == ("workspace.created", identity.actor, made.workspace_id)
    assert entry.changes == {"name": [None, "Cohort Labs"]}
    assert (await log_in(HERE, email="maria@cohortlabs.co", password=PASSWORD)).user_id == made.user_id


async def test_an_unconfirmed_address_belongs_to_nobody(clean: None) -> None:
    """An unconfirmed address belongs to no user: every sign-up with it gets the same answer."""
    made = [await register(), await register("MARIA@cohortlabs.co")]
    assert [row.email for row in await User.all()] == [None, None]
    assert [row.pending_email for row in await User.all()] == ["maria@cohortlabs.co"] * 2
    assert len({each.workspace_id for each in made}) == 2


@pytest.mark.parametrize(
    ("data", "param"),
    [
        (SignUp("no address", PASSWORD, "Maria", "Cohort Labs"), "email"),
        (SignUp("maria@cohortlabs.co", "short", "Maria", "Cohort Labs"), "password"),
        (SignUp("maria@cohortlabs.co", PASSWORD, " ", "Cohort Labs"), "name"),
        (SignUp("maria@cohortlabs.co", PASSWORD, "Maria\0", "Cohort Labs"), "name"),
        (SignUp("maria@cohortlabs.co", PASSWORD, "Maria", " "), "name"),
        (SignUp("maria@cohortlabs.co", PASSWORD, "Maria"), "workspace_name"),
        (SignUp("maria@cohortlabs.co", PASSWORD, "Maria", "Cohort Labs", "token"), "workspace_name"),
        (SignUp("maria@cohortlabs.co", PASSWORD, "Maria", None, "token"), "invitation"),
    ],
)
async def test_a_sign_up_that_is_refused_leaves_nothing(clean: None, data: SignUp, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        async with unit_of_work():
            await sign_up(HERE, data)
    assert caught.value.param == param
    for table in ("users", "workspaces", "sessions", "memberships", "api_keys", "audit_entries"):
        assert await db.fetch_value(f"SELECT count(*) FROM {table}") == 0


async def test_an_invitation_is_taken_once_by_its_addressee(workspace: Workspace) -> None:
    owner = await join(workspace, Role.OWNER)
    async with unit_of_work():
        invitation, token = await invite_member(owner, email="Ana@CohortLabs.co", role=Role.MEMBER)
    assert invitation.digest == digest_token(token)
    assert [row.email for row in await list_invitations(owner)] == ["ana@cohortlabs.co"]
    with pytest.raises(PermissionDenied):
        await register("bea@cohortlabs.co", invitation=token)
    made = await register("ana@cohortlabs.co", invitation=token)
    assert (made.workspace_id, made.test_key) == (workspace.id, None)
    assert (await roles(workspace))[made.user_id] is Role.MEMBER
    assert await list_invitations(owner) == []
    identity = await authenticate_session(SERVICES, made.session.token)
    with pytest.raises(NotFound) as caught:
        await accept_invitation(HERE, identity, token)
    assert caught.value.code == "invitation_invalid"
    assert await actions() == ["member.invited", "member.joined"]


async def test_a_user_takes_a_second_place(workspace: Workspace) -> None:
    made = await register("ana@cohortlabs.co")
    owner = await join(workspace, Role.OWNER)
    async with unit_of_work():
        _, token = await invite_member(owner, email="ana@cohortlabs.co", role=Role.ADMIN)
    identity = await authenticate_session(SERVICES, made.session.token)
    takes = [accept(identity, token) for _ in range(3)]
    outcomes = await asyncio.gather(*takes, return_exceptions=True)
    assert sum(outcome == workspace.id for outcome in outcomes) == 1
    assert sum(isinstance(outcome, NotFound) for outcome in outcomes) == 2
    again = await authenticate_session(SERVICES, made.session.token)
    assert [row.role for row in again.memberships] == [Role.OWNER, Role.ADMIN]
    with pytest.raises(Conflict) as caught:
        await invite_member(owner, email="ana@cohortlabs.co", role=Role.MEMBER)
    assert caught.value.code == "member_exists"


async def accept(identity: Identity, token: str) -> UUID:
    async with unit_of_work():
        return await accept_invitation(HERE, identity, token)


@pytest.mark.parametrize("end", ["expired", "revoked", "replaced"])
async def test_an_invitation_that_has_ended_is_worth_nothing(workspace: Workspace, end: str) -> None:
    owner = await join(workspace, Role.OWNER)
    invitation, token = await invite_member(owner, email="ana@cohortlabs.co", role=Role.MEMBER)
    if end == "expired":
        await Invitation.all().update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    elif end == "revoked":
        await revoke_invitation(owner, invitation.id)
        await revoke_invitation(owner, invitation.id)
        assert await actions() == ["member.invited", "member.invitation_revoked"]
    else:
        await invite_member(owner, email="ana@cohortlabs.co", role=Role.READ_ONLY)
    with pytest.raises(NotFound) as caught:
        await register("ana@cohortlabs.co", invitation=token)
    assert caught.value.code == "invitation_invalid"
    assert await User.filter(pending_email="ana@cohortlabs.co").count() == 0


OWNER, ADMIN, MEMBER, READER = Role.OWNER, Role.ADMIN, Role.MEMBER, Role.READ_ONLY


@pytest.mark.parametrize("acting", Role)
@pytest.mark.parametrize("role", Role)
async def test_who_may_invite_whom(workspace: Workspace, acting: Role, role: Role) -> None:
    ctx = await join(workspace, acting)
    allowed = acting is OWNER or (acting is ADMIN and role is not OWNER)
    await expect(allowed, lambda: invite_member(ctx, email="ana@cohortlabs.co", role=role), ["member.invited"])
    assert await Invitation.all().count() == int(allowed)


@pytest.mark.parametrize("acting", Role)
@pytest.mark.parametrize("before", Role)
@pytest.mark.parametrize("after", Role)
async def test_who_may_change_whose_role(workspace: Workspace, acting: Role, before: Role, after: Role) -> None:
    await join(workspace, OWNER)
    ctx, target = await join(workspace, acting), await join(workspace, before)
    allowed = acting is OWNER or (acting is ADMIN and OWNER not in (before, after))
    logged = ["member.role_changed"] if before is not after else []
    await expect(allowed, lambda: change_role(ctx, user_of(target), after), logged)
    assert (await roles(workspace))[user_of(target)] is (after if allowed else before)
    if allowed and logged:
        assert (await AuditEntry.get()).changes == {"role": [before.value, after.value]}


@pytest.mark.parametrize("acting", Role)
@pytest.mark.parametrize("target_role", Role)
async def test_who_may_remove_whom(workspace: Workspace, acting: Role, target_role: Role) -> None:
    await join(workspace, OWNER)
    ctx, target = await join(workspace, acting), await join(workspace, target_role)
    allowed = acting is OWNER or (acting is ADMIN and target_role is not OWNER)
    await expect(allowed, lambda: remove_member(ctx, user_of(target)), ["member.removed"])
    assert (user_of(target) in await roles(workspace)) is not allowed


@pytest.mark.parametrize("role", Role)
async def test_anyone_may_leave(workspace: Workspace, role: Role) -> None:
    await join(workspace, OWNER)
    ctx = await join(workspace, role)
    await expect(True, lambda: remove_member(ctx, user_of(ctx)), ["member.left"])
    assert user_of(ctx) not in await roles(workspace)


async def expect(allowed: bool, operation: Callable[[], Awaitable[object]], logged: list[str]) -> None:
    """The operation succeeds and logs this, or is refused and logs nothing."""
    if allowed:
        async with unit_of_work():
            await operation()
        assert await actions() == logged
    else:
        with pytest.raises(PermissionDenied):
            async with unit_of_work():
                await operation()
        assert await actions() == []


async def test_a_key_manages_no_members(workspace: Workspace) -> None:
    key = Context(workspace.id, True, ids.encode_id(ids.API_KEY, ids.new_id()), services=SERVICES)
    target = await join(workspace, MEMBER)
    operations: list[Callable[[], Awaitable[object]]] = [
        lambda: invite_member(key, email="ana@cohortlabs.co", role=READER),
        lambda: change_role(key, user_of(target), ADMIN),
        lambda: remove_member(key, user_of(target)),
        lambda: list_members(key),
        lambda: get_member(key, user_of(target)),
        lambda: list_invitations(key),
        lambda: revoke_invitation(key, ids.new_id()),
    ]
    for operation in operations:
        await expect(False, operation, [])


async def test_the_last_owner_stays(workspace: Workspace) -> None:
    owner = await join(workspace, OWNER)
    await join(workspace, ADMIN)
    with pytest.raises(Conflict) as caught:
        await remove_member(owner, user_of(owner))
    assert caught.value.code == "last_owner"
    with pytest.raises(Conflict) as caught:
        await change_role(owner, user_of(owner), ADMIN)
    assert caught.value.code == "last_owner"
    assert (await roles(workspace))[user_of(owner)] is OWNER
    assert await actions() == []


async def test_owners_who_unmake_each_other_leave_one(workspace: Workspace) -> None:
    owners = [await join(workspace, OWNER) for _ in range(4)]

    async def unmake(ctx: Context, other: Context) -> None:
        async with unit_of_work():
            await change_role(ctx, user_of(other), MEMBER)

    pairs = zip(owners, owners[1:] + owners[:1], strict=True)
    outcomes = await asyncio.gather(*(unmake(ctx, other) for ctx, other in pairs), return_exceptions=True)
    left = [role for role in (await roles(workspace)).values() if role is OWNER]
    assert len(left) >= 1
    assert len(left) == 4 - sum(outcome is None for outcome in outcomes)
    assert {type(outcome) for outcome in outcomes} <= {type(None), PermissionDenied, Conflict}
    assert len(await actions()) == 4 - len(left)


async def test_what_counts_is_the_role_of_now(workspace: Workspace) -> None:
    await join(workspace, OWNER)
    stale = await join(workspace, ADMIN)
    target = await join(workspace, MEMBER)
    await Membership.filter(user_id=user_of(stale)).update(role=MEMBER)
    await expect(False, lambda: change_role(stale, user_of(target), READER), [])
    await Membership.filter(user_id=user_of(stale)).delete()
    await expect(False, lambda: remove_member(stale, user_of(target)), [])


@pytest.mark.parametrize("fate", ["removed", "member", "admin"])
async def test_invitations_end_with_the_power_to_send_them(workspace: Workspace, fate: str) -> None:
    owner, second = await join(workspace, OWNER), await join(workspace, OWNER)
    await invite_member(second, email="owner@cohortlabs.co", role=OWNER)
    await invite_member(second, email="member@cohortlabs.co", role=MEMBER)
    await invite_member(owner, email="other@cohortlabs.co", role=OWNER)
    if fate == "removed":
        await remove_member(owner, user_of(second))
    else:
        await change_role(owner, user_of(second), Role(fate))
    left = {row.email for row in await list_invitations(owner)}
    assert left == {"other@cohortlabs.co"} | ({"member@cohortlabs.co"} if fate == "admin" else set())


async def test_nothing_crosses_to_another_workspace(workspace: Workspace, other_ctx: Context) -> None:
    target = await join(workspace, MEMBER)
    invitation, _ = await invite_member(await join(workspace, OWNER), email="ana@cohortlabs.co", role=MEMBER)
    stranger = await join(await Workspace.get(id=other_ctx.workspace_id), OWNER)
    for operation in (
        lambda: get_member(stranger, user_of(target)),
        lambda: change_role(stranger, user_of(target), READER),
        lambda: remove_member(stranger, user_of(target)),
        lambda: revoke_invitation(stranger, invitation.id),
    ):
        with pytest.raises(NotFound):
            await operation()
    assert [row.user_id for row in await list_members(stranger)] == [user_of(stranger)]
    assert await list_invitations(stranger) == []
    member = await get_member(target, user_of(target))
    assert (member.role, member.name) == (MEMBER, "Someone")


async def test_an_invitation_needs_an_address(workspace: Workspace) -> None:
    owner = await join(workspace, OWNER)
    with pytest.raises(InvalidRequest) as caught:
        await invite_member(owner, email="no address", role=MEMBER)
    assert caught.value.param == "email"


@pytest.mark.parametrize("end", [False, True])
async def test_removal_lists_what_a_member_made_and_can_end_it(workspace: Workspace, end: bool) -> None:
    """Attack 7 of the cases: an admin makes a live key and is removed."""
    owner, leaver = await join(workspace, OWNER), await join(workspace, ADMIN)
    await issue_key(owner, name="Of the owner")
    SERVICES.keyring.seal_with("removal")
    made = {}
    for livemode in (True, False):
        ctx = replace(leaver, livemode=livemode)
        made[livemode], _ = await issue_key(ctx, name="Checkout")
        await create_webhook(ctx, CreateWebhook("https://example.com/own", ["*"]))
    by_key = Context(
        workspace.id, True, ids.encode_id(ids.API_KEY, made[True].id), services=SERVICES, scopes=frozenset(Scope)
    )
    await create_webhook(by_key, CreateWebhook("https://example.com/by-key", ["*"]))
    await invite_member(leaver, email="friend@cohortlabs.co", role=MEMBER)
    await connect_list(owner, "Of the owner")
    for ctx in (replace(leaver, livemode=False), leaver, by_key):
        await connect_list(ctx, "Students")
    paused = await connect_list(leaver, "Paused before")
    async with unit_of_work():
        await pause_sync(leaver, paused.id)
    found = await find_holdings(owner, user_of(leaver))
    assert [row.id for row in found.api_keys] == [made[True].id, made[False].id]
    assert [row.url for row in found.webhooks] == [
        "https://example.com/own",
        "https://example.com/own",
        "https://example.com/by-key",
    ]
    assert [row.email for row in found.invitations] == ["friend@cohortlabs.co"]
    assert {row.created_by for row in found.api_keys} == {leaver.actor}
    assert [(row.name, row.livemode) for row in found.synced_lists] == [
        ("Students", mode) for mode in (False, True, True)
    ]
    async with unit_of_work():
        await remove_member(owner, user_of(leaver), end_holdings=end)
    assert await ListSource.filter(is_paused=False).count() == (1 if end else 4)
    assert await ApiKey.filter(revoked_at=None).count() == (1 if end else 3)
    assert await WebhookEndpoint.filter(enabled=True).count() == (0 if end else 3)
    assert await list_invitations(owner) == []
    ended = [name for name in await actions() if name in ("key.revoked", "webhook.updated", "list.source_updated")]
    before = ["list.source_updated"]
    assert ended == before + (
        ["key.revoked"] * 2 + ["webhook.updated"] * 3 + ["list.source_updated"] * 3 if end else []
    )


@pytest.mark.parametrize("end", [False, True])
async def test_a_lower_role_can_end_what_the_member_made(workspace: Workspace, end: bool) -> None:
    """A key may do what an admin may; its maker has it yet when they are a member that only reads."""
    owner, lowered = await join(workspace, OWNER), await join(workspace, ADMIN)
    kept, _ = await issue_key(owner)
    made, _ = await issue_key(lowered)
    SERVICES.keyring.seal_with("a lower role")
    await create_webhook(lowered, CreateWebhook("https://example.com/own", ["*"]))
    await invite_member(lowered, email="friend@cohortlabs.co", role=MEMBER)
    async with unit_of_work():
        await change_role(owner, user_of(lowered), READER, end_holdings=end)
    left = {row.id for row in await ApiKey.filter(revoked_at=None)}
    assert left == ({kept.id} if end else {kept.id, made.id})
    assert await WebhookEndpoint.filter(enabled=True).count() == (0 if end else 1)
    assert await list_invitations(owner) == []
    # Nobody does so to others who may not change their role, nor to the last owner.
    for actor, code in ((lowered, "permission_denied"), (owner, "last_owner")):
        with pytest.raises(ApiError) as refused:
            await change_role(actor, user_of(owner), MEMBER, end_holdings=True)
        assert refused.value.code == code
    assert {row.id for row in await ApiKey.filter(revoked_at=None)} == left


async def test_only_admins_see_what_a_member_made(workspace: Workspace, other_ctx: Context) -> None:
    owner, member = await join(workspace, OWNER), await join(workspace, MEMBER)
    await issue_key(owner)
    with pytest.raises(PermissionDenied):
        await find_holdings(member, user_of(owner))
    stranger = await join(await Workspace.get(id=other_ctx.workspace_id), OWNER)
    assert await find_holdings(stranger, user_of(owner)) == Holdings([], [], [], [])


async def test_an_uninvited_caller_learns_no_address(workspace: Workspace) -> None:
    """Attack 6 of the cases: an address that is known and one that is not are answered alike."""
    await make_user("known@cohortlabs.co")
    _, token = await invite_member(await join(workspace, OWNER), email="invited@cohortlabs.co", role=MEMBER)
    for given, code in (("not-a-token", "invitation_invalid"), (token, "invitation_for_another")):
        for email in ("known@cohortlabs.co", "unknown@cohortlabs.co"):
            with pytest.raises(ApiError) as caught:
                await register(email, invitation=given)
            assert caught.value.code == code
    assert not await User.filter(email="unknown@cohortlabs.co").exists()
    assert await Invitation.filter(accepted_at=None).count() == 1
