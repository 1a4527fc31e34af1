"""A rolling upgrade under load: an earlier commit's processes, a migration, new processes beside them, and the old end.

`python -m chaos.upgrade` takes the commit before the second newest migration for the release before; `--from` names
another. It ends with 3 where the history that it needs is not there, which proves nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import uvloop

from chaos.checker import Report, check, read_facts
from chaos.load import LOOPBACK, PATIENCE_SECONDS, Client, Load, Tenant, make_contacts, tenant_of
from chaos.receiver import Receiver
from chaos.run import OPEN
from msvs.local.embedded import EmbeddedEngines
from scripts.contract.service import free_port

ROOT = Path(__file__).parent.parent
PROVES_NOTHING = 3
WORKERS = ("messages", "campaigns", "reports", "webhooks", "maintenance")
READY_SECONDS = 180.0
# A process ends within ten seconds of its signal; machines that others use take longer to start Python's exit.
STOP_SECONDS = 30.0
# A server that has finished its requests ends by the signal that it was given.
ENDINGS = (0, -signal.SIGTERM)
LOOK_SECONDS = 0.1
SETTLE_SECONDS = 195.0
CREDITS = "1000000"


class NoHistoryError(Exception):
    """The clone does not hold the commit of the release before."""


@dataclass
class Upgrade:
    """What a run came to."""

    before: str
    applied: list[str] = field(default_factory=list)
    migration_seconds: float = 0.0
    answered: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    redirected: int = 0
    errors: list[str] = field(default_factory=list)
    endings: dict[str, int | None] = field(default_factory=dict)
    settled: bool = False
    report: Report = field(default_factory=Report)

    def faults(self) -> list[str]:
        """Return what must not be, a line each."""
        found = [*self.errors[:10], *self.report.lines()]
        found += [f"{status} was answered {n} times" for status, n in self.statuses.items() if status >= 500]
        found += [f"{name} ended with {status}" for name, status in self.endings.items() if status not in ENDINGS]
        found += [f"no request went to the {name} API" for name in ("old", "new") if not self.answered[name]]
        if not self.applied:
            found.append("no migration was applied")
        if not self.settled:
            found.append("it did not settle")
        return found


class Balancer(Client):
    """Clients behind a load balancer that follows /readyz, and sends a request again only if it was refused."""

    def __init__(self, upgrade: Upgrade, log: Path, *, seed: int) -> None:
        super().__init__(0, log, seed=seed)
        self.upgrade = upgrade
        self.ports: dict[str, int] = {}
        self.ready: set[str] = set()

    async def watch(self) -> None:
        """Look who is ready, until canceled."""
        while True:
            await asyncio.gather(*(self._look(name, port) for name, port in list(self.ports.items())))
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, name: str, port: int) -> None:
        try:
            async with self.session.get(f"http://{LOOPBACK}:{port}/readyz", headers={"Connection": "close"}) as answer:
                is_ready = answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            is_ready = False
        (self.ready.add if is_ready else self.ready.discard)(name)

    async def ask(self, tenant: Tenant, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Ask one of those that are ready; (0, None) where the answer did not come."""
        refused: set[str] = set()
        while names := sorted(self.ready - refused):
            name = self.random.choice(names)
            headers = {"Authorization": f"Bearer {tenant.key}", "Connection": "close", **options.pop("headers", {})}
            try:
                url = f"http://{LOOPBACK}:{self.ports[name]}{path}"
                async with self.session.request(method, url, headers=headers, **options) as answer:
                    document = await answer.json()
                    self.upgrade.answered[name] += 1
                    self.upgrade.statuses[answer.status] += 1
                    if answer.status >= 500:
                        self.upgrade.errors.append(f"{name}: {method} {path}: {answer.status} {document}")
                    return answer.status, document
            except aiohttp.ClientConnectorError:
                self.upgrade.redirected += 1
                refused.add(name)
                options["headers"] = headers
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                self.upgrade.errors.append(f"{name}: {method} {path}: {error!r}")
                return 0, None
        self.upgrade.errors.append(f"nobody is ready for {method} {path}")
        return 0, None

    async def post(
        self,
        tenant: Tenant,
        path: str,
        body: dict[str, Any],
        *,
        key: str | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> tuple[int, Any]:
        """POST until there is an answer that is final."""
        headers, until = {"Idempotency-Key": key or uuid4().hex}, time.monotonic() + patience
        while time.monotonic() < until:
            status, document = await self.ask(tenant, "POST", path, json=body, headers=dict(headers))
            busy = status == 409 and document["error"]["code"] == "idempotency_key_in_use"
            if 0 < status < 500 and status != 429 and not busy:
                return status, document
            await asyncio.sleep(self.random.uniform(0.05, 0.4))
        return 0, None

    async def _get(self, tenant: Tenant, path: str) -> Any:
        status, document = await self.ask(tenant, "GET", path)
        if status != 200:
            raise TimeoutError(f"GET {path} was not answered")
        return document


def second_newest_migration(root: Path = ROOT) -> str:
    """Return the commit before the one that made the second newest migration. Raises NoHistoryError."""
    names = sorted(path.name for path in (root / "msvs/migrations").glob("[0-9]*.py"))
    added = _git(root, "log", "-1", "--diff-filter=A", "--format=%H", "--", f"msvs/migrations/{names[-2]}")
    if not added:
        raise NoHistoryError(f"no commit made {names[-2]}")
    return _git(root, "rev-parse", "--verify", f"{added}^")


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoHistoryError(done.stderr.strip() or "git failed")
    return done.stdout.strip()


def check_out(commit: str, folder: Path) -> None:
    """Write the code of a commit into a folder. Raises NoHistoryError."""
    folder.mkdir()
    archive = folder.with_suffix(".tar")
    _git(ROOT, "archive", "--format=tar", f"--output={archive}", commit, "msvs", "pyproject.toml")
    shutil.unpack_archive(archive, folder, filter="data")
    archive.unlink()


class Release:
    """The processes of one version of the code."""

    def __init__(self, name: str, code: Path, directory: Path, environment: Mapping[str, str]) -> None:
        self.name, self.code, self.directory = name, code, directory
        self.port = free_port()
        self.environment = dict(environment) | {"PYTHONPATH": str(code), "PORT": str(self.port)}
        self.processes: dict[str, asyncio.subprocess.Process] = {}

    async def command(self, *arguments: str) -> str:
        """Run a command to its end and return what it prints."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "msvs", *arguments),
            cwd=self.code,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"{self.name}: msvs {arguments[0]} ended with {process.returncode}: {err.decode()}")
        return out.decode()

    async def start(self, commands: Sequence[str]) -> None:
        """Start some of the processes."""
        for command in commands:
            with (self.directory / f"{self.name} {command}.log").open("ab") as log:
                self.processes[command] = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "msvs", *command.split()),
                    cwd=self.code,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    async def end(self, command: str) -> int | None:
        """End a process as a supervisor does, and return its status; None for one that does not end."""
        process = self.processes.pop(command)
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            return None

    async def kill(self) -> None:
        """Kill what is left."""
        for process in self.processes.values():
            if process.returncode is None:
                process.kill()
            await process.wait()


async def run(before: str, *, seconds: float, recipients: int, rate: float, directory: Path) -> Upgrade:
    """Make one upgrade, from an empty database to the checker's report."""
    upgrade = Upgrade(before)
    code = directory / "old"
    check_out(before, code)
    (directory / "run.json").write_text(json.dumps({"capability": "dedupe", "lease": 60.0}))
    engines = EmbeddedEngines(directory / "data")
    await asyncio.to_thread(_prepare_engines, engines)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    environment = kept | {
        "DATABASE_URL": engines.service_url,
        "MIGRATIONS_DATABASE_URL": engines.database_url,
        "REDIS_URL": engines.redis_url,
        "DATA_DIR": str(directory / "service"),
        "MSVS_SECRET_KEY": "the secret key of the upgrade",
        "MSVS_LIVE_CARRIER": "virtual",
        "MSVS_LOG_LEVEL": "WARNING",
    }
    old, new = Release("old", code, directory, environment), Release("new", ROOT, directory, environment)
    balancer = Balancer(upgrade, directory / "client.jsonl", seed=1)
    try:
        async with _receiving(directory) as receiver:
            await _roll(upgrade, old, new, balancer, receiver, engines, seconds, recipients, rate)
        upgrade.report = check(await read_facts(directory, engines.database_url))
    finally:
        await balancer.close()
        for release in (old, new):
            await release.kill()
        await asyncio.to_thread(engines.stop)
    return upgrade


def _prepare_engines(engines: EmbeddedEngines) -> None:
    """Start the engines, which keep the time of each commit for the checker."""
    EmbeddedEngines(engines.data_dir, valkey=False).start().stop()
    with (engines.data_dir / "postgresql" / "data" / "postgresql.conf").open("a") as settings:
        settings.write("\ntrack_commit_timestamp = on\n")
    engines.start()


@asynccontextmanager
async def _receiving(directory: Path) -> AsyncIterator[Receiver]:
    receiver = await Receiver(directory / "receiver.jsonl", seed=1).start()
    receiver.is_calm = True
    try:
        yield receiver
    finally:
        await receiver.stop()


async def _roll(
    upgrade: Upgrade,
    old: Release,
    new: Release,
    balancer: Balancer,
    receiver: Receiver,
    engines: EmbeddedEngines,
    seconds: float,
    recipients: int,
    rate: float,
) -> None:
    background = ["cron", *(f"worker {queue}" for queue in WORKERS)]
    await old.command("migrate")
    connection = await asyncpg.connect(engines.database_url)
    try:
        await connection.execute((Path(__file__).parent / "history.sql").read_text())
        # The service's role writes what its triggers note.
        await connection.execute("GRANT ALL ON chaos_messages, chaos_campaigns TO PUBLIC")
    finally:
        await connection.close()
    await old.start(["api", *background])
    balancer.ports["old"] = old.port
    watching = asyncio.create_task(balancer.watch())
    try:
        await _ready(balancer, "old")
        tenants = await _tenants(old, balancer, receiver, engines.database_url, recipients)
        load = Load(balancer, tenants, engines.database_url, seed=1, rate=rate)
        running = asyncio.create_task(load.run())
        try:
            await asyncio.sleep(seconds)
            began = time.monotonic()
            upgrade.applied = (await new.command("migrate")).splitlines()
            upgrade.migration_seconds = round(time.monotonic() - began, 1)
            await asyncio.sleep(seconds)
            await new.start(["api", *background])
            balancer.ports["new"] = new.port
            await _ready(balancer, "new")
            await asyncio.sleep(seconds)
            for command in [*background, "api"]:
                upgrade.endings[f"old {command}"] = await old.end(command)
            await asyncio.sleep(seconds)
        finally:
            load.stopping.set()
            await running
        upgrade.settled = await _settle(engines.database_url)
        await load.read_books()
        for command in [*background, "api"]:
            upgrade.endings[f"new {command}"] = await new.end(command)
    finally:
        watching.cancel()


async def _ready(balancer: Balancer, name: str) -> None:
    async with asyncio.timeout(READY_SECONDS):
        while name not in balancer.ready:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)


