"""A process that unpacks one file: what is in it may end its reader, or take all there is of memory."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import BinaryIO

import structlog

from msvs.api.text.unpacking import refused

log = structlog.get_logger(__name__)

CSV, WORKBOOK = "csv", "xlsx"
COMMAND = (sys.executable, "-c", "from msvs.api.contacts.unpack_main import main; main()")
# What unpacking a file may take, of room and of time.
MEMORY = 2 * 1024**3
SECONDS = 600.0
TOO_LARGE = "The workbook is too large: save it as CSV."
UNREADABLE = "The file cannot be read: save it again as XLSX or CSV."
# What the process ends with: the kind of its file, or that it is refused, for the reason that it wrote. Python itself
# ends with 1 or 2 where something broke.
KINDS = {10: CSV, 11: WORKBOOK}
REFUSED = 12
# What ends a process by what is in its file, and would end the next one too: the reader of workbooks does so where
# there is no more room.
ENDED_BY_FILE = (-signal.SIGABRT, -signal.SIGSEGV)


def unpack(file: BinaryIO, plain: BinaryIO) -> str:
    """Write what a packed file holds to another, as text, and return its kind. Raises InvalidRequest."""
    file.seek(0)
    try:
        done = subprocess.run(  # noqa: S603 - the command is our own
            COMMAND, stdin=file, stdout=plain, stderr=subprocess.PIPE, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise refused(TOO_LARGE) from None
    return settle(int(done.returncode), bytes(done.stderr))


def settle(code: int, said: bytes) -> str:
    """Return the kind of a file by what its process ended with. Raises InvalidRequest, OSError where it was killed."""
    if code in KINDS:
        return KINDS[code]
    if code == REFUSED:
        raise refused(said.decode())
    if code in ENDED_BY_FILE:
        raise refused(TOO_LARGE)
    if code > 0:
        log.error("a file broke the process that unpacks it", code=code)
        raise refused(UNREADABLE)
    raise OSError(f"the process that unpacks ended with {code}")
