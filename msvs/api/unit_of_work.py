"""The unit of work: one transaction that the edge opens, and the doorbells that ring once it has committed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from msvs.api.jobs import Doorbell, ring_now
from msvs.database import transaction

_waiting: ContextVar[set[Doorbell] | None] = ContextVar("doorbells", default=None)
_alone: ContextVar[bool] = ContextVar("single_statement", default=False)


@asynccontextmanager
async def unit_of_work() -> AsyncIterator[None]:
    """Run the block in one transaction; ring its doorbells after COMMIT, none after a rollback.

    A unit of work inside another is a savepoint of it: its doorbells wait for the outer COMMIT.
    """
    outer = _waiting.get()
    mine: set[Doorbell] = set()
    token = _waiting.set(mine)
    alone = _alone.set(False)
    try:
        async with transaction():
            yield
    finally:
        _alone.reset(alone)
        _waiting.reset(token)
    if outer is None:
        ring_now(mine)
    else:
        outer |= mine


@asynccontextmanager
async def single_statement() -> AsyncIterator[None]:
    """For an operation that writes in one statement: that statement is its transaction, at half the round trips.

    The operation opens a unit of work itself where it finds that it needs more than one. Doorbells ring at the end,
    none after an error.
    """
    mine: set[Doorbell] = set()
    token = _waiting.set(mine)
    alone = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(alone)
        _waiting.reset(token)
    ring_now(mine)


def is_single_statement() -> bool:
    """Whether the current operation's write is a transaction of its own, which others' writes may join."""
    return _alone.get()


def ring_after_commit(doorbell: Doorbell) -> None:
    """Have workers look at `doorbell`'s work once the current unit of work has committed."""
    waiting = _waiting.get()
    if waiting is None:
        raise RuntimeError("a doorbell may only be rung inside a unit of work")
    waiting.add(doorbell)
