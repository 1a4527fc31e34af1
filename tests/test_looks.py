"""Looks: beside a snapshot that is held, full ones alone pass what was done, and nothing is left for good."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from msvs import database as db
from msvs import looks
from msvs.api.context import Context
from msvs.api.dispatch import picking
from msvs.api.dispatch.lanes import Lane
from msvs.api.inbound import carrier_events
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import deliveries, status_callbacks
from msvs.looks import ByKey, InOrder
from msvs.workers import maintenance, reports
from msvs.workers import status_callbacks as callbacks
from msvs.workers.webhooks import FIRST_AT_ONCE
from tests.owner import run_as_owner
from tests.plans import NEW_ID, make_messages, reading
from tests.receiver import make_endpoint
from tests.services import SERVICES

MANY, LEFT = 8_000, 5
# What a statement touches that finds so few by an index, its joins, and some of the queue's last pages.
MOST_BUFFERS = 100

VIRTUAL = f"""
INSERT INTO virtual_signals (id, message_id, workspace_id, livemode, kind, phone, sender, text, due_at)
SELECT {NEW_ID}, {NEW_ID}, $1, true, 'delivered', '+12125550123', 'COHORTLABS', '',
    now() - interval '1 hour' + number * interval '1 ms' FROM generate_series(1, $2::int) AS number
"""
CARRIER = f"""
INSERT INTO carrier_signals (id, carrier, kind, dedupe_key, message_id, is_delivered, text, tries, received_at, due_at)
SELECT {NEW_ID}, 'smsc', 'report', number::text, {NEW_ID}, true, '', 0, $1,
    now() - interval '1 hour' + number * interval '1 ms' FROM generate_series(1, $2::int) AS number
"""
DELIVERIES = f"""
INSERT INTO webhook_deliveries (id, endpoint_id, event_id, state, attempt_count, next_attempt_at, created_at)
SELECT {NEW_ID}, $1, {NEW_ID}, 'pending', 0, now() - interval '1 hour' + number * interval '1 ms', now()
FROM generate_series(1, $2::int) AS number
"""
ATTEMPT = f"""
INSERT INTO webhook_attempts (id, workspace_id, livemode, endpoint_id, event_id, number, response_head, elapsed_ms,
    created_at) VALUES ({NEW_ID}, $1, true, $2, {NEW_ID}, 1, '', 5, now())
"""
CALLBACKS = f"""
INSERT INTO status_callbacks (id, workspace_id, message_id, status, state, attempt_count, next_attempt_at, created_at)
SELECT {NEW_ID}, $1, {NEW_ID}, 'sent', 'pending', 0, now() - interval '1 hour' + number * interval '1 ms', now()
FROM generate_series(1, $2::int) AS number
"""
# All but the last LEFT are done.
DONE = {
    "virtual_signals": f"DELETE FROM virtual_signals WHERE due_at <= (SELECT max(due_at) FROM virtual_signals)"
    f" - {LEFT} * interval '1 ms'",
    "carrier_signals": f"DELETE FROM carrier_signals WHERE due_at <= (SELECT max(due_at) FROM carrier_signals)"
    f" - {LEFT} * interval '1 ms'",
    "webhook_deliveries": "UPDATE webhook_deliveries SET state = 'succeeded' WHERE next_attempt_at <= ("
    f"SELECT max(next_attempt_at) FROM webhook_deliveries) - {LEFT} * interval '1 ms'",
    "status_callbacks": "UPDATE status_callbacks SET state = 'succeeded' WHERE next_attempt_at <= ("
    f"SELECT max(next_attempt_at) FROM status_callbacks) - {LEFT} * interval '1 ms'",
    "messages": f"UPDATE messages SET status = 'sent' WHERE due_at <= (SELECT max(due_at) FROM messages)"
    f" - {LEFT} * interval '1 ms'",
}


LOOKS = (
    maintenance.LeaseLooks,
    reports.ReportLooks,
    deliveries.EndpointLooks,
    status_callbacks.CallbackLooks,
    picking.SenderLooks,
)


@pytest.fixture(autouse=True)
def _one_full_look(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Only the first look is a full one."""
    monkeypatch.setattr(looks, "FULL_SECONDS", 3600.0)
    for kind in LOOKS:
        SERVICES.forget(kind)
    yield
    for kind in LOOKS:
        SERVICES.forget(kind)


@pytest.fixture
async def snapshot(live_ctx: Context, database: str) -> AsyncIterator[None]:
    """A transaction elsewhere that keeps what it saw, so that no entry of an index can be cleared."""
    connection = await asyncpg.connect(database)
    async with connection.transaction(isolation="repeatable_read"):
        await connection.fetchval("SELECT count(*) FROM workspaces")
        yield
    await connection.close()


