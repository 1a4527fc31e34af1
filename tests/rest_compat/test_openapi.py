"""openapi.yaml: valid, committed, served, and true of every operation and event."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from openapi_spec_validator import validate

from msvs.api.catalogue import ERRORS
from msvs.api.webhooks.events import EventType
from msvs.cli import main
from msvs.fields import AT, ULID
from msvs.models import Campaign, ContactImport, ListSource, ListSync, SandboxClock, SourceStatus, SyncStatus
from msvs.models.identity import new_id
from msvs.rest_compat import openapi, openapi_details
from msvs.rest_compat.endpoint import Endpoint
from msvs.rest_compat.endpoints import ENDPOINTS
from scripts.contract.run import requested
from tests.rest_compat import contract
from tests.rest_compat.contract import DOCUMENT
from tests.rest_compat.making import in_future, make_everything, path_of, post

COMMITTED = Path(__file__).parents[2] / "openapi.yaml"
OPERATIONS = [operation for item in DOCUMENT["paths"].values() for operation in item.values()]
JSON = "application/json"


def name(operation: dict[str, Any]) -> str:
    return str(operation["operationId"])


def test_the_committed_file_is_what_the_code_makes() -> None:
    assert COMMITTED.read_text() == openapi.yaml(), "run make schema"


def test_the_document_is_valid_openapi() -> None:
    validate(deepcopy(DOCUMENT))


def test_its_yaml_reads_as_the_document() -> None:
    assert yaml.safe_load(openapi.yaml()) == DOCUMENT


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, -1.5, True, None, "text", "true", "No", "1e3", "0x1f", "2026-05-01", "", " a", "a: b", "#a", "- a"]},
        {"list": [[1, [2]], [], {}, {"a": {"b": [{"c": 1, "d": [2]}, {"e": []}]}}]},
        {"null": 1, "on": 2, "a b": 3, "é": "“”\n\t\\", "=": "=", "~": "~", "a/b.c_d-e": "a, b (c); d's"},
    ],
)
def test_yaml_means_what_it_was_given(value: Any) -> None:
    assert yaml.safe_load(openapi.to_yaml(value)) == value


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--openapi"]) == 0
    assert capsys.readouterr().out == openapi.yaml()


async def test_the_document_is_served_as_yaml_and_json(anonymous: httpx.AsyncClient) -> None:
    as_yaml, as_json = [await anonymous.get(f"/openapi.{kind}") for kind in ("yaml", "json")]
    assert as_yaml.headers["Content-Type"] == "application/yaml"
    assert as_json.headers["Content-Type"] == JSON
    served = as_json.json()
    assert yaml.safe_load(as_yaml.text) == served
    assert served == openapi.document("http://127.0.0.1:8000")
    assert json.loads(as_json.text.replace("http://127.0.0.1:8000", "https://api.massivesms.com")) == DOCUMENT


@pytest.mark.parametrize("path", ["/openapi.yaml", "/openapi.json", "/postman.json"])
async def test_the_document_is_compressed_and_revalidated(anonymous: httpx.AsyncClient, path: str) -> None:
    plain = await anonymous.get(path, headers={"Accept-Encoding": "identity"})
    smallest = await anonymous.get(path, headers={"Accept-Encoding": "gzip, br"})
    assert (smallest.headers["Content-Encoding"], smallest.content) == ("br", plain.content)
    packed = await anonymous.get(path, headers={"Accept-Encoding": "gzip"})
    assert packed.content == plain.content
    assert "Content-Encoding" not in plain.headers
    assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert int(packed.headers["Content-Length"]) * 4 < len(plain.content)
    assert packed.headers["ETag"] != plain.headers["ETag"]
    again = await anonymous.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_the_postman_collection_is_served_with_this_address(anonymous: httpx.AsyncClient) -> None:
    served = (await anonymous.get("/postman.json")).json()
    committed = json.loads((openapi.POSTMAN / "massivesms.postman_collection.json").read_text())
    values = {each["key"]: each["value"] for each in served["variable"]}
    assert (values["base_url"], values["api_key"]) == ("http://127.0.0.1:8000", "")
    assert served["item"] == committed["item"]


def test_every_endpoint_is_an_operation_and_no_other() -> None:
    described = {(method, path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert described == {(endpoint.method.lower(), endpoint.path) for endpoint in ENDPOINTS}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.operation_id)
def test_an_operation_tells_its_refusals(endpoint: Endpoint) -> None:
    responses = DOCUMENT["paths"][endpoint.path][endpoint.method.lower()]["responses"]
    told = {int(status) for status in responses}
    assert {endpoint.status, 400, 401, 429, 500, 503, *(error.status for error in endpoint.errors)} <= told
    assert (409 in told) >= endpoint.idempotent


@pytest.mark.parametrize("operation", OPERATIONS, ids=name)
def test_an_operation_is_fit_for_generators(operation: dict[str, Any]) -> None:
    assert operation["operationId"].isidentifier()
    assert [tag for tag in operation["tags"] if tag not in openapi_details.TAGS] == []
    assert not operation["summary"].endswith(".")
    assert operation["description"].endswith(".")
    for parameter in operation["parameters"]:
        if "$ref" not in parameter:
            assert parameter["description"].endswith("."), parameter["name"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=name)
def test_the_examples_of_an_operation_fit_its_schemas(operation: dict[str, Any]) -> None:
    status = next(status for status in operation["responses"] if status.startswith("2"))
    contents = [operation["responses"][status]["content"][JSON]]
    if "requestBody" in operation:
        contents.append(operation["requestBody"]["content"][JSON])
    for content in contents:
        contract.check(content["example"], content["schema"], operation["operationId"])


@pytest.mark.parametrize("type", EventType)
def test_every_event_has_a_webhook_with_an_example(type: EventType) -> None:
    body = DOCUMENT["webhooks"][type.value]["post"]["requestBody"]["content"][JSON]
    contract.check(body["example"], body["schema"], type)
    contract.check(body["example"], {"$ref": "#/components/schemas/Event"}, type)
    assert body["example"]["type"] == type.value


# A campaign's status at events that do not name it.
STATUS_AT = {
    "started": "preparing",
    "dispatched": "sending",
    "resumed": "sending",
    "tested": "sending",
    "winner_chosen": "preparing",
    "approval_requested": "paused",
    "approved": "scheduled",
    "rejected": "paused",
}


@pytest.mark.parametrize("type", EventType)
def test_the_example_of_an_event_is_true_of_its_moment(type: EventType) -> None:
    data = DOCUMENT["webhooks"][type.value]["post"]["requestBody"]["content"][JSON]["example"]["data"]
    subject, _, verb = type.value.partition(".")
    if subject == "message":
        assert data["status"] == {"clicked": "delivered"}.get(verb, verb)
        assert (data.get("click") is not None) is (verb == "clicked")
        assert (data.get("error") is not None) is (verb in ("failed", "skipped"))
        assert (data.get("reply") is not None) is (verb == "replied")
        steps = {
            "sent": ["sent_at"],
            "delivered": ["sent_at", "delivered_at"],
            "clicked": ["sent_at", "delivered_at"],
            "replied": ["sent_at", "delivered_at", "replied_at"],
            "failed": ["failed_at"],
            "canceled": ["canceled_at"],
        }
        times = ("sent_at", "delivered_at", "failed_at", "canceled_at", "replied_at")
        assert [name for name in times if data[name] is not None] == steps.get(verb, [])
        assert (data["credits_used"] == 0) is (verb in ("canceled", "skipped"))
    elif subject == "campaign":
        stats = data["stats"]
        states = ("queued", "sending", "sent", "delivered", "failed", "skipped", "canceled")
        assert stats["recipients"] == sum(stats[state] for state in states)
        assert stats["credits_used"] == sum(stats[state] for state in ("sending", "sent", "delivered", "failed"))
        assert data["status"] == STATUS_AT.get(verb, verb)
        assert (data["pause_reason"] is not None) is (verb in ("paused", "approval_requested", "rejected"))
        assert (data["completed_at"] is not None) is (verb == "completed")
        assert (data["canceled_at"] is not None) is (verb == "canceled")
        assert (data["dispatched_at"] is not None) is (
            verb not in ("started", "tested", "winner_chosen", "approval_requested", "approved", "rejected")
        )
    elif subject == "template":
        assert (data["archived_at"] is not None) is (verb == "updated")
    elif subject == "conversion":
        assert (data["refunded_value"] > 0, data["refunded_at"] is not None) == (verb == "refunded",) * 2
    elif data["object"] == "sequence":
        assert data["status"] == {"published": "active", "resumed": "active"}.get(verb, verb)
        assert (data["archived_at"] is not None) is (verb == "archived")
    elif subject == "sequence":
        assert data["state"] == {"entered": "active"}.get(verb, verb)
        assert (data["reason"] is not None) is (verb == "left")
        assert (data["ended_at"] is not None) is (verb != "entered")
    elif subject == "contact":
        consenting = dict.fromkeys(("merged", "unreachable", "reachable"), "opted_in")
        assert data["opt_in"]["status"] == consenting.get(verb, verb)
        assert (data.get("unreachable") is not None) is (verb == "unreachable")
    elif subject == "inbound":
        assert (data["message_id"], data["message"]["status"]) == (data["message"]["id"], "replied")
        assert (data["reply"]["id"], data["reply"]["body"]) == (data["id"], data["body"])
    elif subject in ("import", "bulk_action"):
        assert data["status"] == verb
    elif subject == "list":
        assert data["status"] == verb.removeprefix("sync.")
        assert (data["error"] is not None) is (verb == "sync.failed")
    elif subject == "credits":
        assert data["balance"] < data["low_balance_threshold"]
    else:
        assert (data["status"], data["disabled_reason"] is not None) == (
            ("disabled", True) if verb == "disabled" else ("enabled", False)
        )


def test_deletion_is_shown_by_a_boolean() -> None:
    assert DOCUMENT["components"]["schemas"]["Deleted"]["properties"]["deleted"] == {"type": "boolean", "enum": [True]}


@pytest.mark.parametrize(("operation_id", "status"), [("resumeCampaign", "402"), ("createContact", "422")])
def test_a_status_that_never_comes_is_not_promised(operation_id: str, status: str) -> None:
    (operation,) = [each for each in OPERATIONS if each["operationId"] == operation_id]
    assert status not in operation["responses"]


def test_every_error_response_has_an_example_of_each_of_its_codes() -> None:
    seen: set[tuple[str, int]] = set()
    for status, (key, _) in openapi.RESPONSES.items():
        content = DOCUMENT["components"]["responses"][key]["content"][JSON]
        for code, example in content["examples"].items():
            contract.check(example["value"], content["schema"], code)
            assert example["value"]["error"]["code"] == code
            seen.add((code, status))
    assert seen == {(row.code, status) for row in ERRORS.values() for status in row.statuses if not row.is_dashboard}


def test_every_component_is_used_and_every_reference_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    for kind, components in DOCUMENT["components"].items():
        if kind == "securitySchemes":
            continue
        for each in components:
            unused = f'"#/components/{kind}/{each}"' not in text
            # 405 belongs to paths, not to operations.
            assert unused == (each in ("Allow", "MethodNotAllowed") and kind == "responses"), f"{kind}/{each}"


def test_limits_are_in_the_schemas() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    # A template may stand for the body.
    assert schemas["MessageCreate"]["required"] == ["to"]
    assert schemas["MessageCreate"]["additionalProperties"] is False
    assert schemas["MessageCreate"]["properties"]["body"]["maxLength"] == 1600
    assert schemas["CampaignCreate"]["required"] == ["name", "audience"]
    limit = next(each for each in DOCUMENT["paths"]["/v1/messages"]["get"]["parameters"] if each["name"] == "limit")
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20, "format": "int32"}


def numbers(value: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The schemas of numbers in a part of the document, each with its place."""
    if isinstance(value, dict):
        if value.get("type") in ("integer", "number"):
            yield place, value
        for word, each in value.items():
            if word not in ("example", "examples", "value"):
                yield from numbers(each, f"{place}/{word}")
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from numbers(each, f"{place}/{at}")


