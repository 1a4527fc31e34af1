"""The process beside a worker that reads rows of a file, which loads as little as it can: each large import has two."""

from __future__ import annotations

import signal
import sys
from typing import BinaryIO

import msgspec

from msvs.api.contacts.import_rows import Plan, RawRow, encode_rows

# How the process is started.
COMMAND = (sys.executable, "-c", f"from {__name__} import main; main()")
# The bytes that hold the length of a frame.
SIZE = 4

_packer = msgspec.msgpack.Encoder()
_rows = msgspec.msgpack.Decoder(list[RawRow])


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


def main() -> int:
    """Serve until the input ends; 0."""
    _ignore_signals()
    serve(sys.stdin.buffer, sys.stdout.buffer)
    return 0


def _ignore_signals() -> None:
    # A worker that is stopped finishes its frame first, for which it needs this process.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
