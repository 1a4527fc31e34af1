"""Read what is told of a contact: names, e-mail address, time zone, attributes. Needs no database."""

from __future__ import annotations

import ipaddress
import math
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.text.emails import read_email
from msvs.api.text.quiet_hours import check_timezone
from msvs.api.text.templates import is_visible
from msvs.postgres_values import can_keep

MAX_NAME = 100
MAX_SOURCE = 100
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
MAX_ATTRIBUTES = 50
MAX_ATTRIBUTE_KEY = 40
MAX_ATTRIBUTE_VALUE = 500
MAX_INTEGER = 2**53
# What spreadsheets and word processors leave at the edges of a cell beside spaces: soft hyphens, zero-width characters,
# marks of direction and of the order of bytes.
INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u061c") | {
    chr(code) for first, last in ((0x202A, 0x202E), (0x2066, 0x2069)) for code in range(first, last + 1)
}


def has_controls(text: str) -> bool:
    """Return whether a text holds a control character, or half of a pair of surrogates."""
    return not text.isprintable() and any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def read_name(text: str, *, param: str, maximum: int = MAX_NAME) -> str:
    """Read a name of 1 to `maximum` characters, of which one prints, and none is a control character.

    Raises InvalidRequest.
    """
    is_controlled = has_controls(text)
    is_blank = not text.strip() if is_controlled else not is_visible(text)
    if is_blank or len(text) > maximum:
        raise InvalidRequest(
            f"{param} must have from 1 to {maximum} characters.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    if is_controlled:
        raise InvalidRequest(f"{param} must not contain control characters.", param=param)
    return text


# What a file may tell of a contact besides its phone and attributes: the column of each text.
IMPORTED = ("first_name", "last_name", "email", "timezone", "external_id")
# The columns that a contact is found by. What imports find must be found the same when a request names it.
FOUND_BY = frozenset(("email", "external_id"))
# How columns are read that hold no names.
READERS: Mapping[str, Callable[[str], str]] = {"email": read_email, "timezone": check_timezone}


def read_detail(column: str, text: str) -> str:
    """Read what is told for a column of a contact; what a contact is found by has no spaces at its edges.

    No e-mail address has a control character, not even at its edge. Raises InvalidRequest.
    """
    read = READERS.get(column)
    is_trimmed = column in FOUND_BY and not (column == "email" and has_controls(text))
    text = trim(text) if is_trimmed else text
    return read_name(text, param=column) if read is None else read(text)


def trim(text: str) -> str:
    """Return a cell without the spaces and the invisible characters at its edges."""
    start, end = 0, len(text)
    while start < end and _is_edge(text[start]):
        start += 1
    while end > start and _is_edge(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_edge(character: str) -> bool:
    return character.isspace() or character in INVISIBLE


def read_ip(text: str) -> str:
    """Return an IP address in its usual spelling, an IPv4 address in IPv6 as itself. Raises InvalidRequest."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = None
    if address is None or "%" in text:
        raise InvalidRequest("opt_in.ip must be an IPv4 or IPv6 address.", param="opt_in.ip", code=ErrorCode.IP_INVALID)
    # Servers whose sockets take both families tell of their IPv4 visitors so: ::ffff:203.0.113.4.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def merge_attributes(current: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """Attributes with changes, of which null removes one. Raises InvalidRequest."""
    merged = dict(current)
    for key, value in changes.items():
        if not 1 <= len(key) <= MAX_ATTRIBUTE_KEY or has_controls(key):
            raise InvalidRequest(
                f"A key of attributes must have from 1 to {MAX_ATTRIBUTE_KEY} characters, none of them a control"
                " character.",
                param="attributes",
            )
        if value is None:
            merged.pop(key, None)
        elif _is_attribute(value):
            merged[key] = value
        else:
            raise InvalidRequest(
                f"A value of attributes must be a string of at most {MAX_ATTRIBUTE_VALUE} characters, a number,"
                " true or false.",
                param=f"attributes.{key}",
            )
    if len(merged) > MAX_ATTRIBUTES:
        raise InvalidRequest(
            f"A contact has at most {MAX_ATTRIBUTES} attributes.",
            param="attributes",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    return merged


def _is_attribute(value: object) -> bool:
    match value:
        case bool():
            return True
        case str():
            # PostgreSQL keeps neither NUL nor half a surrogate pair.
            return len(value) <= MAX_ATTRIBUTE_VALUE and can_keep(value)
        case int():
            return abs(value) <= MAX_INTEGER
        case float():
            return math.isfinite(value)
    return False
