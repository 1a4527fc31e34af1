"""Sequence jobs: let contacts in and out, and take the steps that are due, a batch of each sequence in turn."""

from __future__ import annotations

import time
from functools import partial

from msvs import database
from msvs.api.campaigns import sequence_steps as steps
from msvs.api.campaigns.sequence_steps import BATCH, DueSequence
from msvs.api.context import Services
from msvs.api.notifier import WorkQueue, notify_now
from msvs.api.unit_of_work import in_unit_of_work
from msvs.workers.retrying import Failures
from msvs.workers.stopping import StopFlag

SECONDS = 4.0


async def bring_forward(
    services: Services,
    failures: Failures,
    *,
    seconds: float = SECONDS,
    batch: int = BATCH,
    stop: StopFlag | None = None,
) -> int:
    """Bring sequences forward until nothing is due or the time is up. Return how many entries, exits and steps.

    One that breaks holds up no other. After `stop` nothing is begun.
    """
    stop = stop or StopFlag()
    until = time.monotonic() + seconds
    done = 0
    broken: set[object] = set()
    # One look where there is nothing to do, as is mostly so.
    while not stop.is_set and await steps.has_work(await database.now()):
        round_ = await failures.outlive("entries", _let_in(services, batch), 0)
        round_ += await failures.outlive("exits", _let_out(services, batch), 0)
        for sequence in await steps.due_sequences(await database.now()):
            if sequence.id in broken or stop.is_set:
                continue
            taken = await failures.outlive("steps", take_once(services, sequence, batch), -1)
            if taken < 0:
                broken.add(sequence.id)
            round_ += max(taken, 0)
        done += round_
        if not round_:
            break
        if time.monotonic() >= until:
            notify_now([WorkQueue.CAMPAIGNS])
            break
    await failures.outlive("retirement", _retire(), 0)
    return done


async def take_once(services: Services, sequence: DueSequence, batch: int) -> int:
    """Take a batch of the due steps of a sequence. Return how many enrollments it saw."""
    return await in_unit_of_work(partial(steps.take_steps, services, sequence, limit=batch, now=await database.now()))


async def _let_in(services: Services, batch: int) -> int:
    return await in_unit_of_work(partial(steps.take_entries, services, limit=batch, now=await database.now()))


async def _let_out(services: Services, batch: int) -> int:
    return await in_unit_of_work(partial(steps.let_out, services, limit=batch, now=await database.now()))


async def _retire() -> int:
    return await in_unit_of_work(partial(steps.retire_versions, now=await database.now()))
