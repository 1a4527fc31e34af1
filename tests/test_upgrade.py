"""A database of the release before, with rows in it, is brought up to date, and its writers go on meanwhile."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from chaos.upgrade import PROVES_NOTHING, ROOT, NoHistoryError, Upgrade, second_newest_migration
from tests.engines import Engines, create_database
from tests.services import CONSENT_SECRET, SERVICES
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
    SERVICES.keyring.hash_with(CONSENT_SECRET)
    workspace_id = uuid4()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(ROWS[0], workspace_id)
        phone = "+12125550100"
        hash = SERVICES.keyring.hash_phone(workspace_id, True, phone)
        for status, source, actor in (("opted_out", "keyword", "system"), ("opted_in", "checkout", "key_1")):
            id = uuid4()
            details = SERVICES.keyring.hash_details(id, None, None, None)
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


# Workspaces with their default senders, in the order in which they were made, and who owns what.
TENANTS = {
    "Another": "COHORTLABS",
    "Cohort Labs": "COHORTLABS",
    "Lookalike": "C0HORTLABS",
    "Thief": "+442071838750",
    "Owner": "+442071838750",
    "Nobody": "+442071838751",
    "Pretender": "MASSlVESMS",
    "Carried": "+442071838752",
    "First": "DOORS",
    "Second": "D00RS",
}
BEFORE_OWNERS = (
    "INSERT INTO senders (id, workspace_id, value, kind, regions, created_at)"
    " SELECT gen_random_uuid(), id, '+442071838750', 'long_code', '[]', now() FROM workspaces WHERE name = 'Owner'",
    # Cohort Labs sent from its name before another had it for its default; a real carrier took the number.
    "INSERT INTO messages (id, workspace_id, livemode, kind, to_phone, sender, body, encoding, segments, credits_used,"
    " status, metadata, due_at, created_at, sent_at, opted_out, attempt_count, carrier)"
    " SELECT gen_random_uuid(), id, true, 'api', '+12125550100', default_sender, 'Hi', 'gsm7', 1, 1, 'sent', '{}',"
    " now(), now(), now(), false, 1, CASE name WHEN 'Nobody' THEN 'virtual' ELSE 'main' END FROM workspaces"
    " WHERE name IN ('Cohort Labs', 'Nobody', 'Carried', 'Thief')",
)
SETTLED = {
    "Another": "MASSIVESMS",
    "Cohort Labs": "COHORTLABS",
    "Lookalike": "MASSIVESMS",
    "Thief": "MASSIVESMS",
    "Owner": "+442071838750",
    "Nobody": "MASSIVESMS",
    "Pretender": "MASSIVESMS",
    "Carried": "+442071838752",
    "First": "DOORS",
    "Second": "MASSIVESMS",
}


async def test_defaults_that_belong_to_others_are_reset_and_reported(engines: Engines) -> None:
    url = await create_database(engines.database_url, "settled")
    await migrate(url, "0007_signal_indexes")
    connection = await asyncpg.connect(url)
    try:
        for minutes, (name, sender) in enumerate(TENANTS.items()):
            await connection.execute(
                "INSERT INTO workspaces (id, name, default_sender, double_opt_in, campaigns_admit_unknown,"
                " blocked_regions, timezone, quiet_hours, opt_in_text, opt_out_text, welcome_text, help_text,"
                " created_at) VALUES ($1, $2, $3, false, false, '[]', 'UTC', false, '', '', '', '',"
                " now() + $4 * interval '1 minute')",
                uuid4(),
                name,
                sender,
                minutes,
            )
        for statement in BEFORE_OWNERS:
            await connection.execute(statement)
        await migrate(url)
        rows = await connection.fetch("SELECT name, default_sender FROM workspaces ORDER BY created_at")
        assert dict(map(tuple, rows)) == SETTLED
        owned = await connection.fetch(
            "SELECT name, value, is_claimed, skeleton FROM senders JOIN workspaces ON workspaces.id = workspace_id"
            " ORDER BY workspaces.created_at"
        )
        assert [tuple(row) for row in owned] == [
            ("Cohort Labs", "COHORTLABS", True, "cohortlabs"),
            ("Owner", "+442071838750", False, "442071838750"),
            ("Carried", "+442071838752", False, "442071838752"),
            ("First", "DOORS", True, "doors"),
        ]
        told = await connection.fetch(
            "SELECT name, changes->'default_sender'->>0, changes->'default_sender'->>1 FROM audit_entries"
            " JOIN workspaces ON workspaces.id = workspace_id WHERE action = 'workspace.updated'"
            " ORDER BY workspaces.created_at"
        )
        reset = [name for name, sender in SETTLED.items() if sender != TENANTS[name]]
        assert [tuple(row) for row in told] == [(name, TENANTS[name], "MASSIVESMS") for name in reset]
        # The sandbox goes on with what has no owner.
        kept = await connection.fetch("SELECT name FROM workspaces WHERE sandbox_settings <> '{}'")
        assert [row["name"] for row in kept] == ["Nobody"]
    finally:
        await connection.close()


WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'suppressions'::regclass)"


async def test_a_migration_that_a_deadlock_with_traffic_ended_is_tried_again(engines: Engines, tmp_path: Path) -> None:
    url = await create_database(engines.database_url, "deadlocked")
    await migrate(url, "0008_newer_evidence")
    traffic, witness = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        await traffic.execute("BEGIN")
        await traffic.execute("SELECT FROM suppressions")
        migrating = asyncio.create_task(msvs("migrate", env=environment(tmp_path, DATABASE_URL=url)))
        while not await witness.fetchval(WAITS):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        # PostgreSQL ends the first that has waited for a second, as a rule the migration.
        with suppress(asyncpg.DeadlockDetectedError):
            await traffic.execute("SELECT FROM contacts")
        await traffic.execute("ROLLBACK")
        done = await migrating
        assert (done.status, done.err) == (0, "")
        assert done.out.startswith("Applied 0009_canonical_phones.\n")
    finally:
        await traffic.close()
        await witness.close()


@pytest.mark.processes
@pytest.mark.timeout(900)
def test_two_releases_run_side_by_side_over_a_migration_under_load() -> None:
    """In a short form; `make upgrade` loads them for longer."""
    command = [sys.executable, "-m", "chaos.upgrade", "--seconds", "5", "--recipients", "150", "--rate", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=880)
    if done.returncode == PROVES_NOTHING:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("0 errors, 0 lost, 0 doubled; the books are true\n")


def test_a_clone_without_history_is_said_to_prove_nothing(tmp_path: Path) -> None:
    command = ["git", "clone", "--quiet", "--depth=1", ROOT.as_uri(), str(tmp_path / "shallow")]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(NoHistoryError):
        second_newest_migration(tmp_path / "shallow")


def test_what_must_not_happen_in_an_upgrade_is_told() -> None:
    well = Upgrade("0" * 40, applied=["Applied 0079_traces."], settled=True, endings={"old api": -15, "old cron": 0})
    well.answered.update(old=1, new=1)
    assert well.faults() == []
    well.statuses[503] = 2
    well.endings["old cron"] = None
    well.errors.append("old: POST /v1/messages: ServerDisconnectedError()")
    well.answered["new"] = 0
    well.report.expect("lost", False, "msg_1")
    assert len(well.faults()) == 6
