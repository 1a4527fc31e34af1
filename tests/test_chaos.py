"""The chaos suite's own tests: the checker sees what is broken, the proxy breaks what it should; and one short run."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from chaos.checker import CHECKS, Facts, Report, check
from chaos.failover import longest_gap
from chaos.far_carrier import FarServer
from chaos.journeys import Journeys
from chaos.mutations import MUTATIONS
from chaos.names import public_id, row_id
from chaos.proxy import Proxy
from msvs.api import ids

ROOT = Path(__file__).parent.parent
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
WORKSPACE, TOKEN, CAMPAIGN, ENDPOINT = uuid4(), uuid4(), uuid4(), uuid4()
CONTACT, SEQUENCE, VERSION, ENROLLMENT = uuid4(), uuid4(), uuid4(), uuid4()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def move(was: str | None, became: str, seconds: float, *, token: UUID | None = None, delivered: bool = False) -> Any:
    return {
        "was": was,
        "became": became,
        "claim_token": token,
        "delivered": delivered,
        "began": at(seconds),
        "at": at(seconds + 0.1),
    }


def event(type: str, seconds: float) -> dict[str, Any]:
    return {"id": uuid4(), "type": type, "workspace_id": WORKSPACE, "livemode": True, "committed": at(seconds)}


class World:
    """Facts of a flawless run: one delivered message of a campaign, live, with its webhooks."""

    def __init__(self) -> None:
        facts = self.facts = Facts()
        self.id = uuid4()
        self.message: dict[str, Any] = {
            "id": self.id,
            "workspace_id": WORKSPACE,
            "livemode": True,
            "kind": "campaign",
            "campaign_id": CAMPAIGN,
            "to_phone": "+12125550001",
            "segments": 1,
            "credits_used": 1,
            "status": "delivered",
            "delivery": None,
            "error_code": None,
            "key": "1-1",
            "sent_at": at(2),
            "delivered_at": at(3),
            "failed_at": None,
            "canceled_at": None,
            "replied_at": None,
            "claim_token": None,
            "lease_until": None,
            "attempt_count": 1,
            "on_unknown": "never",
            "variant": None,
            "contact_id": CONTACT,
        }
        facts.messages[self.id] = self.message
        facts.history[self.id] = [
            move(None, "queued", 0),
            move("queued", "sending", 1, token=TOKEN),
            move("sending", "sent", 2),
            move("sent", "delivered", 3, delivered=True),
        ]
        facts.acceptances[self.id] = [
            {"message_id": self.id, "livemode": True, "segments": 1, "accepted_at": at(1.5), "committed": at(1.5)}
        ]
        facts.attempts[self.id] = [
            {
                "message_id": self.id,
                "claim_token": TOKEN,
                "outcome": "accepted",
                "started_at": at(1),
                "is_resend": False,
            }
        ]
        facts.events[self.id] = [
            event(f"message.{name}", number) for number, name in enumerate(("queued", "sent", "delivered"))
        ]
        facts.ledger[WORKSPACE, public_id("msg", self.id)] = [
            {"kind": "reserve", "amount": -1},
            {"kind": "capture", "amount": 0},
        ]
        facts.balances = [{"workspace_id": WORKSPACE, "balance": 9, "moved": 9, "used": 1, "spent": 1}]
        facts.campaigns[CAMPAIGN] = {
            "id": CAMPAIGN,
            "status": "completed",
            "pause_reason": None,
            "dispatched_at": at(1),
            "completed_at": at(4),
            "canceled_at": None,
            "livemode": True,
        }
        facts.campaign_history[CAMPAIGN] = [
            {"was": None, "became": "preparing"},
            {"was": "preparing", "became": "sending"},
            {"was": "sending", "became": "completed"},
        ]
        facts.events[CAMPAIGN] = [
            event(f"campaign.{name}", number) for number, name in enumerate(("started", "dispatched", "completed"))
        ]
        facts.tallies[CAMPAIGN] = [{"status": "delivered", "messages": 1, "credits": 1}]
        facts.endpoints = [
            {"id": ENDPOINT, "workspace_id": WORKSPACE, "livemode": True, "url": "http://h/hook", "enabled": True}
        ]
        for row in [*facts.events[self.id], *facts.events[CAMPAIGN]]:
            facts.deliveries[ENDPOINT, row["id"]] = "succeeded"
            name = public_id("evt", row["id"])
            facts.received.append(
                {
                    "endpoint": "hook",
                    "event": name,
                    "id": name,
                    "type": row["type"],
                    "body": "x",
                    "signed": True,
                    "status": 200,
                }
            )
        facts.client = [
            {"what": "message", "key": "1-1", "status": 201, "id": public_id("msg", self.id)},
            {"what": "campaign", "status": 201, "id": public_id("cmp", CAMPAIGN), "audience": 1},
        ]

    def journey(self) -> Journeys:
        """Have the message be the first step of a contact's way, who had no part in the last one, and a conversion."""
        facts, told = self.facts, self.facts.journeys
        facts.campaigns[CAMPAIGN] |= {"status": "sending", "sequence_id": SEQUENCE, "completed_at": None}
        facts.client[1] = {"what": "enrollment", "status": 201, "id": public_id("enr", ENROLLMENT)}
        told.enrollments[ENROLLMENT] = {
            "id": ENROLLMENT,
            "sequence_id": SEQUENCE,
            "version_id": VERSION,
            "contact_id": CONTACT,
            "state": "completed",
            "leaving": None,
            "step": 3,
        }
        told.campaigns[VERSION] = [CAMPAIGN, uuid4(), uuid4()]
        codes = (None, "step_missed", "condition_not_met")
        told.moves[ENROLLMENT] = [
            {"step": place, "message_id": None if code else self.id, "code": code} for place, code in enumerate(codes)
        ]
        order = {"id": uuid4(), "value": 100, "currency": "USD", "campaign_id": CAMPAIGN, "variant": None}
        told.orders[WORKSPACE, True, "1-1"] = [order | {"contact_id": CONTACT}]
        told.tallied[CAMPAIGN, 0, "USD"] = (1, 100)
        known = {"what": "order", "order": "1-1", "value": 100, "status": 201, "id": public_id("cnv", order["id"])}
        facts.client += [known, known]
        stats = {"recipients": 2, "delivered": 1, "conversion_rate": 0.5, "revenue": []}
        half = stats | {"recipients": 1, "delivered": 0}
        variants = [{"stats": half}, {"stats": half | {"delivered": 1}}]
        facts.client.append({"what": "books", "id": public_id("cmp", CAMPAIGN), "stats": stats, "variants": variants})
        self.message["variant"] = facts.tallies[CAMPAIGN][0]["variant"] = 1
        types = ("sequence.entered", "sequence.completed", "conversion.created")
        facts.events[CONTACT] = [event(type, number) for number, type in enumerate(types)]
        facts.endpoints = []
        facts.received = []
        return told

    def consent(self, *changes: tuple[str, float]) -> None:
        self.facts.consent[WORKSPACE, True, "+12125550001"] = [
            {"status": status, "committed": at(seconds)} for status, seconds in changes
        ]


