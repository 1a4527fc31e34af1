"""The start of a large campaign: its audience is fixed chunk by chunk, and holds up neither others nor its own end."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.campaigns import audiences, campaigns, lifecycle
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.context import Context, Services
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Campaign, Contact, ListMember
from msvs.workers import campaigns as worker
from msvs.workers.campaigns import expand_campaigns
from tests import factories
from tests.services import SERVICES
from tests.workers.test_campaigns import campaign_events, check_conservation, create, people, run_through, stats

CHUNK = 3


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lifecycle.start_campaign.__kwdefaults__, "limit", CHUNK)


async def step(campaign_id: UUID) -> bool | None:
    async with unit_of_work():
        return await lifecycle.start_campaign(SERVICES, campaign_id, await db.now())


async def recipients(campaign_id: UUID) -> list[str]:
    rows = await db.fetch("SELECT phone FROM campaign_recipients WHERE campaign_id = $1 ORDER BY phone", campaign_id)
    return [row.phone for row in rows]


async def test_an_audience_is_fixed_at_its_first_chunk(ctx: Context) -> None:
    some = await people(ctx, 8)
    campaign_id = await create(ctx, some)
    list_id = (await ListMember.all().first()).list_id  # type: ignore[union-attr]
    assert await step(campaign_id) is False
    assert len(await recipients(campaign_id)) == CHUNK
    # Nobody is expanded, and nothing told, before all are fixed.
    async with unit_of_work():
        assert await audiences.expand_chunk(SERVICES, campaign_id, now=await db.now()) == 0
        assert not await lifecycle.finish_expansion(campaign_id, await db.now())
    assert (await campaign_events(campaign_id), (await Campaign.get(id=campaign_id)).started_at) == ([], None)
    late = await factories.make_contact(ctx)
    await ListMember.create(list_id=list_id, contact_id=late.id)
    await expand_campaigns(SERVICES)
    await run_through()
    assert (await stats(ctx, campaign_id)).delivered == 8
    assert await db.fetch_value("SELECT count(*) FROM messages WHERE to_phone = $1", late.phone) == 0
    await check_conservation(ctx, campaign_id)


@pytest.mark.parametrize("dies_after", range(4))
async def test_a_crash_in_any_chunk_loses_and_doubles_nobody(ctx: Context, dies_after: int) -> None:
    some = await people(ctx, 8)
    campaign_id = await create(ctx, some)

    async def die() -> None:
        async with unit_of_work():
            await lifecycle.start_campaign(SERVICES, campaign_id, await db.now())
            raise ZeroDivisionError

    for _ in range(dies_after):
        await step(campaign_id)
    with pytest.raises(ZeroDivisionError):
        await die()
    while await step(campaign_id) is False:
        pass
    assert await recipients(campaign_id) == sorted(row.phone for row in some)
    assert await campaign_events(campaign_id) == ["campaign.started"]
    await run_through()
    assert (await stats(ctx, campaign_id)).delivered == 8
    await check_conservation(ctx, campaign_id)


async def test_workers_race_for_the_chunks(ctx: Context) -> None:
    some = await people(ctx, 20)
    campaign_id = await create(ctx, some, spread_hours=1.0)

    async def work() -> None:
        # None while another has the row.
        while not await step(campaign_id):
            pass

    await asyncio.gather(*(work() for _ in range(5)))
    assert await recipients(campaign_id) == sorted(row.phone for row in some)
    campaign = await Campaign.get(id=campaign_id)
    assert (campaign.audience_count, campaign.interval_seconds) == (20, 180.0)
    assert await campaign_events(campaign_id) == ["campaign.started"]


async def test_a_phone_that_moves_between_chunks_has_one_recipient(ctx: Context) -> None:
    some = await people(ctx, 8)
    first, last = some[0], some[-1]
    campaign_id = await create(ctx, some)
    assert await step(campaign_id) is False
    phone = first.phone
    await Contact.filter(id=first.id).update(phone=factories.next_phone())
    await Contact.filter(id=last.id).update(phone=phone)
    await expand_campaigns(SERVICES)
    await run_through()
    rows = await db.fetch("SELECT contact_id, status FROM messages WHERE to_phone = $1", phone)
    assert [(row.contact_id, row.status) for row in rows] == [(last.id, "delivered")]
    await check_conservation(ctx, campaign_id)


async def test_lists_a_segment_and_contacts_overlap(ctx: Context) -> None:
    some = await people(ctx, 10)
    one, two = await factories.make_list(ctx, some[:6]), await factories.make_list(ctx, some[4:8])
    async with unit_of_work():
        campaign = await campaigns.create_campaign(
            ctx, CreateCampaign("Many", "Hi", list_ids=[one.id, two.id], contact_ids=[row.id for row in some[7:]])
        )
    while await step(campaign.id) is False:
        pass
    assert await recipients(campaign.id) == sorted(row.phone for row in some)


@pytest.mark.parametrize("verb", ["pause", "cancel"])
async def test_a_halt_takes_hold_between_chunks(ctx: Context, verb: str) -> None:
    campaign_id = await create(ctx, await people(ctx, 8))
    assert await step(campaign_id) is False
    async with unit_of_work():
        await (campaigns.pause_campaign if verb == "pause" else campaigns.cancel_campaign)(ctx, campaign_id)
    assert await step(campaign_id) is None
    await expand_campaigns(SERVICES)
    assert await db.fetch_value("SELECT count(*) FROM messages") == 0
    if verb == "cancel":
        assert (await recipients(campaign_id), await campaign_events(campaign_id)) == ([], ["campaign.canceled"])
        return
    assert len(await recipients(campaign_id)) == CHUNK
    async with unit_of_work():
        await campaigns.resume_campaign(ctx, campaign_id)
    await run_through()
    assert (await stats(ctx, campaign_id)).delivered == 8
    await check_conservation(ctx, campaign_id)


async def test_others_are_expanded_while_a_large_audience_is_fixed(
    ctx: Context, other_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = await create(ctx, await people(ctx, 60))
    small = await create(other_ctx, await people(other_ctx, 2))
    expanded_at: list[int] = []
    expand = worker.expand_once

    async def noted(services: Services, campaign_id: UUID, chunk: int) -> int:
        count = await expand(services, campaign_id, chunk)
        if campaign_id == small and count:
            expanded_at.append(len(await recipients(large)))
        return count

    monkeypatch.setattr(worker, "expand_once", noted)
    await expand_campaigns(SERVICES)
    assert len(expanded_at) == 1
    assert 0 < expanded_at[0] < 60
    await run_through()
    for campaign_id, owner, number in ((large, ctx, 60), (small, other_ctx, 2)):
        assert (await stats(owner, campaign_id)).delivered == number
        await check_conservation(owner, campaign_id)
