"""PostgreSQL's own tools: where they are, and how they are run without a password on a command line."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from msvs.dsn import SETTINGS
from msvs.local.embedded import WHEEL_MAJOR, EnginesError, engine_environment, postgresql_executable
from msvs.local.supervisor import end_with_parent

# Where Debian and the packages of the PostgreSQL project put the tools of each version.
INSTALLED = ("/usr/lib/postgresql/{major}/bin", "/usr/pgsql-{major}/bin")
SHOWN_LINES = 5


class BackupError(EnginesError):
    """A backup or a restore cannot be made; the message says why and what to do."""


def find_tool(name: str, major: int, *, is_exact: bool = False) -> Path:
    """Return one of PostgreSQL's tools of a version, or the wheel's unless `is_exact`. Raises BackupError."""
    if major == WHEEL_MAJOR:
        return postgresql_executable(name)
    for folder in INSTALLED:
        path = Path(folder.format(major=major)) / name
        if os.access(path, os.X_OK):
            return path
    found = shutil.which(name)
    if found is not None and _major_of(Path(found)) == major:
        return Path(found)
    if is_exact or major > WHEEL_MAJOR:
        raise BackupError(f"{name} of PostgreSQL {major} is not installed here: install it, or add it to PATH")
    return postgresql_executable(name)


def is_of(tool: Path, major: int) -> bool:
    """Return whether a tool that was found for a version is of that version."""
    return major == WHEEL_MAJOR or tool != postgresql_executable(tool.name)


def _major_of(tool: Path) -> int | None:
    done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    words = done.stdout.split()
    number = words[2].partition(".")[0] if len(words) > 2 else ""
    return int(number) if number.isdigit() else None


def connection_of(url: str, application_name: str) -> tuple[str, dict[str, str]]:
    """Return a URL without its password and the settings of our own, and the environment that has the password."""
    parts = urlsplit(url)
    who, at, hosts = parts.netloc.rpartition("@")
    user, _, password = who.partition(":")
    query = {name: value for name, value in parse_qsl(parts.query) if name not in SETTINGS and name != "password"}
    query["application_name"] = application_name
    text = urlunsplit(parts._replace(netloc=f"{user}{at}{hosts}", query=urlencode(query, quote_via=quote)))
    secret = unquote(password) or dict(parse_qsl(parts.query)).get("password", "")
    return text, engine_environment() | ({"PGPASSWORD": secret} if secret else {})


def run_tool(argv: list[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a tool to its end and return what it prints. Raises BackupError with the end of what it says."""
    done = subprocess.run(  # noqa: S603
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=engine_environment() if environment is None else environment,
        preexec_fn=end_with_parent(),
        umask=0o077,
        check=False,
    )
    if done.returncode != 0:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-SHOWN_LINES:])
        raise BackupError(f"{Path(argv[0]).name} failed with status {done.returncode}:\n{said}".rstrip(":\n"))
    return done.stdout
