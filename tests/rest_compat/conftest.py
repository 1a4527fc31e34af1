"""The application and clients of it, over ASGI; every answer is held against openapi.yaml."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from msvs.api.accounts import auth
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from tests.apps import BASE_URL, running_app, settings_for
from tests.engines import Engines
from tests.http.test_server import port_of, serving
from tests.http.wire import Seen
from tests.rest_compat.contract import ContractTransport
from tests.services import SERVICES

Client = Callable[[Context], Awaitable[httpx.AsyncClient]]


@pytest.fixture(scope="session")
async def app(database: str, engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Starlette]:
    """The whole application on the test database and Valkey."""
    async with running_app(settings_for(database, engines, tmp_path_factory.mktemp("data"))) as app:
        yield app


@pytest.fixture
async def anonymous(app: Starlette, clean: None) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with httpx.AsyncClient(transport=ContractTransport(httpx.ASGITransport(app)), base_url=BASE_URL) as client:
        yield client


@pytest.fixture
async def client(app: Starlette, clean: None) -> AsyncIterator[Client]:
    """`await client(ctx)`: a client with a new key of the context's workspace and mode."""
    async with AsyncExitStack() as stack:

        async def make(ctx: Context) -> httpx.AsyncClient:
            _, key = await create_key(ctx.workspace_id, livemode=ctx.livemode)
            client = httpx.AsyncClient(
                transport=ContractTransport(httpx.ASGITransport(app)),
                base_url=BASE_URL,
                headers={"Authorization": f"Bearer {key}"},
            )
            return await stack.enter_async_context(client)

        yield make
        await auth.settle(SERVICES)


@pytest.fixture
async def api(client: Client, ctx: Context) -> httpx.AsyncClient:
    """A client of the workspace's sandbox."""
    return await client(ctx)


@pytest.fixture
async def seen() -> Seen:
    seen = Seen()
    seen.release = asyncio.Event()
    return seen


@pytest.fixture
async def echo(seen: Seen) -> AsyncIterator[int]:
    """The port of an application that answers with what it was asked, and has a WebSocket at /graphql."""

    async def answer(asked: Request) -> Response:
        told = {
            "method": asked.method,
            "path": asked.url.path,
            "query": asked.url.query,
            "host": asked.headers.get("host"),
            "body": (await asked.body()).decode("latin-1"),
        }
        seen.append(told)
        if asked.url.path == "/slow":
            await seen.release.wait()
        return JSONResponse(told)

    async def take(socket: WebSocket) -> None:
        seen.append({"path": "/graphql", "socket": True})
        await socket.accept()
        await socket.close()

    methods = ["GET", "POST", "DELETE", "OPTIONS"]
    routes = [WebSocketRoute("/graphql", take), Route("/{path:path}", answer, methods=methods)]
    async with serving(Starlette(routes=routes)) as running:
        yield port_of(running)
