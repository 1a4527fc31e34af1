"""Claim due messages under a lease.

A claim decides consent and credits in the transaction that takes the messages; the network comes after its COMMIT;
what is written afterwards is fenced by the claim's token, so that a worker that lost its lease changes nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from msvs.api import ids
from msvs.api.context import Services
from msvs.api.credits import caps, credits
from msvs.api.dispatch import breakers, open_months, routing, throughput
from msvs.api.dispatch.admission import admit, fail_unsent, put_off_until
from msvs.api.dispatch.halting import begin_part
from msvs.api.dispatch.lanes import Lane
from msvs.api.dispatch.pacing import paced_limit, running_campaign, take_slots
from msvs.api.dispatch.pausing import pause_for_credits
from msvs.api.dispatch.picking import PickedMessage, give_back_to_senders, is_all, pick, take_for_senders
from msvs.api.dispatch.routing import NO_TRIES, Plan
from msvs.api.text.phones import region_of
from msvs.database import execute
from msvs.database import now as clock
from msvs.models.rows import MessageRow
from msvs.new_ids import id_of

LEASE = timedelta(seconds=60)

# How long messages are put off, at least and at most, whose carriers are all paused, or at their limits.
PAUSED_WAIT = timedelta(seconds=2)
LIMITED_WAIT = timedelta(seconds=0.25)
LONGEST_WAIT = timedelta(seconds=60)
# How many batches a claim looks at where all before could only be put off: others may stand behind them.
ROUNDS = 5

TAKE_MESSAGES = """
WITH attempts AS (
    INSERT INTO message_attempts (id, message_id, claim_token, carrier, started_at, is_resend)
    SELECT attempt.id, attempt.message_id, $3, $4, $5, $7
    FROM unnest($1::uuid[], $2::uuid[]) AS attempt (id, message_id)
)
UPDATE messages SET status = 'sending', claim_token = $3, lease_until = clock_timestamp() + $6::interval, carrier = $4,
    handed_at = $5, attempt_count = attempt_count + 1, credits_used = segments * price
WHERE id = ANY($2) AND {in_months}
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """Messages taken for one hand-over by the holder of `token`, until their lease runs out by PostgreSQL's clock.

    `is_repeat`: an earlier hand-over of them had no known outcome, so the carrier may have them already. `fallbacks`
    are those that another carrier may take, should this one refuse. `is_watched`: the carrier failed lately.
    `is_resend`: the carrier cannot be asked whether it has them, and what it says now tells nothing of that.
    """

    token: UUID
    carrier: str
    messages: Sequence[MessageRow]
    is_repeat: bool = False
    fallbacks: frozenset[UUID] = frozenset()
    is_watched: bool = False
    is_resend: bool = False


async def claim(services: Services, lane: Lane, *, carrier: str, limit: int, now: datetime) -> Claim | None:
    """Take up to `limit` due messages of a lane, their consent checked and their credits reserved.

    None when there is nothing to hand over; recipients refused here are skipped or canceled, with their events.
    """
    campaign = None
    if lane.campaign_id is not None:
        campaign = await running_campaign(lane.campaign_id)
        if campaign is None:
            return None
        limit = paced_limit(campaign, limit, now)
    allowed = await throughput.take_for_carrier(services.rates, carrier, limit, now)
    rooms = await take_for_senders(services, lane, allowed, now)
    ready: list[PickedMessage] = []
    for _ in range(ROUNDS if allowed > 0 else 0):
        picked = await pick(services, lane, allowed, now, rooms)
        ready = await admit(services, lane, campaign, picked, now)
        if ready or is_all(picked, allowed, rooms):
            break
    if lane.livemode:
        ready = await _afford(lane, ready, now)
    await throughput.give_back_to_carrier(services.rates, carrier, allowed - len(ready), now)
    await give_back_to_senders(services, rooms, ready)
    if not ready:
        return None
    taken = await take(ready, carrier, now)
    # Last, as it locks the campaign's row.
    if campaign is not None and campaign.interval_seconds > 0:
        await take_slots(campaign, len(ready), now)
    return taken


