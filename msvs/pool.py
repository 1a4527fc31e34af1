"""The connection pool, in which no workspace can use up the connections of all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from uuid import UUID

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient

# How long a request waits for a connection, and how many of one workspace wait at most.
WAIT_SECONDS = 5.0
MOST_WAITING = 200

# Those of asyncpg.create_pool.
DEFAULTS: Mapping[str, object] = {
    "max_queries": 50_000,
    "max_inactive_connection_lifetime": 300.0,
    "record_class": asyncpg.Record,
}

_sharer: ContextVar[UUID | None] = ContextVar("sharer", default=None)


class ConnectionsTaken(TimeoutError):
    """No connection became free in time: those that a workspace may have are all in use, or those of the process."""


class sharing:
    """Count the connections that the block uses as those of `who`, usually a workspace."""

    __slots__ = ("_token", "_who")

    def __init__(self, who: UUID) -> None:
        self._who = who

    def __enter__(self) -> None:
        self._token = _sharer.set(self._who)

    def __exit__(self, *_error: object) -> None:
        _sharer.reset(self._token)


def sharer() -> UUID | None:
    """Return whose connections are used now, usually a workspace's; None outside of requests."""
    return _sharer.get()


class _Share:
    """The connections that one sharer uses, and who waits for one."""

    def __init__(self) -> None:
        self.used = 0
        self.waiting: deque[asyncio.Future[None]] = deque()


class Shares:
    """Gives each sharer at most `most` connections at once, those who wait in their order."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._shares: dict[UUID, _Share] = {}

    async def enter(self, who: UUID) -> None:
        """Wait for a place. Raises ConnectionsTaken."""
        share = self._shares.setdefault(who, _Share())
        if share.used < self._most:
            share.used += 1
            return
        if len(share.waiting) >= MOST_WAITING:
            raise ConnectionsTaken
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        share.waiting.append(place)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                # The place came, and nobody is there to use it.
                self.leave(who)
            else:
                with suppress(ValueError):
                    share.waiting.remove(place)
            if isinstance(error, TimeoutError):
                raise ConnectionsTaken from None
            raise

    def leave(self, who: UUID) -> None:
        """Give the place to anyone who waits longest."""
        share = self._shares[who]
        while share.waiting:
            place = share.waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        share.used -= 1
        if not share.used:
            del self._shares[who]


class SharedPool(asyncpg.Pool):  # type: ignore[misc]
    """A pool of which no sharer has more than half. What has no sharer, such as a worker's job, takes what it needs."""

    __slots__ = ("_sharers", "_shares")

    def __init__(self, *, most: int, **options: object) -> None:
        super().__init__(**options)
        self._shares = Shares(most)
        self._sharers: dict[int, UUID] = {}

    async def _acquire(self, timeout: float | None) -> object:
        who = _sharer.get()
        if who is None:
            return await super()._acquire(timeout)
        await self._shares.enter(who)
        try:
            connection = await super()._acquire(WAIT_SECONDS if timeout is None else timeout)
        except BaseException as error:
            self._shares.leave(who)
            if isinstance(error, TimeoutError):
                raise ConnectionsTaken from None
            raise
        self._sharers[id(connection)] = who
        return connection

    async def release(self, connection: object, *, timeout: float | None = None) -> None:
        """Return a connection, and its sharer's place; none is used again whose server was found demoted."""
        who = self._sharers.pop(id(connection), None)
        try:
            if getattr(connection, "is_demoted", False):
                await self.expire_connections()
            await super().release(connection, timeout=timeout)
        finally:
            if who is not None:
                self._shares.leave(who)


class Client(AsyncpgDBClient):
    """Tortoise's client, over the shared pool."""

    async def create_pool(self, **options: object) -> asyncpg.Pool:
        """Make the pool."""
        size = options["max_size"]
        assert isinstance(size, int), "Tortoise says how many connections there may be"
        return await SharedPool(most=max(1, size // 2), **{**DEFAULTS, **options})


# By which Tortoise finds the client of an engine.
client_class = Client
