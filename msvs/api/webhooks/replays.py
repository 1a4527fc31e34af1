"""Replays: what an endpoint missed is delivered once it answers again, one event after another, the oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msvs.api import ids
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.api.webhooks.events import EventType
from msvs.database import execute, fetch

# An event is replayed so many times, and tried so often each time.
MAX_REPLAYS = 3
REPLAY_ATTEMPTS = 3

# One that failed its replay stands behind those that were not replayed yet. An event past its retention is gone, and
# a test is of use to nobody later.
NEXT_OF = f"""
SELECT missed.id FROM webhook_deliveries AS missed JOIN events ON events.id = missed.event_id
WHERE missed.endpoint_id = endpoint.id AND missed.state IN ('exhausted', 'dropped')
    AND missed.replay_count < {MAX_REPLAYS}
    AND missed.event_id >= id_floor(least(endpoint.auto_replay_since, $2::timestamptz))
    AND events.created_at >= endpoint.auto_replay_since AND events.type <> '{EventType.TEST_PING}'
    AND NOT EXISTS (
        SELECT FROM webhook_deliveries AS replayed
        WHERE replayed.endpoint_id = endpoint.id AND replayed.state = 'pending' AND replayed.replay_count > 0
    )
ORDER BY missed.replay_count, missed.event_id LIMIT 1
"""

WITH_MISSED = f"""
SELECT endpoint.id FROM webhook_endpoints AS endpoint CROSS JOIN LATERAL ({NEXT_OF}) AS next
WHERE endpoint.id = ANY ($1)
"""
# Of two workers the second waits here, and then sees the replay that the first has opened.
HOLD_POSITIONS = """
INSERT INTO webhook_positions (endpoint_id, sequence) SELECT id, 0 FROM unnest($1::uuid[]) AS id ORDER BY id
ON CONFLICT (endpoint_id) DO UPDATE SET sequence = webhook_positions.sequence
"""
REPLAY_NEXT = f"""
UPDATE webhook_deliveries SET state = 'pending', replay = true, replay_count = replay_count + 1, attempt_count = 0,
    next_attempt_at = $3, lease_until = NULL, ended_at = NULL
WHERE state IN ('exhausted', 'dropped') AND id = ANY (ARRAY(
    SELECT next.id FROM webhook_endpoints AS endpoint CROSS JOIN LATERAL ({NEXT_OF}) AS next
    WHERE endpoint.id = ANY ($1)
))
"""


class _Endpoint(Protocol):
    id: UUID


async def replay_next(endpoint_ids: Sequence[UUID], now: datetime) -> int:
    """Open the oldest event that each of these endpoints missed, unless a replay is on its way. Return the count.

    For endpoints that have just answered, in the transaction that records it: each replay that is taken opens the next.
    """
    if not endpoint_ids:
        return 0
    # Of an event's id no time of a sandbox's clock tells anything: there the time of the event alone decides.
    floor = ids.floor_of_ids()
    missing = sorted(row.id for row in await fetch(_Endpoint, WITH_MISSED, list(endpoint_ids), floor))
    if not missing:
        return 0
    await execute(HOLD_POSITIONS, missing)
    opened = await execute(REPLAY_NEXT, missing, floor, now)
    if opened:
        notify_after_commit(WorkQueue.WEBHOOKS)
    return opened


def is_over(replay_count: int, attempt_count: int) -> bool:
    """Return whether a delivery is a replay that has failed often enough to let the others go on."""
    return replay_count > 0 and attempt_count >= REPLAY_ATTEMPTS
