"""The killer: ends, cuts, swallows and stops at random, but repeatably by seed, and only what it was given."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from chaos.proxy import Proxy

PROCESSES = (
    "worker messages",
    "worker campaigns",
    "worker reports",
    "worker webhooks",
    "worker maintenance",
    "api",
    "cron",
)
# Kind of kill → how often, beside the others.
KILLS = {
    "worker messages": 8,
    "worker campaigns": 3,
    "worker reports": 3,
    "worker webhooks": 3,
    "worker maintenance": 3,
    "api": 3,
    "cron": 2,
    "valkey": 2,
    "valkey emptied": 2,
    "postgresql": 3,
}
FAULTS = ("cut postgresql", "cut valkey", "swallow postgresql", "swallow valkey", "slow postgresql", "stop a process")


@dataclass
class Killer:
    """What may be killed: the children of the process `service`, and what passes through the proxies."""

    service: int
    data_dir: Path
    proxies: dict[str, Proxy]
    log: Path
    seed: int
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self, *, kills: int, seconds: float) -> None:
        """Make `kills` kills over about `seconds`, each kind once if there are enough, with other faults between."""
        plan = list(KILLS)
        self.random.shuffle(plan)
        plan = (plan + self.random.choices(list(KILLS), list(KILLS.values()), k=kills))[:kills]
        faults = 0
        for number, kind in enumerate(plan):
            await asyncio.sleep(seconds / kills * self.random.uniform(0.5, 1.5))
            await self._kill(kind)
            if number % 3 == 2:
                fault = FAULTS[faults % len(FAULTS)]
                faults += 1
                task = asyncio.create_task(self._break(fault))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
        await asyncio.gather(*self.tasks)

    async def _kill(self, kind: str) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            pids = self._pids(kind)
            if pids:
                if kind == "valkey emptied":
                    for path in (self.data_dir / "valkey" / "data").glob("*"):
                        shutil.rmtree(path, ignore_errors=True)
                with suppress(ProcessLookupError):
                    os.kill(self.random.choice(pids), signal.SIGKILL)
                    self._note(kind)
                    return
            await asyncio.sleep(0.1)

    async def _break(self, fault: str) -> None:
        what, _, where = fault.partition(" ")
        self._note(fault)
        if what == "cut":
            self.proxies[where].cut()
        elif what == "swallow":
            await self.proxies[where].black_hole(self.random.uniform(1, 4))
        elif what == "slow":
            await self.proxies[where].slow(self.random.uniform(2, 5), delay=self.random.uniform(0.02, 0.15))
        else:
            await self._stop_for_a_while(self.random.choice(PROCESSES), self.random.uniform(1, 3))

    async def stop_each(self, seconds: float) -> None:
        """Stop a process of each kind, one after the other, at any point, and let it go on after `seconds`."""
        kinds = [kind for kind in PROCESSES if kind != "api"]
        self.random.shuffle(kinds)
        for kind in kinds:
            self._note(f"stop {kind}")
            await self._stop_for_a_while(kind, seconds)
            await asyncio.sleep(self.random.uniform(0.1, 0.5))

    async def _stop_for_a_while(self, kind: str, seconds: float) -> None:
        pids = self._pids(kind)
        if pids:
            pid = self.random.choice(pids)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                try:
                    await asyncio.sleep(seconds)
                finally:
                    # Stopped, it cannot have gone and left its number to another; killed, it is gone.
                    if pid in self._pids(kind):
                        os.kill(pid, signal.SIGCONT)

    def _pids(self, kind: str) -> list[int]:
        """The service's own children of this kind."""
        found = []
        for pid in children_of(self.service):
            command = _command(pid)
            if kind in PROCESSES:
                matches = command.endswith(f"-- {kind}")
            elif kind.startswith("valkey"):
                matches = "valkey-server" in command
            else:
                matches = "bin/postgres" in command
            if matches and (kind in PROCESSES or str(self.data_dir) in command):
                found.append(pid)
        return found

    def _note(self, kind: str) -> None:
        self.counts[kind] += 1
        with self.log.open("a") as log:
            log.write(json.dumps({"at": time.time(), "kind": kind}) + "\n")

    @property
    def killed(self) -> int:
        """How many processes were killed."""
        return sum(number for kind, number in self.counts.items() if kind in KILLS)


def children_of(pid: int) -> list[int]:
    """The processes whose parent is `pid`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == pid and fields[0] != "Z":
                    found.append(int(entry.name))
    return found


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    return ""
