"""The application and clients of its GraphQL API, over ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from msvs.api.accounts import auth
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from tests.apps import BASE_URL, running_app, settings_for
from tests.engines import Engines
from tests.services import SERVICES


class Caller:
    """A client of one workspace and mode."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.http = client

    async def post(self, query: str, variables: dict[str, Any] | None = None, **more: Any) -> httpx.Response:
        """The response to an operation."""
        return await self.http.post("/graphql", json={"query": query, "variables": variables, **more})

    async def run(self, query: str, variables: dict[str, Any] | None = None, **more: Any) -> Any:
        """The data of an operation that has no errors."""
        response = await self.post(query, variables, **more)
        answer = response.json()
        assert "errors" not in answer, answer
        assert response.status_code == 200
        return answer["data"]


Callers = Callable[[Context], Awaitable[Caller]]


@pytest.fixture(scope="session")
async def app(database: str, engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Starlette]:
    """The whole application on the test database and Valkey."""
    async with running_app(settings_for(database, engines, tmp_path_factory.mktemp("data"))) as app:
        yield app


@pytest.fixture
async def anonymous(app: Starlette, clean: None) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL) as client:
        yield client


@pytest.fixture
async def callers(app: Starlette) -> AsyncIterator[Callers]:
    """`await callers(ctx)`: a client with a new key of the context's workspace and mode."""
    async with AsyncExitStack() as stack:

        async def make(ctx: Context) -> Caller:
            _, key = await create_key(ctx.workspace_id, livemode=ctx.livemode, name="Test")
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url=BASE_URL, headers={"Authorization": f"Bearer {key}"}
            )
            return Caller(await stack.enter_async_context(client))

        yield make
        await auth.settle(SERVICES)


@pytest.fixture
async def caller(callers: Callers, ctx: Context) -> Caller:
    """A client of the workspace's sandbox."""
    return await callers(ctx)
