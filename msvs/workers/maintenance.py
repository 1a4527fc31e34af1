"""Maintenance: resolve what was left unknown, complete campaigns, fold counters, drop what is past its keeping."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from msvs.api import reports, running
from msvs.api.campaign_stats import fold_tallies
from msvs.database import execute, fetch_value
from msvs.workers.dispatch import Carriers, resolve_expired
from msvs.workers.retrying import in_unit_of_work

BATCH = 5000

# Table → the condition under which a row is past its keeping. Messages, events and the ledger are kept.
RETENTION = {
    "idempotency_records": "created_at < now() - interval '24 hours'",
    "webhook_attempts": "created_at < now() - interval '30 days'",
    "webhook_deliveries": "state <> 'pending' AND created_at < now() - interval '30 days'",
    "message_attempts": "started_at < now() - interval '90 days'",
}


async def maintain(carriers: Carriers) -> dict[str, int]:
    """Do every chore once; what each did."""
    return {
        "resolved": await resolve_expired(carriers),
        "completed": await complete_campaigns(),
        "unreported": await in_unit_of_work(lambda: reports.give_up_reports(limit=BATCH, now=datetime.now(UTC))),
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
    return await in_unit_of_work(lambda: running.complete_campaign(campaign_id, datetime.now(UTC)))


async def has_work(now: datetime) -> bool:
    """Whether a campaign may be complete or a lease has run out."""
    return bool(
        await fetch_value(
            "SELECT EXISTS (SELECT FROM campaigns WHERE status = 'sending')"
            " OR EXISTS (SELECT FROM messages WHERE status = 'sending' AND lease_until < $1)",
            now,
        )
    )


async def drop_expired() -> int:
    """Delete a bounded number of rows past their keeping; how many."""
    dropped = 0
    for table, condition in RETENTION.items():
        dropped += await execute(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {condition} LIMIT {BATCH})"
        )
    return dropped
