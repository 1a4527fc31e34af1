"""Budgets of webhook hosts: the posts at once and in a second, over all workspaces."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from yarl import URL

from msvs.api.context import Rates

# So many hosts are remembered; those that have nothing on its way are forgotten first.
REMEMBERED = 10_000


@dataclass(slots=True)
class _Budget:
    in_flight: int = 0
    tokens: float = 0.0
    filled_at: float = float("-inf")


@dataclass(slots=True)
class HostBudgets:
    """The posts of a process by host: how many are on their way, and how many may begin now. It outlives its jobs."""

    now: Callable[[], float] = time.monotonic
    _known: dict[str, _Budget] = field(default_factory=dict)

    def seconds_to_wait(self, host: str, rates: Rates) -> float | None:
        """Return seconds until a post may begin by the rate, 0 for now; None if one of those under way must end."""
        budget = self._of(host)
        if budget.in_flight >= rates.host_at_once:
            return None
        # A tenth of a second's posts may begin together.
        most = max(1.0, rates.host_per_second / 10)
        now = self.now()
        budget.tokens = min(most, budget.tokens + (now - budget.filled_at) * rates.host_per_second)
        budget.filled_at = now
        # Rounding must not have a post wait for nothing.
        return 0.0 if budget.tokens >= 1 - 1e-6 else (1 - budget.tokens) / rates.host_per_second

    def begin(self, host: str) -> None:
        """Note that a post begins."""
        budget = self._of(host)
        budget.in_flight += 1
        budget.tokens -= 1

    def end(self, host: str) -> None:
        """Note that a post has ended."""
        self._of(host).in_flight -= 1

    def _of(self, host: str) -> _Budget:
        budget = self._known.pop(host, None) or _Budget()
        self._known[host] = budget
        if len(self._known) > REMEMBERED:
            idle = next((name for name, each in self._known.items() if not each.in_flight), host)
            if idle != host:
                del self._known[idle]
        return budget


@lru_cache(maxsize=4096)
def host_of(url: str) -> str:
    """Return the host of a URL in its one spelling."""
    return (URL(url).raw_host or "").lower().removesuffix(".")
