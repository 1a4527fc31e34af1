"""Base of the fake services: a loopback server with faults that tests inject."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from msvs.address_policy import AddressPolicy

LOCAL = AddressPolicy(allow_loopback=True)


@dataclass
class Fault:
    """A fault that replaces the response `times` times, for requests whose path contains `path`.

    `cut` closes the connection in the middle of the body; `stalls` never responds.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    path: str = ""
    cut: bool = False
    stalls: bool = False


class FakeService(ABC):
    """A fake service on loopback at `origin`, behaving as its documentation says.

    `faults` take precedence over responses. `before` runs before each response, so that tests can change data during a
    walk. `requests` records the path and query of every request, in order.
    """

    def __init__(self) -> None:
        self.origin = ""
        self.faults: list[Fault] = []
        self.before: Callable[[web.Request], None] = lambda request: None
        self.requests: list[str] = []
        self.largest_answer = 0
        self._runner: web.AppRunner | None = None

    @abstractmethod
    def route(self, application: web.Application) -> None:
        """Add the routes of the service."""

    @classmethod
    @asynccontextmanager
    async def listening(cls, *args: Any, **options: Any) -> AsyncIterator[Self]:
        """Run the fake service."""
        fake = cls(*args, **options)
        await fake.listen()
        try:
            yield fake
        finally:
            await fake.go_away()

    async def listen(self) -> None:
        """Listen on a free port."""
        application = web.Application(middlewares=[self._meet], client_max_size=1 << 24)
        self.route(application)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def go_away(self) -> None:
        """Close the port, so that connections are refused."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = None

    @web.middleware
    async def _meet(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(request.path_qs)
        fault = next((each for each in self.faults if each.path in request.path_qs), None)
        if fault is None:
            self.before(request)
            response: web.Response = await handler(request)
            if isinstance(response.body, bytes):
                self.largest_answer = max(self.largest_answer, len(response.body))
            return response
        fault.times -= 1
        if fault.times <= 0:
            self.faults.remove(fault)
        return await self._fail(request, fault)

    async def _fail(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.stalls:
            await asyncio.sleep(60)
        if fault.cut:
            answer = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
            await answer.prepare(request)
            await answer.write(b'{"subscribers": [')
            assert request.transport is not None
            request.transport.abort()
            return answer
        if isinstance(fault.body, str | bytes):
            body = fault.body.encode() if isinstance(fault.body, str) else fault.body
            return web.Response(status=fault.status, body=body, headers=fault.headers)
        return web.json_response(fault.body, status=fault.status, headers=fault.headers)
