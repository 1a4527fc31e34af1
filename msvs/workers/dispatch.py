"""Dispatch: claim messages, commit, hand them over, and record the outcomes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

import structlog

from msvs import database
from msvs.api import ids
from msvs.api.accounts.auth import name_workspace
from msvs.api.context import Services
from msvs.api.dispatch import breakers, claims, expired_leases, open_months, resending, routing, set_aside
from msvs.api.dispatch.claims import Claim
from msvs.api.dispatch.lane_bounds import LaneBounds
from msvs.api.dispatch.lanes import Lane, find_lanes, find_single_lanes, has_scheduled, promote_scheduled
from msvs.api.dispatch.open_months import IdRange
from msvs.api.dispatch.outcomes import ACCEPTED, FAULT, REFUSED, THROTTLED, UNKNOWN, Outcome, give_back, record_outcomes
from msvs.api.notifier import WorkQueue, notify_now
from msvs.api.text.phones import present
from msvs.api.unit_of_work import in_unit_of_work
from msvs.carriers import protocol
from msvs.carriers.carrier_events import MAX_REF, fit
from msvs.carriers.protocol import Carrier, Submission
from msvs.carriers.virtual import VirtualCarrier
from msvs.workers import stopping
from msvs.workers.retrying import Failures, in_parts, is_away, is_stuck
from msvs.workers.stopping import StopFlag
from msvs.workers.traces import traced_hand_over

T = TypeVar("T")

log = structlog.get_logger(__name__)

BATCH = 500
# What a worker that dies between its claim and the network leaves in doubt for good, where a carrier cannot be asked.
IN_DOUBT = 50
PROMOTE = 1000
LANES_AT_ONCE = 8
# How long a hand-over of a campaign may take: what was claimed before a pause may leave after it. A carrier is first
# given FIRST_BATCH, and then what it takes in that time.
PAUSE_SECONDS = 0.5
FIRST_BATCH = 100
# How often single messages are looked for while batches of campaigns are on their way: they go before campaigns.
GLANCE_SECONDS = 0.025
# A hand-over ends well before its lease, so that nobody takes over what is still on the wire.
HAND_OVER_SHARE = 0.75

# A carrier that says nothing for so long cannot be asked now.
LOOK_UP_SECONDS = 30.0
# How long, and how often, outcomes are tried to be written down while PostgreSQL is away.
RECORD_SECONDS = 120.0
RECORD_AGAIN_SECONDS = 0.5

Carriers = Mapping[str, Carrier]


async def dispatch_messages(
    services: Services, carriers: Carriers, *, seconds: float = 10.0, batch: int = BATCH, stop: StopFlag | None = None
) -> int:
    """Hand due messages to their carriers until none is due or the time is up. Return how many were handed over.

    A lane that breaks holds up no other; its error is raised once nothing else is due. After `stop` nothing more is
    claimed, and what was claimed and not yet submitted is queued again.
    """
    until = time.monotonic() + seconds
    total = 0
    services.keep(set_aside.LeftOut).take_back_in()
    run = _Run(services, carriers, batch, stop or StopFlag())
    while not run.stop.is_set:
        lanes = await run.find_lanes()
        handed = await run.dispatch([lane for lane in lanes if lane.campaign_id is None])
        # Two batches of a campaign at once: while PostgreSQL writes the one, the other is on its way.
        bulk = [lane for lane in lanes if lane.campaign_id is not None for _ in range(2)]
        if bulk:
            running = asyncio.create_task(run.dispatch(bulk))
            try:
                while not (await asyncio.wait({running}, timeout=GLANCE_SECONDS))[0]:
                    handed += await run.dispatch(await run.find_single_lanes())
            finally:
                # No matter what goes wrong here, what is on the wire is seen to its end.
                handed += await running
        total += sum(handed)
        if any(handed) and time.monotonic() < until:
            continue
        if any(handed):
            notify_now([WorkQueue.MESSAGES])
        break
    run.failures.end()
    return total


class _Run:
    """The lanes that failed in a job and are left to the next job."""

    def __init__(self, services: Services, carriers: Carriers, batch: int, stop: StopFlag) -> None:
        self.stop = stop
        self._services = services
        self._carriers = carriers
        self._batch = batch
        self._broken: set[Lane] = set()
        self._paces = Paces()
        self.failures = Failures()

    async def find_lanes(self) -> list[Lane]:
        """Find the lanes with due messages that did not break.

        Scheduled messages whose time has come are queued first.
        """
        async with self.stop.limit():
            now, open_ids = await open_months.look()
            if await has_scheduled(self._services, now, open_ids):
                await self.failures.outlive("scheduled", _promote(self._services, now, open_ids), 0)
            return self._whole(await find_lanes(self._services, now, open_ids))

    async def find_single_lanes(self) -> list[Lane]:
        """Find the lanes of due single messages that did not break."""
        async with self.stop.limit():
            return self._whole(await find_single_lanes(self._services, *await open_months.look()))

    def _whole(self, lanes: Iterable[Lane]) -> list[Lane]:
        return [lane for lane in lanes if lane not in self._broken]

    async def dispatch(self, lanes: Sequence[Lane]) -> list[int]:
        """Hand over one batch of each lane, a few at once. Return how many messages of each."""
        gate = asyncio.Semaphore(LANES_AT_ONCE)

        async def run(lane: Lane) -> int:
            async with gate:
                if self.stop.is_set:
                    return 0
                name_workspace(lane.workspace_id)
                try:
                    return await dispatch_lane(
                        self._services, self._carriers, lane, batch=self._batch, stop=self.stop, paces=self._paces
                    )
                except Exception as error:
                    # What it had locked meanwhile lies where others of this process saw nothing.
                    self._services.keep(LaneBounds).forget()
                    self._broken.add(lane)
                    self.failures.note("lane", error)
                    return 0

        return await _all(run(lane) for lane in lanes)


async def _promote(services: Services, now: datetime, open_ids: IdRange) -> int:
    """Queue scheduled messages whose time has come. Return the count."""

    async def promote(limit: int) -> int:
        return await promote_scheduled(services, limit=limit, now=now, open_ids=open_ids)

    return await _ever_fewer(services, PROMOTE, None, now, promote)


async def _ever_fewer(
    services: Services, most: int, lane: Lane | None, now: datetime, work: Callable[[int], Awaitable[T]]
) -> T:
    """Run `work` on so many messages of a lane; where it breaks on ever fewer, until it breaks on one alone.

    That one is put aside, and what it raised is raised.
    """
    limit = most
    while True:
        try:
            return await in_unit_of_work(partial(work, limit))
        except Exception as error:
            if is_away(error) or is_stuck(error):
                raise
            if limit <= 1:
                await _put_aside(services, await in_unit_of_work(partial(set_aside.find_first, lane, now)), now)
                raise
            limit //= 2


async def _put_aside(services: Services, message_id: UUID | None, now: datetime) -> None:
    if message_id is None:
        return
    log.error("message set aside: it cannot be written", message=ids.encode_id(ids.MESSAGE, message_id))
    try:
        await in_unit_of_work(partial(set_aside.put_aside, message_id, now))
    except Exception as error:
        if is_away(error) or is_stuck(error):
            raise
        services.keep(set_aside.LeftOut).add(message_id)


async def _all(works: Iterable[Coroutine[object, object, T]]) -> list[T]:
    """Return the results of all; the first error only once every one has ended.

    What is on the wire is seen to its end.
    """
    results = await asyncio.gather(*works, return_exceptions=True)
    found = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        found.append(result)
    return found


class Paces:
    """The messages of a campaign that each carrier takes in PAUSE_SECONDS, by its last hand-over."""

    def __init__(self) -> None:
        self._takes: dict[str, int] = {}

    def batch(self, carriers: Iterable[str]) -> int:
        """Return how many messages to claim at once so that each of these carriers can take them."""
        return min(self._takes.get(name, FIRST_BATCH) for name in carriers)

    def learn(self, carrier: str, messages: int, seconds: float) -> None:
        """Note how long a hand-over took."""
        self._takes[carrier] = max(1, int(messages * PAUSE_SECONDS / max(seconds, 0.001)))


async def dispatch_lane(
    services: Services,
    carriers: Carriers,
    lane: Lane,
    *,
    batch: int = BATCH,
    stop: StopFlag | None = None,
    paces: Paces | None = None,
) -> int:
    """Hand over one batch of a lane. Return the number of messages."""
    claimed = time.monotonic()
    stop = stop or StopFlag()
    async with stop.limit():
        taken = await _claim(services, carriers, lane, batch, paces)
    handing = [
        hand_over(services, carriers[claim.carrier], claim, claimed=claimed, stop=stop, paces=paces) for claim in taken
    ]
    await _all(handing)
    return sum(len(claim.messages) for claim in taken)


async def _claim(services: Services, carriers: Carriers, lane: Lane, batch: int, paces: Paces | None) -> list[Claim]:
    now = await database.now()
    plan = await routing.plan_for(services, lane.workspace_id, lane.livemode, now)
    missing = sorted({way.carrier for way in plan.missing} | (plan.carriers - carriers.keys()))
    if missing:
        log.error("routes to a carrier that is not configured; its messages wait", carrier=missing[0])
    if not plan.carriers or not plan.carriers <= carriers.keys():
        log.error("no carrier for this lane; its messages wait", livemode=lane.livemode)
        return []
    if any(carriers[name].capability is protocol.Capability.NONE for name in plan.carriers):
        batch = min(batch, IN_DOUBT)
    if paces is not None and lane.campaign_id is not None:
        batch = min(batch, paces.batch(plan.carriers))
    taken = await _ever_fewer(
        services, batch, lane, now, lambda limit: claims.claim_by_plan(services, lane, plan, limit=limit, now=now)
    )
    if sum(len(claim.messages) for claim in taken) >= batch:
        # There is more than one worker's worth: let another join.
        notify_now([WorkQueue.MESSAGES])
    return taken


async def hand_over(
    services: Services,
    carrier: Carrier,
    claim: Claim,
    *,
    claimed: float,
    stop: StopFlag | None = None,
    paces: Paces | None = None,
) -> None:
    """Submit a claim's messages and record the outcomes.

    `claimed` is the monotonic time before the claim. Where a hand-over could outlast the lease, because this process
    was stopped or its COMMIT held up, where the campaign was halted since the claim, or this process is told to end,
    nothing is submitted: what is not another's by then is queued again.
    """
    stop = stop or StopFlag()
    async with stop.limit():
        traced = await traced_hand_over(claim)
        if claim.is_resend:
            claim, handed_at = await resending.begin_resend(claim)
        else:
            handed_at = await claims.begin_hand_over(claim)
    if not claim.messages:
        return
    is_late = time.monotonic() - claimed > (1 - HAND_OVER_SHARE) * claims.LEASE.total_seconds()
    if handed_at is None or is_late or stop.is_set:
        if is_late:
            log.warning("claim returned: it is too late", messages=len(claim.messages))
        now = await database.now()
        await in_unit_of_work(partial(give_back, services, claim, now))
        return
    submissions = _submissions(claim)
    began = time.monotonic()
    if traced is not None:
        traced.begin()
    answers = await submit(carrier, submissions, stop)
    if traced is not None:
        traced.end()
    if paces is not None:
        paces.learn(carrier.name, len(submissions), time.monotonic() - began)
    outcomes = [_outcome(submission, answer) for submission, answer in zip(submissions, answers, strict=True)]
    async with stop.limit(more=stopping.RECORD_SECONDS):
        now = await _record(claim, outcomes, handed_at)
        if carrier.kind != VirtualCarrier.kind:
            await _watch(claim, answers, now)
    if traced is not None:
        traced.record(claim, outcomes)


def _submissions(claim: Claim) -> list[Submission]:
    return [
        Submission(
            row.id,
            row.workspace_id,
            row.livemode,
            present(row.to_phone),
            row.sender,
            row.body,
            row.encoding,
            row.segments,
            row.attempt_count + 1,
        )
        for row in claim.messages
    ]


async def _record(claim: Claim, outcomes: Sequence[Outcome], handed_at: datetime) -> datetime:
    """Write outcomes down, again and again while PostgreSQL is away: nobody else knows them. When it was, by its clock.

    Written twice they change nothing more, as the first writing lets go of the claim. One that cannot be written does
    not keep the others from it.
    """
    until = time.monotonic() + RECORD_SECONDS
    while True:
        try:
            now = await database.now()
            failures = Failures()
            write = partial(_write, claim, now, handed_at)
            await in_parts(write, outcomes, failures)
        except Exception as error:
            if not (is_away(error) or is_stuck(error)) or time.monotonic() >= until:
                raise
            log.warning("outcomes not written yet", messages=len(outcomes), error=type(error).__name__)
            await asyncio.sleep(RECORD_AGAIN_SECONDS)
        else:
            failures.end()
            return now


async def _write(claim: Claim, now: datetime, handed_at: datetime, outcomes: Sequence[Outcome]) -> None:
    await record_outcomes(claim, outcomes, now, handed_at)


async def _watch(claim: Claim, answers: Sequence[protocol.Outcome], now: datetime) -> None:
    """Tell the carrier's circuit breaker what the hand-over showed: no answer at all is its fault, too."""
    reasons = [_fault(answer) for answer in answers]
    faults = [reason for reason in reasons if reason is not None]
    if faults or claim.is_watched:
        served = len(answers) - len(faults)
        note = partial(breakers.note, claim.carrier, faults=len(faults), served=served, now=now)
        await in_unit_of_work(partial(note, reason=faults[0] if faults else None))


