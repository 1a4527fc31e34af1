"""Dispatch: claim due messages under a lease, and write down what the carrier made of them.

A claim decides consent and credits in the transaction that takes the messages; the network comes after its
COMMIT; what is written afterwards is fenced by the claim's token, so that a worker that was given up changes nothing.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from msvs.api import crypto, ids, settings_of_mode
from msvs.api.credits import caps, credits
from msvs.api.dispatch import breakers, open_months, routing, throughput
from msvs.api.dispatch.halting import begin_part, share_run
from msvs.api.dispatch.open_months import EVERYWHERE, IdRange
from msvs.api.dispatch.pausing import pause_for_credits
from msvs.api.dispatch.routing import FAILOVER_CODES, NO_TRIES, Plan
from msvs.api.dispatch.senders import find_foreign
from msvs.api.notifier import WorkQueue
from msvs.api.resources import message_resource
from msvs.api.text import quiet_hours
from msvs.api.text.phones import canonical, region_of, spellings
from msvs.api.unit_of_work import notify_after_commit
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import Row, execute, fetch, fetch_row, fetch_value
from msvs.database import now as clock
from msvs.models import MessageKind, MessageStatus, OptInStatus

LEASE = timedelta(seconds=60)
# A carrier that is too busy for a message this often, and for so long, has refused it.
MAX_ATTEMPTS = 20
MAX_THROTTLED = timedelta(hours=6)
LONGEST_THROTTLE = timedelta(seconds=60)

ACCEPTED = "accepted"
REFUSED = "refused"
THROTTLED = "throttled"
FAULT = "fault"
UNKNOWN = "unknown"
# Claimed, and never submitted.
UNUSED = "unused"

# How long messages are put off, at least and at most, whose carriers are all paused, or at their limits.
PAUSED_WAIT = timedelta(seconds=2)
LIMITED_WAIT = timedelta(seconds=0.25)
LONGEST_WAIT = timedelta(seconds=60)
# How many batches a claim looks at where all before could only be put off: others may stand behind them.
ROUNDS = 5

# Lanes are found by hopping from one workspace to the next in the partial index: its cost is the number of lanes.
# LIMIT keeps PostgreSQL from reading all that is queued to join it with the lanes, as it does for EXISTS.
SINGLE_LANES = """
WITH RECURSIVE lanes AS (
    (SELECT workspace_id, livemode FROM messages
        WHERE status = 'queued' AND campaign_id IS NULL AND {is_open}
        ORDER BY workspace_id, livemode LIMIT 1)
    UNION ALL
    SELECT following.workspace_id, following.livemode FROM lanes CROSS JOIN LATERAL (
        SELECT workspace_id, livemode FROM messages
        WHERE status = 'queued' AND campaign_id IS NULL AND {is_open}
            AND (workspace_id, livemode) > (lanes.workspace_id, lanes.livemode)
        ORDER BY workspace_id, livemode LIMIT 1
    ) AS following
)
SELECT lanes.workspace_id, lanes.livemode FROM lanes CROSS JOIN LATERAL (
    SELECT FROM messages WHERE status = 'queued' AND campaign_id IS NULL AND workspace_id = lanes.workspace_id
        AND livemode = lanes.livemode AND due_at <= $1 AND {is_open} LIMIT 1
) AS due WHERE lanes.workspace_id NOT IN (SELECT id FROM workspaces WHERE suspended_at IS NOT NULL) ORDER BY random()
"""

CAMPAIGN_LANES = """
SELECT campaigns.workspace_id, campaigns.livemode, campaigns.id FROM campaigns CROSS JOIN LATERAL (
    SELECT FROM messages WHERE status = 'queued' AND campaign_id = campaigns.id AND due_at <= $1
        AND {is_open} LIMIT 1
) AS due WHERE campaigns.status IN ('preparing', 'sending')
    AND campaigns.workspace_id NOT IN (SELECT id FROM workspaces WHERE suspended_at IS NOT NULL) ORDER BY random()
"""

# The row lock, not the snapshot, decides a race with an opt-out: the opt-out cancels these rows in its own
# transaction, so either it waits for this claim, or this claim no longer finds the rows queued. What is sent to the
# contact's own number is looked for under the contact's canonical one; the rest, a little, by SUPPRESSED_BY_HASH.
CLAIM = """
WITH picked AS MATERIALIZED ({picked})
SELECT picked.*, suppressions.id IS NOT NULL AS is_suppressed, contacts.opt_in_status AS consent,
    contacts.phone IS DISTINCT FROM picked.to_phone AS is_adrift, contacts.region, contacts.timezone
FROM picked
LEFT JOIN contacts ON contacts.id = picked.contact_id
LEFT JOIN suppressions ON suppressions.workspace_id = $1 AND suppressions.livemode = $2
    AND suppressions.canonical = contacts.canonical AND contacts.phone = picked.to_phone
ORDER BY picked.due_at, picked.id
"""
PICKED = """
    SELECT * FROM messages
    WHERE status = 'queued' AND workspace_id = $1 AND livemode = $2 AND {lane} AND due_at <= $3 AND {is_open}
        AND EXISTS (SELECT FROM workspaces WHERE id = $1 AND suspended_at IS NULL)
    ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED
"""
# Where senders have limits, no more of each than it may send now: what it may not is not even looked at. The time is
# written as the index of senders has it, and no other.
PICKED_BY_SENDER = """
    SELECT due.* FROM unnest($5::varchar[], $6::int[]) AS room (sender, messages) CROSS JOIN LATERAL (
        SELECT * FROM messages
        WHERE status = 'queued' AND workspace_id = $1 AND livemode = $2 AND {lane} AND sender = room.sender
            AND {is_open} AND (due_at AT TIME ZONE 'UTC') <= ($3::timestamptz AT TIME ZONE 'UTC')
            AND EXISTS (SELECT FROM workspaces WHERE id = $1 AND suspended_at IS NULL)
        ORDER BY (due_at AT TIME ZONE 'UTC'), id LIMIT room.messages FOR UPDATE SKIP LOCKED
    ) AS due LIMIT $4
