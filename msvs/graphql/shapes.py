"""Build GraphQL types from the fields of public shapes, and objects from rows, by equal names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from enum import Enum
from functools import cache
from types import UnionType
from typing import TypeVar, dataclass_transform, get_args, get_origin, get_type_hints

import msgspec
import strawberry

from msvs.fields import descriptions

T = TypeVar("T")


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def resource_type(resource: type[msgspec.Struct], description: str) -> Callable[[type[T]], type[T]]:
    """Declare a GraphQL type whose fields are described by the fields of equal name of a public shape."""

    def declare(cls: type[T]) -> type[T]:
        told = descriptions(resource)
        for name in cls.__annotations__:
            if name in told and name not in vars(cls):
                shown = name.removesuffix("_") if name.endswith("_") else None
                setattr(cls, name, strawberry.field(name=shown, description=told[name]))
        return strawberry.type(cls, description=description)

    return declare


def from_row(cls: type[T], row: object, **given: object) -> T:
    """Return the object of a row: what is not given is the row's field of equal name."""
    for name, kind in _fields_of(cls):  # type: ignore[arg-type]
        if name not in given:
            value = row if name == "row" else getattr(row, name)
            given[name] = value if kind is None or value is None else kind(value)
    return cls(**given)


@cache
def _fields_of(cls: type) -> tuple[tuple[str, type[Enum] | None], ...]:
    """Return each field of the type, with the enum of its values if they are of one."""
    hints = get_type_hints(cls)
    names = [field.name for field in fields(cls) if field.init]
    return tuple((name, _enum_of(hints[name])) for name in names)


def _enum_of(hint: object) -> type[Enum] | None:
    kinds = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Enum)), None)
