"""Approval: a campaign to many recipients waits until a second person confirms it.

One that waits is paused with the reason `approval_required`, a state in which nothing starts or expands it. Its
recipients are counted when it is launched or changed, and those that are fixed at its start are held against what was
approved, before the first message is made.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msvs.api import ids
from msvs.api.audit import AuditAction, record_audit
from msvs.api.campaigns import audiences
from msvs.api.context import Context, Services
from msvs.api.dispatch.campaign_events import record_campaign_event
from msvs.api.dispatch.pausing import APPROVAL_REQUIRED, MANUAL
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, PermissionDenied, check_version
from msvs.api.permissions import ROLES, Permission, allow, is_allowed
from msvs.api.resources import campaign_version, moment
from msvs.api.scope import find, scoped
from msvs.api.settings_of_mode import find_settings
from msvs.api.text.templates import is_visible
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.api.webhooks.events import EventType
from msvs.database import execute, fetch_value
from msvs.fields import Request, Version, about, named
from msvs.models import ApiKey, Campaign, CampaignStatus, Role, Workspace, rows
from msvs.models.campaigns import Approval
from msvs.postgres_values import can_keep

MAX_COMMENT = 500
REQUIRED, APPROVED, REJECTED = "required", "approved", "rejected"

FORGET_RECIPIENTS = "DELETE FROM campaign_recipients WHERE campaign_id = $1"
# For millions of recipients.
FORGET_SECONDS = 300.0
# Who decides keeps the right to until the decision is written.
HOLD_ROLE = "SELECT role FROM memberships WHERE workspace_id = $1 AND user_id = $2 FOR SHARE"


class DecideApproval(Request, frozen=True, kw_only=True):
    """A decision about a campaign that waits for approval."""

    version: Version
    comment: Annotated[str, about("A comment, which the campaign shows.", **named(MAX_COMMENT))] | None = None


def is_unapproved(campaign: rows.CampaignRow) -> bool:
    """Return whether a campaign needs an approval that it does not have."""
    return campaign.approval is not None and campaign.approval["state"] != APPROVED


def is_waiting(campaign: rows.CampaignRow) -> bool:
    """Return whether a campaign waits for its approval: since it was launched, or since its audience outgrew one."""
    return (
        is_unapproved(campaign)
        and campaign.status == CampaignStatus.PAUSED
        and campaign.pause_reason == APPROVAL_REQUIRED
    )


def is_paused_early(campaign: rows.CampaignRow) -> bool:
    """Return whether somebody paused a campaign by hand before any message of it was made."""
    is_early = is_unapproved(campaign) or campaign.started_at is None
    return is_early and campaign.status == CampaignStatus.PAUSED and campaign.pause_reason == MANUAL


def pause_early(campaign: Campaign) -> None:
    """Pause a campaign by hand as it was before a change, whether it waits for approval or not; the caller saves it."""
    if campaign.status != CampaignStatus.PAUSED:
        campaign.resume_status = campaign.status
        campaign.status = CampaignStatus.PAUSED
    campaign.pause_reason = MANUAL


async def withdraw(campaign: Campaign, now: datetime) -> None:
    """Take back the request of a campaign that is changed, and the recipients that were fixed; the caller saves it.

    Whom it goes to is found again once it is approved as it is then. None of them is a message yet.
    """
    release(campaign, now)
    if campaign.audience_until is not None:
        await execute(FORGET_RECIPIENTS, campaign.id, timeout=FORGET_SECONDS)
        campaign.audience_until = campaign.audience_after = None
        campaign.audience_count = 0


async def hold_at_launch(ctx: Context, campaign: Campaign, workspace: Workspace, now: datetime) -> None:
    """Pause a campaign that is about to run where it needs an approval; the caller saves it.

    What it had been approved for before counts no more.
    """
    campaign.launched_by = ctx.actor
    campaign.approval = None
    threshold = workspace.approval_threshold
    if threshold is None or await audiences.has_at_most(ctx, campaign.audience, threshold):
        return
    count = await _count(ctx, campaign)
    if count > threshold:
        hold(campaign, ctx.actor, count, now)


def hold(campaign: Campaign, requested_by: str | None, count: int, now: datetime) -> None:
    """Pause a campaign until somebody approves it for so many recipients; the caller saves and announces it."""
    campaign.approval = _asked_for(requested_by, count, now)
    campaign.resume_status = campaign.status
    campaign.status = CampaignStatus.PAUSED
    campaign.pause_reason = APPROVAL_REQUIRED


def _asked_for(requested_by: str | None, count: int, now: datetime) -> Approval:
    return Approval(
        state=REQUIRED,
        requested_by=requested_by,
        requested_at=moment(now),
        decided_by=None,
        decided_at=None,
        comment=None,
        recipient_count=count,
    )


def release(campaign: Campaign, now: datetime) -> None:
    """Set a campaign that waited to what it was launched to be; the caller saves it."""
    is_later = campaign.scheduled_at is not None and campaign.scheduled_at > now
    campaign.status = CampaignStatus.SCHEDULED if is_later else CampaignStatus.PREPARING
    campaign.resume_status = None
    campaign.pause_reason = None


async def announce_request(campaign: Campaign, now: datetime) -> None:
    """Tell those who may approve a campaign that it waits for one of them, if it does."""
    if campaign.approval is not None and campaign.approval["state"] == REQUIRED:
        await record_campaign_event(EventType.CAMPAIGN_APPROVAL_REQUESTED, campaign, now)


async def outgrown(services: Services, campaign: Campaign) -> int | None:
    """Return the recipients of a campaign that are more than it may go to; None if they are not.

    All of them are fixed, and none is a message yet.
    """
    if campaign.approval is None:
        ctx = Context(campaign.workspace_id, campaign.livemode, services=services)
        allowed: int | None = (await find_settings(ctx)).approval_threshold
    else:
        allowed = campaign.approval["recipient_count"]
    count: int = campaign.audience_count
    return None if allowed is None or count <= allowed else count


async def approve_campaign(ctx: Context, id: UUID, data: DecideApproval) -> Campaign:
    """Let a campaign go that waits for approval, as it stands in `version`. Only a person may, and not who asked.

    Raises NotFound, PermissionDenied, and Conflict: `approval_decided` where it does not wait, `version_conflict`.
    """
    return await _decide(ctx, id, APPROVED, data)


async def reject_campaign(ctx: Context, id: UUID, data: DecideApproval) -> Campaign:
    """Refuse a campaign that waits for approval: it stays paused until it is changed, asked for again or canceled.

    Raises what approve_campaign raises.
    """
    return await _decide(ctx, id, REJECTED, data)


async def request_approval(ctx: Context, id: UUID) -> Campaign:
    """Ask once more for the approval of a campaign that was rejected.

    Raises NotFound, and Conflict `approval_decided` where it was not.
    """
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    campaign = await find(ctx, Campaign, id, prefix=ids.CAMPAIGN, noun="campaign", lock=True)
    if campaign.status != CampaignStatus.PAUSED or campaign.approval is None or campaign.approval["state"] != REJECTED:
        raise _decided("The campaign was not rejected.")
    now = ctx.services.clock()
    count = max(campaign.audience_count, await _count(ctx, campaign))
    # Who launched or changed it last may not decide about it, also where somebody else asks again.
    campaign.approval = _asked_for(campaign.launched_by, count, now)
    await campaign.save(update_fields=["approval"])
    await announce_request(campaign, now)
    return campaign


async def require_second_person(ctx: Context, author: str | None) -> None:
    """Refuse all but a person who may approve, and is not the author, by hand or by a key of theirs.

    Raises Conflict `approval_required`, PermissionDenied `approval_own`.
    """
    if ids.decode_id(ids.USER, ctx.actor) is None or not is_allowed(ctx, Permission.CAMPAIGNS_APPROVE):
        raise Conflict(
            "Another owner or admin must publish the sequence, who did not write it.", code=ErrorCode.APPROVAL_REQUIRED
        )
    await _hold_approver(ctx)
    await _refuse_own(ctx, author, ctx.actor)


async def _decide(ctx: Context, id: UUID, state: str, data: DecideApproval) -> Campaign:
    user_id = await _hold_approver(ctx)
    comment = _read_comment(data.comment)
    campaign = await find(ctx, Campaign, id, prefix=ids.CAMPAIGN, noun="campaign", lock=True)
    approval = campaign.approval
    if campaign.status != CampaignStatus.PAUSED or approval is None or approval["state"] != REQUIRED:
        raise _decided("The campaign does not wait for approval.")
    check_version(data.version, campaign_version(campaign), "campaign")
    decided_by = ids.encode_id(ids.USER, user_id)
    await _refuse_own(ctx, approval["requested_by"], decided_by)
    now = ctx.services.clock()
    campaign.approval = {
        **approval,
        "state": state,
        "decided_by": decided_by,
        "decided_at": moment(now),
        "comment": comment,
    }
    is_approved = state == APPROVED
    # One that somebody paused by hand meanwhile waits for a hand.
    if is_approved and campaign.pause_reason == APPROVAL_REQUIRED:
        release(campaign, now)
        notify_after_commit(WorkQueue.CAMPAIGNS)
    await campaign.save(update_fields=["approval", "status", "resume_status", "pause_reason"])
    await record_campaign_event(
        EventType.CAMPAIGN_APPROVED if is_approved else EventType.CAMPAIGN_REJECTED, campaign, now
    )
    action = AuditAction.CAMPAIGN_APPROVED if is_approved else AuditAction.CAMPAIGN_REJECTED
    changes = {"approval": [REQUIRED, state], "recipient_count": [None, approval["recipient_count"]]}
    await record_audit(ctx, action, ids.encode_id(ids.CAMPAIGN, id), changes)
    return campaign


async def _hold_approver(ctx: Context) -> UUID:
    """Return the person who decides, whose role stays until the decision is written. Raises PermissionDenied."""
    allow(ctx, Permission.CAMPAIGNS_APPROVE)
    user_id = ids.decode_id(ids.USER, ctx.actor)
    if user_id is None:
        raise PermissionDenied("Only people approve campaigns: log in for this.")
    role = await fetch_value(HOLD_ROLE, ctx.workspace_id, user_id)
    if role is None or Role(role) not in ROLES[Permission.CAMPAIGNS_APPROVE]:
        raise PermissionDenied("You may no longer approve campaigns.", permission=Permission.CAMPAIGNS_APPROVE.value)
    return user_id


async def _refuse_own(ctx: Context, requested_by: str | None, decided_by: str) -> None:
    """Refuse the person who launched or changed a campaign last, by hand or by a key of their own making."""
    author = requested_by
    if requested_by is not None and (key_id := ids.decode_id(ids.API_KEY, requested_by)) is not None:
        key = await scoped(ctx, ApiKey).get_or_none(id=key_id)
        author = None if key is None else key.created_by
    if author == decided_by:
        raise PermissionDenied(
            "Another person must decide: you launched or changed it last.", code=ErrorCode.APPROVAL_OWN
        )


def _read_comment(text: str | None) -> str | None:
    if text is None or not text.strip():
        return None
    if len(text) > MAX_COMMENT or not is_visible(text) or not can_keep(text):
        raise InvalidRequest(
            f"comment has at most {MAX_COMMENT} characters.", param="comment", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    return text.strip()


def _decided(message: str) -> Conflict:
    return Conflict(message, code=ErrorCode.APPROVAL_DECIDED)


async def _count(ctx: Context, campaign: Campaign) -> int:
    return await audiences.count_members(ctx, campaign.audience, await audiences.members_sql(ctx, campaign.audience))
