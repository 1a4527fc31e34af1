"""Numbers of a body: what JSON Schema calls an integer is one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from msvs.http.body import parse_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20", 20),
        ("20.0", 20),
        ("2e1", 20),
        ("-0.0", 0),
        ("9007199254740992.0", 2**53),
        ("20.5", 20.5),
        ("9007199254740994.0", 9007199254740994.0),
        ("1e300", 1e300),
    ],
)
def test_a_number_without_a_fraction_is_an_integer(text: str, value: Any) -> None:
    found = parse_json(b'{"n": %s}' % text.encode())["n"]
    assert (found, type(found)) == (value, type(value))


async def test_an_integer_may_be_written_with_a_zero_fraction(api: httpx.AsyncClient) -> None:
    draft = {"body": "Doors open", "audience": {"contact_ids": []}, "rate_per_minute": 60.0}
    response = await api.post("/v1/campaigns/preview", json=draft)
    assert response.json()["error"]["param"] == "audience"
    draft["rate_per_minute"] = 60.5
    response = await api.post("/v1/campaigns/preview", json=draft)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "parameter_invalid", "rate_per_minute")
