"""Build an index on a table in use: writers go on while PostgreSQL builds it.

A plain CREATE INDEX keeps every writer of its table waiting until it is built: minutes, on a table of millions of rows.
A partitioned table has no CONCURRENTLY, so each partition gets its index by itself, and the parent's takes them in.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import asyncpg
from tortoise.migrations.operations import RunSQL
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state import State

LOCK_TIMEOUT = "20ms"
TRIES = 500
PAUSE_SECONDS = 0.2

CHILDREN = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = '{table}'::regclass ORDER BY 1"
IS_PARTITIONED = "SELECT relkind = 'p' AS found FROM pg_class WHERE oid = '{table}'::regclass"
# An index is broken that a CONCURRENTLY which ended early left behind.
IS_BROKEN = "SELECT NOT indisvalid AS found FROM pg_index WHERE indexrelid = to_regclass('{name}')"
IS_ATTACHED = "SELECT relispartition AS found FROM pg_class WHERE oid = '{name}'::regclass"


class CreateIndexConcurrently(RunSQL):
    """Creates an index while its table is in use. Its migration says `atomic = False`, and may be run again."""

    def __init__(self, name: str, table: str, definition: str, *, is_unique: bool = False) -> None:
        create = "CREATE UNIQUE INDEX" if is_unique else "CREATE INDEX"
        super().__init__(f"{create} CONCURRENTLY {name} ON {table} {definition}", f"DROP INDEX {name}")
        self.name, self.table, self.definition, self._create = name, table, definition, create

    async def database_forward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        """Build the index, of each partition where there are some."""
        if state_editor is None:
            return
        run = _Runner(state_editor)
        if not await run.ask(IS_PARTITIONED.format(table=self.table)):
            await self._build(run, self.name, self.table)
            return
        await run.briefly(f"{self._create} IF NOT EXISTS {self.name} ON ONLY {self.table} {self.definition}")
        # Partitions made from now on come with it.
        for child in await run.list(CHILDREN.format(table=self.table)):
            name = self.name_of(child)
            await self._build(run, name, child)
            if not await run.ask(IS_ATTACHED.format(name=name)):
                await run.briefly(f"ALTER INDEX {self.name} ATTACH PARTITION {name}")

    def name_of(self, child: str) -> str:
        """Return the name of a partition's own index: the partition's, and the rest of the parent's."""
        return f"{child}_{self.name.removeprefix(self.table + '_')}"

    async def _build(self, run: _Runner, name: str, table: str) -> None:
        if await run.ask(IS_BROKEN.format(name=name)):
            await run.one(f"DROP INDEX CONCURRENTLY {name}")
        await run.one(f"{self._create} CONCURRENTLY IF NOT EXISTS {name} ON {table} {self.definition}")


class _Runner:
    """Statements outside any transaction."""

    def __init__(self, editor: BaseSchemaEditor) -> None:
        self._client = editor.client

    async def one(self, sql: str) -> None:
        async with self._client.acquire_connection() as connection:
            await connection.execute(sql)

    async def list(self, sql: str) -> Sequence[str]:
        async with self._client.acquire_connection() as connection:
            return [row["name"] for row in await connection.fetch(sql)]

    async def ask(self, sql: str) -> bool:
        async with self._client.acquire_connection() as connection:
            return bool(await connection.fetchval(sql))

    async def briefly(self, sql: str) -> None:
        """Run a statement that others wait for: it waits for them but for a moment, and is tried again."""
        for attempt in range(1, TRIES + 1):
            try:
                # Several statements in one go are one transaction.
                await self.one(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; {sql}")
            except asyncpg.LockNotAvailableError:
                if attempt == TRIES:
                    raise
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                return


# What grows with traffic. An index on one of these is built by CreateIndexConcurrently.
LARGE = frozenset(
    [
        "messages",
        "message_attempts",
        "message_parts",
        "events",
        "webhook_deliveries",
        "webhook_attempts",
        "contacts",
        "list_members",
        "ledger_entries",
        "consent_events",
        "idempotency_records",
        "inbound_messages",
        "campaign_recipients",
        "campaign_tallies",
        "carrier_signals",
        "virtual_submissions",
        "virtual_signals",
        "prefix_usage",
        "suppressions",
    ]
)
_PLAIN = re.compile(
    r"CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY)(?:IF\s+NOT\s+EXISTS\s+)?\w*\s*\bON\s+(?:ONLY\s+)?\"?(\w+)", re.I
)


def find_blocking(sql: str) -> list[str]:
    """Return the large tables that a statement builds an index on while their writers wait."""
    return [table for table in _PLAIN.findall(sql) if table in LARGE]
