"""Webhook deliveries a second against a bare aiohttp loop that posts the same signed bodies to the same receiver."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import aiohttp
import uvloop

from bench.engines import Bench
from msvs import database as db
from msvs.address_policy import AddressPolicy
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.dispatch.new_messages import NewMessage
from msvs.api.resources import message_resource
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import endpoints, signatures
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.http_client import HttpClient
from msvs.settings import Settings
from msvs.workers.webhooks import deliver_webhooks
from tests.services import SERVICES, use_address_policy

PORT = 28_713
ENDPOINTS = 10
EVENTS = 500
ROUNDS = 5
IN_FLIGHT = 100


async def _subscribe(ctx: Context) -> None:
    for number in range(ENDPOINTS):
        async with unit_of_work():
            await endpoints.create_webhook(
                ctx, endpoints.CreateWebhook(f"http://127.0.0.1:{PORT}/{number}", ["message.delivered"])
            )


async def write_events(ctx: Context) -> list[bytes]:
    """Write events; the bodies that go out."""
    now = datetime.now(UTC)
    new_messages = [
        NewMessage(
            ids.new_id(), ctx.workspace_id, ctx.livemode, "api", None, None, "+12125550123", "COHORTLABS", {}, now, now
        )
        for _ in range(EVENTS)
    ]
    for message in new_messages:
        message.body, message.segments = "Cart closes tonight at 8pm ET. Reply STOP to opt out.", 1
    async with unit_of_work():
        await record_events(
            [
                NewEvent(
                    EventType.MESSAGE_DELIVERED, ctx.workspace_id, ctx.livemode, message.id, message_resource(message)
                )
                for message in new_messages
            ],
            now,
        )
    rows = await db.fetch("SELECT data FROM events ORDER BY id DESC LIMIT $1", EVENTS)
    return [b'{"id":"evt_00000000000000000000000000","object":"event","data":%b}' % row.data.encode() for row in rows]


async def _floor(bodies: Sequence[bytes]) -> float:
    """Seconds to sign and post each body to each endpoint, over kept-alive connections."""
    secret = "whsec_of_the_benchmark"
    jobs = [(number, body) for body in bodies for number in range(ENDPOINTS)]
    gate = asyncio.Semaphore(IN_FLIGHT)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as session:

        async def post(number: int, body: bytes) -> None:
            async with gate:
                stamp = int(time.time())
                headers = {
                    "Content-Type": "application/json",
                    "MSVS-Signature": signatures.signature_header([secret], stamp, body),
                }
                async with session.post(f"http://127.0.0.1:{PORT}/{number}", data=body, headers=headers) as answer:
                    await answer.read()

        start = time.perf_counter()
        await asyncio.gather(*(post(number, body) for number, body in jobs))
        return time.perf_counter() - start


async def _measure(place: Bench) -> dict[str, float]:
    ctx = Context(place.workspace_id, False, services=SERVICES)
    use_address_policy(AddressPolicy.from_settings(Settings()))
    SERVICES.keyring.seal_with("bench")
    # All endpoints are of one host, whose budget is out of the way of the load.
    SERVICES.rates.host_per_second = SERVICES.rates.host_at_once = 1_000_000
    pairs = []
    async with place.connected():
        await _subscribe(ctx)
        client = HttpClient(AddressPolicy(allow_loopback=True))
        for number in range(ROUNDS + 1):
            bodies = await write_events(ctx)
            floor = len(bodies) * ENDPOINTS / await _floor(bodies)
            start = time.perf_counter()
            delivered = 0
            while delivered < EVENTS * ENDPOINTS:
                delivered += await deliver_webhooks(SERVICES, client, seconds=60)
            ours = delivered / (time.perf_counter() - start)
            if number:  # the first warms up
                pairs.append((ours / floor, ours, floor))
        await client.close()
    columns = list(zip(*pairs, strict=True))
    return {
        "ratio": statistics.median(columns[0]),
        "ours_per_s": statistics.median(columns[1]),
        "floor_per_s": statistics.median(columns[2]),
    }


def measure(place: Bench) -> dict[str, float]:
    """Median deliveries a second of ours and of the floor, and the median of their ratios."""
    with place.process("-m", "bench.receiver", str(PORT)):
        time.sleep(1)
        return uvloop.run(_measure(place))
