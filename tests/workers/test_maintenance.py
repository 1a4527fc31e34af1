"""Maintenance: partitions of months that came unawares, what retention must leave alone, chores that break alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from msvs import database as db
from msvs.api.context import Context
from msvs.api.dispatch import campaign_stats
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.virtual import VirtualCarrier
from msvs.looks import BEGINNING
from msvs.models import Message, MessageStatus, Workspace
from msvs.models.identity import new_id
from msvs.settings import Settings
from msvs.workers import partitions, retention
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.maintenance import maintain
from msvs.workers.partitions import Upkeep, roll_partitions
from tests import factories
from tests.owner import Owner, as_owner, run_as_owner
from tests.services import SERVICES
from tests.workers.refusing import refused
from tests.workers.test_campaigns import check_conservation, create, people
from tests.workers.test_dispatch import send

CARRIERS = {"virtual": VirtualCarrier()}


async def month(months: int) -> datetime:
    """The first of a month, so many from now."""
    moment: datetime = await db.fetch_value(
        "SELECT date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => $1)", months
    )
    return moment.replace(tzinfo=(await db.now()).tzinfo)


async def id_in(moment: datetime) -> UUID:
    """A new id of another time."""
    floor: UUID = await db.fetch_value("SELECT id_floor($1::timestamptz)", moment + timedelta(days=3))
    return UUID(int=floor.int | (new_id().int & ((1 << 80) - 1)))


async def write_message(ctx: Context, at: datetime, **values: Any) -> UUID:
    id = await id_in(at)
    await Message.create(
        id=id,
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        kind="campaign" if "campaign_id" in values else "api",
        to_phone=factories.next_phone(),
        sender="COHORTLABS",
        body="Hi",
        encoding="gsm7",
        segments=1,
        **{"status": MessageStatus.QUEUED, "due_at": await db.now() + timedelta(days=1), **values},
    )
    return id


def by_owner() -> Settings:
    """Settings of the worker that keeps the partitions: only the owner of the tables may."""
    return Settings(migrations_database_url=Owner.url)


async def home(table: str, id: UUID) -> str:
    """The partition that a row is in."""
    return str(await db.fetch_value(f"SELECT tableoid::regclass::text FROM {table} WHERE id = $1", id))


async def test_a_month_whose_rows_came_first_gets_its_partition_and_them(ctx: Context) -> None:
    """Nothing ran for months; the API was quicker than maintenance when it was started again."""
    last = await month(2)
    tables = ("messages", "events")
    for table in tables:
        await run_as_owner(f"DROP TABLE {table}_{last:%Y_%m}")
    campaign_id = await create(ctx, await people(ctx, 1))
    message_id = await write_message(ctx, last, campaign_id=campaign_id)
    await db.execute(
        "INSERT INTO events (id, workspace_id, livemode, type, resource_id, data, created_at)"
        " VALUES ($1, $2, false, 'message.queued', $1, '{}', now())",
        event_id := await id_in(last),
        ctx.workspace_id,
    )
    older = await write_message(ctx, await month(-2))
    assert {await home("messages", message_id), await home("messages", older)} == {"messages_default"}
    assert await roll_partitions(by_owner()) == 2
    assert await home("messages", message_id) == f"messages_{last:%Y_%m}"
    assert await home("events", event_id) == f"events_{last:%Y_%m}"
    assert await home("messages", older) == "messages_default"
    rows = await db.fetch("SELECT status, messages FROM campaign_tallies WHERE campaign_id = $1", campaign_id)
    assert [(row.status, row.messages) for row in rows] == [("queued", 1)]
    # It has the indexes and the storage of any other.
    shapes = await db.fetch(
        "SELECT reloptions, (SELECT count(*) FROM pg_index WHERE indrelid = pg_class.oid) AS indexes FROM pg_class"
        " WHERE relname = ANY($1)",
        [f"messages_{await month(ahead):%Y_%m}" for ahead in range(3)],
    )
    assert len({(tuple(row.reloptions), row.indexes) for row in shapes}) == 1
    assert await roll_partitions(by_owner()) == 0


async def test_a_message_that_is_yet_to_be_sent_outlives_its_months_keeping(ctx: Context) -> None:
    old = await month(-11)
    await run_as_owner("SELECT ensure_partition('messages', 'fillfactor = 80', $1)", old)
    message_id = await write_message(ctx, old, status=MessageStatus.SCHEDULED)
    settings = replace(by_owner(), message_months=1)
    assert await roll_partitions(settings) == 0
    assert (await Message.get(id=message_id)).status == MessageStatus.SCHEDULED
    await db.execute("UPDATE messages SET status = 'canceled' WHERE id = $1", message_id)
    assert await roll_partitions(settings) == 1
    assert not await Message.exists(id=message_id)


@asynccontextmanager
async def holding(sql: str) -> AsyncIterator[None]:
    """A transaction, somewhere else, that ran a statement and goes on."""
    held, done = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with unit_of_work():
            await db.fetch(sql)
            held.set()
            await done.wait()

    working = asyncio.create_task(hold())
    await held.wait()
    try:
        yield
    finally:
        done.set()
        await working


def in_use(table: str) -> AbstractAsyncContextManager[None]:
    """A long transaction that reads a table, as a dump does."""
    return holding(f"SELECT FROM {table} LIMIT 1")


async def test_upkeep_asks_for_no_table_that_is_used_for_long(clean: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that waits for an exclusive table lock makes all others wait behind it."""
    last = await month(2)
    await run_as_owner(f"DROP TABLE events_{last:%Y_%m}")
    await run_as_owner("SELECT ensure_partition('message_attempts', 'fillfactor = 90', $1)", await month(-11))
    statements = note_statements(monkeypatch)
    upkeep = Upkeep()
    async with in_use("events"), in_use("message_attempts"):
        assert await roll_partitions(by_owner(), upkeep) == 0
        # Having looked, it leaves them alone for a while.
        assert upkeep.not_before > await db.now()
        statements.clear()
        assert await roll_partitions(by_owner(), upkeep) == 0
        assert not [sql for sql in statements if "pg_locks" in sql]
        await roll_partitions(by_owner())
    assert not [sql for sql in statements if "LOCK" in sql or "TABLE" in sql]
    assert await roll_partitions(by_owner(), upkeep) == 0
    assert await roll_partitions(by_owner(), Upkeep()) == 2
    assert await roll_partitions(by_owner()) == 0


