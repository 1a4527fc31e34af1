"""The database layer: guards that hold whatever the code above does."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from msvs import database as db
from msvs.api import campaigns, erasure, ids, running
from msvs.api.campaigns import CreateCampaign
from msvs.api.context import Context
from msvs.api.unit_of_work import unit_of_work
from msvs.models import CreditBalance, LedgerEntry, ListMember, Workspace
from tests import factories
from tests.engines import Engines, create_database


async def test_migrating_again_changes_nothing(database: str) -> None:
    assert await db.pending_migrations(database) == []


async def test_the_migrations_say_what_the_models_say() -> None:
    assert await db.model_changes() == []


async def test_partitions_are_made_ahead_and_dropped_behind(clean: None) -> None:
    async def partitions() -> list[str]:
        rows = await db.fetch(
            "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'events'::regclass ORDER BY 1"
        )
        return [row.name for row in rows]

    before = await partitions()
    assert len(before) == 4
    assert await db.fetch_value("SELECT ensure_partitions()") == 0
    await db.execute("SELECT ensure_partition('events', 'fillfactor = 100', timestamptz '2020-03-31 23:00Z')")
    assert "events_2020_03" in await partitions()
    assert await db.fetch_value("SELECT drop_partitions('events', 12)") == 1
    assert await partitions() == before


@pytest.mark.parametrize("moment", ["2026-11-01 00:00:00Z", "2026-11-30 23:59:59.999Z"])
async def test_ids_of_a_month_lie_between_its_floors(database: str, moment: str) -> None:
    row = await db.fetch_row(
        "SELECT id_floor($1::timestamptz) AS id, id_floor('2026-11-01Z') AS first, id_floor('2026-12-01Z') AS last",
        datetime.fromisoformat(moment),
    )
    assert row is not None
    assert row.first <= row.id < row.last
    assert ids.id_time(row.id) == datetime.fromisoformat(moment)


async def test_a_balance_cannot_become_negative(workspace: Workspace) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await db.execute("UPDATE credit_balances SET balance = -1 WHERE workspace_id = $1", workspace.id)
    assert (await CreditBalance.get(workspace_id=workspace.id)).balance == 10_000


@pytest.mark.parametrize("statement", ["UPDATE ledger_entries SET amount = 1", "DELETE FROM ledger_entries"])
async def test_the_ledger_is_append_only(workspace: Workspace, statement: str) -> None:
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await db.execute(statement)
    assert await LedgerEntry.all().count() == 1


async def test_a_list_counts_its_members(ctx: Context) -> None:
    contacts = [await factories.make_contact(ctx) for _ in range(3)]
    row = await factories.make_list(ctx, contacts)
    assert row.contact_count == 3
    await ListMember.filter(list_id=row.id, contact_id=contacts[0].id).delete()
    await row.refresh_from_db()
    assert row.contact_count == 2


async def test_a_statement_may_have_a_time_of_its_own(database: str) -> None:
    for run in (db.fetch, db.fetch_row, db.execute):
        with pytest.raises(TimeoutError):
            await run("SELECT pg_sleep(5)", timeout=0.01)
    assert await db.fetch_value("SELECT 1") == 1


MIGRATE = """
import asyncio, sys
from msvs import database
database.STATEMENT_SECONDS = 0.05
asyncio.run(database.migrate(sys.argv[1]))
"""


async def test_migrations_may_take_longer_than_other_statements(engines: Engines, database: str) -> None:
    """A process that waits for another's migration of a large table, for longer than statements may take."""
    url = await create_database(engines.database_url, "msvs_slow")
    other = await asyncpg.connect(url)
    await other.execute("SELECT pg_advisory_lock($1)", db.MIGRATION_LOCK)
    migrating = await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATE, url)
    try:
        asks = (
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%try_advisory%')"
        )
        while not await other.fetchval(asks):
            assert migrating.returncode is None
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
    finally:
        await other.close()
    assert await migrating.wait() == 0


async def test_what_goes_through_whole_tables_may_take_longer(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: dict[str, float | None] = {}

    def note(method: str) -> None:
        run = getattr(asyncpg.Connection, method)

        async def noted(self: Any, query: str, *values: Any, timeout: float | None = None, **options: Any) -> Any:
            allowed[query] = max(allowed.get(query) or 0, timeout or 0)
            return await run(self, query, *values, timeout=timeout, **options)

        monkeypatch.setattr(asyncpg.Connection, method, noted)

    note("fetch")
    note("execute")
    contact = await factories.make_contact(ctx)
    async with unit_of_work():
        campaign = await campaigns.create_campaign(ctx, CreateCampaign("Large", "Hi", contact_ids=[contact.id]))
        await running.start_campaign(campaign.id, await db.now())
    async with unit_of_work():
        await erasure.erase_contact(ctx, contact.id)
    long = {query for query, seconds in allowed.items() if (seconds or 0) >= 600}
    assert {query for query in long if "INSERT INTO campaign_recipients" in query}
    reads = {
        value
        for name, value in vars(erasure).items()
        if name in ("FIND_MESSAGES", "FIND_EVENTS", "FIND_ATTEMPTS", "FIND_SUBMISSIONS")
    }
    assert reads <= long
