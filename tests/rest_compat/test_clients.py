"""What clients of others send to /v1: empty lists for objects, null bodies, Accept, paths with a slash too many."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from msvs.api.context import Context
from tests.rest_compat.conftest import Client

PHONE = "+12125550173"


async def loose(http: httpx.AsyncClient, app: Starlette) -> httpx.AsyncClient:
    """The same caller, whose requests the document need not allow."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=http.base_url, headers=http.headers)


@pytest.mark.parametrize("content", [b"[]", b"null", b"{}", b""])
async def test_an_empty_body_has_many_spellings(content: bytes, client: Client, ctx: Context, app: Starlette) -> None:
    http = await loose(await client(ctx), app)
    gathered = (await http.post("/v1/lists", json={"name": "Cohort 07"})).json()
    draft = {"name": "Cohort 07", "body": "Hi", "audience": {"list_ids": [gathered["id"]]}, "draft": True}
    made = (await http.post("/v1/campaigns", json=draft)).json()
    answer = await http.post(
        f"/v1/campaigns/{made['id']}/clone", content=content, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["body"]) == (201, "Hi")
    await http.aclose()


async def test_an_empty_list_stands_for_an_empty_object(client: Client, ctx: Context, app: Starlette) -> None:
    http = await loose(await client(ctx), app)
    message = await http.post("/v1/messages", json={"to": PHONE, "body": "Hi", "variables": [], "metadata": []})
    assert message.status_code == 201, message.text
    assert message.json()["metadata"] == {}
    contact = await http.post("/v1/contacts", json={"phone": "+12125550174", "attributes": []})
    assert contact.status_code == 201
    imported = await http.post("/v1/contacts/import", json={"contacts": [{"phone": "+12125550175", "attributes": []}]})
    assert (imported.status_code, imported.json()["created"]) == (200, 1)
    await http.aclose()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"to": PHONE, "body": []}, "body"),
        ({"to": PHONE, "body": "Hi", "metadata": [1]}, "metadata"),
        ({"to": PHONE, "body": "Hi", "metadata": [[]]}, "metadata"),
        ({"to": [], "body": "Hi"}, "to"),
    ],
)
async def test_a_list_that_is_not_empty_is_no_object(
    body: dict[str, Any], param: str, client: Client, ctx: Context
) -> None:
    answer = await (await client(ctx)).post("/v1/messages", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("accept", ["application/json;q=0", "*/*;q=0", "text/html, application/*;q=0.0"])
async def test_a_client_that_refuses_json_gets_406(accept: str, client: Client, ctx: Context) -> None:
    answer = await (await client(ctx)).get("/v1/credits", headers={"Accept": accept})
    assert (answer.status_code, answer.json()["error"]["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize("accept", ["text/html", "*/*", "application/json;q=0.1", "application/vnd.api+json", "q=0"])
async def test_a_client_that_names_another_type_gets_json(accept: str, client: Client, ctx: Context) -> None:
    answer = await (await client(ctx)).get("/v1/credits", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")


async def test_a_refused_path_or_method_tells_what_is_left(client: Client, ctx: Context) -> None:
    http = await client(ctx)
    for method, path, status in (("GET", "/v1/nothing", 404), ("PUT", "/v1/messages", 405), ("GET", "/v1/lists/", 404)):
        answer = await http.request(method, path)
        assert answer.status_code == status
        assert int(answer.headers["X-RateLimit-Remaining"]) < 200


async def test_a_slash_at_the_end_is_reported(client: Client, ctx: Context, anonymous: httpx.AsyncClient) -> None:
    http = await client(ctx)
    for path in ("/v1/messages/", "/v1/messages/msg_1/explain/", "/v1/lists//", "/v1/", "/v1//"):
        assert (await http.get(path)).json()["error"]["message"].endswith("Leave out the slash at the end.")
    for path in ("/v1/nothing/", "/v1/nothing"):
        assert "slash" not in (await http.get(path)).json()["error"]["message"]
    stranger = await anonymous.get("/v1/messages/")
    assert (stranger.status_code, "X-RateLimit-Limit" in stranger.headers) == (404, False)


async def test_the_root_lists_the_paths(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get("/v1")
    assert answer.status_code == 200
    assert {"/v1/messages", "/v1/contacts", "/v1/webhooks/{id}"} <= set(answer.json()["paths"])


async def test_a_long_list_is_compressed(client: Client, ctx: Context) -> None:
    http = await client(ctx)
    for number in range(5):
        await http.post("/v1/messages", json={"to": f"+1212555018{number}", "body": "Doors open at 8pm ET."})
    packed = await http.get("/v1/messages", headers={"Accept-Encoding": "gzip"})
    assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == ("gzip", "accept-encoding")
    assert packed.json() == (await http.get("/v1/messages", headers={"Accept-Encoding": "identity"})).json()
