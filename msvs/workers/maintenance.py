"""Maintenance: resolve what was left unknown, complete campaigns, fold counters, drop what is past its keeping."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from uuid import UUID

import asyncpg
import structlog

from msvs import database
from msvs.api import deliveries, ids, reports, running, secret_keys, sessions
from msvs.api.campaign_stats import fold_tallies
from msvs.database import execute, fetch_value
from msvs.settings import Settings
from msvs.workers.dispatch import Carriers, resolve_expired
from msvs.workers.retrying import Failures, in_unit_of_work
from msvs.workers.stopping import StopFlag

log = structlog.get_logger(__name__)

BATCH = 5000

# Table → the condition under which a row is past its keeping. What is partitioned goes by whole months instead; the
# ledger and the history of consent stay.
RETENTION = {
    "idempotency_records": "created_at < now() - interval '24 hours'",
    # A delivery is no older than its event, whose id tells its age and has an index.
    "webhook_deliveries": "event_id < id_floor(now() - interval '30 days') AND state <> 'pending'"
    " AND created_at < now() - interval '30 days'",
    "prefix_usage": "hour < now() - interval '2 days'",
}
# What names a row where it has no id.
KEYS = {"prefix_usage": "workspace_id, prefix, hour"}
DROP = f"DELETE FROM {{table}} WHERE ({{key}}) IN (SELECT {{key}} FROM {{table}} WHERE {{condition}} LIMIT {BATCH})"

PARTITIONED = ("messages", "message_attempts", "events", "webhook_attempts")
# How many months have their partitions, with the present one.
MONTHS_AHEAD = 3
EPOCH = datetime.fromtimestamp(0, UTC)
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"

# Whether a month without a partition has rows, in the partition for whatever has no month's.
MISPLACED = """
SELECT to_regclass($1) IS NULL AND EXISTS (
    SELECT FROM {table}_default WHERE id >= id_floor($2::timestamptz) AND id < id_floor($3::timestamptz)
)
"""
TAKE_OUT = """
WITH gone AS (
    DELETE FROM {table}_default WHERE id >= id_floor($1::timestamptz) AND id < id_floor($2::timestamptz) RETURNING *
)
INSERT INTO {child}_moved SELECT * FROM gone
"""
# The oldest message of the months to be dropped that may yet be sent.
UNSENT = """
SELECT id FROM messages WHERE id < id_floor($1::timestamptz) AND status IN ('scheduled', 'queued', 'sending')
ORDER BY id LIMIT 1
"""


async def maintain(
    carriers: Carriers, settings: Settings | None = None, *, stop: StopFlag | None = None
) -> dict[str, int]:
    """Do every chore once; what each did. One that breaks holds up no other; its error is raised at the end."""
    now = await database.now()
    failures = Failures()
    done = {}
    stop = stop or StopFlag()
    for name, chore in _chores(carriers, settings or Settings(), now, stop).items():
        if stop.is_set:
            break
        done[name] = await failures.outlive(name, chore(), 0)
    failures.end()
    return done


def _chores(
    carriers: Carriers, settings: Settings, now: datetime, stop: StopFlag
) -> Mapping[str, Callable[[], Awaitable[int]]]:
    return {
        "partitioned": partial(roll_partitions, settings),
        "resolved": partial(resolve_expired, carriers, stop=stop),
        "completed": complete_campaigns,
        "unreported": partial(in_unit_of_work, partial(reports.give_up_reports, limit=BATCH, now=now)),
        "unresolved": partial(in_unit_of_work, partial(reports.give_up_unresolved, limit=BATCH, now=now)),
        "stale_deliveries": partial(in_unit_of_work, partial(deliveries.drop_stale_deliveries, limit=BATCH, now=now)),
        "sessions": partial(in_unit_of_work, partial(sessions.forget_ended, now)),
        "secret_keys": partial(in_unit_of_work, partial(secret_keys.forget_retired, now)),
        "folded": partial(in_unit_of_work, fold_tallies),
        "dropped": drop_expired,
    }


async def complete_campaigns() -> int:
    """Complete the campaigns whose recipients are all settled; how many."""
    completed = 0
    failures = Failures()
    for campaign_id in await running.sending_campaigns():
        completed += await failures.outlive("completion", _complete(campaign_id), False)
    failures.end()
    return completed


async def _complete(campaign_id: UUID) -> bool:
    return await in_unit_of_work(partial(running.complete_campaign, campaign_id, await database.now()))


async def has_work(now: datetime) -> bool:
    """Whether a campaign may be complete, or a lease has run out that no paused campaign holds up."""
    return bool(
        await fetch_value(
            "SELECT EXISTS (SELECT FROM campaigns WHERE status = 'sending')"
            " OR EXISTS (SELECT FROM messages WHERE status = 'sending' AND lease_until < $1 AND NOT EXISTS ("
            "SELECT FROM campaigns WHERE campaigns.id = messages.campaign_id AND campaigns.status = 'paused'))",
            now,
        )
    )


async def roll_partitions(settings: Settings) -> int:
    """Make the partitions of the months ahead and drop those past their keeping; how many of both.

    Messages that are yet to be sent keep their month. What cannot have the tables to itself soon is left for later:
    everybody else would have to wait behind it.
    """
    try:
        made = await _make_partitions()
        return made + sum([await in_unit_of_work(partial(_drop_partitions, settings, table)) for table in PARTITIONED])
    except asyncpg.LockNotAvailableError:
        log.warning("partitions left for later: their tables are in use")
        return 0


async def _make_partitions() -> int:
    try:
        return await in_unit_of_work(_ensure_partitions)
    except asyncpg.CheckViolationError:
        # Rows came before their month's partition, as nothing ran for months that would have made it.
        return await in_unit_of_work(_make_room)


async def _ensure_partitions() -> int:
    await execute(LOCK_TIMEOUT)
    return int(await fetch_value("SELECT ensure_partitions()"))


async def _make_room() -> int:
    """Make the partitions of the months ahead, and move the rows of those months there."""
    await execute(LOCK_TIMEOUT)
    first = (await database.now()).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = [_month_after(first, months) for months in range(MONTHS_AHEAD + 1)]
    moved = []
    for table in PARTITIONED:
        for low, high in pairwise(following):
            child = f"{table}_{low:%Y_%m}"
            if await fetch_value(MISPLACED.format(table=table), child, low, high):
                await execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                await execute(f"CREATE TEMPORARY TABLE {child}_moved (LIKE {table}) ON COMMIT DROP")
                await execute(TAKE_OUT.format(table=table, child=child), low, high)
                moved.append(child)
    made = int(await fetch_value("SELECT ensure_partitions()"))
    for child in moved:
        # Not through the parent, whose triggers have counted these rows.
        await execute(f"INSERT INTO {child} SELECT * FROM {child}_moved")
    return made


async def _drop_partitions(settings: Settings, table: str) -> int:
    await execute(LOCK_TIMEOUT)
    kept = {
        "messages": settings.message_months,
        "events": settings.event_months,
        "message_attempts": settings.attempt_months,
        "webhook_attempts": settings.attempt_months,
    }[table]
    now = await database.now()
    oldest = _month_after(now.replace(day=1), -kept)
    if table == "messages" and oldest > EPOCH:
        unsent = await fetch_value(UNSENT, oldest)
        if unsent is not None:
            since = ids.id_time(unsent)
            kept = max(kept, (now.year - since.year) * 12 + now.month - since.month)
    return int(await fetch_value("SELECT drop_partitions($1, $2)", table, kept))


def _month_after(moment: datetime, months: int) -> datetime:
    """The same time so many months later, of a day that every month has."""
    years, month = divmod(moment.month - 1 + months, 12)
    return moment.replace(year=moment.year + years, month=month + 1)


async def drop_expired() -> int:
    """Delete a bounded number of rows past their keeping; how many."""
    dropped = 0
    for table, condition in RETENTION.items():
        key = KEYS.get(table, "id")
        dropped += await execute(DROP.format(table=table, key=key, condition=condition))
    return dropped
