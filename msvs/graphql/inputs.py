"""What inputs share: fields left out, and references to other things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

import msgspec
import strawberry

from msvs.api import ids
from msvs.api.errors import InvalidRequest

T = TypeVar("T")

MAX_ECHO = 80


def given(value: T) -> T | msgspec.UnsetType:
    """Return a field of an update as operations take it.

    UNSET where it was left out, None where it is to be cleared.
    """
    return msgspec.UNSET if value is strawberry.UNSET else value


def required(value: T | None, param: str) -> T | msgspec.UnsetType:
    """Return a field of an update that may be left out but not cleared. Raises InvalidRequest."""
    if value is None:
        raise InvalidRequest(f"{param} cannot be null; leave it out to keep it.", param=param)
    return given(value)


def optional_ref(prefix: str, text: str | None, param: str) -> UUID | None:
    """Return the UUID of an optional id. Raises InvalidRequest with `param`."""
    return None if text is None else ids.read_id(prefix, text, param)


def refs(prefix: str, texts: Sequence[str] | None, param: str) -> tuple[UUID, ...]:
    """Return the UUIDs of ids. Raises InvalidRequest with `param` and the place."""
    return tuple(ids.read_id(prefix, text, f"{param}[{place}]") for place, text in enumerate(texts or ()))


@strawberry.type(description="Says that something is gone.")
class Deleted:
    id: strawberry.ID = strawberry.field(description="The id that is no more.")
