"""Preflights: look at a campaign before it is created, and pause it at its start if reality has moved beyond."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil, sqrt
from typing import Annotated, Literal

from msvs.api import ids
from msvs.api.campaigns import previews
from msvs.api.campaigns.budgets import exceeded
from msvs.api.campaigns.previews import EXACT_UP_TO, CampaignPreview
from msvs.api.campaigns.requests import MAX_CREDITS, MAX_DRIFT, CreateCampaign, GuardRailOptions, PreviewCampaign
from msvs.api.context import Context, Services
from msvs.api.credits import rates
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.messages.messages import check_schedule
from msvs.api.permissions import Permission, allow
from msvs.api.resources import Resource, moment
from msvs.api.scope import scoped
from msvs.api.settings_of_mode import find_settings_with
from msvs.fields import AT, about
from msvs.models import Campaign, Preflight
from msvs.models.campaigns import GuardRails, Tripped

# How long a campaign may be created with a preflight.
VALID = timedelta(hours=24)
# So many standard errors of a sample on either side hold the truth but for a few in a thousand.
SIGMAS = 3


class CostRange(Resource, kw_only=True):
    """What a campaign would cost in credits. The three are equal unless a sample was looked at."""

    lowest: Annotated[int, about("The lowest that is likely.", example=405)]
    expected: Annotated[int, about("About what it costs.", example=405)]
    highest: Annotated[int, about("The highest that is likely.", example=405)]


class CampaignPreflight(CampaignPreview, kw_only=True):
    """A preview of a campaign with an id, to create the campaign with.

    `cost` is what it would cost in credits. `starts_at` and `ends_at` are about when its first and last message would
    be sent, by its rates and the recipients' quiet hours. A campaign can be created or launched with it until
    `valid_until`. All other fields are those of a preview.
    """

    id: Annotated[str, about("The id, for `preflight` of the campaign.")]
    object: Literal["campaign_preflight"] = "campaign_preflight"  # type: ignore[assignment]
    cost: CostRange
    starts_at: Annotated[str, about("When it would start.", example=AT)]
    ends_at: Annotated[str, about("About when its last message would be sent.", example=AT)]
    valid_until: Annotated[str, about("Until when a campaign may be created or launched with it.", example=AT)]


async def preflight_campaign(
    ctx: Context, data: PreviewCampaign, *, exact_up_to: int = EXACT_UP_TO
) -> CampaignPreflight:
    """Look at a campaign as a preview does, and keep what is expected of it, by an id. Raises InvalidRequest."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    now = ctx.services.clock()
    preview = await previews.preview_campaign(ctx, data, exact_up_to=exact_up_to)
    row = await Preflight.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        recipient_count=preview.recipient_count,
        credits=preview.credits.total,
        created_at=now,
    )
    start = max(check_schedule(data.scheduled_at, now), now)
    return CampaignPreflight(
        **{name: getattr(preview, name) for name in CampaignPreview.__struct_fields__ if name != "object"},
        id=ids.encode_id(ids.PREFLIGHT, row.id),
        cost=cost_of(preview),
        starts_at=moment(start),
        ends_at=moment(start + timedelta(seconds=preview.estimated_seconds)),
        valid_until=moment(now + VALID),
    )


def cost_of(preview: CampaignPreview) -> CostRange:
    """Return what a campaign costs: of a sample, with room for what the sample does not show."""
    total = preview.credits.total
    if preview.exact or not preview.sample_size:
        return CostRange(lowest=total, expected=total, highest=total)
    size, looked_at = preview.audience_count, preview.sample_size
    # Each costs its segments, times a price that the sample knows the bounds of; who is skipped costs nothing.
    mean = total / size
    squares = sum(each.segments**2 * each.message_count for each in preview.segments)
    scale = total / max(sum(each.segments * each.message_count for each in preview.segments), 1)
    variance = max(squares * scale**2 / size - mean**2, 0.0)
    margin = ceil(SIGMAS * size * sqrt(variance / looked_at * (1 - looked_at / size)))
    most = preview.credits.maximum * size
    return CostRange(lowest=max(total - margin, 0), expected=total, highest=max(min(total + margin, most), total))


async def read_guard_rails(ctx: Context, options: GuardRailOptions | CreateCampaign) -> GuardRails | None:
    """Return the guard rails of a campaign as it keeps them; None where none are asked for. Raises InvalidRequest."""
    most, drift = options.max_credits, options.max_drift
    if most is not None and not 0 <= most <= MAX_CREDITS:
        raise _out_of_range("max_credits", f"0 to {MAX_CREDITS}")
    if drift is not None and not 0 <= drift <= MAX_DRIFT:
        raise _out_of_range("max_drift", f"0 to {MAX_DRIFT}")
    if options.preflight is None:
        if drift is not None:
            raise InvalidRequest(
                "max_drift needs a preflight to measure from.", param="preflight", code=ErrorCode.PARAMETER_MISSING
            )
        return None if most is None else GuardRails(max_credits=most)
    id = ids.read_id(ids.PREFLIGHT, options.preflight, "preflight")
    oldest = ctx.services.clock() - VALID
    row = await scoped(ctx, Preflight).filter(id=id, created_at__gt=oldest).first()
    if row is None:
        raise InvalidRequest(
            f"There is no such preflight, or it is more than {VALID // timedelta(hours=1)} hours old.",
            param="preflight",
            code=ErrorCode.RESOURCE_MISSING,
        )
    return GuardRails(
        preflight_id=options.preflight,
        max_credits=most,
        max_drift=drift,
        expected_recipients=row.recipient_count,
        expected_credits=row.credits,
    )


def _out_of_range(param: str, bounds: str) -> InvalidRequest:
    return InvalidRequest(f"{param} must be from {bounds}.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE)


async def find_tripped(services: Services, campaign: Campaign, now: datetime) -> Tripped | None:
    """Return the guard rail beyond which a campaign that is about to start has moved; None if it may start.

    It is looked at as its preflight was.
    """
    rails = campaign.guard_rails
    if rails is None or rails.get("lifted") or (rails.get("max_credits") is None and rails.get("max_drift") is None):
        return None
    ctx = Context(campaign.workspace_id, campaign.livemode, services=services)
    workspace, found_rates = await find_settings_with(ctx, rates.AS_JSON)
    preview = await previews.preview_kept(ctx, campaign, workspace, found_rates, now)
    return exceeded(rails, {"credits": preview.credits.total, "recipients": preview.recipient_count})


def lifted(rails: GuardRails | None) -> GuardRails | None:
    """Return the guard rails of a campaign that somebody resumed all the same."""
    if rails is None:
        return None
    return {**rails, "lifted": True, "tripped": None}
