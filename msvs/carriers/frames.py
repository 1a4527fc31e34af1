"""Frames between workers and the process that holds a carrier's binds: four bytes of length, then msgpack.

A worker says hello with the process's token, then, batch by batch: an offer, which the process has whole before it
answers; the word to go; then, from the process, how far it has begun and the outcomes as they come.

Before the word to go nothing of a batch is submitted, and no message before the process has said that it begins it.
What a process has written arrives before the end of its connection (FIN), also when it was killed. So where a
connection ends, what had not begun was never submitted; where it breaks, nobody knows.
"""

from __future__ import annotations

import asyncio
from typing import TypeVar
from uuid import UUID

import msgspec

from msvs.carriers.protocol import Accepted, Outcome, Refused, Submission, Unknown

T = TypeVar("T")

MAX_FRAME = 4 * 1024 * 1024
# Anyone who has not shown the token yet is not listened to for longer than this.
MAX_HELLO = 1024
LENGTH_BYTES = 4


class FrameError(Exception):
    """The data is not one of our frames, or is longer than any of them."""


class Hello(msgspec.Struct, tag="hello", array_like=True, frozen=True):
    """A worker's first frame: which carrier it means, and the token of the process that holds its binds."""

    carrier: str
    token: str


class Welcome(msgspec.Struct, tag="welcome", array_like=True, frozen=True):
    """The token is right."""


class Offer(msgspec.Struct, tag="offer", array_like=True, frozen=True):
    """A batch, of which nothing is to be submitted yet."""

    submissions: list[Submission]


class Taken(msgspec.Struct, tag="taken", array_like=True, frozen=True):
    """The whole offer has arrived; the process waits for the word to go."""


class Declined(msgspec.Struct, tag="declined", array_like=True, frozen=True):
    """The process takes no batch now, and has submitted nothing of the one offered."""


class Go(msgspec.Struct, tag="go", array_like=True, frozen=True):
    """Submit the batch that was taken."""


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """The outcome of the batch's submission `number`, from 0."""

    number: int
    accepted: Accepted | None = None
    refused: Refused | None = None
    unknown: Unknown | None = None

    @classmethod
    def of(cls, number: int, outcome: Outcome) -> Answer:
        """Return the answer that brings this outcome."""
        if isinstance(outcome, Accepted):
            return cls(number, accepted=outcome)
        if isinstance(outcome, Refused):
            return cls(number, refused=outcome)
        return cls(number, unknown=outcome)

    @property
    def outcome(self) -> Outcome | None:
        """The outcome; None if the answer is empty."""
        return self.accepted or self.refused or self.unknown


class Progress(msgspec.Struct, tag="progress", array_like=True, frozen=True):
    """The batch's first `begun` submissions begin now or have begun, and these outcomes have come."""

    begun: int
    answers: list[Answer]


class Ask(msgspec.Struct, tag="ask", array_like=True, frozen=True):
    """Which of these messages the carrier has."""

    message_ids: list[UUID]


class Found(msgspec.Struct, tag="found", array_like=True, frozen=True):
    """The carrier's answer for each message that was asked for."""

    found: dict[UUID, bool]


FROM_WORKER = msgspec.msgpack.Decoder(Hello | Offer | Go | Ask)
FROM_OWNER = msgspec.msgpack.Decoder(Welcome | Taken | Declined | Progress | Found)


class Line:
    """One end of a connection that carries frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        # Nothing waits in this process: what was sent is the kernel's.
        writer.transport.set_write_buffer_limits(high=0)

    @property
    def is_ended(self) -> bool:
        """Whether the other end is known to be gone."""
        return self._reader.at_eof() or self._reader.exception() is not None or self._writer.is_closing()

    async def send(self, frame: msgspec.Struct) -> None:
        """Write a frame; once it returns, the frame arrives even if this process is killed.

        Raises OSError when the connection is gone, FrameError when the frame is too long.
        """
        data = msgspec.msgpack.encode(frame)
        if len(data) > MAX_FRAME:
            raise FrameError("too long")
        if self._writer.is_closing():
            raise ConnectionResetError("the connection is closed")
        self._writer.write(len(data).to_bytes(LENGTH_BYTES) + data)
        await self._writer.drain()

    async def receive(self, decoder: msgspec.msgpack.Decoder[T], *, limit: int = MAX_FRAME) -> T:
        """Read a whole frame. Raises FrameError, and OSError or EOFError when the connection is gone."""
        size = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES))
        if size > limit:
            raise FrameError("too long")
        data = await self._reader.readexactly(size)
        try:
            return decoder.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise FrameError("not one of ours") from None

    def close(self) -> None:
        """Drop the connection, with everything that is still on its way out."""
        self._writer.transport.abort()

    def end(self) -> None:
        """Close the connection after what was written has gone out."""
        self._writer.close()
