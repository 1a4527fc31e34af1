"""What the middleware notes of requests of each front, and that nothing of a query or body is kept."""

from __future__ import annotations

import httpx

from msvs.api.accounts.request_log import RequestLog
from msvs.api.context import Context
from msvs.models import ApiRequest
from tests.services import SERVICES


async def test_each_front_is_noted(api: httpx.AsyncClient, anonymous: httpx.AsyncClient, ctx: Context) -> None:
    await SERVICES.keep(RequestLog).write()
    await ApiRequest.all().delete()
    sent = await api.post("/v1/messages", json={"to": "+12125550101", "body": "Doors open."})
    await api.get("/v1/messages", params={"status": "nonsense-secret"})
    await api.get("/v1/nothing")
    await api.put("/v1/messages")
    await api.post("/graphql", json={"query": "{ viewer { livemode } }"})
    await anonymous.get("/v1/messages")
    await anonymous.get("/v1/messages", headers={"Authorization": "Bearer msvs_test_nonsense"})
    await SERVICES.keep(RequestLog).write()
    rows = await ApiRequest.filter(workspace_id=ctx.workspace_id).order_by("id")
    assert [(row.method, row.path, row.status, row.error_code) for row in rows] == [
        ("POST", "/v1/messages", 201, None),
        ("GET", "/v1/messages", 400, "parameter_invalid"),
        ("GET", "/v1/nothing", 404, "route_unknown"),
        ("PUT", "/v1/messages", 405, "method_not_allowed"),
        ("POST", "/graphql", 200, None),
    ]
    assert rows[0].request_id == sent.headers["X-Request-Id"]
    assert len({row.api_key_id for row in rows}) == 1
    assert await ApiRequest.exclude(workspace_id=ctx.workspace_id).count() == 0
    kept = "".join(str(dict(row)) for row in rows)
    assert "5550101" not in kept
    assert "Doors" not in kept
    assert "secret" not in kept
