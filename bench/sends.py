"""Single messages over HTTP, one after the other: what a customer feels beside other work."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence

import aiohttp

from bench.engines import Bench

PAUSE = 0.01


def as_customer(place: Bench) -> aiohttp.ClientSession:
    """Return a session that sends with the sandbox key."""
    return aiohttp.ClientSession(headers={"Authorization": f"Bearer {place.test_key}"})


async def send(session: aiohttp.ClientSession, port: int, number: int) -> list[float]:
    """Send so many messages; the milliseconds of each."""
    times = []
    for n in range(number):
        body = {"to": f"+1212{4_000_000 + n:07d}", "body": "Cart closes tonight."}
        start = time.perf_counter()
        async with session.post(f"http://127.0.0.1:{port}/v1/messages", json=body) as answer:
            assert answer.status == 201, await answer.text()
        times.append((time.perf_counter() - start) * 1000)
        await asyncio.sleep(PAUSE)
    return times


def compare(idle: Sequence[float], busy: Sequence[float], percentiles: Sequence[int]) -> dict[str, float]:
    """Return percentiles of both in milliseconds, and their ratios."""
    found = {}
    for percent in percentiles:
        before, beside = (statistics.quantiles(times, n=100)[percent - 1] for times in (idle, busy))
        found |= {f"idle_p{percent}_ms": before, f"p{percent}_ms": beside, f"p{percent}_ratio": beside / before}
    return {name: round(value, 2) for name, value in found.items()}
