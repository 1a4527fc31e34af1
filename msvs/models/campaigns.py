"""Campaigns: one body sent to many contacts."""

from __future__ import annotations

from enum import StrEnum
from typing import TypedDict

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id
from msvs.models.messages import KeptWarning, MetadataValue, OnUnknown
from msvs.models.moments import DatetimeField


class CampaignStatus(StrEnum):
    """The status of a campaign."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    PREPARING = "preparing"
    SENDING = "sending"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELED = "canceled"
    FAILED = "failed"


class Audience(TypedDict, total=False):
    """Whom a campaign goes to, by public ids as they were given."""

    list_ids: list[str]
    segment_id: str | None
    contact_ids: list[str]


class Exclusions(TypedDict, total=False):
    """Who of an audience is skipped, by public ids."""

    list_ids: list[str]
    segment_ids: list[str]
    campaign_ids: list[str]
    messaged_within_days: int


class Tripped(TypedDict):
    """The guard rail beyond which a campaign moved: `measure` is `credits` or `recipients`, found and expected."""

    guard: str
    measure: str
    limit: float
    expected: int | None
    found: int


class GuardRails(TypedDict, total=False):
    """What a campaign may become before it is paused: `lifted` once somebody resumed it all the same."""

    preflight_id: str
    max_credits: int | None
    max_drift: float | None
    expected_recipients: int
    expected_credits: int
    lifted: bool
    tripped: Tripped | None


class Approval(TypedDict):
    """The approval of a campaign: `state` is required, approved or rejected, for `recipient_count` recipients at most.

    `requested_by` is who launched or changed it last, a person or a key; `decided_by` a person.
    """

    state: str
    requested_by: str | None
    requested_at: str
    decided_by: str | None
    decided_at: str | None
    comment: str | None
    recipient_count: int


class Metric(StrEnum):
    """By what the variants of a campaign are compared."""

    DELIVERY = "delivery"
    CLICK = "click"
    REPLY = "reply"
    CONVERSION = "conversion"


# The names of variants, in their order.
VARIANTS = "ABCDE"


class VariantSpec(TypedDict, total=False):
    """A variant of a campaign: what differs from the campaign itself, and its share of the test in percent."""

    body: str
    sender: str
    share: int


class AbTest(TypedDict):
    """The A/B test of a campaign: `minutes` until its winner is chosen, null where that is done by hand."""

    variants: list[VariantSpec]
    test_percent: int
    metric: str
    minutes: int | None


class Campaign(Model):
    """A campaign. `resume_status` is what a paused one goes back to.

    `interval_seconds` lies between two hand-overs, from the rate or the spread asked for (0 for as fast as can be);
    `slots_taken` is how many were handed over since `paced_from`. While its audience is fixed, chunk by chunk,
    `audience_until` is the last contact there was when that began, `audience_after` the last one looked at and
    `audience_count` the recipients so far. `pause_mark` is what its credits stood by when they ran out.
    `send_at_local` is the local hour at which recipients get it. `utm` are the UTM parameters of its short links, null
    if there are none. `guard_rails` say beyond what it is paused, at its start or while it is expanded, for which
    `planned_credits` is what the messages made so far cost. `warnings` are those it had when it was made, last changed
    or launched. `ab_test` are its variants, null if there are none; `tested_at` is when the last message of the test
    was queued, `test_ends_at` when the winner is chosen, and `winner` the variant that the rest gets, counted from 1,
    which somebody picked if `is_winner_picked`. `tags` are null if there are none; one that ended may be put away, at
    `archived_at`. `approval` is null where none is needed, and `launched_by` who launched it, or changed it since.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    sequence_id = fields.UUIDField(null=True)
    name = fields.CharField(max_length=200)
    body = fields.TextField()
    sender = fields.CharField(max_length=16)
    audience: fields.Field[Audience] = fields.JSONField()
    exclusions: fields.Field[Exclusions | None] = fields.JSONField(null=True)
    metadata: fields.Field[dict[str, MetadataValue]] = fields.JSONField(default=dict)
    warnings: fields.Field[list[KeptWarning] | None] = fields.JSONField(null=True)
    status = fields.CharEnumField(CampaignStatus, max_length=10)
    resume_status: fields.Field[CampaignStatus | None] = fields.CharEnumField(  # type: ignore[assignment]
        CampaignStatus, max_length=10, null=True
    )
    pause_reason = fields.CharField(max_length=30, null=True)
    pause_mark = fields.CharField(max_length=60, null=True)
    audience_until = fields.UUIDField(null=True)
    audience_after = fields.UUIDField(null=True)
    audience_count = fields.BigIntField(default=0, db_default=0)
    scheduled_at = fields.DatetimeField(null=True)
    expires_at = fields.DatetimeField(null=True)
    rate_per_minute = fields.IntField(null=True)
    spread_hours = fields.FloatField(null=True)
    contact_daily_cap = fields.IntField(null=True)
    contact_weekly_cap = fields.IntField(null=True)
    send_at_local = fields.CharField(max_length=5, null=True)
    respects_quiet_hours = fields.BooleanField(default=False)
    on_unknown = fields.CharEnumField(OnUnknown, max_length=10, default=OnUnknown.NEVER, db_default="never")
    shorten_links = fields.BooleanField(default=False, db_default=False)
    utm: fields.Field[dict[str, str] | None] = fields.JSONField(null=True)
    guard_rails: fields.Field[GuardRails | None] = fields.JSONField(null=True)
    planned_credits = fields.BigIntField(default=0, db_default=0)
    ab_test: fields.Field[AbTest | None] = fields.JSONField(null=True)
    tested_at = fields.DatetimeField(null=True)
    test_ends_at = fields.DatetimeField(null=True)
    winner = fields.SmallIntField(null=True)
    winner_chosen_at = fields.DatetimeField(null=True)
    is_winner_picked = fields.BooleanField(default=False, db_default=False)
    tags: fields.Field[list[str] | None] = fields.JSONField(null=True)
    approval: fields.Field[Approval | None] = fields.JSONField(null=True)
    launched_by = fields.CharField(max_length=40, null=True)
    archived_at = fields.DatetimeField(null=True)
    interval_seconds = fields.FloatField(default=0.0)
    slots_taken = fields.BigIntField(default=0)
    paced_from = fields.DatetimeField(null=True)
    started_at = fields.DatetimeField(null=True)
    dispatched_at = fields.DatetimeField(null=True)
    completed_at = fields.DatetimeField(null=True)
    canceled_at = fields.DatetimeField(null=True)
    created_at = DatetimeField(auto_now_add=True)

    class Meta:
        table = "campaigns"
        indexes = (("workspace_id", "livemode", "id"),)
