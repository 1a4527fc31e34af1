"""Frequency caps: nobody gets more than a cap allows, also where several workers claim at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.campaigns.previews import PreviewCampaign, preview_campaign
from msvs.api.context import Context
from msvs.api.dispatch import claims
from msvs.api.dispatch.frequency import Caps, caps_of
from msvs.api.dispatch.lanes import Lane
from msvs.api.dispatch.outcomes import REFUSED, THROTTLED, UNKNOWN, Outcome, record_outcomes
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Contact, CreditBalance, Message, Workspace
from msvs.workers.campaigns import expand_campaigns
from tests import factories
from tests.owner import run_as_owner
from tests.plans import make_messages, reading
from tests.services import SERVICES
from tests.workers.test_campaigns import check_conservation, people, run_through, stats

pytestmark = pytest.mark.usefixtures("virtual_live")


async def cap(ctx: Context, **settings: Any) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(**settings)


async def launch(ctx: Context, contacts: Sequence[Contact], **values: Any) -> UUID:
    listed = await factories.make_list(ctx, list(contacts))
    async with unit_of_work():
        campaign = await campaigns.create_campaign(ctx, CreateCampaign("All", "Hi", list_ids=[listed.id], **values))
    return campaign.id


async def send(ctx: Context, contact: Contact) -> UUID:
    async with unit_of_work():
        return (await send_message(ctx, SendMessage(contact.phone, "Your receipt"))).id


async def claim(lane: Lane, limit: int = 100) -> claims.Claim | None:
    async with unit_of_work():
        return await claims.claim(SERVICES, lane, carrier="virtual", limit=limit, now=await db.now())


def codes(rows: Sequence[Message]) -> Counter[tuple[str, str | None]]:
    return Counter((str(row.status), row.error_code) for row in rows)


async def test_a_recipient_over_the_cap_is_skipped_and_not_charged(live_ctx: Context) -> None:
    await cap(live_ctx, contact_daily_cap=1)
    ana, maria = await people(live_ctx, 2)
    await launch(live_ctx, [ana])
    await run_through()
    preview = await preview_campaign(
        live_ctx, PreviewCampaign(body="Hi", list_ids=[(await factories.make_list(live_ctx, [ana, maria])).id])
    )
    assert [(each.code, each.recipient_count) for each in preview.skipped] == [("frequency_cap", 1)]
    second = await launch(live_ctx, [ana, maria])
    await run_through()
    rows = {row.contact_id: row for row in await Message.filter(campaign_id=second)}
    assert (rows[ana.id].status, rows[ana.id].error_code) == ("skipped", "frequency_cap")
    assert rows[maria.id].status == "delivered"
    found = await stats(live_ctx, second)
    assert (found.recipients, found.delivered, found.skipped, found.credits_used) == (2, 1, 1, 1)
    await check_conservation(live_ctx, second)
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 9_998
    found = await db.fetch("SELECT type FROM events WHERE resource_id = $1 ORDER BY id", rows[ana.id].id)
    types = [row.type for row in found]
    assert types == ["message.queued", "message.skipped"]


async def test_days_and_weeks_roll(live_ctx: Context) -> None:
    await cap(live_ctx, contact_daily_cap=1, contact_weekly_cap=2)
    (ana,) = await people(live_ctx, 1)
    outcomes = []
    # Hours until the next, each against what the earlier ones left.
    for hours in (0, 23, 2, 50, 100):
        await db.execute("UPDATE messages SET handed_at = handed_at - make_interval(hours => $1)", hours)
        campaign_id = await launch(live_ctx, [ana])
        await run_through()
        (row,) = await Message.filter(campaign_id=campaign_id)
        outcomes.append(str(row.error_code or row.status))
    # The fourth is the third in 7 days; at the fifth, 175 hours after the first, one is left of the last 7 days.
    assert outcomes == ["delivered", "frequency_cap", "delivered", "frequency_cap", "delivered"]


async def test_single_messages_are_neither_counted_nor_capped_unless_asked(live_ctx: Context) -> None:
    await cap(live_ctx, contact_daily_cap=1)
    (ana,) = await people(live_ctx, 1)
    for _ in range(3):
        await send(live_ctx, ana)
    campaign_id = await launch(live_ctx, [ana])
    await run_through()
    assert codes(await Message.filter(campaign_id=None)) == {("delivered", None): 3}
    assert codes(await Message.filter(campaign_id=campaign_id)) == {("delivered", None): 1}
    await cap(live_ctx, contact_daily_cap=5, contact_caps_cover_all=True)
    # Two at once, in one claim: the first is the fifth, the second one too many.
    for _ in range(2):
        await send(live_ctx, ana)
    await run_through()
    assert codes(await Message.filter(campaign_id=None)) == {("delivered", None): 4, ("canceled", "frequency_cap"): 1}
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 9_995


async def test_automatic_answers_are_never_capped(live_ctx: Context) -> None:
    await cap(live_ctx, contact_daily_cap=1, contact_caps_cover_all=True)
    (ana,) = await people(live_ctx, 1)
    await send(live_ctx, ana)
    await send(live_ctx, ana)
    await db.execute("UPDATE messages SET kind = 'auto'")
    await send(live_ctx, ana)
    await run_through()
    assert codes(await Message.all()) == {("delivered", None): 3}


async def test_the_stricter_of_two_caps_holds_and_each_mode_has_its_own(ctx: Context, live_ctx: Context) -> None:
    await cap(live_ctx, contact_daily_cap=2)
    (ana,) = await people(live_ctx, 1)
    await launch(live_ctx, [ana])
    await run_through()
    own = await launch(live_ctx, [ana], contact_daily_cap=1)
    looser = await launch(live_ctx, [ana], contact_daily_cap=9)
    await run_through()
    assert codes(await Message.filter(campaign_id=own)) == {("skipped", "frequency_cap"): 1}
    assert codes(await Message.filter(campaign_id=looser)) == {("delivered", None): 1}
    # The same person in the sandbox, which has caps of its own.
    await Workspace.filter(id=ctx.workspace_id).update(sandbox_settings={"contact_daily_cap": None})
    same = await factories.make_contact(ctx, ana.phone)
    for _ in range(3):
        await launch(ctx, [same])
    await run_through()
    assert codes(await Message.filter(livemode=False)) == {("delivered", None): 3}


async def test_campaigns_claimed_at_once_never_pass_the_cap(live_ctx: Context) -> None:
    await cap(live_ctx, contact_daily_cap=2)
    everyone = await people(live_ctx, 20)
    ids = [await launch(live_ctx, everyone) for _ in range(5)]
    await expand_campaigns(SERVICES)
    lanes = [Lane(live_ctx.workspace_id, True, id) for id in ids for _ in range(2)]
    claimed = await asyncio.gather(*(claim(lane, 10) for lane in lanes))
    taken = Counter(row.contact_id for each in claimed if each is not None for row in each.messages)
    assert set(taken.values()) == {2}
    for _ in range(3):
        await asyncio.gather(*(claim(lane, 10) for lane in lanes))
    rows = await Message.all()
    assert codes(rows) == {("sending", None): 40, ("skipped", "frequency_cap"): 60}
    for campaign_id in ids:
        await check_conservation(live_ctx, campaign_id)


async def test_what_was_not_sent_does_not_count_and_what_may_have_been_does(live_ctx: Context) -> None:
    await cap(live_ctx, contact_daily_cap=1)
    results = {"refused": REFUSED, "throttled": THROTTLED, "unknown": UNKNOWN}
    contacts = dict(zip(results, await people(live_ctx, 3), strict=True))
    first = await launch(live_ctx, list(contacts.values()))
    await expand_campaigns(SERVICES)
    claimed = await claim(Lane(live_ctx.workspace_id, True, first))
    assert claimed is not None
    of = {row.contact_id: row.id for row in claimed.messages}
    async with unit_of_work():
        given = [Outcome(of[contacts[name].id], result, code="carrier_rejected") for name, result in results.items()]
        await record_outcomes(claimed, given, await db.now())
    second = await launch(live_ctx, list(contacts.values()))
    await expand_campaigns(SERVICES)
    again = await claim(Lane(live_ctx.workspace_id, True, second))
    assert again is not None
    # A throttled message is queued again: the one that is claimed first is sent.
    assert {row.contact_id for row in again.messages} == {contacts["refused"].id, contacts["throttled"].id}
    await db.execute("UPDATE messages SET due_at = now() WHERE status = 'queued'")
    assert await claim(Lane(live_ctx.workspace_id, True, first)) is None
    assert (await Message.get(id=of[contacts["throttled"].id])).error_code == "frequency_cap"


async def test_a_claim_that_is_rolled_back_counts_nothing(live_ctx: Context) -> None:
    await cap(live_ctx, contact_daily_cap=1)
    everyone = await people(live_ctx, 3)
    first, second = [await launch(live_ctx, everyone) for _ in range(2)]
    await expand_campaigns(SERVICES)

    async def killed() -> None:
        async with unit_of_work():
            lane = Lane(live_ctx.workspace_id, True, first)
            assert await claims.claim(SERVICES, lane, carrier="virtual", limit=10, now=await db.now()) is not None
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await killed()
    claimed = await claim(Lane(live_ctx.workspace_id, True, second))
    assert claimed is not None
    assert len(claimed.messages) == 3


@pytest.mark.parametrize("is_generic", [False, True])
async def test_a_capped_claim_reads_its_batch(
    live_ctx: Context, monkeypatch: pytest.MonkeyPatch, is_generic: bool
) -> None:
    many, batch = 20_000, 10
    everyone = await people(live_ctx, 30)
    other = await launch(live_ctx, everyone)
    await make_messages(live_ctx, many, "sent", campaign_id=other)
    await make_messages(live_ctx, many // 2, "sent")
    await db.execute("UPDATE messages SET handed_at = now()")
    plain = await launch(live_ctx, everyone)
    capped = await launch(live_ctx, everyone, contact_daily_cap=3, contact_weekly_cap=5)
    await expand_campaigns(SERVICES)
    await run_as_owner("ANALYZE messages, contacts")
    found = []
    for campaign_id in (plain, capped):
        with reading(monkeypatch, is_generic=is_generic) as claiming:
            claimed = await claim(Lane(live_ctx.workspace_id, True, campaign_id), batch)
        assert claimed is not None
        claiming.check(30 * batch)
        found.append(len(claiming.statements))
    # The lock and the count.
    assert found[1] - found[0] == 2


def test_caps_are_those_of_the_campaign_and_the_workspace() -> None:
    settings = Workspace(contact_daily_cap=3, contact_weekly_cap=None, contact_caps_cover_all=False)
    own = Workspace(contact_daily_cap=5, contact_weekly_cap=4)
    assert caps_of(settings, own) == Caps(3, 4)
    assert caps_of(settings, None).is_none
    settings.contact_caps_cover_all = True
    assert caps_of(settings, None) == Caps(3, None, covers_all=True)
    assert Caps(2, 5).is_reached(1, 5)
    assert not Caps(2, 5).is_reached(1, 4)
