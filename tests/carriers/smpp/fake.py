"""A message centre whose every answer a test decides."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import uuid4

from msvs.api.text.sms import measure
from msvs.carriers.config import CarrierConfig
from msvs.carriers.protocol import CarrierEvent, Outcome, Submission
from msvs.carriers.smpp import pdu
from msvs.carriers.smpp.carrier import SmppCarrier, make_smpp
from msvs.carriers.smpp.pdu import Command, Message

LOOPBACK = "127.0.0.1"


class Peer(asyncio.Protocol):
    """One connection, as the message centre sees it."""

    def __init__(self, smsc: FakeSmsc) -> None:
        self.smsc = smsc
        self.buffer = b""
        self.received: list[int] = []
        self.sequence = 0
        self.responses: dict[int, asyncio.Future[int]] = {}
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.smsc.peers.append(self)
        self.smsc.on_connect(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.smsc.peers.remove(self)
        self.lost.set_result(None)
        for future in self.responses.values():
            future.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (length := pdu.read_length(self.buffer)) is not None and len(self.buffer) >= length:
            _, command, status, sequence = pdu.read_header(self.buffer)
            body = self.buffer[pdu.HEADER_LENGTH : length]
            self.buffer = self.buffer[length:]
            self.received.append(command)
            self.handle(command, status, sequence, body)

    def handle(self, command: int, status: int, sequence: int, body: bytes) -> None:
        if command in (Command.BIND_TRANSCEIVER, Command.BIND_TRANSMITTER, Command.BIND_RECEIVER):
            self.smsc.binds.append(pdu.decode_bind(body))
            self.smsc.on_bind(self, command, sequence)
        elif command == Command.SUBMIT_SM:
            message = pdu.decode_message(body)
            self.smsc.submits.append(message)
            self.smsc.on_submit(self, sequence, message)
        elif command == Command.ENQUIRE_LINK:
            self.smsc.on_enquire(self, sequence)
        elif command == Command.UNBIND:
            self.send(Command.UNBIND_RESP, 0, sequence)
        elif command & pdu.RESPONSE:
            future = self.responses.pop(sequence, None)
            if future is not None:
                future.set_result(status)

    def send(self, command: int, status: int, sequence: int, body: bytes = b"") -> None:
        """Write a PDU."""
        self.transport.write(pdu.encode(command, status, sequence, body))

    def accept(self, sequence: int, message_id: str) -> None:
        """Answer a submit_sm with an id."""
        self.send(Command.SUBMIT_SM_RESP, 0, sequence, pdu.encode_text(message_id))

    def refuse(self, sequence: int, status: int) -> None:
        """Answer a submit_sm with an error."""
        self.send(Command.SUBMIT_SM_RESP, status, sequence)

    def ask(self, command: int, body: bytes = b"") -> asyncio.Future[int]:
        """Send a request; its answer's status."""
        self.sequence += 1
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.responses[self.sequence] = future
        self.send(command, 0, self.sequence, body)
        return future

    def deliver(self, message: Message) -> asyncio.Future[int]:
        """Bring a deliver_sm; the status it is answered with."""
        return self.ask(Command.DELIVER_SM, pdu.encode_message(message))

    def drop(self) -> None:
        """Break the connection."""
        self.transport.abort()


class FakeSmsc:
    """Accepts every message, with ids 1, 2, 3 …, until a test says otherwise."""

    def __init__(self) -> None:
        self.port = 0
        self.peers: list[Peer] = []
        self.binds: list[pdu.Bind] = []
        self.submits: list[Message] = []
        self.on_connect: Callable[[Peer], None] = lambda peer: None
        self.on_bind: Callable[[Peer, int, int], None] = self.accept_bind
        self.on_submit: Callable[[Peer, int, Message], None] = self.accept_submit
        self.on_enquire: Callable[[Peer, int], None] = lambda peer, sequence: peer.send(
            Command.ENQUIRE_LINK_RESP, 0, sequence
        )

    def accept_bind(self, peer: Peer, command: int, sequence: int) -> None:
        peer.send(command | pdu.RESPONSE, 0, sequence, pdu.encode_text("fake"))

    def accept_submit(self, peer: Peer, sequence: int, message: Message) -> None:
        peer.accept(sequence, str(len(self.submits)))

    @property
    def peer(self) -> Peer:
        """The one connection there is."""
        (peer,) = self.peers
        return peer


@asynccontextmanager
async def fake_smsc(tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeSmsc]:
    """A message centre on a free port."""
    smsc = FakeSmsc()
    server = await asyncio.get_running_loop().create_server(lambda: Peer(smsc), LOOPBACK, 0, ssl=tls)
    smsc.port = server.sockets[0].getsockname()[1]
    try:
        yield smsc
    finally:
        server.close()
        for peer in list(smsc.peers):
            peer.drop()
        await asyncio.sleep(0)


class Taken:
    """What the carrier brought; `fails` makes the next so many calls fail, `loses_word` after it has kept what came.

    `gate` holds them up.
    """

    def __init__(self) -> None:
        self.carrier_events: list[CarrierEvent] = []
        self.fails = 0
        self.loses_word = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, carrier_events: Sequence[CarrierEvent]) -> None:
        await self.gate.wait()
        if self.fails:
            self.fails -= 1
            if self.loses_word:
                self.carrier_events += carrier_events
            raise ConnectionError("the database is away")
        self.carrier_events += carrier_events


def carrier_of(port: int, **options: Any) -> SmppCarrier:
    """A carrier of the message centre on this port, in a hurry."""
    table = {
        "host": LOOPBACK,
        "port": port,
        "system_id": "cohort",
        "password": "secret",
        "response_seconds": 5,
        "reconnect_seconds": 0.01,
        "reconnect_max_seconds": 0.02,
        "throttle_seconds": 0.01,
        **options,
    }
    carrier = make_smpp(CarrierConfig("cohort", "smpp", table, "https://sms.cohortlabs.co"))
    assert isinstance(carrier, SmppCarrier)
    return carrier


async def until(condition: Callable[[], Any]) -> None:
    """Wait for something that is about to be so; the test's own time-out bounds it."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in a peer
        await asyncio.sleep(0.001)


@asynccontextmanager
async def opened(smsc: FakeSmsc, **options: Any) -> AsyncIterator[tuple[SmppCarrier, Taken]]:
    """A carrier whose sessions are all bound, and what it brings."""
    carrier, taken = carrier_of(smsc.port, **options), Taken()
    await carrier.open(taken)
    try:
        await until(lambda: carrier.bound == carrier.wanted)
        yield carrier, taken
    finally:
        taken.gate.set()
        await carrier.close()


def submission(body: str = "Hello", *, to: str = "+14155550100", sender: str = "Cohort") -> Submission:
    """One message to hand over."""
    measured = measure(body)
    return Submission(uuid4(), uuid4(), True, to, sender, body, measured.encoding, measured.segments, 1)


async def submit(carrier: SmppCarrier, body: str = "Hello", **fields: Any) -> Outcome:
    """Hand over one message."""
    return await carrier.submit(submission(body, **fields))
