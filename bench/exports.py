"""Contacts exported into a file, against a floor: COPY of the same columns to this process, and nothing else."""

from __future__ import annotations

import asyncio
import sys
import time
from uuid import UUID

from bench.engines import Bench
from bench.memory import run_apart
from msvs import database as db
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.messages import export_jobs
from msvs.api.messages.export_requests import CreateExport
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Export, ExportStatus
from msvs.workers import exports
from msvs.workers.stopping import StopFlag
from tests.services import SERVICES

COLUMNS = (
    "id, phone, first_name, last_name, email, timezone, external_id, opt_in_status, opt_in_source, opt_in_at,"
    " created_at, updated_at, attributes"
)
AT_ONCE = 100_000
FILL = """
INSERT INTO contacts (id, workspace_id, livemode, phone, region, number_kind, first_name, last_name, email,
    external_id, attributes, opt_in_status, opt_in_source, opt_in_at, created_at, updated_at)
SELECT overlay(id_floor(now())::text placing right(gen_random_uuid()::text, 22) from 15)::uuid, $1, false,
    '+1' || ($2::bigint + n)::text, 'US', 'mobile', 'Maria', 'Silva' || n, 'm' || $2::bigint + n || '@example.com',
    'crm-' || $2::bigint + n, '{"tier": "vip", "points": 7}', 'opted_in', 'webinar', now(), now(), now()
FROM generate_series(0, $3::bigint - 1) AS n
"""


async def floor(workspace_id: UUID) -> tuple[float, int]:
    """Return the seconds and the bytes of the least that can be done."""
    size = 0

    async def take(data: bytes) -> None:
        nonlocal size
        size += len(data)

    async with db.client().acquire_connection() as connection, connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = '600s'")
        await connection.execute("SET LOCAL application_name = 'bench'")
        began = time.perf_counter()
        await connection.copy_from_query(
            f"SELECT {COLUMNS} FROM contacts WHERE workspace_id = $1 AND NOT livemode ORDER BY id",
            workspace_id,
            output=take,
            format="csv",
            timeout=600,
        )
        return time.perf_counter() - began, size


async def work(database_url: str) -> None:
    """Write what waits, and tell the seconds."""
    async with db.connected(database_url):
        began = time.perf_counter()
        await exports.run_export(SERVICES, StopFlag())
        took = time.perf_counter() - began
    print(took)


async def ask(ctx: Context, **options: bool) -> UUID:
    """Ask for an export of all contacts."""
    async with unit_of_work():
        return (await export_jobs.create_export(ctx, CreateExport(kind="contacts", **options))).id


async def write(place: Bench, id: UUID) -> tuple[float, float]:
    """Have a process of its own write an export. Return its seconds and megabytes."""
    seconds, kilobytes = await asyncio.to_thread(run_apart, place, "bench.exports")
    row = await Export.get(id=id)
    if row.status is not ExportStatus.COMPLETED:
        raise RuntimeError(f"the export is {row.status}")
    return seconds, kilobytes / 1024


async def run(place: Bench, count: int) -> dict[str, float]:
    """Measure the floor and the export of the same rows."""
    ctx = Context(ids.new_id(), livemode=False, actor="bench", services=SERVICES)
    async with db.connected(place.database_url):
        for start in range(0, count, AT_ONCE):
            await db.execute(FILL, ctx.workspace_id, 2_012_000_000 + start, min(AT_ONCE, count - start), timeout=600)
        await place.vacuum("contacts")
        await floor(ctx.workspace_id)
        least, size = await floor(ctx.workspace_id)
        plain, memory = await write(place, await ask(ctx))
        packed, packed_memory = await write(place, await ask(ctx, gzip=True))
    return {
        "rows": float(count),
        "floor_s": least,
        "floor_mb": size / 1e6,
        "export_s": plain,
        "ratio": plain / least,
        "gzip_s": packed,
        "gzip_ratio": packed / least,
        "memory_mb": max(memory, packed_memory),
    }


def measure(place: Bench, count: int) -> dict[str, float]:
    """Measure an export of so many rows."""
    return asyncio.run(run(place, count))


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
