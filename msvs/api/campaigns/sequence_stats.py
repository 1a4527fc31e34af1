"""The statistics of sequences: who entered, is inside and left, and what became of each step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from msvs.api import ids
from msvs.api.campaigns.sequence_shapes import SequenceCounts, SequenceStatsResource, SequenceStepStats
from msvs.api.campaigns.sequence_versions import published
from msvs.api.context import Context
from msvs.api.dispatch.campaign_stats import campaign_stats
from msvs.api.scope import find, scoped
from msvs.database import fetch
from msvs.models import EnrollmentState, MessageSequence, SequenceVersion
from msvs.replica_reads import from_replica

# How many versions are told of, the newest first.
MOST_VERSIONS = 20

COUNT_STATES = """
SELECT sequence_id, state, CASE WHEN state = 'left' THEN leaving END AS reason, count(*) AS contacts
FROM sequence_enrollments WHERE workspace_id = $1 AND livemode = $2 AND sequence_id = ANY ($3::uuid[]) GROUP BY 1, 2, 3
"""
COUNT_PLACES = """
SELECT version_id, step, state, count(*) AS contacts FROM sequence_enrollments
WHERE workspace_id = $1 AND livemode = $2 AND version_id = ANY ($3::uuid[]) AND state <> 'completed' GROUP BY 1, 2, 3
"""
COUNT_MOVES = """
SELECT version_id, step, code, count(*) AS contacts FROM sequence_moves
WHERE workspace_id = $1 AND version_id = ANY ($2::uuid[]) GROUP BY 1, 2, 3
"""
# Skipped after the step was taken, by a cap or an opt-out in between: messages say why, for as long as they are kept.
COUNT_LATER = """
SELECT campaign_id, error_code AS code, count(*) AS contacts FROM messages
WHERE workspace_id = $1 AND livemode = $2 AND campaign_id = ANY ($3::uuid[]) AND status = 'skipped'
GROUP BY 1, 2
"""


class _States(Protocol):
    sequence_id: UUID
    state: str
    reason: str | None
    contacts: int


class _Places(Protocol):
    version_id: UUID
    step: int
    state: str
    contacts: int


class _Moves(Protocol):
    version_id: UUID
    step: int
    code: str | None
    contacts: int


class _Later(Protocol):
    campaign_id: UUID
    code: str
    contacts: int


@from_replica
async def sequence_stats(ctx: Context, sequence_ids: Sequence[UUID]) -> dict[UUID, SequenceCounts]:
    """Return the stats of the caller's sequences, by id."""
    stats = {id: SequenceCounts(left_by_reason={}) for id in sequence_ids}
    if not stats:
        return stats
    for row in await fetch(_States, COUNT_STATES, ctx.workspace_id, ctx.livemode, list(stats)):
        found = stats[row.sequence_id]
        found.entered += row.contacts
        if row.state == EnrollmentState.ACTIVE:
            found.inside += row.contacts
        elif row.state == EnrollmentState.COMPLETED:
            found.completed += row.contacts
        else:
            found.left += row.contacts
            reason = row.reason or ""
            found.left_by_reason[reason] = found.left_by_reason.get(reason, 0) + row.contacts
    return stats


@from_replica
async def read_stats(ctx: Context, id: UUID) -> SequenceStatsResource:
    """Return the statistics of a sequence, with each step of its newest versions. Raises NotFound."""
    await find(ctx, MessageSequence, id, prefix=ids.SEQUENCE, noun="sequence")
    rows = await scoped(ctx, SequenceVersion).filter(sequence_id=id).order_by("-number").limit(MOST_VERSIONS)
    versions = [published(row) for row in rows]
    version_ids = [version.id for version in versions]
    campaign_ids = [each for version in versions for each in version.campaign_ids]
    steps: dict[tuple[UUID, int], SequenceStepStats] = {}
    for version in versions:
        for place, campaign_id in enumerate(version.campaign_ids):
            steps[version.id, place] = SequenceStepStats(
                sequence_version=version.number,
                key=version.definition.steps[place].key,
                position=place,
                campaign_id=ids.encode_id(ids.CAMPAIGN, campaign_id),
                skipped_by_reason={},
            )
    await _count_contacts(ctx, steps, version_ids)
    of_campaign = {
        campaign_id: steps[version.id, place]
        for version in versions
        for place, campaign_id in enumerate(version.campaign_ids)
    }
    await _count_messages(ctx, of_campaign, campaign_ids)
    stats = (await sequence_stats(ctx, [id]))[id]
    return SequenceStatsResource(id=ids.encode_id(ids.SEQUENCE, id), stats=stats, steps=[*steps.values()])


async def _count_contacts(
    ctx: Context, steps: dict[tuple[UUID, int], SequenceStepStats], version_ids: Sequence[UUID]
) -> None:
    for place in await fetch(_Places, COUNT_PLACES, ctx.workspace_id, ctx.livemode, list(version_ids)):
        found = steps[place.version_id, place.step]
        if place.state == EnrollmentState.ACTIVE:
            found.waiting += place.contacts
        else:
            found.left += place.contacts
    for move in await fetch(_Moves, COUNT_MOVES, ctx.workspace_id, list(version_ids)):
        found = steps[move.version_id, move.step]
        found.entered += move.contacts
        if move.code is not None:
            found.skipped += move.contacts
            found.skipped_by_reason[move.code] = move.contacts


async def _count_messages(ctx: Context, steps: dict[UUID, SequenceStepStats], campaign_ids: Sequence[UUID]) -> None:
    """Add what became of the messages, from the tallies of their campaigns."""
    later: dict[UUID, dict[str, int]] = defaultdict(dict)
    for row in await fetch(_Later, COUNT_LATER, ctx.workspace_id, ctx.livemode, list(campaign_ids)):
        later[row.campaign_id][row.code] = row.contacts
    for campaign_id, tallied in (await campaign_stats(campaign_ids)).items():
        found = steps[campaign_id]
        found.queued = tallied.queued + tallied.sending
        found.sent = tallied.sent
        found.delivered = tallied.delivered
        found.failed = tallied.failed
        found.canceled = tallied.canceled
        found.clicked = tallied.unique_clicks
        found.replied = tallied.replied
        found.opted_out = tallied.opted_out
        found.credits_used = tallied.credits_used
        found.conversions = tallied.conversions
        found.conversion_rate = tallied.conversion_rate
        found.revenue = tallied.revenue
        # Those of the messages count in place of what the step knew of them.
        for code, contacts in later[campaign_id].items():
            more = contacts - found.skipped_by_reason.get(code, 0)
            if more > 0:
                found.skipped_by_reason[code] = contacts
                found.skipped += more