def note_statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What partitions' upkeep asks PostgreSQL from now on."""
    noted: list[str] = []
    for name in ("execute", "fetch", "fetch_value"):
        ask = getattr(partitions, name)

        async def note(sql: str, *values: Any, ask: Any = ask) -> Any:
            noted.append(sql)
            return await ask(sql, *values)

        monkeypatch.setattr(partitions, name, note)
    return noted


async def test_a_partition_is_made_while_traffic_uses_the_months_before(ctx: Context) -> None:
    """A reader or writer of this month, however long, is no reason to wait: only the default partition is locked."""
    last, this = await month(2), await month(0)
    await run_as_owner(f"DROP TABLE messages_{last:%Y_%m}")
    message_id = await write_message(ctx, await month(-2))
    assert await home("messages", message_id) == "messages_default"
    async with in_use(f"messages_{this:%Y_%m}"):
        assert await roll_partitions(by_owner()) == 1
    # What kept ATTACH from reading the default partition's rows is gone with it.
    checks = await db.fetch_value(
        "SELECT count(*) FROM pg_constraint WHERE conrelid = 'messages_default'::regclass AND contype = 'c'"
    )
    assert checks == 0
    assert await home("messages", await write_message(ctx, last)) == f"messages_{last:%Y_%m}"


async def test_a_stopped_process_loses_its_table_lock_after_a_second(clean: None) -> None:
    look = "CREATE TABLE seen AS SELECT current_setting('idle_in_transaction_session_timeout') AS stuck"
    try:
        async with as_owner():
            await partitions._run([look], {})
        assert await db.fetch_value("SELECT stuck FROM seen") == "1s"
    finally:
        await run_as_owner("DROP TABLE seen")
    assert await db.fetch_value("SELECT current_setting('idle_in_transaction_session_timeout')") == "10s"


async def test_a_new_partition_is_attached_without_reading_the_default_one(ctx: Context) -> None:
    """It may hold millions of rows of months that never had a partition."""
    last = await month(2)
    await run_as_owner(f"DROP TABLE messages_{last:%Y_%m}")
    await write_message(ctx, await month(-2))
    step = partitions.Step("messages", f"messages_{last:%Y_%m}", (last, await month(3)))
    names = await partitions._names(step, last, await month(3))
    attach = (partitions.CREATE_CHILD, partitions.ATTACH_CHILD, partitions.INCLUDE)
    async with as_owner(), unit_of_work():
        for statement in (partitions.EXCLUDE, partitions.VALIDATE):
            await db.execute(statement.format(**names))
    assert await rows_read("messages_default", [statement.format(**names) for statement in attach]) == 0
    await run_as_owner(f"DROP TABLE messages_{last:%Y_%m}")
    assert await rows_read("messages_default", [statement.format(**names) for statement in attach]) == 1


async def rows_read(table: str, statements: Sequence[str]) -> int:
    """How many rows of a table these statements read in a transaction."""
    read = "SELECT pg_stat_get_xact_tuples_returned($1::regclass)"
    async with as_owner(), unit_of_work():
        before = await db.fetch_value(read, table)
        for statement in statements:
            await db.execute(statement)
        return int(await db.fetch_value(read, table) - before)