"""
SINGLE_LANE, CAMPAIGN_LANE = "campaign_id IS NULL", "campaign_id = ${number}"

# Senders that have something due in a lane and may send it, who has waited longest first. They are found by hopping
# through the lane's index of senders: its cost is their number.
SENDERS = """
WITH RECURSIVE hops AS (
    SELECT ''::varchar AS sender, NULL::timestamptz AS due_at
    UNION ALL
    SELECT following.sender, following.due_at FROM hops CROSS JOIN LATERAL (
        SELECT sender, due_at FROM messages
        WHERE status = 'queued' AND {lane} AND sender > hops.sender AND {is_open}
        ORDER BY sender, (due_at AT TIME ZONE 'UTC') LIMIT 1
    ) AS following
)
SELECT hops.sender FROM hops
LEFT JOIN unnest($2::varchar[], $3::float8[]) AS own (sender, rate) ON own.sender = hops.sender
LEFT JOIN throughput_buckets AS bucket ON bucket.name = 'sender:' || hops.sender
WHERE hops.due_at <= $1 AND (
    coalesce(own.rate, $4::float8) IS NULL OR bucket.name IS NULL OR bucket.tokens + coalesce(own.rate, $4::float8)
        * greatest(extract(epoch FROM $1::timestamptz - bucket.refilled_at), 0)::float8 >= 1
) ORDER BY hops.due_at LIMIT $5
"""
SINGLE_SENDERS, CAMPAIGN_SENDERS = "campaign_id IS NULL AND workspace_id = $6 AND livemode = $7", "campaign_id = $6"

# Both, as what was erased may have become plain since the messages were picked. A phone is named once a spelling.
SUPPRESSED_BY_HASH = """
SELECT named.canonical FROM unnest($3::varchar[], $4::varchar[]) AS named (canonical, phone_hash)
WHERE EXISTS (
    SELECT FROM erased_suppressions WHERE workspace_id = $1 AND livemode = $2 AND phone_hash = named.phone_hash
) OR EXISTS (
    SELECT FROM suppressions WHERE workspace_id = $1 AND livemode = $2 AND canonical = named.canonical
)
"""

TAKE = """
WITH attempts AS (
    INSERT INTO message_attempts (id, message_id, claim_token, carrier, started_at)
    SELECT attempt.id, attempt.message_id, $3, $4, $5
    FROM unnest($1::uuid[], $2::uuid[]) AS attempt (id, message_id)
)
UPDATE messages SET status = 'sending', claim_token = $3, lease_until = clock_timestamp() + $6::interval, carrier = $4,
    handed_at = $5, attempt_count = attempt_count + 1, credits_used = segments
WHERE id = ANY($2) AND {in_months}
"""

# The ids stand twice so that rows are found by their key alone, whatever the planner believes of the table: else it
# may read all that is `sending`.
SENT = """
UPDATE messages SET status = 'sent', sent_at = $4, carrier_ref = outcome.ref, claim_token = NULL, lease_until = NULL
FROM unnest($1::uuid[], $2::varchar[]) AS outcome (id, ref)
WHERE messages.id = ANY ($1) AND messages.id = outcome.id AND messages.claim_token = $3
    AND messages.status = 'sending' AND {in_months}
RETURNING messages.*
"""

FAILED = """
WITH held AS (
    SELECT messages.id, messages.credits_used, outcome.code
    FROM messages JOIN unnest($1::uuid[], $2::varchar[]) AS outcome (id, code) ON outcome.id = messages.id
    WHERE messages.id = ANY ($1) AND messages.status = 'sending' AND messages.claim_token = $3 AND {in_months}
    FOR UPDATE OF messages
)
UPDATE messages SET status = 'failed', failed_at = $4, error_code = held.code, credits_used = 0,
    claim_token = NULL, lease_until = NULL
FROM held WHERE messages.id = ANY ($1) AND messages.id = held.id AND {in_months}
RETURNING messages.*, held.credits_used AS credits_held
"""

REQUEUED = """
UPDATE messages SET status = 'queued', due_at = outcome.due_at, claim_token = NULL, lease_until = NULL
FROM unnest($1::uuid[], $2::timestamptz[]) AS outcome (id, due_at)
WHERE messages.id = ANY ($1) AND messages.id = outcome.id AND messages.claim_token = $3
    AND messages.status = 'sending' AND {in_months}
"""

PARTS = """
INSERT INTO message_parts (id, message_id, carrier, ref, number, created_at)
SELECT part.id, part.message_id, messages.carrier, part.ref, part.number, $5
FROM unnest($1::uuid[], $2::uuid[], $3::varchar[], $4::smallint[]) AS part (id, message_id, ref, number)
JOIN messages ON messages.id = part.message_id AND messages.id = ANY ($6) AND {in_months}
"""

CONCLUDE = """
UPDATE message_attempts SET outcome = done.outcome, error_code = done.code, ended_at = $4
FROM unnest($1::uuid[], $2::varchar[], $3::varchar[]) AS done (message_id, outcome, code)
WHERE message_attempts.message_id = ANY ($1) AND message_attempts.message_id = done.message_id
    AND message_attempts.claim_token = $5
    AND {is_recent}
"""


@dataclass(frozen=True, slots=True)
class Lane:
    """What is claimed together: a campaign's messages, or the single messages of a workspace and mode.

    `open_ids` is the range that they lie in.
    """

    workspace_id: UUID
    livemode: bool
    campaign_id: UUID | None = None
    open_ids: IdRange = field(default=EVERYWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """Messages taken for one hand-over by the holder of `token`, until their lease runs out by PostgreSQL's clock.

    `is_repeat`: an earlier hand-over of them had no known outcome, so the carrier may have them already. `fallbacks`
    are those that another carrier may take, should this one refuse. `is_watched`: the carrier failed lately.
    """

    token: UUID
    carrier: str
    messages: Sequence[Row]
    is_repeat: bool = False
    fallbacks: frozenset[UUID] = frozenset()
    is_watched: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a carrier made of one message: accepted, refused, throttled (for now), fault (it was away) or unknown.

    `part_refs` are the carrier's ids of the parts of a message that get reports of their own.
    """

    message_id: UUID
    result: str
    ref: str | None = None
    code: str | None = None
    retry_after: float = 1.0
    part_refs: Sequence[str] = ()


