"""A model of the service: from what one process of each kind takes, the throughput of several, beside that measured.

Parameters are taken from runs with one process (`scale`). Predictions are for runs with more; all that the model
is given of these is how many processors all else on the machine left to them.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import accept, scale
from bench.engines import Bench
from bench.queueing import Machine, Process
from bench.scale import CONNECTIONS, Run

FEW_CONNECTIONS = 4
REQUESTS = 4000
# The parts of PostgreSQL's time for a campaign's message: expanding, dispatching, reporting (docs/performance.md).
STAGES = (17.0, 100.0, 60.0)
# Of Python's in the processes that expand and report.
EXPANDING = 0.15
CHUNK, BATCH, AT_ONCE = 5000, 500, 2
# Until cron looks, in the mean, and until a report is due.
TICK_SECONDS, REPORT_SECONDS = 0.25, 1.0
DELIVERIES_AT_ONCE, CLAIMED = 100, 100
PREDICTED = {"accept": (2, 3, 4), "campaign": (2, 4), "webhooks": (2,)}


@dataclass(frozen=True)
class Accepting:
    """Seconds that accepting a message takes: for each request, and for each batch of them."""

    loader: float
    api: float
    api_batch: float
    postgresql: float
    postgresql_batch: float
    valkey: float
    commit: float


def fit_accepting(few: Run, many: Run, *, loader_us: float, commit: float) -> Accepting:
    """Split the time of requests into that of each and that of each batch, by two loads that batch differently."""

    def split(part: str) -> tuple[float, float]:
        batches = [run.commits / run.number for run in (few, many)]
        times = [run.parts[part] / 1e6 for run in (few, many)]
        slope = (times[0] - times[1]) / (batches[0] - batches[1]) if batches[0] > batches[1] else 0.0
        slope = min(max(0.0, slope), times[1] / batches[1])
        return times[1] - slope * batches[1], slope

    api, api_batch = split("api")
    postgresql, postgresql_batch = split("postgresql")
    valkey = many.parts["valkey"] / 1e6
    return Accepting(loader_us / 1e6, api, api_batch, postgresql, postgresql_batch, valkey, commit)


class _Batches:
    """The requests of one API process: those that come while a statement is on its way go together in the next."""

    def __init__(self, machine: Machine, costs: Accepting) -> None:
        self._machine, self._costs = machine, costs
        self.process = Process(machine)
        self._waiting: list[int] = []
        self._is_away = False

    def add(self, client: int, answer: partial[None]) -> None:
        """Have a request written, and then answered."""
        self._answer = answer
        self._waiting.append(client)
        if not self._is_away:
            self._send()

    def _send(self) -> None:
        taken, self._waiting = self._waiting, []
        self._is_away = bool(taken)
        if not taken:
            return
        costs = self._costs
        seconds = costs.postgresql_batch + costs.postgresql * len(taken)

        def written() -> None:
            self._send()
            for client in taken:
                self.process.do(costs.api / 2, partial(self._answer, client))

        self.process.do(
            costs.api_batch,
            partial(self._machine.compute, seconds, partial(self._machine.wait, costs.commit, written)),
        )


def predict_accept(costs: Accepting, processes: int, *, cores: float, connections: int = CONNECTIONS) -> float:
    """Predict the requests a second that so many API processes accept from one loader."""
    machine = Machine(cores)
    loader = Process(machine)
    batches = [_Batches(machine, costs) for _ in range(processes)]
    done = 0

    def begin(client: int) -> None:
        api = batches[client % processes]
        limit = partial(machine.compute, costs.valkey, partial(api.add, client, partial(answer)))
        loader.do(costs.loader / 2, partial(api.process.do, costs.api / 2, limit))

    def answer(client: int) -> None:
        nonlocal done
        done += 1
        loader.do(costs.loader / 2, partial(begin, client))

    for client in range(connections):
        begin(client)
    return REQUESTS / machine.run(lambda: done >= REQUESTS)


def predict_campaign(one: Run, workers: int, *, cores: float) -> float:
    """Predict the messages a second from creation to the last report with so many workers of messages."""
    machine = Machine(cores)
    expander, reporter = Process(machine), Process(machine)
    senders = [Process(machine) for _ in range(workers)]
    parts = {name: us / 1e6 for name, us in one.parts.items()}
    database = [parts["postgresql"] * stage / sum(STAGES) for stage in STAGES]
    rest = parts["expand_and_reports"]
    queued, reported = 0, 0
    free = [(sender, place) for sender in senders for place in range(AT_ONCE)]

    def expand(left: int) -> None:
        if not left:
            return
        size = min(CHUNK, left)

        def written() -> None:
            nonlocal queued
            queued += size
            dispatch()
            expand(left - size)

        expander.do(rest * EXPANDING * size, partial(machine.compute, database[0] * size, written))

    def dispatch() -> None:
        nonlocal queued
        while queued and free:
            sender, place = free.pop(0)
            size = min(BATCH, queued)
            queued -= size

            def sent(sender: Process = sender, place: int = place, size: int = size) -> None:
                free.append((sender, place))
                machine.wait(REPORT_SECONDS, partial(report, size))
                dispatch()

            own = (parts["workers"] + parts["valkey"]) * size
            sender.do(own, partial(machine.compute, database[1] * size, sent))

    def report(size: int) -> None:
        def told() -> None:
            nonlocal reported
            reported += size

        reporter.do(rest * (1 - EXPANDING) * size, partial(machine.compute, database[2] * size, told))

    machine.wait(TICK_SECONDS, partial(expand, one.number))
    return one.number / machine.run(lambda: reported >= one.number)


def predict_webhooks(one: Run, workers: int, *, cores: float) -> float:
    """Predict the deliveries a second of so many workers of webhooks to one receiver."""
    machine = Machine(cores)
    receiver = Process(machine)
    parts = {name: us / 1e6 for name, us in one.parts.items()}
    left, delivered = one.number, 0

    def claim(worker: Process) -> None:
        nonlocal left
        size = min(CLAIMED, left)
        left -= size
        remaining = size

        def post() -> None:
            for _ in range(size):
                worker.do(parts["workers"], partial(receiver.do, parts["receiver"], answered))

        def answered() -> None:
            nonlocal remaining, delivered
            remaining -= 1
            delivered += 1
            if not remaining:
                claim(worker)

        if size:
            machine.compute((parts["postgresql"] + parts["valkey"] + parts["cron"]) * size, post)

    def begin() -> None:
        for _ in range(workers):
            worker = Process(machine)
            for _ in range(max(1, DELIVERIES_AT_ONCE // CLAIMED) + 1):
                claim(worker)

    machine.wait(TICK_SECONDS, begin)
    return one.number / machine.run(lambda: delivered >= one.number)


def commit_seconds(folder: Path, times: int = 200) -> float:
    """Return the median seconds in which the disk under the data writes and keeps 8 KB."""
    taken = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(times):
            started = time.perf_counter()
            file.write(b"\0" * 8192)
            file.flush()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


async def _measure(place: Bench, recipients: int) -> dict[str, float]:
    found: dict[str, float] = {}

    def compare(run: Run, predicted: float) -> None:
        error = predicted / run.rate - 1
        scale.show(run)
        print(f"{run.what:<9} {run.processes} processes: the model says {predicted:>8.0f}/s ({error:+.0%})")
        found[f"{run.what}_{run.processes}_error"] = abs(error)

    async with place.connected():
        few, _ = await scale.run_accept(place, 1, connections=FEW_CONNECTIONS)
        many, loader_us = await scale.run_accept(place, 1)
        costs = fit_accepting(few, many, loader_us=loader_us, commit=commit_seconds(place.directory))
        print(costs)
        for number in PREDICTED["accept"]:
            run, _ = await scale.run_accept(place, number)
            compare(run, predict_accept(costs, number, cores=run.cores))
        first = 3_000_000_000
        one = await scale.run_campaign(place, 1, recipients=recipients, first=first)
        for number in PREDICTED["campaign"]:
            run = await scale.run_campaign(place, number, recipients=recipients, first=first + number * recipients)
            compare(run, predict_campaign(one, number, cores=run.cores))
    await asyncio.to_thread(scale.subscribe, place)
    async with place.connected():
        one = await scale.run_webhooks(place, 1)
        for number in PREDICTED["webhooks"]:
            run = await scale.run_webhooks(place, number)
            compare(run, predict_webhooks(one, number, cores=run.cores))
    return found | {"worst_error": max(found.values())}


def measure(place: Bench, recipients: int) -> dict[str, float]:
    """Return by how much the model's predictions differ from what was measured, each as a share of it."""
    asyncio.run(accept.add_recipients(place))
    return asyncio.run(_measure(place, min(recipients, 20_000)))
