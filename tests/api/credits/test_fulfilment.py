"""Fulfilment: any order and any number of events, at once or days late, come to the same books."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.context import Context
from msvs.api.credits import credits, fulfilment, gateway, stripe_events
from msvs.api.credits.gateway import GatewayError, Return
from msvs.api.unit_of_work import unit_of_work
from msvs.local.pretend_stripe import PretendStripe, Refused
from msvs.models import PurchaseStatus, ReturnKind, StripeEvent
from msvs.models.identity import new_id
from msvs.packs import Pack, shown_price
from tests.fakes.stripe import begin, books, bring, buy, reread, take, work

RETURNED = "SELECT refunded_amount, disputed_amount, returned_credits FROM purchases WHERE id = $1"


async def spend(workspace_id: UUID, leave: int) -> None:
    """Spend all but so many credits."""
    balance = await credits.available(workspace_id)
    async with unit_of_work():
        now = await db.now()
        assert await credits.try_reserve(workspace_id, {new_id(): balance - leave}, now)


async def kinds(workspace_id: UUID) -> list[tuple[str, int]]:
    """The movements of a workspace after its opening, oldest first."""
    found = await db.fetch(
        "SELECT kind, amount FROM ledger_entries WHERE workspace_id = $1 AND reference NOT LIKE 'opening%' ORDER BY id",
        workspace_id,
    )
    return [(row.kind, row.amount) for row in found]


async def test_a_pack_is_bought(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await begin(live_ctx)
    (session,) = stripe.sessions.values()
    assert (row.status, row.session_id, row.url) == (PurchaseStatus.OPEN, session["id"], session["url"])
    marks = session["metadata"]
    assert marks == session["_payment_metadata"]
    assert (marks["pack"], marks["credits"], session["client_reference_id"]) == ("starter", "1000", marks["purchase"])
    assert stripe.calls == [("POST", "/v1/checkout/sessions", marks["purchase"])]
    stripe.pay(session["id"])
    await bring(live_ctx.services, stripe)
    paid = await reread(row.id)
    assert (paid.status, paid.total, paid.tax, paid.paid_at is not None) == ("paid", 1900, 0, True)
    assert paid.receipt_url is not None
    assert paid.check_at is None
    assert await books(live_ctx.workspace_id) == (11_000, 11_000, 0)
    assert await kinds(live_ctx.workspace_id) == [("purchase", 1000)]


async def test_an_invoice_is_asked_for_where_it_is_set(live_ctx: Context, stripe: PretendStripe) -> None:
    without = await buy(live_ctx, stripe)
    assert (without.invoice_url, without.receipt_url is not None) == (None, True)
    live_ctx.services.billing.invoices = True
    row = await buy(live_ctx, stripe)
    session = stripe.sessions[row.session_id or ""]
    assert session["_asked"]["invoice_creation"] == {"enabled": "true"}
    assert (row.invoice_url, row.check_at) == (session["invoice"]["hosted_invoice_url"], None)


async def test_an_invoice_that_comes_after_its_payment_is_found(live_ctx: Context, stripe: PretendStripe) -> None:
    live_ctx.services.billing.invoices = stripe.invoices_are_late = True
    row = await buy(live_ctx, stripe)
    assert (row.status, row.invoice_url) == ("paid", None)
    assert row.check_at is not None
    stripe.make_invoice(row.session_id or "")
    assert await stripe_events.look_at_purchases(live_ctx.services, row.check_at) == 1
    found = await reread(row.id)
    assert (found.invoice_url is not None, found.check_at) == (True, None)
    assert await kinds(live_ctx.workspace_id) == [("purchase", 1000)]


async def test_an_invoice_that_never_comes_is_not_looked_for_without_end(
    live_ctx: Context, stripe: PretendStripe
) -> None:
    live_ctx.services.billing.invoices = stripe.invoices_are_late = True
    row = await buy(live_ctx, stripe)
    looks = 0
    while row.check_at is not None:
        services = replace(live_ctx.services, clock=partial(datetime.fromtimestamp, row.check_at.timestamp(), UTC))
        looks += await stripe_events.look_at_purchases(services, row.check_at)
        row = await reread(row.id)
    assert (looks, row.status, row.invoice_url) == (6, "paid", None)


async def test_fifty_of_one_event_at_once_and_the_success_page_are_one_purchase(
    live_ctx: Context, stripe: PretendStripe
) -> None:
    row = await begin(live_ctx)
    assert row.session_id is not None
    stripe.pay(row.session_id)
    (event,) = stripe.events
    services = live_ctx.services
    kept = await asyncio.gather(*(take(services, stripe, event) for _ in range(50)))
    assert sum(kept) == 1
    await asyncio.gather(
        *(work(services) for _ in range(4)), *(fulfilment.fulfil(services, row.session_id) for _ in range(4))
    )
    assert await StripeEvent.filter(id=event["id"]).values_list("state", flat=True) == ["done"]
    assert await kinds(live_ctx.workspace_id) == [("purchase", 1000)]
    assert await books(live_ctx.workspace_id) == (11_000, 11_000, 0)


async def test_a_slow_payment_is_pending_until_it_comes(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await begin(live_ctx)
    stripe.pay(row.session_id or "", slowly=True)
    await bring(live_ctx.services, stripe)
    assert (await reread(row.id)).status == "pending"
    assert await books(live_ctx.workspace_id) == (10_000, 10_000, 0)
    stripe.arrive(row.session_id or "")
    await bring(live_ctx.services, stripe)
    assert (await reread(row.id)).status == "paid"
    assert await books(live_ctx.workspace_id) == (11_000, 11_000, 0)


async def test_success_reported_before_completion_is_one_purchase(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await begin(live_ctx)
    stripe.pay(row.session_id or "", slowly=True)
    stripe.arrive(row.session_id or "")
    completed, succeeded = stripe.events
    for event in (succeeded, completed, succeeded):
        await take(live_ctx.services, stripe, event)
        await work(live_ctx.services)
    assert await kinds(live_ctx.workspace_id) == [("purchase", 1000)]


async def test_a_slow_payment_that_never_comes_buys_nothing(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await begin(live_ctx)
    stripe.pay(row.session_id or "", slowly=True)
    stripe.bounce(row.session_id or "")
    await bring(live_ctx.services, stripe)
    assert (await reread(row.id)).status == "failed"
    assert await kinds(live_ctx.workspace_id) == []


async def test_a_session_that_nobody_paid_expires_without_an_event(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await begin(live_ctx)
    stripe.clock = lambda: (row.created_at + timedelta(days=1)).timestamp()
    await db.execute("UPDATE purchases SET check_at = now() - interval '1 s'")
    await work(live_ctx.services)
    assert ((await reread(row.id)).status, (await reread(row.id)).check_at) == ("expired", None)
    assert await kinds(live_ctx.workspace_id) == []


CHANGES = {
    "other_currency": {"currency": "eur"},
    "other_amount": {"amount_subtotal": 19, "amount_total": 19},
    "other_purchase": {"client_reference_id": "pur_00000000000000000000000000"},
    "other_mode": {"livemode": True},
    "other_lines": {"_line": {"quantity": 2, "price": {"id": "price_x"}}},
}


@pytest.mark.parametrize("problem", CHANGES)
async def test_what_was_not_sold_is_not_given(live_ctx: Context, stripe: PretendStripe, problem: str) -> None:
    row = await begin(live_ctx)
    stripe.pay(row.session_id or "")
    stripe.sessions[row.session_id or ""].update(CHANGES[problem])
    await bring(live_ctx.services, stripe)
    found = await reread(row.id)
    assert (found.status, found.problem, found.paid_at) == ("review", problem, None)
    assert await kinds(live_ctx.workspace_id) == []


async def test_a_discount_that_takes_all_gives_nothing(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await begin(live_ctx)
    stripe.pay(row.session_id or "")
    stripe.sessions[row.session_id or ""].update(amount_total=0, payment_status="no_payment_required")
    await bring(live_ctx.services, stripe)
    assert ((await reread(row.id)).status, await kinds(live_ctx.workspace_id)) == ("review", [])


async def test_a_price_of_stripes_must_be_the_one_sold(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await buy(live_ctx, stripe, "priced")
    assert (row.status, row.price) == ("paid", "price_500")
    other = await begin(live_ctx, "priced")
    stripe.pay(other.session_id or "")
    stripe.sessions[other.session_id or ""]["_line"]["price"]["id"] = "price_1"
    await bring(live_ctx.services, stripe)
    assert (await reread(other.id)).problem == "other_price"
    assert await kinds(live_ctx.workspace_id) == [("purchase", 500)]


async def test_what_is_not_ours_is_ignored(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await begin(live_ctx)
    session = stripe.sessions[row.session_id or ""]
    for id, marks in (("cs_test_a", {}), ("cs_test_b", {"purchase": "pur_00000000000000000000000000"})):
        stripe.sessions[id] = {**session, "id": id, "metadata": marks, "_payment_metadata": marks}
        payment = stripe.pay(id)
        stripe.refund(payment["id"])
    await bring(live_ctx.services, stripe)
    assert set(await StripeEvent.all().values_list("state", flat=True)) == {"ignored"}
    assert ((await reread(row.id)).status, await kinds(live_ctx.workspace_id)) == ("open", [])


async def test_a_session_of_a_process_that_died_finds_its_purchase(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await begin(live_ctx)
    stripe.pay(row.session_id or "")
    await db.execute("UPDATE purchases SET status = 'opening', session_id = NULL, url = NULL, expires_at = NULL")
    await bring(live_ctx.services, stripe)
    assert (await reread(row.id)).status == "paid"
    assert await kinds(live_ctx.workspace_id) == [("purchase", 1000)]


async def test_a_second_session_of_one_purchase_gives_nothing(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await buy(live_ctx, stripe)
    twin = {**stripe.sessions[row.session_id or ""], "id": "cs_test_twin", "status": "open"}
    stripe.sessions["cs_test_twin"] = twin
    stripe.pay("cs_test_twin")
    await bring(live_ctx.services, stripe)
    assert await kinds(live_ctx.workspace_id) == [("purchase", 1000)]


async def test_a_refund_that_is_reported_first_takes_the_credits_of_the_purchase(
    live_ctx: Context, stripe: PretendStripe
) -> None:
    row = await begin(live_ctx)
    payment = stripe.pay(row.session_id or "")
    stripe.refund(payment["id"])
    completed, *rest = stripe.events
    for event in (*rest, completed):
        await take(live_ctx.services, stripe, event)
        await work(live_ctx.services)
    assert await kinds(live_ctx.workspace_id) == [("purchase", 1000), ("refund", -1000)]
    assert await books(live_ctx.workspace_id) == (10_000, 10_000, 0)
    assert tuple(await db.fetch_row(RETURNED, row.id) or ()) == (1900, 0, 1000)


@pytest.mark.parametrize("seed", range(6))
async def test_partial_refunds_in_any_order_come_to_the_same(
    live_ctx: Context, stripe: PretendStripe, seed: int
) -> None:
    row = await begin(live_ctx)
    payment = stripe.pay(row.session_id or "")["id"]
    stripe.refund(payment, 950)
    second = stripe.refund(payment, 475)
    stripe.end_refund(second["id"], "failed")
    await bring(live_ctx.services, stripe, random=Random(seed))
    assert await books(live_ctx.workspace_id) == (10_500, 10_500, 0)
    assert tuple(await db.fetch_row(RETURNED, row.id) or ()) == (950, 0, 500)
    stripe.refund(payment)
    await bring(live_ctx.services, stripe, random=Random(seed))
    assert await books(live_ctx.workspace_id) == (10_000, 10_000, 0)
    assert tuple(await db.fetch_row(RETURNED, row.id) or ()) == (1900, 0, 1000)


@pytest.mark.parametrize("end", ["failed", "canceled"])
async def test_a_refund_that_fails_gives_its_credits_back(live_ctx: Context, stripe: PretendStripe, end: str) -> None:
    row = await buy(live_ctx, stripe)
    refund = stripe.refund(row.payment_intent or "", status="pending")
    await bring(live_ctx.services, stripe)
    assert await books(live_ctx.workspace_id) == (10_000, 10_000, 0)
    stripe.end_refund(refund["id"], end)
    await bring(live_ctx.services, stripe)
    assert await kinds(live_ctx.workspace_id) == [("purchase", 1000), ("refund", -1000), ("restore", 1000)]
    assert await books(live_ctx.workspace_id) == (11_000, 11_000, 0)


@pytest.mark.parametrize(("end", "left"), [("won", 11_000), ("lost", 10_000)])
async def test_a_dispute_takes_credits_until_it_is_won(
    live_ctx: Context, stripe: PretendStripe, end: str, left: int
) -> None:
    row = await buy(live_ctx, stripe)
    dispute = stripe.dispute(row.payment_intent or "")
    await bring(live_ctx.services, stripe)
    assert await books(live_ctx.workspace_id) == (10_000, 10_000, 0)
    stripe.close_dispute(dispute["id"], end)
    await bring(live_ctx.services, stripe)
    assert await books(live_ctx.workspace_id) == (left, left, 0)


@pytest.mark.parametrize("type", ["refund.created", "charge.refunded", "refund.updated", "charge.refund.updated"])
async def test_one_event_of_a_refund_is_enough(live_ctx: Context, stripe: PretendStripe, type: str) -> None:
    """An endpoint may have been set up with some of them alone."""
    row = await buy(live_ctx, stripe)
    stripe.refund(row.payment_intent or "", 190)
    (event,) = [each for each in stripe.events if each["type"] == "refund.created"]
    if type == "charge.refunded":
        (event,) = [each for each in stripe.events if each["type"] == type]
    assert await take(live_ctx.services, stripe, {**event, "type": type})
    await work(live_ctx.services)
    assert await kinds(live_ctx.workspace_id) == [("purchase", 1000), ("refund", -100)]


@pytest.mark.parametrize("type", ["charge.dispute.funds_reinstated", "charge.dispute.closed", "charge.dispute.updated"])
async def test_one_event_of_a_dispute_that_is_won_is_enough(
    live_ctx: Context, stripe: PretendStripe, type: str
) -> None:
    row = await buy(live_ctx, stripe)
    dispute = stripe.dispute(row.payment_intent or "")
    await bring(live_ctx.services, stripe)
    assert await books(live_ctx.workspace_id) == (10_000, 10_000, 0)
    stripe.close_dispute(dispute["id"], "won")
    assert await take(live_ctx.services, stripe, {**stripe.events[-1], "type": type})
    await work(live_ctx.services)
    assert await books(live_ctx.workspace_id) == (11_000, 11_000, 0)


async def test_a_dispute_goes_through_its_states_and_is_won_after_it_was_lost(
    live_ctx: Context, stripe: PretendStripe
) -> None:
    row = await buy(live_ctx, stripe)
    dispute = stripe.dispute(row.payment_intent or "", status="warning_needs_response")
    left = []
    for status in ("warning_under_review", "needs_response", "under_review", "lost", "won", "lost", "won", "prevented"):
        stripe.close_dispute(dispute["id"], status)
        await bring(live_ctx.services, stripe)
        left.append((await books(live_ctx.workspace_id))[:2])
    assert left == [(each, each) for each in (11_000, 10_000, 10_000, 10_000, 11_000, 10_000, 11_000, 11_000)]
    returned = await db.fetch_row(RETURNED, row.id)
    assert tuple(returned or ()) == (0, 0, 0)


async def test_what_a_dispute_gave_back_is_taken_by_a_later_refund(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await buy(live_ctx, stripe)
    dispute = stripe.dispute(row.payment_intent or "")
    await bring(live_ctx.services, stripe)
    stripe.close_dispute(dispute["id"], "won")
    await bring(live_ctx.services, stripe)
    stripe.refund(row.payment_intent or "", 1520)
    await bring(live_ctx.services, stripe)
    assert await books(live_ctx.workspace_id) == (10_200, 10_200, 0)
    assert tuple(await db.fetch_row(RETURNED, row.id) or ()) == (1520, 0, 800)


async def test_a_dispute_that_is_won_after_a_refund_gives_back_what_it_took_itself(
    live_ctx: Context, stripe: PretendStripe
) -> None:
    """The refund took half. The bank took all of the payment, and gives it back: the refund's half stays taken."""
    row = await buy(live_ctx, stripe)
    stripe.refund(row.payment_intent or "", 950)
    dispute = stripe.dispute(row.payment_intent or "")
    await bring(live_ctx.services, stripe)
    assert await books(live_ctx.workspace_id) == (10_000, 10_000, 0)
    stripe.close_dispute(dispute["id"], "won")
    await bring(live_ctx.services, stripe)
    assert await books(live_ctx.workspace_id) == (10_500, 10_500, 0)
    assert tuple(await db.fetch_row(RETURNED, row.id) or ()) == (950, 0, 500)


