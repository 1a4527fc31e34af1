"""The supervisor: what it starts, what it starts again, and what it leaves behind, which is nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from msvs.local.supervisor import processes, restart_delay
from msvs.settings import Settings
from tests.engines import PATIENCE_SECONDS, eventually, is_alive

SUPERVISE = """
import json, signal, sys
from pathlib import Path
# Where the tests are started to outlive their terminal, SIGHUP is ignored, and children inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from msvs.settings import Settings
from msvs.local import supervisor
from msvs.local.supervisor import ChildSpec, run
supervisor.HEAD_START_SECONDS = 0.2
given = json.loads(sys.argv[1])
children = [ChildSpec(name, tuple(argv)) for name, argv in given["children"]]
settings = Settings(**given["settings"] | {"data_dir": Path(given["settings"]["data_dir"])})
def prepare(settings):
    return [f"ready {settings.database_url} {settings.redis_url}"]
raise SystemExit(run(settings, prepare, children))
"""

# Writes its process id, then answers as the API does.
API = """
import http.server, os, pathlib, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
    def log_message(self, *_):
        return
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""

# Adds its process id and the engines' addresses to a file, then waits.
WORKER = """
import os, pathlib, sys, time
with pathlib.Path(sys.argv[1]).open("a") as file:
    file.write(f"{os.getpid()} {os.environ['DATABASE_URL']} {os.environ['REDIS_URL']}\\n")
time.sleep(600)
"""

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + WORKER


