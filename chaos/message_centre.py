"""A message centre in memory: it notes every submit_sm it reads, answers a moment later, and sends delivery receipts.

It shares no code with the service: SMPP 3.4 as far as it is needed here.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections import deque
from contextlib import suppress

BIND_TRANSCEIVER, SUBMIT_SM, DELIVER_SM, UNBIND, ENQUIRE_LINK = 0x09, 0x04, 0x05, 0x06, 0x15
RESPONSE = 0x80000000
HEADER = struct.Struct(">IIII")
RECEIPT = 0x04


class MessageCentre:
    """What it took, text by text, and its receipts, by who acknowledged them. An answer takes up to `delay` seconds."""

    def __init__(self, seed: int, *, delay: float = 0.05) -> None:
        self.random = random.Random(seed)
        self.delay = delay
        self.port = 0
        self.binds = 0
        self.texts: list[str] = []
        self.receipts_waiting: deque[str] = deque()
        self.receipts_taken: set[str] = set()
        self.connections: set[_Connection] = set()

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Hang up."""
        self._server.close()
        for connection in list(self.connections):
            connection.writer.close()

    def has_receipts(self) -> bool:
        """Whether receipts are there that nobody has acknowledged."""
        return bool(self.receipts_waiting) or any(connection.brought for connection in self.connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, writer)
        self.connections.add(connection)
        with suppress(OSError, EOFError):
            while True:
                length, command, _, sequence = HEADER.unpack(await reader.readexactly(16))
                connection.take(command, sequence, await reader.readexactly(length - 16))
        self.connections.discard(connection)
        # The next bind gets them again.
        self.receipts_waiting.extend(connection.brought.values())
        writer.close()


class _Connection:
    def __init__(self, centre: MessageCentre, writer: asyncio.StreamWriter) -> None:
        self.centre = centre
        self.writer = writer
        self.sequence = 0
        self.brought: dict[int, str] = {}

    def take(self, command: int, sequence: int, body: bytes) -> None:
        """Handle a PDU."""
        centre = self.centre
        if command == BIND_TRANSCEIVER:
            centre.binds += 1
            self._send(command | RESPONSE, sequence, b"chaos\0")
            self._bring()
        elif command == SUBMIT_SM:
            # From here on it has the message, even if the answer is lost.
            centre.texts.append(_text(body))
            ref = f"{len(centre.texts):010x}"
            asyncio.get_running_loop().call_later(centre.random.uniform(0, centre.delay), self._accept, sequence, ref)
        elif command == DELIVER_SM | RESPONSE:
            centre.receipts_taken.add(self.brought.pop(sequence))
        elif command in (ENQUIRE_LINK, UNBIND):
            self._send(command | RESPONSE, sequence)

    def _accept(self, sequence: int, ref: str) -> None:
        self._send(SUBMIT_SM | RESPONSE, sequence, ref.encode() + b"\0")
        self.centre.receipts_waiting.append(ref)
        self._bring()

    def _bring(self) -> None:
        waiting = self.centre.receipts_waiting
        while waiting and not self.writer.is_closing():
            ref = waiting.popleft()
            self.sequence += 1
            self.brought[self.sequence] = ref
            moments = "submit date:2611230900 done date:2611230900"
            text = f"id:{ref} sub:001 dlvrd:001 {moments} stat:DELIVRD err:000 text:".encode()
            addresses = b"\1\1" + b"12125550000\0" + b"\1\1" + b"14155550100\0"
            # service_type; addresses; esm_class to sm_default_msg_id; sm_length (SMPP 3.4 § 4.6.1).
            self._send(
                DELIVER_SM,
                self.sequence,
                b"\0" + addresses + bytes((RECEIPT, 0, 0)) + b"\0\0" + bytes((0, 0, 0, 0, len(text))) + text,
            )

    def _send(self, command: int, sequence: int, body: bytes = b"") -> None:
        if not self.writer.is_closing():
            self.writer.write(HEADER.pack(16 + len(body), command, 0, sequence) + body)


def _text(body: bytes) -> str:
    """The short_message of a submit_sm (SMPP 3.4 § 4.4.1)."""
    _, _, rest = body.partition(b"\0")  # service_type
    _, _, rest = rest[2:].partition(b"\0")  # source
    _, _, rest = rest[2:].partition(b"\0")  # destination
    _, _, rest = rest[3:].partition(b"\0")  # esm_class, protocol_id, priority_flag; schedule_delivery_time
    _, _, rest = rest.partition(b"\0")  # validity_period
    # registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id, sm_length
    return rest[5 : 5 + rest[4]].decode("ascii")
