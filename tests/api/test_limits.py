from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from msvs.api import limits
from msvs.api.limits import RATES, Allowance, Bucket, Limiter, LocalBuckets, Rate
from tests.engines import Engines

CAPACITY = RATES[Bucket.REQUESTS].capacity


@pytest.fixture
async def limiter(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Limiter]:
    """A limiter on the real Valkey that is given time, so that a busy machine does not fail a test."""
    monkeypatch.setattr(limits, "REDIS_SECONDS", 5.0)
    limiter = Limiter(engines.redis_url)
    yield limiter
    await limiter.close()


@pytest.fixture
async def redis(engines: Engines) -> AsyncIterator[Redis]:
    async with Redis.from_url(engines.redis_url, decode_responses=True) as connection:
        yield connection


async def redis_time(redis: Redis) -> float:
    seconds, micros = await redis.time()
    return float(seconds) + float(micros) / 1_000_000


def test_the_rates_are_those_of_the_document() -> None:
    assert RATES[Bucket.REQUESTS] == Rate(100, 200)
    assert RATES[Bucket.CAMPAIGNS] == Rate(1000, 2000)


async def test_a_fresh_bucket_is_full(limiter: Limiter) -> None:
    before = time.time()
    allowance = await limiter.take(uuid4())
    assert (allowance.limit, allowance.remaining, allowance.retry_after) == (100, 199, None)
    assert before - 1 <= allowance.reset_epoch <= time.time() + 2


async def test_a_bucket_gives_what_it_holds_and_what_flows_in_however_many_ask(limiter: Limiter, redis: Redis) -> None:
    workspace = uuid4()
    start = await redis_time(redis)
    answers = await asyncio.gather(*(limiter.take(workspace) for _ in range(600)))
    flowed_in = (await redis_time(redis) - start) * 100
    allowed = [answer for answer in answers if answer.retry_after is None]
    assert CAPACITY <= len(allowed) <= CAPACITY + flowed_in
    assert all(answer.retry_after == 1 for answer in answers if answer.retry_after is not None)


async def test_an_empty_bucket_says_when_to_come_back(limiter: Limiter, redis: Redis) -> None:
    workspace = uuid4()
    key = f"msvs:rate:requests:{workspace}"
    now = await redis_time(redis)
    # Used at a time still to come: nothing flows in.
    await redis.hset(key, mapping={"tokens": "50.25", "at": f"{now + 3600:.6f}"})
    refused = await limiter.take(workspace, cost=200)
    assert (refused.limit, refused.remaining, refused.retry_after) == (100, 50, 2)
    assert now + 1.4 <= refused.reset_epoch <= await redis_time(redis) + 2.5
    assert await redis.hget(key, "tokens") == "50.250000"


async def test_tokens_flow_in_with_redis_time(limiter: Limiter, redis: Redis) -> None:
    workspace = uuid4()
    half_a_second_ago = f"{await redis_time(redis) - 0.5:.6f}"
    await redis.hset(f"msvs:rate:requests:{workspace}", mapping={"tokens": "0", "at": half_a_second_ago})
    allowance = await limiter.take(workspace)
    assert allowance.retry_after is None
    assert 49 <= allowance.remaining <= CAPACITY


async def test_buckets_are_apart(limiter: Limiter) -> None:
    workspace = uuid4()
    assert (await limiter.take(workspace, cost=200)).retry_after is None
    campaigns = await limiter.take(workspace, Bucket.CAMPAIGNS)
    assert (campaigns.limit, campaigns.remaining, campaigns.retry_after) == (1000, 1999, None)
    assert (await limiter.take(uuid4())).remaining == 199


async def test_a_cost_is_never_more_than_the_bucket_can_hold(limiter: Limiter) -> None:
    allowance = await limiter.take(uuid4(), cost=10_000)
    assert (allowance.retry_after, allowance.remaining) == (None, 0)


async def test_a_bucket_is_forgotten_when_it_must_be_full_again(limiter: Limiter, redis: Redis) -> None:
    workspace = uuid4()
    await limiter.take(workspace)
    assert 0 < await redis.pttl(f"msvs:rate:requests:{workspace}") <= 3000


