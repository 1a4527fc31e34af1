"""Billing jobs: process Stripe's events, check open purchases, remove forgotten cards, and reconcile every night."""

from __future__ import annotations

from datetime import datetime

from msvs import database
from msvs.api.context import Services
from msvs.api.credits import cards, reconciliation, stripe_events, top_ups
from msvs.workers.retrying import Failures
from msvs.workers.stopping import StopFlag


async def settle_billing(services: Services, *, stop: StopFlag | None = None) -> int:
    """Settle what is due, and compare once a night. Return how many events and purchases were looked at."""
    failures = Failures()
    count = await failures.outlive("due", settle_due(services, stop=stop), 0)
    if services.billing.is_connected and (stop is None or not stop.is_set):
        now = await database.now()
        count += await failures.outlive("reconciliation", reconciliation.reconcile_tonight(services, now), 0)
    failures.end()
    return count


async def settle_due(services: Services, *, stop: StopFlag | None = None) -> int:
    """Process due events, top-ups, purchases and forgotten cards until none is left. Return the count.

    An error in one part does not stop the others; it is raised at the end.
    """
    count = 0
    failures = Failures()
    while services.billing.is_connected and (stop is None or not stop.is_set):
        now = await database.now()
        found = await failures.outlive("events", stripe_events.work_events(services, now), 0)
        found += await failures.outlive("top-ups", top_ups.begin_due(services, now), 0)
        found += await failures.outlive("purchases", stripe_events.look_at_purchases(services, now), 0)
        found += await failures.outlive("cards", cards.detach_due(services, now), 0)
        if not found:
            break
        count += found
    failures.end()
    return count


async def has_due(services: Services, now: datetime) -> bool:
    """Return whether there is anything to settle, and an account to ask."""
    if not services.billing.is_connected:
        return False
    if await stripe_events.has_due(services, now) or await top_ups.has_due(now) or await cards.has_due(services, now):
        return True
    return await reconciliation.is_due(services, now)
