"""Contacts imported from a file, against a floor: read, parse phones in processes, COPY and merge, nothing else."""

from __future__ import annotations

import asyncio
import csv
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID

from bench.accept import wait_for
from bench.engines import Bench
from bench.memory import run_apart
from bench.sends import as_customer, compare, send
from msvs import database as db
from msvs.api import ids
from msvs.api.contacts import import_jobs
from msvs.api.context import Context
from msvs.api.text.cells import CellUnreadable, read_phone_cell
from msvs.api.text.phones import canonical
from msvs.api.unit_of_work import unit_of_work
from msvs.cli.processes import BULK_NICENESS
from msvs.models import ContactImport, ImportStatus
from msvs.settings import Settings
from msvs.workers.imports import run_imports
from tests.factories import make_workspace
from tests.services import SERVICES

PROCESSES = 2
CHUNK = 5000
# Sends beside imports: so many alone before each of the imports, which are of no more rows than this.
PORT = 28_719
SENDS = 150
ROUNDS = 3
MOST_BESIDE = 100_000
FAULTY_EVERY, REPEATED_EVERY = 50, 20
HEADER = ("Phone Number", "First Name", "Last Name", "Email", "Tier")
STAGED = ("id", "phone", "canonical", "region", "number_kind", "first_name", "last_name", "email", "attributes")
TABLE = """
CREATE TABLE bench_staged (id uuid, phone varchar, canonical varchar, region varchar, number_kind varchar,
    first_name varchar, last_name varchar, email varchar, attributes jsonb)
"""
MERGE = """
INSERT INTO contacts (id, workspace_id, livemode, phone, region, number_kind, first_name, last_name, email, attributes,
    opt_in_status, created_at, updated_at)
SELECT DISTINCT ON (canonical) id, $1, false, phone, region, number_kind, first_name, last_name, email, attributes,
    'unknown', now(), now()
FROM bench_staged ON CONFLICT DO NOTHING
"""

Staged = tuple[UUID, str, str, str | None, str, str, str, str, dict[str, str]]


def people(count: int) -> Iterator[Sequence[str]]:
    """Yield rows of which 2 % are faulty and 5 % repeat a phone."""
    for number in range(count):
        if number % FAULTY_EVERY == 7:
            yield "555-01", "Eva", "Lost", f"eva{number}@example.com", "none"
            continue
        own = number - 1 if number % REPEATED_EVERY == 3 else number
        area, rest = 201 + own // 8_000_000, 2_000_000 + own % 8_000_000
        yield f"({area}) {str(rest)[:3]}-{str(rest)[3:]}", "Maria", f"Silva{number}", f"m{number}@example.com", "vip"


def write_file(path: Path, count: int) -> None:
    """Write the file."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(people(count))


def parse(rows: list[list[str]]) -> list[Staged]:
    """Parse the phones of rows; those that have none are left out."""
    found: list[Staged] = []
    for phone, first, last, email, tier in rows:
        try:
            read = read_phone_cell(phone, "US")
        except CellUnreadable:
            continue
        one = canonical(read.e164)
        found.append((ids.new_id(), read.e164, one, read.region, read.kind, first, last, email, {"tier": tier}))
    return found


async def floor(path: Path, workspace_id: UUID) -> float:
    """Return the seconds of the least that can be done."""
    await db.execute(TABLE)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        list(pool.map(parse, [[list(row)] for row in islice(people(10), PROCESSES)]))
        began = time.perf_counter()
        with path.open(newline="") as file:
            reader = csv.reader(file)
            next(reader)
            waiting = []
            while rows := list(islice(reader, CHUNK)):
                waiting.append(pool.submit(parse, rows))
                if len(waiting) > 2 * PROCESSES:
                    await db.copy_rows("bench_staged", STAGED, waiting.pop(0).result())
            for each in waiting:
                await db.copy_rows("bench_staged", STAGED, each.result())
        await db.execute(MERGE, workspace_id, timeout=600)
        return time.perf_counter() - began


async def upload(path: Path, workspace_id: UUID) -> UUID:
    """Upload the file; the import."""
    ctx = Context(workspace_id, livemode=False, actor="bench", services=SERVICES)
    options = import_jobs.ImportOptions(default_region="US")
    async with unit_of_work():
        with path.open("rb") as file:
            return (await import_jobs.import_file(ctx, file, path.name, options)).id


async def work(database_url: str) -> None:
    """Import what waits as a worker of imports does, and tell the seconds."""
    os.nice(BULK_NICENESS)
    async with db.connected(database_url):
        began = time.perf_counter()
        await run_imports(SERVICES, Settings(import_processes=PROCESSES))
        print(time.perf_counter() - began)


async def run(place: Bench, count: int) -> dict[str, float]:
    """Measure the floor and the import of the same file."""
    path = place.directory / "people.csv"
    write_file(path, count)
    async with db.connected(place.database_url):
        least = await floor(path, ids.new_id())
        await db.execute("DROP TABLE bench_staged")
        await place.vacuum("contacts")
        id = await upload(path, place.workspace_id)
        seconds, kilobytes = await asyncio.to_thread(run_apart, place, "bench.imports")
        row = await ContactImport.get(id=id)
    counts = import_jobs.counts_of(row)
    if row.status != ImportStatus.COMPLETED or counts.remaining:
        raise RuntimeError(f"the import is {row.status} with {counts.remaining} rows left")
    return {
        "rows": float(count),
        "floor_s": least,
        "import_s": seconds,
        "rows_per_s": count / seconds,
        "ratio": seconds / least,
        "memory_mb": kilobytes / 1024,
        "created": float(counts.created),
        "invalid_share": counts.invalid / count,
    }


async def run_beside(place: Bench, count: int) -> dict[str, float]:
    """Send single messages in turn while nothing else runs and beside an import of so many rows."""
    path = place.directory / "others.csv"
    write_file(path, count)
    idle: list[float] = []
    busy: list[float] = []
    async with db.connected(place.database_url), as_customer(place) as session:
        await send(session, PORT, SENDS)
        for _ in range(ROUNDS):
            idle += await send(session, PORT, SENDS)
            # Another workspace's, so that each is an import of rows nobody has.
            await upload(path, (await make_workspace()).id)
            working = asyncio.create_task(asyncio.to_thread(run_apart, place, "bench.imports"))
            while not working.done():
                busy += await send(session, PORT, 20)
            await working
    return {f"beside_{name}": value for name, value in compare(idle, busy, (50, 95)).items()} | {
        "beside_sends": float(len(busy))
    }


def measure(place: Bench, count: int) -> dict[str, float]:
    """Measure an import of so many rows, and sends beside one."""
    figures = asyncio.run(run(place, count))
    with place.process("-m", "bench.service", PORT=str(PORT)):
        wait_for(PORT, "/healthz")
        return figures | asyncio.run(run_beside(place, min(count, MOST_BESIDE)))


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
