"""Lane bounds: beside a snapshot that is held, looks pass what was found empty, and leave nothing for good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from msvs import database as db
from msvs.api.campaigns import audiences, campaigns, lifecycle
from msvs.api.campaigns.lifecycle import Cleared
from msvs.api.context import Context
from msvs.api.dispatch import claims, lane_bounds, lanes, open_months, outcomes
from msvs.api.dispatch.lane_bounds import LaneBounds
from msvs.api.dispatch.lanes import Lane
from msvs.api.dispatch.picking import pick
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import Campaign, Message, MessageStatus
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages
from tests import factories
from tests.owner import run_as_owner
from tests.plans import make_messages, reading
from tests.services import SERVICES
from tests.workers.test_plans import make_campaign

MANY, LEFT = 8_000, 20


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first look is a full one."""
    monkeypatch.setattr(lane_bounds, "SLOW_SECONDS", 0.0)
    monkeypatch.setattr(lane_bounds, "FULL_SECONDS", 3600.0)
    monkeypatch.setattr(lane_bounds, "WORTH", 0.0)
    SERVICES.keep(LaneBounds).forget()
    SERVICES.carriers.live = "virtual"


async def look() -> dict[UUID | None, Lane]:
    """Return the lanes by their campaigns, and what is scheduled."""
    now, open_ids = await open_months.look()
    await lanes.has_scheduled(SERVICES, now, open_ids)
    return {lane.campaign_id: lane for lane in await lanes.find_lanes(SERVICES, now, open_ids)}


@pytest.fixture
async def held(live_ctx: Context, database: str) -> AsyncIterator[UUID]:
    """A lane of a campaign and one of single messages, nearly all of which was sent since another's snapshot."""
    campaign_id = await make_campaign(live_ctx)
    await make_messages(live_ctx, MANY, "queued", campaign_id=campaign_id)
    await make_messages(live_ctx, MANY, "queued")
    await make_messages(live_ctx, MANY, "scheduled")
    connection = await asyncpg.connect(database)
    async with connection.transaction(isolation="repeatable_read"):
        await connection.fetchval("SELECT count(*) FROM messages")
        # Those that are left are due last.
        sent = f"+1212{5_000_000 + MANY - LEFT}"
        await db.execute("UPDATE messages SET status = 'sent' WHERE status = 'queued' AND to_phone <= $1", sent)
        await db.execute("UPDATE messages SET status = 'canceled' WHERE status = 'scheduled'")
        await run_as_owner("ANALYZE messages")
        yield campaign_id
    await connection.close()


