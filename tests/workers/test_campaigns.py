"""Campaigns from creation to completion, on the real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from asyncpg.exceptions import RaiseError

from msvs import database as db
from msvs.api.campaigns import campaigns, lifecycle
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.context import Context
from msvs.api.credits import credits
from msvs.api.errors import Conflict, InvalidRequest, PaymentRequired
from msvs.api.ids import new_id
from msvs.api.inbound.replies import receive_inbound
from msvs.api.resources import CampaignStats
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import Campaign, Contact, CreditBalance, Message, OptInStatus, Workspace
from msvs.workers.campaigns import expand_campaigns, expand_once
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.maintenance import complete_campaigns, has_work, maintain
from msvs.workers.reports import collect_reports
from tests import factories
from tests.services import SERVICES
from tests.workers.refusing import refused
from tests.workers.test_dispatch import hurry

CARRIERS = {"virtual": VirtualCarrier()}

IN_TRANSACTION = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'
"""


pytestmark = pytest.mark.usefixtures("virtual_live")


async def people(ctx: Context, number: int, **values: object) -> list[Contact]:
    return [await factories.make_contact(ctx, **values) for _ in range(number)]  # type: ignore[arg-type]


async def create(ctx: Context, contacts: list[Contact], body: str = "Hi {firstName|there}", **values: object) -> UUID:
    row = await factories.make_list(ctx, contacts)
    async with unit_of_work():
        campaign = await campaigns.create_campaign(
            ctx,
            CreateCampaign("Cohort 06", body, list_ids=[row.id], **values),  # type: ignore[arg-type]
        )
    return campaign.id


async def run_through() -> None:
    for _ in range(3):
        await expand_campaigns(SERVICES)
        await dispatch_messages(SERVICES, CARRIERS)
        await hurry()
        await collect_reports(SERVICES)
    await complete_campaigns()


async def stats(ctx: Context, campaign_id: UUID) -> CampaignStats:
    campaign = await campaigns.get_campaign(ctx, campaign_id)
    return (await campaigns.campaign_stats(ctx, [campaign]))[campaign_id]


async def campaign_events(campaign_id: UUID) -> list[str]:
    rows = await db.fetch("SELECT type FROM events WHERE resource_id = $1 ORDER BY id", campaign_id)
    return [row.type for row in rows]


async def check_conservation(ctx: Context, campaign_id: UUID) -> None:
    """The tallies agree with the rows, and each recipient is in exactly one state."""
    found = await stats(ctx, campaign_id)
    rows = await db.fetch(
        "SELECT status, count(*) AS n, sum(credits_used) AS credits"
        " FROM messages WHERE campaign_id = $1 GROUP BY status",
        campaign_id,
    )
    counted = {row.status: row.n for row in rows}
    counted["delivered"] = counted.get("delivered", 0) + counted.get("replied", 0)
    for status in ("queued", "sending", "sent", "delivered", "failed", "skipped", "canceled"):
        assert getattr(found, status) == counted.get(status, 0), status
    assert found.recipients == sum(row.n for row in rows)
    assert found.credits_used == sum(row.credits for row in rows)
    assert found.recipients == (
        found.queued + found.sending + found.sent + found.delivered + found.failed + found.skipped + found.canceled
    )


async def test_a_campaign_runs_to_completion(live_ctx: Context) -> None:
    contacts = await people(live_ctx, 5, first_name="Maria")
    contacts += await people(live_ctx, 2, status=OptInStatus.UNKNOWN)
    contacts += await people(live_ctx, 1, status=OptInStatus.OPTED_OUT)
    campaign_id = await create(live_ctx, contacts, metadata={"launch": "06"})
    await run_through()
    campaign = await Campaign.get(id=campaign_id)
    assert campaign.status == "completed"
    assert campaign.dispatched_at is not None
    assert campaign.completed_at is not None
    found = await stats(live_ctx, campaign_id)
    assert (found.recipients, found.delivered, found.skipped, found.credits_used) == (8, 5, 3, 5)
    await check_conservation(live_ctx, campaign_id)
    assert await campaign_events(campaign_id) == ["campaign.started", "campaign.dispatched", "campaign.completed"]
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 9_995
    messages = await Message.filter(campaign_id=campaign_id, status="delivered")
    assert {message.body for message in messages} == {"Hi Maria"}
    assert all(message.metadata == {"launch": "06"} for message in messages)
    skipped = await Message.filter(campaign_id=campaign_id, status="skipped").values_list("error_code", flat=True)
    assert sorted(skipped) == ["recipient_not_opted_in", "recipient_not_opted_in", "recipient_opted_out"]


