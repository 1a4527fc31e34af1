"""Every fault, with every scripted number, at every kind of carrier: the carrier's books against what becomes of it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.context import Context
from msvs.api.credits import credits
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import single_statement
from msvs.carriers.faults import Faults, FaultyCarrier
from msvs.carriers.protocol import Capability
from msvs.carriers.scripts import DELIVERED, SCRIPTS, Script
from msvs.models import Message, MessageKind
from msvs.workers.dispatch import dispatch_messages, resolve_expired
from msvs.workers.maintenance import maintain
from msvs.workers.reports import collect_reports
from tests import factories
from tests.services import SERVICES
from tests.workers.test_dispatch import hurry

FAULTS = (None, "refuse", "drop", "late")
# At which attempts the carrier is too busy, and whether the report comes late.
BUSY = (frozenset[int](), frozenset({1}), frozenset({2}), frozenset({1, 2}))
SLOW = (False, True)
NUMBERS = {**SCRIPTS, "any other": DELIVERED}


@dataclass(frozen=True)
class Case:
    """What one message meets."""

    number: str
    fault: str | None
    busy: frozenset[int]
    is_slow: bool

    @property
    def script(self) -> Script:
        return NUMBERS[self.number]


CASES = [Case(*values) for values in product(NUMBERS, FAULTS, BUSY, SLOW)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen(Faults):
    """Faults by choice, not by chance."""

    cases: dict[UUID, Case]

    def fault(self, message_id: UUID) -> str | None:
        return self.cases[message_id].fault if message_id in self.cases else None

    def throttles(self, message_id: UUID, attempt: int) -> bool:
        return message_id in self.cases and attempt in self.cases[message_id].busy

    def is_slow(self, message_id: UUID) -> bool:
        return message_id in self.cases and self.cases[message_id].is_slow


@pytest.fixture(autouse=True)
def _live(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # What is accepted late is so before the lease has run out.
    monkeypatch.setattr("msvs.carriers.faults.LATE_SECONDS", 0.0)
    SERVICES.carriers.live = "virtual"
    yield
    SERVICES.carriers.live = None


async def send_all(ctx: Context) -> tuple[dict[UUID, Case], dict[str, Script]]:
    """A message for each case, to a phone of its own; what each meets, and what each phone does."""
    phones = [(await factories.make_contact(ctx)).phone for _ in CASES]

    async def send(phone: str) -> UUID:
        async with single_statement():
            return (await send_message(ctx, SendMessage(phone, "Hi"))).id

    ids = await asyncio.gather(*map(send, phones))
    return dict(zip(ids, CASES, strict=True)), {phone: case.script for phone, case in zip(phones, CASES, strict=True)}


async def facts() -> tuple[dict[UUID, int], dict[str, dict[str, int]], dict[UUID, list[str]]]:
    """How often the carrier took each message, the ledger's entries of each and the events of each."""
    books: dict[UUID, int] = defaultdict(int)
    for row in await db.fetch("SELECT message_id FROM virtual_submissions"):
        books[row.message_id] += 1
    entries: dict[str, dict[str, int]] = defaultdict(dict)
    for row in await db.fetch("SELECT reference, kind, amount FROM ledger_entries"):
        assert row.kind not in entries[row.reference]
        entries[row.reference][row.kind] = row.amount
    events: dict[UUID, list[str]] = defaultdict(list)
    for row in await db.fetch("SELECT resource_id, type FROM events WHERE type LIKE 'message.%' ORDER BY id"):
        events[row.resource_id].append(row.type.removeprefix("message."))
    return books, entries, events


def is_lost(case: Case, capability: Capability) -> bool:
    """Whether the answer to the first hand-over never comes, and the carrier can neither tell repeats nor be asked."""
    if capability is not Capability.NONE or 1 in case.busy or case.fault == "refuse":
        return False
    accepts = case.script.refuse_code is None
    return case.fault == "drop" or (accepts and (case.fault == "late" or case.script.times_out_after_accepting))


def expected(case: Case, capability: Capability) -> tuple[str, str | None, bool]:
    """What becomes of a message: its status, its error code, and whether the carrier has it."""
    script, lost = case.script, is_lost(case, capability)
    refusal = "carrier_rejected" if case.fault == "refuse" else script.refuse_code
    if refusal is not None:
        return ("sending", None, False) if lost else ("failed", refusal, False)
    if lost and case.fault == "drop" and script.throttles_first:
        # What was lost was that it is to be brought again.
        return "sending", None, False
    if not script.events:
        return ("sending" if lost else "sent"), None, True
    report = script.events[0]
    is_answered = any(
        scripted_event.kind == "inbound" and scripted_event.text != "STOP" for scripted_event in script.events
    )
    return "replied" if is_answered else report.kind, report.error_code, True


@pytest.mark.parametrize("reports_first", [True, False])
@pytest.mark.parametrize("capability", list(Capability))
async def test_the_books_say_what_becomes_of_every_message(
    live_ctx: Context, capability: Capability, reports_first: bool
) -> None:
    cases, scripts = await send_all(live_ctx)
    carrier = FaultyCarrier(capability, faults=Chosen(cases=cases), scripts=lambda phone: scripts.get(phone, DELIVERED))
    carriers = {carrier.name: carrier}
    for _ in range(7):
        await dispatch_messages(SERVICES, carriers)
        await hurry()
        for chore in (partial(collect_reports, SERVICES), lambda: resolve_expired(SERVICES, carriers))[
            :: 1 if reports_first else -1
        ]:
            await chore()
            await hurry()
    books, entries, events = await facts()
    rows = {row.id: row for row in await Message.filter(kind=MessageKind.API)}
    wrong = []
    for message_id, case in cases.items():
        row = rows[message_id]
        status, code, is_taken = expected(case, capability)
        is_known = status != "sending"
        was_sent = is_taken and is_known
        money = {"reserve": -1}
        if is_known:
            money |= {"capture": 0} if was_sent else {"release": 1}
        told = ["queued", *(["sent"] if was_sent else [])]
        told += {"sending": [], "sent": [], "replied": ["delivered", "replied"]}.get(status, [status])
        want: list[Any] = [status, code, int(is_taken), was_sent, 0 if "release" in money else 1, money, told]
        found = [
            row.status.value,
            row.error_code,
            books[message_id],
            row.sent_at is not None,
            row.credits_used,
            entries[credits.message_reference(message_id)],
            events[message_id],
        ]
        if found != want:
            wrong.append((case.number, case.fault, sorted(case.busy), case.is_slow, found, want))
    assert wrong == []
    balance = await db.fetch_value("SELECT balance FROM credit_balances")
    assert balance == sum(sum(each.values()) for each in entries.values())
    # Three days later nobody will ever know of the others, which may have been sent.
    await db.execute("UPDATE message_attempts SET started_at = started_at - interval '73 hours'")
    await maintain(SERVICES, carriers)
    after = {row.id: row for row in await Message.filter(kind=MessageKind.API)}
    for message_id, row in rows.items():
        if row.status == "sending":
            late = after[message_id]
            assert (late.status, late.error_code, late.credits_used) == ("failed", "outcome_unknown", 1)
        else:
            assert after[message_id].status == row.status
    assert await db.fetch_value("SELECT balance FROM credit_balances") == balance