async def test_a_chore_that_breaks_holds_up_no_other(ctx: Context) -> None:
    campaign_id = await create(ctx, [])
    await db.execute("UPDATE campaigns SET status = 'sending'")
    await send(ctx)
    await dispatch_messages(SERVICES, CARRIERS)
    await db.execute("UPDATE messages SET sent_at = now() - interval '73 hours'")
    async with refused("campaigns", "NEW.status = 'completed'"):
        with pytest.raises(asyncpg.RaiseError):
            await maintain(SERVICES, CARRIERS)
    assert await Message.filter(delivery="unknown").count() == 1
    done: Mapping[str, int] = await maintain(SERVICES, CARRIERS)
    assert done["completed"] == 1
    await check_conservation(ctx, campaign_id)


async def test_retention_reads_no_delivery_that_it_keeps(clean: None) -> None:
    """There are millions of them, and it looks twice a second while campaigns run."""
    await db.execute(
        "INSERT INTO webhook_deliveries (id, endpoint_id, event_id, state, attempt_count, next_attempt_at, created_at)"
        " SELECT gen_random_uuid(), gen_random_uuid(), id_floor(at), 'succeeded', 1, at, at"
        " FROM (SELECT now() - n * interval '10 minutes' AS at FROM generate_series(1, 5000) AS n) AS moments"
    )
    await run_as_owner("ANALYZE webhook_deliveries")
    statement = retention.drop_statement("webhook_deliveries")
    async with unit_of_work():
        until = await db.now() - timedelta(days=30)
        plan = await db.fetch_value(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", until, BEGINNING, 1000)
    read = [int(number) for number in re.findall(r'"Rows Removed by Filter": ([0-9]+)', plan)]
    assert sum(read) == 0
    kept = await db.fetch_row(
        "SELECT count(*) AS n, min(created_at) > now() - interval '30 days' AS young FROM webhook_deliveries"
    )
    assert kept is not None
    assert (kept.n, kept.young) == (30 * 24 * 6 - 1, True)
    await db.execute("DELETE FROM webhook_deliveries")
    await run_as_owner("ANALYZE webhook_deliveries")


async def test_retention_drops_all_that_is_past_its_keeping_in_one_run(workspace: Workspace) -> None:
    """However many there are: at 5,000 a run it fell behind a few hundred requests a second."""
    await db.execute(
        "INSERT INTO idempotency_records (id, workspace_id, livemode, key, fingerprint, status_code, body, created_at)"
        " SELECT gen_random_uuid(), $1, false, n::text, '', 200, '{}', now() - n * interval '20 seconds'"
        " FROM generate_series(1, 12000) AS n",
        workspace.id,
    )
    # A row that a request is writing is left alone, and nobody waits for it.
    async with holding("SELECT FROM idempotency_records WHERE key = '9000' FOR UPDATE"):
        dropped = await retention.drop_expired(SERVICES)
    assert dropped == 12000 - (24 * 180 - 1) - 1
    kept = {row.key for row in await db.fetch("SELECT key FROM idempotency_records")}
    assert kept == {str(n) for n in range(1, 24 * 180)} | {"9000"}


async def test_folding_reads_no_campaign_that_did_not_change(clean: None) -> None:
    await db.execute(
        "INSERT INTO campaign_tallies (campaign_id, status, messages, credits)"
        " SELECT md5((n / 5)::text)::uuid, 'delivered', 1, 1 FROM generate_series(1, 40000) AS n"
    )
    changed = [await db.fetch_value("SELECT md5($1::text)::uuid", name) for name in ("changed", "a little")]
    for campaign_id, deltas in zip(changed, (6000, 50), strict=True):
        await db.execute(
            "INSERT INTO campaign_tallies (campaign_id, status, messages, credits)"
            " SELECT $1, CASE WHEN n % 2 = 0 THEN 'sent' ELSE 'queued' END, n, 1 FROM generate_series(1, $2) AS n",
            campaign_id,
            deltas,
        )
    await run_as_owner("ANALYZE campaign_tallies")
    plan = await db.fetch_value(f"EXPLAIN (ANALYZE, FORMAT JSON) {campaign_stats.FIND_UNFOLDED}", 50, 5000)
    assert max(float(number) for number in re.findall(r'"Actual Rows": ([0-9.]+)', plan)) <= 5000
    assert '"Seq Scan"' not in plan
    sums = "SELECT campaign_id, status, sum(messages), sum(credits) FROM campaign_tallies GROUP BY 1, 2"
    before = {tuple(row) for row in await db.fetch(sums)}
    assert [await campaign_stats.fold_tallies() for _ in range(3)] == [1, 1, 0]
    assert {tuple(row) for row in await db.fetch(sums)} == before
    count = "SELECT count(*) FROM campaign_tallies WHERE campaign_id = $1"
    assert [await db.fetch_value(count, campaign_id) for campaign_id in changed] == [2, 50]
    await db.execute("DELETE FROM campaign_tallies")
    await run_as_owner("ANALYZE campaign_tallies")
