"""Builds the wheel of the service with everything built in it, and tries it out in an empty environment.

`python -m scripts.package build` writes dist/; `python -m scripts.package try` installs what it wrote and sends a
message.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from contextlib import suppress
from pathlib import Path

from scripts import dashboard
from scripts.contract.service import LOOPBACK, free_port
from scripts.try_run import STOP_SECONDS, send_message, wait_stopped

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
LOCK = "requirements.lock"
# What the build of the wheel reads besides the package.
READ = ("pyproject.toml", "README.md")
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")
# One file of each part that a wheel could lack although it installs.
PARTS = {
    "the dashboard": "msvs/dashboard/built/static/index.html",
    "the documentation site": "msvs/docs/site/index.html",
    "the API reference": "msvs/docs/reference/index.html",
    "GraphiQL": "msvs/graphql/static/graphiql.min.js",
    "the migrations": "msvs/migrations/0001_initial.py",
    "the types": "msvs/py.typed",
}
# Page → text that only the built page has.
PAGES = {
    "/": "MassiveSMS",
    "/dashboard": "/dashboard/assets/",
    "/docs/": "<title>",
    "/docs/quickstart": "<title>",
    "/docs/reference/": "swagger-ui",
    "/handset": "<title>",
    "/openapi.yaml": "openapi: ",
}


class PackageError(Exception):
    """The wheel is not whole, or does not work."""


def main() -> int:
    """Do what was asked for; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("build", "try"), nargs="?", default="build")
    parser.add_argument(
        "--with-dependencies", action="store_true", help="also collect the wheels of the lock, for servers offline"
    )
    options = parser.parse_args()
    try:
        if options.command == "build":
            build(with_dependencies=options.with_dependencies)
        else:
            try_out(find_wheel())
    except PackageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def build(*, with_dependencies: bool = False) -> Path:
    """Write the wheel and the lock to dist/, and return the path of the wheel. Raises PackageError."""
    # Not as `make run` does, which gives up on a slow machine.
    is_built = dashboard.STAMP.is_file() and dashboard.STAMP.read_text() == dashboard.digest_sources()
    if not is_built and dashboard.build(is_needed=True) != 0:
        raise PackageError("The dashboard could not be built; a wheel without it is not made.")
    DIST.mkdir(exist_ok=True)
    for old in DIST.glob("massivesms_server-*.whl"):
        old.unlink()
    # A tree of its own: setuptools puts into a wheel what an earlier build left behind.
    with tempfile.TemporaryDirectory() as outer:
        tree = Path(outer) / "tree"
        copy_sources(tree)
        subprocess.run(
            [
                sys.executable,
                *PIP,
                "wheel",
                "--no-deps",
                "--no-build-isolation",
                "--no-index",
                "--wheel-dir",
                DIST,
                tree,
            ],
            check=True,
        )
    wheel = find_wheel()
    check_parts(wheel)
    shutil.copy(ROOT / LOCK, DIST / LOCK)
    print(f"dist/{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
    if with_dependencies:
        wheels = DIST / "wheels"
        wheels.mkdir(exist_ok=True)
        command = (
            "download",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--requirement",
            DIST / LOCK,
            "--dest",
            wheels,
        )
        subprocess.run([sys.executable, *PIP, *command], check=True)
        print(f"dist/wheels: {sum(1 for _ in wheels.iterdir())} wheels of the lock")
    return wheel


def copy_sources(tree: Path) -> None:
    """Copy what the wheel is made of: the tracked files, or where there is no checkout all files, and what is built."""
    listed = subprocess.run(["git", "ls-files", "-z", "msvs"], cwd=ROOT, capture_output=True, check=False)
    names = [name for name in listed.stdout.decode().split("\0") if name] if listed.returncode == 0 else []
    paths = [ROOT / name for name in names] or [
        path for path in (ROOT / "msvs").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    built = [path for path in dashboard.BUILT.rglob("*") if path.is_file()]
    for path in {*paths, *built, *(ROOT / name for name in READ)}:
        place = tree / path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)


def find_wheel() -> Path:
    """Return the wheel in dist/. Raises PackageError."""
    found = list(DIST.glob("massivesms_server-*.whl"))
    if len(found) != 1:
        raise PackageError("There is not exactly one wheel in dist/: run `make package`.")
    return found[0]


def check_parts(wheel: Path) -> None:
    """Raise PackageError with each part that the wheel lacks."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    missing = [part for part, name in PARTS.items() if name not in inside]
    if missing:
        raise PackageError(f"The wheel lacks {', '.join(missing)}.")


def try_out(wheel: Path) -> None:
    """Install the wheel into an empty environment by the lock's hashes, start it, open its pages, send a message."""
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer)
        os.chmod(folder, 0o755)
        venv, data_dir, port = folder / "venv", folder / "data", free_port()
        install(wheel, venv)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PORT": str(port),
            "DATA_DIR": str(data_dir),
        }
        process = subprocess.Popen(
            [venv / "bin/msvs", "run"],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        base = f"http://{LOOPBACK}:{port}"
        try:
            send_message(base, data_dir, process)
            for path, wanted in PAGES.items():
                check_page(base + path, wanted)
            page = fetch(base + "/dashboard")
            for asset in sorted(set(re.findall(r"/dashboard/assets/[\w./-]+", page))):
                fetch(base + asset)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            process.wait(STOP_SECONDS)
        wait_stopped(data_dir / "postgresql/data/postmaster.pid")
    print(f"{wheel.name}: installed by the lock's hashes, {len(PAGES)} pages opened, a message sent")


def install(wheel: Path, venv: Path) -> None:
    """Make an environment with nothing but the lock and the wheel in it. Raises PackageError."""
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    python = venv / "bin/python"
    offline = ("--no-index", "--find-links", DIST / "wheels") if (DIST / "wheels").is_dir() else ()
    locked = ("install", "--require-hashes", *offline, "--requirement", DIST / LOCK)
    subprocess.run([python, *PIP, *locked], check=True)
    subprocess.run([python, *PIP, "install", "--no-deps", "--no-index", wheel], check=True)
    place = ("-I", "-c", "import json, msvs; print(json.dumps(msvs.__file__))")
    found = json.loads(subprocess.run([python, *place], capture_output=True, check=True, cwd=venv).stdout)
    if not Path(found).is_relative_to(venv):
        raise PackageError(f"The environment does not run the wheel but {found}.")


def fetch(url: str) -> str:
    """Return the text at an address. Raises OSError where it is not answered with 200."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def check_page(url: str, wanted: str) -> None:
    """Raise PackageError where a page is not the built one."""
    try:
        text = fetch(url)
    except OSError as error:
        raise PackageError(f"{url}: {error}") from None
    if wanted not in text:
        raise PackageError(f"{url} lacks {wanted!r}.")


if __name__ == "__main__":
    sys.exit(main())
