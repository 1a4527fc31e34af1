"""Verify the signatures of webhook requests."""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from datetime import datetime
from hashlib import sha256

from msvs.connectors.base import HookRefused

# Kit and most services with timestamped signatures recommend five minutes.
TOLERANCE_SECONDS = 300
MAX_HEADER = 1000

_timestamped = re.compile(r"t=([0-9]{1,12})((?:,v[0-9]+=[^,]+)+)", re.ASCII).fullmatch


def verify(header: str | None, body: bytes, secret: str, now: datetime) -> None:
    """Raise HookRefused unless the header signs the body: `t=…,v1=…`, or its HMAC-SHA256 in hex or base64.

    A plain HMAC may start with `sha256=`.
    """
    text = (header or "").replace(" ", "")
    if not text or len(text) > MAX_HEADER:
        raise HookRefused("no signature")
    if found := _timestamped(text):
        _verify_timestamped(found[1], found[2], body, secret, now)
        return
    digest = hmac.digest(secret.encode(), body, sha256)
    given = text.removeprefix("sha256=")
    if not (_same(given.lower(), digest.hex()) or _same(given, b64encode(digest).decode())):
        raise HookRefused("wrong signature")


def _verify_timestamped(time: str, rest: str, body: bytes, secret: str, now: datetime) -> None:
    expected = hmac.digest(secret.encode(), time.encode() + b"." + body, sha256).hex()
    given = [value for name, _, value in (part.partition("=") for part in rest[1:].split(",")) if name == "v1"]
    # During a secret rotation the header has one signature per secret.
    if not any(_same(each, expected) for each in given):
        raise HookRefused("wrong signature")
    if abs(now.timestamp() - int(time)) > TOLERANCE_SECONDS:
        raise HookRefused("stale signature")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