@dataclass
class Running:
    """A supervisor under test and the files its children write."""

    process: subprocess.Popen[str]
    folder: Path

    def started(self, name: str) -> list[int]:
        try:
            return [int(line.split()[0]) for line in (self.folder / name).read_text().splitlines()]
        except FileNotFoundError:
            return []

    def banner(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


Supervise = Callable[..., Running]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    """Start a supervisor over an API and the named workers; what is left of it ends with the test."""
    runs: list[Running] = []

    def start(*, workers: dict[str, str], api: str = API, **settings: object) -> Running:
        children = [("api", [sys.executable, "-c", api, str(tmp_path / "api")])]
        for name, code in workers.items():
            children.append((name, [sys.executable, "-c", code, str(tmp_path / name)]))
        given = {"children": children, "settings": {"port": 0, "data_dir": str(tmp_path / "data")} | settings}
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, json.dumps(given)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        runs.append(Running(process, tmp_path))
        return runs[-1]

    yield start
    for each in runs:
        if each.process.poll() is None:
            each.stop(signal.SIGTERM)
        for pipe in (each.process.stdout, each.process.stderr):
            assert pipe is not None
            pipe.close()


EXTERNAL = {"database_url": "postgresql://example", "redis_url": "redis://example"}


def test_the_table_of_processes() -> None:
    table = processes(Settings(message_workers=3, webhook_workers=2))
    assert [spec.name for spec in table] == [
        "api",
        *["worker messages"] * 3,
        "worker campaigns",
        "worker reports",
        *["worker webhooks"] * 2,
        "worker mail",
        "worker imports",
        "worker maintenance",
        "cron",
    ]
    assert table[4].argv == (sys.executable, "-m", "msvs", "worker", "campaigns")


@pytest.mark.parametrize(("early_ends", "seconds"), [(0, 0.1), (1, 0.2), (3, 0.8), (7, 10.0), (100_000, 10.0)])
def test_a_process_that_keeps_ending_is_started_ever_later(early_ends: int, seconds: float) -> None:
    assert restart_delay(early_ends) == seconds


def test_children_get_the_addresses_and_the_banner_waits_for_the_api(supervise: Supervise) -> None:
    run = supervise(workers={"worker": WORKER}, **EXTERNAL)
    assert run.banner() == "ready postgresql://example redis://example"
    eventually(lambda: run.started("worker"))
    assert (run.folder / "worker").read_text().split()[1:] == ["postgresql://example", "redis://example"]
    assert not (run.folder / "data").exists()


def test_more_children_than_processors_all_start_even_when_the_api_does_not_answer(supervise: Supervise) -> None:
    names = [f"worker-{number}" for number in range((os.cpu_count() or 2) + 1)]
    run = supervise(workers=dict.fromkeys(names, WORKER), api=WORKER, **EXTERNAL)
    eventually(lambda: all(run.started(name) for name in names))
    assert run.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_every_child(supervise: Supervise, number: signal.Signals) -> None:
    run = supervise(workers={"worker": WORKER, "other": WORKER}, **EXTERNAL)
    run.banner()
    eventually(lambda: run.started("worker") and run.started("other"))
    pids = run.started("api") + run.started("worker") + run.started("other")
    assert run.stop(number) == 0
    assert [pid for pid in pids if is_alive(pid)] == []


def test_a_second_signal_ends_the_wait_for_a_child_that_does_not_stop(supervise: Supervise) -> None:
    run = supervise(workers={"worker": STUBBORN}, **EXTERNAL)
    run.banner()
    eventually(lambda: run.started("worker"))
    run.process.send_signal(signal.SIGTERM)
    eventually(lambda: not is_alive(run.started("api")[0]))
    assert is_alive(run.started("worker")[0])
    assert run.stop(signal.SIGINT) == 0
    assert not is_alive(run.started("worker")[0])


def test_what_dies_is_started_again(supervise: Supervise) -> None:
    run = supervise(workers={"worker": WORKER}, **EXTERNAL)
    for times in (1, 2, 3):
        eventually(lambda: len(run.started("worker")) == times)  # noqa: B023
        os.kill(run.started("worker")[-1], signal.SIGKILL)
    eventually(lambda: len(run.started("worker")) == 4)
    assert len(set(run.started("worker"))) == 4


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells children of a parent's death")
def test_children_end_when_the_supervisor_is_killed(supervise: Supervise) -> None:
    run = supervise(workers={"worker": WORKER}, **EXTERNAL)
    run.banner()
    eventually(lambda: run.started("worker"))
    pids = run.started("api") + run.started("worker")
    run.stop(signal.SIGKILL)
    eventually(lambda: not any(is_alive(pid) for pid in pids))


def test_a_taken_port_is_said_at_once(supervise: Supervise) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = supervise(workers={}, port=port, **EXTERNAL)
        assert run.process.wait(PATIENCE_SECONDS) == 1
    assert run.process.stderr is not None
    assert run.process.stderr.read() == (
        f"msvs: cannot listen on 127.0.0.1:{port} (Address already in use): set PORT to another\n"
    )


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1"])
def test_a_host_that_is_not_here_is_reported(supervise: Supervise, host: str) -> None:
    run = supervise(workers={}, host=host, **EXTERNAL)
    assert run.process.wait(PATIENCE_SECONDS) == 1
    assert run.process.stderr is not None
    told = run.process.stderr.read()
    assert told.startswith(f"msvs: cannot listen on {host}")
    assert told.endswith(": set HOST to an address of this machine\n")


def test_a_data_directory_that_cannot_be_used_is_reported(supervise: Supervise, tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    run = supervise(workers={})
    assert run.process.wait(PATIENCE_SECONDS) == 1
    assert run.process.stderr is not None
    assert run.process.stderr.read() == (
        f"msvs: {tmp_path}/data cannot be used (File exists): set DATA_DIR to a directory that can be written\n"
    )


def test_a_process_that_refuses_its_settings_at_start_ends_the_service(supervise: Supervise) -> None:
    run = supervise(workers={"worker": "raise SystemExit(2)"}, **EXTERNAL)
    assert run.process.wait(PATIENCE_SECONDS) == 2
    assert run.process.stderr is not None
    assert run.process.stderr.read() == "msvs: worker cannot start with these settings; stopping\n"
    assert not any(is_alive(pid) for pid in run.started("api"))


def test_a_process_that_refuses_its_settings_later_is_started_again(supervise: Supervise) -> None:
    worker = f"{WORKER.replace('time.sleep(600)', '')}\nraise SystemExit(os.path.getsize(sys.argv[1]) > 100 and 2)"
    run = supervise(workers={"worker": worker}, **EXTERNAL)
    eventually(lambda: len(run.started("worker")) >= 4)
    assert run.stop() == 0


def test_an_engine_that_dies_comes_back_at_the_same_address_and_all_end_together(supervise: Supervise) -> None:
    run = supervise(workers={"worker": WORKER}, database_url="postgresql://example")
    banner = run.banner()
    pid_file = run.folder / "data" / "valkey" / "valkey.pid"
    killed = int(pid_file.read_text())
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: pid_file.exists() and pid_file.read_text().strip() not in ("", str(killed)))
    revived = int(pid_file.read_text())
    port = int(banner.rpartition(":")[2].partition("/")[0])
    eventually(lambda: accepts(port))
    assert run.stop() == 0
    assert not is_alive(revived)


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True
