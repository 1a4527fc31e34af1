"""Retention: delete what is past its keeping, a little at a time, so that half of the time is left to traffic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from msvs import database
from msvs.api import ids
from msvs.api.accounts import login_sessions
from msvs.api.contacts import import_jobs
from msvs.api.context import Services
from msvs.api.messages import export_jobs
from msvs.api.unit_of_work import in_unit_of_work
from msvs.database import fetch
from msvs.looks import Taking
from msvs.settings import Settings
from msvs.workers.retrying import Failures
from msvs.workers.stopping import StopFlag

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a table's rows are kept. `age` is the indexed column by which they are found; $1 of `condition` is when.

    `is_id`: their ids tell their age. None stands for `MSVS_AUTHENTICATION_DAYS`. `locks`: rows that another process
    holds are left for later.
    """

    table: str
    age: str
    keeping: timedelta | None = timedelta(0)
    condition: str = "true"
    is_id: bool = False
    locks: bool = True


# What is partitioned goes by whole months instead; the ledger and the history of consent stay.
RETENTION: Mapping[str, Retention] = {
    "idempotency_records": Retention("idempotency_records", "created_at", DAY),
    # A delivery is no older than its event, whose id tells its age and has an index.
    "webhook_deliveries": Retention(
        "webhook_deliveries", "event_id", 30 * DAY, "state <> 'pending' AND created_at < $1", is_id=True
    ),
    "webhook_sequences": Retention("webhook_sequences", "event_id", 30 * DAY, is_id=True),
    "api_requests": Retention("api_requests", "id", 7 * DAY, is_id=True),
    "notifications": Retention("notifications", "id", 90 * DAY, is_id=True),
    "list_syncs": Retention("list_syncs", "id", 90 * DAY, "status NOT IN ('queued', 'running', 'held')", is_id=True),
    "hook_deliveries": Retention("hook_deliveries", "created_at", 7 * DAY),
    "mails": Retention("mails", "created_at", 7 * DAY),
    "status_callbacks": Retention("status_callbacks", "created_at", 7 * DAY, "state <> 'pending'"),
    # They go with their messages, whose months go as a whole.
    "twilio_messages": Retention(
        "twilio_messages",
        "message_id",
        condition="message_id < (SELECT id FROM messages ORDER BY id LIMIT 1)",
        is_id=True,
    ),
    # Stripe repeats one for 30 days at most, by hand; one that is told again later comes to the same books.
    "stripe_events": Retention("stripe_events", "received_at", 90 * DAY, "state <> 'pending'"),
    # Until then it answers that it has expired. One that was clicked goes with its message.
    "short_links": Retention("short_links", "expires_at", 30 * DAY, "clicks = 0"),
    "clicked_links": Retention(
        "short_links",
        "message_id",
        condition="message_id < (SELECT id FROM messages ORDER BY id LIMIT 1)",
        is_id=True,
    ),
    "preflights": Retention("preflights", "id", 7 * DAY, is_id=True),
    "traces": Retention("traces", "id", 7 * DAY, is_id=True),
    "prefix_usage": Retention("prefix_usage", "hour", 2 * DAY),
    "sessions": Retention("sessions", "expires_at"),
    "idle_sessions": Retention("sessions", "last_seen_at", login_sessions.IDLE),
    "operator_sessions": Retention("operator_sessions", "expires_at"),
    "login_throttles": Retention("login_throttles", "started_at", login_sessions.WINDOW),
    "tokens": Retention("account_tokens", "expires_at"),
    # The service's role may not change these rows, and so not lock them.
    "authentication": Retention("authentication_entries", "created_at", None, locks=False),
}
# From the age where the last batch ended: what was deleted is still in the index, for as long as a snapshot is held.
# Rows are picked once, in an array: a subquery in its place may run again for each row, and then takes more every time.
DELETE_OLD_ROWS = """
DELETE FROM {table} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM {table} WHERE {age} >= {since} AND {age} <= {until} AND {condition}
    ORDER BY {age} LIMIT $3 {lock}
)) RETURNING {age} AS age
"""
BATCH = 1000
# How long retention works on a table in each maintenance.
SECONDS = 2.0


class RetentionLooks:
    """Where a process goes on deleting, by the names of RETENTION."""

    def __init__(self) -> None:
        self.takings = {name: Taking() for name in RETENTION}


async def drop_expired(
    services: Services, settings: Settings | None = None, *, now: datetime | None = None, stop: StopFlag | None = None
) -> int:
    """Delete rows past their keeping, for a bounded time. Return how many. One that breaks holds up no other."""
    now = now or await database.now()
    failures = Failures()
    dropped = 0
    for name in RETENTION:
        dropped += await failures.outlive(name, drop_rows(services, name, settings, now=now, stop=stop), 0)
    failures.end()
    return dropped


async def drop_rows(
    services: Services, name: str, settings: Settings | None = None, *, now: datetime, stop: StopFlag | None = None
) -> int:
    """Delete in small transactions, each followed by as long a pause. Return how many."""
    keeping = RETENTION[name].keeping
    if keeping is None:
        keeping = (settings or Settings()).authentication_days * DAY
    taking = services.keep(RetentionLooks).takings[name]
    drop = partial(taking.take, partial(_drop, drop_statement(name), now - keeping))
    return await _in_turn(drop, BATCH, stop)


async def forget_imports(services: Services, now: datetime, *, stop: StopFlag | None = None) -> int:
    """Delete what is kept of imports no longer than it is of use, in small transactions too. Return how much."""
    return await _in_turn(partial(in_unit_of_work, partial(import_jobs.forget_imports, services, now)), 1, stop)


async def forget_exports(now: datetime, *, stop: StopFlag | None = None) -> int:
    """Drop files of exports past their keeping, in small transactions too. Return how many chunks and exports."""
    return await _in_turn(partial(in_unit_of_work, partial(export_jobs.forget_exports, now)), 1, stop)


async def _in_turn(drop: Callable[[], Awaitable[int]], batch: int, stop: StopFlag | None) -> int:
    """Drop batches until one is short or the time is up, half of which is left to others. Return how much."""
    dropped, until = 0, time.monotonic() + SECONDS
    while stop is None or not stop.is_set:
        began = time.monotonic()
        taken = await drop()
        dropped += taken
        if taken < batch or time.monotonic() >= until:
            break
        await asyncio.sleep(time.monotonic() - began)
    return dropped


async def _drop(statement: str, until: datetime, since: datetime) -> list[datetime]:
    ages = [row.age for row in await fetch(statement, until, since, BATCH)]
    return [ids.id_time(age) if isinstance(age, UUID) else age for age in ages]


def drop_statement(name: str) -> str:
    """Return the statement that deletes a batch: until when rows are kept, where it begins, and how many."""
    found = RETENTION[name]
    of = "id_floor(${number}::timestamptz)" if found.is_id else "${number}::timestamptz"
    return DELETE_OLD_ROWS.format(
        table=found.table,
        age=found.age,
        since=of.format(number=2),
        until=of.format(number=1),
        condition=found.condition,
        lock="FOR UPDATE SKIP LOCKED" if found.locks else "",
    )
