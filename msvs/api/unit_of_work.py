"""The unit of work: one transaction, and the queues that are notified after its commit."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TypeVar

import asyncpg
from tortoise.exceptions import IntegrityError
from tortoise.models import Model

from msvs.api.notifier import WorkQueue as WorkQueue
from msvs.api.notifier import notify_now
from msvs.database import transaction
from msvs.replica_reads import mark_written

T = TypeVar("T")

TRIES = 5
# Rolled back, and may well succeed now: another transaction went first, or a migration changed a table of a statement
# that the connection had prepared.
_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.InvalidCachedStatementError)

_waiting: ContextVar[set[WorkQueue] | None] = ContextVar("queues", default=None)
_alone: ContextVar[bool] = ContextVar("single_statement", default=False)


@asynccontextmanager
async def unit_of_work() -> AsyncIterator[None]:
    """Run the block in one transaction; notify its queues after COMMIT, none after a rollback.

    A unit of work inside another is a savepoint of it: its queues wait for the outer COMMIT.
    """
    outer = _waiting.get()
    mine: set[WorkQueue] = set()
    token = _waiting.set(mine)
    alone = _alone.set(False)
    try:
        async with transaction():
            yield
    finally:
        _alone.reset(alone)
        _waiting.reset(token)
    if outer is None:
        notify_now(mine)
        await mark_written()
    else:
        outer |= mine


async def in_unit_of_work(work: Callable[[], Awaitable[T]]) -> T:
    """Run `work` in a unit of work; a few times more where it was rolled back and may well succeed now.

    Inside another unit of work it runs once: that is rolled back as a whole.
    """
    tries = TRIES if _waiting.get() is None else 1
    for attempt in range(1, tries + 1):
        try:
            async with unit_of_work():
                return await work()
        except _AGAIN:
            if attempt == tries:
                raise
            await asyncio.sleep(random.uniform(0, 0.02 * attempt))  # noqa: S311
    raise AssertionError("unreachable")


async def save_unique(row: Model, refusal: Exception) -> None:
    """Save a row in a unit of work of its own. Raises `refusal` where another row has what must be unique."""
    try:
        async with unit_of_work():
            await row.save()
    except IntegrityError:
        raise refusal from None


class single_statement:
    """For an operation that writes in one statement: that statement is its transaction, at half the round trips.

    The operation opens a unit of work itself where it finds that it needs more than one. Queues are notified at the
    end, none after an error.
    """

    __slots__ = ("_alone", "_mine", "_waiting")

    async def __aenter__(self) -> None:
        self._mine: set[WorkQueue] = set()
        self._waiting = _waiting.set(self._mine)
        self._alone = _alone.set(True)

    async def __aexit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        _alone.reset(self._alone)
        _waiting.reset(self._waiting)
        if kind is None:
            notify_now(self._mine)
            await mark_written()


def is_single_statement() -> bool:
    """Return whether the current operation's write is a transaction of its own, which others' writes may join."""
    return _alone.get()


def is_in_transaction() -> bool:
    """Return whether the caller is inside a unit of work, which must not wait for the network."""
    return _waiting.get() is not None and not _alone.get()


def notify_after_commit(queue: WorkQueue) -> None:
    """Have workers look at `queue`'s work once the current unit of work has committed."""
    waiting = _waiting.get()
    if waiting is None:
        raise RuntimeError("a queue may only be notified inside a unit of work")
    waiting.add(queue)
