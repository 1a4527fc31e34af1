"""Notifications of a member: read, marked as read, and which of them come by mail."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import ErrorCode, InvalidRequest, PermissionDenied
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import may
from msvs.api.webhooks.member_notifications import (
    MAILABLE,
    TOLD,
    NotificationKind,
    is_mailed,
    kinds_told,
)
from msvs.database import execute
from msvs.models import Membership, Notification

MOST_MARKED = 200

# What tells of a new device stands in each of the user's workspaces, and is read once.
MARK_NOTIFICATIONS_READ = """
UPDATE notifications SET read_at = $5
WHERE user_id = $1 AND read_at IS NULL AND (
    (workspace_id = $2 AND (livemode OR NOT $3) AND kind = ANY ($6::varchar[])
        AND ($4::uuid[] IS NULL OR id = ANY ($4)))
    OR (kind = 'new_device' AND created_at IN (
        SELECT created_at FROM notifications
        WHERE user_id = $1 AND workspace_id = $2 AND livemode AND kind = 'new_device'
            AND ($4::uuid[] IS NULL OR id = ANY ($4))
    ))
)
"""


@dataclass(frozen=True, slots=True)
class MailChoice:
    """Whether a member gets a kind of notifications by mail."""

    kind: NotificationKind
    by_mail: bool


def modes_shown(ctx: Context) -> Sequence[bool]:
    """Return the modes whose notifications a caller sees: the sandbox shows live's beside its own."""
    return (True,) if ctx.livemode else (True, False)


def member_of(ctx: Context) -> UUID:
    """Return the user who asks. Raises PermissionDenied for a key."""
    user_id = ids.decode_id(ids.USER, ctx.actor)
    if user_id is None:
        raise PermissionDenied("An API key has no notifications: log in for this.")
    return user_id


def own_notifications(ctx: Context, *, unread: bool | None = None) -> QuerySet[Notification]:
    """Return the calling member's notifications in this workspace, of the kinds that their current role receives.

    Raises PermissionDenied.
    """
    query = Notification.filter(
        user_id=member_of(ctx),
        workspace_id=ctx.workspace_id,
        livemode__in=list(modes_shown(ctx)),
        kind__in=kinds_told(ctx.role),
    )
    return query if unread is None else query.filter(read_at__isnull=unread)


async def list_notifications(ctx: Context, page: PageRequest, *, unread: bool | None = None) -> Page[Notification]:
    """List what the member who asks was told, newest first. Raises PermissionDenied."""
    return await fetch_page(own_notifications(ctx, unread=unread), page)


async def mark_notifications_read(ctx: Context, wanted: Collection[UUID] | None = None) -> int:
    """Mark notifications of the member who asks as read, or all of them. Return how many are left unread.

    Those that are read, or are not theirs, stay as they are. Raises PermissionDenied, InvalidRequest.
    """
    user_id = member_of(ctx)
    if wanted is not None and len(wanted) > MOST_MARKED:
        raise InvalidRequest(
            f"ids holds at most {MOST_MARKED} ids.", param="ids", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    marked = None if wanted is None else list(wanted)
    place = (user_id, ctx.workspace_id, ctx.livemode)
    await execute(MARK_NOTIFICATIONS_READ, *place, marked, ctx.services.real_clock(), kinds_told(ctx.role))
    return await own_notifications(ctx, unread=True).count()


async def read_mail_choices(ctx: Context) -> list[MailChoice]:
    """Read which kinds, of those that their role is told of, the member gets by mail. Raises PermissionDenied."""
    return _choices(await _membership(ctx))


async def choose_mail(ctx: Context, kinds: Collection[NotificationKind]) -> list[MailChoice]:
    """Have these kinds come by mail, and no others. Return what is chosen. Raises PermissionDenied, InvalidRequest."""
    row = await _membership(ctx)
    if NotificationKind.NEW_DEVICE in kinds:
        raise InvalidRequest("A new device is always reported by mail.", param="kinds")
    row.mailed_kinds = sorted({kind.value for kind in kinds})
    await row.save(update_fields=["mailed_kinds"])
    return _choices(row)


async def _membership(ctx: Context) -> Membership:
    row = await Membership.filter(workspace_id=ctx.workspace_id, user_id=member_of(ctx)).first()
    if row is None:
        raise PermissionDenied("You are no longer a member of this workspace.")
    return row


def _choices(row: Membership) -> list[MailChoice]:
    told = [kind for kind in MAILABLE if may(row.role, TOLD[kind])]
    return [MailChoice(kind, is_mailed(kind, row.role, row.mailed_kinds)) for kind in told]
