"""Cron: look into PostgreSQL twice a second and notify workers of what is due. Any number may run at once."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import datetime

import structlog
from redis import Redis
from redis.exceptions import RedisError

from msvs import database
from msvs.api.accounts import mail_outbox, secret_keys
from msvs.api.context import Services
from msvs.api.dispatch.lanes import has_due
from msvs.api.notifier import Notifier, WorkQueue
from msvs.loops import new_runner
from msvs.packs import Billing
from msvs.settings import Settings, SettingsError
from msvs.workers import billing, campaigns, clocks, exports, imports, maintenance, reports, status_callbacks

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.5
# Of cron, which asks one question after the other.
CONNECTIONS = 2
ALIVE_SECONDS = 10
# Chores that no single row asks for, such as retention.
CHORES_EVERY_TICKS = 20

# How often transactions are looked at whose process neither reads nor writes, and for how long it may do neither.
WATCH_EVERY_TICKS = 4
STUCK_SECONDS = 10.0
# PostgreSQL's own limits do not reach a COPY from a stopped process, an answer that one does not read, or, behind a
# pooler, a session that was never told of them.
FIND_STUCK_BACKENDS = """
SELECT pid, query_start FROM pg_stat_activity
JOIN unnest($1::text[], $2::float8[]) AS known (application_name, seconds) USING (application_name)
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
    AND xact_start IS NOT NULL AND wait_event_type = 'Client'
    AND state_change < clock_timestamp() - make_interval(secs => known.seconds)
"""
END_BACKENDS = """
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
JOIN unnest($1::int[], $2::timestamptz[]) AS stuck (pid, query_start) USING (pid, query_start)
"""


async def _has_files_or_clocks(services: Services, now: datetime) -> bool:
    return await imports.has_due_any(services, now) or await clocks.has_due(now)


Question = Callable[[Services, datetime], Awaitable[bool]]

QUESTIONS: Mapping[WorkQueue, Question] = {
    WorkQueue.MESSAGES: has_due,
    WorkQueue.CAMPAIGNS: campaigns.has_work,
    WorkQueue.REPORTS: reports.has_due,
    WorkQueue.WEBHOOKS: status_callbacks.has_due,
    WorkQueue.MAIL: mail_outbox.has_due,
    WorkQueue.BILLING: billing.has_due,
    WorkQueue.IMPORTS: _has_files_or_clocks,
    WorkQueue.MAINTENANCE: maintenance.has_work,
}


class CronAlive:
    """Says after each tick that ended well that this cron lives; the saying lapses after ten seconds."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = f"msvs:cron:{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"

    def say(self) -> None:
        """Say so. Redis may be away: then nobody hears it."""
        with suppress(RedisError):
            self._redis.set(self._key, "1", ex=ALIVE_SECONDS)

    def stop(self) -> None:
        """Take the last saying back."""
        with suppress(RedisError):
            self._redis.delete(self._key)


async def tick(services: Services, notifier: Notifier, number: int) -> list[WorkQueue]:
    """Notify every queue whose work is due; return the queues."""
    now = await database.now()
    notified = []
    for queue, is_due in QUESTIONS.items():
        due = await is_due(services, now) or (queue is WorkQueue.MAINTENANCE and number % CHORES_EVERY_TICKS == 0)
        if due and await asyncio.to_thread(notifier.enqueue, queue, backs_off=True):
            notified.append(queue)
    return notified


class Watch:
    """Ends the transactions of processes that are stuck, seen so twice in a row, so that no other waits for them."""

    def __init__(self) -> None:
        self.seconds = STUCK_SECONDS
        # PostgreSQL waits for a worker that writes a file, which is no sign of anything until the file must be done.
        self.export_seconds = exports.WHOLE_SECONDS + exports.MORE_SECONDS
        self._seen: set[tuple[int, datetime]] = set()

    async def look(self) -> int:
        """End what has been stuck since the look before. Return the number of transactions."""
        seconds = {database.APP: self.seconds, exports.OWN_NAME: self.export_seconds}
        rows = await database.fetch(FIND_STUCK_BACKENDS, list(seconds), list(seconds.values()))
        found = {(row.pid, row.query_start) for row in rows}
        stuck, self._seen = found & self._seen, found
        if not stuck:
            return 0
        ended: int = await database.fetch_value(END_BACKENDS, [pid for pid, _ in stuck], [since for _, since in stuck])
        log.warning("transactions of stuck processes ended", transactions=ended)
        return ended


def run(settings: Settings) -> int:
    """Tick until SIGINT or SIGTERM; 0."""
    if settings.database_url is None or settings.redis_url is None:
        raise SettingsError("DATABASE_URL and REDIS_URL must be set for cron; `msvs run` sets them itself")
    with new_runner() as runner:
        runner.run(_run(settings, settings.database_url, settings.redis_url))
    return 0


async def _run(settings: Settings, database_url: str, redis_url: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    services, notifier = Services(billing=Billing.from_settings(settings)), Notifier(redis_url)
    try:
        async with (
            database.connected(
                database_url,
                pool_size=CONNECTIONS,
                check=secret_keys.connection_check(services.keyring),
                slow_ms=settings.slow_query_ms,
            ),
            secret_keys.watching(services.keyring, settings, stop.set),
        ):
            await _tick_until(stop, services, notifier)
    finally:
        notifier.close()


async def _unless(stop: asyncio.Event, work: Coroutine[object, object, object]) -> None:
    """Run `work` to its end, or break it off once `stop` is set."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not working.done():
            working.cancel()
    with suppress(asyncio.CancelledError):
        await working


async def _tick_until(stop: asyncio.Event, services: Services, notifier: Notifier) -> None:
    number = 0
    alive = CronAlive(notifier.redis)
    failing: str | None = None
    watch = Watch()
    while not stop.is_set():
        try:
            await _unless(stop, tick(services, notifier, number))
            if number % WATCH_EVERY_TICKS == 0:
                await _unless(stop, watch.look())
        except Exception as error:
            # PostgreSQL may be away for a moment; the next tick asks again.
            name = type(error).__name__
            if name != failing:
                log.error("tick failed", error=name)
            failing = name
        else:
            if failing is not None:
                log.info("ticking again")
            failing = None
            await asyncio.to_thread(alive.say)
        number += 1
        try:
            await asyncio.wait_for(stop.wait(), TICK_SECONDS)
        except TimeoutError:
            continue
    await asyncio.to_thread(alive.stop)
