"""The unit of work: one transaction that the edge opens, and the doorbells that ring once it has committed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from tortoise.transactions import in_transaction

from msvs.api.jobs import Doorbell, ring_now

_waiting: ContextVar[set[Doorbell] | None] = ContextVar("doorbells", default=None)


@asynccontextmanager
async def unit_of_work() -> AsyncIterator[None]:
    """Run the block in one transaction; ring its doorbells after COMMIT, none after a rollback.

    A unit of work inside another is a savepoint of it: its doorbells wait for the outer COMMIT.
    """
    outer = _waiting.get()
    mine: set[Doorbell] = set()
    token = _waiting.set(mine)
    try:
        async with in_transaction("default"):
            yield
    finally:
        _waiting.reset(token)
    if outer is None:
        ring_now(mine)
    else:
        outer |= mine


def ring_after_commit(doorbell: Doorbell) -> None:
    """Have workers look at `doorbell`'s work once the current unit of work has committed."""
    waiting = _waiting.get()
    if waiting is None:
        raise RuntimeError("a doorbell may only be rung inside a unit of work")
    waiting.add(doorbell)
