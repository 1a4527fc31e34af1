"""The composition root: every front in one application."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from msvs import database, error_tracking, garbage, logs, settings, start_checks
from msvs.api.accounts import auth, request_log, secret_keys
from msvs.api.context import Services
from msvs.api.credits import gateway
from msvs.api.crypto import Keyring
from msvs.api.errors import ErrorCode, Unavailable
from msvs.api.limits import Limiter
from msvs.api.messages import clicks
from msvs.api.notifier import Notifier
from msvs.billing.routes import billing_routes
from msvs.callbacks.hooks import hook_routes
from msvs.callbacks.routes import callback_routes
from msvs.carriers.protocol import Carrier
from msvs.carriers.registry import make_carriers
from msvs.dashboard import routes as dashboard
from msvs.docs.routes import docs_routes
from msvs.graphql.routes import graphql_routes
from msvs.handset.routes import handset_routes, operations
from msvs.home.routes import home_routes, unknown_pages
from msvs.http.compression import Compressed
from msvs.http.errors import error_body
from msvs.http.hosts import AllowedHosts
from msvs.http.html import NOT_STORED
from msvs.http.middleware import REQUEST_ID, STATUS, RequestMiddleware
from msvs.http.notifying import Notifying
from msvs.http.proxies import TrustedProxies
from msvs.http.request_log import noting
from msvs.http.server import BACKLOG, server_config
from msvs.http.traces import Traced
from msvs.links.routes import link_routes
from msvs.loops import new_runner
from msvs.mailbox.routes import mailbox_routes
from msvs.ops.console import Watched
from msvs.ops.metric_families import read_metric_families, reads_metrics
from msvs.ops.metrics import Metrics
from msvs.ops.operator_sessions import tell_shared_password
from msvs.ops.readiness import Readiness
from msvs.ops.routes import ops_routes
from msvs.ops.traffic import Observed, Traffic, template_of
from msvs.replica_reads import Reads
from msvs.rest_compat.openapi import openapi_routes
from msvs.rest_compat.router import rest_routes
from msvs.rest_compat.transfers import transfer_routes
from msvs.settings import Settings, SettingsError
from msvs.shared_clock import SharedClock
from msvs.tracing import Tracing
from msvs.twilio_compat.router import twilio_routes


def application() -> Starlette:
    """Return the application as the environment sets it up; what uvicorn's factory mode calls."""
    own = settings.from_environment()
    start_checks.require_safe(own)
    return create_app(own)


def create_app(settings: Settings, services: Services | None = None, tracing: Tracing | None = None) -> Starlette:
    """Return the application, with services and traces of its own unless they are given.

    Raises SettingsError without a database.
    """
    if settings.database_url is None:
        raise SettingsError("DATABASE_URL is not set")
    carriers = make_carriers(settings, owns_binds=False)
    own_rates = {name: each.rate for name, each in carriers.items()}
    services = replace(
        services or Services.from_settings(settings, own_rates),
        base_url=settings.base_url,
        link_domain=settings.link_domain,
        link_days=settings.link_days,
    )
    parts = Parts(
        services,
        carriers,
        Limiter(settings.redis_url),
        Readiness(settings.database_url, settings.redis_url),
        Traffic(),
        tracing or Tracing.from_settings(settings, "api"),
    )
    app = Application(
        routes=_routes(settings, parts),
        middleware=_middleware(settings, parts),
        lifespan=lambda app: _lifespan(app, settings, parts),
    )
    app.state.limiter = parts.limiter
    app.state.readiness = parts.readiness
    app.state.refused = None
    app.state.notifier = None
    app.state.reads = services.keep(Reads)
    app.state.base_url = settings.base_url
    app.state.end = lambda: signal.raise_signal(signal.SIGTERM)
    app.router.redirect_slashes = False
    app.router.default = unknown_pages()
    return app


