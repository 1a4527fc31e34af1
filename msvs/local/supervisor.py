"""The foreground supervisor of `msvs run`: starts the engines, the API, the workers and cron, and restarts them."""

from __future__ import annotations

import ctypes
import errno
import http.client
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import FrameType

from msvs.local import pretend_stripe
from msvs.local.embedded import EmbeddedEngines, EnginesError
from msvs.settings import Settings

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# More than a process takes that ends within ten seconds of its signal.
GRACE_SECONDS = 12.0
TICK_SECONDS = 0.2
HEALTH_SECONDS = 0.05
HEAD_START_SECONDS = 3.0
FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 10.0
STEADY_SECONDS = 30.0
NOT_UNDERSTOOD = 2
MAINTENANCE = "worker maintenance"
BACKUP = "backup"
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ChildSpec:
    """One process of the service: what it is called and how it is started."""

    name: str
    argv: tuple[str, ...]


def processes(settings: Settings) -> list[ChildSpec]:
    """Return every process that the service consists of, besides the engines."""
    queues = {
        "messages": settings.message_workers,
        "campaigns": 1,
        "reports": 1,
        "webhooks": settings.webhook_workers,
        "mail": 1,
        "billing": int(settings.stripe_key is not None),
        "imports": 1,
        "maintenance": 1,
    }
    # One queue a worker: RQ then takes jobs atomically.
    workers = [(f"worker {queue}", "worker", queue) for queue, count in queues.items() for _ in range(count)]
    commands = [("api", "api"), *workers, ("cron", "cron")]
    if _holds_binds(settings):
        commands.append(("binds", "binds"))
    if settings.backup_dir is not None:
        commands.append((BACKUP, "backup", "--follow"))
    specs = [ChildSpec(name, (sys.executable, "-m", "msvs", *argv)) for name, *argv in commands]
    if settings.stripe_key == pretend_stripe.KEY:
        specs.append(
            ChildSpec("pretend stripe", (sys.executable, "-c", f"from {pretend_stripe.__name__} import main; main()"))
        )
    return specs


def environment_of(spec: ChildSpec, settings: Settings) -> dict[str, str]:
    """Return what a process finds in its environment: of them all, the upkeep of partitions is the owner's work."""
    owner = settings.migrations_database_url if spec.name == MAINTENANCE else None
    billing = {}
    if settings.stripe_key is not None:
        billing = {
            "MSVS_STRIPE_KEY": settings.stripe_key,
            "MSVS_STRIPE_WEBHOOK_SECRETS": ",".join(settings.stripe_webhook_secrets),
            "MSVS_STRIPE_URL": settings.stripe_url or "",
        }
    return (
        os.environ
        | billing
        | {
            "DATABASE_URL": settings.database_url or "",
            "MIGRATIONS_DATABASE_URL": owner or "",
            "MSVS_BACKUP_DATABASE_URL": (settings.backup_database_url or "") if spec.name == BACKUP else "",
            "REDIS_URL": settings.redis_url or "",
            "DATA_DIR": str(settings.data_dir),
            "HOST": settings.host,
            "PORT": str(settings.port),
        }
    )


def pretending(settings: Settings) -> Settings:
    """Return the settings of development with a pretend Stripe where no account is set."""
    if settings.is_production or settings.stripe_key is not None:
        return settings
    return replace(
        settings,
        stripe_key=pretend_stripe.KEY,
        stripe_webhook_secrets=(f"whsec_{secrets.token_urlsafe(32)}",),
        stripe_url=f"http://127.0.0.1:{_claim_port('127.0.0.1', 0)}",
    )


def _holds_binds(settings: Settings) -> bool:
    """Return whether any of the operator's carriers has binds to hold. Raises SettingsError."""
    if settings.carriers is None:
        return False
    from msvs.carriers.registry import make_carriers

    return any(carrier.holds_binds for carrier in make_carriers(settings).values())


