"""A refusal names a field as the GraphQL input has it, in its path and in its words: tried with every input."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_composite_type,
    parse,
    print_ast,
)
from strawberry.utils.str_converters import to_snake_case

from msvs.api.context import Context
from msvs.graphql.errors import OWN_KEYS
from msvs.graphql.schema import schema as SCHEMA
from tests.graphql_api.conftest import Caller

# What a person could mean by a field of this name; any other text is a word.
GOOD: dict[str, Any] = {
    "to": "+14155550123",
    "phone": "+14155550123",
    "from": "+14155550123",
    "email": "maria@example.com",
    "password": "correct horse battery staple",
    "newPassword": "correct horse battery stable",
    "url": "https://hooks.cohortlabs.co/sms",
    "filter": {"field": "opt_in_status", "op": "eq", "value": "opted_in"},
    "events": ["*"],
}
PLAIN: dict[str, Any] = {
    "Int": 1,
    "BigInt": 1,
    "Float": 1.0,
    "Boolean": False,
    "DateTime": "2026-05-01T20:00:00Z",
    "ID": "con_01HYZ8K5VQAE2N0PWQ6DC9V8MP",
    "JSONObject": {},
    "JSON": {},
}
BAD: dict[str, tuple[Any, ...]] = {
    "String": ("", "x" * 6_000),
    "ID": ("nonsense",),
    "Int": (-1,),
    "BigInt": (-1,),
    "Float": (-1.0,),
    "Boolean": (),
    "DateTime": ("1999-01-01T00:00:00Z", "2999-01-01T00:00:00Z"),
    "JSONObject": ({"x y": {"z": [1]}},),
    "JSON": ({"x y": {"z": [1]}},),
}
# These are of users, not of the keys that the test has, or take ids of any kind.
LEFT = frozenset(("logIn", "logOut", "signUp", "node", "nodes"))
SPOKEN = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")


def roots() -> Iterator[tuple[str, str, Any]]:
    schema = SCHEMA._schema
    for kind, root in (("query", schema.query_type), ("mutation", schema.mutation_type)):
        assert root is not None
        for name, each in root.fields.items():
            if each.args and name not in LEFT:
                yield kind, name, each


def good(name: str, kind: GraphQLInputType) -> Any:
    """A value that the schema takes, and most often the service."""
    if isinstance(kind, GraphQLNonNull):
        return good(name, kind.of_type)
    if isinstance(kind, GraphQLList):
        return GOOD.get(name) if isinstance(GOOD.get(name), list) else [good(name, kind.of_type)]
    if isinstance(kind, GraphQLInputObjectType):
        needed = {key: each for key, each in kind.fields.items() if isinstance(each.type, GraphQLNonNull)}
        return {key: good(key, each.type) for key, each in needed.items()}
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    plain = {
        "Int": 1,
        "BigInt": 1,
        "Float": 1.0,
        "Boolean": False,
        "DateTime": "2026-05-01T20:00:00Z",
        "JSONObject": {},
        "JSON": {},
    }
    if kind.name == "ID":
        return "con_01HYZ8K5VQAE2N0PWQ6DC9V8MP"
    return GOOD.get(name, plain.get(kind.name, "Cohort"))


def variants(name: str, kind: GraphQLInputType) -> Iterator[Any]:
    """Values that the schema takes and the service may refuse: one field of an input at a time is wrong."""
    if isinstance(kind, GraphQLNonNull):
        yield from (each for each in variants(name, kind.of_type) if each is not None)
    elif isinstance(kind, GraphQLList):
        yield []
        yield from ([each] for each in variants(name, kind.of_type))
    elif isinstance(kind, GraphQLInputObjectType):
        base = good(name, kind)
        yield base
        for key, each in kind.fields.items():
            yield from ({**base, key: wrong} for wrong in variants(key, each.type))
            if not isinstance(each.type, GraphQLNonNull):
                yield {**base, key: None}
    elif isinstance(kind, GraphQLEnumType):
        yield from ()
    else:
        yield from BAD[kind.name]


def document(kind: str, name: str, field: Any) -> str:
    variables = ", ".join(f"${arg}: {each.type}" for arg, each in field.args.items())
    arguments = ", ".join(f"{arg}: ${arg}" for arg in field.args)
    type = get_named_type(field.type)
    chosen = ""
    if is_composite_type(type):
        is_result = not isinstance(type, GraphQLObjectType)
        chosen = "{ __typename ... on Error { code message param } }" if is_result else "{ __typename }"
    return print_ast(parse(f"{kind}({variables}) {{ {name}({arguments}) {chosen} }}"))


def names_of(kind: GraphQLInputType) -> set[str]:
    """The names of an input's fields, and of those within them."""
    type = get_named_type(kind)
    if not isinstance(type, GraphQLInputObjectType):
        return set()
    return {*type.fields, *(name for each in type.fields.values() for name in names_of(each.type))}


def resolves(param: str, field: Any) -> bool:
    """Whether a path leads to an argument, or to a field of an argument that is an input, such as `input`."""
    inputs = {name: each.type for name, each in field.args.items()}
    for each in field.args.values():
        type = get_named_type(each.type)
        if isinstance(type, GraphQLInputObjectType):
            inputs |= {name: inner.type for name, inner in type.fields.items()}
    for part in param.split("."):
        name = part.partition("[")[0]
        if name not in inputs:
            return False
        if name in OWN_KEYS:
            return True
        type = get_named_type(inputs[name])
        inputs = (
            {key: each.type for key, each in type.fields.items()} if isinstance(type, GraphQLInputObjectType) else {}
        )
    return True


def refusals(answer: dict[str, Any], name: str) -> Iterator[tuple[str | None, str]]:
    """The parameter and the words of each refusal of an answer."""
    for error in answer.get("errors", ()):
        if "path" in error:
            yield error["extensions"].get("param"), error["message"]
    result = (answer.get("data") or {}).get(name)
    if isinstance(result, dict) and "code" in result:
        yield result["param"], result["message"]


@pytest.mark.timeout(180)
async def test_every_refused_field_is_named_as_in_its_input(caller: Caller, ctx: Context) -> None:
    wrong: set[tuple[str, str | None, str]] = set()
    named: set[str] = set()
    for kind, name, field in roots():
        text = document(kind, name, field)
        base = {arg: good(arg, each.type) for arg, each in field.args.items() if isinstance(each.type, GraphQLNonNull)}
        snakes = {to_snake_case(each) for arg, part in field.args.items() for each in (arg, *names_of(part.type))}
        for arg, each in field.args.items():
            for value in variants(arg, each.type):
                answer = (await caller.post(text, {**base, arg: value})).json()
                for param, message in refusals(answer, name):
                    named.add(name)
                    told = {word for word in SPOKEN.findall(message) if word in snakes}
                    own = param is not None and any(key in param for key in OWN_KEYS)
                    if (param is not None and not resolves(param, field)) or (told and not own):
                        wrong.add((name, param, message))
    assert sorted(wrong, key=str) == []
    assert len(named) > 60
