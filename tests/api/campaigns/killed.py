"""Sequences in a process that is killed before one of its statements: `python -m tests.api.campaigns.killed` is asked.

It reads lines: the number of the statement before which to die. For each it forks a child, which brings sequences
forward and ends by SIGKILL there, or well where it has no such statement; then it says how the child ended.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from msvs import database as db
from msvs.api.context import CarrierNames, Services
from msvs.loops import new_runner
from msvs.workers.retrying import Failures
from msvs.workers.sequences import bring_forward

# COPY is a statement, too; a random wait spares what comes before the first.
METHODS = ("execute", "fetch", "fetchrow", "fetchval", "copy_records_to_table", "copy_to_table")


def count_steps(last: int) -> None:
    """Die before the statement of a number."""
    numbers = itertools.count(1)

    def counted(run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def step(*values: Any, **named: Any) -> Any:
            if next(numbers) == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return await run(*values, **named)

        return step

    for name in METHODS:
        setattr(asyncpg.connection.Connection, name, counted(getattr(asyncpg.connection.Connection, name)))


async def main(database_url: str, number: int) -> None:
    """Bring sequences forward up to a statement; number 0 for until somebody else kills the process."""
    services = Services(CarrierNames(live="virtual"))
    async with db.connected(database_url, pool_size=2):
        if number:
            count_steps(number)
            failures = Failures()
            await bring_forward(services, failures, seconds=30)
            failures.end()
        while not number:
            await bring_forward(services, Failures(), seconds=1, batch=20)
            await asyncio.sleep(0.01)


def serve(database_url: str) -> None:
    """Fork a child a line, so that the modules are imported once."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)
            with new_runner() as runner:
                runner.run(main(database_url, int(line)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        with new_runner() as runner:
            runner.run(main(sys.argv[1], int(sys.argv[2])))
    else:
        serve(sys.argv[1])
