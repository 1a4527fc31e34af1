"""A whole service of its own for contract runs: engines, workers, the API, and the API again without rate limits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
# Far beyond what a busy machine takes.
READY_SECONDS = 600.0
STOP_SECONDS = 60.0
# Far beyond what one client can ask for.
UNLIMITED = (1_000_000, 10_000_000)


@dataclass(frozen=True)
class Service:
    """Where the service answers, its keys, and where its log is written."""

    base_url: str
    unlimited_url: str
    test_key: str
    live_key: str
    workspace_id: str
    data_dir: Path
    log: Path


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_service(
    *, credits: int = 1_000_000_000, sender: str | None = "+12125550100", **settings: str
) -> Iterator[Service]:
    """Start the service on a data directory and ports of its own; stop it and remove the directory at the end.

    The demo workspace has `credits`, and `sender` as its own. `settings` are further variables of its environment. Its
    log is what it writes to standard error; what it prints for the operator at a terminal, keys among it, stands in a
    file of its own.
    """
    folder = Path(tempfile.mkdtemp(prefix="msvs-contract-"))
    port, unlimited_port = free_port(), free_port()
    data_dir, log_path = folder / "data", folder / "service.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MSVS_", "DATABASE_", "REDIS_"))}
    environment = kept | {"DATA_DIR": str(data_dir), "PORT": str(port), "MSVS_LIVE_CARRIER": "virtual"} | settings
    base_url, unlimited_url = f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{unlimited_port}"
    with log_path.open("wb") as log, (folder / "printed").open("wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.contract.service", "run", str(unlimited_port)],
            cwd=ROOT,
            env=environment,
            stdout=printed,
            stderr=log,
        )
        try:
            _wait(process, base_url, log_path)
            _wait(process, unlimited_url, log_path)
            demo = json.loads((data_dir / "demo.json").read_text())
            here = ("--workspace", demo["workspace_id"])
            own = () if sender is None else (("senders", "add", *here, sender),)
            for command in (("credits", "grant", *here, str(credits)), *own):
                subprocess.run(
                    [sys.executable, "-m", "msvs", *command],
                    cwd=ROOT,
                    env=environment,
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
            yield Service(
                base_url, unlimited_url, demo["test_key"], demo["live_key"], demo["workspace_id"], data_dir, log_path
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)
            shutil.rmtree(folder)


def _wait(process: subprocess.Popen[bytes], base_url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{base_url}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the service does not get ready:\n{log.read_text()[-4000:]}")


def run(unlimited_port: int) -> int:
    """`msvs run`, with one more API process that limits nobody."""
    from msvs.cli.processes import prepare
    from msvs.local import supervisor
    from msvs.local.supervisor import ChildSpec
    from msvs.settings import from_environment

    # Before the processes are counted: the pretend Stripe is one of them, and so is the worker of billing.
    settings = supervisor.pretending(from_environment())
    extra = ChildSpec(
        "api without limits", (sys.executable, "-m", "scripts.contract.service", "serve", str(unlimited_port))
    )
    return supervisor.run(settings, prepare=prepare, children=[*supervisor.processes(settings), extra])


def serve(port: int) -> None:
    """The API on `port`, with buckets that never run dry."""
    from msvs import app
    from msvs.api import limits
    from msvs.settings import from_environment

    for bucket in limits.RATES:
        limits.RATES[bucket] = limits.Rate(*UNLIMITED)  # type: ignore[index]
    app.serve(replace(from_environment(), port=port))


if __name__ == "__main__":
    command, argument = sys.argv[1:]
    if command == "run":
        sys.exit(run(int(argument)))
    serve(int(argument))
