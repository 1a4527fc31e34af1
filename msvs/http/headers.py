"""Read and write HTTP headers, for every front."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.types import Scope

from msvs.api.errors import RateLimited
from msvs.api.limits import Allowance

Headers = list[tuple[bytes, bytes]]

JSON_TYPE = b"application/json"
CHARSETS = frozenset(("utf-8", "utf8"))
_weight = re.compile(r"[01]?(?:\.[0-9]*)?").fullmatch
_range = re.compile(r"[^\s/;,\"]+/[^\s/;,\"]+").fullmatch
NOT_STORED = (b"cache-control", b"no-store")
REPLAYED = (b"idempotent-replayed", b"true")
RATE_LIMIT_PREFIX = b"x-ratelimit-"


def read_headers(scope: Scope) -> dict[bytes, bytes]:
    """Return the request's headers by lower-case name; those given more than once joined by commas."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers[name] = value if name not in headers else b"%s, %s" % (headers[name], value)
    return headers


def header_text(value: bytes | None) -> str | None:
    """Return a header's value as text, or None if there is none."""
    return None if value is None else value.decode("latin-1")


def allowance_headers(allowance: Allowance) -> Headers:
    """Return the three X-RateLimit headers."""
    return [
        (b"x-ratelimit-limit", b"%d" % allowance.limit),
        (b"x-ratelimit-remaining", b"%d" % allowance.remaining),
        (b"x-ratelimit-reset", b"%d" % allowance.reset_epoch),
    ]


def tell_allowance(allowance: Allowance, headers: Headers, *, unit: str = "") -> None:
    """Write what is left of the caller's tokens into the answer's headers. Raises RateLimited where none is left."""
    headers[:] = [header for header in headers if not header[0].startswith(RATE_LIMIT_PREFIX)]
    headers += allowance_headers(allowance)
    check_allowance(allowance, unit=unit)


def check_allowance(allowance: Allowance, *, unit: str = "") -> None:
    """Refuse a caller who has no tokens left. Raises RateLimited."""
    if allowance.retry_after is not None:
        rate = f"{allowance.limit}{unit} a second"
        raise RateLimited(f"Too many requests: at most {rate}.", retry_after=allowance.retry_after)


def negotiate(accept: bytes | None, offers: Sequence[bytes]) -> bytes | None:
    """Return the offer that Accept weighs most, the first among equals, or None if it takes none (RFC 9110, 12.5.1).

    Ranges that cannot be read are passed over; a header without any that can takes everything.
    """
    ranges = read_accept(accept)
    if not ranges:
        return offers[0]
    best, weight = None, 0.0
    for offer in offers:
        found = weight_of(offer.decode(), ranges) or 0.0
        if found > weight:
            best, weight = offer, found
    return best


def read_accept(accept: bytes | None) -> list[tuple[str, float]]:
    """Return the media ranges of an Accept header with their weights; those of another character set weigh nothing."""
    ranges = []
    for each in split_unquoted((accept or b"").decode("latin-1").lower(), ","):
        name, *parameters = (part.strip() for part in split_unquoted(each, ";"))
        name = "*/*" if name == "*" else name
        weight = 1.0
        for parameter in parameters:
            key, _, value = (part.strip() for part in parameter.partition("="))
            if key == "q":
                weight = read_weight(value)
                break
            if key == "charset" and value.strip('"') not in CHARSETS:
                name = f"{name};{parameter}"
        if _range(name.partition(";")[0]) and weight >= 0:
            ranges.append((name, weight))
    return ranges


def read_weight(text: str) -> float:
    """Return the weight that a `q` gives, at most 1; -1 for what is none (RFC 9110, section 12.4.2)."""
    return min(1.0, float(text)) if _weight(text) and text not in ("", ".") else -1.0


def weight_of(offer: str, ranges: list[tuple[str, float]]) -> float | None:
    """Return the weight of the most specific range that covers an offer, or None if none does."""
    for covering in (offer, f"{offer.partition('/')[0]}/*", "*/*"):
        weights = [weight for name, weight in ranges if name == covering]
        if weights:
            return max(weights)
    return None


def split_unquoted(text: str, separator: str) -> list[str]:
    """Split a header's value at a separator, but within quoted strings."""
    if '"' not in text:
        return text.split(separator)
    parts, start, quoted, escaped = [], 0, False, False
    for place, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == separator and not quoted:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]
