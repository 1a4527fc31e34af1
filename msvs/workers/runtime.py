"""The objects of a worker process: one event loop, one pool, its carriers and its HTTP client."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from contextvars import ContextVar
from typing import TypeVar

import structlog
from redis import Redis
from redis.exceptions import RedisError
from structlog.contextvars import bound_contextvars

from msvs import database, redis_connections
from msvs.api import notifier
from msvs.api.accounts import secret_keys
from msvs.api.context import Services
from msvs.api.credits import gateway
from msvs.carriers.protocol import Carrier
from msvs.carriers.registry import make_carriers
from msvs.http_client import HttpClient
from msvs.loops import new_runner
from msvs.settings import Settings, SettingsError
from msvs.tracing import Tracing, using
from msvs.workers.partitions import Upkeep
from msvs.workers.stopping import StopFlag

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Runtime:
    """The open resources of a worker process. Jobs run their coroutines through `run`, one after the other."""

    carriers: Mapping[str, Carrier]
    services: Services
    http: HttpClient

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stop = StopFlag()
        self.upkeep = Upkeep()
        self._runner = new_runner()
        self._stack = AsyncExitStack()
        self._notifier: notifier.Notifier | None = None
        self._redis: Redis | None = None
        # The queues whose last job broke here.
        self._failing: set[notifier.WorkQueue] = set()
        self._recheck_at = 0.0
        # The job that runs, for its log lines.
        self.job: str | None = None
        self._tracing = Tracing.from_settings(settings, "worker")

    def open(self) -> None:
        """Open everything; raises SettingsError where the settings name what does not exist."""
        settings = self.settings
        if settings.database_url is None or settings.redis_url is None:
            raise SettingsError("DATABASE_URL and REDIS_URL must be set for a worker; `msvs run` sets them itself")
        self.carriers = make_carriers(settings, owns_binds=False)
        self._notifier = notifier.Notifier(settings.redis_url)
        self._redis = redis_connections.connect(settings.redis_url, socket_timeout=2)
        self.services = Services.from_settings(
            settings, {name: carrier.rate for name, carrier in self.carriers.items()}
        )
        self._runner.run(self._open())

    async def _open(self) -> None:
        settings = self.settings
        assert settings.database_url is not None
        await self._stack.enter_async_context(
            database.connected(
                settings.database_url,
                pool_size=settings.database_pool_size,
                check=secret_keys.connection_check(self.services.keyring),
                slow_ms=settings.slow_query_ms,
            )
        )
        await secret_keys.wait_unlocked(self.services.keyring, settings)
        self._recheck_at = time.monotonic() + secret_keys.WATCH_SECONDS
        self.http = HttpClient(self.services.address_policy)

    def recheck_key(self) -> None:
        """Raise SettingsError where the database turned out to be another's; asks at most every ten seconds."""
        if time.monotonic() < self._recheck_at:
            return
        self._recheck_at = time.monotonic() + secret_keys.WATCH_SECONDS
        try:
            self.run(secret_keys.recheck(self.services.keyring))
        except SettingsError:
            raise
        except Exception as error:
            # PostgreSQL may be away for a moment; the job will meet that too.
            log.warning("the database cannot be asked about the secret key", error=type(error).__name__)

    def answer(self, queue: notifier.WorkQueue) -> None:
        """Release a queue, so that everything committed from now on notifies it again."""
        assert self._redis is not None
        self._redis.delete(notifier.waiting_key(queue))

    def note(self, queue: notifier.WorkQueue, *, is_broken: bool) -> None:
        """Have cron notify less often for jobs that break, and as ever once one does not."""
        assert self._redis is not None
        try:
            if is_broken:
                self._failing.add(queue)
                notifier.note_failure(self._redis, queue)
            elif queue in self._failing:
                notifier.forget_failures(self._redis, queue)
                self._failing.discard(queue)
        except RedisError as error:
            log.warning("failure of a job not recorded", error=type(error).__name__)

    def run(self, job: Coroutine[object, object, T]) -> T:
        """Run one job to its end on the process's loop. The job looks at `stop` by itself, and ends soon after."""
        return self._runner.run(self._notifying(job))

    def run_bounded(self, job: Coroutine[object, object, T]) -> T:
        """Run a job that can be broken off anywhere: it is, soon after `stop` was set. Raises TimeoutError then."""
        return self._runner.run(self._notifying(self._bounded(job)))

    async def _notifying(self, job: Coroutine[object, object, T]) -> T:
        with notifier.notifying(self._notifier), bound_contextvars(job=self.job), using(self._tracing):
            return await job

    async def _bounded(self, job: Coroutine[object, object, T]) -> T:
        async with self.stop.limit():
            return await job

    def close(self) -> None:
        """Release everything."""
        self._runner.run(self._close())
        self._runner.close()
        if self._notifier is not None:
            self._notifier.close()
        if self._redis is not None:
            self._redis.close()
        if self._tracing is not None:
            self._tracing.close()

    async def _close(self) -> None:
        await self.http.close()
        await gateway.close(self.services)
        for carrier in self.carriers.values():
            await carrier.close()
        await self._stack.aclose()
        self.services.keyring.hold(None)


# RQ calls a job by its name, with nothing: what it runs on comes by the context of the worker's thread.
_running: ContextVar[Runtime | None] = ContextVar("runtime", default=None)


@contextmanager
def running(runtime: Runtime) -> Iterator[None]:
    """Have the jobs of the block run on `runtime`."""
    token = _running.set(runtime)
    try:
        yield
    finally:
        _running.reset(token)


def current_runtime() -> Runtime:
    """Return the runtime of the worker that runs this job. Raises RuntimeError outside a worker."""
    runtime = _running.get()
    if runtime is None:
        raise RuntimeError("this job runs in a worker process only")
    return runtime
