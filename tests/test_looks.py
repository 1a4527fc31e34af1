"""Looks: beside a snapshot that is held, full ones alone pass what was done, and nothing is left for good."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from msvs import database as db
from msvs import looks
from msvs.api.accounts import mail_outbox
from msvs.api.campaigns import lifecycle
from msvs.api.contacts import import_jobs
from msvs.api.context import Context
from msvs.api.credits import stripe_events
from msvs.api.dispatch import delivery_reports, expired_leases, picking, resending
from msvs.api.dispatch.lanes import Lane
from msvs.api.inbound import carrier_events
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import deliveries, status_callbacks
from msvs.looks import BEGINNING, ByKey, InOrder, Taking
from msvs.workers import imports, maintenance, reports, retention
from msvs.workers import status_callbacks as callbacks
from msvs.workers.webhooks import FIRST_AT_ONCE
from tests.owner import run_as_owner
from tests.plans import NEW_ID, make_messages, reading
from tests.receiver import make_endpoint
from tests.services import SERVICES
from tests.workers.test_plans import make_campaign

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
    delivery_reports.GivingUp,
    expired_leases.ExpiredLooks,
    lifecycle.ClearingPlaces,
    import_jobs.Forgetting,
    mail_outbox.MailLooks,
    maintenance.LeaseLooks,
    retention.RetentionLooks,
    stripe_events.BillingLooks,
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


def check(full: int, quick: int, most: int = MOST_BUFFERS) -> None:
    """A quick look touches a few pages, and a fraction of what a full one does."""
    assert quick < most
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
async def test_reports_that_were_taken_are_read_by_full_scans_only(
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


async def test_deliveries_that_were_made_are_read_by_full_scans_only(
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


async def test_callbacks_that_were_made_are_read_by_full_scans_only(
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
async def test_what_senders_have_sent_is_read_by_full_scans_only(
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


async def test_leases_that_ended_are_read_by_full_scans_only(
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


async def test_rows_that_appear_before_a_scan_position_are_found_by_the_next_full_scan(live_ctx: Context) -> None:
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


def resolvers() -> dict[str, Callable[[], Awaitable[object]]]:
    """What maintenance does about leases that ran out, each with looks of its own."""
    looks, carrier = expired_leases.ExpiredLooks(), "virtual"

    async def take_over() -> object:
        return await expired_leases.find_expired(carrier=carrier, limit=100, now=await db.now(), looks=looks)

    async def resend() -> object:
        return await resending.claim_doubtful(SERVICES, carrier=carrier, limit=100, now=await db.now())

    return {
        "take over": take_over,
        "await": lambda: expired_leases.await_reports(carrier=carrier, limit=100, looks=looks),
        "await gone": lambda: expired_leases.await_gone(["other"], limit=100, looks=looks),
        "resend": resend,
    }


@pytest.mark.parametrize("what", resolvers())
async def test_leases_that_were_resolved_are_read_by_full_scans_only(
    live_ctx: Context, snapshot: None, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    past = await db.now() - timedelta(hours=2)
    await make_messages(live_ctx, MANY, "sending", lease_until=past, carrier="virtual")
    await db.execute(
        "UPDATE messages SET lease_until = due_at, on_unknown = $1", "resend" if what == "resend" else "never"
    )
    await db.execute(
        "UPDATE messages SET status = 'sent', lease_until = NULL WHERE due_at <= (SELECT max(due_at) FROM messages)"
        f" - {LEFT} * interval '1 ms'"
    )
    await run_as_owner("ANALYZE messages")
    resolve = resolvers()[what]

    async def resolve_once() -> int:
        assert await resolve()
        changed = "SELECT count(*) FROM messages WHERE status = 'sending' AND lease_until IS DISTINCT FROM due_at"
        return int(await db.fetch_value(changed))

    full, quick = await looked(lambda: rolled_back(resolve_once), "lease_until <", monkeypatch)
    check(full, quick)


async def test_what_was_given_up_is_read_by_full_scans_only(
    live_ctx: Context, snapshot: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    giving_up = delivery_reports.GivingUp()
    for status, column, give_up in (
        ("sent", "sent_at", delivery_reports.give_up_reports),
        ("sending", "handed_at", delivery_reports.give_up_unresolved),
    ):
        await make_messages(live_ctx, MANY, status, carrier="virtual")
        await db.execute(f"UPDATE messages SET {column} = due_at - interval '80 hours' WHERE status = $1", status)
        await db.execute(
            f"UPDATE messages SET status = 'delivered' WHERE status = $1 AND {column} <= ("
            f"SELECT max({column}) FROM messages WHERE status = $1) - {LEFT} * interval '1 ms'",
            status,
        )
        await run_as_owner("ANALYZE messages")

        async def give_up_some(give_up: Callable[..., Awaitable[int]] = give_up) -> int:
            return await give_up(limit=100, now=await db.now(), looks=giving_up)

        full, quick = await looked(lambda: rolled_back(give_up_some), "FOR UPDATE SKIP LOCKED", monkeypatch)
        # With what is written.
        check(full, quick, 2 * MOST_BUFFERS)


async def test_what_retention_deleted_is_read_by_full_scans_only(
    live_ctx: Context, snapshot: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.execute(
        "INSERT INTO idempotency_records (id, workspace_id, livemode, key, fingerprint, status_code, body, created_at)"
        f" SELECT {NEW_ID}, $1, false, number::text, '', 200, '{{}}', now() - interval '2 days' + number"
        " * interval '1 ms' FROM generate_series(1, $2::int) AS number",
        live_ctx.workspace_id,
        MANY,
    )
    await db.execute(
        "INSERT INTO api_requests (id, workspace_id, livemode, api_key_id, request_id, method, path, status,"
        " elapsed_ms, created_at)"
        " SELECT id_floor(now() - interval '9 days' + number * interval '1 ms'), $1, false, $1, '', 'GET', '', 200, 1,"
        " now() FROM generate_series(1, $2::int) AS number",
        live_ctx.workspace_id,
        MANY,
    )
    await run_as_owner("ANALYZE idempotency_records, api_requests")
    monkeypatch.setattr(retention, "SECONDS", 60.0)
    for name in ("idempotency_records", "api_requests"):
        with reading(monkeypatch) as found:
            assert await retention.drop_rows(SERVICES, name, now=await db.now()) == MANY
        touched = [one.buffers for one in found.statements if "DELETE" in one.sql]
        assert len(touched) == MANY // retention.BATCH + 1
        # Each costs what the first does, and the last, which finds nothing, next to nothing.
        assert max(touched[1:-1]) < 1.5 * touched[0]
        assert touched[-1] < MOST_BUFFERS


async def test_all_that_retention_deletes_is_found_by_its_age(clean: None) -> None:
    values = (await db.now(), BEGINNING, 10)
    async with unit_of_work():
        await db.execute("SET LOCAL enable_seqscan = off")
        await db.execute("SET LOCAL enable_bitmapscan = off")
        for name, found in retention.RETENTION.items():
            rows = await db.fetch(f"EXPLAIN {retention.drop_statement(name)}", *values)
            plan = "\n".join(row[0] for row in rows)
            assert f"Index Cond: (({found.age} >= " in plan, (name, plan)
            assert f"Sort Key: {found.table}.{found.age}" not in plan, (name, plan)


INBOUND = {
    "virtual_signals": f"""