async def claim_by_plan(services: Services, lane: Lane, plan: Plan, *, limit: int, now: datetime) -> list[Claim]:
    """Take up to `limit` due messages of a lane, one claim a carrier, as the workspace's routes have it.

    A carrier that is paused is given nothing, and one on trial a single message; what only they could take waits.
    """
    carrier = plan.sole
    if carrier is None:
        return await _claim_routed(services, lane, plan, limit=limit, now=now)
    if carrier in plan.paused:
        return []
    is_trial = carrier in plan.trial
    if is_trial and not await breakers.take_trial(carrier, now):
        return []
    claimed = await claim(services, lane, carrier=carrier, limit=1 if is_trial else limit, now=now)
    if claimed is None:
        if is_trial:
            await breakers.give_back_trial(carrier, now)
        return []
    return [replace(claimed, is_watched=carrier in plan.failing)]


async def _claim_routed(services: Services, lane: Lane, plan: Plan, *, limit: int, now: datetime) -> list[Claim]:
    # Claims lock in one order: trials, the campaign, carriers' limits, senders' limits, messages, credits.
    await breakers.hold_trials(plan.trial)
    campaign = None
    if lane.campaign_id is not None:
        campaign = await running_campaign(lane.campaign_id)
        if campaign is None:
            return []
        limit = paced_limit(campaign, limit, now)
    room = await _room_of(services, plan, limit, now)
    if room <= 0:
        return []
    await throughput.hold_carriers(services.rates, plan.carriers)
    rooms = await take_for_senders(services, lane, limit, now)
    over: Counter[str] = Counter()
    claims: list[Claim] = []
    for number in range(ROUNDS):
        # No more than there is room for; where none of that may go now, others may stand behind it.
        wanted = room if number == 0 else limit
        picked = await pick(services, lane, wanted, now, rooms)
        ready = await admit(services, lane, campaign, picked, now)
        for carrier, routed in sorted((await _route(lane, plan, ready, now)).items()):
            rows = await _afford_routed(services, lane, carrier, [row for row, _ in routed], over, now)
            if not rows:
                if carrier in plan.trial:
                    await breakers.give_back_trial(carrier, now)
                continue
            taken = await take(rows, carrier, now)
            fallbacks = frozenset(row.id for row, has_fallback in routed if has_fallback)
            claims.append(replace(taken, fallbacks=fallbacks, is_watched=carrier in plan.failing))
        if claims or is_all(picked, wanted, rooms):
            break
    await give_back_to_senders(services, rooms, [row for each in claims for row in each.messages])
    if claims and campaign is not None and campaign.interval_seconds > 0:
        await take_slots(campaign, sum(len(each.messages) for each in claims), now)
    return claims


async def _room_of(services: Services, plan: Plan, limit: int, now: datetime) -> int:
    """Return how many messages the carriers of a plan may be given now, at most `limit`: a single one on trial."""
    open = plan.reachable - plan.paused.keys()
    on_trial = len(open & plan.trial)
    return min(
        limit, on_trial + await throughput.room_of_carriers(services.rates, sorted(open - plan.trial), limit, now)
    )


async def _afford_routed(
    services: Services, lane: Lane, carrier: str, rows: Sequence[PickedMessage], over: Counter[str], now: datetime
) -> Sequence[PickedMessage]:
    """Return the messages that their carrier's limit and the balance admit now.

    The others wait, spread over the time in which the carrier takes them; `over` counts those of earlier batches.
    """
    allowed = await throughput.take_for_carrier(services.rates, carrier, len(rows), now)
    rate = services.rates.of_carrier(carrier) or 1.0
    put_off = {}
    for row in rows[allowed:]:
        over[carrier] += 1
        put_off[row.id] = now + min(max(timedelta(seconds=over[carrier] / rate), LIMITED_WAIT), LONGEST_WAIT)
    await put_off_until(put_off)
    affordable = list(rows[:allowed])
    if lane.livemode:
        affordable = await _afford(lane, affordable, now)
    await throughput.give_back_to_carrier(services.rates, carrier, allowed - len(affordable), now)
    return affordable


