"""/v1/messages/preview and /v1/campaigns/preview."""

from __future__ import annotations

import msgspec

from msvs.api import ids
from msvs.api.campaigns import previews
from msvs.api.campaigns.previews import CampaignPreview, MessagePreview
from msvs.api.messages.messages import SendMessage
from msvs.fields import AwareTime
from msvs.models.messages import MetadataValue
from msvs.rest_compat.campaigns import _read_ids
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import Audience, Input, MessageCreate, NoQuery, optional_ref


class CampaignPreviewCreate(Input, kw_only=True):
    """A campaign to preview. It may be the whole body of its creation: its name and metadata do not count."""

    body: str
    audience: Audience
    from_: str | None = msgspec.field(name="from", default=None)
    name: str | None = None
    scheduled_at: AwareTime | None = None
    metadata: dict[str, MetadataValue] | None = None
    expires_at: AwareTime | None = None
    rate_per_minute: int | None = None
    spread_hours: float | None = None
    quiet_hours: bool | None = None


async def message(call: Call[MessageCreate, NoQuery]) -> MessagePreview:
    """Preview a single SMS."""
    body = call.body
    data = SendMessage(
        to=body.to,
        body=body.body,
        from_=body.from_,
        variables=body.variables or {},
        metadata=body.metadata or {},
        scheduled_at=body.scheduled_at,
        expires_at=body.expires_at,
    )
    return await previews.preview_message(call.ctx, data)


async def campaign(call: Call[CampaignPreviewCreate, NoQuery]) -> CampaignPreview:
    """Preview a campaign."""
    body = call.body
    data = previews.PreviewCampaign(
        body=body.body,
        list_ids=_read_ids(ids.CONTACT_LIST, body.audience.list_ids, "audience.list_ids"),
        segment_id=optional_ref(ids.SEGMENT, body.audience.segment_id, "audience.segment_id"),
        contact_ids=_read_ids(ids.CONTACT, body.audience.contact_ids, "audience.contact_ids"),
        from_=body.from_,
        scheduled_at=body.scheduled_at,
        expires_at=body.expires_at,
        rate_per_minute=body.rate_per_minute,
        spread_hours=body.spread_hours,
        quiet_hours=body.quiet_hours,
    )
    return await previews.preview_campaign(call.ctx, data)
