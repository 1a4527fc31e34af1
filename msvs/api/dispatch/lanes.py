"""Lanes: find where messages are due, and queue scheduled ones whose time has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msvs.api.dispatch import open_months
from msvs.api.dispatch.message_events import events_of
from msvs.api.dispatch.open_months import EVERYWHERE, IdRange
from msvs.api.webhooks.events import EventType, record_events
from msvs.database import fetch, fetch_value
from msvs.models.rows import MessageRow

# Lanes are found by hopping from one workspace to the next in the partial index: its cost is the number of lanes.
# LIMIT keeps PostgreSQL from reading all that is queued to join it with the lanes, as it does for EXISTS.
SINGLE_LANES = """
WITH RECURSIVE lanes AS (
    (SELECT workspace_id, livemode FROM messages
        WHERE status = 'queued' AND campaign_id IS NULL AND {is_open}
        ORDER BY workspace_id, livemode LIMIT 1)
    UNION ALL
    SELECT following.workspace_id, following.livemode FROM lanes CROSS JOIN LATERAL (
        SELECT workspace_id, livemode FROM messages
        WHERE status = 'queued' AND campaign_id IS NULL AND {is_open}
            AND (workspace_id, livemode) > (lanes.workspace_id, lanes.livemode)
        ORDER BY workspace_id, livemode LIMIT 1
    ) AS following
)
SELECT lanes.workspace_id, lanes.livemode FROM lanes CROSS JOIN LATERAL (
    SELECT FROM messages WHERE status = 'queued' AND campaign_id IS NULL AND workspace_id = lanes.workspace_id
        AND livemode = lanes.livemode AND due_at <= $1 AND {is_open} LIMIT 1
) AS due WHERE lanes.workspace_id NOT IN (SELECT id FROM workspaces WHERE suspended_at IS NOT NULL) ORDER BY random()
"""

CAMPAIGN_LANES = """
SELECT campaigns.workspace_id, campaigns.livemode, campaigns.id FROM campaigns CROSS JOIN LATERAL (
    SELECT FROM messages WHERE status = 'queued' AND campaign_id = campaigns.id AND due_at <= $1
        AND {is_open} LIMIT 1
) AS due WHERE campaigns.status IN ('preparing', 'sending')
    AND campaigns.workspace_id NOT IN (SELECT id FROM workspaces WHERE suspended_at IS NOT NULL) ORDER BY random()
"""


@dataclass(frozen=True, slots=True)
class Lane:
    """What is claimed together: a campaign's messages, or the single messages of a workspace and mode.

    `open_ids` is the range that they lie in.
    """

    workspace_id: UUID
    livemode: bool
    campaign_id: UUID | None = None
    open_ids: IdRange = field(default=EVERYWHERE, compare=False)


class _SingleLane(Protocol):
    workspace_id: UUID
    livemode: bool


class _CampaignLane(_SingleLane, Protocol):
    id: UUID


async def find_lanes(now: datetime, open_ids: IdRange = EVERYWHERE) -> list[Lane]:
    """Find the lanes with due messages: single messages first, then campaigns; both in no fixed order.

    The first lanes use up the rate of a carrier, so no workspace always comes first.
    """
    singles = await find_single_lanes(now, open_ids)
    campaigns = await fetch(_CampaignLane, CAMPAIGN_LANES.format(is_open=open_ids.of("messages")), now)
    return singles + [Lane(row.workspace_id, row.livemode, row.id, open_ids) for row in campaigns]


async def find_single_lanes(now: datetime, open_ids: IdRange = EVERYWHERE) -> list[Lane]:
    """Lanes of single messages that are due."""
    rows = await fetch(_SingleLane, SINGLE_LANES.format(is_open=open_ids.of("messages")), now)
    return [Lane(row.workspace_id, row.livemode, open_ids=open_ids) for row in rows]


HAS_SCHEDULED = "SELECT EXISTS (SELECT FROM messages WHERE status = 'scheduled' AND due_at <= $1 AND {is_open})"


async def has_scheduled(now: datetime, open_ids: IdRange = EVERYWHERE) -> bool:
    """Return whether the time of scheduled messages has come."""
    return bool(await fetch_value(HAS_SCHEDULED.format(is_open=open_ids.of("messages")), now))


PROMOTE = """
WITH due AS (
    SELECT id FROM messages WHERE status = 'scheduled' AND due_at <= $1 AND {is_open}
    ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE messages SET status = 'queued' FROM due WHERE messages.id = due.id AND {is_open}
RETURNING messages.*
"""


async def promote_scheduled(*, limit: int, now: datetime, open_ids: IdRange = EVERYWHERE) -> int:
    """Queue scheduled messages whose time has come. Return how many."""
    rows = await fetch(MessageRow, PROMOTE.format(is_open=open_ids.of("messages")), now, limit)
    await record_events(events_of(EventType.MESSAGE_QUEUED, rows), now)
    return len(rows)


async def has_due(now: datetime) -> bool:
    """Return whether dispatch has something to do: due messages in a lane that runs, or scheduled ones to queue."""
    _, open_ids = await open_months.look()
    return await has_scheduled(now, open_ids) or bool(await find_lanes(now, open_ids))
