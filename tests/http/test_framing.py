"""Where a request begins and ends: what others may read otherwise is refused, and each request is answered once."""

from __future__ import annotations

import asyncio

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from msvs.http import server
from msvs.http.heads import MAX_LINE_BYTES
from tests.http.test_server import port_of, serving, until
from tests.http.wire import LOOPBACK, PATIENCE, Seen, bodies, exchange, read_answers, request

HOST = b"Host: api.cohortlabs.co\r\n"
POST = b"POST /first HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
# A request that no client sent.
INNER = b"GET /inner HTTP/1.1\r\nHost: x\r\n\r\n"
NEXT = request("GET", "/next", [("Connection", "close")])

REFUSED = {
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two hosts that agree": b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
    "two hosts in HTTP/1.0": b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    "a list of hosts": b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "a host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a host with a user": b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "a host with a space": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a host in other letters": b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n",
    "a port of letters": b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER,
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + INNER,
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 33\r\n\r\n" + INNER,
    "two lengths that agree": POST + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + INNER,
    "a list of lengths": POST + b"Content-Length: 0, 0\r\n\r\n" + INNER,
    "a signed length": POST + b"Content-Length: +33\r\n\r\n" + INNER,
    "a negative length": POST + b"Content-Length: -1\r\n\r\n" + INNER,
    "a hexadecimal length": POST + b"Content-Length: 0x1\r\n\r\n" + INNER,
    "a length with a space in it": POST + b"Content-Length: 3 3\r\n\r\n" + INNER,
    "a length of other digits": POST + b"Content-Length: \xb2\r\n\r\n" + INNER,
    "an empty length": POST + b"Content-Length:\r\n\r\n" + INNER,
    "a length beyond any": POST + b"Content-Length: 99999999999999999999\r\n\r\n" + INNER,
    "another coding": POST + b"Transfer-Encoding: gzip\r\n\r\n" + INNER,
    "another coding before chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + INNER,
    "another coding in its own header": POST
    + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n" + INNER,
    "chunked and identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + INNER,
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + INNER,
    "chunked in two headers": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + INNER,
    "nearly chunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + INNER,
    "chunked with a parameter": POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n" + INNER,
    "chunked behind a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + INNER,
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + INNER,
    "an empty coding": POST + b"Transfer-Encoding:\r\n\r\n" + INNER,
    "chunks in HTTP/1.0": b"POST /first HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER,
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + INNER,
    "a folded header": POST + b"X-A: a\r\n b: c\r\n\r\n",
    "a folded header by a tab": POST + b"X-A: a\r\n\tb: c\r\n\r\n",
    "a space before the first header": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "bare line feeds": b"GET /first HTTP/1.1\nHost: a\n\n",
    "a bare line feed after a header": POST + b"X-A: a\nX-B: b\r\n\r\n",
    "a bare carriage return": POST + b"X-A: a\rX-B: b\r\n\r\n",
    "a NUL": POST + b"X-A: a\0b\r\n\r\n",
    "a header without a name": POST + b": a\r\n\r\n",
    "a header without a colon": POST + b"X-A\r\n\r\n",
    "a space in a name": POST + b"X A: a\r\n\r\n",
    "a length among the trailers": CHUNKED + b"0\r\nContent-Length: 33\r\n\r\n" + INNER,
    "a chunk of no number": CHUNKED + b"z\r\n",
    "a chunk of a negative size": CHUNKED + b"-1\r\n",
    "a chunk of a prefixed size": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk of no size": CHUNKED + b"\r\nabc\r\n0\r\n\r\n",
    "a space behind a chunk's size": CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    "a chunk's size beyond any": CHUNKED + b"10000000000000000\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "chunks by bare line feeds": CHUNKED + b"3\nabc\n0\n\n",
    "a line feed in a chunk's extension": CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "HTTP/2 by prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(18),
    "HTTP/2.0 in text": b"GET /first HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/0.9 with a version": b"GET /first HTTP/0.9\r\n\r\n",
    "an unknown version": b"GET /first HTTP/1.9\r\n" + HOST + b"\r\n",
    "a tunnel": b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" + INNER,
    "an unknown method": b"GOT /first HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method in small letters": b"get /first HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target without a slash": b"GET first HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with a space": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target of another scheme": b"GET ftp://a/b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with a user": b"GET http://a@b/c HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target without a host": b"GET http:///c HTTP/1.1\r\n" + HOST + b"\r\n",
}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED)
async def test_ambiguous_framing_is_refused(echo: int, seen: Seen, sent: bytes) -> None:
    """Any stranger may send it: it is refused and no failure of ours, which would be logged and counted."""
    failures: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(str(context["message"])))
    for packets in ((sent,), (sent, INNER)):
        (answer,) = await exchange(echo, *packets)
        assert (answer.status, answer.code) == (400, "http_invalid")
        assert answer.headers["connection"] == "close"
    await asyncio.sleep(0.01)
    asyncio.get_running_loop().set_exception_handler(None)
    assert (seen, failures) == ([], [])


