"""The links of a campaign's body, and the clicks on them over all its recipients."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from msvs.api.campaigns.audiences import template_of
from msvs.api.campaigns.campaigns import get_campaign
from msvs.api.context import Context
from msvs.api.resources import CampaignLinkResource
from msvs.api.text.links import LinkedTemplate
from msvs.database import fetch

FIND_TALLIES = "SELECT position, clicks, unique_clicks FROM click_tallies WHERE campaign_id = $1"


class _Tally(Protocol):
    position: int
    clicks: int
    unique_clicks: int


async def list_campaign_links(ctx: Context, id: UUID) -> list[CampaignLinkResource]:
    """List the links of a campaign's body in their order, with their clicks. Raises NotFound."""
    campaign = await get_campaign(ctx, id)
    template = template_of(ctx.services, campaign)
    if not isinstance(template, LinkedTemplate):
        return []
    tallies = {row.position: row for row in await fetch(_Tally, FIND_TALLIES, campaign.id)}
    links = [CampaignLinkResource(url=url, position=position) for position, url in enumerate(template.targets)]
    for link in links:
        tally = tallies.get(link.position)
        if tally is not None:
            link.clicks, link.unique_clicks = tally.clicks, tally.unique_clicks
    return links
