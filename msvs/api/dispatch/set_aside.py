"""Set aside messages that cannot be claimed, so that those behind them can."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from uuid import UUID

from msvs.api.dispatch.lanes import Lane
from msvs.database import execute, fetch_value
from msvs.models import MessageStatus

LOCK_FIRST_SET_ASIDE = """
SELECT id FROM messages WHERE status = $2 AND due_at <= $1 AND {lane} ORDER BY due_at, id LIMIT 1
FOR UPDATE SKIP LOCKED
"""
PUT_ASIDE = """
UPDATE messages SET due_at = $2::timestamptz + least(greatest($2::timestamptz - created_at, interval '1 minute'), $3)
WHERE id = $1
"""
LONGEST_ASIDE = timedelta(hours=1)
MOST_LEFT_OUT = 1000
# For so long a process leaves out what it cannot even put aside.
LEFT_OUT_SECONDS = 60.0


async def find_first(lane: Lane | None, now: datetime) -> UUID | None:
    """Find the message of a lane, or of all scheduled ones, that is due first."""
    if lane is None:
        sql, values = LOCK_FIRST_SET_ASIDE.format(lane="true"), []
    elif lane.campaign_id is None:
        sql = LOCK_FIRST_SET_ASIDE.format(lane="workspace_id = $3 AND livemode = $4 AND campaign_id IS NULL")
        values = [lane.workspace_id, lane.livemode]
    else:
        sql, values = LOCK_FIRST_SET_ASIDE.format(lane="campaign_id = $3"), [lane.campaign_id]
    status = MessageStatus.SCHEDULED if lane is None else MessageStatus.QUEUED
    found: UUID | None = await fetch_value(sql, now, status.value, *values)
    return found


async def put_aside(message_id: UUID, now: datetime) -> None:
    """Leave a message alone, for longer each time: what stands behind it must not wait for it."""
    await execute(PUT_ASIDE, message_id, now, LONGEST_ASIDE)


class LeftOut:
    """The messages that a process cannot even put aside, each with the time since when it leaves them out."""

    def __init__(self) -> None:
        self._since: dict[UUID, float] = {}

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, message_id: UUID) -> bool:
        return message_id in self._since

    def add(self, message_id: UUID) -> None:
        """Have this process claim a message no more, as it cannot even be put aside."""
        if len(self) < MOST_LEFT_OUT:
            self._since[message_id] = time.monotonic()

    def take_back_in(self, seconds: float | None = None) -> None:
        """Try again what was left out for long enough: what was wrong with it may be mended by now."""
        since = time.monotonic() - (LEFT_OUT_SECONDS if seconds is None else seconds)
        self._since = {message_id: at for message_id, at in self._since.items() if at > since}
