"""Halting: a pause or a cancellation of a campaign takes hold before any further claim, chunk or hand-over of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msvs.database import fetch_row, fetch_value

SHARE = "SELECT moment, runs, halted FROM share_campaign($1)"


async def share_run(campaign_id: UUID) -> bool:
    """Hold a campaign's run until the transaction ends. Return whether it runs.

    Any number share a run. They wait for whoever halts it, also for one that still waits itself.
    """
    row = await fetch_row(SHARE, campaign_id)
    return row is not None and row.runs


async def begin_part(campaign_id: UUID) -> datetime | None:
    """Return the time by PostgreSQL's clock, by which nobody halted a campaign, or None where somebody did.

    A campaign that paused itself, for want of credits, still hands over what it has paid.
    """
    row = await fetch_row(SHARE, campaign_id)
    return None if row is None or row.halted else row.moment


async def halt_run(campaign_id: UUID) -> datetime:
    """Have a campaign's run to oneself until the transaction ends; the time at which it stood still.

    Claims and chunks under way end first; nothing new begins meanwhile.
    """
    moment: datetime = await fetch_value("SELECT halt_campaign($1)", campaign_id)
    return moment