async def find_lanes(now: datetime, open_ids: IdRange = EVERYWHERE) -> list[Lane]:
    """Lanes with due messages: single messages first, then campaigns; both in no fixed order.

    What a carrier takes in a second goes to whoever asks first: no workspace is always the first.
    """
    singles = await find_single_lanes(now, open_ids)
    campaigns = await fetch(CAMPAIGN_LANES.format(is_open=open_ids.of("messages")), now)
    return singles + [Lane(row.workspace_id, row.livemode, row.id, open_ids) for row in campaigns]


async def find_single_lanes(now: datetime, open_ids: IdRange = EVERYWHERE) -> list[Lane]:
    """Lanes of single messages that are due."""
    rows = await fetch(SINGLE_LANES.format(is_open=open_ids.of("messages")), now)
    return [Lane(row.workspace_id, row.livemode, open_ids=open_ids) for row in rows]


HAS_SCHEDULED = "SELECT EXISTS (SELECT FROM messages WHERE status = 'scheduled' AND due_at <= $1 AND {is_open})"


async def has_scheduled(now: datetime, open_ids: IdRange = EVERYWHERE) -> bool:
    """Whether the time of scheduled messages has come."""
    return bool(await fetch_value(HAS_SCHEDULED.format(is_open=open_ids.of("messages")), now))


PROMOTE = """
WITH due AS (
    SELECT id FROM messages WHERE status = 'scheduled' AND due_at <= $1 AND {is_open}
    ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE messages SET status = 'queued' FROM due WHERE messages.id = due.id AND {is_open}
RETURNING messages.*
"""


async def promote_scheduled(*, limit: int, now: datetime, open_ids: IdRange = EVERYWHERE) -> int:
    """Queue scheduled messages whose time has come; how many."""
    rows = await fetch(PROMOTE.format(is_open=open_ids.of("messages")), now, limit)
    await record_events(_events(EventType.MESSAGE_QUEUED, rows), now)
    return len(rows)


FIRST = """
SELECT id FROM messages WHERE status = $2 AND due_at <= $1 AND {lane} ORDER BY due_at, id LIMIT 1
FOR UPDATE SKIP LOCKED
"""
PUT_ASIDE = """
UPDATE messages SET due_at = $2::timestamptz + least(greatest($2::timestamptz - created_at, interval '1 minute'), $3)
WHERE id = $1
"""
LONGEST_ASIDE = timedelta(hours=1)
MOST_LEFT_OUT = 1000
# Messages that this process cannot even put aside, and since when: for so long it leaves them out.
LEFT_OUT_SECONDS = 60.0
_left_out: dict[UUID, float] = {}


async def find_first(lane: Lane | None, now: datetime) -> UUID | None:
    """The message of a lane, or of all scheduled ones, that is due first."""
    if lane is None:
        sql, values = FIRST.format(lane="true"), []
    elif lane.campaign_id is None:
        sql = FIRST.format(lane="workspace_id = $3 AND livemode = $4 AND campaign_id IS NULL")
        values = [lane.workspace_id, lane.livemode]
    else:
        sql, values = FIRST.format(lane="campaign_id = $3"), [lane.campaign_id]
    status = MessageStatus.SCHEDULED if lane is None else MessageStatus.QUEUED
    found: UUID | None = await fetch_value(sql, now, status.value, *values)
    return found


async def put_aside(message_id: UUID, now: datetime) -> None:
    """Leave a message alone, for longer each time: what stands behind it must not wait for it."""
    await execute(PUT_ASIDE, message_id, now, LONGEST_ASIDE)


def take_back_in() -> None:
    """Try again what was left out for long enough: what was wrong with it may be mended by now."""
    since = time.monotonic() - LEFT_OUT_SECONDS
    for message_id in [one for one, at in _left_out.items() if at <= since]:
        del _left_out[message_id]


def leave_out(message_id: UUID) -> None:
    """Have this process claim a message no more, as it cannot even be put aside."""
    if len(_left_out) < MOST_LEFT_OUT:
        _left_out[message_id] = time.monotonic()


async def claim(lane: Lane, *, carrier: str, limit: int, now: datetime) -> Claim | None:
    """Take up to `limit` due messages of a lane, their consent checked and their credits reserved.

    None when there is nothing to hand over; recipients refused here are skipped or canceled, with their events.
    """
    campaign = None
    if lane.campaign_id is not None:
        campaign = await _running_campaign(lane.campaign_id)
        if campaign is None:
            return None
        limit = _paced(campaign, limit, now)
    allowed = await throughput.take_for_carrier(carrier, limit, now)
    rooms = await _take_for_senders(lane, allowed, now)
    ready: list[Row] = []
    for _ in range(ROUNDS if allowed > 0 else 0):
        picked = await _pick(lane, allowed, now, rooms)
        ready = await _admit(lane, campaign, picked, now)
        if ready or _is_all(picked, allowed, rooms):
            break
    if lane.livemode:
        ready = await _afford(lane, ready, now)
    await throughput.give_back_to_carrier(carrier, allowed - len(ready), now)
    await _give_back_to_senders(rooms, ready)
    if not ready:
        return None
    if campaign is not None and campaign.interval_seconds > 0:
        await _take_slots(campaign, len(ready), now)
    return await _take(ready, carrier, now)


async def claim_by_plan(lane: Lane, plan: Plan, *, limit: int, now: datetime) -> list[Claim]:
    """Take up to `limit` due messages of a lane, one claim a carrier, as the workspace's routes have it.

    A carrier that is paused is given nothing, and one on trial a single message; what only they could take waits.
    """
    carrier = plan.sole
    if carrier is None:
        return await _claim_routed(lane, plan, limit=limit, now=now)
    if carrier in plan.paused:
        return []
    is_trial = carrier in plan.trial
    if is_trial and not await breakers.take_trial(carrier, now):
        return []
    claimed = await claim(lane, carrier=carrier, limit=1 if is_trial else limit, now=now)
    if claimed is None:
        if is_trial:
            await breakers.give_back_trial(carrier, now)
        return []
    return [replace(claimed, is_watched=carrier in plan.failing)]


