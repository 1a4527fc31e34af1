"""The connections of an API process: one workspace that is stuck behind its own lock leaves enough to the others."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from msvs import database as db
from msvs import pool
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.pool import ConnectionsTaken, Shares, sharing
from tests import factories
from tests.engines import Engines
from tests.rest_compat.processes import Answer, Process, request, running
from tests.workers.test_carrier_binds import until
from tests.workers.test_stuck import held

POOL = 6
REQUESTS = 20
LOCK = "SELECT FROM credit_balances WHERE workspace_id = $1 FOR UPDATE"
WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
async def api(database: str, clean: None, engines: Engines, tmp_path: Path) -> AsyncIterator[Process]:
    process = Process(
        ("-m", "msvs", "api"),
        tmp_path / "api.log",
        DATABASE_URL=f"{database}?lock_timeout=2s",
        REDIS_URL=engines.redis_url,
        MSVS_DATABASE_POOL_SIZE=str(POOL),
        MSVS_LIVE_CARRIER="virtual",
    )
    async with running(process):
        yield process


async def test_a_workspace_behind_its_own_lock_leaves_connections_to_others(
    database: str, api: Process, live_ctx: Context, other_ctx: Context
) -> None:
    _, key = await create_key(live_ctx.workspace_id, livemode=True)
    _, other_key = await create_key(other_ctx.workspace_id, livemode=False)
    contact = await factories.make_contact(live_ctx)
    body = json.dumps({"to": contact.phone, "body": "Doors open"}).encode()

    async def send(number: int) -> Answer:
        # With a key each has a transaction of its own.
        return await request(api.port, "POST", "/v1/messages", key, body, Idempotency_Key=f"send-{number}")

    async def is_full() -> bool:
        return int(await db.fetch_value(WAITING)) == POOL // 2

    async with held(database, LOCK, live_ctx.workspace_id):
        sending = [asyncio.create_task(send(number)) for number in range(REQUESTS)]
        await until(is_full)
        for _ in range(5):
            answer = await request(api.port, "GET", "/v1/credits", other_key)
            assert (answer.status, json.loads(answer.body)["balance"]) == (200, 10_000)
        assert int(await db.fetch_value(WAITING)) <= POOL // 2
        refused = await asyncio.gather(*sending)
    assert {answer.status for answer in refused} == {503}
    for answer in refused:
        error = json.loads(answer.body)["error"]
        assert (error["type"], error["code"], answer.headers["retry-after"]) == (
            "api_error",
            "service_unavailable",
            "1",
        )
    # The lock is free again: all of them are sent, once.
    answers = [*await asyncio.gather(*map(send, range(REQUESTS))), *await asyncio.gather(*map(send, range(REQUESTS)))]
    assert Counter(answer.status for answer in answers) == {201: 2 * REQUESTS}
    assert len({json.loads(answer.body)["id"] for answer in answers}) == REQUESTS
    assert await db.fetch_value("SELECT count(*) FROM messages") == REQUESTS


async def test_those_who_wait_for_a_place_get_it_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    shares, who, other = Shares(1), uuid4(), uuid4()
    order: list[int] = []

    async def use(number: int) -> None:
        await shares.enter(who)
        order.append(number)
        await asyncio.sleep(0)
        shares.leave(who)

    await shares.enter(who)
    await shares.enter(other)
    tasks = [asyncio.create_task(use(number)) for number in range(5)]
    await asyncio.sleep(0)
    # One that waits is given up, another when its place has just come.
    tasks[1].cancel()
    await asyncio.sleep(0)
    shares.leave(who)
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [2, 3, 4]
    shares.leave(other)
    assert shares._shares == {}
    await shares.enter(who)
    monkeypatch.setattr(pool, "WAIT_SECONDS", 0.01)
    with pytest.raises(ConnectionsTaken):
        await shares.enter(who)
    monkeypatch.setattr(pool, "MOST_WAITING", 0)
    with pytest.raises(ConnectionsTaken):
        await shares.enter(who)
    shares.leave(who)
    assert shares._shares == {}


async def test_half_of_the_pool_is_the_most_of_one_sharer(database: str) -> None:
    """The tests' pool has 30 connections."""
    inside, together, most = 0, asyncio.Event(), 0

    async def use(who: UUID) -> None:
        nonlocal inside, most
        with sharing(who):
            async with db.transaction():
                inside += 1
                most = max(most, inside)
                if inside == 15:
                    together.set()
                await together.wait()
                await db.fetch_value("SELECT 1")
            inside -= 1

    await asyncio.gather(*(use(UUID(int=1)) for _ in range(40)))
    assert (most, inside) == (15, 0)
    # A worker's job has no sharer, and as many as it needs.
    async with asyncio.TaskGroup() as group:
        for _ in range(30):
            group.create_task(db.fetch("SELECT pg_sleep(0.01)"))
