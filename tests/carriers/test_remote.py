"""The carrier that stands in a worker for one whose sessions another process holds."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import termios
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest

from msvs import database as db
from msvs.carriers.carrier_events import keep_carrier_events
from msvs.carriers.frames import (
    FROM_OWNER,
    FROM_WORKER,
    MAX_FRAME,
    Answer,
    Ask,
    Declined,
    FrameError,
    Go,
    Hello,
    Line,
    Offer,
    Progress,
    Taken,
    Welcome,
)
from msvs.carriers.protocol import Accepted, Capability, Carrier, Outcome, Refused, Report, Submission, Unknown
from msvs.carriers.remote import BATCH, OwnerAway, RemoteCarrier
from msvs.models import StoredCarrierEvent
from msvs.workers import carrier_binds
from msvs.workers.carrier_binds import HandOverServer, Orphan, taker

NAME = "smsc"
AWAY = Refused("carrier_rejected", retryable=True, retry_after=2.0, is_fault=True)
LOST = Unknown("bind process lost")
LONGEST = "€" * 1600


class Books(Carrier):
    """A carrier that remembers what was submitted, and answers `accepted` messages alone until `answers` is set."""

    kind: ClassVar[str] = "books"
    holds_binds: ClassVar[bool] = True

    def __init__(self) -> None:
        self.name = NAME
        self.capability = Capability.LOOKUP
        self.rate = 7.0
        self.submitted: list[UUID] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def submit(self, submission: Submission) -> Outcome:
        self.submitted.append(submission.message_id)
        await self.answers.wait()
        ref = str(submission.message_id)
        return Accepted(ref, tuple(f"{ref}/{part}" for part in range(submission.segments) if submission.segments > 1))

    async def look_up(self, message_ids: Sequence[UUID]) -> dict[UUID, bool]:
        return {message_id: message_id in self.submitted for message_id in message_ids}


def submission(number: int, body: str = "Doors open at 8pm ET.") -> Submission:
    return Submission(UUID(int=number), UUID(int=1), True, "+12125550000", "+14155550100", body, "gsm7", 1, 1)


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


BEGUN = framed(msgspec.msgpack.encode(Progress(3, [])))


def batch(count: int, *, first: int = 1) -> list[Submission]:
    return [submission(number) for number in range(first, first + count)]


def accepted(submissions: Sequence[Submission]) -> list[Outcome]:
    return [Accepted(str(each.message_id)) for each in submissions]


async def write_row(address: str, token: str, *, age: float = 0.0) -> None:
    await db.execute(
        "INSERT INTO carrier_sessions (name, address, token, bound, wanted, detail, updated_at)"
        " VALUES ($1, $2, $3, 1, 2, 'one session of two', clock_timestamp() - $4 * interval '1 second')"
        " ON CONFLICT (name) DO UPDATE SET address = excluded.address, token = excluded.token",
        NAME,
        address,
        token,
        age,
    )


async def serve(carrier: Carrier) -> HandOverServer:
    server = HandOverServer(carrier)
    await server.start("127.0.0.1")
    server.begin()
    await write_row(server.address, server.token)
    return server


async def shut(server: HandOverServer) -> None:
    await server.drain(0)
    await server.close()


@pytest.fixture
def books(clean: None) -> Books:
    return Books()


@pytest.fixture
async def server(books: Books) -> AsyncIterator[HandOverServer]:
    """A process's end, that takes batches."""
    server = await serve(books)
    yield server
    await shut(server)


@pytest.fixture
async def remote(books: Books) -> AsyncIterator[RemoteCarrier]:
    carrier = RemoteCarrier(books)
    yield carrier
    await carrier.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def test_a_remote_carrier_looks_like_its_carrier() -> None:
    carrier = RemoteCarrier(Books())
    assert (carrier.name, carrier.kind, carrier.capability, carrier.rate, carrier.holds_binds) == (
        NAME,
        "books",
        Capability.LOOKUP,
        7.0,
        False,
    )


async def test_outcomes_come_back_in_order_over_one_connection(
    server: HandOverServer, remote: RemoteCarrier, books: Books
) -> None:
    for first in (1, 101):
        submissions = batch(100, first=first)
        assert await remote.submit_many(submissions) == accepted(submissions)
    assert await remote.submit(submission(201)) == Accepted(str(UUID(int=201)))
    assert sorted(books.submitted) == [UUID(int=number) for number in range(1, 202)]
    assert len(server._lines) == 1
    assert await remote.check() == "one session of two"


