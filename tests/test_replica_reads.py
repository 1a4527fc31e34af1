"""Reads of a standby: only of what it has, only by lists and statistics, and never with an error of its own."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx
import pytest
from redis import Redis

import msvs.api
from msvs import database as db
from msvs.api.accounts.keys import create_key
from msvs.api.campaigns.campaigns import list_campaigns
from msvs.api.contacts.contact_pages import list_matching
from msvs.api.context import Context
from msvs.api.pages import PageRequest
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Contact
from msvs.pool import sharing
from msvs.replica_reads import SINCE, Reads, mark_key, marking
from tests import factories
from tests.apps import BASE_URL, running_app, settings_for
from tests.engines import Engines
from tests.services import SERVICES
from tests.standby import Server, primary_and_standby

pytestmark = pytest.mark.timeout(600)

# What a standby may answer. Nothing here decides: no claim, consent, balance, key or idempotency is read by it.
MAY_READ = {
    "accounts.request_log": {"count_requests", "list_requests"},
    "audit": {"list_audit"},
    "campaigns.campaigns": {"campaign_stats", "list_campaigns"},
    "campaigns.search": {
        "search_campaigns", "search_contacts", "search_lists", "search_messages", "search_segments",
    },
    "campaigns.sequence_stats": {"read_stats", "sequence_stats"},
    "consent.consent": {"list_consent"},
    "contacts.contact_pages": {"count_matching", "list_matching"},
    "credits.credits": {"list_ledger"},
    "messages.messages": {"count_messages", "list_messages"},
    "messages.statistics": {
        "campaign_failures", "conversation_overview", "read_activity", "read_audience_growth", "read_campaign_activity",
        "read_conversion_activity", "read_deliverability", "read_usage",
    },
    "webhooks.events": {"list_events"},
}  # fmt: skip
PAGE = PageRequest(20)
NOW_FLUSHED = "SELECT pg_current_wal_flush_lsn()"
HAS_REPLAYED = "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn"


def test_these_operations_may_read_from_a_standby() -> None:
    found: dict[str, set[str]] = {}
    for module in pkgutil.walk_packages(msvs.api.__path__, "msvs.api."):
        for name, each in vars(importlib.import_module(module.name)).items():
            if inspect.isfunction(each) and hasattr(each, "from_replica") and each.__module__ == module.name:
                found.setdefault(module.name.removeprefix("msvs.api."), set()).add(name)
    assert found == MAY_READ


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server]]:
    with primary_and_standby() as both:
        yield both


@pytest.fixture(scope="module")
async def migrated(servers: tuple[Server, Server]) -> str:
    """The primary's URL, once it has the tables."""
    # In a process of its own: this one may be connected already.
    environment = {**os.environ, "DATABASE_URL": servers[0].url}
    command = (sys.executable, "-m", "msvs", "migrate")
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.DEVNULL)
    assert await process.wait() == 0
    return servers[0].url


@pytest.fixture
async def reads(migrated: str, servers: tuple[Server, Server], engines: Engines) -> AsyncIterator[Reads]:
    """This process connected to the primary, and following the standby."""
    with Redis.from_url(engines.redis_url) as redis:
        redis.delete(SINCE)
    found = SERVICES.keep(Reads)
    async with (
        db.connected(migrated, pool_size=8, is_inner=True),
        found.following([servers[1].url], engines.redis_url, max_lag=5, pool_size=4),
    ):
        yield found
    SERVICES.forget(Reads)


@pytest.fixture
async def here(reads: Reads) -> Context:
    """The sandbox of a workspace on the primary."""
    return Context((await factories.make_workspace()).id, livemode=False, actor="test", services=SERVICES)


async def caught_up(reads: Reads, server: Server) -> None:
    """Wait until the standby has all that the primary has, and this process knows."""
    flushed = await db.fetch_value(f"{NOW_FLUSHED}::text")
    connection = await asyncpg.connect(server.url)
    try:
        while not await connection.fetchval("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", flushed):
            pass
    finally:
        await connection.close()
    await reads.look()


async def paused(server: Server, *, is_so: bool) -> None:
    connection = await asyncpg.connect(server.url)
    await connection.execute("SELECT pg_wal_replay_pause()" if is_so else "SELECT pg_wal_replay_resume()")
    while (await connection.fetchval("SELECT pg_get_wal_replay_pause_state()") == "paused") is not is_so:
        pass
    await connection.close()


async def add(ctx: Context, reads: Reads, name: str) -> UUID:
    """Add a contact as a request of the workspace does."""
    with marking(reads), sharing(ctx.workspace_id):
        async with unit_of_work():
            made: Contact = await factories.make_contact(ctx, first_name=name)
    return made.id


