"""Checkout: a page that is opened once, and what is asked of Stripe for it."""

from __future__ import annotations

import asyncio

import pytest

from msvs.api.context import Context
from msvs.api.credits import checkout
from msvs.api.credits.gateway import GatewayError
from msvs.local.pretend_stripe import PretendStripe
from msvs.models import Purchase
from tests.fakes.stripe import begin, bring, buy, reread


async def test_a_page_that_many_open_at_once_is_one(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await begin(live_ctx)
    await Purchase.filter(id=row.id).update(status="opening", session_id=None, url=None)
    opened = await asyncio.gather(*(checkout.open_checkout(live_ctx, row.id) for _ in range(5)))
    assert {each.url for each in opened} == {row.url}
    assert len(stripe.sessions) == 1


async def test_a_workspace_stays_the_same_customer(live_ctx: Context, stripe: PretendStripe) -> None:
    first = await buy(live_ctx, stripe)
    second = await begin(live_ctx)
    assert first.customer is not None
    assert stripe.sessions[second.session_id or ""]["customer"] == first.customer


@pytest.mark.parametrize("tax", [False, True])
async def test_a_customer_who_was_deleted_at_stripe_buys_as_a_new_one(
    live_ctx: Context, stripe: PretendStripe, tax: bool
) -> None:
    live_ctx.services.billing.automatic_tax = tax
    first = await buy(live_ctx, stripe)
    assert first.customer is not None
    stripe.deleted.add(first.customer)
    again = await begin(live_ctx)
    # A process that died before it could write so asks again.
    await Purchase.filter(id=again.id).update(status="opening", session_id=None, url=None)
    opened = await checkout.open_checkout(live_ctx, again.id)
    assert (opened.session_id, len(stripe.sessions)) == (again.session_id, 2)
    stripe.pay(again.session_id or "")
    await bring(live_ctx.services, stripe)
    paid = await reread(again.id)
    assert (paid.status, paid.customer) == ("paid", stripe.sessions[again.session_id or ""]["customer"])
    assert paid.customer != first.customer
    third = await begin(live_ctx)
    assert stripe.sessions[third.session_id or ""]["customer"] == paid.customer


async def test_another_refusal_makes_no_new_customer(live_ctx: Context, stripe: PretendStripe) -> None:
    await buy(live_ctx, stripe)
    del stripe.prices["price_500"]
    with pytest.raises(GatewayError) as caught:
        await begin(live_ctx, "priced")
    assert (caught.value.is_final, caught.value.reason) == (True, "resource_missing")
    assert [path for method, path, _ in stripe.calls if method == "POST"] == ["/v1/checkout/sessions"] * 2


async def test_tax_is_asked_for_where_it_is_set(live_ctx: Context, stripe: PretendStripe) -> None:
    """What is paid then is more than what was sold, and what is given is what was sold."""
    live_ctx.services.billing.automatic_tax = True
    row = await begin(live_ctx)
    session = stripe.sessions[row.session_id or ""]
    assert session["_asked"]["automatic_tax"] == {"enabled": "true"}
    session |= {"amount_total": 2261, "total_details": {"amount_tax": 361}}
    stripe.pay(session["id"])
    await bring(live_ctx.services, stripe)
    taxed = await reread(row.id)
    assert (taxed.status, taxed.amount, taxed.tax, taxed.total) == ("paid", 1900, 361, 2261)
