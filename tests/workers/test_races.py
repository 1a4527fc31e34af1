"""Races on the real PostgreSQL: cancel, credits, STOP and sweepers against dispatch, and what comes too late."""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.context import Context
from msvs.api.credits import credits
from msvs.api.dispatch import claims, expired_leases, outcomes, pacing
from msvs.api.dispatch.lanes import SINGLE_LANES, Lane
from msvs.api.dispatch.outcomes import MAX_ATTEMPTS, REFUSED, record_outcomes
from msvs.api.errors import PaymentRequired
from msvs.api.inbound.replies import receive_inbound
from msvs.api.messages.messages import SendMessage, cancel_message, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.faults import Faults, FaultyCarrier
from msvs.carriers.protocol import Capability, Outcome, Submission, Unknown
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import Campaign, CreditBalance, Message, MessageStatus
from msvs.models.identity import new_id
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_lane, dispatch_messages, hand_over, resolve_expired
from msvs.workers.maintenance import has_work
from tests import factories
from tests.owner import run_as_owner
from tests.services import SERVICES

# `make chaos` races a thousand times.
ROUNDS = 1000 if os.environ.get("MSVS_STATE") == "full" else 100


pytestmark = pytest.mark.usefixtures("virtual_live")


async def send(ctx: Context, to: str | None = None) -> UUID:
    async with unit_of_work():
        row = await send_message(ctx, SendMessage(to or factories.next_phone(), "Hi"))
    id: UUID = row.id
    return id


async def cancel(ctx: Context, message_id: UUID) -> str:
    async with unit_of_work():
        return str((await cancel_message(ctx, message_id)).status)


async def stop(ctx: Context, phone: str, text: str = "STOP") -> None:
    async with unit_of_work():
        await receive_inbound(ctx, from_phone=phone, to_sender="COHORTLABS", text=text, dedupe_key=str(new_id()))


async def expire_leases() -> None:
    await db.execute("UPDATE messages SET lease_until = now() - interval '1 second' WHERE status = 'sending'")


async def acceptances() -> Counter[UUID]:
    rows = await db.fetch("SELECT message_id FROM virtual_submissions")
    return Counter(row.message_id for row in rows)


async def ledgers() -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in await db.fetch("SELECT reference, kind, amount FROM ledger_entries WHERE reference LIKE 'msg_%'"):
        found.setdefault(row.reference, {})[row.kind] = row.amount
    return found


async def queue_many(ctx: Context, number: int) -> list[UUID]:
    """Queued sandbox messages, each to a phone of its own, written as one COPY."""
    now = datetime.now(UTC)
    ids = [new_id() for _ in range(number)]
    columns = ["id", "workspace_id", "livemode", "kind", "to_phone", "sender", "body", "encoding", "segments"]
    columns += ["credits_used", "status", "metadata", "due_at", "created_at", "opted_out", "attempt_count"]
    row = (ctx.workspace_id, ctx.livemode, "api")
    rows = [
        (id, *row, f"+1312{2_000_000 + n:07d}", "COHORTLABS", "Hi", "gsm7", 1, 1, "queued", "{}", now, now, False, 0)
        for n, id in enumerate(ids)
    ]
    await db.copy_rows("messages", columns, rows)
    return ids