async def test_the_longest_messages_fit_and_long_batches_go_in_several(
    server: HandOverServer, remote: RemoteCarrier, books: Books
) -> None:
    submissions = [submission(number, LONGEST) for number in range(1, BATCH + 2)]
    assert await remote.submit_many(submissions) == accepted(submissions)
    assert len(books.submitted) == BATCH + 1


async def test_batches_at_once_do_not_mix(server: HandOverServer, remote: RemoteCarrier, books: Books) -> None:
    batches = [batch(20, first=20 * number + 1) for number in range(8)]
    assert await asyncio.gather(*map(remote.submit_many, batches)) == list(map(accepted, batches))
    assert len(books.submitted) == 160


async def test_the_carrier_can_be_asked(server: HandOverServer, remote: RemoteCarrier) -> None:
    await remote.submit_many(batch(2))
    asked = [UUID(int=number) for number in (1, 2, 3)]
    assert await remote.look_up(asked) == dict(zip(asked, (True, True, False), strict=True))
    server.takes = False
    with pytest.raises(OwnerAway):
        await remote.look_up(asked)


async def test_without_an_owner_nothing_is_handed_over(remote: RemoteCarrier, books: Books) -> None:
    assert await remote.submit_many(batch(2)) == [AWAY, AWAY]
    assert await remote.check() == "no process holds its binds"
    with pytest.raises(OwnerAway):
        await remote.look_up([UUID(int=1)])
    await write_row("127.0.0.1:1", "token")
    assert await remote.submit_many(batch(2)) == [AWAY, AWAY]
    assert books.submitted == []


async def test_a_stale_heartbeat_counts_as_no_process(remote: RemoteCarrier, books: Books) -> None:
    server = HandOverServer(books)
    await server.start("127.0.0.1")
    server.begin()
    await write_row(server.address, server.token, age=11)
    assert await remote.submit_many(batch(1)) == [AWAY]
    assert await remote.check() == "no process holds its binds"
    assert (books.submitted, server._lines) == ([], {})
    await shut(server)


@pytest.mark.parametrize("token", ["", "x", "é" * 40])
async def test_a_wrong_token_opens_nothing(
    server: HandOverServer, remote: RemoteCarrier, books: Books, token: str
) -> None:
    await write_row(server.address, token)
    assert await remote.submit_many(batch(1)) == [AWAY]
    assert books.submitted == []


async def test_a_process_that_does_not_take_batches_declines(
    server: HandOverServer, remote: RemoteCarrier, books: Books
) -> None:
    assert await remote.submit_many(batch(1)) == accepted(batch(1))
    server.takes = False
    assert await remote.submit_many(batch(1, first=2)) == [AWAY]
    server.begin()
    assert await remote.submit_many(batch(1, first=3)) == accepted(batch(1, first=3))
    assert books.submitted == [UUID(int=1), UUID(int=3)]


async def test_a_new_process_is_found_when_the_old_one_is_gone(
    server: HandOverServer, remote: RemoteCarrier, books: Books
) -> None:
    assert await remote.submit_many(batch(1)) == accepted(batch(1))
    await shut(server)
    assert await remote.submit_many(batch(1, first=2)) == [AWAY]
    following = await serve(books)
    assert await remote.submit_many(batch(1, first=2)) == accepted(batch(1, first=2))
    assert books.submitted == [UUID(int=1), UUID(int=2)]
    await shut(following)