def _fault(answer: protocol.Outcome) -> str | None:
    if isinstance(answer, protocol.Unknown):
        return f"no answer: {answer.reason}"
    return answer.code if isinstance(answer, protocol.Refused) and answer.is_fault else None


async def submit(carrier: Carrier, submissions: Sequence[Submission], stop: StopFlag) -> Sequence[protocol.Outcome]:
    """Submit messages to a carrier and return what it made of each; what raises or takes too long is unknown."""
    try:
        async with stop.limit(HAND_OVER_SHARE * claims.LEASE.total_seconds()):
            return await carrier.submit_many(submissions)
    except Exception as error:
        # No matter what went wrong, some of it may have arrived.
        log.error("hand-over interrupted", carrier=carrier.name, messages=len(submissions), error=type(error).__name__)
        return [protocol.Unknown(type(error).__name__)] * len(submissions)


def _outcome(submission: Submission, answer: protocol.Outcome) -> Outcome:
    if isinstance(answer, protocol.Accepted):
        ref = None if answer.ref is None else fit(answer.ref, MAX_REF)
        part_refs = [fit(part, MAX_REF) for part in answer.part_refs]
        return Outcome(submission.message_id, ACCEPTED, ref=ref, part_refs=part_refs)
    if isinstance(answer, protocol.Refused):
        result = THROTTLED if answer.retryable else REFUSED
        if answer.is_fault:
            result = FAULT
        return Outcome(
            submission.message_id, result, code=answer.code, retry_after=answer.retry_after, may_last=answer.may_last
        )
    return Outcome(submission.message_id, UNKNOWN)


