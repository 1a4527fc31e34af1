"""Exports: write files of what a workspace has, each of one moment, a chunk a transaction.

PostgreSQL writes the rows by itself, in a transaction that sees one moment; they are kept as they come, in bounded
memory. A worker holds an export by a lease. One that takes over begins again, as the moment is gone with the worker.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import asyncpg
import structlog

from msvs import database
from msvs.api import ids
from msvs.api.context import Context, Services
from msvs.api.errors import ApiError
from msvs.api.messages import export_jobs
from msvs.api.messages.export_jobs import DROP_EXPORT_CHUNKS, DUE, INSERT_EXPORT_CHUNK
from msvs.api.messages.export_requests import JSON_LINES
from msvs.api.messages.export_rows import Statement, finish_rows, make_statement
from msvs.api.unit_of_work import in_unit_of_work
from msvs.database import execute, fetch_value
from msvs.models import Export, ExportStatus
from msvs.workers.stopping import StopFlag

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
CHUNK = 1 << 20
# A moment that is seen for long holds up PostgreSQL's own cleaning.
WHOLE_SECONDS = 1800.0
# Quick: what is written is read once, and mostly by a browser on a fast line.
LEVEL = 1
# The transaction waits for this process when it is the slower one, which is no sign that it is stuck.
OWN_NAME = f"{database.APP}-export"
SESSION: Mapping[str, str] = {
    "TimeZone": "UTC",
    "application_name": OWN_NAME,
    "statement_timeout": f"{WHOLE_SECONDS:.0f}s",
    "transaction_timeout": f"{WHOLE_SECONDS:.0f}s",
}
# Neither stands in JSON, where both are escaped: nothing is quoted.
JSON_QUOTE, JSON_DELIMITER = "\x02", "\x03"

CLAIM_EXPORT = """
UPDATE exports SET lease_token = $1, lease_until = $3, turn_at = $2
WHERE id = (
    SELECT id FROM exports
    WHERE status = ANY ($4::varchar[]) AND (lease_until IS NULL OR lease_until < $2)
    ORDER BY turn_at NULLS FIRST, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id
"""
HAS_DUE_EXPORT = """
SELECT EXISTS (SELECT FROM exports WHERE status = ANY ($2::varchar[]) AND (lease_until IS NULL OR lease_until < $1))
"""
RELEASE_EXPORT = "UPDATE exports SET lease_token = NULL, lease_until = NULL WHERE id = $1 AND lease_token = $2"


class LeaseLost(Exception):
    """The export is another worker's by now, or ended."""


async def has_due(_: Services, now: datetime) -> bool:
    """Return whether an export waits for a worker."""
    return bool(await fetch_value(HAS_DUE_EXPORT, now, list(DUE)))


async def run_export(services: Services, stop: StopFlag) -> bool:
    """Write the file of the export that has waited longest. Return whether there was one."""
    now = await database.now()
    token = ids.new_id()
    id = await fetch_value(CLAIM_EXPORT, token, now, now + LEASE, list(DUE))
    if id is None:
        return False
    await Writing(services, stop, id, token).run()
    return True


class Writing:
    """A worker's writing of one file."""

    def __init__(self, services: Services, stop: StopFlag, id: UUID, token: UUID) -> None:
        self._services, self._stop = services, stop
        self._id, self._token = id, token
        self._parts: list[bytes] = []
        self._size = self._start = self._rows = 0
        self._packer: zlib._Compress | None = None
        self._is_lost = False

    async def run(self) -> None:
        """Write the file, unless it is canceled, or the worker is to end; another begins it again then."""
        try:
            row = await in_unit_of_work(self._begin)
            request = export_jobs.request_of(row)
            ctx = Context(row.workspace_id, row.livemode, row.actor, services=self._services)
            statement = await make_statement(ctx, request, is_json=request.format == JSON_LINES)
            if request.gzip:
                self._packer = zlib.compressobj(LEVEL, wbits=31)
            written = await self._copy(statement, is_json=request.format == JSON_LINES)
            await in_unit_of_work(partial(self._finish, written))
        except LeaseLost:
            await execute(RELEASE_EXPORT, self._id, self._token)
        except ApiError as error:
            await in_unit_of_work(partial(self._fail, error))

    async def _hold(self, now: datetime) -> Export:
        row = await Export.filter(id=self._id).select_for_update().first()
        if row is None or row.lease_token != self._token or row.status not in DUE or self._stop.is_set:
            self._is_lost = True
            raise LeaseLost
        row.lease_until = now + LEASE
        return row

    async def _begin(self) -> Export:
        now = await database.now()
        row = await self._hold(now)
        row.status = ExportStatus.RUNNING
        row.started_at = now
        row.rows_total, row.rows_done, row.file_size = None, 0, 0
        await row.save()
        await execute(DROP_EXPORT_CHUNKS, row.id)
        return row

    async def _fail(self, error: ApiError) -> None:
        now = await database.now()
        row = await self._hold(now)
        await export_jobs.end_export(row, ExportStatus.FAILED, now, {"code": error.code, "message": error.message})
        await execute(DROP_EXPORT_CHUNKS, row.id)
        log.info("export failed", export_id=str(self._id), code=str(error.code))

    async def _copy(self, statement: Statement, *, is_json: bool) -> int:
        """Have PostgreSQL write all rows. Return how many."""
        how = {"quote": JSON_QUOTE, "delimiter": JSON_DELIMITER} if is_json else {"header": True}
        try:
            return await self._copy_all(statement, how)
        except asyncpg.InterfaceError:
            # A COPY that is broken off costs its connection.
            if self._is_lost:
                raise LeaseLost from None
            raise

    async def _copy_all(self, statement: Statement, how: Mapping[str, str | bool]) -> int:
        async with (
            database.client().acquire_connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            for name, value in SESSION.items():
                await connection.execute(
                    "SELECT set_config($1, $2, true) WHERE current_setting($1, true) IS NOT NULL", name, value
                )
            total = await connection.fetchval(statement.count, *statement.values)
            await in_unit_of_work(partial(self._tell_total, total))
            await self.take_all(connection, statement, how)
        return int(total)

    async def _tell_total(self, total: int) -> None:
        row = await self._hold(await database.now())
        row.rows_total = total
        await row.save()

    async def take_all(
        self, connection: asyncpg.Connection, statement: Statement, how: Mapping[str, str | bool]
    ) -> None:
        await connection.copy_from_query(
            statement.rows, *statement.values, output=self._take, format="csv", timeout=WHOLE_SECONDS, **how
        )

    async def _take(self, data: bytes) -> None:
        """Keep rows as they come."""
        self._parts.append(data)
        self._size += len(data)
        if self._size >= CHUNK:
            await self.keep(b"".join(self._parts), is_last=False)
            self._parts, self._size = [], 0

    async def keep(self, data: bytes, *, is_last: bool) -> None:
        finished, count = await asyncio.to_thread(self._pack, data, is_last=is_last)
        self._rows += count
        if not is_last:
            await in_unit_of_work(partial(self.write, finished))
        elif finished:
            await self._insert(finished)

    def _pack(self, data: bytes, *, is_last: bool) -> tuple[bytes, int]:
        finished, count = finish_rows(data)
        if self._packer is not None:
            finished = self._packer.compress(finished) + (self._packer.flush() if is_last else b"")
        return finished, count

    async def write(self, data: bytes) -> None:
        row = await self._hold(await database.now())
        if data:
            await self._insert(data)
        row.rows_done = min(self._rows, row.rows_total or self._rows)
        row.file_size = self._start
        await row.save()

    async def _insert(self, data: bytes) -> None:
        await execute(INSERT_EXPORT_CHUNK, self._id, self._start, data)
        self._start += len(data)

    async def _finish(self, rows: int) -> None:
        now = await database.now()
        row = await self._hold(now)
        await self.keep(b"".join(self._parts), is_last=True)
        row.rows_done = rows
        row.file_size = self._start
        await export_jobs.end_export(row, ExportStatus.COMPLETED, now)
