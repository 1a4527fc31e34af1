"""Credits as a state machine: the balance is the ledger's sum, never negative, and nothing counts twice."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from msvs import database as db
from msvs.api.credits import credits
from msvs.api.unit_of_work import unit_of_work
from msvs.models.identity import new_id
from tests import factories
from tests.owner import run_as_owner
from tests.state.conftest import Drive

amounts = st.integers(1, 6)


class Abandoned(Exception):
    """The transaction is not to be."""


class CreditsMachine(RuleBasedStateMachine):
    """The model: a balance, and what each message has reserved, released and captured."""

    messages = Bundle("messages")

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run = run
        self.entries: dict[tuple[str, str], int] = {}
        self.references: set[str] = set()

    @property
    def balance(self) -> int:
        return sum(self.entries.values())

    @initialize(balance=st.integers(0, 12))
    def open(self, balance: int) -> None:
        workspace = self.run(factories.make_workspace(credits=balance))
        self.workspace_id: UUID = workspace.id
        if balance:
            self.entries["grant", f"opening:{workspace.id}"] = balance

    @rule(target=messages, taken=st.lists(amounts, min_size=1, max_size=4), commits=st.booleans())
    def reserve(self, taken: list[int], commits: bool) -> Any:
        """All of them or none; and nothing where the transaction is rolled back."""
        wanted = {new_id(): amount for amount in taken}
        covered = self.run(self._in_transaction(credits.try_reserve, wanted, commits))
        assert covered == (sum(taken) <= self.balance)
        if covered and commits:
            for message_id, amount in wanted.items():
                self.entries["reserve", credits.message_reference(message_id)] = -amount
        return multiple(*wanted.items())

    @rule(target=messages, taken=st.lists(amounts, min_size=2, max_size=5))
    def race(self, taken: list[int]) -> Any:
        """Reservations at once: some set of them is covered, and the sum of that set is what is gone."""
        wanted = [(new_id(), amount) for amount in taken]
        covered = self.run(self._race(wanted))
        won = [
            (message_id, amount) for (message_id, amount), is_covered in zip(wanted, covered, strict=True) if is_covered
        ]
        for message_id, amount in won:
            self.entries["reserve", credits.message_reference(message_id)] = -amount
        assert self.balance >= 0
        lost = [amount for (_, amount), is_covered in zip(wanted, covered, strict=True) if not is_covered]
        assert all(amount > self.balance for amount in lost)
        return multiple(*wanted)

    @rule(message=messages, times=st.integers(1, 3), at_once=st.booleans())
    def release(self, message: tuple[UUID, int], times: int, at_once: bool) -> None:
        message_id, amount = message
        reference = credits.message_reference(message_id)
        if ("reserve", reference) not in self.entries or ("capture", reference) in self.entries:
            return  # the service releases what it reserved and did not capture
        self.run(
            self._repeat(lambda now: credits.release(self.workspace_id, {message_id: amount}, now), times, at_once)
        )
        self.entries["release", reference] = amount

    @rule(message=messages, times=st.integers(1, 3), at_once=st.booleans())
    def capture(self, message: tuple[UUID, int], times: int, at_once: bool) -> None:
        reference = credits.message_reference(message[0])
        if ("reserve", reference) not in self.entries or ("release", reference) in self.entries:
            return
        self.run(self._repeat(lambda now: credits.capture(self.workspace_id, [message[0]], now), times, at_once))
        self.entries["capture", reference] = 0

    @rule(amount=amounts, name=st.sampled_from(["a", "b", "c"]), times=st.integers(1, 2))
    def grant(self, amount: int, name: str, times: int) -> None:
        """The same reference grants once."""
        for _ in range(times):
            added = self.run(self._grant(amount, name))
            assert added == (("grant", name) not in self.entries)
            self.entries.setdefault(("grant", name), amount)

    @rule()
    def rewrite_history(self) -> None:
        """The database refuses it."""
        for sql in ("UPDATE ledger_entries SET amount = amount + 1", "DELETE FROM ledger_entries"):
            with pytest.raises(Exception, match="append-only"):
                self.run(run_as_owner(sql))

    @invariant()
    def ledger_explains_balance(self) -> None:
        if not hasattr(self, "workspace_id"):
            return
        rows = self.run(
            db.fetch("SELECT kind, reference, amount FROM ledger_entries WHERE workspace_id = $1", self.workspace_id)
        )
        assert {(row.kind, row.reference): row.amount for row in rows} == self.entries
        assert len(rows) == len(self.entries)
        balance = self.run(credits.available(self.workspace_id))
        assert balance == self.balance >= 0

    async def _in_transaction(self, take: Any, wanted: dict[UUID, int], commits: bool) -> bool:
        covered = False
        try:
            async with unit_of_work():
                covered = await take(self.workspace_id, wanted, datetime.now(UTC))
                if not commits:
                    raise Abandoned
        except Abandoned:
            pass
        return covered

    async def _race(self, wanted: list[tuple[UUID, int]]) -> list[bool]:
        return await asyncio.gather(
            *(self._in_transaction(credits.try_reserve, {message_id: amount}, True) for message_id, amount in wanted)
        )

    async def _repeat(self, work: Any, times: int, at_once: bool) -> None:
        async def once() -> None:
            async with unit_of_work():
                await work(datetime.now(UTC))

        if at_once:
            await asyncio.gather(*(once() for _ in range(times)))
        else:
            for _ in range(times):
                await once()

    async def _grant(self, amount: int, name: str) -> bool:
        async with unit_of_work():
            return await credits.grant_credits(self.workspace_id, amount, reference=name)


@pytest.mark.timeout(900)
async def test_credits(drive: Drive) -> None:
    await drive(CreditsMachine)
