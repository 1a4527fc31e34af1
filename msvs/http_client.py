"""The HTTP client for outgoing requests: checks the address that it connects to, and limits time and size."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from types import TracebackType
from typing import BinaryIO

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection

from msvs.address_policy import AddressPolicy, AddressRefused

MAX_ANSWER_BYTES = 64 * 1024
HEAD_BYTES = 1024
CHUNK_BYTES = 64 * 1024
TOTAL_SECONDS = 10.0
DNS_CACHE_SECONDS = 10
KEEPALIVE_SECONDS = 15
DNS_THREADS = 32
# The only limit of an attempt is that of `request`.
_UNLIMITED = aiohttp.ClientTimeout()

_digits = re.compile(r"[0-9]{1,15}", re.ASCII).fullmatch


class FailureKind(StrEnum):
    """Why there was no answer."""

    ADDRESS_REFUSED = "address_refused"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"


_NEVER_SENT = frozenset((FailureKind.ADDRESS_REFUSED, FailureKind.DNS, FailureKind.CONNECT, FailureKind.TLS))


class HttpError(Exception):
    """No answer came; the message is fit for a customer and holds nothing of the URL but its host."""

    def __init__(self, kind: FailureKind, message: str, elapsed_ms: int, *, maybe_sent: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.elapsed_ms = elapsed_ms
        self._maybe_sent = maybe_sent

    @property
    def never_sent(self) -> bool:
        """Whether it is certain that no byte of the request left, so that sending it again cannot double it."""
        return self.kind in _NEVER_SENT and not self._maybe_sent


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """A response. `body` is cut at the request's `max_bytes`, and empty if the body went into a file.

    `head` is the first 1 KB of the body, for logs; it is empty if the address policy hides it. `truncated` means that
    the body was longer than the limit.
    """

    status: int
    headers: Mapping[str, str]
    head: bytes
    elapsed_ms: int
    body: bytes = field(default=b"", repr=False)
    truncated: bool = False


@dataclass(slots=True)
class _Sockets:
    """The addresses of one attempt: none opened means that a kept connection was used."""

    opened: int = 0
    repeated: bool = False
    refused: AddressRefused | None = None


_sockets: ContextVar[_Sockets] = ContextVar("sockets")


class _Resolver(AbstractResolver):
    """The system's resolver on threads of its own, so that slow names hold up nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(DNS_THREADS, thread_name_prefix="dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, _look_up, host, port, family)
        except UnicodeError as error:
            raise OSError(None, "not a valid name") from error

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host,
            # The scope of a link-local address stays visible to the policy.
            host=f"{address[0]}%{address[3]}" if len(address) == 4 and address[3] else str(address[0]),
            port=port,
            family=kind,
            proto=proto,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, proto, _, address in found
    ]


