"""Numbers for the dashboard, against rows counted one by one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msvs.api import ids
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.requests import CreateCampaign
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest, NotFound
from msvs.api.messages.statistics import (
    MAX_BUCKETS,
    MAX_GROUPS,
    MAX_SOURCES,
    AudiencePoint,
    CampaignPoint,
    ConversationOverview,
    Dimension,
    FailureCount,
    Interval,
    bucket_starts,
    campaign_failures,
    conversation_overview,
    read_activity,
    read_audience_growth,
    read_campaign_activity,
    read_deliverability,
)
from msvs.api.resources import FAILURES
from msvs.api.unit_of_work import unit_of_work
from msvs.models import (
    Campaign,
    ConsentEvent,
    Contact,
    InboundMessage,
    Message,
    MessageKind,
    MessageStatus,
    OptInStatus,
    Workspace,
)
from tests import factories

moments = st.integers(0, 2_100_000_000_000_000).map(lambda us: at("1970-01-01") + timedelta(microseconds=us))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def id_of(moment: datetime) -> UUID:
    """An id as one made at that moment."""
    return UUID(int=ids.id_at(moment).int | (ids.new_id().int & ((1 << 80) - 1)))


async def make_message(ctx: Context, created_at: datetime, status: str = "delivered", **values: Any) -> Message:
    return await Message.create(
        **{
            "id": id_of(created_at),
            "workspace_id": ctx.workspace_id,
            "livemode": ctx.livemode,
            "kind": MessageKind.API,
            "to_phone": factories.next_phone(),
            "sender": "MASSIVESMS",
            "body": "Hi",
            "encoding": "gsm7",
            "segments": 1,
            "status": MessageStatus(status),
            "due_at": created_at,
            "created_at": created_at,
            **values,
        }
    )


async def make_campaign(ctx: Context) -> Campaign:
    async with unit_of_work():
        return await campaigns.create_campaign(ctx, CreateCampaign(name="Cart close", body="Hey", draft=True))


async def make_inbound(ctx: Context, received_at: datetime, **values: Any) -> InboundMessage:
    id = id_of(received_at)
    return await InboundMessage.create(
        **{
            "id": id,
            "workspace_id": ctx.workspace_id,
            "livemode": ctx.livemode,
            "from_phone": "+12125550100",
            "to_sender": "MASSIVESMS",
            "body": "Count me in",
            "dedupe_key": str(id),
            "received_at": received_at,
            **values,
        }
    )


async def make_consent(ctx: Context, created_at: datetime, status: OptInStatus) -> None:
    await ConsentEvent.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        phone="+12125550100",
        phone_hash="0" * 64,
        details_hash="0" * 64,
        status=status,
        actor="test",
        created_at=created_at,
    )


async def test_activity_counts_each_thing_in_its_bucket(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    await make_message(ctx, at("2026-05-01T00:00:00"), credits_used=2)
    await make_message(ctx, at("2026-05-01T23:59:59.999999"), "failed")
    await make_message(ctx, at("2026-05-01T12:00:00"), credits_used=3)
    await make_message(ctx, at("2026-05-03T00:00:00"), "queued", credits_used=1)
    # Outside: before, after, another mode, another workspace.
    await make_message(ctx, at("2026-04-30T23:59:59.999999"))
    await make_message(ctx, at("2026-05-04T00:00:00"))
    await make_message(live_ctx, at("2026-05-01T12:00:00"))
    await make_message(other_ctx, at("2026-05-01T12:00:00"))
    await make_inbound(ctx, at("2026-05-02T10:00:00"))
    await make_inbound(ctx, at("2026-05-02T10:01:00"), keyword="stop")
    await make_inbound(ctx, at("2026-05-02T10:02:00"), keyword="confirm", body="Yes")
    await make_inbound(ctx, at("2026-05-02T10:03:00"), keyword="confirm", body="Yes", message_id=ids.new_id())
    await make_inbound(other_ctx, at("2026-05-02T10:00:00"))
    await make_consent(ctx, at("2026-05-02T10:01:00"), OptInStatus.OPTED_OUT)
    await make_consent(ctx, at("2026-05-02T11:00:00"), OptInStatus.OPTED_IN)
    await make_consent(live_ctx, at("2026-05-02T10:01:00"), OptInStatus.OPTED_OUT)
    points = await read_activity(
        ctx, interval=Interval.DAY, since=at("2026-05-01T08:00:00"), until=at("2026-05-03T08:00:00")
    )
    assert [point.start_at for point in points] == [at("2026-05-01"), at("2026-05-02"), at("2026-05-03")]
    assert [point.end_at for point in points] == [at("2026-05-02"), at("2026-05-03"), at("2026-05-04")]
    assert [point.message_count for point in points] == [3, 0, 1]
    assert [point.credits for point in points] == [5, 0, 1]
    assert [point.replies for point in points] == [0, 2, 0]
    assert [point.opt_outs for point in points] == [0, 1, 0]
    assert [point.opt_ins for point in points] == [0, 1, 0]
    assert points[0].messages[MessageStatus.DELIVERED] == 2
    assert points[0].messages[MessageStatus.FAILED] == 1
    assert set(points[1].messages.values()) == {0}
    assert set(points[1].messages) == set(MessageStatus)


async def test_days_are_the_workspaces(ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(timezone="America/New_York")
    # 8 pm and the next 1 am in New York.
    await make_message(ctx, at("2026-05-02T00:00:00"))
    await make_message(ctx, at("2026-05-02T05:00:00"))
    window: dict[str, Any] = {"since": at("2026-05-01T12:00:00"), "until": at("2026-05-02T12:00:00")}
    points = await read_activity(ctx, interval=Interval.DAY, **window)
    assert [point.start_at for point in points] == [at("2026-05-01T04:00:00"), at("2026-05-02T04:00:00")]
    assert [point.message_count for point in points] == [1, 1]
    named = await read_activity(ctx, interval=Interval.DAY, zone="UTC", **window)
    assert [point.message_count for point in named] == [0, 2]
    hours = await read_activity(ctx, interval=Interval.HOUR, **window)
    assert len(hours) == 24
    assert [point.start_at for point in hours if point.message_count] == [
        at("2026-05-02T00:00:00"),
        at("2026-05-02T05:00:00"),
    ]


async def test_an_id_a_little_off_its_time_is_still_counted(ctx: Context) -> None:
    await make_message(ctx, at("2026-05-01T23:59:59"), id=id_of(at("2026-05-02T00:10:00")))
    points = await read_activity(ctx, interval=Interval.DAY, since=at("2026-05-01"), until=at("2026-05-02"))
    assert [point.message_count for point in points] == [1]


@pytest.mark.parametrize(
    ("zone", "interval", "since", "until", "hours"),
    [
        # Clocks go forward, back, and skip midnight itself.
        ("America/New_York", Interval.DAY, "2026-03-08T12:00:00", "2026-03-09T03:00:00", [23]),
        ("America/New_York", Interval.DAY, "2026-11-01T12:00:00", "2026-11-01T13:00:00", [25]),
        ("America/Sao_Paulo", Interval.DAY, "2018-11-03T12:00:00", "2018-11-05T02:00:00", [24, 23]),
        ("Asia/Kathmandu", Interval.HOUR, "2026-05-01T00:00:00", "2026-05-01T02:00:00", [1, 1, 1]),
        ("Europe/Lisbon", Interval.WEEK, "2026-03-25T00:00:00", "2026-03-31T00:00:00", [167, 168]),
    ],
)
def test_buckets_follow_the_clocks(zone: str, interval: Interval, since: str, until: str, hours: list[int]) -> None:
    starts = bucket_starts(interval, at(since), at(until), ZoneInfo(zone))
    lengths = [(end - start) / timedelta(hours=1) for start, end in pairwise(starts)]
    assert lengths == hours


@given(
    st.sampled_from(sorted(Interval)),
    moments,
    st.floats(0.001, 700),
    st.sampled_from(["UTC", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe", "Asia/Beirut"]),
)
def test_buckets_cover_the_time_without_a_gap(interval: Interval, since: datetime, length: float, zone: str) -> None:
    unit = {
        Interval.MINUTE: timedelta(minutes=1),
        Interval.HOUR: timedelta(hours=1),
        Interval.DAY: timedelta(days=1),
        Interval.WEEK: timedelta(weeks=1),
    }
    until = since + length * unit[interval]
    starts = bucket_starts(interval, since, until, ZoneInfo(zone))
    assert starts[0] <= since < starts[1]
    assert starts[-2] < until <= starts[-1]
    assert starts == sorted(set(starts))
    assert len(starts) - 1 <= MAX_BUCKETS
    if interval is Interval.WEEK:
        assert {date.weekday(moment.astimezone(ZoneInfo(zone)).date()) for moment in starts} == {0}


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"until": at("2026-05-01")}, "until"),
        ({"interval": Interval.HOUR, "until": at("2026-07-01")}, "interval"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"zone": "../etc/passwd"}, "zone"),
        ({"since": datetime(2026, 5, 1)}, "since"),  # noqa: DTZ001
    ],
)
async def test_what_no_series_can_be_made_of_is_refused(ctx: Context, values: dict[str, Any], param: str) -> None:
    window = {"interval": Interval.DAY, "since": at("2026-05-01"), "until": at("2026-05-02"), **values}
    with pytest.raises(InvalidRequest) as caught:
        await read_activity(ctx, **window)
    assert caught.value.param == param


async def test_failures_are_counted_by_code(ctx: Context, other_ctx: Context) -> None:
    now = datetime.now(UTC)
    first, second, foreign = ids.new_id(), ids.new_id(), ids.new_id()
    for _ in range(3):
        await make_message(ctx, now, "failed", campaign_id=first, error_code="unreachable")
    await make_message(ctx, now, "skipped", campaign_id=first, error_code="recipient_opted_out")
    await make_message(ctx, now, "delivered", campaign_id=first)
    await make_message(other_ctx, now, "failed", campaign_id=foreign, error_code="unreachable")
    found = await campaign_failures(ctx, [first, second, foreign])
    assert [(item.code, item.status, item.count) for item in found[first]] == [
        ("unreachable", "failed", 3),
        ("recipient_opted_out", "skipped", 1),
    ]
    assert found[first][0].message == "The handset could not be reached."
    assert (found[second], found[foreign]) == ([], [])
    assert await campaign_failures(ctx, []) == {}


async def test_conversations_wait_until_they_are_answered(ctx: Context, other_ctx: Context) -> None:
    now = datetime.now(UTC)
    assert await conversation_overview(ctx) == ConversationOverview(0, 0, 0)
    answered, waiting, refused, old = [ids.new_id() for _ in range(4)]
    await make_message(ctx, now - timedelta(hours=9), contact_id=waiting)
    for contact in (answered, waiting, waiting, refused):
        await make_inbound(ctx, now - timedelta(hours=2), contact_id=contact)
    await make_inbound(ctx, now - timedelta(days=40), contact_id=old)
    await make_inbound(ctx, now - timedelta(hours=1), contact_id=ids.new_id(), keyword="stop")
    await make_inbound(other_ctx, now - timedelta(hours=1), contact_id=ids.new_id())
    await make_message(ctx, now - timedelta(hours=1), contact_id=answered)
    await make_message(ctx, now - timedelta(hours=1), "failed", contact_id=refused)
    # A campaign that happens to reach them is no answer.
    await make_message(ctx, now, contact_id=waiting, kind=MessageKind.CAMPAIGN, campaign_id=ids.new_id())
    assert await conversation_overview(ctx) == ConversationOverview(3, 4, 2)
    assert await conversation_overview(ctx, days=365) == ConversationOverview(4, 5, 3)
    with pytest.raises(InvalidRequest):
        await conversation_overview(ctx, days=0)


@given(moments)
def test_an_id_made_at_a_time_is_not_below_its_bound(moment: datetime) -> None:
    made = id_of(moment)
    assert ids.id_at(moment) <= made < ids.id_at(moment + timedelta(milliseconds=1))


async def test_a_campaign_is_counted_minute_by_minute(ctx: Context, other_ctx: Context) -> None:
    campaign = await make_campaign(ctx)
    start = at("2026-05-01T10:00:00")
    minute = timedelta(minutes=1)
    await make_message(
        ctx, start, campaign_id=campaign.id, sent_at=start + minute, delivered_at=start + 2 * minute, replied_at=None
    )
    await make_message(
        ctx,
        start,
        campaign_id=campaign.id,
        sent_at=start + minute + timedelta(seconds=59),
        delivered_at=start + 2 * minute,
        replied_at=start + 3 * minute,
    )
    await make_message(ctx, start, "failed", campaign_id=campaign.id, failed_at=start)
    # Outside: after the last point, of no campaign, of another workspace.
    await make_message(ctx, start, campaign_id=campaign.id, sent_at=start + 4 * minute)
    await make_message(ctx, start, sent_at=start)
    await make_message(other_ctx, start, campaign_id=campaign.id, sent_at=start)
    window: dict[str, Any] = {"interval": Interval.MINUTE, "since": start + timedelta(seconds=7)}
    points = await read_campaign_activity(ctx, campaign.id, until=start + 4 * minute, **window)
    assert points == [
        CampaignPoint(start, start + minute, failed=1),
        CampaignPoint(start + minute, start + 2 * minute, sent=2),
        CampaignPoint(start + 2 * minute, start + 3 * minute, delivered=2),
        CampaignPoint(start + 3 * minute, start + 4 * minute, replied=1),
    ]
    with pytest.raises(NotFound):
        await read_campaign_activity(other_ctx, campaign.id, until=start + minute, **window)


async def test_audience_growth_counts_contacts_by_source(ctx: Context, live_ctx: Context) -> None:
    async def join(ctx: Context, moment: datetime, source: str | None, *, is_automatic: bool = False) -> None:
        await Contact.create(
            id=id_of(moment),
            workspace_id=ctx.workspace_id,
            livemode=ctx.livemode,
            phone=factories.next_phone(),
            opt_in_source=source,
            is_automatic=is_automatic,
            created_at=moment,
        )

    await join(ctx, at("2026-05-01T00:00:00"), "checkout")
    await join(ctx, at("2026-05-01T23:59:59"), "checkout")
    await join(ctx, at("2026-05-02T00:00:00"), None)
    await join(ctx, at("2026-05-02T01:00:00"), None, is_automatic=True)
    await join(ctx, at("2026-05-03T00:00:00"), "checkout")
    await join(live_ctx, at("2026-05-01T12:00:00"), "checkout")
    window: dict[str, Any] = {"interval": Interval.DAY, "since": at("2026-05-01"), "until": at("2026-05-03")}
    points = await read_audience_growth(ctx, **window)
    assert points == [
        AudiencePoint(at("2026-05-01"), at("2026-05-02"), {"checkout": 2}),
        AudiencePoint(at("2026-05-02"), at("2026-05-03"), {"automatic": 1, "unknown": 1}),
    ]
    assert [point.contact_count for point in points] == [2, 2]
    for number in range(MAX_SOURCES):
        await join(ctx, at("2026-05-01T12:00:00"), f"page {number:02}")
    named = (await read_audience_growth(ctx, **window))[0].sources
    # Of sources as frequent the first by name are told: checkout, automatic, 18 pages.
    assert named == {"checkout": 2, "other": 2} | {f"page {number:02}": 1 for number in range(MAX_SOURCES - 2)}


async def test_deliverability_is_distinguished(ctx: Context, other_ctx: Context) -> None:
    contact = await factories.make_contact(ctx, "+447400123456", region="GB")
    moment = at("2026-05-01T12:00:00")
    await make_message(ctx, moment, contact_id=contact.id, carrier="telnyx", sender="COHORT")
    await make_message(ctx, moment, "failed", contact_id=contact.id, carrier="telnyx", error_code="unreachable")
    await make_message(ctx, moment, "failed", contact_id=contact.id, carrier="twilio", error_code="unreachable")
    await make_message(ctx, moment, "failed", error_code="expired")
    # Outside: skipped, before, after, another workspace.
    await make_message(ctx, moment, "skipped", error_code="opted_out")
    await make_message(ctx, at("2026-04-30T23:59:59"), "failed", error_code="expired")
    await make_message(ctx, at("2026-05-02"), "failed", error_code="expired")
    await make_message(other_ctx, moment, "failed", error_code="expired")
    window = {"since": at("2026-05-01"), "until": at("2026-05-02")}

    async def read(by: Dimension) -> list[tuple[str | None, int]]:
        return [(group.value, group.message_count) for group in await read_deliverability(ctx, by=by, **window)]

    assert await read(Dimension.CODE) == [("unreachable", 2), (None, 1), ("expired", 1)]
    assert await read(Dimension.REGION) == [("GB", 3), (None, 1)]
    assert await read(Dimension.CARRIER) == [("telnyx", 2), (None, 1), ("twilio", 1)]
    assert await read(Dimension.SENDER) == [("MASSIVESMS", 3), ("COHORT", 1)]
    by_carrier = await read_deliverability(ctx, by=Dimension.CARRIER, **window)
    assert by_carrier[0].failures == [
        FailureCount("unreachable", FAILURES["unreachable"], MessageStatus.FAILED, 1),
    ]
    assert by_carrier[0].messages[MessageStatus.DELIVERED] == 1
    for number in range(MAX_GROUPS):
        await make_message(ctx, moment, sender=f"S{number:03}")
    assert len(await read(Dimension.SENDER)) == MAX_GROUPS


async def test_deliverability_takes_a_year(ctx: Context) -> None:
    for since, until, param in (
        (at("2026-05-02"), at("2026-05-01"), "until"),
        (at("2025-01-01"), at("2026-05-01"), "until"),
        (datetime(2026, 5, 1), at("2026-05-02"), "since"),  # noqa: DTZ001
    ):
        with pytest.raises(InvalidRequest) as refused:
            await read_deliverability(ctx, by=Dimension.CODE, since=since, until=until)
        assert refused.value.param == param
