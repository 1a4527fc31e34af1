"""Create the partitions of the months ahead and drop expired ones, without blocking traffic.

Anyone who waits for a table to itself has everybody behind it wait too, and a `pg_dump` keeps its tables for hours. So
what a transaction has used for a while is left for LATER without being asked for; what only short ones use is asked for
a few milliseconds at a time.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import asyncpg
import structlog

from msvs import database
from msvs.api import ids
from msvs.api.unit_of_work import in_unit_of_work
from msvs.database import execute, fetch, fetch_value
from msvs.settings import Settings

log = structlog.get_logger(__name__)

# Of the owner of the tables, for as long as a step takes.
CONNECTIONS = 1
PARTITIONED = ("messages", "message_attempts", "events", "webhook_attempts")
# How many months have their partitions, with the present one.
MONTHS_AHEAD = 3
EPOCH = datetime.fromtimestamp(0, UTC)
# A transaction that uses a table at two looks so far apart uses it for long.
LOOK_AGAIN_SECONDS = 0.5
LATER = timedelta(minutes=10)
# What traffic may have to wait for, at most, and how often in how long a time.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '20ms'"
# Where this process is stopped while it has a table to itself, traffic waits no longer than this.
STUCK_TIMEOUT = "SET LOCAL idle_in_transaction_session_timeout = '1s'"
TRIES = 10
PAUSE_SECONDS = 0.1

FIND_LOCK_HOLDERS = """
SELECT DISTINCT virtualtransaction AS transaction FROM pg_locks
WHERE locktype = 'relation' AND granted AND pid <> pg_backend_pid()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND relation IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name)
"""
CHILDREN = """
SELECT relname AS name FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = $1::regclass
ORDER BY relname
"""
FIND_STORAGE = "SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = $1::regclass"
CREATE_CHILD = """
CREATE TABLE {child} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES INCLUDING STORAGE
    INCLUDING COMMENTS) WITH ({storage})
"""
# What ATTACH and DROP ask for, in the order in which traffic does.
SHARE_PARENT = "LOCK TABLE ONLY {table} IN SHARE UPDATE EXCLUSIVE MODE"
LOCK_PARENT = "LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE"
LOCK_DEFAULT = "LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE"
LOCK_CHILD = "LOCK TABLE {child} IN ACCESS EXCLUSIVE MODE"
HAS_ROWS = "SELECT EXISTS (SELECT FROM {table}_default)"
# Rows of a month that has no partition yet.
HAS_EARLY = """
SELECT EXISTS (SELECT FROM {table}_default WHERE id >= id_floor($1::timestamptz) AND id < id_floor($2::timestamptz))
"""
# Not through the parent, whose triggers have counted these rows.
MOVE_ROWS = """
WITH gone AS (
    DELETE FROM {table}_default WHERE id >= id_floor($1::timestamptz) AND id < id_floor($2::timestamptz) RETURNING *
)
INSERT INTO {child} SELECT * FROM gone
"""
# With it, ATTACH need not read the default partition, which may hold millions of rows of other months.
EXCLUDE = "ALTER TABLE {table}_default ADD CONSTRAINT {child}_apart CHECK (id < '{low}' OR id >= '{high}') NOT VALID"
VALIDATE = "ALTER TABLE {table}_default VALIDATE CONSTRAINT {child}_apart"
INCLUDE = "ALTER TABLE {table}_default DROP CONSTRAINT IF EXISTS {child}_apart"
DROP = "DROP TABLE {child}"
ATTACH_CHILD = "ALTER TABLE {table} ATTACH PARTITION {child} FOR VALUES FROM ('{low}') TO ('{high}')"

# The oldest message of the months to be dropped that may yet be sent.
FIND_UNSENT = """
SELECT id FROM messages WHERE id < id_floor($1::timestamptz) AND status IN ('scheduled', 'queued', 'sending')
ORDER BY id LIMIT 1
"""


@dataclass
class Upkeep:
    """What this process knows: until when partitions, and the months of open messages, are left alone."""

    not_before: datetime = EPOCH
    look_at: datetime = EPOCH


@dataclass(frozen=True, slots=True)
class Step:
    """A partition to make, of the months `low` to `high`, or to drop."""

    table: str
    child: str
    months: tuple[datetime, datetime] | None = None

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that traffic uses and the step needs to itself."""
        return (f"{self.table}_default",) if self.months else (self.table, f"{self.table}_default", self.child)


async def roll_partitions(settings: Settings, upkeep: Upkeep | None = None) -> int:
    """Make the partitions that are missing and drop those past their retention. Return how many of both.

    Where nothing is to be done no lock is taken. Messages that are yet to be sent keep their month.
    """
    now = await database.now()
    upkeep = upkeep or Upkeep()
    steps = [step for table in PARTITIONED for step in await _find_steps(table, settings, now)]
    if not steps or now < upkeep.not_before:
        return 0
    if settings.migrations_database_url is None:
        return await _take(steps, upkeep, now)
    # Only the owner of the tables may; the connection is there for as long as it takes.
    async with database.connected(settings.migrations_database_url, pool_size=CONNECTIONS, is_inner=True):
        return await _take(steps, upkeep, now)


