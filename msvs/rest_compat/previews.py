"""/v1/messages/preview, /v1/campaigns/preview and /v1/campaigns/preflight."""

from __future__ import annotations

from msvs.api.campaigns import previews
from msvs.api.campaigns.preflights import CampaignPreflight, preflight_campaign
from msvs.api.campaigns.previews import CampaignPreview, MessagePreview
from msvs.api.campaigns.requests import CampaignPreviewCreate
from msvs.api.messages.messages import SendMessage
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import NoQuery


async def message(call: Call[SendMessage, NoQuery]) -> MessagePreview:
    """Preview a single SMS."""
    return await previews.preview_message(call.ctx, call.body)


async def campaign(call: Call[CampaignPreviewCreate, NoQuery]) -> CampaignPreview:
    """Preview a campaign."""
    return await previews.preview_campaign(call.ctx, call.body.read())


async def preflight(call: Call[CampaignPreviewCreate, NoQuery]) -> CampaignPreflight:
    """Preflight a campaign."""
    return await preflight_campaign(call.ctx, call.body.read())