async def _tenants(
    old: Release, balancer: Balancer, receiver: Receiver, database_url: str, recipients: int
) -> list[Tenant]:
    """Two workspaces, the one live and the other in its sandbox, with a webhook each."""
    tenants, first = [], 0
    for name, livemode in (("one", True), ("two", False)):
        made = json.loads(await old.command("workspace", "create", "--json", "--name", name, "--credits", CREDITS))
        tenant = tenant_of(name, made, livemode=livemode)
        url = f"http://{LOOPBACK}:{receiver.port}/{name}"
        status, webhook = await balancer.post(tenant, "/v1/webhooks", {"url": url, "events": ["*"]})
        if status != 201:
            raise RuntimeError(f"no webhook endpoint: {status} {webhook}")
        receiver.secrets[name] = webhook["secret"]
        first = await make_contacts(database_url, tenant, lists=3, size=recipients, first=first)
        tenants.append(tenant)
    return tenants


async def _settle(database_url: str) -> bool:
    """Wait until nothing is left to do; whether that came to pass in time."""
    until, calm, counts = time.monotonic() + SETTLE_SECONDS, 0, {}
    connection = await asyncpg.connect(database_url)
    try:
        while time.monotonic() < until:
            counts = dict(await connection.fetchrow(OPEN))
            calm = 0 if any(counts.values()) else calm + 1
            if calm == 3:
                return True
            await asyncio.sleep(0.5)
    finally:
        await connection.close()
    print(f"not settled: {counts}")
    return False


