"""Chaos runs: start the real service, load it, kill it, let it settle, and have the checker judge.

`python -m chaos.run --seeds 3 --kills 102 --control` is the full form; its control runs, with bugs on purpose, show
that the checker can fail.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import uvloop

from chaos.checker import Report, check, read_facts
from chaos.killer import KILLS, Killer
from chaos.load import AWAY, Bystander, Client, Load, Tenant, make_contacts, tenant_of
from chaos.mutations import MUTATIONS
from chaos.names import public_id
from chaos.proxy import Proxy
from chaos.receiver import Receiver
from msvs.local.embedded import EmbeddedEngines

ROOT = Path(__file__).parent.parent
CAPABILITIES = ("dedupe", "lookup", "none")
# How far off the clocks of one message worker and one maintenance worker are, in seconds.
SKEWS = ((-90.0, 90.0), (5.0, -5.0), (90.0, -90.0))
FAULTS = "refuse=0.01,drop=0.03,late=0.03,slow=0.1,throttle=0.03"
LEASE = 60.0
SHORT_LEASE = 5.0
# How long PostgreSQL lets a stopped process hold what it has, and how much longer a machine this busy may take.
IDLE = 10.0
SHORT_IDLE = 2.0
SLACK = 8.0
CREDITS = 4_000
# Thirteen processes start at once, on a machine that others may use.
START_TRIES = 1800
CONTROL_SECONDS = 15.0
# The bugs that every full run has to catch; `--mutation` takes any.
CONTROLS = ("fence", "skip-locked", "refund")


@dataclass(frozen=True)
class Plan:
    """One run."""

    seed: int
    capability: str
    kills: int
    seconds: float
    lease: float = LEASE
    recipients: int = 1500
    campaigns: int = 3
    rate: float = 6.0
    skews: Sequence[float] = ()
    idle: float = IDLE
    mutation: str = ""
    keep: Path | None = None


@dataclass
class Verdict:
    """What a run came to."""

    plan: Plan
    report: Report
    kills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    settled: bool = True


async def run(plan: Plan) -> Verdict:
    """Make one run from an empty directory to the checker's report."""
    started = time.monotonic()
    directory = plan.keep or Path(tempfile.mkdtemp(prefix="msvs-chaos-"))
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "run.json").write_text(
        json.dumps({"capability": plan.capability, "lease": plan.lease, "most_wait": plan.idle + SLACK})
    )
    data_dir = directory / "data"
    try:
        _prepare_engines(data_dir)
        async with _proxied(data_dir) as proxies, _receiving(directory, plan.seed) as receiver:
            api_port = _free_port()
            with _Service(plan, directory, proxies, api_port) as service:
                verdict = await _attack(plan, directory, service, proxies, receiver, api_port)
    finally:
        if plan.keep is None:
            shutil.rmtree(directory, ignore_errors=True)
    verdict.seconds = time.monotonic() - started
    return verdict


async def _attack(
    plan: Plan,
    directory: Path,
    service: subprocess.Popen[bytes],
    proxies: dict[str, Proxy],
    receiver: Receiver,
    api_port: int,
) -> Verdict:
    data_dir = directory / "data"
    await _answering(api_port, service)
    database_url = _database_url(data_dir)
    client = Client(api_port, directory / "client.jsonl", seed=plan.seed)
    try:
        tenants = await _tenants(plan, directory, database_url, client, receiver)
        load = Load(client, tenants, database_url, seed=plan.seed, rate=plan.rate)
        killer = Killer(service.pid, data_dir, proxies, directory / "kills.jsonl", plan.seed)
        running = asyncio.create_task(load.run())
        await killer.run(kills=plan.kills, seconds=plan.seconds)
        await asyncio.sleep(1)
        if not plan.mutation:
            await _answering(api_port, service)
            await _stop_each(plan, directory, client, load, killer)
        load.stopping.set()
        await running
        receiver.is_calm = True
        await asyncio.to_thread(_top_up, data_dir, tenants)
        settled = await _settle(plan, database_url)
        await load.read_books()
    finally:
        await client.close()
    facts = await read_facts(directory, database_url)
    return Verdict(plan, check(facts), killer.counts, settled=settled)


