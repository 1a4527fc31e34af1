"""The API document's table of errors: each status produced, in its shape, and kept or not for a retry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from msvs.api.catalogue import ERRORS
from msvs.api.context import Context
from msvs.api.messages import messages
from msvs.models import Contact, IdempotencyRecord, Message
from tests.rest_compat.making import get, make_synced, post

PHONE = "+12125550111"
SOME = "01HYZ8K5VQAE2N0PWQ6DC9V8MP"


async def bad_phone(api: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await api.post("/v1/messages", json={"to": "+1abc", "body": "Hi"}, headers=headers)


async def no_key(api: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await api.post("/v1/messages", headers={**headers, "Authorization": "Bearer msvs_live_4f2a"})


async def too_dear(api: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await api.post("/v1/messages", json={"to": "+14155550114", "body": "Hi"}, headers=headers)


async def not_there(api: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await api.post(f"/v1/contacts/con_{SOME}", json={}, headers=headers)


async def already_out(api: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    contacts = (await get(api, "/v1/contacts", phone=PHONE))["data"]
    if not contacts:
        contacts = [await post(api, "/v1/contacts", phone=PHONE)]
        await post(api, f"/v1/contacts/{contacts[0]['id']}/opt_out", 200)
    return await api.post(f"/v1/contacts/{contacts[0]['id']}/opt_out", headers=headers)


async def blocked_region(api: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await api.post("/v1/messages", json={"to": "+14155550113", "body": "Hi"}, headers=headers)


Request = Callable[[httpx.AsyncClient, dict[str, str]], Awaitable[httpx.Response]]

TABLE: list[tuple[int, Request, str, str, bool]] = [
    (400, bad_phone, "invalid_request_error", "phone_number_invalid", False),
    (401, no_key, "authentication_error", "api_key_malformed", False),
    (402, too_dear, "payment_required_error", "insufficient_credits", True),
    (404, not_there, "invalid_request_error", "resource_missing", True),
    (409, already_out, "conflict_error", "contact_opted_out", True),
    (422, blocked_region, "compliance_error", "region_blocked", True),
]


@pytest.mark.parametrize(("status", "request_", "type", "code", "is_kept"), TABLE, ids=[str(row[0]) for row in TABLE])
async def test_a_status_of_the_table_and_its_retry(
    api: httpx.AsyncClient, status: int, request_: Request, type: str, code: str, is_kept: bool
) -> None:
    key = {"Idempotency-Key": "order-1"}
    first, second = await request_(api, key), await request_(api, key)
    error = first.json()["error"]
    assert (first.status_code, error["type"], error["code"]) == (status, type, code)
    assert error["doc_url"] == f"http://127.0.0.1:8000/docs/errors#{code}"
    assert second.status_code == status
    assert second.headers.get("Idempotent-Replayed") == ("true" if is_kept else None)
    assert (second.content == first.content) is is_kept
    assert await IdempotencyRecord.all().count() == int(is_kept)
    assert "Idempotent-Replayed" not in (await request_(api, {})).headers


async def test_429_tells_when_to_come_back(api: httpx.AsyncClient, app: Starlette, ctx: Context) -> None:
    # Tokens come back while a slow machine asks: an empty bucket is met within a few tries.
    for _ in range(100):
        left = (await app.state.limiter.take(ctx.workspace_id)).remaining
        await app.state.limiter.take(ctx.workspace_id, cost=max(left, 1))
        last = await api.get("/v1/credits")
        if last.status_code != 200:
            break
    assert last.status_code == 429
    assert last.json()["error"]["type"] == "rate_limit_error"
    assert (last.headers["Retry-After"], last.headers["X-RateLimit-Remaining"]) == ("1", "0")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ZeroDivisionError("+14155550123 Maria"), 500, "internal_error"),
        (asyncpg.ConnectionDoesNotExistError("gone"), 503, "service_unavailable"),
    ],
)
async def test_a_failure_of_ours_is_not_kept_and_a_retry_succeeds(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise error

    sent = {"json": {"to": PHONE, "body": "Hi"}, "headers": {"Idempotency-Key": "order-1"}}
    with monkeypatch.context() as patch:
        patch.setattr(messages, "insert_single", fail)
        response = await api.post("/v1/messages", **sent)  # type: ignore[arg-type]
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert "Maria" not in response.text
    assert await Message.all().count() == await Contact.all().count() == await IdempotencyRecord.all().count() == 0
    again = await api.post("/v1/messages", **sent)  # type: ignore[arg-type]
    assert (again.status_code, "Idempotent-Replayed" in again.headers) == (201, False)


async def test_a_key_is_for_one_request_and_without_one_nothing_is_kept(api: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "order-1"}
    made = await api.post("/v1/lists", json={"name": "A"}, headers=key)
    other = await api.post("/v1/segments/preview", json={"filter": {"field": "email", "op": "exists"}}, headers=key)
    assert (made.status_code, other.status_code) == (201, 400)
    assert other.json()["error"]["code"] == "idempotency_key_reused"
    for _ in range(2):
        await post(api, "/v1/lists", name="B")
    assert len((await get(api, "/v1/lists"))["data"]) == 3


async def test_a_deletion_is_replayed(api: httpx.AsyncClient) -> None:
    made = await post(api, "/v1/lists", name="A")
    key = {"Idempotency-Key": "order-1"}
    first, second = [await api.delete(f"/v1/lists/{made['id']}", headers=key) for _ in range(2)]
    assert (first.status_code, second.status_code) == (200, 200)
    assert (first.content, second.headers["Idempotent-Replayed"]) == (second.content, "true")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "json_invalid"),
        (b'{"name": "' + b"a" * 1024 * 1024 + b'"}', 413, "request_too_large"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    api: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    response = await api.post("/v1/lists", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


async def test_a_conflict_names_what_to_do(api: httpx.AsyncClient) -> None:
    made = await post(api, "/v1/lists", name="Kit")
    await make_synced(made["id"])
    error = (await post(api, f"/v1/lists/{made['id']}", 409, name="Mine"))["error"]
    assert ERRORS[error["code"]].action == "Change it in that service, or create your own list."
