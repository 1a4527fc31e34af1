"""Numbers of a body: what JSON Schema calls an integer is one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from msvs.api.contacts.imports import ImportContacts
from msvs.api.contacts.suppressions import ImportSuppressions
from msvs.api.errors import InvalidRequest
from msvs.http.body import convert, parse_body
from msvs.http.strict_json import parse_json


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


HEADERS = {b"content-type": b"application/json"}


def test_only_the_row_that_is_nested_too_deep_is_refused() -> None:
    for deep in (40, 31):
        row = b'{"phone": "+12125550162", "attributes": ' + b"[" * deep + b"]" * deep + b"}"
        body = b'{"contacts": [{"phone": "+12125550161"}, ' + row + b"]}"
        good, bad = convert(parse_body(body, HEADERS, ImportContacts), ImportContacts).contacts
        assert (good.phone, type(bad)) == ("+12125550161", InvalidRequest)


def test_entries_of_other_types_are_told_as_they_stand() -> None:
    body = b'{"phones": ["+12125550161", 5, null, {"a": [1.5]}]}'
    phones = convert(parse_body(body, HEADERS, ImportSuppressions), ImportSuppressions).phones
    assert phones == ["+12125550161", "5", "null", '{"a":[1.5]}']
