"""A database of the release before, with rows in it, is brought up to date, and its writers go on meanwhile."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from uuid import uuid4

import asyncpg

from msvs.api import consent_chain
from tests.conftest import CONSENT_SECRET
from tests.engines import Engines, create_database
from tests.test_cli import Done, environment, msvs

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


# The opt-out of a phone, and an opt-in by what was known before, as the release before took it.
UNDONE = """
INSERT INTO consent_events (id, workspace_id, livemode, phone, phone_hash, status, source, details_hash, actor,
    created_at)
VALUES ($1, $2, true, $3, $4, $5, $6, $7, $8, now())
"""
VERIFY = "SELECT hash = consent_hash(consent_events) FROM consent_events ORDER BY sequence"


async def test_an_opt_out_that_was_undone_is_put_back_by_the_upgrade(engines: Engines, tmp_path: Path) -> None:
    url = await create_database(engines.database_url, "undone")
    await migrate(url, "0007_signal_indexes")
    consent_chain.use_consent_secret(CONSENT_SECRET)
    workspace_id = uuid4()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(ROWS[0], workspace_id)
        phone = "+12125550100"
        hash = consent_chain.hash_phone(workspace_id, True, phone)
        for status, source, actor in (("opted_out", "keyword", "system"), ("opted_in", "checkout", "key_1")):
            id = uuid4()
            details = consent_chain.hash_details(id, None, None, None)
            await connection.execute(UNDONE, id, workspace_id, phone, hash, status, source, details, actor)
        await connection.execute(ROWS[1].replace("opted_out", "opted_in"), workspace_id)

        env = environment(tmp_path, DATABASE_URL=url, MSVS_SECRET_KEY=CONSENT_SECRET)
        done = await msvs("migrate", env=env)

        assert (done.status, done.err) == (0, "")
        assert done.out.startswith("Applied 0008_")
        assert done.out.endswith("whose opt-out had been undone without newer evidence: 1.\n")
        assert await connection.fetchval("SELECT opt_in_status FROM contacts") == "opted_out"
        assert await connection.fetchval("SELECT phone FROM suppressions") == phone
        assert [row[0] for row in await connection.fetch(VERIFY)] == [True] * 3
        assert await connection.fetchval("SELECT changed_count FROM repairs") == 1
        assert (await msvs("consent", "verify", env=env)).status == 0
        assert await msvs("migrate", env=env) == Done(0, "The schema is up to date.\n", "")
    finally:
        await connection.close()