async def _stop_each(plan: Plan, directory: Path, client: Client, load: Load, killer: Killer) -> None:
    """Stop a process of each kind for longer than PostgreSQL waits for it, beside a workspace that wants none of it."""
    data_dir = directory / "data"
    made = await asyncio.to_thread(
        _msvs, data_dir, "workspace", "create", "--json", "--name", "Bystander", "--credits", "100000"
    )
    tenant = tenant_of("bystander-live", made, livemode=True)
    await make_contacts(load.database_url, tenant, lists=0, size=800, first=900_000)
    over = asyncio.Event()
    watching = asyncio.create_task(Bystander(client, tenant, load, directory / "bystander.jsonl").run(over))
    try:
        await killer.stop_each(1.5 * plan.idle)
    finally:
        over.set()
        await watching


def _prepare_engines(data_dir: Path) -> None:
    """Make PostgreSQL's files, and have it keep the time of each commit, which the checker reads."""
    EmbeddedEngines(data_dir, valkey=False).start().stop()
    with (data_dir / "postgresql" / "data" / "postgresql.conf").open("a") as settings:
        settings.write("\ntrack_commit_timestamp = on\n")


@asynccontextmanager
async def _proxied(data_dir: Path) -> AsyncIterator[dict[str, Proxy]]:
    def port_of(engine: str) -> int:
        return int(json.loads((data_dir / engine / "port").read_text()))

    proxies = {
        "postgresql": await Proxy(lambda: port_of("postgresql")).start(),
        "valkey": await Proxy(lambda: port_of("valkey")).start(),
    }
    try:
        yield proxies
    finally:
        for proxy in proxies.values():
            await proxy.stop()


@asynccontextmanager
async def _receiving(directory: Path, seed: int) -> AsyncIterator[Receiver]:
    receiver = await Receiver(directory / "receiver.jsonl", seed=seed).start()
    try:
        yield receiver
    finally:
        await receiver.stop()


class _Service:
    """The service as a process of its own, ended with all it started when the block ends."""

    def __init__(self, plan: Plan, directory: Path, proxies: dict[str, Proxy], api_port: int) -> None:
        self.log = (directory / "service.log").open("ab")
        environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR")} | {
            "DATA_DIR": str(directory / "data"),
            "PORT": str(api_port),
            "MSVS_LIVE_CARRIER": "virtual",
            "MSVS_VIRTUAL_CAPABILITY": plan.capability,
            "MSVS_VIRTUAL_FAULTS": f"{FAULTS},seed={plan.seed}",
            "MSVS_LOG_LEVEL": "WARNING",
            "CHAOS_POSTGRESQL_PORT": str(proxies["postgresql"].port),
            "CHAOS_VALKEY_PORT": str(proxies["valkey"].port),
        }
        environment["CHAOS_IDLE"] = f"{plan.idle * 1000:.0f}ms"
        if plan.lease != LEASE:
            environment["CHAOS_LEASE"] = str(plan.lease)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "chaos.service", json.dumps(_processes(plan))],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self.process

    def __exit__(self, *_error: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            # The second signal ends the wait for the children.
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def _processes(plan: Plan) -> list[list[str]]:
    """The service's processes: two of each but the API, and some of them with a wrong clock."""
    names = ["api", "worker messages", "worker messages", "worker campaigns", "worker reports", "worker webhooks"]
    names += ["worker campaigns", "worker reports", "worker webhooks"]
    names += ["worker maintenance", "worker maintenance", "cron", "cron"]
    skews = dict(zip(("worker messages", "worker maintenance"), plan.skews, strict=False))
    children = []
    for name in names:
        options = []
        if name in skews:
            options += [f"--skew={skews.pop(name)}"]
        if plan.mutation:
            options += [f"--mutation={plan.mutation}"]
        children.append([name, *options])
    return children


async def _answering(port: int, service: subprocess.Popen[bytes]) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        for _ in range(START_TRIES):
            if service.poll() is not None:
                raise RuntimeError(f"the service ended with status {service.returncode}: see its log")
            try:
                async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.1)
    raise RuntimeError("the service does not answer")


