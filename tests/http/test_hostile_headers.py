"""Headers that a stranger may send: none keeps the event loop from the others, at any front."""

from __future__ import annotations

import asyncio
import gc
import http.cookies
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from starlette.applications import Starlette
from starlette.types import Message, Scope

from msvs.http.heads import MAX_HEADER_BYTES, MAX_LINE_BYTES
from msvs.ops.operator_sessions import Sessions
from msvs.settings import Settings
from tests.http.test_server import port_of, serving
from tests.http.wire import exchange

KIB = 1024
HOST = "api.cohortlabs.co"
# What one request may take of the processor. Sixteen times as much for four times the bytes is quadratic.
FEW_SECONDS = 0.02
MOST_TIMES = 8.0
# Of one turn of the loop, in seconds of the processor: the parser that this is about took seven for 60 KiB.
MOST_OF_A_TURN = 0.5

Made = Callable[[int], bytes]


class Front(NamedTuple):
    """A request that anybody may send."""

    method: str
    path: str
    headers: tuple[tuple[str, bytes], ...] = ()
    body: bytes = b""


JSON = ("content-type", b"application/json")
FORM = ("content-type", b"application/x-www-form-urlencoded")
HANDSHAKE = (
    ("upgrade", b"websocket"),
    ("connection", b"upgrade"),
    ("sec-websocket-version", b"13"),
    ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    # Of another site: it is refused, and so the connection ends.
    ("origin", b"http://evil.example"),
)

FRONTS = {
    "rest": Front("POST", "/v1/messages", (JSON,), b"{}"),
    "rest, a list": Front("GET", "/v1/messages"),
    "rest, one": Front("GET", "/v1/contacts/con_01"),
    "graphql": Front("POST", "/graphql", (JSON,), b'{"query":"{__typename}"}'),
    "graphql's page": Front("GET", "/graphql"),
    "graphql's stream": Front("POST", "/graphql/stream", (JSON,), b'{"query":"{__typename}"}'),
    "graphql's socket": Front("GET", "/graphql", HANDSHAKE),
    "twilio": Front("POST", "/2010-04-01/Accounts/AC0/Messages.json", (FORM,), b"To=a"),
    "callbacks": Front("POST", "/carriers/virtual/reports", (FORM,), b"a=b"),
    "operators": Front("GET", "/ops"),
    "operators' login": Front("GET", "/ops/login"),
    "operators' sign-in": Front("POST", "/ops/login", (FORM, ("origin", b"http://api.cohortlabs.co")), b"password=x"),
    "operators' queues": Front("GET", "/ops/rq/"),
    "handset": Front("GET", "/handset"),
    "handset's session": Front("GET", "/handset/session"),
    "docs": Front("GET", "/docs/"),
    "openapi": Front("GET", "/openapi.json"),
    "metrics": Front("GET", "/metrics"),
    "health": Front("GET", "/healthz"),
    "nothing": Front("GET", "/nowhere"),
}


