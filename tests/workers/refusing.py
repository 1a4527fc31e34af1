"""A PostgreSQL that refuses to write some rows, as it does where an older release left what a newer one forbids."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.owner import run_as_owner


@asynccontextmanager
async def refused(table: str, condition: str, *, on: str = "UPDATE") -> AsyncIterator[None]:
    """Within the block an UPDATE, or an INSERT, of rows that meet a condition fails."""
    await run_as_owner(
        f"CREATE TRIGGER refused BEFORE {on} ON {table} FOR EACH ROW WHEN ({condition})"
        " EXECUTE FUNCTION refuse_change()"
    )
    try:
        yield
    finally:
        await run_as_owner(f"DROP TRIGGER refused ON {table}")
