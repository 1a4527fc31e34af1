"""Campaigns: create, read, pause, resume, cancel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from msvs.api import audiences, credits, ids
from msvs.api import campaign_stats as tallies
from msvs.api.canceling import cancel_campaign_messages
from msvs.api.context import Context
from msvs.api.errors import Conflict, InvalidRequest
from msvs.api.events import EventType, NewEvent, record_events
from msvs.api.jobs import Doorbell
from msvs.api.messages import check_expiry, check_schedule
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.pausing import INSUFFICIENT_CREDITS, MANUAL, MISSED
from msvs.api.rendering import check_metadata, read_template
from msvs.api.resources import CampaignStats, campaign_resource
from msvs.api.routing import require_carrier
from msvs.api.scope import find, scoped
from msvs.api.senders import check_sender
from msvs.api.unit_of_work import ring_after_commit
from msvs.models import Campaign, CampaignStatus, Workspace

MAX_NAME = 200
MAX_RATE = 1_000_000
MAX_SPREAD_HOURS = 24.0 * 7
# What a cancellation takes back before it answers; a worker takes the rest.
CANCEL_AT_ONCE = 1000

TERMINAL = (CampaignStatus.COMPLETED, CampaignStatus.CANCELED, CampaignStatus.FAILED)
RUNNING = (CampaignStatus.PREPARING, CampaignStatus.SENDING)


@dataclass(frozen=True, slots=True)
class CreateCampaign:
    """A campaign to be: who gets which body, and when (aware; None for now).

    At most `rate_per_minute` messages a minute, or all of them evenly over `spread_hours`; nothing after `expires_at`;
    with `quiet_hours` only while it is day where the recipient is (None for the workspace's setting).
    """

    name: str
    body: str
    list_ids: Sequence[UUID] = ()
    segment_id: UUID | None = None
    contact_ids: Sequence[UUID] = ()
    from_: str | None = None
    scheduled_at: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    expires_at: datetime | None = None
    rate_per_minute: int | None = None
    spread_hours: float | None = None
    quiet_hours: bool | None = None


async def create_campaign(ctx: Context, data: CreateCampaign) -> Campaign:
    """Create a campaign that starts now or at its time.

    Raises InvalidRequest, and PaymentRequired where it starts now and the live balance is below the estimate.
    """
    now = datetime.now(UTC)
    name = data.name.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise InvalidRequest(f"name has 1 to {MAX_NAME} characters.", param="name", code="parameter_out_of_range")
    template = read_template(data.body)
    metadata = check_metadata(data.metadata)
    due_at = check_schedule(data.scheduled_at, now)
    expires_at = check_expiry(data.expires_at, due_at)
    _check_pace(data.rate_per_minute, data.spread_hours)
    workspace = await Workspace.get(id=ctx.workspace_id)
    sender = check_sender(data.from_) if data.from_ is not None else workspace.default_sender
    audience = await audiences.check_audience(ctx, data.list_ids, data.segment_id, data.contact_ids)
    require_carrier(ctx.livemode)
    starts_now = due_at <= now
    if starts_now and ctx.livemode:
        eligible = await audiences.count_eligible(ctx, audience, admit_unknown=workspace.campaigns_admit_unknown)
        required = eligible * audiences.estimated_segments(template)
        available = await credits.available(ctx.workspace_id)
        if available < required:
            raise credits.insufficient(required, available)
    campaign = await Campaign.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        name=name,
        body=data.body,
        sender=sender,
        audience=audience,
        metadata=metadata,
        status=CampaignStatus.PREPARING if starts_now else CampaignStatus.SCHEDULED,
        scheduled_at=data.scheduled_at,
        expires_at=expires_at,
        rate_per_minute=data.rate_per_minute,
        spread_hours=data.spread_hours,
        respects_quiet_hours=workspace.quiet_hours if data.quiet_hours is None else data.quiet_hours,
        interval_seconds=60 / data.rate_per_minute if data.rate_per_minute else 0.0,
    )
    if starts_now:
        ring_after_commit(Doorbell.CAMPAIGNS)
    return campaign


async def get_campaign(ctx: Context, id: UUID) -> Campaign:
    """One campaign. Raises NotFound."""
    return await find(ctx, Campaign, id, prefix=ids.CAMPAIGN, noun="campaign")


async def list_campaigns(ctx: Context, page: PageRequest, *, status: str | None = None) -> Page[Campaign]:
    """Campaigns, newest first, optionally of one status."""
    query = scoped(ctx, Campaign)
    if status is not None:
        if status not in {value.value for value in CampaignStatus}:
            raise InvalidRequest(f"status must be one of {', '.join(CampaignStatus)}.", param="status")
        query = query.filter(status=CampaignStatus(status))
    return await fetch_page(query, page)


async def campaign_stats(ctx: Context, campaigns: Sequence[Campaign]) -> dict[UUID, CampaignStats]:
    """The stats of the caller's campaigns, by id."""
    return await tallies.campaign_stats([row.id for row in campaigns if row.workspace_id == ctx.workspace_id])


async def cancel_campaign(ctx: Context, id: UUID) -> Campaign:
    """Stop a campaign for good: what no carrier has yet is never sent. Raises NotFound, Conflict."""
    now = datetime.now(UTC)
    campaign = await _lock(ctx, id)
    if campaign.status in TERMINAL:
        raise Conflict(f"The campaign is already {campaign.status}.", code="campaign_terminal")
    campaign.status = CampaignStatus.CANCELED
    campaign.canceled_at = now
    campaign.pause_reason = None
    await campaign.save(update_fields=["status", "canceled_at", "pause_reason"])
    await cancel_campaign_messages(ctx, id, limit=CANCEL_AT_ONCE, now=now)
    await record_campaign_event(EventType.CAMPAIGN_CANCELED, campaign, now)
    ring_after_commit(Doorbell.CAMPAIGNS)
    return campaign


async def pause_campaign(ctx: Context, id: UUID) -> Campaign:
    """Hold a campaign: nothing more is handed to a carrier until it is resumed. Raises NotFound, Conflict.

    Pausing a paused campaign makes the pause the caller's own, so that no top-up ends it.
    """
    now = datetime.now(UTC)
    campaign = await _lock(ctx, id)
    if campaign.status in TERMINAL:
        raise Conflict(f"The campaign is already {campaign.status}.", code="campaign_terminal")
    if campaign.status == CampaignStatus.PAUSED:
        campaign.pause_reason = MANUAL
        await campaign.save(update_fields=["pause_reason"])
        return campaign
    await _pause(campaign, MANUAL, now)
    return campaign


async def resume_campaign(ctx: Context, id: UUID) -> Campaign:
    """Let a paused campaign go on where it stopped; a missed one starts now. Raises NotFound, Conflict."""
    campaign = await _lock(ctx, id)
    if campaign.status != CampaignStatus.PAUSED:
        raise Conflict(f"The campaign is {campaign.status}, not paused.", code="campaign_not_paused")
    require_carrier(ctx.livemode)
    await _resume(campaign, datetime.now(UTC))
    return campaign


async def pause_missed(campaign: Campaign, now: datetime) -> None:
    """Pause a campaign whose time passed while the service was down, rather than send it at the wrong hour."""
    await _pause(campaign, MISSED, now)


async def resume_paid(*, now: datetime) -> int:
    """Resume campaigns that paused for want of credits and whose balance covers at least one message; how many."""
    paused = await Campaign.filter(status=CampaignStatus.PAUSED, pause_reason=INSUFFICIENT_CREDITS).select_for_update(
        skip_locked=True
    )
    resumed = 0
    for campaign in paused:
        segments = audiences.estimated_segments(read_template(campaign.body))
        if await credits.available(campaign.workspace_id) >= segments:
            await _resume(campaign, now)
            resumed += 1
    return resumed


async def record_campaign_event(type: EventType, campaign: Campaign, now: datetime) -> None:
    """Record an event of a campaign as it now stands."""
    stats = await tallies.campaign_stats([campaign.id])
    data = campaign_resource(campaign, stats[campaign.id])
    await record_events([NewEvent(type, campaign.workspace_id, campaign.livemode, campaign.id, data)], now)


def _check_pace(rate_per_minute: int | None, spread_hours: float | None) -> None:
    if rate_per_minute is not None and spread_hours is not None:
        raise InvalidRequest(
            "Give rate_per_minute or spread_hours, not both.", param="spread_hours", code="pace_conflict"
        )
    if rate_per_minute is not None and not 1 <= rate_per_minute <= MAX_RATE:
        raise InvalidRequest(
            f"rate_per_minute must be from 1 to {MAX_RATE}.", param="rate_per_minute", code="parameter_out_of_range"
        )
    if spread_hours is not None and not 0 < spread_hours <= MAX_SPREAD_HOURS:
        raise InvalidRequest(
            f"spread_hours must be more than 0 and at most {MAX_SPREAD_HOURS:g}.",
            param="spread_hours",
            code="parameter_out_of_range",
        )


async def _lock(ctx: Context, id: UUID) -> Campaign:
    return await find(ctx, Campaign, id, prefix=ids.CAMPAIGN, noun="campaign", lock=True)


async def _pause(campaign: Campaign, reason: str, now: datetime) -> None:
    campaign.resume_status = campaign.status
    campaign.status = CampaignStatus.PAUSED
    campaign.pause_reason = reason
    await campaign.save(update_fields=["resume_status", "status", "pause_reason"])
    await record_campaign_event(EventType.CAMPAIGN_PAUSED, campaign, now)


async def _resume(campaign: Campaign, now: datetime) -> None:
    status = campaign.resume_status or CampaignStatus.PREPARING
    if status == CampaignStatus.SCHEDULED and campaign.scheduled_at is not None and campaign.scheduled_at <= now:
        status = CampaignStatus.PREPARING
    campaign.status = status
    campaign.resume_status = None
    campaign.pause_reason = None
    await campaign.save(update_fields=["status", "resume_status", "pause_reason"])
    await record_campaign_event(EventType.CAMPAIGN_RESUMED, campaign, now)
    ring_after_commit(Doorbell.CAMPAIGNS)
    ring_after_commit(Doorbell.MESSAGES)
