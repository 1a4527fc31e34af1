"""The HTTP server on a real socket: what is not HTTP, or takes too long, gets the envelope and a closed connection."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from msvs.api.accounts import auth
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.http import body as body_module
from msvs.http import server
from msvs.http.server import server_config
from tests.services import SERVICES

GET = b"GET /healthz HTTP/1.1\r\nHost: api.cohortlabs.co\r\n"


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[uvicorn.Server]:
    """A server of the application on a port of its own."""
    config = server_config(app, host="127.0.0.1", port=0, lifespan="off")
    running = uvicorn.Server(config)
    running.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    config.load()
    running.lifespan = config.lifespan_class(config)
    await running.startup()
    yield running
    await running.shutdown()


def port_of(running: uvicorn.Server) -> int:
    return int(running.servers[0].sockets[0].getsockname()[1])


@pytest.fixture
async def port(app: Starlette, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """The port that the application is served on, with little patience for headers."""
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.2)
    async with serving(app) as running:
        yield port_of(running)


async def exchange(port: int, *parts: bytes) -> bytes:
    """Everything the server says to these bytes until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def read(answer: bytes) -> tuple[int, dict[str, str]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"x-request-id: req_" in head
    return int(head.split()[1]), json.loads(body)["error"]


@pytest.mark.parametrize(
    "garbage", [b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nBad Header\r\n\r\n"]
)
async def test_bytes_that_are_not_http_are_400(port: int, garbage: bytes) -> None:
    status, error = read(await exchange(port, garbage))
    assert (status, error["type"], error["code"]) == (400, "invalid_request_error", "http_invalid")


async def test_headers_that_dribble_in_are_408(port: int) -> None:
    status, error = read(await exchange(port, GET))
    assert (status, error["code"]) == (408, "request_timeout")


async def test_a_connection_that_says_nothing_is_closed(port: int) -> None:
    assert await exchange(port) == b""


async def test_headers_without_end_are_431(port: int) -> None:
    status, error = read(await exchange(port, GET, b"X-Filler: " + b"x" * (server.MAX_HEADER_BYTES + 1)))
    assert (status, error["code"]) == (431, "headers_too_large")


@pytest.mark.parametrize(
    "asked",
    [
        GET + b"X-Filler: " + b"x" * server.MAX_HEADER_BYTES + b"\r\n\r\n",
        GET + b"X-Filler: 1\r\n" * server.MAX_HEADERS + b"\r\n",
        b"GET /" + b"x" * server.MAX_HEADER_BYTES + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["size", "number", "path"],
)
async def test_headers_over_a_bound_are_431_when_they_arrive_at_once_too(port: int, asked: bytes) -> None:
    status, error = read(await exchange(port, asked))
    assert (status, error["code"]) == (431, "headers_too_large")
    assert (await exchange(port, GET + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_as_many_headers_as_there_may_be_are_answered(port: int) -> None:
    asked = GET + b"X-Filler: 1\r\n" * (server.MAX_HEADERS - 2) + b"Connection: close\r\n\r\n"
    assert (await exchange(port, asked)).startswith(b"HTTP/1.1 200")


CHUNKED = b"POST /v1/messages HTTP/1.1\r\nHost: api.cohortlabs.co\r\nTransfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    "trailers",
    [b"X-Trailer: " + b"x" * server.MAX_MESSAGE_BYTES, b"X-Trailer: 1\r\n" * (server.MAX_HEADERS + 1)],
    ids=["size", "number"],
)
async def test_trailers_without_end_end_the_connection(port: int, key: str, trailers: bytes) -> None:
    head = CHUNKED + b"Authorization: Bearer %s\r\nContent-Type: application/json\r\n\r\n" % key.encode()
    status, error = read(await exchange(port, head + b"2\r\n{}\r\n0\r\n", trailers))
    assert (status, error["code"]) == (431, "headers_too_large")
    assert (await exchange(port, GET + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200")


@pytest.fixture
async def key(ctx: Context) -> AsyncIterator[str]:
    _, text = await create_key(ctx.workspace_id, livemode=False)
    yield text
    await auth.settle(SERVICES)


@pytest.mark.parametrize(
    ("framing", "body", "status", "code"),
    [
        (b"Content-Length: 20", b"{", 408, "request_timeout"),
        (b"Transfer-Encoding: chunked", b"1\r\n{\r\n", 408, "request_timeout"),
        (b"Content-Length: 1048577", b"", 413, "request_too_large"),
        (
            b"Transfer-Encoding: chunked",
            b"%x\r\n%s" % (body_module.MAX_BYTES + 1, b" " * (body_module.MAX_BYTES + 1)),
            413,
            "request_too_large",
        ),
    ],
    ids=["slow", "slow in chunks", "declared too large", "too large in chunks"],
)
async def test_a_slow_or_large_body_is_refused_and_the_connection_closed(
    port: int, key: str, monkeypatch: pytest.MonkeyPatch, framing: bytes, body: bytes, status: int, code: str
) -> None:
    monkeypatch.setattr(body_module, "BODY_SECONDS", 0.2)
    head = b"POST /v1/messages HTTP/1.1\r\nHost: api.cohortlabs.co\r\nContent-Type: application/json\r\n"
    asked = head + framing + b"\r\nAuthorization: Bearer %s\r\n\r\n" % key.encode()
    found, error = read(await exchange(port, asked, body))
    assert (found, error["code"]) == (status, code)
    assert (await exchange(port, GET + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_kept_connection_gets_new_time_for_each_request(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(GET + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"server:" not in head.lower()
        assert await reader.readexactly(len(b'{"status":"ok"}')) == b'{"status":"ok"}'
        # Idle between requests: that clock is another one.
        await asyncio.sleep(0.3)
    writer.write(GET)
    answer = await asyncio.wait_for(reader.read(), 10)
    assert read(answer)[0] == 408
    writer.close()


UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: api.cohortlabs.co\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def much(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with more than any kernel keeps for who does not read, and close."""
    is_socket = scope["type"] == "websocket"
    if is_socket:
        await receive()
        await send({"type": "websocket.accept"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(400):
        if is_socket:
            await send({"type": "websocket.send", "bytes": b"x" * 65_536})
        else:
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds that nobody tells of."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux ends such connections by itself")
@pytest.mark.parametrize("asked", [GET + b"\r\n", UPGRADE], ids=["http", "websocket"])
@pytest.mark.parametrize("is_closed", [False, True], ids=["while it is served", "while it is being closed"])
async def test_a_client_that_does_not_read_is_not_kept(
    asked: bytes, is_closed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "UNREAD_SECONDS", 0.5)
    async with serving(much) as running, asyncio.timeout(60):
        connections = running.server_state.connections
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port_of(running)))
            client.sendall(asked)
            await until(lambda: any(each.transport.get_write_buffer_size() for each in connections))
            if is_closed:
                for connection in list(connections):
                    connection.transport.close()
            await until(lambda: not connections)
