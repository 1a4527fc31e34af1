"""Two Valkeys, the second a replica of the first, and three Sentinels that watch them, on loopback."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.exceptions import RedisError

from msvs.local.embedded import valkey_executable
from tests.engines import eventually

LOOPBACK = "127.0.0.1"
NAME = "studio"
PASSWORD = "kV8rT2xLq9"
SENTINELS = 3


@dataclass
class Watched:
    """The servers by their ports, the first the primary at the start, and the Sentinels' URL."""

    servers: dict[int, subprocess.Popen[bytes]]
    url: str
    sentinels: list[int]

    def kill(self, port: int) -> None:
        """Kill a server, as a power cut does."""
        self.servers[port].send_signal(signal.SIGKILL)
        self.servers[port].wait()


@contextmanager
def watched_servers() -> Iterator[Watched]:
    """Start them; all are ended, and their files removed, when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="msvs-sentinels-"))
    ports = _free_ports(2 + SENTINELS)
    first, second, *others = ports
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        common = f"bind {LOOPBACK}\nrequirepass {PASSWORD}\nmasterauth {PASSWORD}\nsave ''\n"
        servers = {
            first: _start(stack, folder, first, common),
            second: _start(stack, folder, second, f"{common}replicaof {LOOPBACK} {first}\n"),
        }
        eventually(lambda: _says(second, "info", "replication").get("master_link_status") == "up")
        for port in others:
            watch = (
                f"bind {LOOPBACK}\nsentinel monitor {NAME} {LOOPBACK} {first} 2\nsentinel auth-pass {NAME} {PASSWORD}\n"
                f"sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 2000\n"
            )
            _start(stack, folder, port, watch, "--sentinel")
        for port in others:
            eventually(lambda port=port: _knows_all(port))  # type: ignore[misc]
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in others)
        yield Watched(servers, f"redis+sentinel://:{PASSWORD}@{hosts}/0?master={NAME}", others)


def _start(stack: ExitStack, folder: Path, port: int, configuration: str, *options: str) -> subprocess.Popen[bytes]:
    home = folder / str(port)
    home.mkdir()
    file = home / "valkey.conf"
    file.write_text(f"port {port}\ndir {home}\n{configuration}")
    process = subprocess.Popen(
        [str(valkey_executable()), str(file), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def end() -> None:
        process.kill()
        process.wait()

    stack.callback(end)
    return process


def _says(port: int, *command: str) -> dict[str, object]:
    try:
        with redis.Redis(LOOPBACK, port, password=PASSWORD, socket_timeout=1) as client:
            answer: dict[str, object] = client.execute_command(*command)
            return answer
    except RedisError:
        return {}


def _knows_all(port: int) -> bool:
    """Whether a Sentinel knows the replica and the other Sentinels, without which it starts no failover."""
    try:
        with redis.Redis(LOOPBACK, port, socket_timeout=1) as client:
            state = client.sentinel_masters()[NAME]
    except (RedisError, KeyError):
        return False
    return bool(state["num-other-sentinels"] == SENTINELS - 1 and state["num-slaves"] == 1)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [probe.getsockname()[1] for probe in probes]
