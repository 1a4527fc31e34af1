"""Totals of messages: each event is counted once, by mode and status, and reading them reads no message."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from msvs import database as db
from msvs.api.context import Context
from msvs.api.dispatch import message_totals
from msvs.api.dispatch.message_totals import COUNTED, count_messages
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.virtual import VirtualCarrier
from msvs.ops.metric_families import DiskCheck, read_metric_families
from msvs.ops.metrics import render
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.maintenance import maintain
from tests.owner import run_as_owner
from tests.plans import NEW_ID, make_messages, reading
from tests.services import SERVICES
from tests.workers.test_dispatch import send

EVENTS = f"""
INSERT INTO events (id, workspace_id, livemode, type, resource_id, data, created_at)
SELECT ({NEW_ID.replace("now()", "(now() - $4::interval)")}), $1, $2, $3, gen_random_uuid(), '{{}}', now()
FROM generate_series(1, $5::int)
"""


async def write_events(ctx: Context, type: str, ago: timedelta, number: int = 1) -> None:
    await db.execute(EVENTS, ctx.workspace_id, ctx.livemode, type, ago, number)


async def begin(ago: timedelta) -> None:
    """Have everything before that be counted."""
    await db.execute("DELETE FROM message_totals_until")
    await db.execute("INSERT INTO message_totals_until (until) VALUES (now() - $1::interval)", ago)


async def count() -> int:
    async with unit_of_work():
        return await count_messages()


async def totals() -> dict[tuple[str, str], int]:
    return {(row.mode, row.status): row.value for row in await message_totals.message_totals()}


async def test_every_event_is_counted_once(
    redis: Redis, ctx: Context, live_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = {(mode, status): 0 for mode in ("live", "test") for status in COUNTED.values()}
    assert await totals() == nothing
    await begin(timedelta(minutes=5))
    await write_events(live_ctx, "message.sent", timedelta(minutes=3), 4)
    await write_events(live_ctx, "message.failed", timedelta(minutes=2))
    await write_events(ctx, "message.sent", timedelta(minutes=2), 2)
    await write_events(ctx, "message.queued", timedelta(minutes=2))
    await write_events(ctx, "contact.created", timedelta(minutes=2))
    # Counted before, and to be counted later, as others of its time may not be committed.
    await write_events(live_ctx, "message.sent", timedelta(minutes=6))
    await write_events(live_ctx, "message.sent", timedelta(seconds=30))
    assert await count() == 3
    found = nothing | {("live", "sent"): 4, ("live", "failed"): 1, ("test", "sent"): 2}
    assert await totals() == found
    assert await count() == 0
    monkeypatch.setattr(message_totals, "SETTLED_AFTER", timedelta(0))
    assert await count() == 1
    assert await totals() == found | {("live", "sent"): 5}
    text = render(await read_metric_families([], redis, DiskCheck())).decode().splitlines()
    assert "# TYPE msvs_messages_total counter" in text
    assert 'msvs_messages_total{mode="live",status="sent"} 5.0' in text
    assert 'msvs_messages_total{mode="test",status="skipped"} 0.0' in text


async def test_maintenance_counts_what_was_sent(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_totals, "SETTLED_AFTER", timedelta(0))
    await begin(timedelta(minutes=1))
    for _ in range(3):
        await send(ctx)
    carriers = {"virtual": VirtualCarrier()}
    await dispatch_messages(SERVICES, carriers)
    # Ids are made by another clock than the count's.
    await asyncio.sleep(0.05)
    assert (await maintain(SERVICES, carriers))["counted"] == 1
    assert (await totals())["test", "sent"] == 3


async def test_two_counts_at_once_count_once(live_ctx: Context) -> None:
    await begin(timedelta(minutes=5))
    await write_events(live_ctx, "message.delivered", timedelta(minutes=3), 50)
    await asyncio.gather(*(count() for _ in range(6)))
    assert (await totals())["live", "delivered"] == 50


async def test_a_count_after_a_pause_catches_up_by_and_by(live_ctx: Context) -> None:
    await begin(timedelta(minutes=25))
    await write_events(live_ctx, "message.sent", timedelta(minutes=20), 3)
    await write_events(live_ctx, "message.sent", timedelta(minutes=12), 5)
    found = []
    for _ in range(4):
        await count()
        found.append((await totals())["live", "sent"])
    assert found == [3, 8, 8, 8]


async def test_a_count_reads_new_events_and_no_message(live_ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_messages(live_ctx, 5000, "sent")
    await begin(timedelta(minutes=2))
    await write_events(live_ctx, "message.sent", timedelta(minutes=4), 20_000)
    await write_events(live_ctx, "message.sent", timedelta(seconds=90), 10)
    await run_as_owner("ANALYZE events, messages")
    with reading(monkeypatch) as counting:
        await count()
        await totals()
    counting.check(50)
