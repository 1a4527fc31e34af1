"""Follow short links of a campaign, against bare Starlette with one indexed SELECT; in turn, so that noise hits both.

The clicks are those of people, so that the service counts them and tallies them for the campaign meanwhile.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from contextlib import ExitStack

import aiohttp

from bench.accept import wait_for
from bench.engines import Bench
from msvs import database as db
from msvs.api import ids
from msvs.api.text.links import new_codes

FLOOR_PORT = 28_731
PORT = 28_732
ROUNDS = 8
REQUESTS = 500
CONNECTIONS = 2
PHONE = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1"}
INSERT = """
INSERT INTO short_links (code, workspace_id, livemode, message_id, campaign_id, position, url, created_at, expires_at)
SELECT code, $2, true, gen_random_uuid(), $3, 0, 'https://cohortlabs.co/cart?seat=' || code, now(),
    now() + interval '90 days'
FROM unnest($1::varchar[]) AS code
"""


async def _add_links(place: Bench, number: int) -> list[str]:
    codes = new_codes(number)
    campaign_id = ids.new_id()
    for first in range(0, number, 10_000):
        await db.execute(INSERT, codes[first : first + 10_000], place.workspace_id, campaign_id)
    await place.vacuum("short_links")
    return codes


async def _follow(session: aiohttp.ClientSession, port: int, codes: list[str]) -> list[float]:
    """Follow links one after the other; how long each took, in milliseconds."""
    took = []
    for code in codes:
        began = time.perf_counter()
        async with session.get(f"http://127.0.0.1:{port}/{code}", allow_redirects=False) as answer:
            await answer.read()
            assert answer.status == 302, answer.status
            assert answer.headers["Location"].endswith(code), answer.headers
        took.append((time.perf_counter() - began) * 1000)
    return took


async def _round(port: int, codes: list[str]) -> list[float]:
    shares = [random.choices(codes, k=REQUESTS) for _ in range(CONNECTIONS)]
    async with aiohttp.ClientSession(headers=PHONE) as session:
        found = await asyncio.gather(*(_follow(session, port, share) for share in shares))
    return [each for took in found for each in took]


def _p95(took: list[float]) -> float:
    return sorted(took)[int(len(took) * 0.95)]


async def _measure(place: Bench, number: int) -> dict[str, float]:
    async with place.connected():
        codes = await _add_links(place, number)
        for port in (FLOOR_PORT, PORT):
            await _round(port, codes)
        floor: list[float] = []
        service: list[float] = []
        ratios = []
        followed = REQUESTS * CONNECTIONS
        for _ in range(ROUNDS):
            of_floor, of_service = await _round(FLOOR_PORT, codes), await _round(PORT, codes)
            ratios.append(_p95(of_service) / _p95(of_floor))
            floor += of_floor
            service += of_service
            followed += len(of_service)
        await asyncio.sleep(2)
        counted = await db.fetch_value("SELECT sum(clicks)::bigint FROM click_tallies")
    assert counted == followed, f"{counted} of {followed} clicks were tallied"
    return {
        "links": number,
        "redirect_p50_ms": statistics.median(service),
        "redirect_p95_ms": _p95(service),
        "floor_p95_ms": _p95(floor),
        "ratio": statistics.median(ratios),
    }


def measure(place: Bench, number: int = 100_000) -> dict[str, float]:
    """Latencies of redirects among so many links, and of the floor."""
    with ExitStack() as stack:
        stack.enter_context(place.process("-m", "bench.service", PORT=str(PORT)))
        stack.enter_context(
            place.process(
                "-m", "uvicorn", "bench.floor_links:application", "--port", str(FLOOR_PORT), "--log-level", "warning"
            )
        )
        wait_for(PORT, "/healthz")
        wait_for(FLOOR_PORT, "/AAAAAAAAAAA")
        return asyncio.run(_measure(place, number))
