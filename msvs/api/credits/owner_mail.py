"""Mail to the owners of a workspace about its automatic top-ups, queued in the transaction of what it tells."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msvs.api.webhooks.outbox import Recipient, put_mails
from msvs.database import fetch


class CreditsMail(StrEnum):
    """What a mail about credits says; the kinds of mail have the same names."""

    TOP_UP_PAID = "top_up_paid"
    TOP_UP_DECLINED = "top_up_declined"
    TOP_UP_OFF = "top_up_off"
    TOP_UP_AUTHENTICATE = "top_up_authenticate"
    TOP_UP_LIMITED = "top_up_limited"


# Owners with a confirmed address, and the language of each.
FIND_OWNERS = """
SELECT users.email, coalesce(users.language, 'en') AS language, workspaces.name AS workspace
FROM memberships JOIN users ON users.id = memberships.user_id
JOIN workspaces ON workspaces.id = memberships.workspace_id
WHERE memberships.workspace_id = $1 AND memberships.role = 'owner' AND users.email IS NOT NULL
ORDER BY memberships.id
"""


async def tell_owners(workspace_id: UUID, kind: CreditsMail, data: Mapping[str, str], now: datetime) -> int:
    """Have a mail sent to each owner of a workspace. Return how many. A notification in the dashboard belongs here."""
    owners = await fetch(FIND_OWNERS, workspace_id)
    recipients = [Recipient(row.email, row.language, workspace_id) for row in owners]
    if owners:
        await put_mails(kind.value, recipients, now, data={**data, "workspace": owners[0].workspace})
    return len(owners)