# What the other end says to each frame it reads, of a batch of three; where its list ends, it ends the connection.
ONE = Progress(2, [Answer(1, accepted=Accepted("ref"))])
BEYOND = Progress(2, [Answer(3, unknown=LOST)])
ENDED: list[Outcome] = [LOST, Accepted("ref"), AWAY]
BROKEN: list[Outcome] = [LOST, Accepted("ref"), LOST]
CUTS: dict[str, tuple[list[list[Any]], list[Outcome]]] = {
    "at hello": ([], [AWAY] * 3),
    "at the offer": ([[Welcome()]], [AWAY] * 3),
    "declined": ([[Welcome()], [Declined()]], [AWAY] * 3),
    "not a word of ours": ([[Welcome()], [b"\x00\x00\x00\x01\xff"]], [AWAY] * 3),
    "half a word": ([[Welcome()], [b"\x00\x00\x00"]], [AWAY] * 3),
    "before it began": ([[Welcome()], [Taken()], []], [AWAY] * 3),
    "while it began": ([[Welcome()], [Taken()], [BEGUN[:-1]]], [AWAY] * 3),
    "when it had begun": ([[Welcome()], [Taken()], [BEGUN]], [LOST] * 3),
    "after one outcome": ([[Welcome()], [Taken()], [ONE]], ENDED),
    "in the next outcome": ([[Welcome()], [Taken()], [ONE, b"\x00\x00\x00\x09\x93"]], ENDED),
    "an outcome of what never began": (
        [[Welcome()], [Taken()], [Progress(0, ONE.answers)]],
        [AWAY, Accepted("ref"), AWAY],
    ),
    "broken": ([[Welcome()], [Taken()], [ONE, None]], BROKEN),
    "an outcome twice": ([[Welcome()], [Taken()], [ONE, ONE]], BROKEN),
    "an outcome of none": ([[Welcome()], [Taken()], [ONE, BEYOND]], BROKEN),
    "no outcome": ([[Welcome()], [Taken()], [Progress(0, [Answer(0)])]], [LOST] * 3),
    "garbage after go": ([[Welcome()], [Taken()], [b"\x00\x00\x00\x01\xff"]], [LOST] * 3),
    "declined after go": ([[Welcome()], [Taken()], [Declined()]], [LOST] * 3),
}


