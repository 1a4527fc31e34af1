"""Sequences, variants' books and orders: what a run is told of them, and whether each was done once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from chaos.names import public_id, row_id

if TYPE_CHECKING:
    from chaos.checker import Facts, Report

# The place of the step that only some get, and why the others do not.
CONDITIONAL = 2
NOT_MET = "condition_not_met"
# Nothing else in a run lets anybody leave.
REASONS = frozenset(("replied", "opted_out"))

Rows = Callable[[str], Awaitable[list[Any]]]


@dataclass
class Journeys:
    """The rows of sequences and conversions, as they were left."""

    enrollments: dict[UUID, Any] = field(default_factory=dict)
    moves: dict[UUID, list[Any]] = field(default_factory=lambda: defaultdict(list))
    # Campaign of each step, by version.
    campaigns: dict[UUID, list[UUID]] = field(default_factory=dict)
    # Contacts that meet the condition.
    members: set[UUID] = field(default_factory=set)
    left_to_enter: int = 0
    orders: dict[tuple[UUID, bool, str], list[Any]] = field(default_factory=lambda: defaultdict(list))
    # Number and value of conversions, by campaign, variant and currency.
    tallied: dict[tuple[UUID, int, str], tuple[int, int]] = field(default_factory=dict)


async def read_journeys(rows: Rows) -> Journeys:
    """Read the tables."""
    found = Journeys()
    found.enrollments = {
        row["id"]: row
        for row in await rows(
            "SELECT id, workspace_id, livemode, sequence_id, version_id, contact_id, state, leaving, step"
            " FROM sequence_enrollments"
        )
    }
    for row in await rows("SELECT enrollment_id, step, message_id, code FROM sequence_moves ORDER BY step"):
        found.moves[row["enrollment_id"]].append(row)
    for row in await rows(
        "SELECT version.id, array_agg(made.id::uuid ORDER BY made.place) AS campaign_ids"
        " FROM sequence_versions AS version,"
        " jsonb_array_elements_text(version.campaign_ids) WITH ORDINALITY AS made (id, place) GROUP BY 1"
    ):
        found.campaigns[row["id"]] = list(row["campaign_ids"])
    found.members = {row["id"] for row in await rows("SELECT id FROM contacts WHERE attributes ->> 'seat' = 'yes'")}
    (waiting,) = await rows("SELECT count(*) AS number FROM sequence_entries")
    found.left_to_enter = waiting["number"]
    for row in await rows(
        "SELECT id, workspace_id, livemode, order_id, contact_id, value, currency, campaign_id, variant"
        " FROM conversions"
    ):
        found.orders[row["workspace_id"], row["livemode"], row["order_id"]].append(row)
    found.tallied = {
        (row["campaign_id"], row["variant"], row["currency"]): (row["conversions"], row["value"])
        for row in await rows("SELECT campaign_id, variant, currency, conversions, value FROM conversion_tallies")
    }
    return found


def check_sequences(facts: Facts, report: Report) -> None:
    """Everybody who entered took each step exactly once, by a message or with the reason for none, until the end."""
    told = facts.journeys
    report.expect("sequences", told.left_to_enter == 0, f"{told.left_to_enter} contacts are left to enter")
    asked = [entry for entry in facts.client if entry["what"] == "enrollment"]
    for entry in asked:
        if entry["status"] == 201:
            report.expect(
                "lost", row_id(entry["id"]) in told.enrollments, f"{entry['id']} was accepted and is not there"
            )
    inside = Counter((row["sequence_id"], row["contact_id"]) for row in told.enrollments.values())
    for (_, contact_id), number in inside.items():
        report.expect("sequences", number == 1, f"{public_id('con', contact_id)} entered {number} times")
    taken: dict[UUID, int] = Counter(
        move["message_id"] for moves in told.moves.values() for move in moves if move["message_id"] is not None
    )
    for enrollment in told.enrollments.values():
        _check_enrollment(facts, report, enrollment)
    sent = {id for ids in told.campaigns.values() for id in ids}
    for message_id, message in facts.messages.items():
        if message["campaign_id"] in sent:
            name = public_id("msg", message_id)
            report.expect(
                "sequences", taken[message_id] == 1, f"{name} is of {taken[message_id]} steps that were taken"
            )
    _check_entries(facts, report)


def _check_enrollment(facts: Facts, report: Report, enrollment: Any) -> None:
    told = facts.journeys
    name = f"{public_id('enr', enrollment['id'])} ({enrollment['state']})"
    moves, steps = told.moves[enrollment["id"]], told.campaigns[enrollment["version_id"]]
    state, places = enrollment["state"], [move["step"] for move in moves]
    report.expect("sequences", state in ("completed", "left"), f"{name}: it does not end")
    leaving = enrollment["leaving"]
    report.expect("sequences", state != "left" or leaving in REASONS, f"{name}: {leaving} is no reason to leave")
    wanted = len(steps) if state == "completed" else enrollment["step"]
    report.expect(
        "sequences", places == list(range(wanted)), f"{name}: it took the steps {places}, not all of {wanted}"
    )
    for move in moves:
        message = facts.messages.get(move["message_id"])
        report.expect(
            "sequences",
            (move["message_id"] is None) == (message is None) and (message is not None or move["code"] is not None),
            f"{name}: step {move['step']} has neither a message nor a reason",
        )
        if message is not None:
            fits = (message["campaign_id"], message["contact_id"]) == (steps[move["step"]], enrollment["contact_id"])
            report.expect("sequences", fits, f"{name}: step {move['step']} has the message of another")
        if move["step"] == CONDITIONAL:
            is_met = enrollment["contact_id"] in told.members
            report.expect("sequences", is_met != (move["code"] == NOT_MET), f"{name}: the condition was not heeded")


def _check_entries(facts: Facts, report: Report) -> None:
    """Each entry and each end of a contact's way has one event."""
    wanted: Counter[tuple[UUID, str]] = Counter()
    for row in facts.journeys.enrollments.values():
        wanted[row["contact_id"], "sequence.entered"] += 1
        if row["state"] != "active":
            wanted[row["contact_id"], f"sequence.{row['state']}"] += 1
    types = ("sequence.entered", "sequence.completed", "sequence.left")
    _check_events(facts, report, wanted, types)