class Application(Starlette):
    """Starlette without its own two layers around every request: RequestMiddleware renders each error there is."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return the router behind the middleware that was asked for."""
        app: ASGIApp = self.router
        for layer, args, options in reversed(self.user_middleware):
            app = layer(app, *args, **options)
        return app


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects that the fronts of one application share."""

    services: Services
    carriers: Mapping[str, Carrier]
    limiter: Limiter
    readiness: Readiness
    traffic: Traffic
    tracing: Tracing | None


def _routes(settings: Settings, parts: Parts) -> list[BaseRoute]:
    """Return the routes of every front, with their full paths."""
    services, limiter, readiness = parts.services, parts.limiter, parts.readiness
    metrics = Metrics(
        settings,
        lambda: read_metric_families(
            parts.carriers.values(), readiness.redis, readiness.disk, sells_credits=services.billing.is_connected
        ),
        lambda: [*parts.traffic.families(), *reads_metrics(services.keep(Reads))],
    )
    links_first, links_last = link_routes(services, limiter)
    return [
        *links_first,
        *rest_routes(services, limiter),
        *transfer_routes(services, limiter),
        *openapi_routes(settings.base_url),
        *graphql_routes(services, settings, limiter, {**operations(), **dashboard.operations()}),
        *twilio_routes(services, limiter),
        *handset_routes(services, settings),
        *dashboard.dashboard_routes(),
        *callback_routes(parts.carriers, base_url=settings.base_url),
        *hook_routes(services, limiter),
        *billing_routes(services, limiter),
        *docs_routes(),
        *mailbox_routes(keeps_mail=settings.keeps_mail),
        *home_routes(settings.base_url, is_production=settings.is_production),
        Route("/healthz", show_health),
        Route("/readyz", show_readiness(readiness, settings.base_url)),
        Route("/metrics", metrics.show),
        *ops_routes(
            settings, redis=readiness.redis, services=services, watched=Watched(readiness, metrics, parts.carriers)
        ),
        *links_last,
    ]


def _middleware(settings: Settings, parts: Parts) -> list[Middleware]:
    """Return what stands before every front, the outermost first."""
    trusted = settings.trusted_proxies
    traced = [] if parts.tracing is None else [Middleware(Traced, tracing=parts.tracing, route_of=template_of)]
    return [
        *traced,
        Middleware(
            Observed,
            traffic=parts.traffic,
            request_id=REQUEST_ID,
            status=STATUS,
            logs_requests=settings.is_production,
            note=noting(parts.services),
        ),
        *([Middleware(TrustedProxies, networks=trusted)] if trusted else []),
        Middleware(Notifying),
        Middleware(RequestMiddleware, https_only=settings.is_production, base_url=settings.base_url),
        Middleware(AllowedHosts, base_url=settings.base_url, names=settings.allowed_hosts),
        Middleware(Compressed, prefix="/v1"),
    ]


@asynccontextmanager
async def _lifespan(app: Starlette, settings: Settings, parts: Parts) -> AsyncIterator[None]:
    """Hold the connections and the notifier of the process while it serves."""
    assert settings.database_url is not None
    services = parts.services
    notifier = None if settings.redis_url is None else Notifier(settings.redis_url, holds=True)
    async with (
        database.connected(
            settings.database_url,
            pool_size=settings.database_pool_size,
            end=lambda: app.state.end(),
            check=secret_keys.connection_check(services.keyring),
            slow_ms=settings.slow_query_ms,
        ),
        _following(services),
        _watching(app, settings, services),
        services.keep(Reads).following(
            settings.replica_urls,
            settings.redis_url,
            max_lag=settings.replica_max_lag,
            pool_size=settings.database_pool_size,
        ),
        request_log.writing(services),
        clicks.writing(services),
    ):
        app.state.notifier = parts.limiter.notifier = notifier
        await tell_shared_password(settings, services)
        try:
            yield
        finally:
            app.state.notifier = parts.limiter.notifier = None
            if notifier is not None:
                await asyncio.to_thread(notifier.close)
            await auth.settle(services)
            await gateway.close(services)
            await parts.limiter.close()
            await parts.readiness.close()
            if parts.tracing is not None:
                await asyncio.to_thread(parts.tracing.close)


def _following(services: Services) -> AbstractAsyncContextManager[None]:
    """Keep the clock of the process to PostgreSQL's, where it was given no other."""
    return services.clock.following() if isinstance(services.clock, SharedClock) else nullcontext()


@asynccontextmanager
async def _watching(app: Starlette, settings: Settings, services: Services) -> AsyncIterator[None]:
    """Hold the secret key against the database; a refusal ends the server, and `serve` tells it."""
    is_up = False
    try:
        async with secret_keys.watching(services.keyring, settings, lambda: app.state.end()):
            is_up = True
            yield
    except SettingsError as refused:
        app.state.refused = refused
        if not is_up:
            raise


def serve(settings: Settings) -> None:
    """Serve the application until a signal ends it. Raises SettingsError."""
    logs.set_up(settings)
    with error_tracking.tracking(settings, "api"):
        _serve(settings)


def _serve(settings: Settings) -> None:
    app = create_app(settings)
    server = uvicorn.Server(listening_config(app, settings))
    app.state.end = lambda: setattr(server, "should_exit", True)
    # A refused key or pooler is told here in a line; uvicorn would tell it in a traceback.
    with new_runner() as runner:
        runner.run(_prove_key(settings))
    logs.tell_start(settings, "api")
    garbage.collect_less(garbage.API)
    server.run(listening_sockets(settings))
    if app.state.refused is not None:
        raise app.state.refused


def listening_config(app: Starlette, settings: Settings) -> uvicorn.Config:
    """Return how to serve the application where the settings say."""
    return server_config(app, host=settings.host, port=settings.port, uds=settings.socket_path)


def listening_sockets(settings: Settings) -> list[socket.socket] | None:
    """Return the socket to listen on where uvicorn's own would not do: it takes IPv4 too; else None.

    Raises SettingsError.
    """
    if settings.host != "::":
        return None
    try:
        both = socket.has_dualstack_ipv6()
        address = ("::", settings.port)
        return [socket.create_server(address, family=socket.AF_INET6, dualstack_ipv6=both, backlog=BACKLOG)]
    except OSError as error:
        raise SettingsError(f"HOST and PORT must be free to listen on; they are not ({error.strerror})") from None


async def _prove_key(settings: Settings) -> None:
    """Look whether the secret key is the database's, if it can be asked now. Raises SettingsError."""
    assert settings.database_url is not None
    async with (
        database.connected(settings.database_url, pool_size=1),
        secret_keys.watching(Keyring(), settings, lambda: None),
    ):
        return


async def show_health(_request: Request) -> Response:
    """Return whether this process answers."""
    return _json({"status": "ok"})


def show_readiness(readiness: Readiness, base_url: str) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers /readyz."""

    async def show(request: Request) -> Response:
        """Return each check by name; 503 unless this process can serve.

        With `?all=1` the rest too, told as degraded.
        """
        found = await readiness.look(everything=request.query_params.get("all") not in (None, "", "0"))
        checks = {**found.needed, **found.rest}
        if not found.failed:
            return _json({"status": "degraded" if found.degraded else "ready", "checks": checks})
        error = Unavailable(f"Not ready: {', '.join(found.failed)}.", code=ErrorCode.NOT_READY)
        envelope = msgspec.json.decode(error_body(error, request.scope[REQUEST_ID], base_url))
        return _json({"status": "not_ready", "checks": checks, **envelope}, 503)

    return show


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, NOT_STORED, media_type="application/json")
