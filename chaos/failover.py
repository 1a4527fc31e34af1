"""Fail over under a campaign: hosts are network namespaces, and each loss is one of a whole host or of its network.

`python -m chaos.failover --recipients 50000` is the full form. Needs root, iproute2, Debian's patroni, etcd-server and
postgresql.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import aiohttp
import asyncpg
import uvloop

from chaos.far_carrier import FarServer
from chaos.hosts import Host, HostsError, Network
from chaos.load import Tenant, make_contacts, tenant_of
from chaos.names import public_id, row_id
from msvs.local.embedded import valkey_executable

ROOT = Path(__file__).parent.parent
SCOPE = "msvs"
# The folder of the checkout may be closed to others, and Patroni goes back to the one it was started in.
AS_POSTGRES = ("env", "--chdir=/", "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
EVENTS = ("sessions", "valkey", "worker", "primary", "split")
WORKERS = ("messages", "campaigns", "reports", "maintenance")
SENDER = "+14155550000"
CREDITS = 1_000_000
PROBE_SECONDS = 0.2
START_SECONDS = 180.0
EVENT_SECONDS = 120.0
# What a worker that is gone left is taken over after its lease, and each step waits for the one before.
SETTLE_SECONDS = 300.0
LEASE = 20.0
# Steps that may take the rate of the campaign: the gaps at the carrier are told from its own.
AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

PATRONI = """
scope: {scope}
name: {name}
restapi: {{listen: "{address}:8008", connect_address: "{address}:8008"}}
etcd3: {{hosts: [{etcd}]}}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 3
    retry_timeout: 5
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters: {{wal_log_hints: "on", max_connections: 200, shared_buffers: 128MB, max_wal_size: 2GB,
        log_min_error_statement: panic, idle_session_timeout: 0}}
  initdb: [{{encoding: UTF8}}, {{locale: C.UTF-8}}, data-checksums]
postgresql:
  listen: "0.0.0.0:5432"
  connect_address: "{address}:5432"
  data_dir: {data}
  bin_dir: {binaries}
  pg_hba: ["local all all trust", "host all all 0.0.0.0/0 trust", "host replication all 0.0.0.0/0 trust"]
  authentication: {{superuser: {{username: postgres}}, replication: {{username: replicator}}}}
  parameters: {{unix_socket_directories: "{folder}"}}
  remove_data_directory_on_diverged_timelines: true
"""
CARRIERS = '[far]\nkind = "far"\nhost = "{host}"\nport = {port}\nrate = {rate}\n'

OPEN = """
SELECT count(*) FROM messages WHERE status IN ('queued', 'scheduled', 'sending', 'sent')
"""
BOOKS = """
SELECT (SELECT balance FROM credit_balances WHERE workspace_id = $1) AS balance,
    (SELECT coalesce(sum(amount), 0)::bigint FROM ledger_entries WHERE workspace_id = $1) AS entries,
    (SELECT coalesce(sum(segments), 0)::bigint FROM messages WHERE workspace_id = $1 AND livemode) AS segments,
    (SELECT count(*) FROM (SELECT reference FROM ledger_entries WHERE workspace_id = $1 AND kind = 'capture'
        GROUP BY reference HAVING count(*) > 1) AS twice) AS charged_twice
"""


@dataclass
class Event:
    """What was lost, and how long it was missed, in seconds."""

    name: str
    api_gap: float = 0.0
    carrier_gap: float = 0.0
    note: str = ""


@dataclass
class Outcome:
    """What a run came to; everything in `wrong` is zero where it kept its promises."""

    events: list[Event] = field(default_factory=list)
    counts: dict[str, object] = field(default_factory=dict)
    wrong: dict[str, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost or doubled, and the books are true."""
        return not any(self.wrong.values())


