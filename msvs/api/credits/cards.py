"""Forgotten cards: a card that is no longer kept here is removed at Stripe too, after the commit.

The row that is written in the transaction that forgets the card is the truth: it stays until Stripe has removed it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import structlog

from msvs.api.context import Services
from msvs.api.credits import gateway
from msvs.api.credits.gateway import GatewayError
from msvs.api.unit_of_work import WorkQueue, in_unit_of_work, notify_after_commit
from msvs.database import execute, fetch, fetch_row

log = structlog.get_logger(__name__)

BATCH = 20
# How long after each attempt the next follows, the last again and again. The first outlasts a call with its retries.
RETRIES = (timedelta(minutes=5), timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))

FORGET_CARD = """
INSERT INTO forgotten_cards (payment_method, takes_money, attempt_count, next_attempt_at, created_at)
VALUES ($1, $2, 0, $3, $3) ON CONFLICT (payment_method) DO UPDATE SET attempt_count = 0, next_attempt_at = $3
"""
KEEP_CARD = "DELETE FROM forgotten_cards WHERE payment_method = $1"
# The count of attempts is the claim's mark.
END_CARD = "DELETE FROM forgotten_cards WHERE payment_method = $1 AND attempt_count = $2"
# A claim puts the next attempt off, so that a process that dies after it loses nothing.
CLAIM_CARDS = """
UPDATE forgotten_cards SET attempt_count = attempt_count + 1,
    next_attempt_at = $1 + ($4::interval[])[least(attempt_count + 1, cardinality($4::interval[]))]
WHERE payment_method = ANY (ARRAY(
    SELECT payment_method FROM forgotten_cards WHERE next_attempt_at <= $1 AND takes_money = $2
    ORDER BY next_attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED
))
RETURNING payment_method, attempt_count
"""
HAS_DUE_CARD = """
SELECT EXISTS (SELECT FROM forgotten_cards WHERE next_attempt_at <= $1 AND takes_money = $2) AS is_due
"""


class _Claimed(Protocol):
    @property
    def payment_method(self) -> str: ...

    @property
    def attempt_count(self) -> int: ...


async def forget(payment_method: str, takes_money: bool, now: datetime) -> None:
    """Have a card removed at Stripe once this transaction has been committed."""
    await execute(FORGET_CARD, payment_method, takes_money, now)
    notify_after_commit(WorkQueue.BILLING)


async def keep(payment_method: str) -> None:
    """Leave a card at Stripe that is saved again."""
    await execute(KEEP_CARD, payment_method)


async def has_due(services: Services, now: datetime) -> bool:
    """Return whether a forgotten card is due to be removed."""
    row = await fetch_row(HAS_DUE_CARD, now, services.billing.takes_money)
    return row is not None and bool(row.is_due)


async def detach_due(services: Services, now: datetime) -> int:
    """Remove the forgotten cards that are due at Stripe. Return how many were tried."""

    async def claim() -> list[_Claimed]:
        return list(await fetch(_Claimed, CLAIM_CARDS, now, services.billing.takes_money, BATCH, RETRIES))

    claimed = await in_unit_of_work(claim)
    for card in claimed:
        await _detach(services, card)
    return len(claimed)


async def _detach(services: Services, card: _Claimed) -> None:
    """Remove one card; after an error the claim has set the time of the next attempt."""
    try:
        await gateway.detach(services, card.payment_method)
        await in_unit_of_work(partial(execute, END_CARD, card.payment_method, card.attempt_count))
    except GatewayError as error:
        log.warning("a forgotten card is still at Stripe", attempts=card.attempt_count, reason=error.reason)
    except Exception as error:
        log.error("a forgotten card could not be removed", attempts=card.attempt_count, error=type(error).__name__)
