"""The links of a campaign's body, and the clicks on them over all its recipients."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from msvs.api.campaigns.campaigns import get_campaign
from msvs.api.campaigns.variants import Content, contents_of
from msvs.api.context import Context
from msvs.api.resources import UNSET, CampaignLinkResource, variant_name
from msvs.api.text.links import LinkedTemplate
from msvs.database import fetch

# Of a variant, those who got it in the test and those who got it as the winner.
FIND_TALLIES = """
SELECT abs(variant) AS variant, position, sum(clicks)::bigint AS clicks, sum(unique_clicks)::bigint AS unique_clicks
FROM click_tallies WHERE campaign_id = $1 GROUP BY abs(variant), position
"""


class _Tally(Protocol):
    variant: int
    position: int
    clicks: int
    unique_clicks: int


async def list_campaign_links(ctx: Context, id: UUID) -> list[CampaignLinkResource]:
    """List the links of a campaign's body in their order, with their clicks; variant by variant where it has some.

    Raises NotFound.
    """
    campaign = await get_campaign(ctx, id)
    contents = contents_of(ctx.services, campaign)
    if not any(isinstance(content.template, LinkedTemplate) for content in contents):
        return []
    tallies = {(row.variant, row.position): row for row in await fetch(_Tally, FIND_TALLIES, campaign.id)}
    links = []
    for content in contents:
        for link in _links_of(content):
            tally = tallies.get((content.variant or 0, link.position))
            if tally is not None:
                link.clicks, link.unique_clicks = tally.clicks, tally.unique_clicks
            links.append(link)
    return links


def _links_of(content: Content) -> list[CampaignLinkResource]:
    if not isinstance(content.template, LinkedTemplate):
        return []
    variant = UNSET if content.variant is None else variant_name(content.variant)
    targets = enumerate(content.template.targets)
    return [CampaignLinkResource(url=url, position=position, variant=variant) for position, url in targets]
