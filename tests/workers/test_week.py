"""The week that a clock lives in seconds, held against the same week lived by the time of the whole machine."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from msvs import present
from msvs.api.accounts.clocks import get_test_clock
from msvs.api.context import Context
from msvs.http_client import HttpClient
from tests.workers.clocking import MONDAY, Clocks
from tests.workers.week import DAYS, begin, history
from tests.workers.week_lived import set_time

FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
# Nobody answers there.
DEAD = "http://127.0.0.1:9/hook"


async def lived(path: Path) -> dict[str, list[list[object]]]:
    """Return the history of the week in a process of its own, with an own PostgreSQL; its time stands in a file."""
    set_time(path, MONDAY)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.workers.week_lived", str(path), DEAD, MONDAY.isoformat()),
        env=os.environ
        | {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "TZ": "UTC",
        },
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, list[list[object]]] = json.loads(told.splitlines()[-1])
    return found


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that PostgreSQL's user may read, as those of pytest are not."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.processes
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("loopback_webhooks")
@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")
async def test_a_week_by_the_clock_is_the_week_lived(
    ctx: Context, database: str, http: HttpClient, readable: Path
) -> None:
    clocks = Clocks(database, http)
    await clocks.begin(ctx)
    with present.standing(MONDAY):
        await begin(ctx, MONDAY, DEAD)
    # In steps and as a whole: a clock that is read on its way is no other.
    for _ in range(3):
        await clocks.advance(ctx, hours=5)
    row = await get_test_clock(ctx)
    await clocks.advance(ctx, seconds=(MONDAY + timedelta(days=DAYS) - row.frozen_at).total_seconds())
    by_clock = json.loads(json.dumps(await history(ctx)))
    by_life = await lived(readable / "time")
    assert {name: len(rows) for name, rows in by_clock.items()} == {name: len(rows) for name, rows in by_life.items()}
    for name, rows in by_clock.items():
        assert rows == by_life[name], name
    assert len(by_clock["attempts"]) > 10, "webhooks were tried for a day"
    # What the week is to show did happen in it.
    for what in ("unknown", "expired", "frequency_cap", "Good morning", "Day 3", "Go"):
        assert any(what in row for row in by_clock["messages"]), what
    mornings = {row[6][11:] for row in by_clock["messages"] if row[2] in ("Good morning", "Plan", "Go")}
    assert mornings >= {"15:00:00Z", "18:00:00Z", "14:30:00Z", "17:30:00Z"}, (
        "it was ten, and half past nine, by each clock"
    )
    assert any("winner" in row[0] for row in by_clock["events"]), "a test ended"
