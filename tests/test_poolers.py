"""PgBouncer before PostgreSQL: by session all works as it comes, by transaction what is told to expect it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import asyncpg
import pytest

from msvs import connections, database_roles
from msvs import database as db
from msvs.api.campaigns.campaigns import CreateCampaign, create_campaign
from msvs.api.context import Context
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers import registry
from msvs.carriers.config import CarrierConfig
from msvs.connections import Pooling
from msvs.models import CarrierSession, Message
from msvs.settings import Settings
from msvs.workers import carrier_binds
from msvs.workers.carrier_binds import SessionHolder
from tests import factories
from tests.engines import Engines, create_database
from tests.pooler import newer, pgbouncer
from tests.workers.sessions_carrier import KIND, FileCarrier

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]


def go_on() -> None:
    """A refused pooler ends a process of the service, never this one."""


LINE = "msvs: DATABASE_URL leads to a pooler that shares connections by transaction or statement; "
PROCESSES = ("api", "worker messages", "worker campaigns", "worker reports", "worker maintenance", "cron")
RECIPIENTS = 300


@contextmanager
def processes(
    url: str, redis_url: str, folder: Path, *commands: str, module: Sequence[str] = ("msvs",), **more: str
) -> Iterator[list[subprocess.Popen[str]]]:
    env = os.environ | {"DATABASE_URL": url, "REDIS_URL": redis_url, "DATA_DIR": str(folder), "PORT": "0"} | more
    with ExitStack() as stack:
        started = []
        for command in commands:
            process = subprocess.Popen(
                [sys.executable, "-m", *module, *command.split()],
                env=env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert process.stderr is not None
            stack.callback(process.stderr.close)
            stack.callback(process.wait)
            stack.callback(process.kill)
            started.append(process)
        yield started


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what other processes do."""
    async with asyncio.timeout(240):
        is_so = await condition()
        while not is_so:
            await asyncio.sleep(0.1)
            is_so = await condition()


async def is_completed(campaign_id: UUID) -> bool:
    status: str = await db.fetch_value("SELECT status FROM campaigns WHERE id = $1", campaign_id)
    return status == "completed"


async def test_by_session_a_campaign_runs_to_its_end(
    ctx: Context, database: str, engines: Engines, tmp_path: Path
) -> None:
    row = await factories.make_list(ctx, [await factories.make_contact(ctx) for _ in range(RECIPIENTS)])
    with pgbouncer(database, pool_mode="session") as url, processes(url, engines.redis_url, tmp_path, *PROCESSES):
        async with unit_of_work():
            campaign = await create_campaign(
                ctx, CreateCampaign(name="Doors", list_ids=[row.id], body="Doors open at 8pm ET.")
            )
        await until(lambda: is_completed(campaign.id))
    assert await Message.filter(campaign_id=campaign.id, status="delivered").count() == RECIPIENTS


async def test_by_session_a_carriers_sessions_are_held(
    clean: None, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.KINDS, KIND, FileCarrier)
    config = CarrierConfig("smsc", KIND, {"book": str(tmp_path / "book")}, "http://msvs")
    stop = asyncio.Event()
    with pgbouncer(database, pool_mode="session") as url:
        holding = asyncio.create_task(SessionHolder(lambda: FileCarrier(config), database_url=url).run(stop))
        try:
            await until(lambda: CarrierSession.exists(name="smsc"))
            assert not await db.fetch_value("SELECT pg_try_advisory_lock($1)", carrier_binds.lock_key("smsc"))
        finally:
            stop.set()
            await holding


def transaction_pooler(database_url: str, *, prepares: bool = False) -> AbstractContextManager[str]:
    """Debian's PgBouncer in transaction mode with few connections, or a newer one that prepares statements."""
    more = {"binary": newer(), "prepared": 200} if prepares else {}
    return pgbouncer(database_url, pool_mode="transaction", pool_size=8, **more)  # type: ignore[arg-type]


def told(url: str, **more: str) -> str:
    """The URL of a pooler that is told to be in transaction mode."""
    return f"{url}?{urlencode({'pool_mode': 'transaction', **more})}"


