"""A database of the release before, with rows in it, is brought up to date, and its writers go on meanwhile."""

from __future__ import annotations

import asyncio
import sys
from uuid import uuid4

import asyncpg

from tests.engines import Engines, create_database

# What the release before knows, and rows as it writes them.
RELEASED = "0004_inbox_and_drafts"
ROWS = (
    "INSERT INTO workspaces (id, name, default_sender, double_opt_in, campaigns_admit_unknown, blocked_regions,"
    " timezone, quiet_hours, opt_in_text, opt_out_text, welcome_text, help_text, created_at)"
    " VALUES ($1, 'Cohort Labs', 'COHORT', false, false, '[]', 'UTC', false, '', '', '', '', now())",
    "INSERT INTO contacts (id, workspace_id, livemode, phone, number_kind, attributes, opt_in_status, created_at,"
    " updated_at) VALUES (gen_random_uuid(), $1, true, '+12125550100', 'mobile', '{}', 'opted_out', now(), now())",
    "INSERT INTO consent_events (id, workspace_id, livemode, phone, status, actor, created_at)"
    " VALUES (gen_random_uuid(), $1, true, '+12125550100', 'opted_in', 'api', now() - interval '1 day')",
    "INSERT INTO suppressions (id, workspace_id, livemode, phone, source, created_at)"
    " VALUES (gen_random_uuid(), $1, true, '+12125550100', 'keyword', now())",
    "INSERT INTO inbound_messages (id, workspace_id, livemode, from_phone, to_sender, body, dedupe_key, received_at)"
    " VALUES (gen_random_uuid(), $1, true, '+12125550100', 'COHORT', 'STOP', '1', now())",
)
TABLES = ("workspaces", "contacts", "consent_events", "suppressions", "inbound_messages")


async def counts(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    try:
        return {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES}
    finally:
        await connection.close()


async def write(url: str) -> None:
    connection = await asyncpg.connect(url)
    workspace_id = uuid4()
    try:
        for statement in ROWS:
            await connection.execute(statement, workspace_id)
    finally:
        await connection.close()


# In a process of its own: this one is connected to another database.
MIGRATE = """
import asyncio, sys
from tortoise.migrations.executor import MigrationTarget
from msvs import database

async def migrate(url, *names):
    async with database.connected(url, pool_size=3):
        executor = database._executor(url)
        await executor.migrate([MigrationTarget("msvs", name) for name in names] or None)
        print(await database.pending_migrations(url))

asyncio.run(migrate(*sys.argv[1:]))
"""


async def migrate(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MIGRATE, *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().strip()


async def test_rows_of_the_release_before_are_kept_and_its_writers_go_on(engines: Engines) -> None:
    url = await create_database(engines.database_url, "upgraded")
    assert "0005" in await migrate(url, RELEASED)
    await write(url)
    assert await migrate(url) == "[]"
    # The processes of the release before are still running.
    await write(url)
    assert await counts(url) == dict.fromkeys(TABLES, 2)
