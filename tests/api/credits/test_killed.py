"""Fulfilment under kill -9: a process dies between any two of its steps, and the books come out the same."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from msvs import database as db
from msvs.api.context import Context
from msvs.local.pretend_stripe import PretendStripe
from tests.api.credits.killed import DECLINE_POINTS, FORGET_POINTS, POINTS, STEP, TOP_UP_POINTS
from tests.api.credits.test_top_ups import change, spend, turn_on
from tests.fakes.stripe import begin, books, bring, work

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
        process.stdin.write(json.dumps([point, event and json.dumps(event)]) + "\n")
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


async def test_a_purchase_and_its_refund_at_every_statement_and_call(
    live_ctx: Context, stripe: PretendStripe, die: Die
) -> None:
    """Not at chosen points but at each there is, counted until none is left."""
    expected = 10_000
    for number in itertools.count(1):
        stripe.events.clear()
        row = await begin(live_ctx)
        payment = stripe.pay(row.session_id or "")
        stripe.refund(payment["id"], 950)
        status = die(stripe, f"{STEP}{number}", stripe.events[0])
        assert status in (-9, 0), number
        balance, entries, debt = await books(live_ctx.workspace_id)
        assert balance == entries in (expected, expected + 500), number
        assert debt == 0
        await db.execute("UPDATE stripe_events SET lease_until = now() - interval '1 s' WHERE state = 'pending'")
        for _ in range(2):
            await bring(live_ctx.services, stripe)
        expected += 500
        assert await books(live_ctx.workspace_id) == (expected, expected, 0), number
        if status == 0:
            break
    assert number > 20
    assert await db.fetch_value("SELECT count(*) FROM ledger_entries WHERE kind = 'purchase'") == number
    assert await db.fetch_value("SELECT count(*) FROM ledger_entries WHERE kind = 'refund'") == number
    assert await db.fetch_value("SELECT count(*) FROM stripe_events WHERE state <> 'done'") == 0


async def test_a_top_up_at_every_statement_and_call(live_ctx: Context, stripe: PretendStripe, die: Die) -> None:
    await turn_on(live_ctx, stripe, daily_limit=10**8, monthly_limit=10**8)
    paid = len(stripe.intents)
    for number in itertools.count(1):
        await spend(live_ctx.workspace_id, 0)
        await db.execute("UPDATE credit_balances SET top_up_at = now() - interval '1 s'")
        status = die(stripe, f"{STEP}{number}", "")
        assert status in (-9, 0), number
        balance, entries, debt = await books(live_ctx.workspace_id)
        assert balance == entries in (0, 1_000), number
        assert debt == 0
        for _ in range(2):
            await db.execute("UPDATE purchases SET check_at = now() - interval '1 s' WHERE check_at IS NOT NULL")
            await bring(live_ctx.services, stripe)
            await work(live_ctx.services)
        paid += 1
        assert (len(stripe.intents), await books(live_ctx.workspace_id)) == (paid, (1_000, 1_000, 0)), number
        if status == 0:
            break
    assert number > 20
    row = await db.fetch_row("SELECT day_amount, month_amount, is_enabled FROM auto_top_ups")
    assert tuple(row or ()) == (19_00 * number, 19_00 * number, True)


async def test_a_top_up_whose_process_dies_at_any_step_charges_once(
    live_ctx: Context, stripe: PretendStripe, die: Die
) -> None:
    await turn_on(live_ctx, stripe, daily_limit=10**8, monthly_limit=10**8)
    paid = len(stripe.intents)
    for point in TOP_UP_POINTS:
        await spend(live_ctx.workspace_id, 0)
        # The clock of a machine that works on it may be behind the one that noted it.
        await db.execute("UPDATE credit_balances SET top_up_at = now() - interval '1 s'")
        assert die(stripe, point, "") == -9, point
        # What was committed is whole: it is charged yet, or was, and nothing is in the balance.
        assert await books(live_ctx.workspace_id) == (0, 0, 0), point
        begun = await db.fetch_value("SELECT count(*) FROM purchases WHERE is_automatic AND status = 'opening'")
        noted = await db.fetch_value("SELECT count(*) FROM credit_balances WHERE top_up_at IS NOT NULL")
        assert begun + noted == 1, point
        for _ in range(2):
            await db.execute("UPDATE purchases SET check_at = now() - interval '1 s' WHERE check_at IS NOT NULL")
            await bring(live_ctx.services, stripe)
            await work(live_ctx.services)
        paid += 1
        assert len(stripe.intents) == paid, point
        assert await books(live_ctx.workspace_id) == (1_000, 1_000, 0), point
    row = await db.fetch_row("SELECT day_amount, month_amount, is_enabled FROM auto_top_ups")
    assert row is not None
    assert (row.day_amount, row.month_amount, row.is_enabled) == (19_00 * len(TOP_UP_POINTS),) * 2 + (True,)


async def test_a_decline_whose_process_dies_at_any_step_counts_once(
    live_ctx: Context, stripe: PretendStripe, die: Die
) -> None:
    await turn_on(live_ctx, stripe, "9995", daily_limit=1_900, monthly_limit=1_900)
    await spend(live_ctx.workspace_id, 0)
    paid = len(stripe.intents)
    for number, point in enumerate(DECLINE_POINTS, start=1):
        await db.execute("UPDATE credit_balances SET top_up_at = now() - interval '1 s'")
        await db.execute("UPDATE auto_top_ups SET declined_count = 0")
        assert die(stripe, point, "") == -9, point
        for _ in range(2):
            await db.execute("UPDATE purchases SET check_at = now() - interval '1 s' WHERE check_at IS NOT NULL")
            await bring(live_ctx.services, stripe)
            await work(live_ctx.services)
        row = await db.fetch_row(
            "SELECT declined_count, hard_declined_count, day_amount, month_amount, is_enabled,"
            " top_up_at > now() + interval '50 min' AS waits FROM auto_top_ups"
            " JOIN credit_balances USING (workspace_id)"
        )
        assert row is not None
        assert tuple(row) == (1, 0, 0, 0, True, True), point
        assert len(stripe.intents) == paid + number, point
        assert await books(live_ctx.workspace_id) == (0, 0, 0), point
    statuses = await db.fetch("SELECT status FROM purchases WHERE is_automatic")
    assert [row.status for row in statuses] == ["failed"] * len(DECLINE_POINTS)


async def test_a_forgotten_card_whose_worker_dies_at_any_step_is_removed(
    live_ctx: Context, stripe: PretendStripe, die: Die
) -> None:
    for point in FORGET_POINTS:
        await turn_on(live_ctx, stripe)
        await change(live_ctx, forget_card=True)
        assert die(stripe, point, "") == -9, point
        assert await db.fetch_value("SELECT count(*) FROM forgotten_cards") == 1, point
        await db.execute("UPDATE forgotten_cards SET next_attempt_at = now() - interval '1 s'")
        await work(live_ctx.services)
        assert await db.fetch_value("SELECT count(*) FROM forgotten_cards") == 0, point
        assert [each["customer"] for each in stripe.methods.values()] == [None] * len(stripe.methods), point
