"""What the fakes of carriers by HTTP share: a server on loopback whose answers a test chooses."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from aiohttp import web

from msvs.carriers.protocol import Callback

PUBLIC_URL = "https://sms.cohortlabs.co"


@dataclass(frozen=True)
class Sent:
    """A request of the carrier's to us."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def callback(self, now: datetime | None = None) -> Callback:
        """The request as a carrier of ours reads it."""
        kind = self.url.partition("?")[0].rpartition("/")[2]
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Callback(kind, self.method, self.url, headers, self.body, now or datetime.now(UTC))


@dataclass(frozen=True)
class Answer:
    """What the fake is to answer in place of taking the message; a str body is sent as it is."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        if isinstance(self.body, str):
            return web.Response(status=self.status, text=self.body, headers=self.headers)
        return web.json_response(self.body, status=self.status, headers=self.headers)


@dataclass(frozen=True)
class Taken:
    """A message that the fake took."""

    ref: str
    to: str
    sender: str
    body: str
    fields: Mapping[str, Any]


class FakeCarrier(ABC):
    """Takes messages as the carrier documents, or does what the test wants in place of it.

    `answer` replaces its answer and it takes nothing; `busy` is its answer to requests beyond `capacity` at once;
    `drops`: it takes the message and hangs up; `stalls`: it takes the message and never answers; `pause` is how many
    seconds it takes over each.
    """

    def __init__(self) -> None:
        self.origin = ""
        self.answer: Answer | None = None
        self.busy: Answer | None = None
        self.capacity = 0
        self.drops = False
        self.stalls = False
        self.pause = 0.0
        self.requests = 0
        self.taken: list[Taken] = []
        self.at_once = 0
        self.most_at_once = 0
        self._runner: web.AppRunner | None = None

    @abstractmethod
    def route(self, application: web.Application) -> None:
        """Add the carrier's paths."""

    @abstractmethod
    async def take(self, request: web.Request) -> web.Response:
        """Check a request to send a message; take it and answer, or refuse."""

    @classmethod
    @asynccontextmanager
    async def listening(cls, *args: Any, **options: Any) -> AsyncIterator[Self]:
        """The fake while it listens."""
        fake = cls(*args, **options)
        await fake.listen()
        try:
            yield fake
        finally:
            await fake.go_away()

    async def listen(self) -> None:
        """Begin to listen, at a port of its own."""
        application = web.Application()
        self.route(application)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def go_away(self) -> None:
        """Close the port: connections are refused."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = None

    async def receive(self, request: web.Request) -> web.StreamResponse:
        """A request to send a message."""
        self.requests += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.busy is not None and self.at_once > self.capacity:
                await request.read()
                return self.busy.response()
            if self.pause:
                await asyncio.sleep(self.pause)
            if self.answer is not None:
                await request.read()
                return self.answer.response()
            response = await self.take(request)
            if self.stalls:
                await asyncio.sleep(60)
            if self.drops:
                assert request.transport is not None
                request.transport.abort()
            return response
        finally:
            self.at_once -= 1
