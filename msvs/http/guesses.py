"""Hold back networks that guess addresses which nobody was given, before the database is asked for more of them."""

from __future__ import annotations

import time
from uuid import UUID, uuid5

from msvs.api.accounts.networks import network_of
from msvs.api.errors import RateLimited
from msvs.api.limits import Bucket, Limiter

NETWORKS = UUID("7c1b7d0e-5f0b-4d0e-9c3a-2a6a8f1f7c11")
MOST_NETWORKS = 10_000


class Guesses:
    """The guesses of one kind of address; `told` is what there was too much of, in the words of the refusal."""

    def __init__(self, limiter: Limiter, told: str) -> None:
        self._limiter = limiter
        self._told = told
        # Networks that guessed too much, and until when, by the monotonic clock, nothing is looked up for them.
        self._held: dict[str, float] = {}

    def check(self, ip: str | None) -> None:
        """Raise RateLimited for a network that guessed too much."""
        network = network_of(ip or "")
        until = self._held.get(network)
        if until is None:
            return
        left = until - time.monotonic()
        if left > 0:
            raise RateLimited(f"Too many {self._told}.", retry_after=max(1, round(left)))
        del self._held[network]

    async def count(self, ip: str | None) -> None:
        """Count an address that does not exist against its network. Raises RateLimited for one too many."""
        network = network_of(ip or "")
        allowance = await self._limiter.take(uuid5(NETWORKS, network), Bucket.STRANGERS)
        if allowance.retry_after is not None:
            if len(self._held) >= MOST_NETWORKS:
                self._held.clear()
            self._held[network] = time.monotonic() + allowance.retry_after
            self.check(ip)
