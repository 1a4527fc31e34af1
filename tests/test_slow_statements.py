"""Slow statements are told of by their names, and by nothing that they were given."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping

import asyncpg
import pytest
import structlog
from structlog.contextvars import bound_contextvars

from msvs import database as db
from msvs import logs, slow_statements
from msvs.api import ids
from msvs.api.accounts.auth import FIND_SUSPENSION, require_open
from msvs.api.context import Context
from msvs.api.errors import NotFound
from msvs.api.webhooks.events import get_event
from msvs.connections import ServiceConnection
from msvs.models import Contact
from msvs.settings import PRODUCTION, Settings
from tests import factories

PHONE = "+14155550123"
BODY = "Doors open at 8pm ET."
SLEEP = "SELECT pg_sleep(0.03), $1::text AS phone, $2::text AS body FROM generate_series(1, 1)"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the service logs in production meanwhile."""
    root = logging.getLogger()
    handlers, level, stream = root.handlers[:], root.level, io.StringIO()
    logs.set_up(Settings(environment=PRODUCTION), stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
async def watched(database: str) -> AsyncIterator[None]:
    """Connections that tell of what takes longer than 20 ms."""
    async with db.connected(database, slow_ms=20, pool_size=2, is_inner=True):
        yield


def told(lines: io.StringIO) -> list[Mapping[str, object]]:
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [line for line in found if line["event"] == "slow statement"]


async def test_a_slow_statement_is_told_without_what_it_was_given(watched: None, lines: io.StringIO) -> None:
    with bound_contextvars(request_id="req_1", workspace="wsp_1", job="dispatch_messages"):
        await db.fetch(SLEEP, PHONE, BODY)
    (line,) = told(lines)
    assert isinstance(line["ms"], float)
    assert 30 <= line["ms"] < 5000
    assert line["rows"] == 1
    assert (line["request_id"], line["workspace"], line["job"]) == ("req_1", "wsp_1", "dispatch_messages")
    assert line["statement"] == "SELECT generate_series"
    assert PHONE[1:] not in lines.getvalue()
    assert "4155550123" not in lines.getvalue()
    assert "Doors" not in lines.getvalue()


async def test_a_quick_statement_is_not_told(watched: None, lines: io.StringIO) -> None:
    await db.fetch("SELECT $1::text AS phone", PHONE)
    assert told(lines) == []


async def test_what_ended_by_an_error_is_told_too(watched: None, lines: io.StringIO) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        await db.execute("SELECT 1 / (0 * length(pg_sleep(0.03)::text || $1))", PHONE)
    (line,) = told(lines)
    assert (line["error"], line["rows"]) == ("DivisionByZeroError", None)
    assert "4155550123" not in lines.getvalue()


async def test_statements_of_all_kinds_are_timed(database: str, ctx: Context, lines: io.StringIO) -> None:
    class Told(slow_statements.Watched):
        __slots__ = ()
        slow_seconds = 0.0

    contact = await factories.make_contact(ctx, phone=PHONE)
    connection = await asyncpg.connect(database, connection_class=Told)
    try:
        async with connection.transaction():
            await connection.execute("CREATE TEMP TABLE named (name text) ON COMMIT DROP")
            await connection.executemany("INSERT INTO named VALUES ($1)", [("a",), ("b",)])
            await connection.copy_records_to_table("named", records=[("c",)], columns=["name"])
            assert len(await connection.fetch("SELECT name FROM named")) == 3
            assert await connection.fetchval("SELECT count(*) FROM named") == 3
            assert (await connection.fetchrow("SELECT name FROM named LIMIT 1"))["name"] == "a"
            assert await connection.execute("DELETE FROM named WHERE name <> $1", "a") == "DELETE 2"
    finally:
        await connection.close()
    assert [(line["statement"], line["rows"]) for line in told(lines)] == [
        ("BEGIN", None),
        ("CREATE named", None),
        ("INSERT named", None),
        ("COPY named", 1),
        ("SELECT named", 3),
        ("SELECT named", None),
        ("SELECT named", 1),
        ("DELETE named", 2),
        ("COMMIT", None),
    ]
    assert await Contact.filter(id=contact.id).exists()


async def test_the_log_names_the_function_that_asked(database: str, ctx: Context, lines: io.StringIO) -> None:
    """Of the service's own statements and of Tortoise's."""
    async with db.connected(database, slow_ms=0.001, pool_size=1, is_inner=True):
        await require_open(ctx)
        with pytest.raises(NotFound):
            await get_event(ctx, ids.new_id())
    own, found = told(lines)[-2:]
    assert (own["statement"], own["caller"]) == ("FIND_SUSPENSION", "msvs.api.accounts.auth.require_open")
    assert (found["statement"], found["caller"]) == ("SELECT events", "msvs.api.webhooks.events.get_event")


def test_nothing_is_timed_where_it_is_off() -> None:
    assert slow_statements.watching(0) is ServiceConnection


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        (FIND_SUSPENSION, "FIND_SUSPENSION"),
        ('SELECT "id" FROM "contacts" WHERE "phone"=$1', "SELECT contacts"),
        (f"SELECT 1 WHERE '{PHONE}' = '{BODY}'", "SELECT"),
        ("COMMIT;", "COMMIT"),
        ("\n-- what it is for\nSELECT 1", "SELECT"),
    ],
)
def test_a_statement_has_a_name_without_a_value(sql: str, name: str) -> None:
    assert slow_statements.name_of(sql) == name
