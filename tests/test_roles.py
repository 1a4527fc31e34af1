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
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from msvs.local import embedded
from tests.engines import Engines
from tests.receiver import Receiver, receiving
from tests.rest_compat.processes import Process, request, running
from tests.test_poolers import processes, until
from tests.test_production import PAGE

ROWS = ("worker messages", "worker campaigns", "worker reports", "worker webhooks", "cron")
NAME = "msvs_test_roles"
OPT_IN = {"source": "checkout", "ip": "203.0.113.4"}
PHONES = ("+12125550171", "+12125550172")
# What only grows: erasing a person's data changes the last two, and nothing else changes any.
APPEND_ONLY = ("ledger_entries", "audit_entries", "consent_events", "virtual_submissions")
FORBIDDEN = (
    "CREATE TABLE ours (id int)",
    "DROP TABLE messages",
    "TRUNCATE messages",
    "ALTER TABLE messages ADD COLUMN ours int",
    "UPDATE ledger_entries SET amount = 1",
    "UPDATE audit_entries SET action = 'ours'",
    *(f"TRUNCATE {table}" for table in APPEND_ONLY),
    *(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in APPEND_ONLY),
    *(f"DELETE FROM {table}" for table in APPEND_ONLY),
)


def grants() -> list[str]:
    """The statements of the page that give a role its rights."""
    section = PAGE.partition("### A role with rights on rows only\n")[2].partition("\n## ")[0]
    block = re.findall(r"^```sql\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[0]
    return [line.strip() for line in block.replace("msvs_production", NAME).split(";") if line.strip()]


def as_role(url: str, role: str) -> str:
    """The URL of a database for another role."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}:change-me@{parts.netloc.rpartition('@')[2]}"))


def msvs(url: str, engines: Engines, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"DATABASE_URL": url, "REDIS_URL": engines.redis_url, "DATA_DIR": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "msvs", *command], env=env, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A database of its own PostgreSQL, whose administrator may come in without a password; its role owns it."""
    own = await asyncio.to_thread(partial(embedded.start, tmp_path / "engines", fast=True, valkey=False))
    try:
        (rules,) = (tmp_path / "engines").rglob("pg_hba.conf")
        rules.write_text(f"host all postgres 127.0.0.1/32 trust\n{rules.read_text()}")
        os.kill(own.processes["postgresql"], signal.SIGHUP)
        parts = urlsplit(own.database_url)
        server = urlunsplit(parts._replace(netloc=f"postgres@{parts.hostname}:{parts.port}", path="/postgres"))
        admin = await enter(server)
        try:
            await admin.execute("CREATE ROLE msvs_service LOGIN PASSWORD 'change-me'")
            await admin.execute(f"CREATE DATABASE {NAME} OWNER msvs_service ENCODING 'UTF8' TEMPLATE template0")
            await admin.execute(f"REVOKE ALL ON DATABASE {NAME} FROM PUBLIC")
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
    owner, rows = as_role(url, "msvs_service"), as_role(url, "msvs_rows")
    done = await asyncio.to_thread(msvs, owner, engines, tmp_path, "migrate")
    assert done.returncode == 0, done.stderr
    admin: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        for statement in grants():
            await admin.execute(statement)
        made = await asyncio.to_thread(
            msvs, rows, engines, tmp_path, "workspace", "create", "--name", "Cohort Labs", "--credits", "5", "--json"
        )
        assert made.returncode == 0, made.stderr
        key = re.findall(r"msvs_test_\w+", made.stdout)[0]
        api = Process(("-m", "msvs", "api"), tmp_path / "api.log", DATABASE_URL=rows, REDIS_URL=engines.redis_url)
        async with running(api):
            with (
                processes(rows, engines.redis_url, tmp_path, *ROWS),
                processes(owner, engines.redis_url, tmp_path, "worker maintenance"),
            ):
                async with receiving() as receiver:
                    await work(api.port, key, receiver)
        for statement in FORBIDDEN:
            await refuse(rows, statement)
        owned = await admin.fetchval("SELECT count(*) FROM pg_class WHERE relowner = 'msvs_rows'::regrole")
        assert owned == 0
        # Tables of the next version come with the same rights; making them is not among these.
        async with admin.transaction():
            await admin.execute("SET LOCAL ROLE msvs_service")
            await admin.execute("CREATE TABLE of_the_next_version (id int)")
        may = await admin.fetchval("SELECT has_table_privilege('msvs_rows', 'of_the_next_version', 'UPDATE')")
        assert may is True
    finally:
        await admin.close()


async def refuse(url: str, statement: str) -> None:
    """Assert that the role may not."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
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
