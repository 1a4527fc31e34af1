"""POST /v1/messages against bare Starlette with one INSERT a request; in turn, so that noise hits both alike."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

from bench.engines import Bench, add_people

FLOOR_PORT = 28_711
PORT = 28_712
ROUNDS = 8


def load(
    place: Bench, port: int | str, path: str, key: str, requests: int, connections: int = 32, batch: int = 0
) -> dict[str, float]:
    """One load from a process of its own."""
    output = subprocess.check_output(
        [
            sys.executable,
            "-m",
            "bench.load",
            str(port),
            path,
            "--key",
            key,
            "--requests",
            str(requests),
            "--connections",
            str(connections),
            "--batch",
            str(batch),
        ],
        env=dict(place.environment()),
    )
    figures: dict[str, float] = json.loads(output)
    assert figures["refused"] == 0, figures
    return figures


def wait_for(port: int, path: str) -> None:
    """Wait until a server answers."""
    for _ in range(900):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"nothing answers on port {port}")


async def add_recipients(place: Bench) -> None:
    """Make the contacts that the loads send to."""
    async with place.connected():
        for livemode in (False, True):
            await add_people(place.workspace_id, livemode, 20_001, first=2_122_000_000)


def measure(place: Bench, *, livemode: bool = False, requests: int = 2000) -> dict[str, float]:
    """Median requests a second of ours and of the floor, and the median of their ratios."""
    asyncio.run(add_recipients(place))
    key = place.live_key if livemode else place.test_key
    floor_argv = ["-m", "uvicorn", "--port", str(FLOOR_PORT), "--loop", "uvloop", "--http", "httptools"]
    floor_argv += ["--no-access-log", "--log-level", "warning", "bench.floor_accept:application"]
    with place.process(*floor_argv), place.process("-m", "bench.service", PORT=str(PORT)):
        wait_for(FLOOR_PORT, "/")
        wait_for(PORT, "/healthz")
        load(place, FLOOR_PORT, "/messages", "none", 300)
        load(place, PORT, "/v1/messages", key, 300)
        pairs = []
        for _ in range(ROUNDS):
            floor = load(place, FLOOR_PORT, "/messages", "none", requests)
            ours = load(place, PORT, "/v1/messages", key, requests)
            pairs.append((ours["rate"] / floor["rate"], ours["rate"], floor["rate"], ours["p50_ms"], ours["p95_ms"]))
    columns = list(zip(*pairs, strict=True))
    return {
        "ratio": statistics.median(columns[0]),
        "ours_per_s": statistics.median(columns[1]),
        "floor_per_s": statistics.median(columns[2]),
        "p50_ms": statistics.median(columns[3]),
        "p95_ms": statistics.median(columns[4]),
    }
