"""Where the API listens: IPv6 and IPv4 at once, or a socket of the file system, as the supervisor finds it too."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from msvs.local.supervisor import _answers
from msvs.settings import Settings, from_environment
from tests.engines import Engines, eventually
from tests.rest_compat.processes import free_port


@contextmanager
def api(database: str, engines: Engines, folder: Path, host: str, port: int) -> Iterator[None]:
    env = os.environ | {"DATABASE_URL": database, "REDIS_URL": engines.redis_url, "DATA_DIR": str(folder)}
    env |= {"HOST": host, "PORT": str(port), "MSVS_ALLOW_INSECURE": "public_address"}
    process = subprocess.Popen([sys.executable, "-m", "msvs", "api"], env=env, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: _answers(host, port))
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def status(host: str, port: int) -> int:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_every_address_of_both_kinds(clean: None, database: str, engines: Engines, tmp_path: Path) -> None:
    port = free_port()
    with api(database, engines, tmp_path, "::", port):
        assert [status(host, port) for host in ("127.0.0.1", "::1")] == [200, 200]


def test_a_socket_of_the_file_system(clean: None, database: str, engines: Engines, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as short:
        path = Path(short) / "api.sock"
        for _ in range(2):  # one that a dead process left is replaced
            with api(database, engines, tmp_path, f"unix:{path}", 8000):
                assert path.is_socket()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("::", "http://[::1]:8000"),
        ("fd00::7", "http://[fd00::7]:8000"),
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("unix:/run/msvs/api.sock", "http://localhost:8000"),
    ],
)
def test_the_address_that_is_shown(host: str, url: str) -> None:
    assert from_environment({"HOST": host}) == Settings(host=host)
    assert Settings(host=host).base_url == url
