"""`msvs tail`: events as they are committed, each once, over what cuts it off, and without what people wrote."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import event_tail
from msvs.api.webhooks.event_tail import EventTail
from msvs.api.webhooks.events import EventType
from msvs.cli.tail import masked
from tests.receiver import write_events
from tests.test_cli import environment, msvs

PHONE = "+14155550123"
BODY = "Doors open at 8pm ET."


@pytest.fixture
def env(clean: None, database: str, tmp_path: Path) -> dict[str, str]:
    """An environment whose database is the tests'."""
    return environment(tmp_path, DATABASE_URL=database)


def here(ctx: Context) -> tuple[str, str]:
    return "--workspace", ids.encode_id(ids.WORKSPACE, ctx.workspace_id)


async def send(ctx: Context) -> str:
    async with unit_of_work():
        row = await send_message(ctx, SendMessage(PHONE, BODY, metadata={"name": "Ada"}))
    return ids.encode_id(ids.MESSAGE, row.id)


class Tail:
    """A command that follows events; its lines as they come."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            line: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return line

    async def told(self) -> str:
        """What it says of itself."""
        assert self._process.stderr is not None
        async with asyncio.timeout(20):
            return (await self._process.stderr.readline()).decode()


@asynccontextmanager
async def tailing(*arguments: str, env: dict[str, str]) -> AsyncIterator[Tail]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "msvs",
        "tail",
        "--json",
        *arguments,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield Tail(process)
    finally:
        process.kill()
        await process.communicate()


async def test_events_are_followed_with_phones_masked_and_texts_hidden(env: dict[str, str], ctx: Context) -> None:
    (first,) = await write_events(ctx)
    async with tailing(*here(ctx), "--after", first, env=env) as tail:
        message_id = await send(ctx)
        line = await tail.line()
        assert (line["type"], line["livemode"], line["data"]["id"]) == ("message.queued", False, message_id)
        assert line["data"]["to"] == "+1415•••0123"
        assert (line["data"]["body"], line["data"]["metadata"]) == ("•••", "•••")
        assert "Doors" not in json.dumps(line)
        assert "Ada" not in json.dumps(line)
        (second,) = await write_events(ctx, type=EventType.MESSAGE_FAILED)
        assert (await tail.line())["id"] == second


async def test_events_are_chosen_by_type_object_campaign_and_mode(
    env: dict[str, str], ctx: Context, live_ctx: Context, other_ctx: Context
) -> None:
    (first,) = await write_events(ctx)
    await write_events(other_ctx)
    failed = await write_events(live_ctx, type=EventType.MESSAGE_FAILED)
    message_id = await send(ctx)
    following = ("tail", *here(ctx), "--after", first, "--json", "--count", "1")

    async def found(*arguments: str) -> Any:
        done = await msvs(*following, *arguments, env=env)
        assert (done.status, done.err) == (0, "")
        return json.loads(done.out)

    assert (await found("--type", "message.failed"))["id"] == failed[0]
    assert (await found("--mode", "live"))["id"] == failed[0]
    assert (await found("--object", message_id))["data"]["id"] == message_id
    campaign = ids.encode_id(ids.CAMPAIGN, ids.new_id())
    await db.execute(
        "UPDATE events SET data = (data::jsonb || jsonb_build_object('campaign_id', $1::text))::text WHERE id = $2",
        campaign,
        ids.decode_id(ids.EVENT, failed[0]),
    )
    assert (await found("--campaign", campaign))["id"] == failed[0]


async def test_a_line_for_people(env: dict[str, str], ctx: Context) -> None:
    (first,) = await write_events(ctx)
    message_id = await send(ctx)
    done = await msvs("tail", *here(ctx), "--after", first, "--count", "1", env=env)
    assert done.status == 0
    assert "test  message.queued" in done.out
    assert f"{message_id}  +1415•••0123  MASSIVESMS  queued" in done.out


async def test_what_does_not_exist_is_refused(env: dict[str, str], ctx: Context) -> None:
    done = await msvs("tail", *here(ctx), "--type", "message.read", env=env)
    assert (done.status, done.out) == (2, "")
    done = await msvs("tail", "--workspace", "wsp_01HYZ8K5VQAE2N0PWQ6DC9V8MP", env=env)
    assert (done.status, done.out) == (1, "")
    done = await msvs("tail", *here(ctx), "--after", "msg_1", env=env)
    assert (done.status, done.out) == (1, "")


class Line:
    """A connection to PostgreSQL that the test cuts and joins."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 5432)
        self._url = url
        self._netloc = parts.netloc
        self._port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return self._url.replace(f"{self._target[0]}:{self._target[1]}", f"127.0.0.1:{self._port}")

    async def join(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, there_writer}
        try:
            await asyncio.gather(self._pass(reader, there_writer), self._pass(there_reader, writer))
        except OSError:
            pass
        finally:
            there_writer.transport.abort()
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def test_no_event_is_missed_or_told_twice_over_a_cut(env: dict[str, str], ctx: Context, database: str) -> None:
    line = Line(database)
    await line.join()
    assert line.url != database
    (first,) = await write_events(ctx)
    async with tailing(*here(ctx), "--after", first, env=env | {"DATABASE_URL": line.url}) as tail:
        before = await write_events(ctx, 3)
        assert [(await tail.line())["id"] for _ in before] == before
        await line.cut()
        assert await tail.told() == "msvs: the database is away; waiting for it\n"
        meanwhile = await write_events(ctx, 5)
        await line.join()
        assert await tail.told() == "msvs: the database is back\n"
        after = await write_events(ctx, 2)
        assert [(await tail.line())["id"] for _ in (*meanwhile, *after)] == [*meanwhile, *after]
    await line.cut()


