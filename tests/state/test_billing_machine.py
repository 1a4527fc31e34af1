"""Purchases, top-ups, refunds, disputes, grants and messages as a state machine: the ledger explains the balance."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from msvs import database as db
from msvs.api.accounts.top_up_settings import update_auto_top_up
from msvs.api.context import Context
from msvs.api.credits import cards, credits, fulfilment, gateway, rates
from msvs.api.credits.reconciliation import reconcile
from msvs.api.credits.top_ups import UpdateAutoTopUp
from msvs.api.errors import ApiError
from msvs.api.messages.messages import SendMessage, cancel_message, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.local.pretend_stripe import PretendStripe
from msvs.models.identity import new_id
from tests import factories
from tests.fakes.stripe import begin, books, bring, running_stripe
from tests.services import SERVICES
from tests.state.conftest import Drive

SOLD, TOTAL = 10, 3
# What a saved card does when it is charged later: it pays, asks for its owner, is short of money, or has expired.
CARDS = ("4242", "4242", "3184", "9995", "0069")
# Three and five packs.
DAILY, MONTHLY = 9, 15
PLACES = ("US", "BR", "ES")
UNDONE = ("failed", "canceled")
FIND_CARD = "SELECT payment_method FROM auto_top_ups WHERE workspace_id = $1"
FIND_TOP_UPS = """
SELECT count(*) FILTER (WHERE status IN ('opening', 'pending')) AS open,
    coalesce(sum(amount) FILTER (WHERE status IN ('opening', 'pending', 'paid', 'review')), 0)::bigint AS counted
