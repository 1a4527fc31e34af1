"""The log of requests made with API keys: written in batches, kept for a week, without bodies."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, Protocol, TypedDict, Unpack
from uuid import UUID

import asyncpg
import structlog
from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.context import Context, Services
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.scope import scoped
from msvs.database import copy_rows, fetch
from msvs.logs import mask
from msvs.models import ApiRequest
from msvs.replica_reads import from_replica

log = structlog.get_logger(__name__)

API_REQUEST = "arq"
WRITE_SECONDS = 1.0
# What a process keeps while the database is away; the oldest give way.
MAX_WAITING = 20_000
BATCH = 2000
MAX_PATH = 200
# What a path that may have a key, a secret or a phone in it has in any case; most have none of these.
MASKED_SIGNS = ("msvs_", "whsec_", "+")
# How long after its request's id an entry may have been noted.
LONGEST_REQUEST = timedelta(hours=1)


class Entry(NamedTuple):
    """One request: the columns of its row."""

    id: UUID
    workspace_id: UUID
    livemode: bool
    api_key_id: UUID
    request_id: str
    method: str
    path: str
    status: int
    error_code: str | None
    elapsed_ms: int
    created_at: datetime


KNOWN = "SELECT id FROM api_requests WHERE id = ANY ($1)"


class _Known(Protocol):
    id: UUID


class RequestLog:
    """The requests that a process has yet to record."""

    def __init__(self) -> None:
        self._waiting: deque[Entry] = deque(maxlen=MAX_WAITING)

    def note(
        self, ctx: Context, *, method: str, path: str, status: int, error_code: str | None, seconds: float
    ) -> None:
        """Note one answered request of an API key; a person's or the service's own is not noted."""
        api_key_id = _key_of(ctx.actor)
        if api_key_id is None or ctx.request_id is None:
            return
        self._waiting.append(
            Entry(
                ids.new_id(),
                ctx.workspace_id,
                ctx.livemode,
                api_key_id,
                ctx.request_id,
                method,
                _stored(path),
                status,
                error_code,
                round(seconds * 1000),
                ctx.services.real_clock(),
            )
        )

    async def write(self) -> int:
        """Record what waits, batch by batch. Return how many; what cannot be written now waits on."""
        written = 0
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await _record(batch)
            except BaseException:
                room = MAX_WAITING - len(self._waiting)
                self._waiting.extendleft(reversed(batch[-room:] if room else []))
                raise
            written += len(batch)
        return written


async def _record(batch: Sequence[Entry]) -> None:
    """Write entries down; those that are there already, as the answer to their COMMIT was lost, are passed over."""
    try:
        await copy_rows("api_requests", Entry._fields, batch)
    except asyncpg.UniqueViolationError:
        known = {row.id for row in await fetch(_Known, KNOWN, [entry.id for entry in batch])}
        await copy_rows("api_requests", Entry._fields, [entry for entry in batch if entry.id not in known])


@lru_cache(maxsize=4096)
def _key_of(actor: str) -> UUID | None:
    return ids.decode_id(ids.API_KEY, actor)


@asynccontextmanager
async def writing(services: Services) -> AsyncIterator[None]:
    """Record every second what is noted meanwhile, and the rest at the end."""
    kept = services.keep(RequestLog)
    task = asyncio.create_task(_write_on(kept))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await _write(kept)


async def _write_on(kept: RequestLog) -> None:
    failed = False
    while True:
        await asyncio.sleep(WRITE_SECONDS)
        failed = not await _write(kept, is_news=not failed)


async def _write(kept: RequestLog, *, is_news: bool = True) -> bool:
    """Write what waits. Return whether that went well: nothing that befalls the log ends a process."""
    try:
        await kept.write()
    except Exception as error:
        if is_news:
            log.warning("the request log waits to be written", error=type(error).__name__)
        return False
    return True


class Conditions(TypedDict, total=False):
    """Which requests; what is None or left out is any.

    `failed` tells answers of 400 and above from others; `path` is how the path begins.
    """

    api_key_id: UUID | None
    method: str | None
    status: int | None
    failed: bool | None
    path: str | None
    request_id: str | None


@from_replica
async def list_requests(ctx: Context, page: PageRequest, **conditions: Unpack[Conditions]) -> Page[ApiRequest]:
    """List what API keys of the mode asked in the last seven days, newest first.

    Raises PermissionDenied, InvalidRequest.
    """
    allow(ctx, Permission.EVENTS_READ)
    return await fetch_page(_requests(ctx, **conditions), page)


@from_replica
async def count_requests(ctx: Context, **conditions: Unpack[Conditions]) -> int:
    """Count what `list_requests` lists. Raises PermissionDenied, InvalidRequest."""
    allow(ctx, Permission.EVENTS_READ)
    return await _requests(ctx, **conditions).count()


def _requests(ctx: Context, **conditions: Unpack[Conditions]) -> QuerySet[ApiRequest]:
    query = scoped(ctx, ApiRequest)
    given = {name: value for name, value in conditions.items() if value is not None}
    plain = {name: given[name] for name in ("api_key_id", "status") if name in given}
    query = query.filter(**plain)
    if "method" in given:
        query = query.filter(method=str(given["method"]).upper())
    if "failed" in given:
        query = query.filter(status__gte=400) if given["failed"] else query.filter(status__lt=400)
    if "path" in given:
        query = query.filter(path__startswith=_stored(str(given["path"])))
    if "request_id" in given:
        made = ids.read_id(ids.REQUEST, str(given["request_id"]), "request_id")
        # An entry is noted when its request ends: its id is a little younger.
        latest = UUID(int=made.int + (int(LONGEST_REQUEST.total_seconds() * 1000) << 80))
        query = query.filter(id__gte=made, id__lte=latest, request_id=given["request_id"])
    return query


def _stored(path: str) -> str:
    """Return a path as it is kept: cut, and without keys, secrets, phones and what no text column takes."""
    if any(sign in path for sign in MASKED_SIGNS):
        path = mask(path)
    return path[:MAX_PATH].encode(errors="replace").decode().replace("\0", "\ufffd")
