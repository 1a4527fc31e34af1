"""Open months: dispatch opens the partitions that hold open messages, and no other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.dispatch import admission, claims, delivery_reports, expired_leases, open_months, routing
from msvs.api.dispatch.delivery_reports import DeliveryReport
from msvs.api.dispatch.lanes import Lane, find_lanes
from msvs.api.dispatch.open_months import EVERYWHERE, IdRange
from msvs.api.dispatch.outcomes import (
    ACCEPTED,
    REFUSED,
    THROTTLED,
    UNKNOWN,
    Outcome,
    conclude,
    give_back,
    record_outcomes,
)
from msvs.api.inbound import carrier_events
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.carrier_events import keep_carrier_events
from msvs.carriers.protocol import Report
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import Message, MessageStatus
from msvs.workers.dispatch import dispatch_messages
from tests.owner import run_as_owner
from tests.services import SERVICES
from tests.workers.test_dispatch import send
from tests.workers.test_maintenance import month, write_message

T = TypeVar("T")

MONTHS = 25
LOCKS = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'"
# A claim's tables and indexes, with two months of messages on the first and the last day of one; it was 800.
MOST_LOCKS = 250


@pytest.fixture
async def two_years(clean: None) -> AsyncIterator[None]:
    """Partitions of 25 months."""
    made = []
    for ago in range(1, MONTHS):
        for table in ("messages", "message_attempts"):
            first = await month(-ago)
            await run_as_owner("SELECT ensure_partition($1, 'fillfactor = 80', $2)", table, first)
            made.append(f"{table}_{first:%Y_%m}")
    yield
    await run_as_owner("DROP TABLE " + ", ".join(made))


async def test_a_claim_locks_no_month_that_is_settled(two_years: None, ctx: Context) -> None:
    """At hundreds of locks a claim, some hundred workers use up PostgreSQL's table of locks."""
    assert await open_months.find_open_months() == 1
    found = []
    # Prepared statements are planned again for all values from the sixth time on.
    for _ in range(8):
        await send(ctx)
        async with unit_of_work():
            now, open_ids = await open_months.look()
            (lane,) = await find_lanes(SERVICES, now, open_ids)
            claim = await claims.claim(SERVICES, lane, carrier="virtual", limit=10, now=now)
            found.append(await db.fetch_value(LOCKS))
        assert claim is not None
        async with unit_of_work():
            await conclude(claim.token, [Outcome(claim.messages[0].id, "accepted")], now)
            found.append(await db.fetch_value(LOCKS))
        async with unit_of_work():
            await record_outcomes(claim, [Outcome(row.id, "accepted") for row in claim.messages], now)
    assert max(found) < MOST_LOCKS
    assert await db.fetch_value("SELECT count(*) FROM message_attempts WHERE outcome = 'accepted'") == 8


GENERIC = "SET LOCAL plan_cache_mode = force_generic_plan"
SETTLED = """
SELECT pg_class.relname FROM pg_locks JOIN pg_class ON pg_class.oid = pg_locks.relation
    JOIN pg_inherits ON pg_inherits.inhrelid = pg_class.oid
WHERE pid = pg_backend_pid() AND inhparent IN ('messages'::regclass, 'message_attempts'::regclass)
    AND relname = ANY($1)
"""


