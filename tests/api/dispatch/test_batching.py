"""Natural batches: they join what comes together, keep answers apart, and never wait when idle."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from msvs import database as db
from msvs.api.context import Context
from msvs.api.dispatch.batching import Batcher
from msvs.api.errors import PaymentRequired
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import single_statement
from msvs.models import Contact, CreditBalance, Event, LedgerEntry, Message
from tests import factories

pytestmark = pytest.mark.usefixtures("virtual_live")


async def test_requests_during_a_run_share_the_next() -> None:
    runs: list[list[int]] = []
    go = asyncio.Event()

    async def run(_key: str, items: Sequence[int]) -> Sequence[int | Exception]:
        runs.append(list(items))
        await go.wait()
        return [ValueError("odd") if item % 2 else item * 10 for item in items]

    batcher: Batcher[str, int, int] = Batcher(run)
    tasks = [asyncio.create_task(batcher.submit("key", item)) for item in range(5)]
    await asyncio.sleep(0)
    go.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [answer if isinstance(answer, int) else "odd" for answer in answers] == [0, "odd", 20, "odd", 40]
    assert [item for batch in runs for item in batch] == [0, 1, 2, 3, 4]
    assert len(runs) <= 2
    assert await batcher.submit("key", 6) == 60


async def test_a_run_that_breaks_breaks_its_own_batch_alone() -> None:
    async def run(key: str, items: Sequence[int]) -> Sequence[int | Exception]:
        if key == "bad":
            raise ZeroDivisionError
        return items

    batcher: Batcher[str, int, int] = Batcher(run)
    answers = await asyncio.gather(
        batcher.submit("bad", 1), batcher.submit("good", 2), batcher.submit("bad", 3), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [ZeroDivisionError, int, ZeroDivisionError]


async def test_a_caller_that_disconnects_leaves_others_running() -> None:
    started, go = asyncio.Event(), asyncio.Event()

    async def run(_key: str, items: Sequence[int]) -> Sequence[int | Exception]:
        started.set()
        await go.wait()
        return items

    batcher: Batcher[str, int, int] = Batcher(run)
    first, second = (asyncio.create_task(batcher.submit("key", item)) for item in (1, 2))
    await started.wait()
    first.cancel()
    go.set()
    assert await second == 2


async def send(ctx: Context, phone: str, body: str = "Hi") -> Exception | None:
    try:
        async with single_statement():
            await send_message(ctx, SendMessage(phone, body))
    except PaymentRequired as refusal:
        return refusal
    return None


async def test_fifty_at_once_with_credits_for_twenty(live_ctx: Context) -> None:
    await db.execute("UPDATE credit_balances SET balance = 20")
    phones = [factories.next_phone() for _ in range(50)]
    for phone in phones[:40]:
        await factories.make_contact(live_ctx, phone)
    answers = await asyncio.gather(*(send(live_ctx, phone) for phone in phones))
    assert sum(answer is None for answer in answers) == 20
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 0
    assert await Message.all().count() == 20
    assert await Event.filter(type="message.queued").count() == 20
    assert await LedgerEntry.filter(kind="reserve").count() == 20
    # A first message that is refused leaves no contact behind.
    texted = set(await Message.all().values_list("to_phone", flat=True))
    assert set(await Contact.all().values_list("phone", flat=True)) == texted | set(phones[:40])


async def test_batches_never_cross_workspaces_or_modes(live_ctx: Context, ctx: Context, other_ctx: Context) -> None:
    phone = factories.next_phone()
    scopes = [live_ctx, ctx, other_ctx]
    for scope in scopes:
        await factories.make_contact(scope, phone, first_name=str(scope.workspace_id)[:8])
    await asyncio.gather(*(send(scope, phone, "Hi {first_name}") for scope in scopes for _ in range(10)))
    for scope in scopes:
        bodies = await Message.filter(workspace_id=scope.workspace_id, livemode=scope.livemode).values_list(
            "body", flat=True
        )
        assert bodies == [f"Hi {str(scope.workspace_id)[:8]}"] * 10
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 9_990


async def test_falling_below_the_threshold_is_reported_once(live_ctx: Context) -> None:
    await db.execute("UPDATE credit_balances SET balance = 1005, low_notified = false")
    phones = [factories.next_phone() for _ in range(12)]
    for phone in phones:
        await factories.make_contact(live_ctx, phone)
    await asyncio.gather(*(send(live_ctx, phone) for phone in phones))
    assert await Event.filter(type="credits.low").count() == 1
