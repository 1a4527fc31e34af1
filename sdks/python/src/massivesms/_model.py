"""What the API answers: attributes by the names of the wire, and everything that was received."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

M = TypeVar("M", bound="Model")


@dataclass(frozen=True)
class Response:
    """The answer as it came over the wire."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    tries: int = 1
    idempotency_key: str | None = None

    @property
    def request_id(self) -> str | None:
        """Return the id that support asks for."""
        return self.headers.get("x-request-id")

    @property
    def is_replayed(self) -> bool:
        """Whether an earlier request with the same key was answered before, and this is its answer."""
        return self.headers.get("idempotent-replayed") == "true"


class Model:
    """An object of the API.

    Fields are attributes by their own names (`from_` for `from`), and keys (`message["from"]`). A field that this
    version of the package does not know is there as well. `to_dict()` returns all as it was received.
    """

    _nested: ClassVar[Mapping[str, str]] = {}
    _known: ClassVar[frozenset[str] | None] = None

    def __init__(self, data: Mapping[str, Any], response: Response | None = None) -> None:
        self._data = dict(data)
        self._made: dict[str, Any] = {}
        self._response = response

    @property
    def response(self) -> Response | None:
        """Return the answer over the wire; None of what is inside of another object, or a webhook's."""
        return self._response

    def to_dict(self) -> dict[str, Any]:
        """Return a copy of what was received."""
        return dict(self._data)

    def __getattr__(self, name: str) -> Any:
        """Return a field; None where it is known and was not sent."""
        if name.startswith("_"):
            raise AttributeError(name)
        wire = name[:-1] if name.endswith("_") else name
        if wire in self._data:
            return self[wire]
        if name in type(self).fields():
            return None
        raise AttributeError(f"{type(self).__name__} has no field {wire!r}")

    def __getitem__(self, name: str) -> Any:
        """Return a field by its name on the wire."""
        if name in self._made:
            return self._made[name]
        value = self._data[name]
        kind = self._nested.get(name)
        if kind is not None:
            value = self._made[name] = make(kind, value)
        return value

    def __contains__(self, name: object) -> bool:
        """Whether a field was received."""
        return name in self._data

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the fields that were received."""
        return iter(self._data)

    def __eq__(self, other: object) -> bool:
        """Whether another is of the same kind and was received alike."""
        return type(other) is type(self) and isinstance(other, Model) and other._data == self._data

    def __hash__(self) -> int:
        """Hash by the id."""
        return hash((type(self), self._data.get("id")))

    def __repr__(self) -> str:
        """Name the class, id and status alone: never a secret, a phone or a text."""
        told = [
            f"{key}={self._data[key]!r}" for key in ("id", "type", "status") if isinstance(self._data.get(key), str)
        ]
        return f"<{' '.join([type(self).__name__, *told])}>"

    @classmethod
    def fields(cls) -> frozenset[str]:
        """Name the fields that this version of the package knows."""
        known = cls.__dict__.get("_known")
        if known is None:
            names = {name for each in cls.__mro__ for name in inspect.get_annotations(each)}
            known = cls._known = frozenset(name for name in names if not name.startswith("_"))
        return frozenset(known)


def make(kind: str, value: Any, response: Response | None = None) -> Any:
    """Return objects as models of a kind, alone or in lists; anything else as it is."""
    if isinstance(value, list):
        return [make(kind, each) for each in value]
    if not isinstance(value, dict):
        return value
    from massivesms import types

    if kind == "Event":
        type_ = value.get("type")
        known = types.EVENTS.get(type_) if isinstance(type_, str) else None
        # The data of a known event may still be of a shape that no version has known.
        return (known or types.UnknownEvent)(value, response)
    model: type[Model] = getattr(types, kind)
    return model(value, response)
