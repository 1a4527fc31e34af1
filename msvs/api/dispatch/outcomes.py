"""Record the outcomes of a claim's messages, fenced by the claim's token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from msvs.api import ids
from msvs.api.context import Services
from msvs.api.credits import credits
from msvs.api.dispatch import open_months
from msvs.api.dispatch.claims import Claim, attempt_of
from msvs.api.dispatch.lane_bounds import LaneBounds
from msvs.api.dispatch.message_events import events_of
from msvs.api.dispatch.reachability import note_failures
from msvs.api.dispatch.routing import FAILOVER_CODES
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.api.webhooks.events import EventType, record_events
from msvs.database import execute, fetch
from msvs.models.rows import MessageRow

# A carrier that is too busy for a message this often, and for so long, has refused it.
MAX_ATTEMPTS = 20
MAX_THROTTLED = timedelta(hours=6)
LONGEST_THROTTLE = timedelta(seconds=60)

ACCEPTED = "accepted"
REFUSED = "refused"
THROTTLED = "throttled"
FAULT = "fault"
UNKNOWN = "unknown"
# Refused, or away, where another carrier may take the message.
PASSED_ON = "passed_on"
# Claimed, and never submitted.
UNUSED = "unused"

RECIPIENT_OPTED_OUT = "recipient_opted_out"

# Rows are found by their keys, and what is new in each is looked up in an object by its key: beside a join, wrong
# statistics have the planner read a whole month and compare each row with each. The status is no plain column here, as
# it might read every row that is `sending` by the index of leases.
RECORD_SENT = """
UPDATE messages SET status = CASE WHEN replied_at IS NULL THEN 'sent' ELSE 'replied' END, sent_at = $4,
    carrier_ref = $2::jsonb ->> messages.id::text, claim_token = NULL, lease_until = NULL
WHERE messages.id = ANY ($1::uuid[]) AND messages.claim_token = $3
    AND messages.status || '' = 'sending' AND {in_months}
RETURNING messages.*
"""

RECORD_FAILED = """
WITH held AS (
    SELECT id, credits_used FROM messages
    WHERE id = ANY ($1::uuid[]) AND claim_token = $3 AND status || '' = 'sending' AND {in_months}
    FOR UPDATE
)
UPDATE messages SET status = 'failed', failed_at = $4, error_code = $2::jsonb ->> messages.id::text, credits_used = 0,
    claim_token = NULL, lease_until = NULL
FROM held WHERE messages.id = held.id AND {in_months}
RETURNING messages.*, held.credits_used AS credits_held
"""

REQUEUED = """
UPDATE messages SET status = 'queued', due_at = ($2::jsonb ->> messages.id::text)::timestamptz, claim_token = NULL,
    lease_until = NULL
WHERE messages.id = ANY ($1::uuid[]) AND messages.claim_token = $3
    AND messages.status || '' = 'sending' AND {in_months}
"""

ADD_PARTS = """
INSERT INTO message_parts (id, message_id, carrier, ref, number, created_at)
SELECT part.id, part.message_id, (SELECT carrier FROM messages WHERE id = part.message_id AND {in_months}), part.ref,
    part.number, $5