class Run:
    """The hosts, the campaign, the losses, and the count."""

    def __init__(
        self, directory: Path, network: Network, *, recipients: int, rate: float, events: Sequence[str]
    ) -> None:
        self.directory = directory
        self.network = network
        self.recipients = recipients
        self.rate = rate
        self.events = events
        self.carrier = FarServer()
        self.outcome = Outcome()
        self.accepted: list[tuple[str, float]] = []
        names = ("db1", "db2", "db3", "kv1", "kv2", "api", "w1", "w2", "s1", "s2")
        self.hosts = {name: network.host(name) for name in names}

    async def run(self) -> Outcome:
        """Make the run."""
        port = await self.carrier.start(self.network.gateway)
        (self.directory / "carriers.toml").write_text(
            CARRIERS.format(host=self.network.gateway, port=port, rate=self.rate)
        )
        try:
            self._start_engines()
            await self._until(self._has_standby, START_SECONDS, "a primary with a synchronous standby")
            await self._make_database()
            self._start_service()
            tenant = await self._make_tenant()
            await self._until(self._answers, START_SECONDS, "the API")
            await self._attack(tenant)
            await self._count(tenant)
        finally:
            self.carrier.stop()
        return self.outcome

    # The engines

    def _start_engines(self) -> None:
        databases = [self.hosts[name] for name in ("db1", "db2", "db3")]
        cluster = ",".join(f"{host.name}=http://{host.address}:2380" for host in databases)
        for host in databases:
            self._start_etcd(host, cluster)
        etcd = ", ".join(f'"{host.address}:2379"' for host in databases)
        for host in databases[:2]:
            self._start_patroni(host, etcd)
        first = self.hosts["kv1"]
        for name in ("kv1", "kv2"):
            more = "" if name == "kv1" else f"replicaof {first.address} 6379\n"
            self._start_valkey(self.hosts[name], f"port 6379\nmaxmemory-policy noeviction\nsave ''\n{more}")
        for name in ("db3", "kv2", "api"):
            watch = f"port 26379\nsentinel monitor msvs {first.address} 6379 2\n"
            watch += "sentinel down-after-milliseconds msvs 2000\nsentinel failover-timeout msvs 10000\n"
            self._start_valkey(self.hosts[name], watch, "--sentinel")

    def _start_etcd(self, host: Host, cluster: str) -> None:
        peer, client = f"http://{host.address}:2380", f"http://{host.address}:2379"
        options = {
            "name": host.name, "data-dir": str(self.directory / f"etcd-{host.name}"), "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer, "listen-client-urls": client, "advertise-client-urls": client,
            "initial-cluster": cluster, "heartbeat-interval": "200", "election-timeout": "2000",
        }  # fmt: skip
        host.run(["etcd", *(f"--{name}={value}" for name, value in options.items())], self._log(host, "etcd"))

    def _start_patroni(self, host: Host, etcd: str) -> None:
        folder = self.directory / host.name
        folder.mkdir()
        shutil.chown(folder, "postgres", "postgres")
        file = self.directory / f"patroni-{host.name}.yml"
        file.write_text(
            PATRONI.format(
                scope=SCOPE,
                name=host.name,
                address=host.address,
                etcd=etcd,
                data=folder / "data",
                folder=folder,
                binaries=postgresql_folder(),
            )
        )
        host.run([*AS_POSTGRES, "/usr/bin/patroni", str(file)], self._log(host, "patroni"))

    def _start_valkey(self, host: Host, configuration: str, *options: str) -> None:
        home = self.directory / f"valkey-{host.name}{'-sentinel' if options else ''}"
        home.mkdir()
        file = home / "valkey.conf"
        file.write_text(f"bind {host.address}\nprotected-mode no\ndir {home}\n{configuration}")
        host.run([str(valkey_executable()), str(file), *options], self._log(host, home.name))

    def _log(self, host: Host, name: str) -> Path:
        return self.directory / f"{host.name}-{name}.log"

    @property
    def database_url(self) -> str:
        """The URL of both database hosts."""
        hosts = ",".join(self.hosts[name].address for name in ("db1", "db2"))
        return f"postgresql://msvs@{hosts}/msvs"

    async def _connect(self, user: str = "msvs", database: str = "msvs") -> asyncpg.Connection:
        hosts = [self.hosts[name].address for name in ("db1", "db2")]
        for host in hosts:
            with suppress(*AWAY):
                found: asyncpg.Connection = await asyncpg.connect(
                    host=host, user=user, database=database, timeout=2, target_session_attrs="primary"
                )
                return found
        raise OSError("no primary")

    async def _has_standby(self) -> bool:
        connection = await self._connect("postgres", "postgres")
        try:
            return bool(
                await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'"
                )
            )
        finally:
            await connection.close(timeout=2)

    async def _make_database(self) -> None:
        connection = await self._connect("postgres", "postgres")
        await connection.execute("CREATE ROLE msvs LOGIN")
        await connection.execute("GRANT pg_monitor TO msvs")
        await connection.execute("CREATE DATABASE msvs OWNER msvs ENCODING 'UTF8' TEMPLATE template0")
        await connection.close()
        # PostgreSQL ends a transaction whose process says nothing for ten seconds, as on a machine that is overloaded.
        for last in (False, False, True):
            try:
                await asyncio.to_thread(self._msvs, "migrate")
                break
            except RuntimeError:
                if last:
                    raise

    # The service

    def _environment(self, host: Host | None = None) -> dict[str, str]:
        sentinels = ",".join(f"{self.hosts[name].address}:26379" for name in ("db3", "kv2", "api"))
        return {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(self.directory / "data"),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": f"redis+sentinel://{sentinels}/0?master=msvs",
            "MSVS_CARRIERS": str(self.directory / "carriers.toml"),
            "MSVS_LIVE_CARRIER": "far",
            "MSVS_SECRET_KEY": "chaos",
            "MSVS_LOG_LEVEL": "WARNING",
            "MSVS_ALLOW_INSECURE": "public_address",
            "MSVS_SESSIONS_HOST": host.address if host else "127.0.0.1",
            "HOST": host.address if host else "127.0.0.1",
            "PYTHONPATH": str(ROOT),
            "CHAOS_LEASE": str(LEASE),
        }

    def _start_service(self) -> None:
        commands = {"api": ("api", "cron"), "s1": ("binds",), "s2": ("binds",)}
        for name in ("w1", "w2"):
            commands[name] = (*(f"worker {queue}" for queue in WORKERS), "cron")
        for name, started in commands.items():
            host = self.hosts[name]
            for command in started:
                host.run(
                    [sys.executable, "-m", "chaos.far_carrier", "--", *command.split()],
                    self._log(host, command.replace(" ", "-")),
                    self._environment(host),
                )

    def _msvs(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "chaos.far_carrier", "--", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self._environment(), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"msvs {arguments[0]}: {done.stderr[-2000:]}")
        return done.stdout

    async def _make_tenant(self) -> Tenant:
        made = await asyncio.to_thread(
            self._msvs, "workspace", "create", "--json", "--name", "Cohort Labs", "--credits", str(CREDITS)
        )
        tenant = tenant_of("live", json.loads(made), livemode=True)
        workspace = public_id("wsp", tenant.workspace_id)
        await asyncio.to_thread(
            self._msvs, "senders", "add", SENDER, "--workspace", workspace, "--registration", "C0HORT", "--json"
        )
        primary = await self._connect()
        host = primary.get_settings() and primary._addr[0]
        await primary.close()
        await make_contacts(f"postgresql://msvs@{host}/msvs", tenant, lists=1, size=self.recipients, first=0)
        return tenant

    @property
    def _base(self) -> str:
        return f"http://{self.hosts['api'].address}:8000"

    async def _answers(self) -> bool:
        async with aiohttp.ClientSession() as session, session.get(f"{self._base}/healthz") as answer:
            return answer.status == 200

    # The losses

    async def _attack(self, tenant: Tenant) -> None:
        timeout = aiohttp.ClientTimeout(total=4)
        headers = {"Authorization": f"Bearer {tenant.key}"}
        async with aiohttp.ClientSession(self._base, timeout=timeout, headers=headers) as session:
            body = {
                "name": "Cohort 06",
                "body": "Doors open at nine.",
                "from": SENDER,
                "audience": {"list_ids": [tenant.lists[0][0]]},
            }
            # The first request of a service that has just started, on a machine that may be busy.
            patience = aiohttp.ClientTimeout(total=START_SECONDS)
            async with session.post("/v1/campaigns", json=body, timeout=patience) as answer:
                if answer.status != 201:
                    raise RuntimeError(f"no campaign: {answer.status} {await answer.text()}")
            over = asyncio.Event()
            probing = asyncio.create_task(self._probe(session, over))
            began = time.monotonic()
            try:
                await self._until(self._is_sending, START_SECONDS, "the first messages at the carrier")
                for name in self.events:
                    await self._lose(name)
            finally:
                # While an integrator sends, some message always waits for its report.
                over.set()
                await probing
            await self._until(self._is_settled, SETTLE_SECONDS + self.recipients / self.rate * 2, "the end")
            self.outcome.counts["seconds"] = round(time.monotonic() - began)

    async def _probe(self, session: aiohttp.ClientSession, over: asyncio.Event) -> None:
        """Send a message five times a second, each again until it is answered, as an integrator does."""
        number = 0
        while not over.is_set():
            number += 1
            headers = {"Idempotency-Key": f"probe-{number}"}
            body = {"to": f"+1312{5_000_000 + number:07d}", "from": SENDER, "body": "Your class is at nine."}
            while not over.is_set():
                with suppress(aiohttp.ClientError, TimeoutError, ValueError):
                    async with session.post("/v1/messages", json=body, headers=headers) as answer:
                        if answer.status == 201:
                            self.accepted.append(((await answer.json())["id"], time.monotonic()))
                            break
                        if answer.status < 500 and answer.status not in (409, 429):
                            raise RuntimeError(f"a probe was refused: {answer.status} {await answer.text()}")
                await asyncio.sleep(PROBE_SECONDS)
            await asyncio.sleep(PROBE_SECONDS)

    async def _is_sending(self) -> bool:
        return len(self.carrier.phones) > min(100, self.recipients / 10)

    async def _lose(self, name: str) -> None:
        """Lose something, wait until the API and the carrier go on and it is back, and note how long they did not."""
        event = Event(name)
        began = time.monotonic()
        loss: Callable[[Event], Awaitable[None]] = getattr(self, f"_lose_{name}")
        await loss(event)

        async def goes_on() -> bool:
            since = time.monotonic() - 3
            accepts = sum(at > since for _, at in self.accepted[-50:])
            return accepts >= 3 and bool(self.carrier.accepted_at) and self.carrier.accepted_at[-1] > since

        await asyncio.sleep(3)
        await self._until(goes_on, EVENT_SECONDS, f"going on after the loss of {name}")
        ended = time.monotonic()
        event.api_gap = longest_gap([at for _, at in self.accepted], began, ended)
        event.carrier_gap = longest_gap(self.carrier.accepted_at, began, ended)
        self.outcome.events.append(event)
        print(f"{name:>10}  API {event.api_gap:5.1f} s  carrier {event.carrier_gap:5.1f} s  {event.note}", flush=True)

    async def _lose_sessions(self, event: Event) -> None:
        """Lose the host whose process holds the binds of the carrier."""
        owner = await self._fetch("SELECT address FROM carrier_sessions")
        host = next(each for each in self.hosts.values() if str(owner).startswith(f"{each.address}:"))
        host.kill()
        host.cut()
        event.note = f"{host.name} held the binds"
        await asyncio.sleep(15)
        host.join()
        host.boot()

    async def _lose_worker(self, event: Event) -> None:
        """Lose a whole host of workers."""
        host = self.hosts["w1"]
        host.kill()
        host.cut()
        await asyncio.sleep(15)
        host.join()
        host.boot()

    async def _lose_valkey(self, event: Event) -> None:
        """Lose the primary of the Sentinels for good; its replica takes over."""
        self.hosts["kv1"].kill()
        await asyncio.sleep(10)

    async def _lose_primary(self, event: Event) -> None:
        """Kill PostgreSQL and what tends it on the primary's host; it comes back as a standby."""
        host = await self._primary()
        host.kill()
        other = self.hosts["db2" if host.name == "db1" else "db1"]
        await self._until(lambda: self._is_primary(other), EVENT_SECONDS, "a promotion")
        host.boot()
        await self._until(self._has_standby, EVENT_SECONDS, "the old primary as a standby")
        event.note = f"{host.name} → {other.name}; {host.name} is its standby"

    async def _lose_split(self, event: Event) -> None:
        """Cut the primary's host off from all others; it must accept nothing meanwhile."""
        host = await self._primary()
        other = self.hosts["db2" if host.name == "db1" else "db1"]
        host.cut()
        asked = accepted = 0
        try:
            until = time.monotonic() + EVENT_SECONDS
            while not await self._quietly(self._is_primary(other)) and time.monotonic() < until:
                accepted += await asyncio.to_thread(self._commits_on, host)
                asked += 1
        finally:
            host.join()
        self.outcome.wrong["commits on a primary that was cut off"] = accepted
        await self._until(self._has_standby, EVENT_SECONDS, "the old primary as a standby")
        event.note = f"{host.name} → {other.name}; {host.name} was asked for a commit {asked} times and made {accepted}"

    def _commits_on(self, host: Host) -> bool:
        """Whether a host commits what is asked of it by a process of its own."""
        sql = "CREATE TABLE IF NOT EXISTS alone (n int); INSERT INTO alone VALUES (1)"
        command = ["psql", "-h", "127.0.0.1", "-U", "msvs", "-d", "msvs", "-qAtc", f"{sql}; SELECT 'done'"]
        return "done" in host.ask(command, 2.0)

    async def _primary(self) -> Host:
        for name in ("db1", "db2"):
            if await self._quietly(self._is_primary(self.hosts[name])):
                return self.hosts[name]
        raise RuntimeError("there is no primary")

    async def _is_primary(self, host: Host) -> bool:
        connection = await asyncpg.connect(
            host=host.address, user="postgres", database="postgres", timeout=2, target_session_attrs="primary"
        )
        await connection.close(timeout=2)
        return True

    async def _quietly(self, question: Awaitable[bool]) -> bool:
        try:
            return await question
        except (*AWAY, aiohttp.ClientError):
            return False

    async def _until(self, question: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
        until = time.monotonic() + seconds
        while not await self._quietly(question()):
            if time.monotonic() > until:
                raise RuntimeError(f"it did not come to {what} within {seconds:.0f} s")
            await asyncio.sleep(0.3)

    # The count

    async def _fetch(self, sql: str, *values: object) -> object:
        connection = await self._connect()
        try:
            return await connection.fetchval(sql, *values, timeout=30)
        finally:
            await connection.close(timeout=2)

    async def _is_settled(self) -> bool:
        open_ = await self._fetch(OPEN)
        expanded = await self._fetch("SELECT count(*) FROM messages WHERE campaign_id IS NOT NULL")
        return open_ == 0 and expanded == self.recipients

    async def _count(self, tenant: Tenant) -> None:
        connection = await self._connect()
        rows = await connection.fetch("SELECT id, status, to_phone, campaign_id, segments FROM messages")
        books = await connection.fetchrow(BOOKS, tenant.workspace_id)
        campaign = await connection.fetchrow("SELECT status FROM campaigns")
        await connection.close()
        taken, statuses = self.carrier.phones, {}
        for row in rows:
            statuses[row["status"]] = statuses.get(row["status"], 0) + 1
        ids = {row["id"] for row in rows}
        in_campaign = [row for row in rows if row["campaign_id"] is not None]
        phones = list(taken.values())
        self.outcome.counts |= {
            "messages": len(rows), "probes accepted": len(self.accepted), "statuses": statuses,
            "campaign": campaign["status"], "at the carrier": len(taken),
            "offered again to the carrier": sum(self.carrier.offers.values()) - len(taken),
        }  # fmt: skip
        self.outcome.wrong |= {
            "accepted, and not there": sum(row_id(id) not in ids for id, _ in self.accepted),
            "recipients without a message": self.recipients - len({row["to_phone"] for row in in_campaign}),
            "recipients with two": len(in_campaign) - len({row["to_phone"] for row in in_campaign}),
            "not final": sum(row["status"] != "delivered" for row in rows),
            "lost: sent, and not at the carrier": sum(str(row["id"]) not in taken for row in rows),
            "at the carrier, and of no message": sum(UUID(id) not in ids for id in taken),
            "phones with two messages at the carrier": len(phones) - len(set(phones)),
            "balance and ledger differ by": abs(books["balance"] - books["entries"]),
            "ledger and segments differ by": abs(CREDITS - books["entries"] - books["segments"]),
            "charged twice": books["charged_twice"],
        }


def longest_gap(times: Sequence[float], began: float, ended: float) -> float:
    """Return the longest time without any of `times` between two moments."""
    inside = [at for at in times if began <= at <= ended]
    edges = [began, *inside, ended]
    return max(later - earlier for earlier, later in pairwise(edges))


def postgresql_folder() -> Path:
    """Return where Debian's PostgreSQL is. Raises HostsError."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found or any(shutil.which(name) is None for name in ("patroni", "etcd", "psql", "setpriv")):
        raise HostsError("Debian's postgresql, patroni and etcd-server are not installed")
    return found[-1]


def main() -> int:
    """Make a run and print what it came to; 1 if a promise was broken, 3 if this machine cannot make hosts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=50_000)
    parser.add_argument("--rate", type=float, default=200.0, help="messages a second at the carrier")
    parser.add_argument("--events", default=",".join(EVENTS), help="what is lost, in order")
    parser.add_argument("--keep", type=Path, help="leave the logs here")
    options = parser.parse_args()
    directory = options.keep or Path(tempfile.mkdtemp(prefix="msvs-failover-"))
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    try:
        postgresql_folder()
        network = Network()
    except HostsError as error:
        print(f"nothing was proved: {error}")
        return 3
    try:
        run = Run(
            directory,
            network,
            recipients=options.recipients,
            rate=options.rate,
            events=options.events.split(","),
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            outcome = runner.run(run.run())
    finally:
        network.close()
        if options.keep is None:
            shutil.rmtree(directory, ignore_errors=True)
    print(json.dumps({"counts": outcome.counts, "wrong": outcome.wrong}, indent=2))
    return 0 if outcome.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
