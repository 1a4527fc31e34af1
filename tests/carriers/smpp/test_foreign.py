"""The carrier against a message centre that others wrote, with broken sessions; and that the comparison can fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from chaos.smpp import Books, judge, make_submissions, run
from chaos.smsc import Entry, PythonSmsc
from msvs.carriers.protocol import Accepted, Inbound, Refused, Report, Unknown


async def test_nothing_is_lost_or_sent_twice_when_sessions_break() -> None:
    verdict, state = await run(PythonSmsc(throttle=0.02), messages=400, disconnects=6, seed=7)
    assert {what: count for what, count in verdict.wrong.items() if count} == {}
    assert verdict.facts["messages"] == 400
    assert verdict.facts["outcomes accepted"] > 0
    assert verdict.facts["disconnects by cut"] == 3
    assert state.accepted == verdict.facts["receipts by their key"] > 0
    assert verdict.facts["inbound messages by their key"] == 120


def flawless() -> tuple[Books, list[Entry]]:
    """One message accepted, reported and replied to; one refused; one unknown."""
    books = Books(Random(1), make_submissions(3))
    first, second, third = books.submissions
    books.outcomes = {
        first.message_id: Accepted("a"),
        second.message_id: Refused("carrier_rejected"),
        third.message_id: Unknown("disconnected"),
    }
    books.reports = [Report("a:DELIVRD", is_delivered=True, carrier_ref="a")]
    books.inbound_texts = {"Reply"}
    books.inbound = [Inbound("k", "+14155550100", "12345", "Reply")]
    return books, [Entry("a", first.to[1:], first.body, 1, 1)]


def test_a_flawless_run_is_clean() -> None:
    books, log = flawless()
    assert judge(books, log, Counter()).is_clean


def lost(books: Books, log: list[Entry]) -> None:
    log.clear()
    books.reports.clear()


def duplicated(books: Books, log: list[Entry]) -> None:
    log.append(replace(log[0]))


def invented(books: Books, log: list[Entry]) -> None:
    log[0] = replace(log[0], to="1")


def altered(books: Books, log: list[Entry]) -> None:
    log[0] = replace(log[0], text="Your order")


def sent_after_all(books: Books, log: list[Entry]) -> None:
    log.append(Entry("b", books.submissions[1].to[1:], "", 1, 1))
    books.reports.append(Report("b:DELIVRD", is_delivered=True, carrier_ref="b"))


def forgotten(books: Books, log: list[Entry]) -> None:
    del books.outcomes[books.submissions[2].message_id]


def receipt_lost(books: Books, log: list[Entry]) -> None:
    books.reports.clear()


def receipt_of_nothing(books: Books, log: list[Entry]) -> None:
    books.reports.append(Report("z:DELIVRD", is_delivered=True, carrier_ref="z"))


def receipt_twice(books: Books, log: list[Entry]) -> None:
    books.reports.append(replace(books.reports[0], dedupe_key="a:other"))


def inbound_lost(books: Books, log: list[Entry]) -> None:
    books.inbound.clear()


def inbound_twice(books: Books, log: list[Entry]) -> None:
    books.inbound.append(replace(books.inbound[0], dedupe_key="l"))


@pytest.mark.parametrize(
    ("flaw", "wrong"),
    [
        (lost, {"accepted, but not in the log"}),
        (duplicated, {"parts in the log twice", "accepted, but with other ids or another text"}),
        (invented, {"accepted, but not in the log", "parts in the log of no message"}),
        (altered, {"accepted, but with other ids or another text"}),
        (sent_after_all, {"refused, but in the log"}),
        (forgotten, {"messages without an outcome"}),
        (receipt_lost, {"receipts lost"}),
        (receipt_of_nothing, {"receipts of nothing"}),
        (receipt_twice, {"receipts twice by their key"}),
        (inbound_lost, {"inbound messages lost"}),
        (inbound_twice, {"inbound messages twice by their key"}),
    ],
)
def test_a_flaw_is_found(flaw: Callable[[Books, list[Entry]], None], wrong: set[str]) -> None:
    books, log = flawless()
    flaw(books, log)
    assert {what for what, count in judge(books, log, Counter()).wrong.items() if count} == wrong
