"""Campaigns that ran out of credits go on in their order, and not for every credit that comes back."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.campaigns import campaigns
from msvs.api.context import Context
from msvs.api.credits import credits, fulfilment, gateway
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Campaign
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages
from tests.fakes.stripe import begin, bring, running_stripe
from tests.services import SERVICES
from tests.workers.test_campaigns import CARRIERS, create, people, stats


@pytest.fixture(autouse=True)
def _carrier() -> Iterator[None]:
    SERVICES.carriers.live = "virtual"
    yield
    SERVICES.carriers.live = None


async def short_of_credits(ctx: Context, number: int, size: int) -> list[UUID]:
    """Campaigns that are paused, as no credit is left."""
    made = [await create(ctx, await people(ctx, size)) for _ in range(number)]
    await db.execute("UPDATE credit_balances SET balance = 0")
    await turns(2)
    rows = await Campaign.filter(id__in=made)
    assert {(row.status, row.pause_reason) for row in rows} == {("paused", "insufficient_credits")}
    return made


async def turns(number: int) -> None:
    for _ in range(number):
        await expand_campaigns(SERVICES)
        await dispatch_messages(SERVICES, CARRIERS)


async def grant(ctx: Context, amount: int, reference: str) -> None:
    async with unit_of_work():
        assert await credits.grant_credits(ctx.workspace_id, amount, reference=reference)


async def refund(ctx: Context, amount: int) -> None:
    """What a release does to the balance."""
    await db.execute(
        "UPDATE credit_balances SET balance = balance + $2 WHERE workspace_id = $1", ctx.workspace_id, amount
    )


async def told(type: str) -> int:
    count: int = await db.fetch_value("SELECT count(*) FROM events WHERE type = $1", f"campaign.{type}")
    return count


async def sent(ctx: Context, campaign_ids: list[UUID]) -> list[int]:
    return [(await stats(ctx, campaign_id)).sent for campaign_id in campaign_ids]


async def test_a_credit_resumes_the_oldest_campaign_alone(live_ctx: Context) -> None:
    made = await short_of_credits(live_ctx, 8, 3)
    await grant(live_ctx, 1, "one")
    await turns(4)
    assert (await told("resumed"), await told("paused")) == (1, 9)
    assert await sent(live_ctx, made) == [1, 0, 0, 0, 0, 0, 0, 0]


async def test_a_top_up_is_shared_out_to_the_oldest_first(live_ctx: Context) -> None:
    made = await short_of_credits(live_ctx, 4, 3)
    await grant(live_ctx, 7, "seven")
    await turns(4)
    assert await sent(live_ctx, made) == [3, 3, 1, 0]
    assert (await told("resumed"), await told("paused")) == (3, 5)


async def test_a_purchase_reported_many_times_resumes_a_campaign_once(live_ctx: Context) -> None:
    made = await short_of_credits(live_ctx, 1, 3)
    with running_stripe(SERVICES) as stripe:
        row = await begin(live_ctx)
        stripe.pay(row.session_id or "")
        for _ in range(3):
            await bring(SERVICES, stripe, random=Random(1))
            await fulfilment.fulfil(SERVICES, row.session_id or "")
            await turns(2)
        await gateway.close(SERVICES)
    assert (await told("resumed"), await told("paused"), await sent(live_ctx, made)) == (1, 1, [3])
    assert await db.fetch_value("SELECT balance FROM credit_balances") == 1000 - 3


async def test_returned_credits_do_not_pause_and_resume_campaigns(live_ctx: Context) -> None:
    made = await short_of_credits(live_ctx, 4, 3)
    for _ in range(2):
        await refund(live_ctx, 1)
        await turns(2)
    assert (await told("resumed"), await told("paused"), await sent(live_ctx, made)) == (0, 4, [0, 0, 0, 0])
    # By now the oldest can pay all it has left.
    await refund(live_ctx, 1)
    await turns(2)
    assert (await told("resumed"), await told("paused"), await sent(live_ctx, made)) == (1, 4, [3, 0, 0, 0])


async def test_a_top_up_that_was_too_small_does_not_stay_fresh(live_ctx: Context) -> None:
    made = await short_of_credits(live_ctx, 3, 4)
    await grant(live_ctx, 1, "one")
    await turns(2)
    for _ in range(3):
        await refund(live_ctx, 1)
        await turns(2)
    # The oldest had three left, and could pay them once three had come back.
    assert (await told("resumed"), await told("paused"), await sent(live_ctx, made)) == (2, 4, [4, 0, 0])


async def test_two_scans_at_once_resume_at_most_one_campaign(live_ctx: Context) -> None:
    await short_of_credits(live_ctx, 3, 3)
    await grant(live_ctx, 1, "one")
    async with unit_of_work():
        assert await campaigns.resume_paid(now=await db.now()) == 1
    async with unit_of_work():
        assert await campaigns.resume_paid(now=await db.now()) == 0
    assert await told("resumed") == 1