async def test_an_audience_of_none_completes_with_both_events(ctx: Context) -> None:
    campaign_id = await create(ctx, [])
    await run_through()
    assert await campaign_events(campaign_id) == ["campaign.started", "campaign.dispatched", "campaign.completed"]
    assert (await stats(ctx, campaign_id)).recipients == 0


async def test_the_audience_is_a_union_with_one_message_a_phone(ctx: Context) -> None:
    contacts = await people(ctx, 4)
    first = await factories.make_list(ctx, contacts[:3])
    second = await factories.make_list(ctx, contacts[1:])
    async with unit_of_work():
        campaign = await campaigns.create_campaign(
            ctx, CreateCampaign("Union", "Hi", list_ids=[first.id, second.id], contact_ids=[contacts[0].id])
        )
    await run_through()
    assert (await stats(ctx, campaign.id)).delivered == 4


async def test_a_missing_variable_skips_that_recipient_alone(ctx: Context) -> None:
    contacts = [*await people(ctx, 1, first_name="Maria"), *await people(ctx, 2)]
    campaign_id = await create(ctx, contacts, body="Hi {first_name}")
    await run_through()
    found = await stats(ctx, campaign_id)
    assert (found.delivered, found.skipped) == (1, 2)
    rows = await Message.filter(campaign_id=campaign_id, status="skipped")
    assert {row.error_code for row in rows} == {"variable_missing"}
    assert await db.fetch_value("SELECT count(*) FROM virtual_submissions") == 1


