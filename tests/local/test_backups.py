"""A restore drill: the service under load is killed, its data deleted, and restored to a time and to the end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any

import asyncpg
import httpx
import pytest

from msvs.api import ids
from msvs.local import backups, embedded
from msvs.local.manifests import verify_base
from msvs.local.postgres_tools import BackupError, connection_of
from msvs.local.restoring import choose_base, read_time
from tests.engines import Engines, create_database, eventually, is_alive
from tests.test_cli import Done, environment, msvs

SECRET = "a secret of the drill of restoring"
PHONES = [f"+1212555{number:04d}" for number in range(100, 400)]
TABLES = (
    "workspaces",
    "credit_balances",
    "ledger_entries",
    "consent_events",
    "contacts",
    "campaigns",
    "messages",
    "events",
    "virtual_submissions",
)
ROWS = "SELECT count(*), md5(coalesce(string_agg(row::text, E'\\n' ORDER BY row::text), '')) FROM {} AS row"
# What a worker would send: a message of a campaign that is paused it would not.
WAITS = """
SELECT (SELECT count(*) FROM messages WHERE livemode AND status = 'queued' AND campaign_id IS NULL)
    + (SELECT count(*) FROM campaigns WHERE livemode AND status IN ('preparing', 'sending'))
"""
# A STOP that was taken in, or waits to be.
STOPPED = """
SELECT phone FROM suppressions UNION SELECT from_phone FROM inbound_messages UNION SELECT phone FROM virtual_signals
"""
TRIES = 30
# Fourteen processes and all migrations, on a machine that others use.
START_SECONDS = 300


async def state(connection: asyncpg.Connection[Any]) -> dict[str, tuple[int, str]]:
    """The number and the digest of the rows of each table."""
    return {table: tuple(await connection.fetchrow(ROWS.format(table))) for table in TABLES}  # type: ignore[misc]


async def mark(url: str) -> tuple[datetime, dict[str, tuple[int, str]]]:
    """A time, and the state at that time: no commit is under way, and none has a time between the two."""
    connection = await asyncpg.connect(url)
    try:
        for _ in range(TRIES):
            try:
                async with connection.transaction():
                    await connection.execute("SET LOCAL lock_timeout = '2s'")
                    await connection.execute(f"LOCK TABLE {', '.join(TABLES)} IN SHARE MODE")
                    found = await state(connection)
                    at = await connection.fetchval("SELECT clock_timestamp()")
                    await connection.execute("SELECT pg_sleep(0.05)")
                    return at, found
            except (asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError):
                continue
        raise AssertionError("no moment without a writer")
    finally:
        await connection.close()


@dataclass
class Service:
    """`msvs run`, with everything that it started."""

    env: dict[str, str]
    data_dir: Path
    process: asyncio.subprocess.Process
    demo: dict[str, str]

    @property
    def url(self) -> str:
        return embedded.EmbeddedEngines(self.data_dir).database_url

    def kill(self) -> None:
        """Kill every process at once, the engines too, and delete the data directory."""
        pids = [self.process.pid, *descendants(self.process.pid)]
        for pid in pids:
            # Those of a supervisor that is gone may have ended by themselves.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not any(map(is_alive, pids)))
        rmtree(self.data_dir)


def descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *descendants(child)]
    return found


@asynccontextmanager
async def running(data_dir: Path, **settings: str) -> AsyncIterator[Service]:
    env = environment(
        data_dir,
        PORT="0",
        MSVS_SECRET_KEY=SECRET,
        MSVS_LIVE_CARRIER="virtual",
        MSVS_MESSAGE_WORKERS="1",
        MSVS_LOG_LEVEL="ERROR",
        **settings,
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "msvs", "run", env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        await asyncio.wait_for(process.stdout.readuntil(b"Stop with Ctrl-C.\n"), START_SECONDS)
        yield Service(env, data_dir, process, json.loads((data_dir / "demo.json").read_text()))
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


@dataclass
class Load:
    """Clients that send, and note what was acknowledged."""

    service: Service
    acknowledged: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = httpx.AsyncClient(base_url=self.service.demo["base_url"], timeout=30)
        self.tasks = [asyncio.create_task(self._send(number)) for number in range(4)]

    async def post(self, path: str, body: dict[str, Any], key: str = "live_key") -> Any:
        headers = {"Authorization": f"Bearer {self.service.demo[key]}"}
        answer = await self.client.post(path, json=body, headers=headers)
        return answer.json() if answer.status_code in (200, 201) else None

    async def _send(self, number: int) -> None:
        for turn in range(100_000):
            phone = PHONES[(4 * turn + number) % len(PHONES)]
            try:
                made = await self.post("/v1/messages", {"to": phone, "body": "Doors open at 8pm ET."})
                if made is not None:
                    self.acknowledged.append(made["id"])
                if turn % 5 == 4 and await self.post("/v1/test/inbound", {"from": phone, "body": "STOP"}, "test_key"):
                    self.stopped.append(phone)
            except httpx.TransportError:
                return

    async def more(self, count: int) -> None:
        wanted = len(self.acknowledged) + count
        async with asyncio.timeout(60):
            while len(self.acknowledged) < wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def insist(self, path: str, body: dict[str, Any]) -> Any:
        """What is made in the end, beside clients that take all tokens there are."""
        async with asyncio.timeout(60):
            while (made := await self.post(path, body)) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return made

    async def start_campaign(self) -> None:
        contacts = [
            await self.insist("/v1/contacts", {"phone": phone, "opt_in": {"source": "checkout"}})
            for phone in PHONES[:60]
        ]
        ids = [contact["id"] for contact in contacts]
        await self.insist("/v1/campaigns", {"name": "Cohort 06", "body": "Hi", "audience": {"contact_ids": ids}})

    async def end(self) -> None:
        await asyncio.gather(*self.tasks)
        await self.client.aclose()


async def restored(env: dict[str, str], to: str, into: Path, *options: str) -> dict[str, Any]:
    done = await msvs("restore", "--to", to, "--into", str(into), "--json", *options, env=env)
    assert (done.status, done.err) == (0, "")
    found: dict[str, Any] = json.loads(done.out)
    return found


@asynccontextmanager
async def engines_on(data_dir: Path) -> AsyncIterator[asyncpg.Connection[Any]]:
    engines = embedded.EmbeddedEngines(data_dir, fast=True)
    await asyncio.to_thread(engines.start)
    try:
        connection = await asyncpg.connect(engines.database_url)
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        await asyncio.to_thread(engines.stop)


@pytest.mark.processes
@pytest.mark.timeout(900)
async def test_what_was_killed_and_deleted_is_restored_to_a_time_and_to_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "the backups"
    settings = {"MSVS_BACKUP_DIR": str(folder), "MSVS_BACKUP_SYNC": "1", "MSVS_CARRIER_RATES": "virtual=2"}
    async with running(tmp_path / "data", **settings) as service:
        load = Load(service)
        await load.more(30)
        done = await msvs("backup", "--json", env=service.env)
        assert (done.status, done.err) == (0, "")
        await load.start_campaign()
        await load.more(60)
        at, there = await mark(service.url)
        await load.more(60)
        passwords = [path.read_text().strip() for path in (tmp_path / "data/postgresql").glob("*password")]
        await asyncio.to_thread(service.kill)
        await load.end()
        env = service.env | {"DATA_DIR": str(tmp_path / "elsewhere")}
    assert len(load.acknowledged) >= 150

    # Nothing of it is for others, and no secret is in it.
    assert len(passwords) == 3
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
        if path.is_file() and path.name != ".lock":
            content = path.read_bytes()
            assert not any(secret.encode() in content for secret in (SECRET, *passwords)), path

    found = await restored(env, at.isoformat(), tmp_path / "then", "--no-hold")
    assert found["messages"] == there["messages"][0]
    assert found["balances"] == "are the sums of the ledger"
    assert found["consent"] == f"{there['consent_events'][0]} records in whole chains"
    async with engines_on(tmp_path / "then") as connection:
        assert await state(connection) == there
        assert await connection.fetchval(WAITS) > 0
        on_the_way = {row["id"] for row in await connection.fetch("SELECT id FROM messages WHERE status = 'sending'")}
        taken = there["virtual_submissions"][0]
        # What was sent after that time waits again: it is held before a worker starts.
        held = await msvs("hold", "--json", env=env | {"DATA_DIR": str(tmp_path / "then")})
        assert held.status == 0
        assert json.loads(held.out)["messages_canceled"] > 0
        assert json.loads(held.out)["campaigns_paused"] == 1
    async with running(tmp_path / "then") as again:
        later = Load(again)
        await later.more(20)
        for task in later.tasks:
            task.cancel()
        await asyncio.gather(*later.tasks, return_exceptions=True)
        await later.client.aclose()
        connection = await asyncpg.connect(again.url)
        try:
            async with asyncio.timeout(60):
                while await connection.fetchval("SELECT count(*) FROM virtual_submissions") == taken:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            repeated = {
                row["message_id"]
                for row in await connection.fetch(
                    "SELECT taken.message_id FROM virtual_submissions AS taken JOIN messages AS sent"
                    " ON sent.id = taken.message_id WHERE sent.livemode AND taken.accepted_at > $1"
                    " AND sent.created_at < $1",
                    at,
                )
            }
        finally:
            await connection.close()
        # A carrier drops those that it has already, by their ids.
        assert repeated <= on_the_way

    found = await restored(env, "latest", tmp_path / "end")
    assert found["balances"] == "are the sums of the ledger"
    async with engines_on(tmp_path / "end") as connection:
        rows = await connection.fetch("SELECT id FROM messages WHERE kind = 'api'")
        assert set(load.acknowledged) <= {ids.encode_id(ids.MESSAGE, row["id"]) for row in rows}
        assert set(load.stopped) <= {row["phone"] for row in await connection.fetch(STOPPED)}
        assert await connection.fetchval(WAITS) == 0


async def test_a_damaged_backup_is_found_and_old_ones_go(tmp_path: Path) -> None:
    engines = embedded.EmbeddedEngines(tmp_path / "data", fast=True, valkey=False)
    await asyncio.to_thread(engines.start)
    folder = tmp_path / "backups"
    env = environment(tmp_path / "data", MSVS_BACKUP_DIR=str(folder))
    try:
        for _ in range(3):
            done = await msvs("backup", "--keep", "2", "--json", env=env)
            assert (done.status, done.err) == (0, "")
            await asyncio.sleep(1.01)  # names have whole seconds
        made = json.loads(done.out)
        known = backups.bases(folder)
        assert [base.name for base in known][-1] == made["name"]
        assert (len(known), len(made["pruned"])) == (2, 1)
        assert (await msvs("backup", "--verify", env=env)).status == 0
        dumped = json.loads((await msvs("backup", "--dump", "--json", env=env)).out)
        assert oct(os.stat(dumped["dump"]).st_mode & 0o777) == "0o600"
        refused = await msvs("restore", "--to", "2001-01-01T00:00:00Z", "--into", str(tmp_path / "new"), env=env)
        assert refused == Done(
            1, "", f"msvs: no base backup was finished by then: the earliest time is {known[0].finished_at}\n"
        )
        refused = await msvs("restore", "--to", "latest", "--into", str(tmp_path), env=env)
        assert refused.status == 1
        assert "is not empty" in refused.err
        ahead = await msvs("restore", "--to", "2101-01-01T00:00:00Z", "--into", str(tmp_path / "new"), env=env)
        assert ahead.status == 1
        assert "restore with --to latest" in ahead.err
    finally:
        await asyncio.to_thread(engines.stop)
    data = folder / "base" / known[0].name / "data"
    verify_base(data, known[0].major)
    (data / "extra").touch()
    with pytest.raises(BackupError, match="extra does not belong to it"):
        verify_base(data, known[0].major)
    (data / "extra").unlink()
    (data / "global" / "pg_control").write_bytes(bytes((data / "global" / "pg_control").stat().st_size))
    with pytest.raises(BackupError, match="global/pg_control has another content"):
        verify_base(data, known[0].major)
    (data / "PG_VERSION").unlink()
    with pytest.raises(BackupError, match="PG_VERSION is missing"):
        verify_base(data, known[0].major)


async def test_a_role_without_the_right_is_told_what_it_lacks(engines: Engines, tmp_path: Path) -> None:
    url = await create_database(engines.database_url, "backed_up_elsewhere")
    env = environment(tmp_path / "data", DATABASE_URL=url, MSVS_BACKUP_DIR=str(tmp_path / "backups"))
    done = await msvs("backup", env=env)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("msvs: the role msvs lacks the right REPLICATION: run ALTER ROLE msvs REPLICATION")
    assert (await msvs("backup", "--dump", env=env)).status == 0
    (tmp_path / "backups" / "system").write_text("1\n")
    done = await msvs("backup", "--dump", env=env)
    assert done.err == f"msvs: {tmp_path / 'backups'} holds the backups of another PostgreSQL: name an empty folder\n"


@pytest.mark.parametrize("text", ["yesterday", "2026-11-28T09:00:00", "", "2026-13-01T00:00:00Z"])
async def test_a_time_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    done = await msvs("restore", "--to", text, "--into", str(tmp_path / "new"), env=environment(tmp_path))
    assert done.status == 2
    assert "must be `latest`, or a time with its offset" in done.err


def test_the_newest_base_backup_by_a_time_is_taken(tmp_path: Path) -> None:
    start = datetime(2026, 11, 28, 9, tzinfo=UTC)
    server = backups.Server(18, "1", "msvs", "msvs_backup", "postgres", True, "replica", 0, None)
    backups.open_folder(tmp_path, server)
    for hours in range(3):
        part = tmp_path / "base" / f".2026112{hours}T090000Z.part"
        (part / "data").mkdir(parents=True)
        (part / "data" / "backup_label").write_text(
            f"START WAL LOCATION: 0/1 (file 00000001000000000000000{hours + 2})\n"
        )
        backups.end_base(part, server, start + timedelta(hours=hours), is_embedded=True)
    names = [base.name for base in backups.bases(tmp_path)]
    assert choose_base(tmp_path, None).name == names[2]
    assert choose_base(tmp_path, start + timedelta(minutes=90)).name == names[1]
    assert choose_base(tmp_path, None, names[0]).name == names[0]
    with pytest.raises(BackupError, match="earliest time is 2026-11-28T09:00:00"):
        choose_base(tmp_path, start - timedelta(seconds=1))
    for number in (1, 2, 3, 5):
        (tmp_path / "wal" / f"00000001000000000000000{number}").write_bytes(bytes(16))
    assert backups.prune(tmp_path, 2) == names[:1]
    assert [path.name[-1] for path in backups.wal_files(tmp_path)] == ["3", "5"]


def test_a_gap_in_the_wal_is_found(tmp_path: Path) -> None:
    (tmp_path / "wal").mkdir()
    assert backups.find_gap(tmp_path) is None
    size = 16 * 1024**2
    for name in ("0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000.partial"):
        with (tmp_path / "wal" / name).open("wb") as file:
            file.truncate(size)
    assert backups.find_gap(tmp_path) is None
    (tmp_path / "wal" / "0000000100000000000000FF").unlink()
    assert backups.find_gap(tmp_path) == "0000000100000000000000FF"


def test_a_password_is_on_no_command_line() -> None:
    target, env = connection_of("postgresql://backup:pass%40word@db:5433/msvs?sslmode=require&lock_timeout=5s", "name")
    assert target == "postgresql://backup@db:5433/msvs?sslmode=require&application_name=name"
    assert env["PGPASSWORD"] == "pass@word"
    assert read_time("latest") is None