async def _route(
    lane: Lane, plan: Plan, rows: Sequence[PickedMessage], now: datetime
) -> Mapping[str, list[tuple[PickedMessage, bool]]]:
    """Return the messages by the carrier to try now, each with whether another could follow.

    The others wait or fail.
    """
    tries = await routing.find_tries(rows, now)
    by_carrier: dict[str, list[tuple[PickedMessage, bool]]] = defaultdict(list)
    put_off: dict[UUID, datetime] = {}
    lost: list[PickedMessage] = []
    # Trials that are taken, by this claim or another.
    on_trial: set[str] = set()
    for row in rows:
        tried = tries.get(row.id, NO_TRIES)
        region = row.region or region_of(row.to_phone)
        candidates = plan.carriers_for(region, row.sender)
        left = [name for name in candidates if name not in tried.refused]
        while True:
            carrier = plan.choose(candidates, refused=tried.refused | on_trial, away=tried.away)
            if carrier not in plan.trial:
                break
            on_trial.add(carrier)
            if await breakers.take_trial(carrier, now):
                break
        if carrier is not None:
            by_carrier[carrier].append((row, len(left) > 1))
        elif left or plan.is_missing(region, row.sender):
            put_off[row.id] = now + min(max(plan.pause_of(left, now), PAUSED_WAIT), LONGEST_WAIT)
        else:
            lost.append(row)
    await put_off_until(put_off)
    if lost:
        await fail_unsent(lane, lost, "no_route", now)
    return by_carrier


async def take(
    rows: Sequence[MessageRow], carrier: str, now: datetime, *, is_repeat: bool = False, is_resend: bool = False
) -> Claim:
    """Put messages under a lease and begin an attempt at each."""
    token = ids.new_id()
    message_ids = [row.id for row in rows]
    take = open_months.within(TAKE_MESSAGES, message_ids)
    attempts = [attempt_of(token, message_id) for message_id in message_ids]
    await execute(take, attempts, message_ids, token, carrier, now, LEASE, is_resend)
    return Claim(token, carrier, rows, is_repeat)


def attempt_of(token: UUID, message_id: UUID) -> UUID:
    """Return the id of a claim's attempt at a message: of the claim's time, and found by its key."""
    return id_of(token.int >> 64 << 64 | message_id.int & (1 << 64) - 1)


async def _afford(lane: Lane, rows: list[PickedMessage], now: datetime) -> list[PickedMessage]:
    """Reserve the credits that are not yet reserved; the messages that the balance covers, in their order."""
    paid = [row for row in rows if row.credits_used]
    unpaid = [row for row in rows if not row.credits_used]
    while unpaid:
        if await credits.try_reserve(lane.workspace_id, {row.id: row.segments * row.price for row in unpaid}, now):
            break
        left = await caps.spendable(lane.workspace_id, now)
        covered = _covered(unpaid, left.credits)
        short, unpaid = unpaid[covered:], unpaid[:covered]
        if lane.campaign_id is not None:
            await pause_for_credits(lane.campaign_id, left, now)
        else:
            await fail_unsent(lane, short, left.limit, now)
    return paid + unpaid


def _covered(rows: Sequence[PickedMessage], balance: int) -> int:
    """Return how many of the first rows `balance` covers; fewer than all."""
    total = 0
    for number, row in enumerate(rows):
        total += row.segments * row.price
        if total > balance:
            return number
    return len(rows) - 1


async def begin_hand_over(claim: Claim) -> datetime | None:
    """Return the time by PostgreSQL's clock at which a claim's hand-over begins, or None if its campaign was halted
    meanwhile.
    """
    campaign_id = None if claim.is_repeat else claim.messages[0].campaign_id
    return await clock() if campaign_id is None else await begin_part(campaign_id)
