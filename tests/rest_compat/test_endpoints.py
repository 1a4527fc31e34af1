"""The table of endpoints as a whole."""

from __future__ import annotations

from collections import Counter

import httpx
import msgspec
import pytest

from msvs.api.ids import encode_id, new_id
from msvs.rest_compat.endpoint import Endpoint
from msvs.rest_compat.endpoints import ENDPOINTS

DOCUMENT_ROUTES = """
POST /v1/messages
GET /v1/messages/{id}
GET /v1/messages
POST /v1/messages/{id}/cancel
POST /v1/campaigns
GET /v1/campaigns/{id}
GET /v1/campaigns
POST /v1/campaigns/{id}/cancel
POST /v1/contacts
GET /v1/contacts/{id}
POST /v1/contacts/{id}
DELETE /v1/contacts/{id}
GET /v1/contacts
POST /v1/contacts/{id}/opt_out
POST /v1/lists
POST /v1/lists/{id}/contacts
DELETE /v1/lists/{id}/contacts/{contact_id}
GET /v1/lists
GET /v1/credits
POST /v1/webhooks
"""

PREFIXES = {"messages": "msg", "campaigns": "cmp", "contacts": "con", "lists": "lst", "segments": "seg"} | {
    "webhooks": "whk",
    "events": "evt",
    "inbound": "inb",
}


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def url(endpoint: Endpoint) -> str:
    prefix = PREFIXES.get(endpoint.path.split("/")[2], "")
    id, contact_id = encode_id(prefix, new_id()), encode_id("con", new_id())
    return endpoint.path.replace("{id}", id).replace("{contact_id}", contact_id)


def test_every_route_of_the_document_is_there() -> None:
    assert set(DOCUMENT_ROUTES.split("\n")) - {""} <= {name(endpoint) for endpoint in ENDPOINTS}


def test_names_are_unique_and_summaries_are_written() -> None:
    for values in (map(name, ENDPOINTS), (endpoint.operation_id for endpoint in ENDPOINTS)):
        assert max(Counter(values).values()) == 1
    assert all(endpoint.summary and not endpoint.summary.endswith(".") for endpoint in ENDPOINTS)


def test_every_shape_can_be_described() -> None:
    shapes = [shape for endpoint in ENDPOINTS for shape in (endpoint.body, endpoint.query, endpoint.response)]
    schemas, _ = msgspec.json.schema_components(shapes, ref_template="#/{name}")
    assert len(schemas) == len(shapes)


def test_every_endpoint_that_names_a_resource_may_say_that_it_is_missing() -> None:
    for endpoint in ENDPOINTS:
        if "{" in endpoint.path:
            assert 404 in [error.status for error in endpoint.errors], name(endpoint)


# What asks for no field, and is refused to a key of the sandbox.
OF_LIVE = ("updateAutoTopUp",)
# Of which the sandbox has none until it is made.
MADE = ("retrieveTestClock", "deleteTestClock", "retrieveTestCarrier", "deleteTestCarrier")


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name)
async def test_an_endpoint_asks_for_a_key_and_finds_nothing_strange(
    anonymous: httpx.AsyncClient, api: httpx.AsyncClient, endpoint: Endpoint
) -> None:
    stranger = await anonymous.request(endpoint.method, url(endpoint))
    assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "api_key_missing")

    response = await api.request(endpoint.method, url(endpoint))
    needs_body = any(field.required for field in msgspec.structs.fields(endpoint.body))
    expected = 400 if needs_body else 404 if "{" in endpoint.path else endpoint.status
    if endpoint.operation_id in OF_LIVE:
        expected = 403
    if endpoint.operation_id in MADE:
        expected = 404
    if endpoint.operation_id == "advanceTestClock":
        # It takes one of two.
        expected = 400
    assert response.status_code == expected
    if expected == 403:
        assert response.json()["error"]["code"] == "live_only"
    elif expected == 400:
        assert response.json()["error"]["code"] == "parameter_missing"
    elif expected == 404:
        assert response.json()["error"]["code"] == "resource_missing"
    else:
        msgspec.json.decode(response.content, type=endpoint.response)

    unknown = await api.request(endpoint.method, f"{url(endpoint)}?surprise=1")
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (400, "surprise")
