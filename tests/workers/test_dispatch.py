"""Dispatch on the real PostgreSQL: claims, outcomes, leases, fences."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from asyncpg.exceptions import (
    AdminShutdownError,
    CannotConnectNowError,
    ConnectionDoesNotExistError,
    InterfaceError,
    RaiseError,
)

from msvs import database as db
from msvs.api import ids
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.context import Context
from msvs.api.credits import credits
from msvs.api.dispatch import claims, set_aside
from msvs.api.dispatch.lanes import Lane, find_lanes
from msvs.api.dispatch.outcomes import record_outcomes
from msvs.api.messages.messages import SendMessage, cancel_message, send_message
from msvs.api.notifier import WorkQueue
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.carrier_events import keep_carrier_events
from msvs.carriers.http import judge_status
from msvs.carriers.protocol import Accepted, Capability, Outcome, Refused, Report, Submission
from msvs.carriers.virtual import VirtualCarrier
from msvs.http_client import HttpAnswer
from msvs.models import CreditBalance, InboundMessage, Message, MessageStatus, Workspace
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import IN_DOUBT, dispatch_lane, dispatch_messages, resolve_expired
from msvs.workers.maintenance import maintain
from msvs.workers.reports import collect_reports
from tests import factories
from tests.owner import run_as_owner
from tests.services import SERVICES
from tests.workers.refusing import refused

INVALID, FILTERED, UNREACHABLE, SLOW = "+14155550101", "+14155550102", "+14155550103", "+14155550104"
NO_REPORT, DUPLICATES, THROTTLED, TIMES_OUT = "+14155550108", "+14155550109", "+14155550111", "+14155550112"


pytestmark = pytest.mark.usefixtures("virtual_live")


async def send(ctx: Context, to: str | None = None, body: str = "Hi", **values: object) -> UUID:
    async with unit_of_work():
        row = await send_message(ctx, SendMessage(to or factories.next_phone(), body, **values))  # type: ignore[arg-type]
    return row.id  # type: ignore[no-any-return]


async def run(capability: Capability = Capability.DEDUPE) -> VirtualCarrier:
    carrier = VirtualCarrier(capability)
    await dispatch_messages(SERVICES, {"virtual": carrier})
    return carrier


async def hurry() -> None:
    """Let everything that waits for a moment be due now."""
    await db.execute("UPDATE virtual_signals SET due_at = now() - interval '1 second'")
    await db.execute("UPDATE messages SET due_at = now() - interval '1 second' WHERE status = 'queued'")
    await db.execute("UPDATE messages SET lease_until = now() - interval '1 second' WHERE status = 'sending'")
    await db.execute("UPDATE messages SET due_at = now() - interval '1 second' WHERE status = 'scheduled'")


async def events(message_id: UUID) -> list[str]:
    rows = await db.fetch("SELECT type FROM events WHERE resource_id = $1 ORDER BY id", message_id)
    return [row.type for row in rows]


async def ledger(message_id: UUID) -> dict[str, int]:
    rows = await db.fetch(
        "SELECT kind, amount FROM ledger_entries WHERE reference = $1",
        credits.message_reference(message_id),
    )
    return {row.kind: row.amount for row in rows}


async def accepted(message_id: UUID) -> int:
    return int(await db.fetch_value("SELECT count(*) FROM virtual_submissions WHERE message_id = $1", message_id))


async def balance(ctx: Context) -> int:
    return (await CreditBalance.get(workspace_id=ctx.workspace_id)).balance


async def test_a_live_message_goes_all_the_way_and_is_paid_once(live_ctx: Context) -> None:
    message_id = await send(live_ctx)
    assert await balance(live_ctx) == 9_999
    await run()
    message = await Message.get(id=message_id)
    assert (message.status, message.attempt_count, message.claim_token) == (MessageStatus.SENT, 1, None)
    await hurry()
    assert await collect_reports(SERVICES) == 1
    message = await Message.get(id=message_id)
    assert message.status == MessageStatus.DELIVERED
    assert message.delivered_at is not None
    assert await events(message_id) == ["message.queued", "message.sent", "message.delivered"]
    assert await ledger(message_id) == {"reserve": -1, "capture": 0}
    assert await accepted(message_id) == 1


async def test_the_sandbox_shows_what_live_would_charge_and_moves_nothing(ctx: Context) -> None:
    message_id = await send(ctx, body="ü" * 200)
    await run()
    assert (await Message.get(id=message_id)).credits_used == 2
    assert await balance(ctx) == 10_000
    assert await ledger(message_id) == {}


@pytest.mark.parametrize(
    ("phone", "status", "code", "expected", "entries"),
    [
        (INVALID, "failed", "invalid_number", ["message.queued", "message.failed"], {"reserve": -1, "release": 1}),
        (FILTERED, "failed", "carrier_filtered", ["message.queued", "message.failed"], {"reserve": -1, "release": 1}),
        (
            UNREACHABLE,
            "failed",
            "unreachable",
            ["message.queued", "message.sent", "message.failed"],
            {"reserve": -1, "capture": 0},
        ),
        (NO_REPORT, "sent", None, ["message.queued", "message.sent"], {"reserve": -1, "capture": 0}),
        (
            DUPLICATES,
            "delivered",
            None,
            ["message.queued", "message.sent", "message.delivered"],
            {"reserve": -1, "capture": 0},
        ),
        (
            THROTTLED,
            "delivered",
            None,
            ["message.queued", "message.sent", "message.delivered"],
            {"reserve": -1, "capture": 0},
        ),
        (
            TIMES_OUT,
            "delivered",
            None,
            ["message.queued", "message.sent", "message.delivered"],
            {"reserve": -1, "capture": 0},
        ),
    ],
)
async def test_the_scripted_numbers(
    live_ctx: Context, phone: str, status: str, code: str | None, expected: list[str], entries: dict[str, int]
) -> None:
    message_id = await send(live_ctx, phone)
    for _ in range(3):
        carrier = await run()
        await hurry()
        await collect_reports(SERVICES)
        await resolve_expired(SERVICES, {"virtual": carrier})
    message = await Message.get(id=message_id)
    assert (message.status, message.error_code) == (status, code)
    assert await events(message_id) == expected
    assert await ledger(message_id) == entries
    assert await accepted(message_id) == (0 if phone in (INVALID, FILTERED) else 1)
    assert message.credits_used == (0 if "release" in entries else 1)
    assert await balance(live_ctx) == 10_000 - message.credits_used


async def test_a_slow_report_waits_its_minute(ctx: Context) -> None:
    message_id = await send(ctx, SLOW)
    await run()
    assert await collect_reports(SERVICES) == 0
    due = await db.fetch_value("SELECT due_at - now() FROM virtual_signals WHERE message_id = $1", message_id)
    assert timedelta(seconds=50) < due <= timedelta(seconds=60)


async def test_a_dead_workers_hand_over_is_resolved_by_capability(live_ctx: Context) -> None:
    """The worker died after the carrier accepted and before it wrote so: nobody is sent to twice."""
    for capability in (Capability.DEDUPE, Capability.LOOKUP):
        message_id = await send(live_ctx)
        carrier = VirtualCarrier(capability)
        lane = Lane(live_ctx.workspace_id, True)
        async with unit_of_work():
            claim = await claims.claim(SERVICES, lane, carrier="virtual", limit=10, now=datetime.now(UTC))
        assert claim is not None
        await carrier.submit_many([_submission(live_ctx, message_id)])
        assert await resolve_expired(SERVICES, {"virtual": carrier}) == 0
        await hurry()
        assert await resolve_expired(SERVICES, {"virtual": carrier}) == 1
        message = await Message.get(id=message_id)
        assert (message.status, message.attempt_count) == ("sent", 2)
        assert await accepted(message_id) == 1
        assert await ledger(message_id) == {"reserve": -1, "capture": 0}


async def test_a_carrier_that_cannot_be_asked_is_never_sent_to_again(live_ctx: Context) -> None:
    message_id = await send(live_ctx)
    carrier = VirtualCarrier(Capability.NONE)
    async with unit_of_work():
        await claims.claim(
            SERVICES, Lane(live_ctx.workspace_id, True), carrier="virtual", limit=10, now=datetime.now(UTC)
        )
    await carrier.submit_many([_submission(live_ctx, message_id)])
    await hurry()
    assert await resolve_expired(SERVICES, {"virtual": carrier}) == 1
    await run(Capability.NONE)
    assert (await Message.get(id=message_id)).status == MessageStatus.SENDING
    assert await accepted(message_id) == 1
    assert await collect_reports(SERVICES) == 1
    assert (await Message.get(id=message_id)).status == MessageStatus.DELIVERED
    assert await events(message_id) == ["message.queued", "message.sent", "message.delivered"]
    assert await ledger(message_id) == {"reserve": -1, "capture": 0}


async def test_a_hand_over_nobody_heard_of_again_ends_after_72_hours(live_ctx: Context) -> None:
    message_id = await send(live_ctx)
    async with unit_of_work():
        await claims.claim(
            SERVICES, Lane(live_ctx.workspace_id, True), carrier="virtual", limit=10, now=datetime.now(UTC)
        )
    await hurry()
    carriers = {"virtual": VirtualCarrier(Capability.NONE)}
    await maintain(SERVICES, carriers)
    assert (await Message.get(id=message_id)).status == MessageStatus.SENDING
    await db.execute("UPDATE message_attempts SET started_at = now() - interval '73 hours'")
    await maintain(SERVICES, carriers)
    message = await Message.get(id=message_id)
    assert (message.status, message.error_code, message.credits_used) == ("failed", "outcome_unknown", 1)
    assert await accepted(message_id) == 0
    assert await events(message_id) == ["message.queued", "message.failed"]
    assert await ledger(message_id) == {"reserve": -1, "capture": 0}


def _submission(ctx: Context, message_id: UUID) -> Submission:
    return Submission(
        message_id, ctx.workspace_id, ctx.livemode, "+12125550000", "COHORTLABS", "Hi", "gsm7", 1, attempt=1
    )


class Stalling(VirtualCarrier):
    """Holds the first hand-over until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.holding = asyncio.Event()
        self.let_go = asyncio.Event()

    async def submit_many(self, submissions: list[Submission]) -> list[Outcome]:  # type: ignore[override]
        if not self.holding.is_set():
            self.holding.set()
            await self.let_go.wait()
            return [Accepted("late") for _ in submissions]
        return await super().submit_many(submissions)