@pytest.mark.parametrize("sent", [REFUSED[name] for name in ("two hosts", "length and chunks", "a chunk of no number")])
async def test_a_refusal_waits_for_what_was_asked_before(echo: int, seen: Seen, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, echo)
    writer.write(request("POST", "/slow", [], b"x") + request("POST", "/second", [], b"y") + sent + INNER)
    await until(lambda: bool(seen))
    await asyncio.sleep(0.02)
    seen.release.set()
    answers = read_answers(await asyncio.wait_for(reader.read(), PATIENCE))
    writer.close()
    assert [each.status for each in answers] == [200, 200, 400]
    assert answers[2].code == "http_invalid"
    assert bodies(seen) == [("/slow", "x"), ("/second", "y")]


@pytest.mark.parametrize("length", [b"5 ", b"0005", b"5\t"])
async def test_a_length_may_have_blanks_and_zeros(echo: int, seen: Seen, length: bytes) -> None:
    answers = await exchange(echo, POST + b"Content-Length: " + length + b"\r\n\r\nabcde" + NEXT)
    assert [each.status for each in answers] == [200, 200]
    assert bodies(seen) == [("/first", "abcde"), ("/next", "")]


async def test_chunks_may_have_extensions_and_trailers_and_the_latter_are_no_headers(echo: int, seen: Seen) -> None:
    body = b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nHost: evil.example\r\nX-A: b\r\n\r\n"
    answers = await exchange(echo, CHUNKED, body, NEXT)
    assert [(each.status, each.json()["host"]) for each in answers] == [(200, "api.cohortlabs.co")] * 2
    assert bodies(seen) == [("/first", "abcde"), ("/next", "")]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
async def test_a_body_of_a_get_is_no_request(echo: int, seen: Seen, chunked: bool) -> None:
    answers = await exchange(echo, request("GET", "/first", [], INNER, chunked=chunked) + NEXT)
    assert [each.json()["path"] for each in answers] == ["/first", "/next"]
    assert bodies(seen) == [("/first", INNER.decode()), ("/next", "")]


async def test_requests_behind_each_other_are_answered_in_order(echo: int, seen: Seen) -> None:
    asked = request("GET", "/slow") + b"".join(request("POST", f"/{n}", [], b"%d" % n) for n in range(9)) + NEXT
    seen.release.set()
    for packets in ((asked,), tuple(asked[at : at + 7] for at in range(0, len(asked), 7))):
        answers = await exchange(echo, *packets, pause=0)
        assert [each.json()["path"] for each in answers] == ["/slow", *(f"/{n}" for n in range(9)), "/next"]


@pytest.mark.parametrize("header", [b"", b"Connection: keep-alive\r\n"])
async def test_http_1_0_is_answered_once_and_closed(echo: int, seen: Seen, header: bytes) -> None:
    (answer,) = await exchange(echo, b"POST /first HTTP/1.0\r\n" + header + b"Content-Length: 1\r\n\r\na" + NEXT)
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    await asyncio.sleep(0.01)
    assert bodies(seen) == [("/first", "a")]


async def test_requests_after_the_last_one_are_not_run(echo: int, seen: Seen) -> None:
    (answer,) = await exchange(echo, NEXT + request("POST", "/second", [], b"x"))
    assert answer.json()["path"] == "/next"
    await asyncio.sleep(0.01)
    assert bodies(seen) == [("/next", "")]


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        ("http://api.cohortlabs.co/a/b?c=d", "/a/b", "c=d", "api.cohortlabs.co"),
        ("HTTPS://other.example:8443/a", "/a", "", "other.example:8443"),
        ("http://[::1]:8000/a", "/a", "", "[::1]:8000"),
        ("http://other.example", "/", "", "other.example"),
        ("http://other.example?a=b", "/", "a=b", "other.example"),
        ("//other.example/a", "//other.example/a", "", "ignored.example"),
    ],
)
async def test_the_host_of_a_target_counts(
    echo: int, seen: Seen, target: str, path: str, query: str, host: str
) -> None:
    """RFC 9112, section 3.2.2: the Host header is then ignored."""
    asked = f"GET {target} HTTP/1.1\r\nHost: ignored.example\r\nConnection: close\r\n\r\n".encode()
    (answer,) = await exchange(echo, asked)
    assert answer.status == 200
    assert answer.json() == {"method": "GET", "path": path, "query": query, "host": host, "body": ""}


async def test_an_absolute_target_keeps_its_offer_ignored(echo: int, seen: Seen) -> None:
    asked = b"POST http://a/b HTTP/1.1\r\nHost: c\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\nx"
    answers = await exchange(echo, asked + NEXT)
    assert [(each.json()["path"], each.json()["host"]) for each in answers] == [
        ("/b", "a"),
        ("/next", "api.cohortlabs.co"),
    ]


