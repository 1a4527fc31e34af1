"""Kill the process that holds SMPP sessions, and workers, while live messages go out; count what the SMSC took.

`python -m chaos.sessions --messages 2000 --kills 5`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID

import uvloop

from chaos.message_centre import MessageCentre
from msvs import database as db
from msvs.api.accounts import secret_keys
from msvs.api.accounts.workspaces import create_workspace
from msvs.api.context import Context
from msvs.api.dispatch import routing
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.local.embedded import EmbeddedEngines
from msvs.settings import Settings
from tests.services import SERVICES

ROOT = Path(__file__).parent.parent
CARRIER = "smsc"
# What a worker that dies between its claim and its hand-over leaves is known to be unknown after this.
LEASE = 10.0
SETTLE_SECONDS = 150.0
# Two of what is killed: one takes over from the other.
PROCESSES = ("sessions", "worker messages") * 2 + ("worker reports", "worker maintenance", "cron")
TARGETS = ("sessions", "sessions", "worker messages")

CARRIERS = """
[{name}]
kind = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "chaos"
password = "secret"
binds = 2
window = 50
rate = 1000
reconnect_seconds = 0.2
"""

OWNER = """
SELECT substring(application_name FROM '[0-9]+$')::int FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND application_name LIKE 'msvs binds %'
"""

OPEN = """
SELECT (SELECT count(*) FROM messages WHERE status IN ('queued', 'scheduled')
    OR (status = 'sending' AND lease_until IS NOT NULL))
"""


KEPT = """
SELECT count(*) FROM carrier_signals
JOIN messages ON messages.carrier_ref = carrier_signals.carrier_ref OR messages.id = carrier_signals.message_id
WHERE messages.status IN ('sent', 'sending')
"""


@dataclass
class Child:
    """A process of the service."""

    command: str
    process: subprocess.Popen[bytes]


@dataclass
class Counts:
    """What a run came to. `ghosts` count as sent, and the SMSC never had them; `secret` failed, and it has."""

    messages: int = 0
    taken: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    duplicated: list[str] = field(default_factory=list)
    ghosts: list[str] = field(default_factory=list)
    secret: list[str] = field(default_factory=list)
    waiting: int = 0
    unknown_taken: int = 0
    unknown_not_taken: int = 0
    receipts: int = 0
    receipts_lost: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    binds: int = 0
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost or duplicated."""
        return not (self.duplicated or self.ghosts or self.secret or self.waiting or self.receipts_lost)


