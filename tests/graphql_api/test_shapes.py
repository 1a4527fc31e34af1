"""GraphQL types take descriptions and values from the fields of equal name."""

from __future__ import annotations

from enum import StrEnum
from types import SimpleNamespace
from typing import Annotated

import msgspec
import strawberry

from msvs.fields import about
from msvs.graphql.shapes import from_row, resource_type


class _Status(StrEnum):
    OPEN = "open"


class _Resource(msgspec.Struct, kw_only=True):
    from_: Annotated[str, about("Who sent it.")] = msgspec.field(name="from")
    status: Annotated[str, about("Where it stands.")] | None = None


Status = strawberry.enum(_Status)


@resource_type(_Resource, "A thing.")
class _Thing:
    from_: str
    status: _Status | None
    extra: int = strawberry.field(description="Only here.")


def test_descriptions_come_from_the_shape_and_stay_where_they_are_given() -> None:
    @strawberry.type
    class Query:
        thing: _Thing

    printed = strawberry.Schema(Query).as_str()
    for told in ("A thing.", "Who sent it.", "Where it stands.", "Only here."):
        assert f'"""{told}"""' in printed
    assert "  from: String!" in printed


def test_values_come_from_the_row_and_enums_are_made() -> None:
    thing = from_row(_Thing, SimpleNamespace(status="open", extra=3), from_="ACME")
    assert (thing.from_, thing.status, thing.extra) == ("ACME", _Status.OPEN, 3)
    assert from_row(_Thing, SimpleNamespace(status=None, extra=3), from_="ACME").status is None
