"""The Postman collection: in step with openapi.yaml, without keys, and right about signatures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from msvs.api.webhooks import signatures
from tests.rest_compat.contract import DOCUMENT, check

POSTMAN = Path(__file__).parents[2] / "msvs/rest_compat/postman"
FLOW = Path(__file__).parents[2] / "scripts/contract/postman/flow.mjs"
COLLECTION = json.loads((POSTMAN / "massivesms.postman_collection.json").read_text())
ENVIRONMENTS = sorted(POSTMAN.glob("*.postman_environment.json"))
# The request that only carries the verifier.
NO_OPERATION = "/healthz"


def items() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each request's folder and item."""
    for folder in COLLECTION["item"]:
        for item in folder["item"]:
            yield folder["name"], item


def template(item: dict[str, Any]) -> str:
    parts = item["request"]["url"]["path"]
    return "/" + "/".join(f"{{{part[1:]}}}" if part.startswith(":") else part for part in parts)


def operation(item: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][template(item)][item["request"]["method"].lower()]
    return found


REQUESTS = [(folder, item) for folder, item in items() if template(item) != NO_OPERATION]


def script(item: dict[str, Any], listen: str) -> str:
    return "\n".join("\n".join(event["script"]["exec"]) for event in item.get("event", ()) if event["listen"] == listen)


def test_every_operation_is_there_once_and_nothing_else() -> None:
    asked = [(item["request"]["method"].lower(), template(item)) for _, item in REQUESTS]
    assert sorted(asked) == sorted((method, path) for path, methods in DOCUMENT["paths"].items() for method in methods)


@pytest.mark.parametrize(("folder", "item"), REQUESTS, ids=lambda each: each["name"] if isinstance(each, dict) else "")
def test_a_request_is_as_the_document_has_it(folder: str, item: dict[str, Any]) -> None:
    promised = operation(item)
    url = item["request"]["url"]
    assert (folder, item["name"]) == (promised["tags"][0], promised["summary"])
    for place, shown in (("query", url["query"]), ("path", url["variable"])):
        parameters = [each["name"] for each in promised["parameters"] if each.get("in") == place]
        assert [each["key"] for each in shown] == parameters
    headers = {each["key"]: each["value"] for each in item["request"]["header"]}
    assert ("Idempotency-Key" in headers) == (item["request"]["method"] != "GET")
    assert ("Content-Type" in headers) == ("requestBody" in promised)
    example = promised.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
    if example is None:
        assert "body" not in item["request"]
    else:
        sent = json.loads(item["request"]["body"]["raw"])
        assert sent.keys() == example.keys()
        assert {name: example[name] for name, value in sent.items() if "{{" not in json.dumps(value)} == {
            name: value for name, value in sent.items() if "{{" not in json.dumps(value)
        }


@pytest.mark.parametrize(("_folder", "item"), REQUESTS, ids=lambda each: each["name"] if isinstance(each, dict) else "")
def test_a_request_has_tests_and_an_answer_of_the_document(_folder: str, item: dict[str, Any]) -> None:
    promised = operation(item)
    (answer,) = item["response"]
    assert str(answer["code"]) in promised["responses"]
    assert f"pm.response.to.have.status({answer['code']})" in script(item, "test")
    schema = promised["responses"][str(answer["code"])]["content"]["application/json"]["schema"]
    check(json.loads(answer["body"]), schema, item["name"])


def test_what_every_answer_has_is_tested_for_all() -> None:
    tests = script(COLLECTION, "test")
    for part in ("error envelope", "X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"):
        assert part in tests


def test_what_a_request_names_was_made_by_one_before_it() -> None:
    made = {"base_url", "api_key", "webhook_url", "$guid", "$timestamp"}
    # Without these, a request is skipped.
    without = re.compile(r'if \(!pm\.collectionVariables\.get\("(\w+)"\)\) pm\.execution\.skipRequest')
    made |= {name for _, item in REQUESTS for name in without.findall(script(item, "prerequest"))}
    made |= {line.split('"')[1] for line in script(COLLECTION, "prerequest").splitlines() if ".set(" in line}
    for _, item in REQUESTS:
        made |= {line.split('"')[1] for line in script(item, "prerequest").splitlines() if ".set(" in line}
        named = json.dumps(item["request"]).split("{{")[1:]
        assert {each.partition("}}")[0] for each in named} <= made, item["name"]
        made |= {line.split('"')[1] for line in script(item, "test").splitlines() if ".set(" in line}


def test_requests_stand_in_the_order_of_their_flow() -> None:
    """What ends a thing, such as archiving a sequence, comes after all that needs it."""
    flow = FLOW.read_text().partition("export const SPARES")[0]
    order = re.findall(r"^  (\w+): \{", flow.partition("export const FLOW")[2], re.MULTILINE)
    assert len(order) == len(set(order)) == len(REQUESTS)
    for folder in COLLECTION["item"]:
        places = [
            order.index(operation(item)["operationId"]) for item in folder["item"] if template(item) != NO_OPERATION
        ]
        assert places == sorted(places), folder["name"]


def test_there_is_an_environment_for_each_mode_and_no_key_in_any() -> None:
    assert [path.name.partition(".")[0] for path in ENVIRONMENTS] == ["production", "sandbox"]
    for path in ENVIRONMENTS:
        values = {each["key"]: each["value"] for each in json.loads(path.read_text())["values"]}
        assert values["base_url"] == DOCUMENT["servers"][0]["url"]
        assert values["api_key"] == values["webhook_secret"] == ""
    assert values.keys() >= {"webhook_url", "webhook_body", "webhook_signature"}


def test_a_live_key_changes_nothing_unless_it_is_told_to() -> None:
    guard = script(COLLECTION, "prerequest")
    assert 'startsWith("msvs_live_")' in guard
    assert "pm.execution.skipRequest()" in guard
    production = json.loads((POSTMAN / "production.postman_environment.json").read_text())
    assert {"key": "live_writes", "value": "false", "type": "default", "enabled": True} in production["values"]


def test_the_signature_vectors_are_those_of_the_service() -> None:
    (text,) = (each["value"] for each in COLLECTION["variable"] if each["key"] == "signature_vectors")
    vectors = json.loads(text)
    assert {vector["valid"] for vector in vectors} == {True, False}
    for vector in vectors:
        found = signatures.verify(vector["header"], vector["body"].encode(), vector["secret"], now=vector["now"])
        assert found == vector["valid"], vector["name"]
    verifier = next(script(item, "test") for _, item in items() if template(item) == NO_OPERATION)
    assert 'require("crypto-js")' in verifier
    assert 'get("signature_vectors")' in verifier
