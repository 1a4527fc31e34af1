"""Workers of files that are killed by SIGKILL at their first statement, at their second, until one gets through.

`python -m tests.workers.killed_jobs DATABASE_URL imports` prints how many statements that one took. With a number
after it, that many workers are killed at random moments instead, and one more finishes the job.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import asyncpg

from msvs import database as db
from msvs.settings import Settings
from msvs.workers import exports, import_reader, imports
from msvs.workers.stopping import StopFlag
from tests.services import SERVICES

MOST = 400
# The longest time before a worker is killed.
LIFE_SECONDS = 1.5
STATEMENTS = ("fetch", "fetchrow", "fetchval", "execute", "copy_to_table", "copy_from_query")
SETTINGS = Settings(import_processes=0)

JOBS: Mapping[str, Callable[[], Awaitable[object]]] = {
    "imports": lambda: imports.run_imports(SERVICES, SETTINGS),
    "exports": lambda: exports.run_export(SERVICES, StopFlag()),
}


class Fuse:
    """Kills this process before a statement, `length` after it was lit."""

    def __init__(self) -> None:
        self.length, self.burnt = MOST, 0

    def light(self, length: int) -> None:
        """Let so many statements pass."""
        self.length, self.burnt = length, 0

    def burn(self) -> None:
        """Count a statement."""
        self.burnt += 1
        if self.burnt > self.length:
            os.kill(os.getpid(), signal.SIGKILL)


def attach(fuse: Fuse) -> None:
    """Have every statement of the driver burn the fuse, BEGIN and COMMIT too."""
    for name in STATEMENTS:
        real = getattr(asyncpg.Connection, name)

        def counted(self: Any, *values: Any, _real: Any = real, **options: Any) -> Any:
            fuse.burn()
            return _real(self, *values, **options)

        setattr(asyncpg.Connection, name, counted)


async def work(database_url: str, job: str, fuse: Fuse, length: int) -> None:
    """Do the job, with a fuse of this length."""
    async with db.connected(database_url, pool_size=2):
        await db.now()
        fuse.light(length)
        await JOBS[job]()
        print(fuse.burnt, flush=True)


def fork(work: Callable[[], Awaitable[None]]) -> int:
    """Run the work in a forked process. Return its id."""
    pid = os.fork()
    if pid == 0:
        asyncio.run(work())  # type: ignore[arg-type]
        os._exit(0)
    return pid


def kill_at_random(database_url: str, job: str, times: int) -> int:
    """Kill workers at random moments, then let one finish. Print how many were killed while working; return 0."""
    exports.CHUNK = 1 << 12
    imports.BATCH = imports.CONSENT_BATCH = import_reader.FRAME_ROWS = 100
    imports.TURN_SECONDS = 3600.0

    async def run() -> None:
        async with db.connected(database_url, pool_size=3):
            await JOBS[job]()

    killed = 0
    # Kill the first workers early: a later one may finish the job.
    for life in sorted(random.uniform(0.02, LIFE_SECONDS) * number / times for number in range(1, times + 1)):
        pid = fork(run)
        time.sleep(life)
        os.kill(pid, signal.SIGKILL)
        killed += os.waitpid(pid, 0)[1] == signal.SIGKILL
    status = os.waitpid(fork(run), 0)[1]
    print(killed, flush=True)
    return status


def main() -> int:
    """Fork workers and kill them until one finishes; return 0."""
    database_url, job, *times = sys.argv[1:]
    # The next worker takes over at once, and each transaction has little to do.
    imports.LEASE = exports.LEASE = timedelta()
    exports.TRIES = MOST
    if times:
        return kill_at_random(database_url, job, int(times[0]))
    exports.CHUNK = 1
    imports.BATCH = imports.CONSENT_BATCH = import_reader.FRAME_ROWS = 2
    for length in range(MOST):
        pid = os.fork()
        if pid == 0:
            fuse = Fuse()
            attach(fuse)
            asyncio.run(work(database_url, job, fuse, length))
            os._exit(0)
        if os.waitpid(pid, 0)[1] == 0:
            return 0
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
