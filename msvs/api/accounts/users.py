"""Users and members: sign up, invite, change roles, leave."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.accounts.authentication_log import AuthenticationAction, audit_places, record_authentication
from msvs.api.accounts.keys import revoke_key
from msvs.api.accounts.login_sessions import (
    Identity,
    OpenedSession,
    fold_email,
    open_session,
    represent,
    reread_memberships,
)
from msvs.api.accounts.mail_letters import LANGUAGES, MailKind
from msvs.api.accounts.mail_outbox import queue_mail
from msvs.api.accounts.passwords import check_password, hash_password
from msvs.api.accounts.tokens import digest_token
from msvs.api.accounts.workspaces import create_workspace
from msvs.api.audit import AuditAction, changed, record_audit
from msvs.api.context import OPERATOR, Context, Services, Visitor
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, NotFound, PermissionDenied
from msvs.api.permissions import Permission, allow, may, require, require_confirmed
from msvs.api.text.templates import is_visible
from msvs.api.webhooks.endpoints import UpdateWebhook, update_webhook
from msvs.api.webhooks.member_notifications import Notice, NotificationKind, notify_members
from msvs.database import Row, execute, fetch, fetch_row
from msvs.models import (
    ApiKey,
    ContactList,
    Invitation,
    ListSource,
    Membership,
    Notification,
    Role,
    SourceStatus,
    User,
    WebhookEndpoint,
)

INVITATION = "inv"
INVITATION_LIFETIME = timedelta(days=7)
MAX_NAME_LENGTH = 100

INSERT_USER = """
INSERT INTO users (id, email, pending_email, name, password_hash, language, created_at, password_changed_at)
VALUES ($1, $2, $6, $3, $4, $7, $5, $5)
ON CONFLICT (email) DO NOTHING
"""
INSERT_MEMBERSHIP = """
INSERT INTO memberships (id, user_id, workspace_id, role, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (user_id, workspace_id) DO NOTHING
"""
USERS = """
SELECT users.id, coalesce(users.email, users.pending_email) AS email, users.email IS NOT NULL AS is_confirmed,
    users.name, users.created_at,
    array_agg(memberships.workspace_id ORDER BY memberships.id) FILTER (WHERE memberships.id IS NOT NULL) AS workspaces
FROM users LEFT JOIN memberships ON memberships.user_id = users.id GROUP BY users.id ORDER BY users.id
"""
MEMBERS = """
SELECT memberships.user_id, coalesce(users.email, users.pending_email) AS email, users.name, memberships.role,
    memberships.created_at
FROM memberships JOIN users ON users.id = memberships.user_id
WHERE memberships.workspace_id = $1 {condition} ORDER BY memberships.id
"""


PAUSE_LIST = """
UPDATE list_sources SET is_paused = true, lease_token = NULL, lease_until = NULL, updated_at = $3
WHERE workspace_id = $1 AND livemode = $4 AND list_id = $2
"""
NAMES_OF_INVITATION = """
SELECT workspaces.name AS workspace, users.name AS inviter, users.language
FROM workspaces LEFT JOIN users ON users.id = $2 WHERE workspaces.id = $1
"""
OFFER = """
SELECT workspaces.name AS workspace_name, invitations.email, invitations.role, invitations.expires_at
FROM invitations JOIN workspaces ON workspaces.id = invitations.workspace_id
WHERE (invitations.digest = $1 OR invitations.mailed_digest = $1) AND invitations.accepted_at IS NULL
    AND invitations.revoked_at IS NULL
    AND invitations.expires_at > $2
"""


@dataclass(frozen=True, slots=True)
class SignUp:
    """A user to be, with a workspace of their own (`workspace_name`) or a place in another (`invitation`, a token)."""

    email: str
    password: str
    name: str
    workspace_name: str | None = None
    invitation: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class SignedUp:
    """A new user, logged in. The key is that of a new workspace's sandbox and is not shown again."""

    user_id: UUID
    workspace_id: UUID
    session: OpenedSession
    test_key: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A user's place in the workspace."""

    user_id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Holdings:
    """Keys, webhooks, invitations and synced lists of a user that are still active."""

    api_keys: Sequence[ApiKey]
    webhooks: Sequence[WebhookEndpoint]
    invitations: Sequence[Invitation]
    synced_lists: Sequence[ContactList]


@dataclass(frozen=True, slots=True)
class OfferedPlace:
    """The offer of an invitation, as shown to anyone with its token."""

    workspace_name: str
    email: str
    role: Role
    expires_at: datetime


async def find_invitation(services: Services, token: str) -> OfferedPlace | None:
    """Return what the invitation with this token offers, or None if it cannot be accepted."""
    row = await fetch_row(OFFER, digest_token(token), services.real_clock())
    return None if row is None else OfferedPlace(row.workspace_name, row.email, Role(row.role), row.expires_at)


async def sign_up(visitor: Visitor, data: SignUp) -> SignedUp:
    """Make a user, and a workspace that they own or the membership that they were invited to; log them in.

    Several users may hold an address until one of them confirms it, and the answer does not reveal whether another has
    it. The token of a mailed invitation confirms it at once; only then is `email_taken` answered.

    Raises InvalidRequest, NotFound code `invitation_invalid`, PermissionDenied and Conflict code `email_taken`.
    """
    if visitor.sign_up == "off" or (visitor.sign_up == "invitation" and data.invitation is None):
        raise PermissionDenied("Nobody can sign up here without an invitation.", code=ErrorCode.SIGN_UP_CLOSED)
    email = _checked_email(data.email)
    name = _checked_name(data.name)
    check_password(data.password, email=email)
    if (data.workspace_name is None) == (data.invitation is None):
        raise InvalidRequest(
            "Give either workspace_name or invitation.", param="workspace_name", code=ErrorCode.PARAMETER_MISSING
        )
    password_hash = await hash_password(data.password)
    now = visitor.services.real_clock()
    user_id = ids.new_id()
    # Before the address is looked at: who was not invited learns nothing of it.
    offer = None if data.invitation is None else await _find_offer(email, data.invitation, now)
    is_proven = offer is not None and offer.mailed_digest == digest_token(data.invitation or "")
    language = data.language if data.language in LANGUAGES else None
    addresses = (email, None) if is_proven else (None, email)
    if not await execute(INSERT_USER, user_id, addresses[0], name, password_hash, now, addresses[1], language):
        raise Conflict("There is a user with this e-mail address already.", code=ErrorCode.EMAIL_TAKEN, param="email")
    if not is_proven:
        await queue_mail(visitor.services, MailKind.CONFIRM_EMAIL, email, language=language, subject_id=user_id)
    test_key = None
    if data.invitation is not None:
        workspace_id = await _join(visitor, user_id, email, data.invitation, now)
    else:
        assert data.workspace_name is not None
        workspace_id, test_key = await _make_owned(visitor, user_id, data.workspace_name, now)
    session = await open_session(visitor, user_id)
    await record_authentication(visitor, user_id, AuthenticationAction.LOGGED_IN)
    return SignedUp(user_id, workspace_id, session, test_key)


async def list_members(ctx: Context) -> list[Member]:
    """List the members of the workspace, the oldest first. Raises PermissionDenied."""
    allow(ctx, Permission.MEMBERS_READ)
    return [_member(row) for row in await fetch(MEMBERS.format(condition=""), ctx.workspace_id)]


async def get_member(ctx: Context, user_id: UUID) -> Member:
    """Return one member. Raises NotFound, PermissionDenied."""
    allow(ctx, Permission.MEMBERS_READ)
    row = await fetch_row(MEMBERS.format(condition="AND memberships.user_id = $2"), ctx.workspace_id, user_id)
    if row is None:
        raise _no_member(user_id)
    return _member(row)


async def invite_member(ctx: Context, *, email: str, role: Role) -> tuple[Invitation, str]:
    """Offer an e-mail address a place for 7 days; the row and its token, shown only once. An earlier offer ends.

    Raises PermissionDenied, InvalidRequest, and Conflict code `member_exists`.
    """
    address = _checked_email(email)
    require_confirmed(ctx)
    members = await _lock_members(ctx)
    acting = _acting_role(ctx, members)
    require(acting, Permission.MEMBERS_WRITE)
    if role is Role.OWNER:
        require(acting, Permission.OWNERS_WRITE)
    if await User.filter(Q(email=address) | Q(pending_email=address), id__in=list(members)).exists():
        raise Conflict("The user is a member already.", code=ErrorCode.MEMBER_EXISTS, param="email")
    now = ctx.services.real_clock()
    await _open_invitations(ctx.workspace_id).filter(email=address).update(revoked_at=now)
    token = secrets.token_urlsafe(32)
    row = await Invitation.create(
        workspace_id=ctx.workspace_id,
        email=address,
        role=role,
        digest=digest_token(token),
        invited_by=ctx.actor,
        created_at=now,
        expires_at=now + INVITATION_LIFETIME,
    )
    await record_audit(
        ctx,
        AuditAction.MEMBER_INVITED,
        ids.encode_id(INVITATION, row.id),
        changed({}, {"email": address, "role": role.value}),
    )
    await _mail_invitation(ctx, row)
    return row, token


async def resend_invitation(ctx: Context, id: UUID) -> Invitation:
    """Mail an invitation once more, for another 7 days. Raises NotFound, PermissionDenied.

    The token of the mail before counts no more; the one that was shown when it was made does.
    """
    allow(ctx, Permission.MEMBERS_WRITE)
    require_confirmed(ctx)
    row = await _open_invitations(ctx.workspace_id).filter(id=id).select_for_update().first()
    if row is None:
        raise ids.missing("invitation", ids.encode_id(INVITATION, id))
    if row.role is Role.OWNER:
        require(ctx.role, Permission.OWNERS_WRITE)
    row.expires_at = ctx.services.real_clock() + INVITATION_LIFETIME
    await row.save(update_fields=["expires_at"])
    await _mail_invitation(ctx, row)
    return row


async def _mail_invitation(ctx: Context, row: Invitation) -> None:
    named = await fetch_row(NAMES_OF_INVITATION, ctx.workspace_id, ids.decode_id(ids.USER, ctx.actor))
    data = {"workspace": named.workspace, "inviter": named.inviter or "MassiveSMS"} if named else {}
    language = None if named is None else named.language
    await queue_mail(ctx.services, MailKind.INVITATION, row.email, language=language, subject_id=row.id, data=data)


async def list_invitations(ctx: Context) -> list[Invitation]:
    """List the invitations that can still be accepted, newest first. Raises PermissionDenied."""
    allow(ctx, Permission.MEMBERS_WRITE)
    return await _open_invitations(ctx.workspace_id).filter(expires_at__gt=ctx.services.real_clock()).order_by("-id")


async def revoke_invitation(ctx: Context, id: UUID) -> Invitation:
    """End an invitation; one that was accepted or ended stays as it is. Raises NotFound, PermissionDenied."""
    allow(ctx, Permission.MEMBERS_WRITE)
    row = await Invitation.filter(workspace_id=ctx.workspace_id, id=id).select_for_update().first()
    if row is None:
        raise ids.missing("invitation", ids.encode_id(INVITATION, id))
    if row.accepted_at is None and row.revoked_at is None:
        row.revoked_at = ctx.services.real_clock()
        await row.save(update_fields=["revoked_at"])
        await record_audit(
            ctx,
            AuditAction.INVITATION_REVOKED,
            ids.encode_id(INVITATION, id),
            changed({"email": row.email, "role": row.role.value}, {}),
        )
    return row


async def accept_invitation(visitor: Visitor, identity: Identity, token: str) -> UUID:
    """Take the place offered to the user's own e-mail address; the workspace.

    Raises NotFound code `invitation_invalid`, PermissionDenied, and Conflict code `member_exists`.
    """
    return await _join(visitor, identity.user_id, identity.email, token, visitor.services.real_clock())


async def change_role(
    ctx: Context, user_id: UUID, role: Role, *, end_holdings: bool = False, param: str = "id"
) -> Member:
    """Change a member's role. Only an owner may add or demote owners, and the last owner cannot be demoted.

    A key may outrank its maker: with `end_holdings`, what the member made ends, as in `remove_member`.
    Errors name `param`.
    Raises PermissionDenied, NotFound, and Conflict code `last_owner`.
    """
    members = await _lock_members(ctx)
    acting = _acting_role(ctx, members)
    require(acting, Permission.MEMBERS_WRITE)
    target = _find_member(members, user_id, param)
    if Role.OWNER in (target.role, role):
        require(acting, Permission.OWNERS_WRITE)
    before = target.role
    if before != role:
        if before is Role.OWNER:
            _check_not_last_owner(members)
        if end_holdings:
            await _end_holdings(ctx, await find_holdings(ctx, user_id))
        target.role = role
        await target.save(update_fields=["role"])
        if not may(role, Permission.MEMBERS_WRITE):
            await _end_invitations_of(ctx, user_id)
        elif not may(role, Permission.OWNERS_WRITE):
            await _end_invitations_of(ctx, user_id, role=Role.OWNER)
        await record_audit(
            ctx,
            AuditAction.MEMBER_ROLE_CHANGED,
            ids.encode_id(ids.USER, user_id),
            changed({"role": before.value}, {"role": role.value}),
        )
    row = await fetch_row(MEMBERS.format(condition="AND memberships.user_id = $2"), ctx.workspace_id, user_id)
    return _member(row)


async def find_holdings(ctx: Context, user_id: UUID) -> Holdings:
    """Find what a user made in the workspace, in both modes, and what their keys made, that still works.

    Raises PermissionDenied.
    """
    allow(ctx, Permission.MEMBERS_WRITE)
    actor = ids.encode_id(ids.USER, user_id)
    made = await ApiKey.filter(workspace_id=ctx.workspace_id, created_by=actor).order_by("id")
    makers = [actor, *(ids.encode_id(ids.API_KEY, row.id) for row in made)]
    now = ctx.services.real_clock()
    webhooks = await WebhookEndpoint.filter(
        workspace_id=ctx.workspace_id, created_by__in=makers, enabled=True
    ).order_by("id")
    syncing = ListSource.filter(workspace_id=ctx.workspace_id, actor__in=makers, is_paused=False).exclude(
        status=SourceStatus.STOPPED
    )
    list_ids = [row.list_id for row in await syncing]
    return Holdings(
        [row for row in made if row.revoked_at is None and (row.expires_at is None or row.expires_at > now)],
        webhooks,
        await _open_invitations(ctx.workspace_id).filter(invited_by=actor, expires_at__gt=now).order_by("id"),
        await ContactList.filter(workspace_id=ctx.workspace_id, id__in=list_ids).order_by("id"),
    )


async def _end_holdings(ctx: Context, holdings: Holdings) -> None:
    """Revoke the keys, disable the webhooks and pause the synced lists that somebody made."""
    for key in holdings.api_keys:
        await revoke_key(replace(ctx, livemode=key.livemode), key.id)
    for webhook in holdings.webhooks:
        await update_webhook(replace(ctx, livemode=webhook.livemode), webhook.id, UpdateWebhook(enabled=False))
    for synced in holdings.synced_lists:
        # A sync in progress stops after its page, as when the list is paused by itself.
        await execute(PAUSE_LIST, ctx.workspace_id, synced.id, ctx.services.real_clock(), synced.livemode)
        await record_audit(
            ctx,
            AuditAction.LIST_SOURCE_UPDATED,
            ids.encode_id(ids.CONTACT_LIST, synced.id),
            {"livemode": synced.livemode, **changed({"paused": False}, {"paused": True})},
        )


async def remove_member(ctx: Context, user_id: UUID, *, end_holdings: bool = False) -> None:
    """Take a member from the workspace; anyone may take themselves. The invitations they sent end.

    With `end_holdings` the keys that they made are revoked, the webhooks that they or those keys made disabled, and
    the lists that they or those keys connected to a service paused.
    Raises PermissionDenied, NotFound, and Conflict code `last_owner`.
    """
    members = await _lock_members(ctx)
    acting = _acting_role(ctx, members)
    leaves = ctx.actor == ids.encode_id(ids.USER, user_id)
    if not leaves:
        require(acting, Permission.MEMBERS_WRITE)
    target = _find_member(members, user_id)
    if target.role is Role.OWNER:
        require(acting, Permission.OWNERS_WRITE)
        _check_not_last_owner(members)
    if end_holdings:
        await _end_holdings(ctx, await find_holdings(ctx, user_id))
    await target.delete()
    await Notification.filter(workspace_id=ctx.workspace_id, user_id=user_id).delete()
    await _end_invitations_of(ctx, user_id)
    await record_audit(
        ctx,
        AuditAction.MEMBER_LEFT if leaves else AuditAction.MEMBER_REMOVED,
        ids.encode_id(ids.USER, user_id),
        changed({"role": target.role.value}, {}),
    )


async def leave_workspace(visitor: Visitor, identity: Identity, workspace_id: UUID) -> Identity:
    """Remove the user from one of their workspaces, even one that they may not enter. Return the updated identity.

    Raises NotFound, and Conflict code `last_owner`.
    """
    await remove_member(represent(visitor, identity, workspace_id), identity.user_id)
    return await reread_memberships(identity)


async def require_now(ctx: Context, permission: Permission) -> None:
    """Check a permission against the caller's current role, and lock the memberships until the commit.

    The request's own role is that of when it came in. Raises PermissionDenied.
    """
    require(_acting_role(ctx, await _lock_members(ctx)), permission)


async def _find_offer(email: str, token: str, now: datetime) -> Invitation:
    """Return the invitation of a token, locked. Raises NotFound code `invitation_invalid` and PermissionDenied."""
    digest = digest_token(token)
    query = Invitation.filter(Q(digest=digest) | Q(mailed_digest=digest))
    row = await query.select_for_update().first()
    if row is None or row.accepted_at is not None or row.revoked_at is not None or row.expires_at <= now:
        raise NotFound("The invitation is no longer valid.", code=ErrorCode.INVITATION_INVALID, param="invitation")
    if row.email != email:
        raise PermissionDenied("The invitation is for another e-mail address.", code=ErrorCode.INVITATION_FOR_ANOTHER)
    return row


async def _join(visitor: Visitor, user_id: UUID, email: str, token: str, now: datetime) -> UUID:
    row = await _find_offer(email, token, now)
    if not await execute(INSERT_MEMBERSHIP, ids.new_id(), user_id, row.workspace_id, row.role.value, now):
        raise Conflict("You are a member already.", code=ErrorCode.MEMBER_EXISTS)
    row.accepted_at = now
    await row.save(update_fields=["accepted_at"])
    await record_audit(
        _acting(visitor, user_id, row.workspace_id, row.role),
        AuditAction.MEMBER_JOINED,
        ids.encode_id(ids.USER, user_id),
        changed({}, {"role": row.role.value}),
    )
    named = await User.get(id=user_id)
    about = (ids.encode_id(ids.USER, user_id), named.name)
    await notify_members([Notice(NotificationKind.MEMBER_JOINED, row.workspace_id, True, *about, but=user_id)], now)
    return row.workspace_id


def _acting(visitor: Visitor, user_id: UUID, workspace_id: UUID, role: Role) -> Context:
    return Context(
        workspace_id,
        True,
        ids.encode_id(ids.USER, user_id),
        visitor.request_id,
        role=role,
        ip=visitor.ip,
        services=visitor.services,
    )


async def _lock_members(ctx: Context) -> dict[UUID, Membership]:
    """Return all memberships, locked in one order: of two changes at once, the second sees what the first did."""
    rows = await Membership.filter(workspace_id=ctx.workspace_id).order_by("id").select_for_update()
    return {row.user_id: row for row in rows}


def _acting_role(ctx: Context, members: Mapping[UUID, Membership]) -> Role | None:
    """Return the caller's role as it is now, not as it was when the request came in. Raises PermissionDenied."""
    user_id = ids.decode_id(ids.USER, ctx.actor)
    if user_id is None:
        return ctx.role
    if user_id not in members:
        raise PermissionDenied("You are no longer a member of this workspace.")
    return members[user_id].role


def _find_member(members: Mapping[UUID, Membership], user_id: UUID, param: str = "id") -> Membership:
    if user_id not in members:
        raise _no_member(user_id, param)
    return members[user_id]


def _no_member(user_id: UUID, param: str = "id") -> NotFound:
    return ids.missing("member", ids.encode_id(ids.USER, user_id), param=param)


def _check_not_last_owner(members: Mapping[UUID, Membership]) -> None:
    if sum(row.role is Role.OWNER for row in members.values()) < 2:
        raise Conflict("A workspace keeps at least one owner; make another one first.", code=ErrorCode.LAST_OWNER)


def _open_invitations(workspace_id: UUID) -> QuerySet[Invitation]:
    return Invitation.filter(workspace_id=workspace_id, accepted_at__isnull=True, revoked_at__isnull=True)


async def _end_invitations_of(ctx: Context, user_id: UUID, *, role: Role | None = None) -> None:
    """Revoke what a member may no longer offer."""
    query = _open_invitations(ctx.workspace_id).filter(invited_by=ids.encode_id(ids.USER, user_id))
    if role is not None:
        query = query.filter(role=role)
    await query.update(revoked_at=ctx.services.real_clock())


def _member(row: Row | None) -> Member:
    assert row is not None
    return Member(row.user_id, row.email, row.name, Role(row.role), row.created_at)


def _checked_email(text: str) -> str:
    email = fold_email(text)
    if email is None:
        raise InvalidRequest("The e-mail address is not valid.", param="email", code=ErrorCode.EMAIL_INVALID)
    return email


def _checked_name(text: str) -> str:
    name = text.strip()
    if not is_visible(name) or len(name) > MAX_NAME_LENGTH or "\0" in name:
        raise InvalidRequest(
            f"name must have from 1 to {MAX_NAME_LENGTH} characters.",
            param="name",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    return name


async def list_users() -> Sequence[Row]:
    """List every user with the workspaces that are theirs, the oldest first; for operators."""
    return await fetch(USERS)


async def create_user(
    services: Services, *, email: str, name: str, password: str, workspace_id: UUID, role: Role
) -> UUID:
    """Make a user with a place in a workspace, for operators. Raises InvalidRequest, Conflict code `email_taken`."""
    email, name = _checked_email(email), _checked_name(name)
    check_password(password, email=email)
    now, user_id = services.real_clock(), ids.new_id()
    if not await execute(INSERT_USER, user_id, email, name, await hash_password(password), now, None, None):
        raise Conflict("There is a user with this e-mail address already.", code=ErrorCode.EMAIL_TAKEN, param="email")
    await execute(INSERT_MEMBERSHIP, ids.new_id(), user_id, workspace_id, role.value, now)
    ctx = Context(workspace_id, livemode=True, actor=OPERATOR, services=services)
    await record_audit(
        ctx, AuditAction.MEMBER_JOINED, ids.encode_id(ids.USER, user_id), changed({}, {"role": role.value})
    )
    return user_id


async def create_own_workspace(visitor: Visitor, identity: Identity, name: str) -> Identity:
    """Make another workspace, which the user owns. Return the user with it among their places.

    Raises PermissionDenied while the address is not confirmed or sign-up is not open, and InvalidRequest.
    """
    if visitor.sign_up != "open":
        raise PermissionDenied("Creating workspaces is not open on this installation.", code=ErrorCode.SIGN_UP_CLOSED)
    if not identity.is_confirmed:
        raise PermissionDenied("Confirm your e-mail address first.", code=ErrorCode.EMAIL_UNCONFIRMED)
    await _make_owned(visitor, identity.user_id, name, visitor.services.real_clock())
    return await reread_memberships(identity)


async def _make_owned(visitor: Visitor, user_id: UUID, name: str, now: datetime) -> tuple[UUID, str]:
    """Make a workspace that a user owns; its id and the key of its sandbox."""
    workspace, test_key, _ = await create_workspace(name, has_live_key=False)
    await execute(INSERT_MEMBERSHIP, ids.new_id(), user_id, workspace.id, Role.OWNER.value, now)
    ctx = _acting(visitor, user_id, workspace.id, Role.OWNER)
    told = changed({}, {"name": workspace.name})
    await record_audit(ctx, AuditAction.WORKSPACE_CREATED, ids.encode_id(ids.WORKSPACE, workspace.id), told)
    return workspace.id, test_key


async def update_profile(identity: Identity, *, name: str | None = None, language: str | None = None) -> Identity:
    """Change a user's name, or the language of their mail. Return the user as they now are. Raises InvalidRequest."""
    if language not in (None, *LANGUAGES):
        raise InvalidRequest(f"language must be one of {', '.join(LANGUAGES)}.", param="language")
    named = identity.name if name is None else _checked_name(name)
    spoken = identity.language if language is None else language
    await User.filter(id=identity.user_id).update(name=named, language=spoken)
    return replace(identity, name=named, language=spoken)


async def confirm_user(services: Services, email: str) -> UUID:
    """Confirm the address of who signed up with it last, for operators. Raises NotFound, Conflict `email_taken`."""
    email = _checked_email(email)
    if await User.filter(email=email).exists():
        raise Conflict("There is a user with this e-mail address already.", code=ErrorCode.EMAIL_TAKEN, param="email")
    user = await User.filter(pending_email=email, email=None).order_by("-id").first()
    if user is None:
        raise NotFound("Nobody has signed up with this e-mail address.")
    await User.filter(id=user.id).update(email=email, pending_email=None)
    await audit_places(Visitor(services=services), user.id, AuditAction.EMAIL_CONFIRMED, actor=OPERATOR)
    return user.id


async def reset_password(services: Services, email: str, password: str) -> UUID:
    """Set a user's password and end all their sessions, for operators. Raises NotFound, InvalidRequest."""
    email = _checked_email(email)
    check_password(password, email=email)
    user = await User.get_or_none(email=email)
    if user is None:
        raise NotFound("There is no user with this e-mail address.")
    await User.filter(id=user.id).update(
        password_hash=await hash_password(password), password_changed_at=services.real_clock()
    )
    await execute("DELETE FROM sessions WHERE user_id = $1", user.id)
    await audit_places(Visitor(services=services), user.id, AuditAction.PASSWORD_CHANGED, actor=OPERATOR)
    return user.id
