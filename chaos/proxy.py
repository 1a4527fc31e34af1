"""A small TCP proxy in front of an engine, whose connections can be cut, delayed and swallowed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

LOOPBACK = "127.0.0.1"
EPSILON = 1e-6


class Proxy:
    """Listens on loopback and passes connections on to `upstream()`, a port that may not answer for a while."""

    def __init__(self, upstream: Callable[[], int]) -> None:
        self.upstream = upstream
        self.delay = 0.0
        self.swallows = False
        self.port = 0
        self.pairs: set[_Side] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> Proxy:
        """Begin to listen, on a free port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Side(self), LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Listen no more and cut what is open."""
        assert self._server is not None
        self._server.close()
        self.cut()

    def cut(self) -> int:
        """Break every open connection at once; how many."""
        sides = list(self.pairs)
        for side in sides:
            side.abort()
        return len(sides) // 2

    async def black_hole(self, seconds: float) -> None:
        """Take in everything and pass nothing on for a while; what was swallowed never arrives."""
        self.swallows = True
        try:
            await asyncio.sleep(seconds)
        finally:
            self.swallows = False
            self.cut()

    async def slow(self, seconds: float, *, delay: float) -> None:
        """Hold every piece of data for `delay` seconds, for a while."""
        self.delay = delay
        try:
            await asyncio.sleep(seconds)
        finally:
            self.delay = 0.0


class _Side(asyncio.Protocol):
    """One end of a passed-on connection."""

    def __init__(self, proxy: Proxy, other: _Side | None = None) -> None:
        self.proxy = proxy
        self.other = other
        self.transport: asyncio.Transport | None = None
        self.waiting: list[bytes] = []
        self.last_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.proxy.pairs.add(self)
        if self.other is None:
            self.connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, other = await loop.create_connection(lambda: _Side(self.proxy, self), LOOPBACK, self.proxy.upstream())
        except OSError:
            self.abort()
            return
        self.other = other
        if self.transport is None or self.transport.is_closing():
            other.abort()
            return
        for data in self.waiting:
            other.send(data)
        self.waiting.clear()

    def data_received(self, data: bytes) -> None:
        if self.proxy.swallows:
            return
        if self.other is None or self.other.transport is None:
            self.waiting.append(data)
        else:
            self.other.send(data)

    def send(self, data: bytes) -> None:
        """Write, after what was delayed before it."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        at = max(now + self.proxy.delay, self.last_at + EPSILON)
        if self.proxy.delay == 0 and self.last_at < now:
            self._write(data)
            return
        self.last_at = at
        loop.call_at(at, self._write, data)

    def _write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None and not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.proxy.pairs.discard(self)
        if self.other is not None:
            self.other.close()

    def close(self) -> None:
        """Close once what is delayed has been written."""
        if self.transport is None:
            return
        loop = asyncio.get_running_loop()
        loop.call_at(max(loop.time(), self.last_at + 2 * EPSILON), self.transport.close)

    def abort(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abort()
