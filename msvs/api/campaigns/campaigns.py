"""Campaigns: draft, test, launch, read, change, clone, pause, resume, cancel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

import msgspec
from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from msvs import tracing
from msvs.api import ids
from msvs.api.campaigns import approvals, audiences, previews
from msvs.api.campaigns.audiences import Members
from msvs.api.campaigns.checks import check_campaign_sender, check_contact_cap, check_local_time, check_pace
from msvs.api.campaigns.exclusions import check_exclusions, check_kept, find_kept
from msvs.api.campaigns.preflights import lifted, read_guard_rails
from msvs.api.campaigns.requests import (
    MAX_NAME,
    MAX_TEST_RECIPIENTS,
    CreateCampaign,
    GuardRailOptions,
    ListCampaigns,
    UpdateCampaign,
)
from msvs.api.campaigns.texts import with_texts
from msvs.api.campaigns.variants import (
    check_ab_test,
    check_contents,
    check_senders,
    contents_of,
    estimated_segments,
    longest_of,
    read_variant,
)
from msvs.api.contacts.tags import read_tag, read_tags
from msvs.api.context import Context
from msvs.api.credits import caps, credits, rates
from msvs.api.credits.caps import DAILY_CAP_REACHED
from msvs.api.credits.rates import Rates
from msvs.api.dispatch import campaign_stats as tallies
from msvs.api.dispatch import halting, traces
from msvs.api.dispatch.campaign_events import record_campaign_event
from msvs.api.dispatch.cancellation import cancel_campaign_messages
from msvs.api.dispatch.new_messages import NewMessage
from msvs.api.dispatch.pausing import DAILY_CAP, EXCLUSION_MISSING, GUARD_RAIL, INSUFFICIENT_CREDITS
from msvs.api.dispatch.routing import require_carrier
from msvs.api.dispatch.senders import check_usable
from msvs.api.dispatch.short_links import check_utm
from msvs.api.errors import ApiError, Conflict, ErrorCode, InvalidRequest, check_version
from msvs.api.messages.bodies import given_body
from msvs.api.messages.messages import (
    SendMessage,
    Variables,
    check_expiry,
    check_schedule,
    send_message,
)
from msvs.api.pages import Page, PageRequest, fetch_ordered, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import CampaignStats, campaign_version
from msvs.api.scope import find, scoped
from msvs.api.settings_of_mode import find_settings_with
from msvs.api.text.phones import by_canonical
from msvs.api.text.rendering import check_metadata, read_template
from msvs.api.text.templates import is_visible
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.api.webhooks.events import EventType
from msvs.database import fetch_row, fetch_value
from msvs.models import Campaign, CampaignStatus, OnUnknown, Workspace, rows
from msvs.models.campaigns import Audience
from msvs.replica_reads import from_replica

T = TypeVar("T")

# What a cancellation takes back before it answers; a worker takes the rest.
CANCEL_AT_ONCE = 100
# What a campaign that ran out of credits must be able to send before what is merely given back sets it going again.
RESUME_MESSAGES = 100
# How far a running campaign's need is counted.
MOST_PROMISED = 1000

# What an approval is of: all that can be changed but the name and the tags, which nobody outside of the team sees.
SENDING = (
    *("body", "shorten_links", "utm", "sender", "ab_test", "audience", "exclusions", "metadata"),
    *("respects_quiet_hours", "send_at_local", "contact_daily_cap", "contact_weekly_cap", "on_unknown"),
    *("scheduled_at", "expires_at", "rate_per_minute", "spread_hours"),
)

EDITABLE = (CampaignStatus.DRAFT, CampaignStatus.SCHEDULED)
TERMINAL = (CampaignStatus.COMPLETED, CampaignStatus.CANCELED, CampaignStatus.FAILED)
RUNNING = (CampaignStatus.PREPARING, CampaignStatus.SENDING)


async def create_campaign(ctx: Context, data: CreateCampaign) -> Campaign:
    """Create a campaign that starts now or at its time, or a draft of one.

    Raises InvalidRequest, and PaymentRequired where it starts now and the live balance is below the estimate.
    """
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    now = ctx.services.clock()
    data = await with_texts(ctx, data)
    workspace, found_rates = await find_settings_with(ctx, rates.AS_JSON)
    utm = check_utm(data.utm)
    due_at = check_schedule(data.scheduled_at, now)
    check_pace(data.rate_per_minute, data.spread_hours)
    campaign = Campaign(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        name=_check_name(data.name),
        body=given_body(data.body),
        sender=await check_campaign_sender(ctx, workspace, data.from_),
        audience=await _check_audience(
            ctx, data.list_ids, data.segment_id, data.contact_ids, may_lack=bool(data.draft)
        ),
        exclusions=await check_exclusions(ctx, data.exclude),
        metadata=check_metadata(data.metadata or {}),
        status=CampaignStatus.DRAFT,
        scheduled_at=data.scheduled_at,
        expires_at=check_expiry(data.expires_at, due_at),
        rate_per_minute=data.rate_per_minute,
        spread_hours=data.spread_hours,
        respects_quiet_hours=workspace.quiet_hours if data.quiet_hours is None else data.quiet_hours,
        send_at_local=check_local_time(data.send_at_local),
        contact_daily_cap=check_contact_cap(data.contact_daily_cap, "contact_daily_cap"),
        contact_weekly_cap=check_contact_cap(data.contact_weekly_cap, "contact_weekly_cap"),
        interval_seconds=_interval(data.rate_per_minute),
        on_unknown=data.on_unknown or OnUnknown.NEVER,
        shorten_links=bool(data.shorten_links),
        utm=utm,
        guard_rails=await read_guard_rails(ctx, data),
        ab_test=await check_ab_test(ctx, data.ab_test),
        tags=read_tags(data.tags or (), param="tags") or None,
    )
    check_contents(ctx.services, campaign)
    members = None
    if not data.draft:
        members = await _launch(ctx, campaign, workspace, found_rates, due_at, now)
    campaign.warnings = await previews.campaign_warnings(ctx, campaign, workspace, found_rates, now, members)
    await campaign.save(force_create=True)
    await approvals.announce_request(campaign, now)
    return campaign


async def update_campaign(ctx: Context, id: UUID, data: UpdateCampaign) -> Campaign:
    """Change a draft, or a campaign whose time has not come, or one that waits for approval, which is then asked for
    again. What somebody paused by hand before any message was made can be changed too, and stays paused.

    A version that is given must stand still: else somebody changed it meanwhile. Raises NotFound, Conflict and
    InvalidRequest.
    """
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    now = ctx.services.clock()
    campaign = await _lock(ctx, id)
    is_by_hand = approvals.is_paused_early(campaign)
    is_waiting = is_by_hand or approvals.is_waiting(campaign)
    if campaign.status not in EDITABLE and not is_waiting:
        raise Conflict(
            f"The campaign is {campaign.status}: it cannot be changed any more.", code=ErrorCode.CAMPAIGN_BEGUN
        )
    check_version(data.version, campaign_version(campaign), "campaign")
    if data == UpdateCampaign(version=data.version):
        return campaign
    workspace, found_rates = await find_settings_with(ctx, rates.AS_JSON)
    data = await with_texts(ctx, data)
    before = _sending_of(campaign)
    await _change(ctx, campaign, data, workspace, now)
    is_asked_again = _sending_of(campaign) != before
    if campaign.status != CampaignStatus.DRAFT and is_asked_again:
        if is_waiting:
            await approvals.withdraw(campaign, now)
        await approvals.hold_at_launch(ctx, campaign, workspace, now)
        if is_by_hand:
            approvals.pause_early(campaign)
    campaign.warnings = await previews.campaign_warnings(ctx, campaign, workspace, found_rates, now)
    await campaign.save()
    if is_asked_again:
        await approvals.announce_request(campaign, now)
    if campaign.status != CampaignStatus.DRAFT:
        notify_after_commit(WorkQueue.CAMPAIGNS)
    return campaign


def _sending_of(campaign: Campaign) -> bytes:
    """Return what a campaign sends, to whom and when, to be compared: its approval is of nothing else."""
    return msgspec.json.encode([getattr(campaign, name) for name in SENDING])


async def _change(ctx: Context, campaign: Campaign, data: UpdateCampaign, workspace: Workspace, now: datetime) -> None:
    """Set what the data gives, each value checked. Raises InvalidRequest and NotFound."""
    if data.name is not msgspec.UNSET:
        campaign.name = _check_name(data.name)
    if data.body is not msgspec.UNSET:
        campaign.body = data.body
    if data.shorten_links is not msgspec.UNSET:
        campaign.shorten_links = data.shorten_links
    if data.utm is not msgspec.UNSET:
        campaign.utm = check_utm(data.utm)
    if data.from_ is not msgspec.UNSET:
        campaign.sender = await check_campaign_sender(ctx, workspace, data.from_)
    if data.ab_test is not msgspec.UNSET:
        campaign.ab_test = await check_ab_test(ctx, data.ab_test)
    check_contents(ctx.services, campaign)
    if data.tags is not msgspec.UNSET:
        campaign.tags = read_tags(data.tags or (), param="tags") or None
    audience = (data.list_ids, data.segment_id, data.contact_ids)
    if any(each is not msgspec.UNSET for each in audience):
        list_ids, segment_id, contact_ids = audience
        campaign.audience = await _check_audience(
            ctx,
            _given(list_ids, ()),
            _given(segment_id, None),
            _given(contact_ids, ()),
            may_lack=campaign.status == CampaignStatus.DRAFT,
        )
    if data.exclude is not msgspec.UNSET:
        campaign.exclusions = await check_exclusions(ctx, data.exclude, own=campaign.id)
    if data.metadata is not msgspec.UNSET:
        campaign.metadata = check_metadata(data.metadata)
    if data.quiet_hours is not msgspec.UNSET:
        campaign.respects_quiet_hours = workspace.quiet_hours if data.quiet_hours is None else data.quiet_hours
    campaign.send_at_local = check_local_time(_given(data.send_at_local, campaign.send_at_local))
    daily, weekly = data.contact_daily_cap, data.contact_weekly_cap
    campaign.contact_daily_cap = check_contact_cap(_given(daily, campaign.contact_daily_cap), "contact_daily_cap")
    campaign.contact_weekly_cap = check_contact_cap(_given(weekly, campaign.contact_weekly_cap), "contact_weekly_cap")
    if data.on_unknown is not msgspec.UNSET:
        campaign.on_unknown = data.on_unknown or OnUnknown.NEVER
    _change_times(campaign, data, now)
    campaign.rate_per_minute = _given(data.rate_per_minute, campaign.rate_per_minute)
    campaign.spread_hours = _given(data.spread_hours, campaign.spread_hours)
    check_pace(campaign.rate_per_minute, campaign.spread_hours)
    campaign.interval_seconds = _interval(campaign.rate_per_minute)


async def launch_campaign(
    ctx: Context,
    id: UUID,
    *,
    scheduled_at: datetime | msgspec.UnsetType | None = msgspec.UNSET,
    guard_rails: GuardRailOptions | None = None,
) -> Campaign:
    """Let a draft start at `scheduled_at`: None for now, left out for the draft's own time.

    `guard_rails` replace those that it was created with, if any are given.

    Raises NotFound, Conflict where it is no draft, InvalidRequest where something is missing or its time is past, and
    PaymentRequired where it starts now and the live balance is below the estimate.
    """
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    now = ctx.services.clock()
    campaign = await _lock(ctx, id)
    if campaign.status != CampaignStatus.DRAFT:
        raise Conflict(f"The campaign is {campaign.status}, not a draft.", code=ErrorCode.CAMPAIGN_NOT_DRAFT)
    if scheduled_at is not msgspec.UNSET:
        campaign.scheduled_at = scheduled_at
    due_at = check_schedule(campaign.scheduled_at, now)
    check_expiry(campaign.expires_at, due_at)
    if guard_rails is not None and (rails := await read_guard_rails(ctx, guard_rails)) is not None:
        campaign.guard_rails = rails
    lists, segment, people = _audience_ids(campaign.audience)
    # What was in the audience when the draft was written may be gone.
    await audiences.check_audience(ctx, lists, segment, people)
    await check_kept(ctx, campaign.exclusions)
    # Whose its sender is may have changed, too.
    await check_usable(ctx, campaign.sender)
    await check_senders(ctx, campaign.ab_test)
    workspace, found_rates = await find_settings_with(ctx, rates.AS_JSON)
    members = await _launch(ctx, campaign, workspace, found_rates, due_at, now)
    campaign.warnings = await previews.campaign_warnings(ctx, campaign, workspace, found_rates, now, members)
    changed = ["status", "resume_status", "pause_reason", "approval", "launched_by"]
    await campaign.save(update_fields=[*changed, "scheduled_at", "guard_rails", "warnings"])
    await approvals.announce_request(campaign, now)
    return campaign


async def clone_campaign(ctx: Context, id: UUID, *, name: str | None = None) -> Campaign:
    """Return a draft of the same body, sender, audience, metadata and pace as another campaign, without its times.

    Its exclusions, caps, local time and `on_unknown` are the same, too. Raises NotFound, InvalidRequest.
    """
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    source = await get_campaign(ctx, id)
    campaign = Campaign(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        name=f"Copy of {source.name}"[:MAX_NAME] if name is None else _check_name(name),
        body=source.body,
        sender=source.sender,
        audience=source.audience,
        exclusions=source.exclusions,
        metadata=source.metadata,
        status=CampaignStatus.DRAFT,
        rate_per_minute=source.rate_per_minute,
        spread_hours=source.spread_hours,
        respects_quiet_hours=source.respects_quiet_hours,
        send_at_local=source.send_at_local,
        contact_daily_cap=source.contact_daily_cap,
        contact_weekly_cap=source.contact_weekly_cap,
        interval_seconds=_interval(source.rate_per_minute),
        on_unknown=source.on_unknown,
        shorten_links=source.shorten_links,
        utm=source.utm,
        ab_test=source.ab_test,
        tags=source.tags,
    )
    workspace, found_rates = await find_settings_with(ctx, rates.AS_JSON)
    campaign.warnings = await previews.campaign_warnings(ctx, campaign, workspace, found_rates, ctx.services.clock())
    await campaign.save(force_create=True)
    return campaign


async def delete_campaign(ctx: Context, id: UUID) -> None:
    """Forget a draft. Raises NotFound, and Conflict for a campaign that was launched."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    campaign = await _lock(ctx, id)
    if campaign.status != CampaignStatus.DRAFT:
        raise Conflict(f"The campaign is {campaign.status}, not a draft.", code=ErrorCode.CAMPAIGN_NOT_DRAFT)
    await campaign.delete()


