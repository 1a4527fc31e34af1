"""No operation reads or changes, with any ids, what belongs to another mode or another workspace."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from graphql import get_named_type, is_input_object_type
from starlette.applications import Starlette

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.dispatch.senders import add_sender
from msvs.api.limits import Limiter
from msvs.api.settings_of_mode import find_settings
from msvs.database import execute, fetch, fetch_value
from msvs.graphql.context import RequestContext
from msvs.graphql.documents import Document, Documents
from msvs.graphql.operations import Operation as Asked
from msvs.graphql.schema import DOCUMENT, schema
from msvs.models import Role, Workspace
from tests import factories
from tests.graphql_api.conftest import Callers
from tests.graphql_api.operations import Operation
from tests.graphql_api.studio import make_member, make_studio
from tests.graphql_api.test_operations import DOCUMENTS, EVERY_OPERATION
from tests.services import SERVICES

# What both modes of a workspace share.
SHARED = ("workspace", "sender", "owner", "member", "invitation", "audit_entry")
# For who has a session, which `test_accounts.py` has.
OF_SESSIONS = {
    *("endSession", "renamePasskey", "removePasskey"),
    *("transferOwnership", "cancelWorkspaceDeletion", "leaveWorkspace"),
}
# Where an answer repeats what it was asked.
ECHOES = ("message", "notFound")
TABLES = """
SELECT table_name AS name FROM information_schema.columns
JOIN pg_class ON relname = table_name AND relkind IN ('r', 'p') AND NOT relispartition
WHERE table_schema = 'public' AND column_name = ANY($1) GROUP BY table_name HAVING count(*) = cardinality($1)
ORDER BY table_name
"""
OF_LISTS = "list_id IN (SELECT id FROM contact_lists WHERE workspace_id = $1 AND livemode = $2)"


def takes_id(kind: Any) -> bool:
    """Whether an id stands somewhere in an input."""
    named = get_named_type(kind)
    if is_input_object_type(named):
        return any(takes_id(field.type) for field in named.fields.values())
    return bool(named.name == "ID")


def text_of(operation: Operation) -> str:
    return (DOCUMENTS / f"{operation.name}.graphql").read_text()


def read(text: str) -> Document:
    return Documents(schema._schema, introspection=False).read(text)


def root_fields(text: str) -> list[str]:
    """The names of the fields of an operation."""
    document = read(text)
    return [each.name.value for each in Asked(text, document, document.operation(None), {}).root_fields()]


async def rows_of(ctx: Context, *, shared: bool) -> str:
    """A digest of all rows of a workspace and mode, and of those that both modes share."""
    found = [
        (row.name, "workspace_id = $1 AND livemode = $2") for row in await fetch(TABLES, ["workspace_id", "livemode"])
    ]
    if shared:
        found += [(row.name, "workspace_id = $1") for row in await fetch(TABLES, ["workspace_id"])]
    digests = [
        f"(SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {name} AS t WHERE {condition})"
        for name, condition in [*found, ("list_members", OF_LISTS)]
    ]
    sql = f"SELECT array_to_json(ARRAY[{', '.join(digests)}])::text"
    return str(await fetch_value(sql, ctx.workspace_id, ctx.livemode))


def told(answer: Any) -> Any:
    """An answer without what only repeats the request."""
    if isinstance(answer, dict):
        return {name: told(each) for name, each in answer.items() if name not in ECHOES or isinstance(each, dict)}
    return [told(each) for each in answer] if isinstance(answer, list) else answer


async def answer_of(ctx: Context, document: str, variables: dict[str, Any]) -> Any:
    """What an operation answers, its errors among it."""
    result = await schema.execute(
        document, variables, RequestContext(ctx, Limiter(None)), operation_extensions={DOCUMENT: read(document).node}
    )
    return [result.data, [getattr(error.original_error, "code", str(error)) for error in result.errors or ()]]


def test_every_field_that_takes_an_id_is_asked() -> None:
    asked = {name for operation in EVERY_OPERATION for name in root_fields(text_of(operation))}
    taking = {
        name
        for root in (schema._schema.query_type, schema._schema.mutation_type)
        if root is not None
        for name, field in root.fields.items()
        if any(takes_id(argument.type) for argument in field.args.values())
    }
    assert taking - asked == OF_SESSIONS


async def test_nothing_is_read_or_changed_from_outside(
    app: Starlette, ctx: Context, workspace: Workspace, other_ctx: Context
) -> None:
    studio = await make_studio(ctx, workspace)
    eva = await make_member(await Workspace.get(id=other_ctx.workspace_id), "Eva", Role.OWNER)
    live = replace(ctx, livemode=True, actor=studio.owner, role=Role.OWNER)
    other = replace(other_ctx, actor=ids.encode_id(ids.USER, eva.id), role=Role.OWNER)
    owned = {name: id for name, id in asdict(studio).items() if name not in SHARED}
    # The other workspace goes first: it must not change what both modes share, either.
    for outsider, hidden in ((other, asdict(studio)), (live, owned)):
        before = await rows_of(ctx, shared=outsider is other)
        for operation in EVERY_OPERATION:
            answer = json.dumps(told(await answer_of(outsider, text_of(operation), operation.variables(studio))))
            assert [name for name, id in hidden.items() if id in answer] == [], f"{operation.name}: {answer}"
            assert await rows_of(ctx, shared=outsider is other) == before, operation.name


# What both modes share, but for the sandbox's own settings and the mark of its clock.
SHARED_ROWS = """
SELECT json_build_array(
    (SELECT jsonb_agg(to_jsonb(t) - 'sandbox_settings' - 'has_test_clock' ORDER BY id) FROM workspaces AS t),
    (SELECT jsonb_agg(to_jsonb(t) ORDER BY workspace_id) FROM credit_balances AS t),
    (SELECT jsonb_agg(to_jsonb(t) ORDER BY id) FROM senders AS t),
    (SELECT jsonb_agg(to_jsonb(t) ORDER BY id) FROM memberships AS t),
    (SELECT jsonb_agg(to_jsonb(t) ORDER BY id) FROM invitations AS t)
)::text
"""


@pytest.mark.parametrize("livemode", [True, False])
async def test_a_sandbox_key_changes_nothing_that_live_obeys(
    app: Starlette,
    ctx: Context,
    live_ctx: Context,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    livemode: bool,
) -> None:
    """Try the ids of live and those of the sandbox."""
    monkeypatch.setattr(SERVICES.carriers, "live", "virtual")
    studio = await make_studio(live_ctx if livemode else ctx, workspace)
    await factories.make_contact(live_ctx, "+12125550111")
    key = replace(ctx, actor=studio.api_key)
    before = await rows_of(live_ctx, shared=False), await fetch_value(SHARED_ROWS)
    for operation in EVERY_OPERATION:
        await answer_of(key, text_of(operation), operation.variables(studio))
        assert (await rows_of(live_ctx, shared=False), await fetch_value(SHARED_ROWS)) == before, operation.name
    assert (await find_settings(ctx)).timezone == "America/New_York"
    assert (await find_settings(live_ctx)).timezone == "UTC"


async def test_a_key_without_the_scope_learns_which_one_is_missing(callers: Callers, ctx: Context) -> None:
    caller = await callers(ctx)
    await execute("UPDATE api_keys SET scopes = '[\"messages:send\"]'")
    answer = await caller.run(
        'mutation { updateWorkspace(input: {timezone: "America/New_York"})'
        " { __typename ... on Error { code message } } }"
    )
    found = answer["updateWorkspace"]
    assert (found["__typename"], found["code"]) == ("PermissionError", "scope_missing")
    assert "settings:write" in found["message"]
    assert (await find_settings(ctx)).timezone == "UTC"
    sent = await caller.run('mutation { sendMessage(input: {to: "+12125550111", body: "Hi"}) { __typename } }')
    assert sent["sendMessage"]["__typename"] == "Message"


async def test_the_sender_of_another_is_no_default(callers: Callers, live_ctx: Context, other_ctx: Context) -> None:
    await add_sender(SERVICES, other_ctx.workspace_id, "COHORTLABS")
    caller = await callers(live_ctx)
    for sender in ("COHORTLABS", "C0HORTLABS", "MASSlVESMS"):
        answer = await caller.run(
            "mutation ($input: UpdateWorkspaceInput!) { updateWorkspace(input: $input)"
            " { __typename ... on Error { code param } } }",
            {"input": {"defaultSender": sender}},
        )
        assert answer["updateWorkspace"] == {
            "__typename": "ComplianceError",
            "code": "sender_not_allowed",
            "param": "defaultSender",
        }
    assert (await find_settings(live_ctx)).default_sender == "MASSIVESMS"
