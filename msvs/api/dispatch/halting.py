"""Halt a campaign: a pause or cancellation takes effect before its next hand-over.

It waits for no claim and no chunk under way: what they still write is never handed over. Only the start of a hand-over,
a statement, shares the lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msvs import present
from msvs.api.context import Context
from msvs.api.dispatch.campaign_stats import TALLIES, Tally, in_months_of
from msvs.database import fetch_row
from msvs.models.rows import CampaignRow

SHARE_CAMPAIGN = "SELECT moment, halted FROM share_campaign($1)"

# All in one, as on a busy machine each statement of an answer waits for its turn. The lock first, so that no hand-over
# begins from then on; the row as it is under both.
HALT = f"""
WITH held AS MATERIALIZED (
    SELECT id AS campaign_id, halt_campaign(id) AS moment FROM campaigns
    WHERE id = $1 AND workspace_id = $2 AND livemode = $3 AND {{of}}
), locked AS MATERIALIZED (
    SELECT campaign_id, moment, status AS before FROM held JOIN campaigns ON campaigns.id = campaign_id
    WHERE status IN ('scheduled', 'preparing', 'sending', 'paused') FOR UPDATE OF campaigns
)
UPDATE campaigns SET {{change}} FROM locked WHERE campaigns.id = campaign_id
RETURNING campaigns.*, before, moment, {TALLIES} AS tallies
"""
TO_PAUSE = (
    "resume_status = CASE WHEN status = 'paused' THEN resume_status ELSE status END, status = 'paused',"
    " pause_reason = 'manual'"
)
TO_CANCEL = "status = 'canceled', canceled_at = moment, pause_reason = NULL"
# A step of a sequence is halted with the sequence, and never by itself.
ALONE, STEP = "sequence_id IS NULL", "sequence_id IS NOT NULL"
PAUSE, CANCEL = (HALT.replace("{of}", ALONE).replace("{change}", change) for change in (TO_PAUSE, TO_CANCEL))
PAUSE_STEP, CANCEL_STEP = (HALT.replace("{of}", STEP).replace("{change}", change) for change in (TO_PAUSE, TO_CANCEL))


class HaltedCampaign(CampaignRow, Protocol):
    """A campaign that was halted, with its status before, the time at which it stood still, and its tallies."""

    @property
    def before(self) -> str: ...

    @property
    def moment(self) -> datetime: ...

    @property
    def tallies(self) -> Sequence[Tally]: ...


async def begin_part(campaign_id: UUID) -> datetime | None:
    """Return the time by PostgreSQL's clock, by which nobody halted a campaign, or None if somebody did.

    A campaign that paused itself, for want of credits, still hands over what it has paid.
    """
    row = await fetch_row(SHARE_CAMPAIGN, campaign_id)
    return None if row is None or row.halted else row.moment


async def halt(ctx: Context, campaign_id: UUID, statement: str) -> HaltedCampaign | None:
    """Halt a campaign by PAUSE or CANCEL, or return None if the caller has no such campaign that has not ended.

    No hand-over of it begins until the transaction ends, and none after it.
    """
    if (at := present.moment()) is not None:
        # By the clock of the sandbox, which runs ahead of PostgreSQL's.
        statement = statement.replace("halt_campaign(id)", f"greatest(halt_campaign(id), '{at.isoformat()}')")
    values = (campaign_id, ctx.workspace_id, ctx.livemode)
    return await fetch_row(HaltedCampaign, in_months_of([campaign_id], statement), *values)
