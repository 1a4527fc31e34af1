"""Lanes: find where messages are due, and queue scheduled ones whose time has come."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msvs.api.context import Services
from msvs.api.dispatch import lane_bounds, open_months
from msvs.api.dispatch.lane_bounds import Bound, K, LaneBounds, Looks
from msvs.api.dispatch.message_events import events_of
from msvs.api.dispatch.open_months import EVERYWHERE, IdRange
from msvs.api.webhooks.events import EventType, record_events
from msvs.database import fetch, fetch_row
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
SELECT lanes.workspace_id, lanes.livemode, due.due_at, due.id FROM lanes CROSS JOIN LATERAL (
    SELECT due_at, id FROM messages WHERE status = 'queued' AND campaign_id IS NULL
        AND workspace_id = lanes.workspace_id AND livemode = lanes.livemode AND due_at <= $1 AND {is_open}
    ORDER BY due_at, id LIMIT 1
) AS due WHERE lanes.workspace_id NOT IN (SELECT id FROM workspaces WHERE suspended_at IS NOT NULL) ORDER BY random()
"""
# From the bounds of the look before: of every workspace, as hops would pass what lies below them.
QUICK_SINGLE_LANES = """
SELECT workspaces.id AS workspace_id, mode.livemode, due.due_at, due.id
FROM workspaces CROSS JOIN (VALUES (false), (true)) AS mode (livemode)
LEFT JOIN unnest($2::uuid[], $3::bool[], $4::timestamptz[], $5::uuid[])
    AS known (workspace_id, livemode, due_at, id)
    ON known.workspace_id = workspaces.id AND known.livemode = mode.livemode
CROSS JOIN LATERAL (
    SELECT due_at, id FROM messages WHERE status = 'queued' AND campaign_id IS NULL
        AND workspace_id = workspaces.id AND livemode = mode.livemode AND due_at <= $1 AND {is_open}
        AND (due_at, id) >= (coalesce(known.due_at, $6), coalesce(known.id, $7))
    ORDER BY due_at, id LIMIT 1
) AS due WHERE workspaces.suspended_at IS NULL ORDER BY random()
"""

# Where none is due the campaign comes with none: it was looked at, too.
CAMPAIGN_LANES = """
SELECT campaigns.workspace_id, campaigns.livemode, campaigns.id AS campaign_id, due.due_at, due.id FROM campaigns
LEFT JOIN unnest($2::uuid[], $3::timestamptz[], $4::uuid[]) AS known (campaign_id, due_at, id)
    ON known.campaign_id = campaigns.id
LEFT JOIN LATERAL (
    SELECT due_at, id FROM messages WHERE status = 'queued' AND campaign_id = campaigns.id AND due_at <= $1
        AND {is_open} AND (due_at, id) >= (coalesce(known.due_at, $5), coalesce(known.id, $6))
    ORDER BY due_at, id LIMIT 1
) AS due ON true WHERE campaigns.status IN ('preparing', 'sending')
    AND campaigns.workspace_id NOT IN (SELECT id FROM workspaces WHERE suspended_at IS NOT NULL) ORDER BY random()
"""


@dataclass(frozen=True, slots=True)
class Lane:
    """Messages that are claimed together: those of a campaign, or the single messages of a workspace and mode.

    `open_ids` is the range that they lie in, and `bound` where the first of them lies at the earliest.
    """

    workspace_id: UUID
    livemode: bool
    campaign_id: UUID | None = None
    open_ids: IdRange = field(default=EVERYWHERE, compare=False)
    bound: Bound = field(default=lane_bounds.NONE, compare=False)


class _First(Protocol):
    due_at: datetime
    id: UUID


class _SingleLane(_First, Protocol):
    workspace_id: UUID
    livemode: bool


class _CampaignLane(Protocol):
    workspace_id: UUID
    livemode: bool
    campaign_id: UUID
    due_at: datetime | None
    id: UUID | None


async def find_lanes(services: Services, now: datetime, open_ids: IdRange = EVERYWHERE) -> list[Lane]:
    """Find the lanes with due messages: single messages first, then campaigns; both in no fixed order.

    The first lanes use up the rate of a carrier, so no workspace always comes first.
    """
    return await find_single_lanes(services, now, open_ids) + await find_campaign_lanes(services, now, open_ids)