async def break_off(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST, once the other end has read what was sent."""
    connection = writer.get_extra_info("socket")
    async with asyncio.timeout(30):
        while int.from_bytes(fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    for _ in range(10):
        await asyncio.sleep(0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize("cut", CUTS)
async def test_what_is_known_after_a_cut(remote: RemoteCarrier, cut: str) -> None:
    said, outcomes = CUTS[cut]
    heard: list[type] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer)
        for frames in said:
            heard.append(type(await line.receive(FROM_WORKER)))
            for frame in frames:
                if isinstance(frame, bytes):
                    writer.write(frame)
                elif frame is None:
                    await break_off(writer)
                else:
                    await line.send(frame)
        writer.close()

    other = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = other.sockets[0].getsockname()
    await write_row(f"{host}:{port}", "token")
    assert await remote.submit_many(batch(3)) == outcomes
    assert heard == [Hello, Offer, Go][: len(said)]
    assert remote._idle == []
    other.close()


async def test_a_batch_that_runs_out_of_time_leaves_no_answers_behind(
    server: HandOverServer, remote: RemoteCarrier, books: Books
) -> None:
    books.answers.clear()
    handing = asyncio.create_task(remote.submit_many(batch(3)))
    await until(lambda: len(books.submitted) == 3)
    handing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handing
    books.answers.set()
    assert await remote.submit_many(batch(2, first=11)) == accepted(batch(2, first=11))
    assert sorted(books.submitted) == [UUID(int=number) for number in (1, 2, 3, 11, 12)]


@pytest.mark.parametrize("is_read_late", [False, True])
async def test_a_word_to_go_that_comes_late_is_none(
    server: HandOverServer, books: Books, monkeypatch: pytest.MonkeyPatch, is_read_late: bool
) -> None:
    """Either end was stopped meanwhile: the messages may be another's by now."""
    monkeypatch.setattr(carrier_binds, "GO_SECONDS", 0.05)
    line, writer = await connected(server)
    await line.send(Offer(batch(3)))
    assert await line.receive(FROM_OWNER) == Taken()
    if is_read_late:
        await line.send(Go())
        time.sleep(0.2)  # noqa: ASYNC251
    else:
        await asyncio.sleep(0.2)
        with suppress(OSError):
            await line.send(Go())
    with pytest.raises((OSError, EOFError)):
        await line.receive(FROM_OWNER)
    await until(lambda: not server._lines)
    assert (books.submitted, server._batches) == ([], set())
    writer.close()


async def test_a_worker_that_was_stopped_gives_no_word_to_go(
    remote: RemoteCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msvs.carriers.remote.OFFER_SECONDS", 0.1)
    offer = remote.offer

    async def offer_and_stop(submissions: Sequence[Submission]) -> Line:
        line = await offer(submissions)
        time.sleep(0.3)  # noqa: ASYNC251
        return line

    monkeypatch.setattr(remote, "offer", offer_and_stop)
    assert await remote.submit_many(batch(3)) == [AWAY] * 3


async def test_an_owner_that_was_stopped_begins_nothing_late(
    server: HandOverServer, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, writer = await connected(server)
    enter = server.take_room

    async def enter_and_stop(most: int) -> int:
        count = await enter(most)
        monkeypatch.setattr("msvs.workers.carrier_binds.time", FakeTime(1000.0))
        return count

    monkeypatch.setattr(server, "take_room", enter_and_stop)
    await server._submit(line_of(server), batch(3))
    assert books.submitted == []
    progress = [await line.receive(FROM_OWNER), await line.receive(FROM_OWNER)]
    answers = [answer for each in progress if isinstance(each, Progress) for answer in each.answers]
    assert [answer.outcome for answer in answers] == [carrier_binds.UNBEGUN] * 3
    writer.close()


class FakeTime:
    """A clock that so many seconds have passed by."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def monotonic(self) -> float:
        return time.monotonic() + self._seconds


async def test_a_batch_goes_on_when_its_worker_is_gone(server: HandOverServer, books: Books) -> None:
    line, writer = await connected(server)
    await line.send(Offer(batch(60)))
    assert await line.receive(FROM_OWNER) == Taken()
    books.answers.clear()
    await line.send(Go())
    await until(lambda: len(books.submitted) == books.concurrency)
    writer.close()
    books.answers.set()
    await until(lambda: len(books.submitted) == 60)
    await until(lambda: not server._batches)


async def test_no_more_begin_at_once_than_the_carrier_has_room_for(
    server: HandOverServer, remote: RemoteCarrier, books: Books
) -> None:
    books.answers.clear()
    batches = [batch(40, first=40 * number + 1) for number in range(3)]
    handing = asyncio.gather(*map(remote.submit_many, batches))
    await until(lambda: len(books.submitted) == books.concurrency)
    line, writer = await connected(server)
    await line.send(Ask([]))
    await line.receive(FROM_OWNER)
    writer.close()
    assert len(books.submitted) == books.concurrency
    books.answers.set()
    assert await handing == list(map(accepted, batches))
    assert len(books.submitted) == 120


async def test_a_worker_that_dies_in_a_batch_is_noticed_at_once(server: HandOverServer, books: Books) -> None:
    line, writer = await connected(server)
    await line.send(Offer(batch(60)))
    await line.receive(FROM_OWNER)
    books.answers.clear()
    await line.send(Go())
    await until(lambda: len(books.submitted) == books.concurrency)
    writer.transport.abort()
    await until(lambda: line_of(server).is_ended)
    books.answers.set()
    await until(lambda: len(server.orphans) == 60 and not server._adopting)
    assert server.orphans == {str(each.message_id): Orphan(each.message_id) for each in batch(60)}


class Deaf(Line):
    """A worker that does not read, so that what is said to it does not arrive."""

    def __init__(self) -> None:
        return

    async def send(self, frame: msgspec.Struct) -> None:
        await asyncio.Event().wait()


async def test_nothing_begins_that_its_worker_was_not_told_of(
    server: HandOverServer, remote: RemoteCarrier, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrier_binds, "TELL_SECONDS", 0.01)
    await server._submit(Deaf(), batch(3))
    assert books.submitted == []
    submissions = batch(100)
    assert await remote.submit_many(submissions) == accepted(submissions)


async def test_reports_find_the_messages_of_a_worker_that_died(server: HandOverServer) -> None:
    refs = [str(each.message_id) for each in batch(3)]
    await keep_carrier_events(
        NAME, [Report("early", True, carrier_ref=refs[0]), Report("another's", True, carrier_ref="x")]
    )
    line, writer = await connected(server)
    await line.send(Offer(batch(2)))
    await line.receive(FROM_OWNER)
    await line.send(Go())
    await until(lambda: not server._batches and len(server._accepted.get(line_of(server), ())) == 2)
    writer.close()
    await until(lambda: server.orphans and not server._adopting)
    await taker(NAME, server.orphans)([Report("late", True, carrier_ref=ref) for ref in refs[2:]])
    await taker(NAME, server.orphans)([Report("later", False, carrier_ref=refs[1])])
    rows = await StoredCarrierEvent.all().order_by("received_at", "id")
    assert {row.dedupe_key: row.message_id for row in rows} == {
        "early": UUID(int=1),
        "another's": None,
        "late": None,
        "later": UUID(int=2),
    }


@pytest.mark.parametrize("segments", [2, 3])
async def test_reports_find_the_parts_of_a_worker_that_died(server: HandOverServer, segments: int) -> None:
    [long] = [replace(each, segments=segments) for each in batch(1)]
    refs = [f"{long.message_id}/{part}" for part in range(segments)]
    await keep_carrier_events(NAME, [Report("early", True, carrier_ref=refs[0])])
    line, writer = await connected(server)
    await line.send(Offer([long]))
    await line.receive(FROM_OWNER)
    await line.send(Go())
    await until(lambda: not server._batches and len(server._accepted.get(line_of(server), ())) == segments)
    writer.close()
    await until(lambda: server.orphans and not server._adopting)
    await taker(NAME, server.orphans)([Report("late", True, carrier_ref=refs[1])])
    rows = await StoredCarrierEvent.all()
    assert {row.dedupe_key: (row.message_id, row.part_count) for row in rows} == {
        "early": (UUID(int=1), segments),
        "late": (UUID(int=1), segments),
    }


def line_of(server: HandOverServer) -> Line:
    """The server's end of its one connection."""
    (line,) = server._lines
    return line


async def test_nothing_is_submitted_before_the_word_to_go(server: HandOverServer, books: Books) -> None:
    line, writer = await connected(server)
    await line.send(Offer(batch(3)))
    assert await line.receive(FROM_OWNER) == Taken()
    writer.close()
    await until(lambda: not server._lines)
    assert books.submitted == []


async def connected(server: HandOverServer, token: str | None = None) -> tuple[Line, asyncio.StreamWriter]:
    host, _, port = server.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    line = Line(reader, writer)
    await line.send(Hello(NAME, server.token if token is None else token))
    assert await line.receive(FROM_OWNER) == Welcome()
    return line, writer


WHOLE = framed(msgspec.msgpack.encode(Offer(batch(1))))
GO = framed(msgspec.msgpack.encode(Go()))
GARBAGE: dict[str, tuple[bytes, bytes]] = {
    "too long": ((MAX_FRAME + 1).to_bytes(4), b""),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", b""),
    "not msgpack": (framed(b"\xc1\xc1\xc1"), b""),
    "of no kind": (framed(msgspec.msgpack.encode(["fly", 1])), b""),
    "an offer of nonsense": (framed(msgspec.msgpack.encode(["offer", [{"message_id": "x"}]])), b""),
    "bytes after the frame": (framed(msgspec.msgpack.encode(Offer(batch(1))) + b"\x00"), b""),
    "a second hello": (framed(msgspec.msgpack.encode(Hello(NAME, "x"))), b""),
    "go without an offer": (GO, b""),
    "an offer and another": (WHOLE, WHOLE),
    "an offer and a question": (WHOLE, framed(msgspec.msgpack.encode(Ask([])))),
    "an offer and half a word": (WHOLE, GO[:-1]),
    "half an offer": (WHOLE[:-1], b""),
}


@pytest.mark.parametrize("kind", GARBAGE)
async def test_garbage_closes_the_connection_and_submits_nothing(
    server: HandOverServer, remote: RemoteCarrier, books: Books, kind: str
) -> None:
    first, second = GARBAGE[kind]
    line, writer = await connected(server)
    writer.write(first)
    if second:
        assert await line.receive(FROM_OWNER) == Taken()
        writer.write(second)
    writer.write_eof()
    with pytest.raises((EOFError, ConnectionError)):
        await line.receive(FROM_OWNER)
    writer.close()
    assert books.submitted == []
    assert await remote.submit_many(batch(1)) == accepted(batch(1))


@pytest.mark.parametrize("data", [WHOLE, framed(b"\xc1"), framed(b"x" * 1025), (1025).to_bytes(4)])
async def test_a_connection_without_a_hello_is_closed(server: HandOverServer, books: Books, data: bytes) -> None:
    host, _, port = server.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    with pytest.raises((EOFError, ConnectionError)):
        await Line(reader, writer).receive(FROM_OWNER)
    writer.close()
    assert books.submitted == []


async def test_a_frame_that_is_too_long_is_not_sent(server: HandOverServer) -> None:
    line, writer = await connected(server)
    with pytest.raises(FrameError):
        await line.send(Offer([submission(1, "x" * MAX_FRAME)]))
    writer.close()