async def test_a_worker_that_was_given_up_changes_nothing(live_ctx: Context) -> None:
    message_id = await send(live_ctx)
    carrier = Stalling()
    stalled = asyncio.create_task(dispatch_lane(SERVICES, {"virtual": carrier}, Lane(live_ctx.workspace_id, True)))
    await carrier.holding.wait()
    await hurry()
    assert await resolve_expired(SERVICES, {"virtual": carrier}) == 1
    before = await Message.get(id=message_id)
    carrier.let_go.set()
    await stalled
    after = await Message.get(id=message_id)
    assert (after.status, after.carrier_ref, after.sent_at) == ("sent", before.carrier_ref, before.sent_at)
    assert after.carrier_ref != "late"
    assert await events(message_id) == ["message.queued", "message.sent"]


async def test_a_late_outcome_counts_when_no_worker_took_over(live_ctx: Context) -> None:
    message_id = await send(live_ctx)
    carrier = Stalling()
    carrier.capability = Capability.NONE
    stalled = asyncio.create_task(dispatch_lane(SERVICES, {"virtual": carrier}, Lane(live_ctx.workspace_id, True)))
    await carrier.holding.wait()
    await hurry()
    assert await resolve_expired(SERVICES, {"virtual": carrier}) == 1
    carrier.let_go.set()
    await stalled
    message = await Message.get(id=message_id)
    assert (message.status, message.carrier_ref, message.claim_token) == ("sent", "late", None)
    assert await ledger(message_id) == {"reserve": -1, "capture": 0}


