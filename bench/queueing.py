"""A simulation of processes that share processors, queue for one another, and wait for disks."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from itertools import count

Then = Callable[[], None]


class Machine:
    """Processors that all who run share in equal parts, none more than one of them each."""

    def __init__(self, cores: float) -> None:
        self.cores = cores
        self.now = 0.0
        # All who run advance at one speed, so the work that each has done since the start is one number.
        self._work = 0.0
        self._running: list[tuple[float, int, Then]] = []
        self._timers: list[tuple[float, int, Then]] = []
        self._numbers = count()

    def compute(self, seconds: float, then: Then) -> None:
        """Take so much processor time."""
        heapq.heappush(self._running, (self._work + seconds, next(self._numbers), then))

    def wait(self, seconds: float, then: Then) -> None:
        """Let time pass, as a disk or a clock does."""
        heapq.heappush(self._timers, (self.now + seconds, next(self._numbers), then))

    def run(self, is_over: Callable[[], bool]) -> float:
        """Run until it is over; the seconds that passed. Raises RuntimeError where nothing happens any more."""
        while not is_over():
            speed = min(1.0, self.cores / len(self._running)) if self._running else 1.0
            ends = self.now + (self._running[0][0] - self._work) / speed if self._running else math.inf
            rings = self._timers[0][0] if self._timers else math.inf
            if math.isinf(min(ends, rings)):
                raise RuntimeError("nothing is left to happen")
            self._work += (min(ends, rings) - self.now) * speed
            self.now = min(ends, rings)
            if ends <= rings:
                self._work = self._running[0][0]
                heapq.heappop(self._running)[2]()
            else:
                heapq.heappop(self._timers)[2]()
        return self.now


class Process:
    """A process of one thread: what it is asked to do, it does one after the other."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._waiting: deque[tuple[float, Then]] = deque()
        self._is_busy = False

    def do(self, seconds: float, then: Then) -> None:
        """Take so much processor time, after all that was asked before."""
        self._waiting.append((seconds, then))
        if not self._is_busy:
            self._next()

    def _next(self) -> None:
        self._is_busy = bool(self._waiting)
        if self._is_busy:
            seconds, then = self._waiting.popleft()

            def done() -> None:
                then()
                self._next()

            self._machine.compute(seconds, done)
