"""Declare a field once for every front: description, example and limits stand on its type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from types import UnionType
from typing import Annotated, ClassVar, Union, cast, get_args, get_origin

import msgspec

ULID = "01HYZ8K5VQAE2N0PWQ6DC9V8MP"
AT = "2026-05-01T20:00:00Z"
TEXT = "Hey Maria, cart closes tonight at 8pm ET. Reply STOP to opt out."
LIST_ID = f"lst_{ULID}"
VIPS: dict[str, object] = {"all": [{"field": "attributes.tier", "op": "eq", "value": "vip"}, {"list": LIST_ID}]}

_UNKNOWN = object()


def about(description: str | None = None, *, example: object = _UNKNOWN, **limits: object) -> msgspec.Meta:
    """Return what the documents say of a field: its description, an example, and limits as JSON Schema.

    The limits are told and not enforced by the decoder: operations refuse with an error that names the parameter.
    """
    return msgspec.Meta(
        description=description,
        examples=None if example is _UNKNOWN else [example],
        extra_json_schema=limits or None,
    )


PHONE_PATTERN = "^\\+[1-9][0-9]{6,14}$"
E164 = Annotated[str, about("A phone number in E.164 format.", pattern=PHONE_PATTERN)]
Phone = Annotated[E164, about(example="+14155550123")]
# Of what is kept about somebody who was erased.
KeptPhone = Annotated[
    str,
    about(
        "A phone number in E.164 format, or what stands for one that was erased.",
        example="+14155550123",
        pattern="^(?:\\+[1-9][0-9]{6,14}|erased:[0-9A-HJKMNP-TV-Z]{9})$",
    ),
]


# A request names this one though its type does not ask for it: the operation says more of what is missing.
REQUIRED = "required"

AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]
REGION_PATTERN = "^[A-Z]{2}$"
SENDER_PATTERN = (
    "^(?:(?=.{0,10}[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9 ._&-]{0,9}[A-Za-z0-9._&-])?|\\+[1-9][0-9]{6,14}|[0-9]{3,8})$"
)
Sender = Annotated[
    str,
    about(
        "Sender ID (1 to 11 letters and digits, at least one letter), phone in E.164, or short code; the workspace's"
        " if none is given.",
        pattern=SENDER_PATTERN,
    ),
]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what operations are asked for, as REST's bodies and GraphQL's inputs say it.

    A field left UNSET stays as it is, None clears it.
    """

    # Whether the documents tell the limits of its fields.
    told_limits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Hold its times within the calendar of UTC, which databases know: with their offsets, some lie beyond it."""
        for name in _times(type(self)):
            time = getattr(self, name)
            if isinstance(time, datetime):
                try:
                    time.astimezone(UTC)
                except OverflowError:
                    msgspec.structs.force_setattr(self, name, FIRST if time.year == FIRST.year else LAST)


FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@cache
def _times(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the names of the fields of a struct that hold times."""
    fields = msgspec.structs.fields(struct)
    return tuple(field.name for field in fields if datetime in _alternatives(field.type)[0])


@dataclass(frozen=True, slots=True)
class Ref:
    """Confirms that a text is the id of a resource: what its prefix is."""

    prefix: str


def id_pattern(prefix: str) -> str:
    """Return the pattern of the ids with a prefix."""
    return f"^{prefix}_[0-7][0-9A-HJKMNP-TV-Z]{{25}}$"


def one_of(words: Iterable[str]) -> str:
    """Return the pattern of texts that are one of these words."""
    return f"^(?:{'|'.join(map(re.escape, words))})$"


def named(maximum: int) -> dict[str, object]:
    """Return the limits of a text that is not empty."""
    return {"minLength": 1, "maxLength": maximum}


@dataclass(frozen=True, slots=True)
class RequestField:
    """A field of a request as fronts that are not JSON need it."""

    name: str
    encoded_name: str
    # The type of its value, without null and UNSET; of a list, that of its entries.
    kind: type
    is_list: bool
    is_nullable: bool
    is_required: bool
    default: object
    description: str | None
    ref: Ref | None
    # Of a number, the least and the most that it may be, where they are told.
    bounds: tuple[int | None, int | None] = (None, None)

    @property
    def request(self) -> type[msgspec.Struct] | None:
        """The request that its value is, if it is one."""
        base = get_origin(self.kind) or self.kind
        return self.kind if isinstance(base, type) and issubclass(base, msgspec.Struct) else None


@cache
def request_fields(struct: type[msgspec.Struct]) -> tuple[RequestField, ...]:
    """Return the fields of a request."""
    return tuple(_request_field(field) for field in msgspec.structs.fields(struct))


def _request_field(field: msgspec.structs.FieldInfo) -> RequestField:
    kinds, told = _alternatives(field.type)
    (kind,) = [each for each in kinds if each not in (type(None), msgspec.UnsetType)]
    is_list = get_origin(kind) is list
    if is_list:
        ((kind,), inner) = _alternatives(get_args(kind)[0])
        told = [*told, *inner]
    return RequestField(
        field.name,
        field.encode_name,
        cast("type", kind),
        is_list,
        type(None) in kinds,
        field.required or REQUIRED in told,
        # An empty object is what null stands for.
        field.default if field.default_factory is msgspec.NODEFAULT else None,
        _description(field.type),
        next((each for each in told if isinstance(each, Ref)), None),
        (_limit(field.type, "minimum"), _limit(field.type, "maximum")),
    )


def _alternatives(kind: object) -> tuple[list[object], list[object]]:
    """Return the types that a value may be of, without what is told of them, and that."""
    told = [*getattr(kind, "__metadata__", ())]
    if told:
        kind = get_args(kind)[0]
    if get_origin(kind) not in (Union, UnionType):
        return [kind], told
    found = [_alternatives(each) for each in get_args(kind)]
    return [each for kinds, _ in found for each in kinds], [*told, *(each for _, more in found for each in more)]


def described(struct: type[msgspec.Struct], name: str) -> str:
    """Return what is said of one field of a struct. Raises KeyError where nothing is."""
    return descriptions(struct)[name]


@cache
def descriptions(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return what is said of each field of a struct, by its name in Python."""
    found = {field.name: _description(field.type) for field in msgspec.structs.fields(struct)}
    return {name: text for name, text in found.items() if text is not None}


def example_of(struct: type[msgspec.Struct]) -> dict[str, object]:
    """Return the struct as JSON, with the fields that have an example."""
    found = {field.encode_name: _examples(field.type) for field in msgspec.structs.fields(struct)}
    return {name: examples[0] for name, examples in found.items() if examples}


def _description(kind: object) -> str | None:
    return next((meta.description for meta in _metas(kind) if meta.description is not None), None)


def _limit(kind: object, word: str) -> int | None:
    """Return what a word of JSON Schema says of a type, if that is an integer."""
    told = [(meta.extra_json_schema or {}).get(word) for meta in _metas(kind)]
    return next((limit for limit in told if isinstance(limit, int)), None)


def _examples(kind: object) -> list[object]:
    return next((meta.examples for meta in _metas(kind) if meta.examples is not None), [])


def _metas(kind: object) -> Iterator[msgspec.Meta]:
    """Walk what is told of a type, the outermost first."""
    for meta in reversed(getattr(kind, "__metadata__", ())):
        if isinstance(meta, msgspec.Meta):
            yield meta
    for each in get_args(kind):
        yield from _metas(each)


MAX_VERSION = 64
# What a change names where it must not overwrite another's.
Version = Annotated[
    str,
    about(
        "The version that you read. If the current one differs, nothing changes: 409 `version_conflict`.",
        **named(MAX_VERSION),
    ),
]
