"""The rate at which a message center accepts PDUs."""

from __future__ import annotations

from typing import Final

# A timer that fires late does not cost pace; a pause longer than this gives no credit.
CATCH_UP_SECONDS: Final = 0.05


class Pacer:
    """Turns, evenly spread: `rate` of them a second, and no burst after a pause."""

    def __init__(self, rate: float) -> None:
        self._interval = 1.0 / rate
        self._next_at = 0.0

    def turn(self, now: float) -> float | None:
        """Take a turn; if there is none yet, none is taken, and this is when there will be."""
        if self._next_at > now:
            return self._next_at
        start = self._next_at if now - self._next_at <= CATCH_UP_SECONDS else now
        self._next_at = start + self._interval
        return None
