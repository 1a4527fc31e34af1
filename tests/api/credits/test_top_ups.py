"""Automatic top-ups: charged once, within limits that no race exceeds, and off where a card or its bank says no."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import structlog

from msvs import database as db
from msvs.api.accounts.top_up_settings import update_auto_top_up
from msvs.api.context import Context, Services
from msvs.api.credits import caps, charges, credits, fulfilment, gateway, stripe_events, top_ups
from msvs.api.credits.reconciliation import reconcile
from msvs.api.credits.top_ups import UpdateAutoTopUp
from msvs.api.errors import ApiError, Conflict, InvalidRequest, PermissionDenied
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import single_statement, unit_of_work
from msvs.local.pretend_stripe import PretendStripe, Refused
from msvs.models import AutoTopUp, Membership, Purchase, Role, User
from msvs.models.identity import new_id
from msvs.packs import Pack
from tests import factories
from tests.fakes.stripe import PACKS, begin, books, bring, buy, reread, work
from tests.services import SERVICES

FIGURES: dict[str, Any] = {"pack": "starter", "threshold": 500, "daily_limit": 5_000, "monthly_limit": 9_000}


async def spend(workspace_id: UUID, leave: int) -> None:
    balance = await credits.available(workspace_id)
    async with unit_of_work():
        assert await credits.try_reserve(workspace_id, {new_id(): balance - leave}, await db.now())


async def change(ctx: Context, **changes: Any) -> top_ups.AutoTopUpResource:
    async with unit_of_work():
        return await update_auto_top_up(ctx, UpdateAutoTopUp(**changes))


async def save_card(ctx: Context, stripe: PretendStripe, card: str = "4242") -> None:
    row = await begin(ctx, "starter", save_card=True)
    stripe.pay(row.session_id or "", card=card)
    await bring(ctx.services, stripe)


async def turn_on(ctx: Context, stripe: PretendStripe, card: str = "4242", **figures: Any) -> None:
    """Buy a pack by hand, and have the rest bought by itself."""
    await save_card(ctx, stripe, card)
    await change(ctx, enabled=True, **{**FIGURES, **figures})


def at(now: datetime) -> Services:
    """The services at a time."""
    return replace(SERVICES, clock=lambda: now)


async def settle(ctx: Context) -> None:
    """Work on what is due, whenever it is due."""
    await db.execute("UPDATE credit_balances SET top_up_at = now() - interval '1 s' WHERE top_up_at IS NOT NULL")
    await work(ctx.services)


async def automatic(ctx: Context) -> list[tuple[str, str | None]]:
    rows = await Purchase.filter(workspace_id=ctx.workspace_id, is_automatic=True).order_by("id")
    return [(str(row.status.value), row.problem) for row in rows]


def charged(stripe: PretendStripe) -> int:
    return sum(path == "/v1/payment_intents" and method == "POST" for method, path, _ in stripe.calls)


async def mails() -> list[str]:
    return [
        row.kind
        for row in await db.fetch("SELECT kind FROM mails WHERE kind <> 'notification' ORDER BY created_at, id")
    ]


async def state(ctx: Context) -> tuple[bool, str | None]:
    row = await AutoTopUp.get(workspace_id=ctx.workspace_id)
    return row.is_enabled, None if row.off_reason is None else row.off_reason.value


@pytest.fixture
async def owner(live_ctx: Context) -> User:
    user = await User.create(email="owner@cohortlabs.co", name="Ana", password_hash="x", language="es")
    await Membership.create(user_id=user.id, workspace_id=live_ctx.workspace_id, role=Role.OWNER)
    member = await User.create(email="member@cohortlabs.co", name="Bo", password_hash="x")
    await Membership.create(user_id=member.id, workspace_id=live_ctx.workspace_id, role=Role.MEMBER)
    return user


async def test_a_low_balance_buys_a_pack(live_ctx: Context, stripe: PretendStripe, owner: User) -> None:
    await turn_on(live_ctx, stripe)
    (method,) = stripe.methods.values()
    await spend(live_ctx.workspace_id, 500)
    assert not await top_ups.has_due(await db.now())
    await spend(live_ctx.workspace_id, 499)
    assert await top_ups.has_due(await db.now() + timedelta(seconds=1))
    await settle(live_ctx)
    assert await automatic(live_ctx) == [("paid", None)]
    row = await Purchase.get(is_automatic=True)
    assert (row.credits, row.amount, row.total, row.actor) == (1000, 1900, 1900, "auto_top_up")
    assert (row.payment_method, row.receipt_url is not None, row.check_at) == (method["id"], True, None)
    assert await books(live_ctx.workspace_id) == (1_499, 1_499, 0)
    await bring(live_ctx.services, stripe)
    await settle(live_ctx)
    assert (len(await automatic(live_ctx)), charged(stripe)) == (1, 1)
    shown = await top_ups.get_auto_top_up(live_ctx)
    assert (shown.charged_today, shown.charged_this_month, shown.card_last4) == (1900, 1900, "4242")
    told = await db.fetch("SELECT kind, recipient, language, data FROM mails WHERE kind <> 'notification'")
    assert [(each.kind, each.recipient, each.language) for each in told] == [
        ("top_up_paid", "owner@cohortlabs.co", "es"),
    ]
    assert {"credits": "1,000", "price": "19.00 USD", "card": "4242"}.items() <= told[0]["data"].items()


async def test_a_single_message_notes_it_too(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 500)
    SERVICES.carriers.live = "virtual"
    try:
        async with single_statement():
            await send_message(live_ctx, SendMessage(factories.next_phone(), "Hi"))
    finally:
        SERVICES.carriers.live = None
    await settle(live_ctx)
    assert await automatic(live_ctx) == [("paid", None)]
    assert await books(live_ctx.workspace_id) == (1_499, 1_499, 0)


async def test_a_refund_charges_nobody(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 600)
    payment = next(iter(stripe.intents))
    stripe.refund(payment)
    await bring(live_ctx.services, stripe)
    await settle(live_ctx)
    assert await books(live_ctx.workspace_id) == (0, 0, 400)
    assert await automatic(live_ctx) == []


async def test_many_workers_begin_and_charge_one(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    await asyncio.gather(*(settle(live_ctx) for _ in range(12)))
    assert (len(stripe.intents), await automatic(live_ctx)) == (2, [("paid", None)])
    assert await books(live_ctx.workspace_id) == (1_000, 1_000, 0)


async def test_a_second_one_waits_until_the_first_has_ended(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    now = await db.now()
    begun = []
    for _ in range(3):
        await db.execute("UPDATE credit_balances SET top_up_at = $1", now)
        async with unit_of_work():
            begun.append(await top_ups.begin(live_ctx.services, live_ctx.workspace_id, now))
    assert [each is not None for each in begun] == [True, False, False]
    with pytest.raises(Exception, match="purchases_one_top_up"):
        await db.execute(
            "INSERT INTO purchases SELECT (jsonb_populate_record(p, jsonb_build_object('id', gen_random_uuid()))).*"
            " FROM purchases AS p WHERE is_automatic"
        )


async def test_limits_hold_under_a_race(live_ctx: Context, stripe: PretendStripe) -> None:
    """Two of a day, four of a month; the first of June begins another."""
    await turn_on(live_ctx, stripe, threshold=100_000)
    day = datetime(2027, 5, 30, 12, tzinfo=UTC)
    counts = []
    for number in range(3):
        now = day + timedelta(days=number)
        services = at(now)
        for _ in range(3):
            await db.execute("UPDATE credit_balances SET top_up_at = $1 WHERE top_up_at <= $1", now)
            await asyncio.gather(*(top_ups.begin_due(services, now) for _ in range(4)))
            await stripe_events.look_at_purchases(services, now)
        counts.append(len(await automatic(live_ctx)))
    assert counts == [2, 4, 6]
    row = await AutoTopUp.get(workspace_id=live_ctx.workspace_id)
    assert (row.day_amount, row.month_amount) == (3_800, 3_800), "the first of June begins a month"
    assert await db.fetch_value("SELECT top_up_at FROM credit_balances") == datetime(2027, 6, 2, tzinfo=UTC)


async def test_the_month_ends_before_the_day_does(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe, threshold=100_000, daily_limit=9_000, monthly_limit=4_000)
    now = datetime(2027, 12, 30, 12, tzinfo=UTC)
    for _ in range(4):
        await db.execute("UPDATE credit_balances SET top_up_at = $1 WHERE top_up_at <= $1", now)
        await top_ups.begin_due(at(now), now)
        await stripe_events.look_at_purchases(at(now), now)
    assert len(await automatic(live_ctx)) == 2
    assert await db.fetch_value("SELECT top_up_at FROM credit_balances") == datetime(2028, 1, 1, tzinfo=UTC)


async def test_owners_are_told_once_that_a_limit_is_reached(
    live_ctx: Context, stripe: PretendStripe, owner: User
) -> None:
    """Two of a day; then the credits run out in silence unless somebody is told."""
    await turn_on(live_ctx, stripe, threshold=100_000)

    async def try_all_day(now: datetime) -> list[str]:
        before = len(await mails())
        for _ in range(4):
            await db.execute("UPDATE credit_balances SET top_up_at = $1", now)
            await asyncio.gather(*(top_ups.begin_due(at(now), now) for _ in range(3)))
            await stripe_events.look_at_purchases(at(now), now)
        return (await mails())[before:]

    day = datetime(2027, 5, 3, 12, tzinfo=UTC)
    assert await try_all_day(day) == ["top_up_paid", "top_up_paid", "top_up_limited"]
    assert await try_all_day(day + timedelta(hours=3)) == []
    (told,) = await db.fetch("SELECT recipient, language, data FROM mails WHERE kind = 'top_up_limited'")
    assert (told.recipient, told.language) == ("owner@cohortlabs.co", "es")
    assert {"price": "19.00 USD", "card": "4242", "until": "2027-05-04 00:00 UTC"}.items() <= told.data.items()
    # Raised limits that are reached are told of again; a threshold alone is not.
    for change, expected in (
        (UpdateAutoTopUp(threshold=90_000), []),
        (UpdateAutoTopUp(daily_limit=6_000), ["top_up_paid", "top_up_limited"]),
        (UpdateAutoTopUp(daily_limit=60_000), ["top_up_paid", "top_up_limited"]),
    ):
        async with unit_of_work():
            await top_ups.change(live_ctx, change)
        assert await try_all_day(day + timedelta(hours=4)) == expected
    # The month's limit is reached: the next day says nothing new, the next month does.
    assert await try_all_day(day + timedelta(days=1)) == []
    assert await db.fetch_value("SELECT top_up_at FROM credit_balances") == datetime(2027, 6, 1, tzinfo=UTC)
    assert await try_all_day(datetime(2027, 6, 1, tzinfo=UTC)) == ["top_up_paid"] * 4
    assert await try_all_day(datetime(2027, 6, 2, tzinfo=UTC)) == ["top_up_limited"]


async def test_two_hard_declines_turn_it_off(live_ctx: Context, stripe: PretendStripe, owner: User) -> None:
    await turn_on(live_ctx, stripe, "0069")
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    assert (await automatic(live_ctx), await state(live_ctx)) == ([("failed", "expired_card")], (True, None))
    row = await AutoTopUp.get(workspace_id=live_ctx.workspace_id)
    assert (row.day_amount, row.month_amount) == (0, 0), "what was not charged does not count"
    due = await db.fetch_value("SELECT top_up_at FROM credit_balances")
    assert timedelta(minutes=50) < due - datetime.now(UTC) < timedelta(minutes=70)
    await settle(live_ctx)
    assert await state(live_ctx) == (False, "declined")
    await settle(live_ctx)
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    assert (charged(stripe), len(await automatic(live_ctx))) == (2, 2)
    assert await mails() == ["top_up_declined", "top_up_off"]
    assert await books(live_ctx.workspace_id) == (0, 0, 0)
    # A purchase on the page with another card repairs it.
    await save_card(live_ctx, stripe)
    assert await state(live_ctx) == (True, None)
    await spend(live_ctx.workspace_id, 10)
    await settle(live_ctx)
    assert await books(live_ctx.workspace_id) == (1_010, 1_010, 0)


async def test_a_soft_decline_is_tried_again_and_forgotten(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe, "9995")
    await spend(live_ctx.workspace_id, 0)
    for _ in range(4):
        await settle(live_ctx)
    assert await state(live_ctx) == (True, None)
    (method,) = stripe.methods.values()
    method["card"]["last4"] = "4242"
    await settle(live_ctx)
    assert [status for status, _ in await automatic(live_ctx)] == ["failed"] * 4 + ["paid"]
    row = await AutoTopUp.get(workspace_id=live_ctx.workspace_id)
    assert (row.declined_count, row.hard_declined_count) == (0, 0)
    method["card"]["last4"] = "9995"
    await spend(live_ctx.workspace_id, 0)
    for _ in range(7):
        await settle(live_ctx)
    assert (await state(live_ctx), charged(stripe)) == ((False, "declined"), 10)


async def test_a_bank_that_asks_brings_the_owner_back(live_ctx: Context, stripe: PretendStripe, owner: User) -> None:
    await turn_on(live_ctx, stripe, "3184")
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    assert await automatic(live_ctx) == [("failed", "authentication_required")]
    assert await state(live_ctx) == (False, "authentication_required")
    assert await mails() == ["top_up_authenticate"]
    await settle(live_ctx)
    assert charged(stripe) == 1
    await save_card(live_ctx, stripe)
    assert await state(live_ctx) == (True, None)
    assert await books(live_ctx.workspace_id) == (1_000, 1_000, 0)


async def test_a_card_that_is_gone_turns_it_off(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    stripe.forget_card(next(iter(stripe.methods)))
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    assert (await automatic(live_ctx), await state(live_ctx)) == ([("failed", "card_missing")], (False, "card_missing"))


async def test_a_dispute_turns_it_off(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    stripe.dispute(next(iter(stripe.intents)))
    await bring(live_ctx.services, stripe)
    assert await state(live_ctx) == (False, "dispute")
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    assert charged(stripe) == 0
    # What a person did is not undone by a card that is saved again.
    await save_card(live_ctx, stripe)
    assert await state(live_ctx) == (False, "dispute")


@pytest.mark.parametrize(
    "packs",
    [(), (Pack("starter", 1_000, 1_901, "usd", "S"),), (Pack("starter", 999, 1_900, "usd", "S"),)],
    ids=["gone", "dearer", "less"],
)
async def test_a_pack_that_is_not_what_was_agreed_to_is_not_bought(
    live_ctx: Context, stripe: PretendStripe, packs: tuple[Pack, ...]
) -> None:
    await turn_on(live_ctx, stripe)
    live_ctx.services.billing.packs = (*packs, PACKS[1])
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    assert (charged(stripe), await automatic(live_ctx)) == (0, [])
    assert await state(live_ctx) == (False, "pack_changed")


async def test_what_is_paid_must_be_what_was_sold(live_ctx: Context, stripe: PretendStripe) -> None:
    """A part of the money gives no credits, and charges nothing more."""
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    real = stripe.new_intent
    stripe.new_intent = lambda *args: {**real(*args), "amount_received": 1}  # type: ignore[method-assign]
    await settle(live_ctx)
    await settle(live_ctx)
    assert (await automatic(live_ctx), charged(stripe)) == ([("review", "other_amount")], 1)
    assert (await state(live_ctx), await books(live_ctx.workspace_id)) == ((False, "review"), (0, 0, 0))


async def test_a_charge_that_was_lost_is_found_and_not_repeated(live_ctx: Context, stripe: PretendStripe) -> None:
    """Stripe forgets the key after a day: from then on its payments are looked through."""
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    now = await db.now()
    async with unit_of_work():
        id = await top_ups.begin(live_ctx.services, live_ctx.workspace_id, now + timedelta(seconds=1))
    assert id is not None
    await charges.look(live_ctx.services, await reread(id))
    stripe.answered.clear()
    await fulfilment.settle(at(now + timedelta(hours=24)), id)
    assert ((await reread(id)).status, charged(stripe)) == ("paid", 1)
    await spend(live_ctx.workspace_id, 0)
    async with unit_of_work():
        other = await top_ups.begin(live_ctx.services, live_ctx.workspace_id, now + timedelta(hours=24))
    assert other is not None
    await fulfilment.settle(at(now + timedelta(hours=48)), other)
    assert ((await reread(other)).problem, charged(stripe)) == ("not_charged", 1)
    assert await books(live_ctx.workspace_id) == (0, 0, 0)


async def test_stripe_away_charges_once_it_is_back(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    stripe.refusals.append(Refused(429, "rate_limit_error", "Too many requests"))
    await settle(live_ctx)
    assert await automatic(live_ctx) == [("opening", None)]
    await db.execute("UPDATE purchases SET check_at = now() - interval '1 s' WHERE check_at IS NOT NULL")
    await settle(live_ctx)
    assert (await automatic(live_ctx), charged(stripe)) == ([("paid", None)], 2)
    assert len(stripe.intents) == 2


async def test_an_automatic_one_is_refunded_as_others(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 100)
    await settle(live_ctx)
    row = await Purchase.get(is_automatic=True)
    stripe.refund(row.payment_intent or "", 950)
    await bring(live_ctx.services, stripe)
    assert await books(live_ctx.workspace_id) == (600, 600, 0)


REFUSED: list[tuple[dict[str, Any], type[ApiError], str, str | None]] = [
    ({"enabled": True, **FIGURES, "pack": "none"}, InvalidRequest, "pack_unknown", "pack"),
    ({"enabled": True, **FIGURES, "pack": "gone"}, InvalidRequest, "pack_unknown", "pack"),
    ({"enabled": True, **FIGURES, "threshold": 0}, InvalidRequest, "parameter_out_of_range", "threshold"),
    ({"enabled": True, **FIGURES, "daily_limit": 1_899}, InvalidRequest, "parameter_out_of_range", "daily_limit"),
    ({"enabled": True, **FIGURES, "monthly_limit": 2**40}, InvalidRequest, "parameter_out_of_range", "monthly_limit"),
    ({"enabled": True, "pack": "starter"}, InvalidRequest, "parameter_missing", "threshold"),
    ({"enabled": True}, InvalidRequest, "parameter_missing", "pack"),
    ({"enabled": True, **FIGURES, "forget_card": True}, Conflict, "", None),
]


@pytest.mark.parametrize(("changes", "error", "code", "param"), REFUSED[:-1])
async def test_what_cannot_be_agreed_to(
    live_ctx: Context,
    stripe: PretendStripe,
    changes: dict[str, Any],
    error: type[ApiError],
    code: str,
    param: str | None,
) -> None:
    await save_card(live_ctx, stripe)
    with pytest.raises(error) as caught:
        await change(live_ctx, **changes)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert await state(live_ctx) == (False, None)
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    assert charged(stripe) == 0


async def test_it_needs_a_card_live_and_a_shop(live_ctx: Context, ctx: Context, stripe: PretendStripe) -> None:
    with pytest.raises(Conflict) as caught:
        await change(live_ctx, enabled=True, **FIGURES)
    assert caught.value.code == "card_missing"
    with pytest.raises(PermissionDenied) as denied:
        await change(ctx, enabled=False)
    assert denied.value.code == "live_only"
    await buy(live_ctx, stripe)
    assert await AutoTopUp.all().count() == 0, "no card is kept that nobody asked to keep"
    await save_card(live_ctx, stripe)
    live_ctx.services.billing.automatic_tax = True
    with pytest.raises(Conflict) as closed:
        await change(live_ctx, enabled=True, **FIGURES)
    assert closed.value.code == "billing_closed"


async def test_turning_it_off_and_forgetting_the_card(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    shown = await change(live_ctx, enabled=False)
    assert (shown.enabled, shown.off_reason, shown.card_last4) == (False, "owner", "4242")
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    assert charged(stripe) == 0
    on = await change(live_ctx, enabled=True)
    assert (on.enabled, on.off_reason) == (True, None)
    await settle(live_ctx)
    assert charged(stripe) == 1, "the balance was low already"
    gone = await change(live_ctx, forget_card=True)
    assert (gone.enabled, gone.card_last4, gone.card_brand) == (False, None, None)
    with pytest.raises(Conflict):
        await change(live_ctx, enabled=True)
    actions = await db.fetch("SELECT action FROM audit_entries WHERE action LIKE 'auto%'")
    assert len(actions) == 4


async def test_a_send_at_the_daily_cap_notes_it(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 501)
    await db.execute("UPDATE workspaces SET daily_credit_cap = 1000000")
    await spend(live_ctx.workspace_id, 400)
    assert (await caps.spendable(live_ctx.workspace_id, await db.now())).balance == 400
    await settle(live_ctx)
    assert await automatic(live_ctx) == [("paid", None)]


# A declined card waits, however much is sent or bought meanwhile.


async def wait_left(ctx: Context) -> float:
    """The minutes until the next one is due, rounded; none where none is noted."""
    due = await db.fetch_value("SELECT top_up_at FROM credit_balances WHERE workspace_id = $1", ctx.workspace_id)
    return -1 if due is None else round((due - datetime.now(UTC)).total_seconds() / 60)


async def begin_one(ctx: Context, now: datetime | None = None) -> UUID:
    """Write a top-up down that is yet to be charged."""
    moment = now or await db.now()
    await db.execute("UPDATE credit_balances SET top_up_at = $2 WHERE workspace_id = $1", ctx.workspace_id, moment)
    async with unit_of_work():
        id = await top_ups.begin(ctx.services, ctx.workspace_id, moment)
    assert id is not None
    return id


async def amounts(ctx: Context) -> tuple[int, int]:
    """What counts of this day and month, which must be what its purchases say."""
    row = await AutoTopUp.get(workspace_id=ctx.workspace_id)
    counted = await db.fetch_value(
        "SELECT coalesce(sum(amount), 0)::bigint FROM purchases WHERE workspace_id = $1 AND is_automatic"
        " AND status IN ('opening', 'pending', 'paid', 'review')",
        ctx.workspace_id,
    )
    assert row.day_amount == row.month_amount == counted
    return row.day_amount, row.month_amount


async def test_sends_while_a_card_is_declined_make_nothing_follow_sooner(
    live_ctx: Context, stripe: PretendStripe
) -> None:
    await turn_on(live_ctx, stripe, "9995")
    await spend(live_ctx.workspace_id, 400)
    id = await begin_one(live_ctx)
    await spend(live_ctx.workspace_id, 300)
    assert await wait_left(live_ctx) == 0, "a send notes one beside the one that is open"
    await fulfilment.settle(live_ctx.services, id)
    assert await wait_left(live_ctx) == 60
    for leave in (200, 100):
        await spend(live_ctx.workspace_id, leave)
        await work(live_ctx.services)
    assert (await wait_left(live_ctx), charged(stripe)) == (60, 1)


async def test_a_purchase_between_does_not_end_the_wait(live_ctx: Context, stripe: PretendStripe) -> None:
    """The balance was high when the decline came, and is low again a moment later."""
    await turn_on(live_ctx, stripe, "9995")
    await spend(live_ctx.workspace_id, 0)
    id = await begin_one(live_ctx)
    await buy(live_ctx, stripe)
    assert (await reread(id)).status == "failed"
    await spend(live_ctx.workspace_id, 0)
    assert await wait_left(live_ctx) == 60


async def test_other_figures_leave_the_wait_and_the_declines(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe, "0069")
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    await change(live_ctx, enabled=True, threshold=600)
    row = await AutoTopUp.get(workspace_id=live_ctx.workspace_id)
    assert (row.declined_count, row.hard_declined_count, await wait_left(live_ctx)) == (1, 1, 60)
    await settle(live_ctx)
    assert (await state(live_ctx), charged(stripe)) == ((False, "declined"), 2)
    # Turning it on is a person's act, which begins again.
    await change(live_ctx, enabled=True)
    row = await AutoTopUp.get(workspace_id=live_ctx.workspace_id)
    assert (row.declined_count, row.hard_declined_count, await wait_left(live_ctx)) == (0, 0, 0)


async def test_a_payment_hurries_the_next_that_waited_for_it(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe, threshold=5_000)
    await spend(live_ctx.workspace_id, 0)
    id = await begin_one(live_ctx)
    await db.execute("UPDATE credit_balances SET top_up_at = now()")
    async with unit_of_work():
        assert await top_ups.begin(live_ctx.services, live_ctx.workspace_id, await db.now()) is None
    assert await wait_left(live_ctx) == 60
    await fulfilment.settle(live_ctx.services, id)
    assert await wait_left(live_ctx) == 0


async def test_a_decline_of_a_replaced_card_counts_for_no_other(live_ctx: Context, stripe: PretendStripe) -> None:
    """It was charged before another was saved, and its bank asks for its customer."""
    await turn_on(live_ctx, stripe, "3184")
    await spend(live_ctx.workspace_id, 0)
    id = await begin_one(live_ctx)
    facts = await charges.look(live_ctx.services, await reread(id))
    assert facts.decline is not None
    other = await begin(live_ctx, save_card=True)
    stripe.pay(other.session_id or "")
    await fulfilment.fulfil(live_ctx.services, other.session_id or "")
    await spend(live_ctx.workspace_id, 0)
    await bring(live_ctx.services, stripe)
    assert (await reread(id)).problem == "authentication_required"
    row = await AutoTopUp.get(workspace_id=live_ctx.workspace_id)
    assert (row.is_enabled, row.declined_count, row.card_last4) == (True, 0, "4242")
    assert [status for status, _ in await automatic(live_ctx)] == ["failed", "paid"]
    assert await books(live_ctx.workspace_id) == (1_000, 1_000, 0)
    assert await amounts(live_ctx) == (1_900, 1_900)


# What is off stays off.


async def test_a_late_event_of_an_older_purchase_turns_nothing_on(live_ctx: Context, stripe: PretendStripe) -> None:
    await save_card(live_ctx, stripe, "0069")
    older = await begin(live_ctx, save_card=True)
    await change(live_ctx, enabled=True, **FIGURES)
    await spend(live_ctx.workspace_id, 0)
    for _ in range(2):
        await settle(live_ctx)
    assert await state(live_ctx) == (False, "declined")
    stripe.pay(older.session_id or "", card="0069")
    for _ in range(2):
        await bring(live_ctx.services, stripe)
    assert await state(live_ctx) == (False, "declined")
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    assert charged(stripe) == 2
    await save_card(live_ctx, stripe)
    assert await state(live_ctx) == (True, None)


@pytest.mark.parametrize("word", [{"enabled": False}, {"forget_card": True}], ids=["off", "forget"])
async def test_an_owner_who_says_no_after_declines_is_heard(
    live_ctx: Context, stripe: PretendStripe, word: dict[str, Any]
) -> None:
    await turn_on(live_ctx, stripe, "3184")
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    assert await state(live_ctx) == (False, "authentication_required")
    await change(live_ctx, **word)
    await save_card(live_ctx, stripe)
    assert await state(live_ctx) == (False, "owner")


async def test_a_dispute_of_what_was_off_already_keeps_it_off(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe, "3184")
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    stripe.dispute(next(iter(stripe.intents)))
    await bring(live_ctx.services, stripe)
    assert await state(live_ctx) == (False, "dispute")
    await save_card(live_ctx, stripe)
    assert await state(live_ctx) == (False, "dispute")


async def test_the_reconciliation_turns_nothing_on(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await change(live_ctx, enabled=False)
    await spend(live_ctx.workspace_id, 0)
    for _ in range(2):
        await reconcile(live_ctx.services, datetime.now(UTC) - timedelta(days=1))
        await settle(live_ctx)
    assert (await state(live_ctx), charged(stripe)) == ((False, "owner"), 0)


# What is forgotten is not charged.


@pytest.mark.parametrize("word", [{"enabled": False}, {"forget_card": True}], ids=["off", "forget"])
async def test_a_top_up_already_begun_charges_no_card_that_was_forgotten(
    live_ctx: Context, stripe: PretendStripe, word: dict[str, Any]
) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    id = await begin_one(live_ctx)
    assert await amounts(live_ctx) == (1_900, 1_900)
    await change(live_ctx, **word)
    for _ in range(2):
        await settle(live_ctx)
    row = await reread(id)
    assert (row.status, row.problem, row.check_at, charged(stripe)) == ("failed", "turned_off", None, 0)
    assert (await amounts(live_ctx), await books(live_ctx.workspace_id)) == ((0, 0), (0, 0, 0))
    kept = await AutoTopUp.get(workspace_id=live_ctx.workspace_id)
    assert (kept.declined_count, await mails()) == (0, [])


async def test_what_was_charged_before_the_card_was_forgotten_is_found(
    live_ctx: Context, stripe: PretendStripe
) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    id = await begin_one(live_ctx)
    # The answer was lost.
    await charges.look(live_ctx.services, await reread(id))
    await change(live_ctx, forget_card=True)
    await settle(live_ctx)
    assert ((await reread(id)).status, charged(stripe)) == ("paid", 1)
    assert await books(live_ctx.workspace_id) == (1_000, 1_000, 0)


async def test_a_begun_top_up_charges_no_card_that_was_replaced(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    id = await begin_one(live_ctx)
    await db.execute("UPDATE purchases SET check_at = now() + interval '1 h' WHERE id = $1", id)
    await save_card(live_ctx, stripe, "4242")
    await spend(live_ctx.workspace_id, 0)
    await fulfilment.settle(live_ctx.services, id)
    assert ((await reread(id)).problem, charged(stripe)) == ("turned_off", 0)
    await settle(live_ctx)
    (_, newer) = stripe.methods.values()
    assert list(stripe.intents.values())[-1]["payment_method"]["id"] == newer["id"]
    assert [status for status, _ in await automatic(live_ctx)] == ["failed", "paid"]


async def test_a_forgotten_card_is_not_saved_by_what_was_bought_before(
    live_ctx: Context, stripe: PretendStripe
) -> None:
    await turn_on(live_ctx, stripe)
    late = await begin(live_ctx, save_card=True)
    await change(live_ctx, forget_card=True)
    stripe.pay(late.session_id or "")
    await bring(live_ctx.services, stripe)
    row = await AutoTopUp.get(workspace_id=live_ctx.workspace_id)
    assert ((await reread(late.id)).status, row.payment_method, row.card_last4) == ("paid", None, None)
    await save_card(live_ctx, stripe)
    assert (await AutoTopUp.get(workspace_id=live_ctx.workspace_id)).card_last4 == "4242"


async def test_the_card_of_the_later_purchase_is_kept_in_any_order(live_ctx: Context, stripe: PretendStripe) -> None:
    first, second = [await begin(live_ctx, save_card=True) for _ in range(2)]
    for row, card in ((second, "0069"), (first, "4242")):
        stripe.pay(row.session_id or "", card=card)
        await bring(live_ctx.services, stripe)
    assert (await AutoTopUp.get(workspace_id=live_ctx.workspace_id)).card_last4 == "0069"


async def test_a_suspended_workspace_is_not_charged_for_what_was_begun(
    live_ctx: Context, stripe: PretendStripe
) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    id = await begin_one(live_ctx)
    await db.execute("UPDATE workspaces SET suspended_at = now()")
    await fulfilment.settle(live_ctx.services, id)
    assert ((await reread(id)).status, charged(stripe)) == ("failed", 0)


# A charge that went through after all.


@pytest.mark.parametrize("way", ["event", "reconciliation"])
async def test_a_failed_one_that_went_through_after_all_gives_its_credits_once(
    live_ctx: Context, stripe: PretendStripe, way: str
) -> None:
    """Its bank said no at first; its owner paid it where Stripe asked."""
    await turn_on(live_ctx, stripe, "9995")
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    (row,) = await Purchase.filter(is_automatic=True)
    assert (await automatic(live_ctx), await amounts(live_ctx)) == ([("failed", "insufficient_funds")], (0, 0))
    stripe.go_through(row.payment_intent or "")
    for _ in range(3):
        if way == "event":
            await bring(live_ctx.services, stripe)
        else:
            await reconcile(live_ctx.services, datetime.now(UTC) - timedelta(days=1))
    assert [status for status, _ in await automatic(live_ctx)] == ["paid"]
    assert (await books(live_ctx.workspace_id), await amounts(live_ctx)) == ((1_000, 1_000, 0), (1_900, 1_900))
    kept = await AutoTopUp.get(workspace_id=live_ctx.workspace_id)
    assert (kept.declined_count, kept.is_enabled) == (0, True)


@pytest.mark.parametrize("way", ["event", "reconciliation"])
async def test_one_that_was_given_up_without_a_payment_gives_its_credits_once(
    live_ctx: Context, stripe: PretendStripe, way: str
) -> None:
    """The call was on its way when the card was forgotten, and its payment was not there to be found yet."""
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    id = await begin_one(live_ctx)
    before = await reread(id)
    services = live_ctx.services
    await change(live_ctx, forget_card=True)
    await fulfilment.settle(services, id)
    assert ((await reread(id)).status, (await reread(id)).payment_intent) == ("failed", None)
    await gateway.charge(services, before, charges._asked(before))
    for _ in range(3):
        if way == "event":
            await bring(services, stripe)
        else:
            await reconcile(services, datetime.now(UTC) - timedelta(days=1))
    row = await reread(id)
    assert (row.status, row.problem, row.payment_intent is not None) == ("paid", None, True)
    assert (await books(live_ctx.workspace_id), await amounts(live_ctx)) == ((1_000, 1_000, 0), (1_900, 1_900))
    assert await state(live_ctx) == (False, "owner")


async def test_a_charge_whose_purchase_another_gave_up_meanwhile_is_written(
    live_ctx: Context, stripe: PretendStripe
) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    id = await begin_one(live_ctx)
    real = gateway.charge

    async def overtaken(*args: Any) -> Any:
        # Asked, and not answered yet: the owner turns it off, and another worker finds no payment.
        gateway.charge = real
        await change(live_ctx, enabled=False)
        await fulfilment.settle(live_ctx.services, id)
        assert (await reread(id)).status == "failed"
        return await real(*args)

    gateway.charge = overtaken
    try:
        await fulfilment.settle(live_ctx.services, id)
    finally:
        gateway.charge = real
    assert ((await reread(id)).status, await books(live_ctx.workspace_id)) == ("paid", (1_000, 1_000, 0))


async def test_a_failed_one_that_is_processed_again_leaves_room_for_another(
    live_ctx: Context, stripe: PretendStripe
) -> None:
    """One at most is open: what was given up does not open again, and is paid or is not."""
    await turn_on(live_ctx, stripe, "9995")
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    (failed,) = await Purchase.filter(is_automatic=True)
    other = await begin_one(live_ctx)
    stripe.go_through(failed.payment_intent or "", status="processing")
    await bring(live_ctx.services, stripe)
    row = await reread(failed.id)
    assert (row.status, row.check_at is not None) == ("failed", True)
    assert (await reread(other)).status in ("opening", "failed")
    stripe.go_through(failed.payment_intent or "")
    await bring(live_ctx.services, stripe)
    assert ((await reread(failed.id)).status, await books(live_ctx.workspace_id)) == ("paid", (1_000, 1_000, 0))
    await amounts(live_ctx)


# The price that was agreed to.


async def test_other_figures_agree_to_no_other_price(live_ctx: Context, stripe: PretendStripe, owner: User) -> None:
    await turn_on(live_ctx, stripe)
    agreed = (await AutoTopUp.get(workspace_id=live_ctx.workspace_id)).agreed_at
    live_ctx.services.billing.packs = (Pack("starter", 1_000, 2_900, "usd", "S"), PACKS[1])
    shown = await change(live_ctx, enabled=True, pack="starter", threshold=700)
    assert (shown.amount, shown.threshold) == (1_900, 700)
    assert (await AutoTopUp.get(workspace_id=live_ctx.workspace_id)).agreed_at == agreed
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    assert (charged(stripe), await state(live_ctx), await mails()) == (0, (False, "pack_changed"), ["top_up_off"])
    assert (await change(live_ctx, enabled=True)).amount == 2_900
    await settle(live_ctx)
    assert (await Purchase.get(is_automatic=True)).amount == 2_900


async def test_another_pack_is_agreed_to_at_its_price(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    shown = await change(live_ctx, pack="odd")
    assert (shown.pack, shown.credits, shown.amount) == ("odd", 10, 3)
    await change(live_ctx, enabled=False)
    off = await change(live_ctx, pack="starter")
    assert (off.pack, off.credits, off.amount, off.enabled) == ("starter", 1_000, 1_900, False)
    with pytest.raises(InvalidRequest) as caught:
        await change(live_ctx, pack="none")
    assert caught.value.code == "pack_unknown"


async def test_an_operator_who_sells_by_page_alone_turns_nothing_off(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    billing = live_ctx.services.billing
    billing.automatic_tax = True
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    assert (charged(stripe), await state(live_ctx), await wait_left(live_ctx)) == (0, (True, None), 60)
    assert (await change(live_ctx, daily_limit=4_000)).daily_limit == 4_000
    billing.automatic_tax = False
    await settle(live_ctx)
    assert await automatic(live_ctx) == [("paid", None)]


# One row that breaks holds up no other.


async def test_a_top_up_that_breaks_holds_up_no_other(
    live_ctx: Context, other_ctx: Context, stripe: PretendStripe
) -> None:
    await turn_on(live_ctx, stripe)
    other = replace(other_ctx, livemode=True)
    await turn_on(other, stripe)
    for each in (live_ctx, other):
        await spend(each.workspace_id, 0)
    # What nobody foresaw: an amount that no purchase may have.
    live_ctx.services.billing.packs = (PACKS[0], Pack("broken", 1_000, 0, "usd", "Broken"))
    await db.execute(
        "UPDATE auto_top_ups SET pack = 'broken', amount = 0 WHERE workspace_id = $1", live_ctx.workspace_id
    )
    with structlog.testing.capture_logs() as lines:
        await settle(live_ctx)
    assert [line["error"] for line in lines if "begun" in line["event"]] == ["CheckViolationError"]
    assert (await automatic(live_ctx), await automatic(other)) == ([], [("paid", None)])
    assert await wait_left(live_ctx) == 10


async def test_a_purchase_that_breaks_holds_up_no_other(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    broken, good = [await begin(live_ctx) for _ in range(2)]
    stripe.pay(good.session_id or "")
    stripe.pay(broken.session_id or "")
    # A total that no column holds.
    stripe.sessions[broken.session_id or ""]["amount_total"] = 2**70
    now = await db.now()
    await db.execute("UPDATE purchases SET check_at = now() - interval '1 s' WHERE status = 'open'")
    assert await stripe_events.look_at_purchases(live_ctx.services, now) == 2
    assert ((await reread(good.id)).status, (await reread(broken.id)).status) == ("paid", "open")
    assert (await reread(broken.id)).check_at == now + timedelta(hours=1)


# A refused charge.


async def test_a_card_error_without_a_payment_is_a_decline(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    stripe.refusals.append(Refused(402, "card_error", "No.", "card_declined", decline_code="stolen_card"))
    await settle(live_ctx)
    assert await automatic(live_ctx) == [("failed", "stolen_card")]
    row = await AutoTopUp.get(workspace_id=live_ctx.workspace_id)
    assert (row.hard_declined_count, await wait_left(live_ctx), await amounts(live_ctx)) == (1, 60, (0, 0))


async def test_a_charge_that_was_refused_for_another_reason_is_repeated_with_its_key(
    live_ctx: Context, stripe: PretendStripe
) -> None:
    """The operator's key was wrong for an hour: nobody was declined."""
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    stripe.refusals.append(Refused(401, "invalid_request_error", "Invalid API Key provided."))
    await settle(live_ctx)
    (row,) = await Purchase.filter(is_automatic=True)
    assert row.status == "opening"
    assert row.check_at is not None
    assert timedelta(minutes=50) < row.check_at - datetime.now(UTC) < timedelta(minutes=70)
    await db.execute("UPDATE purchases SET check_at = now() - interval '1 s' WHERE check_at IS NOT NULL")
    await settle(live_ctx)
    assert await automatic(live_ctx) == [("paid", None)]
    keys = {key for method, path, key in stripe.calls if (method, path) == ("POST", "/v1/payment_intents")}
    assert len(keys) == 1
    assert (len(stripe.intents), await amounts(live_ctx)) == (2, (1_900, 1_900))


