"""The present time by PostgreSQL's clock, which all processes share: a host's own may be an hour off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from msvs import database, present

LOOK_SECONDS = 10.0
# How long a start waits for the first answer.
FIRST_SECONDS = 2.0
# What took longer says too little of the time in between, unless nothing is known yet.
MOST_SECONDS = 0.5


class SharedClock:
    """PostgreSQL's time when it was asked last, and what has passed here since then, however this host's clock is set.

    Until it was asked, the host's own time; in a sandbox with a clock, that clock's.
    """

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._seen = 0.0

    def __call__(self) -> datetime:
        """Return the present time of the work at hand."""
        return present.moment() or self.real()

    def real(self) -> datetime:
        """Return the real time."""
        if self._at is None:
            return present.real()
        return self._at + timedelta(seconds=time.monotonic() - self._seen)

    async def look(self) -> None:
        """Ask PostgreSQL. Raises what its connection does."""
        before = time.monotonic()
        with present.standing():
            at = await database.now()
        after = time.monotonic()
        if after - before <= MOST_SECONDS or self._at is None:
            self._at, self._seen = at + timedelta(seconds=(after - before) / 2), after

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Ask now, and every LOOK_SECONDS within the block; what is known lasts while PostgreSQL is away."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_SECONDS):
                await self._try_to_look()
        task = asyncio.create_task(self._look_on())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._try_to_look()

    async def _try_to_look(self) -> None:
        with suppress(Exception):
            await self.look()