async def test_a_scan_skips_what_the_previous_one_found_empty(
    live_ctx: Context, held: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reading(monkeypatch) as full:
        first = await look()
    with reading(monkeypatch) as quick:
        second = await look()
    assert first == second
    assert first.keys() == {None, held}
    # A plan may read a row more of a small table; of what was found empty, none.
    for before, after in zip(full.statements, quick.statements, strict=True):
        assert after.rows <= max(before.rows, LEFT), after.sql
    now = await db.now()
    for campaign_id, lane in second.items():
        picks = []
        for bound in (lane_bounds.NONE, lane.bound):
            async with unit_of_work():
                with reading(monkeypatch) as picking:
                    rows = await pick(
                        SERVICES, Lane(lane.workspace_id, True, campaign_id, lane.open_ids, bound), 100, now, None
                    )
            picks.append((len(rows), rows[0].id, picking.most.buffers))
        (number, id, passing), (same_number, same_id, buffers) = picks
        assert (number, id) == (same_number, same_id)
        assert number == LEFT
        # What is read beside the messages is alike.
        assert passing - buffers > MANY // 50
    # Scheduled, single messages, campaigns: a tenth at most of what the full ones touched.
    for name in ("'scheduled'", "campaign_id IS NULL", "campaigns.id"):
        passed, touched = (
            max(one.buffers for one in looks.statements if name in one.sql and "due_at" in one.sql)
            for looks in (full, quick)
        )
        assert touched < passed / 10, (name, touched, passed)


async def add(ctx: Context, campaign_id: UUID | None = None) -> UUID:
    """Put a message where looks found nothing: due an hour ago."""
    known = {row.id for row in await Message.all()}
    await make_messages(ctx, 1, "queued", campaign_id=campaign_id)
    (id,) = {row.id for row in await Message.all()} - known
    return id


async def test_rows_that_appear_below_a_bound_are_found_by_the_next_full_scan(live_ctx: Context) -> None:
    campaign_id = await make_campaign(live_ctx)
    assert await look() == {}
    await add(live_ctx)
    await add(live_ctx, campaign_id)
    assert await look() == {}
    bounds = SERVICES.keep(LaneBounds)
    for looks in (bounds.singles, bounds.campaigns, bounds.scheduled):
        assert not looks.is_full
        let_time_pass(looks)
        assert looks.is_full
    assert (await look()).keys() == {None, campaign_id}
    # They stay, with bounds of their own.
    assert (await look()).keys() == {None, campaign_id}


def let_time_pass(looks: lane_bounds.Looks) -> None:  # type: ignore[type-arg]
    """As if the time until the next full look were over."""
    looks.next_full = 0.0


async def test_what_is_new_is_found_by_any_look(live_ctx: Context, ctx: Context) -> None:
    assert await look() == {}
    await db.execute(
        "UPDATE messages SET due_at = now() - interval '1 second' WHERE id = ANY($1)",
        [await add(live_ctx), await add(ctx)],
    )
    # A campaign that ran at no look before may have waited for long.
    campaign_id = await make_campaign(live_ctx, "paused")
    await add(live_ctx, campaign_id)
    assert (await look()).keys() == {None}
    await Campaign.filter(id=campaign_id).update(status="sending")
    now, open_ids = await open_months.look()
    found = await lanes.find_lanes(SERVICES, now, open_ids)
    assert {(lane.livemode, lane.campaign_id) for lane in found} == {
        (True, None),
        (False, None),
        (True, campaign_id),
    }


async def test_what_this_process_gives_back_is_found_by_its_next_look(live_ctx: Context) -> None:
    await add(live_ctx)
    lane = (await look())[None]
    async with unit_of_work():
        claim = await claims.claim(SERVICES, lane, carrier="virtual", limit=10, now=await db.now())
    assert claim is not None
    assert await look() == {}
    async with unit_of_work():
        await outcomes.give_back(SERVICES, claim, await db.now())
    assert (await look()).keys() == {None}


async def test_what_was_scheduled_and_is_late_is_found_by_the_next_look(live_ctx: Context) -> None:
    await make_messages(live_ctx, 3, "scheduled")
    assert await look() == {}
    now, open_ids = await open_months.look()
    async with unit_of_work():
        assert await lanes.promote_scheduled(SERVICES, limit=10, now=now, open_ids=open_ids) == 3
    assert (await look()).keys() == {None}
    assert not await lanes.has_scheduled(SERVICES, now, open_ids)


async def test_no_bound_is_newer_than_what_may_still_be_committed(live_ctx: Context) -> None:
    await look()
    await make_messages(live_ctx, 1, "queued")
    late = await db.now() - lane_bounds.LAG + timedelta(seconds=5)
    await db.execute("UPDATE messages SET due_at = $1", late)
    assert (await look()).keys() == {None}


async def test_quick_scans_find_all_due_messages(live_ctx: Context, other_ctx: Context) -> None:
    carriers = {"virtual": VirtualCarrier()}
    assert await dispatch_messages(SERVICES, carriers) == 0
    members = await factories.make_list(live_ctx, [await factories.make_contact(live_ctx) for _ in range(60)])
    async with unit_of_work():
        data = campaigns.CreateCampaign("Cohort 06", "Hi", list_ids=[members.id])
        campaign = await campaigns.create_campaign(live_ctx, data)
    await expand_campaigns(SERVICES)
    await make_messages(other_ctx, 30, "queued")
    await db.execute("UPDATE messages SET due_at = now() WHERE workspace_id = $1", other_ctx.workspace_id)
    assert await dispatch_messages(SERVICES, carriers, batch=7) == 90
    assert await Message.filter(status=MessageStatus.SENT).count() == 90
    assert await Message.filter(campaign_id=campaign.id).count() == 60


def test_quick_scans_that_save_nothing_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_bounds, "WORTH", 2.0)
    looks: lane_bounds.Looks[int] = lane_bounds.Looks(is_complete=True)
    now = lane_bounds.NONE.due_at + timedelta(days=1)
    looks.note(1.0, now, {}, is_full=True)
    assert not looks.is_full
    for seconds in (0.6, 0.6, 0.4, 0.6, 0.6):
        looks.note(seconds, now, {}, is_full=False)
        assert not looks.is_full
    looks.note(0.6, now, {}, is_full=False)
    assert looks.is_full
    # Not at once again, and in the end.
    looks.note(0.5, now, {}, is_full=True)
    assert looks.is_full
    looks.note(0.5, now, {}, is_full=True)
    assert not looks.is_full


