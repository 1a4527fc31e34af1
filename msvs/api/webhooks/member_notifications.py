"""Notifications to the members of a workspace, written in the transaction of what they tell, with the mails of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit
from uuid import UUID

from msvs.api import ids
from msvs.api.permissions import ROLES, Permission, may
from msvs.api.resources import CampaignResource, CreditsResource, Resource, WebhookResource
from msvs.api.webhooks.outbox import Recipient, put_mails
from msvs.database import execute, fetch
from msvs.json_types import JSONObject
from msvs.models import Role

NOTIFICATION = "ntf"
# The kind of the mail that tells of one, which has the notification's id.
MAIL_KIND = "notification"
# What a member keeps of a workspace and mode: older ones give way.
MOST_KEPT = 200


class NotificationKind(StrEnum):
    """The kind of a notification."""

    CREDITS_LOW = "credits_low"
    CAMPAIGN_COMPLETED = "campaign_completed"
    CAMPAIGN_PAUSED = "campaign_paused"
    APPROVAL_REQUESTED = "approval_requested"
    APPROVAL_DECIDED = "approval_decided"
    IMPORT_ENDED = "import_ended"
    LIST_SYNC_STOPPED = "list_sync_stopped"
    WEBHOOK_DISABLED = "webhook_disabled"
    SENDER_REMOVED = "sender_removed"
    MEMBER_JOINED = "member_joined"
    THREAD_ASSIGNED = "thread_assigned"
    NEW_DEVICE = "new_device"
    WORKSPACE_DELETING = "workspace_deleting"


# Which members are told: those who may do something about it.
TOLD: Mapping[NotificationKind, Permission] = {
    NotificationKind.CREDITS_LOW: Permission.CAMPAIGNS_WRITE,
    NotificationKind.CAMPAIGN_COMPLETED: Permission.CAMPAIGNS_READ,
    NotificationKind.CAMPAIGN_PAUSED: Permission.CAMPAIGNS_READ,
    NotificationKind.APPROVAL_REQUESTED: Permission.CAMPAIGNS_APPROVE,
    NotificationKind.APPROVAL_DECIDED: Permission.CAMPAIGNS_READ,
    NotificationKind.IMPORT_ENDED: Permission.CONTACTS_WRITE,
    NotificationKind.LIST_SYNC_STOPPED: Permission.CONTACTS_WRITE,
    NotificationKind.WEBHOOK_DISABLED: Permission.WEBHOOKS_WRITE,
    NotificationKind.SENDER_REMOVED: Permission.WORKSPACE_WRITE,
    NotificationKind.MEMBER_JOINED: Permission.MEMBERS_WRITE,
    NotificationKind.THREAD_ASSIGNED: Permission.INBOX_WRITE,
    NotificationKind.NEW_DEVICE: Permission.WORKSPACE_READ,
    NotificationKind.WORKSPACE_DELETING: Permission.WORKSPACE_READ,
}


def kinds_told(role: Role | None) -> list[str]:
    """Return the notification kinds that a role receives; after a role change, others are hidden."""
    return [kind.value for kind, permission in TOLD.items() if may(role, permission)]


# A new device has a mail of its own, which cannot be turned off.
MAILABLE = tuple(kind for kind in NotificationKind if kind is not NotificationKind.NEW_DEVICE)
# What owners and admins get by mail who have not chosen.
MAILED_AT_FIRST = frozenset(
    (
        NotificationKind.CREDITS_LOW,
        NotificationKind.CAMPAIGN_PAUSED,
        NotificationKind.APPROVAL_REQUESTED,
        NotificationKind.APPROVAL_DECIDED,
        NotificationKind.LIST_SYNC_STOPPED,
        NotificationKind.WEBHOOK_DISABLED,
        NotificationKind.SENDER_REMOVED,
        NotificationKind.WORKSPACE_DELETING,
    )
)

FIND_TOLD = """
SELECT memberships.user_id, memberships.role, memberships.mailed_kinds, users.email, users.language
FROM memberships JOIN users ON users.id = memberships.user_id
WHERE memberships.workspace_id = $1 AND ($2::uuid[] IS NULL OR memberships.user_id = ANY ($2))
ORDER BY memberships.user_id
"""
WRITE_NOTIFICATIONS = """
INSERT INTO notifications (id, workspace_id, livemode, user_id, kind, subject_id, data, created_at)
SELECT told.id, $3, $4, told.user_id, $5, $6, $7::jsonb, $8
FROM unnest($1::uuid[], $2::uuid[]) AS told (id, user_id)
"""
# Rows that another transaction is dropping are left to it: nothing here waits.
DROP_OLDEST = """
DELETE FROM notifications WHERE id = ANY (ARRAY(
    SELECT old.id FROM unnest($1::uuid[]) AS told (user_id) CROSS JOIN LATERAL (
        SELECT id FROM notifications
        WHERE user_id = told.user_id AND workspace_id = $2 AND livemode = $3
        ORDER BY id DESC OFFSET $4 LIMIT 1
    ) AS last JOIN notifications AS old
        ON old.user_id = told.user_id AND old.workspace_id = $2 AND old.livemode = $3 AND old.id <= last.id
    FOR UPDATE OF old SKIP LOCKED
))
"""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice for members of a workspace.

    `only` are the users who are, if they are members; None is all who have the kind's permission.
    """

    kind: NotificationKind
    workspace_id: UUID
    livemode: bool
    subject_id: str | None = None
    name: str | None = None
    reason: str | None = None
    count: int | None = None
    only: Collection[UUID] | None = None
    but: UUID | None = None

    @property
    def data(self) -> JSONObject:
        """What is kept of it."""
        found = {"name": self.name, "reason": self.reason, "count": self.count}
        return {name: value for name, value in found.items() if value is not None}


