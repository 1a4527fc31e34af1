"""Move clocks on in a process that a test kills: `python -m tests.workers.clock_killed URL STATEMENTS`.

It dies, by SIGKILL of its own, before so many statements of its session have run; 0 is never.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import asyncpg

from msvs import database as db
from msvs.address_policy import AddressPolicy
from msvs.http_client import HttpClient
from msvs.loops import new_runner
from tests.workers.clocking import Clocks

left = [0]


def _counting(kept: Any) -> Any:
    async def run(connection: asyncpg.Connection, *values: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return await kept(connection, *values, **options)

    return run


async def main(url: str) -> None:
    """Do what clocks ask for."""
    async with db.connected(url), HttpClient(AddressPolicy(allow_loopback=True)) as http:
        await Clocks(url, http).work()


if __name__ == "__main__":
    left[0] = int(sys.argv[2])
    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        setattr(asyncpg.Connection, name, _counting(getattr(asyncpg.Connection, name)))
    with new_runner() as runner:
        runner.run(main(sys.argv[1]))