def test_every_number_says_how_wide_it_is() -> None:
    """Without a format, generators read integers as 32 bits and other numbers in single precision."""
    found = dict(numbers(DOCUMENT))
    for place, schema in found.items():
        if schema["type"] == "number":
            assert schema["format"] == "double", place
        else:
            assert schema["format"] == ("int32" if schema.get("maximum", 2**53) < 2**31 else "int64"), place
    properties = "/components/schemas/{}/properties/{}"
    assert found[properties.format("Credits", "balance")]["format"] == "int64"
    assert found[properties.format("CampaignCreate", "rate_per_minute") + "/anyOf/0"]["format"] == "int32"
    assert found[properties.format("CampaignCreate", "spread_hours") + "/anyOf/0"]["format"] == "double"
    assert found["/components/headers/X-RateLimit-Reset/schema"]["format"] == "int64"


def unbounded(value: Any, place: str = "") -> Iterator[str]:
    """The places of integers in a part of the document that have no bounds."""
    for each, schema in numbers(value, place):
        if schema["type"] == "integer" and not ({"minimum", "maximum"} <= schema.keys() or "enum" in schema):
            yield each


def test_every_integer_that_a_request_may_hold_has_bounds() -> None:
    """Linters ask for them; what is of the caller's own is any integer of JSON."""
    found: list[str] = []
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            asked = [operation.get("parameters"), operation.get("requestBody")]
            found += unbounded(asked, f"{method} {path}")
    for component in requested(DOCUMENT):
        _, kind, name = component.split("/")
        found += unbounded(DOCUMENT["components"][kind][name], component)
    assert [place for place in found if not re.search("/(variables|metadata)/|/low_balance_threshold$", place)] == []


