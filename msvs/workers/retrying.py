"""Running a transaction again when PostgreSQL had to break a tie."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from msvs.api.unit_of_work import unit_of_work

T = TypeVar("T")

TRIES = 5


async def in_unit_of_work(work: Callable[[], Awaitable[T]]) -> T:
    """Run `work` in a unit of work; once more, a few times, after a deadlock or a serialization failure."""
    for attempt in range(1, TRIES + 1):
        try:
            async with unit_of_work():
                return await work()
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            if attempt == TRIES:
                raise
            await asyncio.sleep(random.uniform(0, 0.02 * attempt))  # noqa: S311
    raise AssertionError("unreachable")
