"""Rate limits: a token bucket for each workspace in Redis; without Redis, each process limits by itself."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import structlog
from redis.asyncio import Redis

from msvs import redis_connections

log = structlog.get_logger(__name__)


class Bucket(StrEnum):
    """The buckets a workspace draws on, both modes together; strangers have one a network."""

    REQUESTS = "requests"
    CAMPAIGNS = "campaigns"
    HOOKS = "hooks"
    STRANGERS = "strangers"


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_second` tokens flow in, up to `capacity`."""

    per_second: int
    capacity: int


RATES: Mapping[Bucket, Rate] = {
    Bucket.REQUESTS: Rate(100, 200),
    Bucket.CAMPAIGNS: Rate(1000, 2000),
    Bucket.HOOKS: Rate(10, 100),
    Bucket.STRANGERS: Rate(5, 50),
}

REDIS_SECONDS = 0.05
QUIET_AFTER_ERROR_SECONDS = 1.0
# One late answer says more of a busy machine than of Redis.
QUIET_AFTER_DELAY_SECONDS = 0.1
# For so long after an answer of Redis a process takes from what that left by itself, while half of the bucket is full.
TRUST_SECONDS = 0.02
MAX_TAKES_A_CALL = 500
MAX_LOCAL_BUCKETS = 20_000

