"""What is in doubt for good and asks for it is handed over once more, at most once, on the real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.campaigns.reconciliation import reconcile_campaign
from msvs.api.context import Context
from msvs.api.dispatch import claims, resending
from msvs.api.dispatch.delivery_reports import DeliveryReport, take_reports
from msvs.api.dispatch.lanes import Lane
from msvs.api.dispatch.outcomes import MAX_ATTEMPTS
from msvs.api.inbound.replies import receive_inbound
from msvs.api.messages.explanations import explain_message, get_timeline
from msvs.api.messages.messages import cancel_message
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.carrier_events import keep_carrier_events
from msvs.carriers.protocol import Accepted, Capability, CarrierEvent, Outcome, Refused, Submission, Unknown
from msvs.carriers.smpp.pdu import Message as PduMessage
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import Contact, Message, MessageStatus, OnUnknown
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_lane, dispatch_messages, hand_over, resolve_expired
from msvs.workers.maintenance import maintain
from msvs.workers.reports import collect_reports
from msvs.workers.stopping import StopFlag
from tests import factories
from tests.carriers.smpp.fake import Peer, carrier_of, fake_smsc, until
from tests.carriers.smpp.test_carrier import LONG, receipt
from tests.services import SERVICES
from tests.workers.test_dispatch import accepted, balance, events, hurry, ledger, send


@pytest.fixture(autouse=True)
async def _virtual_live() -> AsyncIterator[None]:
    SERVICES.carriers.live = "virtual"
    yield
    SERVICES.carriers.live = None


class Scripted(VirtualCarrier):
    """Cannot be asked, and answers each hand-over as told; it has what it accepted and what it says nothing of."""

    def __init__(self, *answers: Outcome | None) -> None:
        super().__init__(Capability.NONE)
        self.answers = list(answers)
        self.meanwhile: Callable[[], object] | None = None

    async def submit_many(self, submissions: Sequence[Submission]) -> list[Outcome]:
        if self.meanwhile is not None:
            await self.meanwhile()  # type: ignore[misc]
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Refused):
            return [answer for _ in submissions]
        taken = await super().submit_many(submissions)
        return taken if answer is None else [answer for _ in submissions]


LOST = Unknown("timeout")


async def resend(ctx: Context, carrier: VirtualCarrier, **values: object) -> UUID:
    """Send a message whose first hand-over has no answer, and wait for its lease to run out."""
    message_id = await send(ctx, on_unknown=OnUnknown.RESEND, **values)
    await dispatch_messages(SERVICES, {"virtual": carrier})
    assert (await Message.get(id=message_id)).status == MessageStatus.SENDING
    await hurry()
    return message_id


async def sweep(carrier: VirtualCarrier, **options: object) -> int:
    return await resolve_expired(SERVICES, {"virtual": carrier}, **options)  # type: ignore[arg-type]


async def attempts(message_id: UUID) -> list[tuple[str | None, bool]]:
    rows = await db.fetch(
        "SELECT outcome, is_resend FROM message_attempts WHERE message_id = $1 ORDER BY id", message_id
    )
    return [(row.outcome, row.is_resend) for row in rows]


async def test_what_is_in_doubt_is_sent_again_after_its_lease_and_paid_once(live_ctx: Context) -> None:
    carrier = Scripted(LOST)
    message_id = await resend(live_ctx, carrier)
    assert await sweep(carrier) == 1
    assert await sweep(carrier) == 0
    message = await Message.get(id=message_id)
    assert (message.status, message.attempt_count, message.claim_token) == ("sent", 2, None)
    assert await attempts(message_id) == [("unknown", False), ("accepted", True)]
    assert await accepted(message_id) == 2
    assert await events(message_id) == ["message.queued", "message.sent"]
    assert await ledger(message_id) == {"reserve": -1, "capture": 0}
    assert await balance(live_ctx) == 9_999


async def test_before_its_lease_and_without_asking_for_it_nothing_is_sent_again(live_ctx: Context) -> None:
    carrier = Scripted(LOST, LOST)
    plain = await send(live_ctx)
    asking = await send(live_ctx, on_unknown=OnUnknown.RESEND)
    await dispatch_messages(SERVICES, {"virtual": carrier})
    assert await sweep(carrier) == 0
    await db.execute("UPDATE messages SET lease_until = now() - interval '1 s' WHERE id = $1", plain)
    assert await sweep(carrier) == 1
    assert (await accepted(plain), await accepted(asking)) == (1, 1)
    assert (await Message.get(id=plain)).lease_until is None
    assert await attempts(asking) == [("unknown", False)]


async def test_a_message_in_doubt_is_sent_at_most_once_more(live_ctx: Context) -> None:
    carrier = Scripted(LOST, LOST)
    message_id = await resend(live_ctx, carrier)
    assert await sweep(carrier) == 1
    await hurry()
    # Left to its report now.
    assert await sweep(carrier) == 1
    assert await sweep(carrier) == 0
    message = await Message.get(id=message_id)
    assert (message.status, message.lease_until, message.attempt_count) == ("sending", None, 2)
    assert await accepted(message_id) == 2
    assert await attempts(message_id) == [("unknown", False), ("unknown", True)]


async def test_a_worker_that_dies_in_the_second_hand_over_makes_no_third(live_ctx: Context) -> None:
    """Killed after its claim: whether the carrier has it nobody knows."""
    carrier = Scripted(LOST)
    message_id = await resend(live_ctx, carrier)
    async with unit_of_work():
        claim = await resending.claim_doubtful(SERVICES, carrier="virtual", limit=10, now=await db.now())
    assert claim is not None
    assert [row.id for row in claim.messages] == [message_id]
    await hurry()
    assert await sweep(carrier) == 1
    assert await accepted(message_id) == 1
    assert await attempts(message_id) == [("unknown", False), ("unknown", True)]
    await db.execute("UPDATE messages SET handed_at = now() - interval '73 hours'")
    await maintain(SERVICES, {"virtual": carrier})
    message = await Message.get(id=message_id)
    assert (message.status, message.error_code) == ("failed", "outcome_unknown")
    assert await ledger(message_id) == {"reserve": -1, "capture": 0}


async def test_a_worker_that_died_in_the_first_hand_over_leaves_it_in_doubt(live_ctx: Context) -> None:
    message_id = await send(live_ctx, on_unknown=OnUnknown.RESEND)
    async with unit_of_work():
        await claims.claim(
            SERVICES, Lane(live_ctx.workspace_id, True), carrier="virtual", limit=10, now=datetime.now(UTC)
        )
    await hurry()
    carrier = Scripted()
    assert await sweep(carrier) == 1
    assert (await Message.get(id=message_id)).status == MessageStatus.SENT
    assert await attempts(message_id) == [("unknown", False), ("accepted", True)]
    assert await ledger(message_id) == {"reserve": -1, "capture": 0}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Refused("carrier_filtered"), "refused"),
        (Refused("recipient_opted_out"), "refused"),
        (Refused("carrier_rejected", retryable=True), "throttled"),
        (Refused("carrier_rejected", is_fault=True, retryable=True), "fault"),
    ],
)
async def test_a_refused_second_hand_over_says_nothing_of_the_first(
    live_ctx: Context, answer: Outcome, outcome: str
) -> None:
    carrier = Scripted(LOST, answer)
    message_id = await resend(live_ctx, carrier)
    assert await sweep(carrier) == 1
    assert (await Message.get(id=message_id)).status == MessageStatus.SENDING
    assert await attempts(message_id) == [("unknown", False), (outcome, True)]
    assert await ledger(message_id) == {"reserve": -1}
    assert await events(message_id) == ["message.queued"]
    await hurry()
    assert await sweep(carrier) == 1
    # What certainly did not arrive is tried again; what was refused is not.
    again = [("accepted", True)] if outcome in ("throttled", "fault") else []
    assert await attempts(message_id) == [("unknown", False), (outcome, True), *again]
    noted = await db.fetch_value("SELECT count(*) FROM carrier_signals WHERE kind = 'opt_out'")
    assert noted == int(answer.code == "recipient_opted_out")  # type: ignore[union-attr]
    timeline = await get_timeline(live_ctx, message_id)
    states = [entry.status for entry in timeline.entries if entry.kind == "state"]
    assert states == ["queued", "sending", "sending", *(["sending", "sent"] if again else [])]


async def test_a_carrier_that_is_away_is_tried_a_bounded_number_of_times(live_ctx: Context) -> None:
    away = Refused("carrier_rejected", is_fault=True, retryable=True)
    carrier = Scripted(LOST, *[away] * 30)
    message_id = await resend(live_ctx, carrier)
    for _ in range(MAX_ATTEMPTS + 2):
        await sweep(carrier)
        await hurry()
    message = await Message.get(id=message_id)
    assert (message.status, message.attempt_count) == ("sending", MAX_ATTEMPTS)
    assert await accepted(message_id) == 1


async def _stop(ctx: Context, message: Message) -> None:
    async with unit_of_work():
        await receive_inbound(
            ctx,
            from_phone=message.to_phone,
            to_sender="COHORTLABS",
            text="STOP",
            dedupe_key=str(message.id),
            now=datetime.now(UTC),
        )


async def _withdraw(ctx: Context, message: Message) -> None:
    await Contact.filter(id=message.contact_id).update(opt_in_status="opted_out")


async def _forget(ctx: Context, message: Message) -> None:
    await db.execute("UPDATE messages SET contact_id = NULL WHERE id = $1", message.id)


async def _cancel(ctx: Context, message: Message) -> None:
    async with unit_of_work():
        found = await cancel_message(ctx, message.id)
    assert (found.status, found.on_unknown) == ("sending", "never")


async def _expire(ctx: Context, message: Message) -> None:
    await db.execute("UPDATE messages SET expires_at = now() WHERE id = $1", message.id)


@pytest.mark.parametrize("change", [_stop, _withdraw, _forget, _cancel, _expire], ids=lambda each: each.__name__)
async def test_consent_expiry_and_cancellation_are_looked_at_again(
    live_ctx: Context, change: Callable[[Context, Message], object]
) -> None:
    carrier = Scripted(LOST)
    message_id = await resend(live_ctx, carrier)
    await change(live_ctx, await Message.get(id=message_id))  # type: ignore[misc]
    await sweep(carrier)
    message = await Message.get(id=message_id)
    assert (message.status, message.lease_until) == ("sending", None)
    assert await accepted(message_id) == 1
    assert await attempts(message_id) == [("unknown", False)]
    # Its report still counts.
    async with unit_of_work():
        assert await take_reports([DeliveryReport(message_id, True)], datetime.now(UTC)) == 1
    assert (await Message.get(id=message_id)).status == MessageStatus.DELIVERED
    assert await ledger(message_id) == {"reserve": -1, "capture": 0}


async def test_a_suspended_workspace_waits(live_ctx: Context) -> None:
    carrier = Scripted(LOST)
    message_id = await resend(live_ctx, carrier)
    await db.execute("UPDATE workspaces SET suspended_at = now() WHERE id = $1", live_ctx.workspace_id)
    assert await sweep(carrier) == 0
    assert await accepted(message_id) == 1
    await db.execute("UPDATE workspaces SET suspended_at = NULL WHERE id = $1", live_ctx.workspace_id)
    await hurry()
    assert await sweep(carrier) == 1
    assert await accepted(message_id) == 2


async def test_a_report_that_comes_first_leaves_nothing_to_send(live_ctx: Context) -> None:
    carrier = Scripted(LOST)
    message_id = await resend(live_ctx, carrier)
    async with unit_of_work():
        claim = await resending.claim_doubtful(SERVICES, carrier="virtual", limit=10, now=await db.now())
    assert claim is not None
    async with unit_of_work():
        assert await take_reports([DeliveryReport(message_id, True)], datetime.now(UTC)) == 1
    left, _ = await resending.begin_resend(claim)
    assert left.messages == []


async def test_reports_of_either_hand_over_count_to_the_one_message(live_ctx: Context) -> None:
    carrier = Scripted(LOST)
    message_id = await resend(live_ctx, carrier)

    async def delivered() -> None:
        async with unit_of_work():
            await take_reports([DeliveryReport(message_id, True)], datetime.now(UTC))

    carrier.meanwhile = delivered
    assert await sweep(carrier) == 1
    assert await accepted(message_id) == 2
    async with unit_of_work():
        assert await take_reports([DeliveryReport(message_id, True)], datetime.now(UTC)) == 0
    message = await Message.get(id=message_id)
    assert message.status == MessageStatus.DELIVERED
    # The second has a reference of its own, by which its report finds the message.
    parts = await db.fetch(
        "SELECT ref, hand_over IS NOT NULL AS late FROM message_parts WHERE message_id = $1", message_id
    )
    assert [(row.ref, row.late) for row in parts] == [(f"v-{message_id.hex}", True)]
    assert await events(message_id) == ["message.queued", "message.sent", "message.delivered"]
    assert await ledger(message_id) == {"reserve": -1, "capture": 0}


class Stalled(Scripted):
    """Holds the first hand-over until it is let go, and then has taken it."""

    def __init__(self) -> None:
        super().__init__()
        self.holding = asyncio.Event()
        self.let_go = asyncio.Event()

    async def submit_many(self, submissions: Sequence[Submission]) -> list[Outcome]:
        if not self.holding.is_set():
            self.holding.set()
            await self.let_go.wait()
            return [Accepted("first") for _ in submissions]
        return [Accepted("second") for _ in submissions]


@pytest.mark.parametrize("answer", ["second", None], ids=["sent", "unknown"])
async def test_what_a_stalled_worker_learns_of_the_first_counts(live_ctx: Context, answer: str | None) -> None:
    message_id = await send(live_ctx, on_unknown=OnUnknown.RESEND)
    carrier = Stalled()
    stalled = asyncio.create_task(dispatch_lane(SERVICES, {"virtual": carrier}, Lane(live_ctx.workspace_id, True)))
    await carrier.holding.wait()
    await hurry()
    second = carrier if answer else Scripted(LOST)
    assert await sweep(second) == 1
    assert (await Message.get(id=message_id)).status == ("sent" if answer else "sending")
    carrier.let_go.set()
    await stalled
    message = await Message.get(id=message_id)
    assert (message.status, message.carrier_ref) == ("sent", answer)
    parts = await db.fetch("SELECT ref FROM message_parts WHERE message_id = $1", message_id)
    assert [row.ref for row in parts] == ["first"]
    assert await events(message_id) == ["message.queued", "message.sent"]
    assert await ledger(message_id) == {"reserve": -1, "capture": 0}


async def test_a_late_answer_to_another_message_changes_nothing(live_ctx: Context) -> None:
    message_id = await send(live_ctx)
    carrier = Stalled()
    carrier.capability = Capability.DEDUPE
    stalled = asyncio.create_task(dispatch_lane(SERVICES, {"virtual": carrier}, Lane(live_ctx.workspace_id, True)))
    await carrier.holding.wait()
    await hurry()
    assert await sweep(carrier) == 1
    carrier.let_go.set()
    await stalled
    assert (await Message.get(id=message_id)).carrier_ref == "second"
    assert await db.fetch_value("SELECT count(*) FROM message_parts") == 0


async def test_sweepers_at_once_make_one_second_hand_over_each(live_ctx: Context) -> None:
    carrier = Scripted(*[LOST] * 30)
    sent = [await send(live_ctx, on_unknown=OnUnknown.RESEND) for _ in range(20)]
    await dispatch_messages(SERVICES, {"virtual": carrier})
    await hurry()
    carrier.answers = []
    await asyncio.gather(*(sweep(carrier, batch=3) for _ in range(4)))
    rows = await db.fetch("SELECT count(*) AS n FROM virtual_submissions GROUP BY message_id")
    assert [row.n for row in rows] == [2] * 20
    assert {(await Message.get(id=each)).status for each in sent} == {MessageStatus.SENT}
    assert await balance(live_ctx) == 9_980


async def test_a_stop_and_the_second_hand_over_race_and_no_claim_follows_the_stop(live_ctx: Context) -> None:
    for _ in range(5):
        carrier = Scripted(LOST)
        message_id = await resend(live_ctx, carrier)
        message = await Message.get(id=message_id)
        await asyncio.gather(_stop(live_ctx, message), sweep(carrier))
        row = await db.fetch("SELECT created_at FROM suppressions WHERE phone = $1", message.to_phone)
        assert len(row) == 1
        again = await db.fetch(
            "SELECT started_at FROM message_attempts WHERE message_id = $1 AND is_resend", message_id
        )
        assert await accepted(message_id) == 1 + len(again)
        await hurry()
        await sweep(carrier)
        assert await accepted(message_id) == 1 + len(again)


async def test_a_worker_told_to_stop_gives_it_back_to_another(live_ctx: Context) -> None:
    carrier = Scripted(LOST)
    message_id = await resend(live_ctx, carrier)
    async with unit_of_work():
        claim = await resending.claim_doubtful(SERVICES, carrier="virtual", limit=10, now=await db.now())
    assert claim is not None
    flag = StopFlag()
    flag.set()
    await hand_over(SERVICES, carrier, claim, claimed=asyncio.get_running_loop().time(), stop=flag)
    assert await accepted(message_id) == 1
    assert await attempts(message_id) == [("unknown", False), ("unused", True)]
    assert await sweep(carrier) == 1
    assert await accepted(message_id) == 2
    assert await attempts(message_id) == [("unknown", False), ("unused", True), ("accepted", True)]


@pytest.fixture
async def campaign_id(live_ctx: Context) -> UUID:
    """A campaign of three whose hand-overs have no answer, and whose leases ran out."""
    people = [await factories.make_contact(live_ctx) for _ in range(3)]
    data = CreateCampaign(
        "Cohort 06", "Doors open", contact_ids=[each.id for each in people], on_unknown=OnUnknown.RESEND
    )
    async with unit_of_work():
        campaign = await campaigns.create_campaign(live_ctx, data)
    await expand_campaigns(SERVICES)
    carrier = Scripted(*[LOST] * 5)
    await dispatch_messages(SERVICES, {"virtual": carrier})
    await hurry()
    assert await db.fetch_value("SELECT count(*) FROM messages WHERE status = 'sending' AND on_unknown = 'resend'") == 3
    return campaign.id


async def test_the_books_of_a_campaign_that_sent_again_agree(live_ctx: Context, campaign_id: UUID) -> None:
    carrier = Scripted()
    assert await sweep(carrier) == 3
    assert await db.fetch_value("SELECT count(*) FROM virtual_submissions") == 6
    books = await reconcile_campaign(live_ctx, campaign_id)
    assert [each.check for each in books.checks if not each.ok] == []
    assert await balance(live_ctx) == 9_997
    # Where nobody asked for it, it is a repetition.
    await db.execute("UPDATE message_attempts SET is_resend = false")
    books = await reconcile_campaign(live_ctx, campaign_id)
    assert [each.check for each in books.checks if not each.ok] == ["carrier.repeated"]


async def test_a_canceled_campaign_sends_nothing_again_and_a_paused_one_waits(
    live_ctx: Context, campaign_id: UUID
) -> None:
    carrier = Scripted()
    async with unit_of_work():
        await campaigns.pause_campaign(live_ctx, campaign_id)
    assert await sweep(carrier) == 0
    async with unit_of_work():
        await campaigns.resume_campaign(live_ctx, campaign_id)
    claim = await _claim()
    async with unit_of_work():
        await campaigns.pause_campaign(live_ctx, campaign_id)
    # Claimed before the pause: given back, not handed over.
    await hand_over(SERVICES, carrier, claim, claimed=asyncio.get_running_loop().time())
    assert await db.fetch_value("SELECT count(*) FROM virtual_submissions") == 3
    async with unit_of_work():
        await campaigns.cancel_campaign(live_ctx, campaign_id)
    assert await sweep(carrier) == 0
    assert await db.fetch_value("SELECT count(*) FROM virtual_submissions") == 3
    assert await db.fetch_value("SELECT count(*) FROM messages WHERE lease_until IS NULL") == 3


async def _claim() -> resending.ResendClaim:
    async with unit_of_work():
        claim = await resending.claim_doubtful(SERVICES, carrier="virtual", limit=10, now=await db.now())
    assert claim is not None
    assert len(claim.messages) == 3
    return claim


async def test_at_night_it_waits_for_the_morning(live_ctx: Context, campaign_id: UUID) -> None:
    await db.execute("UPDATE campaigns SET respects_quiet_hours = true")
    night = datetime(2026, 6, 3, 7, tzinfo=UTC)
    async with unit_of_work():
        claim = await resending.claim_doubtful(SERVICES, carrier="virtual", limit=10, now=night)
    assert claim is not None
    assert claim.messages == []
    openings = await db.fetch("SELECT DISTINCT lease_until FROM messages WHERE campaign_id = $1", campaign_id)
    assert all(night < row.lease_until < night + timedelta(hours=14) for row in openings)
    assert await db.fetch_value("SELECT count(*) FROM virtual_submissions") == 3


async def test_timeline_and_explanation_mark_the_second(live_ctx: Context) -> None:
    carrier = Scripted(LOST)
    message_id = await resend(live_ctx, carrier)
    await sweep(carrier)
    explained = await explain_message(live_ctx, message_id)
    assert [(each.outcome, each.resend) for each in explained.attempts] == [("unknown", False), ("accepted", True)]
    assert explained.message.on_unknown == "resend"
    timeline = await get_timeline(live_ctx, message_id)
    marked = [(each.kind, each.attempt.resend) for each in timeline.entries if each.attempt is not None]
    assert sorted(marked) == [
        ("attempt_ended", False),
        ("attempt_ended", True),
        ("attempt_started", False),
        ("attempt_started", True),
    ]


async def test_a_carrier_that_can_be_asked_is_asked(live_ctx: Context) -> None:
    carrier = Scripted(LOST)
    message_id = await resend(live_ctx, carrier)
    carrier.capability = Capability.LOOKUP
    assert await sweep(carrier) == 1
    assert await accepted(message_id) == 1
    assert await attempts(message_id) == [("unknown", False), ("accepted", False)]


def place_of(message: PduMessage) -> tuple[int, int]:
    """The reference and the number that a part's header says."""
    return message.short_message[3], message.short_message[5]


