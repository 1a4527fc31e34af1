"""Fulfilment under kill -9: a process dies between any two of its steps, and the books come out the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from msvs import database as db
from msvs.api.context import Context
from msvs.local.pretend_stripe import PretendStripe
from tests.api.credits.killed import POINTS
from tests.fakes.stripe import begin, books, bring

Die = Callable[[PretendStripe, str, object], int]


@pytest.fixture(scope="module")
def die(database: str) -> Iterator[Die]:
    """Have a process take an event and die at a point; its exit status."""
    running: list[subprocess.Popen[str]] = []

    def run(stripe: PretendStripe, point: str, event: object) -> int:
        if not running or running[0].args[-2] != stripe.page_url:  # type: ignore[index]
            end(running)
            argv = (sys.executable, "-m", "tests.api.credits.killed", database, stripe.page_url, stripe.key)
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            running.append(subprocess.Popen(argv, text=True, **pipes))  # type: ignore[call-overload]
        process = running[0]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([point, json.dumps(event)]) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    yield run
    end(running)


def end(running: list[subprocess.Popen[str]]) -> None:
    """End the process, where there is one."""
    for process in running:
        process.communicate(timeout=20)
    running.clear()


async def test_a_purchase_whose_process_dies_at_any_step_is_one(
    live_ctx: Context, stripe: PretendStripe, die: Die
) -> None:
    expected = 10_000
    for point in POINTS:
        stripe.events.clear()
        row = await begin(live_ctx)
        payment = stripe.pay(row.session_id or "")
        refund = stripe.refund(payment["id"], 950)
        assert refund["amount"] == 950
        assert die(stripe, point, stripe.events[0]) == -9, point
        balance, entries, debt = await books(live_ctx.workspace_id)
        # What was committed is whole: all of it, or nothing.
        is_done = point == "before the event is settled"
        assert (balance, entries, debt) == (expected + 500 * is_done,) * 2 + (0,), point
        # The lease of the one that died runs out, and Stripe tells it again.
        await db.execute("UPDATE stripe_events SET lease_until = now() - interval '1 s' WHERE state = 'pending'")
        for _ in range(2):
            await bring(live_ctx.services, stripe)
        expected += 500
        assert await books(live_ctx.workspace_id) == (expected, expected, 0), point
    assert await db.fetch_value("SELECT count(*) FROM ledger_entries WHERE kind = 'purchase'") == len(POINTS)
    assert await db.fetch_value("SELECT count(*) FROM ledger_entries WHERE kind = 'refund'") == len(POINTS)
    assert await db.fetch_value("SELECT count(*) FROM stripe_events WHERE state <> 'done'") == 0