class _Response(aiohttp.ClientResponse):
    """An answer that knows which address it came from, on a connection that was kept too."""

    peer: str | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Begin to read; the connection is given back as soon as all has been read."""
        transport = connection.transport
        name = None if transport is None else transport.get_extra_info("peername")
        self.peer = name[0] if isinstance(name, tuple) else None
        return await super().start(connection)


class HttpClient:
    """HTTP requests to addresses that `policy` admits, judged at the socket, for names and literals alike.

    No redirects, cookies, decompression or proxy from the environment. At most `limit` attempts run at once; those
    beyond wait, and the wait counts as theirs, so callers bound their own concurrency below it.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        limit: int = 256,
        resolver: AbstractResolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._limit = limit
        self._resolver = resolver
        self._ssl_context = ssl_context
        self._threads: _Resolver | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> HttpClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; a later request opens again."""
        session, self._session = self._session, None
        threads, self._threads = self._threads, None
        if session is not None:
            await session.close()
        if threads is not None:
            await threads.close()

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, total_seconds: float = TOTAL_SECONDS
    ) -> HttpAnswer:
        """POST at least once: sent again at once where a kept connection proves dead. Raises HttpError."""
        return await self.request("POST", url, body=body, headers=headers, total_seconds=total_seconds, repeatable=True)

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        total_seconds: float = TOTAL_SECONDS,
        connect_seconds: float | None = None,
        repeatable: bool = False,
        max_bytes: int = MAX_ANSWER_BYTES,
        into: BinaryIO | None = None,
    ) -> HttpAnswer:
        """Return one attempt, ended after `total_seconds` no matter what the other side does. Raises HttpError.

        A connection that does not stand after `connect_seconds` was never sent on. Unless `repeatable`, a POST that may
        have arrived is never sent again. At most `max_bytes` of the body are read. If `into` is given, the body of a
        2xx response is written to that file.
        """
        started = time.perf_counter()
        sockets = _Sockets()
        token = _sockets.set(sockets)
        try:
            async with asyncio.timeout(total_seconds):
                response = await self._send(
                    method, url, body, headers, sockets, connect_seconds=connect_seconds, repeatable=repeatable
                )
                try:
                    content = await _read(response, max_bytes, into if 200 <= response.status < 300 else None)
                    truncated = not response.content.at_eof()
                finally:
                    response.close()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            elapsed_ms = _since(started)
            kind, message = _explain(error, sockets, total_seconds)
            # The cause may hold the URL, credentials included: it must not reach a log through a traceback.
            raise HttpError(kind, message, elapsed_ms, maybe_sent=sockets.repeated) from None
        finally:
            _sockets.reset(token)
        return HttpAnswer(
            status=response.status,
            headers=response.headers,
            head=b"" if self._policy.hides(getattr(response, "peer", None)) else content[:HEAD_BYTES],
            elapsed_ms=_since(started),
            body=content,
            truncated=truncated,
        )

    async def _send(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        sockets: _Sockets,
        *,
        connect_seconds: float | None,
        repeatable: bool,
    ) -> aiohttp.ClientResponse:
        session = self._open_session()
        timeout = _UNLIMITED if connect_seconds is None else aiohttp.ClientTimeout(connect=connect_seconds)
        while True:
            try:
                return await session.request(
                    method, url, data=body, headers=headers, allow_redirects=False, timeout=timeout
                )
            except aiohttp.ClientConnectorError:
                raise
            except (
                aiohttp.ServerDisconnectedError,
                aiohttp.ClientOSError,
                aiohttp.ClientConnectionResetError,
            ):
                # A connection kept alive may be closed by the other side just as it is used again. Each round
                # takes one such connection out of the pool, and a fresh one is not tried twice.
                if not repeatable or sockets.opened:
                    raise
                sockets.repeated = True

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            if self._resolver is None:
                self._threads = _Resolver()
            connector = aiohttp.TCPConnector(
                limit=self._limit,
                resolver=self._resolver or self._threads,
                ttl_dns_cache=DNS_CACHE_SECONDS,
                keepalive_timeout=KEEPALIVE_SECONDS,
                ssl=self._ssl_context or True,
                socket_factory=self._open_socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "MassiveSMS", "Accept-Encoding": "identity"},
                timeout=_UNLIMITED,
                auto_decompress=False,
                response_class=_Response,
                trust_env=False,
            )
        return self._session

    def _open_socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, proto, _, address = info
        sockets = _sockets.get()
        try:
            self._policy.check(address[0], address[1])
        except AddressRefused as error:
            sockets.refused = error
            raise
        sockets.opened += 1
        return socket.socket(family, kind, proto)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Parse a Retry-After header (RFC 9110, section 10.2.3) to seconds from now, or return None if it is invalid.

    A date in the past is 0.
    """
    if value is None:
        return None
    text = value.strip(" \t")
    if _digits(text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max((moment - now).total_seconds(), 0.0)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


async def _read(response: aiohttp.ClientResponse, max_bytes: int, into: BinaryIO | None) -> bytes:
    content = bytearray()
    size = 0
    while size < max_bytes:
        chunk = await response.content.read(min(max_bytes - size, CHUNK_BYTES))
        if not chunk:
            break
        size += len(chunk)
        if into is None:
            content += chunk
        else:
            into.write(chunk)
        if response.content.at_eof():
            break
    return bytes(content)


def _since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)


def _explain(error: Exception, sockets: _Sockets, total_seconds: float) -> tuple[FailureKind, str]:
    """Return the kind and a sentence: made of our own words, since aiohttp's messages may quote URLs and answers."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return FailureKind.DNS, f"The name {error.host} could not be resolved."
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        detail = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else "not valid"
        return FailureKind.TLS, f"The certificate of {error.host} was not accepted: {detail}."
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return FailureKind.TLS, f"No TLS connection to {error.host} could be made."
    if isinstance(error, aiohttp.ClientConnectorError):
        if sockets.refused is not None and not sockets.opened:
            return FailureKind.ADDRESS_REFUSED, f"{error.host} is {sockets.refused.reason}: refused."
        detail = os.strerror(error.errno) if error.errno else "no connection"
        return FailureKind.CONNECT, f"Could not connect to {error.host} port {error.port}: {detail}."
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return FailureKind.CONNECT, "No connection could be made in time."
    if isinstance(error, TimeoutError):
        return FailureKind.TIMEOUT, f"No complete answer came within {total_seconds:g} seconds."
    if isinstance(error, aiohttp.ClientPayloadError):
        return FailureKind.PROTOCOL, "The answer's body broke off or was malformed."
    if isinstance(error, aiohttp.ClientResponseError):
        return FailureKind.PROTOCOL, "The answer was not valid HTTP."
    if isinstance(error, aiohttp.ClientConnectionError):
        return FailureKind.PROTOCOL, "The connection was closed before an answer came."
    return FailureKind.PROTOCOL, "The URL or a header cannot be sent."
