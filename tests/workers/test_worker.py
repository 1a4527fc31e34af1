"""Queues, the worker that answers them, and cron that rings for what is due."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pytest
import structlog
from redis import Redis
from rq import Callback, Queue
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer
from rq.webhook import Webhook

from msvs import database as db
from msvs.api import limits
from msvs.api import notifier as notifier_module
from msvs.api.context import Context, Services
from msvs.api.limits import RATES, Bucket, Limiter
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.notifier import JOBS, Notifier, WorkQueue, notifying, waiting_key
from msvs.api.unit_of_work import notify_after_commit, single_statement, unit_of_work
from msvs.settings import SettingsError
from msvs.workers import cron, worker
from msvs.workers.worker import JobNotAllowed, NotifierJob, QueueWorker, require_safe_redis
from tests import factories
from tests.engines import Engines, eventually
from tests.services import SERVICES


class QuietWorker(QueueWorker):
    """A worker without the thread that listens for commands, which takes a second to stop."""

    def subscribe(self) -> None:
        """Listen to nobody."""

    def unsubscribe(self) -> None:
        """There is nothing to leave."""

    def _install_signal_handlers(self) -> None:
        """Leave the signals to whom they belong: the run of the tests."""


@pytest.fixture
def redis(clean: None, engines: Engines) -> Iterator[Redis]:
    with Redis.from_url(engines.redis_url) as connection:
        yield connection


@pytest.fixture
def notifier(redis: Redis, engines: Engines) -> Iterator[Notifier]:
    notifier = Notifier(engines.redis_url)
    with notifying(notifier):
        yield notifier
    notifier.close()


def waiting(redis: Redis, queue: WorkQueue) -> list[Job]:
    return Queue(queue.value, connection=redis, serializer=JSONSerializer).jobs


async def settled(notifier: Notifier) -> None:
    """Wait for the notifier's thread to have done what it was asked."""
    await asyncio.wrap_future(notifier._threads.submit(lambda: None))


async def test_one_job_waits_however_often_a_queue_is_notified(redis: Redis, notifier: Notifier) -> None:
    assert [notifier.enqueue(WorkQueue.MESSAGES) for _ in range(3)] == [True, False, False]
    (job,) = waiting(redis, WorkQueue.MESSAGES)
    assert (job.func_name, job.description) == (JOBS[WorkQueue.MESSAGES].function, "Hand due messages to the carriers")
    redis.delete(waiting_key(WorkQueue.MESSAGES))
    assert notifier.enqueue(WorkQueue.MESSAGES)
    assert len(waiting(redis, WorkQueue.MESSAGES)) == 2


async def test_a_commit_notifies_and_a_rollback_does_not(redis: Redis, notifier: Notifier) -> None:
    async def fail() -> None:
        async with unit_of_work():
            notify_after_commit(WorkQueue.WEBHOOKS)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with unit_of_work():
        async with unit_of_work():
            notify_after_commit(WorkQueue.MESSAGES)
        await settled(notifier)
        assert waiting(redis, WorkQueue.MESSAGES) == []
    await settled(notifier)
    assert len(waiting(redis, WorkQueue.MESSAGES)) == 1
    assert waiting(redis, WorkQueue.WEBHOOKS) == []
    with pytest.raises(RuntimeError):
        notify_after_commit(WorkQueue.MESSAGES)


async def test_a_send_notifies_dispatch(redis: Redis, notifier: Notifier, ctx: Context) -> None:
    async with single_statement():
        await send_message(ctx, SendMessage(factories.next_phone(), "Hi"))
    await settled(notifier)
    assert len(waiting(redis, WorkQueue.MESSAGES)) == 1


@pytest.fixture
async def holding(redis: Redis, engines: Engines, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Notifier]:
    """A notifier that holds what follows its first notification, for as long as the test takes."""
    monkeypatch.setattr(notifier_module, "NOTIFY_SECONDS", 600.0)
    monkeypatch.setattr(notifier_module, "WAITED_SECONDS", 600.0)
    notifier = Notifier(engines.redis_url, holds=True)
    notifier.notify([WorkQueue.MESSAGES])
    await settled(notifier)
    assert len(waiting(redis, WorkQueue.MESSAGES)) == 1
    yield notifier
    monkeypatch.setattr(notifier_module, "WAITED_SECONDS", 0.0)
    await asyncio.to_thread(notifier.close)


