"""API processes as `msvs api` runs them, and connections that keep asking them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.engines import PATIENCE_SECONDS

LOOPBACK = "127.0.0.1"
ROOT = Path(__file__).parents[2]


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


class Process:
    """One API process, on a port of its own."""

    def __init__(self, command: tuple[str, ...], log: Path, **environment: str) -> None:
        self.port = free_port()
        self.log = log
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._command = (sys.executable, *command)
        self._environment = kept | {"DATA_DIR": str(log.parent), "PORT": str(self.port)} | environment
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it, and return when it answers."""
        self.process = self._spawn()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                assert self.process.poll() is None, self.log.read_text()
                try:
                    answer = await request(self.port, "GET", "/healthz")
                except OSError:
                    await asyncio.sleep(0.05)
                    continue
                assert answer.status == 200
                return

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    async def stop(self) -> int:
        """End it, if it has not ended by itself; its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, PATIENCE_SECONDS)


@asynccontextmanager
async def running(*processes: Process) -> AsyncIterator[None]:
    """All of them, until the end."""
    try:
        await asyncio.gather(*(process.start() for process in processes))
        yield
    finally:
        await asyncio.gather(*(process.stop() for process in processes if process.process is not None))


def head(method: str, path: str, key: str | None, body: bytes, **headers: str) -> bytes:
    """A request, ready to be written."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {LOOPBACK}"]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """One whole answer. Raises IncompleteReadError when the connection ends before it does."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
    body = await reader.readexactly(int(headers["content-length"]))
    return Answer(int(lines[0].split()[1]), headers, body)


async def request(
    port: int, method: str, path: str, key: str | None = None, body: bytes = b"", **headers: str
) -> Answer:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(head(method, path, key, body, Connection="close", **headers))
        return await read_answer(reader)
    finally:
        writer.close()


async def keep_asking(port: int, asked: bytes, take: Callable[[Answer], None], until: asyncio.Event) -> None:
    """Send the same request over one connection, each as soon as the last is answered."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        while not until.is_set():
            writer.write(asked)
            take(await read_answer(reader))
    finally:
        writer.close()
