"""Failed jobs, as RQ keeps them: list them, show where each one failed, and requeue one.

A job's arguments and an error's message may contain a phone, a text or a secret: neither is shown.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar, cast

import msgspec
import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq.exceptions import DeserializationError, InvalidJobOperation, NoSuchJobError
from rq.job import Job, requeue_job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from msvs import redis_connections
from msvs.api.errors import InvalidRequest, NotFound, Unavailable
from msvs.api.notifier import WorkQueue
from msvs.api.resources import optional_moment
from msvs.logs import mask

T = TypeVar("T")

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
TRACE_LENGTH = 20_000
# Errors whose messages may be shown: ours and RQ's, which contain only types and places.
PLAIN_ERRORS = ("msvs.workers.jobs.JobFailed", "rq.")
UNREADABLE = "The job cannot be read: another version put it there, or it is damaged."
_raised = re.compile(r"([A-Za-z_][\w.]*)(: .*)?$")


class FailedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that broke: its queue, what it was to do, since when, and what went wrong."""

    id: str
    queue: str
    function: str
    enqueued_at: str | None
    failed_at: str | None
    error: str
    is_readable: bool = True
    trace: str | None = None


class _Place(NamedTuple):
    """A job's position in the list: its expiry time in RQ, then its id."""

    score: float
    id: str
    queue: str


class FailedJobs:
    """Reads and requeues failed jobs; each look is a thread's, as RQ waits for Redis."""

    def __init__(self, redis_url: str | None) -> None:
        self._redis = (
            None
            if redis_url is None
            else redis_connections.connect(
                redis_url,
                socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=ANSWER_SECONDS,
                retry=Retry(NoBackoff(), 1),
            )
        )

    async def list(
        self, queue: WorkQueue | None = None, *, after: str | None = None, limit: int
    ) -> tuple[list[FailedJob], bool]:
        """List the failed jobs of a queue, or of all, newest first. Return a page and whether there are more.

        `after` is the last job of the page before. Raises InvalidRequest if RQ no longer keeps it, and Unavailable.
        """
        queues = list(WorkQueue) if queue is None else [queue]
        return await self._ask(lambda redis: _list(redis, queues, after, limit))

    async def find(self, id: str) -> FailedJob:
        """Return a failed job, with the trace of where it broke. Raises NotFound, Unavailable."""
        return await self._ask(lambda redis: _find(redis, id))

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


def _list(redis: Redis, queues: Iterable[WorkQueue], after: str | None, limit: int) -> tuple[list[FailedJob], bool]:
    last = None if after is None else _place_of(redis, after)
    if after is not None and last is None:
        raise InvalidRequest("That job is not kept any more: read the list from its beginning.", param="after")
    start = "+inf" if last is None else last.score
    # Several jobs may share a score, so the place also compares their ids.
    places = [place for queue in queues for place in _places(redis, queue, start) if last is None or place < last]
    places.sort(reverse=True)
    shown = (_shape(redis, place) for place in places[:limit])
    return [job for job in shown if job is not None], len(places) > limit


def _places(redis: Redis, queue: WorkQueue, start: str | float) -> Iterable[_Place]:
    key = FailedJobRegistry(queue.value, connection=redis, serializer=JSONSerializer).key
    # redis-py's types do not cover `withscores`.
    found = cast("list[tuple[bytes, float]]", redis.zrevrangebyscore(key, start, "-inf", withscores=True))
    for id, score in found:
        yield _Place(score, id.decode(), queue.value)


def _place_of(redis: Redis, id: str) -> _Place | None:
    for queue in WorkQueue:
        key = FailedJobRegistry(queue.value, connection=redis, serializer=JSONSerializer).key
        score = redis.zscore(key, id)
        if score is not None:
            return _Place(float(score), id, queue.value)
    return None


def _find(redis: Redis, id: str) -> FailedJob:
    place = _place_of(redis, id)
    job = None if place is None else _shape(redis, place, has_trace=True)
    if job is None:
        raise _gone(id)
    return job


def _requeue(redis: Redis, id: str) -> None:
    try:
        requeue_job(id, connection=redis, serializer=JSONSerializer)
    except (NoSuchJobError, InvalidJobOperation):
        raise _gone(id) from None
    except (DeserializationError, ValueError):
        raise InvalidRequest(UNREADABLE, param="id") from None


def _gone(id: str) -> NotFound:
    return NotFound(f"No such failed job: '{id[:80]}'. One is kept for an hour.", param="id")


def _shape(redis: Redis, place: _Place, *, has_trace: bool = False) -> FailedJob | None:
    """Return a job's shape, or None if it is gone; an unreadable job is marked as such."""
    try:
        job = Job.fetch(place.id, connection=redis, serializer=JSONSerializer)
        result = job.latest_result()
        trace = tell_trace((result.exc_string or "") if result is not None else "")
        return FailedJob(
            id=place.id,
            queue=place.queue,
            function=job.func_name or "",
            enqueued_at=optional_moment(job.enqueued_at),
            failed_at=optional_moment(job.ended_at),
            error=_last_line(trace),
            trace=trace[-TRACE_LENGTH:] if has_trace else None,
        )
    except RedisError:
        raise
    except Exception as error:
        # A record of another version, or a damaged one, must not break the list.
        if not redis.exists(Job.key_for(place.id)):
            return None
        log.warning("failed job not readable", job=place.id, error=type(error).__name__)
        return FailedJob(
            id=place.id,
            queue=place.queue,
            function="",
            enqueued_at=None,
            failed_at=None,
            error=UNREADABLE,
            is_readable=False,
            trace="" if has_trace else None,
        )


def tell_trace(text: str) -> str:
    """Return a traceback with its places and error types, without the errors' messages."""
    kept: list[str] = []
    is_in_stack = False
    for line in text.splitlines():
        if line.startswith("Traceback (most recent call last)"):
            is_in_stack = True
            kept.append(line)
        elif is_in_stack and line.startswith("  "):
            kept.append(line)
        elif (is_in_stack or not kept) and (raised := _raised.match(line)):
            is_in_stack = False
            is_plain = raised[1].startswith(PLAIN_ERRORS)
            kept.append(f"{raised[1]}{raised[2] or ''}" if is_plain else raised[1])
    return mask("\n".join(kept))


def _last_line(trace: str) -> str:
    return trace.rsplit("\n", 1)[-1][:500]