FROM unnest($1::uuid[], $2::uuid[], $3::varchar[], $4::smallint[]) AS part (id, message_id, ref, number)
WHERE part.message_id = ANY ($6)
"""

CONCLUDE = """
UPDATE message_attempts SET outcome = $2::jsonb ->> id::text, error_code = $3::jsonb ->> id::text, ended_at = $4
WHERE id = ANY ($1::uuid[]) AND {in_attempts}
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one message: accepted, refused, throttled, fault (the carrier was away) or unknown.

    `part_refs` are the carrier's ids of the parts of a message that get reports of their own. `may_last`: a fault
    that may be the message's, for all that is known.
    """

    message_id: UUID
    result: str
    ref: str | None = None
    code: str | None = None
    retry_after: float = 1.0
    part_refs: Sequence[str] = ()
    may_last: bool = False


async def record_outcomes(
    claim: Claim, outcomes: Iterable[Outcome], now: datetime, handed_at: datetime | None = None
) -> None:
    """Record what the carrier made of a claim. Messages no longer held by its token are left as they are.

    `handed_at` is when the hand-over began, so that nothing counts as sent after the end of its campaign; else `now`.
    """
    given = list(outcomes)
    concluded, by_result = _sort(claim, given, await _find_exhausted(claim, given, now))
    if by_result[ACCEPTED]:
        await _record_sent(claim.token, by_result[ACCEPTED], now, handed_at or now)
    if by_result[REFUSED]:
        await _record_refused(claim.token, by_result[REFUSED], now)
    await _requeue(claim, by_result[THROTTLED], by_result[PASSED_ON], now)
    if by_result[UNKNOWN]:
        # The lease runs on, so that no worker resolves the message before the carrier has had time to answer.
        unknown = [outcome.message_id for outcome in by_result[UNKNOWN]]
        await execute(open_months.within(UNSURE, unknown), unknown, claim.token, UNKNOWN_WAIT, LONGEST_UNKNOWN_WAIT)
        opted_out = {each.message_id for each in by_result[UNKNOWN] if each.code == RECIPIENT_OPTED_OUT}
        await _note_opt_outs([row for row in claim.messages if row.id in opted_out], now)
    await conclude(claim.token, concluded, now)


def _sort(
    claim: Claim, outcomes: Iterable[Outcome], exhausted: Set[UUID]
) -> tuple[Sequence[Outcome], Mapping[str, Sequence[Outcome]]]:
    """Return the outcomes as the attempts get them, and by what is done about their messages."""
    by_result: dict[str, list[Outcome]] = {ACCEPTED: [], REFUSED: [], THROTTLED: [], UNKNOWN: [], PASSED_ON: []}
    concluded = []
    for outcome in outcomes:
        result = outcome.result
        if claim.is_resend and result != ACCEPTED:
            # What becomes of this hand-over says nothing of the earlier one, which may have arrived.
            by_result[UNKNOWN].append(outcome)
            concluded.append(outcome)
            continue
        has_fallback = outcome.message_id in claim.fallbacks
        if result in (THROTTLED, FAULT) and claim.is_repeat:
            # Too busy, or away, to say whether it has the message: it may not count as unsent.
            result = UNKNOWN
        elif outcome.message_id in exhausted:
            result = REFUSED
            outcome = replace(outcome, result=REFUSED)
        if has_fallback and (result == FAULT or (result == REFUSED and outcome.code in FAILOVER_CODES)):
            # Definitely not with this carrier: the next one may have it, and no unknown outcome ever comes here.
            result = PASSED_ON
        by_result[THROTTLED if result == FAULT else result].append(outcome)
        concluded.append(outcome)
    return concluded, by_result


async def _requeue(claim: Claim, throttled: Sequence[Outcome], passed_on: Sequence[Outcome], now: datetime) -> None:
    """Queue messages again: those the carrier was too busy for after a wait, those for another carrier now."""
    attempts = {row.id: row.attempt_count + 1 for row in claim.messages}
    due = {outcome.message_id: now + _pause(outcome, attempts.get(outcome.message_id, 1)) for outcome in throttled} | {
        outcome.message_id: now for outcome in passed_on
    }
    if due:
        await execute(open_months.within(REQUEUED, due), list(due), due, claim.token)
        notify_after_commit(WorkQueue.MESSAGES)


async def conclude(token: UUID, outcomes: Iterable[Outcome], now: datetime) -> None:
    """Write down what became of a claim's attempts."""
    given = list(outcomes)
    statement = CONCLUDE.format(in_attempts=open_months.months_of([token]).of("message_attempts"))
    results = {attempt_of(token, outcome.message_id): outcome.result for outcome in given}
    codes = {attempt_of(token, outcome.message_id): outcome.code for outcome in given if outcome.code is not None}
    await execute(statement, list(results), results, codes, now)


def _pause(outcome: Outcome, attempt: int) -> timedelta:
    """Return how long to leave a message alone that the carrier could not take.

    As it says, and from the fifth time longer.
    """
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

FIND_EXHAUSTED = """
SELECT message_id FROM message_attempts
WHERE message_id = ANY($1) AND carrier = $2 AND {in_attempts}
    AND (outcome = 'throttled' OR outcome = 'fault' AND message_id = ANY($6))
GROUP BY message_id HAVING count(*) >= $3 AND (min(started_at) < $4 OR message_id = ANY($5))
"""


class _Exhausted(Protocol):
    message_id: UUID


