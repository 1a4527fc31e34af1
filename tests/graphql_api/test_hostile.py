"""Bad input is refused cheaply, in JSON, and never with a 5xx."""

from __future__ import annotations

import json

import httpx

from msvs.database import fetch_value
from tests.graphql_api.conftest import Caller
from tests.graphql_api.hostile import HOSTILE

GRAPHQL = "application/graphql-response+json"


async def test_hostile_requests_are_refused(caller: Caller) -> None:
    outcomes = {}
    for hostile in HOSTILE:
        response = await caller.http.request(
            hostile.method, hostile.path, content=hostile.body, headers={"accept": GRAPHQL, **hostile.headers}
        )
        answer = json.loads(response.content)
        entries = answer["errors"]
        assert "data" not in answer, hostile.name
        assert response.headers["content-type"] == GRAPHQL, hostile.name
        assert {entry["extensions"]["requestId"] for entry in entries} == {response.headers["x-request-id"]}
        outcomes[hostile.name] = (response.status_code, *{entry["extensions"]["code"] for entry in entries})
    assert outcomes == {hostile.name: (hostile.status, hostile.code) for hostile in HOSTILE}
    assert await fetch_value("SELECT count(*) FROM api_keys") == 1


async def test_what_is_refused_is_not_free(caller: Caller) -> None:
    response = await caller.post("{ nonsense }")
    assert response.headers["x-ratelimit-remaining"] == "199"


async def test_a_stranger_is_refused_before_the_body_is_read(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.post("/graphql", content=b"not JSON at all")
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert response.json()["errors"][0]["extensions"]["code"] == "api_key_missing"
