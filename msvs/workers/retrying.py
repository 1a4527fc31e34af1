"""Classify PostgreSQL errors for jobs, and continue the rest of a job when a part fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import asyncpg
import structlog
from tortoise.exceptions import DBConnectionError

from msvs.api.unit_of_work import in_unit_of_work

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741

log = structlog.get_logger(__name__)

_AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    DBConnectionError,
)


# What took too long, waited for another's lock too long, or was ended while this process was stopped.
_STUCK = (
    TimeoutError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
)


def is_away(error: BaseException | None) -> bool:
    """Return whether an error says that PostgreSQL cannot be reached, and nothing of what was asked of it."""
    # An InterfaceError that is a ValueError is of what was to be written.
    return isinstance(error, _AWAY) and not isinstance(error, (ValueError, *_STUCK))


def is_stuck(error: BaseException | None) -> bool:
    """Return whether an error says that what was asked of PostgreSQL did not end in time.

    Less of it may, or it may later.
    """
    while error is not None and not isinstance(error, _STUCK):
        error = error.__cause__
    return error is not None


async def in_parts(work: Callable[[Sequence[I]], Awaitable[object]], items: Sequence[I], failures: Failures) -> None:
    """Run `work` on all items in a unit of work; where that breaks on halves, so that what breaks alone is left out."""
    try:
        await in_unit_of_work(lambda: work(items))
    except Exception as error:
        if is_away(error) or is_stuck(error):
            raise
        if len(items) <= 1:
            failures.note("write", error)
            return
        middle = len(items) // 2
        await in_parts(work, items[:middle], failures)
        await in_parts(work, items[middle:], failures)


class Failures:
    """The failures in a job of many parts; they end the job after the other parts are done."""

    def __init__(self) -> None:
        self._first: Exception | None = None

    def note(self, part: str, error: Exception) -> None:
        """Remember, and log, that a part of the job broke."""
        log.error("part of a job failed", part=part, error=type(error).__name__)
        self._first = self._first or error

    async def outlive(self, part: str, work: Awaitable[T], default: T) -> T:
        """Return what `work` comes to, or `default` where it breaks."""
        try:
            return await work
        except Exception as error:
            self.note(part, error)
            return default

    def end(self) -> None:
        """Raise the first error there was."""
        if self._first is not None:
            raise self._first
