"""Campaign jobs: start due campaigns, expand recipients into messages, complete, and refund cancellations."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from enum import Enum, auto
from functools import partial
from uuid import UUID

from msvs import database
from msvs.api.campaigns import ab_tests, audiences, campaigns, lifecycle
from msvs.api.campaigns import sequence_steps as steps
from msvs.api.campaigns.budgets import OverBudget, pause_over_budget
from msvs.api.campaigns.lifecycle import Cleared
from msvs.api.context import Context, Services
from msvs.api.notifier import WorkQueue, notify_now
from msvs.api.unit_of_work import in_unit_of_work
from msvs.workers import sequences
from msvs.workers.retrying import Failures
from msvs.workers.stopping import StopFlag
from msvs.workers.traces import record_expansion

CLEAR = 1000
# What of a job's time may go into that, while other campaigns wait.
CLEAR_SHARE = 0.2
# Chunks on their way at once, and chunks until new campaigns are looked for, at least one of each.
LANES = 3
ROUND = 16


async def expand_campaigns(
    services: Services, *, seconds: float = 10.0, chunk: int = audiences.CHUNK, stop: StopFlag | None = None
) -> int:
    """Bring sequences and campaigns forward, a chunk each in turn, until none is due or the time is up; messages made.

    One that breaks holds up no other; its error is raised once the others are done. After `stop` nothing is begun.
    """
    stop = stop or StopFlag()
    until = time.monotonic() + seconds
    made = 0
    started: set[UUID] = set()
    broken: set[UUID] = set()
    failures = Failures()
    await failures.outlive("sequences", sequences.bring_forward(services, failures, stop=stop), 0)
    await failures.outlive("resume", _resume(), 0)
    await failures.outlive("winners", _choose_winners(), None)
    clearing = _clear_canceled(services, time.monotonic() + CLEAR_SHARE * seconds, failures, stop)
    await failures.outlive("clear", clearing, None)
    while not stop.is_set:
        due = await lifecycle.due_campaigns(await database.now())
        starts = {
            campaign_id: _Start(services, campaign_id, failures, stop)
            for campaign_id in due
            if campaign_id not in started | broken
        }
        # Small audiences are fixed by now; the others go on while what has started is expanded.
        await asyncio.gather(*(start.step() for start in starts.values()))
        _note(starts, started, broken)
        due = [campaign_id for campaign_id in due if campaign_id in started - broken]
        turns = deque(due * max(1, ROUND // max(1, len(due))))
        # While PostgreSQL writes one chunk, this process encodes another.
        expanding = asyncio.gather(*(_expand(services, turns, chunk, broken, failures, stop) for _ in range(LANES)))
        await asyncio.gather(*(start.go_on(expanding) for start in starts.values()))
        steps = await expanding
        made += sum(steps)
        _note(starts, started, broken)
        # Those that are not fixed, and those that were only just.
        is_starting = any(
            start.state is _State.FIXING or (start.state is _State.STARTED and campaign_id not in due)
            for campaign_id, start in starts.items()
        )
        if (any(steps) or is_starting) and time.monotonic() < until:
            continue
        if any(steps) or is_starting:
            notify_now([WorkQueue.CAMPAIGNS])
        break
    failures.end()
    return made


async def has_work(services: Services, now: datetime) -> bool:
    """Return whether a campaign or a sequence has something to do."""
    return await lifecycle.has_work(services, now) or await steps.has_work(now)


async def _resume() -> int:
    return await in_unit_of_work(partial(campaigns.resume_paid, now=await database.now()))


async def _choose_winners() -> None:
    """Choose the winners of the tests whose time is over, each in a transaction of its own."""
    now = await database.now()
    for campaign in await ab_tests.ended_tests(now):
        await in_unit_of_work(partial(ab_tests.choose_best, campaign, now))


class _State(Enum):
    """How far the start of a campaign is. `IDLE` has nothing to do: it is not due, or another process is at it."""

    IDLE = auto()
    FIXING = auto()
    STARTED = auto()
    BROKEN = auto()


STATES = {None: _State.IDLE, False: _State.FIXING, True: _State.STARTED}


class _Start:
    """The start of a campaign, whose audience is fixed chunk by chunk."""

    def __init__(self, services: Services, campaign_id: UUID, failures: Failures, stop: StopFlag) -> None:
        self.state = _State.IDLE
        self._services = services
        self._campaign_id = campaign_id
        self._failures = failures
        self._stop = stop

    async def step(self) -> None:
        """Fix a chunk."""
        self.state = await self._failures.outlive("start", self._fix(), _State.BROKEN)

    async def go_on(self, meanwhile: asyncio.Future[list[int]]) -> None:
        """Fix chunks for as long as something else takes."""
        while self.state is _State.FIXING and not meanwhile.done() and not self._stop.is_set:
            await self.step()

    async def _fix(self) -> _State:
        now = await database.now()
        return STATES[await in_unit_of_work(partial(lifecycle.start_campaign, self._services, self._campaign_id, now))]


def _note(starts: Mapping[UUID, _Start], started: set[UUID], broken: set[UUID]) -> None:
    started |= {campaign_id for campaign_id, start in starts.items() if start.state is _State.STARTED}
    broken |= {campaign_id for campaign_id, start in starts.items() if start.state is _State.BROKEN}


async def _expand(
    services: Services, turns: deque[UUID], chunk: int, broken: set[UUID], failures: Failures, stop: StopFlag
) -> int:
    """Expand a chunk of each campaign in turn, mark it dispatched after its last, and return the messages made."""
    made = 0
    while turns and not stop.is_set:
        campaign_id = turns.popleft()
        count = await failures.outlive("expansion", expand_once(services, campaign_id, chunk), -1)
        if count < 0:
            broken.add(campaign_id)
        made += max(count, 0)
        if count < chunk:
            while campaign_id in turns:
                turns.remove(campaign_id)
    return made


async def expand_once(services: Services, campaign_id: UUID, chunk: int) -> int:
    """Expand one chunk of a campaign, and finish its expansion with the last; return the messages made."""
    now, began = await database.now(), time.time_ns()
    try:
        count = await in_unit_of_work(partial(audiences.expand_chunk, services, campaign_id, limit=chunk, now=now))
    except OverBudget as over:
        await in_unit_of_work(partial(pause_over_budget, over, await database.now()))
        return 0
    if count < chunk:
        await in_unit_of_work(partial(lifecycle.finish_expansion, campaign_id, await database.now()))
    await record_expansion(campaign_id, count, began)
    return count


async def _clear_canceled(services: Services, until: float, failures: Failures, stop: StopFlag) -> None:
    for campaign_id, ctx in await lifecycle.canceled_campaigns(services, await database.now()):
        cleared: Cleared | None = None
        while True:
            cleared = await failures.outlive("clear", _clear(campaign_id, ctx, cleared), Cleared())
            if cleared.number < CLEAR:
                break
            if time.monotonic() >= until or stop.is_set:
                notify_now([WorkQueue.CAMPAIGNS])
                return


async def _clear(campaign_id: UUID, ctx: Context, since: Cleared | None) -> Cleared:
    return await in_unit_of_work(
        partial(lifecycle.clear_canceled, campaign_id, ctx, limit=CLEAR, now=await database.now(), since=since)
    )