async def test_outcomes_and_reports_open_no_month_but_their_own(two_years: None, ctx: Context) -> None:
    """A generic plan is made once for all values: what it leaves out, it leaves out by the statement's own words."""
    assert await open_months.find_open_months() == 1
    # A clock that is wrong by a day may make an attempt in the month beside its message's, and on the first day of a
    # month a message in that before.
    now = await db.now()
    is_first_day = (now - open_months.MARGIN).month != now.month
    settled = [
        f"{table}_{await month(-ago):%Y_%m}"
        for ago in range(3 if is_first_day else 2, MONTHS)
        for table in ("messages", "message_attempts")
    ]
    opened: dict[str, list[str]] = {}

    async def run(name: str, work: Callable[[datetime], Awaitable[T]]) -> T:
        async with unit_of_work():
            await db.execute(GENERIC)
            found = await work(await db.now())
            opened[name] = [row.relname for row in await db.fetch(SETTLED, settled)]
        return found

    async def take(now: datetime) -> claims.Claim:
        lane = Lane(ctx.workspace_id, ctx.livemode, open_ids=(await open_months.look())[1])
        claim = await claims.claim(SERVICES, lane, carrier="virtual", limit=20, now=now)
        assert claim is not None
        return claim

    sent = [await send(ctx) for _ in range(9)]
    claim = await run("claim", take)
    await run("give back", partial(give_back, SERVICES, claim))
    claim = await run("claim again", take)
    await db.execute("UPDATE message_attempts SET outcome = 'throttled'")
    results = [ACCEPTED] * 4 + [REFUSED] * 2 + [THROTTLED] + [UNKNOWN] * 2
    outcomes = [
        Outcome(id, result, code="recipient_opted_out" if result == REFUSED else None, part_refs=(f"{id}-1", f"{id}-2"))
        for id, result in zip(sent, results, strict=True)
    ]
    await db.execute("UPDATE messages SET attempt_count = 30")
    tired = replace(claim, messages=await db.fetch("SELECT * FROM messages"))
    await run("record", lambda now: record_outcomes(tired, outcomes, now))
    reports = [
        DeliveryReport(sent[0], True),
        DeliveryReport(sent[1], False, "unreachable"),
        DeliveryReport(sent[7], True),
    ]
    await run("reports", lambda now: delivery_reports.take_reports(reports, now))
    assert await run("hold", lambda _: delivery_reports.hold_messages(sent)) == frozenset()
    await db.execute("UPDATE messages SET lease_until = now() - interval '1 hour' WHERE status = 'sending'")
    await run("tries", partial(routing.find_tries, tired.messages))
    lane = Lane(ctx.workspace_id, ctx.livemode)
    waiting = await db.fetch("SELECT * FROM messages WHERE status = 'queued'")
    await run("put off", lambda now: admission.put_off_until({row.id: now for row in waiting}))
    await run("fail", lambda now: admission.fail_unsent(lane, waiting, "expired", now))
    await run("refuse", lambda now: admission.refuse(lane, [(waiting[0], "recipient_opted_out")], now))
    await run("await", lambda _: expired_leases._await([row for row in tired.messages if row.id == sent[8]]))
    await run("expired", lambda now: expired_leases.find_expired(carrier="virtual", limit=0, now=now))
    await run("awaited", lambda _: expired_leases.await_reports(carrier="virtual", limit=0))
    await run("gone", lambda _: expired_leases.await_gone(["virtual"], limit=10))
    await run("unresolved", lambda now: delivery_reports.give_up_unresolved(limit=10, now=now))
    await run("unreported", lambda now: delivery_reports.give_up_reports(limit=10, now=now))
    assert await run("opt-outs", lambda now: carrier_events.apply_opt_outs(SERVICES, limit=10, now=now)) == 2
    await db.execute("UPDATE messages SET livemode = true, carrier = 'acme', carrier_ref = 'ref-' || id")
    await keep_carrier_events(
        "acme",
        [
            Report("by-ref", True, carrier_ref=f"ref-{sent[0]}"),
            Report("by-id", True, message_id=sent[1]),
            Report("by-part", True, carrier_ref=f"{sent[2]}-1", part_count=2),
        ],
    )
    await db.execute("UPDATE message_parts SET carrier = 'acme'")
    assert await run("match", lambda now: carrier_events.apply_reports(limit=10, now=now)) == 3
    assert {name: months for name, months in opened.items() if months} == {}
    assert await db.fetch_value("SELECT count(*) FROM carrier_signals WHERE kind = 'report'") == 0
    rows = await db.fetch("SELECT status, count(*) AS n FROM messages GROUP BY 1")
    assert {row.status: row.n for row in rows} == {"sent": 2, "delivered": 2, "failed": 3, "canceled": 1, "sending": 1}


