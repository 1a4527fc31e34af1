"""Memory of processes, as Linux tells it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bench.engines import Bench

# How often the memory of a process is looked at.
SAMPLE_SECONDS = 0.1


def run_apart(place: Bench, module: str) -> tuple[float, float]:
    """Run a module with the URL of the database in a process of its own.

    Return the seconds that it prints last, and the most kilobytes that it and its children had at one time.
    """
    argv = [sys.executable, "-m", module, place.database_url]
    most = 0.0
    with subprocess.Popen(argv, env=place.environment(), stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            most = max(most, sum(map(resident, tree(process.pid))))
            time.sleep(SAMPLE_SECONDS)
        assert process.stdout is not None, "it is a pipe"
        told = process.stdout.read()
    if process.returncode:
        raise RuntimeError(f"{module} ended with {process.returncode}")
    return float(told.split()[-1]), most


def tree(pid: int) -> Iterator[int]:
    """Yield a process and those that it started, and so on."""
    yield pid
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from tree(int(child))


def resident(pid: int) -> float:
    """Return the kilobytes of memory that a process has; 0 if it ended.

    What it shares with another process counts for both. A child that just began still counts as its parent's size where
    `getrusage` is asked, which is why it is not.
    """
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return float(line.split()[1])
    return 0.0
