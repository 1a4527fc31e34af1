"""Maintenance: resolve unknown outcomes, complete campaigns, fold counters, and drop expired data."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

import structlog

from msvs import database
from msvs.api.accounts import secret_keys
from msvs.api.campaigns import lifecycle
from msvs.api.context import Services
from msvs.api.dispatch import delivery_reports, open_months
from msvs.api.dispatch.campaign_stats import fold_tallies
from msvs.api.dispatch.message_totals import count_messages
from msvs.api.privacy import workspace_erasure
from msvs.api.unit_of_work import in_unit_of_work
from msvs.api.webhooks import deliveries
from msvs.clock_schema import by_real_time
from msvs.database import fetch, fetch_value
from msvs.looks import InOrder
from msvs.settings import Settings
from msvs.workers import retention
from msvs.workers.dispatch import Carriers, resolve_expired
from msvs.workers.partitions import Upkeep, roll_partitions
from msvs.workers.retrying import Failures
from msvs.workers.stopping import StopFlag

log = structlog.get_logger(__name__)

BATCH = 5000
# How often the months of open messages are looked for.
LOOK_EVERY = timedelta(seconds=10)


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
    giving_up = services.keep(delivery_reports.GivingUp)
    return {
        "partitioned": partial(roll_partitions, settings, upkeep),
        "opened": partial(_find_open_months, now, upkeep),
        "resolved": partial(resolve_expired, services, carriers, stop=stop),
        "completed": complete_campaigns,
        "unreported": partial(
            in_unit_of_work, partial(delivery_reports.give_up_reports, limit=BATCH, now=now, looks=giving_up)
        ),
        "unresolved": partial(
            in_unit_of_work, partial(delivery_reports.give_up_unresolved, limit=BATCH, now=now, looks=giving_up)
        ),
        "stale_deliveries": partial(
            in_unit_of_work,
            partial(
                deliveries.drop_stale_deliveries,
                limit=BATCH,
                now=now,
                endpoints=services.keep(deliveries.EndpointLooks),
            ),
        ),
        "imports": partial(retention.forget_imports, services, now, stop=stop),
        "exports": partial(retention.forget_exports, now, stop=stop),
        "secret_keys": partial(in_unit_of_work, partial(secret_keys.forget_retired, now)),
        "erased": partial(erase_deleted, services, now, stop=stop),
        "folded": fold_tallies,
        "counted": partial(in_unit_of_work, count_messages),
        "dropped": partial(retention.drop_expired, services, settings, stop=stop),
    }


async def erase_deleted(services: Services, now: datetime, *, stop: StopFlag | None = None) -> int:
    """Erase the data of workspaces whose grace is over, for a bounded time. Return how many rows."""
    erased = 0
    until = time.monotonic() + retention.SECONDS
    while (stop is None or not stop.is_set) and time.monotonic() < until:
        id = await workspace_erasure.find_due_deletion(now)
        if id is None:
            break
        step = partial(workspace_erasure.erase_some, services, id, now, limit=retention.BATCH)
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


HAS_COMPLETABLE = f"""
SELECT EXISTS (SELECT FROM campaigns WHERE {lifecycle.IS_COMPLETABLE} AND {by_real_time("campaigns")})
"""
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
