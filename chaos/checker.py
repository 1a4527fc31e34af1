"""The checker: reads the tables, the carrier's book and the receiver's log, and says what was broken.

It shares no code with the service: its own SQL, its own idea of the rules. `python -m chaos.checker DIRECTORY URL`
checks what a run left in a directory.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from chaos.journeys import Journeys, check_books, check_orders, check_sequences, read_journeys
from chaos.names import public_id, row_id

SHOWN = 5
# How the numbers begin that behave by a script.
SCRIPTED = "+1415555"

# How a message may move; None is its making.
MOVES = {
    (None, "scheduled"),
    (None, "queued"),
    (None, "skipped"),
    ("scheduled", "queued"),
    ("scheduled", "canceled"),
    ("queued", "sending"),
    ("queued", "canceled"),
    ("queued", "skipped"),
    ("queued", "failed"),
    ("sending", "sent"),
    # Its reply came before its carrier's answer was written down.
    ("sending", "replied"),
    ("sending", "failed"),
    ("sending", "queued"),
    ("sent", "delivered"),
    ("sent", "failed"),
    ("sent", "replied"),
    ("delivered", "replied"),
}
CAMPAIGN_EVENTS = {"completed": "campaign.completed", "canceled": "campaign.canceled", "paused": "campaign.paused"}


@dataclass
class Report:
    """What the checker counted, and what it found broken, by check."""

    counts: dict[str, int | float] = field(default_factory=dict)
    broken: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    checks: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was broken."""
        return not self.broken

    def expect(self, check: str, holds: bool, what: str) -> None:
        """Note a violation of `check` unless it holds."""
        if not holds:
            self.broken[check].append(what)

    def lines(self) -> list[str]:
        """The violations as text, a few of each check."""
        found = []
        for check, violations in sorted(self.broken.items()):
            found.append(f"{check}: {len(violations)}")
            found += [f"    {violation}" for violation in violations[:SHOWN]]
        return found


def is_sending(row: Any) -> bool:
    """Whether a move of a message is the one by which it is sent."""
    was, became = row["was"], row["became"]
    return bool(was != became and (became == "sent" or (was, became) == ("sending", "replied")))


class Facts:
    """Everything that is read before anything is judged."""

    def __init__(self) -> None:
        self.capability = "dedupe"
        self.lease = 60.0
        self.messages: dict[UUID, Any] = {}
        self.history: dict[UUID, list[Any]] = defaultdict(list)
        self.acceptances: dict[UUID, list[Any]] = defaultdict(list)
        self.attempts: dict[UUID, list[Any]] = defaultdict(list)
        self.events: dict[UUID, list[Any]] = defaultdict(list)
        self.replies: Counter[UUID] = Counter()
        self.ledger: dict[tuple[UUID, str], list[Any]] = defaultdict(list)
        self.balances: list[Any] = []
        self.consent: dict[tuple[UUID, bool, str], list[Any]] = defaultdict(list)
        self.campaigns: dict[UUID, Any] = {}
        self.campaign_history: dict[UUID, list[Any]] = defaultdict(list)
        self.tallies: dict[UUID, list[Any]] = defaultdict(list)
        self.left_to_expand: Counter[UUID] = Counter()
        self.endpoints: list[Any] = []
        self.deliveries: dict[tuple[UUID, UUID], str] = {}
        self.client: list[dict[str, Any]] = []
        self.received: list[dict[str, Any]] = []
        # How long each wish of a workspace waited beside which processes were stopped, and how long one may.
        self.waits: list[dict[str, Any]] = []
        self.most_wait = 0.0
        self.journeys = Journeys()

    def is_unknown(self, message: Any) -> bool:
        """Whether only a delivery report could still tell what became of a message."""
        if message["status"] != "sending" or message["lease_until"] is not None:
            return False
        return self.capability == "none" or (self.capability == "dedupe" and self._is_barred(message))

    def _is_barred(self, message: Any) -> bool:
        """Whether the recipient opted out, or the campaign was canceled: a lost hand-over is not repeated."""
        campaign = self.campaigns.get(message["campaign_id"])
        if campaign is not None and campaign["status"] == "canceled":
            return True
        consent = self.consent.get((message["workspace_id"], message["livemode"], message["to_phone"]), [])
        return any(row["status"] == "opted_out" for row in consent)

    def was_sent(self, message_id: UUID) -> bool:
        """Whether the message ever became `sent`, or what follows it at once."""
        return any(is_sending(row) for row in self.history[message_id])

    def most_taken(self, message_id: UUID) -> int:
        """How often the carrier may have taken a message: twice where it was handed over once more, as it asks."""
        message = self.messages.get(message_id)
        if message is None or message["on_unknown"] != "resend":
            return 1
        arrived = [row for row in self.attempts[message_id] if row["outcome"] in ("accepted", "unknown", None)]
        return 2 if any(row["is_resend"] for row in arrived) and len(arrived) > 1 else 1

    def course(self, message_id: UUID) -> str:
        """Return what became of a message, and what each attempt and the carrier say, to find out why."""
        message = self.messages[message_id]
        moves = [f"{row['became']} {row['at']:%T.%f}" for row in self.history[message_id]]
        tries = [f"{row['outcome']} {row['started_at']:%T.%f}" for row in self.attempts[message_id]]
        taken = [
            f"{row['accepted_at']:%T.%f} (written {row['committed']:%T.%f})" for row in self.acceptances[message_id]
        ]
        return (
            f"{'live' if message['livemode'] else 'sandbox'} {message['kind']}, script {self._script(message)},"
            f" error {message['error_code']}; moves {moves}; attempts {tries}; accepted {taken}"
        )

    @staticmethod
    def _script(message: Any) -> str:
        phone = str(message["to_phone"])
        return phone[-4:] if phone.startswith(SCRIPTED) else "none"


