"""Open months: dispatch opens the partitions that hold open messages, and no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from msvs import database as db
from msvs.api.context import Context
from msvs.api.dispatch import dispatching, open_months
from msvs.api.dispatch.dispatching import Outcome
from msvs.api.dispatch.open_months import EVERYWHERE, IdRange
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import Message, MessageStatus
from msvs.workers.dispatch import dispatch_messages
from tests.workers.test_dispatch import send
from tests.workers.test_maintenance import month, write_message

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
            await db.execute("SELECT ensure_partition($1, 'fillfactor = 80', $2)", table, first)
            made.append(f"{table}_{first:%Y_%m}")
    yield
    await db.execute("DROP TABLE " + ", ".join(made))


async def test_a_claim_locks_no_month_that_is_settled(two_years: None, ctx: Context) -> None:
    """At hundreds of locks a claim, some hundred workers use up PostgreSQL's table of locks."""
    assert await open_months.find_open_months() == 1
    found = []
    # Prepared statements are planned anew for all values from the sixth time on.
    for _ in range(8):
        await send(ctx)
        async with unit_of_work():
            now, open_ids = await open_months.look()
            (lane,) = await dispatching.find_lanes(now, open_ids)
            claim = await dispatching.claim(lane, carrier="virtual", limit=10, now=now)
            found.append(await db.fetch_value(LOCKS))
        assert claim is not None
        async with unit_of_work():
            statement = dispatching._conclude(claim.token)
            await db.execute(statement, [claim.messages[0].id], ["accepted"], [None], now, claim.token)
            found.append(await db.fetch_value(LOCKS))
        async with unit_of_work():
            await dispatching.record_outcomes(claim, [Outcome(row.id, "accepted") for row in claim.messages], now)
    assert max(found) < MOST_LOCKS
    assert await db.fetch_value("SELECT count(*) FROM message_attempts WHERE outcome = 'accepted'") == 8


async def test_a_message_is_sent_however_old_its_month_is(two_years: None, ctx: Context) -> None:
    assert await open_months.look() == (pytest.approx(await db.now(), abs=timedelta(minutes=1)), EVERYWHERE)
    due = await db.now() - timedelta(minutes=1)
    old = await write_message(ctx, await month(-20), due_at=due, status=MessageStatus.SCHEDULED)
    assert await open_months.find_open_months() == 1
    _, open_ids = await open_months.look()
    assert open_ids.since == await month(-20)
    await dispatch_messages({"virtual": VirtualCarrier()})
    assert (await Message.get(id=old)).status == MessageStatus.SENT
    # Settled, it holds no month open.
    assert await open_months.find_open_months() == 1
    assert (await open_months.look())[1].since == await month(0) or (await db.now()).day == 1
    assert await open_months.find_open_months() == 0
    # One that came with the id of a month long past is late by one maintenance, and not lost.
    late = await write_message(ctx, await month(-20), due_at=due)
    await dispatch_messages({"virtual": VirtualCarrier()})
    assert (await Message.get(id=late)).status == MessageStatus.QUEUED
    assert await open_months.find_open_months() == 1
    await dispatch_messages({"virtual": VirtualCarrier()})
    assert (await Message.get(id=late)).status == MessageStatus.SENT


async def test_a_message_of_a_month_ahead_or_of_none_widens_the_range(ctx: Context) -> None:
    due = await db.now() - timedelta(minutes=1)
    ahead = await write_message(ctx, await month(2), due_at=due)
    await open_months.find_open_months()
    assert (await open_months.look())[1].until == await month(3)
    astray = await write_message(ctx, await month(-30), due_at=due)
    assert await open_months.find_open_months() == 1
    assert (await open_months.look())[1] == EVERYWHERE
    await dispatch_messages({"virtual": VirtualCarrier()})
    assert {(await Message.get(id=id)).status for id in (ahead, astray)} == {MessageStatus.SENT}


async def test_a_range_names_whole_months(database: str) -> None:
    found = open_months.months_of(
        [open_months.floor(moment) for moment in (await month(-1) + timedelta(days=9), await month(0))]
    )
    assert found == IdRange(await month(-1), await month(1))
    low, high = [await db.fetch_value("SELECT id_floor($1::timestamptz)", await month(ahead)) for ahead in (-1, 1)]
    assert found.of("messages") == f"messages.id >= '{low}' AND messages.id < '{high}'"
    assert EVERYWHERE.of("messages") == "true"