def asked_for(value: Any, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The schemas of properties and parameters of these names in a part of the document."""
    if isinstance(value, dict):
        if value.get("in") == "query" and value["name"] in names:
            yield value["schema"]
        for name, each in value.items():
            if name in names and isinstance(each, dict):
                yield each
            yield from asked_for(each, names)
    elif isinstance(value, list):
        for each in value:
            yield from asked_for(each, names)


@pytest.mark.parametrize(
    ("names", "limits"),
    [
        (("tag", "tags"), {"maxLength": 40, "pattern": "^[^,]*$"}),
        (("metadata",), {"maxProperties": 20, "propertyNames": {"minLength": 1, "maxLength": 40}}),
    ],
)
def test_every_request_tells_the_limits_of(names: tuple[str, ...], limits: dict[str, Any]) -> None:
    schemas = DOCUMENT["components"]["schemas"]
    components = [schemas[name] for place in requested(DOCUMENT) if (name := place.split("/")[-1]) in schemas]
    queries = [operation.get("parameters") for operation in OPERATIONS]
    found = [
        kinds.get("items", kinds)
        for schema in asked_for([*components, *queries], names)
        for kinds in schema.get("anyOf", [schema])
        if kinds["type"] != "null" and "enum" not in kinds and "ignored" not in schema.get("description", "")
    ]
    assert len(found) > 5
    assert [each for each in found if not limits.items() <= each.items()] == []


def substituted(value: Any, known: dict[str, str]) -> Any:
    """An example with the ids of what is there in place of its own."""
    text = json.dumps(value)
    for prefix, noun in (("lst", "list"), ("con", "contact"), ("whk", "webhook")):
        text = text.replace(f"{prefix}_{ULID}", known[noun])
    return json.loads(text.replace(AT, in_future(hours=-1)))


# What a static list refuses.
OF_SYNCED = ("updateListSource", "syncList", "confirmListSync", "pauseListSync", "resumeListSync")
# A sandbox buys no credits: test_routes_billing has the example of this.
ON_LIVE = ("createCheckout", "updateAutoTopUp")


@pytest.mark.parametrize(
    "endpoint",
    [each for each in ENDPOINTS if each.operation_id not in ON_LIVE],
    ids=lambda endpoint: endpoint.operation_id,
)
async def test_an_example_is_accepted_as_it_stands(api: httpx.AsyncClient, endpoint: Endpoint) -> None:
    known = await make_everything(api)
    operation = DOCUMENT["paths"][endpoint.path][endpoint.method.lower()]
    body = substituted(operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("example"), known)
    if endpoint.operation_id == "resumeCampaign":
        await post(api, f"/v1/campaigns/{known['campaign']}/pause", 200)
    if endpoint.operation_id == "requestCampaignApproval":
        approval = {"state": "rejected", "recipient_count": 1, "requested_at": AT}
        await Campaign.all().update(status="paused", approval=approval)
    if endpoint.operation_id == "archiveCampaign":
        await Campaign.all().update(status="completed")
    if endpoint.operation_id == "chooseWinner":
        await Campaign.filter(ab_test__isnull=False).update(status="sending", tested_at=datetime.now(UTC))
    if endpoint.operation_id == "resumeSequence":
        await post(api, f"/v1/sequences/{known['sequence']}/pause", 200)
    if endpoint.operation_id == "createEnrollment":
        await post(api, f"/v1/sequences/{known['sequence']}", 200, may_reenter=True)
        body["contact_id"] = known["other_contact"]
    if endpoint.operation_id == "createWebhook":
        # One of the same URL would be in its way.
        await api.delete(f"/v1/webhooks/{known['webhook']}")
    if status := {"runImport": "checked", "undoImport": "completed"}.get(endpoint.operation_id):
        at = datetime.now(UTC)
        await ContactImport.all().update(status=status, reading_id=new_id(), started_at=at, ended_at=at)
    if endpoint.operation_id in OF_SYNCED:
        source = {"type": "kit", "settings": {"api_key": "kit_1"}, "mapping": {"fields.phone": "phone"}}
        known["list"] = (await post(api, "/v1/lists", name="Synced", source=source))["id"]
        if endpoint.operation_id == "confirmListSync":
            await ListSource.all().update(status=SourceStatus.CHECKED)
            await ListSync.all().update(status=SyncStatus.COMPLETED)
    if endpoint.operation_id == "mergeContacts":
        body["contact_id"] = (await post(api, "/v1/contacts", phone="+12125550188"))["id"]
    if endpoint.operation_id in ("retrieveTestClock", "advanceTestClock", "deleteTestClock"):
        await post(api, "/v1/test/clock")
        await SandboxClock.all().update(status="ready")
    if endpoint.operation_id in ("retrieveTestCarrier", "deleteTestCarrier"):
        await post(api, "/v1/test/carrier", 200)
    if endpoint.operation_id == "liftSuppression":
        # The suppression is of this moment, and evidence of the example is newer.
        body["at"] = datetime.now(UTC).isoformat()
    response = await api.request(endpoint.method, path_of(endpoint.path, known, endpoint.operation_id), json=body)
    assert response.status_code == endpoint.status, response.text