async def resolve_expired(
    services: Services, carriers: Carriers, *, batch: int = BATCH, seconds: float = 10.0, stop: StopFlag | None = None
) -> int:
    """Resolve hand-overs whose outcome nobody recorded, by what their carrier can do. Return the number of messages.

    `dedupe` submits the same id again; `lookup` asks, and submits what the carrier does not have; `none` waits for
    the delivery report, and submits once more only what asks for it. Those of carriers that are no longer configured
    wait for their report alone. What the time does not suffice for is left to the next call.
    """
    failures = Failures()
    looks = services.keep(expired_leases.ExpiredLooks)
    total = await in_unit_of_work(partial(expired_leases.await_gone, list(carriers), limit=batch, looks=looks))
    for carrier in carriers.values():
        flag = stop or StopFlag()
        if carrier.capability is protocol.Capability.NONE:
            resolving = _resend_all(services, carrier, batch, seconds, flag)
        else:
            resolving = _resolve_all(services, carrier, batch, seconds, flag)
        total += await failures.outlive(carrier.name, resolving, 0)
    failures.end()
    return total


async def _resend_all(services: Services, carrier: Carrier, batch: int, seconds: float, stop: StopFlag) -> int:
    """Leave what is in doubt to its reports, and hand over once more what asks for it. Return how many messages."""
    looks = services.keep(expired_leases.ExpiredLooks)
    awaiting = partial(expired_leases.await_reports, carrier=carrier.name, limit=batch, looks=looks)
    total = await in_unit_of_work(awaiting)
    until = time.monotonic() + seconds
    while not stop.is_set:
        claimed = time.monotonic()
        now = await database.now()
        find = partial(resending.claim_doubtful, services, carrier=carrier.name, limit=min(batch, IN_DOUBT), now=now)
        claim = await in_unit_of_work(find)
        if claim is None:
            break
        for part in resending.by_campaign(claim):
            await hand_over(services, carrier, part, claimed=claimed, stop=stop)
            total += len(part.messages)
        if time.monotonic() >= until:
            break
    return total


