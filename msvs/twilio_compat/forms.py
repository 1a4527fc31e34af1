"""Read forms and query strings: bounded, each name once, and no unknown names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.http.body import check_content_type, too_large
from msvs.http.strict_json import MAX_ECHO

MAX_FORM_BYTES = 64 * 1024
MAX_FIELDS = 50
MAX_PAGE_SIZE = 1000
MAX_PAGE = 1_000_000
FORM_TYPE = "application/x-www-form-urlencoded"

_whole = re.compile(r"[0-9]{1,9}").fullmatch
_date = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


def parse_form(body: bytes, headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """Parse the fields of a body. Raises InvalidRequest of some kind."""
    if len(body) > MAX_FORM_BYTES:
        raise too_large(MAX_FORM_BYTES)
    if not body:
        return {}
    check_content_type(headers, FORM_TYPE)
    return _fields(body, "body")


def parse_query(query: bytes) -> dict[str, str]:
    """Parse the parameters of a query string, blank ones too. Raises InvalidRequest."""
    return _fields(query, "query string")


def read_filters(query: Mapping[str, str], known: Collection[str]) -> dict[str, str]:
    """Return the parameters of a list; those left blank are as those left out. Raises InvalidRequest.

    A later page is found by its token alone: without one, its number would answer the first page forever.
    """
    check_names(query, known)
    given = {name: text for name, text in query.items() if text}
    if read_whole(given, "Page", least=0, most=MAX_PAGE) and "PageToken" not in given:
        raise InvalidRequest("A Page above 0 needs the PageToken of next_page_uri.", param="Page")
    read_whole(given, "PageSize", least=1, most=MAX_PAGE_SIZE)
    return given


def check_names(values: Collection[str], known: Collection[str]) -> None:
    """Refuse what would be passed over. Raises InvalidRequest code `parameter_unknown`."""
    for name in values:
        if name not in known:
            shown = name[:MAX_ECHO]
            raise InvalidRequest(f"Unknown parameter: {shown}.", code=ErrorCode.PARAMETER_UNKNOWN, param=shown)


def read_whole(values: Mapping[str, str], name: str, *, least: int, most: int) -> int | None:
    """Read a whole number, or None if it is not given. Raises InvalidRequest."""
    text = values.get(name)
    if text is None:
        return None
    if not _whole(text) or not least <= int(text) <= most:
        raise InvalidRequest(f"{name} must be a whole number from {least} to {most}.", param=name)
    return int(text)


def read_time(values: Mapping[str, str], name: str) -> datetime | None:
    """Read a time with its offset, or None if it is not given. Raises InvalidRequest."""
    text = values.get(name)
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidRequest(f"{name} must be an ISO-8601 time with an offset, such as 2026-05-01T20:00:00Z.", param=name)


def read_day(values: Mapping[str, str], name: str, *, is_whole: bool = False) -> tuple[datetime, datetime] | None:
    """Read the first moment of a date, or a time, and the first moment after it, or None if it is not given.

    Where the day is to be whole, a time stands for its day: libraries write a date as the time at which it begins.
    """
    text = values.get(name)
    if text is None:
        return None
    if not _date(text):
        time = read_time(values, name)
        assert time is not None
        if not is_whole:
            return time, _after(time, seconds=1)
        text = f"{time:%Y-%m-%d}"
    try:
        day = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidRequest(f"{name} must be a date such as 2026-05-01.", param=name) from None
    return day, _after(day, days=1)


def _after(time: datetime, **gap: int) -> datetime:
    try:
        return time + timedelta(**gap)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _fields(data: bytes, what: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            data.decode(), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=MAX_FIELDS
        )
    except UnicodeDecodeError:
        raise InvalidRequest(f"The {what} is not UTF-8.") from None
    except ValueError:
        raise InvalidRequest(f"The {what} holds more than {MAX_FIELDS} fields.") from None
    values: dict[str, str] = {}
    for name, text in pairs:
        shown = name[:MAX_ECHO]
        if name in values and name != "MediaUrl":
            raise InvalidRequest(f"{shown} is given more than once.", param=shown)
        if "\0" in name or "\0" in text:
            raise InvalidRequest(f"{shown} holds a NUL character.", param=shown.replace("\0", ""))
        values[name] = text
    return values
