"""What /graphql serves in development and in production."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from graphql import get_introspection_query
from starlette.applications import Starlette

from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.app import create_app
from msvs.graphql.documents import MAX_KEPT, Documents
from msvs.graphql.endpoint import ASSETS
from msvs.graphql.limits import DocumentRefused
from msvs.graphql.schema import schema
from tests.apps import BASE_URL, settings_for
from tests.engines import Engines
from tests.graphql_api.conftest import Caller
from tests.services import SERVICES


@pytest.fixture
async def production(database: str, engines: Engines, ctx: Context, tmp_path: Path) -> AsyncIterator[Caller]:
    """A client of an application in production."""
    app: Starlette = create_app(settings_for(database, engines, tmp_path, environment="production"), SERVICES)
    _, key = await create_key(ctx.workspace_id, livemode=False)
    headers = {"Authorization": f"Bearer {key}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers) as client:
        yield Caller(client)
    await app.state.limiter.close()
    await app.state.readiness.close()


async def test_production_neither_introspects_nor_serves_graphiql(production: Caller) -> None:
    assert await production.run("{ viewer { livemode __typename } }") == {
        "viewer": {"livemode": False, "__typename": "Viewer"}
    }
    for query in ("{ __schema { types { name } } }", '{ __type(name: "Message") { name } }'):
        response = await production.post(query)
        assert response.status_code == 200
        assert response.json()["errors"][0]["extensions"]["code"] == "introspection_off"
    page = await production.http.get("/graphql")
    assert (page.status_code, page.headers["content-type"]) == (400, "application/json")
    assert page.json()["errors"][0]["extensions"]["code"] == "parameter_missing"
    assert (await production.http.get("/graphql/static/page.js")).status_code == 404


async def test_development_introspects(caller: Caller) -> None:
    data = await caller.run(get_introspection_query())
    assert {"Message", "Campaign"} <= {each["name"] for each in data["__schema"]["types"]}


async def test_graphiql_loads_nothing_from_elsewhere(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.get("/graphql")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.text
    for name in ASSETS:
        assert (await anonymous.get(f"/graphql/static/{name}")).status_code == 200
    for name in ("graphiql.html", "..%2ffront.py", "nothing.js"):
        assert (await anonymous.get(f"/graphql/static/{name}")).status_code == 404


async def test_the_answer_may_be_of_graphqls_own_type(caller: Caller) -> None:
    response = await caller.http.post(
        "/graphql",
        json={"query": "{ viewer { livemode } }"},
        headers={"Accept": "application/graphql-response+json, application/json;q=0.9"},
    )
    assert response.headers["content-type"] == "application/graphql-response+json"
    assert response.headers["x-ratelimit-limit"] == "100"


REFUSED = (
    ({"query": "{"}, "document_invalid", 200),
    ({"query": "{ nonsense }"}, "document_invalid", 200),
    ({"query": "query ($id: ID!) { node(id: $id) { id } }"}, "variables_invalid", 200),
    ({"query": "query ($id: ID!) { node(id: $id) { id } }", "variables": {"id": []}}, "variables_invalid", 200),
    ({"query": "{ viewer { livemode } }", "operationName": "B"}, "document_invalid", 200),
    ({"query": "subscription { messageUpdated { id } }"}, "document_invalid", 200),
    ({}, "parameter_missing", 400),
    ({"query": 1}, "parameter_invalid", 400),
)


@pytest.mark.parametrize(
    "accept", ["application/json", "*/*", "application/json, application/graphql-response+json;q=0"]
)
@pytest.mark.parametrize(("body", "code", "status"), REFUSED)
async def test_what_is_wrong_in_a_document_is_answered_as_json(
    caller: Caller, accept: str, body: dict[str, object], code: str, status: int
) -> None:
    response = await caller.http.post("/graphql", json=body, headers={"Accept": accept})
    answer = response.json()
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
    assert "data" not in answer
    assert {entry["extensions"]["code"] for entry in answer["errors"]} == {code}


@pytest.mark.parametrize(("body", "code", "_status"), REFUSED)
async def test_what_is_wrong_in_a_document_is_400_in_graphqls_own_type(
    caller: Caller, body: dict[str, object], code: str, _status: int
) -> None:
    accept = "application/graphql-response+json; charset=utf-8, application/json;q=0.9"
    response = await caller.http.post("/graphql", json=body, headers={"Accept": accept})
    answer = response.json()
    assert (response.status_code, response.headers["content-type"]) == (400, "application/graphql-response+json")
    assert "data" not in answer
    assert {entry["extensions"]["code"] for entry in answer["errors"]} == {code}


@pytest.mark.parametrize("path", ["/graphql", "/graphql/stream"])
@pytest.mark.parametrize("accept", ["text/html", "*/*;q=0", "image/*", "application/json; charset=utf-16"])
async def test_an_answer_that_is_not_accepted_is_406(caller: Caller, path: str, accept: str) -> None:
    response = await caller.http.post(path, json={"query": "{ viewer { livemode } }"}, headers={"Accept": accept})
    (entry,) = response.json()["errors"]
    assert (response.status_code, response.headers["content-type"]) == (406, "application/json")
    assert entry["extensions"]["code"] == "not_acceptable"


async def test_an_operation_is_chosen_by_name(caller: Caller) -> None:
    two = "query A { viewer { livemode } } query B { viewer { actor } }"
    assert list((await caller.run(two, operationName="A"))["viewer"]) == ["livemode"]
    assert list((await caller.run(two, operationName="B"))["viewer"]) == ["actor"]


def test_documents_are_kept_within_bounds() -> None:
    documents = Documents(schema._schema, introspection=False)
    first = documents.read("{ viewer { livemode } }")
    assert documents.read("{ viewer { livemode } }") is first
    for number in range(MAX_KEPT):
        documents.read(f"query Q{number} {{ viewer {{ livemode }} }}")
    assert len(documents._kept) == MAX_KEPT
    assert documents.read("{ viewer { livemode } }") is not first
    with pytest.raises(DocumentRefused):
        documents.read("{ nonsense }")
    assert len(documents._kept) == MAX_KEPT
