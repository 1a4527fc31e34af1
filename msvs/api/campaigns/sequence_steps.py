"""Bring sequences forward: let contacts in and out, and take the steps that are due.

A step is taken in one transaction: what it depends on is read, its message is written as a campaign's is, that it was
taken is written under the key of enrollment and step, and the enrollment moves on. A process that dies leaves all of
it or nothing, and the key refuses a second time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from msvs.api.campaigns.audiences import write_step
from msvs.api.campaigns.enrollments import Entry, conclude_left, enter, record_enrollments
from msvs.api.campaigns.sequence_requests import Otherwise, SequenceStep, StepCondition
from msvs.api.campaigns.sequence_timing import due_now, is_missed, plan, since_of
from msvs.api.campaigns.sequence_versions import Published, current_version, find_versions
from msvs.api.contacts.segments import compile_filter
from msvs.api.context import Context, Services
from msvs.api.dispatch.campaign_stats import count_open
from msvs.api.webhooks.events import EventType
from msvs.clock_schema import by_real_time
from msvs.database import execute, fetch, fetch_value
from msvs.models import EnrollmentState, LeaveReason, OptInStatus
from msvs.models.rows import SequenceEnrollmentRow

BATCH = 500

CONDITION_NOT_MET = "condition_not_met"
STEP_MISSED = "step_missed"

# Each by an index of what waits alone: sequences with nothing to do cost a look-up each. ORDER BY and OFFSET
# 0 keep PostgreSQL from reading all that wait, in the hope of meeting one soon.
HAS_DUE_STEPS = """
EXISTS (
    SELECT FROM sequence_enrollments WHERE sequence_id = sequences.id AND state = 'active' AND leaving IS NULL
        AND due_at <= $1 ORDER BY due_at OFFSET 0
)
"""
IS_RUN = """
sequences.status = 'active'
AND NOT EXISTS (SELECT FROM workspaces WHERE id = sequences.workspace_id AND suspended_at IS NOT NULL)
"""
IS_CLEARED = f"""
sequences.status = 'archived' AND {by_real_time("sequences")} AND EXISTS (
    SELECT FROM sequence_enrollments WHERE sequence_id = sequences.id AND state = 'active' ORDER BY sequence_id OFFSET 0
)
"""
# A version that another has followed, and that nobody is in any more.
IS_RETIRED = """
EXISTS (
    SELECT FROM sequence_versions AS version WHERE version.sequence_id = sequences.id AND version.retired_at IS NULL
        AND version.number < sequences.number AND NOT EXISTS (
            SELECT FROM sequence_enrollments WHERE version_id = version.id AND state = 'active' OFFSET 0
        )
)
"""
HAS_WORK = f"""
SELECT EXISTS (SELECT FROM sequence_entries WHERE {by_real_time("sequence_entries")})
    OR EXISTS (
        SELECT FROM sequence_enrollments WHERE leaving IS NOT NULL AND state = 'active'
            AND {by_real_time("sequence_enrollments")}
    )
    OR EXISTS (
        SELECT FROM sequences WHERE status <> 'draft' AND (({IS_RUN} AND {HAS_DUE_STEPS}) OR ({IS_CLEARED}))
    )
