"""Write export files: each is one snapshot of the database, stored in one transaction per chunk.

PostgreSQL formats the rows in a repeatable-read transaction, and the worker stores them as they arrive, in bounded
memory. A worker holds an export under a lease, which it renews while it writes. The snapshot ends with its worker, so
the next worker starts the file again. An export fails if it is interrupted too often or takes too long.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import asyncpg
import structlog

from msvs import database
from msvs.api import ids
from msvs.api.consent import consent
from msvs.api.context import Context, Services
from msvs.api.errors import ApiError, ErrorCode
from msvs.api.messages import export_jobs
from msvs.api.messages.export_jobs import DROP_EXPORT_CHUNKS, DUE, INSERT_EXPORT_CHUNK
from msvs.api.messages.export_requests import JSON_LINES
from msvs.api.messages.export_rows import Finishing, Statement, make_statement
from msvs.api.unit_of_work import in_unit_of_work
from msvs.clock_schema import by_real_time
from msvs.database import execute, fetch_row, fetch_value
from msvs.models import Export, ExportStatus
from msvs.workers import leases
from msvs.workers.stopping import StopFlag

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
# How often an interrupted export is started: one that crashes its worker must not be retried forever.
TRIES = 10
CHUNK = 1 << 20
# The most seconds for one export: an open snapshot keeps VACUUM from removing dead rows.
WHOLE_SECONDS = 1800.0
# How much later PostgreSQL ends the transaction itself, in case the worker is gone.
MORE_SECONDS = 60.0
# How long the start waits for running erasures to release their locks.
LOCK_SECONDS = 30.0
# The time to release a lease when the process is stopped.
RELEASE_SECONDS = 1.0
# The fastest gzip level: most files are downloaded once, over a fast connection.
LEVEL = 1
# A name of its own: the transaction is idle while this process stores rows, and must not be reported as stuck.
OWN_NAME = f"{database.APP}-export"
SESSION: Mapping[str, str] = {
    "TimeZone": "UTC",
    "application_name": OWN_NAME,
    "statement_timeout": f"{WHOLE_SECONDS + MORE_SECONDS:.0f}s",
    "transaction_timeout": f"{WHOLE_SECONDS + MORE_SECONDS:.0f}s",
}
# JSON escapes both characters, so COPY finds nothing to quote.
JSON_QUOTE, JSON_DELIMITER = "\x02", "\x03"
TOO_LONG = f"The export takes longer than {WHOLE_SECONDS / 60:.0f} minutes: narrow it, for example with created_from."
BROKEN_OFF = "The export was interrupted too often: create it again, or export less at once."

# Literals rather than parameters, so that the planner can use the partial index of due exports.
_DUE = ", ".join(f"'{status}'" for status in DUE)
# Due: not leased, and no other export of its workspace is running. One workspace cannot take up all workers.
_IS_FREE = f"""
due.status IN ({_DUE}) AND {by_real_time("due")} AND (due.lease_until IS NULL OR due.lease_until < {{now}})
AND NOT EXISTS (
    SELECT FROM exports AS running
    WHERE running.status IN ({_DUE}) AND running.workspace_id = due.workspace_id AND running.lease_until >= {{now}}
)
"""
# The workspace that has waited longest comes first.
CLAIM_EXPORT = f"""
UPDATE exports SET lease_token = $1, lease_until = $3, turn_at = $2, tries = tries + 1
WHERE id = (
    SELECT id FROM exports AS due WHERE {_IS_FREE.format(now="$2")}
    ORDER BY GREATEST(turn_at, (
        SELECT max(turn_at) FROM exports AS others
        WHERE others.workspace_id = due.workspace_id AND others.id >= id_floor($2::timestamptz - interval '1 day')
    )) NULLS FIRST, turn_at NULLS FIRST, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, tries
"""
HAS_DUE_EXPORT = f"SELECT EXISTS (SELECT FROM exports AS due WHERE {_IS_FREE.format(now='$1')})"
RENEW_EXPORT = f"""
UPDATE exports SET lease_until = clock_timestamp() + $3::interval
WHERE id = $1 AND lease_token = $2 AND status IN ({_DUE})
"""
# A released export does not count as a failed try.
RELEASE_EXPORT = """
UPDATE exports SET lease_token = NULL, lease_until = NULL, tries = GREATEST(0, tries - 1)
WHERE id = $1 AND lease_token = $2
"""


class LeaseLost(Exception):
    """Raised when another worker has the export, or it has ended."""


async def has_due(_: Services, now: datetime) -> bool:
    """Return whether an export is due."""
    return bool(await fetch_value(HAS_DUE_EXPORT, now))


async def claim_export(services: Services, stop: StopFlag) -> Writing | None:
    """Claim the next export. Return None if none is due."""
    now = await database.now()
    token = ids.new_id()
    row = await fetch_row(CLAIM_EXPORT, token, now, now + LEASE)
    return None if row is None else Writing(services, stop, row.id, token, row.tries)


async def run_export(services: Services, stop: StopFlag) -> bool:
    """Write the file of the next export. Return whether one was due."""
    writing = await claim_export(services, stop)
    if writing is None:
        return False
    await writing.run()
    return True


class Writing:
    """One attempt of a worker to write an export file."""

    def __init__(self, services: Services, stop: StopFlag, id: UUID, token: UUID, tries: int) -> None:
        self._services, self._stop = services, stop
        self._id, self._token, self._tries = id, token, tries
        self._parts: list[bytes] = []
        self._size = self._start = self._rows = 0
        self._packer: zlib._Compress | None = None
        self._finishing: Finishing | None = None
        self._storing: asyncio.Task[None] | None = None
        self._is_lost = False
        self._limit = asyncio.timeout(WHOLE_SECONDS)

    async def run(self) -> None:
        """Write the file, unless the export is canceled. If the worker is stopped, the next worker starts again."""
        try:
            if self._tries > TRIES:
                await self._fail(ErrorCode.INTERNAL_ERROR, BROKEN_OFF)
                return
            async with self._limit, leases.renewing(self._renew, self._lose):
                await self._write()
        except asyncio.CancelledError:
            with suppress(Exception):
                async with asyncio.timeout(RELEASE_SECONDS):
                    await self._release()
            raise
        except Exception as error:
            await self._settle(error)

    async def _write(self) -> None:
        row = await in_unit_of_work(self._begin)
        request = export_jobs.request_of(row)
        is_json = request.format == JSON_LINES
        statement = await make_statement(self._ctx(row), request, is_json=is_json)
        self._finishing = Finishing(statement.mark)
        if request.gzip:
            self._packer = zlib.compressobj(LEVEL, wbits=31)
        written = await self._copy(statement, is_json=is_json)
        finished, _ = await asyncio.to_thread(self._pack, b"".join(self._parts), is_last=True)
        await in_unit_of_work(partial(self.finish, finished, written))

    async def _settle(self, error: Exception) -> None:
        """Release an interrupted export, or mark it failed. Raises errors that are not caused by the export."""
        try:
            if self._is_lost or isinstance(error, LeaseLost | asyncpg.LockNotAvailableError):
                await self._release()
            elif self._limit.expired():
                await self._fail(ErrorCode.REQUEST_TOO_LARGE, TOO_LONG)
            elif isinstance(error, ApiError):
                await self._fail(error.code, error.message)
            else:
                # Keep the lease: the retry waits until it expires, so a brief outage can pass.
                if self._tries >= TRIES:
                    await self._fail(ErrorCode.INTERNAL_ERROR, BROKEN_OFF)
                raise error
        except LeaseLost:
            await self._release()

    async def _release(self) -> None:
        await execute(RELEASE_EXPORT, self._id, self._token)

    async def _renew(self) -> bool:
        """Renew the lease. Return whether to continue writing."""
        return not self._stop.is_set and await execute(RENEW_EXPORT, self._id, self._token, LEASE) > 0

    def _lose(self) -> None:
        self._is_lost = True
        self._limit.reschedule(asyncio.get_running_loop().time())

    def _ctx(self, row: Export) -> Context:
        return Context(row.workspace_id, row.livemode, row.actor, services=self._services)

    async def _hold(self, now: datetime) -> Export:
        row = await Export.filter(id=self._id).select_for_update().first()
        if row is None or row.lease_token != self._token or row.status not in DUE or self._stop.is_set:
            self._is_lost = True
            raise LeaseLost
        row.lease_until = now + LEASE
        return row

    async def _begin(self) -> Export:
        # Wait for running erasures: either the snapshot starts after an erasure, or the erasure finds this export.
        await database.wait_for_locks(LOCK_SECONDS)
        row = await Export.filter(id=self._id).first()
        if row is None:
            raise LeaseLost
        await consent.hold_suppressions(self._ctx(row))
        now = await database.now()
        row = await self._hold(now)
        row.status = ExportStatus.RUNNING
        row.started_at = now
        row.rows_total, row.rows_done, row.file_size = None, 0, 0
        await row.save()
        await execute(DROP_EXPORT_CHUNKS, row.id)
        return row

    async def _fail(self, code: str, message: str) -> None:
        async def fail() -> None:
            now = await database.now()
            row = await self._hold(now)
            await export_jobs.end_export(row, ExportStatus.FAILED, now, {"code": str(code), "message": message})
            await execute(DROP_EXPORT_CHUNKS, row.id)

        await in_unit_of_work(fail)
        log.info("export failed", export_id=str(self._id), code=str(code))

    async def _copy(self, statement: Statement, *, is_json: bool) -> int:
        """Copy all rows from PostgreSQL. Return their number."""
        how = {"quote": JSON_QUOTE, "delimiter": JSON_DELIMITER} if is_json else {"header": True}
        async with (
            database.client().acquire_connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            for name, value in SESSION.items():
                await connection.execute(
                    "SELECT set_config($1, $2, true) WHERE current_setting($1, true) IS NOT NULL", name, value
                )
            total = await connection.fetchval(statement.count, *statement.values, timeout=WHOLE_SECONDS)
            await in_unit_of_work(partial(self._tell_total, total))
            try:
                await self.take_all(connection, statement, how)
                await self._wait_for_storing()
            finally:
                if self._storing is not None:
                    self._storing.cancel()
                    await asyncio.gather(self._storing, return_exceptions=True)
        return int(total)

    async def _wait_for_storing(self) -> None:
        """Wait until the chunk before is stored. Raises what kept it from that."""
        if self._storing is not None:
            await self._storing
            self._storing = None

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
        """Store rows as they arrive, a chunk at a time, while PostgreSQL writes the next."""
        self._parts.append(data)
        self._size += len(data)
        if self._size >= CHUNK:
            await self._wait_for_storing()
            parts, self._parts, self._size = self._parts, [], 0
            self._storing = asyncio.create_task(self.keep(b"".join(parts)))

    async def keep(self, data: bytes) -> None:
        """Store rows. Packing runs outside the transaction, because a retry of the transaction must not pack twice."""
        finished, count = await asyncio.to_thread(self._pack, data, is_last=False)
        self._rows += count
        await in_unit_of_work(partial(self.write, finished))
        self._start += len(finished)

    def _pack(self, data: bytes, *, is_last: bool) -> tuple[bytes, int]:
        assert self._finishing is not None, "the statement is made"
        finished, count = self._finishing.finish(data)
        if self._packer is not None:
            finished = self._packer.compress(finished) + (self._packer.flush() if is_last else b"")
        return finished, count

    async def write(self, data: bytes) -> None:
        row = await self._hold(await database.now())
        await self._insert(row, data)
        row.rows_done = min(self._rows, row.rows_total or self._rows)
        await row.save()

    async def _insert(self, row: Export, data: bytes) -> None:
        if data:
            await execute(INSERT_EXPORT_CHUNK, self._id, self._start, data)
        row.file_size = self._start + len(data)

    async def finish(self, data: bytes, rows: int) -> None:
        now = await database.now()
        row = await self._hold(now)
        await self._insert(row, data)
        row.rows_done = rows
        await export_jobs.end_export(row, ExportStatus.COMPLETED, now)
