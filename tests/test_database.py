"""The database layer: guards that hold whatever the code above does."""

from __future__ import annotations

from datetime import datetime

import asyncpg
import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.context import Context
from msvs.models import CreditBalance, LedgerEntry, ListMember, Workspace
from tests import factories


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