class Run:
    """Engines, an SMSC, the service's processes and their killer."""

    def __init__(self, directory: Path, *, messages: int, kills: int, seed: int) -> None:
        self.directory = directory
        self.messages = messages
        self.kills = kills
        self.random = random.Random(seed)
        self.centre = MessageCentre(seed)
        self.counts = Counts(messages)
        self.children: list[Child] = []
        self.environment: dict[str, str] = {}

    async def run(self) -> Counts:
        """Make the run."""
        started = time.monotonic()
        engines = EmbeddedEngines(self.directory / "data", fast=True).start()
        log = (self.directory / "service.log").open("ab")
        try:
            await self.centre.start()
            carriers = self.directory / "carriers.toml"
            carriers.write_text(CARRIERS.format(name=CARRIER, port=self.centre.port))
            self.environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
                "DATA_DIR": str(self.directory / "data"),
                "DATABASE_URL": engines.database_url,
                "REDIS_URL": engines.redis_url,
                "MSVS_CARRIERS": str(carriers),
                "MSVS_LIVE_CARRIER": CARRIER,
                "MSVS_LOG_LEVEL": "WARNING",
                "MSVS_SECRET_KEY": "chaos",
                "CHAOS_LEASE": str(LEASE),
            }
            await db.migrate(engines.database_url)
            async with db.connected(engines.database_url, pool_size=5):
                await self._attack(log.fileno())
                await self._count()
        finally:
            for child in self.children:
                child.process.kill()
                child.process.wait()
            self.centre.stop()
            engines.stop()
            log.close()
        self.counts.seconds = time.monotonic() - started
        return self.counts

    async def _attack(self, log: int) -> None:
        for command in PROCESSES:
            self._start(command, log)
        await self._until_owned()
        await secret_keys.unlock(SERVICES.keyring, Settings(secret_key="chaos"))
        # The rules of senders are of no concern here; the carrier is the workers' affair.
        SERVICES.carriers.live = routing.SANDBOX_CARRIER
        sending = asyncio.create_task(self._send())
        try:
            for number in range(self.kills):
                # Spread over the run by what the SMSC has, not by the clock: each kill meets messages under way.
                goal = self.messages * (number + self.random.random()) / (self.kills + 1)
                await _over(partial(self._is_short_of, goal), SETTLE_SECONDS / 3, every=0.002)
                await self._kill(TARGETS[number % len(TARGETS)], log)
                if sending.done():
                    await sending
        finally:
            await sending
        await _over(self._is_open, SETTLE_SECONDS)
        await _over(self._is_reporting, SETTLE_SECONDS / 5)

    def _start(self, command: str, log: int) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "chaos.child", "--", *command.split()],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        self.children.append(Child(command, process))

    async def _until_owned(self) -> int:
        """The process that owns the sessions, once they are bound."""
        async with asyncio.timeout(60):
            while True:
                owner = await db.fetch_value(OWNER)
                if owner is not None and self.centre.connections:
                    return int(owner)
                await asyncio.sleep(0.05)

    async def _send(self) -> None:
        async with unit_of_work():
            workspace, _, _ = await create_workspace("Cohort Labs", credits=2 * self.messages)
        ctx = Context(workspace.id, livemode=True, actor="chaos", services=SERVICES)
        for number in range(self.messages):
            async with unit_of_work():
                await send_message(ctx, SendMessage(_phone(number), f"Message {number}"))

    async def _kill(self, command: str, log: int) -> None:
        """Kill a process that runs, the owner where sessions are meant, and start another in its place."""
        running = [child for child in self.children if child.command == command]
        owner = await self._until_owned() if command == "sessions" else None
        victim = next((child for child in running if child.process.pid == owner), None) or self.random.choice(running)
        victim.process.send_signal(signal.SIGKILL)
        victim.process.wait()
        self.children.remove(victim)
        self.counts.kills[command] += 1
        self._start(command, log)

    async def _is_short_of(self, goal: float) -> bool:
        return len(self.centre.texts) < goal

    async def _is_open(self) -> bool:
        return bool(await db.fetch_value(OPEN))

    async def _is_reporting(self) -> bool:
        """Whether receipts are on their way, or kept and still to be applied to a message that is sent."""
        return self.centre.has_receipts() or bool(await db.fetch_value(KEPT))

    async def _count(self) -> None:
        counts = self.counts
        taken = Counter(self.centre.texts)
        for row in await db.fetch("SELECT id, body, status, carrier_ref, lease_until, error_code FROM messages"):
            times = taken[row.body]
            counts.statuses[row.status if row.error_code is None else f"{row.status} ({row.error_code})"] += 1
            name = f"{row.id} ({row.status}, taken {times} times)"
            if times > 1:
                counts.duplicated.append(name)
            if row.status in ("sent", "delivered") and times == 0:
                counts.ghosts.append(name)
            if row.status not in ("sent", "delivered", "sending") and times > 0:
                counts.secret.append(name)
            if row.status == "sending" and row.lease_until is None:
                counts.unknown_taken += times
                counts.unknown_not_taken += times == 0
            elif row.status not in ("sent", "delivered"):
                counts.waiting += 1
            if row.status == "sent" and row.carrier_ref in self.centre.receipts_taken:
                counts.receipts_lost += not await _is_kept(row.carrier_ref)
        counts.taken = len(self.centre.texts)
        counts.receipts = len(self.centre.receipts_taken)
        counts.binds = self.centre.binds
        if sum(counts.statuses.values()) != self.messages:
            counts.ghosts.append(f"{sum(counts.statuses.values())} messages in place of {self.messages}")


async def _over(is_open: Callable[[], Awaitable[bool]], seconds: float, *, every: float = 0.2) -> None:
    """Wait until something is over, but not for ever."""
    until = time.monotonic() + seconds
    while await is_open() and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(every)


async def _is_kept(ref: str) -> bool:
    found: UUID | None = await db.fetch_value("SELECT id FROM carrier_signals WHERE carrier_ref = $1", ref)
    return found is not None


def _phone(number: int) -> str:
    """A valid US number, spread over area codes."""
    area = ("212", "312", "415", "617", "702")[number % 5]
    return f"+1{area}{5560000 + number // 5}"


def main() -> int:
    """Make a run and print what it came to; 1 if anything was lost or duplicated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="leave the engines' files and the log here")
    options = parser.parse_args()
    directory = options.keep or Path(tempfile.mkdtemp(prefix="msvs-chaos-"))
    directory.mkdir(parents=True, exist_ok=True)
    run = Run(directory, messages=options.messages, kills=options.kills, seed=options.seed)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            counts = runner.run(run.run())
    finally:
        if options.keep is None:
            shutil.rmtree(directory, ignore_errors=True)
    shown = {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(counts).items()}
    for name in ("duplicated", "ghosts", "secret"):
        shown[name] = len(shown[name])
    print(json.dumps(shown, indent=2))
    for violation in [*counts.duplicated, *counts.ghosts, *counts.secret][:10]:
        print(violation)
    return 0 if counts.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
