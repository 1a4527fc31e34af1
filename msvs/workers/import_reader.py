"""Processes beside a worker: one unpacks a large file, others read its rows, frames of rows in, of encoded rows out.

They end with their input, also where the worker was killed, and the worker ends them where it is told to end itself or
they say nothing for too long.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import islice
from typing import BinaryIO

import msgspec
import structlog

from msvs.api.contacts import import_files
from msvs.api.contacts.import_rows import Encoded, Plan, RawRow, encode_rows
from msvs.api.errors import InvalidRequest

# Rows of a frame, which are one transaction when they are written.
FRAME_ROWS = 5000
# Frames that each process has before it, so that it never waits.
AHEAD = 2
SIZE = 4
# How long a frame may take, many times what it takes on a busy machine: its process is stopped or stuck.
FRAME_SECONDS = 20.0
# What unpacking a file may take, of room and of time.
UNPACK_MEMORY = 2 * 1024**3
UNPACK_SECONDS = 600.0
UNREADABLE = "The file cannot be read: save it again as XLSX or CSV."
TOO_LARGE = "The workbook is too large: save it as CSV."
# What a process that unpacked a file ends with: its kind, or that it is refused, for the reason that it wrote. Python
# itself ends with 1 or 2 where something broke.
KINDS = {10: import_files.CSV, 11: import_files.WORKBOOK}
REFUSED = 12
# What ends a process by what is in its file, so that it would end the next one too.
ENDED_BY_FILE = (-signal.SIGABRT, -signal.SIGSEGV)

log = structlog.get_logger(__name__)

_packer = msgspec.msgpack.Encoder()
_rows = msgspec.msgpack.Decoder(list[RawRow])
_encoded = msgspec.msgpack.Decoder(Encoded)


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Read a plan and then frames of rows; answer each, until the input ends."""
    plan: Plan | None = None
    while len(head := source.read(SIZE)) == SIZE:
        frame = source.read(int.from_bytes(head))
        if plan is None:
            plan = msgspec.msgpack.decode(frame, type=Plan)
            continue
        answer = _packer.encode(encode_rows(plan, _rows.decode(frame)))
        target.write(len(answer).to_bytes(SIZE))
        target.write(answer)
        target.flush()


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
        *(sys.executable, "-c", f"from {__name__} import main; main()"),
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
        *(sys.executable, "-c", f"from {__name__} import unpack_main; unpack_main()"),
        stdin=file,
        stdout=plain,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(UNPACK_SECONDS):
            _, said = await process.communicate()
    except TimeoutError:
        raise InvalidRequest(TOO_LARGE, param="file") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    code = process.returncode or 0
    if code == REFUSED:
        raise InvalidRequest(said.decode(), param="file")
    if code in ENDED_BY_FILE:
        # The reader of workbooks ends its process where there is no more room.
        raise InvalidRequest(TOO_LARGE, param="file")
    if code in KINDS:
        return KINDS[code]
    if code > 0:
        log.error("a file broke the process that unpacks it", code=code, said=said.decode(errors="replace")[-500:])
        raise InvalidRequest(UNREADABLE, param="file")
    raise OSError(f"the process that unpacks ended with {code}")


def unpack_main() -> None:
    """Unpack what the input is to the output, and end with what it is."""
    _ignore_signals()
    resource.setrlimit(resource.RLIMIT_AS, (UNPACK_MEMORY, UNPACK_MEMORY))
    try:
        with (
            os.fdopen(os.dup(sys.stdin.fileno()), "rb") as file,
            os.fdopen(os.dup(sys.stdout.fileno()), "wb") as plain,
            import_files.unpack(file) as unpacked,
        ):
            unpacked.file.flush()
            unpacked.file.seek(0)
            shutil.copyfileobj(unpacked.file, plain, 1 << 20)
    except InvalidRequest as error:
        sys.stderr.write(error.message)
        sys.exit(REFUSED)
    sys.exit(next(code for code, kind in KINDS.items() if kind == unpacked.kind))


def main() -> int:
    """Serve until the input ends; 0."""
    _ignore_signals()
    serve(sys.stdin.buffer, sys.stdout.buffer)
    return 0


def _ignore_signals() -> None:
    # A worker that is stopped finishes its frame first, for which it needs this process.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
