"""The worker: one queue, one process, one event loop, and only our own jobs."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable
from types import FrameType

import structlog
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty

from msvs import garbage, redis_connections
from msvs.api.accounts.secret_keys import WATCH_SECONDS
from msvs.api.notifier import JOBS, WorkQueue
from msvs.settings import Settings, SettingsError

# RQ imports a job by its name when the first one comes, which takes a second or more: that work would wait for it.
from msvs.workers import jobs as _jobs  # noqa: F401
from msvs.workers.runtime import Runtime, running
from msvs.workers.stopping import StopFlag

log = structlog.get_logger(__name__)

ALIVE_SECONDS = 10
HEARTBEAT_SECONDS = 3.0
ALLOWED_FUNCTIONS = frozenset(job.function for job in JOBS.values())


class JobNotAllowed(Exception):
    """A job names a function that is not one of the service's."""


class NotifierJob(Job):
    """An RQ job that runs the service's own functions only, so that writing to Redis runs no other code."""

    def perform(self) -> object:
        """Run the job. Raises JobNotAllowed."""
        if self.func_name not in ALLOWED_FUNCTIONS or self.args or self.kwargs:
            raise JobNotAllowed("this worker runs jobs of the notifier only")
        return super().perform()

    @property
    def success_callback(self) -> None:
        """None, no matter what the job names: RQ would import it and run it."""

    @property
    def failure_callback(self) -> None:
        """None."""

    @property
    def stopped_callback(self) -> None:
        """None."""

    def send_webhooks(self, status: str | JobStatus, *, exc_string: str | None = None) -> None:
        """Send none, no matter what the job names: RQ would ask any address, inside the network too."""


class NoDeathPenalty(BaseDeathPenalty):
    """Jobs end by their own deadlines: an alarm in the middle of a hand-over would leave its outcome unknown."""

    def setup_death_penalty(self) -> None:
        """Set no alarm."""

    def cancel_death_penalty(self) -> None:
        """There is none to cancel."""


class QueueWorker(SimpleWorker):
    """Runs jobs in its own process, one after the other."""

    death_penalty_class = NoDeathPenalty
    job_class = NotifierJob
    # Redis comes back within moments; waiting longer than this only delays messages.
    max_connection_wait_time = 1.0
    exponential_backoff_factor = 1.0
    log_result_lifespan = False
    # Raises SettingsError where this process must not go on; `refused` is why, once it must not.
    recheck_key: Callable[[], None] | None = None
    refused: SettingsError | None = None
    # Set at SIGTERM: jobs claim nothing more.
    stop_flag: StopFlag | None = None

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """End after the job that runs, which is told to claim nothing more."""
        if self.stop_flag is not None:
            self.stop_flag.set()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    @property
    def dequeue_timeout(self) -> int:
        """The seconds that an idle worker waits for a job before its next heartbeat."""
        return int(WATCH_SECONDS)

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Say that the worker lives; between jobs, end it where its secret key is not the database's by now.

        A job that it has taken then is not lost: another worker finds what is due.
        """
        if timeout is None and pipeline is None and self.recheck_key is not None:
            try:
                self.recheck_key()
            except SettingsError as error:
                self.refused = error
                raise StopRequested from None
        super().heartbeat(timeout, pipeline)


class Heartbeat:
    """Says every three seconds, from a thread, that this process is alive; the saying lapses after ten."""

    def __init__(self, redis_url: str, name: str) -> None:
        self._redis = redis_connections.connect(redis_url, socket_timeout=2)
        self._key = f"msvs:worker:{name}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Say no more, and take the last saying back."""
        self._stop.set()
        self._thread.join(timeout=5)
        try:
            self._redis.delete(self._key)
        except RedisError as error:
            log.warning("heartbeat not taken back", error=type(error).__name__)
        self._redis.close()

    def _beat(self) -> None:
        while True:
            try:
                self._redis.set(self._key, "1", ex=ALIVE_SECONDS)
            except RedisError as error:
                log.warning("heartbeat not heard", error=type(error).__name__)
            if self._stop.wait(HEARTBEAT_SECONDS):
                return


def require_safe_redis(redis: Redis) -> None:
    """Refuse a Redis that may drop jobs silently. Raises SettingsError."""
    try:
        policy = redis.config_get("maxmemory-policy").get("maxmemory-policy")
    except RedisError:
        return  # a managed Redis may hide its configuration
    if policy not in (None, "noeviction"):
        raise SettingsError(f"Redis must run with maxmemory-policy noeviction, not {policy}")


def work(settings: Settings, queue: str, *, burst: bool = False) -> int:
    """Answer the queues of one queue until told to stop, or with `burst` until none waits; 0 when it ended well.

    1 when Redis is not there at the start, or refuses what is asked of it.
    """
    if queue not in set(WorkQueue):
        raise SettingsError(f"no such queue: {queue!r}; there are {', '.join(WorkQueue)}")
    runtime = Runtime(settings)
    runtime.open()
    assert settings.redis_url is not None
    garbage.collect_less(garbage.WORKERS)
    redis = redis_connections.connect(settings.redis_url)
    # In a container every process has the same id, the one before and those beside it too: RQ would refuse the name.
    name = f"{queue}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    heartbeat = Heartbeat(settings.redis_url, name)
    try:
        require_safe_redis(redis)
        heartbeat.start()
        worker = QueueWorker([queue], name=name, connection=redis, serializer=JSONSerializer, worker_ttl=60)
        worker.stop_flag = runtime.stop
        worker.recheck_key = runtime.recheck_key
        with running(runtime):
            worker.work(burst=burst, logging_level="WARNING")
        if worker.refused is not None:
            raise worker.refused
    except RedisError as error:
        # Anyone who keeps this process alive starts it again; where it broke says nothing.
        log.error("Redis cannot be used", error=str(error))
        return 1
    finally:
        heartbeat.stop()
        runtime.close()
        redis.close()
    return 0
