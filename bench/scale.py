"""Throughput against processes, and the processor time of each part of the service for a message."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import msgspec

from bench import accept, cpu, webhooks
from bench.engines import Bench, add_people
from bench.latency import wait_for_workers
from msvs import database as db
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.context import Context
from msvs.api.unit_of_work import unit_of_work
from msvs.local.embedded import POSTGRESQL, VALKEY
from tests.services import SERVICES

FIRST_PORT = 28_720
API_PROCESSES = (1, 2, 3, 4)
MESSAGE_WORKERS = (1, 2, 4, 8)
WEBHOOK_WORKERS = (1, 2)
REQUESTS = 6000
CONNECTIONS = 32
EVENTS = 500
BODY = "Hey {firstName}, cart closes tonight at 8pm ET. Reply STOP to opt out."
LOOK_SECONDS = 0.2
PATIENCE_SECONDS = 900.0
# After which what a backend of PostgreSQL counted is in its views.
COUNTED_SECONDS = 1.2
COUNTS = """
SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint AS wal, (
    SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()
) AS commits
"""
# A table's partitions are its own.
SIZES = """
SELECT coalesce(pg_partition_root(oid), oid)::regclass::text AS name, sum(pg_table_size(oid))::bigint AS rows,
    sum(pg_indexes_size(oid))::bigint AS indexes
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' GROUP BY 1
"""
PENDING = "SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'"


@dataclass(frozen=True)
class Run:
    """A load with so many processes, and what it took."""

    what: str
    processes: int
    number: int
    seconds: float
    # Seconds of processor time by part; `others` is all else on this machine, `wall` the time that passed.
    spent: Mapping[str, float]
    commits: int
    wal_bytes: int

    @property
    def rate(self) -> float:
        """What was done in a second."""
        return self.number / self.seconds

    @property
    def parts(self) -> dict[str, float]:
        """Microseconds of processor time by part, for one."""
        return {
            name: seconds / self.number * 1e6 for name, seconds in self.spent.items() if name not in ("others", "wall")
        }

    @property
    def cores(self) -> float:
        """The processors that were left to the run by all else on this machine."""
        return max(0.1, cpu.cores() - self.spent["others"] / self.spent["wall"])


@contextmanager
def started(place: Bench, *commands: Sequence[str], **environment: str) -> Iterator[list[int]]:
    """Run processes of the service; their ids."""
    with ExitStack() as stack:
        yield [stack.enter_context(place.process(*command, **environment)).pid for command in commands]


async def _measured(
    what: str, processes: int, number: int, groups: Mapping[str, Sequence[int]], work: Callable[[], Awaitable[float]]
) -> Run:
    """Do the work, which returns its seconds, and count what it takes."""
    await asyncio.sleep(COUNTED_SECONDS)
    before = await db.fetch_row(COUNTS)
    clock = cpu.Clock(groups)
    seconds = await work()
    spent = clock.read()
    await asyncio.sleep(COUNTED_SECONDS)
    after = await db.fetch_row(COUNTS)
    assert before is not None
    assert after is not None
    return Run(what, processes, number, seconds, spent, after.commits - before.commits, after.wal - before.wal)


def _engines(place: Bench) -> dict[str, list[int]]:
    return {name: [place.processes[name]] for name in (POSTGRESQL, VALKEY)}


async def run_accept(
    place: Bench, processes: int, *, requests: int = REQUESTS, connections: int = CONNECTIONS
) -> tuple[Run, float]:
    """Load so many API processes with single sends; the run, and the loader's own microseconds a request."""
    ports = [FIRST_PORT + number for number in range(processes)]
    figures: dict[str, float] = {}
    with ExitStack() as stack:
        pids = [stack.enter_context(place.process("-m", "bench.service", PORT=str(port))).pid for port in ports]
        for port in ports:
            accept.wait_for(port, "/healthz")

        async def load(number: int) -> float:
            told = ",".join(map(str, ports))
            found = await asyncio.to_thread(
                accept.load, place, told, "/v1/messages", place.live_key, number, connections
            )
            figures.update(found)
            return number / found["rate"]

        await load(requests // 4)  # the first loads what is loaded at first use
        run = await _measured("accept", processes, requests, _engines(place) | {"api": pids}, lambda: load(requests))
    return run, figures["cpu_us"]


async def run_campaign(place: Bench, workers: int, *, recipients: int, first: int) -> Run:
    """Send a campaign with so many workers of messages, from its creation to its last report."""
    ctx = Context(place.workspace_id, True, services=SERVICES)
    list_id = await add_people(place.workspace_id, True, recipients, first=first)
    rest = [("-m", "msvs", "worker", queue) for queue in ("campaigns", "reports", "maintenance")]
    with (
        started(place, *[("-m", "msvs", "worker", "messages")] * workers) as senders,
        started(place, *rest, ("-m", "msvs", "cron")) as others,
    ):
        wait_for_workers(place, workers + len(rest))

        async def work() -> float:
            begun = time.monotonic()
            async with unit_of_work():
                campaign = await campaigns.create_campaign(ctx, CreateCampaign("Scale", BODY, list_ids=[list_id]))
            while (await campaigns.campaign_stats(ctx, [campaign]))[campaign.id].delivered < recipients:
                _keep_patience(begun)
                await asyncio.sleep(LOOK_SECONDS)
            return time.monotonic() - begun

        groups = _engines(place) | {"workers": senders, "expand_and_reports": others}
        return await _measured("campaign", workers, recipients, groups, work)


async def run_webhooks(place: Bench, workers: int, *, rounds: int = 4) -> Run:
    """Deliver events to ten endpoints with so many workers of webhooks."""
    ctx = Context(place.workspace_id, True, services=SERVICES)
    limits = {"MSVS_WEBHOOK_HOST_RATE": "1000000", "MSVS_WEBHOOK_HOST_AT_ONCE": "1000"}
    argv = ("-m", "msvs", "worker", "webhooks")
    with (
        started(place, ("-m", "bench.receiver", str(webhooks.PORT))) as receivers,
        started(place, *[argv] * workers, **limits) as pids,
        started(place, ("-m", "msvs", "cron")) as crons,
    ):
        wait_for_workers(place, workers)

        async def work() -> float:
            for _ in range(rounds):
                await webhooks.write_events(ctx)
            begun = time.monotonic()
            while await db.fetch_value(PENDING):
                _keep_patience(begun)
                await asyncio.sleep(LOOK_SECONDS)
            return time.monotonic() - begun

        groups = _engines(place) | {"workers": pids, "receiver": receivers, "cron": crons}
        return await _measured("webhooks", workers, rounds * EVENTS * webhooks.ENDPOINTS, groups, work)


def subscribe(place: Bench) -> None:
    """Make the endpoints, by an API process that seals their secrets as the workers open them."""
    with place.process("-m", "bench.service", PORT=str(FIRST_PORT)):
        accept.wait_for(FIRST_PORT, "/healthz")
        for number in range(webhooks.ENDPOINTS):
            url = f"http://127.0.0.1:{webhooks.PORT}/{number}"
            body = msgspec.json.encode({"url": url, "events": ["message.delivered"]})
            head = {"Authorization": f"Bearer {place.live_key}", "Content-Type": "application/json"}
            request = urllib.request.Request(f"http://127.0.0.1:{FIRST_PORT}/v1/webhooks", body, head)
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.status == 201


def _keep_patience(begun: float) -> None:
    if time.monotonic() - begun > PATIENCE_SECONDS:
        raise TimeoutError("the run does not end")


async def sizes() -> dict[str, int]:
    """Return the bytes of each table, of its rows and of its indexes."""
    rows = await db.fetch(SIZES)
    return {f"{row.name}_rows": row.rows for row in rows} | {f"{row.name}_indexes": row.indexes for row in rows}


async def grown(before: Mapping[str, int], number: int) -> dict[str, float]:
    """Return what each of so many messages added to the tables, in bytes; what is less than one is left out."""
    added = {f"bytes_{name}": (size - before.get(name, 0)) / number for name, size in (await sizes()).items()}
    return {name: size for name, size in added.items() if size >= 1}


async def _measure(place: Bench, recipients: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    async with place.connected():
        runs = [(await run_accept(place, number))[0] for number in API_PROCESSES]
        before = await sizes()
        for turn, number in enumerate(MESSAGE_WORKERS):
            first = 3_000_000_000 + turn * recipients
            runs.append(await run_campaign(place, number, recipients=recipients, first=first))
        figures |= await grown(before, recipients * len(MESSAGE_WORKERS))
    await asyncio.to_thread(subscribe, place)
    async with place.connected():
        runs += [await run_webhooks(place, number) for number in WEBHOOK_WORKERS]
    for run in runs:
        show(run)
        name = f"{run.what}_{run.processes}"
        figures |= {f"{name}_per_s": run.rate, f"{name}_cores": run.cores, f"{name}_wal": run.wal_bytes / run.number}
        figures |= {f"{name}_{part}_us": us for part, us in run.parts.items()}
    return {name: round(value, 2) for name, value in figures.items()}


def show(run: Run) -> None:
    """Print a run, with each part's share of the processor time of one."""
    parts = run.parts
    total = sum(parts.values())
    shares = ", ".join(f"{name} {us:.0f} µs ({us / total:.0%})" for name, us in parts.items())
    print(
        f"{run.what:<9} {run.processes} processes: {run.rate:>8.0f}/s on {run.cores:.2f} cores; {shares}; "
        f"{run.wal_bytes / run.number:.0f} bytes of WAL, {run.commits / run.number:.3f} commits"
    )


def measure(place: Bench, recipients: int) -> dict[str, float]:
    """Return the rates and the processor time a message by part, for each number of processes."""
    asyncio.run(accept.add_recipients(place))
    return asyncio.run(_measure(place, min(recipients, 20_000)))
