"""/v1/campaigns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec

from msvs.api import ids
from msvs.api.campaigns import ab_tests, approvals, campaigns, reconciliation
from msvs.api.campaigns.ab_tests import AbTestReport, WinnerChoice
from msvs.api.campaigns.links import list_campaign_links
from msvs.api.campaigns.reconciliation import ReconciliationResource
from msvs.api.campaigns.requests import (
    CampaignClone,
    CampaignCreate,
    CampaignLaunch,
    CampaignTest,
    CampaignUpdate,
    ListCampaigns,
)
from msvs.api.context import Context
from msvs.api.resources import CampaignLinksResource, CampaignResource, campaign_resource, message_resource
from msvs.models.rows import CampaignRow
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import CampaignTestSent, Deleted, ListOf, NoBody, NoQuery, list_of


async def create(call: Call[CampaignCreate, NoQuery]) -> CampaignResource:
    """Create a campaign."""
    return await _shape(call.ctx, await campaigns.create_campaign(call.ctx, call.body.read()))


async def retrieve(call: Call[NoBody, NoQuery]) -> CampaignResource:
    """Retrieve a campaign."""
    return await _change(call, campaigns.get_campaign)


async def list_(call: Call[NoBody, ListCampaigns]) -> ListOf[CampaignResource]:
    """List campaigns."""
    page = await campaigns.list_campaigns(call.ctx, call.query.page(ids.CAMPAIGN), call.query)
    stats = await campaigns.campaign_stats(call.ctx, page.items)
    return list_of(call.path, page, lambda row: campaign_resource(row, stats[row.id]))


async def update(call: Call[CampaignUpdate, NoQuery]) -> CampaignResource:
    """Update a campaign of which no message was made."""
    data = call.body.read()
    return await _change(call, lambda ctx, id: campaigns.update_campaign(ctx, id, data))


async def launch(call: Call[CampaignLaunch, NoQuery]) -> CampaignResource:
    """Launch a draft."""
    at = call.body.scheduled_at
    body = call.body
    return await _change(call, lambda ctx, id: campaigns.launch_campaign(ctx, id, scheduled_at=at, guard_rails=body))


async def clone(call: Call[CampaignClone, NoQuery]) -> CampaignResource:
    """Clone a campaign as a draft."""
    return await _change(call, lambda ctx, id: campaigns.clone_campaign(ctx, id, name=call.body.name))


async def delete(call: Call[NoBody, NoQuery]) -> Deleted:
    """Delete a draft."""
    id = ids.find_id(ids.CAMPAIGN, call.params["id"], "campaign")
    await campaigns.delete_campaign(call.ctx, id)
    return Deleted(id=call.params["id"], object="campaign")


async def test(call: Call[CampaignTest, NoQuery]) -> CampaignTestSent:
    """Send a campaign's body to phones of your own."""
    id = ids.find_id(ids.CAMPAIGN, call.params["id"], "campaign")
    sent = await campaigns.send_campaign_test(
        call.ctx, id, to=call.body.to, variables=call.body.variables, variant=call.body.variant
    )
    return CampaignTestSent(id=call.params["id"], messages=[message_resource(row) for row in sent])


async def cancel(call: Call[NoBody, NoQuery]) -> CampaignResource:
    """Cancel a scheduled campaign."""
    return await _change(call, campaigns.cancel_campaign)


async def pause(call: Call[NoBody, NoQuery]) -> CampaignResource:
    """Pause a campaign."""
    return await _change(call, campaigns.pause_campaign)


async def resume(call: Call[NoBody, NoQuery]) -> CampaignResource:
    """Resume a paused campaign."""
    return await _change(call, campaigns.resume_campaign)


async def request_approval(call: Call[NoBody, NoQuery]) -> CampaignResource:
    """Ask once more for the approval of a campaign that was rejected."""
    return await _change(call, approvals.request_approval)


async def archive(call: Call[NoBody, NoQuery]) -> CampaignResource:
    """Archive a campaign."""
    return await _change(call, campaigns.archive_campaign)


async def unarchive(call: Call[NoBody, NoQuery]) -> CampaignResource:
    """Take a campaign out of the archive."""
    return await _change(call, campaigns.unarchive_campaign)


async def links(call: Call[NoBody, NoQuery]) -> CampaignLinksResource:
    """List the links of a campaign with their clicks."""
    id = ids.find_id(ids.CAMPAIGN, call.params["id"], "campaign")
    return CampaignLinksResource(id=call.params["id"], data=await list_campaign_links(call.ctx, id))


async def ab_test(call: Call[NoBody, NoQuery]) -> AbTestReport:
    """Retrieve the A/B test of a campaign with the books of each variant."""
    return await ab_tests.report_ab_test(call.ctx, ids.find_id(ids.CAMPAIGN, call.params["id"], "campaign"))


async def choose_winner(call: Call[WinnerChoice, NoQuery]) -> CampaignResource:
    """Choose the variant that the rest of the audience gets."""
    return await _change(call, lambda ctx, id: ab_tests.choose_winner(ctx, id, variant=call.body.variant))


async def reconcile(call: Call[NoBody, NoQuery]) -> ReconciliationResource:
    """Reconcile a campaign."""
    id = ids.find_id(ids.CAMPAIGN, call.params["id"], "campaign")
    return await reconciliation.reconcile_campaign(call.ctx, id)


async def _change(
    call: Call[msgspec.Struct, NoQuery], operation: Callable[[Context, UUID], Awaitable[CampaignRow]]
) -> CampaignResource:
    id = ids.find_id(ids.CAMPAIGN, call.params["id"], "campaign")
    return await _shape(call.ctx, await operation(call.ctx, id))


async def _shape(ctx: Context, row: CampaignRow) -> CampaignResource:
    stats = await campaigns.campaign_stats(ctx, [row])
    return campaign_resource(row, stats[row.id])
