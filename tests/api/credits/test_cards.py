"""Forgotten cards: removed at Stripe too, after the commit, once, however often a worker dies or Stripe is away."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from msvs import database as db
from msvs.api.accounts.top_up_settings import update_auto_top_up
from msvs.api.context import Context
from msvs.api.credits import cards
from msvs.api.credits.top_ups import UpdateAutoTopUp
from msvs.api.privacy import workspace_erasure
from msvs.api.unit_of_work import unit_of_work
from msvs.local.pretend_stripe import PretendStripe, Refused
from msvs.models import AutoTopUp, ForgottenCard
from msvs.workers import billing
from tests.api.credits.test_top_ups import begin_one, change, charged, save_card, settle, spend, turn_on
from tests.fakes.stripe import begin, books, bring, work


def detached(stripe: PretendStripe) -> list[str]:
    """The cards that Stripe was asked to remove, each time."""
    return [path.split("/")[3] for method, path, _ in stripe.calls if method == "POST" and path.endswith("/detach")]


def attached(stripe: PretendStripe) -> list[str]:
    """The last digits of the cards that a customer still has at Stripe."""
    return [each["card"]["last4"] for each in stripe.methods.values() if each["customer"] is not None]


async def later(hours: float) -> int:
    """Let so many hours pass for what waits."""
    return await db.execute(
        "UPDATE forgotten_cards SET next_attempt_at = next_attempt_at - $1::interval", timedelta(hours=hours)
    )


async def test_a_forgotten_card_is_removed_at_stripe(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    (method,) = stripe.methods
    await change(live_ctx, forget_card=True)
    assert detached(stripe) == [], "no call is made before the commit"
    now = await db.now()
    assert await billing.has_due(live_ctx.services, now)
    await work(live_ctx.services)
    assert (detached(stripe), attached(stripe)) == ([method], [])
    assert await ForgottenCard.all().count() == 0
    await change(live_ctx, forget_card=True)
    await work(live_ctx.services)
    assert detached(stripe) == [method], "what is gone is not forgotten again"


async def test_what_is_rolled_back_forgets_nothing(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)

    async def change_and_fail() -> None:
        async with unit_of_work():
            await update_auto_top_up(live_ctx, UpdateAutoTopUp(forget_card=True))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_and_fail()
    await work(live_ctx.services)
    assert (detached(stripe), attached(stripe)) == ([], ["4242"])
    assert (await AutoTopUp.get(workspace_id=live_ctx.workspace_id)).card_last4 == "4242"


async def test_turning_it_off_leaves_the_card(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await change(live_ctx, enabled=False)
    await work(live_ctx.services)
    assert (detached(stripe), attached(stripe)) == ([], ["4242"])


async def test_a_card_that_another_replaces_is_removed(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await save_card(live_ctx, stripe, "9995")
    await work(live_ctx.services)
    assert attached(stripe) == ["9995"]
    assert (await AutoTopUp.get(workspace_id=live_ctx.workspace_id)).card_last4 == "9995"
    assert await ForgottenCard.all().count() == 0


async def test_a_card_of_an_earlier_purchase_is_not_left_at_stripe(live_ctx: Context, stripe: PretendStripe) -> None:
    """It is not kept here: its owner has forgotten the card since, or has saved a later one."""
    late, later_one = [await begin(live_ctx, save_card=True) for _ in range(2)]
    for row, card in ((later_one, "0069"), (late, "4242")):
        stripe.pay(row.session_id or "", card=card)
        await bring(live_ctx.services, stripe)
    await work(live_ctx.services)
    assert attached(stripe) == ["0069"]
    last = await begin(live_ctx, save_card=True)
    await change(live_ctx, forget_card=True)
    stripe.pay(last.session_id or "")
    await bring(live_ctx.services, stripe)
    await work(live_ctx.services)
    assert attached(stripe) == []
    assert await ForgottenCard.all().count() == 0


async def test_stripe_away_is_tried_again(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await change(live_ctx, forget_card=True)
    stripe.refusals += [Refused(429, "rate_limit_error", "Too many requests")]
    await work(live_ctx.services)
    row = await ForgottenCard.get()
    assert (row.attempt_count, attached(stripe)) == (1, ["4242"])
    assert not await cards.has_due(live_ctx.services, await db.now())
    stripe.refusals += [Refused(403, "invalid_request_error", "The key may not do this.")] * 2
    await later(5 / 60)
    await work(live_ctx.services)
    row = await ForgottenCard.get()
    assert row.attempt_count == 2, "a key that lacks a right is mended by the operator"
    assert timedelta(minutes=50) < row.next_attempt_at - await db.now() < timedelta(minutes=61)
    await later(1)
    await work(live_ctx.services)
    assert (await ForgottenCard.all().count(), attached(stripe)) == (0, [])


async def test_waits_grow_to_a_day(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await change(live_ctx, forget_card=True)
    waits = []
    for _ in range(len(cards.RETRIES) + 2):
        await later(24)
        stripe.refusals += [Refused(429, "rate_limit_error", "Too many requests")]
        now = await db.now()
        await cards.detach_due(live_ctx.services, now)
        waits.append((await ForgottenCard.get()).next_attempt_at - now)
    assert waits == [*cards.RETRIES, cards.RETRIES[-1], cards.RETRIES[-1]]


@pytest.mark.parametrize("is_deleted", [False, True], ids=["detached", "deleted"])
async def test_a_card_that_is_gone_already_is_done(live_ctx: Context, stripe: PretendStripe, is_deleted: bool) -> None:
    await turn_on(live_ctx, stripe)
    (method,) = stripe.methods
    if is_deleted:
        stripe.forget_card(method)
    else:
        stripe.methods[method]["customer"] = None
    await change(live_ctx, forget_card=True)
    await work(live_ctx.services)
    assert await ForgottenCard.all().count() == 0


async def test_many_workers_ask_once(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    (method,) = stripe.methods
    await asyncio.gather(*(change(live_ctx, forget_card=True) for _ in range(4)))
    now = await db.now()
    await asyncio.gather(*(cards.detach_due(live_ctx.services, now) for _ in range(12)))
    assert detached(stripe) == [method]
    assert await ForgottenCard.all().count() == 0


@pytest.mark.parametrize("attempt", range(4))
async def test_forgetting_races_a_charge(live_ctx: Context, stripe: PretendStripe, attempt: int) -> None:
    """A top-up is charged or it is not; its credits are those of the money, and the card is removed in the end."""
    await turn_on(live_ctx, stripe)
    await spend(live_ctx.workspace_id, 0)
    await begin_one(live_ctx)
    await asyncio.gather(settle(live_ctx), change(live_ctx, forget_card=True), settle(live_ctx))
    for _ in range(2):
        await db.execute("UPDATE purchases SET check_at = now() - interval '1 s' WHERE check_at IS NOT NULL")
        await settle(live_ctx)
    count = charged(stripe)
    paid = sum(each["status"] == "succeeded" for each in stripe.intents.values()) - 1
    assert await books(live_ctx.workspace_id) == (1_000 * paid, 1_000 * paid, 0)
    assert (attached(stripe), await ForgottenCard.all().count()) == ([], 0)
    await spend(live_ctx.workspace_id, 0)
    await settle(live_ctx)
    assert charged(stripe) == count


async def test_a_card_that_is_saved_again_is_left(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    (method,) = stripe.methods
    await change(live_ctx, forget_card=True)
    again = await begin(live_ctx, save_card=True)
    payment = stripe.pay(again.session_id or "")
    payment["payment_method"] = stripe.methods[method]
    await bring(live_ctx.services, stripe)
    assert (await AutoTopUp.get(workspace_id=live_ctx.workspace_id)).payment_method == method
    assert (detached(stripe), await ForgottenCard.all().count()) == ([], 0)


async def test_a_card_of_the_other_mode_waits_for_its_account(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    await change(live_ctx, forget_card=True)
    await db.execute("UPDATE forgotten_cards SET takes_money = NOT takes_money")
    await work(live_ctx.services)
    assert (detached(stripe), await ForgottenCard.all().count()) == ([], 1)


async def test_the_card_of_an_erased_workspace_is_removed(live_ctx: Context, stripe: PretendStripe) -> None:
    await turn_on(live_ctx, stripe)
    (method,) = stripe.methods
    for _ in range(50):
        async with unit_of_work():
            now = await db.now()
            if not await workspace_erasure.erase_some(live_ctx.services, live_ctx.workspace_id, now, limit=100):
                break
    assert await AutoTopUp.all().count() == 0
    await work(live_ctx.services)
    assert (detached(stripe), attached(stripe)) == ([method], [])
