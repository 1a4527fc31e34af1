"""An operation that is to go says so for twelve months: in its headers and in the OpenAPI document."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.applications import Starlette
from starlette.middleware import Middleware

from msvs.api.accounts import auth
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.http.middleware import RequestMiddleware
from msvs.rest_compat.endpoint import Deprecation
from msvs.rest_compat.endpoints import ENDPOINTS
from msvs.rest_compat.openapi import _Document
from msvs.rest_compat.router import rest_routes
from tests.services import SERVICES

GOING = Deprecation(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), "/docs/changelog#1.4.0")
HEADERS = {
    "Deprecation": "@1767225600",
    "Sunset": "Fri, 01 Jan 2027 00:00:00 GMT",
    "Link": '</docs/changelog#1.4.0>; rel="deprecation"; type="text/html"',
}
ROWS = [
    dataclasses.replace(row, deprecated=GOING) if row.operation_id == "retrieveCredits" else row for row in ENDPOINTS
]


async def test_every_answer_of_a_deprecated_operation_says_so(app: Starlette, clean: None, ctx: Context) -> None:
    routes = rest_routes(SERVICES, app.state.limiter, ROWS)
    front = Starlette(routes=routes, middleware=[Middleware(RequestMiddleware)])
    _, key = await create_key(ctx.workspace_id, livemode=ctx.livemode)
    known = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://test") as client:
        going = await client.get("/v1/credits", headers=known)
        refused = await client.get("/v1/credits")
        staying = await client.get("/v1/credits/ledger", headers=known)
    await auth.settle(SERVICES)
    assert [going.status_code, refused.status_code, staying.status_code] == [200, 401, 200]
    for response in (going, refused):
        assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert not any(name in staying.headers for name in HEADERS)


def test_the_document_marks_it() -> None:
    document = _Document(ROWS).build()
    operation = document["paths"]["/v1/credits"]["get"]
    assert operation["deprecated"] is True
    described = operation["responses"]["200"]["headers"]
    assert {name: described[name]["schema"]["const"] for name in HEADERS} == HEADERS
    marked = [
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
        if "deprecated" in operation
    ]
    assert marked == ["retrieveCredits"]
    # Of that path alone: the rest of the document is validated where it stands as it is, and takes half a minute.
    path = {**document, "paths": {"/v1/credits": document["paths"]["/v1/credits"]}, "webhooks": {}}
    path["servers"] = [{"url": "https://api.massivesms.com"}]
    schemas = path["components"].pop("schemas")
    path["components"]["schemas"] = _reached(path, schemas)
    assert list(OpenAPIV31SpecValidator(path).iter_errors()) == []


def _reached(part: object, schemas: dict[str, object]) -> dict[str, object]:
    """Return the schemas that a part of the document refers to, and those that they refer to."""
    found: dict[str, object] = {}
    waiting = [part]
    while waiting:
        names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(waiting.pop()))) - set(found)
        found |= {name: schemas[name] for name in names}
        waiting += [schemas[name] for name in names]
    return found


@pytest.mark.parametrize(
    ("sunset_at", "is_kept"),
    [
        (datetime(2027, 3, 1, tzinfo=UTC), True),
        (datetime(2027, 2, 28, 23, 59, tzinfo=UTC), False),
        (datetime(2026, 3, 2, tzinfo=UTC), False),
    ],
)
def test_a_deprecated_operation_stays_for_twelve_months(sunset_at: datetime, is_kept: bool) -> None:
    announced_at = datetime(2026, 3, 1, tzinfo=UTC)
    if is_kept:
        assert Deprecation(announced_at, sunset_at, "/docs/changelog").sunset_at == sunset_at
    else:
        with pytest.raises(ValueError, match="twelve months"):
            Deprecation(announced_at, sunset_at, "/docs/changelog")
