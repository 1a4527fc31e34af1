"""Webhook signatures as the API document defines them, and the schedule of attempts."""

from __future__ import annotations

import hmac
import math
import re
import secrets as random_source
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random, SystemRandom

SECRET_PREFIX = "whsec_"  # noqa: S105 - public, it only names the kind
STANDARD_KEY_BYTES = range(24, 65)
TOLERANCE_SECONDS = 300

RETRY_DELAYS: tuple[timedelta, ...] = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=8),
    timedelta(hours=8),
)
"""How long each attempt waits after the one before: eleven attempts, the last 23.7 h after the first."""

RETRY_WINDOW = timedelta(hours=24)
"""No attempt is made later than this after the first."""

JITTER = 0.1
# The schedule leaves 17 minutes of the window: ten delays late by a tenth would overrun it, within this bound
# they end four minutes inside it.
LATEST_JITTER = timedelta(minutes=2)

_ELAPSED = tuple(accumulate(RETRY_DELAYS))
_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)
_system_random = SystemRandom()


def new_secret() -> str:
    """Make a fresh endpoint secret: `whsec_` and 32 random bytes in base64, as Standard Webhooks writes secrets."""
    return SECRET_PREFIX + b64encode(random_source.token_bytes(32)).decode()


def standard_key(secret: str) -> bytes | None:
    """Return the key that a secret is for Standard Webhooks: 24 to 64 bytes in base64 after `whsec_`; None if not."""
    try:
        key = b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        return None
    return key if secret.startswith(SECRET_PREFIX) and len(key) in STANDARD_KEY_BYTES else None


def standard_headers(secrets: Sequence[str], id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks, with a signature by each secret that it can use as a key.

    Each is the base64 HMAC-SHA256 of `{id}.{timestamp}.{body}`.
    """
    signed = f"{id}.{timestamp}.".encode() + body
    keys = [key for secret in secrets if (key := standard_key(secret)) is not None]
    marks = ["v1," + b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
    return {"webhook-id": id, "webhook-timestamp": str(timestamp), "webhook-signature": " ".join(marks)}


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Sign the hex HMAC-SHA256 of `{timestamp}.{body}`; the key is the whole secret, its prefix included."""
    return hmac.digest(secret.encode(), b"%d." % timestamp + body, "sha256").hex()


def signature_header(secrets: Sequence[str], timestamp: int, body: bytes) -> str:
    """Return the MSVS-Signature header: `t=…` and one `v1=…` a secret, in the order given.

    The document's verifier reads only the first `v1`, so the secret most likely in use must stand first.
    """
    return ",".join([f"t={timestamp}", *(f"v1={sign(secret, timestamp, body)}" for secret in secrets)])


def verify(header: str, body: bytes, secret: str, *, now: float, tolerance_seconds: float = TOLERANCE_SECONDS) -> bool:
    """Return whether the header holds a signature by `secret`, with `t` within the tolerance of `now` (epoch seconds).

    Constant time in the signatures; any malformed header is simply False.
    """
    timestamps: list[str] = []
    candidates: list[bytes] = []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            timestamps.append(value)
        elif name == "v1":
            candidates.append(value.encode(errors="replace"))
    if len(timestamps) != 1 or not _DIGITS.fullmatch(timestamps[0]):
        return False
    timestamp = int(timestamps[0])
    if abs(now - timestamp) > tolerance_seconds:
        return False
    expected = sign(secret, timestamp, body).encode()
    matches = [hmac.compare_digest(expected, candidate) for candidate in candidates]
    return any(matches)


def retry_at(
    attempt: int,
    now: datetime,
    *,
    retry_after: float | None = None,
    first_at: datetime | None = None,
    random: Random | None = None,
) -> datetime | None:
    """Return when to try again after `attempt` attempts (1 after the first) have failed, or None when none is left.

    The delay is RETRY_DELAYS[attempt], from 10 % early to 10 % late but never over two minutes late, so that
    the schedule always ends within RETRY_WINDOW. `retry_after` (seconds) is honoured where it is later than
    that, and capped at the end of the window, where one last attempt is made. The window opens at `first_at`;
    without it, as long before `now` as the schedule takes to come this far.
    """
    if attempt >= len(RETRY_DELAYS):
        return None
    delay = RETRY_DELAYS[attempt]
    last = (first_at or now - _ELAPSED[max(attempt - 1, 0)]) + RETRY_WINDOW
    if last <= now:
        return None
    shift = delay * (random or _system_random).uniform(-JITTER, JITTER)
    wait = delay + min(shift, LATEST_JITTER)
    if retry_after is not None and retry_after > wait.total_seconds():
        wait = timedelta(seconds=math.ceil(min(retry_after, RETRY_WINDOW.total_seconds())))
    return min(now + wait, last)