@pytest.mark.parametrize("prepares", [False, True])
async def test_by_transaction_a_campaign_runs_to_its_end_through_kills(
    ctx: Context, database: str, engines: Engines, tmp_path: Path, prepares: bool
) -> None:
    """Message workers are killed twice while they send; leases are short, and all else is as in production."""
    row = await factories.make_list(ctx, [await factories.make_contact(ctx) for _ in range(RECIPIENTS)])
    with transaction_pooler(database, prepares=prepares) as pooled:
        url, more = told(pooled), {"CHAOS_LEASE": "3", "MSVS_CARRIER_RATES": "virtual=60"}
        child = ("chaos.child", "--")
        others = [each for each in PROCESSES if each != "worker messages"]
        with processes(url, engines.redis_url, tmp_path, *others, module=child, DATABASE_DIRECT_URL=database, **more):
            async with unit_of_work():
                campaign = await create_campaign(
                    ctx, CreateCampaign(name="Doors", list_ids=[row.id], body="Doors open at 8pm ET.")
                )
            for third in (1, 2):
                with processes(url, engines.redis_url, tmp_path, "worker messages", module=child, **more):
                    await until(partial(are_sent, campaign.id, RECIPIENTS * third // 3))
            assert not await is_completed(campaign.id)
            with processes(url, engines.redis_url, tmp_path, "worker messages", module=child, **more):
                await until(partial(is_completed, campaign.id))
    assert await Message.filter(campaign_id=campaign.id, status="delivered").count() == RECIPIENTS
    submitted = await db.fetch_row("SELECT count(*) AS all, count(DISTINCT message_id) FROM virtual_submissions")
    assert submitted is not None
    assert tuple(submitted) == (RECIPIENTS, RECIPIENTS)


async def are_sent(campaign_id: UUID, number: int) -> bool:
    asked = "SELECT count(*) FROM messages WHERE campaign_id = $1 AND sent_at IS NOT NULL"
    return bool(await db.fetch_value(asked, campaign_id) >= number)


async def test_by_transaction_a_carriers_sessions_are_held(
    clean: None, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.KINDS, KIND, FileCarrier)
    config = CarrierConfig("smsc", KIND, {"book": str(tmp_path / "book")}, "http://msvs")
    stop = asyncio.Event()
    with transaction_pooler(database) as url:
        settings = Settings(database_url=told(url), direct_database_url=database)
        assert settings.session_url == database
        async with db.connected(told(url), is_inner=True):
            holding = asyncio.create_task(SessionHolder(lambda: FileCarrier(config), database_url=database).run(stop))
            try:
                # What workers see of it, they see through the pooler.
                await until(lambda: CarrierSession.exists(name="smsc"))
                assert not await db.fetch_value("SELECT pg_try_advisory_xact_lock($1)", carrier_binds.lock_key("smsc"))
            finally:
                stop.set()
                await holding


@pytest.mark.parametrize("command", ["migrate", "binds", "worker imports"])
async def test_by_transaction_what_needs_a_session_asks_for_one(
    clean: None, database: str, engines: Engines, tmp_path: Path, command: str
) -> None:
    with (
        transaction_pooler(database) as url,
        processes(told(url), engines.redis_url, tmp_path, command) as (process,),
    ):
        _, said = await asyncio.to_thread(process.communicate, timeout=240)
    assert process.returncode == 2
    assert said.splitlines()[-1].startswith("msvs: DATABASE_DIRECT_URL must be set where DATABASE_URL has pool_mode")


async def test_by_transaction_nobody_waits_for_a_stuck_transaction(live_ctx: Context, database: str) -> None:
    """A transaction that says nothing for so long is ended, and another has what it held."""

    async def hold_and_say_nothing() -> None:
        async with db.transaction():
            await db.fetch_value(HOLD_BALANCE, live_ctx.workspace_id)
            async with db.connected(url, pool_size=1, is_inner=True):
                others.append(await db.fetch_value(HOLD_BALANCE, live_ctx.workspace_id))
            await db.fetch_value("SELECT 1")

    others: list[int] = []
    with transaction_pooler(database) as pooled:
        url = told(pooled, idle_in_transaction_session_timeout="500ms")
        async with db.connected(url, pool_size=4, is_inner=True):
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                await hold_and_say_nothing()
            assert others == [10_000]
            # Nothing of it stays on the pooler's connections.
            assert await db.fetch_value("SELECT current_setting('idle_in_transaction_session_timeout')") == "0"


HOLD_BALANCE = "SELECT balance FROM credit_balances WHERE workspace_id = $1 FOR UPDATE"
LIMITS_NOW = "SELECT current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement"


async def test_by_transaction_single_statements_have_limits_once_migrated(engines: Engines, tmp_path: Path) -> None:
    owner = await create_database(engines.database_url, "msvs_pooled")
    service = engines.for_service(owner)
    with transaction_pooler(service) as url:
        more = {"DATABASE_DIRECT_URL": service, "MIGRATIONS_DATABASE_URL": owner}
        for _ in range(2):
            with processes(told(url), engines.redis_url, tmp_path, "migrate", **more) as (process,):
                _, said = await asyncio.to_thread(process.communicate, timeout=240)
            assert (process.returncode, said) == (0, "")
    with transaction_pooler(service) as url:
        async with db.connected(told(url), is_inner=True):
            row = await db.fetch_row(LIMITS_NOW)
            assert row is not None
            assert tuple(row) == ("5s", "1min")
            assert not await database_roles.keep_limits(
                told(url), {"lock_timeout": "5s", "statement_timeout": "60000ms"}
            )


@pytest.mark.parametrize("pool_mode", ["transaction", "statement"])
@pytest.mark.parametrize("command", ["migrate", "cron", "api"])
async def test_by_transaction_nothing_starts_that_is_not_told(
    clean: None, database: str, engines: Engines, tmp_path: Path, pool_mode: str, command: str
) -> None:
    with (
        pgbouncer(database, pool_mode=pool_mode) as url,
        processes(url, engines.redis_url, tmp_path, command) as (process,),
    ):
        _, said = await asyncio.to_thread(process.communicate, timeout=240)
    assert process.returncode == 2
    assert said.splitlines()[-1].startswith(LINE)


async def test_by_statement_nothing_starts(clean: None, database: str, engines: Engines, tmp_path: Path) -> None:
    with (
        pgbouncer(database, pool_mode="statement") as url,
        processes(told(url), engines.redis_url, tmp_path, "api") as (process,),
    ):
        _, said = await asyncio.to_thread(process.communicate, timeout=240)
    assert process.returncode == 2
    assert said.splitlines()[-1] == f"msvs: {connections.STATEMENT_POOLING}"


@pytest.mark.parametrize(("prepares", "found"), [(False, Pooling.PARSING), (True, Pooling.PREPARING)])
async def test_a_pooler_that_prepares_statements_is_known(database: str, prepares: bool, found: Pooling) -> None:
    with transaction_pooler(database, prepares=prepares) as url:
        await (await connections.connect(told(url), end=go_on)).close()
        assert connections.pooling(told(url)) is found


@pytest.mark.parametrize("prepares", [False, True])
async def test_a_column_that_a_migration_adds_is_seen(engines: Engines, prepares: bool) -> None:
    """What asyncpg was told of a statement, and what the pooler prepared, must not outlive a change of a table."""
    owner = await create_database(engines.database_url, "msvs_changed")
    direct = await asyncpg.connect(owner)
    try:
        await direct.execute("CREATE TABLE shows (id int); INSERT INTO shows VALUES (1)")
        with transaction_pooler(owner, prepares=prepares) as url:
            async with db.connected(told(url), pool_size=2, is_inner=True):
                for sql in ("SELECT * FROM shows", "UPDATE shows SET id = id RETURNING *", "SELECT id FROM shows"):
                    assert [tuple(row) for row in await db.fetch(sql)] == [(1,)]
                await direct.execute("ALTER TABLE shows ADD COLUMN name text DEFAULT 'Doors'")
                for sql in ("SELECT * FROM shows", "UPDATE shows SET id = id RETURNING *"):
                    assert [tuple(row) for row in await db.fetch(sql)] == [(1, "Doors")]
                assert await db.fetch_value("SELECT id FROM shows") == 1
    finally:
        await direct.close()


@pytest.mark.parametrize(("pool_mode", "is_shared"), [("session", False), ("transaction", True), ("statement", True)])
async def test_it_is_known_by_what_it_does(database: str, pool_mode: str, is_shared: bool) -> None:
    with pgbouncer(database, pool_mode=pool_mode) as url:
        if is_shared:
            with pytest.raises(connections.PoolerRefused):
                await connections.connect(url, end=go_on)
            with pytest.raises(connections.PoolerRefused):
                await connections.connect(url, end=go_on)
        else:
            connection = await connections.connect(url, end=go_on)
            assert connection.get_server_pid() != await connection.fetchval("SELECT pg_backend_pid()")
            await connection.close()


async def test_a_pool_that_is_small_is_no_sharing(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "POOLER_SECONDS", 1.0)
    with pgbouncer(database, pool_mode="session", pool_size=1) as url:
        await (await connections.connect(url, end=go_on)).close()


async def test_postgresql_itself_is_asked_once(database: str) -> None:
    connection: asyncpg.Connection = await connections.connect(database)
    assert connection.get_server_pid() == await connection.fetchval("SELECT pg_backend_pid()")
    await connection.close()
