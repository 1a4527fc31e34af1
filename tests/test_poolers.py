"""PgBouncer before PostgreSQL: by session all works as it comes, by transaction nothing starts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from msvs import connections
from msvs import database as db
from msvs.api.campaigns.campaigns import CreateCampaign, create_campaign
from msvs.api.context import Context
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers import registry
from msvs.carriers.config import CarrierConfig
from msvs.models import CarrierSession, Message
from msvs.workers import carrier_binds
from msvs.workers.carrier_binds import SessionHolder
from tests import factories
from tests.engines import Engines
from tests.pooler import pgbouncer
from tests.workers.sessions_carrier import KIND, FileCarrier

pytestmark = pytest.mark.processes


def go_on() -> None:
    """A refused pooler ends a process of the service, never this one."""


LINE = "msvs: DATABASE_URL leads to a pooler that shares connections by transaction or statement; "
PROCESSES = ("api", "worker messages", "worker campaigns", "worker reports", "worker maintenance", "cron")
RECIPIENTS = 300


@contextmanager
def processes(
    url: str, redis_url: str, folder: Path, *commands: str, **more: str
) -> Iterator[list[subprocess.Popen[str]]]:
    env = os.environ | {"DATABASE_URL": url, "REDIS_URL": redis_url, "DATA_DIR": str(folder), "PORT": "0"} | more
    with ExitStack() as stack:
        started = []
        for command in commands:
            process = subprocess.Popen(
                [sys.executable, "-m", "msvs", *command.split()],
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
    async with asyncio.timeout(60):
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


@pytest.mark.parametrize("pool_mode", ["transaction", "statement"])
@pytest.mark.parametrize("command", ["migrate", "cron", "carriers", "api"])
async def test_by_transaction_nothing_starts(
    clean: None, database: str, engines: Engines, tmp_path: Path, pool_mode: str, command: str
) -> None:
    with (
        pgbouncer(database, pool_mode=pool_mode) as url,
        processes(url, engines.redis_url, tmp_path, command) as (process,),
    ):
        _, told = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 2
    assert told.splitlines()[-1].startswith(LINE)


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
