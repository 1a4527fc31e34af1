"""The notifier: RQ jobs that say "look at PostgreSQL"; they carry no work themselves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

import structlog
from redis import Redis
from redis.exceptions import RedisError, WatchError
from rq import Queue
from rq.serializers import JSONSerializer

from msvs import redis_connections

log = structlog.get_logger(__name__)


class WorkQueue(StrEnum):
    """The work queues; each is an RQ queue."""

    MESSAGES = "messages"
    CAMPAIGNS = "campaigns"
    REPORTS = "reports"
    WEBHOOKS = "webhooks"
    MAIL = "mail"
    BILLING = "billing"
    IMPORTS = "imports"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True)
class Job:
    """The RQ job behind a queue."""

    function: str
    description: str


JOBS: dict[WorkQueue, Job] = {
    WorkQueue.MESSAGES: Job("msvs.workers.jobs.dispatch_messages", "Hand due messages to the carriers"),
    WorkQueue.CAMPAIGNS: Job("msvs.workers.jobs.expand_campaigns", "Turn due campaigns into messages"),
    WorkQueue.REPORTS: Job("msvs.workers.jobs.collect_reports", "Take in delivery reports and replies"),
    WorkQueue.WEBHOOKS: Job("msvs.workers.jobs.deliver_webhooks", "Deliver due webhooks"),
    WorkQueue.MAIL: Job("msvs.workers.jobs.send_mail", "Send due mail"),
    WorkQueue.BILLING: Job("msvs.workers.jobs.settle_billing", "Settle what Stripe told of purchases"),
    WorkQueue.IMPORTS: Job(
        "msvs.workers.jobs.run_imports", "Import files of contacts, write those of exports, and sync lists"
    ),
    WorkQueue.MAINTENANCE: Job(
        "msvs.workers.jobs.maintain",
        "Resolve expired leases, complete campaigns, drop what is past its keeping",
    ),
}

# A key that a dead worker never deleted must not stay set.
WAITING_SECONDS = 5
# Under load one notification stands for all commits of this time; of a longer one where a job waited at the last
# look, as it will see what is committed meanwhile, too.
NOTIFY_SECONDS = 0.01
WAITED_SECONDS = 0.02
RESULT_SECONDS = 60
# Long enough to be looked at: the log has them all.
FAILURE_SECONDS = 3600
# Where a queue's jobs break, cron notifies it ever more seldom; what is committed notifies it at once as ever.
FIRST_BACK_OFF_SECONDS = 0.5
LONGEST_BACK_OFF_SECONDS = 10.0
FORGOTTEN_SECONDS = 60
QUIET_AFTER_ERROR_SECONDS = 1.0


def waiting_key(queue: WorkQueue) -> str:
    """Return the Redis key that is set while a job for this queue waits to be taken."""
    return f"msvs:waiting:{queue.value}"


QUEUES: Mapping[str, WorkQueue] = {waiting_key(queue): queue for queue in WorkQueue}


def failing_key(queue: WorkQueue) -> str:
    """Return the Redis key that counts the jobs of this queue that broke one after the other."""
    return f"msvs:failing:{queue.value}"


def back_off_key(queue: WorkQueue) -> str:
    """Return the Redis key that is set while cron is not to notify this queue."""
    return f"msvs:back_off:{queue.value}"


def note_failure(redis: Redis, queue: WorkQueue) -> None:
    """Have cron wait before it notifies this queue again, twice as long each time."""
    with redis.pipeline() as pipe:
        pipe.incr(failing_key(queue))
        pipe.expire(failing_key(queue), FORGOTTEN_SECONDS)
        count = int(pipe.execute()[0])
    seconds = min(FIRST_BACK_OFF_SECONDS * 2 ** min(count - 1, 16), LONGEST_BACK_OFF_SECONDS)
    redis.set(back_off_key(queue), "1", px=int(seconds * 1000))


def forget_failures(redis: Redis, queue: WorkQueue) -> None:
    """Have cron notify this queue as often as ever."""
    redis.delete(failing_key(queue), back_off_key(queue))


class Notifier:
    """Enqueues one waiting job a queue, from a thread of its own, and forgives Redis for being away.

    With `holds`, for an event loop that always runs, what comes soon after a notification is held for a moment. A
    caller that asks Redis something meanwhile asks of `held` too, and tells by `note_waiting` that a job waits already:
    the thread then has nothing to do.
    """

    def __init__(self, redis_url: str, *, holds: bool = False) -> None:
        self._holds = holds
        self.redis = redis_connections.connect(redis_url, socket_timeout=2, socket_connect_timeout=1)
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="notifier")
        self._queued: set[WorkQueue] = set()
        # Of the queues whose notification is held: what ends that, and the commits that it stands for, counted.
        self._held: dict[WorkQueue, asyncio.TimerHandle] = {}
        self._commits: Counter[WorkQueue] = Counter()
        self._lock = threading.Lock()
        self._quiet_until = 0.0
        self._next_notify = 0.0

    def notify(self, queues: Iterable[WorkQueue]) -> None:
        """Enqueue soon; returns at once. A queue already on its way is not notified again."""
        for queue in queues:
            with self._lock:
                self._commits[queue] += 1
                if queue in self._queued:
                    continue
                self._queued.add(queue)
            self._begin(queue)

    @property
    def held(self) -> Mapping[str, int]:
        """The waiting keys of the queues whose notification is held, with the number of the latest commit of each."""
        return {waiting_key(queue): self._commits[queue] for queue in self._held}

    def note_waiting(self, held: Mapping[str, int]) -> None:
        """Drop the notifications of queues whose keys Redis had, when it was asked after the commit of that number."""
        for key, commit in held.items():
            queue = QUEUES[key]
            with self._lock:
                if self._commits[queue] != commit or queue not in self._held:
                    continue
                self._held.pop(queue).cancel()
                self._queued.discard(queue)
            self._next_notify = time.monotonic() + WAITED_SECONDS

    def _begin(self, queue: WorkQueue) -> None:
        delay = self._next_notify - time.monotonic()
        if self._holds and delay > 0:
            # Not from another thread, which has no loop.
            with suppress(RuntimeError):
                loop = asyncio.get_running_loop()
                self._held[queue] = loop.call_later(min(WAITED_SECONDS, delay), self._end_hold, queue)
                return
        self._threads.submit(self._enqueue_soon, queue)

    def _end_hold(self, queue: WorkQueue) -> None:
        if self._held.pop(queue, None) is not None:
            self._threads.submit(self._enqueue_soon, queue)

    def _enqueue_soon(self, queue: WorkQueue) -> None:
        time.sleep(max(0.0, min(WAITED_SECONDS, self._next_notify - time.monotonic())))
        now = time.monotonic()
        with self._lock:
            self._queued.discard(queue)
        is_new = now < self._quiet_until or self.enqueue(queue)
        self._next_notify = now + (NOTIFY_SECONDS if is_new else WAITED_SECONDS)

    def enqueue(self, queue: WorkQueue, *, backs_off: bool = False) -> bool:
        """Enqueue a job now unless one waits already. Return whether this call enqueued it.

        With `backs_off` not where its jobs broke a moment ago. The key and its job come together, or not at all.
        """
        key = waiting_key(queue)
        hindrances = [key, *([back_off_key(queue)] if backs_off else [])]
        job = JOBS[queue]
        try:
            # Under load a job waits nearly always: one round trip tells so, where WATCH and its end take three.
            if self.redis.exists(*hindrances):
                return False
            with self.redis.pipeline() as pipe:
                pipe.watch(key)  # type: ignore[no-untyped-call]
                if pipe.exists(*hindrances):
                    return False
                pipe.multi()
                pipe.set(key, "1", ex=WAITING_SECONDS)
                Queue(queue.value, connection=self.redis, serializer=JSONSerializer).enqueue_call(
                    job.function,
                    description=job.description,
                    timeout=-1,
                    result_ttl=RESULT_SECONDS,
                    failure_ttl=FAILURE_SECONDS,
                    pipeline=pipe,
                )
                pipe.execute()
        except WatchError:
            # Another notifier enqueued it meanwhile.
            return False
        except RedisError as error:
            # What EXEC refuses a part of, it does the rest of: a key without its job would stay set.
            with suppress(RedisError):
                self.redis.delete(key)
            # The ticker finds what is due in PostgreSQL; a lost notification costs a second.
            self._quiet_until = time.monotonic() + QUIET_AFTER_ERROR_SECONDS
            log.warning("queue not notified", queue=queue.value, error=type(error).__name__)
            return False
        return True

    def close(self) -> None:
        """Wait for notifications on their way, then close the Redis connection."""
        for queue in list(self._held):
            self._end_hold(queue)
        self._threads.shutdown(wait=True)
        self.redis.close()


# Who is notified belongs to the request or job at hand, as the queues that wait for its COMMIT do.
_current: ContextVar[Notifier | None] = ContextVar("notifier", default=None)


class notifying:
    """Notify through `notifier` what the block commits; None leaves the work to cron."""

    __slots__ = ("_notifier", "_token")

    def __init__(self, notifier: Notifier | None) -> None:
        self._notifier = notifier

    def __enter__(self) -> None:
        self._token = _current.set(self._notifier)

    def __exit__(self, *_error: object) -> None:
        _current.reset(self._token)


def notify_now(queues: Iterable[WorkQueue]) -> None:
    """Notify through the notifier of this request or job, if it has one."""
    notifier = _current.get()
    if notifier is not None:
        notifier.notify(queues)
