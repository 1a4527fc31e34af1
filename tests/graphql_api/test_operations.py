"""Every operation of docs/graphql runs, answers what it should, and takes a fixed number of SQL statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from graphql import FieldNode, OperationDefinitionNode, parse

from msvs import database as db
from msvs.api import ids
from msvs.api.accounts import auth
from msvs.api.context import Context
from msvs.api.limits import Limiter
from msvs.api.permissions import may
from msvs.graphql.context import RequestContext
from msvs.graphql.documents import Documents
from msvs.graphql.permissions import FOR_PEOPLE, MUTATIONS
from msvs.graphql.schema import DOCUMENT, schema
from msvs.models import Role
from tests import factories
from tests.graphql_api.conftest import Caller, Callers
from tests.graphql_api.consent_operations import CONSENT_OPERATIONS
from tests.graphql_api.inbox_operations import INBOX_OPERATIONS
from tests.graphql_api.operations import OPERATIONS, RUN_ELSEWHERE, Operation
from tests.graphql_api.studio import make_studio
from tests.graphql_api.test_strange_values import document_of, value_of
from tests.services import SERVICES

DOCUMENTS = Path(__file__).parents[2] / "docs" / "graphql"
EVERY_OPERATION = (*OPERATIONS, *INBOX_OPERATIONS, *CONSENT_OPERATIONS)


@contextmanager
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements run meanwhile, those that find out who is asking left out."""
    run: list[str] = []
    execute = asyncpg.Connection._execute

    async def note(self: Any, query: str, *args: Any, **more: Any) -> Any:
        # Nor those that a new connection of the pool begins with.
        if query not in (auth.FIND_API_KEY, auth.TOUCH, db.SET_LIMITS):
            run.append(query)
        return await execute(self, query, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "_execute", note)
        yield run


def at(data: Any, path: str) -> Any:
    """What stands at a dotted path."""
    for part in path.split("."):
        data = data[int(part)] if isinstance(data, list) else data[part]
    return data


async def run_as(ctx: Context, document: str, variables: dict[str, Any]) -> Any:
    """The data of an operation that a user runs."""
    node = Documents(schema._schema, introspection=False).read(document).node
    result = await schema.execute(
        document, variables, RequestContext(ctx, Limiter(None)), operation_extensions={DOCUMENT: node}
    )
    assert result.errors is None
    return result.data


async def test_a_key_manages_no_members(caller: Caller, ctx: Context) -> None:
    document = (DOCUMENTS / "InviteMember.graphql").read_text()
    refused = await caller.run(document, {"email": "eva@cohortlabs.co", "role": "MEMBER"})
    assert (refused["inviteMember"]["__typename"], refused["inviteMember"]["code"]) == (
        "PermissionError",
        "permission_denied",
    )
    answer = (await caller.post("{ members { id } }")).json()
    assert answer["errors"][0]["extensions"]["code"] == "permission_denied"


def test_every_mutation_asks_for_a_permission() -> None:
    mutation = schema._schema.mutation_type
    assert mutation is not None
    assert MUTATIONS.keys() | FOR_PEOPLE == mutation.fields.keys()
    assert not MUTATIONS.keys() & FOR_PEOPLE


@pytest.mark.parametrize("role", Role)
async def test_a_role_does_what_it_may(role: Role, ctx: Context) -> None:
    as_role = replace(ctx, actor=ids.encode_id(ids.USER, ids.new_id()), role=role)
    refused = set()
    mutation = schema._schema.mutation_type
    assert mutation is not None
    for name, field in mutation.fields.items():
        variables = {key: value_of(argument.type, 1, []) for key, argument in field.args.items()}
        document = document_of("mutation", name, field).replace("{ __typename }", "{ ... on PermissionError { code } }")
        if (await run_as(as_role, document, variables))[name].get("code") == "permission_denied":
            refused.add(name)
    assert {name for name, permission in MUTATIONS.items() if not may(role, permission)} <= refused


def test_every_document_is_run() -> None:
    assert sorted(path.stem for path in DOCUMENTS.glob("*.graphql")) == sorted(
        [*(each.name for each in EVERY_OPERATION), *RUN_ELSEWHERE]
    )


def test_every_field_of_the_roots_has_a_document() -> None:
    documents = [parse(path.read_text()) for path in DOCUMENTS.glob("*.graphql")]
    asked = {
        selection.name.value
        for document in documents
        for definition in document.definitions
        if isinstance(definition, OperationDefinitionNode)
        for selection in definition.selection_set.selections
        if isinstance(selection, FieldNode)
    }
    roots = (schema._schema.query_type, schema._schema.mutation_type, schema._schema.subscription_type)
    assert {name for root in roots if root is not None for name in root.fields} - asked == set()


@pytest.mark.parametrize("operation", EVERY_OPERATION, ids=lambda operation: operation.name)
async def test_operation(operation: Operation, callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    # A workspace of its own, in place of empty tables, which take longer.
    workspace = await factories.make_workspace()
    ctx = Context(workspace.id, livemode=False, actor="test", services=SERVICES)
    studio = await make_studio(ctx, workspace)
    document = (DOCUMENTS / f"{operation.name}.graphql").read_text()
    variables = operation.variables(studio)
    caller = await callers(ctx)
    with statements(monkeypatch) as run:
        if operation.by_owner:
            owner = replace(ctx, actor=studio.owner, role=Role.OWNER)
            data = await run_as(owner, document, variables)
        else:
            data = await caller.run(document, variables)
    assert {path: at(data, path) for path in operation.answers(studio)} == operation.answers(studio)
    assert len(run) == operation.statements, "\n".join(run)
