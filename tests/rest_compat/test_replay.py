"""Idempotency-Key over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from msvs.api.context import Context
from msvs.models import Contact, Event, IdempotencyRecord, Message
from tests.rest_compat.conftest import Client

MESSAGE = {"to": "+12125550123", "body": "Doors open"}
KEY = {"Idempotency-Key": "order-1"}


async def test_fifty_at_once_make_one_message(api: httpx.AsyncClient) -> None:
    responses = await asyncio.gather(*(api.post("/v1/messages", json=MESSAGE, headers=KEY) for _ in range(50)))
    made = [response for response in responses if response.status_code == 201]
    busy = [response for response in responses if response.status_code == 409]
    assert len(made) + len(busy) == 50
    assert sum("Idempotent-Replayed" not in response.headers for response in made) == 1
    assert len({response.content for response in made}) == 1
    for response in busy:
        error = response.json()["error"]
        assert (error["type"], error["code"]) == ("idempotency_error", "idempotency_key_in_use")
        assert response.headers["Retry-After"] == "1"
    assert await Message.all().count() == 1
    assert await Contact.all().count() == 1
    assert await Event.filter(type="message.queued").count() == 1
    last = await api.post("/v1/messages", json=MESSAGE, headers=KEY)
    assert (last.status_code, last.headers["Idempotent-Replayed"], last.content) == (201, "true", made[0].content)


async def test_a_replay_differs_in_its_request_id_alone(api: httpx.AsyncClient) -> None:
    first = await api.post("/v1/messages", json=MESSAGE, headers=KEY)
    second = await api.post(
        "/v1/messages",
        content=b'{ "body":"Doors open",\n"to":"+12125550123"}',
        headers={**KEY, "Content-Type": "application/json"},
    )
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]
    assert "Idempotent-Replayed" not in first.headers
    assert "X-RateLimit-Remaining" in second.headers


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {**MESSAGE, "body": "Doors close"}),
        ("/v1/messages", {**MESSAGE, "metadata": {}}),
        ("/v1/contacts", {"phone": "+12125550123"}),
    ],
)
async def test_another_request_with_the_key_is_refused(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    await api.post("/v1/messages", json=MESSAGE, headers=KEY)
    response = await api.post(path, json=body, headers=KEY)
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (400, "idempotency_error", "idempotency_key_reused")
    assert await Message.all().count() == 1


async def test_a_refusal_is_replayed_whole(api: httpx.AsyncClient) -> None:
    blocked = {**MESSAGE, "to": "+5352345678"}
    first = await api.post("/v1/messages", json=blocked, headers=KEY)
    second = await api.post("/v1/messages", json=blocked, headers=KEY)
    assert (first.status_code, first.json()["error"]["code"]) == (422, "region_blocked")
    assert (second.status_code, second.content) == (422, first.content)
    assert second.headers["Idempotent-Replayed"] == "true"
    for response in (first, second):
        assert response.json()["error"]["request_id"] == response.headers["X-Request-Id"]


async def test_a_validation_error_is_not_kept(api: httpx.AsyncClient) -> None:
    for _ in range(2):
        response = await api.post("/v1/messages", json={**MESSAGE, "to": "+1abc"}, headers=KEY)
        assert (response.status_code, "Idempotent-Replayed" in response.headers) == (400, False)
    assert await IdempotencyRecord.all().count() == 0
    assert (await api.post("/v1/messages", json=MESSAGE, headers=KEY)).status_code == 201


async def test_deleting_again_answers_again(api: httpx.AsyncClient) -> None:
    made = (await api.post("/v1/contacts", json={"phone": "+12125550123"})).json()
    path = f"/v1/contacts/{made['id']}"
    answers = [await api.delete(path, headers=KEY) for _ in range(2)]
    for response in answers:
        assert response.status_code == 200
        assert response.json() == {"id": made["id"], "object": "contact", "deleted": True}
    assert (await api.delete(path)).status_code == 404


async def test_a_key_outlives_a_roll_of_the_api_key(client: Client, ctx: Context) -> None:
    first = await (await client(ctx)).post("/v1/messages", json=MESSAGE, headers=KEY)
    second = await (await client(ctx)).post("/v1/messages", json=MESSAGE, headers=KEY)
    assert (second.content, second.headers["Idempotent-Replayed"]) == (first.content, "true")


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"\xc3\xa9", b"a\tb"])
async def test_a_malformed_key_is_refused(api: httpx.AsyncClient, key: bytes) -> None:
    response = await api.post("/v1/messages", json=MESSAGE, headers={b"Idempotency-Key": key})
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (400, "idempotency_error", "idempotency_key_invalid")
    assert await Message.all().count() == 0


async def test_reading_ignores_the_key(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/credits", headers=KEY)).status_code == 200
    assert (await api.get("/v1/messages", headers=KEY)).json()["url"] == "/v1/messages"
    assert await IdempotencyRecord.all().count() == 0