async def test_a_limiter_tells_what_waits_and_the_thread_asks_nothing(
    redis: Redis, engines: Engines, holding: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REDIS_SECONDS", 5.0)
    limiter = Limiter(engines.redis_url)
    limiter.notifier = holding
    try:
        holding.notify([WorkQueue.MESSAGES, WorkQueue.WEBHOOKS])
        assert set(holding.held) == {waiting_key(WorkQueue.MESSAGES), waiting_key(WorkQueue.WEBHOOKS)}
        assert (await limiter.take(uuid4())).remaining == RATES[Bucket.REQUESTS].capacity - 1
        # A job waits for the messages alone.
        assert set(holding.held) == {waiting_key(WorkQueue.WEBHOOKS)}
        redis.delete(waiting_key(WorkQueue.MESSAGES))
        # It was taken: the next commit is told of again.
        holding.notify([WorkQueue.MESSAGES])
        await limiter.take(uuid4())
        assert set(holding.held) == {waiting_key(WorkQueue.MESSAGES), waiting_key(WorkQueue.WEBHOOKS)}
    finally:
        await limiter.close()


async def test_a_commit_after_the_question_is_not_dropped_by_its_answer(holding: Notifier) -> None:
    holding.notify([WorkQueue.MESSAGES])
    asked = holding.held
    holding.notify([WorkQueue.MESSAGES])
    holding.note_waiting(asked)
    key = waiting_key(WorkQueue.MESSAGES)
    assert holding.held == {key: asked[key] + 1}
    holding.note_waiting(holding.held)
    assert not holding.held


async def test_what_is_held_at_the_end_is_enqueued(
    redis: Redis, engines: Engines, holding: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis.delete(waiting_key(WorkQueue.MESSAGES))
    holding.notify([WorkQueue.MESSAGES])
    monkeypatch.setattr(notifier_module, "WAITED_SECONDS", 0.0)
    await asyncio.to_thread(holding.close)
    assert len(waiting(redis, WorkQueue.MESSAGES)) == 2


async def test_what_is_held_is_enqueued_when_its_time_is_over(redis: Redis, engines: Engines) -> None:
    notifier = Notifier(engines.redis_url, holds=True)
    try:
        notifier.notify([WorkQueue.MESSAGES])
        await settled(notifier)
        redis.delete(waiting_key(WorkQueue.MESSAGES))
        notifier.notify([WorkQueue.MESSAGES])
        await asyncio.to_thread(eventually, lambda: len(waiting(redis, WorkQueue.MESSAGES)) == 2)
    finally:
        await asyncio.to_thread(notifier.close)


async def test_a_redis_that_is_away_costs_no_send(ctx: Context) -> None:
    notifier = Notifier("redis://127.0.0.1:1/0")
    try:
        with notifying(notifier):
            async with unit_of_work():
                row = await send_message(ctx, SendMessage(factories.next_phone(), "Hi"))
        await settled(notifier)
        assert row.status == "queued"
        assert not notifier.enqueue(WorkQueue.MESSAGES)
    finally:
        notifier.close()


@pytest.mark.parametrize(
    ("function", "arguments"), [("os.system", ["true"]), ("os.getpid", []), (JOBS[WorkQueue.MESSAGES].function, ["x"])]
)
def test_a_worker_runs_no_function_but_ours(redis: Redis, function: str, arguments: list[str]) -> None:
    queue = Queue("messages", connection=redis, serializer=JSONSerializer, job_class=NotifierJob)
    job = queue.enqueue_call(function, args=arguments)
    QuietWorker([queue], connection=redis, serializer=JSONSerializer).work(burst=True, logging_level="CRITICAL")
    failed = FailedJobRegistry(queue=queue, serializer=JSONSerializer, job_class=NotifierJob)
    assert failed.get_job_ids() == [job.id]
    result = job.latest_result()
    assert result is not None
    assert JobNotAllowed.__name__ in str(result.exc_string)


def take_over(*_: object) -> None:
    """What somebody has a job call when it ends."""
    taken_over.append(True)


taken_over: list[bool] = []


@pytest.mark.parametrize(("function", "ended"), [("os.getpid", "finished"), ("os.getppid", "failed")])
def test_a_worker_notifies_nobody_when_a_job_ends(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, function: str, ended: Literal["finished", "failed"]
) -> None:
    monkeypatch.setattr(worker, "ALLOWED_FUNCTIONS", frozenset(("os.getpid",)))
    queue = Queue("messages", connection=redis, serializer=JSONSerializer)
    callback = Callback(f"{__name__}.take_over")
    with socket.create_server(("127.0.0.1", 0)) as inside:
        url = f"http://127.0.0.1:{inside.getsockname()[1]}/latest/meta-data"
        job = queue.enqueue_call(
            function,
            on_success=callback,
            on_failure=callback,
            on_stopped=callback,
            webhooks=[Webhook(url, ended, timeout=1)],
        )
        QuietWorker(["messages"], connection=redis, serializer=JSONSerializer).work(
            burst=True, logging_level="CRITICAL"
        )
        assert job.get_status() == ended
        assert taken_over == []
        inside.setblocking(False)
        with pytest.raises(BlockingIOError):
            inside.accept()


def test_a_redis_that_may_drop_jobs_is_refused(redis: Redis) -> None:
    require_safe_redis(redis)
    before = redis.config_get("maxmemory-policy")["maxmemory-policy"]
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(SettingsError, match="noeviction"):
            require_safe_redis(redis)
    finally:
        redis.config_set("maxmemory-policy", before)


# Every process of a container may have the same process id.
IN_CONTAINER = "import os, sys; os.getpid = lambda: 1; from msvs.cli import main; sys.exit(main(sys.argv[1:]))"


def test_workers_with_the_same_process_id_run_side_by_side_and_after_each_other(
    redis: Redis, database: str, engines: Engines, tmp_path: Path
) -> None:
    env = os.environ | {"DATABASE_URL": database, "REDIS_URL": engines.redis_url, "DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", IN_CONTAINER, "worker", "messages"]
    first = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: len(redis.smembers("rq:workers:messages")) == 1)
        assert subprocess.run([*command, "--burst"], env=env, check=False).returncode == 0
        assert first.poll() is None
        assert len(list(redis.scan_iter("msvs:worker:messages-*"))) == 1
    finally:
        first.kill()
        first.wait()
    assert subprocess.run([*command, "--burst"], env=env, check=False).returncode == 0


def test_a_worker_has_its_jobs_before_the_first_one_comes() -> None:
    """RQ would import them while the first message waits."""
    seen = subprocess.check_output(
        [sys.executable, "-c", "import sys, msvs.workers.worker; print(*sorted(sys.modules))"], text=True
    ).split()
    assert {job.function.rpartition(".")[0] for job in JOBS.values()} <= set(seen)


async def test_cron_tells_of_a_database_that_is_away_once(
    redis: Redis, notifier: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, ticks = asyncio.Event(), 0
    whole = cron.tick

    async def tick(services: Services, notifier: Notifier, number: int) -> list[WorkQueue]:
        nonlocal ticks
        ticks += 1
        if ticks in (2, 3, 4):
            raise ConnectionRefusedError
        if ticks == 6:
            stop.set()
        return await whole(services, notifier, number)

    monkeypatch.setattr(cron, "tick", tick)
    monkeypatch.setattr(cron, "TICK_SECONDS", 0.001)
    with structlog.testing.capture_logs() as told:
        await cron._tick_until(stop, SERVICES, notifier)
    assert told == [
        {"event": "tick failed", "error": "ConnectionRefusedError", "log_level": "error"},
        {"event": "ticking again", "log_level": "info"},
    ]


async def test_cron_notifies_of_what_is_due_and_for_nothing_else(
    redis: Redis, notifier: Notifier, ctx: Context
) -> None:
    assert await cron.tick(SERVICES, notifier, 1) == []
    async with unit_of_work():
        draft = await send_message(
            ctx,
            SendMessage(factories.next_phone(), "Hi", scheduled_at=datetime.now(UTC) + timedelta(hours=1)),
        )
    assert await cron.tick(SERVICES, notifier, 1) == []
    await db.execute("UPDATE messages SET due_at = now() WHERE id = $1", draft.id)
    assert await cron.tick(SERVICES, notifier, 1) == [WorkQueue.MESSAGES]
    # The bell is pressed already: a second cron, or the next tick, presses nothing more.
    assert await cron.tick(SERVICES, notifier, 2) == []
    assert await cron.tick(SERVICES, notifier, cron.CHORES_EVERY_TICKS) == [WorkQueue.MAINTENANCE]
