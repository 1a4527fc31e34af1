"""What every response has, and what every layer's refusal looks like."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import asyncpg
import httpx
import pytest
import structlog
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.types import Message as AsgiMessage

from msvs import database
from msvs.api.accounts import auth
from msvs.api.accounts.keys import create_key, list_keys, make_key, revoke_key
from msvs.api.context import Context
from msvs.api.limits import Allowance
from msvs.app import create_app
from msvs.http import body
from msvs.models import Contact, Message, Role
from msvs.ops.readiness import KEPT_SECONDS, Readiness
from msvs.rest_compat import contacts, credits
from msvs.settings import Settings
from tests.rest_compat.conftest import Client
from tests.services import SERVICES

MESSAGE = {"to": "+12125550123", "body": "Doors open"}


def check_envelope(response: httpx.Response) -> dict[str, Any]:
    """The error of a response, after checking that it is all there and nothing else."""
    assert response.headers["Content-Type"] == "application/json"
    whole = response.json()
    assert whole.keys() == {"error"}
    error: dict[str, Any] = whole["error"]
    assert {"type", "code", "message", "request_id"} <= error.keys()
    assert error["request_id"] == response.headers["X-Request-Id"]
    assert None not in error.values()
    return error


EVERYWHERE = ["/", "/v1/credits", "/nothing", "/graphql", "/openapi.yaml", "/handset", "/docs/", "/ops/login"]


@pytest.mark.parametrize(("environment", "https_only"), [("development", []), ("production", ["max-age=31536000"])])
async def test_a_browser_guesses_no_type_and_in_production_comes_by_https_alone(
    environment: str, https_only: list[str]
) -> None:
    settings = Settings(
        environment=environment,
        database_url="postgresql://127.0.0.1:1/none",
        secret_key="k" * 32,
        allowed_hosts=("api",),
    )
    transport = httpx.ASGITransport(create_app(settings, SERVICES))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        for path in EVERYWHERE:
            answer = await client.get(path)
            assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"], path
            assert answer.headers.get_list("Strict-Transport-Security") == https_only, path


@pytest.mark.parametrize(
    "path",
    [
        "/v1/",
        "/v1/nothing",
        "/v1/messages/",
        "/v1//messages",
        "/V1/messages",
        "/v2/messages",
        "/nothing",
        "/v1/credits/x/y",
    ],
)
async def test_an_unknown_route_is_404(anonymous: httpx.AsyncClient, path: str) -> None:
    response = await anonymous.get(path)
    error = check_envelope(response)
    assert (response.status_code, error["type"], error["code"]) == (404, "invalid_request_error", "route_unknown")
    assert "X-RateLimit-Limit" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/messages", "GET, HEAD, POST"),
        ("PATCH", "/v1/contacts/con_1", "DELETE, GET, HEAD, POST"),
        ("PUT", "/v1/contacts/con_1", "DELETE, GET, HEAD, POST"),
        ("GET", "/v1/messages/msg_1/cancel", "POST"),
        ("POST", "/v1/credits", "GET, HEAD"),
        ("OPTIONS", "/v1/credits", "GET, HEAD"),
        ("BREW", "/v1/credits", "GET, HEAD"),
    ],
)
async def test_a_method_that_is_not_there_is_405(
    anonymous: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    response = await anonymous.request(method, path)
    assert check_envelope(response)["code"] == "method_not_allowed"
    assert (response.status_code, response.headers["Allow"]) == (405, allow)


async def test_a_method_of_our_own_pages_is_405_too(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.post("/healthz")
    assert (response.status_code, check_envelope(response)["code"]) == (405, "method_not_allowed")
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize("path", ["/", "/healthz"])
async def test_pages_of_the_root_have_a_request_id(anonymous: httpx.AsyncClient, path: str) -> None:
    response = await anonymous.get(path)
    assert response.status_code == 200
    assert response.headers["X-Request-Id"].startswith("req_")


@pytest.fixture
def readiness(app: Starlette, monkeypatch: pytest.MonkeyPatch) -> Readiness:
    """What /readyz asks; nothing that it found is kept."""
    found: Readiness = app.state.readiness
    for kept in (found.needed, found.rest):
        monkeypatch.setattr(kept, "seconds", 0.0)
        kept.forget()
    return found


async def test_ready_means_the_database_and_its_schema(anonymous: httpx.AsyncClient, readiness: Readiness) -> None:
    """No worker lives, and no cron: what is accepted waits for them."""
    response = await anonymous.get("/readyz")
    checks = {"database": "ok", "migrations": "ok"}
    assert (response.status_code, response.json()) == (200, {"status": "ready", "checks": checks})


async def test_other_outages_are_reported_as_degraded(anonymous: httpx.AsyncClient, readiness: Readiness) -> None:
    response = await anonymous.get("/readyz?all=1")
    checks = {"database": "ok", "migrations": "ok", "redis": "ok", "disk": "ok"}
    away = {"workers": "none alive", "cron": "none alive"}
    assert (response.status_code, response.json()) == (200, {"status": "degraded", "checks": checks | away})
    assert readiness.redis is not None
    await readiness.redis.set("msvs:worker:messages:1", "1", ex=10)
    await readiness.redis.set("msvs:cron:1", "1", ex=10)
    response = await anonymous.get("/readyz?all=1")
    assert (response.status_code, response.json()["status"]) == (200, "ready")


async def test_without_redis_it_is_ready(
    anonymous: httpx.AsyncClient, readiness: Readiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "redis", Redis.from_url("redis://127.0.0.1:1/0", retry=None))
    assert (await anonymous.get("/readyz")).status_code == 200
    response = await anonymous.get("/readyz?all=1")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["checks"]["redis"] == "unreachable (ConnectionError)"


async def test_not_ready_says_what_is_away(
    anonymous: httpx.AsyncClient, readiness: Readiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "is_migrated", False)
    monkeypatch.setattr(database, "fetch_value", fail_with(ConnectionRefusedError()))
    response = await anonymous.get("/readyz")
    assert response.status_code == 503
    away = "unreachable (ConnectionRefusedError)"
    assert response.json()["checks"] == {"database": away, "migrations": away}
    error = response.json()["error"]
    assert (error["code"], error["message"]) == ("not_ready", "Not ready: database, migrations.")
    assert error["request_id"] == response.headers["X-Request-Id"]


async def test_probes_ask_the_database_once_a_second(
    anonymous: httpx.AsyncClient, app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def count(*_: object) -> int:
        nonlocal asked
        asked += 1
        return 1

    seconds = 1e9
    for kept in (app.state.readiness.needed, app.state.readiness.rest):
        monkeypatch.setattr(kept, "now", lambda: seconds)
        kept.forget()
    monkeypatch.setattr(database, "fetch_value", count)
    answers = await asyncio.gather(*(anonymous.get("/readyz") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert asked == 1
    seconds += KEPT_SECONDS
    await anonymous.get("/readyz")
    assert asked == 2


@pytest.mark.parametrize(
    ("authorization", "code"),
    [(None, "api_key_missing"), ("Bearer x", "api_key_malformed"), (f"Bearer {make_key(True)}", "api_key_invalid")],
)
async def test_without_a_key_nothing_is_said(
    anonymous: httpx.AsyncClient, authorization: str | None, code: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in (("GET", "/v1/credits"), ("POST", "/v1/messages"), ("DELETE", "/v1/contacts/x")):
        response = await anonymous.request(method, path, headers=headers)
        error = check_envelope(response)
        assert (response.status_code, error["type"], error["code"]) == (401, "authentication_error", code)
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert "X-RateLimit-Limit" not in response.headers


async def test_a_revoked_key_stops_within_a_second(client: Client, ctx: Context) -> None:
    api = await client(ctx)
    assert (await api.get("/v1/credits")).status_code == 200
    (key,) = await list_keys(ctx)
    await revoke_key(replace(ctx, role=Role.OWNER), key.id)
    await asyncio.sleep(auth.TRUST_SECONDS)
    response = await api.get("/v1/credits")
    error = check_envelope(response)
    assert (response.status_code, error["code"]) == (401, "api_key_revoked")
    assert error["message"] == f"The API key {key.prefix}…{key.last4} is revoked."


async def test_a_known_caller_is_told_the_rate(client: Client, ctx: Context, live_ctx: Context) -> None:
    api, live = await client(ctx), await client(live_ctx)
    remaining = []
    for response in (
        await api.get("/v1/credits"),
        await live.get("/v1/credits"),
        await api.get("/v1/messages/msg_x"),
        await api.post("/v1/messages", content=b"{"),
    ):
        assert response.headers["X-RateLimit-Limit"] == "100"
        assert int(response.headers["X-RateLimit-Reset"]) > 1_700_000_000
        assert "Retry-After" not in response.headers
        remaining.append(int(response.headers["X-RateLimit-Remaining"]))
    # Both modes draw on one bucket, which refills meanwhile.
    assert all(190 <= left <= 199 for left in remaining)
    campaigns = await api.get("/v1/campaigns")
    assert (campaigns.headers["X-RateLimit-Limit"], campaigns.headers["X-RateLimit-Remaining"]) == ("1000", "1999")


async def test_an_empty_bucket_is_429_and_nothing_happens(
    api: httpx.AsyncClient, app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none_left(*_: object) -> Allowance:
        return Allowance(limit=100, remaining=0, reset_epoch=1_714_579_200, retry_after=12)

    monkeypatch.setattr(app.state.limiter, "take", none_left)
    response = await api.post("/v1/messages", json=MESSAGE, headers={"Idempotency-Key": "k"})
    error = check_envelope(response)
    assert (response.status_code, error["type"], error["code"]) == (429, "rate_limit_error", "rate_limit_exceeded")
    names = ("Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
    assert [response.headers[name] for name in names] == ["12", "100", "0", "1714579200"]
    assert await Message.all().count() == 0


async def test_a_burst_over_the_capacity_is_cut(api: httpx.AsyncClient) -> None:
    responses = await asyncio.gather(*(api.get("/v1/credits/ledger") for _ in range(400)))
    statuses = {response.status_code for response in responses}
    passed = sum(response.status_code == 200 for response in responses)
    assert statuses <= {200, 429}
    assert passed >= 200
    for response in responses:
        if response.status_code == 429:
            assert int(response.headers["Retry-After"]) >= 1


async def test_head_is_get_without_its_body(api: httpx.AsyncClient) -> None:
    whole = await api.get("/v1/credits")
    head = await api.head("/v1/credits")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]
    assert (await api.head("/v1/messages/msg_x")).status_code == 404


def fail_with(error: Exception) -> Callable[..., Any]:
    async def fail(*_: object, **__: object) -> None:
        raise error

    return fail


async def test_a_bug_is_500_without_its_text(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credits.credits, "get_credits", fail_with(ZeroDivisionError("secret of the house")))
    with structlog.testing.capture_logs() as lines:
        response = await api.get("/v1/credits")
    error = check_envelope(response)
    assert (response.status_code, error["type"], error["code"]) == (500, "api_error", "internal_error")
    assert "secret" not in response.text
    assert [(line["event"], line["status"]) for line in lines] == [("request failed", 500)]
    assert isinstance(lines[0]["exc_info"], ZeroDivisionError)


AWAY = [
    ConnectionRefusedError(),
    TimeoutError(),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.ConnectionDoesNotExistError("gone"),
    asyncpg.AdminShutdownError("going"),
    asyncpg.CannotConnectNowError("starting"),
    asyncpg.TooManyConnectionsError("full"),
    asyncpg.DeadlockDetectedError("deadlock"),
    asyncpg.InvalidCachedStatementError("a migration changed the table"),
]


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
async def test_a_database_that_is_away_is_503(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(contacts.contacts, "create_contact", fail_with(error))
    response = await api.post("/v1/contacts", json={"phone": "+12125550123"}, headers={"Idempotency-Key": "k"})
    assert (response.status_code, check_envelope(response)["code"]) == (503, "service_unavailable")
    assert response.headers["Retry-After"] == "1"
    monkeypatch.undo()
    again = await api.post("/v1/contacts", json={"phone": "+12125550123"}, headers={"Idempotency-Key": "k"})
    assert (again.status_code, "Idempotent-Replayed" in again.headers) == (201, False)


async def test_an_operation_that_fails_at_last_leaves_nothing(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contacts, "changed_contact_resource", lambda _row: 1 / 0)
    response = await api.post("/v1/contacts", json={"phone": "+12125550123"})
    assert response.status_code == 500
    assert await Contact.all().count() == 0


class Sender:
    """An ASGI client that sends a body in the parts and at the pace a test wants."""

    def __init__(self, app: Starlette, key: str, headers: dict[str, str] | None = None) -> None:
        self.app = app
        self.answers: list[AsgiMessage] = []
        self.parts: asyncio.Queue[AsgiMessage] = asyncio.Queue()
        names = {"authorization": f"Bearer {key}", "content-type": "application/json", **(headers or {})}
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/messages",
            "raw_path": b"/v1/messages",
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "headers": [(name.encode(), value.encode()) for name, value in names.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 1),
        }

    async def send(self, message: AsgiMessage) -> None:
        self.answers.append(message)

    async def run(self) -> tuple[int, dict[bytes, bytes]]:
        await self.app(self.scope, self.parts.get, self.send)
        return self.answers[0]["status"], dict(self.answers[0]["headers"])


@pytest.fixture
async def key(ctx: Context) -> str:
    _, text = await create_key(ctx.workspace_id, livemode=False)
    return text


async def test_a_body_that_dribbles_in_is_408(app: Starlette, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODY_SECONDS", 0.05)
    for first in ([], [{"type": "http.request", "body": b"{", "more_body": True}]):
        sender = Sender(app, key)
        for part in first:
            sender.parts.put_nowait(part)
        status, headers = await sender.run()
        assert (status, headers[b"connection"]) == (408, b"close")
        assert b"request_timeout" in sender.answers[1]["body"]
    await auth.settle(SERVICES)


async def test_a_body_is_cut_off_while_it_streams(app: Starlette, key: str) -> None:
    sender = Sender(app, key)
    part = {"type": "http.request", "body": b" " * 400_000, "more_body": True}
    for _ in range(10):
        sender.parts.put_nowait(part)
    status, headers = await sender.run()
    assert (status, headers[b"connection"], sender.parts.qsize()) == (413, b"close", 7)
    await auth.settle(SERVICES)


@pytest.mark.parametrize("length", ["1048577", "9" * 5000])
async def test_a_body_declared_too_large_is_not_read(app: Starlette, key: str, length: str) -> None:
    sender = Sender(app, key, {"content-length": length})
    assert (await sender.run())[0] == 413
    await auth.settle(SERVICES)


async def test_a_body_in_parts_is_one_body(app: Starlette, key: str) -> None:
    sender = Sender(app, key)
    whole = b'{"to": "+12125550123", "body": "Doors open"}'
    for byte in whole:
        sender.parts.put_nowait({"type": "http.request", "body": bytes([byte]), "more_body": True})
    sender.parts.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    assert (await sender.run())[0] == 201
    await auth.settle(SERVICES)


async def test_a_client_that_hangs_up_gets_nothing_done(app: Starlette, key: str) -> None:
    sender = Sender(app, key)
    sender.parts.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
    sender.parts.put_nowait({"type": "http.disconnect"})
    await app(sender.scope, sender.parts.get, sender.send)
    assert sender.answers == []
    assert await Message.all().count() == 0
    await auth.settle(SERVICES)