def show(upgrade: Upgrade) -> None:
    """Print what a run came to."""
    rows = {
        "from": upgrade.before[:12],
        "migrations": ", ".join(line.removeprefix("Applied ").rstrip(".") for line in upgrade.applied),
        "migrated in (s)": upgrade.migration_seconds,
        "answers of the old API": upgrade.answered["old"],
        "answers of the new API": upgrade.answered["new"],
        "sent elsewhere": upgrade.redirected,
        "errors of clients": len(upgrade.errors),
        "5xx": sum(number for status, number in upgrade.statuses.items() if status >= 500),
        **upgrade.report.counts,
    }
    for name, value in rows.items():
        print(f"{name:<24} {value}")
    print("\n".join(upgrade.faults()) or "0 errors, 0 lost, 0 doubled; the books are true", flush=True)


def main() -> int:
    """Run; 0 when nothing was wrong, 3 when nothing could be proven."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="before", help="the commit of the release before")
    parser.add_argument("--seconds", type=float, default=20, help="of load in each of the four parts (20)")
    parser.add_argument("--recipients", type=int, default=1500, help="of each campaign (1500)")
    parser.add_argument("--rate", type=float, default=6.0, help="messages a second of each workspace (6)")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="msvs-upgrade-"))
    try:
        before = _git(ROOT, "rev-parse", "--verify", options.before) if options.before else second_newest_migration()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            upgrade = runner.run(
                run(
                    before,
                    seconds=options.seconds,
                    recipients=options.recipients,
                    rate=options.rate,
                    directory=directory,
                )
            )
    except NoHistoryError as error:
        print(f"proves nothing: this clone lacks the history of the release before ({error})")
        return PROVES_NOTHING
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    show(upgrade)
    return 1 if upgrade.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