async def test_without_redis_each_process_limits_by_itself() -> None:
    limiter = Limiter(None)
    workspace = uuid4()
    answers = [await limiter.take(workspace) for _ in range(CAPACITY * 2)]
    allowed = [answer for answer in answers if answer.retry_after is None]
    assert CAPACITY <= len(allowed) < CAPACITY * 2
    assert all(answer.retry_after == 1 for answer in answers if answer.retry_after is not None)


async def test_a_redis_that_is_away_is_not_asked_for_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    limiter = Limiter(f"redis://127.0.0.1:{port}/0")
    asked = 0
    script = limiter.script

    async def counted(**arguments: object) -> object:
        nonlocal asked
        asked += 1
        assert script is not None
        return await script(**arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(limiter, "script", counted)
    monkeypatch.setattr(limits, "QUIET_AFTER_ERROR_SECONDS", 60.0)
    workspace = uuid4()
    answers = [await limiter.take(workspace) for _ in range(20)]
    assert asked == 1
    assert [answer.retry_after for answer in answers] == [None] * 20
    limiter.quiet_until = 0.0
    await limiter.take(workspace)
    assert asked == 2
    await limiter.close()


async def test_a_redis_that_does_not_answer_costs_its_budget_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts in its backlog, and never says a word
        limiter = Limiter(f"redis://127.0.0.1:{server.getsockname()[1]}/0")
        answers = await asyncio.gather(*(limiter.take(uuid4()) for _ in range(20)))
        assert [answer.remaining for answer in answers] == [199] * 20
        assert limiter.quiet_until > 0
        await limiter.close()


async def test_a_redis_that_comes_back_is_used_again(limiter: Limiter, redis: Redis) -> None:
    workspace = uuid4()
    limiter.local = LocalBuckets(lambda: 0.0)
    limiter.quiet_until = time.monotonic() + 60
    await limiter.take(workspace, cost=5)
    assert await redis.exists(f"msvs:rate:requests:{workspace}") == 0
    limiter.quiet_until = 0.0
    assert (await limiter.take(workspace)).remaining == 194


async def test_a_late_redis_gives_no_fresh_bucket(limiter: Limiter, redis: Redis) -> None:
    workspace = uuid4()
    assert (await limiter.take(workspace, cost=200)).retry_after is None
    limiter.quiet_until = time.monotonic() + 60
    refused = await limiter.take(workspace, cost=150)
    assert refused.retry_after is not None
    assert refused.remaining < 150
    assert await redis.exists(f"msvs:rate:requests:{workspace}") == 1


async def test_what_a_process_gave_by_itself_is_settled(limiter: Limiter, redis: Redis) -> None:
    workspace = uuid4()
    limiter.local = LocalBuckets(lambda: 0.0)
    key = f"msvs:rate:requests:{workspace}"
    limiter.quiet_until = time.monotonic() + 60
    answers = [await limiter.take(workspace, cost=50) for _ in range(3)]
    assert [answer.retry_after for answer in answers] == [None] * 3
    assert await redis.exists(key) == 0
    limiter.quiet_until = 0.0
    assert (await limiter.take(workspace)).remaining == 200 - 150 - 1
    # Once is enough.
    assert (await limiter.take(workspace)).remaining >= 48


async def test_a_debt_that_time_has_paid_is_not_settled(limiter: Limiter, redis: Redis) -> None:
    workspace = uuid4()
    seconds = 0.0
    limiter.local = LocalBuckets(lambda: seconds)
    limiter.quiet_until = time.monotonic() + 60
    assert (await limiter.take(workspace, cost=200)).retry_after is None
    seconds = 1.5
    limiter.quiet_until = 0.0
    assert (await limiter.take(workspace)).remaining == 200 - 50 - 1


async def test_a_debt_is_never_more_than_the_bucket_holds(limiter: Limiter, redis: Redis) -> None:
    workspace = uuid4()
    now = await redis_time(redis)
    await redis.hset(f"msvs:rate:requests:{workspace}", mapping={"tokens": "0", "at": f"{now + 3600:.6f}"})
    limiter.owe(f"msvs:rate:requests:{workspace}", RATES[Bucket.REQUESTS], CAPACITY)
    refused = await limiter.take(workspace)
    assert (refused.remaining, refused.retry_after) == (0, 3)
    assert now + 3 <= refused.reset_epoch <= await redis_time(redis) + 5
    assert 0 < await redis.pttl(f"msvs:rate:requests:{workspace}") <= 5000
    assert (await limiter.take(workspace)).retry_after is not None


async def test_a_debt_outlives_a_redis_that_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    limiter = Limiter(f"redis://127.0.0.1:{port}/0")
    workspace = uuid4()
    for _ in range(3):
        limiter.quiet_until = 0.0
        await limiter.take(workspace, cost=20)
    assert limiter._owed == {f"msvs:rate:requests:{workspace}": 60}
    await limiter.close()


def test_the_local_bucket_refills() -> None:
    now = [1000.0]
    buckets = LocalBuckets(lambda: now[0])
    rate = RATES[Bucket.REQUESTS]
    assert buckets.take("a", rate, 200) == Allowance(100, 0, 1002, None)
    assert buckets.take("a", rate, 1) == Allowance(100, 0, 1002, 1)
    now[0] += 0.5
    assert buckets.take("a", rate, 1) == Allowance(100, 49, 1003, None)
    now[0] -= 100
    assert buckets.take("a", rate, 1).remaining == 48


async def test_takes_at_once_are_answered_as_one_after_the_other(limiter: Limiter, redis: Redis) -> None:
    busy, other = uuid4(), uuid4()
    answers = await asyncio.gather(
        *(limiter.take(busy) for _ in range(CAPACITY + 3)), limiter.take(busy, cost=CAPACITY), limiter.take(other)
    )

    taken, refused = answers[:CAPACITY], answers[CAPACITY : CAPACITY + 4]
    # Some tokens flow in between the first call and the next.
    assert [answer.remaining for answer in taken[:100]] == list(range(CAPACITY - 1, CAPACITY - 101, -1))
    assert all(answer.retry_after is None for answer in taken)
    assert refused[-1].retry_after is not None
    assert answers[-1].remaining == CAPACITY - 1
    assert float(await redis.hget(f"msvs:rate:requests:{busy}", "tokens") or "nan") < 3


async def test_a_refused_request_is_told_of_fewer_tokens_than_it_costs(
    limiter: Limiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis tells numbers in six digits: 0.9999997 tokens as 1.000000."""

    async def rounded(**_: object) -> object:
        return [(0, b"1.000000", b"1777665614.000000")]

    monkeypatch.setattr(limiter, "script", rounded)
    answer = await limiter.take(uuid4())
    assert (answer.remaining, answer.retry_after) == (0, 1)


async def test_redis_is_asked_once_in_a_while_for_a_bucket_that_is_half_full_and_always_for_another(
    limiter: Limiter, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TRUST_SECONDS", 600.0)
    monkeypatch.setattr(limits, "RATES", {**RATES, Bucket.REQUESTS: Rate(1, 200)})
    workspace, start = uuid4(), await redis_time(redis)
    key = f"msvs:rate:requests:{workspace}"

    async def tokens() -> float:
        return float(str(await redis.hget(key, "tokens")))

    assert (await limiter.take(workspace)).remaining == 199
    at_first = await tokens()
    allowances = [await limiter.take(workspace) for _ in range(90)]
    assert [allowance.retry_after for allowance in allowances] == [None] * 90
    assert allowances[-1].remaining <= 109 + (await redis_time(redis) - start)
    assert await tokens() == at_first
    # From here on less than half is left at times, and in the end at each request.
    for _ in range(60):
        await limiter.take(workspace)
    last = await limiter.take(workspace)
    assert 48 <= last.remaining <= 48 + (await redis_time(redis) - start) + 1
    assert abs(await tokens() - last.remaining) < 1


async def test_what_processes_gave_away_by_themselves_is_told_to_all(
    limiter: Limiter, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TRUST_SECONDS", 600.0)
    monkeypatch.setattr(limits, "RATES", {**RATES, Bucket.REQUESTS: Rate(1, 200)})
    other = Limiter(engines.redis_url)
    try:
        workspace = uuid4()
        taken = 0
        began = time.monotonic()
        for _ in range(300):
            for each in (limiter, other):
                taken += (await each.take(workspace)).retry_after is None
        # Each may have given away half a bucket before it asked; that is owed.
        assert CAPACITY <= taken <= CAPACITY + 100 + (time.monotonic() - began) + 1
        assert (await other.take(workspace)).retry_after is not None
    finally:
        await other.close()
