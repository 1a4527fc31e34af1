"""Exports: turns of workspaces, leases, and how interrupted exports end."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from msvs import database as db
from msvs.api.context import Context
from msvs.api.messages import export_jobs
from msvs.api.messages.export_rows import Statement
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Contact, ContactImport, Export, ExportStatus
from msvs.settings import Settings
from msvs.workers import exports, imports, leases
from msvs.workers.stopping import StopFlag
from tests.owner import run_as_owner
from tests.plans import NEW_ID, reading
from tests.services import SERVICES
from tests.workers.test_exports import ask, data_of, make_people, rows_of
from tests.workers.test_imports import MARIA, upload

SETTINGS = Settings(import_processes=0)
ENDED = f"""
INSERT INTO exports (id, workspace_id, livemode, kind, status, actor, options, rows_done, file_size, turn_at,
    created_at, updated_at)
SELECT overlay({NEW_ID}::text placing '0189' from 1 for 4)::uuid, $1, true, 'ledger', 'expired', 'test', '{{}}', 0, 0,
    now(), now(), now()
FROM generate_series(1, $2::int)
"""


def before_rows(monkeypatch: pytest.MonkeyPatch, work: Callable[[Any, asyncpg.Connection], Awaitable[object]]) -> None:
    """Run `work` before PostgreSQL writes the rows of an export."""
    real = exports.Writing.take_all

    async def worked(self: Any, connection: asyncpg.Connection, *values: Any) -> None:
        await work(self, connection)
        await real(self, connection, *values)

    monkeypatch.setattr(exports.Writing, "take_all", worked)


async def run_once() -> bool:
    async with asyncio.timeout(10):
        return await exports.run_export(SERVICES, StopFlag())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():  # noqa: ASYNC110 - other tasks end it
        await asyncio.sleep(0.05)


# The lease


async def test_the_lease_lasts_while_postgresql_looks_for_rows(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_people(ctx)
    row = await ask(ctx, "contacts")
    monkeypatch.setattr(exports, "LEASE", timedelta(seconds=0.4))
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.05)
    looks = []

    async def look_elsewhere(_: Any, connection: asyncpg.Connection) -> None:
        for _ in range(4):
            await connection.execute("SELECT pg_sleep(0.2)")
            looks.append(await exports.claim_export(SERVICES, StopFlag()))

    before_rows(monkeypatch, look_elsewhere)
    assert await run_once()
    row = await Export.get(id=row.id)
    assert (looks, row.status, row.rows_done) == ([None] * 4, ExportStatus.COMPLETED, 3)


async def test_a_silent_statement_is_broken_off_once_the_export_ended(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await ask(ctx, "contacts")
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.05)

    async def cancel_and_sleep(_: Any, connection: asyncpg.Connection) -> None:
        async with unit_of_work():
            await export_jobs.cancel_export(ctx, row.id)
        await connection.execute("SELECT pg_sleep(60)", timeout=60)

    before_rows(monkeypatch, cancel_and_sleep)
    assert await run_once()
    assert (await Export.get(id=row.id)).status == ExportStatus.CANCELED


async def test_a_worker_that_is_told_to_end_gives_the_lease_back(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    row = await ask(ctx, "contacts")
    begun = asyncio.Event()

    async def sleep(_: Any, connection: asyncpg.Connection) -> None:
        begun.set()
        await connection.execute("SELECT pg_sleep(60)", timeout=60)

    with monkeypatch.context() as patched:
        before_rows(patched, sleep)
        writing = asyncio.create_task(imports.run_files(SERVICES, SETTINGS))
        await begun.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    row = await Export.get(id=row.id)
    assert (row.status, row.lease_token, row.tries) == (ExportStatus.RUNNING, None, 0)
    assert await run_once()
    assert (await Export.get(id=row.id)).status == ExportStatus.COMPLETED


# The end


async def test_what_takes_too_long_fails(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    row = await ask(ctx, "contacts")
    monkeypatch.setattr(exports, "WHOLE_SECONDS", 0.5)

    async def sleep(_: Any, connection: asyncpg.Connection) -> None:
        await connection.execute("SELECT pg_sleep(60)", timeout=60)

    before_rows(monkeypatch, sleep)
    assert await run_once()
    row = await Export.get(id=row.id)
    assert (row.status, row.error) == ("failed", {"code": "request_too_large", "message": exports.TOO_LONG})
    assert await db.fetch_value("SELECT count(*) FROM export_chunks") == 0


async def test_a_count_may_take_as_long_as_the_rows(
    ctx: Context, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one-minute statement timeout of other work must not apply: counting millions of rows takes longer."""
    await make_people(ctx)
    row = await ask(ctx, "contacts")
    real = exports.make_statement

    async def make_slow(*values: Any, **options: Any) -> Statement:
        made = await real(*values, **options)
        return replace(made, count=f"SELECT ({made.count}) FROM pg_sleep(1)")

    monkeypatch.setattr(exports, "make_statement", make_slow)
    monkeypatch.setattr(db, "ANSWER_SECONDS", 0.2)
    async with db.connected(database, statement_seconds=0.6, is_inner=True):
        assert await run_once()
    assert (await Export.get(id=row.id)).rows_total == 3