async def read_facts(directory: Path, url: str) -> Facts:
    """Read the tables and the logs."""
    facts = Facts()
    run = json.loads((directory / "run.json").read_text())
    facts.capability, facts.lease = run["capability"], run["lease"]
    facts.client = _read_log(directory / "client.jsonl")
    facts.received = _read_log(directory / "receiver.jsonl")
    facts.waits, facts.most_wait = _read_log(directory / "bystander.jsonl"), run.get("most_wait", 0.0)
    connection = await asyncpg.connect(url)
    try:
        await _read_tables(connection, facts)
    finally:
        await connection.close()
    return facts


def _read_log(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


async def _read_tables(connection: asyncpg.Connection[Any], facts: Facts) -> None:
    async def rows(sql: str) -> list[Any]:
        return list(await connection.fetch(sql))

    facts.messages = {
        row["id"]: row
        for row in await rows(
            "SELECT id, workspace_id, livemode, kind, campaign_id, to_phone, segments, credits_used, status, delivery,"
            " error_code, metadata ->> 'key' AS key, sent_at, delivered_at, failed_at, canceled_at, replied_at,"
            " claim_token, lease_until, attempt_count, on_unknown, variant, contact_id FROM messages"
        )
    }
    for row in await rows("SELECT * FROM chaos_messages ORDER BY id"):
        facts.history[row["message_id"]].append(row)
    for row in await rows(
        "SELECT message_id, livemode, segments, accepted_at, pg_xact_commit_timestamp(xmin) AS committed"
        " FROM virtual_submissions ORDER BY accepted_at"
    ):
        facts.acceptances[row["message_id"]].append(row)
    for row in await rows(
        "SELECT message_id, claim_token, outcome, started_at, is_resend FROM message_attempts ORDER BY id"
    ):
        facts.attempts[row["message_id"]].append(row)
    for row in await rows(
        "SELECT id, type, workspace_id, livemode, resource_id, pg_xact_commit_timestamp(xmin) AS committed"
        " FROM events ORDER BY committed, id"
    ):
        facts.events[row["resource_id"]].append(row)
    for row in await rows(
        "SELECT message_id, count(*) AS number FROM inbound_messages"
        " WHERE message_id IS NOT NULL AND keyword IS DISTINCT FROM 'stop' GROUP BY message_id"
    ):
        facts.replies[row["message_id"]] = row["number"]
    for row in await rows("SELECT workspace_id, kind, reference, amount FROM ledger_entries"):
        facts.ledger[row["workspace_id"], row["reference"]].append(row)
    facts.balances = await rows(
        "SELECT workspace_id, balance,"
        " (SELECT coalesce(sum(amount), 0)::bigint FROM ledger_entries WHERE workspace_id = b.workspace_id) AS moved,"
        " (SELECT coalesce(sum(credits), 0)::bigint FROM credit_usage WHERE workspace_id = b.workspace_id) AS used,"
        " (SELECT coalesce(-sum(amount), 0)::bigint FROM ledger_entries WHERE workspace_id = b.workspace_id"
        "   AND kind IN ('reserve', 'release')) AS spent"
        " FROM credit_balances AS b"
    )
    for row in await rows(
        "SELECT workspace_id, livemode, phone, status, pg_xact_commit_timestamp(xmin) AS committed"
        " FROM consent_events ORDER BY committed, id"
    ):
        facts.consent[row["workspace_id"], row["livemode"], row["phone"]].append(row)
    facts.campaigns = {
        row["id"]: row
        for row in await rows(
            "SELECT id, status, pause_reason, dispatched_at, completed_at, canceled_at, livemode, winner, sequence_id"
            " FROM campaigns"
        )
    }
    for row in await rows("SELECT campaign_id, was, became FROM chaos_campaigns ORDER BY id"):
        facts.campaign_history[row["campaign_id"]].append(row)
    for row in await rows(
        "SELECT campaign_id, status, variant, sum(messages)::bigint AS messages, sum(credits)::bigint AS credits"
        " FROM campaign_tallies GROUP BY 1, 2, 3"
    ):
        facts.tallies[row["campaign_id"]].append(row)
    for row in await rows("SELECT campaign_id, count(*) AS number FROM campaign_recipients GROUP BY 1"):
        facts.left_to_expand[row["campaign_id"]] = row["number"]
    facts.endpoints = await rows("SELECT id, workspace_id, livemode, url, enabled FROM webhook_endpoints")
    facts.deliveries = {
        (row["endpoint_id"], row["event_id"]): row["state"]
        for row in await rows("SELECT endpoint_id, event_id, state FROM webhook_deliveries")
    }
    facts.journeys = await read_journeys(rows)


def check(facts: Facts) -> Report:
    """Judge the facts."""
    report = Report()
    for name, examine in CHECKS.items():
        report.checks.append(name)
        examine(facts, report)
    statuses = Counter(row["status"] for row in facts.messages.values())
    report.counts |= {
        "messages": len(facts.messages),
        "accepted by API": sum(1 for entry in facts.client if entry["what"] == "message" and entry["status"] == 201),
        "handed off": len(facts.acceptances),
        "canceled": statuses["canceled"],
        "failed": statuses["failed"],
        "skipped": statuses["skipped"],
        "lost": len(report.broken.get("lost", ())),
        "duplicated": len(report.broken.get("duplicated", ())),
        "unknown": sum(facts.is_unknown(row) for row in facts.messages.values()),
        "events": sum(len(events) for events in facts.events.values()),
        "webhooks received": len(facts.received),
        "opt-outs": sum(row["status"] == "opted_out" for rows in facts.consent.values() for row in rows),
        "steps taken": sum(map(len, facts.journeys.moves.values())),
        "orders": len(facts.journeys.orders),
        "bystander's wishes": len(facts.waits),
        "longest wait (s)": max((entry["waited"] for entry in facts.waits), default=0.0),
    } | _recovery(facts)
    return report


def _check_lost(facts: Facts, report: Report) -> None:
    """What the API accepted is there, once a key; and nothing is left between two states."""
    by_key = Counter(row["key"] for row in facts.messages.values() if row["key"] is not None)
    for entry in facts.client:
        if entry["what"] != "message":
            continue
        report.expect("lost", by_key[entry["key"]] <= 1, f"key {entry['key']}: {by_key[entry['key']]} messages")
        if entry["status"] == 201:
            message = facts.messages.get(row_id(entry["id"]))
            report.expect("lost", message is not None, f"{entry['id']} was accepted and is not there")
        elif entry["status"] is not None:
            report.expect("lost", by_key[entry["key"]] == 0, f"key {entry['key']} was refused and is there")
    for message_id, message in facts.messages.items():
        status = message["status"]
        settled = status not in ("queued", "scheduled", "sending") or facts.is_unknown(message)
        report.expect("lost", settled, f"{public_id('msg', message_id)} is still {status}")


def _check_acceptances(facts: Facts, report: Report) -> None:
    """The carrier took what is said to be sent, exactly once, and nothing else."""
    for message_id, taken in facts.acceptances.items():
        name = public_id("msg", message_id)
        report.expect(
            "duplicated", len(taken) <= facts.most_taken(message_id), f"{name} was accepted {len(taken)} times"
        )
        message = facts.messages.get(message_id)
        report.expect("acceptances", message is not None, f"{name} was accepted and is not there")
        if message is None:
            continue
        known = facts.was_sent(message_id) or facts.is_unknown(message)
        if not known:
            course = facts.course(message_id)
            report.expect(
                "acceptances", False, f"{name} was accepted, but is {message['status']} and never was sent: {course}"
            )
        report.expect(
            "acceptances", taken[0]["segments"] == message["segments"], f"{name} has other segments at the carrier"
        )
    for message_id in facts.messages:
        if facts.was_sent(message_id):
            name = public_id("msg", message_id)
            report.expect("lost", message_id in facts.acceptances, f"{name} counts as sent; the carrier never had it")


def _check_transitions(facts: Facts, report: Report) -> None:
    """Every message moved only as messages move, and has the timestamps of where it was."""
    for message_id, message in facts.messages.items():
        name = public_id("msg", message_id)
        moves = [(row["was"], row["became"]) for row in facts.history[message_id]]
        for was, became in moves:
            report.expect(
                "transitions", was == became or (was, became) in MOVES, f"{name} moved from {was} to {became}"
            )
        been = {became for _, became in moves} | ({"sent"} if facts.was_sent(message_id) else set())
        ended = moves[-1][1] if moves else None
        report.expect("transitions", ended == message["status"], f"{name} is not where its history ends: {ended}")
        # Its reply came while it waited or was on the wire, and it ended unsent: it was never `replied`.
        if facts.replies[message_id] and not facts.was_sent(message_id) and message["replied_at"] is not None:
            been.add("replied")
        for status, column in (
            ("sent", "sent_at"),
            ("failed", "failed_at"),
            ("canceled", "canceled_at"),
            ("replied", "replied_at"),
        ):
            report.expect(
                "transitions",
                (status in been) == (message[column] is not None),
                f"{name} was {'' if status in been else 'never '}{status}; {column} is {message[column]}",
            )
        # The worker that handed it over may yet say what became of it, if it lives: its token stays, its lease ends.
        settled = message["lease_until"] is None and (message["claim_token"] is None or facts.is_unknown(message))
        report.expect("transitions", settled, f"{name} is {message['status']} and still claimed")


def _check_events(facts: Facts, report: Report) -> None:
    """Each change of a message has its event, and each event its change."""
    for message_id, message in facts.messages.items():
        wanted: Counter[str] = Counter()
        for row in facts.history[message_id]:
            was, became = row["was"], row["became"]
            if row["delivered"]:
                wanted["message.delivered"] += 1
            if is_sending(row):
                wanted["message.sent"] += 1
            if was != became and became in ("failed", "canceled", "skipped"):
                wanted[f"message.{became}"] += 1
            if became == "queued" and was in (None, "scheduled"):
                wanted["message.queued"] += 1
        if facts.replies[message_id]:
            wanted["message.replied"] = facts.replies[message_id]
        found = Counter(event["type"] for event in facts.events.get(message_id, ()))
        report.expect(
            "events",
            wanted == found,
            f"{public_id('msg', message_id)} ({message['status']}): missing {dict(wanted - found)},"
            f" too many {dict(found - wanted)}",
        )
    for resource_id, events in facts.events.items():
        if events[0]["type"].startswith("message."):
            report.expect(
                "events", resource_id in facts.messages, f"{events[0]['type']} of a message that is not there"
            )


def _check_attempts(facts: Facts, report: Report) -> None:
    """Every claim is an attempt, counted and written down."""
    for message_id, message in facts.messages.items():
        claims = {row["claim_token"] for row in facts.history[message_id] if row["claim_token"] is not None}
        written = {row["claim_token"] for row in facts.attempts[message_id]}
        name = public_id("msg", message_id)
        report.expect(
            "attempts",
            claims == written and len(written) == len(facts.attempts[message_id]) == message["attempt_count"],
            f"{name}: {len(claims)} claims, {len(facts.attempts[message_id])} attempts,"
            f" attempt_count {message['attempt_count']}",
        )


def _check_credits(facts: Facts, report: Report) -> None:
    """The ledger explains the balance, and each live message is paid once if the carrier has it, else not at all."""
    for row in facts.balances:
        report.expect("credits", row["balance"] == row["moved"], f"balance {row['balance']}, ledger {row['moved']}")
        report.expect("credits", row["balance"] >= 0, f"balance {row['balance']}")
        report.expect("credits", row["used"] == row["spent"], f"usage {row['used']}, ledger {row['spent']}")
    explained = set()
    for message_id, message in facts.messages.items():
        name = public_id("msg", message_id)
        reference = (message["workspace_id"], name)
        explained.add(reference)
        entries = facts.ledger.get(reference, [])
        kinds = Counter(entry["kind"] for entry in entries)
        total = sum(entry["amount"] for entry in entries)
        if not message["livemode"]:
            report.expect("credits", not entries, f"{name} is of the sandbox and has ledger entries")
            continue
        taken = message_id in facts.acceptances
        what = f"{name} ({message['status']}, {'' if taken else 'not '}accepted): {dict(kinds)}, sum {total}"
        report.expect("credits", max(kinds.values(), default=0) <= 1, what)
        report.expect("credits", total == -message["credits_used"], f"{what}, credits_used {message['credits_used']}")
        if facts.is_unknown(message):
            report.expect("credits", total == -message["segments"] and not kinds["release"], what)
        elif taken:
            report.expect("credits", total == -message["segments"] and kinds["capture"] == 1, what)
        else:
            report.expect("credits", total == 0 and kinds["capture"] == 0, what)
    for (workspace_id, name), entries in facts.ledger.items():
        if name.startswith("msg_"):
            report.expect("credits", (workspace_id, name) in explained, f"{name} has {len(entries)} entries and no row")


def _check_campaigns(facts: Facts, report: Report) -> None:
    """Nobody in an audience is left out or sent to twice, the tallies are the rows, and each campaign ends once."""
    by_campaign: dict[UUID, list[Any]] = defaultdict(list)
    for message in facts.messages.values():
        if message["campaign_id"] is not None:
            by_campaign[message["campaign_id"]].append(message)
    audiences = {
        row_id(entry["id"]): entry["audience"]
        for entry in facts.client
        if entry["what"] == "campaign" and entry["status"] == 201
    }
    for campaign_id in audiences:
        report.expect("lost", campaign_id in facts.campaigns, f"{public_id('cmp', campaign_id)} is not there")
    for campaign_id, campaign in facts.campaigns.items():
        name = f"{public_id('cmp', campaign_id)} ({campaign['status']})"
        rows = by_campaign[campaign_id]
        phones = {row["to_phone"] for row in rows}
        report.expect("campaigns", len(phones) == len(rows), f"{name}: {len(rows)} messages to {len(phones)} phones")
        audience = audiences.get(campaign_id)
        if campaign["status"] == "canceled":
            report.expect("campaigns", audience is None or len(rows) <= audience, f"{name}: {len(rows)} of {audience}")
        else:
            report.expect("campaigns", audience in (None, len(rows)), f"{name}: {len(rows)} recipients of {audience}")
        report.expect("campaigns", facts.left_to_expand[campaign_id] == 0, f"{name}: recipients left to expand")
        counted = Counter(_tally(row) for row in rows)
        spent: Counter[tuple[int | None, str]] = Counter()
        for row in rows:
            spent[_tally(row)] += row["credits_used"]
        tallies = {(row.get("variant"), row["status"]): row for row in facts.tallies[campaign_id]}
        tallied = {key: row["messages"] for key, row in tallies.items() if row["messages"]}
        paid = {key: row["credits"] for key, row in tallies.items() if row["credits"]}
        report.expect("campaigns", tallied == dict(counted), f"{name}: tallies {tallied}, rows {dict(counted)}")
        report.expect("campaigns", paid == dict(+spent), f"{name}: tallied credits {paid}, rows {dict(+spent)}")
        _check_winner(facts, report, campaign_id, name, rows)
        # The step of a sequence ends with its version.
        if campaign.get("sequence_id") is None:
            _check_end(facts, report, campaign_id, name, rows)


def _tally(message: Any) -> tuple[int | None, str]:
    unreported = message["status"] == "sent" and message["delivery"] == "unknown"
    return message.get("variant"), "unreported" if unreported else str(message["status"])


def _check_winner(facts: Facts, report: Report, campaign_id: UUID, name: str, rows: Iterable[Any]) -> None:
    """Who was not in the test got the winner, which was chosen once."""
    winner = facts.campaigns[campaign_id].get("winner")
    others = {row["variant"] for row in rows if (row.get("variant") or 0) < 0}
    report.expect("campaigns", others <= {-(winner or 0)}, f"{name}: the rest got {others}, the winner is {winner}")
    chosen = sum(event["type"] == "campaign.winner_chosen" for event in facts.events.get(campaign_id, ()))
    report.expect("events", chosen == int(winner is not None), f"{name}: campaign.winner_chosen {chosen} times")


def _check_end(facts: Facts, report: Report, campaign_id: UUID, name: str, rows: Iterable[Any]) -> None:
    campaign = facts.campaigns[campaign_id]
    unknown = sum(facts.is_unknown(row) for row in rows)
    ended = campaign["status"] in ("completed", "canceled") or (campaign["status"] == "sending" and unknown > 0)
    report.expect("campaigns", ended, f"{name}: it does not end")
    if campaign["status"] == "completed":
        report.expect("campaigns", unknown == 0, f"{name}: {unknown} outcomes are unknown")
    events = [event["type"] for event in facts.events.get(campaign_id, ())]
    counted = Counter(events)
    for once in ("campaign.dispatched", "campaign.completed", "campaign.canceled"):
        moment = {"dispatched": "dispatched_at", "completed": "completed_at", "canceled": "canceled_at"}
        wanted = int(campaign[moment[once.partition(".")[2]]] is not None)
        report.expect("events", counted[once] == wanted, f"{name}: {once} {counted[once]} times, not {wanted}")
    changes = Counter(row["became"] for row in facts.campaign_history[campaign_id])
    # One that was canceled after it began stays so, and is told of once its last message has come to its end.
    if campaign["status"] == "canceled" and campaign["completed_at"] is not None:
        changes["completed"] += 1
    for status, type in CAMPAIGN_EVENTS.items():
        report.expect(
            "events", counted[type] == changes[status], f"{name}: {type} {counted[type]}, changes {changes[status]}"
        )
    if {"campaign.dispatched", "campaign.completed"} <= counted.keys():
        order = [type for type in events if type in ("campaign.dispatched", "campaign.completed")]
        report.expect("events", order == ["campaign.dispatched", "campaign.completed"], f"{name}: events {order}")


def _check_webhooks(facts: Facts, report: Report) -> None:
    """Every event reached its endpoint, under one id and with one body, signed; and none was made up."""
    events = {event["id"]: event for events in facts.events.values() for event in events}
    taken: dict[tuple[str, str], set[str]] = defaultdict(set)
    bodies: dict[str, set[str]] = defaultdict(set)
    for entry in facts.received:
        bodies[entry["event"]].add(entry["body"])
        if entry["status"] == 200:
            taken[entry["endpoint"], entry["event"]].add(entry["body"])
        report.expect("webhooks", entry["signed"], f"{entry['event']}: the signature does not fit")
        report.expect("webhooks", entry["id"] == entry["event"], f"{entry['event']} carries the id {entry['id']}")
        known = events.get(row_id(entry["event"]))
        report.expect("webhooks", known is not None, f"{entry['event']} was delivered and is not there")
        if known is not None:
            report.expect("webhooks", known["type"] == entry["type"], f"{entry['event']} is another type")
    for event_id, seen in bodies.items():
        report.expect("webhooks", len(seen) == 1, f"{event_id} came with {len(seen)} bodies")
    for endpoint in facts.endpoints:
        path = endpoint["url"].rpartition("/")[2]
        report.expect("webhooks", endpoint["enabled"], f"{path} was disabled")
        for event in events.values():
            if (event["workspace_id"], event["livemode"]) != (endpoint["workspace_id"], endpoint["livemode"]):
                continue
            name = public_id("evt", event["id"])
            state = facts.deliveries.get((endpoint["id"], event["id"]))
            report.expect("webhooks", state == "succeeded", f"{name} ({event['type']}) to {path}: {state}")
            report.expect("webhooks", (path, name) in taken, f"{name} ({event['type']}) never reached {path}")


def _check_stop(facts: Facts, report: Report) -> None:
    """No claim began after an opt-out was committed, unless it was of the service's own answer."""
    for message_id, message in facts.messages.items():
        if message["kind"] == "auto" or message_id not in facts.acceptances:
            continue
        consent = facts.consent.get((message["workspace_id"], message["livemode"], message["to_phone"]), [])
        if not consent:
            continue
        accepted = facts.acceptances[message_id][0]["committed"]
        # The claim that it was handed over under: the last one before the carrier had it.
        claims = [row for row in facts.history[message_id] if row["claim_token"] is not None and row["at"] <= accepted]
        if not claims:
            continue
        began = claims[-1]["began"]
        standing = [row["status"] for row in consent if row["committed"] < began]
        report.expect(
            "stop",
            not standing or standing[-1] != "opted_out",
            f"{public_id('msg', message_id)} (claim {len(claims)}) was claimed after its recipient had opted out",
        )


def _check_bystanders(facts: Facts, report: Report) -> None:
    """Nobody waited for a process of which they want nothing, for longer than PostgreSQL lets it hold a lock."""
    for entry in facts.waits:
        report.expect("bystanders", entry["waited"] <= facts.most_wait, f"{entry['what']} waited {entry['waited']} s")


def _recovery(facts: Facts) -> dict[str, float]:
    """How long what a dead worker left lay after its lease had run out, in seconds."""
    waited = []
    for history in facts.history.values():
        for claim, following in pairwise(history):
            taken_over = following["claim_token"] is not None and claim["claim_token"] is not None
            if taken_over and claim["became"] == following["became"] == "sending":
                after = [row for row in history if row["at"] > following["at"] and row["became"] != "sending"]
                ended = after[0]["at"] if after else following["at"]
                waited.append((ended - claim["at"]).total_seconds())
    if not waited:
        return {"recovered": 0}
    waited.sort()
    return {
        "recovered": len(waited),
        "recovery p95 (s)": round(waited[int(0.95 * (len(waited) - 1))], 1),
        "recovery max (s)": round(waited[-1], 1),
    }


CHECKS: Mapping[str, Callable[[Facts, Report], None]] = {
    "lost": _check_lost,
    "acceptances": _check_acceptances,
    "transitions": _check_transitions,
    "events": _check_events,
    "attempts": _check_attempts,
    "credits": _check_credits,
    "campaigns": _check_campaigns,
    "books": check_books,
    "sequences": check_sequences,
    "orders": check_orders,
    "webhooks": _check_webhooks,
    "stop": _check_stop,
    "bystanders": _check_bystanders,
}


def main() -> int:
    """Check a directory; 1 if anything was broken."""
    report = check(asyncio.run(read_facts(Path(sys.argv[1]), sys.argv[2])))
    for name, count in report.counts.items():
        print(f"{name:>20}  {count}")
    print("\n".join(report.lines()))
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
