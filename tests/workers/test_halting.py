"""Pauses and cancellations take hold at once, and a process that is told to end claims nothing more."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.campaigns import campaigns, lifecycle
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.context import Context
from msvs.api.dispatch import claims, halting
from msvs.api.dispatch.lanes import Lane
from msvs.api.dispatch.routing import plan_for
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.notifier import Notifier, WorkQueue
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.protocol import Accepted, Capability, Outcome, Submission
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import Campaign, Message, MessageStatus
from msvs.workers import dispatch, stopping
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import Paces, dispatch_messages, hand_over
from msvs.workers.maintenance import maintain
from msvs.workers.reports import collect_reports
from msvs.workers.stopping import StopFlag
from tests import factories
from tests.engines import PATIENCE_SECONDS, Engines
from tests.services import SERVICES

WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


pytestmark = pytest.mark.usefixtures("virtual_live")


async def launch(ctx: Context, number: int) -> UUID:
    contacts = [await factories.make_contact(ctx) for _ in range(number)]
    members = await factories.make_list(ctx, contacts)
    async with unit_of_work():
        campaign = await campaigns.create_campaign(ctx, CreateCampaign("Cohort 06", "Hi", list_ids=[members.id]))
    await expand_campaigns(SERVICES)
    return campaign.id


async def until_waiting(number: int) -> None:
    while await db.fetch_value(WAITING) < number:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def statuses(campaign_id: UUID) -> dict[str, int]:
    rows = await db.fetch("SELECT status, count(*) FROM messages WHERE campaign_id = $1 GROUP BY 1", campaign_id)
    return {row.status: row.count for row in rows}


@asynccontextmanager
async def held(work: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Leave another transaction open once it has done its work, so that what wants its locks stops in the middle."""
    is_held, leave = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with unit_of_work():
            await work()
            is_held.set()
            await leave.wait()

    holding = asyncio.create_task(hold())
    await is_held.wait()
    try:
        yield
    finally:
        leave.set()
        await holding


HALTS = {"pause": campaigns.pause_campaign, "cancel": campaigns.cancel_campaign}
BALANCE = partial(db.execute, "SELECT FROM credit_balances FOR UPDATE")
RECIPIENTS = partial(db.execute, "LOCK campaign_recipients IN SHARE MODE")
# What is under way when the halt comes, and the lock that holds it there.
UNDER_WAY = {"claim": BALANCE, "paced claim": BALANCE, "start": RECIPIENTS, "expansion": RECIPIENTS}


async def bring_to(ctx: Context, work: str) -> UUID:
    """Return a campaign of four that is about to be started, expanded or claimed."""
    members = await factories.make_list(ctx, [await factories.make_contact(ctx) for _ in range(4)])
    async with unit_of_work():
        campaign = await campaigns.create_campaign(ctx, CreateCampaign("Cohort 06", "Hi", list_ids=[members.id]))
    if work == "expansion":
        async with unit_of_work():
            assert await lifecycle.start_campaign(SERVICES, campaign.id, await db.now())
    if "claim" in work:
        await expand_campaigns(SERVICES)
    if work == "paced claim":
        await Campaign.filter(id=campaign.id).update(interval_seconds=0.01)
    return campaign.id


@pytest.mark.parametrize("verb", HALTS)
@pytest.mark.parametrize("work", UNDER_WAY)
async def test_a_halt_waits_for_no_claim_and_no_chunk_under_way(live_ctx: Context, work: str, verb: str) -> None:
    """Many workers always have some under way; what they still write is never handed over."""
    campaign_id = await bring_to(live_ctx, work)
    carriers = {"virtual": VirtualCarrier(Capability.DEDUPE)}
    async with held(UNDER_WAY[work]):
        job = dispatch_messages(SERVICES, carriers) if "claim" in work else expand_campaigns(SERVICES)
        running = asyncio.create_task(job)
        await until_waiting(1)
        async with unit_of_work():
            halted = await HALTS[verb](live_ctx, campaign_id)
        assert not running.done()
    await running
    await dispatch_messages(SERVICES, carriers)
    assert await db.fetch_value("SELECT count(*) FROM virtual_submissions") == 0
    assert await db.fetch_value("SELECT count(*) FROM messages WHERE status NOT IN ('queued', 'canceled')") == 0
    campaign = await Campaign.get(id=campaign_id)
    assert (campaign.status, campaign.canceled_at) == (halted.status, halted.canceled_at)
    if verb == "pause":
        async with unit_of_work():
            await campaigns.resume_campaign(live_ctx, campaign_id)
        await expand_campaigns(SERVICES)
        # The slots of a paced campaign come one after the other.
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await statuses(campaign_id) != {"sent": 4}:
                await dispatch_messages(SERVICES, carriers)
                await asyncio.sleep(0.01)
        assert (await Campaign.get(id=campaign_id)).audience_count == 4
    else:
        await expand_campaigns(SERVICES)
        assert await statuses(campaign_id) in ({}, {"canceled": 4})
        assert await db.fetch_value("SELECT count(*) FROM campaign_recipients") == 0
    balance = await db.fetch_value("SELECT balance FROM credit_balances WHERE workspace_id = $1", live_ctx.workspace_id)
    assert balance == (9_996 if verb == "pause" else 10_000)


