"""A synced list read from a service, against a floor: fetch the file, parse phones, COPY and merge, nothing else."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from uuid import UUID

import aiohttp
from aiohttp import web

from bench.engines import Bench
from bench.imports import MERGE, STAGED, TABLE, parse, write_file
from bench.memory import run_apart
from msvs import database as db
from msvs.address_policy import AddressPolicy
from msvs.api import ids
from msvs.api.contacts import sources
from msvs.api.contacts.source_options import NewSource
from msvs.api.context import Context
from msvs.api.unit_of_work import unit_of_work
from msvs.connectors.base import MAX_PAGE
from msvs.http_client import HttpClient
from msvs.models import ListSource, ListSync, SyncStatus, SyncTrigger
from msvs.workers import syncs
from tests.services import SERVICES

SECRET = "a secret for the sources of benches"


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[str]:
    """Serve the file on loopback. Yield its URL."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(path)

    application = web.Application()
    application.router.add_get("/people.csv", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/people.csv"
    finally:
        await runner.cleanup()


async def floor(url: str, workspace_id: UUID) -> float:
    """Return the seconds of the least that one process can do."""
    await db.execute(TABLE)
    began = time.perf_counter()
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        text = await answer.text()
    reader = csv.reader(io.StringIO(text))
    next(reader)
    while rows := list(islice(reader, MAX_PAGE)):
        await db.copy_rows("bench_staged", STAGED, parse(rows))
    await db.execute(MERGE, workspace_id, timeout=600)
    return time.perf_counter() - began


async def sync() -> None:
    """Run the syncs that are due."""
    SERVICES.keyring.seal_with(SECRET)
    http = HttpClient(AddressPolicy(allow_loopback=True))
    try:
        await syncs.run_syncs(SERVICES, http)
    finally:
        await http.close()


async def work(database_url: str) -> None:
    """Run the syncs that are due. Print the seconds."""
    async with db.connected(database_url):
        began = time.perf_counter()
        await sync()
        took = time.perf_counter() - began
    print()
    print(took)


async def last_sync(count: int) -> ListSync:
    """Return the last sync, which must have read everyone; rows that repeat a phone are one person."""
    row = await ListSync.all().order_by("-id").first()
    if row is None or row.status != SyncStatus.COMPLETED or row.counts.get("people", 0) < 0.9 * count:
        raise RuntimeError(f"the sync is {row and row.status} with {row and row.counts}")
    return row


async def run(place: Bench, count: int) -> dict[str, float]:
    """Measure the floor, a first sync of the same people, and a full sync of people who have not changed."""
    path = place.directory / "people.csv"
    write_file(path, count)
    SERVICES.keyring.seal_with(SECRET)
    ctx = Context(place.workspace_id, livemode=False, actor="bench", services=SERVICES)
    async with db.connected(place.database_url), serving(path) as url:
        least = await floor(url, ids.new_id())
        await db.execute("DROP TABLE bench_staged")
        await place.vacuum("contacts")
        async with unit_of_work():
            made = await sources.create_synced_list(
                ctx, "People", NewSource(type="csv", settings={"url": url}, default_region="US")
            )
        await asyncio.to_thread(run_apart, place, "bench.syncs")
        async with unit_of_work():
            await sources.confirm_sync(ctx, made.id)
        first, kilobytes = await asyncio.to_thread(run_apart, place, "bench.syncs")
        told = await last_sync(count)
        await ListSource.all().update(bookmark=None)
        async with unit_of_work():
            source = await sources.hold_source(ctx, made.id)
            if source is None:
                raise RuntimeError("the list has no source")
            await sources.begin_sync(ctx, source, SyncTrigger.MANUAL)
        again, more = await asyncio.to_thread(run_apart, place, "bench.syncs")
        await last_sync(count)
    return {
        "people": float(count),
        "floor_s": least,
        "sync_s": first,
        "people_per_s": count / first,
        "ratio": first / least,
        "unchanged_ratio": again / least,
        "memory_mb": max(kilobytes, more) / 1024,
        "created": float(told.counts.get("created", 0)),
    }


def measure(place: Bench, count: int) -> dict[str, float]:
    """Measure syncs of so many people."""
    return asyncio.run(run(place, count))


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