async def _find_exhausted(claim: Claim, outcomes: Iterable[Outcome], now: datetime) -> set[UUID]:
    """Find the messages that the carrier was too busy for too often, and where there is no other carrier too long.

    Attempts at which it was away do not count, unless it now answers and says no more than that it will not have it.
    """
    attempts = {row.id: row.attempt_count + 1 for row in claim.messages}
    candidates = [
        outcome.message_id
        for outcome in outcomes
        if (outcome.result == THROTTLED or outcome.may_last) and attempts.get(outcome.message_id, 0) >= MAX_ATTEMPTS
    ]
    if not candidates:
        return set()
    statement = open_months.within(FIND_EXHAUSTED, candidates)
    lasting = [outcome.message_id for outcome in outcomes if outcome.may_last]
    values = (MAX_ATTEMPTS - 1, now - MAX_THROTTLED, list(claim.fallbacks), lasting)
    rows = await fetch(_Exhausted, statement, candidates, claim.carrier, *values)
    return {row.message_id for row in rows}


async def give_back(services: Services, claim: Claim, now: datetime) -> None:
    """Queue the messages of a claim again of which nothing was submitted.

    Those no longer held by its token are left as they are; so are all where an earlier hand-over's outcome is unknown.
    """
    if claim.is_resend:
        await _give_back_resend(claim, now)
    if claim.is_repeat:
        return
    unused = [row.id for row in claim.messages]
    # Where they were, which this process takes to be empty.
    services.keep(LaneBounds).forget()
    again = open_months.within(REQUEUED, unused)
    await execute(again, unused, {row.id: row.due_at for row in claim.messages}, claim.token)
    await conclude(claim.token, [Outcome(message_id, UNUSED) for message_id in unused], now)
    notify_after_commit(WorkQueue.MESSAGES)


# Another worker takes it at once: the earlier hand-over is as much in doubt as before.
RETURNED = """
UPDATE messages SET lease_until = clock_timestamp()
WHERE id = ANY ($1) AND claim_token = $2 AND status = 'sending' AND {in_months}
"""


async def _give_back_resend(claim: Claim, now: datetime) -> None:
    unused = [row.id for row in claim.messages]
    await execute(open_months.within(RETURNED, unused), unused, claim.token)
    await conclude(claim.token, [Outcome(message_id, UNUSED) for message_id in unused], now)


async def _record_sent(token: UUID, accepted: Sequence[Outcome], now: datetime, sent_at: datetime) -> None:
    message_ids = [outcome.message_id for outcome in accepted]
    sent = open_months.within(RECORD_SENT, message_ids)
    refs = {outcome.message_id: outcome.ref for outcome in accepted}
    rows = await fetch(MessageRow, sent, message_ids, refs, token, sent_at)
    if len(rows) < len(accepted):
        written = {row.id for row in rows}
        await _keep_late(token, [outcome for outcome in accepted if outcome.message_id not in written], now)
    parts = [(outcome, number, ref) for outcome in accepted for number, ref in enumerate(outcome.part_refs, 1)]
    if parts:
        await execute(
            open_months.within(ADD_PARTS, message_ids),
            [ids.new_id() for _ in parts],
            [outcome.message_id for outcome, _, _ in parts],
            [ref for _, _, ref in parts],
            [number for _, number, _ in parts],
            now,
            [row.id for row in rows],
        )
    await note_sent(rows, now)


# What was handed over twice is sent by either, and its reports name either: also by the one that was given up.
RECORD_LATE = """
WITH late AS (
    SELECT id FROM messages WHERE id = ANY ($1) AND on_unknown = 'resend' AND {in_months} AND EXISTS (
        SELECT FROM message_attempts WHERE message_id = messages.id AND claim_token = $2 AND {in_attempts}
    ) AND EXISTS (SELECT FROM message_attempts WHERE message_id = messages.id AND is_resend AND {in_attempts})
    ORDER BY id FOR UPDATE
)
UPDATE messages SET status = CASE WHEN status <> 'sending' THEN status WHEN replied_at IS NULL THEN 'sent'
        ELSE 'replied' END,
    sent_at = coalesce(sent_at, $3), claim_token = NULL, lease_until = NULL
FROM late WHERE messages.id = late.id AND {in_months}
    AND (messages.status = 'sending' OR messages.sent_at IS NOT NULL)
RETURNING messages.*, messages.sent_at = $3 AS is_sent_now
"""
ADD_LATE_PARTS = """
INSERT INTO message_parts (id, message_id, carrier, ref, number, hand_over, created_at)
SELECT part.id, part.message_id, part.carrier, part.ref, part.number, $6, $7
FROM unnest($1::uuid[], $2::uuid[], $3::varchar[], $4::varchar[], $5::smallint[])
    AS part (id, message_id, carrier, ref, number)
WHERE NOT EXISTS (SELECT FROM message_parts WHERE message_id = part.message_id AND hand_over = $6)
"""


