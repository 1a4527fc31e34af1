"""Processes beside a worker: one unpacks a large file, others read its rows, frames of rows in, of encoded rows out.

They end with their input, also where the worker was killed, and the worker ends them where it is told to end itself or
they say nothing for too long.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import islice
from typing import BinaryIO

import msgspec

from msvs.api.contacts import unpack_process
from msvs.api.contacts.import_rows import Encoded, Plan, RawRow, encode_rows
from msvs.api.text.unpacking import refused
from msvs.workers import import_reader_main
from msvs.workers.import_reader_main import SIZE

# Rows of a frame, which are one transaction when they are written.
FRAME_ROWS = 5000
# Frames that each process has before it, so that it never waits.
AHEAD = 2
# How long a frame may take, many times what it takes on a busy machine: its process is stopped or stuck.
FRAME_SECONDS = 20.0

_packer = msgspec.msgpack.Encoder()
_encoded = msgspec.msgpack.Decoder(Encoded)


class _Reader:
    """A process, to which frames are sent and whose answers are read in their order."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None, "it is a pipe"
        assert process.stdout is not None, "it is a pipe"
        self._in, self._out = process.stdin, process.stdout

    async def send(self, data: bytes) -> None:
        self._in.write(len(data).to_bytes(SIZE) + data)
        await self._in.drain()

    async def receive(self) -> Encoded:
        head = await self._out.readexactly(SIZE)
        return _encoded.decode(await self._out.readexactly(int.from_bytes(head)))


@asynccontextmanager
async def _started(plan: bytes) -> AsyncIterator[_Reader]:
    process = await asyncio.create_subprocess_exec(
        *import_reader_main.COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    try:
        reader = _Reader(process)
        await reader.send(plan)
        yield reader
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def encode_all(plan: Plan, rows: Iterable[RawRow], processes: int) -> AsyncGenerator[Encoded, None]:
    """Yield the rows encoded, frame by frame in their order; in this process, or spread over others."""
    rows = iter(rows)
    if processes == 0:
        while frame := list(islice(rows, FRAME_ROWS)):
            yield encode_rows(plan, frame)
        return
    async with AsyncExitStack() as stack:
        packed = _packer.encode(plan)
        readers = [await stack.enter_async_context(_started(packed)) for _ in range(processes)]
        waiting: deque[_Reader] = deque()
        turn = 0
        has_more = True
        while has_more or waiting:
            while has_more and len(waiting) < AHEAD * processes:
                frame = list(islice(rows, FRAME_ROWS))
                has_more = bool(frame)
                if frame:
                    reader = readers[turn % processes]
                    turn += 1
                    async with asyncio.timeout(FRAME_SECONDS):
                        await reader.send(_packer.encode(frame))
                    waiting.append(reader)
            if waiting:
                async with asyncio.timeout(FRAME_SECONDS):
                    encoded = await waiting.popleft().receive()
                yield encoded


async def unpack(file: BinaryIO, plain: BinaryIO) -> str:
    """Write what a packed file holds to another, as text, and return its kind. Raises InvalidRequest."""
    file.seek(0)
    process = await asyncio.create_subprocess_exec(
        *unpack_process.COMMAND, stdin=file, stdout=plain, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(unpack_process.SECONDS):
            _, said = await process.communicate()
    except TimeoutError:
        raise refused(unpack_process.TOO_LARGE) from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return unpack_process.settle(process.returncode or 0, said)
