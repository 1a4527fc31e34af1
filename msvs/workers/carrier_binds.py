"""Carrier binds: one process holds the binds of a carrier, and workers hand it their messages."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias
from uuid import UUID

import asyncpg
import structlog

from msvs import connections, database
from msvs.api.accounts import secret_keys
from msvs.api.context import Services
from msvs.api.dispatch import claims
from msvs.api.notifier import Notifier, WorkQueue, notifying
from msvs.api.unit_of_work import in_unit_of_work, notify_after_commit
from msvs.carriers.carrier_events import keep_carrier_events
from msvs.carriers.frames import (
    FROM_WORKER,
    MAX_FRAME,
    MAX_HELLO,
    Answer,
    Ask,
    Declined,
    Found,
    FrameError,
    Go,
    Hello,
    Line,
    Offer,
    Progress,
    Taken,
    Welcome,
)
from msvs.carriers.protocol import (
    Accepted,
    Carrier,
    CarrierEvent,
    Outcome,
    Refused,
    Report,
    Submission,
    TakeCarrierEvents,
    Unknown,
)
from msvs.carriers.registry import make_carriers
from msvs.loops import new_runner
from msvs.settings import Settings, SettingsError

log = structlog.get_logger(__name__)

# How often a process that stands by asks for the lock. One that waited inside PostgreSQL for it would hold back VACUUM.
STAND_BY_SECONDS = 1.0
BEAT_SECONDS = 2.0
TELL_SECONDS = 1.0
# A worker that lives has written down by then what was accepted for it.
WRITTEN_SECONDS = 30.0
MOST_ORPHANS = 50_000
QUERY_SECONDS = 5.0
CHECK_SECONDS = 1.0
HELLO_SECONDS = 5.0
# A batch ends this early in its messages' lease, also when it came late: nobody takes over what is still on the wire.
SUBMIT_SHARE = 0.6
# At a stop: less than the supervisor waits, together.
DRAIN_SECONDS = 6.0
UNBIND_SECONDS = 2.5
LAST_WORDS_SECONDS = 0.5
# After a loss: a carrier waits for the answers to what it has sent, and closes in less.
CLOSE_SECONDS = 40.0

# PostgreSQL has to notice when the machine at the other end is gone, or the lock would outlive it for hours.
# Set by a statement: a pooler refuses startup parameters that it does not know, and speaks for itself.
LOCK_SETTINGS = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    # Of a process that is stopped, the machine still answers: PostgreSQL ends the lock of one that says nothing.
    "idle_session_timeout": "10s",
}
# While binds end, nothing is said.
ENDING = "SET idle_session_timeout = '60s'"
# A word to go that comes later than this was given by a process that was stopped: another may have the messages by now.
GO_SECONDS = 5.0

# Written on the connection that has the lock, so by nobody else.
RENEW_CARRIER_BIND = """
INSERT INTO carrier_sessions (name, address, token, bound, wanted, detail, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET address = excluded.address, token = excluded.token, bound = excluded.bound,
    wanted = excluded.wanted, detail = excluded.detail, updated_at = excluded.updated_at
"""

ADOPT = """
UPDATE carrier_signals
SET message_id = orphan.message_id, part_count = orphan.part_count, due_at = clock_timestamp()
FROM unnest($2::varchar[], $3::uuid[], $4::smallint[]) AS orphan (ref, message_id, part_count)
WHERE carrier_signals.carrier = $1 AND carrier_signals.carrier_ref = orphan.ref
    AND carrier_signals.kind = 'report' AND carrier_signals.message_id IS NULL
"""

UNBEGUN = Refused("carrier_rejected", retryable=True)
LATE = Unknown("not answered in time")

Connection: TypeAlias = asyncpg.Connection


class ConnectionLost(Exception):
    """The connection that has the lock is gone: the binds may be another's by now."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """A message, or where `part_count` says so one of its parts, that reports name by a reference."""

    message_id: UUID
    part_count: int | None = None


class SessionsStuck(BaseException):
    """A carrier does not end its binds; only the end of the process does."""


def run(settings: Settings) -> int:
    """Hold the binds of all carriers that have any, or stand by for them, until SIGINT or SIGTERM; 0."""
    if settings.database_url is None or settings.redis_url is None:
        raise SettingsError("DATABASE_URL and REDIS_URL must be set for binds; `msvs run` sets them itself")
    if settings.binds_host in ("0.0.0.0", "::"):  # noqa: S104
        raise SettingsError("MSVS_SESSIONS_HOST must be an address at which workers reach this machine")
    session_url = settings.session_url
    assert session_url is not None
    names = [name for name, carrier in make_carriers(settings).items() if carrier.holds_binds]
    if not names:
        raise SettingsError("MSVS_CARRIERS names no carrier that holds binds")
    with new_runner() as runner:
        runner.run(_run(settings, names, session_url))
    return 0


async def _run(settings: Settings, names: Sequence[str], session_url: str) -> None:
    assert settings.database_url is not None
    assert settings.redis_url is not None
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    services, notifier = Services(), Notifier(settings.redis_url)
    try:
        with notifying(notifier):
            async with (
                database.connected(
                    settings.database_url,
                    pool_size=settings.database_pool_size,
                    check=secret_keys.connection_check(services.keyring),
                    slow_ms=settings.slow_query_ms,
                ),
                secret_keys.watching(services.keyring, settings, stop.set),
                asyncio.TaskGroup() as group,
            ):
                for name in names:
                    holder = SessionHolder(
                        partial(_make, settings, name),
                        database_url=session_url,
                        host=settings.binds_host,
                    )
                    group.create_task(holder.run(stop))
    finally:
        notifier.close()


def _make(settings: Settings, name: str) -> Carrier:
    return make_carriers(settings)[name]


class SessionHolder:
    """Holds the binds of one carrier while it has the carrier's lock, and stands by while another process has it.

    `make` gives the carrier each time that its binds are opened.
    """

    def __init__(self, make: Callable[[], Carrier], *, database_url: str, host: str = "127.0.0.1") -> None:
        self.name = make().name
        self._make = make
        self._database_url = database_url
        self._host = host

    async def run(self, stop: asyncio.Event) -> None:
        """Stand by, hold, and after a loss stand by again, until `stop` is set; then end the binds in order."""
        while not stop.is_set():
            try:
                async with self._locked(stop) as connection:
                    if connection is not None:
                        await self._hold(connection, stop)
            except Exception as error:
                # PostgreSQL may be away for a moment; any other error must not take other carriers with it.
                log.error("binds not held", carrier=self.name, error=_kind(error))
                await _set_within(stop, STAND_BY_SECONDS)

    @asynccontextmanager
    async def _locked(self, stop: asyncio.Event) -> AsyncIterator[Connection | None]:
        """Provide a connection that has the carrier's lock for as long as it lasts, or None once `stop` is set."""
        connection: Connection = await connections.connect(
            self._database_url,
            application_name=f"msvs binds {os.getpid()}",
            timeout=QUERY_SECONDS,
            command_timeout=QUERY_SECONDS,
        )
        try:
            await connection.execute(database.SET_LIMITS, list(LOCK_SETTINGS), list(LOCK_SETTINGS.values()))
            key = lock_key(self.name)
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", key):
                if await _set_within(stop, STAND_BY_SECONDS):
                    yield None
                    return
            yield connection
        finally:
            try:
                await connection.close(timeout=QUERY_SECONDS)
            except Exception:
                connection.terminate()

    async def _hold(self, connection: Connection, stop: asyncio.Event) -> None:
        """Hold the binds until `stop` is set. Raises the error that ended them before."""
        carrier = self._make()
        server = HandOverServer(carrier)
        tending = stopping = None
        log.info("binds are held here", carrier=self.name)
        try:
            await server.start(self._host)
            tending = asyncio.create_task(self._tend(connection, carrier, server))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({tending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if tending.done():
                await tending
        finally:
            await _canceled(tending, stopping)
            if not connection.is_closed():
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await connection.execute(ENDING)
            ends_in_order = stop.is_set() and not connection.is_closed()
            if ends_in_order:
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    # Workers look for another process from now on, and the row of that process stays.
                    await connection.execute(
                        "DELETE FROM carrier_sessions WHERE name = $1 AND token = $2", self.name, server.token
                    )
            await server.drain(DRAIN_SECONDS if ends_in_order else 0.0)
            is_closed = await self._close(carrier, UNBIND_SECONDS if stop.is_set() else CLOSE_SECONDS)
            await server.close()
            if not is_closed and not stop.is_set():
                raise SessionsStuck(self.name)
            log.info("binds are no longer held here", carrier=self.name)

    async def _close(self, carrier: Carrier, seconds: float) -> bool:
        """Close the binds. Return whether that is done."""
        try:
            async with asyncio.timeout(seconds):
                await carrier.close()
        except Exception as error:
            log.error("binds not closed", carrier=self.name, error=_kind(error))
            return False
        return True

    async def _tend(self, connection: Connection, carrier: Carrier, server: HandOverServer) -> None:
        """Open the binds and say so every other second, until something breaks."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())

        async def open_binds() -> None:
            await carrier.open(taker(self.name, server.orphans))
            server.begin()

        async def beat() -> None:
            while True:
                detail = await _detail(carrier)
                bound, wanted = _binds(carrier, detail)
                await connection.execute(
                    RENEW_CARRIER_BIND, self.name, server.address, server.token, bound, wanted, detail
                )
                if await _set_within(lost, BEAT_SECONDS):
                    raise ConnectionLost

        async with asyncio.TaskGroup() as group:
            group.create_task(open_binds())
            group.create_task(beat())


class HandOverServer:
    """Takes batches of workers that know the token, and submits them to a carrier."""

    def __init__(self, carrier: Carrier) -> None:
        self.token = secrets.token_urlsafe(32)
        self.address = ""
        self._carrier = carrier
        self._server: asyncio.Server | None = None
        self.takes = False
        # Messages that have begun, of all batches: more would only wait, and be in doubt if this process were killed.
        self._room = asyncio.Semaphore(getattr(carrier, "capacity", carrier.concurrency))
        self._lines: dict[Line, asyncio.Task[None]] = {}
        self._batches: set[asyncio.Task[None]] = set()
        # What was lately accepted for the worker at the other end of a line: when, and by which reference.
        self._accepted: dict[Line, dict[str, tuple[Orphan, float]]] = {}
        # By their references, whose worker may have died before it wrote those down.
        self.orphans: dict[str, Orphan] = {}
        self._orphaned: set[Line] = set()
        self._adopting: set[asyncio.Task[None]] = set()

    async def start(self, host: str) -> None:
        """Listen; batches are declined until `begin`."""
        self._server = await asyncio.start_server(self._serve, host, 0)
        port = self._server.sockets[0].getsockname()[1]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def begin(self) -> None:
        """Take batches from now on."""
        self.takes = True

    async def drain(self, seconds: float) -> None:
        """Begin no more submissions, and give those under way so long to end."""
        self.takes = False
        if self._server is not None:
            self._server.close()
        if self._batches and seconds > 0:
            await asyncio.wait(self._batches, timeout=seconds)

    async def close(self) -> None:
        """Drop the connections, after the outcomes that are there."""
        if self._batches:
            await asyncio.wait(self._batches, timeout=LAST_WORDS_SECONDS)
        await _canceled(*self._batches)
        await _canceled(*self._lines.values())
        if self._adopting:
            await asyncio.wait(self._adopting, timeout=LAST_WORDS_SECONDS)
        await _canceled(*self._adopting)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._lines[line] = task
        try:
            if await self._is_welcome(line):
                await line.send(Welcome())
                while True:
                    await self._answer(line)
        except FrameError as error:
            log.warning("connection dropped", carrier=self._carrier.name, error=str(error))
        except (OSError, EOFError, asyncio.CancelledError):
            # Gone, or told to go.
            pass
        except Exception as error:
            log.error("connection dropped", carrier=self._carrier.name, error=_kind(error))
        finally:
            del self._lines[line]
            line.end()
            self._orphaned.discard(line)
            if accepted := self._accepted.pop(line, None):
                self._adopting.add(asyncio.create_task(self._adopt(accepted)))

    async def _is_welcome(self, line: Line) -> bool:
        async with asyncio.timeout(HELLO_SECONDS):
            hello = await line.receive(FROM_WORKER, limit=MAX_HELLO)
        if not isinstance(hello, Hello):
            raise FrameError("no hello")
        knows = hmac.compare_digest(hello.token.encode(), self.token.encode())
        if not knows or hello.carrier != self._carrier.name:
            log.warning("connection refused: wrong token", carrier=self._carrier.name)
            return False
        return True

    async def _answer(self, line: Line) -> None:
        """Read one request and see it to its end."""
        frame = await line.receive(FROM_WORKER, limit=MAX_FRAME)
        if isinstance(frame, Offer) and self.takes:
            offered = time.monotonic()
            await line.send(Taken())
            async with asyncio.timeout(GO_SECONDS):
                word = await line.receive(FROM_WORKER, limit=MAX_HELLO)
            # What came in time may have been read late, where this process was stopped itself.
            if not isinstance(word, Go) or time.monotonic() - offered > GO_SECONDS:
                raise FrameError("an offer, and no word to go in time")
            # A task of its own: it goes on when the worker that waits for it is gone.
            batch = asyncio.create_task(self._submit(line, frame.submissions))
            self._batches.add(batch)
            batch.add_done_callback(self._batches.discard)
            await asyncio.wait({batch})
        elif isinstance(frame, Ask) and self.takes:
            await line.send(Found(await self._carrier.look_up(frame.message_ids)))
        elif isinstance(frame, Offer | Ask):
            await line.send(Declined())
        else:
            raise FrameError("out of turn")

    async def _submit(self, line: Line, submissions: Sequence[Submission]) -> None:
        """Submit a batch and send the outcomes as they come; those that never come are unknown."""
        outcomes: asyncio.Queue[Answer] = asyncio.Queue()
        accepted = self._accepted[line] = _lately(self._accepted.get(line, {}))
        tasks: list[asyncio.Task[None]] = []
        begun = 0

        until = time.monotonic() + SUBMIT_SHARE * claims.LEASE.total_seconds()

        async def submit(number: int) -> None:
            try:
                # Stopped meanwhile, this process has no say any more in what is not on the wire yet.
                is_late = time.monotonic() > until
                outcome = UNBEGUN if is_late else await self._outcome(submissions[number])
                outcomes.put_nowait(Answer.of(number, outcome))
                if isinstance(outcome, Accepted):
                    refs = _references(submissions[number], outcome)
                    accepted.update({ref: (orphan, time.monotonic()) for ref, orphan in refs.items()})
                    self._look_after(line, refs)
            finally:
                self._room.release()

        async def begin() -> None:
            nonlocal begun
            while begun < len(submissions):
                count = await self.take_room(len(submissions) - begun)
                is_told = self.takes and await _tell(line, Progress(begun + count, []))
                if not is_told or not self.takes:
                    for _ in range(count):
                        self._room.release()
                    for number in range(begun, len(submissions)):
                        outcomes.put_nowait(Answer.of(number, UNBEGUN))
                    return
                tasks.extend(asyncio.create_task(submit(number)) for number in range(begun, begun + count))
                begun += count

        missing = set(range(len(submissions)))
        beginning = asyncio.create_task(begin())
        try:
            async with asyncio.timeout(SUBMIT_SHARE * claims.LEASE.total_seconds()):
                while missing:
                    answers = [await outcomes.get(), *_emptied(outcomes)]
                    missing -= {answer.number for answer in answers}
                    await _tell(line, Progress(begun, answers))
        except TimeoutError:
            log.warning("batch not finished in time", carrier=self._carrier.name, messages=len(missing))
        finally:
            await _canceled(beginning)
            await _canceled(*tasks)
            late = {answer.number: answer for answer in _emptied(outcomes)}
            for number in missing - late.keys():
                late[number] = Answer.of(number, LATE if number < begun else UNBEGUN)
            if late:
                await _tell(line, Progress(begun, list(late.values())))

    async def take_room(self, most: int) -> int:
        """Wait for room at the carrier and take what there is, up to `most`."""
        await self._room.acquire()
        count = 1
        while count < most and not self._room.locked():
            await self._room.acquire()
            count += 1
        return count

    def _look_after(self, line: Line, refs: Iterable[str]) -> None:
        """Adopt what was accepted for a worker that is found gone, and then each message at once."""
        if line in self._orphaned:
            self._remember({ref: self._accepted[line][ref] for ref in refs})
        elif line.is_ended:
            self._orphaned.add(line)
            self._adopting.add(asyncio.create_task(self._adopt(dict(self._accepted[line]))))

    def _remember(self, accepted: Mapping[str, tuple[Orphan, float]]) -> None:
        for ref in [*self.orphans][: max(0, len(self.orphans) + len(accepted) - MOST_ORPHANS)]:
            del self.orphans[ref]
        self.orphans.update({ref: orphan for ref, (orphan, _) in accepted.items()})

    async def _adopt(self, accepted: Mapping[str, tuple[Orphan, float]]) -> None:
        """Have reports find messages whose worker is gone: it may have died before it wrote the references down.

        Those that it did record find their messages this way, too.
        """
        self._remember(accepted)
        message_ids = [orphan.message_id for orphan, _ in accepted.values()]
        counts = [orphan.part_count for orphan, _ in accepted.values()]

        async def adopt() -> None:
            if await database.execute(ADOPT, self._carrier.name, list(accepted), message_ids, counts):
                notify_after_commit(WorkQueue.REPORTS)

        try:
            await in_unit_of_work(adopt)
        except Exception as error:
            log.error("reports not adopted", carrier=self._carrier.name, error=_kind(error))
        finally:
            task = asyncio.current_task()
            assert task is not None
            self._adopting.discard(task)

    async def _outcome(self, submission: Submission) -> Outcome:
        try:
            return await self._carrier.submit(submission)
        except Exception as error:
            log.error("submission interrupted", carrier=self._carrier.name, error=_kind(error))
            return Unknown(type(error).__name__)


def taker(carrier: str, orphans: Mapping[str, Orphan]) -> TakeCarrierEvents:
    """Return what keeps the carrier events of a carrier: committed, and the queue notified, before it returns.

    Reports of `orphans`, by the carrier's references, name their messages.
    """

    async def take(carrier_events: Sequence[CarrierEvent]) -> None:
        named = [_named(carrier_event, orphans) for carrier_event in carrier_events]

        async def keep() -> None:
            await keep_carrier_events(carrier, named)
            notify_after_commit(WorkQueue.REPORTS)

        await in_unit_of_work(keep)

    return take


def _named(carrier_event: CarrierEvent, orphans: Mapping[str, Orphan]) -> CarrierEvent:
    if (
        not isinstance(carrier_event, Report)
        or carrier_event.message_id is not None
        or carrier_event.carrier_ref is None
    ):
        return carrier_event
    orphan = orphans.get(carrier_event.carrier_ref)
    return (
        carrier_event
        if orphan is None
        else replace(carrier_event, message_id=orphan.message_id, part_count=orphan.part_count)
    )


def _references(submission: Submission, outcome: Accepted) -> dict[str, Orphan]:
    """By which references the carrier will report of an accepted message.

    Where only one part of several has one, the report of it says nothing of the whole.
    """
    if outcome.part_refs:
        part = Orphan(submission.message_id, max(len(outcome.part_refs), 2))
        return dict.fromkeys(outcome.part_refs, part)
    return {} if outcome.ref is None else {outcome.ref: Orphan(submission.message_id)}


def _lately(accepted: Mapping[str, tuple[Orphan, float]]) -> dict[str, tuple[Orphan, float]]:
    """Return what a worker may not have recorded yet."""
    since = time.monotonic() - WRITTEN_SECONDS
    return {ref: (orphan, at) for ref, (orphan, at) in accepted.items() if at > since}


def lock_key(carrier: str) -> int:
    """Return the number of the advisory lock that goes with the binds of a carrier."""
    digest = hashlib.blake2b(b"msvs sessions:" + carrier.encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


async def _tell(line: Line, progress: Progress) -> bool:
    """Tell a worker, if it is still there; False if it is and does not listen.

    One that is gone can no longer take its messages for unsent, so what it asked for goes on.
    """
    try:
        async with asyncio.timeout(TELL_SECONDS):
            await line.send(progress)
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def _emptied(queue: asyncio.Queue[Answer]) -> list[Answer]:
    return [queue.get_nowait() for _ in range(queue.qsize())]


async def _detail(carrier: Carrier) -> str | None:
    """Return what the carrier says is wrong, as the row has room for it."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            detail = await carrier.check()
    except Exception as error:
        detail = f"the check failed: {_kind(error)}"
    return detail and detail[:100]


def _binds(carrier: Carrier, detail: str | None) -> tuple[int, int]:
    """Return how many binds stand of how many; of a carrier that does not count, one if nothing is wrong."""
    wanted = getattr(carrier, "wanted", 1)
    return getattr(carrier, "bound", 0 if detail else wanted), wanted


def _kind(error: BaseException) -> str:
    """Return the name of an error; of a group, that of its first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event for so long. Return whether it is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


async def _canceled(*tasks: asyncio.Task[object] | None) -> None:
    """Cancel tasks and wait for their ends."""
    there = [task for task in tasks if task is not None]
    for task in there:
        task.cancel()
    await asyncio.gather(*there, return_exceptions=True)
