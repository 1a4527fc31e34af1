"""Operator sessions: access to /ops by a cookie that expires or is signed out.

That of an operator by name is kept in the database; that of the shared password is signed by it.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, ip_address

import asyncpg
from itsdangerous import BadSignature, TimestampSigner
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import HTTPConnection
from starlette.responses import Response

from msvs import redis_connections
from msvs.api.accounts import operators
from msvs.api.context import Services, Visitor
from msvs.api.errors import ApiError
from msvs.http.cookies import find_cookie
from msvs.http.heads import values_of
from msvs.settings import Settings

SESSION_SECONDS = 12 * 60 * 60
ANSWER_SECONDS = 2.0
COOKIE_PATH = "/ops"
# How long a browser is known in which somebody signed in: tries from elsewhere are not counted as its own.
DEVICE_SECONDS = 365 * 24 * 60 * 60
SESSION_SALT = b"msvs operator session v2"
DEVICE_SALT = b"msvs operator device v1"
FAILED_TRIES = 10
FAILED_TRIES_SECONDS = 60.0
REMEMBERED_ADDRESSES = 10_000
# How the token of an operator by name begins: a signed one has a dot before its time and signature alone.
NAMED = "named."
DATABASE_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ApiError, TimeoutError)

log = logging.getLogger(__name__)


class Sessions:
    """Issues and checks the operators' sessions; a new shared password ends all that it opened.

    `now` gives the Unix time in seconds. Without `services` there is the shared password alone.
    """

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], float] = time.time,
        redis: Redis | None = None,
        services: Services | None = None,
    ) -> None:
        self._settings = settings
        self._now = now
        self._services = services
        # A connection that the process keeps; without it each look opens one.
        self._kept = redis
        # What the database said last; None before it was asked.
        self._has_named: bool | None = None
        # `__Host-` would demand Path=/, and this cookie has no business outside /ops.
        self.cookie = "__Secure-msvs_ops" if settings.is_production else "msvs_ops"
        self.device_cookie = f"{self.cookie}_device"

    def password_matches(self, password: str) -> bool:
        """Return whether this is the operator's password, compared in constant time."""
        return is_secret(password, self._settings.operator_secret())

    def issue(self) -> str:
        """Make a new session's token."""
        return self._signer().sign(secrets.token_urlsafe(16)).decode()

    def is_valid(self, token: str) -> bool:
        """Return whether the token was issued under the present password and has not expired."""
        if not self._settings.operator_secret():
            return False
        try:
            self._signer().unsign(token, max_age=SESSION_SECONDS - 1)
        except BadSignature:
            return False
        return True

    def _signer(self, salt: bytes = SESSION_SALT) -> _Signer:
        return _Signer(self._settings.operator_secret(), self._now, salt)

    async def sign_in(
        self, connection: HTTPConnection, name: str, password: str, code: str, *, is_held_back: bool
    ) -> str | None:
        """Return the token of a new session for what was typed in, or None; without a name the password is the shared.

        The shared password of a network that tried too many is not looked at.
        """
        if name and self._services is not None:
            visitor = self.visitor(connection)
            token = await operators.sign_in(visitor, name, password, code, is_held_back=is_held_back)
            return None if token is None else NAMED + token
        if name or code or is_held_back or not self.password_matches(password) or not await self.takes_shared():
            return None
        await self.note(connection, operators.SHARED, operators.OperatorAction.SIGNED_IN)
        return self.issue()

    async def takes_shared(self) -> bool:
        """Return whether one password opens /ops to all: where it is set, or while no operator has a name.

        While the database is away, what it said last counts: to this process, or to any other of DATA_DIR.
        """
        if self._services is None or self._settings.operator_password is not None:
            return True
        try:
            has_named = await operators.has_operators()
        except DATABASE_AWAY:
            return not (self._has_named or self._settings.had_named())
        self._keep_named(has_named)
        return not has_named

    def _keep_named(self, has_named: bool) -> None:
        if has_named is self._has_named:
            return
        self._has_named = has_named
        try:
            self._settings.keep_named(has_named)
        except OSError as error:
            log.warning("DATA_DIR does not keep whether operators have names: %s", error.strerror)

    async def find_operator(self, connection: HTTPConnection) -> str | None:
        """Return the name of the operator who makes a request; None of who is not signed in.

        Where the database is away nobody is, by name.
        """
        try:
            return await self.look_up_operator(connection)
        except DATABASE_AWAY:
            return None

    async def look_up_operator(self, connection: HTTPConnection) -> str | None:
        """Return the same, but raise what is wrong with the database where it cannot be asked."""
        token = self._token(connection)
        if token is None or not token.startswith(NAMED):
            is_signed_in = await self._is_shared(token) and await self.takes_shared()
            return operators.SHARED if is_signed_in else None
        if self._services is None:
            return None
        # A browser in which somebody signed in is not held back for what others in its network try.
        ip = connection.client.host if connection.client and self.device(connection) is None else None
        return await operators.find_signed_in(self._services, token.removeprefix(NAMED), ip=ip)

    async def is_signed_in(self, connection: HTTPConnection) -> bool:
        """Return whether the request carries a valid session that nobody has signed out of."""
        return await self.find_operator(connection) is not None

    async def note(
        self, connection: HTTPConnection, name: str, action: operators.OperatorAction, detail: str | None = None
    ) -> None:
        """Log what an operator does; where the database is away, by a line alone."""
        if self._services is None:
            return
        try:
            await operators.record(self.visitor(connection), name, action, detail)
        except DATABASE_AWAY as error:
            log.warning("not in the log of operators: %s", type(error).__name__)

    def visitor(self, connection: HTTPConnection) -> Visitor:
        """Return from where a request comes, for the log."""
        assert self._services is not None, "the caller looked"
        ip = connection.client.host if connection.client else None
        return Visitor(ip, user_agent=connection.headers.get("user-agent"), services=self._services)

    async def _is_shared(self, token: str | None) -> bool:
        if token is None or not self.is_valid(token):
            return False
        try:
            async with self._redis() as redis:
                return redis is None or not await redis.exists(_ended_key(token))
        except (RedisError, OSError):
            # All that there is behind the session are the queues, and these are away too.
            return True

    async def end(self, connection: HTTPConnection) -> None:
        """End the session that the request carries, on every process and for anyone else who may have its token."""
        token = self._token(connection)
        if token is not None and token.startswith(NAMED) and self._services is not None:
            await operators.sign_out(self.visitor(connection), token.removeprefix(NAMED))
            return
        if token is None or not self.is_valid(token):
            return
        await self.note(connection, operators.SHARED, operators.OperatorAction.SIGNED_OUT)
        try:
            async with self._redis() as redis:
                if redis is not None:
                    await redis.set(_ended_key(token), "1", ex=SESSION_SECONDS)
        except (RedisError, OSError) as error:
            log.warning("operator session taken from its browser alone: %s", type(error).__name__)

    def _token(self, connection: HTTPConnection) -> str | None:
        headers: list[tuple[bytes, bytes]] = connection.scope["headers"]
        return find_cookie(values_of(headers, b"cookie"), self.cookie)

    def open(self, response: Response, token: str) -> None:
        """Give the browser that receives the response a new session."""
        response.set_cookie(
            self.cookie,
            token,
            max_age=SESSION_SECONDS,
            path=COOKIE_PATH,
            secure=self._settings.is_production,
            httponly=True,
            samesite="strict",
        )

    def device(self, connection: HTTPConnection) -> str | None:
        """Return what stands for a browser in which somebody signed in before, under the present password."""
        headers: list[tuple[bytes, bytes]] = connection.scope["headers"]
        token = find_cookie(values_of(headers, b"cookie"), self.device_cookie)
        try:
            if token is None or not self._settings.operator_secret():
                return None
            known = self._signer(DEVICE_SALT).unsign(token, max_age=DEVICE_SECONDS)
        except BadSignature:
            return None
        return f"device {known.decode()}"

    def remembering(self) -> bytes:
        """Return the cookie by which a signed-in browser's tries count apart from its network's from now on."""
        response = Response()
        response.set_cookie(
            self.device_cookie,
            self._signer(DEVICE_SALT).sign(secrets.token_urlsafe(16)).decode(),
            max_age=DEVICE_SECONDS,
            path=COOKIE_PATH,
            secure=self._settings.is_production,
            httponly=True,
            samesite="strict",
        )
        return response.headers["set-cookie"].encode("latin-1")

    def close(self, response: Response) -> None:
        """Take the session from the browser that receives the response."""
        response.delete_cookie(
            self.cookie,
            path=COOKIE_PATH,
            secure=self._settings.is_production,
            httponly=True,
            samesite="strict",
        )

    @asynccontextmanager
    async def _redis(self) -> AsyncIterator[Redis | None]:
        if self._kept is not None or self._settings.redis_url is None:
            yield self._kept
            return
        async with redis_connections.connect_async(
            self._settings.redis_url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS, retry=None
        ) as redis:
            yield redis