async def test_what_breaks_off_time_and_again_fails(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    row = await ask(ctx, "contacts")
    monkeypatch.setattr(exports, "LEASE", timedelta())
    monkeypatch.setattr(exports, "TRIES", 3)

    async def break_off(*_: Any) -> None:
        raise ConnectionResetError

    before_rows(monkeypatch, break_off)
    for number in range(3):
        assert (await Export.get(id=row.id)).tries == number
        with pytest.raises(ConnectionResetError):
            await run_once()
    row = await Export.get(id=row.id)
    assert (row.status, row.error) == ("failed", {"code": "internal_error", "message": exports.BROKEN_OFF})
    assert not await run_once()


async def test_what_kills_its_workers_fails(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    row = await ask(ctx, "contacts")
    monkeypatch.setattr(exports, "LEASE", timedelta())
    for _ in range(exports.TRIES):
        assert await exports.claim_export(SERVICES, StopFlag()) is not None
    assert await run_once()
    assert (await Export.get(id=row.id)).status == ExportStatus.FAILED


async def test_a_transaction_that_is_tried_again_writes_once(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_people(ctx)
    monkeypatch.setattr(exports, "CHUNK", 1)
    broken: list[str] = []

    def break_once(name: str) -> None:
        real = getattr(exports.Writing, name)

        async def wrapped(self: Any, *values: Any) -> None:
            await real(self, *values)
            if broken.count(name) < 2:
                broken.append(name)
                raise asyncpg.DeadlockDetectedError

        monkeypatch.setattr(exports.Writing, name, wrapped)

    break_once("write")
    break_once("finish")
    for options in ({}, {"gzip": True}):
        broken.clear()
        row = await ask(ctx, "contacts", **options)
        assert await run_once()
        row = await Export.get(id=row.id)
        data = await data_of(row)
        text = zlib.decompress(data, wbits=31) if options else data
        assert (row.status, len(rows_of(text.decode())), row.file_size) == ("completed", 3, len(data))
        assert sorted(broken) == ["finish", "finish", "write", "write"]


# Turns


async def test_workspaces_take_turns(ctx: Context, other_ctx: Context) -> None:
    mine = [await ask(ctx, "ledger") for _ in range(3)]
    theirs = await ask(other_ctx, "ledger")
    claimed = []
    first = await exports.claim_export(SERVICES, StopFlag())
    second = await exports.claim_export(SERVICES, StopFlag())
    assert first is not None
    assert second is not None
    assert (first._id, second._id) == (mine[0].id, theirs.id)
    # Exports of one workspace run one after the other.
    assert await exports.claim_export(SERVICES, StopFlag()) is None
    assert not await exports.has_due(SERVICES, await db.now())
    for each in (second, first):
        await each.run()
    later = await ask(other_ctx, "ledger")
    while (writing := await exports.claim_export(SERVICES, StopFlag())) is not None:
        claimed.append(writing._id)
        await writing.run()
    assert claimed == [mine[1].id, later.id, mine[2].id]


async def test_imports_of_one_workspace_hold_up_no_other(ctx: Context, other_ctx: Context) -> None:
    mine = [await upload(ctx, f"phone\n{MARIA}\n") for _ in range(3)]
    theirs = await upload(other_ctx, f"phone\n{MARIA}\n")
    order = []
    while (turn := await imports._claim(SERVICES, SETTINGS, StopFlag())) is not None:
        order.append(turn._id)
        await turn.run()
    assert order == [mine[0].id, theirs.id, mine[1].id, mine[2].id]


async def test_an_import_and_another_export_go_on_beside_a_long_export(
    ctx: Context, other_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_people(other_ctx)
    long = await ask(ctx, "contacts")
    beside: dict[str, Any] = {}

    async def is_done() -> bool:
        imported, exported = [
            await model.get(id=beside[name].id) for model, name in ((ContactImport, "import"), (Export, "export"))
        ]
        return (imported.status, exported.status) == ("completed", "completed")

    async def wait_for_others(self: Any, _: asyncpg.Connection) -> None:
        if self._id != long.id:
            return
        beside["import"] = await upload(ctx, "phone\n+12125550177\n")
        beside["export"] = await ask(other_ctx, "contacts")
        async with asyncio.timeout(20):
            await until(is_done)

    before_rows(monkeypatch, wait_for_others)
    monkeypatch.setattr(imports, "LOOK_SECONDS", 0.05)
    async with asyncio.timeout(30):
        assert await imports.run_files(SERVICES, SETTINGS) > 0
    long = await Export.get(id=long.id)
    assert (long.status, long.rows_done) == (ExportStatus.COMPLETED, 0)
    assert await Contact.filter(phone="+12125550177").count() == 1


async def test_a_broken_export_is_logged_and_stops_no_other(
    ctx: Context, other_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, whole = await ask(ctx, "ledger"), await ask(other_ctx, "ledger")

    async def break_one(self: Any, _: asyncpg.Connection) -> None:
        if self._id == broken.id:
            raise ConnectionResetError

    before_rows(monkeypatch, break_one)
    with pytest.raises(ConnectionResetError):
        await imports.run_files(SERVICES, SETTINGS)
    assert (await Export.get(id=whole.id)).status == ExportStatus.COMPLETED


async def test_a_claim_reads_what_is_due_alone(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    # Turns more than a day ago are ignored.
    await db.execute(ENDED, ctx.workspace_id, 3000)
    await run_as_owner("ANALYZE exports")
    await ask(ctx, "ledger")
    with reading(monkeypatch, is_generic=True) as found:
        assert await exports.has_due(SERVICES, await db.now())
        assert await exports.claim_export(SERVICES, StopFlag()) is not None
    found.check(20, 100)