async def test_a_message_is_sent_however_old_its_month_is(two_years: None, ctx: Context) -> None:
    assert await open_months.look() == (pytest.approx(await db.now(), abs=timedelta(minutes=1)), EVERYWHERE)
    due = await db.now() - timedelta(minutes=1)
    old = await write_message(ctx, await month(-20), due_at=due, status=MessageStatus.SCHEDULED)
    assert await open_months.find_open_months() == 1
    _, open_ids = await open_months.look()
    assert open_ids.since == await month(-20)
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    assert (await Message.get(id=old)).status == MessageStatus.SENT
    # Its report may come, or be given up; settled, it holds no month open.
    assert await open_months.find_open_months() == 0
    await Message.filter(id=old).update(status=MessageStatus.DELIVERED)
    assert await open_months.find_open_months() == 1
    assert (await open_months.look())[1].since == await month(0) or (await db.now()).day == 1
    assert await open_months.find_open_months() == 0
    # One that came with the id of a month long past is late by one maintenance, and not lost.
    late = await write_message(ctx, await month(-20), due_at=due)
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    assert (await Message.get(id=late)).status == MessageStatus.QUEUED
    assert await open_months.find_open_months() == 1
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    assert (await Message.get(id=late)).status == MessageStatus.SENT


async def test_a_report_finds_its_message_however_old_it_is(two_years: None, live_ctx: Context) -> None:
    assert await open_months.find_open_months() == 1
    old = [await write_message(live_ctx, await month(-ago), status=MessageStatus.SENT) for ago in (20, 0, 9)]
    await db.execute("UPDATE messages SET carrier = 'acme', carrier_ref = 'ref-' || id")
    # Of two with one reference, the newer.
    await db.execute("UPDATE messages SET carrier_ref = $1 WHERE id = $2", f"ref-{old[1]}", old[2])
    reports = [Report(str(id), True, carrier_ref=f"ref-{id}") for id in old[:2]]
    await keep_carrier_events("acme", [*reports, Report("astray", True, carrier_ref="astray")])
    async with unit_of_work():
        assert await carrier_events.apply_reports(limit=10, now=await db.now()) == 3
    found = [(await Message.get(id=id)).status for id in old]
    assert found == [MessageStatus.DELIVERED, MessageStatus.DELIVERED, MessageStatus.SENT]
    assert await db.fetch_value("SELECT array_agg(dedupe_key) FROM carrier_signals") == ["astray"]


async def test_a_message_of_a_month_ahead_or_of_none_widens_the_range(ctx: Context) -> None:
    due = await db.now() - timedelta(minutes=1)
    ahead = await write_message(ctx, await month(2), due_at=due)
    await open_months.find_open_months()
    assert (await open_months.look())[1].until == await month(3)
    astray = await write_message(ctx, await month(-30), due_at=due)
    assert await open_months.find_open_months() == 1
    assert (await open_months.look())[1] == EVERYWHERE
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    assert {(await Message.get(id=id)).status for id in (ahead, astray)} == {MessageStatus.SENT}


async def test_a_range_names_whole_months(database: str) -> None:
    found = open_months.months_of(
        [ids.id_at(moment) for moment in (await month(-1) + timedelta(days=9), await month(0))]
    )
    assert found == IdRange(await month(-1), await month(1))
    low, high = [await db.fetch_value("SELECT id_floor($1::timestamptz)", await month(ahead)) for ahead in (-1, 1)]
    bounds = ((">=", low), ("<", high))
    words = [f"messages.id {sign} ANY (ARRAY['{bound}'::uuid])" for sign, bound in bounds]
    assert found.of("messages") == " AND ".join(words)
    assert EVERYWHERE.of("messages") == "true"


def test_ids_that_are_no_times_lie_anywhere() -> None:
    """A carrier's callback names a message as it likes."""
    assert open_months.months_of([UUID(int=(1 << 128) - 1), ids.id_at(datetime(2026, 5, 4, tzinfo=UTC))]) == EVERYWHERE
    assert open_months.months_of([]) == EVERYWHERE
    assert open_months.within("{in_months} {in_attempts}", [UUID(int=(1 << 128) - 1)]) == "true true"
    assert open_months.months_of([UUID(int=0)]) == IdRange(
        datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 2, 1, tzinfo=UTC)
    )