async def _claim_routed(lane: Lane, plan: Plan, *, limit: int, now: datetime) -> list[Claim]:
    # Claims lock in one order: trials, the campaign, carriers' limits, senders' limits, messages, credits.
    await breakers.hold_trials(plan.trial)
    campaign = None
    if lane.campaign_id is not None:
        campaign = await _running_campaign(lane.campaign_id)
        if campaign is None:
            return []
        limit = _paced(campaign, limit, now)
    room = await _room_of(plan, limit, now)
    if room <= 0:
        return []
    await throughput.hold_carriers(plan.carriers)
    rooms = await _take_for_senders(lane, limit, now)
    over: Counter[str] = Counter()
    claims: list[Claim] = []
    for number in range(ROUNDS):
        # No more than there is room for; where none of that may go now, others may stand behind it.
        wanted = room if number == 0 else limit
        picked = await _pick(lane, wanted, now, rooms)
        ready = await _admit(lane, campaign, picked, now)
        for carrier, routed in sorted((await _route(lane, plan, ready, now)).items()):
            rows = await _afford_routed(lane, carrier, [row for row, _ in routed], over, now)
            if not rows:
                if carrier in plan.trial:
                    await breakers.give_back_trial(carrier, now)
                continue
            taken = await _take(rows, carrier, now)
            fallbacks = frozenset(row.id for row, has_fallback in routed if has_fallback)
            claims.append(replace(taken, fallbacks=fallbacks, is_watched=carrier in plan.failing))
        if claims or _is_all(picked, wanted, rooms):
            break
    await _give_back_to_senders(rooms, [row for each in claims for row in each.messages])
    if claims and campaign is not None and campaign.interval_seconds > 0:
        await _take_slots(campaign, sum(len(each.messages) for each in claims), now)
    return claims


async def _room_of(plan: Plan, limit: int, now: datetime) -> int:
    """How many messages the carriers of a plan may be given now, at most `limit`: a single one on trial."""
    open = plan.reachable - plan.paused.keys()
    on_trial = len(open & plan.trial)
    return min(limit, on_trial + await throughput.room_of_carriers(sorted(open - plan.trial), limit, now))


async def _afford_routed(
    lane: Lane, carrier: str, rows: Sequence[Row], over: Counter[str], now: datetime
) -> Sequence[Row]:
    """The messages that their carrier's limit and the balance admit now.

    The others wait, spread over the time in which the carrier takes them; `over` counts those of earlier batches.
    """
    allowed = await throughput.take_for_carrier(carrier, len(rows), now)
    rate = throughput.carrier_rate(carrier) or 1.0
    put_off = {}
    for row in rows[allowed:]:
        over[carrier] += 1
        put_off[row.id] = now + min(max(timedelta(seconds=over[carrier] / rate), LIMITED_WAIT), LONGEST_WAIT)
    await _put_off(put_off)
    affordable = list(rows[:allowed])
    if lane.livemode:
        affordable = await _afford(lane, affordable, now)
    await throughput.give_back_to_carrier(carrier, allowed - len(affordable), now)
    return affordable


async def _route(lane: Lane, plan: Plan, rows: Sequence[Row], now: datetime) -> Mapping[str, list[tuple[Row, bool]]]:
    """The messages by the carrier to try now, each with whether another could follow; the others wait or fail."""
    tries = await routing.find_tries(rows, now)
    by_carrier: dict[str, list[tuple[Row, bool]]] = defaultdict(list)
    put_off: dict[UUID, datetime] = {}
    lost: list[Row] = []
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
    await _put_off(put_off)
    if lost:
        await _fail_unsent(lane, lost, "no_route", now)
    return by_carrier


PUT_OFF = """
UPDATE messages SET due_at = later.due_at FROM unnest($1::uuid[], $2::timestamptz[]) AS later (id, due_at)
WHERE messages.id = ANY ($1) AND messages.id = later.id AND {in_months}
"""


async def _put_off(until: Mapping[UUID, datetime]) -> None:
    if until:
        await execute(open_months.within(PUT_OFF, until), list(until), list(until.values()))


async def _take(rows: Sequence[Row], carrier: str, now: datetime, *, is_repeat: bool = False) -> Claim:
    token = ids.new_id()
    message_ids = [row.id for row in rows]
    take = open_months.within(TAKE, message_ids)
    await execute(take, [ids.new_id() for _ in rows], message_ids, token, carrier, now, LEASE)
    return Claim(token, carrier, rows, is_repeat)


RUNNING = """
SELECT campaigns.id, campaigns.interval_seconds, campaigns.slots_taken, campaigns.paced_from,
    campaigns.respects_quiet_hours, settings.campaigns_admit_unknown
FROM campaigns JOIN workspaces ON workspaces.id = campaigns.workspace_id {settings}
WHERE campaigns.id = $1 AND campaigns.status IN ('preparing', 'sending')
""".format(settings=settings_of_mode.JOIN.format(livemode="campaigns.livemode"))
# A paced campaign's claims count its slots one after the other.
HOLD_SLOTS = "SELECT id FROM campaigns WHERE id = $1 AND interval_seconds > 0 FOR NO KEY UPDATE"
# What a paced campaign may catch up at once.
PACE_BURST = timedelta(seconds=2)
MOST_AT_ONCE = 100_000


async def _running_campaign(campaign_id: UUID) -> Row | None:
    """The campaign if it runs, held: a pause or a cancellation waits for this claim, and the next claim sees it."""
    if not await share_run(campaign_id):
        return None
    campaign = await fetch_row(RUNNING, campaign_id)
    if campaign is not None and campaign.interval_seconds > 0:
        await fetch_row(HOLD_SLOTS, campaign_id)
        return await fetch_row(RUNNING, campaign_id)
    return campaign


