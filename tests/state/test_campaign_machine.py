"""A campaign as a state machine: nobody is left out or sent to twice by pauses, stops or empty balances."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from msvs import database as db
from msvs.api.campaigns import audiences, campaigns, lifecycle
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.consent.consent import opt_out
from msvs.api.context import Context
from msvs.api.credits import credits
from msvs.api.dispatch import claims
from msvs.api.dispatch.campaign_stats import campaign_stats
from msvs.api.dispatch.claims import Claim
from msvs.api.dispatch.delivery_reports import DeliveryReport, take_reports
from msvs.api.dispatch.lanes import Lane
from msvs.api.dispatch.outcomes import ACCEPTED, REFUSED, THROTTLED, Outcome, record_outcomes
from msvs.api.errors import Conflict
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Campaign, Contact, OptInStatus
from tests import factories
from tests.services import SERVICES
from tests.state.conftest import Drive

TERMINAL = ("completed", "canceled")
OPEN = ("queued", "sending", "sent")


class CampaignMachine(RuleBasedStateMachine):
    """One live campaign, its recipients, and a balance that may not cover them."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run = run
        self.status = ""
        self.resumes_to = ""
        self.reason: str | None = None
        self.counts: Counter[str] = Counter()
        self.claims: list[Claim] = []
        self.dispatched = False
        self.has_ended = False

    @initialize(
        consents=st.lists(st.sampled_from(["opted_in", "opted_in", "opted_in", "opted_out", "unknown"]), max_size=7),
        extra=st.integers(0, 2),
    )
    def create(self, consents: list[str], extra: int) -> None:
        self.run(self._create([OptInStatus(value) for value in consents], extra))
        self.status = "preparing"

    def teardown(self) -> None:
        if self.status:
            self.run(db.execute("DELETE FROM messages WHERE workspace_id = $1", self.ctx.workspace_id))
            self.run(db.execute("DELETE FROM campaigns WHERE id = $1", self.id))

    @rule()
    def start(self) -> None:
        started = self.run(self._do(lambda: lifecycle.start_campaign(SERVICES, self.id, datetime.now(UTC))))
        assert bool(started) == (self.status == "preparing")

    @rule(limit=st.integers(1, 4))
    def expand(self, limit: int) -> None:
        made = self.run(self._do(lambda: audiences.expand_chunk(SERVICES, self.id, limit=limit, now=datetime.now(UTC))))
        assert made == 0 or self.status == "preparing"

    @rule()
    def finish_expansion(self) -> None:
        left, started = self.run(self._left())
        finished = self.run(self._do(lambda: lifecycle.finish_expansion(self.id, datetime.now(UTC))))
        assert finished == (self.status == "preparing" and started and left == 0)
        if finished:
            self.status, self.dispatched = "sending", True

    @rule()
    def pause(self) -> None:
        if self.status in TERMINAL:
            self._refused(campaigns.pause_campaign)
            return
        self.run(self._do(lambda: campaigns.pause_campaign(self.ctx, self.id)))
        if self.status != "paused":
            self.resumes_to = self.status
        self.status, self.reason = "paused", "manual"

    @rule()
    def resume(self) -> None:
        if self.status != "paused":
            self._refused(campaigns.resume_campaign)
            return
        self.run(self._do(lambda: campaigns.resume_campaign(self.ctx, self.id)))
        self.status, self.reason = self.resumes_to, None

    @precondition(lambda self: self.status in ("paused", "sending"))
    @rule()
    def cancel(self) -> None:
        self.run(self._do(lambda: campaigns.cancel_campaign(self.ctx, self.id)))
        self.status, self.reason = "canceled", None

    @rule()
    def clear_canceled(self) -> None:
        if self.status == "canceled":
            now = datetime.now(UTC)
            self.run(self._do(lambda: lifecycle.clear_canceled(self.id, self.ctx, limit=100, now=now)))

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        before = self.run(self._rows())
        balance = self.run(credits.available(self.ctx.workspace_id))
        claim = self.run(self._claim(limit))
        if self.status not in ("preparing", "sending"):
            assert claim is None
            assert self.run(self._rows()) == before
            return
        if self.run(self._pause_reason()) == "insufficient_credits":
            assert balance < limit
            self.resumes_to, self.status, self.reason = self.status, "paused", "insufficient_credits"
        if claim is not None:
            assert len(claim.messages) <= min(limit, balance)
            self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def hand_over(self, data: st.DataObject) -> None:
        claim = self.claims.pop(data.draw(st.integers(0, len(self.claims) - 1)))
        results = [ACCEPTED, ACCEPTED, REFUSED, THROTTLED]
        outcomes = [
            Outcome(row.id, data.draw(st.sampled_from(results)), ref="r", code="carrier_rejected", retry_after=0)
            for row in claim.messages
        ]
        self.run(self._do(lambda: record_outcomes(claim, outcomes, datetime.now(UTC))))

    @rule(delivered=st.booleans(), limit=st.integers(1, 4))
    def report(self, delivered: bool, limit: int) -> None:
        sent = [row for row, status in sorted(self.run(self._rows()).items()) if status == "sent"][:limit]
        self.run(self._do(lambda: take_reports([DeliveryReport(row, delivered) for row in sent], datetime.now(UTC))))

    @rule(data=st.data())
    def someone_opts_out(self, data: st.DataObject) -> None:
        if self.contacts:
            contact = self.contacts[data.draw(st.integers(0, len(self.contacts) - 1))]
            self.run(self._opt_out(contact))

    @rule(amount=st.integers(1, 3))
    def top_up(self, amount: int) -> None:
        self.run(self._top_up(amount))
        if self.status == "paused" and self.reason == "insufficient_credits":
            self.status, self.reason = self.resumes_to, None

    @rule()
    def complete(self) -> None:
        open_rows = [status for status in self.run(self._rows()).values() if status in OPEN]
        ends = self.run(self._may_complete())
        completed = self.run(self._do(lambda: lifecycle.complete_campaign(self.id, datetime.now(UTC))))
        assert completed == (ends and not open_rows)
        self.has_ended |= completed
        if completed and self.status == "sending":
            self.status = "completed"

    @invariant()
    def everyone_is_counted_once(self) -> None:
        if not self.status:
            return
        self.run(self._check())

    async def _create(self, consents: list[OptInStatus], extra: int) -> None:
        eligible = consents.count(OptInStatus.OPTED_IN)
        workspace = await factories.make_workspace(credits=eligible + extra)
        self.ctx = Context(workspace.id, livemode=True, actor="test", services=SERVICES)
        self.contacts: list[Contact] = [await factories.make_contact(self.ctx, status=status) for status in consents]
        audience = await factories.make_list(self.ctx, self.contacts)
        async with unit_of_work():
            data = CreateCampaign("Cohort 06", "Doors open at 8pm ET.", list_ids=(audience.id,))
            self.id: UUID = (await campaigns.create_campaign(self.ctx, data)).id
        # Somebody else spends what the estimate counted on.
        if eligible:
            async with unit_of_work():
                spent = {self.id: max(1, eligible // 2)}
                assert await credits.try_reserve(self.ctx.workspace_id, spent, datetime.now(UTC))

    async def _may_complete(self) -> bool:
        row = await campaigns.get_campaign(self.ctx, self.id)
        waiting = await db.fetch_value("SELECT count(*) FROM campaign_recipients WHERE campaign_id = $1", self.id)
        is_canceled = self.status == "canceled" and row.started_at is not None and row.completed_at is None
        return (self.status == "sending" or is_canceled) and not waiting

    async def _do(self, work: Any) -> Any:
        async with unit_of_work():
            return await work()

    def _refused(self, operation: Any) -> None:
        try:
            self.run(self._do(lambda: operation(self.ctx, self.id)))
        except Conflict:
            return
        raise AssertionError(f"{operation.__name__} of a campaign that is {self.status}")

    async def _claim(self, limit: int) -> Claim | None:
        async with unit_of_work():
            lane = Lane(self.ctx.workspace_id, True, self.id)
            return await claims.claim(SERVICES, lane, carrier="virtual", limit=limit, now=datetime.now(UTC))

    async def _opt_out(self, contact: Contact) -> None:
        async with unit_of_work():
            await opt_out(self.ctx, contact, source="api", now=datetime.now(UTC))

    async def _top_up(self, amount: int) -> None:
        async with unit_of_work():
            reference = f"top-up:{datetime.now(UTC).timestamp()}"
            await credits.grant_credits(self.ctx.workspace_id, amount, reference=reference)
        async with unit_of_work():
            await campaigns.resume_paid(now=datetime.now(UTC))

    async def _rows(self) -> dict[UUID, str]:
        rows = await db.fetch("SELECT id, status FROM messages WHERE campaign_id = $1", self.id)
        return {row.id: row.status for row in rows}

    async def _left(self) -> tuple[int, bool]:
        left = await db.fetch_value("SELECT count(*) FROM campaign_recipients WHERE campaign_id = $1", self.id)
        campaign = await Campaign.get(id=self.id)
        return left, campaign.started_at is not None

    async def _pause_reason(self) -> str | None:
        return (await Campaign.get(id=self.id)).pause_reason

    async def _check(self) -> None:
        campaign = await Campaign.get(id=self.id)
        assert (str(campaign.status), campaign.pause_reason) == (self.status, self.reason)
        assert (campaign.completed_at is not None) == self.has_ended
        rows = await db.fetch("SELECT id, to_phone, status, credits_used FROM messages WHERE campaign_id = $1", self.id)
        left, started = await self._left()
        assert len({row.to_phone for row in rows}) == len(rows)
        if self.status != "canceled":
            assert len(rows) + left == (len(self.contacts) if started else 0)
        counts = Counter(row.status for row in rows)
        stats = (await campaign_stats([self.id]))[self.id]
        assert stats.recipients == len(rows)
        for name in ("queued", "sending", "sent", "delivered", "failed", "skipped", "canceled"):
            assert getattr(stats, name) == counts[name], name
        assert stats.credits_used == sum(row.credits_used for row in rows)
        ledger = await db.fetch_value(
            "SELECT coalesce(sum(amount), 0)::bigint FROM ledger_entries WHERE workspace_id = $1", self.ctx.workspace_id
        )
        assert await credits.available(self.ctx.workspace_id) == ledger >= 0
        handed = {credits.message_reference(row.id): row.credits_used for row in rows}
        moved = await db.fetch_value(
            "SELECT coalesce(-sum(amount), 0)::bigint FROM ledger_entries"
            " WHERE workspace_id = $1 AND reference = ANY($2)",
            self.ctx.workspace_id,
            list(handed),
        )
        assert moved == sum(handed.values())
        events = [
            row.type
            for row in await db.fetch("SELECT type FROM events WHERE resource_id = $1 ORDER BY id", self.id)
            if row.type in ("campaign.dispatched", "campaign.completed")
        ]
        wanted = ["campaign.dispatched"] * self.dispatched + ["campaign.completed"] * self.has_ended
        assert events == wanted


@pytest.mark.timeout(900)
async def test_campaigns(drive: Drive) -> None:
    await drive(CampaignMachine)
