"""Reads that a standby may answer: lists, searches and statistics, where it has all that the workspace wrote."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from functools import wraps
from typing import Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from msvs import database, pool, redis_connections

P = ParamSpec("P")
T = TypeVar("T")


class Keeper(Protocol):
    """The services of a process, which keep one object of a class."""

    def keep(self, kind: type[T]) -> T:
        """Return that object."""
        ...


class Caller(Protocol):
    """The caller of an operation: its workspace, and the services of the process."""

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def services(self) -> Keeper: ...


C = TypeVar("C", bound=Caller)

log = structlog.get_logger(__name__)

# How often a process asks how far the primary and each standby are.
LOOK_SECONDS = 0.25
# The most that a look, and a read of a standby, may take before the primary is asked.
ANSWER_SECONDS = 2.0
READ_SECONDS = 5.0
# How many looks are remembered: those of the longest lag that may be allowed.
REMEMBERED = int(310 / LOOK_SECONDS)
# For how long it is known when a workspace last wrote: longer than the longest lag, and a look.
MARK_SECONDS = 900

FLUSHED = "SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint"
REPLAYED = """
SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint ELSE -1 END
"""

# All times are those of Redis's clock, in microseconds. A mark is made after the commit and before its answer.
NOW = """
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
"""
MARK = f"{NOW} redis.call('SET', KEYS[1], now, 'EX', ARGV[1])"
# The marks are lost with this key: what was written before it was made is unknown.
LOOK = f"{NOW} redis.call('SET', KEYS[1], now, 'NX') return now"
SINCE = "msvs:written"


def mark_key(workspace_id: UUID) -> str:
    """Return the Redis key of the time at which a workspace last wrote."""
    return f"{SINCE}:{workspace_id}"


class Seen(NamedTuple):
    """A look at the primary: the time by Redis before it, that of this process, and how far the log was flushed."""

    at: int
    own: float
    flushed: int


class Standby:
    """A standby, and how far it is: what was committed before `covered` it has, `own` is when it was so far behind."""

    def __init__(self, number: int, url: str) -> None:
        self.number = number
        self.covered = 0
        self.own = float("-inf")
        self._url = url
        self._client: database.Client | None = None

    @property
    def client(self) -> database.Client | None:
        """The connections to it, or None while it is away."""
        return self._client

    @property
    def lag(self) -> float:
        """How many seconds it is behind at most."""
        return time.monotonic() - self.own

    async def look(self, seen: Sequence[Seen], size: int) -> None:
        """Ask how far it is. Raises what the connection raises."""
        if self._client is None:
            self._client = await database.open_client(self._url, pool_size=size)
        with database.using(self._client):
            replayed = await database.fetch_value(REPLAYED)
        # One that was promoted may go its own way: it is none.
        reached = [each for each in seen if each.flushed <= replayed]
        if reached:
            self.covered, self.own = reached[-1].at, reached[-1].own

    def forget(self) -> None:
        """Forget how far it was."""
        self.covered, self.own = 0, float("-inf")

    async def close(self) -> None:
        """Close the connections."""
        self.forget()
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await client.close()


class Reads:
    """Chooses for each read of a process the primary or a standby, and counts them."""

    def __init__(self) -> None:
        self.standbys: Sequence[Standby] = ()
        # Reads by where they were answered; `repeated` ones were tried on a standby first.
        self.counts: dict[str, int] = {"primary": 0, "replica": 0, "repeated": 0}
        self._redis: Redis | None = None
        self._max_lag = 0.0
        self._seen: deque[Seen] = deque(maxlen=REMEMBERED)
        self._unmarked: set[UUID] = set()
        self._turn = 0
        self._failing: dict[str, str] = {}

    @asynccontextmanager
    async def following(
        self, urls: Sequence[str], redis_url: str | None, *, max_lag: float, pool_size: int
    ) -> AsyncIterator[None]:
        """Follow standbys for the block; none without Redis, which knows when a workspace last wrote."""
        if not urls or redis_url is None:
            yield
            return
        self._redis = redis_connections.connect_async(redis_url, socket_timeout=1, socket_connect_timeout=1)
        self._max_lag = max_lag
        self.standbys = [Standby(number, url) for number, url in enumerate(urls)]
        task = asyncio.create_task(self._follow(pool_size))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            standbys, self.standbys = self.standbys, ()
            for standby in standbys:
                await standby.close()
            await self._redis.aclose()
            self._redis = None

    async def _follow(self, pool_size: int) -> None:
        while True:
            await self.look(pool_size)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self, pool_size: int = 2) -> None:
        """Ask the primary and each standby how far they are."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._look_at_primary()
        except Exception as error:
            self._tell("primary", error)
            return
        self._tell("primary", None)
        await asyncio.gather(*(self._look_at(standby, pool_size) for standby in self.standbys))

    async def _look_at_primary(self) -> None:
        assert self._redis is not None, "it follows"
        for workspace_id in list(self._unmarked):
            await self._redis.eval(MARK, 1, mark_key(workspace_id), MARK_SECONDS)
            self._unmarked.discard(workspace_id)
        at, own = int(await self._redis.eval(LOOK, 1, SINCE)), time.monotonic()
        if self._seen and at < self._seen[-1].at:
            # Another Redis, whose clock is behind: what is known is of another time.
            self._seen.clear()
            for standby in self.standbys:
                standby.forget()
        self._seen.append(Seen(at, own, await database.fetch_value(FLUSHED)))

    async def _look_at(self, standby: Standby, pool_size: int) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await standby.look(list(self._seen), pool_size)
        except Exception as error:
            self._tell(str(standby.number), error)
            await standby.close()
        else:
            self._tell(str(standby.number), None)

    def _tell(self, what: str, error: Exception | None) -> None:
        name = "" if error is None else type(error).__name__
        if name != self._failing.get(what, ""):
            log.warning("reads: no answer", of=what, error=name) if name else log.info("reads: answers", of=what)
        self._failing[what] = name

    async def mark(self, workspace_id: UUID) -> None:
        """Have every process know that a workspace has written just now."""
        if self._redis is None:
            return
        self._unmarked.add(workspace_id)
        try:
            await self._redis.eval(MARK, 1, mark_key(workspace_id), MARK_SECONDS)
        except (RedisError, OSError, TimeoutError) as error:
            # Others cannot know; this process tries again with each look.
            self._tell("redis", error)
        else:
            self._unmarked.discard(workspace_id)

    async def choose(self, workspace_id: UUID) -> Standby | None:
        """Return a standby that has all that a workspace wrote and is not too far behind, or None."""
        ready = [each for each in self.standbys if each.client is not None and each.lag <= self._max_lag]
        if not ready or self._redis is None or workspace_id in self._unmarked:
            return None
        try:
            written, since = await self._redis.mget(mark_key(workspace_id), SINCE)
        except (RedisError, OSError, TimeoutError):
            return None
        if since is None:
            return None
        needed = max(int(since), int(written or 0))
        ready = [each for each in ready if each.covered >= needed]
        self._turn += 1
        return ready[self._turn % len(ready)] if ready else None

    async def run(self, ctx: Caller, work: Callable[[], Awaitable[T]]) -> T:
        """Run a read on a standby if one may answer it, else on the primary; there too if the standby does not."""
        standby = await self.choose(ctx.workspace_id)
        client = None if standby is None else standby.client
        if client is None:
            self.counts["primary"] += 1
            return await work()
        try:
            async with asyncio.timeout(READ_SECONDS):
                with database.using(client):
                    found = await work()
        except Exception:
            # It is away, cancels what stands in the way of its replay, lacks a migration, or the refusal is a true one.
            self.counts["repeated"] += 1
            return await work()
        self.counts["replica"] += 1
        return found


