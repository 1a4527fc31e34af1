"""Pausing a campaign for a reason of the service's own."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msvs.api.campaign_stats import campaign_stats
from msvs.api.events import EventType, NewEvent, record_events
from msvs.api.resources import campaign_resource
from msvs.database import fetch

INSUFFICIENT_CREDITS = "insufficient_credits"
MISSED = "missed"
MANUAL = "manual"


async def pause_for_credits(campaign_id: UUID, now: datetime) -> None:
    """Pause a running campaign that the balance no longer covers; it goes on by itself after a top-up."""
    rows = await fetch(
        "UPDATE campaigns SET resume_status = status, status = 'paused', pause_reason = $2"
        " WHERE id = $1 AND status IN ('preparing', 'sending') RETURNING *",
        campaign_id,
        INSUFFICIENT_CREDITS,
    )
    stats = await campaign_stats([row.id for row in rows])
    await record_events(
        (
            NewEvent(
                EventType.CAMPAIGN_PAUSED,
                row.workspace_id,
                row.livemode,
                row.id,
                campaign_resource(row, stats[row.id]),
            )
            for row in rows
        ),
        now,
    )