def _check_events(facts: Facts, report: Report, wanted: Counter[tuple[UUID, str]], types: Iterable[str]) -> None:
    found = Counter(
        (id, event["type"]) for id, events in facts.events.items() for event in events if event["type"] in types
    )
    report.expect("events", wanted == found, f"missing {dict(wanted - found)}, too many {dict(found - wanted)}")


def check_orders(facts: Facts, report: Report) -> None:
    """Each order that was told, however often, is one conversion, and counts once for its campaign and variant."""
    told = facts.journeys
    asked: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in facts.client:
        if entry["what"] == "order":
            asked[entry["order"]].append(entry)
    there = {order_id: found for (_, _, order_id), found in told.orders.items()}
    for order_id, answers in asked.items():
        found = there.get(order_id, [])
        taken = [entry for entry in answers if entry["status"] == 201]
        report.expect("orders", len(found) <= 1, f"{order_id} was recorded {len(found)} times")
        report.expect("orders", not taken or len(found) == 1, f"{order_id} was accepted and is not there")
        for entry in taken:
            same = [(public_id("cnv", row["id"]), row["value"]) for row in found]
            report.expect("orders", same == [(entry["id"], entry["value"])], f"{order_id}: {entry} is not {same}")
    for order_id in there.keys() - asked.keys():
        report.expect("orders", False, f"{order_id} was never told of")
    made: Counter[tuple[UUID, str]] = Counter()
    sums: dict[tuple[UUID, int, str], tuple[int, int]] = {}
    for row in (row for found in told.orders.values() for row in found):
        made[row["contact_id"], "conversion.created"] += 1
        if row["campaign_id"] is not None:
            key = (row["campaign_id"], row["variant"] or 0, row["currency"])
            number, value = sums.get(key, (0, 0))
            sums[key] = (number + 1, value + row["value"])
    report.expect("orders", sums == told.tallied, f"tallies {told.tallied}, rows {sums}")
    _check_events(facts, report, made, ("conversion.created",))


def check_books(facts: Facts, report: Report) -> None:
    """What is told of the variants of a campaign adds up to what is told of the campaign."""
    for entry in facts.client:
        if entry["what"] != "books":
            continue
        sums = _sums([variant["stats"] for variant in entry["variants"]])
        whole = _sums([entry["stats"]])
        report.expect("books", sums == whole, f"{entry['id']}: the variants have {sums}, the campaign {whole}")
        tested = {public_id("cmp", row["campaign_id"]) for row in facts.messages.values() if (row["variant"] or 0) > 0}
        report.expect(
            "books", entry["id"] in tested or not whole["recipients"], f"{entry['id']}: nobody was in its test"
        )


def _sums(books: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Add up the numbers; rates and sums of money by currency are left out."""
    return {name: sum(each[name] for each in books) for name, value in books[0].items() if isinstance(value, int)}
