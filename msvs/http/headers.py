"""Headers of requests and answers, as every front reads and writes them."""

from __future__ import annotations

from starlette.types import Scope

from msvs.api.errors import RateLimited
from msvs.api.limits import Allowance

Headers = list[tuple[bytes, bytes]]

JSON_TYPE = b"application/json"
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
    """Return a header's value as text, or None where there is none."""
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
