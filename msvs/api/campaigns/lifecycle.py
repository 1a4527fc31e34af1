"""The lifecycle of a campaign: due, started, expanded, dispatched, completed, in repeatable transactions."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from msvs.api.campaigns import audiences
from msvs.api.campaigns.ab_tests import end_test
from msvs.api.campaigns.approvals import announce_request, hold, is_unapproved, outgrown
from msvs.api.campaigns.campaigns import pause_start
from msvs.api.campaigns.exclusions import find_kept
from msvs.api.campaigns.preflights import find_tripped
from msvs.api.context import Context, Services
from msvs.api.dispatch import open_months
from msvs.api.dispatch.campaign_events import record_campaign_event
from msvs.api.dispatch.campaign_stats import count_open
from msvs.api.dispatch.cancellation import cancel_campaign_messages
from msvs.api.dispatch.lane_bounds import NONE, Bound
from msvs.api.dispatch.pausing import EXCLUSION_MISSING, GUARD_RAIL, MISSED
from msvs.api.unit_of_work import WorkQueue, notify_after_commit, unit_of_work
from msvs.api.webhooks.events import EventType
from msvs.clock_schema import by_real_time
from msvs.database import execute, fetch, fetch_row, fetch_value
from msvs.looks import Pace
from msvs.models import Campaign, CampaignStatus
from msvs.models.campaigns import Tripped

HAS_CAMPAIGN_WORK = f"""
SELECT EXISTS (
    SELECT FROM campaigns WHERE status IN ('scheduled', 'preparing', 'sending', 'paused')
        AND (status = 'preparing' AND {by_real_time("campaigns")} OR (status = 'scheduled' AND scheduled_at <= $1)
            OR (status = 'paused' AND pause_reason IN ('insufficient_credits', 'daily_cap'))
            OR (status = 'sending' AND winner IS NULL AND test_ends_at <= $1))
)
"""
# The first of what is left of each canceled campaign, from where that is known to begin. One that is complete has
# nothing left: nobody looks for it again.
FIND_UNCLEARED = (
    """
SELECT campaigns.id, workspace_id, livemode, recipient.phone, message.due_at, message.id AS message_id
FROM campaigns
LEFT JOIN unnest($2::uuid[], $3::varchar[], $4::timestamptz[], $5::uuid[]) AS known (campaign_id, phone, due_at, id)
    ON known.campaign_id = campaigns.id
LEFT JOIN LATERAL (
    SELECT phone FROM campaign_recipients WHERE campaign_id = campaigns.id AND phone >= coalesce(known.phone, '')
    ORDER BY phone LIMIT 1
) AS recipient ON true
LEFT JOIN LATERAL (
    SELECT due_at, id FROM messages WHERE status = 'queued' AND campaign_id = campaigns.id AND {in_months}
        AND (due_at, id) >= (coalesce(known.due_at, $6), coalesce(known.id, $7))
    ORDER BY due_at, id LIMIT 1
) AS message ON true
WHERE status = 'canceled' AND completed_at IS NULL AND canceled_at > $1::timestamptz - interval '7 days'
"""
    + f"    AND {by_real_time('campaigns')}\n"
)

# From the phone where the batch before ended, as CANCEL_LANE.
DELETE_RECIPIENTS = """
DELETE FROM campaign_recipients WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM campaign_recipients WHERE campaign_id = $1 AND phone >= $3
    ORDER BY phone LIMIT $2 FOR UPDATE SKIP LOCKED
)) RETURNING phone
"""

# Seconds between two messages of a campaign that count as a pace.
SHORTEST_INTERVAL = 0.0001


async def has_work(services: Services, now: datetime) -> bool:
    """Return whether a campaign is due, not all expanded, waiting for credits, a new day or its winner, or canceled
    with messages left.
    """
    return bool(await fetch_value(HAS_CAMPAIGN_WORK, now) or await canceled_campaigns(services, now))


async def due_campaigns(now: datetime) -> list[UUID]:
    """Campaigns to start or to expand further, the oldest first."""
    rows = await fetch(
        "SELECT id FROM campaigns WHERE status IN ('scheduled', 'preparing', 'sending', 'paused')"
        f" AND (status = 'preparing' AND {by_real_time('campaigns')}"
        " OR (status = 'scheduled' AND scheduled_at <= $1)) ORDER BY id",
        now,
    )
    return [row.id for row in rows]


# One process at a time. Not by the campaign's row, for which a pause or a cancellation would wait through the chunk.
START_ALONE = "SELECT pg_try_advisory_xact_lock(hashtextextended('start:' || $1::uuid, 0))"
FIND_ROW_VERSION = "SELECT xmin::text FROM campaigns WHERE id = $1"
ADVANCE = """
UPDATE campaigns SET status = $8, started_at = $3, interval_seconds = $4, audience_until = $5, audience_after = $6,
    audience_count = $7, resume_status = $9, pause_reason = $10, approval = $11::jsonb
