"""SMPP submits and receipts a second on one bind, against smpplib on the same message centre.

`python -m bench.smpp` prints a table; each figure is the best of some rounds, every round in processes of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

import structlog
import uvloop

from bench.floor_smpp import BODY, LOOPBACK
from msvs.carriers.config import CarrierConfig
from msvs.carriers.protocol import Accepted, CarrierEvent, Report, Submission
from msvs.carriers.smpp.carrier import make_smpp

COUNT = 20_000
ROUNDS = 3
WINDOW = 50
BATCH = 500
CALLERS = 2
FLOOR_WAYS = (
    ("--threads", "1"),
    ("--threads", "2"),
    ("--threads", "1", "--no-delay"),
    ("--threads", "2", "--no-delay"),
)
ROLES = ("submit", "receipts", "both")


class Ours:
    """The carrier, and what came over it."""

    def __init__(self, port: int, role: str, window: int) -> None:
        table = {"host": LOOPBACK, "port": port, "system_id": role, "password": "secret", "window": window}
        self.carrier = make_smpp(CarrierConfig("bench", "smpp", {**table, "queue_seconds": 60}, ""))
        self.receipts = 0
        self.expected = 0
        self.all_there = asyncio.Event()

    async def take(self, carrier_events: Sequence[CarrierEvent]) -> None:
        """Count receipts."""
        self.receipts += sum(
            isinstance(carrier_event, Report) and carrier_event.is_delivered for carrier_event in carrier_events
        )
        if self.receipts >= self.expected:
            self.all_there.set()

    async def submit(self, count: int) -> None:
        """Submit so many messages, as the dispatcher does: some hundred at once."""
        body = BODY.decode()
        left = count

        async def caller() -> None:
            nonlocal left
            while left:
                size = min(BATCH, left)
                left -= size
                batch = [
                    Submission(uuid4(), uuid4(), True, "+14155550100", "Cohort", body, "gsm7", 1, 1)
                    for _ in range(size)
                ]
                outcomes = await self.carrier.submit_many(batch)
                assert all(isinstance(outcome, Accepted) for outcome in outcomes)

        await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def measure_ours(port: int, *, role: str, count: int, window: int) -> float:
    """Seconds until everything was answered and brought."""
    ours = Ours(port, role, window)
    ours.expected = 0 if role == "submit" else count
    await ours.carrier.open(ours.take)
    began = time.perf_counter()
    while await ours.carrier.check():
        began = time.perf_counter()
        await asyncio.sleep(0)
    if role != "receipts":
        await ours.submit(count)
    if ours.expected:
        await ours.all_there.wait()
    seconds = time.perf_counter() - began
    await ours.carrier.close()
    return seconds


@contextmanager
def message_centre(receipts: int) -> Iterator[int]:
    """The message centre in a process of its own; its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.smsc", "--receipts", str(receipts)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def rate(module: str, role: str, *more: str, count: int, window: int) -> float:
    """Messages a second of one client, in a process of its own."""
    with message_centre(count) as port:
        command = [sys.executable, "-m", module, "--port", str(port), "--role", role]
        answer = subprocess.run(
            [*command, "--count", str(count), "--window", str(window), *more],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return count / float(answer.stdout)


def measure(*, count: int = COUNT, rounds: int = ROUNDS, window: int = WINDOW) -> dict[str, float]:
    """Submits a second, receipts a second, and submits with receipts, ours and the floor's, and their ratios."""
    figures: dict[str, float] = {}
    for role in ROLES:
        ours, floor = 0.0, 0.0
        for _ in range(rounds):
            ours = max(ours, rate("bench.smpp", role, count=count, window=window))
            for way in FLOOR_WAYS:
                floor = max(floor, rate("bench.floor_smpp", role, *way, count=count, window=window))
        figures |= {role: ours, f"{role}_floor": floor, f"{role}_ratio": ours / floor}
    return figures


def main() -> int:
    """Measure and print; with --port, be the client of one round and print its seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--window", type=int, default=WINDOW)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--role", choices=ROLES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    if options.port is not None:
        seconds = measure_ours(options.port, role=options.role, count=options.count, window=options.window)
        print(uvloop.run(seconds))
        return 0
    figures = measure(count=options.count, rounds=options.rounds, window=options.window)
    print(json.dumps(figures), file=sys.stderr)
    print(f"{'messages a second, one bind':<30} {'ours':>9} {'smpplib':>9} {'ratio':>7}")
    for role in ROLES:
        print(f"{role:<30} {figures[role]:>9.0f} {figures[f'{role}_floor']:>9.0f} {figures[f'{role}_ratio']:>7.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
