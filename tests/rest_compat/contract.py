"""A transport that holds every answer of the service against openapi.yaml."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import httpx
from jsonschema import Draft202012Validator

from msvs.api.catalogue import ERRORS
from msvs.rest_compat.openapi import RATE_HEADERS, RESPONSES, document

Schema = dict[str, Any]

DOCUMENT = document()
HEADERS = DOCUMENT["components"]["headers"]
# Refusals from before the caller is known.
UNKNOWN_CALLER = frozenset(("route_unknown", "method_not_allowed"))


class Operation(NamedTuple):
    """An operation of the document, or none for a path or method that it does not have."""

    path: str
    method: str
    details: Schema | None
    status_without: int = 0


def _closed(schema: Any) -> Any:
    """The schema, with every property that it does not name refused."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: value if key in ("enum", "const", "required") else _closed(value) for key, value in schema.items()}
    if closed.get("type") == "object" and "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


COMPONENTS = {"schemas": _closed(deepcopy(DOCUMENT["components"]["schemas"]))}


@lru_cache(maxsize=512)
def validator(schema: str) -> Draft202012Validator:
    """The validator of a schema, given as JSON text, with the document's components closed."""
    return Draft202012Validator({**_closed(json.loads(schema)), "components": COMPONENTS})


def check(value: Any, schema: Schema, what: str) -> None:
    """Assert that a value fits a schema of the document."""
    errors = [f"{error.json_path}: {error.message[:300]}" for error in validator(json.dumps(schema)).iter_errors(value)]
    assert not errors, f"{what}: {errors}"


PATHS = [
    (re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))).fullmatch, path)
    for path in sorted(DOCUMENT["paths"], key=lambda path: path.count("{"))
]


def find_operation(method: str, path: str) -> Operation:
    """The operation that a request is for."""
    method = "get" if method == "HEAD" else method.lower()
    for matches, template in PATHS:
        if matches(path):
            item = DOCUMENT["paths"][template]
            return Operation(template, method, item.get(method), 405)
    return Operation(path, method, None, 404)


def check_exchange(request: httpx.Request, response: httpx.Response) -> None:
    """Assert that an answer is one that the document promises for the request."""
    operation = find_operation(request.method, request.url.path)
    what = f"{request.method} {operation.path} {response.status_code}"
    status = str(response.status_code)
    if operation.details is not None:
        assert status in operation.details["responses"], f"{what}: undocumented status"
        promised = operation.details["responses"][status]
    else:
        assert response.status_code in (operation.status_without, 404), what
        promised = {"$ref": f"#/components/responses/{RESPONSES[response.status_code][0]}"}
    if "$ref" in promised:
        promised = DOCUMENT["components"]["responses"][promised["$ref"].rpartition("/")[2]]
    check_headers(response, promised, what)
    if request.method == "HEAD":
        assert response.content == b"", what
        return
    assert response.headers["Content-Type"] == "application/json", what
    body = response.json()
    check(body, promised["content"]["application/json"]["schema"], what)
    if response.is_success:
        assert operation.details is not None
        check_request(request, operation.details, what)
        assert all(name in response.headers for name in RATE_HEADERS), what
    else:
        check_error(response, body["error"], what)


def check_headers(response: httpx.Response, promised: Schema, what: str) -> None:
    """Assert that the headers are those promised, and that none of ours is there unannounced."""
    for name, header in HEADERS.items():
        value = response.headers.get(name)
        if value is None:
            # Refusals may have a header of their own shape: one that comes where the key is known.
            told = promised["headers"].get(name, {})
            assert not (header if "$ref" in told else told).get("required"), f"{what}: no {name}"
            continue
        assert name in promised["headers"] or name in RATE_HEADERS, f"{what}: unannounced {name}"
        schema = header["schema"]
        check(int(value) if schema["type"] == "integer" else value, schema, f"{what}: {name}")


def check_error(response: httpx.Response, error: Schema, what: str) -> None:
    """Assert that the code belongs to the status and type."""
    row = ERRORS[error["code"]]
    assert response.status_code in row.statuses, f"{what}: {error['code']}"
    assert not row.is_dashboard, f"{what}: {error['code']}"
    assert error["type"] == row.type(response.status_code), f"{what}: {error['type']}"
    assert error["request_id"] == response.headers["X-Request-Id"], what
    assert error["doc_url"].endswith(f"/docs/errors#{error['code']}"), what
    is_known = response.status_code != 401 and error["code"] not in UNKNOWN_CALLER
    # Where there is no operation, a key alone makes the caller known, under /v1.
    is_known = is_known or (
        error["code"] in UNKNOWN_CALLER
        and "Authorization" in response.request.headers
        and response.request.url.path.startswith("/v1/")
    )
    if response.status_code < 500:
        assert all((name in response.headers) == is_known for name in RATE_HEADERS), f"{what}: rate headers"
    if response.status_code in (429, 503) or error["code"] == "idempotency_key_in_use":
        assert "Retry-After" in response.headers, what


def check_request(request: httpx.Request, operation: Schema, what: str) -> None:
    """Assert that what the service accepted is what the document allows."""
    parameters = {each["name"]: each for each in operation["parameters"] if each.get("in") == "query"}
    for name, text in parse_qsl(request.url.query.decode(), keep_blank_values=True):
        told = name if name in parameters else name.partition("[")[0]
        assert told in parameters, f"{what}: {name} accepted"
        schema = parameters[told]["schema"]
        check(_parameter(name, text, schema), schema, f"{what}: {name}")
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        assert "multipart/form-data" in operation["requestBody"]["content"], f"{what}: a form accepted"
        return
    body = json.loads(request.content) if request.content else {}
    if "requestBody" in operation:
        check(body, operation["requestBody"]["content"]["application/json"]["schema"], f"{what}: the request")
    else:
        assert body == {}, f"{what}: a body accepted"


def _parameter(name: str, text: str, schema: Schema) -> object:
    """Return what a parameter of a query string stands for: an entry of an object, a list, a number or text."""
    match schema["type"]:
        case "object":
            return {name.partition("[")[2].removesuffix("]"): text}
        case "array":
            return text.split(",")
        case "integer":
            return int(text)
        case "boolean":
            return {"true": True, "false": False}[text]
    return text


class ContractTransport(httpx.AsyncBaseTransport):
    """Passes requests to `inner` and checks what comes back from /v1."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        response = await self.inner.handle_async_request(request)
        await response.aread()
        response.request = request
        assert re.fullmatch("req_[0-9A-Z]{26}", response.headers["X-Request-Id"])
        if request.url.path.startswith("/v1/"):
            check_exchange(request, response)
        return response
