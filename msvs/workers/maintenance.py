"""Maintenance: resolve unknown outcomes, complete campaigns, fold counters, and drop expired data."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

import structlog

from msvs import database
from msvs.api.accounts import authentication_log, login_sessions, operators, secret_keys, tokens
from msvs.api.campaigns import lifecycle
from msvs.api.contacts import import_jobs
from msvs.api.context import Services
from msvs.api.dispatch import delivery_reports, open_months
from msvs.api.dispatch.campaign_stats import fold_tallies
from msvs.api.dispatch.message_totals import count_messages
from msvs.api.privacy import workspace_erasure
from msvs.api.unit_of_work import in_unit_of_work
from msvs.api.webhooks import deliveries
from msvs.database import fetch, fetch_value
from msvs.looks import InOrder
from msvs.settings import Settings
from msvs.workers.dispatch import Carriers, resolve_expired
from msvs.workers.partitions import Upkeep, roll_partitions
from msvs.workers.retrying import Failures
from msvs.workers.stopping import StopFlag

log = structlog.get_logger(__name__)

BATCH = 5000
EPOCH = datetime.fromtimestamp(0, UTC)
# How often the months of open messages are looked for.
LOOK_EVERY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Retention:
    """When a row of a table is past its keeping: `age` is the indexed column by which it is found, from `first` on."""

    condition: str
    age: str
    first: datetime | UUID = EPOCH


# What is partitioned goes by whole months instead; the ledger and the history of consent stay.
RETENTION = {
    "idempotency_records": Retention("created_at < now() - interval '24 hours'", "created_at"),
    # A delivery is no older than its event, whose id tells its age and has an index.
    "webhook_deliveries": Retention(
        "event_id < id_floor(now() - interval '30 days') AND state <> 'pending'"
        " AND created_at < now() - interval '30 days'",
        "event_id",
        UUID(int=0),
    ),
    "api_requests": Retention("id < id_floor(now() - interval '7 days')", "id", UUID(int=0)),
    "notifications": Retention("id < id_floor(now() - interval '90 days')", "id", UUID(int=0)),
    "mails": Retention("created_at < now() - interval '7 days'", "created_at"),
    "status_callbacks": Retention("created_at < now() - interval '7 days' AND state <> 'pending'", "created_at"),
    # They go with their messages, whose months go as a whole.
    "twilio_messages": Retention(
        "message_id < (SELECT id FROM messages ORDER BY id LIMIT 1)", "message_id", UUID(int=0)
    ),
    "prefix_usage": Retention("hour < now() - interval '2 days'", "hour"),
}
# From the age where the last batch ended: what was deleted is still in the index, for as long as a snapshot is held.
# Rows are picked once, in an array: a subquery in its place may run again for each row, and then takes more every time.
DELETE_OLD_ROWS = """
DELETE FROM {table} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM {table} WHERE {age} >= $1 AND {condition} ORDER BY {age} LIMIT $2 FOR UPDATE SKIP LOCKED
)) RETURNING {age}
"""
DROP_BATCH = 1000
# How long retention works on a table in each maintenance.
DROP_SECONDS = 2.0


async def maintain(
    services: Services,
    carriers: Carriers,
    settings: Settings | None = None,
    *,
    stop: StopFlag | None = None,
    upkeep: Upkeep | None = None,
) -> dict[str, int]:
    """Do every chore once. Return what each did. One that breaks holds up no other; its error is raised at the end."""
    now = await database.now()
    failures = Failures()
    done = {}
    stop = stop or StopFlag()
    for name, chore in _chores(services, carriers, settings or Settings(), now, stop, upkeep).items():
        if stop.is_set:
            break
        done[name] = await failures.outlive(name, chore(), 0)
    failures.end()
    return done


def _chores(
    services: Services,
    carriers: Carriers,
    settings: Settings,
    now: datetime,
    stop: StopFlag,
    upkeep: Upkeep | None,
) -> Mapping[str, Callable[[], Awaitable[int]]]:
    return {
        "partitioned": partial(roll_partitions, settings, upkeep),
        "opened": partial(_find_open_months, now, upkeep),
        "resolved": partial(resolve_expired, services, carriers, stop=stop),
        "completed": complete_campaigns,
        "unreported": partial(in_unit_of_work, partial(delivery_reports.give_up_reports, limit=BATCH, now=now)),
        "unresolved": partial(in_unit_of_work, partial(delivery_reports.give_up_unresolved, limit=BATCH, now=now)),
        "stale_deliveries": partial(
            in_unit_of_work,
            partial(
                deliveries.drop_stale_deliveries,
                limit=BATCH,
                now=now,
                endpoints=services.keep(deliveries.EndpointLooks),
            ),
        ),
        "sessions": partial(in_unit_of_work, partial(login_sessions.forget_ended, now)),
        "operator_sessions": partial(in_unit_of_work, partial(operators.forget_ended_sessions, services)),
        "authentication": partial(
            in_unit_of_work,
            partial(authentication_log.forget_old_authentication, now, days=settings.authentication_days),
        ),
        "tokens": partial(in_unit_of_work, partial(tokens.forget_expired, now)),
        "imports": partial(in_unit_of_work, partial(import_jobs.forget_imports, now)),
        "secret_keys": partial(in_unit_of_work, partial(secret_keys.forget_retired, now)),
        "erased": partial(erase_deleted, services, now, stop=stop),
        "folded": fold_tallies,
        "counted": partial(in_unit_of_work, count_messages),
        "dropped": partial(drop_expired, stop=stop),
    }


async def erase_deleted(services: Services, now: datetime, *, stop: StopFlag | None = None) -> int:
    """Erase the data of workspaces whose grace is over, for a bounded time. Return how many rows."""
    erased = 0
    until = time.monotonic() + DROP_SECONDS
    while (stop is None or not stop.is_set) and time.monotonic() < until:
        id = await workspace_erasure.find_due_deletion(now)
        if id is None:
            break
        step = partial(workspace_erasure.erase_some, services, id, now, limit=DROP_BATCH)
        erased += await in_unit_of_work(step)
    return erased


async def _find_open_months(now: datetime, upkeep: Upkeep | None) -> int:
    """Find the months of open messages again, at most every few seconds."""
    if upkeep is not None:
        if now < upkeep.look_at:
            return 0
        upkeep.look_at = now + LOOK_EVERY
    return await open_months.find_open_months()


async def complete_campaigns() -> int:
    """Complete the campaigns whose recipients are all settled. Return the count."""
    completed = 0
    failures = Failures()
    for campaign_id in await lifecycle.ending_campaigns():
        completed += await failures.outlive("completion", _complete(campaign_id), False)
    failures.end()
    return completed


async def _complete(campaign_id: UUID) -> bool:
    return await in_unit_of_work(partial(lifecycle.complete_campaign, campaign_id, await database.now()))


HAS_COMPLETABLE = f"SELECT EXISTS (SELECT FROM campaigns WHERE {lifecycle.IS_COMPLETABLE})"
FIRST_EXPIRED = """
SELECT lease_until AS due_at FROM messages
WHERE status = 'sending' AND lease_until >= $2 AND lease_until < $1 AND {is_open} AND NOT EXISTS (
    SELECT FROM campaigns WHERE campaigns.id = messages.campaign_id AND campaigns.status = 'paused'
) ORDER BY lease_until LIMIT 1
"""


class LeaseLooks(InOrder):
    """The start of the process's looks at leases, because each hand-over leaves an entry in their index."""