WHERE id = $1 AND xmin::text = $2
"""


class _Overtaken(Exception):
    """Somebody changed the campaign while a chunk of its audience was fixed, so that the chunk is taken back."""


async def start_campaign(
    services: Services, campaign_id: UUID, now: datetime, *, limit: int = audiences.FIX_CHUNK
) -> bool | None:
    """Bring a due campaign's start forward by a chunk of its audience, or pause it where its hour is over.

    Whether it now runs; None if there is nothing to do: it is not due, another is at it, or it was halted meanwhile.
    """
    try:
        async with unit_of_work():
            is_alone = await fetch_value(START_ALONE, campaign_id)
            return await _start(services, campaign_id, now, limit) if is_alone else None
    except _Overtaken:
        return None


async def _start(services: Services, campaign_id: UUID, now: datetime, limit: int) -> bool | None:
    version = await fetch_value(FIND_ROW_VERSION, campaign_id)
    campaign = await Campaign.filter(id=campaign_id).first()
    if campaign is None or campaign.status not in (CampaignStatus.SCHEDULED, CampaignStatus.PREPARING):
        return None
    if campaign.started_at is not None:
        return True
    if is_unapproved(campaign):
        # Nothing sets it going without one; this is the last gate before its messages.
        return None
    if campaign.status == CampaignStatus.SCHEDULED:
        assert campaign.scheduled_at is not None
        if campaign.scheduled_at > now:
            return None
        if now - campaign.scheduled_at > audiences.MAX_LATE:
            await _pause_start(campaign_id, version, MISSED, now)
            return None
    if campaign.exclusions:
        ctx = Context(campaign.workspace_id, campaign.livemode, services=services)
        if await find_kept(ctx, campaign.exclusions) != campaign.exclusions:
            # Its members would get what they are to be spared.
            await _pause_start(campaign_id, version, EXCLUSION_MISSING, now)
            return None
    if campaign.audience_until is None:
        tripped = await find_tripped(services, campaign, now)
        if tripped is not None:
            await _pause_start(campaign_id, version, GUARD_RAIL, now, tripped)
            return None
    is_fixed = await audiences.fix_chunk(services, campaign, limit=limit)
    campaign.status = CampaignStatus.PREPARING
    too_many = await outgrown(services, campaign) if is_fixed else None
    if too_many is not None:
        hold(campaign, campaign.launched_by, too_many, now)
    elif is_fixed:
        _begin(campaign, now)
    advanced = await execute(
        ADVANCE,
        campaign_id,
        version,
        campaign.started_at,
        campaign.interval_seconds,
        campaign.audience_until,
        campaign.audience_after,
        campaign.audience_count,
        campaign.status.value,
        None if campaign.resume_status is None else campaign.resume_status.value,
        campaign.pause_reason,
        campaign.approval,
    )
    if not advanced:
        raise _Overtaken
    if too_many is not None:
        await announce_request(campaign, now)
        return None
    if is_fixed:
        await record_campaign_event(EventType.CAMPAIGN_STARTED, campaign, now)
    return is_fixed


async def _pause_start(
    campaign_id: UUID, version: str, reason: str, now: datetime, tripped: Tripped | None = None
) -> None:
    campaign = await Campaign.filter(id=campaign_id).select_for_update(skip_locked=True).first()
    if campaign is not None and await fetch_value(FIND_ROW_VERSION, campaign_id) == version:
        if tripped is not None and campaign.guard_rails is not None:
            campaign.guard_rails = {**campaign.guard_rails, "tripped": tripped}
            await campaign.save(update_fields=["guard_rails"])
        await pause_start(campaign, reason, now)


def _begin(campaign: Campaign, now: datetime) -> None:
    campaign.started_at = now
    if campaign.spread_hours is not None:
        interval = campaign.spread_hours * 3600 / max(1, campaign.audience_count)
        # Faster than any carrier: that is no pace.
        campaign.interval_seconds = interval if interval >= SHORTEST_INTERVAL else 0.0


HAS_RECIPIENTS = "SELECT EXISTS (SELECT FROM campaign_recipients WHERE campaign_id = $1)"
# Those whose variant is set are in the test. Both by one look: others take recipients meanwhile.
FIND_LEFT = """
SELECT EXISTS (SELECT FROM campaign_recipients WHERE campaign_id = $1) AS is_left,
    EXISTS (SELECT FROM campaign_recipients WHERE campaign_id = $1 AND variant IS NOT NULL) AS is_testing
"""


class _Left(Protocol):
    is_left: bool
    is_testing: bool


async def finish_expansion(campaign_id: UUID, now: datetime) -> bool:
    """Mark a campaign dispatched once no recipient is left to expand. Return whether this call did.

    Where others wait for the winner of its test, it is the test that ends.
    """
    campaign = await Campaign.filter(id=campaign_id, status=CampaignStatus.PREPARING).select_for_update().first()
    if campaign is None or campaign.started_at is None:
        return False
    left = await fetch_row(_Left, FIND_LEFT, campaign_id)
    assert left is not None, "it is one row"
    if campaign.ab_test is not None and campaign.winner is None:
        if left.is_testing:
            return False
        if left.is_left:
            await end_test(campaign, now)
            return True
        campaign.tested_at = now
    if left.is_left:
        return False
    campaign.status = CampaignStatus.SENDING
    campaign.dispatched_at = now
    await campaign.save(update_fields=["status", "dispatched_at", "tested_at"])
    await record_campaign_event(EventType.CAMPAIGN_DISPATCHED, campaign, now)
    notify_after_commit(WorkQueue.MAINTENANCE)
    return True


# A campaign that was canceled before it began has nothing to complete. What is older was so before that was told. The
# step of a sequence ends with its version.
IS_COMPLETABLE = """
sequence_id IS NULL AND (status = 'sending' OR (status = 'canceled' AND started_at IS NOT NULL AND completed_at IS NULL
    AND canceled_at > now() - interval '7 days'))
