"""Signals by which managers of processes ask for a reload end no process; SIGTERM still does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from msvs.cli.processes import BULK_NICENESS
from tests.engines import Engines, eventually
from tests.workers.sessions_carrier import KIND

RELOADS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
PROCESSES = {
    "api": "msvs",
    "worker messages": "msvs",
    "worker webhooks": "msvs",
    "cron": "msvs",
    "sessions": "tests.workers.sessions_carrier",
}


def niceness_of(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


def defaults() -> None:
    """Where the tests are started to outlive their terminal, SIGHUP is ignored, and children inherit that."""
    for number in RELOADS:
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.processes
@pytest.mark.parametrize("command", PROCESSES)
def test_no_process_ends_by_them(clean: None, database: str, engines: Engines, tmp_path: Path, command: str) -> None:
    carriers = tmp_path / "carriers.toml"
    carriers.write_text(f'[smsc]\nkind = "{KIND}"\nbook = "{tmp_path / "book"}"\n')
    env = os.environ | {
        "DATABASE_URL": database,
        "REDIS_URL": engines.redis_url,
        "DATA_DIR": str(tmp_path),
        "PORT": "0",
    }
    if command == "sessions":
        env["MSVS_CARRIERS"] = str(carriers)
    log = tmp_path / "log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", PROCESSES[command], *command.split()], env=env, stderr=written, preexec_fn=defaults
        )
    try:
        eventually(lambda: b"started" in log.read_bytes())
        niceness = BULK_NICENESS if command == "worker messages" else 0
        eventually(lambda: niceness_of(process.pid) == min(niceness_of(0) + niceness, 19))
        for number in RELOADS * 3:
            process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()


def test_the_supervisor_ends_by_sighup_alone(tmp_path: Path) -> None:
    """A terminal that is closed ends what was started in it; the others are ignored."""
    ask = "from msvs.cli.processes import STOPS_BY_HANGUP as kept; print(sorted(each.name for each in kept))"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "['SIGUSR1', 'SIGUSR2']"
