"""Memory of processes, as Linux tells it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


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
