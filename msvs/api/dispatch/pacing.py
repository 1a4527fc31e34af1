"""Pace campaigns: lock the running campaign of a claim, and count its messages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from msvs.api import settings_of_mode
from msvs.database import execute, fetch_row

RUNNING = """
SELECT campaigns.id, campaigns.interval_seconds, campaigns.slots_taken, campaigns.paced_from,
    campaigns.respects_quiet_hours, campaigns.contact_daily_cap, campaigns.contact_weekly_cap,
    settings.campaigns_admit_unknown
FROM campaigns JOIN workspaces ON workspaces.id = campaigns.workspace_id {settings}
WHERE campaigns.id = $1 AND campaigns.status IN ('preparing', 'sending')
""".format(settings=settings_of_mode.JOIN.format(livemode="campaigns.livemode"))
# A paced campaign's claims count its slots one after the other. Not by the campaign's row, for which a halt would wait.
HOLD_SLOTS = "SELECT pg_advisory_xact_lock(hashtextextended('pace:' || $1::uuid, 0))"
# What a paced campaign may catch up at once.
PACE_BURST = timedelta(seconds=2)
MOST_AT_ONCE = 100_000


class RunningCampaign(Protocol):
    """The columns of a campaign that a claim reads, as in RUNNING."""

    id: UUID
    interval_seconds: float
    slots_taken: int
    paced_from: datetime | None
    respects_quiet_hours: bool
    campaigns_admit_unknown: bool
    contact_daily_cap: int | None
    contact_weekly_cap: int | None


async def running_campaign(campaign_id: UUID) -> RunningCampaign | None:
    """Return the campaign if it runs. What is claimed of one halted meanwhile is given back, not handed over."""
    campaign = await fetch_row(RunningCampaign, RUNNING, campaign_id)
    if campaign is not None and campaign.interval_seconds > 0:
        await fetch_row(HOLD_SLOTS, campaign_id)
        return await fetch_row(RunningCampaign, RUNNING, campaign_id)
    return campaign


def paced_limit(campaign: RunningCampaign, limit: int, now: datetime) -> int:
    """Return how many recipients of a campaign may be handed over now, at most `limit`."""
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


async def take_slots(campaign: RunningCampaign, number: int, now: datetime) -> None:
    """Count hand-overs of a paced campaign; one that fell behind starts its count again rather than catch up."""
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
