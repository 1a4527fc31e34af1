"""Campaigns before they begin: drafts, changes, launches, clones and tests."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs

from msvs.api import ids
from msvs.api.campaigns.campaigns import (
    CreateCampaign,
    UpdateCampaign,
    cancel_campaign,
    clone_campaign,
    create_campaign,
    delete_campaign,
    get_campaign,
    launch_campaign,
    list_campaigns,
    pause_campaign,
    resume_campaign,
    send_campaign_test,
    update_campaign,
)
from msvs.api.campaigns.requests import ListCampaigns
from msvs.api.contacts.lists import delete_list
from msvs.api.context import Context
from msvs.api.errors import ApiError, Conflict, InvalidRequest, NotFound, PaymentRequired, PermissionDenied
from msvs.api.pages import PageRequest
from msvs.api.resources import campaign_version
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Campaign, CampaignStatus, Contact, CreditBalance, Event, Message, OptInStatus, Role
from tests import factories
from tests.workers.test_campaigns import run_through

LATER = datetime(2026, 1, 1, tzinfo=UTC)


pytestmark = pytest.mark.usefixtures("virtual_live")


def ahead(**by: float) -> datetime:
    return (datetime.now(UTC) + timedelta(**by)).replace(microsecond=0)


async def draft(ctx: Context, **values: Any) -> Campaign:
    async with unit_of_work():
        return await create_campaign(ctx, CreateCampaign(**{"name": "Close", "body": "Hi", "draft": True, **values}))


async def change(ctx: Context, id: UUID, **values: Any) -> Campaign:
    async with unit_of_work():
        return await update_campaign(ctx, id, UpdateCampaign(**values))


async def launch(ctx: Context, id: UUID, **values: Any) -> Campaign:
    async with unit_of_work():
        return await launch_campaign(ctx, id, **values)


async def refusal(operation: Any) -> tuple[str, str | None]:
    with pytest.raises(ApiError) as caught:
        async with unit_of_work():
            await operation
    return caught.value.code, caught.value.param


async def test_a_draft_waits_unseen_and_is_sent_once_launched(ctx: Context) -> None:
    people = [await factories.make_contact(ctx) for _ in range(3)]
    row = await draft(ctx)
    assert (row.status, row.audience) == ("draft", {})
    await run_through()
    assert (await get_campaign(ctx, row.id)).status == "draft"
    assert (await list_campaigns(ctx, PageRequest())).items == []
    drafts = await list_campaigns(ctx, PageRequest(), ListCampaigns(status="draft"))
    assert [each.id for each in drafts.items] == [row.id]
    assert await refusal(launch_campaign(ctx, row.id)) == ("parameter_missing", "audience")
    await change(ctx, row.id, contact_ids=[each.id for each in people], body="Hi {firstName|there}")
    assert await Event.all().count() == 0
    assert (await launch(ctx, row.id)).status == "preparing"
    await run_through()
    done = await get_campaign(ctx, row.id)
    assert done.status == "completed"
    assert {message.body for message in await Message.filter(campaign_id=row.id)} == {"Hi there"}
    assert await Message.filter(campaign_id=row.id).count() == 3


async def test_campaigns_are_found_by_when_they_start(ctx: Context, other_ctx: Context) -> None:
    day = LATER + timedelta(days=1)
    started, planned, late = [await draft(ctx, name=name) for name in ("Started", "Planned", "Late")]
    # One that began on another day than it was planned for counts by when it began.
    await Campaign.filter(id=started.id).update(started_at=LATER, scheduled_at=day, status="completed")
    await Campaign.filter(id=planned.id).update(scheduled_at=day - timedelta(seconds=1), status="scheduled")
    await Campaign.filter(id=late.id).update(scheduled_at=day, status="scheduled")
    elsewhere = await draft(other_ctx, name="Elsewhere")
    await Campaign.filter(id=elsewhere.id).update(started_at=LATER, status="completed")

    async def found(**which: Any) -> list[str]:
        return [each.name for each in (await list_campaigns(ctx, PageRequest(), ListCampaigns(**which))).items]

    assert await found(starts_from=LATER, starts_before=day) == ["Planned", "Started"]
    assert await found(starts_before=LATER) == []
    assert await found(starts_from=day) == ["Late"]
    assert await found(starts_from=LATER, q="start") == ["Started"]
    assert await found() == ["Late", "Planned", "Started"]


async def test_a_draft_keeps_its_time_and_may_be_given_another(ctx: Context) -> None:
    person = await factories.make_contact(ctx)
    at, other = ahead(days=2), ahead(days=3)
    kept = await draft(ctx, scheduled_at=at, contact_ids=[person.id])
    launched = await launch(ctx, kept.id)
    assert (launched.status, launched.scheduled_at) == ("scheduled", at)
    moved = await launch(ctx, (await draft(ctx, scheduled_at=at, contact_ids=[person.id])).id, scheduled_at=other)
    assert (moved.status, moved.scheduled_at) == ("scheduled", other)
    now = await launch(ctx, (await draft(ctx, scheduled_at=at, contact_ids=[person.id])).id, scheduled_at=None)
    assert (now.status, now.scheduled_at) == ("preparing", None)
    late = await draft(ctx, contact_ids=[person.id])
    await Campaign.filter(id=late.id).update(scheduled_at=ahead(hours=-1))
    assert await refusal(launch_campaign(ctx, late.id)) == ("scheduled_at_past", "scheduled_at")
    assert (await get_campaign(ctx, late.id)).status == "draft"


async def test_a_launch_costs_what_a_campaign_costs(live_ctx: Context) -> None:
    people = [await factories.make_contact(live_ctx) for _ in range(3)]
    row = await draft(live_ctx, body="Hi " + "x" * 4, contact_ids=[each.id for each in people])
    await CreditBalance.filter(workspace_id=live_ctx.workspace_id).update(balance=2)
    with pytest.raises(PaymentRequired) as caught:
        await launch(live_ctx, row.id)
    assert caught.value.details == {"required": 3, "available": 2}
    assert (await get_campaign(live_ctx, row.id)).status == "draft"


async def test_a_list_that_is_gone_stops_the_launch(ctx: Context) -> None:
    people = await factories.make_list(ctx, [await factories.make_contact(ctx)])
    row = await draft(ctx, list_ids=[people.id])
    async with unit_of_work():
        await delete_list(ctx, people.id)
    assert (await refusal(launch_campaign(ctx, row.id)))[1] == "audience.list_ids[0]"


async def test_a_scheduled_campaign_changes_until_it_begins(ctx: Context) -> None:
    one, two = await factories.make_contact(ctx), await factories.make_contact(ctx)
    async with unit_of_work():
        row = await create_campaign(
            ctx,
            CreateCampaign(
                "Close", "Hi", contact_ids=[one.id], scheduled_at=ahead(days=1), rate_per_minute=60, from_="COHORT"
            ),
        )
    at = ahead(days=2)
    changed = await change(
        ctx,
        row.id,
        name=" Open ",
        body="Hello",
        contact_ids=[two.id],
        scheduled_at=at,
        from_=None,
        metadata={"a": "b"},
        expires_at=at + timedelta(hours=1),
        rate_per_minute=None,
        spread_hours=2.0,
        quiet_hours=True,
    )
    found = await get_campaign(ctx, row.id)
    assert dict(found) == dict(changed)
    assert (found.name, found.body, found.sender, found.metadata) == ("Open", "Hello", "MASSIVESMS", {"a": "b"})
    assert found.audience == {"contact_ids": [ids.encode_id(ids.CONTACT, two.id)]}
    assert (found.scheduled_at, found.expires_at) == (at, at + timedelta(hours=1))
    assert (found.rate_per_minute, found.spread_hours, found.interval_seconds) == (None, 2.0, 0.0)
    assert (found.status, found.respects_quiet_hours) == ("scheduled", True)
    await change(ctx, row.id, spread_hours=None, expires_at=None, quiet_hours=None, scheduled_at=ahead(seconds=-1))
    await run_through()
    assert [message.to_phone for message in await Message.filter(campaign_id=row.id)] == [two.phone]
    assert await refusal(update_campaign(ctx, row.id, UpdateCampaign(name="Late"))) == ("campaign_begun", None)


async def test_a_change_of_an_older_version_changes_nothing(ctx: Context) -> None:
    row = await draft(ctx)
    read = campaign_version(row)
    assert campaign_version(await change(ctx, row.id, name="Mine", version=read)) != read
    assert await refusal(update_campaign(ctx, row.id, UpdateCampaign(name="Theirs", version=read))) == (
        "version_conflict",
        "version",
    )
    found = await get_campaign(ctx, row.id)
    assert (found.name, await Event.all().count()) == ("Mine", 0)
    # What is not said is not checked, and what changes nothing keeps the version.
    same = await change(ctx, row.id, name="Mine", version=campaign_version(found))
    assert campaign_version(same) == campaign_version(found)
    assert (await change(ctx, row.id, body="Bye")).body == "Bye"


async def test_of_two_changes_of_one_version_one_wins(ctx: Context) -> None:
    row = await draft(ctx)
    version = campaign_version(row)
    names = [f"Editor {number}" for number in range(4)]
    done = await asyncio.gather(
        *(change(ctx, row.id, name=name, version=version) for name in names), return_exceptions=True
    )
    won = [name for name, each in zip(names, done, strict=True) if not isinstance(each, BaseException)]
    assert won == [(await get_campaign(ctx, row.id)).name]
    assert {each.code for each in done if isinstance(each, Conflict)} == {"version_conflict"}


@pytest.mark.parametrize(
    ("values", "code", "param"),
    [
        ({"name": " "}, "parameter_out_of_range", "name"),
        ({"body": "{oops"}, "template_invalid", "body"),
        ({"from_": "!"}, "sender_invalid", "from"),
        ({"contact_ids": []}, "parameter_missing", "audience"),
        ({"list_ids": [UUID(int=7)]}, "resource_missing", "audience.list_ids[0]"),
        ({"scheduled_at": None}, "parameter_invalid", "scheduled_at"),
        ({"scheduled_at": LATER}, "scheduled_at_past", "scheduled_at"),
        ({"expires_at": LATER}, "expires_at_past", "expires_at"),
        ({"metadata": {"a": [1]}}, "parameter_invalid", "metadata.a"),
        ({"metadata": {"a": float("nan")}}, "parameter_invalid", "metadata.a"),
        ({"rate_per_minute": 0}, "parameter_out_of_range", "rate_per_minute"),
        ({"rate_per_minute": 5, "spread_hours": 1.0}, "pace_conflict", "spread_hours"),
    ],
)
async def test_a_bad_change_changes_nothing(ctx: Context, values: dict[str, Any], code: str, param: str) -> None:
    person = await factories.make_contact(ctx)
    async with unit_of_work():
        new = CreateCampaign("Close", "Hi", contact_ids=[person.id], scheduled_at=ahead(days=1))
        row = await create_campaign(ctx, new)
    before = dict(await get_campaign(ctx, row.id))
    assert await refusal(update_campaign(ctx, row.id, UpdateCampaign(**values))) == (code, param)
    assert dict(await get_campaign(ctx, row.id)) == before


async def test_a_draft_is_neither_paused_nor_canceled_but_deleted(ctx: Context, other_ctx: Context) -> None:
    row = await draft(ctx)
    assert await refusal(cancel_campaign(ctx, row.id)) == ("campaign_draft", None)
    assert await refusal(pause_campaign(ctx, row.id)) == ("campaign_draft", None)
    assert await refusal(resume_campaign(ctx, row.id)) == ("campaign_not_paused", None)
    with pytest.raises(NotFound):
        await delete_campaign(other_ctx, row.id)
    async with unit_of_work():
        await delete_campaign(ctx, row.id)
    with pytest.raises(NotFound):
        await get_campaign(ctx, row.id)


async def test_what_was_launched_is_not_launched_or_deleted_again(ctx: Context) -> None:
    row = await draft(ctx, contact_ids=[(await factories.make_contact(ctx)).id])
    await launch(ctx, row.id)
    assert await refusal(launch_campaign(ctx, row.id)) == ("campaign_not_draft", None)
    assert await refusal(delete_campaign(ctx, row.id)) == ("campaign_not_draft", None)


async def test_a_clone_is_a_draft_of_the_same(ctx: Context, other_ctx: Context) -> None:
    person = await factories.make_contact(ctx)
    row = await draft(
        ctx,
        name="x" * 200,
        contact_ids=[person.id],
        scheduled_at=ahead(days=1),
        expires_at=ahead(days=2),
        rate_per_minute=30,
        metadata={"a": "b"},
        from_="COHORT",
        quiet_hours=True,
    )
    await launch(ctx, row.id)
    async with unit_of_work():
        copy = await clone_campaign(ctx, row.id)
    assert copy.name == "Copy of " + "x" * 192
    same = ("body", "sender", "audience", "metadata", "rate_per_minute", "respects_quiet_hours", "interval_seconds")
    assert [getattr(copy, name) for name in same] == [getattr(row, name) for name in same]
    assert (copy.status, copy.scheduled_at, copy.expires_at) == (CampaignStatus.DRAFT, None, None)
    assert (await clone_campaign(ctx, row.id, name="Again")).name == "Again"
    with pytest.raises(NotFound):
        await clone_campaign(other_ctx, row.id)


async def test_a_test_goes_to_a_few_phones_as_single_messages(ctx: Context) -> None:
    maria = await factories.make_contact(ctx, first_name="Maria")
    row = await draft(ctx, body="Hi {firstName|you}, {day}", from_="COHORT")
    async with unit_of_work():
        to = [maria.phone, "+12125550199", maria.phone]
        sent = await send_campaign_test(ctx, row.id, to=to, variables={"day": "Friday"})
    assert [message.body for message in sent] == ["Hi Maria, Friday", "Hi you, Friday"]
    for message in await Message.all():
        assert (message.kind, message.campaign_id, message.sender, message.status) == ("api", None, "COHORT", "queued")
        assert message.metadata == {"test": "true", "campaign_id": ids.encode_id(ids.CAMPAIGN, row.id)}
    assert (await get_campaign(ctx, row.id)).status == "draft"


async def test_a_test_is_sent_to_all_or_none(ctx: Context) -> None:
    gone = await factories.make_contact(ctx, status=OptInStatus.OPTED_OUT)
    row = await draft(ctx)
    test = send_campaign_test
    assert await refusal(test(ctx, row.id, to=["+12125550199", gone.phone])) == ("recipient_opted_out", "to[1]")
    assert await refusal(test(ctx, row.id, to=["+12125550199", "+1"])) == ("phone_number_invalid", "to[1]")
    assert await refusal(test(ctx, row.id, to=[])) == ("parameter_out_of_range", "to")
    six = [f"+1212555019{digit}" for digit in range(6)]
    assert await refusal(test(ctx, row.id, to=six)) == ("parameter_out_of_range", "to")
    assert await Message.all().count() == 0
    assert await Contact.all().count() == 1


async def test_a_read_only_role_changes_nothing(ctx: Context) -> None:
    row = await draft(ctx)
    reader = replace(ctx, role=Role.READ_ONLY, actor="usr_1")
    new = CreateCampaign("Close", "Hi", draft=True)
    for operation in (
        create_campaign(reader, new),
        update_campaign(reader, row.id, UpdateCampaign(name="Other")),
        launch_campaign(reader, row.id),
        clone_campaign(reader, row.id),
        delete_campaign(reader, row.id),
        send_campaign_test(reader, row.id, to=["+12125550199"]),
        pause_campaign(reader, row.id),
    ):
        with pytest.raises(PermissionDenied):
            await operation
    assert dict(await get_campaign(ctx, row.id)) == dict(await get_campaign(reader, row.id)) == dict(row)
    assert await Campaign.all().count() == 1
    with pytest.raises(Conflict):
        async with unit_of_work():
            await cancel_campaign(ctx, row.id)
    with pytest.raises(InvalidRequest):
        await create_campaign(ctx, structs.replace(new, body=""))
