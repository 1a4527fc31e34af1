"""Campaigns at the recipient's local hour: clocks that change, hours that are over, zones that are not known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from msvs.api.campaigns import audiences, campaigns, lifecycle
from msvs.api.campaigns.campaigns import CreateCampaign, UpdateCampaign
from msvs.api.campaigns.previews import PreviewCampaign, preview_campaign
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest
from msvs.api.text.quiet_hours import next_local_time
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Campaign, Message
from tests import factories
from tests.services import SERVICES

pytestmark = pytest.mark.usefixtures("virtual_live")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zones", "clock", "moment", "due"),
    [
        (("UTC",), "10:00", "2026-05-01T08:00", "2026-05-01T10:00"),
        (("UTC",), "10:00", "2026-05-01T10:00", "2026-05-01T10:00"),
        (("UTC",), "10:00", "2026-05-01T10:00:01", "2026-05-02T10:00"),
        # The date there is another one.
        (("Pacific/Auckland",), "10:00", "2026-05-01T21:00", "2026-05-01T22:00"),
        (("Pacific/Auckland",), "10:00", "2026-05-01T23:00", "2026-05-02T22:00"),
        (("Asia/Kolkata",), "09:30", "2026-05-01T03:00", "2026-05-01T04:00"),
        # By the clocks of the day on which it is sent.
        (("America/New_York",), "10:00", "2026-03-07T20:00", "2026-03-08T14:00"),
        (("America/New_York",), "10:00", "2026-10-31T20:00", "2026-11-01T15:00"),
        # Clocks skip 2:30, and have 1:30 twice.
        (("America/New_York",), "02:30", "2026-03-08T05:00", "2026-03-08T07:30"),
        (("America/New_York",), "01:30", "2026-11-01T04:00", "2026-11-01T05:30"),
        (("America/New_York",), "01:30", "2026-11-01T05:31", "2026-11-02T06:30"),
        # Nobody is reached before the hour.
        (
            ("America/New_York", "America/Los_Angeles", "America/Chicago"),
            "10:00",
            "2026-05-01T12:00",
            "2026-05-01T17:00",
        ),
    ],
)
def test_the_next_local_time(zones: tuple[str, ...], clock: str, moment: str, due: str) -> None:
    assert next_local_time(zones, clock, at(moment)) == at(due)


async def expanded(ctx: Context, now: datetime, **values: Any) -> dict[str, datetime]:
    """When each recipient of a campaign gets it, by their zone."""
    zones = ("America/New_York", "Europe/Paris", "Asia/Tokyo")
    contacts = [await factories.make_contact(ctx, timezone=zone) for zone in zones]
    listed = await factories.make_list(ctx, contacts)
    async with unit_of_work():
        data = CreateCampaign("All", "Hi", list_ids=[listed.id], send_at_local="10:00", **values)
        campaign = await campaigns.create_campaign(ctx, data)
    await Campaign.filter(id=campaign.id).update(scheduled_at=values.get("scheduled_at") and now)
    async with unit_of_work():
        await lifecycle.start_campaign(SERVICES, campaign.id, now)
    async with unit_of_work():
        # A chunk of some minutes later.
        assert await audiences.expand_chunk(SERVICES, campaign.id, now=now + timedelta(minutes=5)) == 3
    rows = {row.contact_id: row.due_at for row in await Message.filter(campaign_id=campaign.id)}
    return {zone: rows[contact.id] for zone, contact in zip(zones, contacts, strict=True)}


async def test_each_recipient_gets_it_at_their_hour_and_the_next_day_where_that_is_over(ctx: Context) -> None:
    now = at("2026-05-01T12:00")
    assert await expanded(ctx, now) == {
        "America/New_York": at("2026-05-01T14:00"),
        "Europe/Paris": at("2026-05-02T08:00"),
        "Asia/Tokyo": at("2026-05-02T01:00"),
    }


async def test_who_is_expanded_minutes_after_the_hour_at_which_it_began_gets_it_now(ctx: Context) -> None:
    now = at("2026-05-01T14:00")
    found = await expanded(ctx, now, scheduled_at=datetime.now(UTC) + timedelta(hours=1))
    assert found["America/New_York"] == now


async def test_a_night_hour_waits_for_the_daytime_of_quiet_hours(ctx: Context) -> None:
    contact = await factories.make_contact(ctx, timezone="America/New_York")
    listed = await factories.make_list(ctx, [contact])
    async with unit_of_work():
        data = CreateCampaign("All", "Hi", list_ids=[listed.id], send_at_local="03:00", quiet_hours=True)
        campaign = await campaigns.create_campaign(ctx, data)
    now = at("2026-05-01T04:00")
    async with unit_of_work():
        await lifecycle.start_campaign(SERVICES, campaign.id, now)
    async with unit_of_work():
        await audiences.expand_chunk(SERVICES, campaign.id, now=now)
    assert (await Message.get(campaign_id=campaign.id)).due_at == at("2026-05-01T12:00")


async def test_a_preview_counts_who_waits_for_their_hour(ctx: Context) -> None:
    later = (datetime.now(UTC) + timedelta(hours=3)).strftime("%H:%M")
    contacts = [await factories.make_contact(ctx, timezone="UTC") for _ in range(3)]
    listed = await factories.make_list(ctx, contacts)
    told = PreviewCampaign(body="Hi", list_ids=[listed.id], send_at_local=later, quiet_hours=False)
    preview = await preview_campaign(ctx, told)
    assert (preview.recipient_count, preview.held_count) == (3, 3)
    assert 2 * 3600 < preview.estimated_seconds <= 3 * 3600


@pytest.mark.parametrize("text", ["24:00", "9:00", "10:60", "10", "noon", "", "10:00\n"])
async def test_what_is_no_time_of_day_is_refused(ctx: Context, text: str) -> None:
    listed = await factories.make_list(ctx, [await factories.make_contact(ctx)])
    data = CreateCampaign("All", "Hi", list_ids=[listed.id], send_at_local=text, draft=True)
    with pytest.raises(InvalidRequest) as refusal:
        await campaigns.create_campaign(ctx, data)
    assert refusal.value.param == "send_at_local"
    with pytest.raises(InvalidRequest):
        await preview_campaign(ctx, PreviewCampaign(body="Hi", list_ids=[listed.id], send_at_local=text))


async def test_the_time_and_the_caps_are_changed_cleared_and_cloned(ctx: Context) -> None:
    listed = await factories.make_list(ctx, [await factories.make_contact(ctx)])
    data = CreateCampaign("All", "Hi", list_ids=[listed.id], send_at_local="10:00", contact_daily_cap=1, draft=True)
    async with unit_of_work():
        draft = await campaigns.create_campaign(ctx, data)
        clone = await campaigns.clone_campaign(ctx, draft.id)
        changes = UpdateCampaign(send_at_local="18:30", contact_daily_cap=None, contact_weekly_cap=7)
        changed = await campaigns.update_campaign(ctx, draft.id, changes)
    assert (clone.send_at_local, clone.contact_daily_cap) == ("10:00", 1)
    assert (changed.send_at_local, changed.contact_daily_cap, changed.contact_weekly_cap) == ("18:30", None, 7)
    for told in ({"contact_daily_cap": 0}, {"contact_weekly_cap": 1001}):
        with pytest.raises(InvalidRequest):
            await campaigns.update_campaign(ctx, draft.id, UpdateCampaign(**told))
