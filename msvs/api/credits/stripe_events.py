"""Stripe's events: stored once by id and answered at once; their subject is then requested from Stripe."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Protocol, TypeVar
from uuid import UUID

import msgspec
import structlog

from msvs.api.context import Services
from msvs.api.credits import fulfilment
from msvs.api.credits.gateway import PURCHASE, GatewayError
from msvs.api.errors import ErrorCode, InvalidRequest, NotFound, PermissionDenied
from msvs.api.ids import encode_id
from msvs.api.unit_of_work import WorkQueue, in_unit_of_work, notify_after_commit
from msvs.api.webhooks import signatures
from msvs.database import execute, fetch
from msvs.looks import InOrder
from msvs.models import EventState, PurchaseStatus, rows

K = TypeVar("K", bound="_Kind")

log = structlog.get_logger(__name__)

# What begins so is about a session, or about a payment. Others are answered and forgotten.
SESSIONS = "checkout.session."
PAYMENTS = ("charge.refunded", "charge.refund.", "refund.", "charge.dispute.", "payment_intent.")
LEASE = timedelta(minutes=5)
BATCH = 20
AT_ONCE = 5
# How long after each failed attempt the next follows, the last again and again for three days.
RETRIES = tuple(timedelta(seconds=each) for each in (2, 10, 60, 300, 1800, 3600))
GIVEN_UP_AFTER = timedelta(days=3)
# The year 2100: no event was made later.
LATEST = 4_102_444_800

KEEP_EVENT = """
INSERT INTO stripe_events (id, type, object_id, payment_intent, state, attempt_count, next_attempt_at, created_at,
    received_at)
VALUES ($1, $2, $3, $4, 'pending', 0, $5, $6, $5) ON CONFLICT (id) DO NOTHING
"""
CLAIM_EVENTS = """
UPDATE stripe_events SET attempt_count = attempt_count + 1, lease_until = $2
WHERE id = ANY (ARRAY(
    SELECT id FROM stripe_events
    WHERE state = 'pending' AND next_attempt_at >= $4 AND next_attempt_at <= $1
        AND (lease_until IS NULL OR lease_until <= $1)
    ORDER BY next_attempt_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
))
RETURNING *
"""
# The count of attempts is the claim's mark: another claim has changed it.
SETTLE_EVENT = """
UPDATE stripe_events SET state = $3::varchar, next_attempt_at = coalesce($4, next_attempt_at), error = $5,
    lease_until = NULL, handled_at = CASE WHEN $3::varchar = 'pending' THEN NULL ELSE $6::timestamptz END
WHERE id = $1 AND attempt_count = $2 AND state = 'pending'
"""
FIRST_DUE_EVENT = """
SELECT next_attempt_at AS due_at FROM stripe_events WHERE state = 'pending' AND next_attempt_at >= $2
    AND next_attempt_at <= $1 AND (lease_until IS NULL OR lease_until <= $1)
ORDER BY next_attempt_at, id LIMIT 1
"""
DUE_PURCHASES = """
SELECT id, check_at AS due_at FROM purchases WHERE check_at >= $3 AND check_at <= $1 ORDER BY check_at LIMIT $2
"""
# An open top-up is charged again with the same idempotency key, so the retry must come before Stripe forgets the key.
LOOK_LATER = """
UPDATE purchases SET check_at = CASE
    WHEN is_automatic AND status = 'opening' THEN least($2::timestamptz, $3::timestamptz) ELSE $2::timestamptz
END
WHERE id = $1 AND check_at IS NOT NULL
"""
CHARGE_AGAIN_AFTER = timedelta(hours=1)


class BillingLooks:
    """Where the looks of a process at Stripe's events and at purchases begin."""

    def __init__(self) -> None:
        self.events = InOrder()
        self.purchases = InOrder()
        self.due_events = InOrder()
        self.due_purchases = InOrder()


class _Due(Protocol):
    @property
    def due_at(self) -> datetime: ...


class _Purchase(_Due, Protocol):
    @property
    def id(self) -> UUID: ...


class _Object(msgspec.Struct):
    """The ids in an event."""

    id: str
    payment_intent: str | dict[str, msgspec.Raw] | None = None


class _Data(msgspec.Struct):
    object: _Object


class _Kind(msgspec.Struct):
    """What every event says: some are about an object without an id, such as a balance."""

    type: str
    livemode: bool


class Told(_Kind):
    """An event about a session or a payment, as Stripe sends it."""

    id: str
    created: Annotated[int, msgspec.Meta(ge=0, lt=LATEST)]
    data: _Data


def read_event(services: Services, body: bytes, header: str) -> Told | None:
    """Return an event that Stripe signed; None for one that concerns nothing of ours.

    `body` are the bytes as they came. Raises NotFound where no secret is set, InvalidRequest and PermissionDenied.
    """
    secrets = services.billing.webhook_secrets
    if not secrets:
        raise NotFound("No events are taken here.")
    now = services.real_clock().timestamp()
    if not any(signatures.verify(header, body, secret, now=now) for secret in secrets):
        raise PermissionDenied("The event is not Stripe's, or too old.", code=ErrorCode.CALLBACK_REFUSED)
    kind = _decode(body, _Kind)
    if kind.livemode != services.billing.takes_money:
        log.warning("a Stripe event of the other mode was refused", type=kind.type[:80])
        raise PermissionDenied("The event is of Stripe's other mode.", code=ErrorCode.CALLBACK_REFUSED)
    # An endpoint that refuses what it was not meant to get is turned off by Stripe.
    return _decode(body, Told) if kind.type.startswith((SESSIONS, *PAYMENTS)) else None


