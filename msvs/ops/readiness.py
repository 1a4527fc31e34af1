"""Check whether this process can serve, and which parts of the service are down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from msvs import connections, database, redis_connections
from msvs.ops.metric_families import CRON_KEY, WORKER_KEY, DiskCheck

CHECK_SECONDS = 2.0
# Probes, however many, cost the database one look in so long.
KEPT_SECONDS = 1.0
KEPT_REST_SECONDS = 5.0

Check = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Found:
    """Each check by its name: `ok`, or what is wrong."""

    needed: Mapping[str, str]
    rest: Mapping[str, str]

    @property
    def failed(self) -> list[str]:
        """The parts that requests need and that are down."""
        return [name for name, state in self.needed.items() if state != "ok"]

    @property
    def degraded(self) -> list[str]:
        """The parts that are down while requests are still accepted."""
        return [name for name, state in self.rest.items() if state != "ok"]


class Readiness:
    """Looks at what requests need, the database and its schema, and when asked at the rest. `now` never goes back."""

    def __init__(self, database_url: str, redis_url: str | None, now: Callable[[], float] = time.monotonic) -> None:
        self._database_url = database_url
        self.redis = (
            None
            if redis_url is None
            else redis_connections.connect_async(redis_url, socket_timeout=1, socket_connect_timeout=1)
        )
        self.disk = DiskCheck()
        self.is_migrated = False
        self.needed = Kept({"database": self._check_database, "migrations": self._check_migrations}, KEPT_SECONDS, now)
        rest = {"redis": self._check_redis, "workers": self._check_workers, "cron": self._check_cron}
        self.rest = Kept({**rest, "disk": self.disk.check}, KEPT_REST_SECONDS, now)

    async def look(self, *, everything: bool = False) -> Found:
        """Return what was found, a second ago at most; `everything` else five seconds ago at most."""
        return Found(await self.needed.look(), await self.rest.look() if everything else {})

    async def close(self) -> None:
        """Release Redis."""
        if self.redis is not None:
            await self.redis.aclose()

    async def _check_database(self) -> str:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                return "ok" if await database.fetch_value("SELECT 1") == 1 else "wrong answer"
        except TimeoutError:
            pool = database.pool_numbers()
            if pool.most and pool.used >= pool.most:
                return f"no connection is free ({pool.used} of {pool.most} are in use)"
            raise

    async def _check_migrations(self) -> str:
        if not self.is_migrated:
            # A database that is away looks like one without any migration.
            await self._check_database()
            self.is_migrated = not await database.pending_migrations(self._database_url)
        return "ok" if self.is_migrated else "pending: run msvs migrate"

    async def _check_redis(self) -> str:
        if self.redis is None:
            return "not configured"
        await self.redis.ping()
        return "ok"

    async def _check_workers(self) -> str:
        return await self._find_alive(WORKER_KEY)

    async def _check_cron(self) -> str:
        return await self._find_alive(CRON_KEY)

    async def _find_alive(self, key: str) -> str:
        if self.redis is None:
            return "not configured"
        async for _ in self.redis.scan_iter(f"{key}*", count=1000):
            return "ok"
        return "none alive"


class Kept:
    """Runs checks, one look at a time, and keeps what they found for so many seconds."""

    def __init__(self, checks: Mapping[str, Check], seconds: float, now: Callable[[], float]) -> None:
        self._checks = checks
        self.seconds = seconds
        self.now = now
        self._found: Mapping[str, str] = {}
        self._until = float("-inf")
        self._looking = asyncio.Lock()

    def forget(self) -> None:
        """Have the next look run the checks again."""
        self._until = float("-inf")

    async def look(self) -> Mapping[str, str]:
        """Return the state of each check."""
        async with self._looking:
            if self.now() >= self._until:
                states = await asyncio.gather(*map(_checked, self._checks.values()))
                self._found = dict(zip(self._checks, states, strict=True))
                self._until = self.now() + self.seconds
            return self._found


async def _checked(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS * 1.5):
            return await check()
    except connections.PoolerRefused as error:
        return str(error)
    except Exception as error:
        return f"unreachable ({type(error).__name__})"
