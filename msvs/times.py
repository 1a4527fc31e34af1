"""Parse times with an offset, in one grammar for every front, filter and condition."""

from __future__ import annotations

import re
from datetime import UTC, datetime

EXPECTED = "an ISO-8601 time with an offset, such as 2026-05-01T20:00:00-04:00"

_time = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2})(:[0-9]{2}(?:[.][0-9]+)?)?"
    r"(?:[Zz]|([+-](?:[01][0-9]|2[0-3])):?([0-5][0-9]))"
).fullmatch


def read_time(text: str) -> datetime:
    """Read a time with an offset, in UTC. Raises ValueError.

    Between day and time stands T or a space; seconds and the colon of the offset may be left out. Leap seconds, 24:00,
    week dates and years that the calendar does not have are no times.
    """
    found = _time(text) if len(text) <= 64 else None
    if found is None:
        raise ValueError(f"It must be {EXPECTED}.")
    day, minute, second, hours, minutes = found.groups()
    try:
        return datetime.fromisoformat(
            f"{day}T{minute}{second or ':00'}{f'{hours}:{minutes}' if hours else '+00:00'}"
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"It must be {EXPECTED}.") from None