@pytest.mark.parametrize(
    "error",
    [OSError(), ConnectionDoesNotExistError(), InterfaceError("closed"), AdminShutdownError(), CannotConnectNowError()],
)
async def test_outcomes_outlast_a_restart_of_postgresql(
    live_ctx: Context, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    message_id = await send(live_ctx)
    record, left = record_outcomes, [error, error]

    async def breaking(*values: Any) -> None:
        if left:
            raise left.pop()
        await record(*values)

    monkeypatch.setattr("msvs.workers.dispatch.record_outcomes", breaking)
    monkeypatch.setattr("msvs.workers.dispatch.RECORD_AGAIN_SECONDS", 0.0)
    carrier = VirtualCarrier(Capability.NONE)
    await dispatch_lane(SERVICES, {"virtual": carrier}, Lane(live_ctx.workspace_id, True))
    assert ((await Message.get(id=message_id)).status, left) == ("sent", [])
    assert await accepted(message_id) == 1


class Denying(VirtualCarrier):
    """Gives every message the same answer."""

    def __init__(self, answer: Outcome) -> None:
        super().__init__()
        self.answer = answer

    async def submit_many(self, submissions: list[Submission]) -> list[Outcome]:  # type: ignore[override]
        return [self.answer for _ in submissions]


def an_answer(status: int) -> HttpAnswer:
    return HttpAnswer(status=status, headers={}, head=b"", elapsed_ms=1)


TRIED = """
INSERT INTO message_attempts (id, message_id, claim_token, carrier, outcome, error_code, started_at, ended_at)
SELECT tried.id, $1, gen_random_uuid(), 'virtual', 'fault', 'carrier_rejected', $3, $3
FROM unnest($2::uuid[]) AS tried (id)
"""


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        *((judge_status(an_answer(status)), True) for status in (302, 401, 402, 403, 404, 405, 407)),
        (Refused("carrier_rejected", retryable=True, is_fault=True), False),
    ],
)
async def test_a_carrier_that_denies_a_message_is_not_asked_for_ever(
    live_ctx: Context, answer: Outcome, ends: bool
) -> None:
    """A carrier that is away is waited for; one that answers so, for hours, has refused the message."""
    message_id = await send(live_ctx)
    carriers = {"virtual": Denying(answer)}
    assert await dispatch_messages(SERVICES, carriers, seconds=0) == 1
    assert (await Message.get(id=message_id)).status == MessageStatus.QUEUED
    at = await db.now()
    await db.execute(TRIED, message_id, [ids.new_id() for _ in range(19)], at - timedelta(hours=7))
    await Message.filter(id=message_id).update(attempt_count=20, due_at=at)
    assert await dispatch_messages(SERVICES, carriers, seconds=0) == 1
    row = await Message.get(id=message_id)
    assert (row.status, row.error_code) == (("failed", "carrier_rejected") if ends else ("queued", None))
    assert await balance(live_ctx) == (10_000 if ends else 9_999)