async def test_a_key_that_has_charged_with_other_words_charges_nothing_more(
    live_ctx: Context, stripe: PretendStripe
) -> None:
    """A pack was renamed by a new version between two tries: the key's payment is found."""
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    id = await begin_one(live_ctx)
    await charges.look(live_ctx.services, await reread(id))
    await db.execute("UPDATE purchases SET label = 'Renamed' WHERE id = $1", id)
    await fulfilment.settle(live_ctx.services, id)
    assert ((await reread(id)).status, len(stripe.intents)) == ("paid", 2)
    assert await books(live_ctx.workspace_id) == (1_000, 1_000, 0)


async def test_a_customer_who_is_gone_ends_what_cannot_be_found(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    id = await begin_one(live_ctx)
    await change(live_ctx, forget_card=True)
    stripe.refusals.append(
        Refused(400, "invalid_request_error", "No such customer", "resource_missing", param="customer")
    )
    await fulfilment.settle(live_ctx.services, id)
    assert (await reread(id)).problem == "turned_off"


# The limits of a day and a month.


async def test_amounts_of_another_currency_are_no_sum(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    assert await amounts(live_ctx) == (1_900, 1_900)
    live_ctx.services.billing.packs = (*PACKS, Pack("euro", 10, 5_000, "eur", "Euro"))
    shown = await change(live_ctx, pack="euro")
    assert (shown.charged_today, shown.charged_this_month, shown.currency) == (0, 0, "eur")


async def test_what_went_through_late_counts_for_its_own_day(live_ctx: Context, stripe: PretendStripe) -> None:
    """Declined on one day and paid on the next: the day on which it was begun counts it, and so does the month."""
    await turn_on(live_ctx, stripe, "9995", threshold=100_000)
    days = [datetime(2027, 5, number, 12, tzinfo=UTC) for number in (29, 30)]
    begun = []
    for now in days:
        begun.append(await begin_one(live_ctx, now))
        await fulfilment.settle(at(now), begun[-1])
    assert [(await reread(id)).status for id in begun] == ["failed", "failed"]
    for id in begun:
        stripe.go_through((await reread(id)).payment_intent or "")
    for id in begun:
        await fulfilment.settle(at(days[1]), id)
    row = await AutoTopUp.get(workspace_id=live_ctx.workspace_id)
    assert (row.day_amount, row.month_amount) == (1_900, 3_800)


@pytest.mark.parametrize(
    ("early", "late"),
    [
        (datetime(2027, 5, 30, 23, 59, 59, tzinfo=UTC), datetime(2027, 5, 31, 0, 0, 1, tzinfo=UTC)),
        (datetime(2027, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2028, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ],
    ids=["day", "year"],
)
async def test_a_worker_of_yesterday_begins_no_limit_from_zero(
    live_ctx: Context, stripe: PretendStripe, early: datetime, late: datetime
) -> None:
    """One read the time before midnight and is held up; the others have used the day that has begun."""
    await turn_on(live_ctx, stripe, threshold=100_000, daily_limit=3_800, monthly_limit=3_800)
    for _ in range(2):
        await fulfilment.settle(at(late), await begin_one(live_ctx, late))
    for now in (early, late, early):
        await db.execute("UPDATE credit_balances SET top_up_at = $1", now)
        await top_ups.begin_due(at(now), now)
        assert await db.fetch_value("SELECT top_up_at FROM credit_balances") > late
    row = await AutoTopUp.get(workspace_id=live_ctx.workspace_id)
    assert (row.day, row.day_amount, row.month_amount) == (late.date(), 3_800, 3_800)
    assert len(await automatic(live_ctx)) == 2