async def test_more_money_than_was_paid_takes_no_more_than_was_sold(live_ctx: Context, stripe: PretendStripe) -> None:
    """A dispute may be higher than its payment, as exchange rates move."""
    row = await buy(live_ctx, stripe)
    stripe.refund(row.payment_intent or "", 475)
    stripe.dispute(row.payment_intent or "", 2_500)
    await bring(live_ctx.services, stripe)
    assert await books(live_ctx.workspace_id) == (10_000, 10_000, 0)
    assert (await reread(row.id)).returned_credits == 1000
    with pytest.raises(Refused):
        stripe.refund(row.payment_intent or "", 1_426)


@pytest.mark.parametrize(("currency", "amount", "shown"), [("jpy", 2_900, "2,900 JPY"), ("kwd", 5_990, "5.990 KWD")])
async def test_currencies_without_and_with_three_decimals(
    live_ctx: Context, stripe: PretendStripe, currency: str, amount: int, shown: str
) -> None:
    """The amount goes to Stripe and back as the file says it."""
    live_ctx.services.billing.packs = [Pack("own", 1_000, amount, currency, "Own")]
    row = await buy(live_ctx, stripe, "own")
    session = stripe.sessions[row.session_id or ""]
    assert (row.status, row.total, row.currency, session["amount_total"]) == ("paid", amount, currency, amount)
    assert shown_price(amount, currency) == shown
    stripe.refund(row.payment_intent or "", amount // 10)
    await bring(live_ctx.services, stripe)
    assert await books(live_ctx.workspace_id) == (10_900, 10_900, 0)


async def test_a_question_of_the_bank_takes_nothing(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await buy(live_ctx, stripe)
    dispute = stripe.dispute(row.payment_intent or "", status="warning_needs_response")
    stripe.close_dispute(dispute["id"], "warning_closed")
    await bring(live_ctx.services, stripe)
    assert await kinds(live_ctx.workspace_id) == [("purchase", 1000)]


async def test_what_the_balance_does_not_cover_is_owed_and_paid_first(live_ctx: Context, stripe: PretendStripe) -> None:
    workspace_id = live_ctx.workspace_id
    row = await buy(live_ctx, stripe)
    await spend(workspace_id, 300)
    stripe.refund(row.payment_intent or "")
    await bring(live_ctx.services, stripe)
    assert await books(workspace_id) == (0, 0, 700)
    async with unit_of_work():
        await credits.grant_credits(workspace_id, 200, reference="gift")
    assert await books(workspace_id) == (0, 0, 500)
    await buy(live_ctx, stripe)
    assert await books(workspace_id) == (500, 500, 0)
    assert (await kinds(workspace_id))[2:] == [
        ("refund", -300),
        ("grant", 200),
        ("debt", -200),
        ("purchase", 1000),
        ("debt", -500),
    ]
    assert (
        await db.fetch_value("SELECT total_lifetime FROM credit_balances WHERE workspace_id = $1", workspace_id)
    ) == (10_000 + 1000 + 200 + 1000)


async def test_what_a_canceled_message_gives_back_pays_a_debt(live_ctx: Context, stripe: PretendStripe) -> None:
    workspace_id = live_ctx.workspace_id
    row = await buy(live_ctx, stripe)
    message = new_id()
    async with unit_of_work():
        assert await credits.try_reserve(workspace_id, {message: 11_000}, await db.now())
    stripe.refund(row.payment_intent or "")
    await bring(live_ctx.services, stripe)
    assert await books(workspace_id) == (0, 0, 1000)
    for _ in range(2):
        async with unit_of_work():
            await credits.release(workspace_id, {message: 11_000}, await db.now())
    assert await books(workspace_id) == (10_000, 10_000, 0)


async def test_a_dispute_that_is_won_pays_the_debt_that_it_made(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await buy(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    dispute = stripe.dispute(row.payment_intent or "")
    await bring(live_ctx.services, stripe)
    assert await books(live_ctx.workspace_id) == (0, 0, 1000)
    stripe.close_dispute(dispute["id"], "won")
    await bring(live_ctx.services, stripe)
    assert await books(live_ctx.workspace_id) == (0, 0, 0)


async def test_a_refund_and_a_dispute_of_one_payment_take_it_once(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await buy(live_ctx, stripe)
    stripe.refund(row.payment_intent or "")
    stripe.dispute(row.payment_intent or "")
    await bring(live_ctx.services, stripe)
    assert await books(live_ctx.workspace_id) == (10_000, 10_000, 0)
    assert (await reread(row.id)).returned_credits == 1000


async def test_stripe_away_is_tried_again(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await begin(live_ctx)
    stripe.pay(row.session_id or "")
    stripe.refusals += [Refused(429, "rate_limit_error", "Too many requests", "rate_limit")]
    await bring(live_ctx.services, stripe)
    (event,) = await StripeEvent.all()
    assert (event.state, event.attempt_count, event.error, await kinds(live_ctx.workspace_id)) == (
        "pending",
        1,
        "RateLimitError",
        [],
    )
    await work(live_ctx.services)
    assert await kinds(live_ctx.workspace_id) == [("purchase", 1000)]


async def test_what_was_read_before_is_dropped(live_ctx: Context, stripe: PretendStripe) -> None:
    """A process that asked first and writes last must not overwrite what another learned between."""
    row = await begin(live_ctx)
    payment = stripe.pay(row.session_id or "")["id"]
    refund = stripe.refund(payment, status="pending")
    services = live_ctx.services

    held, asked = asyncio.Event(), asyncio.Event()
    real = gateway.read_returns

    async def slow(services: object, payment_intent: str) -> object:
        found = await real(live_ctx.services, payment_intent)
        if not asked.is_set():
            asked.set()
            await held.wait()
        return found

    gateway.read_returns = slow  # type: ignore[assignment]
    try:
        first = asyncio.create_task(fulfilment.settle(services, row.id))
        await asked.wait()
        stripe.end_refund(refund["id"], "failed")
        await fulfilment.settle(services, row.id)
        held.set()
        await first
    finally:
        gateway.read_returns = real
    assert await books(live_ctx.workspace_id) == (11_000, 11_000, 0)


async def test_no_call_is_made_inside_a_transaction(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await begin(live_ctx)
    calls = len(stripe.calls)
    async with unit_of_work():
        with pytest.raises(RuntimeError):
            await gateway.read_session(live_ctx.services, row.session_id or "")
    assert len(stripe.calls) == calls


async def test_an_answer_that_cannot_be_read_holds_up_no_other(live_ctx: Context, stripe: PretendStripe) -> None:
    broken, good = await begin(live_ctx), await begin(live_ctx)
    assert broken.session_id is not None
    assert good.session_id is not None
    stripe.pay(good.session_id)
    stripe.sessions[broken.session_id]["amount_total"] = "many"
    late = datetime.now(UTC) + timedelta(days=2)
    assert await stripe_events.look_at_purchases(live_ctx.services, late) == 2
    assert (await reread(good.id)).status == "paid"
    assert (await reread(broken.id)).check_at == late + timedelta(days=1)
    with pytest.raises(GatewayError) as caught:
        await fulfilment.fulfil(live_ctx.services, broken.session_id)
    assert (caught.value.is_final, caught.value.reason) == (True, "unreadable")


async def test_a_missing_object_is_final(live_ctx: Context, stripe: PretendStripe) -> None:
    with pytest.raises(GatewayError) as missing:
        await gateway.read_session(live_ctx.services, "cs_test_none")
    assert (missing.value.is_final, missing.value.reason) == (True, "resource_missing")


def test_shares_add_up() -> None:
    """Three cents of ten credits: rounded down as they go, all of them at the end."""
    at = datetime.fromtimestamp(0, UTC)
    returns = [Return(f"re_{n}", ReturnKind.REFUND, 1, "succeeded", at + timedelta(seconds=n)) for n in range(3)]
    assert [fulfilment.shares(10, 3, returns[:n]) for n in (1, 2, 3)] == [
        {"re_0": 3},
        {"re_0": 3, "re_1": 3},
        {"re_0": 3, "re_1": 3, "re_2": 4},
    ]
    more = Return("re_3", ReturnKind.DISPUTE, 3, "lost", at + timedelta(seconds=3))
    assert sum(fulfilment.shares(10, 3, [*returns, more]).values()) == 10
