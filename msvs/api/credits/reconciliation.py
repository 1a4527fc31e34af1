"""Compare Stripe's sessions, refunds and disputes with the books every night, and repair differences."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from msvs.api.context import Services
from msvs.api.credits import fulfilment, gateway
from msvs.api.credits.gateway import GatewayError
from msvs.api.unit_of_work import in_unit_of_work
from msvs.database import execute, fetch_row, fetch_value
from msvs.models import PurchaseStatus

log = structlog.get_logger(__name__)

# By UTC, when few buy.
HOUR = 3
LEASE = timedelta(hours=1)
# Stripe repeats events for three days; a session lasts one, a slow payment up to two weeks.
LOOK_BACK = timedelta(days=15)

CLAIM_DAY = """
INSERT INTO billing_days AS held (day, lease_until, looked_count, repaired_count) VALUES ($1, $3, 0, 0)
ON CONFLICT (day) DO UPDATE SET lease_until = $3 WHERE held.ended_at IS NULL AND held.lease_until <= $2
RETURNING day
"""
END_DAY = "UPDATE billing_days SET ended_at = $2, looked_count = $3, repaired_count = $4 WHERE day = $1"
IS_DUE = "SELECT NOT EXISTS (SELECT FROM billing_days WHERE day = $1 AND (ended_at IS NOT NULL OR lease_until > $2))"
FIND_STATUS = "SELECT status, returned_credits FROM purchases WHERE session_id = $1 OR payment_intent = $1"


async def is_due(services: Services, now: datetime) -> bool:
    """Return whether this night's comparison has yet to be made."""
    if not services.billing.is_connected or now.hour < HOUR:
        return False
    return bool(await fetch_value(IS_DUE, now.date(), now))


async def reconcile_tonight(services: Services, now: datetime) -> int:
    """Compare once a night, one process at a time. Return how many purchases were repaired."""
    if not await is_due(services, now):
        return 0

    async def claim() -> bool:
        return await fetch_row(CLAIM_DAY, now.date(), now, now + LEASE) is not None

    if not await in_unit_of_work(claim):
        return 0
    looked, repaired = await reconcile(services, now - LOOK_BACK)

    async def end() -> int:
        return await execute(END_DAY, now.date(), services.clock(), looked, repaired)

    await in_unit_of_work(end)
    log.info("billing compared with Stripe", looked=looked, repaired=repaired)
    return repaired


async def reconcile(services: Services, since: datetime) -> tuple[int, int]:
    """Compare what Stripe made since a time with the books.

    Return how many things were looked at, and how many purchases were repaired. Raises GatewayError.
    """
    looked = repaired = 0
    async for session in gateway.recent_sessions(services, since):
        if session.purchase is None:
            continue
        looked += 1
        before = await fetch_row(FIND_STATUS, session.id)
        is_told = before is not None and (session.status != "complete" or before.status == PurchaseStatus.PAID)
        if not is_told:
            repaired += await _repair(services, session.id, is_session=True)
    async for money in gateway.recent_returns(services, since):
        if money.payment_intent is not None and await fetch_row(FIND_STATUS, money.payment_intent) is not None:
            looked += 1
            repaired += await _repair(services, money.payment_intent, is_session=False)
    return looked, repaired


async def _repair(services: Services, id: str, *, is_session: bool) -> bool:
    """Bring one purchase up to date. Return whether that changed it."""
    before = await fetch_row(FIND_STATUS, id)
    settle = fulfilment.fulfil if is_session else fulfilment.fulfil_payment
    try:
        await settle(services, id)
    except GatewayError as error:
        if not error.is_final:
            raise
        return False
    except Exception as error:
        # One that breaks holds up no other; it is looked at again tomorrow.
        log.error("a comparison with Stripe broke", of=id[:80], error=type(error).__name__)
        return False
    after = await fetch_row(FIND_STATUS, id)
    return after is not None and after != before
