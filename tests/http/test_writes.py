"""What an answer is written in: its head and its body in one go, and the head by itself where the body is late."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from msvs.http.server import BoundedProtocol, server_config

ASKED = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Written(asyncio.Transport):
    """A transport that keeps each piece it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data:
            self.pieces.append(bytes(data))

    def pause_reading(self) -> None:
        """Requests that wait for others are read on later."""

    def resume_reading(self) -> None:
        """Go on."""

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


async def answer(app: ASGIApp, asked: bytes, *, done: int = 1) -> list[bytes]:
    """Ask an application, and return what its answers were written in."""
    config = server_config(app, host="127.0.0.1", port=0, lifespan="off")
    config.load()
    transport = Written()
    protocol = BoundedProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    protocol.connection_made(transport)
    protocol.data_received(asked)
    for _ in range(200):
        if b"".join(transport.pieces).count(b"HTTP/1.1 ") >= done:
            break
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)
    protocol.connection_lost(None)
    return transport.pieces


async def whole(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def late(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await asyncio.sleep(0.02)
    await send({"type": "http.response.body", "body": b"la", "more_body": True})
    await send({"type": "http.response.body", "body": b"te"})


async def test_a_whole_answer_is_written_in_one_go() -> None:
    (piece,) = await answer(whole, ASKED)
    assert piece.startswith(b"HTTP/1.1 200")
    assert piece.endswith(b"\r\n\r\nok")


async def test_a_head_whose_body_is_late_goes_out_at_once() -> None:
    head, *rest = await answer(late, ASKED)
    assert head.endswith(b"\r\n\r\n")
    assert rest == [b"la", b"te"]


@pytest.mark.parametrize("method", [b"HEAD", b"GET"])
async def test_answers_to_requests_sent_together_keep_their_order(method: bytes) -> None:
    pieces = await answer(whole, ASKED.replace(b"GET", method) * 2 + b"nonsense\r\n\r\n", done=3)
    statuses = [line.split()[1] for line in b"".join(pieces).splitlines() if b"HTTP/1.1 " in line]
    assert statuses == [b"200", b"200", b"400"]


async def test_a_client_that_waits_for_100_continue_is_told_before_the_answer() -> None:
    async def reads(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await whole(_scope, receive, send)

    asked = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\nx"
    pieces = await answer(reads, asked, done=1)
    assert b"".join(pieces).endswith(b"\r\n\r\nok")
