"""Routes, fail-over and circuit breakers on the real PostgreSQL, with carriers that play what a test wants."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.context import Context
from msvs.api.credits import caps
from msvs.api.dispatch import breakers, claims, delivery_reports, routes, routing, throughput
from msvs.api.dispatch.lanes import Lane, find_single_lanes
from msvs.api.dispatch.outcomes import MAX_ATTEMPTS, record_outcomes
from msvs.api.dispatch.senders import add_sender
from msvs.api.errors import ApiError
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.carrier_events import MAX_REF, fit
from msvs.carriers.protocol import Accepted, Capability, Carrier, Outcome, Refused, Submission, Unknown
from msvs.models import Campaign, CreditBalance, Message, SenderKind
from msvs.workers import maintenance
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages, resolve_expired
from msvs.workers.reports import collect_reports
from tests import factories
from tests.services import SERVICES

Answer = Callable[[Submission], Outcome]

NO = Refused("carrier_rejected")
AWAY = Refused("carrier_rejected", retryable=True, retry_after=2.0, is_fault=True)
LOST = Unknown("timeout")


class Playing(Carrier):
    """A carrier that answers what it is told to, and remembers what it was given."""

    kind: ClassVar[str] = "playing"
    capability = Capability.NONE

    def __init__(self, name: str, answer: Answer | Outcome | None = None) -> None:
        self.name = name
        self.answer = answer
        self.given: list[UUID] = []

    async def submit(self, submission: Submission) -> Outcome:
        self.given.append(submission.message_id)
        if callable(self.answer):
            return self.answer(submission)
        return self.answer or Accepted(f"{self.name}-{len(self.given)}")


@pytest.fixture(autouse=True)
def _carriers() -> Iterator[None]:
    SERVICES.carriers.names = frozenset(("virtual", "first", "second", "third"))
    yield
    SERVICES.carriers.names = frozenset(("virtual",))
    SERVICES.carriers.live = None
    SERVICES.rates.carriers, SERVICES.rates.senders = {}, {}


async def send(ctx: Context, to: str | None = None, *, from_: str = "+12125550100") -> UUID:
    async with unit_of_work():
        row = await send_message(ctx, SendMessage(to or factories.next_phone(), "Hi", from_))
    return UUID(str(row.id))


async def own(ctx: Context, value: str = "+12125550100", *, registration: str | None = "C0HORT") -> None:
    await add_sender(SERVICES, ctx.workspace_id, value, registration=registration)


async def run(*carriers: Carrier) -> None:
    await dispatch_messages(SERVICES, {carrier.name: carrier for carrier in carriers})


async def now_due() -> None:
    await db.execute("UPDATE messages SET due_at = now() - interval '1 second' WHERE status = 'queued'")


async def pause_over() -> None:
    await db.execute("UPDATE carrier_states SET retry_at = now() - interval '1 second' WHERE state <> 'closed'")


async def versions() -> list[tuple[UUID, int]]:
    """The queued messages, and what wrote each of them last."""
    rows = await db.fetch("SELECT id, xmin::text::bigint AS version FROM messages WHERE status = 'queued' ORDER BY id")
    return [(row.id, row.version) for row in rows]


async def status(message_id: UUID) -> str:
    return str((await Message.get(id=message_id)).status.value)


async def attempts(message_id: UUID) -> list[tuple[str, str | None]]:
    rows = await db.fetch(
        "SELECT carrier, outcome FROM message_attempts WHERE message_id = $1 ORDER BY started_at, id", message_id
    )
    return [(row.carrier, row.outcome) for row in rows]


@pytest.mark.parametrize(
    ("lines", "region", "sender", "expected"),
    [
        ([], "US", "+12125550100", ["default"]),
        ([("a", {})], "US", "+12125550100", ["a"]),
        ([("a", {"regions": ["BR"]})], "US", "+12125550100", ["default"]),
        ([("a", {"regions": ["BR"]}), ("b", {"regions": ["US"]})], "US", "+12125550100", ["b"]),
        ([("b", {"preference": 2}), ("a", {"preference": 1})], "US", "+12125550100", ["a", "b"]),
        ([("dear", {"price": Decimal("0.01")}), ("cheap", {"price": Decimal("0.002")})], "US", "X1", ["cheap", "dear"]),
        ([("unpriced", {}), ("cheap", {"price": Decimal("0.002")})], "US", "X1", ["cheap", "unpriced"]),
        ([("a", {"sender": "COHORT"})], "GB", "COHORT", ["a"]),
        ([("a", {"sender": "COHORT"})], "GB", "OTHER", ["default"]),
        ([("a", {"sender_kind": SenderKind.SHORT_CODE})], "US", "12345", ["a"]),
        ([("a", {"sender_kind": SenderKind.SHORT_CODE})], "US", "+12125550100", ["default"]),
        ([("a", {"sender_kind": SenderKind.TOLL_FREE})], "US", "+18005550199", ["a"]),
        ([("a", {}), ("a", {"regions": ["US"], "preference": 1}), ("b", {"preference": 50})], "US", "X1", ["a", "b"]),
        ([("a", {"regions": ["US"]})], None, "X1", ["default"]),
    ],
)
def test_routes_are_matched_and_ordered(
    lines: list[tuple[str, dict[str, object]]], region: str | None, sender: str, expected: list[str]
) -> None:
    ways = [
        routing.Way(
            carrier,
            frozenset(values.get("regions", ())),  # type: ignore[call-overload]
            values.get("sender"),  # type: ignore[arg-type]
            values.get("sender_kind"),  # type: ignore[arg-type]
            values.get("preference", 100),  # type: ignore[arg-type]
            values.get("price"),  # type: ignore[arg-type]
        )
        for carrier, values in lines
    ]
    plan = routing.Plan(sorted(ways, key=routing._order), "default")
    assert plan.carriers_for(region, sender) == expected


async def test_a_workspaces_own_routes_stand_in_place_of_the_shared_ones(live_ctx: Context, other_ctx: Context) -> None:
    await routes.add_route(SERVICES, "first")
    await routes.add_route(SERVICES, "second", workspace_id=live_ctx.workspace_id, regions=["us"])
    now = await db.now()
    own_plan = await routing.plan_for(SERVICES, live_ctx.workspace_id, True, now)
    other_plan = await routing.plan_for(SERVICES, other_ctx.workspace_id, True, now)
    assert (own_plan.carriers_for("US", "X1"), own_plan.carriers_for("BR", "X1")) == (["second"], [])
    assert other_plan.carriers_for("BR", "X1") == ["first"]
    assert (await routing.plan_for(SERVICES, live_ctx.workspace_id, False, now)).sole == "virtual"


async def test_messages_take_the_carrier_of_their_region(live_ctx: Context) -> None:
    await own(live_ctx)
    await own(live_ctx, "COHORT")
    await routes.add_route(SERVICES, "first", regions=["US"])
    await routes.add_route(SERVICES, "second", regions=["GB"])
    first, second = Playing("first"), Playing("second")
    american, british = await send(live_ctx), await send(live_ctx, "+447400123456", from_="COHORT")
    await run(first, second)
    assert (first.given, second.given) == ([american], [british])
    assert [await status(american), await status(british)] == ["sent", "sent"]


async def test_routes_obey_the_rules_of_senders_beside_a_catch_all(live_ctx: Context) -> None:
    SERVICES.carriers.live = "virtual"
    await own(live_ctx)
    await routes.add_route(SERVICES, "first", regions=["US"])
    with pytest.raises(ApiError) as caught:
        await send(live_ctx, from_="BANK")
    assert (caught.value.code, caught.value.param) == ("sender_not_allowed", "from")


async def test_a_message_that_no_route_takes_is_refused_at_once(live_ctx: Context) -> None:
    await own(live_ctx, "COHORT")
    await routes.add_route(SERVICES, "first", regions=["US"])
    with pytest.raises(ApiError) as caught:
        await send(live_ctx, "+447400123456", from_="COHORT")
    assert (caught.value.code, caught.value.status) == ("no_route", 422)


async def test_a_route_taken_away_fails_what_is_queued_and_gives_its_credits_back(live_ctx: Context) -> None:
    await own(live_ctx)
    await routes.add_route(SERVICES, "second", regions=["GB"])
    route = await routes.add_route(SERVICES, "first", regions=["US"])
    message_id = await send(live_ctx)
    await routes.remove_route(route.id)
    first = Playing("first")
    await run(first, Playing("second"))
    message = await Message.get(id=message_id)
    assert (message.status.value, message.error_code, first.given) == ("failed", "no_route", [])
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 10_000


async def test_a_definite_refusal_passes_the_message_on(live_ctx: Context) -> None:
    await own(live_ctx)
    await routes.add_route(SERVICES, "first", preference=1)
    await routes.add_route(SERVICES, "second", preference=2)
    first, second = Playing("first", NO), Playing("second")
    message_id = await send(live_ctx)
    await run(first, second)
    assert (first.given, second.given) == ([message_id], [message_id])
    assert await attempts(message_id) == [("first", "refused"), ("second", "accepted")]
    message = await Message.get(id=message_id)
    assert (message.status.value, message.carrier, message.carrier_ref) == ("sent", "second", "second-1")
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 9_999


async def test_refused_by_all_it_fails_once_and_costs_nothing(live_ctx: Context) -> None:
    await own(live_ctx)
    await routes.add_route(SERVICES, "first", preference=1)
    await routes.add_route(SERVICES, "second", preference=2)
    first, second = Playing("first", NO), Playing("second", NO)
    message_id = await send(live_ctx)
    await run(first, second)
    assert (len(first.given), len(second.given)) == (1, 1)
    assert await status(message_id) == "failed"
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 10_000


@pytest.mark.parametrize("code", ["invalid_number", "carrier_filtered", "unreachable"])
async def test_what_is_wrong_with_the_recipient_is_not_tried_elsewhere(live_ctx: Context, code: str) -> None:
    await own(live_ctx)
    await routes.add_route(SERVICES, "first", preference=1)
    await routes.add_route(SERVICES, "second", preference=2)
    first, second = Playing("first", Refused(code)), Playing("second")
    message_id = await send(live_ctx)
    await run(first, second)
    assert (second.given, await status(message_id)) == ([], "failed")


async def test_a_refusal_because_the_recipient_opted_out_there_opts_out_here(live_ctx: Context) -> None:
    SERVICES.carriers.live = "first"
    await own(live_ctx)
    message_id = await send(live_ctx, "+12125550177")
    await run(Playing("first", Refused("recipient_opted_out")))
    await collect_reports(SERVICES)
    message = await Message.get(id=message_id)
    assert (message.status.value, message.error_code) == ("failed", "recipient_opted_out")
    with pytest.raises(ApiError) as caught:
        await send(live_ctx, "+12125550177")
    assert caught.value.code == "recipient_opted_out"
    rows = await db.fetch("SELECT type FROM events WHERE type = 'contact.opted_out'")
    assert (len(rows), (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance) == (1, 10_000)


async def test_an_unknown_outcome_is_never_passed_on(live_ctx: Context) -> None:
    await own(live_ctx)
    await routes.add_route(SERVICES, "first", preference=1)
    await routes.add_route(SERVICES, "second", preference=2)
    first, second = Playing("first", LOST), Playing("second")
    message_id = await send(live_ctx)
    carriers = {"first": first, "second": second}
    for _ in range(3):
        await dispatch_messages(SERVICES, carriers)
        await db.execute("UPDATE messages SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL")
        await resolve_expired(SERVICES, carriers)
        await now_due()
    assert (len(first.given), second.given, await status(message_id)) == (1, [], "sending")


async def test_a_carrier_that_is_away_is_passed_by_at_once(live_ctx: Context) -> None:
    await own(live_ctx)
    await routes.add_route(SERVICES, "first", preference=1)
    await routes.add_route(SERVICES, "second", preference=2)
    first, second = Playing("first", AWAY), Playing("second")
    message_ids = [await send(live_ctx) for _ in range(3)]
    await run(first, second)
    assert sorted(second.given) == sorted(message_ids)
    assert await attempts(message_ids[0]) == [("first", "fault"), ("second", "accepted")]


async def test_a_sole_carrier_in_trouble_pauses_and_fails_nobody(live_ctx: Context) -> None:
    SERVICES.carriers.live = "first"
    await own(live_ctx)
    first = Playing("first", AWAY)
    message_ids = [await send(live_ctx) for _ in range(8)]
    for _ in range(30):
        await run(first)
        await now_due()
    # One batch opened the breaker; nothing more was given to it.
    assert len(first.given) == 8
    states = await breakers.find_states()
    assert states["first"].state == breakers.OPEN
    for number in range(1, 4):
        await pause_over()
        await run(first)
        await now_due()
        # A single message tries it each time, and the pause grows.
        assert (len(first.given), (await breakers.find_states())["first"].trips) == (8 + number, 1 + number)
    first.answer = None
    await pause_over()
    await run(first)
    assert (await breakers.find_states())["first"].state == breakers.CLOSED
    await now_due()
    await run(first)
    assert {await status(message_id) for message_id in message_ids} == {"sent"}
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 10_000 - 8


async def test_a_trial_without_a_message_is_given_back(live_ctx: Context) -> None:
    SERVICES.carriers.live = "first"
    await own(live_ctx)
    await send(live_ctx)
    await breakers.note("first", faults=breakers.THRESHOLD, served=0, reason="away", now=await db.now())
    await pause_over()
    now = await db.now()
    plan = await routing.plan_for(SERVICES, live_ctx.workspace_id, True, now)
    await db.execute("UPDATE messages SET due_at = now() + interval '1 hour'")
    async with unit_of_work():
        lane = Lane(live_ctx.workspace_id, True)
        assert await claims.claim_by_plan(SERVICES, lane, plan, limit=10, now=now) == []
    assert (await breakers.find_states())["first"].is_on_trial(await db.now())


async def test_no_answers_at_all_pause_a_carrier_too(live_ctx: Context) -> None:
    SERVICES.carriers.live = "first"
    await own(live_ctx)
    first = Playing("first", LOST)
    for _ in range(breakers.THRESHOLD):
        await send(live_ctx)
    await run(first)
    waiting = await send(live_ctx)
    await run(first)
    assert (len(first.given), await status(waiting)) == (breakers.THRESHOLD, "queued")
    assert (await breakers.find_states())["first"].reason == "no answer: timeout"


async def test_a_paused_carrier_is_passed_by_and_its_own_messages_wait(live_ctx: Context) -> None:
    await own(live_ctx)
    await own(live_ctx, "COHORT")
    await routes.add_route(SERVICES, "first", regions=["US"], preference=1)
    await routes.add_route(SERVICES, "second", regions=["US"], preference=2)
    await routes.add_route(SERVICES, "first", regions=["GB"])
    await breakers.note("first", faults=breakers.THRESHOLD, served=0, reason="away", now=await db.now())
    first, second = Playing("first"), Playing("second")
    american, british = await send(live_ctx), await send(live_ctx, "+447400123456", from_="COHORT")
    await run(first, second)
    assert (first.given, second.given) == ([], [american])
    assert (await status(british), await attempts(british)) == ("queued", [])


async def test_refusals_are_service_and_pause_nothing(live_ctx: Context) -> None:
    SERVICES.carriers.live = "first"
    await own(live_ctx)
    first = Playing("first", Refused("invalid_number"))
    for _ in range(breakers.THRESHOLD + 3):
        await send(live_ctx)
    await run(first)
    assert await breakers.find_states() == {}


async def test_each_carrier_keeps_to_its_own_rate(live_ctx: Context) -> None:
    await own(live_ctx)
    await own(live_ctx, "COHORT")
    await routes.add_route(SERVICES, "first", regions=["US"])
    await routes.add_route(SERVICES, "second", regions=["GB"])
    SERVICES.rates.carriers, SERVICES.rates.senders = {"first": 2.0}, {}
    first, second = Playing("first"), Playing("second")
    for number in range(6):
        await send(live_ctx)
        await send(live_ctx, f"+4474001234{number:02d}", from_="COHORT")
    await run(first, second)
    # What the first may not have yet does not hold up the second.
    assert (len(first.given), len(second.given)) == (2, 6)


async def test_what_waits_for_one_carrier_does_not_hide_what_another_takes(live_ctx: Context) -> None:
    await own(live_ctx)
    await own(live_ctx, "COHORT")
    await routes.add_route(SERVICES, "first", regions=["US"])
    await routes.add_route(SERVICES, "second", regions=["GB"])
    SERVICES.rates.carriers, SERVICES.rates.senders = {"first": 1.0}, {}
    assert await throughput.take_for_carrier(SERVICES.rates, "first", 1, await db.now()) == 1
    for _ in range(6):
        await send(live_ctx)
    british = await send(live_ctx, "+447400123456", from_="COHORT")
    second = Playing("second")
    await dispatch_messages(SERVICES, {"first": Playing("first"), "second": second}, batch=2)
    assert second.given == [british]
    rows = await db.fetch("SELECT due_at FROM messages WHERE status = 'queued' ORDER BY due_at")
    # Those put off do not all come back at once, only to be put off again: a second each, at one a second.
    assert [round((row.due_at - rows[0].due_at).total_seconds()) for row in rows[:6]] == [0, 1, 2, 3, 4, 5]


async def test_what_waits_for_one_sender_does_not_hide_what_another_sends(live_ctx: Context) -> None:
    SERVICES.carriers.live = "first"
    await own(live_ctx)
    await own(live_ctx, "+12125550101")
    SERVICES.rates.carriers, SERVICES.rates.senders = {}, {"+12125550100": 0.5}
    assert await throughput.take_for_sender(SERVICES.rates, "+12125550100", 1, await db.now()) == 1
    for _ in range(4):
        await send(live_ctx)
    waiting = await versions()
    other = await send(live_ctx, from_="+12125550101")
    first = Playing("first")
    await dispatch_messages(SERVICES, {"first": first}, batch=2)
    assert first.given == [other]
    # What waits is not written to.
    assert await versions() == waiting


async def test_a_workspace_with_much_to_send_is_not_always_the_first(live_ctx: Context, other_ctx: Context) -> None:
    SERVICES.carriers.live = "first"
    for ctx, sender in (
        (live_ctx, "+12125550100"),
        (Context(other_ctx.workspace_id, True, services=SERVICES), "+12125550101"),
    ):
        await own(ctx, sender)
        await send(ctx, from_=sender)
    now = await db.now()
    first = {(await find_single_lanes(SERVICES, now))[0].workspace_id for _ in range(60)}
    assert first == {live_ctx.workspace_id, other_ctx.workspace_id}


async def test_a_busy_carrier_gives_way_to_the_next_in_the_end(live_ctx: Context) -> None:
    await own(live_ctx)
    await routes.add_route(SERVICES, "first", preference=1)
    await routes.add_route(SERVICES, "second", preference=2)
    first, second = Playing("first", Refused("carrier_rejected", retryable=True)), Playing("second")
    message_id = await send(live_ctx)
    for _ in range(MAX_ATTEMPTS + 3):
        await run(first, second)
        await now_due()
    assert (len(first.given), second.given) == (MAX_ATTEMPTS, [message_id])
    assert await attempts(message_id) == [
        *[("first", "throttled")] * (MAX_ATTEMPTS - 1),
        ("first", "refused"),
        ("second", "accepted"),
    ]
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 9_999


async def test_a_busy_sole_carrier_is_given_hours_and_ever_longer_pauses(live_ctx: Context) -> None:
    SERVICES.carriers.live = "first"
    await own(live_ctx)
    first = Playing("first", Refused("carrier_rejected", retryable=True))
    message_id = await send(live_ctx)
    pauses = []
    for _ in range(MAX_ATTEMPTS + 2):
        before = await db.now()
        await run(first)
        pauses.append(((await Message.get(id=message_id)).due_at - before).total_seconds())
        await now_due()
    assert (await status(message_id), len(first.given)) == ("queued", MAX_ATTEMPTS + 2)
    assert [round(pause) for pause in (*pauses[3:6], pauses[-1])] == [1, 1, 2, 60]
    await db.execute("UPDATE message_attempts SET started_at = started_at - interval '6 hours'")
    await run(first)
    assert await status(message_id) == "failed"
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 10_000


async def test_the_times_a_carrier_was_away_do_not_count_as_its_being_busy(live_ctx: Context) -> None:
    SERVICES.carriers.live = "first"
    await own(live_ctx)
    first = Playing("first", AWAY)
    message_id = await send(live_ctx)
    for _ in range(MAX_ATTEMPTS + 1):
        await run(first)
        await pause_over()
        await now_due()
    first.answer = Refused("carrier_rejected", retryable=True)
    await run(first)
    assert (len(first.given), await status(message_id)) == (MAX_ATTEMPTS + 2, "queued")


async def test_a_trial_that_another_took_is_passed_by(live_ctx: Context) -> None:
    await own(live_ctx)
    await routes.add_route(SERVICES, "first", preference=1)
    await routes.add_route(SERVICES, "second", preference=2)
    await breakers.note("first", faults=breakers.THRESHOLD, served=0, reason="away", now=await db.now())
    await pause_over()
    message_ids = [await send(live_ctx) for _ in range(3)]
    now = await db.now()
    plan = await routing.plan_for(SERVICES, live_ctx.workspace_id, True, now)
    assert plan.trial == {"first"}
    assert await breakers.take_trial("first", now)
    async with unit_of_work():
        claimed = await claims.claim_by_plan(
            SERVICES, Lane(live_ctx.workspace_id, True), plan, limit=10, now=await db.now()
        )
    assert [(claim.carrier, len(claim.messages)) for claim in claimed] == [("second", len(message_ids))]


async def test_a_trial_for_which_a_message_cannot_be_paid_is_given_back(live_ctx: Context) -> None:
    await own(live_ctx)
    await routes.add_route(SERVICES, "first")
    message_id = await send(live_ctx)
    await breakers.note("first", faults=breakers.THRESHOLD, served=0, reason="away", now=await db.now())
    await pause_over()
    await db.execute("UPDATE messages SET credits_used = 0")
    await db.execute("UPDATE credit_balances SET balance = 0")
    await run(Playing("first"))
    assert await status(message_id) == "failed"
    assert (await breakers.find_states())["first"].is_on_trial(await db.now())


async def test_messages_wait_while_all_their_carriers_are_paused(live_ctx: Context) -> None:
    await own(live_ctx)
    await routes.add_route(SERVICES, "first")
    for _ in range(4):
        now = await db.now()
        await breakers.note("first", faults=breakers.THRESHOLD, served=0, reason="away", now=now)
        if (await breakers.find_states())["first"].trips < 3:
            await pause_over()
            assert await breakers.take_trial("first", await db.now())
    await send(live_ctx)
    waiting = await versions()
    first = Playing("first")
    await run(first)
    # Nothing is done for them meanwhile.
    assert (first.given, await versions()) == ([], waiting)


async def test_a_route_to_a_carrier_that_this_process_lacks_fails_nobody(live_ctx: Context) -> None:
    await own(live_ctx)
    await routes.add_route(SERVICES, "second", regions=["US"])
    await routes.add_route(SERVICES, "first", regions=["GB"])
    message_id = await send(live_ctx)
    first, second = Playing("first"), Playing("second")
    SERVICES.carriers.names = frozenset(("virtual", "first"))
    SERVICES.carriers.live = "first"
    await run(first)
    assert (await status(message_id), first.given) == ("queued", [])
    with pytest.raises(ApiError) as caught:
        await routing.require_route(SERVICES, live_ctx.workspace_id, "US", "+12125550100", await db.now())
    assert caught.value.code == "no_route"
    SERVICES.carriers.names = frozenset(("virtual", "first", "second"))
    await now_due()
    await run(first, second)
    assert (first.given, second.given) == ([], [message_id])


async def test_what_a_carrier_has_that_is_no_longer_configured_waits_for_its_report(live_ctx: Context) -> None:
    SERVICES.carriers.live = "first"
    await own(live_ctx)
    message_id = await send(live_ctx)
    first, second = Playing("first", LOST), Playing("second")
    await run(first)
    await db.execute("UPDATE messages SET lease_until = now() - interval '9 minutes'")
    assert await resolve_expired(SERVICES, {"second": second}) == 0
    await db.execute("UPDATE messages SET lease_until = now() - interval '11 minutes'")
    assert await resolve_expired(SERVICES, {"second": second}) == 1
    message = await Message.get(id=message_id)
    assert (message.status.value, message.lease_until, message.carrier) == ("sending", None, "first")
    assert not await maintenance.has_work(SERVICES, await db.now())
    await db.execute("UPDATE message_attempts SET started_at = now() - interval '73 hours'")
    async with unit_of_work():
        assert await delivery_reports.give_up_unresolved(limit=10, now=await db.now()) == 1
    assert (await Message.get(id=message_id)).error_code == "outcome_unknown"
    assert second.given == []


class Asked(Playing):
    """A carrier that could be asked, were it there."""

    capability = Capability.LOOKUP

    async def look_up(self, message_ids: Sequence[UUID]) -> dict[UUID, bool]:
        raise ConnectionError


class Silent(Asked):
    """A carrier that never answers a question."""

    async def look_up(self, message_ids: Sequence[UUID]) -> dict[UUID, bool]:
        await asyncio.Event().wait()
        return {}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("asked_carrier", [Asked, Silent])
async def test_a_carrier_that_cannot_be_asked_now_holds_up_no_other(
    live_ctx: Context, asked_carrier: type[Playing], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msvs.workers.dispatch.LOOK_UP_SECONDS", 0.01)
    SERVICES.carriers.live = "first"
    await own(live_ctx)
    first, second = asked_carrier("first", LOST), Playing("second", LOST)
    asked = await send(live_ctx)
    await run(first)
    SERVICES.carriers.live = "second"
    other = await send(live_ctx)
    await run(second)
    await db.execute("UPDATE messages SET lease_until = now() - interval '1 second'")
    assert await resolve_expired(SERVICES, {"first": first, "second": second}) == 2
    leases = {row.id: row.lease_until for row in await db.fetch("SELECT id, lease_until FROM messages")}
    assert (leases[asked] is not None, leases[other]) == (True, None)
    assert (len(first.given), len(second.given)) == (1, 1)


async def test_a_carrier_that_never_answers_is_asked_ever_more_seldom(live_ctx: Context) -> None:
    class Deduping(Playing):
        capability = Capability.DEDUPE

    SERVICES.carriers.live = "first"
    await own(live_ctx)
    await send(live_ctx)
    first = Deduping("first", LOST)
    await run(first)
    waits = []
    for _ in range(11):
        row = await db.fetch_row("SELECT lease_until - clock_timestamp() AS wait FROM messages")
        assert row is not None
        waits.append(round(row.wait.total_seconds()))
        await db.execute("UPDATE messages SET lease_until = now() - interval '1 second'")
        assert await resolve_expired(SERVICES, {"first": first}) == 1
    assert waits == [5, 5, 5, 10, 20, 40, 80, 160, 300, 300, 300]


async def test_claims_of_several_carriers_take_their_limits_first(live_ctx: Context) -> None:
    """A worker that holds the second carrier's limit and wants the balance must not deadlock with the reverse."""
    await own(live_ctx)
    await own(live_ctx, "COHORT")
    await routes.add_route(SERVICES, "first", regions=["US"])
    await routes.add_route(SERVICES, "second", regions=["GB"])
    # Scheduled, so that they are paid when they are claimed.
    later = await db.now() + timedelta(hours=1)
    async with unit_of_work():
        await send_message(live_ctx, SendMessage(factories.next_phone(), "Hi", "+12125550100", scheduled_at=later))
        await send_message(live_ctx, SendMessage("+447400123456", "Hi", "COHORT", scheduled_at=later))
    await db.execute("UPDATE messages SET status = 'queued', due_at = now()")
    SERVICES.rates.carriers, SERVICES.rates.senders = {"*": 10.0}, {}
    now = await db.now()
    for carrier in ("first", "second"):
        await throughput.take_for_carrier(SERVICES.rates, carrier, 1, now)
    lane = Lane(live_ctx.workspace_id, True)
    plan = await routing.plan_for(SERVICES, live_ctx.workspace_id, True, now)

    async def claim() -> list[str]:
        async with unit_of_work():
            claimed = await claims.claim_by_plan(SERVICES, lane, plan, limit=10, now=now)
        return [each.carrier for each in claimed]

    holding = asyncio.Event()

    async def other() -> None:
        async with unit_of_work():
            await throughput.take_for_carrier(SERVICES.rates, "second", 1, now)
            holding.set()
            while not await db.fetch_value("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await caps.lock(live_ctx.workspace_id)

    async def waiting() -> list[str]:
        await holding.wait()
        return await claim()

    carriers, _ = await asyncio.gather(waiting(), other())
    assert carriers == ["first", "second"]


async def test_an_error_ends_nothing_that_is_on_the_wire(live_ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await own(live_ctx)
    await own(live_ctx, "COHORT")
    await routes.add_route(SERVICES, "first", regions=["US"])
    await routes.add_route(SERVICES, "second", regions=["GB"])
    american, british = await send(live_ctx), await send(live_ctx, "+447400123456", from_="COHORT")
    record = record_outcomes

    async def breaking(claim: claims.Claim, *values: Any) -> None:
        if claim.carrier == "first":
            raise ZeroDivisionError
        await record(claim, *values)

    class Slow(Playing):
        async def submit(self, submission: Submission) -> Outcome:
            await asyncio.sleep(0.05)
            return await super().submit(submission)

    monkeypatch.setattr("msvs.workers.dispatch.record_outcomes", breaking)
    with pytest.raises(ZeroDivisionError):
        await run(Playing("first"), Slow("second"))
    assert [await status(american), await status(british)] == ["sending", "sent"]


async def test_a_reference_that_is_too_long_loses_nobody_their_outcome(live_ctx: Context) -> None:
    SERVICES.carriers.live = "first"
    await own(live_ctx)
    long = "r" * 200
    first = Playing("first", lambda given: Accepted(long + "\0", (long, "b")) if given.attempt == 1 else NO)
    message_ids = [await send(live_ctx) for _ in range(2)]
    await run(first)
    assert [await status(message_id) for message_id in message_ids] == ["sent", "sent"]
    assert {(await Message.get(id=message_id)).carrier_ref for message_id in message_ids} == {fit(long, MAX_REF)}


async def test_parts_are_kept_with_the_message(live_ctx: Context) -> None:
    SERVICES.carriers.live = "first"
    await own(live_ctx)
    first = Playing("first", Accepted("a", ("a", "b", "c")))
    message_id = await send(live_ctx)
    await run(first)
    rows = await db.fetch("SELECT * FROM message_parts WHERE message_id = $1 ORDER BY number", message_id)
    assert [(row.carrier, row.ref, row.number, row.state) for row in rows] == [
        ("first", "a", 1, None),
        ("first", "b", 2, None),
        ("first", "c", 3, None),
    ]


@pytest.mark.parametrize(
    ("failures", "expected"), [([5], 5), ([5, 1], 10), ([5, 1, 1], 20), ([5] + [1] * 9, 300)], ids=str
)
async def test_pauses_double_up_to_five_minutes(clean: None, failures: Sequence[int], expected: int) -> None:
    now = await db.now()
    for faults in failures:
        if faults == 1:
            await pause_over()
            assert await breakers.take_trial("first", await db.now())
            now = await db.now()
        await breakers.note("first", faults=faults, served=0, reason="away", now=now)
    state = (await breakers.find_states())["first"]
    assert state.retry_at is not None
    assert state.retry_at - now == timedelta(seconds=expected)


async def test_one_trial_is_taken_by_one_worker(clean: None) -> None:
    await breakers.note("first", faults=breakers.THRESHOLD, served=0, reason="away", now=await db.now())
    assert not await breakers.take_trial("first", await db.now())
    await pause_over()
    now = await db.now()
    assert [await breakers.take_trial("first", now), await breakers.take_trial("first", now)] == [True, False]


async def test_what_was_under_way_when_it_opened_does_not_lengthen_the_pause(clean: None) -> None:
    now = await db.now()
    for _ in range(4):
        await breakers.note("first", faults=breakers.THRESHOLD, served=0, reason="away", now=now)
    assert (await breakers.find_states())["first"].trips == 1


async def test_a_paced_campaign_counts_what_all_of_its_carriers_took(live_ctx: Context) -> None:
    await own(live_ctx)
    await own(live_ctx, "COHORT")
    await routes.add_route(SERVICES, "first", regions=["US"])
    await routes.add_route(SERVICES, "second", regions=["GB"])
    phones = [phone for n in range(30) for phone in (factories.next_phone(), f"+44740012{n:04d}")]
    regions = {"+1": "US", "+4": "GB"}
    contacts = [await factories.make_contact(live_ctx, phone, region=regions[phone[:2]]) for phone in phones]
    async with unit_of_work():
        campaign = await campaigns.create_campaign(
            live_ctx,
            CreateCampaign("Paced", "Hi", contact_ids=[row.id for row in contacts], rate_per_minute=600),
        )
    await expand_campaigns(SERVICES)
    await db.execute("UPDATE messages SET status = 'queued', error_code = NULL, segments = 1, due_at = created_at")
    lane = Lane(live_ctx.workspace_id, True, campaign.id)
    start = await db.now()
    taken: Counter[str] = Counter()
    for tenth in range(0, 31, 5):
        now = start + timedelta(seconds=tenth / 10)
        plan = await routing.plan_for(SERVICES, live_ctx.workspace_id, True, now)
        async with unit_of_work():
            claimed = await claims.claim_by_plan(SERVICES, lane, plan, limit=100, now=now)
        for each in claimed:
            taken[each.carrier] += len(each.messages)
        assert (await Campaign.get(id=campaign.id)).slots_taken == taken.total()
    assert set(taken) == {"first", "second"}
    # Two seconds' worth at once to begin with, then ten a second.
    assert taken.total() <= 20 + 10 * 3 + 1
