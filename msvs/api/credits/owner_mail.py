"""Mail to the owners of a workspace about its automatic top-ups, queued in the transaction of what it tells."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.database import execute


class CreditsMail(StrEnum):
    """What a mail about credits says; the kinds of mail have the same names."""

    TOP_UP_PAID = "top_up_paid"
    TOP_UP_DECLINED = "top_up_declined"
    TOP_UP_OFF = "top_up_off"
    TOP_UP_AUTHENTICATE = "top_up_authenticate"


# Every owner with a confirmed address, each in their language. Rows of the outbox hold no secret.
TELL_OWNERS = """
INSERT INTO mails (id, kind, recipient, subject_id, language, data, state, attempt_count, next_attempt_at, created_at)
SELECT gen_random_uuid(), $2::varchar, users.email, $1, coalesce(users.language, 'en'),
    $3::jsonb || jsonb_build_object('workspace', workspaces.name), 'pending', 0, $4, $4
FROM memberships JOIN users ON users.id = memberships.user_id
JOIN workspaces ON workspaces.id = memberships.workspace_id
WHERE memberships.workspace_id = $1 AND memberships.role = 'owner' AND users.email IS NOT NULL
"""


async def tell_owners(workspace_id: UUID, kind: CreditsMail, data: Mapping[str, str], now: datetime) -> int:
    """Have a mail sent to each owner of a workspace. Return how many. A notification in the dashboard belongs here."""
    count = await execute(TELL_OWNERS, workspace_id, kind.value, dict(data), now)
    if count:
        notify_after_commit(WorkQueue.MAIL)
    return count