@pytest.mark.parametrize("verb", HALTS)
async def test_no_hand_over_begins_while_a_halt_takes_hold(live_ctx: Context, verb: str) -> None:
    campaign_id = await launch(live_ctx, 1)
    async with held(partial(HALTS[verb], live_ctx, campaign_id)):
        beginning = asyncio.create_task(halting.begin_part(campaign_id))
        await until_waiting(1)
        assert not beginning.done()
    assert await beginning is None


async def test_a_change_of_an_audience_takes_back_the_chunk_that_was_fixed_meanwhile(live_ctx: Context) -> None:
    members = await factories.make_list(live_ctx, [await factories.make_contact(live_ctx) for _ in range(4)])
    other = await factories.make_list(live_ctx, [await factories.make_contact(live_ctx)])
    soon = await db.now() + timedelta(minutes=20)
    async with unit_of_work():
        planned = CreateCampaign("Cohort 06", "Hi", list_ids=[members.id], scheduled_at=soon)
        campaign = await campaigns.create_campaign(live_ctx, planned)

    async def start() -> bool | None:
        async with unit_of_work():
            return await lifecycle.start_campaign(SERVICES, campaign.id, soon)

    async with held(RECIPIENTS):
        starting = asyncio.create_task(start())
        await until_waiting(1)
        async with unit_of_work():
            await campaigns.update_campaign(live_ctx, campaign.id, campaigns.UpdateCampaign(list_ids=[other.id]))
    assert await starting is None
    assert await db.fetch_value("SELECT count(*) FROM campaign_recipients") == 0
    assert await start() is True
    assert await db.fetch_value("SELECT count(*) FROM campaign_recipients") == 1


@pytest.mark.parametrize("capability", list(Capability))
@pytest.mark.parametrize("halt", [campaigns.pause_campaign, campaigns.cancel_campaign])
async def test_what_was_claimed_before_a_halt_and_not_yet_submitted_does_not_leave(
    live_ctx: Context, halt: object, capability: Capability
) -> None:
    campaign_id = await launch(live_ctx, 3)
    lane = Lane(live_ctx.workspace_id, True, campaign_id)
    now = await db.now()
    plan = await plan_for(SERVICES, live_ctx.workspace_id, True, now)
    async with unit_of_work():
        [claim] = await claims.claim_by_plan(SERVICES, lane, plan, limit=10, now=now)
    async with unit_of_work():
        await halt(live_ctx, campaign_id)  # type: ignore[operator]
    await hand_over(SERVICES, VirtualCarrier(capability), claim, claimed=asyncio.get_running_loop().time())
    assert await db.fetch_value("SELECT count(*) FROM virtual_submissions") == 0
    await expand_campaigns(SERVICES)
    canceled = halt is campaigns.cancel_campaign
    assert await statuses(campaign_id) == {"canceled" if canceled else "queued": 3}
    if canceled:
        held = await db.fetch_value("SELECT balance FROM credit_balances WHERE workspace_id = $1", lane.workspace_id)
        assert held == 10_000


@pytest.mark.parametrize("capability", [Capability.DEDUPE, Capability.NONE])
async def test_nothing_counts_as_sent_after_a_cancellation(live_ctx: Context, capability: Capability) -> None:
    campaign_id = await launch(live_ctx, 1500)
    carriers = {"virtual": VirtualCarrier(capability)}
    workers = [asyncio.create_task(dispatch_messages(SERVICES, carriers, batch=50)) for _ in range(6)]
    while await Message.filter(campaign_id=campaign_id, status=MessageStatus.SENT).count() < 100:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    async with unit_of_work():
        await campaigns.cancel_campaign(live_ctx, campaign_id)
    await asyncio.gather(*workers)
    await expand_campaigns(SERVICES)
    canceled_at = (await Campaign.get(id=campaign_id)).canceled_at
    assert canceled_at is not None
    assert await Message.filter(campaign_id=campaign_id, sent_at__gt=canceled_at).count() == 0
    found = await statuses(campaign_id)
    assert found.keys() == {"sent", "canceled"}
    assert sum(found.values()) == 1500
    assert await db.fetch_value("SELECT count(*) FROM virtual_submissions") == found["sent"]


def test_a_slow_carrier_is_given_what_it_takes_in_half_a_second() -> None:
    paces = Paces()
    assert paces.batch(["quick", "slow"]) == dispatch.FIRST_BATCH
    paces.learn("quick", 100, 0.01)
    paces.learn("slow", 100, 5.0)
    assert paces.batch(["quick"]) == 5000
    assert paces.batch(["quick", "slow"]) == 10
    paces.learn("slow", 1, 60.0)
    assert paces.batch(["slow"]) == 1


class Stopping(VirtualCarrier):
    """Tells its process to end at the first message that it takes."""

    def __init__(self, flag: StopFlag) -> None:
        super().__init__(Capability.NONE)
        self.flag = flag

    async def submit_many(self, submissions: Sequence[Submission]) -> list[Outcome]:
        self.flag.set()
        return await super().submit_many(submissions)


