"""What the document says of a parameter's values holds: a value beyond is refused, by the parameter's name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import httpx
import pytest

from msvs.api.context import Context
from msvs.api.credits import gateway
from msvs.fields import ULID
from msvs.models import Purchase
from msvs.packs import Pack
from msvs.rest_compat.endpoint import Endpoint
from msvs.rest_compat.endpoints import ENDPOINTS
from tests.fakes.stripe import running_stripe
from tests.rest_compat.conftest import Client
from tests.rest_compat.contract import DOCUMENT
from tests.rest_compat.making import make_everything, path_of, post, refused
from tests.services import SERVICES

Schema = Mapping[str, Any]

JSON = "application/json"
# Of a value of each type, one of another.
OTHERS = {"string": 7, "integer": "seven", "number": "seven", "boolean": "yes", "array": {"a": 1}, "object": [1]}
FORMATS = {"date-time": "soon", "email": "nobody", "uri": "nowhere"}


def resolved(schema: Schema) -> Schema:
    """A schema without references, and without null as its other type."""
    if "$ref" in schema:
        kind, name = schema["$ref"].split("/")[-2:]
        return resolved(DOCUMENT["components"][kind][name])
    kinds = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return {**schema, **resolved(kinds[0])} if len(kinds) == 1 else schema


def beyond(schema: Schema, *, is_query: bool = False) -> Iterator[tuple[str, Any]]:
    """Values that a schema does not admit, each with the word that says so; those of other types alone in a body."""
    kind = schema.get("type")
    if not is_query and kind in OTHERS:
        yield "type", OTHERS[kind]
    if kind == "string":
        if "maxLength" in schema:
            yield "maxLength", "a" * (schema["maxLength"] + 1)
        if schema.get("minLength"):
            yield "minLength", ""
        if "enum" in schema:
            yield "enum", "nonsense"
        if wrong := [each for each in ("!", "a,b") if not re.search(schema.get("pattern", ""), each)]:
            yield "pattern", wrong[0]
        if schema.get("format") in FORMATS:
            yield "format", FORMATS[schema["format"]]
    if kind in ("integer", "number"):
        if "maximum" in schema:
            yield "maximum", schema["maximum"] + 1
        if "minimum" in schema:
            yield "minimum", schema["minimum"] - 1
        if "exclusiveMinimum" in schema:
            yield "exclusiveMinimum", schema["exclusiveMinimum"]
    if kind == "array":
        for word, value in beyond(resolved(schema.get("items", {})), is_query=is_query):
            yield f"items.{word}", [value]
        if schema.get("minItems"):
            yield "minItems", []
    if kind == "object":
        if "maxProperties" in schema:
            yield "maxProperties", {f"k{at}": "v" for at in range(schema["maxProperties"] + 1)}
        names = schema.get("propertyNames", {})
        if "maxLength" in names:
            yield "propertyNames", {"k" * (names["maxLength"] + 1): "v"}
        more = schema.get("additionalProperties")
        if isinstance(more, dict) and "maxLength" in resolved(more):
            yield "additionalProperties", {"k": "v" * (resolved(more)["maxLength"] + 1)}
        if isinstance(more, dict) and "pattern" in resolved(more):
            yield "additionalProperties", {"k": "!"}
        if schema.get("minProperties"):
            yield "minProperties", {}


def mutations(schema: Schema, body: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str, Any]]:
    """Bodies of which one field is beyond what the document says, each with the field and the word."""
    for name, each in schema.get("properties", {}).items():
        field = resolved(each)
        for word, value in beyond(field):
            changed = deepcopy(body)
            within = changed
            for step in path:
                within = within.setdefault(step, deepcopy(NEEDED.get(step, {})))
            within[name] = value
            yield ".".join((*path, name)), word, changed
        if "properties" in field:
            yield from mutations(field, body, (*path, name))


# Where a value beyond what the document says is answered otherwise, by operation and field.
OTHERWISE = {
    # Each row is refused by itself.
    ("createMessageBatch", "messages"),
    ("importContacts", "contacts"),
    ("importSuppressions", "phones"),
    # An id of no contact is one that is not found.
    ("addListContacts", "contact_ids"),
    # Any version but the current one is another's.
    *((each.operation_id, "version") for each in ENDPOINTS),
    # The body holds no such integer, and the file goes on elsewhere.
    ("addImportPart", "offset"),
    # The query holds no more than 50 parameters.
    ("listContacts", "attributes"),
    ("listMessages", "metadata"),
}
# What is refused before the rest of it is read: a test without variants, evidence without a source, a source without a
# type.
NEEDED = {
    "ab_test": {"variants": [{}, {"body": "Hey"}]},
    "opt_in": {"source": "checkout"},
    "evidence": {"source": "checkout"},
    "source": {"type": "hook", "settings": {}},
}
# What the sandbox refuses before it looks at the request.
ON_LIVE = ("createCheckout", "updateAutoTopUp")


def queries(endpoint: Endpoint) -> Iterator[tuple[str, str, dict[str, str]]]:
    for parameter in DOCUMENT["paths"][endpoint.path][endpoint.method.lower()]["parameters"]:
        if parameter.get("in") != "query":
            continue
        name = parameter["name"]
        for word, value in beyond(resolved(parameter["schema"]), is_query=True):
            if isinstance(value, dict):
                yield name, word, {f"{name}[{key}]": each for key, each in value.items()}
            else:
                yield name, word, {name: ",".join(map(str, value)) if isinstance(value, list) else str(value)}


def bodies(endpoint: Endpoint, known: Mapping[str, str]) -> Iterator[tuple[str, str, Any]]:
    content = DOCUMENT["paths"][endpoint.path][endpoint.method.lower()].get("requestBody", {}).get("content", {})
    if JSON not in content:
        return
    text = json.dumps(content[JSON]["example"])
    for prefix, noun in (("lst", "list"), ("con", "contact"), ("whk", "webhook")):
        text = text.replace(f"{prefix}_{ULID}", known.get(noun, f"{prefix}_{ULID}"))
    yield from mutations(resolved(content[JSON]["schema"]), json.loads(text))


def requests(endpoint: Endpoint, known: Mapping[str, str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Requests of which one parameter is beyond what the document says, each with the parameter and the word."""
    for name, word, query in queries(endpoint):
        yield name, word, {"params": query}
    for name, word, body in bodies(endpoint, known):
        yield name, word, {"json": body}