@pytest.mark.timeout(300)
class SignalingCarrier(VirtualCarrier):
    """A virtual carrier that says when the first message reaches it."""

    def __init__(self) -> None:
        super().__init__(Capability.NONE)
        self.is_reached = asyncio.Event()

    async def submit_many(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """Hand over many messages, and say so."""
        self.is_reached.set()
        return await super().submit_many(submissions)


async def cancel_after(event: asyncio.Event | None, ctx: Context, message_id: UUID) -> str:
    if event is not None:
        await event.wait()
    return await cancel(ctx, message_id)


async def test_cancel_races_dispatch(live_ctx: Context) -> None:
    """Exactly one of them wins, each time; the ledger and the carrier's book say the same.

    In every other round cancels begin once the first message is at the carrier, so that each wins some.
    """
    await db.execute("UPDATE credit_balances SET balance = balance + 10000")
    lane = Lane(live_ctx.workspace_id, True)
    outcomes: Counter[str] = Counter()
    for start in range(0, ROUNDS, 10):
        ids = [await send(live_ctx) for _ in range(min(10, ROUNDS - start))]
        carrier = SignalingCarrier()
        first = carrier.is_reached if start // 10 % 2 else None
        answers = await asyncio.gather(
            dispatch_lane(SERVICES, {"virtual": carrier}, lane, batch=4),
            *(cancel_after(first, live_ctx, message_id) for message_id in ids),
            dispatch_lane(SERVICES, {"virtual": carrier}, lane, batch=4),
        )
        while await dispatch_lane(SERVICES, {"virtual": carrier}, lane):
            pass
        told = dict(zip(ids, answers[1:-1], strict=True))
        taken, paid = await acceptances(), await ledgers()
        for message_id in ids:
            status = (await Message.get(id=message_id)).status
            reference = credits.message_reference(message_id)
            if told[message_id] == "canceled":
                assert (status, taken[message_id]) == (MessageStatus.CANCELED, 0)
                assert paid[reference] == {"reserve": -1, "release": 1}
            else:
                assert (status, taken[message_id]) == (MessageStatus.SENT, 1)
                assert paid[reference] == {"reserve": -1, "capture": 0}
            outcomes[str(status)] += 1
    assert outcomes.total() == ROUNDS
    assert set(outcomes) == {"sent", "canceled"}


async def test_fifty_sends_race_for_twenty_credits(live_ctx: Context) -> None:
    await db.execute("UPDATE credit_balances SET balance = 20 WHERE workspace_id = $1", live_ctx.workspace_id)

    async def attempt() -> UUID | None:
        try:
            return await send(live_ctx)
        except PaymentRequired:
            return None

    accepted = [id for id in await asyncio.gather(*(attempt() for _ in range(50))) if id is not None]
    assert len(accepted) == 20
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 0
    assert await db.fetch_value("SELECT count(*) FROM messages") == 20
    assert list((await ledgers()).values()) == [{"reserve": -1}] * 20


async def test_a_stop_among_ten_thousand_queued(ctx: Context) -> None:
    """The STOPs come while dispatch runs: nothing claimed after one of them goes to its phone."""
    total = 10_000
    ids = await queue_many(ctx, total)
    carrier = VirtualCarrier(Capability.NONE)
    stopped: dict[str, tuple[int, bool]] = {}

    async def stop_some() -> None:
        for n in range(total - 1, 0, -total // 40):
            phone = f"+1312{2_000_000 + n:07d}"
            before = (await acceptances())[ids[n]]
            await stop(ctx, phone)
            status = (await Message.get(id=ids[n])).status
            stopped[phone] = (before, status == MessageStatus.CANCELED)

    workers = [dispatch_messages(SERVICES, {"virtual": carrier}, batch=100, seconds=100) for _ in range(2)]
    await asyncio.gather(*workers, stop_some())
    taken = await acceptances()
    rows = {row.id: row for row in await Message.filter(kind="api")}
    assert max(taken.values()) == 1
    canceled = 0
    for n in range(total - 1, 0, -total // 40):
        row = rows[ids[n]]
        _, was_canceled = stopped[row.to_phone]
        # Canceled by the STOP for good, or claimed before it: nothing in between.
        assert (row.status, taken[ids[n]]) == (("canceled", 0) if was_canceled else ("sent", 1))
        canceled += was_canceled
    assert canceled > 0
    assert sum(taken[id] for id in ids) == total - canceled


@pytest.mark.parametrize("capability", list(Capability))
async def test_two_sweepers_at_once(live_ctx: Context, capability: Capability) -> None:
    for _ in range(60):
        await send(live_ctx)
    carrier = VirtualCarrier(capability)
    async with unit_of_work():
        claim = await claims.claim(
            SERVICES, Lane(live_ctx.workspace_id, True), carrier="virtual", limit=100, now=datetime.now(UTC)
        )
    assert claim is not None
    # The worker dies with half of them handed over.
    await carrier.submit_many([submission(row) for row in claim.messages[:30]])
    await expire_leases()
    found = await asyncio.gather(*(resolve_expired(SERVICES, {"virtual": carrier}, batch=7) for _ in range(4)))
    if capability is Capability.NONE:
        while await resolve_expired(SERVICES, {"virtual": carrier}, batch=7):
            pass
        assert (await acceptances()).total() == 30
        assert await Message.filter(status=MessageStatus.SENDING).count() == 60
        return
    assert sum(found) == 60
    taken = await acceptances()
    assert (len(taken), max(taken.values())) == (60, 1)
    assert await Message.filter(status=MessageStatus.SENT).count() == 60
    assert list((await ledgers()).values()) == [{"reserve": -1, "capture": 0}] * 60
    assert await db.fetch_value("SELECT count(*) FROM events WHERE type = 'message.sent'") == 60


def submission(row: Message | db.Row, attempt: int = 1) -> Submission:
    return Submission(row.id, row.workspace_id, row.livemode, row.to_phone, row.sender, row.body, "gsm7", 1, attempt)


async def test_a_stop_does_not_prove_what_is_on_the_wire(live_ctx: Context) -> None:
    """The recipient answers an older message; the carrier then refuses the one being handed over."""
    phone = factories.next_phone()
    await send(live_ctx, phone)
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    newer = await send(live_ctx, phone)
    async with unit_of_work():
        claim = await claims.claim(
            SERVICES, Lane(live_ctx.workspace_id, True), carrier="virtual", limit=10, now=datetime.now(UTC)
        )
    assert claim is not None
    await stop(live_ctx, phone)
    async with unit_of_work():
        refused = outcomes.Outcome(newer, REFUSED, code="carrier_rejected")
        await record_outcomes(claim, [refused], datetime.now(UTC))
    message = await Message.get(id=newer)
    assert (message.status, message.credits_used) == (MessageStatus.FAILED, 0)


@pytest.mark.parametrize("capability", [Capability.DEDUPE, Capability.LOOKUP])
async def test_what_was_not_handed_over_before_a_stop_is_not_handed_over_after(
    live_ctx: Context, capability: Capability
) -> None:
    """The worker died before the carrier had the message, and the recipient opts out before the sweeper comes."""
    phone = factories.next_phone()
    message_id = await send(live_ctx, phone)
    async with unit_of_work():
        await claims.claim(
            SERVICES, Lane(live_ctx.workspace_id, True), carrier="virtual", limit=10, now=datetime.now(UTC)
        )
    await stop(live_ctx, phone)
    await expire_leases()
    await resolve_expired(SERVICES, {"virtual": VirtualCarrier(capability)})
    assert (await acceptances())[message_id] == 0


async def test_a_carrier_too_busy_to_answer_a_second_time_still_has_the_message(live_ctx: Context) -> None:
    """Accepted, the answer lost; asked again it is throttled; canceled now, the message must not count as unsent."""
    message_id = await send(live_ctx)
    lane = Lane(live_ctx.workspace_id, True)
    await dispatch_lane(SERVICES, {"virtual": FaultyCarrier(faults=Faults(drop=1))}, lane)
    await expire_leases()
    await resolve_expired(SERVICES, {"virtual": FaultyCarrier(faults=Faults(throttle=1))})
    assert await cancel(live_ctx, message_id) != "canceled"
    assert (await acceptances())[message_id] == 1


@pytest.mark.parametrize("skew", [timedelta(seconds=-90), timedelta(seconds=90)])
async def test_a_wrong_clock_does_not_end_a_lease(live_ctx: Context, skew: timedelta) -> None:
    """A worker whose clock is behind claims; a sweeper whose clock is right, or ahead, must leave it its lease."""
    await send(live_ctx)
    claimed_at = datetime.now(UTC) + min(skew, timedelta(0))
    await db.execute("UPDATE messages SET due_at = now() - interval '1 hour'")
    async with unit_of_work():
        claim = await claims.claim(
            SERVICES, Lane(live_ctx.workspace_id, True), carrier="virtual", limit=10, now=claimed_at
        )
    assert claim is not None
    async with unit_of_work():
        swept_at = datetime.now(UTC) + max(skew, timedelta(0))
        assert await expired_leases.find_expired(carrier="virtual", limit=10, now=swept_at) is None


class Pausing(VirtualCarrier):
    """Stands for a worker that is stopped between its claim and the network, for longer than its lease."""

    async def submit_many(self, submissions: Sequence[Submission]) -> list[Outcome]:
        await expire_leases()
        await resolve_expired(SERVICES, {"virtual": VirtualCarrier(self.capability)})
        return await super().submit_many(submissions)


async def test_a_worker_that_slept_through_its_lease_is_deduplicated(live_ctx: Context) -> None:
    message_id = await send(live_ctx)
    await dispatch_lane(SERVICES, {"virtual": Pausing(Capability.DEDUPE)}, Lane(live_ctx.workspace_id, True))
    assert (await acceptances())[message_id] == 1
    assert (await Message.get(id=message_id)).status == MessageStatus.SENT


async def test_a_connection_that_dies_at_begin_is_let_go(workspace: object) -> None:
    """Neither the pool nor this task may keep it: the next unit of work is a transaction of its own."""
    pool: Any = getattr(db.client(), "_pool")  # noqa: B009
    free = pool.get_idle_size()

    class Dead:
        async def start(self) -> None:
            raise ConnectionError("it died at BEGIN")

    acquired = await pool.acquire()
    proxied = type(acquired)
    await pool.release(acquired)
    original = proxied.transaction
    proxied.transaction = lambda _self, **_options: Dead()
    try:
        for _ in range(3):
            with pytest.raises(ConnectionError):
                async with unit_of_work():
                    raise AssertionError("it must not begin")
    finally:
        proxied.transaction = original
    async with unit_of_work():
        assert await db.fetch_value("SELECT 1") == 1
        await db.execute("INSERT INTO throughput_buckets VALUES ('test', 0, now())")
    assert pool.get_idle_size() >= free
    assert await db.fetch_value("SELECT count(*) FROM throughput_buckets") == 1


async def test_a_connection_that_dies_on_its_way_back_is_let_go(
    workspace: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows in the same task must be a transaction of its own, and not a savepoint on a dead connection."""
    pool: Any = type(getattr(db.client(), "_pool"))  # noqa: B009
    release = pool.release

    async def broken(self: Any, connection: Any, **options: Any) -> None:
        await release(self, connection, **options)
        raise ConnectionError("it died when it was reset")

    monkeypatch.setattr(pool, "release", broken)
    with pytest.raises(ConnectionError):
        async with unit_of_work():
            await db.client().execute_query("SELECT 1")
    monkeypatch.undo()
    async with unit_of_work():
        assert await db.fetch_value("SELECT 1") == 1


@pytest.mark.parametrize("capability", list(Capability))
async def test_a_worker_that_slept_after_its_claim_submits_nothing(
    live_ctx: Context, capability: Capability, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stopped between its claim and the network for most of its lease: the next claim hands over, once."""
    message_id = await send(live_ctx)
    carrier = VirtualCarrier(capability)
    moments = iter([0.0])
    monkeypatch.setattr("msvs.workers.dispatch.time.monotonic", lambda: next(moments, 30.0))
    await dispatch_lane(SERVICES, {"virtual": carrier}, Lane(live_ctx.workspace_id, True))
    monkeypatch.undo()
    message = await Message.get(id=message_id)
    assert (message.status, message.claim_token) == (MessageStatus.QUEUED, None)
    assert (await acceptances())[message_id] == 0
    await dispatch_lane(SERVICES, {"virtual": carrier}, Lane(live_ctx.workspace_id, True))
    assert (await acceptances())[message_id] == 1
    rows = await db.fetch("SELECT outcome FROM message_attempts WHERE message_id = $1 ORDER BY started_at", message_id)
    assert [row.outcome for row in rows] == ["unused", "accepted"]
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 9_999


@pytest.mark.parametrize("capability", list(Capability))
async def test_a_worker_that_slept_through_all_of_its_lease_gives_back_what_nobody_took_over(
    live_ctx: Context, capability: Capability, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the carrier can tell them apart or be asked, the sweeper has handed them over; else nobody ever would."""
    message_id = await send(live_ctx)
    carrier = VirtualCarrier(capability)
    now = await db.now()
    lane = Lane(live_ctx.workspace_id, True)
    async with unit_of_work():
        claim = await claims.claim(SERVICES, lane, carrier="virtual", limit=10, now=now)
    assert claim is not None
    await expire_leases()
    await resolve_expired(SERVICES, {"virtual": carrier})
    await hand_over(SERVICES, carrier, claim, claimed=float("-inf"))
    message = await Message.get(id=message_id)
    is_sent = capability is not Capability.NONE
    assert message.status == (MessageStatus.SENT if is_sent else MessageStatus.QUEUED)
    assert (await acceptances())[message_id] == is_sent
    await dispatch_lane(SERVICES, {"virtual": carrier}, lane)
    assert (await acceptances())[message_id] == 1


async def test_lanes_are_found_at_the_cost_of_lanes(ctx: Context) -> None:
    await queue_many(ctx, 5_000)
    await run_as_owner("ANALYZE messages")
    try:
        explain = "EXPLAIN (ANALYZE, FORMAT JSON) " + SINGLE_LANES.format(is_open="true")
        plan = await db.fetch_value(explain, await db.now())
        rows = [float(number) for number in re.findall(r'"Actual Rows": ([0-9.]+)', plan)]
    finally:
        await db.execute("DELETE FROM messages")
        await run_as_owner("ANALYZE messages")
    assert (len(rows) > 5, max(rows)) == (True, 1)


async def test_a_batch_of_none_but_opted_out_does_not_end_the_sweep(live_ctx: Context) -> None:
    phones = [factories.next_phone() for _ in range(4)]
    message_ids = [await send(live_ctx, phone) for phone in phones]
    async with unit_of_work():
        await claims.claim(
            SERVICES, Lane(live_ctx.workspace_id, True), carrier="virtual", limit=10, now=datetime.now(UTC)
        )
    for phone in phones[:2]:
        await stop(live_ctx, phone)
    await expire_leases()
    # The two that said STOP come first, a batch of their own.
    await db.execute(
        "UPDATE messages SET lease_until = lease_until - interval '1 minute' WHERE to_phone = ANY($1)", phones[:2]
    )
    await resolve_expired(SERVICES, {"virtual": VirtualCarrier(Capability.DEDUPE)}, batch=2)
    found = await acceptances()
    assert [found[message_id] for message_id in message_ids] == [0, 0, 1, 1]


async def launch(ctx: Context, number: int, **values: Any) -> UUID:
    """A campaign to so many contacts, all of its messages queued."""
    contacts = [await factories.make_contact(ctx) for _ in range(number)]
    async with unit_of_work():
        campaign = await campaigns.create_campaign(
            ctx, CreateCampaign("Doors open", "Hi", contact_ids=[row.id for row in contacts], **values)
        )
    await expand_campaigns(SERVICES)
    return campaign.id


@pytest.mark.parametrize("claimed", [2, 5])
async def test_claims_of_a_campaign_run_out_of_credits_together(live_ctx: Context, claimed: int) -> None:
    """None waits for another while it holds the balance, which every send of the workspace needs."""
    campaign_id = await launch(live_ctx, 40)
    await db.execute("UPDATE credit_balances SET balance = 5")
    lane = Lane(live_ctx.workspace_id, True, campaign_id)
    all_run = asyncio.Barrier(claimed)

    async def claim() -> int:
        async with unit_of_work():
            assert await pacing.running_campaign(campaign_id) is not None
            await all_run.wait()
            claimed = await claims.claim(SERVICES, lane, carrier="virtual", limit=8, now=await db.now())
        return 0 if claimed is None else len(claimed.messages)

    assert sum(await asyncio.gather(*(claim() for _ in range(claimed)))) == 5
    campaign = await Campaign.get(id=campaign_id)
    assert (campaign.status, campaign.pause_reason, campaign.resume_status) == (
        "paused",
        "insufficient_credits",
        "sending",
    )
    assert await db.fetch_value("SELECT count(*) FROM events WHERE type = 'campaign.paused'") == 1
    assert await Message.filter(campaign_id=campaign_id, status=MessageStatus.QUEUED).count() == 35


async def dies_after_its_claim(lane: Lane) -> None:
    """A worker that claims all of a lane and is never heard of again."""
    async with unit_of_work():
        assert await claims.claim(SERVICES, lane, carrier="virtual", limit=10, now=await db.now()) is not None
    await expire_leases()


@pytest.mark.parametrize("capability", list(Capability))
async def test_what_was_not_handed_over_before_its_expiry_is_not_handed_over_after(
    live_ctx: Context, capability: Capability
) -> None:
    """The worker died before the carrier had the message, and its hour is over before the sweeper comes."""
    async with unit_of_work():
        hour = datetime.now(UTC) + timedelta(hours=1)
        row = await send_message(live_ctx, SendMessage(factories.next_phone(), "Your code", expires_at=hour))
    carriers = {"virtual": VirtualCarrier(capability)}
    await dies_after_its_claim(Lane(live_ctx.workspace_id, True))
    await db.execute("UPDATE messages SET expires_at = now()")
    await resolve_expired(SERVICES, carriers)
    await dispatch_messages(SERVICES, carriers)
    message = await Message.get(id=row.id)
    assert await acceptances() == Counter()
    if capability is Capability.LOOKUP:
        # The carrier says that it has nothing.
        assert (message.status, message.error_code, message.credits_used) == (MessageStatus.FAILED, "expired", 0)
        assert list((await ledgers()).values()) == [{"reserve": -1, "release": 1}]
    else:
        assert (message.status, message.lease_until) == (MessageStatus.SENDING, None)


@pytest.mark.parametrize("capability", list(Capability))
async def test_what_was_not_handed_over_before_a_cancellation_is_not_handed_over_after(
    live_ctx: Context, capability: Capability
) -> None:
    campaign_id = await launch(live_ctx, 3)
    carriers = {"virtual": VirtualCarrier(capability)}
    await dies_after_its_claim(Lane(live_ctx.workspace_id, True, campaign_id))
    async with unit_of_work():
        await campaigns.cancel_campaign(live_ctx, campaign_id)
    await resolve_expired(SERVICES, carriers)
    await dispatch_messages(SERVICES, carriers)
    await expand_campaigns(SERVICES)
    assert await acceptances() == Counter()
    is_told = capability is Capability.LOOKUP
    status = MessageStatus.CANCELED if is_told else MessageStatus.SENDING
    assert await Message.filter(campaign_id=campaign_id, status=status, lease_until=None).count() == 3
    assert list((await ledgers()).values()) == [{"reserve": -1, "release": 1} if is_told else {"reserve": -1}] * 3


@pytest.mark.parametrize("capability", [Capability.DEDUPE, Capability.LOOKUP])
async def test_what_was_not_handed_over_before_a_pause_waits_for_its_end(ctx: Context, capability: Capability) -> None:
    campaign_id = await launch(ctx, 3)
    carriers = {"virtual": VirtualCarrier(capability)}
    await dies_after_its_claim(Lane(ctx.workspace_id, False, campaign_id))
    async with unit_of_work():
        await campaigns.pause_campaign(ctx, campaign_id)
    assert await resolve_expired(SERVICES, carriers) == 0
    assert not await has_work(SERVICES, await db.now())
    await dispatch_messages(SERVICES, carriers)
    assert await acceptances() == Counter()
    async with unit_of_work():
        await campaigns.resume_campaign(ctx, campaign_id)
    assert await has_work(SERVICES, await db.now())
    assert await resolve_expired(SERVICES, carriers) == 3
    assert (await acceptances()).total() == 3
    assert await Message.filter(campaign_id=campaign_id, status=MessageStatus.SENT).count() == 3


@pytest.mark.parametrize("capability", [Capability.DEDUPE, Capability.LOOKUP])
async def test_a_carrier_that_has_no_answer_for_three_days_is_asked_no_more(
    live_ctx: Context, capability: Capability
) -> None:
    """Each question is an attempt, and a message has no room for any number of them."""

    class Dumb(VirtualCarrier):
        async def submit_many(self, submissions: Sequence[Submission]) -> list[Outcome]:
            return [Unknown("timeout") for _ in submissions]

        async def look_up(self, message_ids: Sequence[UUID]) -> dict[UUID, bool]:
            raise ConnectionError

    message_id = await send(live_ctx)
    carriers = {"virtual": Dumb(capability)}
    await dispatch_messages(SERVICES, carriers)
    for _ in range(MAX_ATTEMPTS - 1):
        await expire_leases()
        assert await resolve_expired(SERVICES, carriers) == 1
    await expire_leases()
    await db.execute(
        "UPDATE message_attempts SET started_at = started_at - interval '73 hours'"
        " WHERE id = (SELECT id FROM message_attempts ORDER BY started_at LIMIT 1)"
    )
    assert await resolve_expired(SERVICES, carriers) == 0
    message = await Message.get(id=message_id)
    assert (message.status, message.lease_until) == (MessageStatus.SENDING, None)
    assert message.attempt_count == MAX_ATTEMPTS


@pytest.mark.parametrize("skew", [timedelta(seconds=-90), timedelta(seconds=90)])
async def test_a_wrong_clock_holds_up_no_send(
    live_ctx: Context, monkeypatch: pytest.MonkeyPatch, skew: timedelta
) -> None:
    """The API's machine is ahead of PostgreSQL's, by whose clock messages are due."""

    class Skewed(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + skew

    monkeypatch.setattr("msvs.api.messages.messages.datetime", Skewed)
    message_id = await send(live_ctx)
    assert await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()}) == 1
    assert (await acceptances())[message_id] == 1