async def find_single_lanes(services: Services, now: datetime, open_ids: IdRange = EVERYWHERE) -> list[Lane]:
    """Lanes of single messages that are due."""
    looks, is_open, began = services.keep(LaneBounds).singles, open_ids.of("messages"), time.monotonic()
    is_full = looks.is_full
    if is_full:
        rows = await fetch(_SingleLane, SINGLE_LANES.format(is_open=is_open), now)
    else:
        known = list(looks.known)
        values = ([key[0] for key in known], [key[1] for key in known], *_places(looks, known), *_values(looks.default))
        rows = await fetch(_SingleLane, QUICK_SINGLE_LANES.format(is_open=is_open), now, *values)
    found: dict[tuple[UUID, bool], Bound | None] = {
        (row.workspace_id, row.livemode): Bound(row.due_at, row.id) for row in rows
    }
    looks.note(time.monotonic() - began, now, found, is_full=is_full)
    return [Lane(*key, open_ids=open_ids, bound=looks.of(key)) for key in found]


async def find_campaign_lanes(services: Services, now: datetime, open_ids: IdRange = EVERYWHERE) -> list[Lane]:
    """Lanes of campaigns with messages that are due."""
    looks, is_open, began = services.keep(LaneBounds).campaigns, open_ids.of("messages"), time.monotonic()
    is_full = looks.is_full
    known = [] if is_full else list(looks.known)
    values = (known, *_places(looks, known), *_values(lane_bounds.NONE))
    rows = await fetch(_CampaignLane, CAMPAIGN_LANES.format(is_open=is_open), now, *values)
    found = {
        row.campaign_id: None if row.due_at is None or row.id is None else Bound(row.due_at, row.id) for row in rows
    }
    looks.note(time.monotonic() - began, now, found, is_full=is_full)
    return [
        Lane(row.workspace_id, row.livemode, row.campaign_id, open_ids, looks.of(row.campaign_id))
        for row in rows
        if row.id is not None
    ]


def _places(looks: Looks[K], keys: Sequence[K]) -> tuple[list[datetime], list[UUID]]:
    """Return the bounds of lanes, as values of a statement."""
    bounds = [looks.of(key) for key in keys]
    return [bound.due_at for bound in bounds], [bound.id for bound in bounds]


def _values(bound: Bound) -> tuple[datetime, UUID]:
    return bound.due_at, bound.id


FIRST_SCHEDULED = """
SELECT due_at, id FROM messages WHERE status = 'scheduled' AND due_at >= $2 AND due_at <= $1 AND {is_open}
ORDER BY due_at LIMIT 1
"""


async def has_scheduled(services: Services, now: datetime, open_ids: IdRange = EVERYWHERE) -> bool:
    """Return whether the time of scheduled messages has come."""
    looks, began = services.keep(LaneBounds).scheduled, time.monotonic()
    is_full = looks.is_full
    since = lane_bounds.NONE if is_full else looks.of(None)
    first = await fetch_row(_First, FIRST_SCHEDULED.format(is_open=open_ids.of("messages")), now, since.due_at)
    found: dict[None, Bound | None] = {} if first is None else {None: Bound(first.due_at, first.id)}
    looks.note(time.monotonic() - began, now, found, is_full=is_full)
    return first is not None


PROMOTE_SCHEDULED = """
WITH due AS (
    SELECT id FROM messages WHERE status = 'scheduled' AND due_at >= $3 AND due_at <= $1 AND {is_open}
    ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE messages SET status = 'queued' FROM due WHERE messages.id = due.id AND {is_open}
RETURNING messages.*
"""


async def promote_scheduled(services: Services, *, limit: int, now: datetime, open_ids: IdRange = EVERYWHERE) -> int:
    """Queue scheduled messages whose time has come. Return the count."""
    bounds = services.keep(LaneBounds)
    since = bounds.scheduled.of(None).due_at
    rows = await fetch(MessageRow, PROMOTE_SCHEDULED.format(is_open=open_ids.of("messages")), now, limit, since)
    if any(row.due_at < now - lane_bounds.LAG for row in rows):
        # Late, as after an outage: below what was found empty meanwhile.
        bounds.singles.forget()
    await record_events(events_of(EventType.MESSAGE_QUEUED, rows), now)
    return len(rows)


async def has_due(services: Services, now: datetime) -> bool:
    """Return whether dispatch has something to do: due messages in a lane that runs, or scheduled ones to queue."""
    _, open_ids = await open_months.look()
    return await has_scheduled(services, now, open_ids) or bool(await find_lanes(services, now, open_ids))
