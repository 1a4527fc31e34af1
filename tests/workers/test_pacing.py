"""Rates, spreads, validity, quiet hours and throughput limits decide in the claim."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.context import Context
from msvs.api.dispatch import claims
from msvs.api.dispatch.lanes import Lane
from msvs.api.errors import InvalidRequest
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Campaign, CreditBalance, Message
from msvs.workers.campaigns import expand_campaigns
from tests import factories
from tests.services import SERVICES
from tests.workers.test_dispatch import events, ledger, send


@pytest.fixture(autouse=True)
def _limits() -> Iterator[None]:
    SERVICES.carriers.live = "virtual"
    yield
    SERVICES.carriers.live = None
    SERVICES.rates.carriers, SERVICES.rates.senders = {}, {}


async def claim(lane: Lane, now: datetime, limit: int = 100) -> int:
    async with unit_of_work():
        taken = await claims.claim(SERVICES, lane, carrier="virtual", limit=limit, now=now)
    return 0 if taken is None else len(taken.messages)


async def create(ctx: Context, number: int, timezone: str | None = None, **values: object) -> UUID:
    contacts = [await factories.make_contact(ctx, region="US", timezone=timezone) for _ in range(number)]
    row = await factories.make_list(ctx, contacts)
    async with unit_of_work():
        campaign = await campaigns.create_campaign(
            ctx,
            CreateCampaign("Paced", "Hi", list_ids=[row.id], **values),  # type: ignore[arg-type]
        )
    await expand_campaigns(SERVICES)
    return campaign.id


async def test_a_rate_holds_over_every_second(ctx: Context) -> None:
    campaign_id = await create(ctx, 60, rate_per_minute=600)
    lane = Lane(ctx.workspace_id, False, campaign_id)
    start = datetime.now(UTC)
    sent = [await claim(lane, start + timedelta(seconds=tenth / 10)) for tenth in range(31)]
    # Two seconds' worth at once to begin with, then ten a second.
    assert sent[0] == 20
    assert sum(sent) <= 20 + 10 * 3 + 1
    assert sum(sent) >= 20 + 10 * 3 - 21
    for tenth in range(20):
        assert sum(sent[tenth + 1 : tenth + 11]) <= 20 + 10


async def test_a_campaign_that_fell_behind_does_not_catch_up_in_a_burst(ctx: Context) -> None:
    campaign_id = await create(ctx, 60, rate_per_minute=300)
    lane = Lane(ctx.workspace_id, False, campaign_id)
    start = datetime.now(UTC)
    assert await claim(lane, start) == 10
    assert await claim(lane, start + timedelta(hours=1)) == 10
    assert await claim(lane, start + timedelta(hours=1)) == 0


async def test_a_spread_sends_evenly_over_its_hours(ctx: Context) -> None:
    campaign_id = await create(ctx, 12, spread_hours=1)
    campaign = await Campaign.get(id=campaign_id)
    assert campaign.interval_seconds == 300
    lane = Lane(ctx.workspace_id, False, campaign_id)
    start = datetime.now(UTC)
    sent = [await claim(lane, start + timedelta(minutes=minute)) for minute in range(60)]
    assert sum(sent) == 12
    assert max(sent) == 1
    assert [minute for minute, number in enumerate(sent) if number] == list(range(0, 60, 5))


@pytest.mark.parametrize(
    ("values", "param", "code"),
    [
        ({"rate_per_minute": 0}, "rate_per_minute", "parameter_out_of_range"),
        ({"spread_hours": 0.0}, "spread_hours", "parameter_out_of_range"),
        ({"spread_hours": 169.0}, "spread_hours", "parameter_out_of_range"),
        ({"rate_per_minute": 5, "spread_hours": 1.0}, "spread_hours", "pace_conflict"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expires_at", "expires_at_past"),
    ],
)
async def test_a_senseless_pace_is_refused(ctx: Context, values: dict[str, object], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await create(ctx, 1, **values)
    assert (refusal.value.param, refusal.value.code) == (param, code)


async def test_nothing_is_handed_over_after_its_expiry(live_ctx: Context) -> None:
    now = datetime.now(UTC)
    message_id = await send(live_ctx, expires_at=now + timedelta(minutes=5))
    assert await claim(Lane(live_ctx.workspace_id, True), now + timedelta(minutes=5)) == 0
    message = await Message.get(id=message_id)
    assert (message.status, message.error_code, message.credits_used) == ("failed", "expired", 0)
    assert await events(message_id) == ["message.queued", "message.failed"]
    assert await ledger(message_id) == {"reserve": -1, "release": 1}
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 10_000


async def test_a_message_goes_out_before_its_expiry(ctx: Context) -> None:
    now = datetime.now(UTC)
    await send(ctx, expires_at=now + timedelta(minutes=5))
    assert await claim(Lane(ctx.workspace_id, False), now + timedelta(minutes=4)) == 1


async def test_an_expiry_in_the_past_is_refused(ctx: Context) -> None:
    data = SendMessage(factories.next_phone(), "Hi", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(InvalidRequest) as refusal:
        await send_message(ctx, data)
    assert (refusal.value.param, refusal.value.code) == ("expires_at", "expires_at_past")


async def test_quiet_hours_move_a_campaign_to_the_next_opening(ctx: Context) -> None:
    campaign_id = await create(ctx, 2, timezone="Europe/Lisbon", quiet_hours=True)
    night = datetime(2027, 1, 5, 3, 0, tzinfo=UTC)
    await db.execute("UPDATE messages SET due_at = $1 WHERE campaign_id = $2", night, campaign_id)
    lane = Lane(ctx.workspace_id, False, campaign_id)
    assert await claim(lane, night) == 0
    rows = await Message.filter(campaign_id=campaign_id)
    assert {(row.status, row.due_at) for row in rows} == {("queued", datetime(2027, 1, 5, 8, 0, tzinfo=UTC))}
    assert await claim(lane, datetime(2027, 1, 5, 8, 0, tzinfo=UTC)) == 2


async def test_without_quiet_hours_a_campaign_does_not_wait(ctx: Context) -> None:
    campaign_id = await create(ctx, 2, timezone="Europe/Lisbon")
    assert await claim(Lane(ctx.workspace_id, False, campaign_id), datetime(2027, 1, 5, 3, 0, tzinfo=UTC)) == 2


async def test_a_carriers_rate_is_shared_by_all_lanes(ctx: Context, other_ctx: Context) -> None:
    SERVICES.rates.carriers, SERVICES.rates.senders = {"virtual": 5}, {}
    for _ in range(6):
        await send(ctx)
        await send(other_ctx)
    now = datetime.now(UTC)
    first = await claim(Lane(ctx.workspace_id, False), now, limit=3)
    second = await claim(Lane(other_ctx.workspace_id, False), now)
    assert (first, second) == (3, 2)
    assert await claim(Lane(ctx.workspace_id, False), now + timedelta(seconds=0.4)) == 2
    assert await claim(Lane(other_ctx.workspace_id, False), now + timedelta(seconds=60)) == 4
    assert await claim(Lane(ctx.workspace_id, False), now + timedelta(seconds=60)) == 1


async def test_a_senders_rate_puts_the_rest_off_and_holds_up_no_other_sender(ctx: Context) -> None:
    SERVICES.rates.carriers, SERVICES.rates.senders = {}, {"SLOWPOKE": 2}
    for _ in range(5):
        await send(ctx, from_="SLOWPOKE")
    await send(ctx, from_="SPRINTER")
    now = datetime.now(UTC)
    lane = Lane(ctx.workspace_id, False)
    assert await claim(lane, now) == 3
    assert await claim(lane, now) == 0
    assert await claim(lane, now + timedelta(seconds=1)) == 2
    assert await claim(lane, now + timedelta(seconds=3)) == 1


async def test_a_claim_that_is_rolled_back_gives_its_tokens_back(ctx: Context) -> None:
    SERVICES.rates.carriers, SERVICES.rates.senders = {"virtual": 2}, {}
    await send(ctx)
    await send(ctx)
    now = datetime.now(UTC)

    async def die() -> None:
        async with unit_of_work():
            await claims.claim(SERVICES, Lane(ctx.workspace_id, False), carrier="virtual", limit=2, now=now)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await die()
    assert await claim(Lane(ctx.workspace_id, False), now) == 2


@pytest.mark.parametrize("hours", [5e-324, 1e-300, 1e-9])
async def test_a_pace_too_fast_to_tell_is_none(ctx: Context, hours: float) -> None:
    campaign_id = await create(ctx, 5, spread_hours=hours)
    assert (await Campaign.get(id=campaign_id)).interval_seconds == 0.0
    assert await claim(Lane(ctx.workspace_id, False, campaign_id), datetime.now(UTC)) == 5


async def test_a_campaign_that_was_begun_with_such_a_pace_goes_on(ctx: Context) -> None:
    campaign_id = await create(ctx, 5)
    await db.execute("UPDATE campaigns SET interval_seconds = 5e-324 WHERE id = $1", campaign_id)
    lane = Lane(ctx.workspace_id, False, campaign_id)
    now = datetime.now(UTC)
    assert [await claim(lane, now, limit=2), await claim(lane, now + timedelta(seconds=1), limit=3)] == [2, 3]