@pytest.mark.parametrize("host", ["a", "a:", "a:80", "a.b-c_d.example:8080", "127.0.0.1:80", "[::1]", "[::1]:80", ""])
async def test_hosts(echo: int, host: str) -> None:
    (answer,) = await exchange(echo, f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.status == 200


# Expect: 100-continue


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without reading the body."""
    await Response(b"no", 401)(scope, receive, send)


EXPECTING = POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"


async def test_a_client_refused_early_may_leave_out_the_body() -> None:
    """So the connection ends: what follows would be taken for the body, or the body for what follows."""
    async with serving(refuse) as running:
        (answer,) = await exchange(port_of(running), EXPECTING, NEXT)
        assert (answer.status, answer.headers["connection"]) == (401, "close")


async def test_a_connection_is_kept_after_the_body_that_was_expected(echo: int, seen: Seen) -> None:
    for packets in ((EXPECTING, b"abcde", NEXT), (EXPECTING + b"abcde" + NEXT,)):
        answers = await exchange(echo, *packets, pause=0.02)
        assert [each.status for each in answers] == [100, 200, 200]
        assert bodies(seen) == [("/first", "abcde"), ("/next", "")]
        seen.clear()


async def test_http_1_0_is_told_nothing_before_its_answer(echo: int, seen: Seen) -> None:
    (answer,) = await exchange(echo, EXPECTING.replace(b"HTTP/1.1", b"HTTP/1.0"), b"abcde")
    assert answer.status == 200
    assert bodies(seen) == [("/first", "abcde")]


# Sizes and time


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Cookie: a=" + b"x" * MAX_LINE_BYTES + b"\r\n\r\n",
        POST + b"x" * MAX_LINE_BYTES + b": a\r\n\r\n",
        b"GET /" + b"x" * MAX_LINE_BYTES + b" HTTP/1.1\r\n\r\n",
        b"GET /?" + b"%41" * (MAX_LINE_BYTES // 3) + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["a value", "a name", "a path", "a query"],
)
async def test_a_line_over_its_bound_is_431(echo: int, seen: Seen, sent: bytes) -> None:
    half = len(sent) // 2
    for packets in ((sent,), (sent[:half], sent[half:])):
        (answer,) = await exchange(echo, *packets)
        assert (answer.status, answer.code) == (431, "headers_too_large")
    assert seen == []


async def test_lines_up_to_their_bound_are_answered(echo: int, seen: Seen) -> None:
    value = b"x" * (MAX_LINE_BYTES - len("X-A") - 4)
    (answer,) = await exchange(echo, NEXT[:-2] + b"X-A: " + value + b"\r\nX-B: " + value[1:] + b"\r\n\r\n")
    assert answer.status == 200


async def test_a_websockets_header_over_its_bound_is_431(echo: int, seen: Seen) -> None:
    handshake = (
        b"GET /graphql HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: " + b"a," * 5000 + b"a\r\n\r\n"
    )
    (answer,) = await exchange(echo, handshake)
    assert (answer.status, answer.code) == (431, "headers_too_large")
    assert seen == []


async def test_line_feeds_do_not_keep_an_idle_connection(echo: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of an idle connection runs until the next request begins."""
    protocols: list[server.BoundedProtocol] = []
    # Before there is a connection: a loop may look its protocol's methods up but once.
    monkeypatch.setattr(
        server.BoundedProtocol, "data_received", noting(protocols, server.BoundedProtocol.data_received)
    )
    reader, writer = await asyncio.open_connection(LOOPBACK, echo)
    async with asyncio.timeout(PATIENCE):
        writer.write(request("GET", "/first"))
        await reader.readuntil(b"}")
        protocols.clear()
        writer.write(b"\r\n\r\n")
        await until(lambda: bool(protocols))
        (protocol,) = protocols
        assert protocol.timeout_keep_alive_task is not None
        assert not protocol.timeout_keep_alive_task.cancelled()
        protocol.timeout_keep_alive_handler()
        assert await reader.read() == b""
    writer.close()


def noting(protocols: list[server.BoundedProtocol], take):  # type: ignore[no-untyped-def]
    """Take bytes in, and note by whom."""

    def data_received(self: server.BoundedProtocol, data: bytes) -> None:
        take(self, data)
        protocols.append(self)

    return data_received


async def test_all_that_is_not_answered_learns_that_the_client_is_gone() -> None:
    told: list[str] = []

    async def wait(scope: Scope, receive: Receive, _send: Send) -> None:
        """Wait for the end as a stream of events does."""
        while (await receive())["type"] != "http.disconnect":
            pass
        told.append(scope["path"])

    async with serving(wait) as running, asyncio.timeout(PATIENCE):
        _, writer = await asyncio.open_connection(LOOPBACK, port_of(running))
        writer.write(request("GET", "/first") + request("GET", "/second"))
        await writer.drain()
        await until(lambda: bool(running.server_state.tasks))
        await asyncio.sleep(0.02)
        writer.close()
        await until(lambda: bool(told))
    assert told == ["/first"]
