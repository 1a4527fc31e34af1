"""Credits: the balance, its ledger and what both say of each message."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.credits import credits
from msvs.api.errors import PaymentRequired
from msvs.api.messages.messages import SendMessage, cancel_message, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.models import CreditBalance, LedgerEntry, LedgerKind, Message
from tests import factories

pytestmark = pytest.mark.usefixtures("virtual_live")


async def balance(ctx: Context) -> int:
    return (await CreditBalance.get(workspace_id=ctx.workspace_id)).balance


async def ledger_sum(ctx: Context) -> int:
    return int(await db.fetch_value("SELECT sum(amount) FROM ledger_entries WHERE workspace_id = $1", ctx.workspace_id))


async def test_replaying_a_release_a_capture_or_a_grant_changes_nothing(live_ctx: Context) -> None:
    now, message_id = datetime.now(UTC), ids.new_id()
    async with unit_of_work():
        assert await credits.try_reserve(live_ctx.workspace_id, {message_id: 3}, now)
        for _ in range(2):
            await credits.release(live_ctx.workspace_id, {message_id: 3}, now)
            await credits.capture(live_ctx.workspace_id, [message_id], now)
            await credits.grant_credits(live_ctx.workspace_id, 500, reference="invoice-1", kind=LedgerKind.PURCHASE)
    assert await balance(live_ctx) == 10_500 == await ledger_sum(live_ctx)
    assert await LedgerEntry.filter(reference=credits.message_reference(message_id)).count() == 3


async def test_a_reservation_is_all_or_nothing(live_ctx: Context) -> None:
    await db.execute("UPDATE credit_balances SET balance = 5")
    amounts = {ids.new_id(): 3, ids.new_id(): 3}
    async with unit_of_work():
        assert not await credits.try_reserve(live_ctx.workspace_id, amounts, datetime.now(UTC))
    assert await balance(live_ctx) == 5
    assert await LedgerEntry.filter(kind=LedgerKind.RESERVE).count() == 0
    refusal = await credits.refusal(live_ctx.workspace_id, 6, datetime.now(UTC))
    assert isinstance(refusal, PaymentRequired)
    assert refusal.details == {"required": 6, "available": 5}


async def test_the_balance_is_the_sum_of_the_ledger_at_every_commit(live_ctx: Context) -> None:
    """Sends, cancellations and grants at once; a reader compares the two in one snapshot all the while."""
    done = asyncio.Event()
    compared = 0

    async def compare() -> None:
        nonlocal compared
        while not done.is_set():
            row = await db.fetch_row(
                "SELECT balance, (SELECT sum(amount) FROM ledger_entries WHERE workspace_id = $1)::bigint AS entries"
                " FROM credit_balances WHERE workspace_id = $1",
                live_ctx.workspace_id,
            )
            assert row is not None
            assert row.balance == row.entries
            compared += 1

    async def spend(number: int) -> None:
        async with unit_of_work():
            draft = await send_message(live_ctx, SendMessage(factories.next_phone(), "x" * (1 + 160 * (number % 3))))
        if number % 2:
            async with unit_of_work():
                await cancel_message(live_ctx, draft.id)
        if number % 5 == 0:
            async with unit_of_work():
                await credits.grant_credits(live_ctx.workspace_id, 7, reference=f"grant-{number}")

    reader = asyncio.create_task(compare())
    await asyncio.gather(*(spend(number) for number in range(60)))
    done.set()
    await reader
    assert compared > 5
    held = await db.fetch_value("SELECT sum(credits_used) FROM messages")
    assert await balance(live_ctx) == 10_000 + 12 * 7 - held
    assert await Message.filter(status="canceled").count() == 30


async def test_a_low_balance_is_reported_once_for_each_fall(live_ctx: Context) -> None:
    async def spend(amount: int) -> None:
        async with unit_of_work():
            assert await credits.try_reserve(live_ctx.workspace_id, {ids.new_id(): amount}, datetime.now(UTC))

    async def told() -> int:
        return int(await db.fetch_value("SELECT count(*) FROM events WHERE type = 'credits.low' AND livemode"))

    await spend(9_000)
    assert (await balance(live_ctx), await told()) == (1_000, 0)
    await spend(1)
    await spend(1)
    assert await told() == 1
    async with unit_of_work():
        await credits.grant_credits(live_ctx.workspace_id, 1_000, reference="top-up")
    await spend(999)
    assert await told() == 2


async def test_the_runway_is_the_balance_at_the_mean_daily_use(live_ctx: Context, ctx: Context) -> None:
    assert (await credits.get_credits(live_ctx)).estimated_runway_days is None
    now = datetime.now(UTC)
    for days in range(10):
        async with unit_of_work():
            assert await credits.try_reserve(live_ctx.workspace_id, {ids.new_id(): 100}, now - timedelta(days=days))
    found = await credits.get_credits(live_ctx)
    assert (found.balance, found.total_lifetime, found.estimated_runway_days) == (9_000, 10_000, 90)
    assert [purchase.credits for purchase in found.recent_purchases] == [10_000]
    # The balance is the workspace's, with every key.
    assert await credits.get_credits(ctx) == found