async def send_campaign_test(
    ctx: Context, id: UUID, *, to: Sequence[str], variables: Variables | None = None, variant: str | None = None
) -> list[NewMessage]:
    """Send a campaign's body to at most five phones of your own, each as a single message that says it is a test.

    Of a campaign with an A/B test, it is that of the variant named, else of the first.

    Raises as send_message does, with `to[0]` as the parameter; nothing is sent then.
    """
    campaign = await get_campaign(ctx, id)
    phones = list(by_canonical(to).values())
    if not 1 <= len(phones) <= MAX_TEST_RECIPIENTS:
        raise InvalidRequest(
            f"to names 1 to {MAX_TEST_RECIPIENTS} phones.", param="to", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    number = 1
    if variant is not None:
        if campaign.ab_test is None:
            raise InvalidRequest("The campaign has no variants.", param="variant")
        number = read_variant(campaign.ab_test, variant)
    content = contents_of(ctx.services, campaign)[number - 1]
    sent = []
    for phone in phones:
        data = SendMessage(
            to=phone,
            body=content.body,
            from_=content.sender,
            variables=variables or {},
            metadata={"test": "true", "campaign_id": ids.encode_id(ids.CAMPAIGN, id)},
            on_unknown=campaign.on_unknown,
            shorten_links=campaign.shorten_links,
        )
        try:
            sent.append(await send_message(ctx, data, utm=campaign.utm))
        except ApiError as error:
            if error.param == "to":
                error.param = f"to[{to.index(phone)}]"
            raise
    return sent


async def get_campaign(ctx: Context, id: UUID) -> Campaign:
    """Return one campaign. Raises NotFound."""
    return await find(ctx, Campaign, id, prefix=ids.CAMPAIGN, noun="campaign")


@from_replica
async def list_campaigns(ctx: Context, page: PageRequest, which: ListCampaigns | None = None) -> Page[Campaign]:
    """Campaigns without the steps of sequences, newest first unless ordered otherwise; drafts only if asked for."""
    which = which or ListCampaigns()
    return await fetch_ordered(partial(fetch_page, campaign_query(ctx, which)), page, which.order)


def campaign_query(ctx: Context, which: ListCampaigns) -> QuerySet[Campaign]:
    """Return the query of the campaigns that meet every condition given. Raises InvalidRequest."""
    query = scoped(ctx, Campaign).filter(sequence_id__isnull=True)
    for param, named in (("status", None if which.status is None else [which.status]), ("statuses", which.statuses)):
        if named is None:
            continue
        if not set(named) <= {*CampaignStatus}:
            kind = "one" if param == "status" else "some"
            raise InvalidRequest(f"{param} must be {kind} of {', '.join(CampaignStatus)}.", param=param)
        query = query.filter(status__in=[CampaignStatus(each) for each in named])
    if which.status is None and which.statuses is None:
        query = query.filter(status__not=CampaignStatus.DRAFT)
    if which.q is not None:
        query = query.filter(name__icontains=_check_name(which.q, "q"))
    if which.tag is not None:
        query = query.filter(tags__contains=[read_tag(which.tag, param="tag")])
    if which.archived is not None:
        query = query.filter(archived_at__isnull=not which.archived)
    if (first := which.starts_from) is not None:
        query = query.filter(Q(started_at__gte=first) | Q(started_at__isnull=True, scheduled_at__gte=first))
    if (end := which.starts_before) is not None:
        query = query.filter(Q(started_at__lt=end) | Q(started_at__isnull=True, scheduled_at__lt=end))
    return query


@from_replica
async def campaign_stats(ctx: Context, campaigns: Sequence[rows.CampaignRow]) -> dict[UUID, CampaignStats]:
    """Return the stats of the caller's campaigns, by id."""
    return await tallies.campaign_stats([row.id for row in campaigns if row.workspace_id == ctx.workspace_id])


async def cancel_campaign(ctx: Context, id: UUID) -> rows.CampaignRow:
    """Stop a campaign for good: what no carrier has yet is never sent. Raises NotFound, Conflict."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    campaign = await _halt(ctx, id, halting.CANCEL)
    stats = tallies.stats_of(campaign.tallies)
    # Many, or where claims want the balance, whose turns take long, are left to a worker: the answer waits for nobody.
    is_small = 0 < stats.queued <= CANCEL_AT_ONCE
    if is_small and (not ctx.livemode or await credits.try_lock(ctx.workspace_id)):
        await cancel_campaign_messages(ctx, id, limit=CANCEL_AT_ONCE, now=campaign.moment)
        stats = (await tallies.campaign_stats([id]))[id]
    await record_campaign_event(EventType.CAMPAIGN_CANCELED, campaign, campaign.moment, stats=stats)
    notify_after_commit(WorkQueue.CAMPAIGNS)
    return campaign


async def pause_campaign(ctx: Context, id: UUID) -> rows.CampaignRow:
    """Hold a campaign: nothing more is handed to a carrier until it is resumed. Raises NotFound, Conflict.

    Pausing a paused campaign makes the pause the caller's own, so that no top-up ends it.
    """
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    campaign = await _halt(ctx, id, halting.PAUSE)
    if campaign.before != CampaignStatus.PAUSED:
        stats = tallies.stats_of(campaign.tallies)
        await record_campaign_event(EventType.CAMPAIGN_PAUSED, campaign, campaign.moment, stats=stats)
    return campaign


async def resume_campaign(ctx: Context, id: UUID) -> Campaign:
    """Let a paused campaign go on where it stopped; a missed one starts now. Raises NotFound, Conflict.

    One that was paused because something it excludes is gone goes on without that, and one that had moved beyond a
    guard rail without any.
    """
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    campaign = await _lock(ctx, id)
    if campaign.status != CampaignStatus.PAUSED:
        raise Conflict(f"The campaign is {campaign.status}, not paused.", code=ErrorCode.CAMPAIGN_NOT_PAUSED)
    if approvals.is_unapproved(campaign):
        raise Conflict("The campaign waits for the approval of a second person.", code=ErrorCode.APPROVAL_REQUIRED)
    require_carrier(ctx.services, ctx.livemode)
    if campaign.pause_reason == EXCLUSION_MISSING:
        campaign.exclusions = await find_kept(ctx, campaign.exclusions)
        await campaign.save(update_fields=["exclusions"])
    if campaign.pause_reason == GUARD_RAIL:
        campaign.guard_rails = lifted(campaign.guard_rails)
        await campaign.save(update_fields=["guard_rails"])
    await _resume(campaign, ctx.services.clock())
    return campaign


async def archive_campaign(ctx: Context, id: UUID) -> Campaign:
    """Put a campaign away that has ended; one that is already stays as it is. Raises NotFound, Conflict."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    campaign = await _lock(ctx, id)
    if campaign.status not in TERMINAL:
        raise Conflict(
            f"The campaign is {campaign.status}: only one that has ended can be archived.",
            code=ErrorCode.CAMPAIGN_NOT_ENDED,
        )
    if campaign.archived_at is None:
        campaign.archived_at = ctx.services.clock()
        await campaign.save(update_fields=["archived_at"])
    return campaign


async def unarchive_campaign(ctx: Context, id: UUID) -> Campaign:
    """Take a campaign back out of the archive. Raises NotFound."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    campaign = await _lock(ctx, id)
    if campaign.archived_at is not None:
        campaign.archived_at = None
        await campaign.save(update_fields=["archived_at"])
    return campaign


async def pause_start(campaign: Campaign, reason: str, now: datetime) -> None:
    """Pause a campaign that must not start as it is: it was missed, or moved beyond what is allowed of it."""
    await _pause(campaign, reason, now)


# One at a time adds up what there is.
LOCK_RESUMING = "SELECT pg_try_advisory_xact_lock(hashtextextended('resume_paid', 0))"


async def resume_paid(*, now: datetime) -> int:
    """Resume campaigns paused for want of credits or at the daily cap, the oldest first. Return the count.

    What older campaigns of the workspace are about to spend is not promised again. One goes on that can pay all it has
    left, or RESUME_MESSAGES of it; after a top-up, or on a new day or with another cap, the first of them also where it
    can pay no more than its next message. So what is merely given back, as for a failed message, starts and stops none.
    """
    if not await fetch_value(LOCK_RESUMING):
        return 0
    paused = (
        await Campaign.filter(status=CampaignStatus.PAUSED, pause_reason__in=(INSUFFICIENT_CREDITS, DAILY_CAP))
        .order_by("id")
        .select_for_update(skip_locked=True)
    )
    waiting: dict[UUID, list[Campaign]] = {}
    for campaign in paused:
        waiting.setdefault(campaign.workspace_id, []).append(campaign)
    return sum([await _resume_covered(workspace_id, rows, now) for workspace_id, rows in waiting.items()])


async def _resume_covered(workspace_id: UUID, paused: Sequence[Campaign], now: datetime) -> int:
    """Resume what a workspace's credits cover of its paused campaigns, given the oldest first. Return the count."""
    left = await caps.spendable(workspace_id, now)
    running = await Campaign.filter(workspace_id=workspace_id, livemode=True, status__in=RUNNING)
    promised = resumed = 0
    for campaign in sorted([*paused, *running], key=lambda row: row.id):
        is_paused = campaign.status == CampaignStatus.PAUSED
        is_capped = campaign.pause_reason == DAILY_CAP
        free = (left.credits if is_capped else left.balance) - promised
        mark = left.mark(DAILY_CAP_REACHED if is_capped else INSUFFICIENT_CREDITS)
        following, total = await _needs(campaign, min(free + 1, MOST_PROMISED)) if free > 0 else (1, 0)
        is_first = campaign.pause_mark != mark and not promised
        wanted = following if is_first else max(following, min(total, RESUME_MESSAGES * following))
        if not is_paused:
            promised += total
        elif free >= wanted:
            await _resume(campaign, now)
            promised += total
            resumed += 1
        elif is_first:
            campaign.pause_mark = mark
            await campaign.save(update_fields=["pause_mark"])
    return resumed


# What messages and recipients that wait will cost, as far as that many of each tell.
NEXT = """
SELECT count(*) AS messages, coalesce(sum(cost) FILTER (WHERE credits_used = 0), 0)::bigint AS credits,
    (array_agg(cost))[1] AS following
FROM (
    SELECT segments * price AS cost, credits_used FROM messages
    WHERE workspace_id = $1 AND status = 'queued' AND campaign_id = $2 ORDER BY due_at, id LIMIT $3
) AS waiting
"""
# What a segment to the next recipient costs.
NEXT_RATE = f"""
SELECT rate.credits FROM (
    SELECT contact_id FROM campaign_recipients WHERE campaign_id = $1 ORDER BY phone LIMIT 1
) AS next JOIN contacts ON contacts.id = next.contact_id AND contacts.workspace_id = $2
JOIN {rates.CURRENT} AS rate USING (region)
"""
COUNT_UNEXPANDED = "SELECT count(*) FROM (SELECT FROM campaign_recipients WHERE campaign_id = $1 LIMIT $2) AS waiting"


async def _needs(campaign: Campaign, most: int) -> tuple[int, int]:
    """Return what a campaign's next message costs, and what all that waits does, as far as `most` messages tell.

    About as much as it will be where nothing is rendered yet.
    """
    queued = await fetch_row(NEXT, campaign.workspace_id, campaign.id, most)
    assert queued is not None
    following = queued.following
    if not following:
        rate = await fetch_value(NEXT_RATE, campaign.id, campaign.workspace_id)
        following = max(map(_segments, _bodies(campaign))) * (rate or rates.DEFAULT)
    unexpanded = 0
    if queued.messages < most:
        unexpanded = await fetch_value(COUNT_UNEXPANDED, campaign.id, most - queued.messages)
    return following, queued.credits + unexpanded * following


def _bodies(campaign: Campaign) -> list[str]:
    """Return what recipients may get: the campaign's body, or those of its variants."""
    variants = campaign.ab_test["variants"] if campaign.ab_test else [{}]
    return [spec.get("body", campaign.body) for spec in variants]


def _segments(body: str) -> int:
    return estimated_segments(read_template(body))


def _refuse_step(campaign: Campaign) -> None:
    """Refuse to change what a sequence runs. Raises Conflict."""
    if campaign.sequence_id is not None:
        raise Conflict(
            "The campaign is a step of a sequence: change, pause or archive the sequence.",
            code=ErrorCode.CAMPAIGN_OF_SEQUENCE,
        )


def _refuse_ended(campaign: Campaign) -> None:
    _refuse_step(campaign)
    if campaign.status == CampaignStatus.DRAFT:
        raise Conflict("The campaign is a draft: launch it, or delete it.", code=ErrorCode.CAMPAIGN_DRAFT)
    if campaign.status in TERMINAL:
        raise Conflict(f"The campaign is already {campaign.status}.", code=ErrorCode.CAMPAIGN_TERMINAL)


async def _launch(
    ctx: Context, campaign: Campaign, workspace: Workspace, found_rates: Rates, due_at: datetime, now: datetime
) -> Members | None:
    """Set a campaign going, unless it cannot be paid for; the caller saves it. Return its members, if it found them."""
    require_carrier(ctx.services, ctx.livemode)
    starts_now = due_at <= now
    members = await _check_credits(ctx, campaign, workspace, found_rates) if starts_now and ctx.livemode else None
    campaign.status = CampaignStatus.PREPARING if starts_now else CampaignStatus.SCHEDULED
    await approvals.hold_at_launch(ctx, campaign, workspace, now)
    if (trace := tracing.traceparent()) is not None:
        await traces.keep(ctx.workspace_id, ctx.livemode, {campaign.id: trace})
    if starts_now:
        notify_after_commit(WorkQueue.CAMPAIGNS)
    return members


async def _check_credits(ctx: Context, campaign: Campaign, workspace: Workspace, found_rates: Rates) -> Members | None:
    """Refuse a campaign whose estimate is above the balance. Raises PaymentRequired.

    Who of a large audience would get it is only counted where the balance may not do for all of them: then its members
    are returned, for what else is asked about them.
    """
    template = longest_of(contents_of(ctx.services, campaign)).template
    dearest = estimated_segments(template) * rates.dearest(found_rates)
    available = await credits.available(ctx.workspace_id)
    if await audiences.has_at_most(ctx, campaign.audience, available // max(dearest, 1)):
        return None
    members = await audiences.members_sql(ctx, campaign.audience)
    required = await audiences.estimate_credits(
        ctx, members, template, campaign.exclusions, admit_unknown=workspace.campaigns_admit_unknown
    )
    if available < required:
        raise credits.insufficient(required, available)
    return members


def _given(value: T | msgspec.UnsetType, otherwise: T) -> T:
    return otherwise if value is msgspec.UNSET else value


def _change_times(campaign: Campaign, data: UpdateCampaign, now: datetime) -> None:
    is_draft = campaign.status == CampaignStatus.DRAFT
    moves = data.scheduled_at is not msgspec.UNSET
    if data.scheduled_at is not msgspec.UNSET:
        had_none = campaign.scheduled_at is None
        campaign.scheduled_at = data.scheduled_at
        # One that waits for its approval may have none, and keeps that.
        if campaign.scheduled_at is None and not is_draft and not had_none:
            raise InvalidRequest("A scheduled campaign keeps a time: move it, or cancel it.", param="scheduled_at")
    campaign.expires_at = _given(data.expires_at, campaign.expires_at)
    if moves or data.expires_at is not msgspec.UNSET:
        # The time of a draft that nobody changes may pass: launching it will say so.
        is_checked = moves or not is_draft
        due_at = check_schedule(campaign.scheduled_at, now) if is_checked else campaign.scheduled_at or now
        check_expiry(campaign.expires_at, max(due_at, now))


async def _check_audience(
    ctx: Context, list_ids: Sequence[UUID], segment_id: UUID | None, contact_ids: Sequence[UUID], *, may_lack: bool
) -> Audience:
    if may_lack and not list_ids and segment_id is None and not contact_ids:
        return {}
    return await audiences.check_audience(ctx, list_ids, segment_id, contact_ids)


def _audience_ids(audience: Audience) -> tuple[list[UUID], UUID | None, list[UUID]]:
    """Return the ids of a stored audience."""
    segment = audience.get("segment_id")
    return (
        [ids.read_id(ids.CONTACT_LIST, text, "audience.list_ids") for text in audience.get("list_ids", ())],
        None if segment is None else ids.read_id(ids.SEGMENT, segment, "audience.segment_id"),
        [ids.read_id(ids.CONTACT, text, "audience.contact_ids") for text in audience.get("contact_ids", ())],
    )


def _check_name(text: str, param: str = "name") -> str:
    name = text.strip()
    if not is_visible(name) or len(name) > MAX_NAME:
        raise InvalidRequest(
            f"{param} has 1 to {MAX_NAME} characters.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    return name


def _interval(rate_per_minute: int | None) -> float:
    return 60 / rate_per_minute if rate_per_minute else 0.0


async def _halt(ctx: Context, id: UUID, statement: str) -> halting.HaltedCampaign:
    """Halt a campaign that has not ended by a statement of `halting`. Raises NotFound, Conflict."""
    while (halted := await halting.halt(ctx, id, statement)) is None:
        # One that is under way by now was a draft before, and is tried again.
        _refuse_ended(await get_campaign(ctx, id))
    return halted


async def _lock(ctx: Context, id: UUID) -> Campaign:
    campaign = await find(ctx, Campaign, id, prefix=ids.CAMPAIGN, noun="campaign", lock=True)
    _refuse_step(campaign)
    return campaign


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
    notify_after_commit(WorkQueue.CAMPAIGNS)
    notify_after_commit(WorkQueue.MESSAGES)
