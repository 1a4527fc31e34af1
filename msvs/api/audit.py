"""The audit log: who changed what, written in the transaction of the change and never altered."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.database import execute
from msvs.models import AuditEntry
from msvs.replica_reads import from_replica

AUDIT_ENTRY = "aud"

INSERT_AUDIT_ENTRY = """
INSERT INTO audit_entries (id, workspace_id, actor, action, resource_id, changes, ip, request_id, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now())
"""


class AuditAction(StrEnum):
    """Every change that the log holds."""

    WORKSPACE_CREATED = "workspace.created"
    WORKSPACE_UPDATED = "workspace.updated"
    SANDBOX_UPDATED = "workspace.sandbox_updated"
    SENDER_ADDED = "sender.added"
    SENDER_CLAIMED = "sender.claimed"
    SENDER_REMOVED = "sender.removed"
    MEMBER_INVITED = "member.invited"
    INVITATION_REVOKED = "member.invitation_revoked"
    MEMBER_JOINED = "member.joined"
    MEMBER_ROLE_CHANGED = "member.role_changed"
    MEMBER_REMOVED = "member.removed"
    MEMBER_LEFT = "member.left"
    PASSWORD_CHANGED = "user.password_changed"  # noqa: S105
    EMAIL_CONFIRMED = "user.email_confirmed"
    KEY_CREATED = "key.created"
    KEY_ROLLED = "key.rolled"
    KEY_REVOKED = "key.revoked"
    MESSAGE_REDACTED = "message.redacted"
    MESSAGE_DELETED = "message.deleted"
    CONTACT_ERASED = "contact.erased"
    CONTACT_JOINED = "contact.joined"
    CONTACT_MERGED = "contact.merged"
    CAMPAIGN_APPROVED = "campaign.approved"
    CAMPAIGN_REJECTED = "campaign.rejected"
    AUTO_TOP_UP_UPDATED = "auto_top_up.updated"
    EXPORT_CREATED = "export.created"
    LIST_CONNECTED = "list.connected"
    LIST_SOURCE_UPDATED = "list.source_updated"
    LIST_DISCONNECTED = "list.disconnected"
    BULK_ACTION_CREATED = "bulk_action.created"
    ORDER_HOOK_CREATED = "order_hook.created"
    ORDER_HOOK_UPDATED = "order_hook.updated"
    ORDER_HOOK_DELETED = "order_hook.deleted"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_UPDATED = "webhook.updated"
    WEBHOOK_DELETED = "webhook.deleted"
    WEBHOOK_SECRET_ROTATED = "webhook.secret_rotated"  # noqa: S105


async def record_audit(
    ctx: Context, action: AuditAction, resource_id: str | None, changes: Mapping[str, object] | None = None
) -> None:
    """Log a change in the current transaction. `changes` maps a field to its value before and after; no secrets."""
    await execute(
        INSERT_AUDIT_ENTRY,
        ids.new_id(),
        ctx.workspace_id,
        ctx.signature,
        action.value,
        resource_id,
        dict(changes or {}),
        ctx.ip,
        ctx.request_id,
    )


def changed(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, list[object]]:
    """Return the fields whose values differ, each with both."""
    return {
        name: [before.get(name), after.get(name)]
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    }


async def get_audit_entry(ctx: Context, id: UUID) -> AuditEntry:
    """Return one entry of the workspace's log. Raises NotFound, PermissionDenied."""
    allow(ctx, Permission.AUDIT_READ)
    row = await AuditEntry.filter(workspace_id=ctx.workspace_id, id=id).first()
    if row is None:
        raise ids.missing("audit entry", ids.encode_id(AUDIT_ENTRY, id))
    return row


@from_replica
async def list_audit(
    ctx: Context,
    page: PageRequest,
    *,
    actor: str | None = None,
    action: str | None = None,
    resource_id: str | None = None,
) -> Page[AuditEntry]:
    """List the workspace's log, newest first, in both modes. Raises PermissionDenied, InvalidRequest."""
    allow(ctx, Permission.AUDIT_READ)
    query = AuditEntry.filter(workspace_id=ctx.workspace_id)
    if actor is not None:
        query = query.filter(actor=actor)
    if action is not None:
        if action not in {value.value for value in AuditAction}:
            raise InvalidRequest(f"action must be one of {', '.join(AuditAction)}.", param="action")
        query = query.filter(action=action)
    if resource_id is not None:
        query = query.filter(resource_id=resource_id)
    return await fetch_page(query, page)
