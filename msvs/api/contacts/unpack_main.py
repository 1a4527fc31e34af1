"""Entry point of the process that unpacks one file in bounded memory."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys

from msvs.api.contacts import import_files
from msvs.api.contacts.unpack_process import KINDS, MEMORY, REFUSED
from msvs.api.errors import InvalidRequest


def main() -> None:
    """Unpack stdin to stdout; the exit code tells the kind of the file."""
    # A stopped worker finishes its current batch, which needs this process.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
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
