"""Read dates and times in the cells of tables; ambiguous dates are not read."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone

_iso_date = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})").fullmatch
_parted_date = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})").fullmatch
_time = re.compile(
    r"(.{6,10}?)(?:[T ]|, )\s*([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]+)?)?\s*([ap]\.?m\.?)?"
    r"\s*(Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}(?: UTC)?)?",
    re.IGNORECASE,
).fullmatch
_epoch = re.compile(r"1[0-9]{9}(?:[0-9]{3})?").fullmatch


def read_date(text: str) -> date | None:
    """Return the day that a text names, or None: also where the day and the month could change places."""
    text = text.strip()
    try:
        if found := _iso_date(text):
            return date(int(found[1]), int(found[2]), int(found[3]))
        if found := _parted_date(text):
            first, second, year = int(found[1]), int(found[3]), int(found[4])
            if found[2] == "." or first > 12:
                return date(year, second, first)
            if second > 12 or first == second:
                return date(year, first, second)
    except ValueError:
        return None
    return None


def read_moment(text: str) -> datetime | None:
    """Return the moment that a text names, in UTC unless it says otherwise; of a day, its beginning."""
    text = text.strip()
    if _epoch(text):
        return datetime.fromtimestamp(int(text[:10]), UTC)
    if (day := read_date(text)) is not None:
        return datetime.combine(day, time(), UTC)
    found = _time(text)
    if found is None or (day := read_date(found[1])) is None:
        return None
    hour = int(found[2])
    if found[5]:
        hour = hour % 12 + (12 if found[5].lower().startswith("p") else 0)
    try:
        at = datetime.combine(day, time(hour, int(found[3]), int(found[4] or 0)), _zone(found[6] or ""))
    except ValueError:
        return None
    return at.astimezone(UTC)


def is_date(text: str) -> bool:
    """Return whether a text is a day."""
    return read_date(text) is not None


def is_time(text: str) -> bool:
    """Return whether a text is a day with a time."""
    return _time(text.strip()) is not None and read_moment(text) is not None


def _zone(text: str) -> timezone:
    digits = "".join(filter(str.isdigit, text))
    if not digits:
        return UTC
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]))
    return timezone(-offset if text.startswith("-") else offset)
