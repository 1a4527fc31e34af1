"""A field is declared once: what REST and GraphQL both take or show has one description, that of the field."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from graphql import GraphQLField, GraphQLInputObjectType, GraphQLObjectType, GraphQLUnionType, get_named_type

from msvs.fields import descriptions, request_fields
from msvs.graphql.schema import schema
from msvs.rest_compat.endpoint import Endpoint
from msvs.rest_compat.endpoints import ENDPOINTS
from scripts import parity

GRAPHQL = Path(__file__).parents[1] / "msvs" / "graphql"
# An input that no REST body has: its class is the one declaration.
OF_GRAPHQL_ALONE = {
    "ApiRequestFilter": "REST has no log of requests",
    "AuditFilter": "REST has no audit log",
    "PasskeyAnswerInput": "an API key has no passkey",
    "SignUpInput": "an API key has no user behind it",
}
# `field.name` → why the two fronts say different things of it.
DIFFERENT: Mapping[str, str] = {
    "consentHistory.phone": "GraphQL has the word `erased` where REST has a pseudonym",
    "createWebhook.events": "GraphQL's enum has no `*`: `everyEvent` stands for it",
    "updateWebhook.events": "GraphQL's enum has no `*`: `everyEvent` stands for it",
    "removeContactFromList.id": "GraphQL answers with the list, REST with the contact that left it",
    "messages.status": "GraphQL's enum has no `all`: `includeSkipped` stands for it",
}


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _roots() -> dict[str, GraphQLField]:
    roots = (schema._schema.query_type, schema._schema.mutation_type)
    return {name: field for root in roots if root is not None for name, field in root.fields.items()}


@cache
def _pairs() -> dict[str, Endpoint]:
    """The endpoint that does what a field of a root does: the one whose operations are most alike."""
    operations = set(parity.operations())
    of_field: dict[str, set[str]] = {}
    of_route: dict[str, set[str]] = {}
    for found, labels in ((of_field, parity.graphql()), (of_route, parity.rest())):
        for operation in operations & labels.keys():
            for label in labels[operation]:
                found.setdefault(label, set()).add(operation)
    routes = {f"{each.method} {each.path}": each for each in ENDPOINTS}
    pairs = {}
    for name in _roots():
        mine = of_field.get(name, set())
        alike = {label: len(mine & theirs) / len(mine | theirs) for label, theirs in of_route.items() if mine & theirs}
        best = [label for label, share in alike.items() if share == max(alike.values())]
        if len(best) == 1 and alike[best[0]] >= 0.5:
            pairs[name] = routes[best[0]]
    return pairs


def _taken(field: GraphQLField) -> Iterator[tuple[str, str | None]]:
    """Each argument of a field, and each field of its inputs, with what is said of it."""
    for name, argument in field.args.items():
        kind = get_named_type(argument.type)
        if isinstance(kind, GraphQLInputObjectType):
            yield from ((_snake(each), inner.description) for each, inner in kind.fields.items())
        else:
            yield _snake(name), argument.description


def _shown(field: GraphQLField) -> Iterator[tuple[str, str | None]]:
    """Each field of what a field answers where all goes well, or of the nodes of its page."""
    kind = get_named_type(field.type)
    for each in kind.types if isinstance(kind, GraphQLUnionType) else (kind,):
        if not isinstance(each, GraphQLObjectType) or each.name.endswith("Error"):
            continue
        node = get_named_type(each.fields["nodes"].type) if "nodes" in each.fields else each
        assert isinstance(node, GraphQLObjectType)
        yield from ((_snake(name), inner.description) for name, inner in node.fields.items())


def _differences() -> Iterator[str]:
    for name, endpoint in sorted(_pairs().items()):
        field = _roots()[name]
        asked = {
            told.encoded_name: told.description
            for struct in (endpoint.body, endpoint.query)
            for told in request_fields(struct)
            if told.description is not None
        }
        response = endpoint.response
        item = next((each for each in get_args(response) if isinstance(each, type)), response)
        answered = descriptions(item) if issubclass(item, msgspec.Struct) else {}
        for kind, said, theirs in (("takes", _taken(field), asked), ("shows", _shown(field), answered)):
            for each, text in said:
                key = f"{name}.{each}"
                plain = (text or "").removesuffix(" Cannot be null.")
                if plain != theirs.get(each, plain) and key not in DIFFERENT:
                    yield f"{key} {kind} {text!r}, {endpoint.operation_id} {theirs[each]!r}"


def test_the_fronts_say_one_thing_of_a_field() -> None:
    assert [*_differences()] == []


def test_most_routes_have_their_field() -> None:
    """The comparison above compares something."""
    assert len(_pairs()) >= 70


def test_inputs_are_made_of_requests() -> None:
    by_hand = {
        node.name
        for path in GRAPHQL.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
        and any("strawberry.input" in ast.unparse(decorator) for decorator in node.decorator_list)
    }
    assert by_hand == OF_GRAPHQL_ALONE.keys()


@pytest.mark.parametrize("name", sorted(DIFFERENT))
def test_an_exception_is_needed(name: str) -> None:
    field, _, told = name.partition(".")
    assert told in {each for each, _ in (*_taken(_roots()[field]), *_shown(_roots()[field]))}
