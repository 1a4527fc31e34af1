"""Look for due rows without passing those that are done: each process remembers where its last look started.

What left a queue stays in the queue's index until a vacuum, and for as long as any transaction keeps an old snapshot; a
look for the first row that is due passes all of it. So a look begins where the one before it found the first row. What
comes to lie before that, because it was committed late or was put back, is found by the next full look.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypeVar, cast
from uuid import UUID

from msvs.database import fetch

K = TypeVar("K")

# A full look is made every FULL_SECONDS, or every FULL_SHARE times as long as it takes.
FULL_SECONDS = 5.0
FULL_SHARE = 20.0
# Rows are committed later than they are due: no look begins later than this before its time.
LAG = timedelta(seconds=2)
# Lies before every id.
LEAST_ID = f"'{UUID(int=0)}'"
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
# How long a key with nothing that waits is remembered, and how many keys are.
KEPT_SECONDS = 600.0
MOST_KEYS = 1000


class Due(Protocol):
    """A row that is due at a time."""

    @property
    def due_at(self) -> datetime: ...


D = TypeVar("D", bound=Due)
R = TypeVar("R")


class Pace:
    """Tells when the next full look is: at `next_full` of the monotonic clock."""

    def __init__(self) -> None:
        self.next_full = 0.0

    @property
    def is_full(self) -> bool:
        """Return whether the next look is a full one."""
        return time.monotonic() >= self.next_full

    def note(self, seconds: float) -> None:
        """Note how long a full look took."""
        self.next_full = time.monotonic() + max(FULL_SECONDS, FULL_SHARE * seconds)


class InOrder:
    """The looks of a process at a queue whose rows are taken in the order of their times."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Make the next look a full one."""
        self._since = BEGINNING
        self.pace = Pace()

    async def find(self, now: datetime, search: Callable[[datetime], Awaitable[Sequence[D]]]) -> Sequence[D]:
        """Return what a search finds that begins at the time it is passed."""
        return await self.find_by(now, search, lambda row: row.due_at)

    async def find_by(
        self, now: datetime, search: Callable[[datetime], Awaitable[Sequence[R]]], time_of: Callable[[R], datetime]
    ) -> Sequence[R]:
        """Return what a search finds that begins at the time it is passed, of rows whose times `time_of` tells."""
        is_full, began = self.pace.is_full, time.monotonic()
        rows = await search(BEGINNING if is_full else self._since)
        if is_full:
            self.pace.note(time.monotonic() - began)
        self._since = min([now - LAG, *map(time_of, rows)])
        return rows


class Taking:
    """The takes of a process from a queue that loses all it finds: each begins where the one before it ended."""

    def __init__(self) -> None:
        self._since = BEGINNING
        self.pace = Pace()

    async def take(self, search: Callable[[datetime], Awaitable[Sequence[datetime]]]) -> int:
        """Take what a search takes that begins at the time it is passed, and returns its times. Return how many."""
        is_full, began = self.pace.is_full, time.monotonic()
        times = await search(BEGINNING if is_full else self._since)
        if is_full:
            self.pace.note(time.monotonic() - began)
        self._since = max(times, default=self._since)
        return len(times)


@dataclass(frozen=True, slots=True)
class Queue:
    """A table whose rows wait by a key: `waits` is the condition of its partial index, on the key and then the time."""

    table: str
    key: str
    key_type: str
    # Lies before every key.
    least: str
    # As the index has it; {time} in `bound` stands for a time to compare it with.
    time: str
    due_at: str
    waits: str
    bound: str = "{time}"


# Keys that are not known are found by hopping, in the gaps between those that are: its cost is the number of keys.
FIRST_OF_EACH = """
WITH RECURSIVE known AS MATERIALIZED (
    SELECT key, since FROM unnest($1::{key_type}[], $2::timestamptz[]) AS known (key, since)
), gaps AS MATERIALIZED (
    SELECT key AS after, lead(key) OVER (ORDER BY key) AS before
    FROM (SELECT key FROM known UNION ALL SELECT {least}::{key_type}) AS bounds
), waiting AS MATERIALIZED (
    SELECT key, since FROM known
    UNION ALL
    SELECT found.key, '{beginning}'::timestamptz FROM gaps CROSS JOIN LATERAL (
        WITH RECURSIVE hops AS (
            SELECT gaps.after AS key
            UNION ALL
            SELECT following.key FROM hops CROSS JOIN LATERAL (
                (SELECT {key} AS key FROM {table} WHERE {waits} AND gaps.before IS NOT NULL
                    AND {key} > hops.key AND {key} < gaps.before ORDER BY {key} LIMIT 1)
                UNION ALL
                (SELECT {key} FROM {table} WHERE {waits} AND gaps.before IS NULL AND {key} > hops.key
                    ORDER BY {key} LIMIT 1)
            ) AS following
        )
        SELECT key FROM hops WHERE key <> gaps.after
    ) AS found
)
SELECT waiting.key, first.due_at FROM waiting LEFT JOIN LATERAL (
    SELECT {due_at} AS due_at FROM {table} WHERE {waits} AND {key} = waiting.key AND {time} >= {since}
    ORDER BY {time} LIMIT 1
) AS first ON true
"""


class _First(Protocol):
    key: object
    due_at: datetime | None


def statement_of(queue: Queue) -> str:
    """Return the statement that finds the first row of each key; its values follow the known keys and their times."""
    return FIRST_OF_EACH.format(
        key_type=queue.key_type,
        least=queue.least,
        beginning=BEGINNING.isoformat(),
        key=queue.key,
        table=queue.table,
        waits=queue.waits,
        time=queue.time,
        due_at=queue.due_at,
        since=queue.bound.format(time="waiting.since"),
    )


class ByKey(Generic[K]):
    """The looks of a process at a queue whose rows wait by a key, such as their receiver."""

    def __init__(self) -> None:
        self.pace = Pace()
        self._since: dict[K, datetime] = {}
        # When something waited for a key last, those longest ago first.
        self._waited: dict[K, float] = {}

    @property
    def is_full(self) -> bool:
        """Return whether the next look is a full one."""
        return self.pace.is_full

    async def find(
        self, now: datetime, statement: str, *values: object, likely: Collection[K] = ()
    ) -> Mapping[K, datetime]:
        """Return the keys for which rows wait, each with the time of its first row.

        `likely` names keys that had rows of late: what those left behind is passed by full looks alone.
        """
        is_full, began = self.pace.is_full, time.monotonic()
        known = dict.fromkeys([*self._since, *likely], BEGINNING) if is_full else dict(self._since)
        rows = await fetch(_First, statement, list(known), list(known.values()), *values)
        if is_full:
            self.pace.note(time.monotonic() - began)
        self._remember(rows, now - LAG)
        return {cast("K", row.key): row.due_at for row in rows if row.due_at is not None}

    def _remember(self, rows: Sequence[_First], settled: datetime) -> None:
        moment = time.monotonic()
        for row in rows:
            key = cast("K", row.key)
            self._since[key] = min(row.due_at or settled, settled)
            if row.due_at is not None or key not in self._waited:
                self._waited.pop(key, None)
                self._waited[key] = moment
        for key, waited in list(self._waited.items()):
            if moment - waited < KEPT_SECONDS and len(self._waited) <= MOST_KEYS:
                break
            del self._waited[key], self._since[key]
