"""Campaigns: start what is due, turn recipients into messages, finish, take back what was canceled."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from uuid import UUID

from msvs.api import audiences, campaigns, running
from msvs.api.context import Context
from msvs.api.jobs import Doorbell, ring_now
from msvs.workers.retrying import in_unit_of_work

CLEAR = 1000


async def expand_campaigns(*, seconds: float = 10.0, chunk: int = audiences.CHUNK) -> int:
    """Bring campaigns forward, a chunk each in turn, until none is due or the time is up; messages made."""
    until = time.monotonic() + seconds
    made = 0
    await in_unit_of_work(lambda: campaigns.resume_paid(now=datetime.now(UTC)))
    await _clear_canceled(until)
    while True:
        due = await running.due_campaigns(datetime.now(UTC))
        # Two chunks of each at once: while PostgreSQL writes the one, this process renders the other.
        steps = await asyncio.gather(*(_step(campaign_id, chunk) for campaign_id in due for _ in range(2)))
        made += sum(steps)
        if not any(steps):
            return made
        if time.monotonic() >= until:
            ring_now([Doorbell.CAMPAIGNS])
            return made


async def _step(campaign_id: UUID, chunk: int) -> int:
    """Start a campaign if it has not, expand one chunk, and mark it dispatched after its last; messages made."""
    started = await in_unit_of_work(lambda: running.start_campaign(campaign_id, datetime.now(UTC)))
    if not started:
        return 0
    made = await in_unit_of_work(lambda: audiences.expand_chunk(campaign_id, limit=chunk, now=datetime.now(UTC)))
    if made < chunk:
        await in_unit_of_work(lambda: running.finish_expansion(campaign_id, datetime.now(UTC)))
    return made


async def _clear_canceled(until: float) -> None:
    for campaign_id, ctx in await running.canceled_campaigns(datetime.now(UTC)):
        while await _clear(campaign_id, ctx) == CLEAR:
            if time.monotonic() >= until:
                ring_now([Doorbell.CAMPAIGNS])
                return


async def _clear(campaign_id: UUID, ctx: Context) -> int:
    return await in_unit_of_work(lambda: running.clear_canceled(campaign_id, ctx, limit=CLEAR, now=datetime.now(UTC)))
