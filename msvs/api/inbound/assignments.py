"""Assign a thread to a member of the workspace, or to nobody."""

from __future__ import annotations

from uuid import UUID

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.inbound.inbox import Thread, get_thread
from msvs.api.permissions import Permission, allow, may
from msvs.api.scope import find, scoped
from msvs.api.webhooks.member_notifications import Notice, NotificationKind, notify_members
from msvs.database import execute
from msvs.models import Contact, Membership, ThreadAssignment

ASSIGN = """
INSERT INTO thread_assignments (id, workspace_id, livemode, contact_id, user_id, assigned_by, assigned_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (contact_id) DO UPDATE
SET user_id = excluded.user_id, assigned_by = excluded.assigned_by, assigned_at = excluded.assigned_at
WHERE thread_assignments.user_id <> excluded.user_id
"""


async def assign_thread(ctx: Context, contact_id: UUID, user_id: UUID | None) -> Thread:
    """Have a member answer a thread, or nobody in particular. Return the thread.

    Raises NotFound where the contact never replied, InvalidRequest for who is no member or may not answer, and
    PermissionDenied.
    """
    allow(ctx, Permission.INBOX_WRITE)
    await find(ctx, Contact, contact_id, prefix=ids.CONTACT, noun="contact", param="contact_id", lock=True)
    await get_thread(ctx, contact_id)
    if user_id is None:
        await scoped(ctx, ThreadAssignment).filter(contact_id=contact_id).delete()
        return await get_thread(ctx, contact_id)
    member = await Membership.filter(workspace_id=ctx.workspace_id, user_id=user_id).first()
    if member is None:
        raise InvalidRequest(
            f"No such member: '{ids.encode_id(ids.USER, user_id)}'.",
            param="user_id",
            code=ErrorCode.RESOURCE_MISSING,
        )
    if not may(member.role, Permission.INBOX_WRITE):
        raise InvalidRequest(f"A member of the role {member.role} may not answer.", param="user_id")
    now = ctx.services.clock()
    is_new = await execute(
        ASSIGN,
        ids.new_id(),
        ctx.workspace_id,
        ctx.livemode,
        contact_id,
        user_id,
        ctx.actor,
        now,
    )
    if is_new and ids.encode_id(ids.USER, user_id) != ctx.actor:
        about = (ctx.workspace_id, ctx.livemode, ids.encode_id(ids.CONTACT, contact_id))
        await notify_members([Notice(NotificationKind.THREAD_ASSIGNED, *about, only=[user_id])], now)
    return await get_thread(ctx, contact_id)