@pytest.mark.parametrize(
    ("first", "second", "final"),
    [
        ("DELIVRD", "DELIVRD", "delivered"),
        # Of one hand-over that failed and one that arrived, the phone has the text.
        ("UNDELIV", "DELIVRD", "delivered"),
        ("DELIVRD", "UNDELIV", "delivered"),
        (None, "DELIVRD", "delivered"),
        ("DELIVRD", None, "delivered"),
        ("UNDELIV", "UNDELIV", "failed"),
    ],
)
async def test_a_message_in_parts_is_handed_over_again_whole(
    live_ctx: Context, first: str | None, second: str | None, final: str
) -> None:
    """Its last part has no answer: all of it goes again, under another reference, and either may be told of."""
    late: list[tuple[Peer, int]] = []

    async def keep(found: Sequence[CarrierEvent]) -> None:
        await keep_carrier_events("virtual", found)

    def lose_the_last(peer: Peer, sequence: int, message: PduMessage) -> None:
        count = len(smsc.submits)
        late.append((peer, sequence)) if count == 3 else peer.accept(sequence, f"part-{count}")

    async with fake_smsc() as smsc:
        smsc.on_submit = lose_the_last
        carrier = carrier_of(smsc.port, response_seconds=0.05, enquire_seconds=60)
        carrier.name = "virtual"
        await carrier.open(keep)
        await until(lambda: carrier.bound == 1)
        message_id = await send(live_ctx, body=LONG, on_unknown=OnUnknown.RESEND)
        await dispatch_messages(SERVICES, {"virtual": carrier})
        assert (await Message.get(id=message_id)).status == MessageStatus.SENDING
        await hurry()
        assert await resolve_expired(SERVICES, {"virtual": carrier}) == 1
        assert await resolve_expired(SERVICES, {"virtual": carrier}) == 0
        assert await attempts(message_id) == [("unknown", False), ("accepted", True)]

        places = [place_of(message) for message in smsc.submits]
        references = [reference for reference, _ in places]
        assert [number for _, number in places] == [1, 2, 3, 1, 2, 3]
        assert (len(set(references[:3])), len(set(references[3:])), references[0] == references[3]) == (1, 1, False)
        assert [message.short_message[6:] for message in smsc.submits[:3]] == [
            message.short_message[6:] for message in smsc.submits[3:]
        ]

        peer, sequence = late[0]
        peer.accept(sequence, "part-3")
        for stat, numbers in ((first, (1, 2, 3)), (second, (4, 5, 6))):
            for number in numbers if stat else ():
                assert await peer.deliver(receipt(f"part-{number}", stat)) == 0
        await carrier.close()
    for _ in range(2):
        await collect_reports(SERVICES)
        await hurry()
    message = await Message.get(id=message_id)
    assert (message.status, message.segments, message.attempt_count) == (final, 3, 2)
    assert await events(message_id) == ["message.queued", "message.sent", f"message.{final}"]
    assert await ledger(message_id) == {"reserve": -3, "capture": 0}
    assert await balance(live_ctx) == 9_997
    assert len(smsc.submits) == 6