async def test_blocked_regions_are_skipped(ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(blocked_regions=["BR"])
    contacts = [await factories.make_contact(ctx, "+5511961234567", region="BR"), *await people(ctx, 1)]
    campaign_id = await create(ctx, contacts)
    await run_through()
    found = await stats(ctx, campaign_id)
    assert (found.delivered, found.skipped) == (1, 1)


async def test_starting_now_needs_the_credits(live_ctx: Context) -> None:
    await db.execute("UPDATE credit_balances SET balance = 2")
    contacts = await people(live_ctx, 3)
    with pytest.raises(PaymentRequired) as refusal:
        await create(live_ctx, contacts)
    assert refusal.value.details == {"required": 3, "available": 2}
    assert await Campaign.all().count() == 0


async def test_a_shortage_pauses_and_a_top_up_resumes(live_ctx: Context) -> None:
    contacts = await people(live_ctx, 5)
    campaign_id = await create(live_ctx, contacts)
    await db.execute("UPDATE credit_balances SET balance = 2")
    await expand_campaigns(SERVICES)
    await dispatch_messages(SERVICES, CARRIERS)
    campaign = await Campaign.get(id=campaign_id)
    assert (campaign.status, campaign.pause_reason) == ("paused", "insufficient_credits")
    found = await stats(live_ctx, campaign_id)
    assert (found.queued, found.sent, found.credits_used) == (3, 2, 2)
    async with unit_of_work():
        assert await credits.grant_credits(live_ctx.workspace_id, 100, reference="top-up-1")
        assert not await credits.grant_credits(live_ctx.workspace_id, 100, reference="top-up-1")
    await run_through()
    assert (await Campaign.get(id=campaign_id)).status == "completed"
    assert (await stats(live_ctx, campaign_id)).delivered == 5
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 97
    await check_conservation(live_ctx, campaign_id)
    assert await campaign_events(campaign_id) == [
        "campaign.started",
        "campaign.dispatched",
        "campaign.paused",
        "campaign.resumed",
        "campaign.completed",
    ]


async def test_pause_holds_and_resume_goes_on(ctx: Context) -> None:
    campaign_id = await create(ctx, await people(ctx, 6))
    await expand_campaigns(SERVICES, chunk=2)
    async with unit_of_work():
        await campaigns.pause_campaign(ctx, campaign_id)
    await run_through()
    assert await db.fetch_value("SELECT count(*) FROM virtual_submissions") == 0
    assert (await stats(ctx, campaign_id)).queued == 6
    async with unit_of_work():
        await campaigns.resume_campaign(ctx, campaign_id)
    with pytest.raises(Conflict):
        await campaigns.resume_campaign(ctx, campaign_id)
    await run_through()
    assert (await stats(ctx, campaign_id)).delivered == 6


async def test_cancel_takes_back_what_is_not_handed_off(live_ctx: Context) -> None:
    campaign_id = await create(live_ctx, await people(live_ctx, 6))
    await expand_campaigns(SERVICES)
    await dispatch_messages(SERVICES, CARRIERS, seconds=0, batch=2)
    async with unit_of_work():
        canceled = await campaigns.cancel_campaign(live_ctx, campaign_id)
    assert canceled.status == "canceled"
    with pytest.raises(Conflict):
        await campaigns.cancel_campaign(live_ctx, campaign_id)
    await run_through()
    found = await stats(live_ctx, campaign_id)
    assert (found.delivered, found.canceled, found.credits_used) == (4, 2, 4)
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 9_996
    await check_conservation(live_ctx, campaign_id)


async def completions(ctx: Context, campaign_id: UUID) -> list[tuple[str, int]]:
    rows = await db.fetch("SELECT data FROM events WHERE type = 'campaign.completed' AND resource_id = $1", campaign_id)
    return [(data["status"], data["stats"]["canceled"]) for data in (json.loads(row.data) for row in rows)]


async def test_a_campaign_canceled_in_mid_run_completes_once_when_its_messages_have(live_ctx: Context) -> None:
    campaign_id = await create(live_ctx, await people(live_ctx, 6))
    await expand_campaigns(SERVICES)
    await dispatch_messages(SERVICES, CARRIERS, seconds=0, batch=2)
    async with unit_of_work():
        await campaigns.cancel_campaign(live_ctx, campaign_id)
    assert await has_work(SERVICES, await db.now())
    await complete_campaigns()
    # Four are with the carrier, and have no report yet.
    assert await completions(live_ctx, campaign_id) == []
    await run_through()
    await asyncio.gather(complete_campaigns(), complete_campaigns())
    assert await completions(live_ctx, campaign_id) == [("canceled", 2)]
    campaign = await campaigns.get_campaign(live_ctx, campaign_id)
    assert campaign.status == "canceled"
    assert campaign.completed_at is not None
    assert not await has_work(SERVICES, await db.now())


async def test_a_campaign_canceled_with_recipients_that_are_no_messages_yet_waits_for_them(ctx: Context) -> None:
    campaign_id = await create(ctx, await people(ctx, 6))
    async with unit_of_work():
        await lifecycle.start_campaign(SERVICES, campaign_id, datetime.now(UTC))
    await expand_once(SERVICES, campaign_id, 2)
    async with unit_of_work():
        await campaigns.cancel_campaign(ctx, campaign_id)
    await complete_campaigns()
    assert await completions(ctx, campaign_id) == []
    await expand_campaigns(SERVICES)
    await complete_campaigns()
    assert await completions(ctx, campaign_id) == [("canceled", 2)]


async def test_a_campaign_canceled_before_it_began_has_nothing_to_complete(ctx: Context) -> None:
    at = datetime.now(UTC) + timedelta(hours=2)
    campaign_id = await create(ctx, await people(ctx, 2), scheduled_at=at)
    async with unit_of_work():
        await campaigns.cancel_campaign(ctx, campaign_id)
    await run_through()
    assert await completions(ctx, campaign_id) == []


async def test_a_scheduled_campaign_starts_at_its_time_and_a_missed_one_pauses(ctx: Context) -> None:
    contacts = await people(ctx, 2)
    soon = await create(ctx, contacts, scheduled_at=datetime.now(UTC) + timedelta(minutes=5))
    missed = await create(ctx, contacts, scheduled_at=datetime.now(UTC) + timedelta(minutes=5))
    await run_through()
    assert (await Campaign.get(id=soon)).status == "scheduled"
    await Campaign.filter(id=soon).update(scheduled_at=datetime.now(UTC) - timedelta(minutes=59))
    await Campaign.filter(id=missed).update(scheduled_at=datetime.now(UTC) - timedelta(minutes=61))
    await run_through()
    assert (await Campaign.get(id=soon)).status == "completed"
    late = await Campaign.get(id=missed)
    assert (late.status, late.pause_reason) == ("paused", "missed")
    async with unit_of_work():
        await campaigns.resume_campaign(ctx, missed)
    await run_through()
    assert (await Campaign.get(id=missed)).status == "completed"
    assert (await stats(ctx, missed)).delivered == 2


async def test_expansion_by_many_workers_makes_each_message_once(ctx: Context) -> None:
    campaign_id = await create(ctx, await people(ctx, 60))
    async with unit_of_work():
        await lifecycle.start_campaign(SERVICES, campaign_id, datetime.now(UTC))
    await asyncio.gather(*(expand_campaigns(SERVICES, chunk=7) for _ in range(5)))
    await expand_campaigns(SERVICES)
    assert await Message.filter(campaign_id=campaign_id).count() == 60
    assert await campaign_events(campaign_id) == ["campaign.started", "campaign.dispatched"]


async def test_a_crash_in_an_expansion_loses_and_doubles_nobody(ctx: Context) -> None:
    campaign_id = await create(ctx, await people(ctx, 10))
    async with unit_of_work():
        await lifecycle.start_campaign(SERVICES, campaign_id, datetime.now(UTC))

    async def die_before_commit() -> None:
        async with unit_of_work():
            assert await campaigns.audiences.expand_chunk(SERVICES, campaign_id, limit=4, now=datetime.now(UTC)) == 4
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await die_before_commit()
    assert await Message.filter(campaign_id=campaign_id).count() == 0
    await run_through()
    assert (await stats(ctx, campaign_id)).delivered == 10


@pytest.mark.parametrize(
    ("table", "on"), [("campaign_recipients", "INSERT"), ("campaign_tallies", "INSERT"), ("campaigns", "UPDATE")]
)
async def test_a_campaign_that_breaks_holds_up_no_other(ctx: Context, other_ctx: Context, table: str, on: str) -> None:
    broken = await create(ctx, await people(ctx, 3))
    whole = await create(other_ctx, await people(other_ctx, 3))
    own = "id" if table == "campaigns" else "campaign_id"
    async with refused(table, f"NEW.{own} = '{broken}'", on=on):
        with pytest.raises(RaiseError):
            await expand_campaigns(SERVICES, chunk=2)
        # Nothing was left behind in the middle of a transaction.
        assert (
            await db.fetch_value("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'") == 0
        )
    assert (await Campaign.get(id=whole)).status == "sending"
    assert await Message.filter(campaign_id=whole).count() == 3
    await run_through()
    for campaign_id, owner in ((broken, ctx), (whole, other_ctx)):
        assert (await stats(owner, campaign_id)).delivered == 3
        await check_conservation(owner, campaign_id)


async def test_replies_and_stops_are_counted(ctx: Context) -> None:
    contacts = [await factories.make_contact(ctx, f"+1415555010{digit}") for digit in (5, 7)]
    campaign_id = await create(ctx, [*contacts, *await people(ctx, 1)])
    await run_through()
    found = await stats(ctx, campaign_id)
    assert (found.delivered, found.replied, found.opted_out) == (3, 1, 1)
    await check_conservation(ctx, campaign_id)
    stopped = await Contact.get(id=contacts[0].id)
    assert stopped.opt_in_status == "opted_out"
    rows = await db.fetch("SELECT type FROM events WHERE type IN ('message.replied', 'contact.opted_out')")
    assert sorted(row.type for row in rows) == ["contact.opted_out", "message.replied"]
    autos = await Message.filter(kind="auto")
    assert [row.to_phone for row in autos] == ["+14155550105"]


async def test_stop_cancels_what_waits_in_a_campaign(live_ctx: Context) -> None:
    contacts = await people(live_ctx, 3)
    campaign_id = await create(live_ctx, contacts)
    await expand_campaigns(SERVICES)
    async with unit_of_work():
        await receive_inbound(
            live_ctx, from_phone=contacts[0].phone, to_sender="COHORTLABS", text="Stop.", dedupe_key="in-1"
        )
    await run_through()
    found = await stats(live_ctx, campaign_id)
    assert (found.delivered, found.canceled) == (2, 1)
    assert await db.fetch_value("SELECT count(*) FROM virtual_submissions WHERE to_phone = $1", contacts[0].phone) == 1
    assert (await Message.get(to_phone=contacts[0].phone, kind="auto")).status == "delivered"
    await check_conservation(live_ctx, campaign_id)


async def test_a_missing_report_ends_after_72_hours(ctx: Context) -> None:
    campaign_id = await create(ctx, [await factories.make_contact(ctx, "+14155550108")])
    await run_through()
    assert (await Campaign.get(id=campaign_id)).status == "sending"
    await db.execute("UPDATE messages SET sent_at = now() - interval '73 hours'")
    await maintain(SERVICES, CARRIERS)
    await maintain(SERVICES, CARRIERS)
    assert (await Campaign.get(id=campaign_id)).status == "completed"
    message = await Message.get(campaign_id=campaign_id)
    assert (message.status, message.delivery) == ("sent", "unknown")
    assert (await stats(ctx, campaign_id)).sent == 1


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({}, "audience"),
        ({"list_ids": [new_id()]}, "audience.list_ids[0]"),
        ({"segment_id": new_id()}, "audience.segment_id"),
        ({"contact_ids": [new_id()]}, "audience.contact_ids[0]"),
    ],
)
async def test_an_unknown_audience_is_refused(ctx: Context, values: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await campaigns.create_campaign(ctx, CreateCampaign("X", "Hi", **values))  # type: ignore[arg-type]
    assert refusal.value.param == param


async def test_another_workspaces_list_is_unknown(ctx: Context, other_ctx: Context) -> None:
    row = await factories.make_list(other_ctx, [])
    with pytest.raises(InvalidRequest):
        await campaigns.create_campaign(ctx, CreateCampaign("X", "Hi", list_ids=[row.id]))
