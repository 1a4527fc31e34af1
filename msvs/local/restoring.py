"""Restore a PostgreSQL from a backup folder to a point in time, into a new directory beside everything that runs."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from msvs.local.backups import BASES, WAL, Base, bases, wal_files
from msvs.local.embedded import (
    POSTGRESQL,
    adopt_postgresql,
    engine_environment,
    give_away,
    unprivileged,
)
from msvs.local.manifests import verify_base
from msvs.local.postgres_tools import BackupError, find_tool
from msvs.local.supervisor import end_with_parent

PORT = 5432
LOOK_SECONDS = 0.05
STOP_SECONDS = 60.0
# Of the settings of the server that was backed up, what must not take hold in one that is only looked at.
QUIET = {
    "archive_mode": "off",
    "hot_standby": "off",
    "listen_addresses": "",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "logging_collector": "off",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "shared_preload_libraries": "",
    "ssl": "off",
    "synchronous_standby_names": "",
    "timezone": "UTC",
}
TOO_EARLY = "recovery ended before configured recovery target was reached"
_last = re.compile(r"last completed transaction was at log time (.+)")


@dataclass(frozen=True, slots=True)
class Recovered:
    """A server that was recovered, which only this process reaches: by `url`, as the superuser."""

    base: Base
    url: str
    last_commit_at: str | None


def choose_base(folder: Path, to: datetime | None, name: str | None = None) -> Base:
    """Return the newest base backup that was finished by a time. Raises BackupError."""
    known = bases(folder)
    if not known:
        raise BackupError(f"{folder} holds no base backup: run `msvs backup`")
    if name is not None:
        known = [base for base in known if base.name == name]
        if not known:
            raise BackupError(f"{folder} holds no base backup {name}: `msvs backup --list` lists them")
    found = [base for base in known if to is None or base.at <= to]
    if not found:
        raise BackupError(f"no base backup was finished by then: the earliest time is {known[0].finished_at}")
    return found[-1]


@contextmanager
def recovering(folder: Path, *, to: datetime | None, into: Path, base: Base) -> Iterator[Recovered]:
    """Recover a base backup to a time, or as far as the WAL reaches, and keep it running for the block.

    What `into` gets is there only when the block has ended well. Raises BackupError.
    """
    draft = _begin(into)
    try:
        data = draft / "data"
        _copy(folder / BASES / base.name / "data", data, base)
        with tempfile.TemporaryDirectory(prefix="msvs-restore-") as name:
            sockets = Path(name)
            (sockets / "hba.conf").write_text("local all all trust\n")
            (sockets / "ident.conf").touch()
            (sockets / "postgresql.conf").touch()
            give_away(sockets)
            give_away(draft)
            server = _Server(folder, data, sockets, base)
            server.start(to)
            try:
                url = f"postgresql://{quote(base.superuser)}@/{quote(base.database)}?host={quote(name)}&port={PORT}"
                yield Recovered(base, url, server.last_commit())
            finally:
                server.stop()
        _finish(draft, into, base)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _begin(into: Path) -> Path:
    draft = into / f"{POSTGRESQL}.restoring"
    try:
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(into.iterdir()):
            raise BackupError(f"{into} is not empty: name a new folder; nothing is ever restored over what is there")
        draft.mkdir(mode=0o700)
    except OSError as error:
        raise BackupError(f"{into} cannot be written to ({error.strerror})") from None
    return draft


def _copy(source: Path, data: Path, base: Base) -> None:
    verify_base(source, base.major)
    try:
        shutil.copytree(source, data, symlinks=True)
    except (OSError, shutil.Error) as error:
        raise BackupError(f"the base backup cannot be copied: {error}") from None
    data.chmod(0o700)
    (data / "standby.signal").unlink(missing_ok=True)
    (data / "postmaster.pid").unlink(missing_ok=True)
    (data / "recovery.signal").touch(mode=0o600)


def _finish(draft: Path, into: Path, base: Base) -> None:
    """Give what was restored its place: that of an embedded PostgreSQL, or the bare data directory of another."""
    if base.is_embedded:
        adopt_postgresql(draft)
        give_away(draft / "data")
        draft.rename(into / POSTGRESQL)
    else:
        (draft / "data").rename(into / "data")
        shutil.rmtree(draft)


class _Server:
    """A PostgreSQL of one base backup, closed to everybody else."""

    def __init__(self, folder: Path, data: Path, sockets: Path, base: Base) -> None:
        self.folder, self.data, self.sockets = folder, data, sockets
        self.executable = find_tool("postgres", base.major, is_exact=True)
        self.log = data.parent / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, to: datetime | None) -> None:
        """Start it and wait until it is recovered, for as long as that takes. Raises BackupError."""
        unprivileged_ = unprivileged(self.executable, self.data, self.sockets / "x", self.folder.resolve() / WAL / "x")
        bound = end_with_parent()

        def begin() -> None:
            if unprivileged_ is not None:
                unprivileged_()
            if bound is not None:
                bound()

        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                self._argv(to),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                env=engine_environment(),
                start_new_session=True,
                preexec_fn=begin,
            )
        while not self._is_ready():
            if self.process.poll() is not None:
                raise BackupError(self._why_not(to))
            time.sleep(LOOK_SECONDS)

    def _argv(self, to: datetime | None) -> list[str]:
        settings = QUIET | {
            "config_file": str(self.sockets / "postgresql.conf"),
            "hba_file": str(self.sockets / "hba.conf"),
            "ident_file": str(self.sockets / "ident.conf"),
            "unix_socket_directories": str(self.sockets),
            "restore_command": self._restore_command(),
            "recovery_target_action": "promote",
            "recovery_target_timeline": "latest",
        }
        if to is not None:
            settings["recovery_target_time"] = to.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
        given = (part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
        return [str(self.executable), "-D", str(self.data), "-p", str(PORT), *given]

    def _restore_command(self) -> str:
        """Return the command that fetches a segment: a whole one, or the newest as far as it was received."""
        wal = shlex.quote(str(self.folder.resolve() / WAL)).replace("%", "%%")
        command = f'test -f {wal}/%f && exec cp {wal}/%f "%p"'
        sizes = {path.stat().st_size for path in wal_files(self.folder)}
        parts = [path for path in wal_files(self.folder) if path.suffix == ".partial"]
        # One that a receiver had only begun to make is shorter, and holds nothing.
        if parts and parts[-1].stat().st_size == max(sizes):
            command += f'; test %f.partial = {parts[-1].name} && exec cp {wal}/%f.partial "%p"'
        return f"{command}; exit 1"

    def _is_ready(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def last_commit(self) -> str | None:
        """Return the time of the last transaction that was recovered, if any was."""
        found = _last.findall(self.log.read_text(errors="replace"))
        return found[-1] if found else None

    def _why_not(self, to: datetime | None) -> str:
        text = self.log.read_text(errors="replace")
        if TOO_EARLY in text and to is not None:
            last = self.last_commit() or "that of the base backup"
            return f"the WAL ends before {to.isoformat()}: its last commit is {last}; restore with --to latest"
        tail = "\n".join(text.splitlines()[-5:])
        return f"PostgreSQL could not recover; its log ends:\n{tail}"

    def stop(self) -> None:
        """Stop it cleanly."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise BackupError("the recovered PostgreSQL did not stop cleanly: restore again") from None


def read_time(text: str) -> datetime | None:
    """Return a time with its offset, or None for `latest`. Raises ValueError."""
    if text == "latest":
        return None
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("the offset from UTC is missing")
    return at