class _Late(MessageRow, Protocol):
    @property
    def is_sent_now(self) -> bool: ...


async def _keep_late(token: UUID, accepted: Sequence[Outcome], now: datetime) -> None:
    """Keep what a carrier said of a hand-over of messages that were handed over once more meanwhile."""
    message_ids = [outcome.message_id for outcome in accepted]
    rows = await fetch(_Late, open_months.within(RECORD_LATE, message_ids), message_ids, token, now)
    carriers = {row.id: row.carrier for row in rows}
    parts = [
        (outcome.message_id, number, ref)
        for outcome in accepted
        if outcome.message_id in carriers
        for number, ref in enumerate(outcome.part_refs or filter(None, [outcome.ref]), 1)
    ]
    if parts:
        await execute(
            ADD_LATE_PARTS,
            [ids.new_id() for _ in parts],
            [message_id for message_id, _, _ in parts],
            [carriers[message_id] for message_id, _, _ in parts],
            [ref for _, _, ref in parts],
            [number for _, number, _ in parts],
            token,
            now,
        )
    await note_sent([row for row in rows if row.is_sent_now], now)


async def note_sent(rows: Sequence[MessageRow], now: datetime) -> None:
    """Capture the credits of messages that became `sent`, and write their events."""
    await capture_live(rows, now)
    await record_events(events_of(EventType.MESSAGE_SENT, rows), now)


async def capture_live(rows: Sequence[MessageRow], now: datetime) -> None:
    """Make the reservations of live messages final."""
    for workspace_id, message_ids in _live_by_workspace(rows).items():
        await credits.capture(workspace_id, message_ids, now)


class _Failed(MessageRow, Protocol):
    @property
    def credits_held(self) -> int: ...


async def _record_refused(token: UUID, refused: Sequence[Outcome], now: datetime) -> None:
    message_ids = [outcome.message_id for outcome in refused]
    rows = await fetch(
        _Failed,
        open_months.within(RECORD_FAILED, message_ids),
        message_ids,
        {outcome.message_id: outcome.code or "carrier_rejected" for outcome in refused},
        token,
        now,
    )
    held = {row.id: row.credits_held for row in rows if row.credits_held}
    for workspace_id, message_ids in _live_by_workspace(rows).items():
        await credits.release(
            workspace_id, {message_id: held[message_id] for message_id in message_ids if message_id in held}, now
        )
    await record_events(events_of(EventType.MESSAGE_FAILED, rows), now)
    await note_opt_outs(rows, now)
    await note_failures(rows, now)


# Taken in by a transaction of its own: consent is locked before messages are.
OPT_OUTS = """
INSERT INTO carrier_signals (id, carrier, kind, dedupe_key, message_id, text, tries, received_at, due_at)
SELECT incoming.id, incoming.carrier, 'opt_out', 'opt_out:' || incoming.message_id::varchar, incoming.message_id, '', 0,
    $4, $4
FROM unnest($1::uuid[], $2::varchar[], $3::uuid[]) AS incoming (id, carrier, message_id)
ON CONFLICT (carrier, dedupe_key) DO NOTHING
"""


async def note_opt_outs(rows: Iterable[MessageRow], now: datetime) -> None:
    """Note the opt-outs that carriers know of: those of messages that they refused because the recipient opted out."""
    await _note_opt_outs([row for row in rows if row.error_code == RECIPIENT_OPTED_OUT], now)


async def _note_opt_outs(refused: Sequence[MessageRow], now: datetime) -> None:
    if refused:
        new_ids = [ids.new_id() for _ in refused]
        await execute(OPT_OUTS, new_ids, [row.carrier for row in refused], [row.id for row in refused], now)
        notify_after_commit(WorkQueue.REPORTS)


def _live_by_workspace(rows: Iterable[MessageRow]) -> Mapping[UUID, list[UUID]]:
    found: dict[UUID, list[UUID]] = {}
    for row in rows:
        if row.livemode:
            found.setdefault(row.workspace_id, []).append(row.id)
    return found
