"""Starts the service by `make run` in this folder, sends a message in its sandbox, and stops it.

Where this is root, a second time as an ordinary user, in a copy of the folder that the user owns.
`python -m scripts.try_run`
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from scripts.contract.service import LOOPBACK, free_port

ROOT = Path(__file__).resolve().parents[1]
USER = "nobody"
READY_SECONDS = 180.0
STOP_SECONDS = 60.0


def main() -> None:
    """Try both. Raises RuntimeError with what the service said where it does not come up."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    try_run(ROOT)
    if os.geteuid() == 0:
        with tempfile.TemporaryDirectory() as outer:
            os.chmod(outer, 0o755)
            folder = Path(outer) / "clone"
            shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(".data", ".git"))
            user = pwd.getpwnam(USER)
            for path in (folder, *folder.rglob("*")):
                os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
            if _can_run(folder / ".venv/bin/python"):
                try_run(folder, user=USER)
            else:
                print(f"make run as {USER}: not tried, since {USER} may not run {Path(sys.executable).resolve()}")


def _can_run(python: Path) -> bool:
    """Whether the user may run the interpreter, which a virtual environment only links to."""
    try:
        return subprocess.run([python, "-c", ""], user=USER, extra_groups=[], check=False).returncode == 0
    except PermissionError:
        return False


def try_run(folder: Path, *, user: str | None = None) -> None:
    """`make run` in a folder, with its data inside: it answers, takes a message, and ends well."""
    port = free_port()
    data_dir = folder / ".data" / "try-run"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/") if user is None else str(folder),
        "PORT": str(port),
        "DATA_DIR": str(data_dir),
    }
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            ["make", "run"],
            cwd=folder,
            env=environment,
            stdout=said,
            stderr=said,
            user=user,
            extra_groups=[] if user else None,
            start_new_session=True,
        )
        try:
            send_message(f"http://{LOOPBACK}:{port}", data_dir, process)
            took = time.monotonic() - began
        except RuntimeError as error:
            said.seek(0)
            raise RuntimeError(f"{error}:\n{said.read()[-4000:]}") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            process.wait(STOP_SECONDS)
    wait_stopped(data_dir / "postgresql/data/postmaster.pid")
    shutil.rmtree(data_dir)
    print(f"make run as {user or 'this user'}: a message sent after {took:.1f} s")


def wait_stopped(pid_file: Path) -> None:
    """Wait until PostgreSQL has ended in order, as the last of the service does."""
    deadline = time.monotonic() + STOP_SECONDS
    while pid_file.exists():
        if time.monotonic() > deadline:
            raise RuntimeError("the service does not stop")
        time.sleep(0.1)


def send_message(base_url: str, data_dir: Path, process: subprocess.Popen[bytes]) -> None:
    """Send a message in the sandbox as soon as the service is up. Raises RuntimeError where it does not come up."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            key = json.loads((data_dir / "demo.json").read_text())["test_key"]
            request = urllib.request.Request(
                f"{base_url}/v1/messages",
                json.dumps({"to": "+14155550123", "body": "Doors open at 8pm ET."}).encode(),
                {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=5) as answer:
                if answer.status == 201:
                    return
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
    raise RuntimeError("the service does not come up")


if __name__ == "__main__":
    main()