INSERT INTO virtual_signals (id, message_id, workspace_id, livemode, kind, phone, sender, text, due_at)
SELECT {NEW_ID}, {NEW_ID}, $1, true, 'inbound', '+1212' || (5000000 + number), 'COHORTLABS', 'Hi',
    now() - interval '1 hour' + number * interval '1 ms' FROM generate_series(1, $2::int) AS number
""",
    "carrier_signals": f"""
INSERT INTO carrier_signals (id, carrier, kind, dedupe_key, from_phone, to_sender, text, tries, received_at, due_at)
SELECT {NEW_ID}, 'smsc', 'inbound', number::text, '+1212' || (5000000 + number), 'COHORTLABS', 'Hi', 0, now(),
    now() - interval '1 hour' + number * interval '1 ms' FROM generate_series(1, $2::int) AS number
    WHERE $1::uuid IS NOT NULL
""",
}


@pytest.mark.parametrize("table", INBOUND)
async def test_replies_that_were_taken_in_are_read_by_full_scans_only(
    live_ctx: Context, snapshot: None, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    await db.execute(INBOUND[table], live_ctx.workspace_id, MANY)
    await db.execute(DONE[table])
    await run_as_owner(f"ANALYZE {table}")
    tries = reports.Tries()

    async def apply() -> int:
        before = await db.fetch_value(f"SELECT count(*) FROM {table}")
        take = reports._take_reply if table == "virtual_signals" else reports._apply_inbound
        assert await take(SERVICES, tries) == 1
        gone = before - await db.fetch_value(f"SELECT count(*) FROM {table} WHERE due_at < now()")
        return int(LEFT * gone)

    full, quick = await looked(lambda: rolled_back(apply), f"FROM {table} AS", monkeypatch)
    check(full, quick)


@pytest.mark.parametrize("kind", ["opt_out", "unread"])
async def test_what_carriers_told_is_read_by_full_scans_only(
    live_ctx: Context, snapshot: None, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    await db.execute(CARRIER, await db.now(), MANY)
    await db.execute("UPDATE carrier_signals SET kind = $1", kind)
    await db.execute(DONE["carrier_signals"])
    await run_as_owner("ANALYZE carrier_signals")
    take = reports._take_opt_outs if kind == "opt_out" else reports._forget_unread
    work = lambda: rolled_back(lambda: take(SERVICES, 100))  # noqa: E731
    full, quick = await looked(work, "SELECT * FROM carrier_signals", monkeypatch)
    check(full, quick)


async def test_what_was_cleared_of_a_canceled_campaign_is_read_by_full_scans_only(
    live_ctx: Context, snapshot: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign_id, other_id = await make_campaign(live_ctx, "canceled"), await make_campaign(live_ctx, "canceled")
    await db.execute("UPDATE campaigns SET canceled_at = now()")
    await make_messages(live_ctx, MANY, "queued", campaign_id=campaign_id)
    await make_messages(live_ctx, MANY, "queued", campaign_id=other_id)
    await db.execute(
        "INSERT INTO campaign_recipients (campaign_id, phone, contact_id) SELECT $1, '+1212' || (5000000 + number),"
        " gen_random_uuid() FROM generate_series(1, $2::int) AS number",
        campaign_id,
        MANY,
    )
    await db.execute(DONE["messages"] + f" AND campaign_id = '{campaign_id}'")
    await db.execute("UPDATE messages SET status = 'sent' WHERE campaign_id = $1", other_id)
    await db.execute(f"DELETE FROM campaign_recipients WHERE phone <= '+1212{5_000_000 + MANY - LEFT}'")
    await run_as_owner("ANALYZE messages, campaign_recipients")

    async def has_work() -> None:
        assert await lifecycle.has_work(SERVICES, await db.now())

    full, quick = await looked(has_work, "FROM campaigns\nLEFT JOIN", monkeypatch)
    check(full, quick)

    async def clear() -> int:
        ctx = Context(live_ctx.workspace_id, True, services=SERVICES)
        assert [id for id, _ in await lifecycle.canceled_campaigns(SERVICES, await db.now())] == [campaign_id]
        return (await lifecycle.clear_canceled(campaign_id, ctx, limit=100, now=await db.now())).number

    with reading(monkeypatch) as found:
        await rolled_back(clear)
    assert max(one.buffers for one in found.statements if "campaign_id = $" in one.sql) < 2 * MOST_BUFFERS
    # What a worker gives back after all is found by the next full look.
    await db.execute("UPDATE messages SET status = 'queued' WHERE campaign_id = $1", other_id)
    places = SERVICES.keep(lifecycle.ClearingPlaces)
    assert len(await lifecycle.canceled_campaigns(SERVICES, await db.now())) == 1
    places.pace.next_full = 0.0
    assert len(await lifecycle.canceled_campaigns(SERVICES, await db.now())) == 2


WAITING = {
    "mails": "INSERT INTO mails (id, kind, recipient, language, data, state, attempt_count, next_attempt_at,"
    " created_at)"
    f" SELECT {NEW_ID}, 'confirm_email', 'ada@cohortlabs.example', 'en', '{{}}', 'pending', 0, due, now() FROM times",
    "stripe_events": "INSERT INTO stripe_events (id, type, object_id, state, attempt_count, next_attempt_at,"
    " created_at, received_at) SELECT 'evt_' || number, 'refund.created', '', 'pending', 0, due, now(), now()"
    " FROM times",
    "purchases": "INSERT INTO purchases (id, workspace_id, actor, status, pack, label, credits, amount, currency,"
    " takes_money, refunded_amount, disputed_amount, returned_credits, version, check_at, created_at)"
    f" SELECT {NEW_ID}, {NEW_ID}, '', 'open', '', '', 1, 1, 'usd', false, 0, 0, 0, 0, due, now() FROM times",
}
TIMES = (
    "WITH times AS (SELECT number, now() - interval '1 hour' + number * interval '1 ms' AS due"
    f" FROM generate_series(1, {MANY}) AS number) "
)
SETTLED = {
    "mails": "UPDATE mails SET state = 'sent' WHERE next_attempt_at <= (SELECT max(next_attempt_at) FROM mails)",
    "stripe_events": "UPDATE stripe_events SET state = 'done' WHERE next_attempt_at <= ("
    "SELECT max(next_attempt_at) FROM stripe_events)",
    "purchases": "UPDATE purchases SET check_at = NULL WHERE check_at <= (SELECT max(check_at) FROM purchases)",
}


@pytest.mark.parametrize("table", WAITING)
async def test_mail_and_purchases_that_were_settled_are_read_by_full_scans_only(
    clean: None, snapshot: None, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    await db.execute(TIMES + WAITING[table])
    await db.execute(f"{SETTLED[table]} - {LEFT} * interval '1 ms'")
    await run_as_owner(f"ANALYZE {table}")
    find_due = mail_outbox.has_due if table == "mails" else stripe_events.has_due

    async def is_due() -> None:
        assert await find_due(SERVICES, await db.now())

    full, quick = await looked(is_due, f"FROM {table}", monkeypatch)
    check(full, quick)


async def test_rows_of_imports_that_were_deleted_are_passed(
    live_ctx: Context, snapshot: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SECONDS", 60.0)
    reading_id = UUID(int=5)
    ended = f"""
