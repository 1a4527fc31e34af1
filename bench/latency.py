"""From POST to the carrier: idle, and while another workspace runs a campaign, through the service's own processes."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from datetime import UTC, datetime

import aiohttp
from redis import Redis
from rq import Worker

from bench.accept import wait_for
from bench.engines import CREDITS, Bench, add_people
from msvs import database as db
from msvs.api.accounts.workspaces import create_workspace
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.context import Context
from msvs.api.unit_of_work import unit_of_work
from tests.services import SERVICES

PORT = 28_714
WORKERS = ("messages", "messages", "campaigns", "reports", "webhooks", "maintenance")
PROBES = 60


async def _probe(place: Bench, number: int, pause: float) -> list[float]:
    """Send single messages one after the other; milliseconds from each POST to the carrier's acceptance."""
    posted: dict[str, datetime] = {}
    headers = {"Authorization": f"Bearer {place.test_key}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for n in range(number):
            started = datetime.now(UTC)
            body = {"to": f"+1212{3_000_000 + n:07d}", "body": "Cart closes tonight."}
            async with session.post(f"http://127.0.0.1:{PORT}/v1/messages", json=body) as answer:
                assert answer.status == 201, await answer.text()
                posted[(await answer.json())["to"]] = started
            await asyncio.sleep(pause)
    await asyncio.sleep(3)
    rows = await db.fetch(
        "SELECT to_phone, accepted_at FROM virtual_submissions WHERE workspace_id = $1 AND to_phone = ANY($2)",
        place.workspace_id,
        list(posted),
    )
    assert len(rows) == number, f"{number - len(rows)} of {number} messages did not reach the carrier in time"
    return sorted((row.accepted_at - posted[row.to_phone]).total_seconds() * 1000 for row in rows)


async def _busy(place: Bench, recipients: int) -> tuple[list[float], float]:
    """Probe while another workspace's campaign runs; the latencies, and the campaign's share done at the last probe."""
    async with unit_of_work():
        other, _, _ = await create_workspace("Another Studio", credits=CREDITS)
    ctx = Context(other.id, True, services=SERVICES)
    list_id = await add_people(other.id, True, recipients, first=3_000_000_000)
    async with unit_of_work():
        campaign = await campaigns.create_campaign(ctx, CreateCampaign("Busy", "Hi {firstName}", list_ids=[list_id]))
    await asyncio.sleep(1)
    latencies = await _probe(place, PROBES, 0.1)
    stats = (await campaigns.campaign_stats(ctx, [campaign]))[campaign.id]
    return latencies, 1 - (recipients - stats.sent - stats.delivered) / recipients


async def _measure(place: Bench, recipients: int) -> dict[str, float]:
    async with place.connected():
        await _probe(place, 5, 0.2)
        await db.execute("ALTER TABLE virtual_submissions DISABLE TRIGGER USER")
        await db.execute("DELETE FROM virtual_submissions")
        idle = await _probe(place, PROBES, 0.1)
        await db.execute("DELETE FROM virtual_submissions")
        busy, share = await _busy(place, recipients)
    return {
        "idle_p50_ms": idle[len(idle) // 2],
        "idle_p95_ms": idle[int(len(idle) * 0.95)],
        "busy_p50_ms": busy[len(busy) // 2],
        "busy_p95_ms": busy[int(len(busy) * 0.95)],
        "busy_campaign_share_sent": share,
    }


def wait_for_workers(place: Bench, number: int) -> None:
    """Wait until so many workers listen, and then until their start has left the processors."""
    with Redis.from_url(place.redis_url) as redis:
        deadline = time.monotonic() + 120
        while Worker.count(redis) < number:
            if time.monotonic() > deadline:
                raise TimeoutError(f"only {Worker.count(redis)} of {number} workers listen")
            time.sleep(0.1)
    time.sleep(3)


def measure(place: Bench, *, recipients: int = 100_000) -> dict[str, float]:
    """Latencies with all of the service's processes running."""
    with ExitStack() as stack:
        stack.enter_context(place.process("-m", "bench.service", PORT=str(PORT)))
        for queue in WORKERS:
            stack.enter_context(place.process("-m", "msvs", "worker", queue))
        stack.enter_context(place.process("-m", "msvs", "cron"))
        wait_for(PORT, "/healthz")
        wait_for_workers(place, len(WORKERS))
        return asyncio.run(_measure(place, recipients))
