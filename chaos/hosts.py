"""Hosts as network namespaces: each with an address and processes of its own, on one bridge, which can be cut off."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

PAUSE_SECONDS = 1.0


class HostsError(Exception):
    """This machine cannot make hosts."""


class Network:
    """A bridge of a private network with this machine at its first address; all of it is removed by `close`."""

    def __init__(self) -> None:
        if os.geteuid() != 0 or shutil.which("ip") is None:
            raise HostsError("network namespaces need root and iproute2")
        self.tag = secrets.token_hex(2)
        self.bridge = f"ms{self.tag}"
        self.prefix = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(250)}"
        self.gateway = f"{self.prefix}.1"
        self.hosts: list[Host] = []
        ip("link", "add", self.bridge, "type", "bridge")
        ip("addr", "add", f"{self.gateway}/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")

    def host(self, name: str) -> Host:
        """Make a host."""
        host = Host(self, name, len(self.hosts) + 2)
        self.hosts.append(host)
        host.create()
        return host

    def close(self) -> None:
        """End all processes of the hosts and remove everything."""
        for host in self.hosts:
            host.kill()
            with suppress(subprocess.CalledProcessError):
                ip("netns", "del", host.namespace)
        with suppress(subprocess.CalledProcessError):
            ip("link", "del", self.bridge)


class Host:
    """A namespace with its address; what `run` starts is started again when it ends, as systemd would."""

    def __init__(self, network: Network, name: str, number: int) -> None:
        self.name = name
        self.namespace = f"ms{network.tag}-{name}"
        self.outer = f"ms{network.tag}{number}"
        self.network = network
        self.address = f"{network.prefix}.{number}"
        # Counts the starts and ends of this host: what was started before the last of them is not started again.
        self._turn = 0
        self._commands: list[tuple[Sequence[str], Mapping[str, str], Path]] = []

    def create(self) -> None:
        """Make the namespace and its link to the bridge."""
        inside = ("netns", "exec", self.namespace, "ip")
        ip("netns", "add", self.namespace)
        ip("link", "add", self.outer, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        ip("link", "set", self.outer, "master", self.network.bridge, "up")
        ip(*inside, "addr", "add", f"{self.address}/24", "dev", "eth0")
        ip(*inside, "link", "set", "eth0", "up")
        ip(*inside, "link", "set", "lo", "up")

    def run(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        """Keep a command running in the namespace."""
        self._commands.append((command, environment or {}, log))
        self._keep(*self._commands[-1])

    def _keep(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        threading.Thread(target=self._tend, args=(self._turn, command, environment, log), daemon=True).start()

    def _tend(self, turn: int, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        while self._turn == turn:
            with log.open("ab") as file:
                process = subprocess.Popen(
                    ["ip", "netns", "exec", self.namespace, *command],
                    env={"PATH": os.environ["PATH"], "HOME": "/tmp", "LANG": "C.UTF-8", **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                )
            process.wait()
            threading.Event().wait(PAUSE_SECONDS)

    def ask(self, command: Sequence[str], seconds: float = 5.0) -> str:
        """Return what a command says inside the host, also while it is cut off; nothing where it takes too long."""
        try:
            done = subprocess.run(
                ["ip", "netns", "exec", self.namespace, *command], capture_output=True, text=True, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return ""
        return done.stdout if done.returncode == 0 else ""

    def cut(self) -> None:
        """Drop everything between this host and all others, in both directions."""
        ip("link", "set", self.outer, "down")

    def join(self) -> None:
        """Connect the host again."""
        ip("link", "set", self.outer, "up")

    def kill(self) -> None:
        """Kill every process of the host at once, as a power cut does."""
        self._turn += 1
        for _ in range(3):
            found = subprocess.run(["ip", "netns", "pids", self.namespace], capture_output=True, text=True)
            for pid in found.stdout.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            if not found.stdout.split():
                return
            threading.Event().wait(0.1)

    def boot(self) -> None:
        """Start what ran here again."""
        self._turn += 1
        for each in self._commands:
            self._keep(*each)


def ip(*arguments: str) -> None:
    """Run iproute2."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
