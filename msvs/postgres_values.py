"""Values as PostgreSQL keeps them, and rows as its binary COPY takes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

_NULL = b"\xff\xff\xff\xff"
_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# What a column of a row of `copy_encoded` may hold.
FieldValue: TypeAlias = UUID | bool | int | str | bytes | datetime | None


def can_keep(text: str) -> bool:
    """Return whether PostgreSQL keeps a text: it takes neither NUL nor half of a surrogate pair."""
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)


def encode_row_head(columns: Sequence[str]) -> bytes:
    """Return how each row of `copy_encoded` begins."""
    return len(columns).to_bytes(2)


def encode_field(value: FieldValue) -> bytes:
    """Encode a column of a row of `copy_encoded`.

    An int is a smallint, and bytes are what the column's type receives.
    """
    if value is None:
        return _NULL
    match value:
        case str():
            data = value.encode()
        case UUID():
            data = value.bytes
        case bool():
            data = value.to_bytes(1)
        case int():
            data = value.to_bytes(2, signed=True)
        case datetime():
            data = ((value - _POSTGRES_EPOCH) // _MICROSECOND).to_bytes(8, signed=True)
        case _:
            data = value
    return len(data).to_bytes(4) + data
