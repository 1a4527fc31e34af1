"""Back PostgreSQL up: base backups, the WAL since, and logical dumps, in a folder that only its owner may read."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from msvs import connections
from msvs.local.embedded import BACKUP
from msvs.local.manifests import ALGORITHM, verify_base
from msvs.local.postgres_tools import BackupError, connection_of, find_tool, run_tool
from msvs.local.supervisor import end_with_parent, restart_delay

SLOT = BACKUP
# PostgreSQL counts a receiver of this name for a synchronous standby; pg_basebackup has another.
RECEIVER, COPIER = BACKUP, "msvs_base"
BASES, WAL, DUMPS = "base", "wal", "dumps"
DESCRIPTION = "backup.json"
STAMP = "%Y%m%dT%H%M%SZ"
KEEP = 7
EVERY_HOURS = 24
# How often a receiver looks whether it has ended, and whether a base backup is due.
TICK_SECONDS = 1.0
RETRY_SECONDS = 300.0
STOP_SECONDS = 8.0
OPEN_TO_OTHERS = 0o077
_segment = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(\.partial)?")
_start_file = re.compile(r"START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)")

BACKUP_SERVER = """
SELECT current_setting('server_version_num')::int / 10000 AS major,
    (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
    current_database()::text AS database, current_user::text AS role,
    (SELECT rolname::text FROM pg_roles WHERE oid = 10) AS superuser,
    (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user) AS may_replicate,
    current_setting('wal_level') AS wal_level,
    (SELECT count(*) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')) AS tablespaces,
    (SELECT wal_status = 'lost' FROM pg_replication_slots WHERE slot_name = $1) AS is_slot_lost
"""


@dataclass(frozen=True, slots=True)
class Server:
    """What a PostgreSQL says of itself."""

    major: int
    system_identifier: str
    database: str
    role: str
    superuser: str
    may_replicate: bool
    wal_level: str
    tablespaces: int
    is_slot_lost: bool | None


@dataclass(frozen=True, slots=True)
class Base:
    """A base backup: `finished_at` is the earliest time that it can be restored to."""

    name: str
    major: int
    system_identifier: str
    database: str
    superuser: str
    is_embedded: bool
    start_wal: str
    finished_at: str

    @property
    def at(self) -> datetime:
        """When it was finished, by the clock of the PostgreSQL."""
        return datetime.fromisoformat(self.finished_at)


async def ask(url: str) -> Server:
    """Ask a PostgreSQL what has to be known to back it up."""
    connection = await connections.connect(url, application_name=COPIER, end=lambda: None)
    try:
        return Server(**dict(await connection.fetchrow(BACKUP_SERVER, SLOT)))
    finally:
        await connection.close()


async def clock(url: str) -> datetime:
    """Return the time by the clock of a PostgreSQL, which its commits have."""
    connection = await connections.connect(url, application_name=COPIER, end=lambda: None)
    try:
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        return now
    finally:
        await connection.close()


def require_replication(server: Server) -> None:
    """Raise BackupError where a role or a server does not allow what a base backup needs."""
    if not server.may_replicate:
        raise BackupError(
            f"the role {server.role} lacks the right REPLICATION: run ALTER ROLE {server.role} REPLICATION, or set "
            "MSVS_BACKUP_DATABASE_URL to a role that has it; `msvs backup --dump` needs none, and restores to no other "
            "time than its own"
        )
    if server.wal_level == "minimal":
        raise BackupError("wal_level is minimal: set wal_level = replica and restart PostgreSQL")
    if server.tablespaces:
        raise BackupError(
            f"the server has {server.tablespaces} tablespaces of its own, which are not backed up here: use "
            "pg_basebackup with --tablespace-mapping, or `msvs backup --dump`"
        )


def open_folder(folder: Path, server: Server) -> None:
    """Make the folder, closed to others, and hold it to one PostgreSQL. Raises BackupError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & OPEN_TO_OTHERS:
            folder.chmod(0o700)
        for name in (BASES, WAL, DUMPS):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        mark = folder / "system"
        if not mark.exists():
            write_private(mark, server.system_identifier)
        known = mark.read_text().strip()
    except OSError as error:
        raise BackupError(
            f"{folder} cannot be used for backups ({error.strerror}): name a folder of your own"
        ) from None
    if known != server.system_identifier:
        raise BackupError(f"{folder} holds the backups of another PostgreSQL: name an empty folder")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    draft = path.with_name(f".{path.name}.part")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a second backup out of the folder while one is made. Raises BackupError."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupError(f"another backup is being made in {folder}") from None
        yield


def bases(folder: Path) -> list[Base]:
    """Return the base backups of a folder, the oldest first. Raises BackupError."""
    try:
        found = [
            Base(name=path.parent.name, **json.loads(path.read_text()))
            for path in sorted((folder / BASES).glob(f"*/{DESCRIPTION}"))
            if not path.parent.name.startswith(".")
        ]
    except (OSError, ValueError, TypeError) as error:
        raise BackupError(f"the backups in {folder} cannot be read: {error}") from None
    return sorted(found, key=lambda base: base.at)


def begin_base(folder: Path, url: str, server: Server) -> Path:
    """Copy a PostgreSQL into a new part of the folder, check every file, and return it. Raises BackupError."""
    for stale in (folder / BASES).glob(".*.part"):
        shutil.rmtree(stale)
    part = folder / BASES / f".{datetime.now(UTC).strftime(STAMP)}.part"
    part.mkdir(mode=0o700)
    data = part / "data"
    target, environment = connection_of(url, COPIER)
    tool = find_tool("pg_basebackup", server.major)
    argv = [str(tool), f"--dbname={target}", "--no-password", f"--pgdata={data}"]
    try:
        run_tool([*argv, "--wal-method=stream", "--checkpoint=fast", f"--manifest-checksums={ALGORITHM}"], environment)
        verify_base(data, server.major)
    except BackupError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise BackupError(f"{error}\n{_hint(str(error))}".rstrip()) from None
    return part


def _hint(said: str) -> str:
    if "no pg_hba.conf entry" in said:
        return "add to pg_hba.conf: host replication ROLE ADDRESS scram-sha-256, and reload PostgreSQL"
    if "No space left" in said:
        return "make room in the folder of the backups, or lower --keep"
    return ""


def end_base(part: Path, server: Server, finished_at: datetime, *, is_embedded: bool) -> Base:
    """Describe a whole base backup, and give it its name, by which it counts."""
    label = (part / "data" / "backup_label").read_text()
    found = _start_file.search(label)
    if found is None:
        raise BackupError(f"{part} has no START WAL LOCATION")
    name = part.name.strip(".").removesuffix(".part")
    base = Base(
        name=name,
        major=server.major,
        system_identifier=server.system_identifier,
        database=server.database,
        superuser=server.superuser,
        is_embedded=is_embedded,
        start_wal=found.group(1),
        finished_at=finished_at.astimezone(UTC).isoformat(),
    )
    told = {key: value for key, value in asdict(base).items() if key != "name"}
    write_private(part / DESCRIPTION, json.dumps(told, indent=2))
    part.rename(part.with_name(name))
    return base


def prune(folder: Path, keep: int) -> list[str]:
    """Delete all base backups and dumps but the newest `keep`, and the WAL that none of them needs."""
    known = bases(folder)
    gone = known[:-keep]
    for base in gone:
        # By another name first: what is deleted in part does not count.
        path, doomed = folder / BASES / base.name, folder / BASES / f".{base.name}.part"
        path.rename(doomed)
        shutil.rmtree(doomed)
    if known:
        oldest = known[-keep:][0].start_wal
        for path in wal_files(folder):
            if path.name[8:24] < oldest[8:]:
                path.unlink()
    for path in sorted((folder / DUMPS).glob("*.dump"))[:-keep]:
        path.unlink()
    return [base.name for base in gone]


def wal_files(folder: Path) -> list[Path]:
    """Return the segments of WAL, in order."""
    return sorted(path for path in (folder / WAL).iterdir() if _segment.fullmatch(path.name))


def find_gap(folder: Path) -> str | None:
    """Return the first segment of WAL that is missing before the newest, if one is.

    The first segments that the oldest base backup needs are inside it.
    """
    files = wal_files(folder)
    if not files:
        return None
    per_log = 0x1_0000_0000 // max(path.stat().st_size for path in files)
    numbers = sorted({int(path.name[8:16], 16) * per_log + int(path.name[16:24], 16) for path in files})
    for before, after in pairwise(numbers):
        if after - before > 1:
            return f"{files[-1].name[:8]}{(before + 1) // per_log:08X}{(before + 1) % per_log:08X}"
    return None


def dump(folder: Path, url: str, server: Server) -> Path:
    """Write a logical dump of the database, and return its path. Raises BackupError."""
    target, environment = connection_of(url, COPIER)
    path = folder / DUMPS / f"{datetime.now(UTC).strftime(STAMP)}.dump"
    part = path.with_name(f".{path.name}.part")
    argv = [str(find_tool("pg_dump", server.major)), "--format=custom", "--exclude-schema=msvs_clock", "--no-password"]
    try:
        run_tool([*argv, f"--dbname={target}", f"--file={part}"], environment)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def follow(
    folder: Path, url: str, server: Server, *, hours: int, make_base: list[str], say: Callable[[str], None]
) -> None:
    """Receive WAL until a signal ends it, and run `make_base` whenever the newest base backup is too old.

    Raises BackupError.
    """
    target, environment = connection_of(url, RECEIVER)
    tool = str(find_tool("pg_receivewal", server.major))
    if server.is_slot_lost:
        raise BackupError(
            f"the server gave up the WAL of the slot {SLOT}, so that there is a gap: name an empty folder, and run "
            f"SELECT pg_drop_replication_slot('{SLOT}') before"
        )
    common = [tool, f"--dbname={target}", "--no-password", f"--slot={SLOT}"]
    run_tool([*common, "--create-slot", "--if-not-exists"], environment)
    argv = [*common, f"--directory={folder / WAL}", "--synchronous", "--status-interval=1"]
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    receiver = _Child(argv, environment)
    copier = _Child(make_base, dict(os.environ))
    due_at = 0.0
    try:
        while signal.sigtimedwait(ends, TICK_SECONDS) is None:
            if (status := receiver.tend()) is not None:
                say(f"pg_receivewal ended with status {status}; again in {receiver.delay:g} s")
            copied = copier.ended()
            if copied is not None and copied != 0:
                say(f"no base backup was made (status {copied}); again in {RETRY_SECONDS:g} s")
                due_at = time.monotonic() + RETRY_SECONDS
            if copier.process is None and time.monotonic() >= due_at and is_due(folder, hours):
                copier.start()
    finally:
        for child in (copier, receiver):
            child.stop()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)


def is_due(folder: Path, hours: int) -> bool:
    """Return whether the newest base backup is older than so many hours."""
    known = bases(folder)
    return not known or datetime.now(UTC) - known[-1].at >= timedelta(hours=hours)


class _Child:
    """A tool that this process runs beside itself."""

    def __init__(self, argv: list[str], environment: dict[str, str]) -> None:
        self.argv, self.environment = argv, environment
        self.process: subprocess.Popen[bytes] | None = None
        self.due_at = 0.0
        self.delay = 0.0
        self.early_ends = 0

    def start(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603
            self.argv, stdin=subprocess.DEVNULL, env=self.environment, preexec_fn=_begin_child(), umask=0o077
        )

    def ended(self) -> int | None:
        """Return the status of a process that has ended, once."""
        status = None if self.process is None else self.process.poll()
        if status is not None:
            self.process = None
        return status

    def tend(self) -> int | None:
        """Start the process unless it runs; the status with which it has just ended."""
        status = self.ended()
        if status is not None:
            self.delay = restart_delay(self.early_ends)
            self.early_ends += 1
            self.due_at = time.monotonic() + self.delay
        if self.process is None and time.monotonic() >= self.due_at:
            self.start()
        return status

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _begin_child() -> Callable[[], None]:
    bound = end_with_parent()

    def begin() -> None:
        # What this process waits for is not for its children to ignore.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        if bound is not None:
            bound()

    return begin


def own_command(*arguments: str) -> list[str]:
    """Return the command line of another command of this service."""
    return [sys.executable, "-m", "msvs", *arguments]
