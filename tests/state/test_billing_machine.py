"""Purchases, refunds, disputes, grants and messages as a state machine: the ledger explains balance and debt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from msvs import database as db
from msvs.api.context import Context
from msvs.api.credits import credits, fulfilment, gateway
from msvs.api.unit_of_work import unit_of_work
from msvs.local.pretend_stripe import PretendStripe
from msvs.models.identity import new_id
from tests import factories
from tests.fakes.stripe import begin, books, bring, running_stripe
from tests.services import SERVICES
from tests.state.conftest import Drive

SOLD, TOTAL = 10, 3


class BillingMachine(RuleBasedStateMachine):
    """The model: what came in, what messages hold, and what money went back; the rest follows of it."""

    payments = Bundle("payments")
    refunds = Bundle("refunds")
    disputes = Bundle("disputes")
    messages = Bundle("messages")

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run = run
        self.stack = ExitStack()
        self.stripe: PretendStripe = self.stack.enter_context(running_stripe(SERVICES))
        self.given = 0
        self.held: dict[UUID, int] = {}
        self.paid: list[str] = []

    def teardown(self) -> None:
        self.run(gateway.close(SERVICES))
        self.stack.close()

    @property
    def worth(self) -> int:
        """The balance less the debt."""
        return self.given - sum(self.held.values()) + sum(SOLD - self.back(each) for each in self.paid)

    def back(self, payment: str) -> int:
        """The credits that the money of a payment took back."""
        money = sum(
            each["amount"]
            for each in self.stripe.refunds.values()
            if each["payment_intent"] == payment and each["status"] != "failed"
        )
        money += sum(
            each["amount"]
            for each in self.stripe.disputes.values()
            if each["payment_intent"] == payment and each["status"] in ("needs_response", "lost")
        )
        return SOLD * min(money, TOTAL) // TOTAL

    @initialize(balance=st.integers(0, 12))
    def open(self, balance: int) -> None:
        workspace = self.run(factories.make_workspace(credits=balance))
        self.ctx = Context(workspace.id, livemode=True, services=SERVICES)
        self.given = balance

    @rule(target=payments, slowly=st.booleans())
    def buy(self, slowly: bool) -> Any:
        row = self.run(begin(self.ctx, "odd"))
        payment = self.stripe.pay(row.session_id, slowly=slowly)
        if slowly:
            self.tell(Random(0), is_known=False)
            self.stripe.arrive(row.session_id)
        self.paid.append(payment["id"])
        return payment["id"]

    @rule(payment=payments, amount=st.integers(1, TOTAL))
    def refund(self, payment: str, amount: int) -> None:
        left = TOTAL - sum(
            each["amount"]
            for each in self.stripe.refunds.values()
            if each["payment_intent"] == payment and each["status"] != "failed"
        )
        if left:
            self.stripe.refund(payment, min(amount, left), status="pending")

    @rule(number=st.integers(0, 30), status=st.sampled_from(["succeeded", "failed"]))
    def end_refund(self, number: int, status: str) -> None:
        waiting = [each["id"] for each in self.stripe.refunds.values() if each["status"] == "pending"]
        if waiting:
            self.stripe.end_refund(waiting[number % len(waiting)], status)

    @rule(payment=payments, amount=st.integers(1, TOTAL), asks=st.booleans())
    def dispute(self, payment: str, amount: int, asks: bool) -> None:
        self.stripe.dispute(payment, amount, status="warning_needs_response" if asks else "needs_response")

    @rule(number=st.integers(0, 30), won=st.booleans())
    def close_dispute(self, number: int, won: bool) -> None:
        waiting = [each["id"] for each in self.stripe.disputes.values() if each["status"] == "needs_response"]
        if waiting:
            self.stripe.close_dispute(waiting[number % len(waiting)], "won" if won else "lost")

    @rule(amount=st.integers(1, 6))
    def grant(self, amount: int) -> None:
        self.run(
            self._in_transaction(lambda: credits.grant_credits(self.ctx.workspace_id, amount, reference=str(new_id())))
        )
        self.given += amount

    @rule(target=messages, amount=st.integers(1, 12))
    def send(self, amount: int) -> UUID:
        id = new_id()
        if self.run(self._reserve(id, amount)):
            self.held[id] = amount
        return id

    @rule(message=messages, times=st.integers(1, 3))
    def cancel(self, message: UUID, times: int) -> None:
        """At once, as often as wanted: what a message took comes back once, and pays what is owed first."""
        amount = self.held.get(message)
        if amount is not None:
            self.run(self._release(message, amount, times))
            del self.held[message]

    @rule(seed=st.integers(0, 99), at_once=st.booleans())
    def tell(self, seed: int | Random, at_once: bool = False, is_known: bool = True) -> None:
        """Bring every event so far, in any order and some twice; then the books are what Stripe says."""
        random = seed if isinstance(seed, Random) else Random(seed)
        self.run(self._told(random, at_once))
        if is_known:
            balance, _, debt = self.run(books(self.ctx.workspace_id))
            assert balance - debt == self.worth

    @invariant()
    def the_ledger_explains_the_balance(self) -> None:
        if not hasattr(self, "ctx"):
            return
        balance, entries, debt = self.run(books(self.ctx.workspace_id))
        assert balance == entries >= 0
        assert debt >= 0
        assert balance == 0 or debt == 0, "who owes has nothing to spend"

    async def _told(self, random: Random, at_once: bool) -> None:
        sessions = [each["id"] for each in self.stripe.sessions.values()] if at_once else []
        await asyncio.gather(
            bring(SERVICES, self.stripe, random=random), *(fulfilment.fulfil(SERVICES, each) for each in sessions)
        )
        # What was worked on before the account changed again is looked at once more.
        for each in self.stripe.sessions.values():
            await fulfilment.fulfil(SERVICES, each["id"])

    async def _in_transaction(self, work: Callable[[], Awaitable[Any]]) -> Any:
        async with unit_of_work():
            return await work()

    async def _reserve(self, id: UUID, amount: int) -> Any:
        now = await db.now()
        return await self._in_transaction(lambda: credits.try_reserve(self.ctx.workspace_id, {id: amount}, now))

    async def _release(self, id: UUID, amount: int, times: int) -> None:
        now = await db.now()
        await asyncio.gather(
            *(
                self._in_transaction(lambda: credits.release(self.ctx.workspace_id, {id: amount}, now))
                for _ in range(times)
            )
        )


@pytest.mark.timeout(900)
async def test_billing(drive: Drive) -> None:
    await drive(BillingMachine)
