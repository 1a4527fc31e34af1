"""Authenticate API keys; every process refuses a revoked key within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from time import monotonic
from uuid import UUID

import structlog
from structlog.contextvars import bind_contextvars

from msvs.api import ids
from msvs.api.accounts import strangers
from msvs.api.accounts.clocks import enter_time
from msvs.api.accounts.keys import digest_key, parse_key
from msvs.api.accounts.networks import Network, is_within, network_of, parse_networks
from msvs.api.context import Context, Services
from msvs.api.errors import AuthenticationFailed, ErrorCode, PermissionDenied, RateLimited
from msvs.api.limits import LocalBuckets
from msvs.database import execute, fetch_row

log = structlog.get_logger(__name__)

# How long a process trusts what it read; with the time a query takes, under the second we promise.
TRUST_SECONDS = 0.75
LAST_USED_EVERY = timedelta(minutes=1)
MAX_REMEMBERED = 20_000

FIND_SUSPENSION = "SELECT suspended_at FROM workspaces WHERE id = $1"
FIND_API_KEY = """
SELECT api_keys.id, api_keys.workspace_id, api_keys.livemode, api_keys.prefix, api_keys.last4, api_keys.expires_at,
    api_keys.revoked_at, api_keys.last_used_at, api_keys.scopes, api_keys.allowed_ips, workspaces.suspended_at,
    workspaces.has_test_clock AND NOT api_keys.livemode AS has_clock
FROM api_keys JOIN workspaces ON workspaces.id = api_keys.workspace_id WHERE api_keys.digest = $1
"""
TOUCH = """
UPDATE api_keys SET last_used_at = $2
WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $3)
"""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key as it was read, trusted until `until` on the monotonic clock."""

    id: UUID
    workspace_id: UUID
    livemode: bool
    actor: str
    shown: str
    scopes: frozenset[str] | None
    networks: tuple[Network, ...] | None
    expires_at: datetime | None
    revoked_at: datetime | None
    is_suspended: bool
    has_clock: bool
    until: float


class KnownKeys:
    """The API keys that a process knows: those that it read, reads in progress, and when the use of each was noted."""

    def __init__(self) -> None:
        self._known: dict[str, KnownKey] = {}
        self._reading: dict[str, asyncio.Task[KnownKey | None]] = {}
        self._touched: dict[UUID, float] = {}
        self._touching: set[asyncio.Task[None]] = set()
        # Networks that tried keys which do not exist.
        self.strangers = LocalBuckets(monotonic)

    def trusted(self, digest: str) -> KnownKey | None:
        """Return the key with a digest if it was read a moment ago."""
        key = self._known.get(digest)
        return key if key is not None and key.until > monotonic() else None

    async def find(self, digest: str, network: str) -> KnownKey | None:
        """Find a key by its digest, or None; what was read a moment ago is trusted.

        A network that tried too many keys that do not exist is refused one that this process has not seen, before the
        database is asked. Raises RateLimited.
        """
        key = self.trusted(digest)
        if key is not None:
            return key
        if digest in self._known or digest in self._reading:
            return await self._read_once(digest)
        allowance = self.strangers.take(network, strangers.RATE, 1)
        if allowance.retry_after is not None:
            raise RateLimited(
                "Too many unknown API keys came from your network; wait before the next.",
                retry_after=allowance.retry_after,
            )
        key = await self._read_once(digest)
        if key is not None:
            self.strangers.take(network, strangers.RATE, -1)
        return key

    def note_use(self, id: UUID, clock: Callable[[], datetime]) -> None:
        """Record that a key is used, once a minute."""
        now = monotonic()
        if now < self._touched.get(id, 0.0):
            return
        if len(self._touched) >= MAX_REMEMBERED:
            self._touched.clear()
        self._touched[id] = now + LAST_USED_EVERY.total_seconds()
        task = asyncio.get_running_loop().create_task(_write_use(id, clock()))
        self._touching.add(task)
        task.add_done_callback(self._touching.discard)

    def forget(self) -> None:
        """Forget the keys that were read: each is read again when it comes next."""
        self._known.clear()

    async def settle(self) -> None:
        """Wait for the notes of use that are still being written."""
        while self._touching:
            await asyncio.gather(*self._touching, return_exceptions=True)

    async def _read_once(self, digest: str) -> KnownKey | None:
        """Read a key, once for all requests that wait for it at this moment."""
        task = self._reading.get(digest)
        if task is None:
            task = self._reading[digest] = asyncio.get_running_loop().create_task(self._read(digest))
            task.add_done_callback(lambda _: self._reading.pop(digest, None))
        # A caller that hangs up must not take the answer from the others.
        return await asyncio.shield(task)

    async def _read(self, digest: str) -> KnownKey | None:
        until = monotonic() + TRUST_SECONDS
        row = await fetch_row(FIND_API_KEY, digest)
        if row is None:
            self._known.pop(digest, None)
            return None
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        key = self._known[digest] = KnownKey(
            id=row.id,
            workspace_id=row.workspace_id,
            livemode=row.livemode,
            actor=ids.encode_id(ids.API_KEY, row.id),
            shown=f"{row.prefix}…{row.last4}",
            scopes=None if row.scopes is None else frozenset(row.scopes),
            networks=None if row.allowed_ips is None else parse_networks(row.allowed_ips),
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            is_suspended=row.suspended_at is not None,
            has_clock=row.has_clock,
            until=until,
        )
        return key


