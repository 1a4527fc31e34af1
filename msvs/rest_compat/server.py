"""The HTTP server: uvicorn with bounds on what a client may make it wait for or hold."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from msvs.api import ids
from msvs.api.errors import ApiError, InvalidRequest, RequestTimeout
from msvs.loops import UVICORN_LOOP
from msvs.rest_compat.errors import error_body

HEADER_SECONDS = 10.0
MAX_HEADER_BYTES = 64 * 1024
MAX_HEADERS = 100
# The largest body, should each of its bytes come in a chunk of its own; what is more is trailers.
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
KEEP_ALIVE_SECONDS = 65
# How long a client may leave unread, or unacknowledged, what it was sent.
UNREAD_SECONDS = 20.0
GRACE_SECONDS = 8
BACKLOG = 2048
# The largest message of a WebSocket.
MAX_SOCKET_BYTES = 128 * 1024


class HeadersTooLarge(InvalidRequest):
    """431: the request line and headers are too large."""

    status = 431
    default_code = "headers_too_large"


class HttpInvalid(InvalidRequest):
    """400: the bytes are not HTTP."""

    default_code = "http_invalid"


class _Refused(Exception):
    """The request was answered while it was being parsed; what is left of it is not looked at."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with limits on headers: their number, size and time; and with our error envelope."""

    _head_bytes: int = 0
    _read_bytes: int = 0
    _message_bytes: int = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first request HEADER_SECONDS to arrive, and whatever is ever sent UNREAD_SECONDS to be read."""
        super().connection_made(transport)
        end_unread(transport)
        self._start_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._end_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Give this request's headers HEADER_SECONDS to arrive."""
        super().on_message_begin()
        self._start_head()

    def on_url(self, url: bytes) -> None:
        """Take in a part of the request line."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header, or a trailer of a body in chunks."""
        super().on_header(name, value)
        self._count(len(name) + len(value) + 4)
        if len(self.headers) > MAX_HEADERS:
            self._refuse(HeadersTooLarge(f"There are more than {MAX_HEADERS} headers."))
            raise _Refused

    def on_headers_complete(self) -> None:
        """Stop the clock; the body has a limit of its own."""
        self._end_head()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Take in bytes, unless the headers have grown too large."""
        super().data_received(data)
        self._message_bytes += len(data)
        if self._message_bytes > MAX_MESSAGE_BYTES:
            self._refuse(_too_large())
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEADER_BYTES:
                self._refuse(_too_large())

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP in the error envelope."""
        self._refuse(HttpInvalid(msg))

    def _count(self, size: int) -> None:
        """Add to the size of what has been read of the head; what arrives at once is never only partly read."""
        self._read_bytes += size
        if self._read_bytes > MAX_HEADER_BYTES:
            self._refuse(_too_large())
            raise _Refused

    def _start_head(self) -> None:
        self._end_head()
        self._head_bytes = self._read_bytes = self._message_bytes = 0
        self._head_timer = self.loop.call_later(HEADER_SECONDS, self._head_late)

    def _end_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if not self._head_bytes:
            self.transport.close()  # nothing was asked
            return
        self._refuse(RequestTimeout(f"The headers did not arrive within {HEADER_SECONDS:g} seconds."))

    def _refuse(self, error: ApiError) -> None:
        self._end_head()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            request_id = ids.encode_id(ids.REQUEST, ids.new_id())
            body = error_body(error, request_id)
            head = (
                b"content-type: application/json\r\ncontent-length: %d\r\nx-request-id: %s\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(STATUS_LINE[error.status] + head % (len(body), request_id.encode()) + body)
        self.transport.close()


def end_unread(transport: asyncio.Transport) -> None:
    """Have the kernel end a connection whose client reads nothing for UNREAD_SECONDS.

    Closing it would wait for ever for what is written to be sent. WebSockets and streams inherit it.
    """
    connection = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux alone has it
    if option is not None and connection is not None and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, option, int(UNREAD_SECONDS * 1000))


def _too_large() -> HeadersTooLarge:
    return HeadersTooLarge(f"The headers are larger than {MAX_HEADER_BYTES} bytes.")


def server_config(app: ASGIApp | str, *, host: str, port: int, **options: Any) -> uvicorn.Config:
    """How uvicorn is to serve `app`."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop=UVICORN_LOOP,
        http=BoundedProtocol,
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        ws_max_size=MAX_SOCKET_BYTES,
        timeout_graceful_shutdown=GRACE_SECONDS,
        reset_contextvars=True,
        **options,
    )
