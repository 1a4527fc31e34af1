"""Stop a process: what it still does, and for how long."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# What is on its way when the signal comes has this long to end, and what it came to RECORD_SECONDS more to be written
# down: a process ends within ten seconds of its signal.
STOP_SECONDS = 7.5
RECORD_SECONDS = 1.0


class StopFlag:
    """Whether this process was told to end. Every job looks at it before it claims anything."""

    def __init__(self) -> None:
        self.is_set = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._until: float | None = None
        # When each block's own time is up, and how much more it has after the flag.
        self._limits: dict[asyncio.Timeout, tuple[float, float]] = {}

    def set(self) -> None:
        """Tell the process to end. Safe to call from a signal handler, and more than once."""
        self.is_set = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._shorten)

    @asynccontextmanager
    async def limit(self, seconds: float | None = None, *, more: float = 0.0) -> AsyncIterator[None]:
        """Give a block `seconds`, and at most STOP_SECONDS and `more` from the flag on. Raises TimeoutError."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.timeout(seconds) as limit:
            self._limits[limit] = (math.inf if seconds is None else self._loop.time() + seconds, more)
            if self.is_set:
                self._shorten()
            try:
                yield
            finally:
                del self._limits[limit]

    def _shorten(self) -> None:
        if self._until is None:
            self._until = asyncio.get_running_loop().time() + STOP_SECONDS
        for limit, (end, more) in self._limits.items():
            limit.reschedule(min(end, self._until + more))