async def authenticate(
    services: Services, authorization: str | None, request_id: str | None = None, *, ip: str | None = None
) -> Context:
    """Return the caller behind an Authorization header; `ip` is where the request came from.

    Raises AuthenticationFailed, PermissionDenied and RateLimited, as authenticate_key.
    """
    return await authenticate_key(services, _bearer(authorization), request_id, ip=ip)


async def authenticate_key(
    services: Services, text: str, request_id: str | None = None, *, ip: str | None = None
) -> Context:
    """Return the caller behind a key.

    Raises AuthenticationFailed, PermissionDenied where its workspace is suspended or the key does not work from that
    address, and RateLimited where too many unknown keys came from its network.
    """
    known = services.keep(KnownKeys)
    digest = digest_key(text)
    # What has the digest of a key is that key: its form and checksum need no look.
    key = known.trusted(digest)
    if key is None:
        if parse_key(text) is None:
            raise AuthenticationFailed(
                "This is not an API key: check that it was copied whole.", code=ErrorCode.API_KEY_MALFORMED
            )
        key = await known.find(digest, network_of(ip or ""))
    if key is None:
        raise AuthenticationFailed(f"No such API key: {text[:14]}…{text[-4:]}.", code=ErrorCode.API_KEY_INVALID)
    if key.revoked_at is not None:
        raise AuthenticationFailed(f"The API key {key.shown} is revoked.", code=ErrorCode.API_KEY_REVOKED)
    if key.has_clock:
        await enter_time(key.workspace_id)
    if key.expires_at is not None and key.expires_at <= services.clock():
        raise AuthenticationFailed(f"The API key {key.shown} has expired.", code=ErrorCode.API_KEY_EXPIRED)
    if key.networks is not None and not is_within(ip, key.networks):
        raise PermissionDenied(
            f"The API key {key.shown} may not be used from this address.", code=ErrorCode.ADDRESS_NOT_ALLOWED
        )
    if key.is_suspended:
        raise suspended()
    known.note_use(key.id, services.real_clock)
    name_workspace(key.workspace_id)
    return Context(key.workspace_id, key.livemode, key.actor, request_id, ip=ip, scopes=key.scopes, services=services)


def suspended() -> PermissionDenied:
    """Return what every caller of a suspended workspace is told."""
    return PermissionDenied(
        "The workspace is suspended. Ask who runs this service.", code=ErrorCode.WORKSPACE_SUSPENDED
    )


async def require_open(ctx: Context) -> None:
    """Refuse a caller without an API key if the workspace is suspended, scheduled for deletion, or gone.

    Raises PermissionDenied.
    """
    row = await fetch_row(FIND_SUSPENSION, ctx.workspace_id)
    if row is None or row.suspended_at is not None:
        raise suspended()


def name_workspace(workspace_id: UUID) -> None:
    """Have every further log line of this request name the workspace."""
    bind_contextvars(workspace=_label(workspace_id))


@lru_cache(maxsize=4096)
def _label(workspace_id: UUID) -> str:
    return ids.encode_id(ids.WORKSPACE, workspace_id)


async def settle(services: Services) -> None:
    """Wait for the notes of use that are still being written, before the database goes away."""
    await services.keep(KnownKeys).settle()


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


async def _write_use(id: UUID, now: datetime) -> None:
    try:
        await execute(TOUCH, id, now, now - LAST_USED_EVERY)
    except Exception as error:
        # Nobody waits for this note, and the next minute brings another.
        log.warning("use of an API key not recorded", error=type(error).__name__)