class _Told(Protocol):
    user_id: UUID
    role: str
    mailed_kinds: list[str] | None
    email: str | None
    language: str | None


def is_mailed(kind: NotificationKind, role: Role, chosen: Collection[str] | None) -> bool:
    """Return whether a member gets a kind by mail: as they chose, or else as their role does."""
    if kind not in MAILABLE:
        return False
    if chosen is not None:
        return kind.value in chosen
    return kind in MAILED_AT_FIRST and role in (Role.OWNER, Role.ADMIN)


async def notify_members(notices: Iterable[Notice], now: datetime) -> None:
    """Write what members are told, and its mails, in the current transaction. The sandbox sends no mail."""
    for notice in notices:
        await _notify(notice, now)


async def _notify(notice: Notice, now: datetime) -> None:
    only = None if notice.only is None else list(notice.only)
    roles = ROLES[TOLD[notice.kind]]
    found: Sequence[_Told] = await fetch(_Told, FIND_TOLD, notice.workspace_id, only)
    told = [(ids.new_id(), row) for row in found if Role(row.role) in roles and row.user_id != notice.but]
    if not told:
        return
    users = [row.user_id for _, row in told]
    place = (notice.workspace_id, notice.livemode)
    about = (notice.kind.value, notice.subject_id, notice.data)
    await execute(WRITE_NOTIFICATIONS, [id for id, _ in told], users, *place, *about, now)
    await execute(DROP_OLDEST, users, *place, MOST_KEPT)
    mailed = [
        Recipient(row.email, row.language or "en", id)
        for id, row in told
        if notice.livemode and row.email and is_mailed(notice.kind, Role(row.role), row.mailed_kinds)
    ]
    await put_mails(MAIL_KIND, mailed, now)


def notice_of(type: str, workspace_id: UUID, livemode: bool, data: Resource) -> Notice | None:
    """Return what members are told of an event, or None."""
    place = (workspace_id, livemode)
    match type, data:
        case "credits.low", CreditsResource():
            return Notice(NotificationKind.CREDITS_LOW, *place, count=data.balance)
        case "campaign.completed", CampaignResource(status="completed"):
            count = data.stats.delivered
            return Notice(NotificationKind.CAMPAIGN_COMPLETED, *place, data.id, data.name, count=count)
        case "campaign.paused", CampaignResource() if data.pause_reason != "manual":
            return Notice(NotificationKind.CAMPAIGN_PAUSED, *place, data.id, data.name, data.pause_reason)
        case "campaign.approval_requested", CampaignResource(approval=approval) if approval is not None:
            count, asker = approval.recipient_count, ids.decode_id(ids.USER, approval.requested_by or "")
            return Notice(NotificationKind.APPROVAL_REQUESTED, *place, data.id, data.name, count=count, but=asker)
        case (("campaign.approved" | "campaign.rejected"), CampaignResource(approval=approval)) if approval is not None:
            asker = ids.decode_id(ids.USER, approval.requested_by or "")
            only = [] if asker is None else [asker]
            return Notice(NotificationKind.APPROVAL_DECIDED, *place, data.id, data.name, approval.state, only=only)
        case "webhook.disabled", WebhookResource():
            # The rest of an address may hold a secret.
            host = urlsplit(data.url).hostname
            return Notice(NotificationKind.WEBHOOK_DISABLED, *place, data.id, host, data.disabled_reason)
    return None
