"""Lane bounds: where a process found nothing due, so that its next look can start after it.

While a transaction elsewhere keeps an old snapshot, as a long dump does, PostgreSQL cannot clear the index entries of
messages that left the queue, and a look for the first due one passes them all. Where full looks are slow, all but one
in a while begin at the bounds of the look before. What comes to lie below a bound waits for the next full look.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

K = TypeVar("K", bound=Hashable)

# A full look that takes so long is made every FULL_SECONDS, or every FULL_SHARE times as long as it takes.
SLOW_SECONDS = 0.02
FULL_SECONDS = 5.0
FULL_SHARE = 20.0
# Quick looks are made where they are so many times as quick; so many slow ones in a row say that they are not.
WORTH = 2.0
MOST_UNWORTHY = 3
# Messages are committed later than they are due: no bound is newer than this.
LAG = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, order=True)
class Bound:
    """A place in the order in which a lane's messages are claimed."""

    due_at: datetime
    id: UUID


NONE = Bound(datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))


class Looks(Generic[K]):
    """The looks of this process for one kind of lane, and the bounds that they leave.

    `is_complete`: a look that does not name a lane found nothing due in it.
    """

    def __init__(self, *, is_complete: bool) -> None:
        self._is_complete = is_complete
        self.forget()

    def forget(self) -> None:
        """Make the next look a full one."""
        self.default = NONE
        self.known: Mapping[K, Bound] = {}
        self.next_full = 0.0
        self._full_seconds = 0.0
        self._quick_seconds = 0.0
        self._unworthy = 0

    @property
    def is_full(self) -> bool:
        """Return whether the next look is a full one."""
        return time.monotonic() >= self.next_full

    def of(self, key: K) -> Bound:
        """Return the bound of a lane."""
        return self.known.get(key, self.default)

    def note(self, seconds: float, moment: datetime, found: Mapping[K, Bound | None], *, is_full: bool) -> None:
        """Take the bounds from a look at a moment, which took so long and found this to be due first in each lane."""
        now = time.monotonic()
        if is_full:
            self._full_seconds = seconds
            # What quick looks took is tried again in the end.
            self._quick_seconds /= 2
            if seconds < max(SLOW_SECONDS, WORTH * self._quick_seconds):
                self.default, self.known = NONE, {}
                return
            self.next_full = now + max(FULL_SECONDS, FULL_SHARE * seconds)
        else:
            self._unworthy = self._unworthy + 1 if WORTH * seconds > self._full_seconds else 0
            if self._unworthy >= MOST_UNWORTHY:
                # They save nothing, as where workspaces are many and each has little.
                self._quick_seconds, self._unworthy, self.next_full = seconds, 0, now
        settled = Bound(moment - LAG, NONE.id)
        self.default = settled if self._is_complete else NONE
        self.known = {key: min(bound or settled, settled) for key, bound in found.items()}


class LaneBounds:
    """The looks of a process for every kind of lane: as many bounds as the last looks found lanes."""

    def __init__(self) -> None:
        # Of single messages and of what is scheduled all is looked at; of campaigns those alone that run at the time.
        self.singles: Looks[tuple[UUID, bool]] = Looks(is_complete=True)
        self.scheduled: Looks[None] = Looks(is_complete=True)
        self.campaigns: Looks[UUID] = Looks(is_complete=False)

    def forget(self) -> None:
        """Make the next looks full ones: this process put something where it may not look."""
        self.singles.forget()
        self.scheduled.forget()
        self.campaigns.forget()
