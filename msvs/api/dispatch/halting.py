"""Halting: a pause or a cancellation of a campaign takes hold before any further hand-over of it.

It waits for no claim and no chunk under way: what they still write is never handed over. Only the start of a hand-over,
a statement, shares the lock.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msvs.database import fetch_row, fetch_value

SHARE = "SELECT moment, halted FROM share_campaign($1)"


async def begin_part(campaign_id: UUID) -> datetime | None:
    """Return the time by PostgreSQL's clock, by which nobody halted a campaign, or None where somebody did.

    A campaign that paused itself, for want of credits, still hands over what it has paid.
    """
    row = await fetch_row(SHARE, campaign_id)
    return None if row is None or row.halted else row.moment


async def halt_run(campaign_id: UUID) -> datetime:
    """Have a campaign's run to oneself until the transaction ends; the time at which it stood still.

    No hand-over begins meanwhile. The caller says in the same transaction that the campaign is halted.
    """
    moment: datetime = await fetch_value("SELECT halt_campaign($1)", campaign_id)
    return moment
