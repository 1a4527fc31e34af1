"""Verifies the signatures of MassiveSMS webhooks."""

import hashlib
import hmac
import re
import time

TOLERANCE_SECONDS = 300


def verify(raw_body: bytes, header: str, secret: str, now: float | None = None) -> bool:
    """Whether MSVS-Signature signs the body by this secret, in the last five minutes."""
    timestamps, signatures = [], []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            timestamps.append(value)
        elif name == "v1":
            signatures.append(value.encode())
    if len(timestamps) != 1 or not re.fullmatch("[0-9]{1,15}", timestamps[0]):
        return False
    age = (time.time() if now is None else now) - int(timestamps[0])
    if abs(age) > TOLERANCE_SECONDS:
        return False
    signed = timestamps[0].encode() + b"." + raw_body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256)
    expected = digest.hexdigest().encode()
    # There are two during a rotation; each is compared in constant time.
    matches = [hmac.compare_digest(expected, signature) for signature in signatures]
    return any(matches)