async def _resolve_all(services: Services, carrier: Carrier, batch: int, seconds: float, stop: StopFlag) -> int:
    total = 0
    until = time.monotonic() + seconds
    is_asked = carrier.capability is protocol.Capability.LOOKUP
    looks = services.keep(expired_leases.ExpiredLooks)
    while not stop.is_set:
        claimed = time.monotonic()
        find = partial(expired_leases.find_expired, carrier=carrier.name, limit=batch, now=await database.now())
        claim = await in_unit_of_work(partial(find, is_asked=is_asked, looks=looks))
        if claim is None:
            break
        total += len(claim.messages)
        if claim.messages:
            await resolve(services, carrier, claim, claimed)
        if time.monotonic() >= until:
            break
    return total


async def resolve(services: Services, carrier: Carrier, claim: expired_leases.ExpiredClaim, claimed: float) -> None:
    """Resolve the unknown outcomes of an expired claim by what the carrier can do: submit again, ask, or wait."""
    if carrier.capability is protocol.Capability.DEDUPE:
        await hand_over(services, carrier, claim, claimed=claimed)
        return
    try:
        async with asyncio.timeout(LOOK_UP_SECONDS):
            found = await carrier.look_up([row.id for row in claim.messages])
    except Exception as error:
        # They keep their lease, and are asked about once it has run out.
        log.error("carrier not asked", carrier=carrier.name, messages=len(claim.messages), error=type(error).__name__)
        return
    known = [Outcome(row.id, ACCEPTED) for row in claim.messages if found.get(row.id)]
    absent = [row for row in claim.messages if not found.get(row.id)]
    # Anyone who has opted out meanwhile is not sent what the carrier does not have.
    barred = [Outcome(row.id, REFUSED, code="recipient_opted_out") for row in absent if row.is_suppressed]
    if known or barred:
        now = await database.now()
        await in_unit_of_work(lambda: record_outcomes(claim, known + barred, now))
    unsent = [row for row in absent if not row.is_suppressed]
    # Past their expiry, or of a canceled campaign: what becomes of them is for the queue to say.
    if stale := [row for row in unsent if row.is_stale]:
        now = await database.now()
        await in_unit_of_work(lambda: give_back(services, Claim(claim.token, claim.carrier, stale), now))
    if unsent := [row for row in unsent if not row.is_stale]:
        await hand_over(services, carrier, Claim(claim.token, claim.carrier, unsent), claimed=claimed)