def run(
    settings: Settings,
    prepare: Callable[[Settings], Sequence[str]],
    children: Sequence[ChildSpec] | None = None,
) -> int:
    """Run the service until a signal ends it, and return the exit status.

    `prepare` brings the database up to date, given settings that name the engines, and returns the lines to
    print once the API answers. `children` stands in for `processes(settings)`.
    """
    return _Supervisor(settings, prepare, children).run()


class _Stop(BaseException):
    """A signal arrived while the supervisor waited for something else."""


class _Hopeless(Exception):
    """A process refused its settings at its first start, as it would at every other."""


class _Child:
    """A process that is started again whenever it ends, later each time it ends soon."""

    def __init__(self, spec: ChildSpec, environment: dict[str, str]) -> None:
        self.spec = spec
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.due_at = 0.0
        self.early_ends = 0
        self.starts = 0

    def tend(self, now: float) -> None:
        if self.process is not None:
            status = self.process.poll()
            if status is None:
                return
            if status == NOT_UNDERSTOOD and self.starts == 1:
                raise _Hopeless(f"{self.spec.name} cannot start with these settings; stopping")
            if now - self.started_at >= STEADY_SECONDS:
                self.early_ends = 0
            delay = restart_delay(self.early_ends)
            self.early_ends += 1
            self.due_at = now + delay
            _say(f"{self.spec.name} (process {self.process.pid}) {_ending(status)}; again in {delay:g} s")
            self.process = None
        if now >= self.due_at:
            self.started_at = now
            self.starts += 1
            # A session of its own: the terminal's Ctrl-C must not reach it beside our SIGTERM.
            self.process = subprocess.Popen(  # noqa: S603
                self.spec.argv,
                stdin=subprocess.DEVNULL,
                env=self.environment,
                start_new_session=True,
                preexec_fn=end_with_parent(),
            )

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                return


