"""The process that holds carriers' binds: one owner, a standby, and what is known when either dies."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from msvs import database as db
from msvs.api.dispatch import claims
from msvs.api.notifier import Notifier, WorkQueue, notifying
from msvs.carriers import registry
from msvs.carriers.config import CarrierConfig
from msvs.carriers.protocol import Accepted, Outcome, Refused, Report, Submission, Unknown
from msvs.carriers.registry import make_carriers
from msvs.carriers.remote import RemoteCarrier
from msvs.local.supervisor import processes
from msvs.models import CarrierSession, StoredCarrierEvent
from msvs.settings import Settings, SettingsError
from msvs.workers import carrier_binds
from msvs.workers.carrier_binds import SessionHolder, SessionsStuck, lock_key, taker
from tests.engines import Engines
from tests.services import CONSENT_SECRET
from tests.workers.sessions_carrier import KIND, FileCarrier, read_book

NAME = "smsc"
AWAY = Refused("carrier_rejected", retryable=True, retry_after=2.0, is_fault=True)
LATER = Refused("carrier_rejected", retryable=True)
LOST = Unknown("bind process lost")
LATE = Unknown("not answered in time")


def submission(number: int, body: str = "Doors open at 8pm ET.") -> Submission:
    return Submission(UUID(int=number), UUID(int=1), True, "+12125550000", "+14155550100", body, "gsm7", 1, 1)


def accepted(number: int) -> Outcome:
    return Accepted(f"ref-{UUID(int=number)}", ("a", "b"))


class World:
    """A carrier with its book, who may hold its binds, and a worker's end."""

    def __init__(self, folder: Path, database_url: str, redis_url: str) -> None:
        self.book = folder / "book"
        self.file = folder / "carriers.toml"
        self.file.write_text(f'[{NAME}]\nkind = "{KIND}"\nbook = "{self.book}"\n')
        self.settings = Settings(carriers=self.file, database_url=database_url, redis_url=redis_url)
        self.remote = RemoteCarrier(self.make())
        self.processes: list[asyncio.subprocess.Process] = []

    def make(self) -> FileCarrier:
        return FileCarrier(CarrierConfig(NAME, KIND, {"book": str(self.book)}, ""))

    def booked(self, what: str) -> list[dict[str, Any]]:
        return [entry for entry in read_book(self.book) if entry["what"] == what]

    def happened(self) -> list[str]:
        return [entry["what"] for entry in read_book(self.book)]

    def mark(self, ending: str) -> Path:
        path = Path(f"{self.book}{ending}")
        path.touch()
        return path

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[asyncio.Event]:
        """A holder in this process; the event ends it."""
        assert self.settings.database_url is not None
        stop = asyncio.Event()
        holder = SessionHolder(self.make, database_url=self.settings.database_url)
        task = asyncio.create_task(holder.run(stop))
        try:
            yield stop
        finally:
            stop.set()
            await task

    async def start(self) -> asyncio.subprocess.Process:
        """A process of its own that holds the binds or stands by."""
        assert self.settings.database_url is not None
        assert self.settings.redis_url is not None
        environment = os.environ | {
            "DATABASE_URL": self.settings.database_url,
            "REDIS_URL": self.settings.redis_url,
            "DATA_DIR": str(self.file.parent),
            "MSVS_CARRIERS": str(self.file),
            "MSVS_ENV": "production",
            "MSVS_SECRET_KEY": CONSENT_SECRET,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.workers.sessions_carrier",
            "sessions",
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.processes.append(process)
        return process

    async def is_ready(self, *, after: str = "") -> None:
        """Wait until somebody takes batches, and says so; somebody new, where the token of one before is given."""

        async def is_bound() -> bool:
            row = await self.row()
            return row is not None and row.bound == 2 and row.token != after

        await until(is_bound)

    async def row(self) -> CarrierSession | None:
        return await CarrierSession.get_or_none(name=NAME)


@pytest.fixture
async def world(
    clean: None, database: str, engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setattr(registry, "KINDS", {KIND: FileCarrier})
    monkeypatch.setattr(carrier_binds, "STAND_BY_SECONDS", 0.05)
    monkeypatch.setattr(carrier_binds, "BEAT_SECONDS", 0.05)
    world = World(tmp_path, database, engines.redis_url)
    yield world
    await world.remote.close()
    for process in world.processes:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
def reports(clean: None, engines: Engines) -> Iterator[Callable[[], int]]:
    """How many jobs wait on the reports queue, once the notifier has done what it was asked."""
    notifier = Notifier(engines.redis_url)
    redis = Redis.from_url(engines.redis_url)

    def waiting() -> int:
        notifier._threads.submit(lambda: None).result()
        return Queue(WorkQueue.REPORTS.value, connection=redis, serializer=JSONSerializer).count

    with notifying(notifier):
        yield waiting
    notifier.close()
    redis.close()


async def until(condition: Callable[[], Awaitable[object] | object]) -> None:
    async with asyncio.timeout(60):
        while True:
            holds = condition()
            if await holds if isinstance(holds, Awaitable) else holds:
                return
            await asyncio.sleep(0.005)


async def lock_holders() -> list[int]:
    """Backends that have a lock that outlives its transaction, or none."""
    key = lock_key(NAME) % 2**64
    rows = await db.fetch(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND classid::bigint = $1 AND objid::bigint = $2",
        key >> 32,
        key & 0xFFFFFFFF,
    )
    return [row.pid for row in rows]


async def test_outcomes_in_order_each_submitted_once(world: World) -> None:
    bodies = ["", "refuse", "unknown", "break", "report", *[""] * 20]
    async with world.holding():
        await world.is_ready()
        outcomes = await world.remote.submit_many([submission(*each) for each in enumerate(bodies, 1)])
    assert outcomes == [
        accepted(1),
        Refused("invalid_number"),
        Unknown("timeout"),
        Unknown("ZeroDivisionError"),
        *[accepted(number) for number in range(5, 26)],
    ]
    submitted = [UUID(entry["message"]).int for entry in world.booked("submit")]
    assert sorted(submitted) == list(range(1, 26))
    assert (await StoredCarrierEvent.get()).message_id == UUID(int=5)
    assert world.happened()[-1] == "close"


async def test_the_row_says_where_and_how_many(world: World) -> None:
    async with world.holding():
        await world.is_ready()

        row = await world.row()
        assert row is not None
        assert (row.bound, row.wanted, row.detail) == (2, 2, None)
        assert (row.address.partition(":")[0], len(row.token)) == ("127.0.0.1", 43)
        assert await world.remote.check() is None
        first = row.updated_at

        async def is_written_again() -> bool:
            following = await world.row()
            return following is not None and following.updated_at > first

        await until(is_written_again)
    assert await world.row() is None
    assert await lock_holders() == []


async def test_sessions_that_do_not_open_are_opened_again(world: World) -> None:
    broken = world.mark(".broken")
    async with world.holding():
        await until(lambda: len(world.booked("broken")) >= 2)
        assert await world.remote.submit_many([submission(1)]) == [AWAY]
        broken.unlink()
        await world.is_ready()
        assert await world.remote.submit_many([submission(2)]) == [accepted(2)]
    assert [UUID(entry["message"]).int for entry in world.booked("submit")] == [2]


async def test_carrier_events_are_committed_before_they_are_acknowledged(
    world: World, reports: Callable[[], int]
) -> None:
    await taker(NAME, {})([Report("r1", True, message_id=UUID(int=1)), Report("r2", False, carrier_ref="ref")])
    assert await StoredCarrierEvent.filter(carrier=NAME).count() == 2
    assert reports() == 1


async def test_carrier_events_that_cannot_be_stored_notify_no_worker(world: World, reports: Callable[[], int]) -> None:
    with pytest.raises(asyncpg.StringDataRightTruncationError):
        await taker("x" * 31, {})([Report("r1", True), Report("r2", True)])
    assert await StoredCarrierEvent.all().count() == 0
    assert reports() == 0


async def test_a_lost_lock_closes_the_sessions(world: World) -> None:
    async with world.holding():
        await world.is_ready()
        handing = asyncio.create_task(world.remote.submit_many([submission(1, "hold"), submission(2)]))
        await until(lambda: len(world.booked("submit")) == 2)
        before = await world.row()
        assert before is not None
        (pid,) = await lock_holders()
        await db.execute("SELECT pg_terminate_backend($1)", pid)
        assert await handing == [LATE, accepted(2)]
        await world.is_ready(after=before.token)
        assert world.happened()[-2:] == ["close", "open"]
        assert await lock_holders() not in ([], [pid])
        assert await world.remote.submit_many([submission(3)]) == [accepted(3)]
    assert [UUID(entry["message"]).int for entry in world.booked("submit")] == [1, 2, 3]


async def test_a_carrier_that_does_not_let_go_ends_the_process(world: World) -> None:
    world.mark(".stuck")
    stop = asyncio.Event()
    assert world.settings.database_url is not None
    holder = asyncio.create_task(SessionHolder(world.make, database_url=world.settings.database_url).run(stop))
    await world.is_ready()
    (pid,) = await lock_holders()
    await db.execute("SELECT pg_terminate_backend($1)", pid)
    with pytest.raises(SessionsStuck):
        await holder
    assert world.happened() == ["open"]


async def test_a_stop_waits_for_what_is_under_way(world: World) -> None:
    async with world.holding() as stop:
        await world.is_ready()
        bodies = ["hold"] * FileCarrier.concurrency + ["", ""]
        handing = asyncio.create_task(world.remote.submit_many([submission(*each) for each in enumerate(bodies, 1)]))
        await until(lambda: len(world.booked("submit")) == FileCarrier.concurrency)
        stop.set()

        async def is_away() -> bool:
            return await world.row() is None

        await until(is_away)
        assert await world.remote.submit_many([submission(9)]) == [AWAY]
        assert (len(await lock_holders()), "close" in world.happened()) == (1, False)
        world.mark(".go")
        held = [accepted(number) for number in range(1, FileCarrier.concurrency + 1)]
        assert await handing == [*held, LATER, LATER]
    assert world.happened() == ["open", *["submit"] * FileCarrier.concurrency, "close"]
    assert await lock_holders() == []


async def test_a_stop_does_not_wait_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrier_binds, "DRAIN_SECONDS", 0.05)
    async with world.holding() as stop:
        await world.is_ready()
        handing = asyncio.create_task(world.remote.submit_many([submission(1, "hold")]))
        await until(lambda: world.booked("submit"))
        stop.set()
        assert await handing == [LATE]
    assert world.happened() == ["open", "submit", "close"]


async def test_a_batch_ends_within_the_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.holding():
        await world.is_ready()
        monkeypatch.setattr(claims, "LEASE", claims.LEASE / 500)
        bodies = ["", *["hold"] * FileCarrier.concurrency, ""]
        outcomes = await world.remote.submit_many([submission(*each) for each in enumerate(bodies, 1)])
    assert outcomes == [accepted(1), *[LATE] * FileCarrier.concurrency, LATER]
    assert len(world.booked("submit")) == FileCarrier.concurrency + 1


async def test_another_process_takes_over_from_one_that_is_killed(world: World) -> None:
    first, second = await world.start(), await world.start()
    await world.is_ready()
    (opened,) = world.booked("open")
    owner, standby = (first, second) if opened["pid"] == first.pid else (second, first)
    assert await world.remote.submit_many([submission(1)]) == [accepted(1)]
    before = await world.row()
    assert before is not None

    bodies = [*["hold"] * FileCarrier.concurrency, "", ""]
    handing = asyncio.create_task(world.remote.submit_many([submission(*each) for each in enumerate(bodies, 2)]))
    await until(lambda: len(world.booked("submit")) == 1 + FileCarrier.concurrency)
    owner.send_signal(signal.SIGKILL)
    # What had begun nobody knows; what had not was not submitted, and may be handed over again.
    assert await handing == [*[LOST] * FileCarrier.concurrency, AWAY, AWAY]

    await until(lambda: len(world.booked("open")) == 2)
    assert world.booked("open")[1]["pid"] == standby.pid

    async def is_handed_over() -> bool:
        return await world.remote.submit_many([submission(6), submission(7)]) == [accepted(6), accepted(7)]

    await until(is_handed_over)
    after = await world.row()
    assert after is not None
    assert (after.address != before.address, after.token != before.token) == (True, True)
    submitted = [(UUID(entry["message"]).int, entry["pid"]) for entry in world.booked("submit")]
    assert sorted(submitted) == [
        *[(number, owner.pid) for number in (1, 2, 3, 4, 5)],
        *[(number, standby.pid) for number in (6, 7)],
    ]

    standby.send_signal(signal.SIGTERM)
    _, log = await standby.communicate()
    assert standby.returncode == 0
    assert (world.happened()[-1], await world.row()) == ("close", None)
    assert (after.token in log.decode(), "+1212" in log.decode()) == (False, False)


async def test_another_process_takes_over_from_one_that_is_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSIONS_IDLE", "5s")
    first, second = await world.start(), await world.start()
    await world.is_ready()
    before = await world.row()
    assert before is not None
    (opened,) = world.booked("open")
    owner, standby = (first, second) if opened["pid"] == first.pid else (second, first)
    assert await world.remote.submit_many([submission(1)]) == [accepted(1)]
    owner.send_signal(signal.SIGSTOP)
    await until(lambda: len(world.booked("open")) == 2)
    assert world.booked("open")[1]["pid"] == standby.pid
    await world.is_ready(after=before.token)

    async def is_handed_over() -> bool:
        return await world.remote.submit_many([submission(2)]) == [accepted(2)]

    await until(is_handed_over)
    # It notices that the binds are another's, closes its own and stands by.
    owner.send_signal(signal.SIGCONT)
    await until(lambda: [entry["pid"] for entry in world.booked("close")] == [owner.pid])
    assert await world.remote.submit_many([submission(3)]) == [accepted(3)]
    submitted = [(UUID(entry["message"]).int, entry["pid"]) for entry in world.booked("submit")]
    assert submitted == [(1, owner.pid), (2, standby.pid), (3, standby.pid)]


async def test_a_second_process_stands_by_and_stops_without_a_word(world: World) -> None:
    async with world.holding():
        await world.is_ready()
        async with world.holding():

            async def is_standing_by() -> bool:
                return bool(
                    await db.fetch_value(
                        "SELECT count(*) FROM pg_stat_activity"
                        " WHERE application_name LIKE 'msvs binds %' AND query LIKE '%pg_try_advisory_lock%'"
                    )
                )

            await until(is_standing_by)
            assert len(await lock_holders()) == 1
        assert await world.row() is not None
        assert await world.remote.submit_many([submission(1)]) == [accepted(1)]
    assert world.happened() == ["open", "submit", "close"]


def test_the_process_of_binds_owns_the_carriers_that_hold_them(world: World) -> None:
    assert type(make_carriers(world.settings)[NAME]) is FileCarrier
    assert type(make_carriers(world.settings, owns_binds=False)[NAME]) is RemoteCarrier
    assert [spec.argv[-1] for spec in processes(world.settings) if spec.name == "binds"] == ["binds"]
    assert "binds" not in [spec.name for spec in processes(Settings())]
    assert lock_key("a") != lock_key("b")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"redis_url": None}, "DATABASE_URL and REDIS_URL"),
        ({"binds_host": "0.0.0.0"}, "MSVS_SESSIONS_HOST"),
        ({}, "no carrier that holds binds"),
    ],
)
def test_a_process_without_sessions_says_why(changes: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        carrier_binds.run(Settings(**{"database_url": "postgresql://", "redis_url": "redis://"} | changes))  # type: ignore[arg-type]