async def _tenants(plan: Plan, directory: Path, database_url: str, client: Client, receiver: Receiver) -> list[Tenant]:
    """Two workspaces in both modes, with endpoints and contacts, and the history that the checker reads."""
    data_dir = directory / "data"
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute((Path(__file__).parent / "history.sql").read_text())
    finally:
        await connection.close()
    demo = json.loads((data_dir / "demo.json").read_text())
    other = await asyncio.to_thread(
        _msvs, data_dir, "workspace", "create", "--json", "--name", "Another Studio", "--credits", str(CREDITS)
    )
    tenants = [
        tenant_of("one-live", demo, livemode=True),
        tenant_of("one-test", demo, livemode=False),
        tenant_of("two-live", other, livemode=True),
    ]
    first = 0
    for tenant in tenants:
        status, made = await client.post(
            tenant, "/v1/webhooks", {"url": f"http://127.0.0.1:{receiver.port}/{tenant.name}", "events": ["*"]}
        )
        if status != 201:
            raise RuntimeError(f"no webhook endpoint: {status} {made}")
        receiver.secrets[tenant.name] = made["secret"]
        first = await make_contacts(database_url, tenant, lists=plan.campaigns, size=plan.recipients, first=first)
    return tenants


def _top_up(data_dir: Path, tenants: Sequence[Tenant]) -> None:
    """Pay for what waits for credits."""
    for workspace_id in {tenant.workspace_id for tenant in tenants}:
        _msvs(data_dir, "credits", "grant", "--json", "--workspace", public_id("wsp", workspace_id), "100000")


