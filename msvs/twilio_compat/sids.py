"""Twilio's ids: two letters and the 32 hexadecimal digits of our UUIDs."""

from __future__ import annotations

import re
from uuid import UUID

from msvs.api.errors import NotFound

ACCOUNT = "AC"
MESSAGE = "SM"
SERVICE = "MG"

_shape = re.compile(r"([A-Z]{2})([0-9a-f]{32})").fullmatch


def encode_sid(prefix: str, value: UUID) -> str:
    """`prefix` and the hexadecimal digits of `value`, such as `SM018f3f6c1c7b7e2a8a3d5b9c0d1e2f30`."""
    return f"{prefix}{value.hex}"


def decode_sid(prefix: str, text: str) -> UUID | None:
    """Decode the UUID behind a SID, or None if `text` is no SID of this prefix."""
    found = _shape(text)
    return UUID(hex=found[2]) if found is not None and found[1] == prefix else None


def find_message_id(text: str) -> UUID:
    """Find the UUID of the message named in a path. Raises NotFound, as for a SID that was never given out."""
    value = decode_sid(MESSAGE, text)
    if value is None:
        raise NotFound("No such message: a message's Sid is SM and 32 hexadecimal digits.", param="Sid")
    return value