FROM purchases WHERE workspace_id = $1 AND is_automatic
"""


class BillingMachine(RuleBasedStateMachine):
    """The model: what came in, what messages hold, and what Stripe says of money; the rest follows of it."""

    messages = Bundle("messages")

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run = run
        self.stack = ExitStack()
        self.stripe: PretendStripe = self.stack.enter_context(running_stripe(SERVICES))
        self.given = 0
        self.held: dict[UUID, int] = {}
        self.prices: dict[UUID, int] = {}
        self.rates = dict.fromkeys(PLACES, 1)
        self.numbers = 0
        # Charges that were declined and went through after all, beyond any limit.
        self.late = 0
        # The cards that were forgotten, each with how often it had been charged.
        self.forgotten: dict[str, int] = {}
        self.said_no = False
        self.waits = False

    def teardown(self) -> None:
        self.run(gateway.close(SERVICES))
        self.stack.close()

    @property
    def paid(self) -> list[str]:
        return [id for id, each in self.stripe.intents.items() if each["status"] == "succeeded"]

    @property
    def charges(self) -> int:
        return sum((method, path) == ("POST", "/v1/payment_intents") for method, path, _ in self.stripe.calls)

    @property
    def worth(self) -> int:
        """The balance less the debt."""
        return self.given - sum(self.held.values()) + sum(SOLD - self.back(each) for each in self.paid)

    def back(self, payment: str) -> int:
        """The credits that the money of a payment took back."""
        money = sum(
            each["amount"]
            for each in self.stripe.refunds.values()
            if each["payment_intent"] == payment and each["status"] not in UNDONE
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
        self.run(db.execute("UPDATE workspaces SET prefix_hourly_cap = NULL WHERE id = $1", workspace.id))
        for place in PLACES:
            self.run(self._in_transaction(lambda place=place: rates.set_rate(place, 1, None)))
        self.given = balance

    # Purchases on the page.

    @rule(slowly=st.booleans(), is_lost=st.booleans())
    def buy(self, slowly: bool, is_lost: bool) -> None:
        row = self.run(begin(self.ctx, "odd"))
        self.stripe.pay(row.session_id, slowly=slowly)
        if slowly:
            self.tell(Random(0), is_known=False)
            self.stripe.arrive(row.session_id)
        if is_lost:
            self.stripe.events.clear()
            self.run(reconcile(SERVICES, row.created_at - timedelta(days=1)))

    @rule(number=st.integers(0, 30), amount=st.integers(1, TOTAL))
    def refund(self, number: int, amount: int) -> None:
        if not self.paid:
            return
        payment = self.paid[number % len(self.paid)]
        left = TOTAL - sum(
            each["amount"]
            for each in self.stripe.refunds.values()
            if each["payment_intent"] == payment and each["status"] not in UNDONE
        )
        if left:
            self.stripe.refund(payment, min(amount, left), status="pending")

    @rule(number=st.integers(0, 30), status=st.sampled_from(["succeeded", "failed"]))
    def end_refund(self, number: int, status: str) -> None:
        waiting = [each["id"] for each in self.stripe.refunds.values() if each["status"] == "pending"]
        if waiting:
            self.stripe.end_refund(waiting[number % len(waiting)], status)

    @rule(number=st.integers(0, 30), amount=st.integers(1, TOTAL), asks=st.booleans())
    def dispute(self, number: int, amount: int, asks: bool) -> None:
        if self.paid:
            payment = self.paid[number % len(self.paid)]
            self.stripe.dispute(payment, amount, status="warning_needs_response" if asks else "needs_response")

    @rule(number=st.integers(0, 30), won=st.booleans())
    def close_dispute(self, number: int, won: bool) -> None:
        waiting = [each["id"] for each in self.stripe.disputes.values() if each["status"] == "needs_response"]
        if waiting:
            self.stripe.close_dispute(waiting[number % len(waiting)], "won" if won else "lost")

    # Top-ups.

    @rule(card=st.sampled_from(CARDS), is_told=st.booleans())
    def save_card(self, card: str, is_told: bool) -> None:
        row = self.run(begin(self.ctx, "odd", save_card=True))
        self.stripe.pay(row.session_id, card=card)
        if is_told:
            self.run(fulfilment.fulfil(SERVICES, row.session_id))
        self.waits = False

    @rule(threshold=st.integers(1, 30))
    def turn_on(self, threshold: int) -> None:
        figures = {"pack": "odd", "threshold": threshold, "daily_limit": DAILY, "monthly_limit": MONTHLY}
        with suppress(ApiError):
            self.run(self._change(enabled=True, **figures))
            self.said_no = self.waits = False

    @rule(forgets=st.booleans())
    def say_no(self, forgets: bool) -> None:
        row = self.run(db.fetch_row("SELECT * FROM auto_top_ups WHERE workspace_id = $1", self.ctx.workspace_id))
        self.run(self._change(**({"forget_card": True} if forgets else {"enabled": False})))
        if row is None:
            return
        self.said_no = self.said_no or row.is_enabled or row.off_reason is not None
        if forgets and row.payment_method is not None:
            self.forgotten[row.payment_method] = self._charged(row.payment_method)

    @rule()
    def wait(self) -> None:
        """Time passes."""
        self.run(
            db.execute(
                "UPDATE credit_balances SET top_up_at = now() - interval '1 s'"
                " WHERE workspace_id = $1 AND top_up_at IS NOT NULL",
                self.ctx.workspace_id,
            )
        )
        self.waits = False

    @rule(number=st.integers(0, 30))
    def go_through(self, number: int) -> None:
        """A charge that was declined goes through after all, whenever that is told."""
        declined = [id for id, each in self.stripe.intents.items() if each["status"] == "requires_payment_method"]
        if declined:
            self.stripe.go_through(declined[number % len(declined)])
            self.late += 1
            self.waits = False

    # Messages.

    @rule(amount=st.integers(1, 6))
    def grant(self, amount: int) -> None:
        self.run(
            self._in_transaction(lambda: credits.grant_credits(self.ctx.workspace_id, amount, reference=str(new_id())))
        )
        self.given += amount

    @rule(place=st.sampled_from(PLACES), number=st.integers(1, 5))
    def set_rate(self, place: str, number: int) -> None:
        self.run(self._in_transaction(lambda: rates.set_rate(place, number, None)))
        self.rates[place] = number

    @rule(target=messages, place=st.sampled_from(PLACES), segments=st.integers(1, 3))
    def send(self, place: str, segments: int) -> Any:
        self.numbers += 1
        phone = {"US": "+1415555{:04}", "BR": "+551191234{:04}", "ES": "+34612{:06}"}[place].format(self.numbers)
        cost = segments * self.rates[place]
        balance = self.run(credits.available(self.ctx.workspace_id))
        id = self.run(self._send(phone, "x" * (150 * segments)))
        assert (id is not None) == (cost <= balance)
        if id is not None:
            self.held[id], self.prices[id] = cost, self.rates[place]
        return id

    @rule(message=messages, times=st.integers(1, 3))
    def cancel(self, message: UUID | None, times: int) -> None:
        """At once, as often as wanted: what a message took comes back once, and pays what is owed first."""
        if message in self.held:
            self.run(self._cancel(message, times))
            del self.held[message]

    # What workers do, and what must hold.

    @rule(seed=st.integers(0, 99), at_once=st.booleans())
    def tell(self, seed: int | Random, at_once: bool = False, is_known: bool = True) -> None:
        """Bring every event so far, in any order and some twice; then the books are what Stripe says."""
        random = seed if isinstance(seed, Random) else Random(seed)
        before = self.charges
        self.run(self._told(random, at_once))
        assert not self.waits or self.charges == before, "a card that was declined is not charged before its time"
        self.waits = self.run(self._is_waiting())
        if is_known:
            balance, _, debt = self.run(books(self.ctx.workspace_id))
            assert balance - debt == self.worth
            saved = self.run(db.fetch_value(FIND_CARD, self.ctx.workspace_id))
            kept = [id for id, each in self.stripe.methods.items() if each["customer"] is not None]
            assert kept == ([] if saved is None else [saved]), "a card that is not kept here is not at Stripe either"

    @precondition(lambda self: hasattr(self, "ctx"))
    @invariant()
    def the_ledger_explains_the_balance(self) -> None:
        balance, entries, debt = self.run(books(self.ctx.workspace_id))
        assert balance == entries >= 0
        assert debt >= 0
        assert balance == 0 or debt == 0, "who owes has nothing to spend"

    @precondition(lambda self: hasattr(self, "ctx"))
    @invariant()
    def top_ups_keep_their_limits(self) -> None:
        found = self.run(db.fetch_row(FIND_TOP_UPS, self.ctx.workspace_id))
        assert found.open <= 1
        row = self.run(db.fetch_row("SELECT * FROM auto_top_ups WHERE workspace_id = $1", self.ctx.workspace_id))
        if row is None:
            assert found.counted == 0
            return
        assert row.day_amount == row.month_amount == found.counted
        assert found.counted - self.late * TOTAL <= DAILY
        assert not (self.said_no and row.is_enabled), "what its owner turned off stays off"
        assert {id: self._charged(id) for id in self.forgotten} == self.forgotten, "forgotten, and charged"

    @precondition(lambda self: hasattr(self, "ctx"))
    @invariant()
    def messages_keep_their_prices(self) -> None:
        rows = self.run(db.fetch("SELECT id, price FROM messages WHERE workspace_id = $1", self.ctx.workspace_id))
        assert {row.id: row.price for row in rows} == self.prices

    def _charged(self, method: str) -> int:
        return sum(each["payment_method"]["id"] == method for each in self.stripe.intents.values())

    async def _is_waiting(self) -> bool:
        """Whether the saved card was declined last, and is charged again only when its time comes."""
        row = await db.fetch_row(
            "SELECT is_enabled AND declined_count > 0 AS waits FROM auto_top_ups WHERE workspace_id = $1",
            self.ctx.workspace_id,
        )
        return row is not None and row.waits

    async def _told(self, random: Random, at_once: bool) -> None:
        sessions = [each["id"] for each in self.stripe.sessions.values()] if at_once else []
        await asyncio.gather(
            bring(SERVICES, self.stripe, random=random), *(fulfilment.fulfil(SERVICES, each) for each in sessions)
        )
        # What was worked on before the account changed again is looked at once more.
        for each in list(self.stripe.sessions.values()):
            await fulfilment.fulfil(SERVICES, each["id"])
        for id in list(self.stripe.intents):
            await fulfilment.fulfil_payment(SERVICES, id)
        await cards.detach_due(SERVICES, await db.now())

    async def _change(self, **changes: Any) -> None:
        async with unit_of_work():
            await update_auto_top_up(self.ctx, UpdateAutoTopUp(**changes))

    async def _in_transaction(self, work: Callable[[], Awaitable[Any]]) -> Any:
        async with unit_of_work():
            return await work()

    async def _send(self, phone: str, body: str) -> UUID | None:
        with suppress(ApiError):
            async with unit_of_work():
                return (await send_message(self.ctx, SendMessage(phone, body))).id
        return None

    async def _cancel(self, id: UUID, times: int) -> None:
        async def once() -> None:
            with suppress(ApiError):
                async with unit_of_work():
                    await cancel_message(self.ctx, id)

        await asyncio.gather(*(once() for _ in range(times)))


@pytest.mark.timeout(3600)
async def test_billing(drive: Drive) -> None:
    await drive(BillingMachine)
