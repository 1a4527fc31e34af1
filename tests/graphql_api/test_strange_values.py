"""No value that the schema's types admit is answered with a fault of ours."""

from __future__ import annotations

from typing import Any, cast

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    get_named_type,
    is_composite_type,
)

from msvs.api.context import Context
from msvs.api.limits import RATES, Bucket, Rate
from msvs.graphql.schema import schema
from msvs.models import Workspace
from tests.graphql_api.conftest import Caller
from tests.graphql_api.studio import Studio, make_studio

TEXTS = ["", " ", "x" * 5000, "💥\u2028\u200f", "%_\\'\"", "con_1", "+12125550101", "https://127.0.0.1/", "\x01"]
NUMBERS = [0, -1, 1, 2**31 - 1, -(2**31)]
VALUES: dict[str, list[Any]] = {
    "String": TEXTS,
    "Int": NUMBERS,
    "Float": [0, -1.5, 1e308, 5e-324],
    "Boolean": [True, False],
    "BigInt": [*NUMBERS, 2**53, -(2**53)],
    "DateTime": [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-11-23T00:00:00+14:00",
        "2026-02-28T23:59:59.999Z",
    ],
    "JSONObject": [
        {},
        {"": None},
        {"field": "email", "op": "eq", "value": "x"},
        {"field": "attributes.a", "op": "gt", "value": 1e308},
        {"all": [{"not": {"list": "lst_1"}}]},
        {"x" * 5000: "x"},
        {"a": [1, {"b": None}], "c": 2**53},
        {"a": "x" * 5000},
        {"💥": "💥"},
    ],
}
# Mostly left out: two of them at once hide what else is strange.
PAGE = ("first", "after", "last", "before")


def value_of(kind: Any, turn: int, known: list[str]) -> Any:
    """A value of an input type, another one each turn."""
    if isinstance(kind, GraphQLNonNull):
        return value_of(kind.of_type, turn, known)
    if isinstance(kind, GraphQLList):
        return [value_of(kind.of_type, turn + offset, known) for offset in range(turn % 3)]
    if isinstance(kind, GraphQLInputObjectType):
        return {
            name: value_of(field.type, turn + offset, known)
            for offset, (name, field) in enumerate(kind.fields.items())
            if isinstance(field.type, GraphQLNonNull) or (turn + offset) % 3
        }
    if isinstance(kind, GraphQLEnumType):
        return list(kind.values)[turn % len(kind.values)]
    values = [*TEXTS, *known] if kind.name == "ID" else VALUES[kind.name]
    return values[turn % len(values)]


def document_of(operation: str, name: str, field: GraphQLField) -> str:
    """An operation of one field, all of its arguments variables."""
    variables = ", ".join(f"${key}: {argument.type}" for key, argument in field.args.items())
    arguments = ", ".join(f"{key}: ${key}" for key in field.args)
    selection = " { __typename }" if is_composite_type(get_named_type(field.type)) else ""
    head = f"{operation} ({variables})" if variables else operation
    return f"{head} {{ {name}{f'({arguments})' if arguments else ''}{selection} }}"


@pytest.mark.parametrize("operation", ["query", "mutation"])
async def test_strange_values(
    operation: str, caller: Caller, ctx: Context, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cast("dict[Bucket, Rate]", RATES), Bucket.REQUESTS, Rate(100_000, 100_000))
    studio: Studio = await make_studio(ctx, workspace)
    known = [getattr(studio, name) for name in studio.__dataclass_fields__]
    root = schema._schema.query_type if operation == "query" else schema._schema.mutation_type
    assert root is not None
    faults = {}
    for name, field in root.fields.items():
        document = document_of(operation, name, field)
        for turn in range(13 if field.args else 1):
            variables = {
                key: value_of(argument.type, turn + offset, known)
                for offset, (key, argument) in enumerate(field.args.items())
                if key not in PAGE or turn % 4 == 0
            }
            response = await caller.post(document, variables)
            codes = {entry["extensions"]["code"] for entry in response.json().get("errors", ())}
            assert response.status_code != 429
            if response.status_code >= 500 or codes & {"internal_error", "service_unavailable"}:
                faults[f"{name} {turn}"] = variables
    assert faults == {}
