"""The HTTP server: uvicorn with limits on time and size."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Iterable
from typing import Literal, NoReturn
from urllib.parse import unquote

import httptools
import uvicorn
from starlette.routing import Match, WebSocketRoute
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from msvs.api import ids
from msvs.api.errors import ApiError, RequestTimeout
from msvs.http.body import IS_WHOLE
from msvs.http.errors import error_body
from msvs.http.heads import (
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_LINE_BYTES,
    HeadersTooLarge,
    HttpInvalid,
    check_head,
    is_socket_handshake,
    read_target,
    without_upgrade,
)
from msvs.loops import UVICORN_LOOP
from msvs.settings import PRODUCTION_URL

HEADER_SECONDS = 10.0
# The largest body, should each of its bytes come in a chunk of its own; what is more is trailers.
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
# … and where a file may be uploaded, which the operation bounds further.
UPLOAD = "/v1/imports"
MAX_UPLOAD_BYTES = 4 * 1024**3 + MAX_MESSAGE_BYTES
KEEP_ALIVE_SECONDS = 65
# How long a client may leave unread, or unacknowledged, what it was sent.
UNREAD_SECONDS = 20.0
GRACE_SECONDS = 8
BACKLOG = 2048
# The largest message of a WebSocket.
MAX_SOCKET_BYTES = 128 * 1024
# The start of an interim response, which has no body (RFC 9110, section 15.2.1).
CONTINUE = b"HTTP/1.1 100"


class _Refused(Exception):
    """The request was answered while it was being parsed; what is left of it is not looked at."""


class _Answering(asyncio.Transport):
    """The transport of one response: it sends the head with the first bytes of the body, in one system call."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None
        self._is_head_written = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write bytes; the head is held back until the body begins or the next turn of the event loop."""
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.write(head + data)
        elif self._is_head_written or bytes(data[:12]) == CONTINUE:
            self._transport.write(data)
        else:
            self._is_head_written = True
            self._head = bytes(data)
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write a head that was held back."""
        if self._head is not None:
            self.write(b"")

    def is_closing(self) -> bool:
        """Return whether the connection is closing."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the connection after everything is written."""
        self.flush()
        self._transport.close()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with limits on headers: their number, size and time; and with our error envelope.

    One answer a request, in their order, no matter what comes behind them. Offers to change protocol are ignored, but
    for a
    WebSocket where the application has one: uvicorn would drop the body of such a request, and read what comes of it
    later as the next.
    """

    _head_bytes: int = 0
    _read_bytes: int = 0
    _message_bytes: int = 0
    _lines: int = 0
    _head_timer: asyncio.TimerHandle | None = None
    _is_in_head: bool = False
    # The request whose body is being read.
    _reading: RequestResponseCycle | None = None
    # A request that waits for 100 Continue and whose connection is kept only if its body comes.
    _expecting: RequestResponseCycle | None = None
    # What is to be said after what was asked before; nothing is read any more.
    _refusal: ApiError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first request HEADER_SECONDS to arrive, and everything that is sent UNREAD_SECONDS to be read."""
        super().connection_made(transport)
        self._unanswered: deque[RequestResponseCycle] = deque()
        end_unread(transport)
        self._begin_head()
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock, and tell every request that is not answered yet, not only the last."""
        self._end_head()
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Give this request's headers HEADER_SECONDS to arrive."""
        # Not at any byte: line feeds between requests would keep an idle connection for ever.
        self._unset_keepalive_if_required()
        super().on_message_begin()
        self._end_head()
        self._begin_head()

    def on_url(self, url: bytes) -> None:
        """Take in a part of the request line."""
        super().on_url(url)
        self._count(len(url), len(self.url) + len(b"GET  HTTP/1.1\r\n"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header, or a trailer of a body in chunks."""
        if self._reading is None:
            super().on_header(name, value)
        # Trailers are counted and left out (RFC 9110, section 6.5.1): anyone who checked the headers has not seen them.
        size = len(name) + len(value) + 4
        self._count(size, size)
        self._lines += 1
        if self._lines > MAX_HEADERS:
            self._stop(HeadersTooLarge(f"There are more than {MAX_HEADERS} headers."))

    def on_headers_complete(self) -> None:
        """Stop the clock, check the head and begin to answer, unless a change of protocol is offered."""
        self._end_head()
        version = self.parser.get_http_version()
        try:
            self.url, host = read_target(self.url)
            check_head(version, self.headers)
        except HttpInvalid as error:
            self._stop(error)
        if host is not None:
            # In place: the scope holds the same list.
            self.headers[:] = [(b"host", host), *(header for header in self.headers if header[0] != b"host")]
        if self.parser.should_upgrade():
            self.scope["method"] = self.parser.get_method().decode("ascii")
            return
        super().on_headers_complete()
        cycle = self._reading = self.cycle
        cycle.transport = _Answering(self.transport, self.loop)
        self._unanswered.append(cycle)
        if version == "1.0":
            cycle.waiting_for_100_continue = False
        elif cycle.waiting_for_100_continue and cycle.keep_alive:
            # A client that is answered before it sends the body may leave it out.
            cycle.keep_alive = False
            self._expecting = cycle

    def on_body(self, body: bytes) -> None:
        """Take in a part of a body."""
        if self._reading is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Tell the request that its body is whole. Where a change of protocol is offered, there is no request yet."""
        if self._reading is None:
            return
        if self._expecting is self._reading:
            self._expecting.keep_alive = True
            self._expecting = None
        super().on_message_complete()
        self._reading.scope[IS_WHOLE] = True  # type: ignore[literal-required]
        self._reading = None

    def on_response_complete(self) -> None:
        """Go on with the next request, or with what is left to say."""
        transport = self._unanswered.popleft().transport
        if isinstance(transport, _Answering):
            transport.flush()
        super().on_response_complete()
        self._tell_refusal()

    def data_received(self, data: bytes) -> None:
        """Take in bytes, unless the headers have grown too large."""
        if self._refusal is not None:
            return
        self._feed(data)
        self._message_bytes += len(data)
        if self._message_bytes > MAX_MESSAGE_BYTES and self._message_bytes > self._most_bytes():
            self._refuse(_too_large())
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEADER_BYTES:
                self._refuse(_too_large())
            else:
                self._wait_for_head()

    def _most_bytes(self) -> int:
        is_upload = self._reading is not None and self._reading.scope.get("path") == UPLOAD
        return MAX_UPLOAD_BYTES if is_upload else MAX_MESSAGE_BYTES

    def shutdown(self) -> None:
        """End after what is being answered."""
        self._expecting = None
        super().shutdown()

    def _feed(self, data: bytes) -> None:
        """Read bytes as requests, each from where the one before it ends."""
        rest = memoryview(data)
        try:
            while rest:
                try:
                    self.parser.feed_data(rest)
                    return
                except httptools.HttpParserUpgrade as offer:
                    rest = rest[offer.args[0] :]
                    if not rest and self._takes_socket():
                        self.handle_websocket_upgrade()
                        return
                    self._read_without_upgrade()
        except httptools.HttpParserError as error:
            self._refuse(HttpInvalid(_what_is_wrong(error)))
        except _Refused:
            # Said already, and outside of the parser, which makes errors of its own of what its callbacks raise.
            return

    def _takes_socket(self) -> bool:
        """Return whether this is a WebSocket's handshake, where there is a WebSocket, and nothing is to be answered
        before.
        """
        method, version = self.scope["method"].encode(), self.parser.get_http_version()
        return (
            not self._unanswered
            and is_socket_handshake(method, version, self.headers)
            and _has_socket(self.config.app, self.url)
        )

    def _read_without_upgrade(self) -> None:
        """Read the request once more without its offer, by a new parser, which then has its body before it."""
        method, version = self.scope["method"].encode(), self.parser.get_http_version()
        if method == b"CONNECT":
            self._stop(HttpInvalid("This is no proxy: CONNECT is not served."))
        head = without_upgrade(method, self.url, version, self.headers)
        self.parser = httptools.HttpRequestParser(self)
        # As uvicorn has it, so that a request is answered that asks for the connection's end and is followed by bytes.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(head)

    def _count(self, size: int, line: int) -> None:
        """Add to the size of what has been read of the head; what arrives at once is never only partly read."""
        self._read_bytes += size
        if self._read_bytes > MAX_HEADER_BYTES:
            self._stop(_too_large())
        if line > MAX_LINE_BYTES:
            self._stop(HeadersTooLarge(f"The request line or a header is larger than {MAX_LINE_BYTES} bytes."))

    def _stop(self, error: ApiError) -> NoReturn:
        """Refuse from within the parser."""
        self._refuse(error)
        raise _Refused

    def _begin_head(self) -> None:
        self._is_in_head = True
        self._head_bytes = self._read_bytes = self._message_bytes = self._lines = 0

    def _wait_for_head(self) -> None:
        """Start the clock of a head that did not come whole: most do, and need none."""
        if self._head_timer is None and self._refusal is None:
            self._head_timer = self.loop.call_later(HEADER_SECONDS, self._head_late)

    def _end_head(self) -> None:
        self._is_in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if not self._head_bytes and not self._unanswered:
            self.transport.close()  # nothing was asked
            return
        self._refuse(RequestTimeout(f"The headers did not arrive within {HEADER_SECONDS:g} seconds."))

    def _refuse(self, error: ApiError) -> None:
        """Answer what is being read with an error, after all that was asked before it, and close; read no more."""
        self._end_head()
        if self._refusal is not None or self.transport.is_closing():
            return
        self._refusal = error
        if self._reading is None or self._withdraw(self._reading):
            self._tell_refusal()
        else:
            self.transport.close()

    def _withdraw(self, cycle: RequestResponseCycle) -> bool:
        """Take back a request whose body cannot be read; False where its answer has begun."""
        if cycle.response_started:
            return False
        self._unanswered.pop()
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
        else:
            cycle.disconnected = True
            cycle.message_event.set()
        return True

    def _tell_refusal(self) -> None:
        error = self._refusal
        if error is None or self._unanswered or self.transport.is_closing():
            return
        request_id = ids.encode_id(ids.REQUEST, ids.new_id())
        body = error_body(error, request_id, _base_url_of(self.app))
        head = b"content-type: application/json\r\ncontent-length: %d\r\nx-request-id: %s\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[error.status] + head % (len(body), request_id.encode()) + body)
        self.transport.close()


def _what_is_wrong(error: httptools.HttpParserError) -> str:
    if str(error) == "Pause on PRI/Upgrade":
        return "HTTP/2 is not spoken here; use HTTP/1.1."
    return f"The request is not HTTP/1.1: {error}."


def _base_url_of(app: object) -> str:
    """Return where the application says that its documentation is found."""
    base_url: str = getattr(getattr(app, "state", None), "base_url", PRODUCTION_URL)
    return base_url


def _has_socket(app: object, target: bytes) -> bool:
    """Return whether the application has a WebSocket at this path.

    One that does not show its routes is left to say so.
    """
    routes: Iterable[object] | None = getattr(app, "routes", None)
    if routes is None:
        return True
    path = unquote(target.partition(b"?")[0].decode("ascii"))
    scope: Scope = {"type": "websocket", "path": path, "root_path": "", "headers": []}
    return any(isinstance(route, WebSocketRoute) and route.matches(scope)[0] is Match.FULL for route in routes)


def end_unread(transport: asyncio.Transport) -> None:
    """Have the kernel end a connection whose client reads nothing for UNREAD_SECONDS.

    Closing it would wait forever for what is written to be sent. WebSockets and streams inherit it.
    """
    connection = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux alone has it
    if option is not None and connection is not None and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, option, int(UNREAD_SECONDS * 1000))


def _too_large() -> HeadersTooLarge:
    return HeadersTooLarge(f"The headers are larger than {MAX_HEADER_BYTES} bytes.")


def server_config(
    app: ASGIApp | str,
    *,
    host: str,
    port: int,
    uds: str | None = None,
    lifespan: Literal["auto", "on", "off"] = "auto",
) -> uvicorn.Config:
    """Return how uvicorn is to serve `app`."""
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
        uds=uds,
        lifespan=lifespan,
    )