async def looked(work: Callable[[], Awaitable[object]], table: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """The buffers that a full look and a quick one touched, in the statements on a table."""
    touched = []
    for _ in range(2):
        with reading(monkeypatch) as found:
            await work()
        touched.append(max(one.buffers for one in found.statements if table in one.sql))
    return touched[0], touched[1]


def check(full: int, quick: int) -> None:
    """A quick look touches a few pages, and a fraction of what a full one does."""
    assert quick < MOST_BUFFERS
    assert quick < full / 2


class Rolled(Exception):
    """Rolls a transaction back."""


async def rolled_back(work: Callable[[], Awaitable[int]]) -> None:
    """Do something, see that it found what is left, and take it back."""
    with suppress(Rolled):
        async with unit_of_work():
            assert await work() == LEFT
            raise Rolled


@pytest.mark.parametrize("table", ["virtual_signals", "carrier_signals"])
async def test_reports_that_were_taken_are_passed_by_full_looks_alone(
    live_ctx: Context, snapshot: None, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    is_virtual = table == "virtual_signals"
    first = live_ctx.workspace_id if is_virtual else await db.now()
    await db.execute(VIRTUAL if is_virtual else CARRIER, first, MANY)
    await db.execute(DONE[table])
    await run_as_owner(f"ANALYZE {table}")

    async def is_due() -> None:
        assert await reports.has_due(SERVICES, await db.now())

    full, quick = await looked(is_due, table, monkeypatch)
    check(full, quick)
    known = InOrder()

    async def apply() -> int:
        if is_virtual:
            return await reports._take_reports(SERVICES, 100)
        return await carrier_events.apply_reports(limit=100, now=await db.now(), looks=known)

    full, quick = await looked(lambda: rolled_back(apply), f"SELECT * FROM {table}", monkeypatch)
    check(full, quick)


async def test_deliveries_that_were_made_are_passed_by_full_looks_alone(
    live_ctx: Context, snapshot: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One has something left, one has nothing, and one that is not known has it between those.
    busy, done = await make_endpoint(live_ctx), await make_endpoint(live_ctx)
    await db.execute(DELIVERIES, done.id, MANY)
    await db.execute("UPDATE webhook_deliveries SET state = 'succeeded'")
    await db.execute(ATTEMPT, live_ctx.workspace_id, done.id)
    await db.execute(DELIVERIES, busy.id, MANY)
    await db.execute(DONE["webhook_deliveries"])
    await run_as_owner("ANALYZE webhook_deliveries")

    async def is_due() -> None:
        assert await callbacks.has_due(SERVICES, await db.now())

    full, quick = await looked(is_due, "FROM webhook_deliveries", monkeypatch)
    check(full, quick)
    known = deliveries.EndpointLooks()

    async def claim() -> int:
        now = await db.now()
        rows = await deliveries.claim_deliveries(limit=100, per_endpoint=FIRST_AT_ONCE, now=now, endpoints=known)
        # Their events are past their keeping.
        assert rows == []
        dropped: int = await db.fetch_value("SELECT count(*) FROM webhook_deliveries WHERE state = 'dropped'")
        assert dropped == FIRST_AT_ONCE
        return LEFT

    full, quick = await looked(lambda: rolled_back(claim), "RECURSIVE known", monkeypatch)
    check(full, quick)
    other = await make_endpoint(live_ctx)
    await db.execute(DELIVERIES, other.id, 1)
    now = await db.now()
    assert set((await deliveries.find_waiting(now, known))[0]) == {busy.id, other.id}
    assert await deliveries.drop_stale_deliveries(limit=10, now=now, endpoints=known) == 0


async def test_callbacks_that_were_made_are_passed_by_full_looks_alone(
    live_ctx: Context, other_ctx: Context, snapshot: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.execute(CALLBACKS, other_ctx.workspace_id, MANY)
    await db.execute("UPDATE status_callbacks SET state = 'succeeded', created_at = now() + interval '1 minute'")
    await db.execute(CALLBACKS, live_ctx.workspace_id, MANY)
    await db.execute(DONE["status_callbacks"])
    await run_as_owner("ANALYZE status_callbacks")

    async def is_due() -> None:
        assert await callbacks.has_due(SERVICES, await db.now())

    full, quick = await looked(is_due, "FROM status_callbacks", monkeypatch)
    check(full, quick)
    known = status_callbacks.CallbackLooks()

    async def claim() -> int:
        now = await db.now()
        return len(await status_callbacks.claim_callbacks(limit=100, busy={}, now=now, workspaces=known))

    full, quick = await looked(lambda: rolled_back(claim), "RECURSIVE known", monkeypatch)
    check(full, quick)


@pytest.mark.parametrize("is_campaign", [False, True])
async def test_what_senders_have_sent_is_passed_by_full_looks_alone(
    live_ctx: Context, snapshot: None, monkeypatch: pytest.MonkeyPatch, is_campaign: bool
) -> None:
    SERVICES.rates.carriers, SERVICES.rates.senders = {}, {"*": 5.0}
    campaign_id = UUID(int=7) if is_campaign else None
    lane = Lane(live_ctx.workspace_id, True, campaign_id)
    for sender in ("DONE", "BUSY"):
        await make_messages(live_ctx, MANY, "queued", sender=sender, campaign_id=campaign_id)
    looked_at = SERVICES.keep(picking.SenderLooks)
    await picking.take_for_senders(SERVICES, lane, 10, await db.now())
    await db.execute(DONE["messages"])
    await db.execute("UPDATE messages SET status = 'sent' WHERE sender = 'DONE'")
    await run_as_owner("ANALYZE messages")
    looked_at.of(lane).pace = looks.Pace()
    # Nothing is left of what they may send.
    await db.execute("UPDATE throughput_buckets SET tokens = 5")

    async def take() -> None:
        assert await picking.take_for_senders(SERVICES, lane, 10, await db.now()) in ({"BUSY": 5}, {})

    full, quick = await looked(take, "FROM messages", monkeypatch)
    check(full, quick)
    await make_messages(live_ctx, 1, "queued", sender="CAMEL", campaign_id=campaign_id)
    assert set(await picking.find_waiting(SERVICES, lane, await db.now())) == {"BUSY", "CAMEL"}


async def test_leases_that_ended_are_passed_by_full_looks_alone(
    live_ctx: Context, snapshot: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = await db.now() - timedelta(hours=1)
    await make_messages(live_ctx, MANY, "sending", lease_until=past, carrier="virtual")
    await db.execute("UPDATE messages SET lease_until = due_at")
    await db.execute(
        "UPDATE messages SET status = 'sent', lease_until = NULL WHERE due_at <= (SELECT max(due_at) FROM messages)"
        f" - {LEFT} * interval '1 ms'"
    )
    await run_as_owner("ANALYZE messages")

    async def has_work() -> None:
        assert await maintenance.has_work(SERVICES, await db.now())

    full, quick = await looked(has_work, "FROM messages", monkeypatch)
    check(full, quick)
    await db.execute("UPDATE messages SET status = 'sent', lease_until = NULL")
    assert not await maintenance.has_work(SERVICES, await db.now())


async def test_what_comes_to_lie_before_a_look_is_found_by_the_next_full_one(live_ctx: Context) -> None:
    now = await db.now()
    in_order, by_key = InOrder(), deliveries.EndpointLooks()

    async def found() -> tuple[int, int]:
        rows = await in_order.find(now, lambda since: db.fetch(reports.PICK_REPORTS, now, 10, since))
        return len(rows), len((await deliveries.find_waiting(now, by_key))[0])

    endpoint = await make_endpoint(live_ctx)
    await db.execute(DELIVERIES, endpoint.id, 1)
    await db.execute(VIRTUAL, live_ctx.workspace_id, 1)
    assert await found() == (1, 1)
    await db.execute("DELETE FROM virtual_signals")
    await db.execute("DELETE FROM webhook_deliveries")
    assert await found() == (0, 0)
    # Committed late: due an hour ago.
    await db.execute(DELIVERIES, endpoint.id, 1)
    await db.execute(VIRTUAL, live_ctx.workspace_id, 1)
    assert await found() == (0, 0)
    assert not by_key.is_full
    for each in (in_order, by_key):
        each.pace.next_full = 0.0
    assert await found() == (1, 1)


async def test_no_look_begins_after_what_may_still_be_committed(live_ctx: Context) -> None:
    now = await db.now()
    in_order = InOrder()

    async def find() -> int:
        return len(await in_order.find(now, lambda since: db.fetch(reports.PICK_REPORTS, now, 10, since)))

    assert await find() == 0
    await db.execute(VIRTUAL, live_ctx.workspace_id, 1)
    await db.execute("UPDATE virtual_signals SET due_at = $1", now - looks.LAG + timedelta(milliseconds=1))
    assert await find() == 1


async def test_a_process_remembers_so_many_keys(live_ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "MOST_KEYS", 3)
    endpoints = [await make_endpoint(live_ctx) for _ in range(5)]
    for endpoint in endpoints:
        await db.execute(DELIVERIES, endpoint.id, 1)
    known: ByKey[UUID] = deliveries.EndpointLooks()
    for _ in range(3):
        # Those that are not remembered are found all the same.
        found = await known.find(await db.now(), deliveries.WAITING_ENDPOINTS)
        assert set(found) == {endpoint.id for endpoint in endpoints}
        assert len(known._since) == len(known._waited) == 3
    monkeypatch.setattr(looks, "KEPT_SECONDS", 0.0)
    await db.execute("DELETE FROM webhook_deliveries")
    assert await known.find(await db.now(), deliveries.WAITING_ENDPOINTS) == {}
    assert (known._since, known._waited) == ({}, {})


def test_lanes_are_remembered_in_the_order_of_their_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picking, "MOST_LANES", 2)
    senders = picking.SenderLooks()
    one, two, three = (Lane(UUID(int=number), True) for number in range(3))
    first, second = senders.of(one), senders.of(two)
    assert senders.of(one) is first
    senders.of(three)
    assert senders.of(one) is first
    assert senders.of(two) is not second