"""


async def ending_campaigns() -> list[UUID]:
    """Campaigns that are dispatched, or canceled after they began, and not complete."""
    statement = f"SELECT id FROM campaigns WHERE {IS_COMPLETABLE} AND {by_real_time('campaigns')} ORDER BY id"
    return [row.id for row in await fetch(statement)]


async def complete_campaign(campaign_id: UUID, now: datetime) -> bool:
    """Complete a campaign none of whose recipients can change any more. Return whether this call did.

    One that was canceled stays so, and is told of once its last message has come to its end.
    """
    if await _is_open(campaign_id):
        return False
    campaign = await Campaign.filter(id=campaign_id).select_for_update().first()
    if campaign is None or not _is_completable(campaign) or await _is_open(campaign_id):
        return False
    if campaign.status == CampaignStatus.SENDING:
        campaign.status = CampaignStatus.COMPLETED
    campaign.completed_at = now
    await campaign.save(update_fields=["status", "completed_at"])
    await record_campaign_event(EventType.CAMPAIGN_COMPLETED, campaign, now)
    return True


def _is_completable(campaign: Campaign) -> bool:
    if campaign.sequence_id is not None:
        return False
    if campaign.status == CampaignStatus.SENDING:
        return True
    is_canceled = campaign.status == CampaignStatus.CANCELED
    return is_canceled and campaign.started_at is not None and campaign.completed_at is None


async def _is_open(campaign_id: UUID) -> bool:
    """Return whether a message of a campaign may still change, or a recipient become one."""
    if await count_open(campaign_id):
        return True
    return bool(await fetch_value(HAS_RECIPIENTS, campaign_id))


@dataclass(frozen=True, slots=True)
class Cleared:
    """How many messages or recipients of a canceled campaign a batch cleared, and the places where it ended."""

    number: int = 0
    phone: str = ""
    bound: Bound = NONE


# Comes after everybody, and after everything.
LAST_PHONE = "+" + 20 * "9"
LAST = Bound(datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))


class ClearingPlaces:
    """Where what is left of canceled campaigns begins, as this process found it: all else is passed by full looks.

    Nothing is added to a canceled campaign but what a worker gives back.
    """

    def __init__(self) -> None:
        self.pace = Pace()
        self.places: dict[UUID, Cleared] = {}


class _Uncleared(Protocol):
    id: UUID
    workspace_id: UUID
    livemode: bool
    phone: str | None
    due_at: datetime | None
    message_id: UUID | None


async def canceled_campaigns(services: Services, now: datetime) -> list[tuple[UUID, Context]]:
    """Return canceled campaigns that still have queued messages or recipients to expand."""
    _, months = await open_months.look()
    known = services.keep(ClearingPlaces)
    is_full, began = known.pace.is_full, time.monotonic()
    places = {} if is_full else known.places
    rows = await fetch(
        _Uncleared,
        open_months.between(FIND_UNCLEARED, months),
        now,
        list(places),
        [place.phone for place in places.values()],
        [place.bound.due_at for place in places.values()],
        [place.bound.id for place in places.values()],
        NONE.due_at,
        NONE.id,
    )
    if is_full:
        known.pace.note(time.monotonic() - began)
    known.places = {row.id: Cleared(0, row.phone or LAST_PHONE, _bound_of(row)) for row in rows}
    return [
        (row.id, Context(row.workspace_id, row.livemode, services=services))
        for row in rows
        if row.phone is not None or row.message_id is not None
    ]


def _bound_of(row: _Uncleared) -> Bound:
    return LAST if row.due_at is None or row.message_id is None else Bound(row.due_at, row.message_id)


async def clear_canceled(
    campaign_id: UUID, ctx: Context, *, limit: int, now: datetime, since: Cleared | None = None
) -> Cleared:
    """Cancel up to `limit` waiting messages of a canceled campaign and forget as many of who is not yet expanded.

    It goes on where an earlier batch ended, or where a look found the first. The greater number of both: `limit` where
    there may be more.
    """
    if since is None:
        since = ctx.services.keep(ClearingPlaces).places.get(campaign_id, Cleared())
    phones = [row.phone for row in await fetch(DELETE_RECIPIENTS, campaign_id, limit, since.phone)]
    canceled, bound = await cancel_campaign_messages(ctx, campaign_id, limit=limit, now=now, since=since.bound)
    return Cleared(max(len(phones), canceled), max(phones, default=since.phone), bound)