class Migrated(VirtualCarrier):
    """Changes the table of messages during every hand-over, as a migration does beside a worker."""

    capability = Capability.NONE
    statement = ""

    async def submit_many(self, submissions: list[Submission]) -> list[Outcome]:  # type: ignore[override]
        answers = await super().submit_many(submissions)
        if self.statement:
            await run_as_owner(self.statement)
        return list(answers)


async def test_an_outcome_outlasts_a_migration_of_its_table(live_ctx: Context) -> None:
    carrier = Migrated()
    await send(live_ctx)
    # The statements are in the connections' caches, with the columns of before.
    assert await dispatch_messages(SERVICES, {"virtual": carrier}) == 1
    carrier.statement = "ALTER TABLE messages ADD COLUMN migrated integer"
    try:
        message_id = await send(live_ctx)
        assert await dispatch_messages(SERVICES, {"virtual": carrier}) == 1
        assert (await Message.get(id=message_id)).status == MessageStatus.SENT
        assert await events(message_id) == ["message.queued", "message.sent"]
    finally:
        await run_as_owner("ALTER TABLE messages DROP COLUMN IF EXISTS migrated")


async def test_two_workers_never_claim_the_same_message(ctx: Context) -> None:
    for _ in range(40):
        await send(ctx)
    carrier = VirtualCarrier(Capability.NONE)
    lane = Lane(ctx.workspace_id, False)
    counts = await asyncio.gather(*(dispatch_lane(SERVICES, {"virtual": carrier}, lane, batch=7) for _ in range(8)))
    while await dispatch_lane(SERVICES, {"virtual": carrier}, lane, batch=7):
        pass
    rows = await db.fetch("SELECT count(*) AS n FROM virtual_submissions GROUP BY message_id")
    assert [row.n for row in rows] == [1] * 40
    assert sum(counts) <= 40


async def test_an_opt_out_before_the_claim_wins(ctx: Context) -> None:
    message_id = await send(ctx)
    message = await Message.get(id=message_id)
    # The suppression alone, without the cancellation that goes with it: the claim itself must refuse.
    await db.execute(
        "INSERT INTO suppressions (id, workspace_id, livemode, phone, source, created_at)"
        " VALUES (gen_random_uuid(), $1, false, $2, 'test', now())",
        ctx.workspace_id,
        message.to_phone,
    )
    await run()
    message = await Message.get(id=message_id)
    assert (message.status, message.error_code) == ("canceled", "recipient_opted_out")
    assert await accepted(message_id) == 0
    assert await events(message_id) == ["message.queued", "message.canceled"]


