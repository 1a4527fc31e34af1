"""No statement of the hot path reads more than its batch, with any number of rows of other states beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.campaigns import audiences, campaigns, lifecycle
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.context import Context
from msvs.api.dispatch import (
    breakers,
    claims,
    delivery_reports,
    expired_leases,
    open_months,
    routes,
    routing,
    senders,
)
from msvs.api.dispatch.delivery_reports import DeliveryReport
from msvs.api.dispatch.lanes import Lane, find_lanes, has_due, has_scheduled, promote_scheduled
from msvs.api.dispatch.outcomes import ACCEPTED, REFUSED, THROTTLED, UNKNOWN, Outcome, give_back, record_outcomes
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import deliveries
from msvs.models import Campaign, ContactList
from msvs.workers import maintenance
from tests import factories
from tests.owner import run_as_owner
from tests.plans import NEW_ID, make_messages, reading
from tests.receiver import make_endpoint, write_events
from tests.services import SERVICES

MANY = 20_000
BATCH = 10
# A batch and what is joined to it, several times over; a fraction of what lies beside it.
MOST = 30 * BATCH


@pytest.fixture(autouse=True)
def _limits() -> Iterator[None]:
    SERVICES.carriers.live = "virtual"
    yield
    SERVICES.carriers.names = frozenset(("virtual",))
    SERVICES.carriers.live = None
    SERVICES.rates.carriers, SERVICES.rates.senders = {}, {}


async def make_campaign(ctx: Context, status: str = "sending") -> UUID:
    campaign = await Campaign.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        name="Large",
        body="Hi",
        sender="SLOWPOKE",
        audience={},
        status=status,
        started_at=await db.now(),
    )
    return campaign.id


@pytest.fixture
async def crowd(live_ctx: Context) -> UUID:
    """A campaign of many, and many single messages, in every state that outlasts a claim."""
    campaign_id = await make_campaign(live_ctx)
    await db.execute("UPDATE credit_balances SET balance = 1000000")
    contact = await factories.make_contact(live_ctx)
    lease = await db.now() + timedelta(hours=1)
    await make_messages(live_ctx, MANY, "delivered", campaign_id=campaign_id)
    await make_messages(live_ctx, MANY, "sending", campaign_id=campaign_id, carrier="virtual")
    await make_messages(live_ctx, MANY // 2, "sending", lease_until=lease, carrier="virtual")
    await make_messages(live_ctx, MANY // 2, "sent", carrier="virtual")
    await make_messages(live_ctx, MANY // 10, "queued", campaign_id=campaign_id, contact_id=contact.id)
    await make_messages(live_ctx, MANY // 10, "queued")
    await db.execute(
        "INSERT INTO message_attempts (id, message_id, claim_token, carrier, started_at, outcome)"
        f" SELECT {NEW_ID}, id, claim_token, 'virtual', now(), 'unknown' FROM messages WHERE status = 'sending'"
    )
    await run_as_owner("ANALYZE messages, message_attempts")
    return campaign_id


async def take(lane: Lane) -> claims.Claim:
    async with unit_of_work():
        claim = await claims.claim(SERVICES, lane, carrier="virtual", limit=BATCH, now=await db.now())
    assert claim is not None
    assert len(claim.messages) == BATCH
    return claim


@pytest.mark.parametrize("is_campaign", [True, False])
async def test_a_hand_over_reads_its_batch(
    live_ctx: Context, crowd: UUID, monkeypatch: pytest.MonkeyPatch, is_campaign: bool
) -> None:
    lane = Lane(live_ctx.workspace_id, True, crowd if is_campaign else None)
    with reading(monkeypatch) as claiming:
        claim = await take(lane)
    claiming.check(MOST)
    ids = [row.id for row in claim.messages]
    outcomes = [
        *(Outcome(id, ACCEPTED, part_refs=(f"{id}-1", f"{id}-2")) for id in ids[:3]),
        *(Outcome(id, REFUSED, code="recipient_opted_out") for id in ids[3:5]),
        *(Outcome(id, THROTTLED) for id in ids[5:8]),
        *(Outcome(id, UNKNOWN) for id in ids[8:]),
    ]
    with reading(monkeypatch) as recording:
        async with unit_of_work():
            await record_outcomes(claim, outcomes, await db.now())
    recording.check(MOST)
    rows = await db.fetch("SELECT status, count(*) AS n FROM messages WHERE id = ANY($1) GROUP BY 1", ids)
    assert {row.status: row.n for row in rows} == {"sent": 3, "failed": 2, "queued": 3, "sending": 2}
    with reading(monkeypatch) as reporting:
        async with unit_of_work():
            told = [
                DeliveryReport(ids[0], True),
                DeliveryReport(ids[1], False, "unreachable"),
                DeliveryReport(ids[8], True),
            ]
            assert await delivery_reports.take_reports(told, await db.now()) == 3
    reporting.check(MOST)
    with reading(monkeypatch) as returning:
        async with unit_of_work():
            await give_back(SERVICES, await take(lane), await db.now())
    returning.check(MOST)


LARGE_BATCH = 300


async def test_a_large_batch_is_found_by_its_keys_in_a_month_without_statistics(
    live_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan for any values takes an array for ten rows, and a new month for nearly empty."""
    campaign_id = await make_campaign(live_ctx)
    await db.execute("UPDATE credit_balances SET balance = 1000000")
    contact = await factories.make_contact(live_ctx)
    await make_messages(live_ctx, 10 * LARGE_BATCH, "queued", campaign_id=campaign_id, contact_id=contact.id)
    lane = Lane(live_ctx.workspace_id, True, campaign_id)

    async def claim() -> claims.Claim:
        async with unit_of_work():
            taken = await claims.claim(SERVICES, lane, carrier="virtual", limit=LARGE_BATCH, now=await db.now())
        assert taken is not None
        assert len(taken.messages) == LARGE_BATCH
        return taken

    with reading(monkeypatch, is_generic=True) as recording:
        accepted = await claim()
        ids = [row.id for row in accepted.messages]
        for result in (ACCEPTED, REFUSED, THROTTLED, UNKNOWN):
            taken = accepted if result == ACCEPTED else await claim()
            async with unit_of_work():
                await record_outcomes(taken, [Outcome(row.id, result) for row in taken.messages], await db.now())
        async with unit_of_work():
            await give_back(SERVICES, await claim(), await db.now())
        async with unit_of_work():
            told = [DeliveryReport(id, number % 2 == 0, "unreachable") for number, id in enumerate(ids)]
            assert await delivery_reports.take_reports(told, await db.now()) == LARGE_BATCH
    recording.check(10 * LARGE_BATCH)
    found = await db.fetch("SELECT outcome, count(*) AS n FROM message_attempts GROUP BY 1")
    named = ("accepted", "refused", "throttled", "unknown", "unused")
    assert {row.outcome: row.n for row in found} == dict.fromkeys(named, LARGE_BATCH)


