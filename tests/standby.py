"""A PostgreSQL with a streaming standby, both of a test's own: made by pg_basebackup, and ended by their ids."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from msvs.local.embedded import postgresql_executable, unprivileged
from tests.engines import PATIENCE_SECONDS

BINARIES = postgresql_executable().parent
LOOPBACK = "127.0.0.1"
QUICK = ("fsync=off", "full_page_writes=off", "shared_buffers=64MB", "unix_socket_directories=", "wal_level=replica")


@dataclass
class Server:
    """A server on a port of its own, which the test starts and ends."""

    data: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The URL for the superuser, who needs no password here."""
        return f"postgresql://postgres@{LOOPBACK}:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [part for each in (*QUICK, f"listen_addresses={LOOPBACK}") for part in ("-c", each)]
        argv = [str(BINARIES / "postgres"), "-D", str(self.data), "-p", str(self.port), *settings]
        with (self.data.parent / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, preexec_fn=_leave_root())
        deadline = time.monotonic() + 4 * PATIENCE_SECONDS
        ready = [str(BINARIES / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode != 0:
            assert self.process.poll() is None, (self.data.parent / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.05)

    def end(self, number: int = signal.SIGINT) -> None:
        """End it by a signal."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE_SECONDS)
            self.process = None


def _leave_root() -> Callable[[], None] | None:
    """PostgreSQL does not run as root; its programs may lie in a folder that nobody else may enter."""
    return unprivileged(BINARIES / "postgres")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def primary_and_standby() -> Iterator[tuple[Server, Server]]:
    """Provide both, the standby following."""
    folder = Path(tempfile.mkdtemp(prefix="msvs-standby-"))
    primary, standby = (Server(folder / name / "data", _free_port()) for name in ("primary", "standby"))
    try:
        for server in (primary, standby):
            server.data.parent.mkdir()
        if os.geteuid() == 0:
            for path in (folder, primary.data.parent, standby.data.parent):
                shutil.chown(path, "nobody", "nogroup")
        made = [str(BINARIES / "initdb"), "-D", str(primary.data), "-U", "postgres", "--auth=trust", "-N"]
        made += ["--encoding=UTF8", "--locale=C", "--no-instructions"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=folder, preexec_fn=_leave_root())
        primary.start()
        copied = [str(BINARIES / "pg_basebackup"), "-D", str(standby.data), "-R", "-X", "stream", "-c", "fast", "-N"]
        copied += ["-h", LOOPBACK, "-p", str(primary.port), "-U", "postgres"]
        subprocess.run(copied, check=True, cwd=folder, preexec_fn=_leave_root())
        standby.start()
        yield primary, standby
    finally:
        for server in (standby, primary):
            server.end(signal.SIGQUIT)
        shutil.rmtree(folder)