def _msvs(data_dir: Path, *arguments: str) -> Any:
    """Run the service's own command against the engines, past the proxies."""
    password = (data_dir / "valkey" / "password").read_text().strip()
    port = json.loads((data_dir / "valkey" / "port").read_text())
    environment = os.environ | {
        "DATA_DIR": str(data_dir),
        "DATABASE_URL": _database_url(data_dir),
        "REDIS_URL": f"redis://:{password}@127.0.0.1:{port}/0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "msvs", *arguments], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    return json.loads(done.stdout)


def _database_url(data_dir: Path) -> str:
    password = (data_dir / "postgresql" / "password").read_text().strip()
    port = json.loads((data_dir / "postgresql" / "port").read_text())
    return f"postgresql://msvs:{password}@127.0.0.1:{port}/msvs"


OPEN = """
SELECT (SELECT count(*) FROM messages WHERE status IN ('queued', 'scheduled')
        OR (status = 'sending' AND lease_until IS NOT NULL)) AS messages,
    (SELECT count(*) FROM virtual_signals WHERE due_at < now() + interval '50 seconds') AS signals,
    (SELECT count(*) FROM campaigns WHERE sequence_id IS NULL AND (status IN ('scheduled', 'preparing', 'paused')
        OR (status = 'sending'
            AND NOT EXISTS (SELECT FROM messages WHERE campaign_id = campaigns.id AND status = 'sending')))
    ) AS campaigns,
    (SELECT count(*) FROM sequence_enrollments WHERE state = 'active') AS enrollments,
    (SELECT count(*) FROM sequence_entries) AS entries,
    (SELECT count(*) FROM webhook_deliveries WHERE state = 'pending') AS webhooks
"""


async def _settle(plan: Plan, database_url: str) -> bool:
    """Wait until nothing is left to do; whether that came to pass in time."""
    # What a bug has left may never settle.
    until = time.monotonic() + (CONTROL_SECONDS if plan.mutation else 2 * plan.lease + 75)
    calm = 0
    counts: dict[str, int] = {}
    while time.monotonic() < until:
        try:
            connection = await asyncpg.connect(database_url, timeout=5)
            try:
                counts = dict(await connection.fetchrow(OPEN, timeout=10))
            finally:
                await connection.close(timeout=2)
        except AWAY:
            calm = 0
        else:
            calm = 0 if any(counts.values()) else calm + 1
        if calm == 3:
            return True
        await asyncio.sleep(0.5)
    if not plan.mutation:
        print(f"not settled: {counts}")
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def show(verdicts: Sequence[Verdict]) -> None:
    """Print what the runs came to, a column a run."""
    rows: dict[str, list[object]] = {}
    for number, verdict in enumerate(verdicts):
        plan = verdict.plan
        values: dict[str, object] = {
            "seed": plan.seed,
            "carrier": plan.capability,
            "clocks off by (s)": "/".join(f"{skew:+g}" for skew in plan.skews) or "-",
            "kills": sum(count for kind, count in verdict.kills.items() if kind in KILLS),
            **{f"  {kind}": verdict.kills[kind] for kind in KILLS},
            "other faults": sum(count for kind, count in verdict.kills.items() if kind not in KILLS),
            **verdict.report.counts,
            **{f"check {name}": len(verdict.report.broken.get(name, ())) or "ok" for name in verdict.report.checks},
            "settled": "yes" if verdict.settled else "NO",
            "seconds": round(verdict.seconds),
        }
        for name, value in values.items():
            rows.setdefault(name, ["-"] * len(verdicts))[number] = value
    for name, cells in rows.items():
        print(f"{name:<22}" + "".join(f"{cell!s:>14}" for cell in cells))
    for verdict in verdicts:
        if not verdict.report.is_clean:
            print(f"\nseed {verdict.plan.seed}:")
            print("\n".join(verdict.report.lines()))
    print(flush=True)


def plans(options: argparse.Namespace) -> list[Plan]:
    """The runs asked for; the capability rotates over them."""
    made = []
    for number in range(options.seeds):
        short = options.short
        made.append(
            Plan(
                seed=options.seed + number,
                capability=options.capability or CAPABILITIES[number % len(CAPABILITIES)],
                kills=-(-options.kills // options.seeds),
                seconds=options.seconds or 3 * -(-options.kills // options.seeds),
                lease=SHORT_LEASE if short else LEASE,
                recipients=400 if short else 1500,
                campaigns=1 if short else 3,
                idle=SHORT_IDLE if short else IDLE,
                skews=tuple(options.skew or SKEWS[number % len(SKEWS)]),
                keep=None if options.keep is None else options.keep / f"seed-{options.seed + number}",
            )
        )
    return made


def control(names: Sequence[str], seed: int) -> bool:
    """Make a run with each bug; whether the checker found every one."""
    missed = []
    for name in names:
        mutation = MUTATIONS[name]
        plan = Plan(
            seed=seed,
            capability=mutation.capability,
            kills=8,
            seconds=12,
            lease=SHORT_LEASE,
            recipients=800,
            campaigns=1,
            mutation=name,
        )
        verdict = _run(plan)
        found = mutation.caught_by & verdict.report.broken.keys()
        print(
            f"{name:<14} {mutation.what:<60} {'caught by ' + ', '.join(sorted(found)) if found else 'MISSED'}",
            flush=True,
        )
        if not found:
            missed.append(name)
    return not missed


def _run(plan: Plan) -> Verdict:
    async def ended_by_signals() -> Verdict:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await run(plan)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(ended_by_signals())


def main() -> int:
    """Run; 0 when nothing was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=102, help="in all runs together")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seconds", type=float, default=0, help="of load and kills, a run; by default 3 a kill")
    parser.add_argument("--capability", choices=CAPABILITIES)
    parser.add_argument(
        "--skew", type=float, action="append", help="of a message worker's clock, then a maintenance one's"
    )
    parser.add_argument("--short", action="store_true", help="short leases and little load")
    parser.add_argument("--keep", type=Path, help="keep what the runs leave, here")
    parser.add_argument("--control", action="store_true", help="also run with bugs on purpose, to see them caught")
    parser.add_argument("--mutation", action="append", choices=list(MUTATIONS), help="only this bug, nothing else")
    options = parser.parse_args()
    if options.mutation:
        return 0 if control(options.mutation, options.seed) else 1
    verdicts = []
    for plan in plans(options):
        verdict = _run(plan)
        verdicts.append(verdict)
        show([verdict])
    if len(verdicts) > 1:
        show(verdicts)
    clean = all(verdict.report.is_clean and verdict.settled for verdict in verdicts)
    caught = control(CONTROLS, options.seed) if options.control else True
    return 0 if clean and caught else 1


if __name__ == "__main__":
    sys.exit(main())
