"""A send beside each upkeep, as a ratio to a send while there is none: in turn, so that noise hits both alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import aiohttp
import asyncpg
from tortoise.migrations.schema_editor.asyncpg import AsyncpgSchemaEditor
from tortoise.migrations.schema_generator.state import State, StateApps

from bench.accept import wait_for
from bench.engines import Bench
from bench.rows import FILL
from bench.sends import as_customer, compare, send
from msvs import database as db
from msvs.api.dispatch.campaign_stats import fold_tallies
from msvs.migrations._indexes import CreateIndexConcurrently
from msvs.settings import Settings
from msvs.workers import partitions, retention
from tests.services import SERVICES

PORT = 28_715
ROWS = 200_000
ROUNDS = 4
SENDS = 80
# So many messages a second, each with a key, leave so many rows to be dropped in ten seconds.
EXPIRED = 20_000
DELTAS = 5_000
MONTHS = 25

INDEX = CreateIndexConcurrently("messages_bench", "messages", "(workspace_id, to_phone)")
OLD_RECORDS = """
INSERT INTO idempotency_records (id, workspace_id, livemode, key, fingerprint, status_code, body, created_at)
SELECT gen_random_uuid(), $1, false, gen_random_uuid()::text, '', 200, '{}', now() - interval '2 days'
FROM generate_series(1, $2::bigint)
"""
NEW_DELTAS = """
INSERT INTO campaign_tallies (campaign_id, status, messages, credits)
SELECT md5((n % 20)::text)::uuid, 'sent', 1, 1 FROM generate_series(1, $1::bigint) AS n
"""
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"

Chore = Callable[[Bench], Awaitable[object]]


class Roll:
    """Makes one more month's partitions and drops the oldest month, each time."""

    def __init__(self) -> None:
        self.kept = MONTHS

    async def __call__(self, _: Bench) -> None:
        """Roll once."""
        partitions.MONTHS_AHEAD += 1
        self.kept = max(4, self.kept - 1)
        await partitions.roll_partitions(Settings(event_months=self.kept, attempt_months=self.kept))
        await asyncio.sleep(0.1)


async def roll_beside_dump(place: Bench) -> None:
    """Try to roll while a dump has every table."""
    async with _dumping(place) as connection:
        for (name,) in await connection.fetch(TABLES):
            await connection.execute(f"LOCK TABLE {name} IN ACCESS SHARE MODE")
        partitions.MONTHS_AHEAD += 1
        await partitions.roll_partitions(Settings())


async def drop(place: Bench) -> None:
    """Drop rows past their keeping."""
    await db.execute(OLD_RECORDS, place.workspace_id, EXPIRED)
    await retention.drop_expired(SERVICES)


async def fold(_: Bench) -> None:
    """Fold tallies."""
    await db.execute(NEW_DELTAS, DELTAS)
    await fold_tallies()


async def index(_: Bench) -> None:
    """Build an index on messages and drop it."""
    state = State(models={}, apps=StateApps())
    await INDEX.database_forward(db.APP, state, state, AsyncpgSchemaEditor(db.client(), atomic=False))
    await asyncio.sleep(0.2)


async def dump(place: Bench) -> None:
    """Read every message in one snapshot, as a dump does."""
    async with _dumping(place) as connection:
        await connection.copy_from_query("SELECT * FROM messages", output=_discard, format="binary")


@asynccontextmanager
async def _dumping(place: Bench) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(place.database_url)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            yield connection
    finally:
        await connection.close()


async def _discard(_: bytes) -> None:
    return None


CHORES: Mapping[str, Chore] = {
    "partitions": Roll(),
    "partitions_beside_dump": roll_beside_dump,
    "retention": drop,
    "tallies": fold,
    "index": index,
    "dump": dump,
}


async def _beside(place: Bench, session: aiohttp.ClientSession, chore: Chore) -> tuple[list[float], int]:
    """Send while a chore is done again and again; milliseconds of each send, and how often it was done."""
    done, over = 0, False

    async def work() -> None:
        nonlocal done
        while not over:
            await chore(place)
            done += 1

    working = asyncio.create_task(work())
    await asyncio.sleep(0.05)
    times = await send(session, PORT, SENDS)
    over = True
    await working
    return times, done


async def _measure(place: Bench) -> dict[str, float]:
    figures: dict[str, float] = {}
    async with place.connected(), as_customer(place) as session:
        for table in partitions.PARTITIONED:
            for month in range(1, MONTHS):
                await db.execute(
                    "SELECT ensure_partition($1, 'fillfactor = 80', now() - make_interval(months => $2))", table, month
                )
        await db.execute(FILL, 0, ROWS - 1, place.workspace_id, ROWS)
        await place.vacuum("messages")
        await send(session, PORT, SENDS)
        for name, chore in CHORES.items():
            idle, busy, done = [], [], 0
            for _ in range(ROUNDS):
                idle += await send(session, PORT, SENDS)
                times, times_done = await _beside(place, session, chore)
                busy += times
                done += times_done
            figures |= {f"{name}_{part}": value for part, value in compare(idle, busy, (50, 99)).items()} | {
                f"{name}_done": done
            }
    figures["worst_ratio"] = max(value for name, value in figures.items() if name.endswith("_p99_ratio"))
    return figures


def measure(place: Bench) -> dict[str, float]:
    """The p50 and p99 of a send, idle and beside each upkeep."""
    with place.process("-m", "bench.service", PORT=str(PORT)):
        wait_for(PORT, "/healthz")
        return asyncio.run(_measure(place))
