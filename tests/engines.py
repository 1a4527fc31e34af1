"""The real PostgreSQL and Valkey of a test run."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from msvs.local import embedded

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Engines:
    """Where the engines of this test run answer."""

    database_url: str
    redis_url: str
    service_url: str

    def for_service(self, url: str) -> str:
        """Return the URL of a database for the role of the service's processes, which owns nothing."""
        parts, login = urlsplit(url), urlsplit(self.service_url).netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


@contextmanager
def running_engines() -> Iterator[Engines]:
    """Engines of this run alone, or those MSVS_TEST_DATABASE_URL and MSVS_TEST_REDIS_URL name.

    The service's role on a PostgreSQL that is named is that of MSVS_TEST_SERVICE_URL.
    """
    database_url = os.environ.get("MSVS_TEST_DATABASE_URL")
    redis_url = os.environ.get("MSVS_TEST_REDIS_URL")
    data_dir = Path(tempfile.mkdtemp(prefix="msvs-test-"))
    own = embedded.start(data_dir, fast=True, postgresql=database_url is None, valkey=redis_url is None)
    try:
        yield Engines(
            database_url=database_url or own.database_url,
            redis_url=redis_url or own.redis_url,
            service_url=own.service_url if database_url is None else os.environ["MSVS_TEST_SERVICE_URL"],
        )
    finally:
        own.stop()
        shutil.rmtree(data_dir)


async def create_database(base_url: str, name: str) -> str:
    """Make an empty database beside that of `base_url`, replacing any of that name, and return its URL."""
    connection = await asyncpg.connect(base_url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return urlunsplit(urlsplit(base_url)._replace(path=f"/{name}"))


def is_alive(pid: int) -> bool:
    """Whether the process still runs; one that only waits for its parent to read its status does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return not Path("/proc/self/stat").exists()


def eventually(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