INSERT INTO contact_imports (id, workspace_id, livemode, status, actor, file_name, file_size, columns, mapping, options,
    counts, rows_read, rows_done, is_read, reading_id, old_readings, created_at, updated_at, started_at, ended_at)
SELECT {NEW_ID}, $1, true, 'completed', '', '', 0, '[]', '{{}}', '{{}}', '{{}}', 0, 0, true,
    CASE WHEN number = 1 THEN $3::uuid END, '[]', now(), now(), now(), now() - interval '8 days'
FROM generate_series(1, $2::int) AS number
"""
    await db.execute(ended, live_ctx.workspace_id, MANY, reading_id)
    await db.execute(
        "INSERT INTO import_rows (reading_id, number, line, status, attributes, consent)"
        " SELECT $1, number, number, 'staged', '{}', 0 FROM generate_series(1, $2::int) AS number",
        reading_id,
        MANY,
    )
    await run_as_owner("ANALYZE contact_imports, import_rows")
    with reading(monkeypatch) as found:
        assert not await imports.has_due(SERVICES, await db.now())
        # One reading retired, its rows, and the note of it.
        assert await retention.forget_imports(SERVICES, await db.now()) == MANY + 2
    # None of the imports that ended is read again and again.
    found.check(2 * import_jobs.FORGET_BATCH + 10)
    assert max(one.rows for one in found.statements if "import_rows" not in one.sql) <= 2
    touched = [one.buffers for one in found.statements if "DELETE FROM import_rows" in one.sql]
    assert len(touched) == MANY // import_jobs.FORGET_BATCH + 1
    assert max(touched[1:-1]) < 1.5 * touched[0]
    assert touched[-1] < MOST_BUFFERS
    assert await db.fetch_value("SELECT count(*) FROM import_rows") == 0


async def test_rows_that_a_claim_left_are_found_by_the_next_full_scan() -> None:
    taking, since = Taking(), []
    left = [BEGINNING + timedelta(days=number) for number in range(1, 6)]

    async def take(begin: datetime) -> list[datetime]:
        since.append(begin)
        taken = [each for each in left if each >= begin][:2]
        left[:] = [each for each in left if each not in taken]
        return taken

    assert [await taking.take(take) for _ in range(4)] == [2, 2, 1, 0]
    left.append(BEGINNING + timedelta(hours=1))
    assert await taking.take(take) == 0
    assert since == sorted(since)
    taking.pace.next_full = 0.0
    assert (await taking.take(take), since[-1]) == (1, BEGINNING)