class _Supervisor:
    def __init__(
        self,
        settings: Settings,
        prepare: Callable[[Settings], Sequence[str]],
        children: Sequence[ChildSpec] | None,
    ) -> None:
        self.settings = settings
        self.prepare = prepare
        self.specs = children
        self.engines: EmbeddedEngines | None = None
        self.children: list[_Child] = []
        self.engine_due_at = 0.0
        self.engine_failures = 0
        self.signals_seen = 0
        self.interruptible = True
        self.woken, self.waker = socket.socketpair()

    def run(self) -> int:
        for end in (self.woken, self.waker):
            end.setblocking(False)
        previous_fd = signal.set_wakeup_fd(self.waker.fileno(), warn_on_full_buffer=False)
        previous = {number: signal.signal(number, self._on_signal) for number in STOP_SIGNALS}
        previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _ignore)
        if previous[signal.SIGHUP] == signal.SIG_IGN:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # started by nohup
        status = 0
        try:
            banner = self._start()
            self.interruptible = False
            self._watch(banner)
        except _Stop:
            pass
        except (EnginesError, OSError) as error:
            _say(str(error))
            status = 1
        except _Hopeless as error:
            _say(str(error))
            status = NOT_UNDERSTOOD
        finally:
            self.interruptible = False
            self._stop()
            signal.set_wakeup_fd(previous_fd)
            for number, handler in previous.items():
                signal.signal(number, handler)
            self.woken.close()
            self.waker.close()
        return status

    def _start(self) -> Sequence[str]:
        settings = replace(self.settings, data_dir=self.settings.data_dir.resolve())
        settings = pretending(replace(settings, port=_claim_port(settings.host, settings.port)))
        needs = {"postgresql": settings.database_url is None, "valkey": settings.redis_url is None}
        if any(needs.values()):
            waits = settings.backup_sync and settings.backup_dir is not None
            self.engines = EmbeddedEngines(settings.data_dir, **needs, waits_for_backup=waits)
            self.engines.start()
            settings = replace(
                settings,
                database_url=settings.database_url or self.engines.service_url,
                migrations_database_url=settings.migrations_database_url
                if settings.database_url
                else self.engines.database_url,
                backup_database_url=settings.backup_database_url if settings.database_url else self.engines.backup_url,
                redis_url=settings.redis_url or self.engines.redis_url,
            )
        self.settings = settings
        specs = processes(settings) if self.specs is None else self.specs
        self.children = [_Child(spec, environment_of(spec, settings)) for spec in specs]
        for child in self.children:
            if child.spec.name == BACKUP:
                # Commits may wait for it, those of migrations too.
                child.tend(time.monotonic())
        return self.prepare(settings)

    def _watch(self, banner: Sequence[str]) -> None:
        announced = False
        # Imports are most of a start: the API and the first worker get the processors to themselves.
        first = max(2, os.cpu_count() or 2)
        all_due_at = time.monotonic() + HEAD_START_SECONDS
        while not self.signals_seen:
            now = time.monotonic()
            self._tend_engines(now)
            for child in self.children if announced or now >= all_due_at else self.children[:first]:
                child.tend(now)
            if not announced and _answers(self.settings.host, self.settings.port):
                announced = True
                _print("\n".join(banner))
            self._sleep(TICK_SECONDS if announced else HEALTH_SECONDS)

    def _tend_engines(self, now: float) -> None:
        if self.engines is None or now < self.engine_due_at:
            return
        for name in self.engines.poll():
            _say(f"{name} has ended; starting it again")
            self.interruptible = True
            try:
                if self.signals_seen:
                    raise _Stop
                self.engines.restart(name)
                self.engine_failures = 0
            except EnginesError as error:
                self.engine_due_at = time.monotonic() + restart_delay(self.engine_failures)
                self.engine_failures += 1
                _say(str(error))
            finally:
                self.interruptible = False

    def _stop(self) -> None:
        """Stop the children, then the engines they use; a second signal ends the wait for the children."""
        for child in self.children:
            child.send(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while (running := [child for child in self.children if child.is_running()]) and self.signals_seen < 2:
            if time.monotonic() >= deadline:
                break
            self._sleep(TICK_SECONDS)
        for child in running:
            _say(f"{child.spec.name} does not stop; killed")
            child.kill()
        if self.engines is not None:
            self.engines.stop()

    def _sleep(self, seconds: float) -> None:
        """Wait, but not past a signal."""
        select.select([self.woken], [], [], seconds)
        try:
            self.woken.recv(4096)
        except BlockingIOError:
            return

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.signals_seen += 1
        if self.interruptible:
            self.interruptible = False
            raise _Stop


def restart_delay(early_ends: int) -> float:
    """Seconds before a process starts again that has already ended early so many times."""
    return float(min(FIRST_DELAY_SECONDS * 2 ** min(early_ends, 16), LONGEST_DELAY_SECONDS))


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by {signal.Signals(-status).name}"


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """SIGCHLD only has to wake the loop, which an ignored signal would not do."""


def _claim_port(host: str, port: int) -> int:
    """Return the port to listen on, a free one for 0. Raises OSError when another process has it."""
    if host.startswith("unix:"):
        return port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise OSError(f"cannot listen on {host} ({error.strerror}): set HOST to an address of this machine") from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            better = "PORT to another" if error.errno != errno.EADDRNOTAVAIL else "HOST to an address of this machine"
            raise OSError(f"cannot listen on {host}:{port} ({error.strerror}): set {better}") from None
        return int(probe.getsockname()[1])


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a socket of the file system."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=2.0)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(2.0)
        self.sock.connect(self._path)


def _answers(host: str, port: int) -> bool:
    """Return whether the API reports itself healthy."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    connection = http.client.HTTPConnection(reachable, port, timeout=2.0)
    if host.startswith("unix:"):
        connection = _SocketConnection(host.removeprefix("unix:"))
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def end_with_parent() -> Callable[[], None] | None:
    """Return what a child runs before exec so that it ends when the supervisor is killed; Linux alone can."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def ask_for_signal() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask_for_signal


def _say(line: str) -> None:
    _print(f"msvs: {line}", error=True)


def _print(text: str, *, error: bool = False) -> None:
    try:
        print(text, file=sys.stderr if error else sys.stdout, flush=True)
    except OSError:
        return  # the terminal is gone; the children still have to be stopped
