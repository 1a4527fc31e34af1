"""The service through PgBouncer against the service without it: in turn, so that noise hits all alike.

`python -m bench.poolers` needs Debian's PgBouncer; MSVS_TEST_PGBOUNCER names one of 1.21 or later, for statements that
are prepared in transaction mode.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from bench import accept, campaign
from bench.engines import Bench, bench
from msvs import garbage
from tests.pooler import NEWER, pgbouncer

PORT = 28_720
ROUNDS = 8
DIRECT = "direct"


@contextmanager
def ways(database_url: str) -> Iterator[Mapping[str, str]]:
    """Each way to PostgreSQL, with its URL."""
    with ExitStack() as stack:
        by_session = stack.enter_context(pgbouncer(database_url, pool_mode="session"))
        by_transaction = stack.enter_context(pgbouncer(database_url, pool_mode="transaction", pool_size=20))
        found = {DIRECT: database_url, "session": by_session, "transaction": f"{by_transaction}?pool_mode=transaction"}
        if newer := os.environ.get(NEWER):
            preparing = pgbouncer(database_url, pool_mode="transaction", pool_size=20, binary=newer, prepared=500)
            found["transaction_prepared"] = f"{stack.enter_context(preparing)}?pool_mode=transaction"
        yield found


def measure_accept(place: Bench, urls: Mapping[str, str], requests: int) -> dict[str, float]:
    """Requests a second of an API by each way, and the median of its ratios to the one without a pooler."""
    asyncio.run(accept.add_recipients(place))
    ports = {way: PORT + number for number, way in enumerate(urls)}
    rates: dict[str, list[float]] = {way: [] for way in urls}
    with ExitStack() as stack:
        for way, url in urls.items():
            stack.enter_context(place.process("-m", "bench.service", PORT=str(ports[way]), DATABASE_URL=url))
            accept.wait_for(ports[way], "/healthz")
            accept.load(place, ports[way], "/v1/messages", place.live_key, 300)
        for _ in range(ROUNDS):
            for way in urls:
                rates[way].append(accept.load(place, ports[way], "/v1/messages", place.live_key, requests)["rate"])
    return _figures("accept", rates)


async def measure_campaigns(place: Bench, urls: Mapping[str, str], recipients: int, rounds: int) -> dict[str, float]:
    """Recipients a second of whole campaigns by each way, and their ratios."""
    rates: dict[str, list[float]] = {way: [] for way in urls}
    for _ in range(rounds):
        for way, url in urls.items():
            by = replace(place, database_url=url)
            async with by.connected():
                rates[way].append(recipients / (await campaign.run(by, recipients))["complete"])
    return _figures("campaign", rates)


def _figures(what: str, rates: Mapping[str, list[float]]) -> dict[str, float]:
    found = {f"{what}_{way}_per_s": statistics.median(each) for way, each in rates.items()}
    for way, each in rates.items():
        if way != DIRECT:
            pairs = zip(each, rates[DIRECT], strict=True)
            found[f"{what}_{way}_ratio"] = statistics.median(own / direct for own, direct in pairs)
    return found


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    garbage.collect_less(garbage.WORKERS)
    with bench() as place, ways(place.database_url) as urls:
        found = measure_accept(place, urls, options.requests)
        found |= asyncio.run(measure_campaigns(place, urls, options.recipients, options.rounds))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
