"""Preflights: what they expect, and campaigns that are paused because they moved beyond."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from msvs import database as db
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.budgets import exceeded
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.campaigns.preflights import CampaignPreflight, preflight_campaign
from msvs.api.campaigns.requests import GuardRailOptions, PreviewCampaign
from msvs.api.context import Context
from msvs.api.errors import Conflict, InvalidRequest, PermissionDenied
from msvs.api.unit_of_work import in_unit_of_work, unit_of_work
from msvs.models import Campaign, Contact, ContactList, CreditBalance, Event, ListMember, Message, Preflight, Role
from msvs.models.campaigns import GuardRails
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.retention import drop_rows
from tests import factories
from tests.services import SERVICES
from tests.workers.test_campaigns import check_conservation, run_through, stats

pytestmark = pytest.mark.usefixtures("virtual_live")


async def people(ctx: Context, number: int) -> tuple[ContactList, list[Contact]]:
    contacts = [await factories.make_contact(ctx) for _ in range(number)]
    return await factories.make_list(ctx, contacts), contacts


async def join(ctx: Context, listed: ContactList, number: int) -> None:
    contacts = [await factories.make_contact(ctx) for _ in range(number)]
    await ListMember.bulk_create([ListMember(list_id=listed.id, contact_id=contact.id) for contact in contacts])


async def preflight(ctx: Context, listed: ContactList, body: str = "Hi", **values: Any) -> CampaignPreflight:
    return await in_unit_of_work(
        lambda: preflight_campaign(ctx, PreviewCampaign(body=body, list_ids=[listed.id], **values))
    )


async def create(ctx: Context, listed: ContactList, body: str = "Hi", **values: Any) -> Campaign:
    data = CreateCampaign("All", body, list_ids=[listed.id], **values)
    return await in_unit_of_work(lambda: campaigns.create_campaign(ctx, data))


async def standing(id: UUID) -> tuple[str, str | None]:
    row = await Campaign.get(id=id)
    return str(row.status), row.pause_reason


async def test_a_preflight_says_what_a_preview_says_and_keeps_it(live_ctx: Context) -> None:
    listed, contacts = await people(live_ctx, 3)
    await Contact.filter(id=contacts[0].id).update(opt_in_status="unknown")
    start = await db.now() + timedelta(hours=2)
    found = await preflight(live_ctx, listed, scheduled_at=start, spread_hours=1.0)
    assert (found.audience_count, found.recipient_count, found.credits.total) == (3, 2, 2)
    assert [(each.code, each.recipient_count) for each in found.skipped] == [("recipient_not_opted_in", 1)]
    assert (found.cost.lowest, found.cost.expected, found.cost.highest) == (2, 2, 2)
    assert found.starts_at == f"{start:%Y-%m-%dT%H:%M:%SZ}"
    assert found.ends_at == f"{start + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    assert (found.object, found.id[:4]) == ("campaign_preflight", "pfl_")
    (row,) = await Preflight.all()
    assert (row.recipient_count, row.credits, row.livemode) == (2, 2, True)
    assert await Message.all().count() == await Campaign.all().count() == 0


async def test_the_cost_of_a_sample_has_room_for_the_truth(live_ctx: Context) -> None:
    contacts = [await factories.make_contact(live_ctx, first_name="A" * (90 * (n % 2) + 1)) for n in range(60)]
    listed = await factories.make_list(live_ctx, contacts)
    body = "Hey {firstName} " + "x" * 100
    exact = await preflight(live_ctx, listed, body)
    data = PreviewCampaign(body=body, list_ids=[listed.id])
    sampled = await in_unit_of_work(lambda: preflight_campaign(live_ctx, data, exact_up_to=20))
    assert (exact.exact, exact.credits.total, sampled.exact) == (True, 90, False)
    assert sampled.cost.lowest < sampled.cost.expected < sampled.cost.highest
    assert sampled.cost.lowest <= exact.credits.total <= sampled.cost.highest


@pytest.mark.parametrize(
    ("rails", "found", "tripped"),
    [
        ({}, (9, 9), None),
        ({"max_credits": 10}, (10, 99), None),
        ({"max_credits": 10}, (11, 1), ("max_credits", "credits")),
        ({"max_credits": 0}, (0, 0), None),
        ({"max_drift": 0.1, "expected_recipients": 100, "expected_credits": 200}, (220, 110), None),
        ({"max_drift": 0.1, "expected_recipients": 100, "expected_credits": 200}, (180, 90), None),
        (
            {"max_drift": 0.1, "expected_recipients": 100, "expected_credits": 200},
            (200, 111),
            ("max_drift", "recipients"),
        ),
        (
            {"max_drift": 0.1, "expected_recipients": 100, "expected_credits": 200},
            (200, 89),
            ("max_drift", "recipients"),
        ),
        ({"max_drift": 0.1, "expected_recipients": 100, "expected_credits": 200}, (221, 100), ("max_drift", "credits")),
        ({"max_drift": 0.0, "expected_recipients": 0, "expected_credits": 0}, (0, 0), None),
        ({"max_drift": 0.5, "expected_recipients": 0, "expected_credits": 0}, (1, 1), ("max_drift", "recipients")),
    ],
)
def test_what_is_beyond_a_guard_rail(
    rails: dict[str, Any], found: tuple[int, int], tripped: tuple[str, str] | None
) -> None:
    credits, recipients = found
    told = exceeded(GuardRails(**rails), {"credits": credits, "recipients": recipients})
    assert (None if told is None else (told["guard"], told["measure"])) == tripped


@pytest.mark.parametrize(
    ("values", "guard", "message"),
    [
        ({"max_credits": 3}, "max_credits", "It would cost 5 credits, and may cost 3 at most."),
        ({"max_drift": 0.5}, "max_drift", "It has 5 recipients, where 2 were expected: more than 50% away."),
    ],
)
async def test_a_campaign_that_moved_beyond_is_paused_at_its_start(
    live_ctx: Context, values: dict[str, Any], guard: str, message: str
) -> None:
    listed, _ = await people(live_ctx, 2)
    found = await preflight(live_ctx, listed)
    start = await db.now() + timedelta(hours=1)
    campaign = await create(live_ctx, listed, scheduled_at=start, preflight=found.id, **values)
    await join(live_ctx, listed, 3)
    await Campaign.filter(id=campaign.id).update(scheduled_at=await db.now())
    await run_through()
    assert await standing(campaign.id) == ("paused", "guard_rail")
    assert await Message.all().count() == 0
    assert await db.fetch_value("SELECT count(*) FROM campaign_recipients") == 0
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 10_000
    (event,) = await Event.filter(resource_id=campaign.id, type="campaign.paused")
    data = msgspec.json.decode(event.data)
    assert (data["pause_reason"], data["guard_rails"]["tripped"]["guard"]) == ("guard_rail", guard)
    assert data["guard_rails"]["tripped"]["message"] == message
    # It stays so until somebody decides.
    await run_through()
    assert await Event.filter(resource_id=campaign.id, type="campaign.paused").count() == 1
    await in_unit_of_work(lambda: campaigns.resume_campaign(live_ctx, campaign.id))
    await run_through()
    assert await standing(campaign.id) == ("completed", None)
    assert (await stats(live_ctx, campaign.id)).delivered == 5
    rails = (await Campaign.get(id=campaign.id)).guard_rails
    assert rails is not None
    assert (rails.get("lifted"), rails.get("tripped")) == (True, None)
    await check_conservation(live_ctx, campaign.id)


async def test_a_campaign_within_its_guard_rails_starts(live_ctx: Context) -> None:
    listed, _ = await people(live_ctx, 10)
    found = await preflight(live_ctx, listed)
    await join(live_ctx, listed, 1)
    campaign = await create(live_ctx, listed, preflight=found.id, max_credits=11, max_drift=0.1)
    await run_through()
    assert await standing(campaign.id) == ("completed", None)
    row = await Campaign.get(id=campaign.id)
    assert (row.planned_credits, (await stats(live_ctx, campaign.id)).credits_used) == (11, 11)


async def test_a_draft_is_launched_with_guard_rails(live_ctx: Context) -> None:
    listed, _ = await people(live_ctx, 2)
    draft = await create(live_ctx, listed, draft=True)
    found = await preflight(live_ctx, listed)
    rails = GuardRailOptions(preflight=found.id, max_drift=0.0)
    await in_unit_of_work(lambda: campaigns.launch_campaign(live_ctx, draft.id, guard_rails=rails))
    await join(live_ctx, listed, 1)
    await run_through()
    assert await standing(draft.id) == ("paused", "guard_rail")


async def test_what_is_queued_never_costs_more(live_ctx: Context) -> None:
    """Also where it moved after the start, with chunks expanded at once; a resumed one sends the rest, once."""
    listed, contacts = await people(live_ctx, 30)
    campaign = await create(live_ctx, listed, max_credits=30, body="Hi {firstName|you}")
    # Fixed and begun at one credit each; then bodies grow to two segments each, and no chunk knows of the others.
    assert await expand_campaigns(SERVICES, chunk=1, seconds=0) in range(31)
    await Contact.filter(id__in=[contact.id for contact in contacts]).update(first_name="A" * 100, last_name="x")
    await db.execute("UPDATE campaigns SET body = body || repeat('y', 100) WHERE id = $1", campaign.id)
    await asyncio.gather(*(expand_campaigns(SERVICES, chunk=2) for _ in range(4)))
    queued = await db.fetch_value("SELECT sum(segments * price) FROM messages WHERE campaign_id = $1", campaign.id)
    row = await Campaign.get(id=campaign.id)
    assert (str(row.status), row.pause_reason) == ("paused", "guard_rail")
    assert queued == row.planned_credits <= 30
    assert row.guard_rails is not None
    tripped = row.guard_rails.get("tripped")
    assert tripped is not None
    assert (tripped["guard"], tripped["limit"], tripped["found"] > 30) == ("max_credits", 30, True)
    left = await db.fetch_value("SELECT count(*) FROM campaign_recipients WHERE campaign_id = $1", campaign.id)
    assert left + await Message.filter(campaign_id=campaign.id).count() == 30
    assert await Event.filter(resource_id=campaign.id, type="campaign.paused").count() == 1
    await in_unit_of_work(lambda: campaigns.resume_campaign(live_ctx, campaign.id))
    await run_through()
    assert await standing(campaign.id) == ("completed", None)
    assert (await stats(live_ctx, campaign.id)).delivered == 30
    await check_conservation(live_ctx, campaign.id)


async def test_a_pause_a_cancellation_and_a_start_at_once_leave_one_outcome(live_ctx: Context) -> None:
    for halt in (campaigns.pause_campaign, campaigns.cancel_campaign):
        listed, _ = await people(live_ctx, 3)
        campaign = await create(live_ctx, listed, max_credits=1)

        async def act(halt: Any = halt, id: UUID = campaign.id) -> None:
            async with unit_of_work():
                await halt(live_ctx, id)

        await asyncio.gather(*(expand_campaigns(SERVICES) for _ in range(3)), act())
        await run_through()
        status, reason = await standing(campaign.id)
        assert (status, reason) in {("paused", "manual"), ("paused", "guard_rail"), ("canceled", None)}
        assert status == ("canceled" if halt is campaigns.cancel_campaign else "paused")
        assert await Message.filter(campaign_id=campaign.id).count() == 0
        paused = await Event.filter(resource_id=campaign.id, type="campaign.paused").count()
        assert paused <= 1 + (halt is campaigns.pause_campaign and False)


async def test_a_pause_by_hand_does_not_lift_the_guard_rails(live_ctx: Context) -> None:
    listed, _ = await people(live_ctx, 3)
    campaign = await create(live_ctx, listed, max_credits=1)
    await run_through()
    assert await standing(campaign.id) == ("paused", "guard_rail")
    await in_unit_of_work(lambda: campaigns.pause_campaign(live_ctx, campaign.id))
    await in_unit_of_work(lambda: campaigns.resume_campaign(live_ctx, campaign.id))
    await run_through()
    assert await standing(campaign.id) == ("paused", "guard_rail")
    with pytest.raises(Conflict):
        await in_unit_of_work(lambda: campaigns.launch_campaign(live_ctx, campaign.id))


@pytest.mark.parametrize(
    ("values", "param", "code"),
    [
        ({"max_drift": 0.1}, "preflight", "parameter_missing"),
        ({"preflight": "pfl_01HYZ8K5VQAE2N0PWQ6DC9V8MP"}, "preflight", "resource_missing"),
        ({"preflight": "cmp_01HYZ8K5VQAE2N0PWQ6DC9V8MP"}, "preflight", "id_invalid"),
        ({"max_credits": -1}, "max_credits", "parameter_out_of_range"),
        ({"max_credits": 10**10}, "max_credits", "parameter_out_of_range"),
        ({"max_drift": 11.0}, "max_drift", "parameter_out_of_range"),
        ({"max_drift": -0.1}, "max_drift", "parameter_out_of_range"),
        ({"max_drift": float("nan")}, "max_drift", "parameter_out_of_range"),
    ],
)
async def test_guard_rails_that_cannot_be_are_refused(
    live_ctx: Context, values: dict[str, Any], param: str, code: str
) -> None:
    listed, _ = await people(live_ctx, 1)
    with pytest.raises(InvalidRequest) as refused:
        await create(live_ctx, listed, **values)
    assert (refused.value.param, refused.value.code) == (param, code)
    assert await Campaign.all().count() == 0


async def test_a_preflight_is_of_its_workspace_and_mode_and_of_its_day(
    live_ctx: Context, ctx: Context, other_ctx: Context
) -> None:
    listed, _ = await people(live_ctx, 1)
    found = await preflight(live_ctx, listed)
    for stranger in (ctx, other_ctx):
        own, _ = await people(stranger, 1)
        with pytest.raises(InvalidRequest) as refused:
            await create(stranger, own, preflight=found.id, max_drift=0.1)
        assert refused.value.code == "resource_missing"
    await db.execute("UPDATE preflights SET created_at = now() - interval '25 hours'")
    with pytest.raises(InvalidRequest):
        await create(live_ctx, listed, preflight=found.id)
    assert await drop_rows(SERVICES, "preflights", now=await db.now() + timedelta(days=8)) == 1


async def test_who_may_not_write_campaigns_makes_no_preflight(live_ctx: Context) -> None:
    listed, _ = await people(live_ctx, 1)
    reader = Context(live_ctx.workspace_id, True, services=SERVICES, actor="usr_1", role=Role.READ_ONLY)
    with pytest.raises(PermissionDenied):
        await preflight(reader, listed)
    assert await Preflight.all().count() == 0