async def test_after_a_stop_nothing_is_claimed_and_nothing_is_in_doubt(live_ctx: Context) -> None:
    campaign_id = await launch(live_ctx, 400)
    flag = StopFlag()
    sent = await dispatch_messages(SERVICES, {"virtual": Stopping(flag)}, batch=20, stop=flag)
    assert 0 < sent <= 40
    found = await statuses(campaign_id)
    assert found.keys() == {"sent", "queued"}
    assert await db.fetch_value("SELECT count(*) FROM virtual_submissions") == found["sent"]
    assert await dispatch_messages(SERVICES, {"virtual": Stopping(flag)}, stop=flag) == 0
    assert await expand_campaigns(SERVICES, stop=flag) == 0
    assert await collect_reports(SERVICES, stop=flag) == 0
    assert await maintain(SERVICES, {}, stop=flag) == {}
    assert await statuses(campaign_id) == found


async def test_a_carrier_that_hangs_holds_up_no_stop(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "STOP_SECONDS", 0.05)
    flag = StopFlag()

    class Hanging(VirtualCarrier):
        async def submit_many(self, submissions: Sequence[Submission]) -> list[Outcome]:
            asyncio.get_running_loop().call_soon(flag.set)
            await asyncio.sleep(3600)
            return [Accepted() for _ in submissions]

    async with unit_of_work():
        row = await send_message(ctx, SendMessage(factories.next_phone(), "Hi"))
    assert await dispatch_messages(SERVICES, {"virtual": Hanging(Capability.DEDUPE)}, stop=flag) == 1
    attempt = await db.fetch_row("SELECT outcome FROM message_attempts WHERE message_id = $1", row.id)
    assert attempt is not None
    assert attempt.outcome == "unknown"


async def test_a_job_that_can_be_broken_off_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "STOP_SECONDS", 0.05)
    flag = StopFlag()
    asyncio.get_running_loop().call_later(0.01, flag.set)
    with pytest.raises(TimeoutError):
        async with flag.limit():
            await asyncio.sleep(3600)
    with pytest.raises(TimeoutError):
        async with flag.limit(3600):
            await asyncio.sleep(3600)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_that_is_told_to_end_in_mid_campaign_ends_and_leaves_nothing_in_doubt(
    live_ctx: Context, database: str, engines: Engines, tmp_path: Path, number: signal.Signals
) -> None:
    campaign_id = await launch(live_ctx, 2500)
    env = os.environ | {
        "DATABASE_URL": database,
        "REDIS_URL": engines.redis_url,
        "DATA_DIR": str(tmp_path),
        "MSVS_LIVE_CARRIER": "virtual",
        "MSVS_VIRTUAL_CAPABILITY": "none",
    }
    command = [sys.executable, "-m", "msvs", "worker", "messages"]
    worker = subprocess.Popen(command, env=env, stderr=subprocess.PIPE)  # noqa: ASYNC220
    notifier = Notifier(engines.redis_url)
    try:
        notifier.enqueue(WorkQueue.MESSAGES)
        while not (await statuses(campaign_id)).get("sent"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        worker.send_signal(number)
        _, told = await asyncio.to_thread(worker.communicate, timeout=60)
    finally:
        notifier.close()
        with suppress(ProcessLookupError):
            worker.kill()
        worker.wait()
    assert worker.returncode == 0
    found = await statuses(campaign_id)
    assert found.keys() == {"sent", "queued"}
    assert found["queued"] > 0
    assert await db.fetch_value("SELECT count(*) FROM virtual_submissions") == found["sent"]
    assert b"Traceback" not in told


PROCESSES = {
    "cron": None,
    "worker messages": WorkQueue.MESSAGES,
    "worker imports": WorkQueue.IMPORTS,
    "worker billing": WorkQueue.BILLING,
    "worker webhooks": WorkQueue.WEBHOOKS,
    "worker maintenance": WorkQueue.MAINTENANCE,
}


@pytest.mark.parametrize("process", PROCESSES)
def test_every_process_ends_when_it_is_told_to_while_its_database_says_nothing(
    clean: None, engines: Engines, tmp_path: Path, process: str
) -> None:
    """What a process waits for in PostgreSQL, such as a table that is locked, holds up no stop."""
    env = os.environ | {"REDIS_URL": engines.redis_url, "DATA_DIR": str(tmp_path)}
    notifier, queue = Notifier(engines.redis_url), PROCESSES[process]
    if queue is not None:
        notifier.enqueue(queue)
    notifier.close()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        # Takes connections and never says a word.
        env["DATABASE_URL"] = f"postgresql://msvs@127.0.0.1:{silent.getsockname()[1]}/msvs"
        started = subprocess.Popen([sys.executable, "-m", "msvs", *process.split()], env=env)
        try:
            connection, _ = silent.accept()
            with connection:
                started.terminate()
                # While it opens what it needs there is nothing to end in order.
                assert started.wait(timeout=40) in (0, -signal.SIGTERM)
        finally:
            started.kill()
            started.wait()