_marking: ContextVar[Reads | None] = ContextVar("marking", default=None)


class marking:
    """Have what workspaces commit in the block be known to those who read."""

    __slots__ = ("_reads", "_token")

    def __init__(self, reads: Reads | None) -> None:
        # Where nobody reads from standbys there is nothing to make known.
        self._reads = reads if reads is not None and reads.standbys else None

    def __enter__(self) -> None:
        self._token = _marking.set(self._reads)

    def __exit__(self, *_error: object) -> None:
        _marking.reset(self._token)


async def mark_written() -> None:
    """Say that the workspace whose request this is has committed."""
    reads, who = _marking.get(), pool.sharer()
    if reads is not None and who is not None:
        await reads.mark(who)


def from_replica(
    operation: Callable[Concatenate[C, P], Coroutine[None, None, T]],
) -> Callable[Concatenate[C, P], Coroutine[None, None, T]]:
    """Let a standby answer an operation: one that reads, and decides nothing."""

    @wraps(operation)
    async def read(ctx: C, /, *args: P.args, **options: P.kwargs) -> T:
        reads = ctx.services.keep(Reads)
        if not reads.standbys or not database.is_of_primary():
            return await operation(ctx, *args, **options)
        return await reads.run(ctx, lambda: operation(ctx, *args, **options))

    read.from_replica = True  # type: ignore[attr-defined]
    return read
