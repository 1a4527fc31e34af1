"""Campaigns: start what is due, turn recipients into messages, finish, take back what was canceled."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from functools import partial
from uuid import UUID

from msvs import database
from msvs.api import audiences, campaigns, running
from msvs.api.context import Context
from msvs.api.jobs import Doorbell, ring_now
from msvs.workers.retrying import in_unit_of_work

CLEAR = 1000
# Chunks on their way at once, and chunks until new campaigns are looked for, at least one of each.
LANES = 3
ROUND = 16


async def expand_campaigns(*, seconds: float = 10.0, chunk: int = audiences.CHUNK) -> int:
    """Bring campaigns forward, a chunk each in turn, until none is due or the time is up; messages made."""
    until = time.monotonic() + seconds
    made = 0
    started: set[UUID] = set()
    await in_unit_of_work(partial(campaigns.resume_paid, now=await database.now()))
    await _clear_canceled(until)
    while True:
        due = await running.due_campaigns(await database.now())
        # A start waits for chunks on their way: once a campaign is enough.
        waiting = [campaign_id for campaign_id in due if campaign_id not in started]
        answers = await asyncio.gather(*map(_start, waiting))
        started |= {campaign_id for campaign_id, has_started in zip(waiting, answers, strict=True) if has_started}
        due = [campaign_id for campaign_id in due if campaign_id in started]
        turns = deque(due * max(1, ROUND // max(1, len(due))))
        # While PostgreSQL writes one chunk, this process encodes another.
        steps = await asyncio.gather(*(_expand(turns, chunk) for _ in range(LANES)))
        made += sum(steps)
        if not any(steps):
            return made
        if time.monotonic() >= until:
            ring_now([Doorbell.CAMPAIGNS])
            return made


async def _start(campaign_id: UUID) -> bool:
    now = await database.now()
    return await in_unit_of_work(partial(running.start_campaign, campaign_id, now))


async def _expand(turns: deque[UUID], chunk: int) -> int:
    """Expand a chunk of whichever campaign has its turn, and mark one dispatched after its last; messages made."""
    made = 0
    while turns:
        campaign_id = turns.popleft()
        now = await database.now()
        count = await in_unit_of_work(partial(audiences.expand_chunk, campaign_id, limit=chunk, now=now))
        made += count
        if count < chunk:
            await in_unit_of_work(partial(running.finish_expansion, campaign_id, await database.now()))
            while campaign_id in turns:
                turns.remove(campaign_id)
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
