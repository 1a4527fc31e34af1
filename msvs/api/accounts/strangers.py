"""Hold back networks that try secrets which do not exist, before the database is asked for more of them.

API keys have their own (auth.py), beside what is remembered of each key.
"""

from __future__ import annotations

from time import monotonic

from msvs.api.accounts.networks import network_of
from msvs.api.limits import LocalBuckets, Rate

# Unknown secrets a network may try: as many at once, and so many a second.
RATE = Rate(1, 100)
MAX_REMEMBERED = 20_000


class Strangers:
    """The tries of one kind of secret in this process, and the digests of those that were found.

    What was found works on, regardless of what else comes from its network.
    """

    def __init__(self) -> None:
        self.tries = LocalBuckets(monotonic)
        self._found: dict[str, None] = {}

    def seconds_to_wait(self, digest: str, ip: str) -> int | None:
        """Count a secret that is about to be looked up; the seconds to wait for a network that tried too many."""
        if digest in self._found:
            return None
        return self.tries.take(network_of(ip), RATE, 1).retry_after

    def settle(self, digest: str, ip: str | None, *, is_found: bool) -> None:
        """Note what came of it: a secret that exists costs its network nothing. `ip` is None if it was not counted."""
        if not is_found:
            self._found.pop(digest, None)
        elif digest not in self._found:
            if ip is not None:
                self.tries.take(network_of(ip), RATE, -1)
            if len(self._found) >= MAX_REMEMBERED:
                self._found.clear()
            self._found[digest] = None


class SessionStrangers(Strangers):
    """Of the sessions of users."""


class OperatorStrangers(Strangers):
    """Of the sessions of operators."""