def filled(unit: bytes, before: bytes = b"", after: bytes = b"") -> Made:
    """Makes values of about so many bytes by saying the same again and again."""
    return lambda size: before + unit * ((size - len(before) - len(after)) // len(unit)) + after


# What each parser might stumble over: a header's name and how its value is made of a size.
HOSTILE: dict[str, tuple[str, Made]] = {
    "escapes in a quoted cookie": ("cookie", filled(b"\\", b'a="', b'"')),
    "octal escapes in a quoted cookie": ("cookie", filled(b"\\134", b'a="', b'"')),
    "our quoted cookie": ("cookie", filled(b"\\", b'msvs_ops="', b'"')),
    "our session, long": ("cookie", filled(b"x", b"msvs_session=")),
    "our session, signed in parts": ("cookie", filled(b".", b"msvs_ops=")),
    "many cookies": ("cookie", filled(b"a=b; ")),
    "many empty cookies": ("cookie", filled(b";")),
    "an unclosed cookie": ("cookie", filled(b" ", b'a="')),
    "many types accepted": ("accept", filled(b"a/b;q=0.1,")),
    "parameters of a type accepted": ("accept", filled(b";q=0", b"text/html")),
    "blanks in Accept": ("accept", filled(b" ", b"text/html", b"x")),
    "many codings accepted": ("accept-encoding", filled(b"gzip;q=0,")),
    "blanks in Accept-Encoding": ("accept-encoding", filled(b" ", b"gzip;q=0", b"x")),
    "many languages": ("accept-language", filled(b"en;q=0.1,")),
    "parameters of the content's type": ("content-type", filled(b";a=b", b"application/json")),
    "quoted parameters of the content's type": ("content-type", filled(b';a="\\"', b"application/json")),
    "quotes in the content's type": ("content-type", filled(b'"', b"application/json;charset=")),
    "a boundary": ("content-type", filled(b"-", b"multipart/form-data; boundary=")),
    "a form's charset": ("content-type", filled(b";charset=utf-8", b"application/x-www-form-urlencoded")),
    "a disposition": ("content-disposition", filled(b'\\"', b'form-data; name="')),
    "content codings": ("content-encoding", filled(b"gzip,")),
    "many ranges": ("range", filled(b"0-,", b"bytes=")),
    "many tags": ("if-none-match", filled(b'W/"a",')),
    "an unclosed tag": ("if-none-match", filled(b"W/")),
    "a time": ("if-modified-since", filled(b"0")),
    "a bearer": ("authorization", filled(b"x", b"Bearer ")),
    "our key": ("authorization", filled(b"a", b"Bearer msvs_test_")),
    "blanks in Authorization": ("authorization", filled(b" ", b"Bearer", b"x")),
    "basic": ("authorization", lambda size: b"Basic " + b64encode(b":" * (size * 3 // 4 - 6))),
    "basic that is no base64": ("authorization", filled(b"=", b"Basic ")),
    "a token": ("authorization", filled(b".", b"Bearer ey")),
    "addresses": ("x-forwarded-for", filled(b"127.0.0.1,")),
    "what looks like addresses": ("x-forwarded-for", filled(b"1", b"::")),
    "blanks for addresses": ("x-forwarded-for", filled(b" , ")),
    "colons for addresses": ("x-forwarded-for", filled(b":")),
    "forwarded": ("forwarded", filled(b'for="[::1]";')),
    "schemes": ("x-forwarded-proto", filled(b"https,")),
    "an origin": ("origin", filled(b"a", b"http://")),
    "an origin of users": ("origin", filled(b"@", b"http://")),
    "an origin of brackets": ("origin", filled(b"[", b"http://")),
    "a referer": ("referer", filled(b"/", b"http://")),
    "a key for idempotency": ("idempotency-key", filled(b"a")),
    "a token for idempotency": ("i-twilio-idempotency-token", filled(b"a")),
    "a signature": ("x-twilio-signature", filled(b"=")),
    "a signature of Ed25519": ("telnyx-signature-ed25519", filled(b"A")),
    "extensions of a socket": ("sec-websocket-extensions", filled(b"permessage-deflate;client_max_window_bits,")),
    "an unclosed extension": ("sec-websocket-extensions", filled(b'\\"', b'a; b="')),
    "protocols of a socket": ("sec-websocket-protocol", filled(b"a,")),
    "offers": ("upgrade", filled(b"a,")),
    "options of a connection": ("connection", filled(b"a,")),
    "expectations": ("expect", filled(b"a,")),
    "a CSRF token": ("x-csrf-token", filled(b"a")),
    "a workspace": ("x-workspace", filled(b"_", b"wrk")),
    "other letters": ("x-filler", filled(b"\xff")),
    "a program": ("user-agent", filled(b"(", b"Mozilla/5.0 ")),
}
TARGETS: dict[str, Made] = {
    "a long path": filled(b"a", b"/"),
    "a path of slashes": filled(b"/"),
    "a path of escapes": filled(b"%41", b"/"),
    "a path of broken escapes": filled(b"%", b"/"),
    "a path of other letters": filled(b"%c3%28", b"/"),
    "a path under each front": filled(b"/a", b"/v1/contacts"),
    "a page of dots": filled(b"../", b"/docs/"),
    "an account": filled(b"a", b"/2010-04-01/Accounts/", b".json"),
    "a queue": filled(b"/x", b"/ops/rq"),
    "parameters": filled(b"a=b&", b"/v1/messages?"),
    "empty parameters": filled(b"&", b"/v1/messages?"),
    "a parameter of escapes": filled(b"%41", b"/v1/messages?cursor="),
    "a parameter of plus signs": filled(b"+", b"/ops/login?next="),
    "where to go": filled(b"/..", b"/ops/login?next=/ops"),
    "digits": filled(b"9", b"/v1/messages?limit="),
    "semicolons": filled(b";a=b", b"/graphql?"),
}


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without the garbage collector, which the size of the whole test run would be counted by."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def ask(app: Starlette, front: Front, target: bytes, headers: list[tuple[bytes, bytes]]) -> tuple[int, float]:
    """The status of an answer of the application itself, no bound before it, and what it took of the processor."""
    statuses: list[int] = []
    path, _, query = target.partition(b"?")
    is_socket = front.headers is HANDSHAKE
    scope: Scope = {
        "type": "websocket" if is_socket else "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": front.method,
        "scheme": "ws" if is_socket else "http",
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": ("192.0.2.1", 1),
        "server": ("127.0.0.1", 80),
        "subprotocols": [],
        "state": {},
    }
    given: Iterator[Message] = iter(
        [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]
        if is_socket
        else [{"type": "http.request", "body": front.body, "more_body": False}]
    )

    async def receive() -> Message:
        return next(given, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.close", "websocket.accept"):
            statuses.append(message.get("status", 101))

    if is_socket:
        del scope["method"]
    started = time.thread_time()
    await app(scope, receive, send)
    return statuses[0], time.thread_time() - started


async def times_of_four(measure: Callable[[int], Any]) -> float:
    """How many times longer something takes for 64 KiB than for 16 KiB; 1 where both are as good as nothing."""
    large: list[float] = [await measure(64 * KIB)]
    small: list[float] = []
    # Others on the machine make a measure too large, never too small: what looks bad is looked at again.
    for _ in range(12):
        if min(large) <= FEW_SECONDS:
            return 1.0
        small.append(await measure(16 * KIB))
        large.append(await measure(64 * KIB))
        times = min(large) / max(min(small), FEW_SECONDS / 16)
        if len(large) > 4 and times <= MOST_TIMES:
            break
    return times


def headers_of(front: Front, *more: tuple[str, bytes]) -> list[tuple[bytes, bytes]]:
    mine = {name for name, _ in more}
    kept = [header for header in (("host", HOST.encode()), *front.headers) if header[0] not in mine]
    return [(name.encode(), value) for name, value in (*kept, *more)]


@pytest.mark.parametrize("front", FRONTS.values(), ids=FRONTS)
async def test_the_cost_of_a_header_grows_linearly(app: Starlette, clean: None, front: Front) -> None:
    too_many: dict[str, float] = {}
    with undisturbed():
        for title, (name, make) in HOSTILE.items():

            async def measure(size: int, name: str = name, make: Made = make) -> float:
                status, seconds = await ask(app, front, front.path.encode(), headers_of(front, (name, make(size))))
                assert status < 500, title  # noqa: B023
                return seconds

            times = await times_of_four(measure)
            if times > MOST_TIMES:
                too_many[title] = times
    assert too_many == {}


@pytest.mark.parametrize("title", TARGETS)
async def test_the_cost_of_a_target_grows_linearly(app: Starlette, clean: None, title: str) -> None:
    async def measure(size: int) -> float:
        front = FRONTS["nothing"]
        status, seconds = await ask(app, front, TARGETS[title](size), headers_of(front))
        assert status < 500
        return seconds

    with undisturbed():
        assert await times_of_four(measure) <= MOST_TIMES


async def test_the_measure_finds_the_parser_that_this_is_about() -> None:
    async def measure(size: int) -> float:
        text = HOSTILE["escapes in a quoted cookie"][1](size // 8).decode()
        started = time.thread_time()
        quadratic_unquote(text)
        return time.thread_time() - started

    assert await times_of_four(measure) > MOST_TIMES


def quadratic_unquote(text: str) -> None:
    """As http.cookies did before Python 3.11.10: at each backslash it looks through all that is left for an octal."""
    for at in range(len(text)):
        text.find("\\1", at)


# Cookies


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the standard library's parser of cookies is given."""
    texts: list[str] = []
    monkeypatch.setattr(http.cookies, "_unquote", lambda text: texts.append(text) or text)
    monkeypatch.setattr(http.cookies.BaseCookie, "load", lambda _, data: texts.append(data))
    return texts


@pytest.mark.parametrize("front", FRONTS.values(), ids=FRONTS)
async def test_no_cookie_reaches_the_standard_librarys_parser(
    app: Starlette, clean: None, parsed: list[str], front: Front
) -> None:
    for cookie in (b'a="\\"; msvs_ops="\\\\"', b"msvs_session=a; msvs_ops=b", b"", b"a"):
        await ask(app, front, front.path.encode(), headers_of(front, ("cookie", cookie)))
    assert parsed == []


async def test_nor_behind_an_operators_session(app: Starlette, clean: None, parsed: list[str]) -> None:
    session = Sessions(Settings(operator_password="not-a-secret")).issue().encode()
    cookie = b'msvs_ops=%s; a="\\\\"; session=x' % session
    for path in (b"/ops", b"/ops/login", b"/ops/rq/", b"/ops/rq/0/view/jobs", b"/ops/rq/0/data/queues.json"):
        front = FRONTS["operators"]
        status, _ = await ask(app, front, path, headers_of(front, ("cookie", cookie), ("accept", b"text/html")))
        assert status in (200, 302, 303), path
    assert parsed == []


# On a socket


@pytest.fixture
async def port(app: Starlette) -> AsyncIterator[int]:
    async with serving(app) as running:
        yield port_of(running)


class Turns:
    """Watches what the turns of the event loop take of the processor."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        """Go round with the loop until cancelled."""
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest = max(self.longest, now - last)
            last = now


def asked(front: Front, target: bytes, *lines: bytes) -> bytes:
    mine = {line.partition(b":")[0].lower() for line in lines}
    kept = [b"%s: %s" % (name, value) for name, value in headers_of(front) if name not in mine]
    if b"connection" not in mine and front.headers is not HANDSHAKE:
        kept.append(b"Connection: close")
    if front.body:
        kept.append(b"Content-Length: %d" % len(front.body))
    head = [front.method.encode() + b" " + target + b" HTTP/1.1", *kept, *lines]
    return b"\r\n".join([*head, b"", b""]) + front.body


@pytest.mark.parametrize("name", ["operators' login", "rest", "graphql", "graphql's socket", "twilio", "docs"])
async def test_no_header_holds_up_the_loop(port: int, clean: None, name: str) -> None:
    """As large as may be, and larger; each gets an answer of its own."""
    front = FRONTS[name]
    turns = Turns()
    with undisturbed():
        watching = asyncio.create_task(turns.watch())
        for title, (header, make) in HOSTILE.items():
            if header in ("connection", "upgrade"):
                continue  # it is not closed then
            field = header.encode()
            for size in (MAX_LINE_BYTES - len(field) - 8, 24 * KIB, 60 * KIB):
                sent = asked(front, front.path.encode(), field + b": " + make(size))
                (answer,) = await exchange(port, sent, pause=0)
                assert (answer.status == 431) is (size > MAX_LINE_BYTES), (title, size, answer)
                assert answer.status < 500
        many = [b"X-%d: %s" % (at, b"x" * 600) for at in range(99)]
        for lines in (many[:80], many, [b"Cookie: a=b"] * 2000, [b"Cookie: " + b'"\\' * 4000] * 8):
            (answer,) = await exchange(port, asked(front, front.path.encode(), *lines), pause=0)
            is_large = sum(map(len, lines)) > MAX_HEADER_BYTES or len(lines) > 90
            assert answer.status == 431 if is_large else answer.status < 500, len(lines)
        watching.cancel()
    assert turns.longest < MOST_OF_A_TURN


async def test_no_target_holds_up_the_loop(port: int, clean: None) -> None:
    turns = Turns()
    with undisturbed():
        watching = asyncio.create_task(turns.watch())
        for title, make in TARGETS.items():
            for size in (MAX_LINE_BYTES - 32, 24 * KIB, 60 * KIB):
                (answer,) = await exchange(port, asked(FRONTS["nothing"], make(size)), pause=0)
                assert (answer.status == 431) is (size > MAX_LINE_BYTES), (title, size)
                assert answer.status < 500
        watching.cancel()
    assert turns.longest < MOST_OF_A_TURN
