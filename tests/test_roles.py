"""The rights that the service needs: its processes work as a role that owns nothing, by the page for operators."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from msvs.database_roles import KEPT, grant_rows, recipe
from msvs.local import embedded, supervisor
from msvs.settings import Settings
from msvs.workers.retention import RETENTION, drop_statement
from tests.engines import Engines
from tests.receiver import Receiver, receiving
from tests.rest_compat.processes import Process, request, running
from tests.test_poolers import processes, until

pytestmark = pytest.mark.processes

ROWS = ("worker messages", "worker campaigns", "worker reports", "worker webhooks", "cron")
NAME = "msvs_test_roles"
OPT_IN = {"source": "checkout", "ip": "203.0.113.4"}
PHONES = ("+12125550171", "+12125550172")
# What only grows: erasing a person's data changes the last two, and nothing else changes any.
PASSWORDS = {"msvs_owner": "change-me", "msvs_service": "change-me-too"}
APPEND_ONLY = ("ledger_entries", "audit_entries", "operator_entries", "consent_events", "virtual_submissions")
FORBIDDEN = (
    "CREATE TABLE ours (id int)",
    "DROP TABLE messages",
    "TRUNCATE messages",
    "ALTER TABLE messages ADD COLUMN ours int",
    "UPDATE ledger_entries SET amount = 1",
    "UPDATE audit_entries SET action = 'ours'",
    "UPDATE operator_entries SET operator = 'ours'",
    "UPDATE consent_events SET status = 'opted_in'",
    "UPDATE consent_events SET details_hash = NULL",
    "UPDATE authentication_entries SET network = '198.51.100.0/24'",
    "DELETE FROM tortoise_migrations",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE SCHEMA ours",
    "ALTER DEFAULT PRIVILEGES FOR ROLE msvs_owner IN SCHEMA public GRANT ALL ON TABLES TO msvs_service",
    "SET session_replication_role = replica",
    "SET ROLE msvs_owner",
    "GRANT msvs_owner TO msvs_service",
    *(f"TRUNCATE {table}" for table in APPEND_ONLY),
    *(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in APPEND_ONLY),
    *(f"DELETE FROM {table}" for table in APPEND_ONLY),
)


def as_role(url: str, role: str) -> str:
    """The URL of a database for another role."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}:{PASSWORDS[role]}@{parts.netloc.rpartition('@')[2]}"))