async def tell_shared_password(settings: Settings, services: Services) -> None:
    """Warn, as the service starts, where one password that several people know opens /ops."""
    takes_shared = await Sessions(settings, services=services).takes_shared()
    if takes_shared and (settings.operator_password is not None or settings.is_production):
        log.warning("one shared password opens /ops: add operators by name with `msvs operators add`, then unset it")


class _Signer(TimestampSigner):
    """Signs a token with the time of its making, by a key of its own derived from the operator password."""

    def __init__(self, password: str, now: Callable[[], float], salt: bytes) -> None:
        super().__init__(password, salt=salt, digest_method=hashlib.sha256)
        self._now = now

    def get_timestamp(self) -> int:
        """Return the Unix time in seconds."""
        return int(self._now())

    def verify_signature(self, value: str | bytes, sig: str | bytes) -> bool:
        """Return whether this is the value's signature, in the one spelling that `sign` gives it.

        Base64 has four spellings of a signature's last bits; a second one would outlive the sign-out of the first.
        """
        expected = self.get_signature(value)
        return hmac.compare_digest(expected, sig.encode() if isinstance(sig, str) else sig)


class FailedTries:
    """Counts wrong passwords per address, so that none can guess faster than FAILED_TRIES a minute.

    `now` gives a time in seconds that never goes back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: dict[str, deque[float]] = {}

    def seconds_to_wait(self, address: str) -> float:
        """Seconds until this address may try again; 0 when it may now."""
        failures = self._recent(_network(address))
        if len(failures) < FAILED_TRIES:
            return 0.0
        return failures[0] + FAILED_TRIES_SECONDS - self._now()

    def add(self, address: str) -> None:
        """Note a wrong password from this address."""
        network = _network(address)
        failures = self._recent(network)
        failures.append(self._now())
        self._failures.pop(network, None)
        self._failures[network] = failures
        while len(self._failures) > REMEMBERED_ADDRESSES:
            del self._failures[next(iter(self._failures))]

    def _recent(self, network: str) -> deque[float]:
        failures = self._failures.get(network, deque())
        while failures and failures[0] <= self._now() - FAILED_TRIES_SECONDS:
            failures.popleft()
        return failures


def _network(address: str) -> str:
    """Return the address itself or, for IPv6, its /64, which one caller holds whole."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return parsed.packed[:8].hex()


def _ended_key(token: str) -> str:
    return f"msvs:ops:ended:{_sha256(token).hex()}"


def is_secret(given: str, secret: str) -> bool:
    """Return whether `given` is the secret, compared in constant time; nothing is where the secret is empty."""
    same = hmac.compare_digest(_sha256(given), _sha256(secret))
    return same and bool(secret)


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
