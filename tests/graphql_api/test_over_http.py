"""GraphQL over HTTP as clients of others speak it: GET, Accept, statuses, persisted queries, server-sent events."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from msvs.api.context import Context
from tests.graphql_api.conftest import Caller

GRAPHQL = "application/graphql-response+json"
JSON = "application/json"
EVENTS = "text/event-stream"
VIEWER = "{ viewer { livemode } }"
URQL = f"{GRAPHQL}, application/graphql+json, {JSON}, {EVENTS}, multipart/mixed"


def code_of(response: httpx.Response) -> str:
    code: str = response.json()["errors"][0]["extensions"]["code"]
    return code


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL, GRAPHQL),
        (URQL, GRAPHQL),
        (f"{GRAPHQL};q=0.5, {JSON}", JSON),
        (f"{GRAPHQL};q=0, */*", JSON),
        (f"{JSON};q=0, */*;q=0.1", GRAPHQL),
        (f"{JSON} ; charset=utf-8", JSON),
        (f"text/html, {GRAPHQL};q=0.001", GRAPHQL),
    ],
)
async def test_the_type_of_an_answer_is_negotiated(accept: str | None, answered: str, caller: Caller) -> None:
    headers = {} if accept is None else {"Accept": accept}
    response = await caller.http.post("/graphql", json={"query": VIEWER}, headers=headers)
    assert (response.status_code, response.headers["Content-Type"]) == (200, answered)
    assert response.headers["Vary"] == "accept"
    assert response.json()["data"] == {"viewer": {"livemode": False}}


@pytest.mark.parametrize("accept", ["text/html", f"{JSON};q=0", "*/*;q=0", "image/*, text/plain;q=1"])
async def test_an_answer_of_a_type_that_is_not_taken_is_406(accept: str, caller: Caller) -> None:
    response = await caller.http.post("/graphql", json={"query": VIEWER}, headers={"Accept": accept})
    assert (response.status_code, response.headers["Content-Type"]) == (406, JSON)
    assert code_of(response) == "not_acceptable"
    assert "data" not in response.json()


@pytest.mark.parametrize(
    "body",
    [
        {"query": "{"},
        {"query": "{ nonsense }"},
        {"query": "query ($id: ID!) { node(id: $id) { id } }"},
        {"query": "query ($id: ID!) { node(id: $id) { id } }", "variables": {"id": {"a": 1}}},
        {"query": f"query A {VIEWER}", "operationName": "B"},
    ],
)
@pytest.mark.parametrize(("accept", "status"), [(JSON, 200), (GRAPHQL, 400)])
async def test_a_request_error_has_no_data_and_the_status_of_its_type(
    accept: str, status: int, body: dict[str, Any], caller: Caller
) -> None:
    response = await caller.http.post("/graphql", json=body, headers={"Accept": accept})
    assert (response.status_code, response.headers["Content-Type"]) == (status, accept)
    assert response.json().keys() <= {"errors", "extensions"}


async def test_a_query_may_be_asked_for_by_get(caller: Caller) -> None:
    query = "query Who($skipped: Boolean!) { viewer { livemode actor @skip(if: $skipped) } }"
    asked = {"query": query, "variables": json.dumps({"skipped": True}), "operationName": "Who", "extensions": ""}
    response = await caller.http.get("/graphql", params=asked)
    assert response.status_code == 200
    assert response.json()["data"] == {"viewer": {"livemode": False}}
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-RateLimit-Remaining"] == "199"


async def test_a_mutation_by_get_changes_nothing(caller: Caller, ctx: Context) -> None:
    made = 'mutation { createList(name: "A") { __typename } }'
    response = await caller.http.get("/graphql", params={"query": made})
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert code_of(response) == "method_not_allowed"
    assert (await caller.run("{ contactLists { totalCount } }")) == {"contactLists": {"totalCount": 0}}


async def test_a_query_by_get_needs_what_a_posted_one_does(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.get("/graphql", params={"query": VIEWER})
    assert (response.status_code, code_of(response)) == (401, "api_key_missing")
    foreign = await anonymous.get("/graphql", params={"query": VIEWER}, headers={"Origin": "https://evil.example"})
    assert (foreign.status_code, code_of(foreign)) == (403, "origin_refused")


@pytest.mark.parametrize("by_get", [False, True])
async def test_a_hash_in_place_of_a_document_makes_clients_send_it(by_get: bool, caller: Caller) -> None:
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": "ab" * 32}}
    if by_get:
        response = await caller.http.get("/graphql", params={"extensions": json.dumps(extensions)})
    else:
        response = await caller.http.post("/graphql", json={"extensions": extensions})
    (error,) = response.json()["errors"]
    assert (response.status_code, error["message"]) == (200, "PersistedQueryNotSupported")
    assert error["extensions"]["code"] == "persisted_query_not_supported"
    again = await caller.http.post("/graphql", json={"query": VIEWER, "extensions": extensions})
    assert again.json()["data"] == {"viewer": {"livemode": False}}


@pytest.mark.parametrize("by_get", [False, True])
async def test_a_login_by_hash_is_asked_for_its_document(by_get: bool, anonymous: httpx.AsyncClient) -> None:
    asked = {"operationName": "LogIn", "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "ab" * 32}}}
    if by_get:
        response = await anonymous.get("/graphql", params={"extensions": json.dumps(asked["extensions"])})
    else:
        response = await anonymous.post("/graphql", json=asked)
    (error,) = response.json()["errors"]
    assert (response.status_code, error["message"]) == (200, "PersistedQueryNotSupported")
    refused = await anonymous.post("/graphql", json={"query": VIEWER, **asked})
    assert (refused.status_code, code_of(refused)) == (401, "api_key_missing")


async def test_an_empty_list_stands_for_no_variables(caller: Caller) -> None:
    response = await caller.http.post("/graphql", json={"query": VIEWER, "variables": [], "extensions": []})
    assert response.json()["data"] == {"viewer": {"livemode": False}}


@pytest.mark.parametrize("by_get", [False, True])
async def test_events_are_sent_on_a_connection_for_each_operation(by_get: bool, caller: Caller) -> None:
    headers = {"Accept": EVENTS}
    if by_get:
        response = await caller.http.get("/graphql", params={"query": VIEWER}, headers=headers)
    else:
        response = await caller.http.post("/graphql", json={"query": VIEWER}, headers=headers)
    assert (response.status_code, response.headers["Content-Type"]) == (200, EVENTS)
    first, last = response.text.strip().split("\n\n")
    assert first.startswith("event: next\ndata: ")
    assert json.loads(first.partition("data: ")[2])["data"] == {"viewer": {"livemode": False}}
    assert last == "event: complete\ndata:"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/graphql", "/graphql/stream"])
async def test_one_connection_for_many_operations_is_refused(method: str, path: str, caller: Caller) -> None:
    """graphql-sse's single connection mode reserves a stream with PUT, and ends an operation of it with DELETE."""
    headers = {"Accept": EVENTS}
    response = await caller.http.request(method, path, params={"operationId": "1"}, headers=headers)
    assert (response.status_code, code_of(response)) == (405, "method_not_allowed")


async def test_no_rows_may_be_asked_for(caller: Caller) -> None:
    await caller.run('mutation { createList(name: "A") { __typename } }')
    page = "{ nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor } totalCount }"
    found = await caller.run(f"{{ a: contactLists(first: 0) {page} b: contactLists(last: 0) {page} }}")
    assert [found[each]["nodes"] for each in "ab"] == [[], []]
    assert (found["a"]["pageInfo"]["hasNextPage"], found["b"]["pageInfo"]["hasPreviousPage"]) == (True, True)
    assert found["a"]["totalCount"] == 1


async def test_what_is_deleted_is_named_for_relay(caller: Caller) -> None:
    made = await caller.run('mutation { createList(name: "A") { ... on ContactList { id } } }')
    gone = "mutation ($id: ID!) { deleteList(id: $id) { ... on Deleted { id deletedId } } }"
    id = made["createList"]["id"]
    assert (await caller.run(gone, {"id": id}))["deleteList"] == {"id": id, "deletedId": id}
