"""What is declared on a field reaches the readers of the field."""

from __future__ import annotations

from typing import Annotated

import msgspec

from msvs.fields import Phone, about, descriptions


class _Shape(msgspec.Struct):
    plain: Annotated[str, about("A plain value.", example="a", maxLength=5)]
    phone: Phone | None = None
    silent: int = 0


def test_a_description_is_found_on_the_field_and_in_its_union() -> None:
    assert descriptions(_Shape) == {"plain": "A plain value.", "phone": "A phone number in E.164 format."}


def test_limits_are_told_and_not_enforced() -> None:
    (_,), components = msgspec.json.schema_components([_Shape])
    assert components["_Shape"]["properties"]["plain"] == {
        "type": "string",
        "description": "A plain value.",
        "examples": ["a"],
        "maxLength": 5,
    }
    assert msgspec.convert({"plain": "longer than five"}, _Shape).plain == "longer than five"
