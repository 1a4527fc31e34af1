"""An id that is not found is reported as the argument that named it, over all mutations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLScalarType,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_required_argument,
    is_required_input_field,
)
from starlette.applications import Starlette

from msvs.api import ids
from msvs.graphql.schema import sdl
from msvs.models import Role, Workspace
from tests.graphql_api.browser import PASSWORD, Browser, make_user

PREFIXES = {"contactId": ids.CONTACT, "userId": ids.USER, "workspaceId": ids.WORKSPACE}
MUTATIONS = build_schema(sdl()).mutation_type
VALUES: dict[str, Any] = {"String": "x", "Int": 1, "Boolean": True, "DateTime": "2026-11-29T12:00:00Z"}


def names_of(arguments: dict[str, GraphQLArgument]) -> list[str]:
    return [name for name, each in arguments.items() if get_named_type(each.type).name == "ID"]


def cases() -> Iterator[str]:
    """The mutations that find something by an id, and may not find it."""
    assert MUTATIONS is not None
    for name, field in MUTATIONS.fields.items():
        union = get_named_type(field.type)
        assert isinstance(union, GraphQLUnionType)
        if names_of(field.args) and "NotFoundError" in {each.name for each in union.types}:
            yield name


def value_of(given: Any, unknown: str) -> Any:
    """A value that an argument of a type takes, with an unknown id as each id."""
    kind = get_nullable_type(given)
    if isinstance(kind, GraphQLList):
        return [value_of(kind.of_type, unknown)]
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        return {
            name: value_of(field.type, unknown) for name, field in kind.fields.items() if is_required_input_field(field)
        }
    assert isinstance(kind, GraphQLScalarType)
    return unknown if kind.name == "ID" else VALUES[kind.name]


@pytest.fixture
async def rosa(app: Starlette, workspace: Workspace) -> AsyncIterator[Browser]:
    await make_user("rosa@cohortlabs.co", (workspace, Role.OWNER))
    browser = Browser(app)
    await browser.log_in("rosa@cohortlabs.co")
    browser.enter(workspace)
    yield browser
    await browser.http.aclose()


@pytest.mark.parametrize("name", [*cases()])
async def test_an_unknown_id_is_reported_as_its_argument(rosa: Browser, name: str) -> None:
    assert MUTATIONS is not None
    arguments = MUTATIONS.fields[name].args
    sent = {key: each for key, each in arguments.items() if is_required_argument(each) or key == "currentPassword"}
    declared = ", ".join(f"${key}: {each.type}" for key, each in sent.items())
    given = ", ".join(f"{key}: ${key}" for key in sent)
    query = f"mutation ({declared}) {{ {name}({given}) {{ __typename ... on Error {{ code param }} }} }}"
    (first, *_) = named = names_of(arguments)
    texts = ["nothing"]
    if first in PREFIXES:
        texts.append(ids.encode_id(PREFIXES[first], ids.new_id()))
    for text in texts:
        variables = {key: value_of(each.type, text) for key, each in sent.items()}
        if "currentPassword" in variables:
            variables["currentPassword"] = PASSWORD
        (answer,) = (await rosa.run(query, variables)).values()
        assert answer["__typename"] in ("NotFoundError", "InvalidRequestError"), answer
        assert answer["param"] in (named if answer["code"] == "resource_missing" else arguments), (text, answer)
