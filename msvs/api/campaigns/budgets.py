"""Hold the expansion of a campaign to its `max_credits`: what is queued never costs more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from msvs.api.dispatch.campaign_events import record_campaign_event
from msvs.api.dispatch.pausing import GUARD_RAIL
from msvs.api.webhooks.events import EventType
from msvs.database import execute, fetch_row
from msvs.models.campaigns import GuardRails, Tripped
from msvs.models.rows import CampaignRow

# Its row is locked from here to the end of the chunk's transaction, so that chunks that are written at once count one
# after the other.
PLAN_CREDITS = """
UPDATE campaigns SET planned_credits = planned_credits + $2
WHERE id = $1 AND (
    (guard_rails ->> 'lifted')::bool OR planned_credits + $2 <= (guard_rails ->> 'max_credits')::bigint
)
"""
# Where a pause or a cancellation came first, that stands.
PAUSE_OVER_BUDGET = """
UPDATE campaigns SET resume_status = status, status = 'paused', pause_reason = $2, pause_mark = NULL,
    guard_rails = guard_rails || jsonb_build_object('tripped', jsonb_build_object(
        'guard', 'max_credits', 'measure', 'credits', 'limit', guard_rails -> 'max_credits',
        'expected', guard_rails -> 'expected_credits', 'found', planned_credits + $3::bigint
    ))
WHERE id = $1 AND status = 'preparing' AND NOT coalesce((guard_rails ->> 'lifted')::bool, false) RETURNING *
"""


class OverBudget(Exception):
    """The messages of a chunk would cost more than is left of `max_credits`; nothing of the chunk is written."""

    def __init__(self, campaign_id: UUID, credits: int) -> None:
        super().__init__()
        self.campaign_id = campaign_id
        self.credits = credits


async def plan_credits(campaign_id: UUID, guard_rails: GuardRails | None, credits: int) -> None:
    """Count what the messages of a chunk cost, in its transaction. Raises OverBudget.

    Nothing is counted of a campaign without `max_credits`.
    """
    if has_budget(guard_rails) and credits and not await execute(PLAN_CREDITS, campaign_id, credits):
        raise OverBudget(campaign_id, credits)


def has_budget(guard_rails: GuardRails | None) -> bool:
    """Return whether a campaign's messages are held to a number of credits."""
    return guard_rails is not None and guard_rails.get("max_credits") is not None and not guard_rails.get("lifted")


async def pause_over_budget(over: OverBudget, now: datetime) -> None:
    """Pause a campaign whose next chunk costs more than is left, in a transaction of its own."""
    row = await fetch_row(CampaignRow, PAUSE_OVER_BUDGET, over.campaign_id, GUARD_RAIL, over.credits)
    if row is not None:
        await record_campaign_event(EventType.CAMPAIGN_PAUSED, row, now)


def exceeded(guard_rails: GuardRails, found: Mapping[str, int]) -> Tripped | None:
    """Return the first guard rail that what was found is beyond; None if it is within all.

    `found` are the credits and recipients as they are.
    """
    most, drift = guard_rails.get("max_credits"), guard_rails.get("max_drift")
    if most is not None and found["credits"] > most:
        expected = guard_rails.get("expected_credits")
        return Tripped(guard="max_credits", measure="credits", limit=most, expected=expected, found=found["credits"])
    expectations = {
        "recipients": guard_rails.get("expected_recipients"),
        "credits": guard_rails.get("expected_credits"),
    }
    for measure, expected in expectations.items():
        if drift is None or expected is None:
            continue
        if abs(found[measure] - expected) > drift * max(expected, 1):
            return Tripped(guard="max_drift", measure=measure, limit=drift, expected=expected, found=found[measure])
    return None
