"""Time-based one-time codes (RFC 6238) of authenticator apps, and recovery codes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote, urlencode

# What every authenticator app can do.
DIGITS = 6
STEP_SECONDS = 30
SECRET_BYTES = 20
# A code counts one step early and one step late, for clocks that differ.
LEEWAY_STEPS = 1

RECOVERY_CODE_COUNT = 10
# No letter that looks like another, or like a digit.
RECOVERY_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
RECOVERY_GROUPS = 3
RECOVERY_GROUP_LENGTH = 5


def make_secret() -> str:
    """Make the secret that the service and an authenticator app share, in base32."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def otpauth_uri(secret: str, *, account: str, issuer: str) -> str:
    """Return the address that an authenticator app reads from a QR code."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='@')}"
    query = urlencode({"secret": secret, "issuer": issuer, "digits": DIGITS, "period": STEP_SECONDS}, quote_via=quote)
    return f"otpauth://totp/{label}?{query}"


def make_code(secret: str, step: int) -> str:
    """Return the code of a step, which is the count of periods since 1970."""
    digest = hmac.new(base64.b32decode(secret), step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def current_step(now: datetime) -> int:
    """Return the step that an instant falls in."""
    return int(now.timestamp()) // STEP_SECONDS


def match_step(secret: str, code: str, *, now: datetime, after: int | None = None) -> int | None:
    """Return the step whose code was given, or None if it is wrong.

    `after` is the step of the last code that was accepted: it and those before are refused, so that no code is used
    twice. Keep the step that is returned, in one statement that also compares: `… SET last_step = $2 WHERE last_step
    IS NULL OR last_step < $2`.
    """
    given = "".join(code.split()).encode("utf-8", "replace")
    step = current_step(now)
    # Every step is compared, so that the time taken does not tell which one came close.
    matching = [
        each
        for each in range(step - LEEWAY_STEPS, step + LEEWAY_STEPS + 1)
        if hmac.compare_digest(make_code(secret, each).encode(), given) and (after is None or each > after)
    ]
    return matching[0] if matching else None


def make_recovery_codes() -> Sequence[str]:
    """Make the codes that are shown once; each opens one log-in."""
    return [_make_recovery_code() for _ in range(RECOVERY_CODE_COUNT)]


def digest_recovery_code(code: str) -> str:
    """Return the hash under which a recovery code is kept, without regard to case, spaces and hyphens.

    The code holds 74 random bits, so that a fast hash is enough.
    """
    folded = "".join(character for character in code.casefold() if character.isalnum())
    return hashlib.sha256(f"recovery {folded}".encode("utf-8", "surrogatepass")).hexdigest()


def _make_recovery_code() -> str:
    letters = [secrets.choice(RECOVERY_ALPHABET) for _ in range(RECOVERY_GROUPS * RECOVERY_GROUP_LENGTH)]
    groups = [letters[at : at + RECOVERY_GROUP_LENGTH] for at in range(0, len(letters), RECOVERY_GROUP_LENGTH)]
    return "-".join("".join(group) for group in groups)