async def test_a_scheduled_message_waits_and_reserves_at_dispatch(live_ctx: Context) -> None:
    message_id = await send(live_ctx, scheduled_at=datetime.now(UTC) + timedelta(hours=1))
    await run()
    message = await Message.get(id=message_id)
    assert (message.status, message.credits_used) == ("scheduled", 0)
    assert await balance(live_ctx) == 10_000
    assert await events(message_id) == []
    await hurry()
    await run()
    message = await Message.get(id=message_id)
    assert (message.status, message.credits_used) == ("sent", 1)
    assert await balance(live_ctx) == 9_999
    assert await events(message_id) == ["message.queued", "message.sent"]


async def test_a_scheduled_message_that_nobody_can_pay_fails(live_ctx: Context, workspace: Workspace) -> None:
    message_id = await send(live_ctx, scheduled_at=datetime.now(UTC) + timedelta(hours=1))
    await db.execute("UPDATE credit_balances SET balance = 0")
    await hurry()
    await run()
    message = await Message.get(id=message_id)
    assert (message.status, message.error_code, message.credits_used) == ("failed", "insufficient_credits", 0)
    assert await accepted(message_id) == 0
    assert await events(message_id) == ["message.queued", "message.failed"]


async def test_cancel_races_dispatch_and_exactly_one_wins(live_ctx: Context) -> None:
    carrier = VirtualCarrier()
    for _ in range(25):
        message_id = await send(live_ctx)

        async def cancel(message_id: UUID = message_id) -> str:
            async with unit_of_work():
                return str((await cancel_message(live_ctx, message_id)).status)

        status, _ = await asyncio.gather(
            cancel(), dispatch_lane(SERVICES, {"virtual": carrier}, Lane(live_ctx.workspace_id, True))
        )
        final = (await Message.get(id=message_id)).status
        if status == "canceled":
            assert final == "canceled"
            assert await accepted(message_id) == 0
            assert await ledger(message_id) == {"reserve": -1, "release": 1}
        else:
            assert final in ("sent", "delivered")
            assert await accepted(message_id) == 1
            assert await ledger(message_id) == {"reserve": -1, "capture": 0}
    moved = await db.fetch_value(
        "SELECT sum(amount) FROM ledger_entries WHERE workspace_id = $1", live_ctx.workspace_id
    )
    assert await balance(live_ctx) == moved


async def test_one_workspace_does_not_hide_another(ctx: Context, other_ctx: Context) -> None:
    mine = [await send(ctx) for _ in range(3)]
    theirs = await send(other_ctx)
    lanes = await find_lanes(SERVICES, datetime.now(UTC))
    assert {lane.workspace_id for lane in lanes} == {ctx.workspace_id, other_ctx.workspace_id}
    await run()
    for message_id in [*mine, theirs]:
        assert (await Message.get(id=message_id)).status == MessageStatus.SENT


