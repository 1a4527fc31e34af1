"""The jobs that broke, as RQ keeps them: what each was, where it broke, and running one again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq.exceptions import DeserializationError, InvalidJobOperation, NoSuchJobError
from rq.job import Job, requeue_job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from msvs.api.errors import NotFound, Unavailable
from msvs.api.notifier import WorkQueue
from msvs.api.resources import optional_moment

T = TypeVar("T")

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
# Of each queue, the last so many; a job that broke is kept for an hour.
SHOWN = 100
TRACE_LENGTH = 20_000


class FailedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that broke: its queue, what it was to do, since when, and what went wrong."""

    id: str
    queue: str
    description: str
    function: str
    enqueued_at: str | None
    failed_at: str | None
    error: str
    trace: str | None = None


class FailedJobs:
    """Reads and requeues failed jobs; each look is a thread's, as RQ waits for Redis."""

    def __init__(self, redis_url: str | None) -> None:
        self._redis = (
            None
            if redis_url is None
            else Redis.from_url(
                redis_url,
                socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=ANSWER_SECONDS,
                retry=Retry(NoBackoff(), 1),
            )
        )

    async def list(self, queue: WorkQueue | None = None) -> list[FailedJob]:
        """List the last failed jobs of a queue, or of all, the newest first. Raises Unavailable."""
        queues = list(WorkQueue) if queue is None else [queue]
        return await self._ask(lambda redis: _list(redis, queues))

    async def find(self, id: str) -> FailedJob:
        """Return a failed job, with the trace of where it broke. Raises NotFound, Unavailable."""
        return await self._ask(lambda redis: _shape(_fetch(redis, id), has_trace=True))

    async def requeue(self, id: str) -> None:
        """Have a failed job run again. Raises NotFound, also where it is no longer failed, and Unavailable."""
        await self._ask(lambda redis: _requeue(redis, id))

    async def _ask(self, look: Callable[[Redis], T]) -> T:
        if self._redis is None:
            raise Unavailable("This process was started without a Redis.")
        redis = self._redis
        try:
            return await asyncio.to_thread(look, redis)
        except RedisError:
            raise Unavailable("Redis does not answer. Messages are safe; try again in a moment.") from None


def _list(redis: Redis, queues: Iterable[WorkQueue]) -> list[FailedJob]:
    found: list[FailedJob] = []
    for queue in queues:
        registry = FailedJobRegistry(queue.value, connection=redis, serializer=JSONSerializer)
        ids = registry.get_job_ids(-SHOWN, -1, cleanup=False)
        jobs = Job.fetch_many(ids, connection=redis, serializer=JSONSerializer)
        found += [_shape(job) for job in jobs if job is not None]
    return sorted(found, key=lambda job: job.failed_at or "", reverse=True)


def _fetch(redis: Redis, id: str) -> Job:
    try:
        job = Job.fetch(id, connection=redis, serializer=JSONSerializer)
    except (NoSuchJobError, DeserializationError, ValueError):
        raise _gone(id) from None
    registry = FailedJobRegistry(job.origin, connection=redis, serializer=JSONSerializer)
    if redis.zscore(registry.key, id) is None:
        raise _gone(id)
    return job


def _requeue(redis: Redis, id: str) -> None:
    try:
        requeue_job(id, connection=redis, serializer=JSONSerializer)
    except (NoSuchJobError, InvalidJobOperation):
        raise _gone(id) from None


def _gone(id: str) -> NotFound:
    return NotFound(f"No such failed job: '{id[:80]}'. One is kept for an hour.", param="id")


def _shape(job: Job, *, has_trace: bool = False) -> FailedJob:
    result = job.latest_result()
    trace = (result.exc_string or "") if result is not None else ""
    lines = trace.strip().splitlines()
    return FailedJob(
        id=job.id,
        queue=job.origin,
        description=job.description or "",
        function=job.func_name or "",
        enqueued_at=optional_moment(job.enqueued_at),
        failed_at=optional_moment(job.ended_at),
        error=lines[-1][:500] if lines else "",
        trace=trace[-TRACE_LENGTH:] if has_trace else None,
    )
