"""Campaigns: start what is due, turn recipients into messages, finish, take back what was canceled."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from uuid import UUID

from msvs import database
from msvs.api import audiences, campaigns, running
from msvs.api.context import Context
from msvs.api.jobs import Doorbell, ring_now
from msvs.workers.retrying import in_unit_of_work

CLEAR = 1000


async def expand_campaigns(*, seconds: float = 10.0, chunk: int = audiences.CHUNK) -> int:
    """Bring campaigns forward, a chunk each in turn, until none is due or the time is up; messages made."""
    until = time.monotonic() + seconds
    made = 0
    await in_unit_of_work(partial(campaigns.resume_paid, now=await database.now()))
    await _clear_canceled(until)
    while True:
        due = await running.due_campaigns(await database.now())
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
    now = await database.now()
    started = await in_unit_of_work(partial(running.start_campaign, campaign_id, now))
    if not started:
        return 0
    made = await in_unit_of_work(partial(audiences.expand_chunk, campaign_id, limit=chunk, now=now))
    if made < chunk:
        await in_unit_of_work(partial(running.finish_expansion, campaign_id, await database.now()))
    return made


async def _clear_canceled(until: float) -> None:
    for campaign_id, ctx in await running.canceled_campaigns(await database.now()):
        while await _clear(campaign_id, ctx) == CLEAR:
            if time.monotonic() >= until:
                ring_now([Doorbell.CAMPAIGNS])
                return


async def _clear(campaign_id: UUID, ctx: Context) -> int:
    return await in_unit_of_work(
        partial(running.clear_canceled, campaign_id, ctx, limit=CLEAR, now=await database.now())
    )
