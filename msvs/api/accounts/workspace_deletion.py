"""Giving a workspace to another owner, and deleting it: it stops at once, its data is erased after a grace."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from msvs.api import ids
from msvs.api.accounts.login_sessions import (
    FullConfirmation,
    Identity,
    find_place,
    represent,
    require_second_factor,
    reread_memberships,
)
from msvs.api.accounts.users import Member, change_role, require_now
from msvs.api.accounts.workspaces import apart
from msvs.api.audit import AuditAction, record_audit
from msvs.api.context import Context, Visitor
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, PermissionDenied
from msvs.api.permissions import Permission, allow
from msvs.api.resources import optional_moment
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.api.webhooks.member_notifications import Notice, NotificationKind, notify_members
from msvs.models import Role, Workspace

GRACE = timedelta(days=30)


async def transfer_ownership(ctx: Context, confirmation: FullConfirmation, user_id: UUID) -> Member:
    """Make another member the owner in place of the one who asks, who becomes an admin. Return the new owner.

    Raises NotFound, PermissionDenied, and InvalidRequest for who asks themselves.
    """
    allow(ctx, Permission.OWNERS_WRITE)
    own_id = confirmation.identity.user_id
    if user_id == own_id:
        raise InvalidRequest("You already own it.", param="user_id")
    member = await change_role(ctx, user_id, Role.OWNER, param="user_id")
    await change_role(ctx, own_id, Role.ADMIN)
    return member


async def delete_workspace(ctx: Context, confirmation: FullConfirmation, name: str) -> Workspace:
    """Stop the workspace now, its keys first, and erase its data after the grace period. `name` is its name, typed.

    Until then `cancel_deletion` can undo it. Raises PermissionDenied, InvalidRequest, and Conflict code
    `workspace_deleting`.
    """
    allow(ctx, Permission.OWNERS_WRITE)
    del confirmation
    await require_now(ctx, Permission.OWNERS_WRITE)
    row = await Workspace.select_for_update().get(id=ctx.workspace_id)
    check_name(row, name)
    if row.deletes_at is not None:
        raise Conflict("The workspace is already being deleted.", code=ErrorCode.WORKSPACE_DELETING)
    now = apart(ctx.services.real_clock(), row.suspended_at)
    row.deletion_asked_at, row.deletes_at = now, now + GRACE
    if row.suspended_at is None:
        row.suspended_at = now
    await row.save(update_fields=["deletion_asked_at", "deletes_at", "suspended_at"])
    await _record(ctx, None, row)
    place = (ctx.workspace_id, True, ids.encode_id(ids.WORKSPACE, row.id), row.name)
    await notify_members([Notice(NotificationKind.WORKSPACE_DELETING, *place, count=GRACE.days)], now)
    return row


async def check_deletable(ctx: Context, name: str) -> None:
    """Check a deletion before the confirmation uses up a code. Raises PermissionDenied, InvalidRequest."""
    allow(ctx, Permission.OWNERS_WRITE)
    check_name(await Workspace.get(id=ctx.workspace_id), name)


def check_name(row: Workspace, name: str) -> None:
    """Compare the typed name with the workspace's. Raises InvalidRequest."""
    if name.strip() != row.name:
        raise InvalidRequest("The name is not that of the workspace.", param="name")


def check_owned(visitor: Visitor, identity: Identity, workspace_id: UUID) -> Context:
    """Return the user's context in a workspace that they own, even while its deletion keeps them from entering it.

    Raises NotFound, PermissionDenied.
    """
    ctx = represent(visitor, identity, workspace_id)
    allow(ctx, Permission.OWNERS_WRITE)
    require_second_factor(identity, find_place(identity, workspace_id))
    return ctx


async def cancel_deletion(visitor: Visitor, confirmation: FullConfirmation, workspace_id: UUID) -> Identity:
    """Cancel a workspace's deletion and resume its sending. Return the updated identity.

    An operator's suspension stays. Raises NotFound, PermissionDenied unless the user owns it, and Conflict
    code `workspace_not_deleting`.
    """
    identity = confirmation.identity
    ctx = check_owned(visitor, identity, workspace_id)
    await require_now(ctx, Permission.OWNERS_WRITE)
    row = await Workspace.select_for_update().get(id=workspace_id)
    if row.deletes_at is None or row.erased_at is not None:
        raise Conflict("The workspace is not to be deleted.", code=ErrorCode.WORKSPACE_NOT_DELETING)
    if row.deletes_at <= visitor.services.real_clock():
        raise PermissionDenied("Its data is being erased: that cannot be canceled.")
    before = row.deletes_at
    if row.suspended_at == row.deletion_asked_at:
        row.suspended_at = None
    row.deletion_asked_at = row.deletes_at = None
    await row.save(update_fields=["deletion_asked_at", "deletes_at", "suspended_at"])
    await _record(ctx, optional_moment(before), row)
    notify_after_commit(WorkQueue.MESSAGES)
    return await reread_memberships(identity)


async def _record(ctx: Context, before: str | None, row: Workspace) -> None:
    changes = {"deletes_at": [before, optional_moment(row.deletes_at)]}
    await record_audit(ctx, AuditAction.WORKSPACE_UPDATED, ids.encode_id(ids.WORKSPACE, row.id), changes)
