"""A message centre that does nothing but answer, as fast as it can; the same for every service that is measured.

Bound as `submit` it accepts; as `receipts` it brings that many receipts as it was started with; as `both` it accepts
and brings a receipt for each.
"""

from __future__ import annotations

import argparse
import asyncio
import struct
from typing import cast

import uvloop

LOOPBACK = "127.0.0.1"
IN_FLIGHT = 100

BIND, SUBMIT, DELIVER_RESP, UNBIND, ENQUIRE = 0x09, 0x04, 0x80000005, 0x06, 0x15
RESPONSE = 0x80000000
HEADER = struct.Struct(">IIII")


def _receipt(message_id: bytes) -> bytes:
    """The body of a deliver_sm with a receipt by text and by parameters (SMPP 3.4 § 4.6.1)."""
    text = (
        b"id:%b sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:Cart closes"
        % message_id
    )
    return (
        b"\0\1\00114155550100\0\5\0Cohort\0\4\0\0\0\0\0\0\0\0"
        + bytes((len(text),))
        + text
        + struct.pack(">HH", 0x001E, len(message_id) + 1)
        + message_id
        + b"\0\x04\x27\0\1\2"
    )


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, receipts: int) -> None:
        self.left = receipts
        self.buffer = b""
        self.role = b""
        self.ids = self.brought = self.sequence = 0
        self.in_flight = 0
        self.waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        data = self.buffer + data if self.buffer else data
        at, end, out = 0, len(data), []
        while end - at >= 16:
            length, command, _, sequence = HEADER.unpack_from(data, at)
            if at + length > end:
                break
            if command == SUBMIT:
                self.ids += 1
                message_id = b"%08x" % self.ids
                out.append(HEADER.pack(25, SUBMIT | RESPONSE, 0, sequence) + message_id + b"\0")
                if self.role == b"both":
                    self.waiting.append(message_id)
            elif command == DELIVER_RESP:
                self.in_flight -= 1
            elif command == BIND:
                self.role = data[at + 16 : data.index(b"\0", at + 16)]
                out.append(HEADER.pack(21, BIND | RESPONSE, 0, sequence) + b"fast\0")
                if self.role == b"receipts":
                    self.waiting = [b"%08x" % number for number in range(self.left)]
            elif command in (UNBIND, ENQUIRE):
                out.append(HEADER.pack(16, command | RESPONSE, 0, sequence))
            at += length
        self.buffer = data[at:]
        while self.waiting and self.in_flight < IN_FLIGHT:
            self.in_flight += 1
            self.sequence += 1
            body = _receipt(self.waiting.pop())
            out.append(HEADER.pack(16 + len(body), 0x05, 0, self.sequence) + body)
        if out:
            self.transport.write(b"".join(out))


async def _serve(receipts: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Session(receipts), LOOPBACK, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--receipts", type=int, required=True)
    uvloop.run(_serve(parser.parse_args().receipts))
