"""Who a bearer key belongs to; a revoked key is refused within a second on every process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

import structlog
from structlog.contextvars import bind_contextvars

from msvs.api import ids
from msvs.api.accounts.keys import digest_key, parse_key
from msvs.api.context import Context, Services
from msvs.api.errors import AuthenticationFailed, ErrorCode, PermissionDenied
from msvs.database import execute, fetch_row

log = structlog.get_logger(__name__)

# How long a process trusts what it read; with the time a query takes, under the second we promise.
TRUST_SECONDS = 0.75
LAST_USED_EVERY = timedelta(minutes=1)
MAX_REMEMBERED = 20_000

FIND_API_KEY = """
SELECT api_keys.id, api_keys.workspace_id, api_keys.livemode, api_keys.prefix, api_keys.last4, api_keys.expires_at,
    api_keys.revoked_at, api_keys.last_used_at, api_keys.scopes, workspaces.suspended_at
FROM api_keys JOIN workspaces ON workspaces.id = api_keys.workspace_id WHERE api_keys.digest = $1
"""
TOUCH = """
UPDATE api_keys SET last_used_at = $2
WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $3)
"""


@dataclass(frozen=True, slots=True)
class _Known:
    """A key as it was read, trusted until `until` on the monotonic clock."""

    id: UUID
    workspace_id: UUID
    livemode: bool
    actor: str
    shown: str
    scopes: frozenset[str] | None
    expires_at: datetime | None
    revoked_at: datetime | None
    is_suspended: bool
    until: float


_known: dict[str, _Known] = {}
_reading: dict[str, asyncio.Task[_Known | None]] = {}
_touched: dict[UUID, float] = {}
_touching: set[asyncio.Task[None]] = set()


async def authenticate(services: Services, authorization: str | None, request_id: str | None = None) -> Context:
    """Return the caller behind an Authorization header. Raises AuthenticationFailed."""
    return await authenticate_key(services, _bearer(authorization), request_id)


async def authenticate_key(services: Services, text: str, request_id: str | None = None) -> Context:
    """Return the caller behind a key.

    Raises AuthenticationFailed, and PermissionDenied where its workspace is suspended.
    """
    if parse_key(text) is None:
        raise AuthenticationFailed(
            "This is not an API key: check that it was copied whole.", code=ErrorCode.API_KEY_MALFORMED
        )
    digest = digest_key(text)
    key = _known.get(digest)
    if key is None or key.until <= monotonic():
        key = await _read_once(digest)
    if key is None:
        raise AuthenticationFailed(f"No such API key: {text[:14]}…{text[-4:]}.", code=ErrorCode.API_KEY_INVALID)
    if key.revoked_at is not None:
        raise AuthenticationFailed(f"The API key {key.shown} is revoked.", code=ErrorCode.API_KEY_REVOKED)
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        raise AuthenticationFailed(f"The API key {key.shown} has expired.", code=ErrorCode.API_KEY_EXPIRED)
    if key.is_suspended:
        raise suspended()
    _note_use(key.id)
    name_workspace(key.workspace_id)
    return Context(key.workspace_id, key.livemode, key.actor, request_id, scopes=key.scopes, services=services)


def suspended() -> PermissionDenied:
    """Return what every caller of a suspended workspace is told."""
    return PermissionDenied(
        "The workspace is suspended. Ask who runs this service.", code=ErrorCode.WORKSPACE_SUSPENDED
    )


def name_workspace(workspace_id: UUID) -> None:
    """Have every further log line of this request name the workspace."""
    bind_contextvars(workspace=ids.encode_id(ids.WORKSPACE, workspace_id))


async def settle() -> None:
    """Wait for the notes of use that are still being written, before the database goes away."""
    while _touching:
        await asyncio.gather(*_touching, return_exceptions=True)


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise AuthenticationFailed(
            "Give your API key in the header: Authorization: Bearer msvs_….", code=ErrorCode.API_KEY_MISSING
        )
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise AuthenticationFailed("The Authorization header must begin with Bearer.", code=ErrorCode.API_KEY_MALFORMED)
    text = text.strip(" ")
    if not text:
        raise AuthenticationFailed("The Authorization header holds no API key.", code=ErrorCode.API_KEY_MISSING)
    return text


async def _read_once(digest: str) -> _Known | None:
    """Read a key, once for all requests that wait for it at this moment."""
    task = _reading.get(digest)
    if task is None:
        task = _reading[digest] = asyncio.get_running_loop().create_task(_read(digest))
        task.add_done_callback(lambda _: _reading.pop(digest, None))
    # A caller that hangs up must not take the answer from the others.
    return await asyncio.shield(task)


async def _read(digest: str) -> _Known | None:
    until = monotonic() + TRUST_SECONDS
    row = await fetch_row(FIND_API_KEY, digest)
    if row is None:
        _known.pop(digest, None)
        return None
    if len(_known) >= MAX_REMEMBERED:
        _known.clear()
    key = _known[digest] = _Known(
        id=row.id,
        workspace_id=row.workspace_id,
        livemode=row.livemode,
        actor=ids.encode_id(ids.API_KEY, row.id),
        shown=f"{row.prefix}…{row.last4}",
        scopes=None if row.scopes is None else frozenset(row.scopes),
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        is_suspended=row.suspended_at is not None,
        until=until,
    )
    return key


def _note_use(id: UUID) -> None:
    now = monotonic()
    if now < _touched.get(id, 0.0):
        return
    if len(_touched) >= MAX_REMEMBERED:
        _touched.clear()
    _touched[id] = now + LAST_USED_EVERY.total_seconds()
    task = asyncio.get_running_loop().create_task(_write_use(id))
    _touching.add(task)
    task.add_done_callback(_touching.discard)


async def _write_use(id: UUID) -> None:
    now = datetime.now(UTC)
    try:
        await execute(TOUCH, id, now, now - LAST_USED_EVERY)
    except Exception as error:
        # Nobody waits for this note, and the next minute brings another.
        log.warning("use of an API key not noted", error=type(error).__name__)
