"""Operations that are kept on the server are run by their ids; in production no others are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.app import create_app
from msvs.settings import SettingsError
from tests.apps import BASE_URL, settings_for
from tests.engines import Engines
from tests.graphql_api.browser import DOCUMENTS
from tests.services import SERVICES

KEPT = {
    "who": "{ viewer { livemode } }",
    "node": "query Node($id: ID!) { node(id: $id) { id } }",
    "introspects": "{ __typename }",
}
Clients = Callable[[str, bool], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def clients(database: str, engines: Engines, ctx: Context, tmp_path: Path) -> AsyncIterator[Clients]:
    """`await clients(environment, kept)`: a client of an application with or without operations kept."""
    path = tmp_path / "operations.json"
    path.write_text(json.dumps(KEPT))
    async with AsyncExitStack() as stack:

        async def make(environment: str, kept: bool) -> httpx.AsyncClient:
            more = {"persisted_operations": path} if kept else {}
            app = create_app(settings_for(database, engines, tmp_path, environment=environment, **more), SERVICES)
            stack.push_async_callback(app.state.limiter.close)
            stack.push_async_callback(app.state.readiness.close)
            _, key = await create_key(ctx.workspace_id, livemode=False)
            headers = {"Authorization": f"Bearer {key}"}
            return await stack.enter_async_context(
                httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL, headers=headers)
            )

        yield make


BY_ID = {"id": "who"}
BY_DOCUMENT = {"query": KEPT["who"]}


@pytest.mark.parametrize(
    ("environment", "kept", "body", "code"),
    [
        ("production", True, BY_ID, None),
        ("production", True, BY_DOCUMENT, "operation_not_kept"),
        ("production", True, {"id": "nothing"}, "operation_unknown"),
        ("production", True, {"id": ""}, "operation_unknown"),
        ("production", True, {**BY_ID, **BY_DOCUMENT}, "parameter_invalid"),
        ("production", True, {"id": 1}, "parameter_invalid"),
        ("production", True, {}, "parameter_missing"),
        ("production", True, {"id": "node"}, "variables_invalid"),
        ("production", True, {"id": "node", "variables": {"id": "con_1"}}, None),
        ("production", False, BY_DOCUMENT, None),
        ("production", False, BY_ID, "operation_unknown"),
        ("development", True, BY_ID, None),
        ("development", True, BY_DOCUMENT, None),
    ],
)
async def test_what_is_run(
    environment: str, kept: bool, body: dict[str, Any], code: str | None, clients: Clients
) -> None:
    client = await clients(environment, kept)
    for path in ("/graphql", "/graphql/stream"):
        response = await client.post(
            path, json=body, headers={"Accept": "application/graphql-response+json, */*;q=0.1"}
        )
        answer = response.json()
        if code is not None:
            if path == "/graphql" or code != "variables_invalid":
                assert (response.status_code, answer["errors"][0]["extensions"]["code"]) == (400, code)
        elif path == "/graphql":
            assert (response.status_code, "errors" in answer) == (200, False)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"a": 1}', '{"a": "{ nonsense }"}', '{"a": "{"}', '{"a": "{ __schema { types { name } } }"}']
)
def test_a_file_that_cannot_be_run_is_refused_at_the_start(
    text: str, database: str, engines: Engines, tmp_path: Path
) -> None:
    path = tmp_path / "operations.json"
    path.write_text(text)
    settings = settings_for(database, engines, tmp_path, environment="production", persisted_operations=path)
    with pytest.raises(SettingsError, match="MSVS_PERSISTED_OPERATIONS"):
        create_app(settings, SERVICES)


def test_all_documents_can_be_kept(database: str, engines: Engines, tmp_path: Path) -> None:
    path = tmp_path / "operations.json"
    path.write_text(json.dumps({each.stem: each.read_text() for each in DOCUMENTS.glob("*.graphql")}))
    assert create_app(settings_for(database, engines, tmp_path, persisted_operations=path), SERVICES)