async def _take(steps: Sequence[Step], upkeep: Upkeep, now: datetime) -> int:
    busy = await _in_use_for_long({name for step in steps for name in step.tables})
    done = 0
    for step in steps:
        try:
            if busy.isdisjoint(step.tables):
                await (_make(step, now) if step.months else _drop(step))
                done += 1
        except asyncpg.LockNotAvailableError:
            busy |= set(step.tables)
    if busy:
        upkeep.not_before = now + LATER
        log.warning("partitions left for later: their tables are in use", tables=sorted(busy))
    return done


async def _find_steps(table: str, settings: Settings, now: datetime) -> list[Step]:
    there = [row.name for row in await fetch(CHILDREN, table)]
    following = [_month_after(_month_start(now), months) for months in range(MONTHS_AHEAD + 1)]
    ahead = [Step(table, f"{table}_{low:%Y_%m}", (low, high)) for low, high in pairwise(following)]
    oldest = _month_after(_month_start(now), -_months_kept(table, settings))
    old = _older(table, there, oldest)
    if old and table == "messages" and (unsent := await fetch_value(FIND_UNSENT, oldest)) is not None:
        old = _older(table, old, ids.id_time(unsent))
    return [step for step in ahead if step.child not in there] + [Step(table, name) for name in old]


def _months_kept(table: str, settings: Settings) -> int:
    if table in ("messages", "events"):
        return settings.message_months if table == "messages" else settings.event_months
    return settings.attempt_months


def _older(table: str, names: Sequence[str], moment: datetime) -> list[str]:
    """Return the partitions of the months before that of `moment`."""
    return [n for n in names if re.fullmatch(table + "_[0-9]{4}_[0-9]{2}", n) and n < f"{table}_{moment:%Y_%m}"]


async def _in_use_for_long(tables: Iterable[str]) -> set[str]:
    """Return the tables that one transaction used at both of two looks."""
    first = {name: {row.transaction for row in await fetch(FIND_LOCK_HOLDERS, [name])} for name in tables}
    if not any(first.values()):
        return set()
    await asyncio.sleep(LOOK_AGAIN_SECONDS)
    held = [name for name, holders in first.items() if holders]
    return {name for name in held if first[name] & {row.transaction for row in await fetch(FIND_LOCK_HOLDERS, [name])}}


async def _make(step: Step, now: datetime) -> None:
    assert step.months is not None
    low, high = step.months
    names = await _names(step, low, high)
    # Of the present month rows may be on their way to the default partition, of the others some may be there already.
    is_early = low <= now or await fetch_value(HAS_EARLY.format(**names), low, high)
    if is_early:
        # Who writes waits at the parent, and finds its month afterwards.
        return await _run([CREATE_CHILD, LOCK_PARENT, LOCK_DEFAULT, MOVE_ROWS, ATTACH_CHILD], names, (low, high))
    is_apart = bool(await fetch_value(HAS_ROWS.format(**names)))
    if is_apart:
        await _run([LOCK_DEFAULT, INCLUDE, EXCLUDE], names)
    try:
        if is_apart:
            await _run([VALIDATE], names)
        await _run([CREATE_CHILD, SHARE_PARENT, LOCK_DEFAULT, ATTACH_CHILD, INCLUDE], names)
    except asyncpg.LockNotAvailableError:
        if is_apart:
            # Not left in the way of what might yet come there for want of a partition.
            await _run([LOCK_DEFAULT, INCLUDE], names)
        raise


async def _drop(step: Step) -> None:
    names = {"table": step.table, "child": step.child}
    await _run([LOCK_PARENT, LOCK_DEFAULT, LOCK_CHILD, DROP], names)


async def _names(step: Step, low: datetime, high: datetime) -> dict[str, str]:
    bounds = [await fetch_value("SELECT id_floor($1::timestamptz)::text", moment) for moment in (low, high)]
    storage = await fetch_value(FIND_STORAGE, f"{step.table}_default") or "fillfactor = 100"
    return {"table": step.table, "child": step.child, "storage": storage, "low": bounds[0], "high": bounds[1]}


async def _run(statements: Sequence[str], names: Mapping[str, str], moved: Sequence[datetime] = ()) -> None:
    """Run statements in a transaction that waits for locks but briefly; again, a few times, where it had to."""

    async def run() -> None:
        await execute(LOCK_TIMEOUT)
        await execute(STUCK_TIMEOUT)
        for statement in statements:
            await execute(statement.format(**names), *(moved if statement is MOVE_ROWS else ()))

    for _ in range(TRIES - 1):
        try:
            await in_unit_of_work(run)
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(random.uniform(0, 2 * PAUSE_SECONDS))  # noqa: S311
        else:
            return
    await in_unit_of_work(run)


def _month_start(moment: datetime) -> datetime:
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _month_after(moment: datetime, months: int) -> datetime:
    """Return the same time so many months later, of a day that every month has."""
    years, month = divmod(moment.month - 1 + months, 12)
    return moment.replace(year=moment.year + years, month=month + 1)
