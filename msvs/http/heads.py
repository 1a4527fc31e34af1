"""Check the head of a request: its size, target, host, framing and upgrades."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msvs.api.errors import ErrorCode, InvalidRequest

MAX_HEADER_BYTES = 64 * 1024
# One header, or the request line; as much as the WebSocket library and most proxies take.
MAX_LINE_BYTES = 8 * 1024
MAX_HEADERS = 100
VERSIONS = ("1.0", "1.1")

Headers = Sequence[tuple[bytes, bytes]]

_absolute = re.compile(rb"(?i:https?)://([^/?#@]+)((?:[/?][^#]*)?)(?:#.*)?").fullmatch
_host = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+;=-]*|\[[0-9A-Za-z:.%]+\])(?::[0-9]{0,5})?").fullmatch
_socket_key = re.compile(rb"[A-Za-z0-9+/]{22}==").fullmatch


class HeadersTooLarge(InvalidRequest):
    """431: the request line and headers are too large."""

    status = 431
    default_code = ErrorCode.HEADERS_TOO_LARGE


class HttpInvalid(InvalidRequest):
    """400: the bytes are not HTTP."""

    default_code = ErrorCode.HTTP_INVALID


def read_target(target: bytes) -> tuple[bytes, bytes | None]:
    """Read the path and query of a request's target, and the host that an absolute one names. Raises HttpInvalid."""
    if target[:1] == b"/" or target == b"*":
        return target, None
    found = _absolute(target)
    if found is None:
        raise HttpInvalid("The request's target must be a path, or an http URL without a user name.")
    host, path = found.groups()
    return path if path[:1] == b"/" else b"/" + path, host


def check_head(version: str, headers: Headers) -> None:
    """Refuse a head that another program may read otherwise than we do. Raises HttpInvalid.

    RFC 9112: one Host in HTTP/1.1 (section 3.2), and no coding of the body but chunked, which HTTP/1.0 does not know
    (section 6.1). The parser refuses the rest: Content-Length beside Transfer-Encoding, or twice, folded lines, bare
    line feeds.
    """
    if version not in VERSIONS:
        raise HttpInvalid(f"HTTP/{version} is not spoken here; use HTTP/1.1.")
    hosts = values_of(headers, b"host")
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise HttpInvalid(f"A request has one Host header; this one has {len(hosts)}.")
    if hosts and not _host(hosts[0].strip(b" \t")):
        raise HttpInvalid("The Host header is not a host with an optional port.")
    codings = values_of(headers, b"transfer-encoding")
    if codings and (version == "1.0" or [coding.strip(b" \t").lower() for coding in codings] != [b"chunked"]):
        raise HttpInvalid("Transfer-Encoding may be chunked alone, and in HTTP/1.1 alone.")


def is_socket_handshake(method: bytes, version: str, headers: Headers) -> bool:
    """Return whether a request asks for a WebSocket, by a whole handshake without a body (RFC 6455, section 4.2.1)."""
    keys = values_of(headers, b"sec-websocket-key")
    return (
        (method, version) == (b"GET", "1.1")
        and _tokens(headers, b"upgrade") == [b"websocket"]
        and b"upgrade" in _tokens(headers, b"connection")
        and _tokens(headers, b"sec-websocket-version") == [b"13"]
        and len(keys) == 1
        and _socket_key(keys[0].strip(b" \t")) is not None
        and not values_of(headers, b"transfer-encoding")
        and _tokens(headers, b"content-length") in ([], [b"0"])
    )


def without_upgrade(method: bytes, target: bytes, version: str, headers: Headers) -> bytes:
    """Return the head of a request as bytes, without its offer to change protocol.

    A server may ignore it (RFC 9110, 7.8).
    """
    lines = [b"%s %s HTTP/%s" % (method, target, version.encode())]
    lines += [b"%s: %s" % header for header in headers if header[0] != b"upgrade"]
    return b"\r\n".join([*lines, b"", b""])


def values_of(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """Return the values of the headers of that name, in lower case."""
    return [value for found, value in headers if found == name]


def _tokens(headers: Headers, name: bytes) -> list[bytes]:
    joined = b",".join(values_of(headers, name))
    return [token for part in joined.split(b",") if (token := part.strip(b" \t").lower())]
