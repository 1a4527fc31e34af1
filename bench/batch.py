"""POST /v1/messages/batch against single sends to the same service; in turn, so that noise hits both alike."""

from __future__ import annotations

import asyncio
import statistics

from bench.accept import PORT, add_recipients, load, wait_for
from bench.engines import Bench

ROUNDS = 6
MESSAGES = 1000


def measure(place: Bench, *, livemode: bool = True, singles: int = 2000, batches: int = 12) -> dict[str, float]:
    """Median messages a second in batches and one by one, and the median of their ratios."""
    asyncio.run(add_recipients(place))
    key = place.live_key if livemode else place.test_key
    with place.process("-m", "bench.service", PORT=str(PORT)):
        wait_for(PORT, "/healthz")
        load(place, PORT, "/v1/messages", key, 300)
        load(place, PORT, "/v1/messages/batch", key, 2, 1, MESSAGES)
        pairs = []
        for _ in range(ROUNDS):
            single = load(place, PORT, "/v1/messages", key, singles)
            batch = load(place, PORT, "/v1/messages/batch", key, batches, 2, MESSAGES)
            rate = batch["rate"] * MESSAGES
            pairs.append((rate / single["rate"], rate, single["rate"], batch["p50_ms"], batch["p95_ms"]))
    columns = list(zip(*pairs, strict=True))
    return {
        "ratio": statistics.median(columns[0]),
        "batch_per_s": statistics.median(columns[1]),
        "single_per_s": statistics.median(columns[2]),
        "p50_ms": statistics.median(columns[3]),
        "p95_ms": statistics.median(columns[4]),
    }
