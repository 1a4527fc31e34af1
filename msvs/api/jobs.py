"""Doorbells: RQ jobs that say "look at PostgreSQL"; they carry no work themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import structlog
from redis import Redis
from redis.exceptions import RedisError, WatchError
from rq import Queue
from rq.serializers import JSONSerializer

log = structlog.get_logger(__name__)


class Doorbell(StrEnum):
    """What workers can be called to; each is an RQ queue of its own."""

    MESSAGES = "messages"
    CAMPAIGNS = "campaigns"
    REPORTS = "reports"
    WEBHOOKS = "webhooks"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True)
class Job:
    """The RQ job behind a doorbell."""

    function: str
    description: str


JOBS: dict[Doorbell, Job] = {
    Doorbell.MESSAGES: Job("msvs.workers.jobs.dispatch_messages", "Hand due messages to the carriers"),
    Doorbell.CAMPAIGNS: Job("msvs.workers.jobs.expand_campaigns", "Turn due campaigns into messages"),
    Doorbell.REPORTS: Job("msvs.workers.jobs.collect_reports", "Take in delivery reports and replies"),
    Doorbell.WEBHOOKS: Job("msvs.workers.jobs.deliver_webhooks", "Deliver due webhooks"),
    Doorbell.MAINTENANCE: Job(
        "msvs.workers.jobs.maintain",
        "Resolve expired leases, complete campaigns, drop what is past its keeping",
    ),
}

# A bell that a dead worker never answered must not stay pressed.
PRESSED_SECONDS = 5
# Under load one ring answers for all commits of so long a time.
RING_SECONDS = 0.01
RESULT_SECONDS = 60
# Long enough to be looked at: the log has them all.
FAILURE_SECONDS = 3600
# Where a doorbell's jobs break, cron rings it ever more seldom; what is committed rings it at once as ever.
FIRST_BACK_OFF_SECONDS = 0.5
LONGEST_BACK_OFF_SECONDS = 10.0
FORGOTTEN_SECONDS = 60
QUIET_AFTER_ERROR_SECONDS = 1.0


def bell_key(doorbell: Doorbell) -> str:
    """The Redis key that is set while a job for this doorbell waits to be taken."""
    return f"msvs:bell:{doorbell.value}"


def failing_key(doorbell: Doorbell) -> str:
    """The Redis key that counts the jobs of this doorbell that broke one after the other."""
    return f"msvs:failing:{doorbell.value}"


def back_off_key(doorbell: Doorbell) -> str:
    """The Redis key that is set while cron is not to ring this doorbell."""
    return f"msvs:back_off:{doorbell.value}"


def note_failure(redis: Redis, doorbell: Doorbell) -> None:
    """Have cron wait before it rings this doorbell again, twice as long each time."""
    with redis.pipeline() as pipe:
        pipe.incr(failing_key(doorbell))
        pipe.expire(failing_key(doorbell), FORGOTTEN_SECONDS)
        count = int(pipe.execute()[0])
    seconds = min(FIRST_BACK_OFF_SECONDS * 2 ** min(count - 1, 16), LONGEST_BACK_OFF_SECONDS)
    redis.set(back_off_key(doorbell), "1", px=int(seconds * 1000))


def forget_failures(redis: Redis, doorbell: Doorbell) -> None:
    """Have cron ring this doorbell as often as ever."""
    redis.delete(failing_key(doorbell), back_off_key(doorbell))


class Ringer:
    """Enqueues one waiting job a doorbell, from a thread of its own, and forgives Redis for being away."""

    def __init__(self, redis_url: str) -> None:
        self.redis = Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=1)
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ringer")
        self._queued: set[Doorbell] = set()
        self._lock = threading.Lock()
        self._quiet_until = 0.0
        self._next_ring = 0.0

    def ring(self, doorbells: Iterable[Doorbell]) -> None:
        """Enqueue soon; returns at once. A doorbell already on its way is not rung again."""
        for doorbell in doorbells:
            with self._lock:
                if doorbell in self._queued:
                    continue
                self._queued.add(doorbell)
            self._threads.submit(self._press, doorbell)

    def _press(self, doorbell: Doorbell) -> None:
        time.sleep(max(0.0, min(RING_SECONDS, self._next_ring - time.monotonic())))
        self._next_ring = time.monotonic() + RING_SECONDS
        with self._lock:
            self._queued.discard(doorbell)
        if time.monotonic() >= self._quiet_until:
            self.press(doorbell)

    def press(self, doorbell: Doorbell, *, backs_off: bool = False) -> bool:
        """Enqueue a job now unless one waits already; whether this call enqueued it.

        With `backs_off` not where its jobs broke a moment ago. The bell and its job come together, or not at all.
        """
        key = bell_key(doorbell)
        job = JOBS[doorbell]
        try:
            with self.redis.pipeline() as pipe:
                pipe.watch(key)  # type: ignore[no-untyped-call]
                if pipe.exists(key, *([back_off_key(doorbell)] if backs_off else [])):
                    return False
                pipe.multi()
                pipe.set(key, "1", ex=PRESSED_SECONDS)
                Queue(doorbell.value, connection=self.redis, serializer=JSONSerializer).enqueue_call(
                    job.function,
                    description=job.description,
                    timeout=-1,
                    result_ttl=RESULT_SECONDS,
                    failure_ttl=FAILURE_SECONDS,
                    pipeline=pipe,
                )
                pipe.execute()
        except WatchError:
            # Another pressed it meanwhile.
            return False
        except RedisError as error:
            # What EXEC refuses a part of, it does the rest of: a bell without its job would stay pressed.
            with suppress(RedisError):
                self.redis.delete(key)
            # The ticker finds what is due in PostgreSQL; a lost ring costs a second.
            self._quiet_until = time.monotonic() + QUIET_AFTER_ERROR_SECONDS
            log.warning("doorbell not rung", doorbell=doorbell.value, error=type(error).__name__)
            return False
        return True

    def close(self) -> None:
        """Wait for rings on their way, then let go of Redis."""
        self._threads.shutdown(wait=True)
        self.redis.close()


_ringer: Ringer | None = None


def use_ringer(ringer: Ringer | None) -> None:
    """Set the process's ringer; None leaves doorbells silent and the work to the ticker."""
    global _ringer
    _ringer = ringer


def ring_now(doorbells: Iterable[Doorbell]) -> None:
    """Ring through the process's ringer, if it has one."""
    if _ringer is not None:
        _ringer.ring(doorbells)