def test_no_statement_names_the_rows_of_a_join_twice() -> None:
    """An array beside a join is compared with each of its rows."""
    twice = re.compile(r"\b(\w+\.\w+) = ANY ?\(\$\d\) AND \1 = \w+\.\w+")
    root = Path(db.__file__).parent
    found = [str(path.relative_to(root)) for path in root.rglob("*.py") if twice.search(path.read_text())]
    assert found == ["api/dispatch/throughput.py"], "its rows are few, and their names no ids"


async def test_what_is_looked_for_again_and_again_is_found_by_its_index(
    live_ctx: Context, crowd: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = await db.now()
    with reading(monkeypatch) as looking:
        assert len(await find_lanes(SERVICES, now)) == 2
        assert await has_due(SERVICES, now)
        _, open_ids = await open_months.look()
        await has_scheduled(SERVICES, await db.now(), open_ids)
        async with unit_of_work():
            assert await promote_scheduled(SERVICES, limit=BATCH, now=now) == 0
            assert await expired_leases.find_expired(carrier="virtual", limit=BATCH, now=now) is None
            assert await expired_leases.await_gone(["virtual"], limit=BATCH) == 0
            # Many are in doubt, and none of them for long.
            assert await delivery_reports.give_up_unresolved(limit=BATCH, now=now) == 0
            assert await delivery_reports.give_up_reports(limit=BATCH, now=now) == 0
            assert await deliveries.claim_deliveries(limit=BATCH, per_endpoint=BATCH, now=now) == []
            assert await campaigns.resume_paid(now=now) == 0
    looking.check(MOST)


async def test_what_is_in_doubt_for_too_long_is_given_up_by_the_batch(
    live_ctx: Context, crowd: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reading(monkeypatch) as giving_up:
        async with unit_of_work():
            later = await db.now() + timedelta(hours=73)
            assert await delivery_reports.give_up_unresolved(limit=BATCH, now=later) == BATCH
    giving_up.check(MOST)


async def test_a_full_claim_of_deliveries_reads_each_a_few_times(
    live_ctx: Context, loopback_webhooks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = 500
    for _ in range(20):
        await make_endpoint(live_ctx)
    await write_events(live_ctx, many // 20)
    with reading(monkeypatch) as found:
        async with unit_of_work():
            claimed = await deliveries.claim_deliveries(limit=many, per_endpoint=many, now=await db.now())
    assert len(claimed) == many
    assert sorted(row.sequence for row in claimed) == sorted([*range(1, many // 20 + 1)] * 20)
    found.check(many * 10)


async def test_what_an_older_version_took_is_given_up_by_its_attempts(live_ctx: Context) -> None:
    await make_messages(live_ctx, 3, "sending", carrier="virtual")
    ids = [row.id for row in await db.fetch("UPDATE messages SET handed_at = NULL RETURNING id")]
    await db.execute(
        "INSERT INTO message_attempts (id, message_id, claim_token, carrier, started_at)"
        f" SELECT {NEW_ID}, id, claim_token, 'virtual', now() - CASE WHEN id = $1 THEN '71 h' ELSE '73 h' END::interval"
        " FROM messages",
        ids[0],
    )
    async with unit_of_work():
        assert await delivery_reports.give_up_unresolved(limit=BATCH, now=await db.now()) == 2
    rows = await db.fetch("SELECT id FROM messages WHERE status = 'sending'")
    assert [row.id for row in rows] == [ids[0]]


async def test_a_late_cancellation_reads_what_waits(
    live_ctx: Context, crowd: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reading(monkeypatch) as halting:
        for halt in (campaigns.pause_campaign, campaigns.cancel_campaign):
            async with unit_of_work():
                await halt(live_ctx, crowd)
    halting.check(MOST)
    # Of a large campaign an answer is two statements, its order and its event: on a busy machine each waits its turn.
    assert len(halting.statements) == 4
    left = await db.fetch_value("SELECT count(*) FROM messages WHERE campaign_id = $1 AND status = 'queued'", crowd)
    assert left == MANY // 10 > campaigns.CANCEL_AT_ONCE
    with reading(monkeypatch) as clearing:
        async with unit_of_work():
            cleared = await lifecycle.clear_canceled(crowd, live_ctx, limit=BATCH, now=await db.now())
    assert cleared.number == BATCH
    clearing.check(MOST)


async def test_campaigns_that_ended_are_not_looked_at(live_ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    canceled = await make_campaign(live_ctx, "canceled")
    await db.execute("UPDATE campaigns SET canceled_at = now()")
    await db.execute(
        "INSERT INTO campaigns SELECT (jsonb_populate_record(campaigns, jsonb_build_object("
        f"'id', {NEW_ID}, 'status', CASE WHEN number % 2 = 0 THEN 'canceled' ELSE 'completed' END,"
        " 'completed_at', now()))).* FROM campaigns, generate_series(1, $1::int) AS number",
        MANY,
    )
    await run_as_owner("ANALYZE campaigns")
    now = await db.now()
    with reading(monkeypatch) as looking:
        assert not await lifecycle.has_work(SERVICES, now)
        assert await lifecycle.canceled_campaigns(SERVICES, now) == []
        assert await lifecycle.ending_campaigns() == [canceled]
        assert await lifecycle.due_campaigns(now) == []
        assert await maintenance.has_work(SERVICES, now)
        assert await find_lanes(SERVICES, now) == []
    looking.check(MOST)
    await make_messages(live_ctx, 1, "queued", campaign_id=canceled)
    assert await lifecycle.has_work(SERVICES, now)
    assert [id for id, _ in await lifecycle.canceled_campaigns(SERVICES, now)] == [canceled]


async def test_a_start_and_an_expansion_read_their_chunk(live_ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await db.execute(
        "INSERT INTO contacts (id, workspace_id, livemode, phone, number_kind, opt_in_status, attributes, created_at,"
        " updated_at)"
        f" SELECT {NEW_ID}, $1, true, '+1212' || (5000000 + number), 'mobile', 'opted_in', '{{}}', now(), now()"
        " FROM generate_series(1, $2::int) AS number",
        live_ctx.workspace_id,
        MANY,
    )
    everyone = await ContactList.create(workspace_id=live_ctx.workspace_id, livemode=True, name="Everyone")
    await db.execute(
        f"INSERT INTO list_members (id, list_id, contact_id, created_at) SELECT {NEW_ID}, $1, id, now() FROM contacts",
        everyone.id,
    )
    await run_as_owner("ANALYZE contacts, list_members")
    await db.execute("UPDATE credit_balances SET balance = 1000000")
    async with unit_of_work():
        campaign = await campaigns.create_campaign(live_ctx, CreateCampaign("Large", "Hi", list_ids=[everyone.id]))
    with reading(monkeypatch) as starting:
        for _ in range(3):
            async with unit_of_work():
                assert await lifecycle.start_campaign(SERVICES, campaign.id, await db.now(), limit=BATCH) is False
    starting.check(MOST)
    assert await db.fetch_value("SELECT count(*) FROM campaign_recipients") == 3 * BATCH
    while not await _start(campaign.id):
        pass
    assert await db.fetch_value("SELECT count(*) FROM campaign_recipients") == MANY
    with reading(monkeypatch) as expanding:
        async with unit_of_work():
            assert await audiences.expand_chunk(SERVICES, campaign.id, limit=BATCH, now=await db.now()) == BATCH
    expanding.check(MOST)


async def _start(campaign_id: UUID) -> bool | None:
    async with unit_of_work():
        return await lifecycle.start_campaign(SERVICES, campaign_id, await db.now())


async def test_a_sender_at_its_limit_costs_neither_reads_nor_writes(
    live_ctx: Context, crowd: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    SERVICES.rates.carriers, SERVICES.rates.senders = {}, {"*": 5.0, "SPRINTER": 100.0}
    await make_messages(live_ctx, 5, "queued", sender="SPRINTER")
    lane = Lane(live_ctx.workspace_id, True)
    now = await db.now()
    taken = []
    before = await versions()
    with reading(monkeypatch) as claiming:
        for _ in range(10):
            async with unit_of_work():
                claim = await claims.claim(SERVICES, lane, carrier="virtual", limit=BATCH, now=now)
            taken.append([] if claim is None else sorted(row.sender for row in claim.messages))
    claiming.check(MOST)
    # The slow sender's second, and all of the other's that stood behind thousands of its messages; then nothing.
    assert [sender for senders in taken for sender in senders] == ["SLOWPOKE"] * 5 + ["SPRINTER"] * 5
    after = await versions()
    assert len(set(after.items()) - set(before.items())) == 0
    assert len(before) - len(after) == 10


async def versions() -> dict[UUID, int]:
    """The queued messages, and what wrote each of them last."""
    rows = await db.fetch("SELECT id, xmin::text::bigint AS version FROM messages WHERE status = 'queued'")
    return {row.id: row.version for row in rows}


@pytest.mark.parametrize("reason", ["paused", "at its limit", "on trial"])
async def test_carriers_that_take_nothing_more_cost_no_writes(live_ctx: Context, reason: str) -> None:
    SERVICES.carriers.names = frozenset(("virtual", "first"))
    await routes.add_route(SERVICES, "first")
    await senders.add_sender(SERVICES, live_ctx.workspace_id, "SLOWPOKE")
    await make_messages(live_ctx, 500, "queued")
    if reason == "at its limit":
        SERVICES.rates.carriers, SERVICES.rates.senders = {"first": 5.0}, {}
    else:
        await breakers.note("first", faults=breakers.THRESHOLD, served=0, reason="away", now=await db.now())
    if reason == "on trial":
        await db.execute("UPDATE carrier_states SET retry_at = now() - interval '1 second'")
    now = await db.now()
    before = await versions()
    lane = Lane(live_ctx.workspace_id, True)
    taken = 0
    for _ in range(5):
        plan = await routing.plan_for(SERVICES, live_ctx.workspace_id, True, now)
        async with unit_of_work():
            claimed = await claims.claim_by_plan(SERVICES, lane, plan, limit=100, now=now)
        taken += sum(len(claim.messages) for claim in claimed)
    assert taken == {"paused": 0, "at its limit": 5, "on trial": 1}[reason]
    after = await versions()
    assert (set(after.items()) - set(before.items()), len(before) - len(after)) == (set(), taken)


PICKED_TWICE = re.compile(r"\bIN \(\s*SELECT\b[^)]*\bLIMIT\b[^)]*\bFOR UPDATE")


def test_no_statement_picks_its_rows_in_a_subquery_that_may_run_again() -> None:
    """A plan by nested loops runs it for each row; what it took is passed over, and it takes others instead."""
    sources = sorted((Path(__file__).resolve().parents[2] / "msvs").rglob("*.py"))
    assert len(sources) > 100
    assert PICKED_TWICE.search("DELETE FROM a WHERE id IN (\n SELECT id FROM a LIMIT $1 FOR UPDATE SKIP LOCKED)")
    assert [path.name for path in sources if PICKED_TWICE.search(path.read_text())] == []
