"""Engines, a workspace and a service of a benchmark's own, with fsync on, under a temporary folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from redis import Redis

from msvs import connections
from msvs import database as db
from msvs.api.accounts.workspaces import create_workspace
from msvs.api.unit_of_work import unit_of_work
from msvs.local import embedded
from tests.services import SERVICES

CREDITS = 100_000_000
PEOPLE_AT_ONCE = 100_000
PEOPLE = """
WITH people AS (
    INSERT INTO contacts (id, workspace_id, livemode, phone, region, number_kind, first_name, attributes,
        opt_in_status, created_at, updated_at)
    SELECT overlay(id_floor(now())::text placing right(gen_random_uuid()::text, 22) from 15)::uuid, $1, $2,
        '+1' || ($3 + n)::text, 'US', 'mobile', 'Maria', '{}', 'opted_in', now(), now()
    FROM generate_series(0, $4::bigint - 1) AS n RETURNING id
)
INSERT INTO list_members (id, list_id, contact_id, created_at) SELECT gen_random_uuid(), $5, id, now() FROM people
"""


@dataclass(frozen=True)
class Bench:
    """Where the engines of this run answer, and its workspace."""

    directory: Path
    database_url: str
    redis_url: str
    workspace_id: UUID
    test_key: str
    live_key: str
    # The process of each engine.
    processes: Mapping[str, int]

    def environment(self, **more: str) -> Mapping[str, str]:
        """The environment of a process of the service."""
        return {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "DATA_DIR": str(self.directory),
            "MSVS_LIVE_CARRIER": "virtual",
            "MSVS_LOG_LEVEL": "WARNING",
            "PYTHONPATH": str(Path(__file__).parent.parent),
            **more,
        }

    @contextmanager
    def process(self, *argv: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run `python argv` beside the benchmark; it is stopped by its own id."""
        process = subprocess.Popen([sys.executable, *argv], env=self.environment(**environment))
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """This process connected to the database, live messages through the virtual carrier."""
        SERVICES.carriers.live = "virtual"
        async with db.connected(self.database_url):
            yield

    async def vacuum(self, table: str) -> None:
        """Clean a table up after what was written, as its owner and outside of any transaction."""
        connection = await connections.connect(self.database_url)
        try:
            await connection.execute(f"VACUUM ANALYZE {table}")
        finally:
            await connection.close()


@contextmanager
def bench() -> Iterator[Bench]:
    """Fresh engines and one workspace with credits; gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="msvs-bench-"))
    engines = embedded.start(directory)
    try:
        yield asyncio.run(_prepare(directory, engines))
    finally:
        engines.stop()
        shutil.rmtree(directory, ignore_errors=True)


async def _prepare(directory: Path, engines: embedded.EmbeddedEngines) -> Bench:
    await db.migrate(engines.database_url)
    async with db.connected(engines.database_url), unit_of_work():
        workspace, test_key, live_key = await create_workspace("Cohort Labs", credits=CREDITS)
    Redis.from_url(engines.redis_url).flushdb()
    return Bench(
        directory, engines.database_url, engines.redis_url, workspace.id, test_key, live_key, engines.processes
    )


async def add_people(workspace_id: UUID, livemode: bool, number: int, *, first: int = 2_000_000_000) -> UUID:
    """Write opted-in contacts with phones from `first` on, and a list of them; the list's id."""
    list_id: UUID = await db.fetch_value(
        "INSERT INTO contact_lists (id, workspace_id, livemode, name, kind, contact_count, created_at, updated_at)"
        " VALUES (gen_random_uuid(), $1, $2, 'Everybody', 'static', 0, now(), now()) RETURNING id",
        workspace_id,
        livemode,
    )
    # No statement may take a minute.
    for start in range(0, number, PEOPLE_AT_ONCE):
        await db.execute(PEOPLE, workspace_id, livemode, first + start, min(PEOPLE_AT_ONCE, number - start), list_id)
    await db.execute("ANALYZE contacts, list_members")
    return list_id
