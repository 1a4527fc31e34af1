"""The one way out over HTTP: a client that decides on the address it connects to, and bounds time and size."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from types import TracebackType

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from msvs.settings import Settings, SettingsError

MAX_ANSWER_BYTES = 64 * 1024
HEAD_BYTES = 1024
MAX_URL_LENGTH = 2048
TOTAL_SECONDS = 10.0
DNS_CACHE_SECONDS = 10
KEEPALIVE_SECONDS = 15
DNS_THREADS = 32

# Sources: IANA special-purpose address registries, RFC 6890 and 9637, and the clouds' metadata addresses.
_REFUSED_NETWORKS = [
    (ip_network(network), reason)
    for network, reason in (
        ("169.254.169.254/32", "a cloud metadata address"),
        ("168.63.129.16/32", "a cloud metadata address"),
        ("100.100.100.200/32", "a cloud metadata address"),
        ("192.0.0.192/32", "a cloud metadata address"),
        ("0.0.0.0/32", "the unspecified address"),
        ("0.0.0.0/8", "a reserved address"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a shared carrier (CGNAT) address"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a documentation address"),
        ("192.88.99.0/24", "a 6to4 relay address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a benchmarking address"),
        ("198.51.100.0/24", "a documentation address"),
        ("203.0.113.0/24", "a documentation address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("fd00:ec2::254/128", "a cloud metadata address"),
        ("fd20:ce::254/128", "a cloud metadata address"),
        ("::/128", "the unspecified address"),
        ("::1/128", "a loopback address"),
        ("::ffff:0:0/96", "an IPv4 address inside IPv6"),
        ("::/96", "an IPv4 address inside IPv6"),
        ("64:ff9b::/96", "an IPv4 address inside IPv6 (NAT64)"),
        ("64:ff9b:1::/48", "an IPv4 address inside IPv6 (NAT64)"),
        ("2001::/32", "an IPv4 address inside IPv6 (Teredo)"),
        ("2002::/16", "an IPv4 address inside IPv6 (6to4)"),
        ("2001:2::/48", "a benchmarking address"),
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "a documentation address"),
        ("3fff::/20", "a documentation address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("ff00::/8", "a multicast address"),
    )
]
_GLOBAL_IPV6 = ip_network("2000::/3")
_LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
_MAPPED = ip_network("::ffff:0:0/96")
# Where an IPv6 address holds an IPv4 one: the bits to shift away to find it.
_EMBEDDING = [
    (_MAPPED, 0),
    (ip_network("::/96"), 0),
    (ip_network("64:ff9b::/96"), 0),
    (ip_network("2002::/16"), 80),
]

_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_NUMBER_LABEL = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+", re.ASCII)


class AddressRefused(OSError):
    """The policy forbids connecting to an address; an OSError, so that a host's next address is tried."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address} is {reason}")
        self.address = address
        self.reason = reason


class AddressPolicy:
    """Which addresses may be connected to: public ones, those an operator lists, and loopback if allowed."""

    def __init__(self, allow_cidrs: Sequence[str] = (), *, allow_loopback: bool = False) -> None:
        """Raises ValueError for a network that is not one, such as `10.0.0.1/8`."""
        self._listed = [ip_network(cidr) for cidr in allow_cidrs]
        self._admitted = self._listed + (_LOOPBACK if allow_loopback else [])
        self.allow_loopback = allow_loopback

    @classmethod
    def from_settings(cls, settings: Settings) -> AddressPolicy:
        """The policy for webhooks: MSVS_WEBHOOK_ALLOW_CIDRS, and loopback outside production."""
        try:
            return cls(settings.webhook_allow_cidrs, allow_loopback=not settings.is_production)
        except ValueError as error:
            raise SettingsError(f"MSVS_WEBHOOK_ALLOW_CIDRS: {error}") from None

    def check(self, address: str) -> None:
        """Raise AddressRefused unless `address`, in its canonical form, may be connected to.

        An IPv4 address inside an IPv6 one is refused, unless the operator lists the outer network and the inner
        address may be reached too, or it is IPv4-mapped and the operator lists the inner address.
        """
        try:
            parsed = ip_address(address)
        except ValueError:
            raise AddressRefused(address, "not an IP address in its usual form") from None
        if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
            raise AddressRefused(address, "an address with a scope")
        reason = self._reason(parsed)
        if reason is not None:
            raise AddressRefused(address, reason)

    def lists(self, address: str) -> bool:
        """Whether the operator's networks hold `address`."""
        parsed = ip_address(address)
        return any(parsed in network for network in self._listed)

    def _reason(self, address: IPv4Address | IPv6Address) -> str | None:
        admitted = any(address in network for network in self._admitted)
        inner = _embedded(address)
        if inner is not None:
            if admitted:
                return self._reason(inner)
            if address in _MAPPED and any(inner in network for network in self._admitted):
                return None
        if admitted:
            return None
        for network, reason in _REFUSED_NETWORKS:
            if address in network:
                return reason
        if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6:
            return "a reserved address"
        return None


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address) or int(address) <= 1:
        return None
    for network, shift in _EMBEDDING:
        if address in network:
            return IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return None