def msvs(url: str, engines: Engines, folder: Path, *command: str, owner: str = "") -> subprocess.CompletedProcess[str]:
    env = os.environ | {"DATABASE_URL": url, "REDIS_URL": engines.redis_url, "DATA_DIR": str(folder)}
    env |= {"MIGRATIONS_DATABASE_URL": owner}
    return subprocess.run(
        [sys.executable, "-m", "msvs", *command], env=env, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A database of its own PostgreSQL, made by an administrator, who may come in without a password, as printed."""
    own = await asyncio.to_thread(partial(embedded.start, tmp_path / "engines", fast=True, valkey=False))
    try:
        (rules,) = (tmp_path / "engines").rglob("pg_hba.conf")
        rules.write_text(f"host all postgres 127.0.0.1/32 trust\n{rules.read_text()}")
        os.kill(own.processes["postgresql"], signal.SIGHUP)
        parts = urlsplit(own.database_url)
        server = urlunsplit(parts._replace(netloc=f"postgres@{parts.hostname}:{parts.port}", path="/postgres"))
        admin = await enter(server)
        try:
            await admin.execute("DROP ROLE msvs_service")  # the embedded PostgreSQL has its own
            script = "\n".join(line for line in recipe(NAME).splitlines() if not line.startswith("--"))
            for statement in filter(None, map(str.strip, script.split(";"))):
                await admin.execute(statement)
        finally:
            await admin.close()
        yield urlunsplit(urlsplit(server)._replace(path=f"/{NAME}"))
    finally:
        await asyncio.to_thread(own.stop)


async def enter(url: str) -> asyncpg.Connection[Any]:
    """Connect once the new rule is read."""
    for _ in range(100):
        try:
            return await asyncpg.connect(url)
        except asyncpg.InvalidPasswordError:
            await asyncio.sleep(0.05)
    raise TimeoutError


async def test_all_but_maintenance_works_with_rights_on_rows(url: str, engines: Engines, tmp_path: Path) -> None:
    owner, rows = as_role(url, "msvs_owner"), as_role(url, "msvs_service")
    done = await asyncio.to_thread(partial(msvs, rows, engines, tmp_path, "migrate", owner=owner))
    assert done.returncode == 0, done.stderr
    admin: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        made = await asyncio.to_thread(
            msvs, rows, engines, tmp_path, "workspace", "create", "--name", "Cohort Labs", "--credits", "5", "--json"
        )
        assert made.returncode == 0, made.stderr
        key = re.findall(r"msvs_test_\w+", made.stdout)[0]
        api = Process(("-m", "msvs", "api"), tmp_path / "api.log", DATABASE_URL=rows, REDIS_URL=engines.redis_url)
        async with running(api):
            with (
                processes(rows, engines.redis_url, tmp_path, *ROWS),
                processes(rows, engines.redis_url, tmp_path, "worker maintenance", MIGRATIONS_DATABASE_URL=owner),
            ):
                async with receiving() as receiver:
                    await work(api.port, key, receiver)
        for statement in FORBIDDEN:
            await refuse(rows, statement)
        await drop_old(rows)
        owned = await admin.fetchval("SELECT count(*) FROM pg_class WHERE relowner = 'msvs_service'::regrole")
        assert owned == 0
        # Tables of the next version come with the same rights; making them is not among these.
        async with admin.transaction():
            await admin.execute("SET LOCAL ROLE msvs_owner")
            await admin.execute("CREATE TABLE of_the_next_version (id int)")
        may = await admin.fetchval("SELECT has_table_privilege('msvs_service', 'of_the_next_version', 'UPDATE')")
        assert may is True
        assert not await grant_rows(owner, rows)
        # Rights that somebody gave by hand are taken away by the next migration.
        for given, statement in (
            ("TRUNCATE, DELETE ON consent_events", "TRUNCATE consent_events"),
            ("UPDATE ON audit_entries", "UPDATE audit_entries SET action = 'ours'"),
            ("UPDATE ON authentication_entries", "UPDATE authentication_entries SET device = 'theirs'"),
        ):
            await admin.execute(f"GRANT {given} TO msvs_service")
            assert await grant_rows(owner, rows)
            await refuse(rows, statement)
            assert not await grant_rows(owner, rows)
        await roll(admin, owner, rows)
    finally:
        await admin.close()


async def roll(admin: asyncpg.Connection[Any], owner: str, rows: str) -> None:
    """Have the upkeep of partitions make one that is missing: as the owner it does, as the service's role it cannot."""
    (missing,) = await admin.fetch(
        "SELECT max(relname) AS name FROM pg_class WHERE relname ~ '^events_[0-9]{4}_[0-9]{2}$'"
    )
    await admin.execute(f"DROP TABLE {missing['name']}")
    # In a process of its own: this one may be connected already.
    argv = [sys.executable, "-c", ROLL, rows, owner, missing["name"]]
    done = await asyncio.to_thread(partial(subprocess.run, argv, capture_output=True, text=True, timeout=60))
    assert (done.returncode, done.stdout.split()) == (0, ["refused", "1", "msvs_service", "True"]), done.stderr


ROLL = """
import asyncio, sys
import asyncpg
from msvs import database
from msvs.settings import Settings
from msvs.workers.partitions import roll_partitions

async def roll(rows, owner, name):
    async with database.connected(rows, pool_size=2):
        try:
            await roll_partitions(Settings(database_url=rows))
        except asyncpg.InsufficientPrivilegeError:
            print("refused")
        print(await roll_partitions(Settings(database_url=rows, migrations_database_url=owner)))
        print(await database.fetch_value("SELECT current_user"))
        print(await database.fetch_value("SELECT has_table_privilege($1, 'INSERT')", name))

asyncio.run(roll(*sys.argv[1:]))
"""


async def refuse(url: str, statement: str) -> None:
    """Assert that the role may not."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def drop_old(url: str) -> None:
    """Assert that the role may delete what is past its keeping, of every table."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    try:
        for name in RETENTION:
            assert await connection.fetch(drop_statement(name), long_ago, long_ago, 1) == []
    finally:
        await connection.close()


async def work(port: int, key: str, receiver: Receiver) -> None:
    """Use the service from a contact to the end of a campaign, its webhooks, a STOP and an erased contact."""

    async def ask(method: str, path: str, **body: Any) -> Any:
        answer = await request(port, method, path, key, json.dumps(body).encode() if body else b"")
        assert answer.status < 300, (path, answer.body)
        return json.loads(answer.body) if answer.body else None

    await ask("POST", "/v1/webhooks", url=receiver.url(), events=["*"])
    contacts = [(await ask("POST", "/v1/contacts", phone=phone, opt_in=OPT_IN))["id"] for phone in PHONES]
    message = await ask("POST", "/v1/messages", to=PHONES[0], body="Doors open")
    everyone = await ask("POST", "/v1/lists", name="Everyone")
    await ask("POST", f"/v1/lists/{everyone['id']}/contacts", contact_ids=contacts)
    campaign = await ask(
        "POST", "/v1/campaigns", name="Doors", body="Doors open", audience={"list_ids": [everyone["id"]]}
    )

    async def is_delivered() -> bool:
        return bool((await ask("GET", f"/v1/messages/{message['id']}"))["status"] == "delivered")

    async def is_completed() -> bool:
        return bool((await ask("GET", f"/v1/campaigns/{campaign['id']}"))["status"] == "completed")

    await until(is_delivered)
    await until(is_completed)
    assert (await ask("GET", f"/v1/campaigns/{campaign['id']}"))["stats"]["delivered"] == len(PHONES)

    async def is_told() -> bool:
        told = {(post.event["type"], post.event["data"]["id"]) for post in receiver.posts}
        return {("message.delivered", message["id"]), ("campaign.completed", campaign["id"])} <= told

    await until(is_told)
    await ask("POST", "/v1/test/inbound", **{"from": PHONES[1]}, body="STOP")
    stopped = await ask("GET", f"/v1/contacts/{contacts[1]}")
    assert stopped["opt_in"]["status"] == "opted_out"
    await ask("DELETE", f"/v1/contacts/{contacts[0]}")


async def test_the_embedded_database_of_an_earlier_version_gets_the_role_in_place(tmp_path: Path) -> None:
    engines = embedded.EmbeddedEngines(tmp_path, fast=True, valkey=False)

    async def restarted() -> tuple[str, str]:
        await asyncio.to_thread(engines.start)
        return engines.database_url, engines.service_url

    try:
        owner, _ = await restarted()
        for table in KEPT:
            await run(owner, f"CREATE TABLE {table} (phone text, ip text, user_agent text, text text, erased_at text)")
        await run(owner, "CREATE TABLE messages (body text)")
        await run(owner, "INSERT INTO messages VALUES ('Doors open')")
        await asyncio.to_thread(engines.stop)
        # As the version before left it; and as a start did that was ended before it wrote the password down.
        postgresql = engines._engines["postgresql"]
        assert isinstance(postgresql, embedded._PostgreSQL)
        for statements in (("DROP ROLE msvs_service",), ()):
            (tmp_path / "postgresql" / "service_password").unlink()
            if statements:
                await asyncio.to_thread(postgresql._run_single, postgresql.data, *statements)
            owner, service = await restarted()
            await grant_rows(owner, service)
            assert await run(service, "SELECT body FROM messages") == "Doors open"
            assert await run(service, "SELECT current_user") == "msvs_service"
            for statement in ("TRUNCATE messages", "DROP TABLE messages", "DELETE FROM ledger_entries"):
                await refuse(service, statement)
            await asyncio.to_thread(engines.stop)
        mode = (tmp_path / "postgresql" / "service_password").stat().st_mode
        assert oct(mode & 0o777) == "0o600"
    finally:
        await asyncio.to_thread(engines.stop)


async def run(url: str, statement: str) -> Any:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def test_maintenance_alone_is_given_the_owners_url() -> None:
    settings = Settings(database_url="postgresql://service@db/x", migrations_database_url="postgresql://owner@db/x")
    specs = supervisor.processes(settings)
    given = {spec.name: supervisor.environment_of(spec, settings)["MIGRATIONS_DATABASE_URL"] for spec in specs}
    assert given.pop("worker maintenance") == "postgresql://owner@db/x"
    assert set(given.values()) == {""}


def test_the_backup_alone_is_given_the_url_that_replicates(tmp_path: Path) -> None:
    copying = "postgresql://copying@db/x"
    settings = Settings(database_url="postgresql://service@db/x", backup_database_url=copying)
    assert "backup" not in {spec.name for spec in supervisor.processes(settings)}
    settings = replace(settings, backup_dir=tmp_path)
    specs = supervisor.processes(settings)
    given = {spec.name: supervisor.environment_of(spec, settings)["MSVS_BACKUP_DATABASE_URL"] for spec in specs}
    assert given.pop("backup") == copying
    assert set(given.values()) == {""}