class Slow(VirtualCarrier):
    """Holds every hand-over of a campaign's size until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()

    async def submit_many(self, submissions: list[Submission]) -> list[Outcome]:  # type: ignore[override]
        if len(submissions) > 1:
            await self.let_go.wait()
        return await super().submit_many(submissions)


async def test_a_single_message_overtakes_a_campaign_on_its_way(ctx: Context, other_ctx: Context) -> None:
    contacts = [await factories.make_contact(other_ctx) for _ in range(6)]
    async with unit_of_work():
        await campaigns.create_campaign(
            other_ctx, CreateCampaign("Busy", "Hi", contact_ids=[contact.id for contact in contacts])
        )
    await expand_campaigns(SERVICES)
    carrier = Slow()
    running = asyncio.create_task(dispatch_messages(SERVICES, {"virtual": carrier}, batch=3))
    while not await Message.filter(status=MessageStatus.SENDING).exists():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    message_id = await send(ctx)
    while (await Message.get(id=message_id)).status != MessageStatus.SENT:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert await Message.filter(status=MessageStatus.SENDING).count() == 6
    carrier.let_go.set()
    await running
    assert await Message.filter(status=MessageStatus.SENT).count() == 7


async def test_a_lane_that_breaks_holds_up_no_other(
    ctx: Context, other_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    contacts = [await factories.make_contact(other_ctx) for _ in range(5)]
    async with unit_of_work():
        await campaigns.create_campaign(
            other_ctx, CreateCampaign("Busy", "Hi", contact_ids=[contact.id for contact in contacts])
        )
    await expand_campaigns(SERVICES)
    broken, single = await send(ctx), await send(other_ctx)
    carriers = {"virtual": VirtualCarrier()}
    async with refused("messages", f"NEW.workspace_id = '{ctx.workspace_id}'"):
        with pytest.raises(RaiseError):
            await dispatch_messages(SERVICES, carriers, batch=2)
    assert (await Message.get(id=broken)).status == MessageStatus.QUEUED
    assert (await Message.get(id=single)).status == MessageStatus.SENT
    assert await Message.filter(kind="campaign", status=MessageStatus.SENT).count() == 5
    # It was put aside, or left out where even that was refused, and is tried later.
    monkeypatch.setattr(set_aside, "LEFT_OUT_SECONDS", 0.0)
    await hurry()
    assert await dispatch_messages(SERVICES, carriers) == 1


async def test_a_carrier_that_breaks_holds_up_no_other(live_ctx: Context) -> None:
    other = VirtualCarrier()
    other.name = "other"
    broken, whole = await send(live_ctx), await send(live_ctx)
    lane = Lane(live_ctx.workspace_id, True)
    for name in ("virtual", "other"):
        async with unit_of_work():
            assert await claims.claim(SERVICES, lane, carrier=name, limit=1, now=datetime.now(UTC)) is not None
    await hurry()
    carriers = {"virtual": VirtualCarrier(), "other": other}
    async with refused("messages", "NEW.carrier = 'virtual'"):
        with pytest.raises(RaiseError):
            await resolve_expired(SERVICES, carriers)
    assert (await Message.get(id=broken)).status == MessageStatus.SENDING
    assert (await Message.get(id=whole)).status == MessageStatus.SENT
    assert await resolve_expired(SERVICES, carriers) == 1


async def test_a_reply_that_breaks_holds_up_no_other_and_no_report(live_ctx: Context) -> None:
    broken, whole = factories.next_phone(), factories.next_phone()
    await send(live_ctx, whole)
    await run()
    for second, phone in enumerate((broken, whole)):
        await db.execute(
            "INSERT INTO virtual_signals (id, message_id, workspace_id, livemode, kind, phone, sender, text, due_at)"
            " VALUES (gen_random_uuid(), gen_random_uuid(), $1, true, 'inbound', $2, 'COHORTLABS', 'STOP',"
            " now() - make_interval(secs => $3::int))",
            live_ctx.workspace_id,
            phone,
            60 - second,
        )
    await keep_carrier_events("real", [Report("r-1", is_delivered=True, message_id=(message := await send(live_ctx)))])
    await db.execute(
        "UPDATE messages SET status = 'sent', carrier = 'real', sent_at = now(), due_at = now() WHERE id = $1", message
    )
    async with refused("inbound_messages", f"NEW.from_phone = '{broken}'", on="INSERT"):
        await collect_reports(SERVICES)
    assert (await Message.get(id=message)).status == MessageStatus.DELIVERED
    assert [row.from_phone for row in await InboundMessage.all()] == [whole]
    left = await db.fetch("SELECT phone, due_at - now() AS wait FROM virtual_signals WHERE kind = 'inbound'")
    assert [row.phone for row in left] == [broken]
    assert timedelta(seconds=50) < left[0].wait <= timedelta(minutes=1)
    await hurry()
    await collect_reports(SERVICES)
    assert sorted(row.from_phone for row in await InboundMessage.all()) == sorted((broken, whole))


async def test_a_report_that_breaks_holds_up_no_other(ctx: Context) -> None:
    messages = [await send(ctx) for _ in range(5)]
    await run()
    await hurry()
    async with refused("messages", f"NEW.id = '{messages[2]}'"):
        await collect_reports(SERVICES)
    found = {row.id: row.status for row in await Message.all()}
    assert [found[id] for id in messages] == ["delivered", "delivered", "sent", "delivered", "delivered"]


@pytest.mark.parametrize(("number", "rings"), [(IN_DOUBT - 1, 0), (IN_DOUBT, 1)])
async def test_a_full_batch_of_any_size_notifies_another_worker(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, number: int, rings: int
) -> None:
    """A carrier that cannot be asked is given fewer at once; nobody would ever join in for it."""
    notified: list[WorkQueue] = []
    monkeypatch.setattr("msvs.workers.dispatch.notify_now", notified.extend)
    for _ in range(number):
        await send(ctx)
    assert await dispatch_messages(SERVICES, {"virtual": VirtualCarrier(Capability.NONE)}) == number
    assert notified == [WorkQueue.MESSAGES] * rings
