"""Unpack a file in a process of its own: a malformed file may crash its reader or use up the memory."""

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
# The most memory and time for one file.
MEMORY = 2 * 1024**3
SECONDS = 600.0
TOO_LARGE = "The workbook is too large: save it as CSV."
UNREADABLE = "The file cannot be read: save it again as XLSX or CSV."
# Exit codes: the kind of the file, or REFUSED with the reason on stderr. They stay clear of 1 and 2, with which Python
# exits after an error.
KINDS = {10: CSV, 11: WORKBOOK}
REFUSED = 12
# Signals that the file itself causes, so that a retry would fail too: the workbook reader aborts when memory runs out.
ENDED_BY_FILE = (-signal.SIGABRT, -signal.SIGSEGV)


def unpack(file: BinaryIO, plain: BinaryIO) -> str:
    """Unpack a file to `plain`, as text. Return its kind. Raises InvalidRequest."""
    file.seek(0)
    try:
        done = subprocess.run(  # noqa: S603 - the command is our own
            COMMAND, stdin=file, stdout=plain, stderr=subprocess.PIPE, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise refused(TOO_LARGE) from None
    return settle(int(done.returncode), bytes(done.stderr))


def settle(code: int, said: bytes) -> str:
    """Return the kind of the file by the exit code. Raises InvalidRequest, and OSError if the process was killed."""
    if code in KINDS:
        return KINDS[code]
    if code == REFUSED:
        raise refused(said.decode())
    if code in ENDED_BY_FILE:
        raise refused(TOO_LARGE)
    if code > 0:
        log.error("the unpacking process failed", code=code)
        raise refused(UNREADABLE)
    raise OSError(f"the unpacking process was killed: exit code {code}")
