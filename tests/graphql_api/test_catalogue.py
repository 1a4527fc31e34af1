"""The catalogue of errors over GraphQL: all of it, and for every caller."""

from __future__ import annotations

from msvs.api.catalogue import ERRORS, FAILURE_CODES
from tests.graphql_api.conftest import Caller

CATALOGUE = "{ errorCatalogue { errors { code type types statuses isGraphqlOnly } failures { code action } } }"


async def test_every_code_is_reported(caller: Caller) -> None:
    found = (await caller.run(CATALOGUE))["errorCatalogue"]
    assert [row["code"] for row in found["errors"]] == list(ERRORS)
    assert {row["code"]: row["action"] for row in found["failures"]} == {
        row.code: row.action for row in FAILURE_CODES.values()
    }
    rows = {row["code"]: row for row in found["errors"]}
    assert rows["api_key_revoked"] == {
        "code": "api_key_revoked",
        "type": "authentication_error",
        "types": ["authentication_error", "conflict_error"],
        "statuses": [401, 409],
        "isGraphqlOnly": False,
    }
    assert rows["idempotency_key_in_use"]["types"] == ["idempotency_error"]
    assert rows["password_weak"]["isGraphqlOnly"] is True


async def test_a_stranger_is_told_only_to_log_in(caller: Caller) -> None:
    response = await caller.http.post("/graphql", json={"query": CATALOGUE}, headers={"Authorization": ""})
    assert response.status_code == 401
    assert "data" not in response.json()