def _paced(campaign: Row, limit: int, now: datetime) -> int:
    """How many recipients of a campaign may be handed over now, at most `limit`."""
    interval = campaign.interval_seconds
    if interval <= 0:
        return limit
    # Of what is too short to be told, there may be any number.
    interval = max(interval, PACE_BURST.total_seconds() / MOST_AT_ONCE)
    burst = max(1, int(PACE_BURST.total_seconds() / interval))
    if campaign.paced_from is None:
        return min(limit, burst)
    elapsed = (now - campaign.paced_from).total_seconds()
    return int(max(0, min(limit, burst, 1 + int(elapsed / interval) - campaign.slots_taken)))


async def _take_slots(campaign: Row, number: int, now: datetime) -> None:
    """Count hand-overs of a paced campaign; one that fell behind starts its count anew rather than catch up."""
    interval = max(campaign.interval_seconds, PACE_BURST.total_seconds() / MOST_AT_ONCE)
    behind = (
        campaign.paced_from is None
        or 1 + (now - campaign.paced_from).total_seconds() / interval - campaign.slots_taken
        > max(1, PACE_BURST.total_seconds() / interval) + 1
    )
    await execute(
        "UPDATE campaigns SET paced_from = $2, slots_taken = $3 WHERE id = $1",
        campaign.id,
        now if behind else campaign.paced_from,
        number if behind else campaign.slots_taken + number,
    )


Rooms = Mapping[str, int] | None


async def _take_for_senders(lane: Lane, limit: int, now: datetime) -> Rooms:
    """How many messages each sender of a lane may send now; they count as sent. None where no sender is limited."""
    if not throughput.limits_senders() or limit <= 0:
        return None
    own, others = throughput.limited_senders()
    values = (now, list(own), list(own.values()), others, limit)
    is_open = lane.open_ids.of("messages")
    if lane.campaign_id is None:
        statement = SENDERS.format(lane=SINGLE_SENDERS, is_open=is_open)
        rows = await fetch(statement, *values, lane.workspace_id, lane.livemode)
    else:
        rows = await fetch(SENDERS.format(lane=CAMPAIGN_SENDERS, is_open=is_open), *values, lane.campaign_id)
    senders = [row.sender for row in rows]
    taken = await throughput.take_for_senders(senders, limit, now)
    return {sender: taken[sender] for sender in senders}


async def _give_back_to_senders(rooms: Rooms, used: Iterable[Row]) -> None:
    if rooms:
        spent = Counter(row.sender for row in used)
        await throughput.give_back_to_senders({sender: room - spent[sender] for sender, room in rooms.items()})


async def _pick(lane: Lane, limit: int, now: datetime, rooms: Rooms) -> Sequence[Row]:
    """Up to `limit` due messages of a lane, locked; where senders have limits, no more of each than its room."""
    if rooms is not None and not rooms:
        return []
    more = len(_left_out)
    values: list[Any] = [lane.workspace_id, lane.livemode, now, limit + more]
    shares = None if rooms is None else _share(rooms, limit)
    if shares is not None:
        values += [list(shares), [share + more for share in shares.values()]]
    condition = SINGLE_LANE
    if lane.campaign_id is not None:
        values.append(lane.campaign_id)
        condition = CAMPAIGN_LANE.format(number=len(values))
    statement = PICKED if rooms is None else PICKED_BY_SENDER
    picked = statement.format(lane=condition, is_open=lane.open_ids.of("messages"))
    rows = await fetch(CLAIM.format(picked=picked), *values)
    return _without_left_out(rows, limit, shares) if more else rows


def _without_left_out(rows: Sequence[Row], limit: int, shares: Mapping[str, int] | None) -> Sequence[Row]:
    """The rows but for those that are left out, up to `limit` and of each sender up to its share."""
    counted: Counter[str] = Counter()
    kept = []
    for row in rows:
        if row.id not in _left_out and (shares is None or counted[row.sender] < shares[row.sender]):
            counted[row.sender] += 1
            kept.append(row)
    return kept[:limit]


def _share(rooms: Mapping[str, int], limit: int) -> dict[str, int]:
    """What each sender may send, all together at most `limit`: alike at first, the rest to those that come first."""
    alike = limit // len(rooms)
    shares = {sender: min(room, alike) for sender, room in rooms.items()}
    left = limit - sum(shares.values())
    for sender, room in rooms.items():
        more = min(room - shares[sender], left)
        shares[sender] += more
        left -= more
    return {sender: share for sender, share in shares.items() if share > 0}


def _is_all(picked: Sequence[Row], wanted: int, rooms: Rooms) -> bool:
    """Whether nothing stands behind what was picked."""
    return len(picked) < wanted if rooms is None else not picked


async def _admit(lane: Lane, campaign: Row | None, picked: Sequence[Row], now: datetime) -> list[Row]:
    """The picked messages that may go out now; the others are refused, expired or put off, with their events."""
    ready: list[Row] = []
    refused: list[tuple[Row, str]] = []
    expired: list[Row] = []
    foreign: list[Row] = []
    put_off: dict[UUID, datetime] = {}
    admit_unknown = campaign is None or campaign.campaigns_admit_unknown
    suppressed = await _find_suppressed(lane, picked)
    # Whose a sender is may have changed since a message was accepted. The sandbox's messages reach nobody.
    strangers = await find_foreign(lane.workspace_id, {row.sender for row in picked}) if lane.livemode else frozenset()
    for row in picked:
        if row.expires_at is not None and row.expires_at <= now:
            expired.append(row)
        elif (code := _refusal(row, admit_unknown)) is not None:
            refused.append((row, code))
        elif row.id in suppressed:
            refused.append((row, "recipient_opted_out"))
        elif row.sender in strangers and campaign is not None:
            refused.append((row, "sender_not_allowed"))
        elif row.sender in strangers:
            foreign.append(row)
        elif campaign is not None and campaign.respects_quiet_hours and (opening := _opening(row, now)) > now:
            put_off[row.id] = opening
        else:
            ready.append(row)
    if refused:
        await refuse(lane, refused, now)
    if expired:
        await _fail_unsent(lane, expired, "expired", now)
    if foreign:
        await _fail_unsent(lane, foreign, "sender_not_allowed", now)
    await _put_off(put_off)
    return ready


