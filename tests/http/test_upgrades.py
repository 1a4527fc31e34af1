"""Requests that offer to change protocol: answered once, with their body, of which none is read as the next request."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette

from msvs.api.accounts import auth
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.models import Message
from msvs.twilio_compat.sids import ACCOUNT, encode_sid
from tests.http.test_server import port_of, serving
from tests.http.wire import LOOPBACK, PATIENCE, Seen, bodies, exchange, read_answers, request
from tests.services import SERVICES

CLOSE = [("Connection", "close")]
KEY = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
VERSION = ("Sec-WebSocket-Version", "13")
HANDSHAKE = [("Upgrade", "websocket"), ("Connection", "Upgrade"), VERSION, KEY]
H2C = [
    ("Connection", "Upgrade, HTTP2-Settings"),
    ("HTTP2-Settings", "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"),
    ("Upgrade", "h2c"),
]
OFFERS = {
    "Java's HttpClient, curl --http2": H2C,
    "a proxy that sends it on everything": [("Connection", "upgrade")],
    "a WebSocket's handshake": HANDSHAKE,
    "a WebSocket without the rest": [("Upgrade", "websocket"), ("Connection", "upgrade")],
    "TLS": [("Upgrade", "TLS/1.3"), ("Connection", "Upgrade")],
    "several, in several headers": [
        ("Upgrade", "h2c"),
        ("Upgrade", "websocket"),
        ("Connection", "keep-alive"),
        ("Connection", "upgrade"),
    ],
    "in other letters": [("UPGRADE", "H2C"), ("cONNECTION", "UPGRADE")],
}
BODY = b'{"to":"a","body":"b"}'


NEXT = request("GET", "/next", CLOSE)


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "50 ms later"])
async def test_an_offer_is_ignored_and_the_body_kept(
    echo: int, seen: Seen, offer: list[tuple[str, str]], chunked: bool, late: bool
) -> None:
    asked = request("POST", "/first", offer, BODY, chunked=chunked)
    head, _, body = asked.partition(b"\r\n\r\n")
    packets = [head + b"\r\n\r\n", body, NEXT] if late else [asked + NEXT]
    answers = await exchange(echo, *packets, pause=0.05 if late else 0)
    assert [(each.status, each.json()["path"]) for each in answers] == [(200, "/first"), (200, "/next")]
    assert bodies(seen) == [("/first", BODY.decode()), ("/next", "")]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("offer", [H2C, HANDSHAKE], ids=["h2c", "websocket"])
async def test_an_upgrade_offer_is_ignored_at_every_split_of_packets(
    echo: int, seen: Seen, offer: list[tuple[str, str]], chunked: bool
) -> None:
    asked = request("POST", "/graphql", offer, BODY, chunked=chunked) + NEXT
    for end in range(1, len(asked)):
        answers = await exchange(echo, asked[:end], asked[end:], pause=0.001)
        assert [(each.status, each.json()["path"]) for each in answers] == [(200, "/graphql"), (200, "/next")], end
        assert bodies(seen) == [("/graphql", BODY.decode()), ("/next", "")], end
        seen.clear()


async def test_a_byte_at_a_time(echo: int, seen: Seen) -> None:
    asked = request("POST", "/first", H2C, BODY, chunked=True) + request("POST", "/second", HANDSHAKE, BODY) + NEXT
    answers = await exchange(echo, *(asked[at : at + 1] for at in range(len(asked))), pause=0)
    assert [each.json()["path"] for each in answers] == ["/first", "/second", "/next"]
    assert bodies(seen) == [("/first", BODY.decode()), ("/second", BODY.decode()), ("/next", "")]


async def test_many_offers_in_one_packet(echo: int, seen: Seen) -> None:
    asked = b"".join(request("POST", f"/{n}", [*H2C, ("X-Number", str(n))], b"%d" % n) for n in range(50))
    answers = await exchange(echo, asked + NEXT)
    assert [each.status for each in answers] == [200] * 51
    assert bodies(seen) == [*((f"/{n}", str(n)) for n in range(50)), ("/next", "")]


async def test_a_body_that_looks_like_a_request_is_a_body(echo: int, seen: Seen) -> None:
    inner = request("POST", "/inner", [], b"x")
    for offer in OFFERS.values():
        answers = await exchange(echo, request("POST", "/first", offer, inner), NEXT, pause=0.01)
        assert [each.json()["path"] for each in answers] == ["/first", "/next"]
        assert bodies(seen) == [("/first", inner.decode()), ("/next", "")]
        seen.clear()


async def test_an_offer_in_http_1_0_is_ignored(echo: int, seen: Seen) -> None:
    asked = request("POST", "/first", H2C, BODY).replace(b"HTTP/1.1", b"HTTP/1.0")
    (answer,) = await exchange(echo, asked)
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert bodies(seen) == [("/first", BODY.decode())]


async def test_a_broken_body_behind_an_offer_runs_nothing(echo: int, seen: Seen) -> None:
    asked = request("POST", "/first", [*H2C, ("Transfer-Encoding", "chunked")]) + b"zz\r\n"
    (answer,) = await exchange(echo, asked, NEXT)
    assert (answer.status, answer.code) == (400, "http_invalid")
    await asyncio.sleep(0.02)
    assert seen == []


async def test_a_whole_handshake_opens_a_websocket(echo: int, seen: Seen) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, echo)
    writer.write(request("GET", "/graphql?a=b", HANDSHAKE))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
    assert head.startswith(b"HTTP/1.1 101 ")
    # A close frame, and nothing else.
    assert (await asyncio.wait_for(reader.readexactly(2), PATIENCE))[:1] == b"\x88"
    writer.close()
    assert seen == [{"path": "/graphql", "socket": True}]


def without(name: str) -> list[tuple[str, str]]:
    return [header for header in HANDSHAKE if header[0] != name]


HALF = {
    "another path": ("GET", "/first", HANDSHAKE),
    "another method": ("POST", "/graphql", HANDSHAKE),
    "no key": ("GET", "/graphql", without("Sec-WebSocket-Key")),
    "a short key": ("GET", "/graphql", [*without("Sec-WebSocket-Key"), ("Sec-WebSocket-Key", "c2hvcnQ=")]),
    "two keys": ("GET", "/graphql", [*HANDSHAKE, KEY]),
    "no version": ("GET", "/graphql", without("Sec-WebSocket-Version")),
    "another version": ("GET", "/graphql", [*without("Sec-WebSocket-Version"), ("Sec-WebSocket-Version", "8")]),
    "two versions": ("GET", "/graphql", [*HANDSHAKE, ("Sec-WebSocket-Version", "8")]),
    "another protocol too": ("GET", "/graphql", [*HANDSHAKE, ("Upgrade", "h2c")]),
    "not in Connection": ("GET", "/graphql", [*without("Connection"), ("Connection", "keep-alive")]),
}


@pytest.mark.parametrize(("method", "path", "headers"), HALF.values(), ids=HALF)
async def test_an_incomplete_handshake_is_an_ordinary_request(
    echo: int, seen: Seen, method: str, path: str, headers: list[tuple[str, str]]
) -> None:
    body = None if method == "GET" else b"x"
    answers = await exchange(echo, request(method, path, headers, body), NEXT)
    assert [(each.status, each.json()["path"]) for each in answers] == [(200, path), (200, "/next")]
    assert bodies(seen) == [(path, "x" if body else ""), ("/next", "")]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
async def test_a_handshake_with_a_body_opens_nothing(echo: int, seen: Seen, chunked: bool) -> None:
    answers = await exchange(echo, request("GET", "/graphql", HANDSHAKE, BODY, chunked=chunked), NEXT)
    assert [each.json()["path"] for each in answers] == ["/graphql", "/next"]
    assert bodies(seen) == [("/graphql", BODY.decode()), ("/next", "")]


async def test_a_handshake_opens_nothing_while_something_is_to_be_answered(echo: int, seen: Seen) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, echo)
    writer.write(request("GET", "/slow") + request("GET", "/graphql", HANDSHAKE))
    while not seen:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    seen.release.set()
    writer.write(NEXT)
    answers = read_answers(await asyncio.wait_for(reader.read(), PATIENCE))
    writer.close()
    assert [each.json()["path"] for each in answers] == ["/slow", "/graphql", "/next"]
    assert bodies(seen) == [("/slow", ""), ("/graphql", ""), ("/next", "")]


async def test_a_handshake_followed_by_a_request_in_its_packet_is_a_request(echo: int, seen: Seen) -> None:
    answers = await exchange(echo, request("GET", "/graphql", HANDSHAKE) + NEXT)
    assert [each.json()["path"] for each in answers] == ["/graphql", "/next"]


# Every front of the service


@pytest.fixture
async def port(app: Starlette) -> AsyncIterator[int]:
    async with serving(app) as running:
        yield port_of(running)


@pytest.fixture
async def key(ctx: Context) -> AsyncIterator[str]:
    _, text = await create_key(ctx.workspace_id, livemode=False)
    yield text
    await auth.settle(SERVICES)


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
async def test_a_scheduled_message_is_scheduled(
    port: int, key: str, offer: list[tuple[str, str]], chunked: bool
) -> None:
    at = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    body = json.dumps({"to": "+12125550123", "body": "Doors open", "scheduled_at": at.isoformat()}).encode()
    bearer = [("Authorization", f"Bearer {key}"), ("Content-Type", "application/json")]
    asked = request("POST", "/v1/messages", [*bearer, *offer], body, chunked=chunked)
    head, _, rest = asked.partition(b"\r\n\r\n")
    answers = await exchange(port, head + b"\r\n\r\n", rest, request("GET", "/healthz", CLOSE), pause=0.05)
    assert [each.status for each in answers] == [201, 200], answers
    assert answers[0].json()["status"] == "scheduled"
    (row,) = await Message.all()
    assert (row.scheduled_at, row.sent_at, row.body) == (at, None, "Doors open")
    assert row.due_at >= at


def fronts(key: str, account: str) -> dict[str, tuple[str, str, list[tuple[str, str]], bytes | None, int]]:
    """A request of each front: what is sent, and the status that tells whether its body arrived."""
    form = ("Content-Type", "application/x-www-form-urlencoded")
    bearer = [("Authorization", f"Bearer {key}"), ("Content-Type", "application/json")]
    basic = ("Authorization", "Basic " + b64encode(f"{account}:{key}".encode()).decode())
    send = json.dumps({"query": "{ __typename }"}).encode()
    sms = urlencode({"To": "+12125550123", "From": "COHORT", "Body": "Doors open"}).encode()
    signed_in = urlencode({"password": "not-a-secret", "next": "/ops/rq/"}).encode()
    own = ("Origin", "http://api.cohortlabs.co")
    return {
        "rest": ("POST", "/v1/contacts", bearer, b'{"phone":"+12125550199"}', 201),
        "rest without a body": ("GET", "/v1/messages", bearer, None, 200),
        "graphql": ("POST", "/graphql", bearer, send, 200),
        "graphql's stream": ("POST", "/graphql/stream", bearer, send, 400),
        "twilio": ("POST", f"/2010-04-01/Accounts/{account}/Messages.json", [basic, form], sms, 201),
        "callbacks": ("POST", "/carriers/unknown/reports", [form], b"a=b", 404),
        "operators": ("POST", "/ops/login", [form, own], signed_in, 303),
        "operators' queues": ("GET", "/ops/rq/", [], None, 401),
        "handset": ("GET", "/handset", [], None, 200),
        "handset's session": ("GET", "/handset/session", [], None, 200),
        "docs": ("GET", "/docs/", [], None, 200),
        "openapi": ("GET", "/openapi.json", [], None, 200),
        "health": ("POST", "/healthz", [], b"{}", 405),
        "metrics": ("GET", "/metrics", [], None, 401),
        "index": ("GET", "/", [], None, 200),
        "nothing": ("POST", "/nowhere", [], b"{}", 404),
    }


@pytest.mark.parametrize("name", fronts("", ""))
@pytest.mark.parametrize("offer", [H2C, HANDSHAKE], ids=["h2c", "websocket"])
async def test_every_front_reads_the_body_once(
    port: int, ctx: Context, key: str, name: str, offer: list[tuple[str, str]]
) -> None:
    method, path, headers, body, status = fronts(key, encode_sid(ACCOUNT, ctx.workspace_id))[name]
    head, _, rest = request(method, path, [*headers, *offer], body).partition(b"\r\n\r\n")
    answers = await exchange(port, head + b"\r\n\r\n", rest, request("GET", "/healthz", CLOSE), pause=0.02)
    assert [each.status for each in answers] == [status, 200], answers