async def ids_of(tail: EventTail) -> list[UUID]:
    return [row.id async for row in tail.look()]


async def test_what_began_before_a_gap_and_was_committed_in_it_is_found(
    ctx: Context, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id of an event is older than its commit: after a gap it lies behind what was read."""
    monkeypatch.setattr(event_tail, "OVERLAP", timedelta(milliseconds=50))
    tail = EventTail(ctx)
    await write_events(ctx)
    assert await ids_of(tail) == []
    late = ids.new_id()
    await asyncio.sleep(0.1)
    (prompt,) = await write_events(ctx)
    assert [ids.encode_id(ids.EVENT, id) for id in await ids_of(tail)] == [prompt]
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(
            "INSERT INTO events (id, workspace_id, livemode, type, data, created_at)"
            " VALUES ($1, $2, $3, 'test.ping', '{}', now())",
            late,
            ctx.workspace_id,
            ctx.livemode,
        )
    finally:
        await connection.close()
    # The gap.
    await asyncio.sleep(0.1)
    assert await ids_of(tail) == [late]
    for _ in range(event_tail.DEEP_EVERY + 1):
        assert await ids_of(tail) == []


async def test_many_events_come_page_by_page(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_tail, "READ_IDS", 7)
    monkeypatch.setattr(event_tail, "READ_EVENTS", 3)
    (first,) = await write_events(ctx)
    written = await write_events(ctx, 20)
    tail = EventTail(ctx, ids.decode_id(ids.EVENT, first))
    assert [ids.encode_id(ids.EVENT, id) for id in await ids_of(tail)] == written


async def test_what_broke_off_goes_on_where_it_was(ctx: Context) -> None:
    tail = EventTail(ctx)
    assert await ids_of(tail) == []
    written = await write_events(ctx, 4)
    look = tail.look()
    begun = [ids.encode_id(ids.EVENT, (await anext(look)).id) for _ in range(2)]
    await look.aclose()  # type: ignore[attr-defined]
    rest = [ids.encode_id(ids.EVENT, id) for id in await ids_of(tail)]
    assert begun + rest == written


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (
            {"to": PHONE, "status": "sent", "segments": 2, "error": None},
            {"to": "+1415•••0123", "status": "sent", "segments": 2, "error": None},
        ),
        ({"body": BODY, "first_name": "Maria", "email": None}, {"body": "•••", "first_name": "•••", "email": None}),
        (
            {"error": {"code": "carrier_rejected", "message": BODY}},
            {"error": {"code": "carrier_rejected", "message": "•••"}},
        ),
        ({"tags": ["vip", "two words"], "name": "Cohort"}, {"tags": ["vip", "•••"], "name": "•••"}),
        ({"created_at": "2026-05-01T20:00:00.000Z"}, {"created_at": "2026-05-01T20:00:00.000Z"}),
    ],
)
def test_what_a_line_shows(data: dict[str, object], shown: dict[str, object]) -> None:
    assert masked(data) == shown