def _decode(body: bytes, kind: type[K]) -> K:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError:
        raise InvalidRequest("The event cannot be read.", code=ErrorCode.CALLBACK_INVALID) from None


async def keep_event(services: Services, told: Told) -> bool:
    """Keep an event for the workers, once. Return whether this call did."""
    of = told.data.object
    payment = of.id if told.type.startswith("payment_intent.") else of.payment_intent
    payment_id = payment if isinstance(payment, str) else None
    if max(len(told.id), len(of.id), len(payment_id or "")) > 255 or len(told.type) > 80:
        return False

    async def keep() -> bool:
        at = datetime.fromtimestamp(told.created, UTC)
        kept = await execute(KEEP_EVENT, told.id, told.type, of.id, payment_id, services.real_clock(), at)
        if kept:
            notify_after_commit(WorkQueue.BILLING)
        return bool(kept)

    return await in_unit_of_work(keep)


async def has_due(services: Services, now: datetime) -> bool:
    """Return whether an event waits, or a purchase is to be looked at."""
    looks = services.keep(BillingLooks)
    if await looks.due_events.find(now, partial(fetch, _Due, FIRST_DUE_EVENT, now)):
        return True
    return bool(await looks.due_purchases.find(now, partial(fetch, _Purchase, DUE_PURCHASES, now, 1)))


async def work_events(services: Services, now: datetime) -> int:
    """Work on the events that are due. Return the count."""

    async def claim() -> Sequence[rows.StripeEventRow]:
        search = partial(fetch, rows.StripeEventRow, CLAIM_EVENTS, now, now + LEASE, BATCH)
        return await services.keep(BillingLooks).events.find_by(now, search, lambda row: row.next_attempt_at)

    events = await in_unit_of_work(claim)
    slots = asyncio.Semaphore(AT_ONCE)

    async def work(event: rows.StripeEventRow) -> None:
        async with slots:
            try:
                await _work(services, event)
            except Exception as error:
                # The lease expires and the event is retried.
                log.error("a Stripe event could not be settled", type=event.type, error=type(error).__name__)

    await asyncio.gather(*(work(event) for event in events))
    return len(events)


async def look_at_purchases(services: Services, now: datetime) -> int:
    """Look at the purchases whose time has come, whether or not an event told of them. Return the count."""
    search = partial(fetch, _Purchase, DUE_PURCHASES, now, BATCH)
    due = await services.keep(BillingLooks).purchases.find(now, search)
    return sum([await look_at(services, row.id, now) for row in due])


async def look_at(services: Services, purchase_id: UUID, now: datetime) -> bool:
    """Settle one purchase, or postpone it after an error. Return False if it is still due."""
    try:
        await fulfilment.settle(services, purchase_id)
    except GatewayError as error:
        return await _look_later(purchase_id, now, 24 if error.is_final else 1 / 6)
    except Exception as error:
        _log_broken(purchase_id, error)
        return await _look_later(purchase_id, now, 1)
    return True


async def _look_later(purchase_id: UUID, now: datetime, hours: float) -> bool:
    later = now + timedelta(hours=hours)
    try:
        await in_unit_of_work(partial(execute, LOOK_LATER, purchase_id, later, now + CHARGE_AGAIN_AFTER))
    except Exception as error:
        _log_broken(purchase_id, error)
        return False
    return True


def _log_broken(purchase_id: UUID, error: Exception) -> None:
    log.error("a purchase could not be settled", purchase=encode_id(PURCHASE, purchase_id), error=type(error).__name__)


async def _work(services: Services, event: rows.StripeEventRow) -> None:
    try:
        status = await handle(services, event)
    except GatewayError as error:
        await _retry(services, event, error.reason)
    except Exception as error:
        log.error("processing of a Stripe event failed", type=event.type, error=type(error).__name__)
        await _retry(services, event, type(error).__name__)
    else:
        await _settle(services, event, EventState.IGNORED if status is None else EventState.DONE)


async def handle(services: Services, event: rows.StripeEventRow) -> PurchaseStatus | None:
    """Bring the books of what an event is about up to date; None for what is not ours. Raises GatewayError."""
    if event.type.startswith(SESSIONS):
        return await fulfilment.fulfil(services, event.object_id)
    if event.payment_intent is None:
        return None
    return await fulfilment.fulfil_payment(services, event.payment_intent)


async def _retry(services: Services, event: rows.StripeEventRow, error: str) -> None:
    now = services.real_clock()
    delay = RETRIES[min(event.attempt_count, len(RETRIES)) - 1]
    is_over = now - event.received_at >= GIVEN_UP_AFTER
    await _settle(services, event, EventState.FAILED if is_over else EventState.PENDING, error=error, due=now + delay)


async def _settle(
    services: Services,
    event: rows.StripeEventRow,
    state: EventState,
    *,
    error: str | None = None,
    due: datetime | None = None,
) -> None:
    async def write() -> int:
        now = services.real_clock()
        return await execute(SETTLE_EVENT, event.id, event.attempt_count, state.value, due, error, now)

    await in_unit_of_work(write)