def check_url(text: str, *, allow_http_loopback: bool, policy: AddressPolicy | None = None) -> str:
    """`text` itself, if it may be registered as a webhook's URL. Raises ValueError with a sentence for the caller.

    https only; http where the host is loopback and `allow_http_loopback`, or an address in the operator's
    networks. An address as the host is judged here and now, a name at every attempt.
    """
    policy = policy or AddressPolicy(allow_loopback=allow_http_loopback)
    if len(text) > MAX_URL_LENGTH:
        raise ValueError(f"The URL must not be longer than {MAX_URL_LENGTH} characters.")
    if not text.isprintable() or " " in text or "\\" in text:
        raise ValueError("The URL must not hold spaces, backslashes or control characters.")
    authority = _AUTHORITY.match(text)
    if authority is None:
        raise ValueError("The URL must be absolute, such as https://example.com/webhooks.")
    if "@" in authority[1]:
        raise ValueError("The URL must not hold a user name or password.")
    if "#" in text:
        raise ValueError("The URL must not have a fragment (#…).")
    try:
        url = URL(text)
        port = url.port
    except ValueError:
        raise ValueError("The URL's host or port is not valid.") from None
    if port == 0:
        raise ValueError("The URL's port must be from 1 to 65535.")
    if url.scheme not in ("https", "http"):
        raise ValueError("The URL must start with https://.")
    host = url.raw_host or ""
    literal = _host_address(host, authority[1])
    # localhost is what its name says without asking anyone.
    address = "127.0.0.1" if _is_local_name(host) else literal
    if address is not None:
        try:
            policy.check(address)
        except AddressRefused as error:
            raise ValueError(f"The URL's host is {error.reason}, which webhooks may not reach.") from None
    if literal is not None and literal != host:
        raise ValueError(f"The URL's host must be written as {literal}.")
    if url.scheme == "http" and not (
        address is not None and (policy.lists(address) or (allow_http_loopback and ip_address(address).is_loopback))
    ):
        raise ValueError("The URL must start with https://.")
    return text


def _host_address(host: str, authority: str) -> str | None:
    """The address that a host stands for without DNS, or None for a name. Raises ValueError for neither."""
    if ":" in host:
        return host
    labels = host.removesuffix(".").split(".")
    # What ends in a number is an IPv4 address or nothing: the C library reads 127.1, 0x7f.1 and 2130706433 so.
    if _NUMBER_LABEL.fullmatch(labels[-1]):
        try:
            return socket.inet_ntoa(socket.inet_aton(".".join(labels)))
        except OSError:
            raise ValueError("The URL's host is not a valid address.") from None
    if "[" in authority or len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("The URL's host is not a valid name.")
    return None


def _is_local_name(host: str) -> bool:
    name = host.removesuffix(".").lower()
    return name == "localhost" or name.endswith(".localhost")


class FailureKind(StrEnum):
    """Why there was no answer."""

    ADDRESS_REFUSED = "address_refused"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"


_NEVER_SENT = frozenset((FailureKind.ADDRESS_REFUSED, FailureKind.DNS, FailureKind.CONNECT, FailureKind.TLS))


class OutboundError(Exception):
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
    """An answer: at most 64 KB of its body, and of that the first 1 KB as `head`, for the log."""

    status: int
    headers: Mapping[str, str]
    head: bytes
    elapsed_ms: int
    body: bytes = field(default=b"", repr=False)
    truncated: bool = False


@dataclass(slots=True)
class _Sockets:
    """What became of one attempt's addresses: none opened means that a kept connection was used."""

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


class OutboundClient:
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

    async def __aenter__(self) -> OutboundClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; a later request opens anew."""
        session, self._session = self._session, None
        threads, self._threads = self._threads, None
        if session is not None:
            await session.close()
        if threads is not None:
            await threads.close()

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, total_seconds: float = TOTAL_SECONDS
    ) -> HttpAnswer:
        """POST at least once: sent again at once where a kept connection proves dead. Raises OutboundError."""
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
    ) -> HttpAnswer:
        """One attempt, ended after `total_seconds` whatever the other side does. Raises OutboundError.

        A connection that does not stand after `connect_seconds` was never sent on. Unless `repeatable`, a POST that may
        have arrived is never sent again.
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
                    content = await _read(response)
                    truncated = not response.content.at_eof()
                finally:
                    response.close()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            elapsed_ms = _since(started)
            kind, message = _explain(error, sockets, total_seconds)
            # The cause may hold the URL, credentials included: it must not reach a log through a traceback.
            raise OutboundError(kind, message, elapsed_ms, maybe_sent=sockets.repeated) from None
        finally:
            _sockets.reset(token)
        return HttpAnswer(
            status=response.status,
            headers=response.headers,
            head=content[:HEAD_BYTES],
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
        timeout = aiohttp.ClientTimeout(total=None, connect=connect_seconds, sock_connect=None)
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
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _open_socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, proto, _, address = info
        sockets = _sockets.get()
        try:
            self._policy.check(address[0])
        except AddressRefused as error:
            sockets.refused = error
            raise
        sockets.opened += 1
        return socket.socket(family, kind, proto)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    while len(content) < MAX_ANSWER_BYTES:
        chunk = await response.content.read(MAX_ANSWER_BYTES - len(content))
        if not chunk:
            break
        content += chunk
    return bytes(content)


def _since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)


def _explain(error: Exception, sockets: _Sockets, total_seconds: float) -> tuple[FailureKind, str]:
    """The kind and a sentence: made of our own words, since aiohttp's messages may quote URLs and answers."""
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