def test_a_flawless_run_is_clean() -> None:
    report = check(World().facts)
    assert report.lines() == []
    assert report.checks == list(CHECKS)
    assert (report.counts["lost"], report.counts["duplicated"], report.counts["unknown"]) == (0, 0, 0)
    assert (report.counts["messages"], report.counts["accepted by API"], report.counts["handed off"]) == (1, 1, 1)


def test_a_message_that_was_never_sent_is_explained() -> None:
    world = World()
    _canceled_but_accepted(world)
    violation = check(world.facts).broken["acceptances"][0]
    assert "live campaign, script none, error None" in violation
    for part in ("moves ['queued ", "'canceled ", "attempts ['accepted ", "accepted ['"):
        assert part in violation


def _second_acceptance(world: World) -> None:
    world.facts.acceptances[world.id] *= 2


def _never_there(world: World) -> None:
    world.facts.client.append({"what": "message", "key": "1-2", "status": 201, "id": public_id("msg", uuid4())})


def _one_key_two_messages(world: World) -> None:
    world.facts.messages[uuid4()] = dict(world.message)


def _refused_and_there(world: World) -> None:
    world.facts.client[0] |= {"status": 402, "id": None}


def _still(status: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.message["status"] = status

    return change


def _phantom(world: World) -> None:
    del world.facts.acceptances[world.id]


def _canceled_but_accepted(world: World) -> None:
    world.message |= {"status": "canceled", "sent_at": None, "delivered_at": None, "canceled_at": at(2)}
    world.facts.history[world.id] = [move(None, "queued", 0), move("queued", "canceled", 1)]


def _backwards(world: World) -> None:
    world.facts.history[world.id].append(move("delivered", "sent", 4))


def _still_claimed(world: World) -> None:
    world.message["claim_token"] = TOKEN


def _without_time(world: World) -> None:
    world.message["sent_at"] = None


def _event_missing(world: World) -> None:
    world.facts.events[world.id].pop()


def _event_twice(world: World) -> None:
    world.facts.events[world.id].append(world.facts.events[world.id][-1])


def _completed_twice(world: World) -> None:
    world.facts.events[CAMPAIGN].append(event("campaign.completed", 5))


def _completed_before_dispatched(world: World) -> None:
    world.facts.events[CAMPAIGN].reverse()


def _claim_not_written(world: World) -> None:
    world.facts.attempts[world.id] = []


def _set_balance(**values: int) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.facts.balances[0] |= values

    return change


def _ledger(*entries: tuple[str, int]) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.facts.ledger[WORKSPACE, public_id("msg", world.id)] = [
            {"kind": kind, "amount": amount} for kind, amount in entries
        ]

    return change


def _paid_by_nobody(world: World) -> None:
    world.facts.ledger[WORKSPACE, public_id("msg", uuid4())] = [{"kind": "reserve", "amount": -1}]


def _sandbox_pays(world: World) -> None:
    world.message["livemode"] = False


def _left_out(world: World) -> None:
    world.facts.client[1]["audience"] = 2


def _another_than_the_winner(world: World) -> None:
    world.message["variant"] = -1
    world.facts.tallies[CAMPAIGN][0]["variant"] = -1
    world.facts.campaigns[CAMPAIGN]["winner"] = 2
    world.facts.events[CAMPAIGN].append(event("campaign.winner_chosen", 1))


def _tallied_for_another_variant(world: World) -> None:
    world.message["variant"] = 1
    world.facts.tallies[CAMPAIGN][0]["variant"] = 2


def _winner_chosen_twice(world: World) -> None:
    world.facts.campaigns[CAMPAIGN]["winner"] = 2
    world.facts.events[CAMPAIGN] += 2 * [event("campaign.winner_chosen", 1)]


def _left_to_expand(world: World) -> None:
    world.facts.left_to_expand[CAMPAIGN] = 1


def _tally_off(world: World) -> None:
    world.facts.tallies[CAMPAIGN][0]["messages"] = 2


def _does_not_end(world: World) -> None:
    world.facts.campaigns[CAMPAIGN]["status"] = "sending"


def _received(**values: object) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.facts.received[0] |= values

    return change


def _never_delivered(world: World) -> None:
    world.facts.received.pop()


def _two_bodies(world: World) -> None:
    world.facts.received.append(world.facts.received[0] | {"body": "y"})


def _claimed_after_stop(world: World) -> None:
    world.consent(("opted_out", 0.5))


def _stopped_again(world: World) -> None:
    world.consent(("opted_out", -3), ("opted_in", -2), ("opted_out", 0.5))


def _waited_long(world: World) -> None:
    world.facts.most_wait = 18.0
    world.facts.waits = [{"what": "send", "waited": 0.1}, {"what": "stop", "waited": 18.1}]


@pytest.mark.parametrize(
    ("change", "caught_by"),
    [
        (_second_acceptance, "duplicated"),
        (_never_there, "lost"),
        (_one_key_two_messages, "lost"),
        (_refused_and_there, "lost"),
        (_still("queued"), "lost"),
        (_still("scheduled"), "lost"),
        (_still("sending"), "lost"),
        (_phantom, "lost"),
        (_phantom, "credits"),
        (_canceled_but_accepted, "acceptances"),
        (_backwards, "transitions"),
        (_still_claimed, "transitions"),
        (_without_time, "transitions"),
        (_event_missing, "events"),
        (_event_twice, "events"),
        (_completed_twice, "events"),
        (_completed_before_dispatched, "events"),
        (_claim_not_written, "attempts"),
        (_set_balance(balance=10), "credits"),
        (_set_balance(balance=-1, moved=-1), "credits"),
        (_set_balance(used=2), "credits"),
        (_ledger(("reserve", -1)), "credits"),
        (_ledger(("reserve", -1), ("capture", 0), ("capture", 0)), "credits"),
        (_ledger(("reserve", -1), ("capture", 0), ("release", 1)), "credits"),
        (_ledger(), "credits"),
        (_paid_by_nobody, "credits"),
        (_sandbox_pays, "credits"),
        (_left_out, "campaigns"),
        (_another_than_the_winner, "campaigns"),
        (_tallied_for_another_variant, "campaigns"),
        (_winner_chosen_twice, "events"),
        (_left_to_expand, "campaigns"),
        (_tally_off, "campaigns"),
        (_does_not_end, "campaigns"),
        (_received(signed=False), "webhooks"),
        (_received(id="evt_00000000000000000000000000"), "webhooks"),
        (_received(event="evt_00000000000000000000000000"), "webhooks"),
        (_received(status=500), "webhooks"),
        (_received(type="message.failed"), "webhooks"),
        (_never_delivered, "webhooks"),
        (_two_bodies, "webhooks"),
        (_claimed_after_stop, "stop"),
        (_stopped_again, "stop"),
        (_waited_long, "bystanders"),
    ],
)
def test_the_checker_sees(change: Callable[[World], None], caught_by: str) -> None:
    world = World()
    change(world)
    report = check(world.facts)
    assert not report.is_clean
    assert caught_by in report.broken


def test_a_flawless_journey_is_clean() -> None:
    world = World()
    world.journey()
    assert check(world.facts).lines() == []


def _move(place: int, **values: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.facts.journeys.moves[ENROLLMENT][place] |= values

    return change


def _enrollment(**values: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.facts.journeys.enrollments[ENROLLMENT] |= values

    return change


def _step_left_out(world: World) -> None:
    del world.facts.journeys.moves[ENROLLMENT][1]


def _step_taken_twice(world: World) -> None:
    world.facts.journeys.moves[ENROLLMENT] *= 2


def _message_of_no_step(world: World) -> None:
    world.facts.messages[uuid4()] = world.message | {"to_phone": "+12125550002", "key": None}


def _entered_twice(world: World) -> None:
    told = world.facts.journeys
    again = uuid4()
    told.enrollments[again] = told.enrollments[ENROLLMENT] | {"id": again}


def _enrollment_lost(world: World) -> None:
    world.facts.client[1]["id"] = public_id("enr", uuid4())


def _left_to_enter(world: World) -> None:
    world.facts.journeys.left_to_enter = 1


def _condition_not_heeded(world: World) -> None:
    world.facts.journeys.members.add(CONTACT)


def _journey_event(type: str, times: int) -> Callable[[World], None]:
    def change(world: World) -> None:
        events = world.facts.events[CONTACT]
        world.facts.events[CONTACT] = [row for row in events if row["type"] != type] + times * [event(type, 9)]

    return change


def _order_twice(world: World) -> None:
    world.facts.journeys.orders[WORKSPACE, True, "1-1"] *= 2


def _order_gone(world: World) -> None:
    world.facts.journeys.orders.clear()


def _order_nobody_told(world: World) -> None:
    orders = world.facts.journeys.orders
    orders[WORKSPACE, True, "1-1 again"] = orders[WORKSPACE, True, "1-1"]


def _order_of_another_value(world: World) -> None:
    world.facts.client[3] = world.facts.client[3] | {"value": 200}


def _order_tallied_twice(world: World) -> None:
    world.facts.journeys.tallied[CAMPAIGN, 0, "USD"] = (2, 200)


def _books_off(world: World) -> None:
    world.facts.client[-1]["variants"].pop()


@pytest.mark.parametrize(
    ("change", "caught_by"),
    [
        (_step_left_out, "sequences"),
        (_step_taken_twice, "sequences"),
        (_message_of_no_step, "sequences"),
        (_entered_twice, "sequences"),
        (_enrollment_lost, "lost"),
        (_left_to_enter, "sequences"),
        (_condition_not_heeded, "sequences"),
        (_enrollment(state="active"), "sequences"),
        (_enrollment(state="left", leaving="contact_deleted"), "sequences"),
        (_enrollment(contact_id=uuid4()), "sequences"),
        (_move(0, message_id=None), "sequences"),
        (_move(0, message_id=uuid4()), "sequences"),
        (_move(1, code=None), "sequences"),
        (_journey_event("sequence.entered", 0), "events"),
        (_journey_event("sequence.completed", 2), "events"),
        (_journey_event("conversion.created", 2), "events"),
        (_order_twice, "orders"),
        (_order_gone, "orders"),
        (_order_nobody_told, "orders"),
        (_order_of_another_value, "orders"),
        (_order_tallied_twice, "orders"),
        (_books_off, "books"),
    ],
)
def test_the_checker_sees_of_journeys(change: Callable[[World], None], caught_by: str) -> None:
    world = World()
    world.journey()
    change(world)
    assert caught_by in check(world.facts).broken


def test_a_stop_after_the_claim_breaks_nothing() -> None:
    world = World()
    world.consent(("opted_out", -3), ("opted_in", -2), ("opted_out", 1.2))
    assert check(world.facts).is_clean


def test_what_only_a_report_can_tell_is_unknown_and_not_lost() -> None:
    world = World()
    world.facts.capability = "none"
    world.message |= {"status": "sending", "sent_at": None, "delivered_at": None}
    world.facts.history[world.id] = [
        move(None, "queued", 0),
        move("queued", "sending", 1, token=TOKEN),
        move("sending", "sending", 61),
    ]
    del world.facts.acceptances[world.id], world.facts.events[world.id][1:]
    world.facts.ledger[WORKSPACE, public_id("msg", world.id)].pop()
    world.facts.tallies[CAMPAIGN][0]["status"] = "sending"
    world.facts.campaigns[CAMPAIGN] |= {"status": "sending", "completed_at": None}
    world.facts.campaign_history[CAMPAIGN].pop()
    world.facts.events[CAMPAIGN].pop()
    kept = {public_id("evt", row["id"]) for events in world.facts.events.values() for row in events}
    world.facts.received = [entry for entry in world.facts.received if entry["event"] in kept]
    report = check(world.facts)
    assert report.lines() == []
    assert (report.counts["unknown"], report.counts["lost"]) == (1, 0)
    world.facts.capability = "lookup"
    assert "lost" in check(world.facts).broken


def test_a_second_hand_over_that_was_asked_for_is_no_duplicate() -> None:
    world = World()
    [first] = world.facts.attempts[world.id]
    world.facts.acceptances[world.id] *= 2
    world.facts.attempts[world.id] = [first | {"outcome": "unknown"}, first | {"is_resend": True}]
    world.message["attempt_count"] = 2
    assert "duplicated" in check(world.facts).broken
    world.message["on_unknown"] = "resend"
    assert "duplicated" not in check(world.facts).broken
    # Not where the first certainly did not arrive, and never a third time.
    world.facts.attempts[world.id][0] |= {"outcome": "throttled"}
    assert "duplicated" in check(world.facts).broken
    world.facts.attempts[world.id][0] |= {"outcome": "unknown"}
    world.facts.acceptances[world.id] += world.facts.acceptances[world.id][:1]
    assert "duplicated" in check(world.facts).broken


def test_its_ids_are_the_services() -> None:
    for _ in range(100):
        value = ids.new_id()
        assert public_id("msg", value) == ids.encode_id(ids.MESSAGE, value)
        assert row_id(public_id("msg", value)) == value


def test_violations_are_listed_a_few_of_each() -> None:
    report = Report()
    for number in range(20):
        report.expect("lost", False, f"message {number}")
    report.expect("credits", True, "fine")
    assert report.lines() == ["lost: 20", *(f"    message {number}" for number in range(5))]


# Each in a process of its own, which has loaded the service already.
FORKED = """
import os, sys
import msvs.workers.jobs
from chaos.mutations import MUTATIONS

for name, mutation in MUTATIONS.items():
    child = os.fork()
    if child == 0:
        try:
            mutation.apply()
        except BaseException as error:
            print(f"{name}: {error!r}", file=sys.stderr, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print(name)
"""


def test_every_mutation_still_fits_the_code() -> None:
    """Applied in a process of its own: one that changes nothing any more would be a control that proves nothing."""
    for mutation in MUTATIONS.values():
        assert mutation.caught_by <= CHECKS.keys() | {"duplicated"}, mutation.what
    done = subprocess.run([sys.executable, "-c", FORKED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.split()) == (0, "", list(MUTATIONS))


async def test_the_proxy_passes_delays_swallows_and_cuts() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    proxy = await Proxy(lambda: int(server.sockets[0].getsockname()[1])).start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        proxy.delay = 0.05
        writer.write(b"two")
        await asyncio.sleep(0)
        proxy.delay = 0.0
        writer.write(b"three")
        assert await reader.readexactly(8) == b"twothree"
        swallowing = asyncio.create_task(proxy.black_hole(0.05))
        await asyncio.sleep(0)
        writer.write(b"lost")
        assert await _rest(reader) == b""
        await swallowing
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"four")
        assert await reader.readexactly(4) == b"four"
        assert proxy.cut() == 1
        assert await _rest(reader) == b""
        writer.close()
    finally:
        await proxy.stop()
        server.close()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def test_the_proxy_refuses_where_the_engine_is_away() -> None:
    proxy = await Proxy(lambda: 1).start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await _rest(reader) == b""
        writer.close()
    finally:
        await proxy.stop()


@pytest.mark.chaos
@pytest.mark.timeout(240)
def test_a_short_run_is_clean(tmp_path: Path) -> None:
    """The service, loaded and killed for a few seconds; `make chaos` does so for minutes."""
    command = [sys.executable, "-m", "chaos.run", "--seeds", "1", "--kills", "8", "--seconds", "8", "--short"]
    done = subprocess.run(
        [*command, "--keep", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=200
    )
    kills = [json.loads(line) for line in (tmp_path / "seed-1" / "kills.jsonl").read_text().splitlines()]
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(kills) >= 8


# Failover


async def test_a_far_carrier_takes_a_message_once_and_brings_its_report_until_it_is_taken() -> None:
    server = FarServer()
    port = await server.start("127.0.0.1")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(question: dict[str, object]) -> Any:
        writer.write(json.dumps(question).encode() + b"\n")
        return json.loads(await reader.readline())

    for _ in range(2):
        assert await ask({"id": "a", "to": "+12125550100"}) == {"ref": "far-a"}
        assert await ask({"reports": 10}) == {"ids": ["a"]}
    assert await ask({"taken": ["a"]}) == {}
    assert await ask({"reports": 10}) == {"ids": []}
    assert (server.phones, dict(server.offers)) == ({"a": "+12125550100"}, {"a": 2})
    assert len(server.accepted_at) == 1
    writer.close()
    server.stop()


def test_the_longest_gap_counts_the_edges() -> None:
    assert longest_gap([1, 2, 5, 9], 0, 6) == 3
    assert longest_gap([], 1, 6) == 5
    assert longest_gap([2, 3], 0, 10) == 7
