"""The events of a campaign, each with the campaign as it now stands."""

from __future__ import annotations

from datetime import datetime

from msvs.api.dispatch.campaign_stats import campaign_stats
from msvs.api.resources import CampaignStats, campaign_resource
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.models.rows import CampaignRow


async def record_campaign_event(
    type: EventType, campaign: CampaignRow, now: datetime, *, stats: CampaignStats | None = None
) -> None:
    """Record an event of a campaign in the current transaction; its statistics are read unless they are given."""
    if stats is None:
        stats = (await campaign_stats([campaign.id]))[campaign.id]
    data = campaign_resource(campaign, stats)
    await record_events([NewEvent(type, campaign.workspace_id, campaign.livemode, campaign.id, data)], now)
