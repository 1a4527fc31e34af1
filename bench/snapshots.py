"""Looks for due messages beside a snapshot that is held, as a long dump holds one: full ones, and those from bounds."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial

import asyncpg

from bench.engines import Bench, bench
from msvs import database as db
from msvs.api.dispatch import lane_bounds, open_months
from msvs.api.dispatch.lane_bounds import LaneBounds
from msvs.api.dispatch.lanes import Lane, find_lanes
from msvs.api.dispatch.picking import pick
from msvs.api.unit_of_work import unit_of_work
from tests.plans import MESSAGES
from tests.services import SERVICES

SENT = (0, 20_000, 200_000)
LEFT = 100
PICKED = 50
ROUNDS = 15
MARK_SENT = """
UPDATE messages SET status = 'sent' WHERE id IN (
    SELECT id FROM messages WHERE status = 'queued' ORDER BY due_at, id LIMIT $1
)
"""


async def _timed(ask: Callable[[], Awaitable[object]]) -> float:
    await ask()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        await ask()
        times.append((time.perf_counter() - start) * 1000)
    return round(statistics.median(times), 2)


async def _look() -> Lane:
    (lane,) = await find_lanes(SERVICES, *await open_months.look())
    return lane


async def _pick(lane: Lane) -> None:
    async with unit_of_work():
        assert len(await pick(SERVICES, lane, PICKED, await db.now(), None)) == PICKED


async def _measure(place: Bench) -> dict[str, dict[str, float]]:
    figures = {}
    async with place.connected():
        values = (None, "COHORTLABS", "queued", None, None, max(SENT) + LEFT, None)
        await db.execute(MESSAGES, place.workspace_id, True, *values)
        await place.vacuum("messages")
        await open_months.find_open_months()
        connection = await asyncpg.connect(place.database_url)
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetchval("SELECT count(*) FROM messages")
            for before, sent in zip((0, *SENT), SENT, strict=False):
                await db.execute(MARK_SENT, sent - before)
                figures[f"{sent} sent"] = await _beside()
        await connection.close()
    return figures


async def _beside() -> dict[str, float]:
    """Time looks and picks, full ones and those from the bounds of a look; milliseconds, medians."""
    found = {}
    for name, slow in (("full", 3600.0), ("bounded", 0.0)):
        lane_bounds.SLOW_SECONDS, lane_bounds.FULL_SECONDS = slow, 3600.0
        SERVICES.keep(LaneBounds).forget()
        lane = await _look()
        found[f"{name}_look_ms"] = await _timed(_look)
        found[f"{name}_pick_ms"] = await _timed(partial(_pick, lane))
    return found


def main() -> None:
    """Print the figures as JSON."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with bench() as place:
        print(json.dumps(asyncio.run(_measure(place)), indent=2))


if __name__ == "__main__":
    main()