async def _find_suppressed(lane: Lane, picked: Sequence[Row]) -> frozenset[UUID]:
    """The picked messages to a number that is not their contact's whose phone said STOP, also where it was erased.

    A send may have read its contact before both: such a phone has no contact, and its suppression is a keyed hash. Or
    the number is another spelling of its contact's.
    """
    adrift = [row for row in picked if row.is_adrift and row.kind != MessageKind.AUTO]
    if not adrift:
        return frozenset()
    scope = (lane.workspace_id, lane.livemode)
    phones = sorted({canonical(row.to_phone) for row in adrift})
    named = [(phone, crypto.hash_phone(*scope, spelling)) for phone in phones for spelling in spellings(phone)]
    rows = await fetch(SUPPRESSED_BY_HASH, *scope, [phone for phone, _ in named], [hash for _, hash in named])
    suppressed = {row.canonical for row in rows}
    return frozenset(row.id for row in adrift if canonical(row.to_phone) in suppressed)


def _opening(row: Row, now: datetime) -> datetime:
    return quiet_hours.next_opening(quiet_hours.zones_of(row.to_phone, row.timezone), row.region, now)


def _refusal(row: Row, admit_unknown: bool) -> str | None:
    """The code for which a picked message must not be sent, or None."""
    if row.kind == MessageKind.AUTO:
        return None
    if row.is_suppressed or row.consent == OptInStatus.OPTED_OUT:
        return "recipient_opted_out"
    if row.campaign_id is None:
        return None
    if row.consent is None:
        return "recipient_deleted"
    if row.consent == OptInStatus.OPTED_IN or (admit_unknown and row.consent == OptInStatus.UNKNOWN):
        return None
    return "recipient_not_opted_in"


REFUSED_BY_CONSENT = """
UPDATE messages SET status = $3::varchar, error_code = refusal.code, credits_used = 0,
    canceled_at = CASE WHEN $3::varchar = 'canceled' THEN $4::timestamptz END
FROM unnest($1::uuid[], $2::varchar[]) AS refusal (id, code)
WHERE messages.id = ANY ($1) AND messages.id = refusal.id AND {in_months}
RETURNING messages.*
"""


async def refuse(lane: Lane, refused: Sequence[tuple[Row, str]], now: datetime) -> None:
    """Skip (in a campaign) or cancel (singly) messages that may not be sent any more, and give their credits back."""
    is_campaign = lane.campaign_id is not None
    message_ids = [row.id for row, _ in refused]
    rows = await fetch(
        open_months.within(REFUSED_BY_CONSENT, message_ids),
        message_ids,
        [code for _, code in refused],
        MessageStatus.SKIPPED.value if is_campaign else MessageStatus.CANCELED.value,
        now,
    )
    if lane.livemode:
        held = {row.id: row.credits_used for row, _ in refused if row.credits_used}
        await credits.release(lane.workspace_id, held, now)
    type = EventType.MESSAGE_SKIPPED if is_campaign else EventType.MESSAGE_CANCELED
    await record_events(_events(type, rows), now)


async def _afford(lane: Lane, rows: list[Row], now: datetime) -> list[Row]:
    """Reserve the credits that are not yet reserved; the messages that the balance covers, in their order."""
    paid = [row for row in rows if row.credits_used]
    unpaid = [row for row in rows if not row.credits_used]
    while unpaid:
        if await credits.try_reserve(lane.workspace_id, {row.id: row.segments for row in unpaid}, now):
            break
        left = await caps.spendable(lane.workspace_id, now)
        covered = _covered(unpaid, left.credits)
        short, unpaid = unpaid[covered:], unpaid[:covered]
        if lane.campaign_id is not None:
            await pause_for_credits(lane.campaign_id, left, now)
        else:
            await _fail_unsent(lane, short, left.limit, now)
    return paid + unpaid


def _covered(rows: Sequence[Row], balance: int) -> int:
    """How many of the first rows `balance` covers; fewer than all."""
    total = 0
    for number, row in enumerate(rows):
        total += row.segments
        if total > balance:
            return number
    return len(rows) - 1


FAIL_UNSENT = """
UPDATE messages SET status = 'failed', failed_at = $2, error_code = $3, credits_used = 0
WHERE id = ANY($1) AND {in_months} RETURNING *
"""


async def _fail_unsent(lane: Lane, rows: Sequence[Row], code: str, now: datetime) -> None:
    """Fail messages that no carrier has, and give their credits back."""
    message_ids = [row.id for row in rows]
    failed = await fetch(open_months.within(FAIL_UNSENT, message_ids), message_ids, now, code)
    if lane.livemode:
        held = {row.id: row.credits_used for row in rows if row.credits_used}
        await credits.release(lane.workspace_id, held, now)
    await record_events(_events(EventType.MESSAGE_FAILED, failed), now)


async def begin_hand_over(claim: Claim) -> datetime | None:
    """The time by PostgreSQL's clock at which a claim's hand-over begins; None if its campaign was halted meanwhile."""
    campaign_id = None if claim.is_repeat else claim.messages[0].campaign_id
    return await clock() if campaign_id is None else await begin_part(campaign_id)


