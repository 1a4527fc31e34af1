"""Pause a campaign for a reason of the service itself."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msvs.api.credits import caps
from msvs.api.dispatch.campaign_events import record_campaign_event
from msvs.api.webhooks.events import EventType
from msvs.database import fetch

INSUFFICIENT_CREDITS = "insufficient_credits"
DAILY_CAP = "daily_cap"
MISSED = "missed"
EXCLUSION_MISSING = "exclusion_missing"
GUARD_RAIL = "guard_rail"
MANUAL = "manual"
APPROVAL_REQUIRED = "approval_required"


async def pause_for_credits(campaign_id: UUID, left: caps.Spendable, now: datetime) -> None:
    """Pause a running campaign that the balance, or the daily cap, no longer covers.

    It goes on by itself: after a top-up, or on the next UTC day or once the cap is raised. `left` is what fell short.
    Where other claims of the campaign are under way nothing is done: they want the balance that the caller holds, so
    that to wait for them would be forever, and the last of them finds out as much and pauses it.
    """
    rows = await fetch(
        "UPDATE campaigns SET resume_status = status, status = 'paused', pause_reason = $2, pause_mark = $3"
        " WHERE id = (SELECT id FROM campaigns WHERE id = $1 AND status IN ('preparing', 'sending')"
        " FOR NO KEY UPDATE SKIP LOCKED) RETURNING *",
        campaign_id,
        DAILY_CAP if left.limit == caps.DAILY_CAP_REACHED else INSUFFICIENT_CREDITS,
        left.mark(left.limit),
    )
    for row in rows:
        await record_campaign_event(EventType.CAMPAIGN_PAUSED, row, now)
