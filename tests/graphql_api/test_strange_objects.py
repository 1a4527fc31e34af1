"""No JSON object in the midst of what is right otherwise is answered with a fault of ours."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from graphql import (
    GraphQLInputObjectType,
    OperationDefinitionNode,
    get_named_type,
    is_list_type,
    is_non_null_type,
    parse,
    type_from_ast,
)

from msvs.api.context import Context
from msvs.api.limits import RATES, Bucket, Rate
from msvs.graphql.schema import schema
from msvs.models import Workspace
from tests.graphql_api.conftest import Caller
from tests.graphql_api.consent_operations import CONSENT_OPERATIONS
from tests.graphql_api.inbox_operations import INBOX_OPERATIONS
from tests.graphql_api.operations import OPERATIONS
from tests.graphql_api.studio import make_studio

DOCUMENTS = Path(__file__).parents[2] / "docs" / "graphql"
OBJECTS: tuple[dict[str, Any], ...] = (
    {"a": {"b": 1}},
    {"a": [1]},
    {"a": None},
    {"a": True},
    {"": 1},
    {"a" * 300: 1},
    {"a": 1e300},
    {f"a{number}": "x" for number in range(150)},
)


def paths_of(kind: Any, path: tuple[str, ...], depth: int = 3) -> Iterator[tuple[str, ...]]:
    """Where an input holds JSON objects; none within lists, which other tests fill."""
    kind = kind.of_type if is_non_null_type(kind) else kind
    if is_list_type(kind) or depth == 0:
        return
    named = get_named_type(kind)
    if named.name == "JSONObject":
        yield path
    elif isinstance(named, GraphQLInputObjectType):
        for name, field in named.fields.items():
            yield from paths_of(field.type, (*path, name), depth - 1)


def inputs() -> Iterator[tuple[Any, str, tuple[str, ...]]]:
    for operation in (*OPERATIONS, *INBOX_OPERATIONS, *CONSENT_OPERATIONS):
        document = (DOCUMENTS / f"{operation.name}.graphql").read_text()
        for definition in parse(document).definitions:
            if not isinstance(definition, OperationDefinitionNode):
                continue
            for variable in definition.variable_definitions or ():
                kind = type_from_ast(schema._schema, cast(Any, variable.type))
                for path in paths_of(kind, (variable.variable.name.value,)):
                    yield operation, document, path


def set_at(values: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """The values with another one at a path."""
    held = changed = copy.deepcopy(values)
    for name in path[:-1]:
        held = held.setdefault(name, {})
    held[path[-1]] = value
    return changed


async def test_strange_objects(
    caller: Caller, ctx: Context, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cast("dict[Bucket, Rate]", RATES), Bucket.REQUESTS, Rate(100_000, 100_000))
    studio = await make_studio(ctx, workspace)
    faults, tried = [], set()
    for operation, document, path in inputs():
        tried.add((operation.name, path))
        for number, value in enumerate(OBJECTS):
            response = await caller.post(document, set_at(operation.variables(studio), path, value))
            codes = {entry["extensions"]["code"] for entry in response.json().get("errors", ())}
            if response.status_code >= 500 or codes & {"internal_error", "service_unavailable"}:
                faults.append((operation.name, path, number))
    assert {("CreateCampaign", ("input", "metadata")), ("SendMessage", ("input", "variables"))} <= tried
    assert faults == []
