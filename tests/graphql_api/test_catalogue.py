"""What is the same for all workspaces: every code of errors, and every region."""

from __future__ import annotations

import phonenumbers

from msvs.api.catalogue import ERRORS, FAILURE_CODES
from msvs.api.text.compliance import ALWAYS_BLOCKED, OFF_UNTIL_ENABLED
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


REGIONS = """{ regions {
    code callingCode mainRegion isBlocked isOffUntilEnabled closedWeekdays isClosedOnHolidays hoursSource
    weekdayHours { opens closes } weekendHours { opens closes }
} }"""


async def test_every_region_tells_what_is_sent_there_and_when(caller: Caller) -> None:
    rows = (await caller.run(REGIONS))["regions"]
    assert [row["code"] for row in rows] == sorted(phonenumbers.SUPPORTED_REGIONS)
    assert {row["code"] for row in rows if row["isBlocked"]} == ALWAYS_BLOCKED & phonenumbers.SUPPORTED_REGIONS
    assert {row["code"] for row in rows if row["isOffUntilEnabled"]} == OFF_UNTIL_ENABLED
    by_code = {row["code"]: row for row in rows}
    # A dependency follows its country; what shares a code by treaty does not.
    assert [by_code[code]["mainRegion"] for code in ("GG", "GB", "CA", "US", "KZ")] == ["GB", None, None, None, None]
    canada, france = by_code["CA"], by_code["FR"]
    assert canada["weekdayHours"] == {"opens": "09:00", "closes": "21:30"}
    assert canada["weekendHours"] == {"opens": "10:00", "closes": "18:00"}
    assert (france["closedWeekdays"], france["isClosedOnHolidays"]) == ([6], True)
    assert "CRTC" in canada["hoursSource"]


async def test_a_stranger_is_told_only_to_log_in(caller: Caller) -> None:
    response = await caller.http.post("/graphql", json={"query": CATALOGUE}, headers={"Authorization": ""})
    assert response.status_code == 401
    assert "data" not in response.json()
