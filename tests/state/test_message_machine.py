"""A message as a state machine: sent, canceled, claimed, lost and found, as a model says it must be."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from msvs import database as db
from msvs.api.context import Context
from msvs.api.credits import credits
from msvs.api.dispatch import claims
from msvs.api.dispatch.claims import Claim
from msvs.api.dispatch.delivery_reports import DeliveryReport, take_reports
from msvs.api.dispatch.lanes import Lane, promote_scheduled
from msvs.api.dispatch.outcomes import ACCEPTED, REFUSED, THROTTLED, UNKNOWN, Outcome, record_outcomes
from msvs.api.errors import ComplianceRefused, PaymentRequired
from msvs.api.inbound.replies import receive_inbound
from msvs.api.messages.messages import SendMessage, cancel_message, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.protocol import Capability, Submission
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import Message, OnUnknown
from msvs.models.identity import new_id
from msvs.workers.dispatch import resolve_expired
from tests import factories
from tests.services import SERVICES
from tests.state.conftest import Drive

CREDITS = 12
BODIES = {1: "Doors open at 8pm ET.", 2: "x" * 161}
OUTCOMES = ("accepted", "refused", "throttled", "answer lost", "never arrived")


@dataclass
class Expected:
    """What the model knows of a message."""

    id: UUID
    livemode: bool
    phone: str
    segments: int
    status: str
    events: Counter[str] = field(default_factory=Counter)
    ledger: dict[str, int] = field(default_factory=dict)
    acceptances: int = 0
    asks: bool = False
    is_resent: bool = False
    is_due: bool = True
    is_leased: bool = False

    def become(self, status: str) -> None:
        self.status = status
        self.events[f"message.{status}"] += 1
        self.is_leased = False


class MessageMachine(RuleBasedStateMachine):
    """Singles of one workspace, live and sandbox, at a carrier of one capability."""

    claims = Bundle("claims")

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run = run
        self.messages: dict[UUID, Expected] = {}
        self.opted_out: set[tuple[bool, str]] = set()
        self.balance = CREDITS

    @initialize(capability=st.sampled_from(list(Capability)))
    def open(self, capability: Capability) -> None:
        workspace = self.run(factories.make_workspace(credits=CREDITS, opt_out_text="", welcome_text=""))
        self.workspace_id: UUID = workspace.id
        self.contexts = {mode: Context(workspace.id, mode, actor="test", services=SERVICES) for mode in (False, True)}
        self.phones = [factories.next_phone() for _ in range(3)]
        self.carrier = VirtualCarrier(capability)
        self.number = 0

    def teardown(self) -> None:
        if hasattr(self, "workspace_id"):
            # The next example's sweeper must not meet this one's messages.
            self.run(db.execute("DELETE FROM messages WHERE workspace_id = $1", self.workspace_id))

    @rule(
        livemode=st.booleans(),
        phone=st.integers(0, 2),
        segments=st.sampled_from([1, 1, 2]),
        later=st.booleans(),
        asks=st.booleans(),
    )
    def send(self, livemode: bool, phone: int, segments: int, later: bool, asks: bool) -> None:
        to = self.phones[phone]
        scheduled_at = datetime.now(UTC) + timedelta(hours=1) if later else None
        try:
            on_unknown = OnUnknown.RESEND if asks else None
            data = SendMessage(to, BODIES[segments], scheduled_at=scheduled_at, on_unknown=on_unknown)
            message_id = self.run(self._send(livemode, data))
        except ComplianceRefused:
            assert (livemode, to) in self.opted_out
            return
        except PaymentRequired:
            assert (livemode, later) == (True, False)
            assert segments > self.balance
            return
        assert (livemode, to) not in self.opted_out
        expected = Expected(message_id, livemode, to, segments, "scheduled", is_due=not later, asks=asks)
        self.messages[message_id] = expected
        if not later:
            expected.become("queued")
            self._reserve(expected)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        expected = self._draw(data)
        if expected is None:
            return
        status = self.run(self._cancel(expected))
        if expected.status in ("queued", "scheduled"):
            expected.become("canceled")
            self._release(expected)
        elif expected.status == "sending":
            expected.asks = False
        assert status == expected.status

    @rule()
    def time_passes(self) -> None:
        """Everything that waits for its moment is due, and every lease has run out."""
        self.run(
            db.execute("UPDATE messages SET due_at = now() - interval '1 hour' WHERE status IN ('queued', 'scheduled')")
        )
        self.run(
            db.execute(
                "UPDATE messages SET lease_until = now() - interval '1 hour'"
                " WHERE status = 'sending' AND lease_until IS NOT NULL"
            )
        )
        for expected in self.messages.values():
            expected.is_due = True

    @rule()
    def promote(self) -> None:
        self.run(self._promote())
        for expected in self.messages.values():
            if expected.status == "scheduled" and expected.is_due:
                expected.become("queued")

    @rule(target=claims, livemode=st.booleans())
    def claim(self, livemode: bool) -> Any:
        claim = self.run(self._claim(livemode))
        taken = []
        # In the order in which they were due: the balance may not cover all that were scheduled.
        waiting = [
            expected
            for expected in self.messages.values()
            if expected.livemode == livemode and expected.status == "queued" and expected.is_due
        ]
        claimed = {row.id for row in claim.messages} if claim is not None else set()
        for expected in waiting:
            paid = not livemode or "reserve" in expected.ledger
            if not paid and expected.id in claimed:
                self._reserve(expected)
            elif not paid:
                expected.become("failed")
                continue
            expected.status = "sending"
            expected.is_leased = True
            taken.append(expected.id)
        assert self.balance >= 0
        assert claimed == set(taken)
        return claim if claim is not None else multiple()

    @rule(claim=consumes(claims), data=st.data())
    def hand_over(self, claim: Claim, data: st.DataObject) -> None:
        """The carrier answers a claim that still holds; each message its own way."""
        held = self.run(self._held(claim))
        outcomes = []
        for row in claim.messages:
            expected = self.messages[row.id]
            if row.id not in held:
                # Given up: what this worker still writes must change nothing.
                outcomes.append(Outcome(row.id, data.draw(st.sampled_from(["accepted", "refused", "throttled"]))))
                continue
            drawn = data.draw(st.sampled_from(OUTCOMES))
            if drawn in ("accepted", "answer lost"):
                self.run(self._accept(row, expected))
            outcomes.append(self._expect(expected, drawn))
        self.run(self._record(claim, outcomes))

    @rule(claim=consumes(claims), reached=st.booleans())
    def die(self, claim: Claim, reached: bool) -> None:
        """The worker is killed, after the carrier had the messages or before."""
        held = self.run(self._held(claim))
        for row in claim.messages:
            if reached and row.id in held:
                self.run(self._accept(row, self.messages[row.id]))

    @rule()
    def sweep(self) -> None:
        expired = self.run(self._expired())
        self.run(resolve_expired(SERVICES, {"virtual": self.carrier}))
        for message_id in expired:
            expected = self.messages[message_id]
            if self.carrier.capability is Capability.NONE:
                is_barred = (expected.livemode, expected.phone) in self.opted_out
                if is_barred or expected.is_resent or not expected.asks:
                    expected.is_leased = False
                    continue
                expected.is_resent = True
                expected.acceptances += 1
            expected.acceptances = max(expected.acceptances, 1)
            self._sent(expected)

    @rule(data=st.data(), delivered=st.lists(st.booleans(), min_size=1, max_size=3))
    def report(self, data: st.DataObject, delivered: list[bool]) -> None:
        """Reports in any order and any number; a carrier reports only what it has."""
        expected = self._draw(data)
        if expected is None or not expected.acceptances:
            return
        self.run(self._report(expected, delivered))
        if expected.status == "sending":
            self._sent(expected)
        first = delivered[0]
        if expected.status == "sent":
            expected.become("delivered" if first else "failed")
        elif expected.status == "replied" and any(delivered) and not expected.events["message.delivered"] and first:
            expected.events["message.delivered"] += 1

    @rule(livemode=st.booleans(), phone=st.integers(0, 2), text=st.sampled_from(["STOP", "START"]))
    def change_mind(self, livemode: bool, phone: int, text: str) -> None:
        to = self.phones[phone]
        latest = self._latest(livemode, to)
        if latest is not None and latest.status == "sending":
            return  # tests/workers/test_races.py: what is on the wire is not what the reply answers
        self.run(self._reply(livemode, to, text))
        if text == "START":
            self.opted_out.discard((livemode, to))
            return
        if (livemode, to) in self.opted_out:
            return
        self.opted_out.add((livemode, to))
        for expected in self.messages.values():
            if (expected.livemode, expected.phone) == (livemode, to) and expected.status in ("queued", "scheduled"):
                expected.become("canceled")
                self._release(expected)

    @invariant()
    def rows_are_as_expected(self) -> None:
        if not hasattr(self, "workspace_id"):
            return
        assert self.run(self._state()) == {
            message_id: (
                expected.status,
                dict(expected.events),
                expected.ledger,
                -sum(expected.ledger.values()) if expected.livemode else None,
                expected.is_leased,
            )
            for message_id, expected in self.messages.items()
        }
        assert self.run(self._accepted()) == {
            message_id: expected.acceptances for message_id, expected in self.messages.items() if expected.acceptances
        }
        assert all(expected.acceptances <= 1 + expected.is_resent for expected in self.messages.values())
        assert self.run(credits.available(self.workspace_id)) == self.balance

    # The model's side

    def _draw(self, data: st.DataObject) -> Expected | None:
        if not self.messages:
            return None
        return self.messages[data.draw(st.sampled_from(sorted(self.messages)))]

    def _latest(self, livemode: bool, phone: str) -> Expected | None:
        """The message that a reply belongs to."""
        ids = [
            message_id
            for message_id, expected in self.messages.items()
            if (expected.livemode, expected.phone) == (livemode, phone)
            and expected.status in ("sending", "sent", "delivered", "replied")
        ]
        return self.messages[max(ids)] if ids else None

    def _reserve(self, expected: Expected) -> None:
        if expected.livemode:
            expected.ledger["reserve"] = -expected.segments
            self.balance -= expected.segments

    def _release(self, expected: Expected) -> None:
        if "reserve" in expected.ledger:
            expected.ledger["release"] = expected.segments
            self.balance += expected.segments

    def _sent(self, expected: Expected) -> None:
        expected.become("sent")
        if expected.livemode:
            expected.ledger["capture"] = 0

    def _expect(self, expected: Expected, drawn: str) -> Outcome:
        """What a held message becomes by this answer."""
        if drawn == "accepted":
            self._sent(expected)
            return Outcome(expected.id, ACCEPTED, ref="r")
        if drawn == "refused":
            expected.become("failed")
            self._release(expected)
            return Outcome(expected.id, REFUSED, code="carrier_rejected")
        if drawn == "throttled":
            expected.status, expected.is_due, expected.is_leased = "queued", False, False
            return Outcome(expected.id, THROTTLED, retry_after=3600)
        return Outcome(expected.id, UNKNOWN)

    # The service's side

    async def _send(self, livemode: bool, data: SendMessage) -> UUID:
        async with unit_of_work():
            row = await send_message(self.contexts[livemode], data)
        id: UUID = row.id
        return id

    async def _cancel(self, expected: Expected) -> str:
        async with unit_of_work():
            return str((await cancel_message(self.contexts[expected.livemode], expected.id)).status)

    async def _promote(self) -> None:
        async with unit_of_work():
            await promote_scheduled(SERVICES, limit=100, now=datetime.now(UTC))

    async def _claim(self, livemode: bool) -> Claim | None:
        async with unit_of_work():
            lane = Lane(self.workspace_id, livemode)
            return await claims.claim(SERVICES, lane, carrier="virtual", limit=100, now=datetime.now(UTC))

    async def _held(self, claim: Claim) -> set[UUID]:
        rows = await db.fetch("SELECT id FROM messages WHERE claim_token = $1 AND status = 'sending'", claim.token)
        return {row.id for row in rows}

    async def _record(self, claim: Claim, outcomes: list[Outcome]) -> None:
        async with unit_of_work():
            await record_outcomes(claim, outcomes, datetime.now(UTC))

    async def _accept(self, row: Any, expected: Expected) -> None:
        await self.carrier.submit_many(
            [
                Submission(
                    row.id, row.workspace_id, row.livemode, row.to_phone, row.sender, row.body, "gsm7", row.segments, 1
                )
            ]
        )
        expected.acceptances += 1

    async def _expired(self) -> list[UUID]:
        rows = await db.fetch(
            "SELECT id FROM messages WHERE workspace_id = $1 AND status = 'sending' AND lease_until < now()",
            self.workspace_id,
        )
        return [row.id for row in rows]

    async def _report(self, expected: Expected, delivered: list[bool]) -> None:
        async with unit_of_work():
            await take_reports([DeliveryReport(expected.id, value) for value in delivered], datetime.now(UTC))

    async def _reply(self, livemode: bool, phone: str, text: str) -> None:
        async with unit_of_work():
            await receive_inbound(
                self.contexts[livemode],
                from_phone=phone,
                to_sender="COHORTLABS",
                text=text,
                dedupe_key=str(new_id()),
            )

    async def _accepted(self) -> dict[UUID, int]:
        rows = await db.fetch(
            "SELECT message_id, count(*) AS number FROM virtual_submissions WHERE message_id = ANY($1) GROUP BY 1",
            list(self.messages),
        )
        return {row.message_id: row.number for row in rows}

    async def _state(self) -> dict[UUID, Any]:
        events: dict[UUID, Counter[str]] = {message_id: Counter() for message_id in self.messages}
        for row in await db.fetch(
            "SELECT resource_id, type FROM events WHERE resource_id = ANY($1)", list(self.messages)
        ):
            events[row.resource_id][row.type] += 1
        references = {credits.message_reference(message_id): message_id for message_id in self.messages}
        ledger: dict[UUID, dict[str, int]] = {message_id: {} for message_id in self.messages}
        for row in await db.fetch(
            "SELECT reference, kind, amount FROM ledger_entries WHERE workspace_id = $1 AND reference = ANY($2)",
            self.workspace_id,
            list(references),
        ):
            ledger[references[row.reference]][row.kind] = row.amount
        rows = await Message.filter(workspace_id=self.workspace_id)
        return {
            row.id: (
                str(row.status),
                dict(events[row.id]),
                ledger[row.id],
                row.credits_used if row.livemode else None,
                row.lease_until is not None,
            )
            for row in rows
        }


@pytest.mark.timeout(900)
async def test_messages(drive: Drive) -> None:
    await drive(MessageMachine)