async def record_outcomes(
    claim: Claim, outcomes: Iterable[Outcome], now: datetime, handed_at: datetime | None = None
) -> None:
    """Write down what the carrier made of a claim. Messages no longer held by its token are left as they are.

    `handed_at` is when the hand-over began, so that nothing counts as sent after the end of its campaign; else `now`.
    """
    by_result: dict[str, list[Outcome]] = {ACCEPTED: [], REFUSED: [], THROTTLED: [], UNKNOWN: []}
    passed_on: list[Outcome] = []
    given = list(outcomes)
    exhausted = await _find_exhausted(claim, given, now)
    concluded = []
    for outcome in given:
        result = outcome.result
        has_fallback = outcome.message_id in claim.fallbacks
        if result in (THROTTLED, FAULT) and claim.is_repeat:
            # Too busy, or away, to say whether it has the message: it may not count as unsent.
            result = UNKNOWN
        elif outcome.message_id in exhausted:
            result = REFUSED
            outcome = replace(outcome, result=REFUSED)
        if has_fallback and (result == FAULT or (result == REFUSED and outcome.code in FAILOVER_CODES)):
            # Definitely not with this carrier: the next one may have it, and no unknown outcome ever comes here.
            passed_on.append(outcome)
        else:
            by_result[THROTTLED if result == FAULT else result].append(outcome)
        concluded.append(outcome)
    if by_result[ACCEPTED]:
        await _record_sent(claim.token, by_result[ACCEPTED], now, handed_at or now)
    if by_result[REFUSED]:
        await _record_refused(claim.token, by_result[REFUSED], now)
    attempts = {row.id: row.attempt_count + 1 for row in claim.messages}
    requeued = {
        outcome.message_id: now + _pause(outcome, attempts.get(outcome.message_id, 1))
        for outcome in by_result[THROTTLED]
    }
    requeued |= {outcome.message_id: now for outcome in passed_on}
    if requeued:
        again = open_months.within(REQUEUED, requeued)
        await execute(again, list(requeued), list(requeued.values()), claim.token)
        notify_after_commit(WorkQueue.MESSAGES)
    if by_result[UNKNOWN]:
        # Nothing is known before the lease has run out: whoever resolves it must not overtake the carrier.
        unknown = [outcome.message_id for outcome in by_result[UNKNOWN]]
        await execute(open_months.within(UNSURE, unknown), unknown, claim.token, UNKNOWN_WAIT, LONGEST_UNKNOWN_WAIT)
    await execute(
        _conclude(claim.token),
        [outcome.message_id for outcome in concluded],
        [outcome.result for outcome in concluded],
        [outcome.code for outcome in concluded],
        now,
        claim.token,
    )


def _conclude(token: UUID) -> str:
    """CONCLUDE for the attempts of a claim: this process made their ids just after its token."""
    return CONCLUDE.format(is_recent=open_months.months_since(token).of("message_attempts"))


def _pause(outcome: Outcome, attempt: int) -> timedelta:
    """How long to leave a message alone that the carrier could not take: as it says, and from the fifth time longer."""
    growing = timedelta(seconds=2.0 ** min(attempt - 5, 10)) if attempt >= 5 else timedelta(0)
    return max(timedelta(seconds=outcome.retry_after), min(growing, LONGEST_THROTTLE))


# A carrier that accepted late has done so by then. One that never answers is asked ever more seldom.
UNKNOWN_WAIT = timedelta(seconds=5)
LONGEST_UNKNOWN_WAIT = timedelta(minutes=5)
UNSURE = """
UPDATE messages
SET lease_until = clock_timestamp() + least($3::interval * 2 ^ greatest(least(attempt_count, 20) - 3, 0), $4)
WHERE id = ANY($1) AND claim_token = $2 AND status = 'sending' AND {in_months}
"""

EXHAUSTED = """
SELECT message_id FROM message_attempts
WHERE message_id = ANY($1) AND carrier = $2 AND outcome = 'throttled' AND {in_attempts}
GROUP BY message_id HAVING count(*) >= $3 AND (min(started_at) < $4 OR message_id = ANY($5))
"""


async def _find_exhausted(claim: Claim, outcomes: Iterable[Outcome], now: datetime) -> set[UUID]:
    """The messages that the carrier was too busy for too often, and where there is no other carrier too long.

    Attempts at which it was away do not count.
    """
    attempts = {row.id: row.attempt_count + 1 for row in claim.messages}
    candidates = [
        outcome.message_id
        for outcome in outcomes
        if outcome.result == THROTTLED and attempts.get(outcome.message_id, 0) >= MAX_ATTEMPTS
    ]
    if not candidates:
        return set()
    statement = open_months.within(EXHAUSTED, candidates)
    values = (MAX_ATTEMPTS - 1, now - MAX_THROTTLED, list(claim.fallbacks))
    rows = await fetch(statement, candidates, claim.carrier, *values)
    return {row.message_id for row in rows}


async def give_back(claim: Claim, now: datetime) -> None:
    """Queue the messages of a claim again of which nothing was submitted.

    Those no longer held by its token are left as they are; so are all where an earlier hand-over's outcome is unknown.
    """
    if claim.is_repeat:
        return
    unused = [row.id for row in claim.messages]
    again = open_months.within(REQUEUED, unused)
    await execute(again, unused, [row.due_at for row in claim.messages], claim.token)
    await execute(_conclude(claim.token), unused, [UNUSED] * len(unused), [None] * len(unused), now, claim.token)
    notify_after_commit(WorkQueue.MESSAGES)


async def _record_sent(token: UUID, accepted: Sequence[Outcome], now: datetime, sent_at: datetime) -> None:
    message_ids = [outcome.message_id for outcome in accepted]
    sent = open_months.within(SENT, message_ids)
    rows = await fetch(sent, message_ids, [outcome.ref for outcome in accepted], token, sent_at)
    parts = [(outcome, number, ref) for outcome in accepted for number, ref in enumerate(outcome.part_refs, 1)]
    if parts:
        await execute(
            open_months.within(PARTS, message_ids),
            [ids.new_id() for _ in parts],
            [outcome.message_id for outcome, _, _ in parts],
            [ref for _, _, ref in parts],
            [number for _, number, _ in parts],
            now,
            [row.id for row in rows],
        )
    await note_sent(rows, now)


async def note_sent(rows: Sequence[Row], now: datetime) -> None:
    """What follows from messages having become `sent`: their credits are captured and their events written."""
    await capture_live(rows, now)
    await record_events(_events(EventType.MESSAGE_SENT, rows), now)


async def capture_live(rows: Sequence[Row], now: datetime) -> None:
    """Make the reservations of live messages final."""
    for workspace_id, message_ids in _live_by_workspace(rows).items():
        await credits.capture(workspace_id, message_ids, now)


async def _record_refused(token: UUID, refused: Sequence[Outcome], now: datetime) -> None:
    message_ids = [outcome.message_id for outcome in refused]
    rows = await fetch(
        open_months.within(FAILED, message_ids),
        message_ids,
        [outcome.code or "carrier_rejected" for outcome in refused],
        token,
        now,
    )
    held = {row.id: row.credits_held for row in rows if row.credits_held}
    for workspace_id, message_ids in _live_by_workspace(rows).items():
        await credits.release(
            workspace_id, {message_id: held[message_id] for message_id in message_ids if message_id in held}, now
        )
    await record_events(_events(EventType.MESSAGE_FAILED, rows), now)
    await note_opt_outs(rows, now)


