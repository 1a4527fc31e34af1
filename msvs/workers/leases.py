"""Renew leases while work runs, so that a step may take longer than one lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import structlog

log = structlog.get_logger(__name__)

BEAT_SECONDS = 5.0


@asynccontextmanager
async def renewing(
    renew: Callable[[], Awaitable[bool]], lose: Callable[[], None], *, seconds: float | None = None
) -> AsyncIterator[None]:
    """Renew a lease while the block runs. Call `lose` once, and stop, when `renew` returns False."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS if seconds is None else seconds)
            try:
                if not await renew():
                    lose()
                    return
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                # The lease outlasts several beats, so a brief database outage does not lose it.
                log.warning("lease not renewed", error=type(error).__name__)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.wait([beating])
