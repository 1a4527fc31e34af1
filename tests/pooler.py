"""Debian's PgBouncer in front of the tests' PostgreSQL, where it is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.engines import PATIENCE_SECONDS

LOOPBACK = "127.0.0.1"
# The path of a PgBouncer of 1.21 or later, which prepares statements in transaction mode; Debian's is older.
NEWER = "MSVS_TEST_PGBOUNCER"
PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


def executable() -> str:
    """Where PgBouncer is; skips the test, which then proved nothing, where it is not."""
    found = shutil.which("pgbouncer", path=PLACES)
    if found is None:
        pytest.skip("PgBouncer is not installed: nothing is proved about it (apt-get install pgbouncer)")
    return found


def newer() -> str:
    """Where a newer PgBouncer than Debian's is; skips the test, which then proved nothing, where it is not."""
    found = os.environ.get(NEWER)
    if found is None:
        pytest.skip(f"{NEWER} names no PgBouncer of 1.21 or later: nothing is proved about statements that it prepares")
    return found


@contextmanager
def pgbouncer(
    database_url: str, *, pool_mode: str, pool_size: int = 40, binary: str | None = None, prepared: int | None = None
) -> Iterator[str]:
    """A PgBouncer with Debian's settings but for these, on loopback and without root; the URL through it.

    `prepared` is its `max_prepared_statements`, which Debian's does not know.
    """
    binary = binary or executable()
    behind = urlsplit(database_url)
    name = behind.path.lstrip("/")
    folder = Path(tempfile.mkdtemp(prefix="msvs-pooler-"))
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{name} = host={behind.hostname} port={behind.port} dbname={name} "
        f"user={behind.username} password={behind.password}\n"
        f"[pgbouncer]\nlisten_addr = {LOOPBACK}\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"pool_mode = {pool_mode}\ndefault_pool_size = {pool_size}\nmax_client_conn = 200\n"
        + ("" if prepared is None else f"max_prepared_statements = {prepared}\n")
        + ("user = nobody\n" if os.geteuid() == 0 else "")
    )
    for path in (folder, folder / "pgbouncer.ini"):
        path.chmod(0o755)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([binary, str(folder / "pgbouncer.ini")], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "PgBouncer does not listen"
            try:
                socket.create_connection((LOOPBACK, port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"postgresql://{behind.username}@{LOOPBACK}:{port}/{name}"
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        shutil.rmtree(folder)
