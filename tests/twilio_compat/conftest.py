"""The application and clients of its Twilio-compatible API, over ASGI."""

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

Json = dict[str, Any]


class Account:
    """A client of one workspace and mode, as a library of Twilio's is."""

    def __init__(self, client: httpx.AsyncClient, ctx: Context, key: str) -> None:
        self.http = client
        self.key = key
        self.sid = f"AC{ctx.workspace_id.hex}"
        self.path = f"/2010-04-01/Accounts/{self.sid}"
        self.auth = (self.sid, key)

    async def post(self, path: str, **form: str) -> httpx.Response:
        """POST a form."""
        return await self.http.post(f"{self.path}/{path}", data=form, auth=self.auth)

    async def get(self, path: str, **query: str) -> Json:
        """GET what must be there."""
        response = await self.http.get(f"{self.path}/{path}", params=query, auth=self.auth)
        assert response.status_code == 200, response.text
        return response.json()  # type: ignore[no-any-return]

    async def send(self, to: str = "+12125550111", body: str = "Doors open", **more: str) -> Json:
        """A message, accepted."""
        response = await self.post("Messages.json", To=to, Body=body, **more)
        assert response.status_code == 201, response.text
        return response.json()  # type: ignore[no-any-return]


Accounts = Callable[[Context], Awaitable[Account]]


@pytest.fixture(scope="session")
async def app(database: str, engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Starlette]:
    """The whole application on the test database and Valkey."""
    async with running_app(settings_for(database, engines, tmp_path_factory.mktemp("data"))) as app:
        yield app


@pytest.fixture
async def account_of(app: Starlette, clean: None) -> AsyncIterator[Accounts]:
    """`await account_of(ctx)`: a client with a new key of the context's workspace and mode."""
    async with AsyncExitStack() as stack:

        async def make(ctx: Context) -> Account:
            _, key = await create_key(ctx.workspace_id, livemode=ctx.livemode)
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL)
            return Account(await stack.enter_async_context(client), ctx, key)

        yield make
        await auth.settle(SERVICES)


@pytest.fixture
async def account(account_of: Accounts, ctx: Context) -> Account:
    """A client of the workspace's sandbox."""
    return await account_of(ctx)
