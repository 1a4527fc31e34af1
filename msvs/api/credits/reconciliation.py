"""Compare Stripe's sessions, refunds and disputes with the books every night, and repair differences."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta

import structlog

from msvs.api.context import Services
from msvs.api.credits import fulfilment, gateway
from msvs.api.credits.gateway import GatewayError
from msvs.api.unit_of_work import in_unit_of_work
from msvs.database import execute, fetch_row, fetch_value
from msvs.models import PurchaseStatus

log = structlog.get_logger(__name__)

Settle = Callable[[Services, str], Awaitable[object]]

# By UTC, when few buy.
HOUR = 3
LEASE = timedelta(hours=1)
# Stripe repeats events for three days; a session lasts one, a slow payment up to two weeks.
LOOK_BACK = timedelta(days=15)

# After this many failed calls in a row Stripe counts as down: give up, and let another process retry after the lease.
MOST_AWAY = 5
PAID = frozenset((PurchaseStatus.PAID.value,))
ANY_STATUS = frozenset(each.value for each in PurchaseStatus)

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
        return await execute(END_DAY, now.date(), services.real_clock(), looked, repaired)

    await in_unit_of_work(end)
    log.info("billing compared with Stripe", looked=looked, repaired=repaired)
    return repaired


async def reconcile(services: Services, since: datetime) -> tuple[int, int]:
    """Compare what Stripe made since a time with the books.

    Return how many things were looked at, and how many purchases were repaired. Raises GatewayError.
    """
    night = _Night(services)
    async for session in gateway.recent_sessions(services, since):
        if session.purchase is not None:
            await night.look(session.id, fulfilment.fulfil, told=PAID if session.status == "complete" else ANY_STATUS)
    async for intent in gateway.recent_intents(services, since):
        # A top-up has no session: a charge that succeeded after we gave up on it is found only by its payment.
        if intent.status == "succeeded" and "purchase" in intent.metadata:
            await night.look(intent.id, fulfilment.fulfil_payment, told=PAID)
    async for money in gateway.recent_returns(services, since):
        if money.payment_intent is not None:
            await night.look(money.payment_intent, fulfilment.fulfil_payment, only_known=True)
    return night.looked, night.repaired


class _Night:
    """Counts the checked and repaired purchases of a comparison. An error in one does not stop the others."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.looked = 0
        self.repaired = 0
        self._away_in_a_row = 0

    async def look(self, id: str, settle: Settle, *, told: Collection[str] = (), only_known: bool = False) -> None:
        """Settle the purchase of a session or payment, unless its recorded status is in `told`.

        Raises GatewayError if Stripe is down.
        """
        try:
            before = await fetch_row(FIND_STATUS, id)
            if before is None and only_known:
                return
            self.looked += 1
            if before is not None and before.status in told:
                return
            await settle(self.services, id)
            self._away_in_a_row = 0
            after = await fetch_row(FIND_STATUS, id)
            self.repaired += after is not None and after != before
        except GatewayError as error:
            log.warning("a comparison with Stripe failed", of=id[:80], reason=error.reason)
            self._away_in_a_row += not error.is_final
            if self._away_in_a_row >= MOST_AWAY:
                raise
        except Exception as error:
            # The next night checks it again.
            log.error("a comparison with Stripe broke", of=id[:80], error=type(error).__name__)
