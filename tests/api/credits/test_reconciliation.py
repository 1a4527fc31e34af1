"""Reconciliation: what no event told is found at night, once, and repaired."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from msvs import database as db
from msvs.api.context import Context
from msvs.api.credits import reconciliation
from msvs.api.credits.gateway import GatewayError
from msvs.local.pretend_stripe import PretendStripe, Refused
from msvs.models import BillingDay, StripeEvent
from tests.fakes.stripe import begin, books, buy, reread

NIGHT = datetime(2026, 5, 2, 3, 30, tzinfo=UTC)


async def test_a_purchase_without_an_event_is_repaired(live_ctx: Context, stripe: PretendStripe) -> None:
    services = live_ctx.services
    known = await buy(live_ctx, stripe)
    stripe.refund(known.payment_intent or "", 190)
    unknown, lost = await begin(live_ctx), await begin(live_ctx)
    for row in (unknown, lost):
        stripe.pay(row.session_id or "")
    # The process that opened this one died before it could write so.
    await db.execute("UPDATE purchases SET session_id = NULL, url = NULL, status = 'opening' WHERE id = $1", lost.id)
    open_still = await begin(live_ctx)
    since = datetime.now(UTC) - timedelta(days=1)
    assert await reconciliation.reconcile(services, since) == (8, 3)
    assert [(await reread(row.id)).status for row in (unknown, lost, open_still)] == ["paid", "paid", "open"]
    assert await books(live_ctx.workspace_id) == (12_900, 12_900, 0)
    assert await reconciliation.reconcile(services, since) == (8, 0)
    assert await books(live_ctx.workspace_id) == (12_900, 12_900, 0)
    assert await StripeEvent.all().count() == 1


async def test_a_night_is_compared_once_by_one_process(live_ctx: Context, stripe: PretendStripe) -> None:
    services = live_ctx.services
    assert not await reconciliation.is_due(services, NIGHT.replace(hour=2))
    assert await reconciliation.is_due(services, NIGHT)
    await asyncio.gather(*(reconciliation.reconcile_tonight(services, NIGHT) for _ in range(5)))
    lists = [path for _, path, _ in stripe.calls]
    assert lists == ["/v1/checkout/sessions", "/v1/payment_intents", "/v1/refunds", "/v1/disputes"]
    assert not await reconciliation.is_due(services, NIGHT + timedelta(hours=9))
    assert await reconciliation.is_due(services, NIGHT + timedelta(days=1))


async def test_a_night_that_broke_off_is_tried_again(live_ctx: Context, stripe: PretendStripe) -> None:
    services = live_ctx.services
    stripe.refusals += [Refused(429, "rate_limit_error", "Too many requests")]
    try:
        await reconciliation.reconcile_tonight(services, NIGHT)
    except reconciliation.GatewayError:
        pass
    else:
        raise AssertionError("it must say so")
    assert not await reconciliation.is_due(services, NIGHT + timedelta(minutes=59))
    assert await reconciliation.is_due(services, NIGHT + timedelta(minutes=60))
    await reconciliation.reconcile_tonight(services, NIGHT + timedelta(minutes=60))
    (day,) = await BillingDay.all()
    assert day.ended_at is not None


async def test_nothing_is_compared_without_an_account(live_ctx: Context) -> None:
    assert live_ctx.services.billing.key is None
    assert not await reconciliation.is_due(live_ctx.services, NIGHT)


async def test_what_cannot_be_read_ends_no_night(live_ctx: Context, stripe: PretendStripe) -> None:
    services = live_ctx.services
    rows = [await begin(live_ctx) for _ in range(3)]
    payments = [stripe.pay(row.session_id or "")["id"] for row in rows]
    broken = stripe.sessions[rows[1].session_id or ""]
    broken["livemode"] = "perhaps"
    refund = stripe.refund(payments[0], 190)
    stripe.refunds["re_strange"] = {**refund, "id": "re_strange", "payment_intent": None, "amount": "some"}
    # Written by hand in Stripe, and more than a database holds.
    stripe.sessions["cs_test_odd"] = {
        **broken,
        "livemode": False,
        "id": "cs_test_odd",
        "metadata": {"purchase": "\x00"},
    }
    since = datetime.now(UTC) - timedelta(days=1)
    looked, repaired = await reconciliation.reconcile(services, since)
    assert repaired == 2
    assert looked >= 3
    assert [(await reread(row.id)).status for row in rows] == ["paid", "open", "paid"]
    assert await books(live_ctx.workspace_id) == (11_900, 11_900, 0)
    await reconciliation.reconcile_tonight(services, NIGHT)
    assert (await BillingDay.all())[0].ended_at is not None


async def test_one_that_stripe_cannot_answer_for_ends_no_night(live_ctx: Context, stripe: PretendStripe) -> None:
    """Five in a row do: then Stripe is away."""
    services = live_ctx.services
    rows = [await begin(live_ctx) for _ in range(7)]
    for row in rows:
        stripe.pay(row.session_id or "")
    since = datetime.now(UTC) - timedelta(days=1)
    real = stripe.answer
    away: set[str] = {rows[5].session_id or ""}

    def answer(method: str, path: str, params: Any, key: str | None) -> Any:
        if path.rpartition("/")[2] in away:
            raise Refused(429, "rate_limit_error", "Too many requests")
        return real(method, path, params, key)

    stripe.answer = answer  # type: ignore[method-assign]
    looked, repaired = await reconciliation.reconcile(services, since)
    assert (looked, repaired) == (14, 6)
    await db.execute("UPDATE purchases SET status = 'open'")
    away.update(row.session_id or "" for row in rows)
    with pytest.raises(GatewayError):
        await reconciliation.reconcile(services, since)
