"""The processor time that the parts of a deployment take, as Linux tells it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

TICKS = os.sysconf("SC_CLK_TCK")
# Of a process's line: its own time in user and kernel mode, and that of the children that ended.
OWN, ENDED = slice(11, 13), slice(13, 15)


class Clock:
    """Seconds of processor time that groups of processes, and those that they start, take from now on."""

    def __init__(self, groups: Mapping[str, Sequence[int]]) -> None:
        self._groups = groups
        self._before = {name: seconds_of(pids) for name, pids in groups.items()}
        self._machine = busy_seconds()
        self._started = monotonic()

    def read(self) -> dict[str, float]:
        """Return the seconds of each group, those that passed (`wall`), and those of all else here (`others`)."""
        spent = {name: seconds_of(pids) - self._before[name] for name, pids in self._groups.items()}
        spent["others"] = max(0.0, busy_seconds() - self._machine - sum(spent.values()))
        spent["wall"] = monotonic() - self._started
        return spent


def seconds_of(pids: Iterable[int]) -> float:
    """Return the processor time of processes, of those that they started, and of those of these that ended."""
    return sum(sum(times(each)) for pid in pids for each in tree(pid)) / TICKS


def times(pid: int) -> tuple[int, int]:
    """Return the ticks of a process and of its children that ended; none if it ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, numbers[OWN])), sum(map(int, numbers[ENDED]))
    return 0, 0


def tree(pid: int) -> Iterator[int]:
    """Yield a process and those that it started, and so on."""
    yield pid
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from tree(int(child))


def busy_seconds() -> float:
    """Return the processor time that all processes of the machine have taken, those of other machines on it too."""
    user, nice, system, _idle, _waiting, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / TICKS


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))