class _Lease(Protocol):
    due_at: datetime


async def has_work(services: Services, now: datetime) -> bool:
    """Return whether a campaign may be complete, or a lease has expired that no paused campaign holds up."""
    if await fetch_value(HAS_COMPLETABLE):
        return True
    _, open_ids = await open_months.look()
    statement = FIRST_EXPIRED.format(is_open=open_ids.of("messages"))
    return bool(await services.keep(LeaseLooks).find(now, partial(fetch, _Lease, statement, now)))


async def drop_expired(*, stop: StopFlag | None = None) -> int:
    """Delete rows past their retention, for a bounded time. Return the count."""
    return sum([await _drop_rows(table, retention, stop or StopFlag()) for table, retention in RETENTION.items()])


async def _drop_rows(table: str, retention: Retention, stop: StopFlag) -> int:
    """Delete in small transactions, each followed by as long a pause, so that half of the time is left to traffic."""
    drop = drop_statement(table)
    dropped, since = 0, retention.first
    until = time.monotonic() + DROP_SECONDS
    while not stop.is_set:
        began = time.monotonic()
        ages = [row[0] for row in await fetch(drop, since, DROP_BATCH)]
        dropped += len(ages)
        if len(ages) < DROP_BATCH or time.monotonic() >= until:
            break
        since = max(ages)
        await asyncio.sleep(time.monotonic() - began)
    return dropped


def drop_statement(table: str) -> str:
    """DELETE_OLD_ROWS for a table of RETENTION."""
    found = RETENTION[table]
    return DELETE_OLD_ROWS.format(table=table, age=found.age, condition=found.condition)
