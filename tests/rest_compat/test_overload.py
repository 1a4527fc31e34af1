"""Rate limits of several API processes together, under more requests than they let through.

MSVS_OVERLOAD_SECONDS sets how long the overload lasts (default 3).
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

from chaos.proxy import Proxy
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.api.limits import RATES, Bucket
from tests.engines import Engines
from tests.rest_compat.processes import Answer, Process, free_port, head, keep_asking, request, running

SECONDS = float(os.environ.get("MSVS_OVERLOAD_SECONDS", "3"))
PHASE_SECONDS = SECONDS / 3
PROCESSES = 2
CONNECTIONS = 4
RATE = RATES[Bucket.REQUESTS]
# What a process logs when Redis is late or away.
ALONE = "rate limits applied by this process alone"


@pytest.fixture
async def key(ctx: Context) -> str:
    _, text = await create_key(ctx.workspace_id, livemode=False)
    return text


@pytest.fixture
async def other_key(other_ctx: Context) -> str:
    _, text = await create_key(other_ctx.workspace_id, livemode=False)
    return text


class Overload:
    """Every answer that came back, each looked at as it came."""

    def __init__(self, processes: list[Process], key: str) -> None:
        self.processes = processes
        self.asked = head("GET", "/v1/credits", key, b"")
        self.statuses: Counter[int] = Counter()
        self.wrong: list[Answer] = []
        self.seconds = 0.0
        self._end = asyncio.Event()

    def take(self, answer: Answer) -> None:
        self.statuses[answer.status] += 1
        if not is_right(answer):
            self.wrong.append(answer)

    async def __aenter__(self) -> Overload:
        self._began = time.monotonic()
        self._tasks = [
            asyncio.create_task(keep_asking(process.port, self.asked, self.take, self._end))
            for process in self.processes
            for _ in range(CONNECTIONS)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end.set()
        await asyncio.gather(*self._tasks)
        self.seconds = time.monotonic() - self._began


def is_right(answer: Answer) -> bool:
    """Whether status, headers and body say the same."""
    limit, remaining, reset = (int(answer.headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining", "reset"))
    told = limit == RATE.per_second and 0 <= remaining < RATE.capacity
    # Full again after what is missing and what is owed has flowed in: four seconds at most.
    told = told and -1 <= reset - time.time() <= 2 * RATE.capacity / RATE.per_second + 1
    if answer.status == 200:
        return told and "retry-after" not in answer.headers and json.loads(answer.body)["object"] == "credits"
    error = json.loads(answer.body)["error"]
    return (
        told
        and (answer.status, error["type"], error["code"]) == (429, "rate_limit_error", "rate_limit_exceeded")
        and remaining == 0
        and 1 <= int(answer.headers["retry-after"]) <= 3
        and error["request_id"] == answer.headers["x-request-id"]
    )


def processes(tmp_path: Path, database: str, redis_url: str) -> list[Process]:
    return [
        Process(("-m", "msvs", "api"), tmp_path / f"api-{number}.log", DATABASE_URL=database, REDIS_URL=redis_url)
        for number in range(PROCESSES)
    ]


@pytest.mark.timeout(120)
async def test_processes_together_let_through_what_one_bucket_holds(
    tmp_path: Path, database: str, engines: Engines, key: str
) -> None:
    apis = processes(tmp_path, database, engines.redis_url)
    async with running(*apis):
        async with Overload(apis, key) as load:
            await asyncio.sleep(SECONDS)
            # A machine with other work may need longer to ask for more than there is.
            async with asyncio.timeout(60):
                while load.statuses[429] <= load.statuses[200]:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        passed, refused = load.statuses[200], load.statuses[429]
        print(f"{passed} passed and {refused} refused in {load.seconds:.2f} s by {PROCESSES} processes")
        assert load.statuses.keys() == {200, 429}
        assert load.wrong == [], load.wrong[0]
        # From the first request to the last answer is no shorter than the time in which tokens flowed in.
        most = RATE.capacity + RATE.per_second * load.seconds
        # Where a busy machine lets Redis answer late, a process goes on alone for a moment, with no more than it holds.
        lapses = sum(api.log.read_text().count(ALONE) for api in apis)
        assert passed <= min(most + lapses * RATE.capacity, PROCESSES * most)
        assert passed >= RATE.capacity


@pytest.fixture
async def proxy(engines: Engines) -> AsyncIterator[Proxy]:
    """A way to Valkey that can be cut, stopped and slowed down."""
    proxy = await Proxy(lambda: urlsplit(engines.redis_url).port or 0).start()
    yield proxy
    await proxy.stop()


@pytest.mark.timeout(120)
async def test_no_state_of_redis_makes_an_error(
    tmp_path: Path, database: str, engines: Engines, key: str, other_key: str, proxy: Proxy, ctx: Context
) -> None:
    address = urlsplit(engines.redis_url)
    through = urlunsplit(address._replace(netloc=address.netloc.rpartition(":")[0] + f":{proxy.port}"))
    apis = processes(tmp_path, database, through)
    reached, nobody = proxy.upstream, free_port()
    sent: dict[str, int] = {}

    async def accepts(phase: str) -> None:
        for api in apis:
            body = json.dumps({"to": "+12125550123", "body": f"Doors open while {phase}"}).encode()
            answer = await request(api.port, "POST", "/v1/messages", other_key, body)
            sent[phase] = sent.get(phase, 0) + (answer.status == 201)

    async with running(*apis), Redis.from_url(engines.redis_url) as redis:
        async with Overload(apis, key) as load:
            await accepts("well")
            stalled = asyncio.create_task(proxy.black_hole(PHASE_SECONDS))
            await accepts("stalled")
            await stalled
            slowed = asyncio.create_task(proxy.slow(PHASE_SECONDS, delay=0.3))
            await accepts("slow")
            await slowed
            # Down: nobody listens, and what is open breaks.
            proxy.upstream = lambda: nobody
            proxy.cut()
            await accepts("down")
            await asyncio.sleep(PHASE_SECONDS)
            # Restarted: it listens again, and has forgotten everything.
            await redis.flushdb()
            proxy.upstream = reached
            await accepts("restarted")
            async with asyncio.timeout(30):
                while not await redis.exists(f"msvs:rate:requests:{ctx.workspace_id}"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        print(f"{load.statuses[200]} passed and {load.statuses[429]} refused in {load.seconds:.2f} s")
        assert load.statuses.keys() == {200, 429}
        assert load.wrong == [], load.wrong[0]
        assert sent == dict.fromkeys(("well", "stalled", "slow", "down", "restarted"), PROCESSES)
