"""Proxies in front: whose X-Forwarded-For is believed, and that nobody chooses an address of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from msvs.app import create_app
from msvs.http.proxies import TrustedProxies
from msvs.ops.operator_sessions import FAILED_TRIES
from msvs.ops.routes import ops_routes
from msvs.settings import Settings, SettingsError, from_environment
from tests.engines import Engines
from tests.services import SERVICES

PROXY, SECOND_PROXY, CLIENT, STRANGER = "10.0.0.9", "10.0.7.7", "203.0.113.4", "198.51.100.7"
NETWORKS = ("10.0.0.0/8", "2001:db8:ffff::/48")


def application(networks: Sequence[str], *routes: Route) -> Starlette:
    middleware = [Middleware(TrustedProxies, networks=networks)] if networks else []
    return Starlette(routes=[Route("/", show), *routes], middleware=middleware)


async def show(request: Request) -> JSONResponse:
    assert request.client is not None
    return JSONResponse({"client": request.client.host, "scheme": request.url.scheme})


def client_from(app: Starlette, peer: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, client=(peer, 40000))
    return httpx.AsyncClient(transport=transport, base_url="http://api.cohortlabs.co")


@pytest.mark.parametrize(
    ("networks", "peer", "headers", "expected"),
    [
        (NETWORKS, PROXY, {}, PROXY),
        (NETWORKS, PROXY, {"X-Forwarded-For": CLIENT}, CLIENT),
        (NETWORKS, PROXY, {"X-Forwarded-For": f"{CLIENT}:51234"}, CLIENT),
        (NETWORKS, PROXY, {"X-Forwarded-For": "2001:db8::7"}, "2001:db8::7"),
        (NETWORKS, f"::ffff:{PROXY}", {"X-Forwarded-For": CLIENT}, CLIENT),
        (NETWORKS, f"::ffff:{STRANGER}", {"X-Forwarded-For": CLIENT}, STRANGER),
        (NETWORKS, "2001:db8:ffff::1", {"X-Forwarded-For": CLIENT}, CLIENT),
        # What a client wrote stands left of what the proxy added.
        (NETWORKS, PROXY, {"X-Forwarded-For": f"{STRANGER}, {CLIENT}"}, CLIENT),
        (NETWORKS, PROXY, {"X-Forwarded-For": f"127.0.0.1, {PROXY}, {CLIENT}"}, CLIENT),
        (NETWORKS, PROXY, {"X-Forwarded-For": f"{STRANGER}, {CLIENT}, {SECOND_PROXY}"}, CLIENT),
        # Nobody but a trusted proxy is believed.
        (NETWORKS, STRANGER, {"X-Forwarded-For": CLIENT}, STRANGER),
        (NETWORKS, STRANGER, {"X-Forwarded-For": PROXY}, STRANGER),
        (NETWORKS, "127.0.0.1", {"X-Forwarded-For": CLIENT}, "127.0.0.1"),
        ((), PROXY, {"X-Forwarded-For": CLIENT}, PROXY),
        ((), "127.0.0.1", {"X-Forwarded-For": CLIENT}, "127.0.0.1"),
        # What is no address is not taken for one.
        (NETWORKS, PROXY, {"X-Forwarded-For": "unknown"}, PROXY),
        (NETWORKS, PROXY, {"X-Forwarded-For": f"{CLIENT}, <script>"}, PROXY),
        (NETWORKS, PROXY, {"X-Forwarded-For": "x" * 5000}, PROXY),
        (NETWORKS, PROXY, {"X-Forwarded-For": ""}, PROXY),
        (NETWORKS, PROXY, {"Forwarded": f"for={CLIENT}", "X-Real-IP": CLIENT}, PROXY),
    ],
)
async def test_the_clients_address(
    networks: Sequence[str], peer: str, headers: Mapping[str, str], expected: str
) -> None:
    async with client_from(application(networks), peer) as client:
        assert (await client.get("/", headers=headers)).json()["client"] == expected


async def test_a_second_line_of_the_header_counts_as_the_nearest_hop() -> None:
    async with client_from(application(NETWORKS), PROXY) as client:
        lines = [("X-Forwarded-For", STRANGER), ("X-Forwarded-For", CLIENT)]
        assert (await client.get("/", headers=lines)).json()["client"] == CLIENT


async def test_only_a_trusted_proxy_says_that_it_speaks_tls() -> None:
    headers = {"X-Forwarded-Proto": "https"}
    for peer, scheme in ((PROXY, "https"), (STRANGER, "http")):
        async with client_from(application(NETWORKS), peer) as client:
            assert (await client.get("/", headers=headers)).json()["scheme"] == scheme


async def test_tries_to_sign_in_are_counted_by_client_however_they_name_themselves(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    settings = Settings(operator_password="correct-horse-battery", data_dir=tmp_path_factory.mktemp("ops"))
    app = application(NETWORKS, *ops_routes(settings))  # type: ignore[arg-type]
    form, origin = {"password": "wrong"}, {"Origin": "http://api.cohortlabs.co"}

    async def sign_in(forwarded: str) -> int:
        async with client_from(app, PROXY) as client:
            answer = await client.post("/ops/login", data=form, headers={**origin, "X-Forwarded-For": forwarded})
        return answer.status_code

    for number in range(FAILED_TRIES):
        assert await sign_in(f"192.0.2.{number}, {CLIENT}") == 401
    assert await sign_in(f"192.0.2.200, {CLIENT}") == 429
    assert await sign_in(STRANGER) == 401


def test_the_application_trusts_the_proxies_of_the_settings(
    database: str, engines: Engines, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = Settings(database_url=database, redis_url=engines.redis_url, data_dir=tmp_path_factory.mktemp("data"))
    # Outside all that asks for an address; what counts requests alone stands before it.
    _, proxies, *_ = create_app(replace(settings, trusted_proxies=NETWORKS)).user_middleware
    assert getattr(proxies.cls, "__name__", None) == "TrustedProxies"
    assert proxies.kwargs == {"networks": NETWORKS}
    trusting_none = create_app(settings, SERVICES).user_middleware
    names = [getattr(entry.cls, "__name__", None) for entry in trusting_none]
    assert names == ["Observed", "Notifying", "RequestMiddleware", "AllowedHosts", "Compressed"]


def test_the_setting_is_a_list_of_networks() -> None:
    assert from_environment({}).trusted_proxies == ()
    named = from_environment({"MSVS_TRUSTED_PROXIES": " 10.0.0.0/8, 192.0.2.1 ,2001:db8::/32,"})
    assert named.trusted_proxies == ("10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32")
    for text in ("*", "10.0.0.0/33", "proxy.internal", "10.0.0.1/8"):
        with pytest.raises(SettingsError, match=r"^MSVS_TRUSTED_PROXIES must be networks such as 10\.0\.0\.0/8, not "):
            from_environment({"MSVS_TRUSTED_PROXIES": text})
