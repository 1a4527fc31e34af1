"""The database layer: guards that hold whatever the code above does."""

from __future__ import annotations

import asyncpg
import pytest

from msvs import database as db
from msvs.api.context import Context
from msvs.models import CreditBalance, LedgerEntry, ListMember, Workspace
from tests import factories


async def test_migrating_again_changes_nothing(database: str) -> None:
    assert await db.pending_migrations(database) == []


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
