"""Workers of files, syncs and campaigns that are killed by SIGKILL at their first statement, their second, and so on.

`python -m tests.workers.killed_jobs DATABASE_URL imports` prints how many statements the worker took that got through.
With a number after it, that many workers are killed at random moments instead, and one more finishes the job. The
service of the job `syncs` has the people of PEOPLE, and writes whom it is told of into the file that BOOK names.
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
from msvs.api.contacts import sync_runs
from msvs.http_client import HttpClient
from msvs.settings import Settings
from msvs.workers import bulk_actions, campaigns, exports, import_reader, imports, syncs
from msvs.workers.stopping import StopFlag
from tests.services import SERVICES
from tests.workers.fake_service import SECRET, serving

MOST = 400
# The longest time from a worker's connection to its death.
LIFE_SECONDS = 1.5
STATEMENTS = ("fetch", "fetchrow", "fetchval", "execute", "copy_to_table", "copy_from_query")
SETTINGS = Settings(import_processes=0)

BOOK = "MSVS_TEST_BOOK"
PEOPLE = {"1": "+12125550140", "2": "+14155550123", "4": "+12125550141", "5": "+12125550142"}


async def sync() -> None:
    """Run syncs from a service of PEOPLE."""
    SERVICES.keyring.seal_with(SECRET)
    http = HttpClient(SERVICES.address_policy)
    async with serving() as service:
        service.book = os.environ[BOOK]
        for id, phone in PEOPLE.items():
            service.put(id, phone)
        try:
            await syncs.run_syncs(SERVICES, http)
        finally:
            await http.close()


JOBS: Mapping[str, Callable[[], Awaitable[object]]] = {
    "campaigns": lambda: campaigns.expand_campaigns(SERVICES, chunk=2),
    "imports": lambda: imports.run_imports(SERVICES, SETTINGS),
    "exports": lambda: exports.run_export(SERVICES, StopFlag()),
    "bulk_actions": lambda: bulk_actions.run_bulk_action(SERVICES, StopFlag()),
    "syncs": sync,
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
    """Kill workers at random moments after they connect, then let one finish.

    Print how many were killed while working; return 0.
    """
    exports.CHUNK = 1 << 12
    imports.BATCH = imports.CONSENT_BATCH = import_reader.FRAME_ROWS = 100
    imports.TURN_SECONDS = 3600.0

    connected, at_work = os.pipe()

    async def run() -> None:
        async with db.connected(database_url, pool_size=3):
            os.write(at_work, b".")
            await JOBS[job]()

    killed = 0
    for number in range(1, times + 1):
        pid = fork(run)
        os.read(connected, 1)
        # Kill the first workers within milliseconds: one that lives longer may finish the job.
        time.sleep(random.uniform(0, LIFE_SECONDS) * (number / times) ** 3)
        os.kill(pid, signal.SIGKILL)
        killed += os.waitpid(pid, 0)[1] == signal.SIGKILL
    status = os.waitpid(fork(run), 0)[1]
    print(killed, flush=True)
    return status


def main() -> int:
    """Fork workers and kill them until one finishes; return 0."""
    database_url, job, *times = sys.argv[1:]
    # The next worker takes over at once, and each transaction has little to do.
    imports.LEASE = exports.LEASE = bulk_actions.LEASE = sync_runs.LEASE = timedelta()
    imports.TRIES = exports.TRIES = bulk_actions.TRIES = sync_runs.TRIES = MOST
    bulk_actions.BATCH = 2
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