async def accepted_beyond(client: httpx.AsyncClient, endpoint: Endpoint, known: Mapping[str, str]) -> list[str]:
    """Parameters of a route that are not refused by their names beyond what the document says of them."""
    path = path_of(endpoint.path, known, endpoint.operation_id)
    accepted = []
    for name, word, request in requests(endpoint, known):
        if (endpoint.operation_id, name) in OTHERWISE:
            continue
        try:
            answer = await client.request(endpoint.method, path, **request)
        except AssertionError as error:
            # The client holds what is accepted to the document.
            accepted.append(f"{name} {word}: {error}")
            continue
        told = await refused(answer) if answer.status_code >= 400 else (answer.status_code, "", None)
        if told[0] != 400 or not str(told[2]).startswith(name):
            accepted.append(f"{name} {word}: {told}")
    return accepted


@pytest.mark.parametrize(
    "endpoint",
    [each for each in ENDPOINTS if each.operation_id not in ON_LIVE],
    ids=lambda endpoint: endpoint.operation_id,
)
async def test_a_value_beyond_what_the_document_says_is_refused(api: httpx.AsyncClient, endpoint: Endpoint) -> None:
    known = await make_everything(api)
    if endpoint.operation_id == "updateListSource":
        source = {"type": "hook", "settings": {}, "mapping": {"phone": "phone"}}
        known["list"] = (await post(api, "/v1/lists", name="Synced", source=source))["id"]
    assert await accepted_beyond(api, endpoint, known) == []


@pytest.mark.parametrize(
    "endpoint",
    [each for each in ENDPOINTS if each.operation_id in ON_LIVE],
    ids=lambda endpoint: endpoint.operation_id,
)
async def test_so_is_one_where_money_is_spent(client: Client, live_ctx: Context, endpoint: Endpoint) -> None:
    http = await client(live_ctx)
    with running_stripe(SERVICES) as stripe:
        # The pack of the document's example.
        SERVICES.billing.packs = (Pack("launch", 10_000, 14_900, "usd", "Launch"),)
        assert await accepted_beyond(http, endpoint, {}) == []
        await gateway.close(SERVICES)
    assert (await Purchase.all().count(), stripe.calls) == (0, [])


def has_times(endpoint: Endpoint) -> bool:
    operation = DOCUMENT["paths"][endpoint.path][endpoint.method.lower()]
    body = operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema", {})
    return "date-time" in json.dumps([operation["parameters"], resolved(body)])


@pytest.mark.parametrize("endpoint", [*filter(has_times, ENDPOINTS)], ids=lambda endpoint: endpoint.operation_id)
@pytest.mark.parametrize("end", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
async def test_a_time_at_the_end_of_the_calendar_is_no_failure(
    api: httpx.AsyncClient, endpoint: Endpoint, end: str
) -> None:
    known = await make_everything(api)
    path = path_of(endpoint.path, known, endpoint.operation_id)
    soon = json.dumps(FORMATS["date-time"])
    times = [json.dumps(request) for _, word, request in requests(endpoint, known) if word == "format"]
    times = [text for text in times if soon in text]
    assert times
    for text in times:
        answer = await api.request(endpoint.method, path, **json.loads(text.replace(soon, json.dumps(end))))
        assert answer.status_code < 500, answer.text