# For each key: refill by Redis' own clock, settle what a process gave away by itself, take the cost as many times as it
# is asked for and there. Returns, a key, how many times it was taken, the tokens now left and the epoch second, the
# latter two as text because Redis cuts numbers to integers.
TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local answers = {}
local buckets = #ARGV / 5
for i = 1, buckets do
    local key = KEYS[i]
    local numbers = {}
    for place = 1, 5 do
        numbers[place] = tonumber(ARGV[5 * i - 5 + place])
    end
    local rate, capacity, cost, times, owed = unpack(numbers)
    local held = redis.call('HMGET', key, 'tokens', 'at')
    local tokens, at = tonumber(held[1]) or capacity, tonumber(held[2]) or now
    tokens = math.max(-capacity, math.min(capacity, tokens + math.max(0, now - at) * rate) - owed)
    local taken = math.min(times, math.max(0, math.floor(tokens / cost)))
    tokens = tokens - taken * cost
    redis.call('HSET', key, 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', now))
    redis.call('PEXPIRE', key, math.ceil((capacity - tokens) / rate * 1000) + 1000)
    answers[i] = {taken, string.format('%.6f', tokens), string.format('%.6f', now)}
end
for i = buckets + 1, #KEYS do
    answers[i] = redis.call('EXISTS', KEYS[i])
end
return answers
"""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The answer of a bucket: its limit a second, the tokens left, and the Unix time at which it is full.

    `retry_after` is None if the request may go on, else the whole seconds to wait.
    """

    limit: int
    remaining: int
    reset_epoch: int
    retry_after: int | None


@dataclass(slots=True)
class _Take:
    """A request for tokens that waits for its answer."""

    key: str
    rate: Rate
    cost: int
    answer: asyncio.Future[Allowance]

    def give(self, allowance: Allowance) -> None:
        """Answer, unless the caller has gone."""
        if not self.answer.done():
            self.answer.set_result(allowance)


class HeldKeys(Protocol):
    """What asks Redis of keys in calls that are made anyway: those `held`, each with a number that goes with it."""

    @property
    def held(self) -> Mapping[str, int]: ...

    def note_waiting(self, held: Mapping[str, int]) -> None: ...


class Limiter:
    """Takes tokens from Redis, all that are asked for meanwhile in one call; from itself while Redis is away.

    It goes on from what Redis said last, and what it gave away by itself is taken off at the next call. So it does for
    TRUST_SECONDS after each answer while half of the bucket's tokens are left: under load one call stands for many
    requests, and Redis is asked for each of a bucket that runs low. Until `quiet_until`, a time of the monotonic clock,
    it asks its `local` buckets alone. Where it has a `notifier`, it asks in the same calls whether jobs wait, and tells
    it.
    """

    def __init__(self, redis_url: str | None) -> None:
        self._redis = None if redis_url is None else _connect(redis_url)
        self.script = None if self._redis is None else self._redis.register_script(TAKE)
        self.local = LocalBuckets()
        self.notifier: HeldKeys | None = None
        self._owed: dict[str, int] = {}
        self._waiting: list[_Take] = []
        self._flusher: asyncio.Task[None] | None = None
        self.quiet_until = 0.0
        self._is_well = False

    async def take(self, workspace_id: UUID, bucket: Bucket = Bucket.REQUESTS, cost: int = 1) -> Allowance:
        """Take `cost` tokens (at most the bucket's capacity) if they are there. Never raises."""
        rate = RATES[bucket]
        cost = min(cost, rate.capacity)
        key = f"msvs:rate:{bucket.value}:{workspace_id}"
        if self.script is None or time.monotonic() < self.quiet_until:
            return self._take_here(key, rate, cost)
        if self.local.is_trusted(key, rate, cost):
            return self._take_here(key, rate, cost)
        loop = asyncio.get_running_loop()
        take = _Take(key, rate, cost, loop.create_future())
        self._waiting.append(take)
        if self._flusher is None:
            self._flusher = loop.create_task(self._flush())
        return await take.answer

    async def close(self) -> None:
        """Close the Redis connection."""
        if self._flusher is not None:
            await self._flusher
        if self._redis is not None:
            await self._redis.aclose()

    async def _flush(self) -> None:
        try:
            while self._waiting:
                takes = self._waiting[:MAX_TAKES_A_CALL]
                del self._waiting[:MAX_TAKES_A_CALL]
                await self._answer(takes)
        finally:
            self._flusher = None

    async def _answer(self, takes: list[_Take]) -> None:
        # Takes of one cost from one bucket are one question: under load most are.
        alike: dict[tuple[str, int], list[_Take]] = {}
        for take in takes:
            alike.setdefault((take.key, take.cost), []).append(take)
        groups = list(alike.values())
        rows = await self._ask(groups)
        if rows is None:
            for take in takes:
                take.give(self._take_here(take.key, take.rate, take.cost))
            return
        for group, (taken, tokens, now) in zip(groups, rows, strict=True):
            left, at = float(tokens), float(now)
            self.local.put(group[0].key, left)
            for after, take in enumerate(group, 1 - int(taken)):
                # Each is told what was left after it; those refused, what is left at the end.
                is_taken = after <= 0
                take.give(_allowance(take.rate, take.cost, is_taken, left - min(after, 0) * take.cost, at))

    async def _ask(self, groups: Sequence[Sequence[_Take]]) -> Sequence[tuple[int, bytes, bytes]] | None:
        """Ask Redis; None where it is away or left alone."""
        assert self.script is not None
        if time.monotonic() < self.quiet_until:
            return None
        held = {} if self.notifier is None else self.notifier.held
        firsts = [group[0] for group in groups]
        # What has flowed back into the process's own bucket meanwhile is owed no more.
        owed = [min(self._owed.pop(take.key, 0), self.local.missing(take.key, take.rate)) for take in firsts]
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                answers = await self.script(
                    keys=[*(take.key for take in firsts), *held],
                    args=[
                        number
                        for take, group, debt in zip(firsts, groups, owed, strict=True)
                        for number in (take.rate.per_second, take.rate.capacity, take.cost, len(group), debt)
                    ],
                )
        except Exception as error:
            is_late = isinstance(error, TimeoutError)
            if not is_late:
                # A call that is only late will still be done; this one never was.
                for take, debt in zip(firsts, owed, strict=True):
                    self.owe(take.key, take.rate, debt)
            quiet = QUIET_AFTER_DELAY_SECONDS if is_late and self._is_well else QUIET_AFTER_ERROR_SECONDS
            self.quiet_until = time.monotonic() + quiet
            self._is_well = False
            log.warning("rate limits applied by this process alone", error=type(error).__name__)
            return None
        self._is_well = True
        rows: Sequence[tuple[int, bytes, bytes]] = answers[: len(firsts)]
        if self.notifier is not None and held:
            waits = zip(held.items(), answers[len(firsts) :], strict=True)
            self.notifier.note_waiting({key: commit for (key, commit), is_waiting in waits if is_waiting})
        return rows

    def _take_here(self, key: str, rate: Rate, cost: int) -> Allowance:
        allowance = self.local.take(key, rate, cost)
        if allowance.retry_after is None and self.script is not None:
            self.owe(key, rate, cost)
        return allowance

    def owe(self, key: str, rate: Rate, tokens: int) -> None:
        """Note tokens that this process gave away by itself, to be taken off in Redis."""
        if tokens and (key in self._owed or len(self._owed) < MAX_LOCAL_BUCKETS):
            self._owed[key] = min(rate.capacity, self._owed.get(key, 0) + tokens)


class LocalBuckets:
    """The same buckets in this process's memory; `clock` gives the epoch second."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}
        self._put_at: dict[str, float] = {}

    def put(self, key: str, tokens: float) -> None:
        """Go on from `tokens` held now."""
        if len(self._buckets) >= MAX_LOCAL_BUCKETS:
            self._buckets.clear()
            self._put_at.clear()
        now = self._clock()
        self._buckets[key] = (tokens, now)
        self._put_at[key] = now

    def is_trusted(self, key: str, rate: Rate, cost: int) -> bool:
        """Return whether a bucket was put a moment ago, and is half full at least after `cost` tokens are taken."""
        age = self._clock() - self._put_at.get(key, 0.0)
        return 0 <= age < TRUST_SECONDS and self._buckets[key][0] - cost >= rate.capacity / 2

    def missing(self, key: str, rate: Rate) -> int:
        """Return how many tokens, rounded up, the bucket lacks; all of them where it is not known."""
        if key not in self._buckets:
            return rate.capacity
        tokens, at = self._buckets[key]
        flowed_in = max(0.0, self._clock() - at) * rate.per_second
        return max(0, math.ceil(rate.capacity - tokens - flowed_in))

    def take(self, key: str, rate: Rate, cost: int) -> Allowance:
        """Take `cost` tokens if they are there."""
        now = self._clock()
        if len(self._buckets) >= MAX_LOCAL_BUCKETS:
            self._buckets.clear()
            self._put_at.clear()
        tokens, at = self._buckets.get(key, (float(rate.capacity), now))
        tokens = min(rate.capacity, tokens + max(0.0, now - at) * rate.per_second)
        taken = tokens >= cost
        if taken:
            tokens -= cost
        self._buckets[key] = (tokens, now)
        return _allowance(rate, cost, taken, tokens, now)


def _connect(redis_url: str) -> Redis:
    return redis_connections.connect_async(redis_url, socket_timeout=1.0, socket_connect_timeout=1.0, retry=None)


def _allowance(rate: Rate, cost: int, taken: bool, tokens: float, now: float) -> Allowance:
    # Of a refused request fewer are left than it costs, also where their number was rounded up on its way.
    left = math.floor(tokens) if taken else min(math.floor(tokens), cost - 1)
    return Allowance(
        limit=rate.per_second,
        remaining=max(0, left),
        reset_epoch=math.ceil(now + (rate.capacity - tokens) / rate.per_second),
        retry_after=None if taken else max(1, math.ceil((cost - tokens) / rate.per_second)),
    )
