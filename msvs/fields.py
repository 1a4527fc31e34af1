"""What a field says of itself: description, example and limits, declared once on its type for every front."""

from __future__ import annotations

from functools import cache
from typing import Annotated, get_args

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
Phone = Annotated[str, about("A phone number in E.164 format.", example="+14155550123", pattern=PHONE_PATTERN)]
# Of what is kept about somebody who was erased.
KeptPhone = Annotated[
    str,
    about(
        "A phone number in E.164 format, or what stands for one that was erased.",
        example="+14155550123",
        pattern="^(?:\\+[1-9][0-9]{6,14}|erased:[0-9A-HJKMNP-TV-Z]{9})$",
    ),
]


@cache
def descriptions(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return what is said of each field of a struct, by its name in Python."""
    found = {field.name: _description(field.type) for field in msgspec.structs.fields(struct)}
    return {name: text for name, text in found.items() if text is not None}


def _description(kind: object) -> str | None:
    for meta in getattr(kind, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and meta.description is not None:
            return meta.description
    return next((text for each in get_args(kind) if (text := _description(each)) is not None), None)