async def names(ctx: Context) -> list[str | None]:
    return [row.first_name for row in (await list_matching(ctx, PAGE)).items]


async def test_a_standby_answers_lists(here: Context, reads: Reads, servers: tuple[Server, Server]) -> None:
    await add(here, reads, "Ana")
    await caught_up(reads, servers[1])
    before = dict(reads.counts)
    assert await names(here) == ["Ana"]
    assert (await list_campaigns(here, PAGE)).items == []
    assert reads.counts == before | {"replica": before["replica"] + 2}
    assert reads.standbys[0].lag < 5


async def test_what_was_just_written_is_read(here: Context, reads: Reads, servers: tuple[Server, Server]) -> None:
    """The standby stands still; every process reads what the workspace wrote, and others' lists may come from it."""
    other = Context((await factories.make_workspace()).id, livemode=False, actor="test", services=SERVICES)
    await add(here, reads, "Ana")
    await caught_up(reads, servers[1])
    await paused(servers[1], is_so=True)
    try:
        await add(here, reads, "Bea")
        before = dict(reads.counts)
        assert await names(here) == ["Bea", "Ana"]
        await reads.look()
        assert await names(here) == ["Bea", "Ana"]
        assert reads.counts == before | {"primary": before["primary"] + 2}
        assert await names(other) == []
        assert reads.counts["replica"] == before["replica"] + 1
    finally:
        await paused(servers[1], is_so=False)
    await caught_up(reads, servers[1])
    assert await names(here) == ["Bea", "Ana"]
    assert reads.counts["replica"] == before["replica"] + 2


async def test_a_standby_that_is_too_far_behind_is_not_read(
    here: Context, reads: Reads, servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    await caught_up(reads, servers[1])
    monkeypatch.setattr(reads.standbys[0], "own", float("-inf"))
    assert await reads.choose(here.workspace_id) is None


async def test_where_marks_are_lost_the_primary_is_read(
    here: Context, reads: Reads, servers: tuple[Server, Server], engines: Engines
) -> None:
    await add(here, reads, "Ana")
    await caught_up(reads, servers[1])
    await paused(servers[1], is_so=True)
    try:
        await add(here, reads, "Bea")
        with Redis.from_url(engines.redis_url) as redis:
            redis.delete(SINCE, mark_key(here.workspace_id))
        assert await names(here) == ["Bea", "Ana"]
        await reads.look()
        assert await names(here) == ["Bea", "Ana"]
    finally:
        await paused(servers[1], is_so=False)


async def test_a_transaction_reads_the_primary(here: Context, reads: Reads, servers: tuple[Server, Server]) -> None:
    await caught_up(reads, servers[1])
    before = dict(reads.counts)
    async with unit_of_work():
        await factories.make_contact(here, first_name="Ana")
        assert await names(here) == ["Ana"]
    assert reads.counts == before


async def test_a_standby_that_is_killed_is_not_missed(
    here: Context, reads: Reads, servers: tuple[Server, Server]
) -> None:
    await add(here, reads, "Ana")
    await caught_up(reads, servers[1])
    assert await names(here) == ["Ana"]
    servers[1].end(signal.SIGKILL)
    try:
        before = dict(reads.counts)
        assert await names(here) == ["Ana"]
        assert reads.counts["replica"] == before["replica"]
        await reads.look()
        assert reads.standbys[0].client is None
        assert await names(here) == ["Ana"]
    finally:
        servers[1].start()
    await caught_up(reads, servers[1])
    await reads.look()
    assert await names(here) == ["Ana"]
    assert reads.counts["replica"] == before["replica"] + 1


async def test_rest_and_graphql_read_what_they_wrote(
    here: Context, reads: Reads, servers: tuple[Server, Server], migrated: str, engines: Engines, tmp_path: Path
) -> None:
    _, key = await create_key(here.workspace_id, livemode=False)
    await caught_up(reads, servers[1])
    await paused(servers[1], is_so=True)
    try:
        async with (
            running_app(settings_for(migrated, engines, tmp_path)) as app,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app),
                base_url=BASE_URL,
                headers={"Authorization": f"Bearer {key}"},
            ) as client,
        ):
            made = await client.post("/v1/contacts", json={"phone": "+14155550123", "first_name": "Ana"})
            assert made.status_code == 201, made.text
            found = await client.get("/v1/contacts")
            assert [each["first_name"] for each in found.json()["data"]] == ["Ana"]
            asked = await client.post("/graphql", json={"query": "{ contacts(first: 5) { nodes { firstName } } }"})
            assert asked.json()["data"] == {"contacts": {"nodes": [{"firstName": "Ana"}]}}
    finally:
        await paused(servers[1], is_so=False)