"""


async def has_work(now: datetime) -> bool:
    """Return whether a step is due, or a contact about to enter or leave."""
    return bool(await fetch_value(HAS_WORK, now))


TAKE_ENTRIES = f"""
DELETE FROM sequence_entries WHERE id = ANY (ARRAY(
    SELECT id FROM sequence_entries WHERE {by_real_time("sequence_entries")} ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
)) RETURNING workspace_id, livemode, sequence_id, contact_id, entered_by
"""
FIND_OPEN = """
SELECT number FROM sequences
WHERE id = $3 AND workspace_id = $1 AND livemode = $2 AND status IN ('active', 'paused') FOR SHARE
"""
FIND_ENTRANTS = """
SELECT id, phone, region, timezone FROM contacts
WHERE workspace_id = $1 AND livemode = $2 AND id = ANY ($3::uuid[]) AND opt_in_status <> 'opted_out' ORDER BY id
"""


class _Entry(Protocol):
    workspace_id: UUID
    livemode: bool
    sequence_id: UUID
    contact_id: UUID
    entered_by: str


class _Entrant(Protocol):
    id: UUID
    phone: str
    region: str | None
    timezone: str | None


async def take_entries(services: Services, *, limit: int = BATCH, now: datetime) -> int:
    """Let contacts in that a list, keyword, tag or event brought, in the current unit of work. Return how many came.

    Those who are inside already, may not enter again, opted out, or come to a sequence that is closed, stay out.
    """
    taken = await fetch(_Entry, TAKE_ENTRIES, limit)
    wanted: dict[tuple[UUID, bool, UUID], dict[UUID, str]] = defaultdict(dict)
    for row in taken:
        wanted[row.workspace_id, row.livemode, row.sequence_id].setdefault(row.contact_id, row.entered_by)
    for (workspace_id, livemode, sequence_id), entered_by in sorted(wanted.items(), key=lambda each: each[0]):
        number = await fetch_value(FIND_OPEN, workspace_id, livemode, sequence_id)
        if number is None:
            continue
        ctx = Context(workspace_id, livemode, services=services)
        version = await current_version(ctx, sequence_id, number)
        contacts = await fetch(_Entrant, FIND_ENTRANTS, workspace_id, livemode, list(entered_by))
        await enter(ctx, version, [Entry(each, entered_by[each.id]) for each in contacts], now)
    return len(taken)


LEAVE = """
UPDATE sequence_enrollments SET state = 'left', ended_at = $1::timestamptz, leaving = coalesce(leaving, $3)
WHERE id = ANY (ARRAY({picked} ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING *
"""
LEAVE_MARKED = LEAVE.format(
    picked="SELECT id FROM sequence_enrollments WHERE leaving IS NOT NULL AND state = 'active'"
    f" AND {by_real_time('sequence_enrollments')}"
)
LEAVE_ARCHIVED = LEAVE.format(picked="SELECT id FROM sequence_enrollments WHERE sequence_id = $4 AND state = 'active'")
FIND_ARCHIVED = f"SELECT id FROM sequences WHERE status <> 'draft' AND {IS_CLEARED}"


class _Id(Protocol):
    id: UUID


async def let_out(services: Services, *, limit: int = BATCH, now: datetime) -> int:
    """End enrollments of contacts that replied, opted out or are gone, and of archived sequences. Return how many."""
    left = list(await fetch(SequenceEnrollmentRow, LEAVE_MARKED, now, limit, None))
    for row in await fetch(_Id, FIND_ARCHIVED):
        if len(left) < limit:
            archived = (now, limit - len(left), LeaveReason.ARCHIVED.value, row.id)
            left += await fetch(SequenceEnrollmentRow, LEAVE_ARCHIVED, *archived)
    await conclude_left(services, left, now)
    return len(left)


FIND_DUE_SEQUENCES = (
    f"SELECT id, workspace_id, livemode FROM sequences WHERE {IS_RUN} AND {HAS_DUE_STEPS} ORDER BY random()"
)


class DueSequence(Protocol):
    """A sequence with steps that are due."""

    id: UUID
    workspace_id: UUID
    livemode: bool


async def due_sequences(now: datetime) -> Sequence[DueSequence]:
    """Return the sequences with steps that are due, in no order, so that none always comes first."""
    return await fetch(DueSequence, FIND_DUE_SEQUENCES, now)


# The status in the statement itself: after a pause has committed no step is taken.
TAKE_DUE = """
SELECT * FROM sequence_enrollments
WHERE sequence_id = $1 AND state = 'active' AND leaving IS NULL AND due_at <= $2
    AND EXISTS (SELECT FROM sequences WHERE id = $1 AND status = 'active')
ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
"""
# What decides on a step, by PostgreSQL's rows as they are now.
FIND_FACTS = """
SELECT taken.id AS enrollment_id, c.id, c.phone, c.region, c.timezone, c.opt_in_status, {goal} AS is_reached,
    {condition} AS is_met
FROM unnest($3::uuid[], $4::uuid[]) AS taken (id, contact_id)
JOIN contacts AS c ON c.id = taken.contact_id AND c.workspace_id = $1 AND c.livemode = $2
"""
CLICKED = """EXISTS (
    SELECT FROM sequence_moves AS moved JOIN short_links AS link ON link.message_id = moved.message_id
    WHERE moved.enrollment_id = taken.id AND moved.step = {step} AND link.clicks > 0
)"""
REPLIED = """EXISTS (
    SELECT FROM sequence_moves AS moved JOIN messages AS message ON message.id = moved.message_id
    WHERE moved.enrollment_id = taken.id AND moved.step = {step} AND message.replied_at IS NOT NULL
)"""


class Facts(Protocol):
    """What decides about the step of one enrollment, and its contact."""

    enrollment_id: UUID
    id: UUID
    phone: str
    region: str | None
    timezone: str | None
    opt_in_status: str
    is_reached: bool
    is_met: bool


class _Move(NamedTuple):
    """A step that was taken: the message, or why there is none."""

    enrollment: SequenceEnrollmentRow
    message_id: UUID | None
    code: str | None


class _After(NamedTuple):
    """What an enrollment becomes."""

    id: UUID
    step: int
    state: EnrollmentState
    leaving: LeaveReason | None
    wait_until: datetime
    due_at: datetime
    ended_at: datetime | None


@dataclass(slots=True)
class _Batch:
    """What becomes of the enrollments of a batch."""

    now: datetime
    moves: list[_Move] = field(default_factory=list)
    after: list[_After] = field(default_factory=list)

    def leave(self, row: SequenceEnrollmentRow, reason: LeaveReason) -> None:
        """Let a contact leave before the step."""
        self.after.append(_After(row.id, row.step, EnrollmentState.LEFT, reason, row.wait_until, row.due_at, self.now))

    def put_off(self, row: SequenceEnrollmentRow, due_at: datetime) -> None:
        """Have the step wait for the contact's hour."""
        self.after.append(_After(row.id, row.step, EnrollmentState.ACTIVE, None, row.wait_until, due_at, None))

    def move(
        self,
        row: SequenceEnrollmentRow,
        version: Published,
        contact: Facts,
        *,
        message_id: UUID | None = None,
        code: str | None = None,
    ) -> None:
        """Take the step, and plan the next."""
        self.moves.append(_Move(row, message_id, code))
        definition, following = version.definition, row.step + 1
        if following == len(definition.steps):
            self.after.append(
                _After(row.id, following, EnrollmentState.COMPLETED, None, row.wait_until, row.due_at, self.now)
            )
            return
        anchor_at = row.anchor_at or definition.anchor_at
        step = definition.steps[following]
        due = plan(definition, step, contact, since=since_of(step, row.due_at, self.now), anchor_at=anchor_at)
        self.after.append(_After(row.id, following, EnrollmentState.ACTIVE, None, *due, None))


async def take_steps(services: Services, sequence: DueSequence, *, limit: int = BATCH, now: datetime) -> int:
    """Take up to `limit` due steps of a sequence in the current unit of work. Return how many enrollments it saw."""
    rows = await fetch(SequenceEnrollmentRow, TAKE_DUE, sequence.id, now, limit)
    if not rows:
        return 0
    ctx = Context(sequence.workspace_id, sequence.livemode, services=services)
    versions = await find_versions(ctx, {row.version_id for row in rows})
    alike: dict[tuple[UUID, int], list[SequenceEnrollmentRow]] = defaultdict(list)
    for row in rows:
        alike[row.version_id, row.step].append(row)
    batch = _Batch(now)
    for (version_id, step), group in sorted(alike.items(), key=lambda each: each[0]):
        await _take(ctx, versions[version_id], step, group, batch)
    await _write(services, batch, versions)
    return len(rows)


async def _take(
    ctx: Context, version: Published, number: int, group: Sequence[SequenceEnrollmentRow], batch: _Batch
) -> None:
    """Decide on the same step of several enrollments, and write its messages."""
    definition = version.definition
    step = definition.steps[number]
    facts = await find_facts(version, step, group, ctx=ctx)
    sending: dict[UUID, tuple[SequenceEnrollmentRow, Facts]] = {}
    for row in group:
        contact = facts.get(row.id)
        if contact is None:
            batch.leave(row, LeaveReason.CONTACT_DELETED)
            continue
        anchor_at = row.anchor_at or definition.anchor_at
        # Of an anchor that is missing, or that was moved, the wait is as it was planned.
        due_at = due_now(definition, step, contact, row.wait_until, batch.now)
        if contact.opt_in_status == OptInStatus.OPTED_OUT:
            batch.leave(row, LeaveReason.OPTED_OUT)
        elif contact.is_reached:
            batch.leave(row, LeaveReason.GOAL)
        elif is_missed(step, row.wait_until, max(batch.now, due_at)) or (
            step.anchor_minutes is not None and anchor_at is None
        ):
            batch.move(row, version, contact, code=STEP_MISSED)
        elif due_at > batch.now:
            batch.put_off(row, due_at)
        elif contact.is_met:
            sending[contact.id] = (row, contact)
        elif step.otherwise is Otherwise.LEAVE:
            batch.leave(row, LeaveReason.CONDITION)
        else:
            batch.move(row, version, contact, code=CONDITION_NOT_MET)
    if not sending:
        return
    for written in await write_step(ctx.services, version.campaign_ids[number], list(sending), batch.now):
        row, contact = sending.pop(written.contact_id)
        batch.move(row, version, contact, message_id=written.message_id, code=written.code)
    for row, _ in sending.values():
        # Deleted between the two statements.
        batch.leave(row, LeaveReason.CONTACT_DELETED)


async def find_facts(
    version: Published, step: SequenceStep, group: Sequence[SequenceEnrollmentRow], *, ctx: Context
) -> dict[UUID, Facts]:
    """Find what decides about each contact of a group: whether it has its goal, and whether the step is for it."""
    values: list[object] = [
        ctx.workspace_id,
        ctx.livemode,
        [row.id for row in group],
        [row.contact_id for row in group],
    ]
    goal = "false"
    if version.definition.goal is not None:
        compiled = compile_filter(version.definition.goal, len(values) + 1)
        goal, values = compiled.sql, [*values, *compiled.values]
    condition = "true"
    if step.only_if is not None:
        parts = _earlier(version, step.only_if)
        if step.only_if.filter is not None:
            compiled = compile_filter(step.only_if.filter, len(values) + 1)
            parts.append(compiled.sql)
            values += compiled.values
        condition = " AND ".join(parts) or "true"
    rows = await fetch(Facts, FIND_FACTS.format(goal=goal, condition=condition), *values)
    return {row.enrollment_id: row for row in rows}


def _earlier(version: Published, condition: StepCondition) -> list[str]:
    """Return the conditions on earlier steps, as SQL; the places of the steps are numbers of ours."""
    places = {step.key: place for place, step in enumerate(version.definition.steps)}
    told = (
        (condition.clicked, CLICKED),
        (condition.not_clicked, f"NOT {CLICKED}"),
        (condition.replied, REPLIED),
        (condition.not_replied, f"NOT {REPLIED}"),
    )
    return [sql.format(step=places[key]) for key, sql in told if key is not None]


WRITE_MOVES = """
INSERT INTO sequence_moves (enrollment_id, step, workspace_id, version_id, message_id, code, created_at)
SELECT *, $7::timestamptz FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::uuid[], $5::uuid[], $6::varchar[])
"""
MOVE_ON = """
UPDATE sequence_enrollments SET step = moved.step, state = moved.state, leaving = moved.leaving,
    wait_until = moved.wait_until, due_at = moved.due_at, ended_at = moved.ended_at
FROM unnest($1::uuid[], $2::smallint[], $3::varchar[], $4::varchar[], $5::timestamptz[], $6::timestamptz[],
    $7::timestamptz[]) AS moved (id, step, state, leaving, wait_until, due_at, ended_at)
WHERE sequence_enrollments.id = moved.id RETURNING sequence_enrollments.*
"""


async def _write(services: Services, batch: _Batch, versions: Mapping[UUID, Published]) -> None:
    """Write what became of a batch: the steps under their key, the enrollments, and the events of those that ended."""
    moves, after = batch.moves, batch.after
    if moves:
        await execute(
            WRITE_MOVES,
            [move.enrollment.id for move in moves],
            [move.enrollment.step for move in moves],
            [move.enrollment.workspace_id for move in moves],
            [move.enrollment.version_id for move in moves],
            [move.message_id for move in moves],
            [move.code for move in moves],
            batch.now,
        )
    rows = await fetch(
        SequenceEnrollmentRow,
        MOVE_ON,
        [each.id for each in after],
        [each.step for each in after],
        [each.state.value for each in after],
        [None if each.leaving is None else each.leaving.value for each in after],
        [each.wait_until for each in after],
        [each.due_at for each in after],
        [each.ended_at for each in after],
    )
    completed = [row for row in rows if row.state == EnrollmentState.COMPLETED]
    await record_enrollments(EventType.SEQUENCE_COMPLETED, completed, versions, batch.now)
    await conclude_left(services, [row for row in rows if row.state == EnrollmentState.LEFT], batch.now)


FIND_RETIRED = f"""
SELECT version.id, version.campaign_ids FROM sequences JOIN sequence_versions AS version
    ON version.sequence_id = sequences.id AND version.retired_at IS NULL AND version.number < sequences.number
WHERE sequences.status <> 'draft' AND {IS_RETIRED} AND NOT EXISTS (
    SELECT FROM sequence_enrollments WHERE version_id = version.id AND state = 'active'
) ORDER BY version.id LIMIT $1
"""
END_CAMPAIGNS = """
UPDATE campaigns SET status = 'completed', completed_at = $2, pause_reason = NULL, resume_status = NULL
WHERE id = ANY ($1::uuid[]) AND sequence_id IS NOT NULL AND status IN ('sending', 'paused')
"""


class _Retired(Protocol):
    id: UUID
    campaign_ids: list[str]


async def retire_versions(*, limit: int = 20, now: datetime) -> int:
    """End the campaigns of versions that were followed by another and are empty, their messages all settled.

    Return how many versions.
    """
    retired = 0
    for row in await fetch(_Retired, FIND_RETIRED, limit):
        campaign_ids = [UUID(each) for each in row.campaign_ids]
        if sum([await count_open(id) for id in campaign_ids]):
            continue
        await execute(END_CAMPAIGNS, campaign_ids, now)
        await execute("UPDATE sequence_versions SET retired_at = $2 WHERE id = $1", row.id, now)
        retired += 1
    return retired
