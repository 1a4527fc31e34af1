"""Compression of answers that are made for each request (RFC 9110, section 8.4)."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Mapping

import brotli
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from msvs.http.headers import read_headers
from msvs.http.static import choose_coding

SMALLEST = 1024
# A larger body is compressed in a thread: it would hold up other requests for milliseconds.
LARGE = 64 * 1024

# Coding → what compresses by it; of those that a client takes, the first.
CODINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "br": lambda body: bytes(brotli.compress(body, quality=4)),
    "gzip": lambda body: gzip.compress(body, 5, mtime=0),
}


class Compressed:
    """Compresses whole answers of at least SMALLEST bytes under a path; streams and coded answers pass as they are.

    For paths whose callers bring a key in a header alone: beside a cookie, a secret and a stranger's text in one
    compressed answer could be told apart by its length (BREACH).
    """

    def __init__(self, app: ASGIApp, *, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(self._prefix):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Packing(scope, send))


class _Packing:
    """The `send` of one answer: holds its start until its body shows whether it is compressed."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            body: bytes = message.get("body", b"")
            if not message.get("more_body", False) and len(body) >= SMALLEST:
                start, message = await self._packed(start, message, body)
            await self._send(start)
        await self._send(message)

    async def _packed(self, start: Message, message: Message, body: bytes) -> tuple[Message, Message]:
        headers = [*start.get("headers", ())]
        if any(name == b"content-encoding" for name, _ in headers):
            return start, message
        headers.append((b"vary", b"accept-encoding"))
        accepted = read_headers(self._scope).get(b"accept-encoding", b"").decode("latin-1")
        coding = choose_coding(accepted, CODINGS)
        if coding is not None:
            pack = CODINGS[coding]
            body = pack(body) if len(body) < LARGE else await asyncio.to_thread(pack, body)
            headers = [header for header in headers if header[0] != b"content-length"]
            headers += [(b"content-encoding", coding.encode()), (b"content-length", b"%d" % len(body))]
        return {**start, "headers": headers}, {**message, "body": body}
