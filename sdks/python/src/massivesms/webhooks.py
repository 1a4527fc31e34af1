"""Webhooks: whether an event came from MassiveSMS, and what it is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING

from massivesms._model import make
from massivesms.errors import InvalidPayloadError, SignatureVerificationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massivesms.types import Event

SIGNATURE_HEADER = "MSVS-Signature"
STANDARD_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
TOLERANCE_SECONDS = 300.0
_longest_time = 12


def construct_event(
    payload: bytes | str,
    header: str | None,
    secret: str,
    *,
    tolerance: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> Event:
    """Return the event of a webhook whose signature is right.

    payload: the body exactly as it came, before any parser.
    header: the value of the MSVS-Signature header.
    secret: the endpoint's secret.

    Raises SignatureVerificationError where anything is not right (answer 400), and InvalidPayloadError.
    """
    verify(payload, header, secret, tolerance=tolerance, now=now)
    return _event(payload)


def construct_standard_event(
    payload: bytes | str,
    headers: Mapping[str, str],
    secret: str,
    *,
    tolerance: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> Event:
    """Return the event of a webhook with `standard_webhooks`, whose signature by Standard Webhooks is right.

    headers: those of the request, in any case.

    Raises SignatureVerificationError where anything is not right (answer 400), and InvalidPayloadError.
    """
    verify_standard(payload, headers, secret, tolerance=tolerance, now=now)
    return _event(payload)


def _event(payload: bytes | str) -> Event:
    try:
        value = json.loads(payload)
    except ValueError as error:
        raise InvalidPayloadError("The body of the webhook is not JSON.") from error
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise InvalidPayloadError("The body of the webhook is not an event.")
    event: Event = make("Event", value)
    return event


def verify(
    payload: bytes | str,
    header: str | None,
    secret: str,
    *,
    tolerance: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> None:
    """Raise SignatureVerificationError unless the header has a signature of the payload by the secret, of about now."""
    raw = _raw(payload)
    if not secret:
        raise SignatureVerificationError("The secret of the endpoint is empty.", "secret_missing")
    if not header:
        raise SignatureVerificationError(f"The request has no {SIGNATURE_HEADER} header.", "header_missing")
    timestamp, candidates = _parse(header)
    _check_time(timestamp, tolerance, now)
    _check_any(_digest(raw, secret, timestamp).encode(), candidates)


def verify_standard(
    payload: bytes | str,
    headers: Mapping[str, str],
    secret: str,
    *,
    tolerance: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> None:
    """Raise SignatureVerificationError unless the headers of Standard Webhooks have such a signature."""
    raw = _raw(payload)
    if not secret:
        raise SignatureVerificationError("The secret of the endpoint is empty.", "secret_missing")
    given = {name.lower(): value for name, value in headers.items()}
    id, at, signatures = (given.get(name) for name in STANDARD_HEADERS)
    if not id or not at or not signatures:
        raise SignatureVerificationError("The request has no headers of Standard Webhooks.", "header_missing")
    parts = [part.partition(",") for part in signatures.split(" ")]
    candidates = [value.encode(errors="replace") for version, _, value in parts if version == "v1"]
    if not (at.isascii() and at.isdigit() and len(at) <= _longest_time) or not candidates:
        raise SignatureVerificationError("The headers of Standard Webhooks cannot be read.", "header_malformed")
    _check_time(int(at), tolerance, now)
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        candidates, key = [], b""
    signed = f"{id}.{at}.".encode(errors="replace") + raw
    _check_any(base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()), candidates)


def _check_time(timestamp: int, tolerance: float, now: float | None) -> None:
    if abs((time.time() if now is None else now) - timestamp) > tolerance:
        raise SignatureVerificationError(
            f"The signature is over {tolerance:g} seconds away from now: an old request, or a clock that is wrong.",
            "timestamp_outside_tolerance",
        )


def _check_any(expected: bytes, candidates: list[bytes]) -> None:
    # All are compared, so that the time taken tells nothing.
    if not any([hmac.compare_digest(expected, candidate) for candidate in candidates]):  # noqa: C419
        raise SignatureVerificationError(
            "No signature matches. Pass the body exactly as it came (not parsed and written again), and the secret of "
            "this endpoint.",
            "no_match",
        )


def generate_test_header(payload: bytes | str, secret: str, *, timestamp: int | None = None) -> str:
    """Return the MSVS-Signature header of a payload, for tests of your own endpoint."""
    when = int(time.time()) if timestamp is None else timestamp
    return f"t={when},v1={_digest(_raw(payload), secret, when)}"


def _raw(payload: object) -> bytes:
    if isinstance(payload, str):
        return payload.encode()
    if isinstance(payload, bytes | bytearray | memoryview):
        return bytes(payload)
    raise TypeError(
        f"The payload is a {type(payload).__name__}; the signature is of the body's bytes. Pass them as they came: "
        "`await request.body()` in FastAPI, `request.get_data()` in Flask, `request.body` in Django."
    )


def _parse(header: str) -> tuple[int, list[bytes]]:
    times: list[str] = []
    candidates: list[bytes] = []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            times.append(value)
        elif name == "v1":
            candidates.append(value.encode(errors="replace"))
    well = len(times) == 1 and times[0].isascii() and times[0].isdigit() and len(times[0]) <= _longest_time
    if not well or not candidates:
        raise SignatureVerificationError(f"{SIGNATURE_HEADER} is not of the form t=…,v1=….", "header_malformed")
    return int(times[0]), candidates


def _digest(payload: bytes, secret: str, timestamp: int) -> str:
    return hmac.new(secret.encode(), b"%d." % timestamp + payload, hashlib.sha256).hexdigest()
