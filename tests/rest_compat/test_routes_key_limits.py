"""What a key may read, where it works from, and how many unknown ones a network may try: attacked by every front."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette

from msvs import database as db
from msvs.api.accounts import auth, keys
from msvs.api.accounts.keys import create_key, make_key
from msvs.api.accounts.networks import MAX_NETWORKS, read_networks
from msvs.api.accounts.strangers import RATE as STRANGERS
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest
from msvs.api.limits import LocalBuckets
from msvs.api.permissions import SCOPES, Scope
from msvs.http.proxies import TrustedProxies
from msvs.models import ApiKey, Role
from msvs.rest_compat.endpoint import Endpoint
from msvs.rest_compat.endpoints import ENDPOINTS
from msvs.rest_compat.permissions import PERMISSIONS
from tests.apps import BASE_URL
from tests.rest_compat.making import make_everything, path_of, post
from tests.services import SERVICES

READS = [endpoint for endpoint in ENDPOINTS if endpoint.method == "GET"]
HERE = "203.0.113.9"

From = Callable[..., Awaitable[httpx.AsyncClient]]


def name(endpoint: Endpoint) -> str:
    return endpoint.operation_id


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks start without a try."""
    known = SERVICES.keep(auth.KnownKeys)
    known.forget()
    monkeypatch.setattr(known, "strangers", LocalBuckets(lambda: 1000.0))


@pytest.fixture
async def coming(app: Starlette, clean: None) -> AsyncIterator[From]:
    """`await coming(key, ip)`: a client with that key at that address, behind a proxy at 10.0.0.1 where it is so."""
    async with AsyncExitStack() as stack:

        async def make(key: str | None, ip: str = HERE, *, proxied: bool = False) -> httpx.AsyncClient:
            asgi = TrustedProxies(app, ["10.0.0.0/8"]) if proxied else app
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(asgi, client=(ip, 5)),
                base_url=BASE_URL,
                headers={} if key is None else {"Authorization": f"Bearer {key}"},
            )
            return await stack.enter_async_context(client)

        yield make
        await auth.settle(SERVICES)


