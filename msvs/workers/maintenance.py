"""Maintenance: resolve what was left unknown, complete campaigns, fold counters, drop what is past its keeping."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from uuid import UUID

from msvs import database
from msvs.api import deliveries, reports, running, sessions
from msvs.api.campaign_stats import fold_tallies
from msvs.database import execute, fetch_value
from msvs.settings import Settings
from msvs.workers.dispatch import Carriers, resolve_expired
from msvs.workers.retrying import in_unit_of_work

BATCH = 5000

# Table → the condition under which a row is past its keeping. What is partitioned goes by whole months instead; the
# ledger and the history of consent stay.
RETENTION = {
    "idempotency_records": "created_at < now() - interval '24 hours'",
    "webhook_deliveries": "state <> 'pending' AND created_at < now() - interval '30 days'",
    "prefix_usage": "hour < now() - interval '2 days'",
}
# What names a row where it has no id.
KEYS = {"prefix_usage": "workspace_id, prefix, hour"}


async def maintain(carriers: Carriers, settings: Settings | None = None) -> dict[str, int]:
    """Do every chore once; what each did."""
    now = await database.now()
    return {
        "partitioned": await roll_partitions(settings or Settings()),
        "resolved": await resolve_expired(carriers),
        "completed": await complete_campaigns(),
        "unreported": await in_unit_of_work(partial(reports.give_up_reports, limit=BATCH, now=now)),
        "unresolved": await in_unit_of_work(partial(reports.give_up_unresolved, limit=BATCH, now=now)),
        "stale_deliveries": await in_unit_of_work(partial(deliveries.drop_stale_deliveries, limit=BATCH, now=now)),
        "sessions": await in_unit_of_work(partial(sessions.forget_ended, now)),
        "folded": await in_unit_of_work(fold_tallies),
        "dropped": await drop_expired(),
    }


async def complete_campaigns() -> int:
    """Complete the campaigns whose recipients are all settled; how many."""
    completed = 0
    for campaign_id in await running.sending_campaigns():
        completed += await _complete(campaign_id)
    return completed


async def _complete(campaign_id: UUID) -> bool:
    return await in_unit_of_work(partial(running.complete_campaign, campaign_id, await database.now()))


async def has_work(now: datetime) -> bool:
    """Whether a campaign may be complete or a lease has run out."""
    return bool(
        await fetch_value(
            "SELECT EXISTS (SELECT FROM campaigns WHERE status = 'sending')"
            " OR EXISTS (SELECT FROM messages WHERE status = 'sending' AND lease_until < $1)",
            now,
        )
    )


async def roll_partitions(settings: Settings) -> int:
    """Make the partitions of the months ahead and drop those past their keeping; how many of both."""
    made = int(await fetch_value("SELECT ensure_partitions()"))
    kept = {
        "messages": settings.message_months,
        "events": settings.event_months,
        "message_attempts": settings.attempt_months,
        "webhook_attempts": settings.attempt_months,
    }
    dropped = [int(await fetch_value("SELECT drop_partitions($1, $2)", table, kept[table])) for table in kept]
    return made + sum(dropped)


async def drop_expired() -> int:
    """Delete a bounded number of rows past their keeping; how many."""
    dropped = 0
    for table, condition in RETENTION.items():
        key = KEYS.get(table, "id")
        dropped += await execute(
            f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {condition} LIMIT {BATCH})"
        )
    return dropped
