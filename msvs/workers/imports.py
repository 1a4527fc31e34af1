"""Import jobs: read files into the database, and create contacts from their rows in batches.

A worker holds an import under a lease. Each transaction checks the lease, handles a batch, and stores the progress. If
a worker is killed, its uncommitted batch rolls back and the next worker repeats it, so that each row is handled once.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import BinaryIO, Protocol, cast
from uuid import UUID

import structlog

from msvs import database
from msvs.api import ids
from msvs.api.contacts import import_columns, import_erasure, import_files, import_jobs, import_merge, sync_runs
from msvs.api.contacts.import_files import Unpacked
from msvs.api.contacts.import_jobs import DUE
from msvs.api.contacts.import_rows import COLUMNS, Encoded, Plan, RawRow, keep_text, make_plan
from msvs.api.context import Context, Services
from msvs.api.errors import ApiError, ErrorCode, InvalidRequest
from msvs.api.unit_of_work import in_unit_of_work
from msvs.clock_schema import by_real_time
from msvs.database import copy_encoded, execute, fetch_row, fetch_value
from msvs.http_client import HttpClient
from msvs.json_types import JSONObject
from msvs.models import ContactImport, ImportStatus
from msvs.settings import Settings
from msvs.workers import bulk_actions, exports, import_reader, leases, syncs
from msvs.workers.retrying import Failures
from msvs.workers.stopping import StopFlag

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
# Rows per transaction. Rows with consent write to the consent chain, and incoming STOPs wait for it: their batches
# are smaller.
BATCH = 5000
CONSENT_BATCH = 500
UNDO_BATCH = 500
# Files of this size and above are parsed by separate processes.
MANY_BYTES = 2_000_000
# The most seconds for a statement over all rows of a reading.
WHOLE_SECONDS = 900.0
# How often an interrupted import is claimed without progress: one that crashes its worker is not retried forever.
TRIES = 10
BROKEN_OFF = (
    "The import was interrupted too often: its file may be damaged. Save it again as CSV, or import it in parts."
)
# How long one import runs before a waiting import gets its turn.
TURN_SECONDS = 15.0
MAX_ROWS = 10_000_000
# The most rows refused after reading whose cells are stored.
MAX_FILLED = 100_000

_DUE = ", ".join(f"'{status}'" for status in DUE)
# The workspace that has waited longest comes first.
CLAIM = f"""
UPDATE contact_imports SET lease_token = $1, lease_until = $3, turn_at = $2, tries = tries + 1
WHERE id = (
    SELECT id FROM contact_imports AS due
    WHERE status IN ({_DUE}) AND (lease_until IS NULL OR lease_until < $2) AND {by_real_time("due")}
    ORDER BY GREATEST(turn_at, (
        SELECT max(turn_at) FROM contact_imports AS others
        WHERE others.workspace_id = due.workspace_id AND others.id >= id_floor($2::timestamptz - interval '1 day')
    )) NULLS FIRST, turn_at NULLS FIRST, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, tries
"""
HAS_DUE_IMPORT = f"""
SELECT EXISTS (
    SELECT FROM contact_imports WHERE status IN ({_DUE}) AND (lease_until IS NULL OR lease_until < $1)
        AND {by_real_time("contact_imports")}
)
"""
# A released import does not count as a failed try.
RELEASE = """
UPDATE contact_imports SET lease_token = NULL, lease_until = NULL, tries = GREATEST(0, tries - 1)
WHERE id = $1 AND lease_token = $2
"""
# GREATEST keeps the longer lease that a statement over all rows takes.
RENEW = f"""
UPDATE contact_imports SET lease_until = GREATEST(lease_until, clock_timestamp() + $3::interval)
WHERE id = $1 AND lease_token = $2 AND status IN ({_DUE})
"""
FIND_REFUSED_LATE = """
SELECT number FROM import_rows WHERE reading_id = $1 AND status = 'invalid' AND cells IS NULL ORDER BY number LIMIT $2
"""
FILL_CELLS = """
UPDATE import_rows SET cells = named.cells FROM unnest($2::int[], $3::jsonb[]) AS named (number, cells)
WHERE import_rows.reading_id = $1 AND import_rows.number = named.number
"""


# The time to release a lease when the process is stopped.
RELEASE_SECONDS = 1.0
# The kinds of work that run side by side, the most exports at once, and how often to look for more work.
IMPORTING, WRITING, CHANGING = "import", "export", "bulk action"
MOST_EXPORTS = 4
LOOK_SECONDS = 1.0


class LeaseLost(Exception):
    """Raised when another worker holds the import, or the import was canceled."""


class Interrupted(Exception):
    """Raised when the process is stopped."""


class _Claimed(Protocol):
    id: UUID
    tries: int


async def has_due(_: Services, now: datetime) -> bool:
    """Return whether an import is due."""
    return bool(await fetch_value(HAS_DUE_IMPORT, now))


async def run_imports(services: Services, settings: Settings, *, stop: StopFlag | None = None) -> int:
    """Run imports, one after the other, until none is due. Return the number of rows handled."""
    stop = stop or StopFlag()
    done = 0
    while not stop.is_set:
        turn = await _claim(services, settings, stop)
        if turn is None:
            break
        done += await turn.run()
    return done


async def run_all(services: Services, settings: Settings, http: HttpClient, *, stop: StopFlag | None = None) -> int:
    """Run file jobs and syncs side by side until neither has work. Return the number of rows handled."""
    stop = stop or StopFlag()
    failures = Failures()
    jobs: Mapping[str, Callable[[], Awaitable[int]]] = {
        "files": partial(run_files, services, settings, stop=stop),
        "syncs": partial(syncs.run_syncs, services, http, stop=stop),
    }
    busy = set(jobs)
    done = dict.fromkeys(jobs, 0)

    async def go_on(name: str) -> None:
        # Each keeps polling while the other works.
        while not stop.is_set:
            try:
                done[name] += await jobs[name]()
            except Exception as error:
                failures.note(name, error)
                busy.discard(name)
                return
            busy.discard(name)
            if not busy:
                return
            await asyncio.sleep(LOOK_SECONDS)
            busy.add(name)

    async with asyncio.TaskGroup() as tasks:
        for name in jobs:
            tasks.create_task(go_on(name))
    failures.end()
    return sum(done.values())


async def run_files(services: Services, settings: Settings, *, stop: StopFlag | None = None) -> int:
    """Run imports, exports and bulk actions side by side until none is due. Return the number of rows imported.

    One import, one bulk action, and up to four exports of different workspaces run at a time.
    """
    stop = stop or StopFlag()
    failures = Failures()
    done = 0
    running: dict[asyncio.Task[int], str] = {}
    try:
        while True:
            if not stop.is_set:
                await _begin_due(services, settings, stop, running)
            if not running:
                break
            ended, _ = await asyncio.wait(running, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                done += await failures.outlive(running.pop(task), task, 0)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    failures.end()
    return done


async def _begin_due(
    services: Services, settings: Settings, stop: StopFlag, running: dict[asyncio.Task[int], str]
) -> None:
    """Start due jobs, up to the number of each kind that may run at once."""
    if IMPORTING not in running.values() and (turn := await _claim(services, settings, stop)) is not None:
        running[asyncio.create_task(turn.run())] = IMPORTING
    while list(running.values()).count(WRITING) < MOST_EXPORTS:
        writing = await exports.claim_export(services, stop)
        if writing is None:
            break
        running[asyncio.create_task(_write(writing))] = WRITING
    if CHANGING not in running.values() and await bulk_actions.has_due(services, await database.now()):
        running[asyncio.create_task(_change(services, stop))] = CHANGING


async def _change(services: Services, stop: StopFlag) -> int:
    await bulk_actions.run_bulk_action(services, stop)
    return 0


async def _write(writing: exports.Writing) -> int:
    await writing.run()
    return 0


async def has_due_files(services: Services, now: datetime) -> bool:
    """Return whether an import, an export or a bulk action is due."""
    return (
        await has_due(services, now)
        or await exports.has_due(services, now)
        or await bulk_actions.has_due(services, now)
    )


async def has_due_any(services: Services, now: datetime) -> bool:
    """Return whether a file job or a sync is due."""
    return await has_due_files(services, now) or await sync_runs.has_due_sources(now)


async def _claim(services: Services, settings: Settings, stop: StopFlag) -> _Turn | None:
    now = await database.now()
    token = ids.new_id()
    row = await fetch_row(_Claimed, CLAIM, token, now, now + LEASE)
    return None if row is None else _Turn(services, settings, stop, row, token)


class _Turn:
    """A worker's turn at an import."""

    def __init__(self, services: Services, settings: Settings, stop: StopFlag, row: _Claimed, token: UUID) -> None:
        self._services, self._settings, self._stop = services, settings, stop
        self._id, self._tries, self._token = row.id, row.tries, token
        self._done = 0
        self._until = time.monotonic() + TURN_SECONDS
        self._limit = asyncio.timeout(None)
        self._is_lost = False

    async def run(self) -> int:
        """Run the import until it needs input, ends, or has used its turn while another waits."""
        steps: dict[ImportStatus, Callable[[], Awaitable[object]]] = {
            ImportStatus.QUEUED: self._read,
            ImportStatus.READING: self._read,
            ImportStatus.CHECKING: self._try_out,
            ImportStatus.RUNNING: self._merge,
            ImportStatus.UNDOING: self._undo,
        }
        try:
            if self._tries > TRIES:
                await self._fail(ErrorCode.INTERNAL_ERROR, BROKEN_OFF)
                return 0
            async with self._limit, leases.renewing(self._renew, self._lose):
                while not self._stop.is_set and (row := await ContactImport.get(id=self._id)).status in steps:
                    await steps[row.status]()
                    if await self._is_over():
                        break
        except (LeaseLost, Interrupted):
            pass
        except ApiError as error:
            await self._fail(error.code, error.message)
        except asyncio.CancelledError:
            # The open transaction rolls back. Release the lease, so that another worker can continue at once.
            with suppress(Exception):
                async with asyncio.timeout(RELEASE_SECONDS):
                    await execute(RELEASE, self._id, self._token)
            raise
        except Exception:
            if not self._is_lost:
                raise
        await execute(RELEASE, self._id, self._token)
        return self._done

    async def _renew(self) -> bool:
        return await execute(RENEW, self._id, self._token, LEASE) > 0

    def _lose(self) -> None:
        self._is_lost = True
        self._limit.reschedule(asyncio.get_running_loop().time())

    def _check(self) -> None:
        """Stop reading rows if the process is stopped. Raises Interrupted."""
        if self._stop.is_set:
            raise Interrupted

    async def _is_over(self) -> bool:
        """Return whether the worker is stopped, or the turn is over and another import waits."""
        return self._stop.is_set or (
            time.monotonic() >= self._until and await has_due(self._services, await database.now())
        )

    async def _hold(self, now: datetime, *statuses: ImportStatus) -> ContactImport:
        """Lock the import's row, check the lease, and extend it. Raises LeaseLost."""
        row = await ContactImport.filter(id=self._id).select_for_update().first()
        if row is None or row.lease_token != self._token or row.status not in statuses:
            raise LeaseLost
        row.lease_until = now + LEASE
        # Callers save the row only after progress.
        row.tries = 0
        return row

    def _ctx(self, row: ContactImport) -> Context:
        return Context(row.workspace_id, row.livemode, row.actor, services=self._services)

    async def _fail(self, code: str, message: str) -> None:
        """Mark the import failed."""

        async def fail() -> None:
            now = await database.now()
            row = await self._hold(now, *DUE)
            await import_jobs.end_import(row, ImportStatus.FAILED, now, {"code": str(code), "message": message})

        try:
            await in_unit_of_work(fail)
        except LeaseLost:
            return
        log.info("import failed", import_id=str(self._id), code=str(code))

    # Reading

    async def _read(self) -> None:
        async with self._file() as (unpacked, hash):
            plan, after = await self._begin_reading(unpacked, hash)
            if plan is not None:
                await self._stage(unpacked, plan, after)

    @asynccontextmanager
    async def _file(self) -> AsyncIterator[tuple[Unpacked, str]]:
        """Open the import's file, unpacked. Yield it with the hash of the bytes as uploaded."""
        hash = hashlib.sha256()
        with tempfile.TemporaryFile() as file:
            async for block in import_jobs.read_chunks(self._id):
                file.write(block)
                hash.update(block)
            file.seek(0)
            # A malformed archive can crash its reader, so packed files are unpacked in a process of their own.
            if not import_files.is_packed(_binary(file)):
                with import_files.unpack(_binary(file)) as unpacked:
                    yield unpacked, hash.hexdigest()
                return
            with tempfile.TemporaryFile() as plain:
                kind = await import_reader.unpack(_binary(file), _binary(plain))
                yield Unpacked(_binary(plain), kind), hash.hexdigest()

    async def _begin_reading(self, unpacked: Unpacked, hash: str) -> tuple[Plan | None, int]:
        """Detect the columns, unless they are known. Return the plan for reading rows, and the row to resume after."""
        row = await ContactImport.get(id=self._id)
        if row.status is ImportStatus.QUEUED:
            row = await in_unit_of_work(partial(self._look, unpacked, hash))
        if row.status is not ImportStatus.READING:
            return None, 0
        return _plan_of(row, await database.now()), row.rows_read

    async def _look(self, unpacked: Unpacked, hash: str) -> ContactImport:
        now = await database.now()
        row = await self._hold(now, ImportStatus.QUEUED)
        row.file_hash = hash
        rows = import_files.sample(unpacked)
        with import_files.open_rows(unpacked) as table:
            columns = import_columns.describe_columns(import_files.header_of(table), rows)
            row.encoding, row.delimiter = table.encoding, table.delimiter
        region = import_jobs.options_of(row).default_region
        if row.mapping:
            row.mapping = import_columns.check_mapping(columns, row.mapping)
        else:
            row.mapping = import_columns.propose_mapping(columns, rows, region=region)
            import_jobs.have_consent_confirmed(row)
        row.file_kind = unpacked.kind
        row.columns = [{**_shape(column), **({"samples": []} if row.erased else {})} for column in columns]
        row.rows_read = row.rows_done = 0
        row.is_read = False
        row.counts = {}
        if "phone" in row.mapping.values():
            row.status = ImportStatus.READING
            row.reading_id = ids.new_id()
        else:
            row.status = ImportStatus.NEEDS_MAPPING
            await import_jobs.drop_file_of_erased(row)
        await row.save()
        return row

    async def _stage(self, unpacked: Unpacked, plan: Plan, after: int) -> None:
        """Store the parsed rows, one batch per transaction, then mark the rows that repeat a phone."""
        processes = self._settings.import_processes if import_files.size_of(unpacked) >= MANY_BYTES else 0
        with import_files.open_rows(unpacked) as table:
            rows = import_files.read_raw(table, plan, after=after, check=self._check)
            async with aclosing(import_reader.encode_all(plan, rows, processes)) as frames:
                async for encoded in frames:
                    await in_unit_of_work(partial(self._write, encoded, after))
                    after += encoded.rows
                    self._done += encoded.rows
                    if after > MAX_ROWS:
                        raise InvalidRequest(f"A file has at most {MAX_ROWS} rows.", param="file")
                    if await self._is_over():
                        return
        await in_unit_of_work(self._end_reading)

    async def _write(self, encoded: Encoded, after: int) -> None:
        now = await database.now()
        row = await self._hold(now, ImportStatus.READING)
        if row.rows_read != after:
            raise LeaseLost
        await copy_encoded("import_rows", COLUMNS, [encoded.data])
        more = {"rows": encoded.rows, "invalid": encoded.invalid, "without_opt_in": encoded.without_opt_in}
        if row.erased:
            more["erased"] = await import_erasure.leave_out_erased(self._ctx(row), row, after)
        row.rows_read += encoded.rows
        row.counts = _added(row.counts, more)
        await row.save()

    async def _end_reading(self) -> None:
        now = await database.now()
        row = await self._hold(now, ImportStatus.READING)
        row.lease_until = now + timedelta(seconds=WHOLE_SECONDS)
        repeated, refused = await import_merge.join_duplicates(import_jobs.merge_of(row, now), WHOLE_SECONDS)
        row.counts = _added(row.counts, {"duplicate": repeated, "invalid": refused})
        row.is_read = True
        row.lease_until = now + LEASE
        if import_jobs.options_of(row).dry_run:
            row.status = ImportStatus.CHECKING
        else:
            row.status = ImportStatus.RUNNING
            row.started_at = now
        await row.save()

    # Checking, running, undoing

    async def _try_out(self) -> None:
        async def check(row: ContactImport, until: int, now: datetime) -> dict[str, int]:
            merge = import_jobs.merge_of(row, now)
            return await import_merge.check_batch(self._ctx(row), merge, row.rows_done, until)

        async def finish(row: ContactImport, now: datetime) -> None:
            row.status = ImportStatus.CHECKED
            row.lease_token = row.lease_until = None
            await import_jobs.drop_file_of_erased(row)
            await row.save()

        await self._batches(ImportStatus.CHECKING, lambda _: BATCH, check, self._fill_cells, finish)

    async def _merge(self) -> None:
        async def merge(row: ContactImport, until: int, now: datetime) -> dict[str, int]:
            how = import_jobs.merge_of(row, now)
            return await import_merge.merge_batch(self._ctx(row), how, row.rows_done, until, now)

        def size(row: ContactImport) -> int:
            has_consent = import_jobs.merge_of(row, self._services.clock()).has_consent
            return CONSENT_BATCH if has_consent else BATCH

        async def finish(row: ContactImport, now: datetime) -> None:
            await import_jobs.end_import(row, ImportStatus.COMPLETED, now)

        await self._batches(ImportStatus.RUNNING, size, merge, self._fill_cells, finish)

    async def _undo(self) -> None:
        async def undo(row: ContactImport, until: int, now: datetime) -> dict[str, int]:
            assert row.reading_id is not None, "its rows are kept"
            assert row.ended_at is not None, "it has ended"
            return await import_merge.undo_batch(self._ctx(row), row.reading_id, row.rows_done, until, row.ended_at)

        async def finish(row: ContactImport, now: datetime) -> None:
            row.status = ImportStatus.UNDONE
            row.lease_token = row.lease_until = None
            await row.save()

        await self._batches(ImportStatus.UNDOING, lambda _: UNDO_BATCH, undo, None, finish)

    async def _batches(
        self,
        status: ImportStatus,
        size: Callable[[ContactImport], int],
        work: Callable[[ContactImport, int, datetime], Awaitable[dict[str, int]]],
        before_end: Callable[[ContactImport], Awaitable[None]] | None,
        finish: Callable[[ContactImport, datetime], Awaitable[None]],
    ) -> None:
        """Process the import's remaining rows, one batch per transaction."""

        async def step() -> int:
            now = await database.now()
            row = await self._hold(now, status)
            until = min(row.rows_done + size(row), row.rows_read)
            count = int(until - row.rows_done)
            if count > 0:
                row.counts = _added(row.counts, await work(row, until, now))
                row.rows_done = until
                await row.save()
            return count

        while count := await in_unit_of_work(step):
            self._done += count
            if await self._is_over():
                return
        if before_end is not None:
            await before_end(await ContactImport.get(id=self._id))

        async def end() -> None:
            now = await database.now()
            await finish(await self._hold(now, status), now)

        await in_unit_of_work(end)

    async def _fill_cells(self, row: ContactImport) -> None:
        """Store the cells of rows that were refused only after reading, while the file still exists."""
        if row.erased:
            return
        found = await database.fetch(FIND_REFUSED_LATE, row.reading_id, MAX_FILLED)
        wanted = {each.number for each in found}
        if not wanted:
            return
        plan = _plan_of(row, await database.now())
        async with self._file() as (unpacked, _):
            with import_files.open_rows(unpacked) as table:
                late = (raw for raw in import_files.read_raw(table, plan, check=self._check) if raw.number in wanted)
                while part := list(islice(late, BATCH)):
                    await self._fill(row, part)

    async def _fill(self, row: ContactImport, part: Sequence[RawRow]) -> None:
        cells = [database.encode_json([keep_text(cell) for cell in raw.cells]) for raw in part]

        async def fill() -> None:
            held = await self._hold(await database.now(), row.status)
            if not held.erased:
                await execute(FILL_CELLS, row.reading_id, [raw.number for raw in part], cells)

        await in_unit_of_work(fill)


def _binary(file: object) -> BinaryIO:
    return cast(BinaryIO, file)


def _plan_of(row: ContactImport, now: datetime) -> Plan:
    assert row.reading_id is not None, "it is read"
    options = import_jobs.options_of(row)
    return make_plan(
        import_jobs.columns_of(row),
        row.mapping,
        reading_id=row.reading_id,
        now=now,
        region=options.default_region,
        is_agreed=options.evidence is not None,
    )


def _added(counts: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    return {name: counts.get(name, 0) + more.get(name, 0) for name in {**counts, **more}}


def _shape(column: import_columns.Column) -> JSONObject:
    return {name: getattr(column, name) for name in column.__struct_fields__}
