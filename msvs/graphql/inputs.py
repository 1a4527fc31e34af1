"""Build GraphQL inputs from the requests of operations, and requests from inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import TypeVar, cast, get_origin
from uuid import UUID

import msgspec
import strawberry
from msgspec import NODEFAULT
from strawberry.types.field import StrawberryField

from msvs.api import ids
from msvs.api.errors import InvalidRequest
from msvs.api.pages import PageQuery
from msvs.fields import RequestField, described, request_fields
from msvs.graphql.fields import field
from msvs.graphql.scalars import JSONObject

T = TypeVar("T")
R = TypeVar("R", bound=msgspec.Struct)

PAGING = (*PageQuery.__struct_fields__, "order")
SCALARS: Mapping[object, object] = {each: each for each in (str, int, float, bool, datetime)} | {dict: JSONObject}


def request_input(
    request: type[msgspec.Struct], description: str | None = None, **inputs: type
) -> Callable[[type[T]], type[T]]:
    """Declare an input of the fields of a request, described as they are; `inputs` are those of requests within it.

    What the class declares of a field goes before: a type such as an enum, a default, a field of Strawberry's.
    What a page is asked for is left to Relay's arguments.
    """

    def declare(cls: type[T]) -> type[T]:
        own = dict(cls.__annotations__)
        told = _told(request)
        made = {each.name: own.pop(each.name, None) or _annotation(each, inputs.get(each.name)) for each in told}
        cls.__annotations__ = made | own
        for each in told:
            own_default = vars(cls).get(each.name, NODEFAULT)
            if not isinstance(own_default, StrawberryField):
                setattr(cls, each.name, _field(each, own_default))
        return strawberry.input(cls, description=description or request.__doc__)

    return declare


def argument(request: type[msgspec.Struct], name: str) -> object:
    """Return what an argument says of itself: the description of the request's field of this name."""
    return strawberry.argument(description=described(request, name))


def read_input(request: type[R], value: object, **read: object) -> R:
    """Return the request that an input holds; `read` are fields that are not taken as they were given.

    Raises InvalidRequest where null stands for what cannot be null.
    """
    values = read
    for each in _told(request):
        if each.name in read:
            continue
        found = getattr(value, each.name)
        if found is strawberry.UNSET or (found is None and each.default is not msgspec.UNSET):
            continue
        if found is None and not each.is_nullable:
            raise InvalidRequest(f"{each.name} cannot be null; leave it out to keep it.", param=each.name)
        values[each.name] = _value(each, found)
    return request(**values)


def read_filter(request: type[R], value: object) -> R:
    """Return the conditions of the argument `filter`. Raises InvalidRequest for an id that is none of its kind."""
    found = request() if value is None else read_input(request, value)
    for each in _told(request):
        if each.ref is not None:
            ids.read_optional_id(each.ref.prefix, getattr(found, each.name), f"filter.{each.name}")
    return found


def _told(request: type[msgspec.Struct]) -> Sequence[RequestField]:
    fields = request_fields(request)
    return [each for each in fields if each.name not in PAGING] if issubclass(request, PageQuery) else fields


def _value(field: RequestField, found: object) -> object:
    inner = field.request
    if isinstance(found, Enum):
        return found if field.kind is type(found) else found.value
    if found is None or inner is None:
        return found
    if field.is_list:
        rows = cast("list[object]", found)
        return [_read_inner(inner, each, f"{field.name}[{place}]") for place, each in enumerate(rows)]
    return _read_inner(inner, found, field.name)


def _read_inner(request: type[R], value: object, path: str) -> R:
    try:
        return read_input(request, value)
    except InvalidRequest as error:
        error.param = f"{path}.{error.param}"
        raise


def _annotation(field: RequestField, input: type | None) -> object:
    kind = input or (strawberry.ID if field.ref else _scalar(field.kind))
    listed = list[kind] if field.is_list else kind  # type: ignore[valid-type]
    is_optional = not field.is_required and (field.default is None or field.default is msgspec.UNSET)
    return listed | None if is_optional else listed


def _scalar(kind: type) -> type:
    """Return the GraphQL type of values of a type: an enum is its own."""
    known = get_origin(kind) or kind
    return kind if issubclass(known, Enum) else cast("type", SCALARS[known])


def _field(field: RequestField, own_default: object) -> object:
    shown = field.name.removesuffix("_") if field.name.endswith("_") else None
    described = field.description
    if own_default is not NODEFAULT:
        return strawberry.field(name=shown, description=described, default=own_default)
    if field.is_required:
        return strawberry.field(name=shown, description=described)
    if field.default is not msgspec.UNSET:
        return strawberry.field(name=shown, description=described, default=field.default)
    if not field.is_nullable:
        described = f"{described or ''} Cannot be null.".lstrip()
    return strawberry.field(name=shown, description=described, default=strawberry.UNSET)


def given(value: T) -> T | msgspec.UnsetType:
    """Return a field of an update as operations take it.

    UNSET where it was left out, None if it is to be cleared.
    """
    return msgspec.UNSET if value is strawberry.UNSET else value


def required(value: T | None, param: str) -> T | msgspec.UnsetType:
    """Return a field of an update that may be left out but not cleared. Raises InvalidRequest."""
    if value is None:
        raise InvalidRequest(f"{param} cannot be null; leave it out to keep it.", param=param)
    return given(value)


optional_ref = ids.read_optional_id


def refs(prefix: str, texts: Sequence[str] | None, param: str) -> tuple[UUID, ...]:
    """Return the UUIDs of ids. Raises InvalidRequest with `param` and the place."""
    return tuple(ids.read_id(prefix, text, f"{param}[{place}]") for place, text in enumerate(texts or ()))


@strawberry.type(description="Confirmation that something was deleted.")
class Deleted:
    id: strawberry.ID = strawberry.field(description="The deleted id.")

    @field(
        "The same id under the name that Relay's `@deleteRecord` reads. Ask for this one alone there: an `id` replaces"
        " what Relay's store has."
    )
    def deleted_id(self) -> strawberry.ID:
        """Return the id that is no more."""
        return self.id