# Taken in by a transaction of its own: consent is locked before messages are.
OPT_OUTS = """
INSERT INTO carrier_signals (id, carrier, kind, dedupe_key, message_id, text, tries, received_at, due_at)
SELECT incoming.id, incoming.carrier, 'opt_out', 'opt_out:' || incoming.message_id::varchar, incoming.message_id, '', 0,
    $4, $4
FROM unnest($1::uuid[], $2::varchar[], $3::uuid[]) AS incoming (id, carrier, message_id)
ON CONFLICT (carrier, dedupe_key) DO NOTHING
"""


async def note_opt_outs(rows: Iterable[Row], now: datetime) -> None:
    """Note that carriers refused these messages because their recipients opted out there, wherever that is why."""
    refused = [row for row in rows if row.error_code == "recipient_opted_out"]
    if refused:
        new_ids = [ids.new_id() for _ in refused]
        await execute(OPT_OUTS, new_ids, [row.carrier for row in refused], [row.id for row in refused], now)
        notify_after_commit(WorkQueue.REPORTS)


# By a subquery, as no index is searched for what changes from row to row, which the clock may.
EXPIRED = """
SELECT messages.*, messages.kind <> 'auto' AND EXISTS (
    SELECT FROM suppressions WHERE suppressions.workspace_id = messages.workspace_id
        AND suppressions.livemode = messages.livemode AND suppressions.canonical = canonical_phone(messages.to_phone)
) AS is_suppressed, coalesce(messages.expires_at <= clock_timestamp(), false) OR EXISTS (
    SELECT FROM campaigns WHERE campaigns.id = messages.campaign_id AND campaigns.status = 'canceled'
) AS is_stale, messages.attempt_count >= {many} AND EXISTS (
    SELECT FROM message_attempts WHERE message_id = messages.id AND outcome = 'unknown'
        AND started_at < clock_timestamp() - interval '72 hours'
) AS is_hopeless
FROM messages WHERE status = 'sending' AND lease_until < (SELECT clock_timestamp()) AND carrier = $1 AND {condition}
ORDER BY lease_until LIMIT $2 FOR UPDATE OF messages SKIP LOCKED
"""
EXPIRED_ANY = EXPIRED.format(many=MAX_ATTEMPTS, condition="true")
# What a paused campaign has in doubt waits with it, as to submit it again might be to send it.
EXPIRED_RUNNING = EXPIRED.format(
    many=MAX_ATTEMPTS,
    condition="NOT EXISTS (SELECT FROM campaigns WHERE campaigns.id = messages.campaign_id"
    " AND campaigns.status = 'paused')",
)

# The token stays: nobody takes these over, so that what their worker learned after all still counts.
AWAIT = "UPDATE messages SET lease_until = NULL WHERE id = ANY($1) AND {in_months}"
NEVER_KNOWN = """
UPDATE message_attempts SET outcome = 'unknown', ended_at = clock_timestamp()
WHERE message_id = ANY($1) AND outcome IS NULL AND {in_attempts}
"""


async def find_expired(*, carrier: str, limit: int, now: datetime, is_asked: bool = False) -> Claim | None:
    """Take over messages whose lease ran out, under a new token and a new attempt; None if there are none.

    Unless the carrier is asked first (`is_asked`), what may not be sent any more is left to its delivery report:
    submitting again might send what was not sent before. That is whoever opted out since, what is past its expiry, and
    what is of a canceled campaign. So is left what the carrier had no answer to for 72 h. The claim is empty where
    that is all of them.
    """
    rows = await fetch(EXPIRED_RUNNING, carrier, limit)
    if not rows:
        return None
    await _write_of(NEVER_KNOWN, [row.id for row in rows])
    left = {row.id for row in rows if row.is_hopeless or (not is_asked and (row.is_suppressed or row.is_stale))}
    await _write_of(AWAIT, list(left))
    rows = [row for row in rows if row.id not in left]
    return await _take(rows, carrier, now, is_repeat=True) if rows else Claim(ids.new_id(), carrier, [])


async def await_reports(*, carrier: str, limit: int) -> int:
    """End the leases of messages whose outcome only a delivery report can tell; they are never sent again."""
    return await _await(await fetch(EXPIRED_ANY, carrier, limit))


async def _await(rows: Sequence[Row]) -> int:
    for statement in (AWAIT, NEVER_KNOWN):
        await _write_of(statement, [row.id for row in rows])
    return len(rows)


async def _write_of(statement: str, message_ids: Sequence[UUID]) -> None:
    if message_ids:
        await execute(open_months.within(statement, message_ids), message_ids)


# Workers that are started anew one after the other do not all know a new carrier at once.
GONE_AFTER = timedelta(minutes=10)

GONE = """
SELECT id FROM messages WHERE status = 'sending' AND lease_until < (SELECT clock_timestamp()) - $2::interval
    AND carrier <> ALL($1)
ORDER BY lease_until LIMIT $3 FOR UPDATE SKIP LOCKED
"""


async def await_gone(carriers: Iterable[str], *, limit: int) -> int:
    """End the leases of messages of any carrier but these: there is nobody left to ask, and they are never resent."""
    return await _await(await fetch(GONE, list(carriers), GONE_AFTER, limit))


async def has_due(now: datetime) -> bool:
    """Whether dispatch has something to do: due messages in a lane that runs, or scheduled ones to queue."""
    _, open_ids = await open_months.look()
    return await has_scheduled(now, open_ids) or bool(await find_lanes(now, open_ids))


def _live_by_workspace(rows: Iterable[Row]) -> Mapping[UUID, list[UUID]]:
    found: dict[UUID, list[UUID]] = {}
    for row in rows:
        if row.livemode:
            found.setdefault(row.workspace_id, []).append(row.id)
    return found


def _events(type: EventType, rows: Iterable[Row]) -> list[NewEvent]:
    return [NewEvent(type, row.workspace_id, row.livemode, row.id, message_resource(row)) for row in rows]