async def test_a_chunk_passes_no_recipients_that_were_taken(
    live_ctx: Context, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign_id = await make_campaign(live_ctx, "preparing")
    await db.execute(
        "INSERT INTO campaign_recipients (campaign_id, phone, contact_id)"
        " SELECT $1, '+1212' || (5000000 + number), gen_random_uuid() FROM generate_series(1, $2::int) AS number",
        campaign_id,
        MANY,
    )
    await run_as_owner("ANALYZE campaign_recipients")

    async def expand(limit: int) -> int:
        async with unit_of_work():
            return await audiences.expand_chunk(SERVICES, campaign_id, limit=limit, now=await db.now())

    connection = await asyncpg.connect(database)
    async with connection.transaction(isolation="repeatable_read"):
        await connection.fetchval("SELECT count(*) FROM campaign_recipients")
        assert [await expand(MANY // 4) for _ in range(3)] == [MANY // 4] * 3
        buffers = []
        known = SERVICES.keep(audiences.Began)
        for began in (known.take(campaign_id), ""):
            known.note(campaign_id, began)
            with reading(monkeypatch) as taking:
                assert await expand(10) == 10
            buffers.append(next(one.buffers for one in taking.statements if "WITH taken" in one.sql))
        assert buffers[0] < buffers[1]
    await connection.close()
    # What lies before, as a chunk that was rolled back left it, is taken in the end.
    early = "INSERT INTO campaign_recipients (campaign_id, phone, contact_id) VALUES ($1, '+12120000001', $1)"
    await db.execute(early, campaign_id)
    left = MANY // 4 - 20 + 1
    assert [await expand(left - 5), await expand(100), await expand(100)] == [left - 5, 5, 0]
    assert await db.fetch_value("SELECT count(*) FROM messages") == MANY + 1
    assert known.take(campaign_id) == ""


async def test_a_cleared_batch_passes_none_that_were_cleared(
    live_ctx: Context, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign_id = await make_campaign(live_ctx, "canceled")
    await make_messages(live_ctx, MANY, "queued", campaign_id=campaign_id)
    await db.execute(
        "INSERT INTO campaign_recipients (campaign_id, phone, contact_id)"
        " SELECT $1, '+1212' || (5000000 + number), gen_random_uuid() FROM generate_series(1, $2::int) AS number",
        campaign_id,
        MANY,
    )
    await run_as_owner("ANALYZE messages, campaign_recipients")

    async def clear(limit: int, since: Cleared) -> Cleared:
        async with unit_of_work():
            now = await db.now()
            return await lifecycle.clear_canceled(campaign_id, live_ctx, limit=limit, now=now, since=since)

    connection = await asyncpg.connect(database)
    async with connection.transaction(isolation="repeatable_read"):
        await connection.fetchval("SELECT count(*) FROM messages")
        cleared = await clear(MANY - 100, Cleared())
        passed = []
        for since in (Cleared(), cleared):
            with reading(monkeypatch) as clearing:
                cleared = await clear(10, since)
            assert cleared.number == 10
            passed.append([one.buffers for one in clearing.statements if "campaign_id = $" in one.sql])
    await connection.close()
    assert len(passed[0]) == 2
    for from_the_first, from_the_last in zip(*passed, strict=True):
        assert from_the_last < from_the_first - MANY // 100
    cleared = await clear(100, cleared)
    assert cleared.number == 80
    # What was passed over, as another held it, is found from the beginning.
    first = "(SELECT id FROM messages ORDER BY due_at LIMIT 1)"
    await db.execute(f"UPDATE messages SET status = 'queued' WHERE id = {first}")
    assert [(await clear(100, since)).number for since in (cleared, Cleared())] == [0, 1]


async def test_nothing_is_kept_of_a_campaign_that_ended_in_mid_run(
    live_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = replace(SERVICES, _kept={})
    began = services.keep(audiences.Began)
    members = await factories.make_list(live_ctx, [await factories.make_contact(live_ctx) for _ in range(4)])

    async def start() -> UUID:
        async with unit_of_work():
            data = campaigns.CreateCampaign("Cohort 06", "Hi", list_ids=[members.id])
            campaign = await campaigns.create_campaign(live_ctx, data)
            assert await lifecycle.start_campaign(SERVICES, campaign.id, await db.now())
            assert await audiences.expand_chunk(services, campaign.id, limit=2, now=await db.now()) == 2
        return campaign.id

    canceled = await start()
    assert len(began) == 1
    async with unit_of_work():
        await campaigns.cancel_campaign(live_ctx, canceled)
        assert await audiences.expand_chunk(services, canceled, limit=2, now=await db.now()) == 0
    assert len(began) == 0
    # Of those that no chunk ends, such as those that another process expands further, the oldest go.
    monkeypatch.setattr(audiences, "MOST_BEGAN", 2)
    started = [await start() for _ in range(4)]
    assert len(began) == 2
    assert [began.take(campaign_id) != "" for campaign_id in started] == [False, False, True, True]