@asynccontextmanager
async def no_statement(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Any look for a key fails within."""

    async def refused(*_: object) -> object:
        raise AssertionError("the database was asked")

    with monkeypatch.context() as patched:
        patched.setattr(auth, "fetch_row", refused)
        yield


# Scopes


def test_every_endpoint_declares_its_permission_once() -> None:
    assert {endpoint.operation_id for endpoint in ENDPOINTS} == set(PERMISSIONS)
    assert set(PERMISSIONS.values()) <= set(SCOPES)


@pytest.mark.parametrize("endpoint", READS, ids=name)
async def test_reads_outside_a_keys_scopes_are_refused(
    api: httpx.AsyncClient, coming: From, ctx: Context, endpoint: Endpoint
) -> None:
    known = await make_everything(api)
    path = path_of(endpoint.path, known, endpoint.operation_id)
    scope = SCOPES[PERMISSIONS[endpoint.operation_id]]
    _, bare = await create_key(ctx.workspace_id, livemode=False, scopes=[each for each in Scope if each is not scope])
    # An export is read by who may read what it is of, too.
    needed = [scope, Scope.CONTACTS_READ] if endpoint.operation_id == "retrieveExport" else [scope]
    _, enough = await create_key(ctx.workspace_id, livemode=False, scopes=needed)
    if endpoint.operation_id == "retrieveTestClock":
        await post(api, "/v1/test/clock")
    if endpoint.operation_id == "retrieveTestCarrier":
        await post(api, "/v1/test/carrier", 200)
    for method in ("GET", "HEAD"):
        response = await (await coming(bare)).request(method, path)
        assert response.status_code == 403
    error = (await (await coming(bare)).get(path)).json()["error"]
    assert (error["type"], error["code"], error["scope"]) == ("permission_error", "scope_missing", scope.value)
    assert (await (await coming(enough)).get(path)).status_code == 200


async def test_a_stored_answer_is_not_shown_again_to_a_key_without_the_scope(
    api: httpx.AsyncClient, coming: From, ctx: Context
) -> None:
    sent = {"to": "+12125550111", "body": "Hi"}
    headers = {"Idempotency-Key": "once"}
    assert (await api.post("/v1/messages", json=sent, headers=headers)).status_code == 201
    _, key = await create_key(ctx.workspace_id, livemode=False, scopes=[Scope.CONTACTS_WRITE])
    response = await (await coming(key)).post("/v1/messages", json=sent, headers=headers)
    assert (response.status_code, response.json()["error"]["scope"]) == (403, "messages:send")
    assert "idempotent-replayed" not in response.headers
    again = await api.post("/v1/messages", json=sent, headers=headers)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")


@pytest.mark.parametrize("given", ["query", "basic", "cookie", "twice"])
async def test_a_key_counts_in_its_header_alone(coming: From, ctx: Context, given: str) -> None:
    _, key = await create_key(ctx.workspace_id, livemode=False)
    client = await coming(None)
    basic = base64.b64encode(f"{key}:".encode()).decode()
    response = await client.get(
        "/v1/messages",
        params={"api_key": key} if given == "query" else None,
        headers={
            "basic": {"Authorization": f"Basic {basic}"},
            "cookie": {"Cookie": f"msvs_session={key}"},
            "twice": {"Authorization": f"Bearer {key}, Bearer {key}"},
        }.get(given, {}),
    )
    assert response.status_code == 401


# Networks

TWILIO = "/2010-04-01/Accounts.json"
GRAPHQL = {"query": "{ workspace { id } }"}


async def statuses(client: httpx.AsyncClient, key: str) -> list[int]:
    """What REST, GraphQL, its streams and Twilio's front answer."""

    return [
        (await client.get("/v1/workspace")).status_code,
        (await client.post("/graphql", json=GRAPHQL)).status_code,
        # A query is no subscription, so one that may come in is told that.
        (await client.post("/graphql/stream", json=GRAPHQL)).status_code,
        (await client.get(TWILIO, auth=(key, key))).status_code,
    ]


@pytest.mark.parametrize(
    ("allowed", "ip", "is_in"),
    [
        (["203.0.113.0/24"], HERE, True),
        (["203.0.113.9"], HERE, True),
        (["203.0.113.8"], HERE, False),
        (["203.0.113.0/24"], f"::ffff:{HERE}", True),
        (["::ffff:203.0.113.0/120"], HERE, True),
        (["2001:db8::/64"], "2001:db8::1", True),
        (["2001:db8::/64"], "2001:db8:0:1::1", False),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["::/0"], HERE, False),
        (["198.51.100.1", "203.0.113.9"], HERE, True),
        (["203.0.113.0/24"], "testclient", False),
    ],
)
async def test_a_key_works_from_its_networks_alone_by_every_front(
    coming: From, ctx: Context, allowed: list[str], ip: str, is_in: bool
) -> None:
    _, key = await create_key(ctx.workspace_id, livemode=False, allowed_ips=allowed)
    client = await coming(key, ip)
    assert await statuses(client, key) == ([200, 200, 400, 200] if is_in else [403] * 4)
    if not is_in:
        error = (await client.get("/v1/workspace")).json()["error"]
        assert (error["type"], error["code"]) == ("permission_error", "address_not_allowed")


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        # Nobody but a trusted proxy says where a request comes from, and it by one header.
        ("198.51.100.7", {"X-Forwarded-For": HERE}, 403),
        ("10.0.0.1", {"X-Forwarded-For": HERE}, 200),
        ("10.0.0.1", {"X-Forwarded-For": f"{HERE}, 198.51.100.7"}, 403),
        ("10.0.0.1", {"X-Forwarded-For": f"{HERE}, 10.0.0.9"}, 200),
        ("10.0.0.1", {"Forwarded": f"for={HERE}"}, 403),
        ("10.0.0.1", {"X-Real-IP": HERE, "True-Client-IP": HERE, "CF-Connecting-IP": HERE}, 403),
    ],
)
async def test_a_header_does_not_bring_a_request_into_a_network(
    coming: From, ctx: Context, peer: str, headers: dict[str, str], status: int
) -> None:
    _, key = await create_key(ctx.workspace_id, livemode=False, allowed_ips=["203.0.113.0/24"])
    client = await coming(key, peer, proxied=True)
    assert (await client.get("/v1/workspace", headers=headers)).status_code == status


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["203.0.113.9/24"],
        ["everywhere"],
        ["203.0.113.0/33"],
        ["fe80::1%eth0"],
        [""],
        [f"10.0.{n}.0/24" for n in range(51)],
    ],
)
def test_a_bad_network_is_refused(texts: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_networks(texts)
    assert (caught.value.param or "").startswith("allowed_ips")
    assert len(read_networks([f"10.0.{n}.0/24" for n in range(MAX_NETWORKS)])) == MAX_NETWORKS


async def test_a_key_ends_when_it_was_made_to(coming: From, ctx: Context) -> None:
    soon = datetime.now(UTC) + timedelta(days=1)
    row, key = await create_key(ctx.workspace_id, livemode=False, expires_at=soon)
    assert (await (await coming(key)).get("/v1/workspace")).status_code == 200
    await ApiKey.filter(id=row.id).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    SERVICES.keep(auth.KnownKeys).forget()
    assert (await (await coming(key)).get("/v1/workspace")).json()["error"]["code"] == "api_key_expired"
    owner = replace(ctx, role=Role.OWNER)
    with pytest.raises(InvalidRequest):
        await keys.issue_key(owner, expires_at=datetime.now(UTC))


# Attack 11 of the cases: unknown well-formed keys


@pytest.mark.parametrize("front", ["rest", "graphql", "stream", "twilio"])
async def test_unknown_keys_are_held_back_before_the_database_is_asked(
    coming: From, ctx: Context, monkeypatch: pytest.MonkeyPatch, front: str
) -> None:
    _, own = await create_key(ctx.workspace_id, livemode=False)
    client = await coming(None)
    assert (await client.get("/v1/workspace", headers={"Authorization": f"Bearer {own}"})).status_code == 200

    async def tried(key: str, **headers: str) -> int:
        headers["Authorization"] = f"Bearer {key}"
        if front == "rest":
            return (await client.get("/v1/workspace", headers=headers)).status_code
        if front == "twilio":
            return (await client.get(TWILIO, auth=(key, key))).status_code
        path = "/graphql" if front == "graphql" else "/graphql/stream"
        return (await client.post(path, json=GRAPHQL, headers=headers)).status_code

    first = [await tried(make_key(False)) for _ in range(STRANGERS.capacity)]
    assert set(first) == {401}
    async with no_statement(monkeypatch):
        for number in range(100):
            assert await tried(make_key(bool(number % 2)), **{"X-Forwarded-For": f"198.51.100.{number}"}) == 429
    # A key that was seen works on, from the same network.
    assert (await client.get("/v1/workspace", headers={"Authorization": f"Bearer {own}"})).status_code == 200
    _, fresh = await create_key(ctx.workspace_id, livemode=False)
    elsewhere = await coming(fresh, "203.0.113.10")
    assert (await elsewhere.get("/v1/workspace")).status_code == 200
    response = await client.get("/v1/workspace", headers={"Authorization": f"Bearer {make_key(False)}"})
    assert (response.json()["error"]["type"], response.headers["retry-after"]) == ("rate_limit_error", "1")


async def test_one_holder_of_an_ipv6_network_is_one_caller(coming: From, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(STRANGERS.capacity):
        client = await coming(make_key(False), f"2001:db8::{number:x}")
        assert (await client.get("/v1/workspace")).status_code == 401
    async with no_statement(monkeypatch):
        assert (await (await coming(make_key(False), "2001:db8::ffff")).get("/v1/workspace")).status_code == 429
    assert (await (await coming(make_key(False), "2001:db8:0:1::1")).get("/v1/workspace")).status_code == 401


async def test_new_keys_that_exist_cost_nothing(coming: From, ctx: Context) -> None:
    for _ in range(STRANGERS.capacity + 5):
        SERVICES.keep(auth.KnownKeys).forget()
        _, key = await create_key(ctx.workspace_id, livemode=False)
        assert (await (await coming(key)).get("/v1/workspace")).status_code == 200
    assert await db.fetch_value("SELECT count(*) FROM api_keys") == STRANGERS.capacity + 5
