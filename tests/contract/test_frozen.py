"""The promise of v1: nothing that a client relies on is taken away."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from msvs.rest_compat import openapi
from tests.contract.compatibility import breaks

FROZEN = yaml.load((Path(__file__).parent / "openapi-v1-frozen.yaml").read_text(), yaml.CSafeLoader)

Schema = dict[str, Any]


# What the document left open was widened: a client that gives strings still gets strings.
WIDENED = re.compile(r"metadata\.\*: was string, is None$")


def test_v1_is_kept() -> None:
    found = breaks(FROZEN, openapi.document())
    assert [each for each in found if not WIDENED.search(each)] == []
    # Every use of metadata, and nothing else.
    assert {each.rpartition(":")[0].rpartition(".")[0].rpartition(".")[2] for each in found} == {"metadata"}


def schemas(document: Schema) -> Schema:
    return document["components"]["schemas"]  # type: ignore[no-any-return]


def remove_path(document: Schema) -> None:
    del document["paths"]["/v1/credits"]


def remove_operation(document: Schema) -> None:
    del document["paths"]["/v1/contacts/{id}"]["delete"]


def rename_operation(document: Schema) -> None:
    document["paths"]["/v1/messages"]["post"]["operationId"] = "sendMessage"


def remove_parameter(document: Schema) -> None:
    document["paths"]["/v1/messages"]["get"]["parameters"].pop(0)


def require_parameter(document: Schema) -> None:
    document["paths"]["/v1/messages"]["get"]["parameters"][0]["required"] = True


def remove_query_value(document: Schema) -> None:
    parameters = document["paths"]["/v1/messages"]["get"]["parameters"]
    next(each for each in parameters if each["name"] == "status")["schema"]["enum"].remove("failed")


def require_field(document: Schema) -> None:
    schemas(document)["ContactCreate"]["required"].append("email")


def remove_request_field(document: Schema) -> None:
    del schemas(document)["MessageCreate"]["properties"]["metadata"]


def shorten_request_field(document: Schema) -> None:
    schemas(document)["MessageCreate"]["properties"]["body"]["maxLength"] = 160


def remove_response_field(document: Schema) -> None:
    del schemas(document)["Message"]["properties"]["segments"]


def make_response_field_optional(document: Schema) -> None:
    schemas(document)["Contact"]["required"].remove("opt_in")


def change_response_type(document: Schema) -> None:
    schemas(document)["Credits"]["properties"]["balance"]["type"] = "string"


def remove_nested_field(document: Schema) -> None:
    del schemas(document)["CampaignStats"]["properties"]["delivered"]


def remove_event(document: Schema) -> None:
    del document["webhooks"]["credits.low"]


def remove_error_code(document: Schema) -> None:
    schemas(document)["Error"]["properties"]["error"]["properties"]["code"]["enum"].remove("phone_number_invalid")


def remove_header(document: Schema) -> None:
    del document["components"]["responses"]["TooManyRequests"]["headers"]["Retry-After"]


def narrow_nullable(document: Schema) -> None:
    schemas(document)["MessageCreate"]["properties"]["from"]["anyOf"].pop()


BREAKING = {
    remove_path: "GET /v1/credits: gone",
    remove_operation: "DELETE /v1/contacts/{id}: gone",
    rename_operation: "POST /v1/messages: operationId is another",
    remove_parameter: "GET /v1/messages: query limit: gone",
    require_parameter: "GET /v1/messages: query limit: now required",
    remove_query_value: "GET /v1/messages: query status: failed is gone",
    require_field: "POST /v1/contacts.email: now required",
    remove_request_field: "POST /v1/messages.metadata: gone",
    shorten_request_field: "POST /v1/messages.body: maxLength is now 160",
    remove_response_field: "GET /v1/messages: 200.data[].segments: gone",
    make_response_field_optional: "POST /v1/contacts: 201.opt_in: not always there any more",
    change_response_type: "GET /v1/credits: 200.balance: was integer, is string",
    remove_nested_field: "GET /v1/campaigns/{id}: 200.stats.delivered: gone",
    remove_event: "webhook credits.low: gone",
    remove_error_code: "POST /v1/messages: 400.error.code: phone_number_invalid is gone",
    remove_header: "POST /v1/messages: 429: header Retry-After is gone",
    narrow_nullable: "POST /v1/messages.from: was null, is string",
}


@pytest.mark.parametrize(("change", "message"), BREAKING.items(), ids=[change.__name__ for change in BREAKING])
def test_what_breaks_a_client_is_noticed(change: Callable[[Schema], None], message: str) -> None:
    changed = deepcopy(FROZEN)
    change(changed)
    assert message in breaks(FROZEN, changed)


def test_additions_are_welcome() -> None:
    changed = deepcopy(FROZEN)
    schemas(changed)["Message"]["properties"]["price"] = {"type": "number"}
    schemas(changed)["Message"]["required"].append("price")
    schemas(changed)["MessageCreate"]["properties"]["priority"] = {"type": "string"}
    schemas(changed)["MessageCreate"]["properties"]["body"]["maxLength"] = 3200
    changed["paths"]["/v1/drafts"] = {}
    changed["webhooks"]["list.synced"] = {}
    changed["paths"]["/v1/messages"]["get"]["parameters"].append({"name": "q", "in": "query", "schema": {}})
    assert breaks(FROZEN, changed) == []
