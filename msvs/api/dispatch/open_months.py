"""The range of ids of open messages, so that dispatch reads the partitions of a few months only.

Open are those that wait, are handed over, or wait for their report.

Ids are UUIDv7, so a range of ids is a range of time. Maintenance finds the range; a range that is too wide costs time,
and one that is too narrow, because a clock was wrong by more than a day, is put right by the next maintenance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from msvs.api.ids import id_at
from msvs.api.unit_of_work import unit_of_work
from msvs.database import execute, fetch, fetch_row, fetch_value
from msvs.database import now as clock

# How far clocks may differ, and how old an id may be when its row is committed.
MARGIN = timedelta(days=1)
# The milliseconds of the year 9000: a later id is not one of ours.
NO_TIME = 221_845_392_000_000


@dataclass(frozen=True, slots=True)
class IdRange:
    """The ids made in whole months, from `since` on and before `until`; None is without an end."""

    since: datetime | None = None
    until: datetime | None = None

    def of(self, table: str) -> str:
        """Return the condition on the ids of a partitioned table.

        It is made of literals, which prune partitions from every plan, and changes but once a month, so that a
        statement stays prepared. Each bound is an array of one: as a plain pair the planner takes them, in a month it
        has no statistics of yet, for so few rows that it reads the whole month to find a batch by its ids.
        """
        bounds = ((">=", self.since), ("<", self.until))
        found = (f"{table}.id {sign} ANY (ARRAY['{id_at(day)}'::uuid])" for sign, day in bounds if day is not None)
        return " AND ".join(found) or "true"


EVERYWHERE = IdRange()

LOOK = """
SELECT moment, open_months.since, open_months.until
FROM clock_timestamp() AS moment LEFT JOIN open_months ON true
"""

PARTITIONS = """
SELECT relname AS name FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'messages'::regclass ORDER BY relname
"""

# Each by the partial index of its kind, whose entries are few where a month is settled.
IS_OPEN = """
SELECT EXISTS (SELECT FROM {table} WHERE status = 'queued' AND campaign_id IS NULL)
    OR EXISTS (SELECT FROM {table} WHERE status = 'queued' AND campaign_id IS NOT NULL)
    OR EXISTS (SELECT FROM {table} WHERE status = 'scheduled') OR EXISTS (SELECT FROM {table} WHERE status = 'sending')
    OR EXISTS (SELECT FROM {table} WHERE status = 'sent' AND delivery IS NULL)
"""

STORE_OPEN_MONTHS = """
INSERT INTO open_months (since, until) VALUES ($1, $2)
ON CONFLICT (is_only) DO UPDATE SET since = excluded.since, until = excluded.until
WHERE (open_months.since, open_months.until) IS DISTINCT FROM (excluded.since, excluded.until)
"""


async def look() -> tuple[datetime, IdRange]:
    """Return the time by PostgreSQL's clock and the range of ids of open messages."""
    row = await fetch_row(LOOK)
    assert row is not None
    if row.since is None:
        return row.moment, EVERYWHERE
    tomorrow = _month_start(row.moment + MARGIN, 1)
    return row.moment, IdRange(row.since, max(row.until or tomorrow, tomorrow))


def months_of(ids: Iterable[UUID]) -> IdRange:
    """Return the range of the months in which these ids were made; of none, or of what is no time, everywhere."""
    times = [value.int >> 80 for value in ids]
    if not times or max(times) >= NO_TIME:
        return EVERYWHERE
    first, last = (datetime.fromtimestamp(moment / 1000, UTC) for moment in (min(times), max(times)))
    return IdRange(_month_start(first), _month_start(last, 1))


def within(statement: str, message_ids: Iterable[UUID]) -> str:
    """Return a statement on these messages that opens the partitions of their months only.

    `{in_months}` stands for the condition on the ids of messages, `{in_attempts}` for the one on their attempts' ids.
    """
    return between(statement, months_of(message_ids))


def between(statement: str, months: IdRange) -> str:
    """Return a statement on messages of these months that opens no partition but theirs and their attempts'."""
    since = months.since and _month_start(months.since - MARGIN)
    attempts = IdRange(since, None if since is None else _month_start(datetime.now(UTC) + MARGIN, 1))
    return statement.format(in_months=months.of("messages"), in_attempts=attempts.of("message_attempts"))


def recent(moment: datetime, message_ids: Iterable[UUID] = ()) -> IdRange:
    """Return the months since a moment, and those of messages that were made before; without an end."""
    named = months_of(message_ids).since
    since = _month_start(moment - MARGIN)
    return IdRange(since if named is None else min(since, named))


async def find_open_months() -> int:
    """Find the range of ids of open messages again; 1 if it changed."""
    now = await clock()
    names = [row.name for row in await fetch(PARTITIONS)]
    if "messages_default" in names and await _is_open("messages_default"):
        return await execute("DELETE FROM open_months")
    months = {first: name for name in names if (first := _first_day(name)) is not None}
    today = _month_start(now - MARGIN)
    since = await _find_open([first for first in sorted(months) if first < today], months) or today
    ahead = await _find_open([first for first in sorted(months, reverse=True) if first > now + MARGIN], months)
    return await execute(STORE_OPEN_MONTHS, since, ahead and _month_start(ahead, 1))


async def _find_open(firsts: Sequence[datetime], months: dict[datetime, str]) -> datetime | None:
    for first in firsts:
        if await _is_open(months[first]):
            return first
    return None


async def _is_open(table: str) -> bool:
    async with unit_of_work():
        await execute("SET LOCAL enable_seqscan = off")
        # A partition that was dropped meanwhile holds nothing.
        if await fetch_value("SELECT to_regclass($1) IS NULL", table):
            return False
        return bool(await fetch_value(IS_OPEN.format(table=table)))


def _first_day(name: str) -> datetime | None:
    """Return the first day of the month that a partition is named after."""
    try:
        return datetime.strptime(name.removeprefix("messages_"), "%Y_%m").replace(tzinfo=UTC)
    except ValueError:
        return None


def _month_start(moment: datetime, after: int = 0) -> datetime:
    """Return the start of the month of a moment, or of one so many months later."""
    years, month = divmod(moment.astimezone(UTC).month - 1 + after, 12)
    return datetime(moment.astimezone(UTC).year + years, month + 1, 1, tzinfo=UTC)
