"""What is declared on a field reaches the readers of the field."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from msvs.fields import (
    REQUIRED,
    AwareTime,
    Phone,
    Ref,
    Request,
    RequestField,
    about,
    descriptions,
    example_of,
    request_fields,
)


class _Entry(Request, frozen=True):
    name: str


class _Asked(Request, frozen=True):
    plain: Annotated[str, about("A plain value.", example="a")]
    from_: Annotated[str, REQUIRED, about("Who.", example="ACME")] | None = msgspec.field(name="from", default=None)
    at: Annotated[AwareTime, about("When.")] | msgspec.UnsetType | None = msgspec.UNSET
    list_ids: list[Annotated[str, Ref("lst"), about("A list.")]] | msgspec.UnsetType = msgspec.UNSET
    entry: Annotated[_Entry | None, about("An entry.", example={"name": "b"})] = None
    is_new: bool = False


class _Counted(Request, frozen=True):
    rows: Annotated[int, about("How many.", minimum=1, maximum=2**53)] | None = None
    others: Annotated[int, about("How many others.", minimum=0)] = 0


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


def test_a_request_tells_each_front_of_its_fields() -> None:
    unset = msgspec.UNSET
    assert request_fields(_Asked) == (
        RequestField("plain", "plain", str, False, False, True, msgspec.NODEFAULT, "A plain value.", None),
        RequestField("from_", "from", str, False, True, True, None, "Who.", None),
        RequestField("at", "at", datetime, False, True, False, unset, "When.", None),
        RequestField("list_ids", "list_ids", str, True, False, False, unset, "A list.", Ref("lst")),
        RequestField("entry", "entry", _Entry, False, True, False, None, "An entry.", None),
        RequestField("is_new", "is_new", bool, False, False, False, False, None, None),
    )


def test_a_request_tells_what_its_numbers_may_be() -> None:
    assert [field.bounds for field in request_fields(_Counted)] == [(1, 2**53), (0, None)]


def test_the_example_of_a_body_is_made_of_those_of_its_fields() -> None:
    assert example_of(_Asked) == {"plain": "a", "from": "ACME", "entry": {"name": "b"}}


def test_the_last_description_of_a_type_replaces_the_first() -> None:
    class Narrowed(msgspec.Struct):
        phone: Annotated[Phone, about("Another phone.", example="+12125550100")]

    assert descriptions(Narrowed) == {"phone": "Another phone."}
    assert example_of(Narrowed) == {"phone": "+12125550100"}
