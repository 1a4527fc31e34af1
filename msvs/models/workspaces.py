"""Workspaces: the tenants, with their settings."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.json_types import JSONObject
from msvs.models.identity import new_id

# Scheduling a deletion also sets `suspended_at`, to `deletion_asked_at`; any other value is an operator's suspension.
IS_HELD = """(
    workspaces.suspended_at IS NOT NULL AND workspaces.suspended_at IS DISTINCT FROM workspaces.deletion_asked_at
)"""


class Workspace(Model):
    """A tenant, with the settings that live obeys.

    `sandbox_settings` are those that the sandbox changed for itself, by name; all others are the same there.
    `enabled_regions` are the ISO 3166-1 codes it enabled of those that are off until then. `daily_credit_cap` is in
    credits a UTC day, `prefix_hourly_cap` in single messages an hour to one range of numbers; null is no cap.
    `contact_daily_cap` and `contact_weekly_cap` are in messages of campaigns to one contact in 24 hours and 7 days, and
    of single ones, too, with `contact_caps_cover_all`. After
    `unreachable_after` failures for its number's sake a contact is skipped by campaigns, null for never. A conversion
    is attributed to the last click within `click_window_hours`, or else to the last message within
    `message_window_hours`; 0 turns either off. Campaigns to more recipients than
    `approval_threshold` need a second person, null for none. While
    `suspended_at` is set, by an operator, nothing is sent and its keys are refused. With `requires_second_factor` only
    members who have one may work in it. `deletes_at` is when its data is erased, asked for at `deletion_asked_at`, from
    when on it is suspended; at `erased_at` that was done. With `has_test_clock` its sandbox lives in its own time.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    name = fields.CharField(max_length=100)
    default_sender = fields.CharField(max_length=16, default="MASSIVESMS")
    double_opt_in = fields.BooleanField(default=False)
    campaigns_admit_unknown = fields.BooleanField(default=False)
    blocked_regions: fields.Field[list[str]] = fields.JSONField(default=list)
    enabled_regions: fields.Field[list[str]] = fields.JSONField(default=list, db_default=[])
    daily_credit_cap = fields.BigIntField(null=True)
    prefix_hourly_cap = fields.IntField(null=True)
    contact_daily_cap = fields.IntField(null=True)
    contact_weekly_cap = fields.IntField(null=True)
    contact_caps_cover_all = fields.BooleanField(default=False, db_default=False)
    unreachable_after = fields.IntField(null=True, default=3, db_default=3)
    click_window_hours = fields.IntField(default=120, db_default=120)
    message_window_hours = fields.IntField(default=24, db_default=24)
    approval_threshold = fields.IntField(null=True)
    timezone = fields.CharField(max_length=64, default="UTC")
    quiet_hours = fields.BooleanField(default=False)
    opt_in_text = fields.TextField(default="Reply YES to confirm your subscription. Reply STOP to opt out.")
    opt_out_text = fields.TextField(
        default="You are unsubscribed and will get no more messages. Reply START to resubscribe."
    )
    welcome_text = fields.TextField(default="You are subscribed. Reply STOP to opt out.")
    help_text = fields.TextField(default="Reply STOP to opt out, START to resubscribe.")
    sandbox_settings: fields.Field[JSONObject] = fields.JSONField(default=dict, db_default={})
    created_at = fields.DatetimeField(auto_now_add=True)
    suspended_at = fields.DatetimeField(null=True)
    requires_second_factor = fields.BooleanField(default=False, db_default=False)
    deletion_asked_at = fields.DatetimeField(null=True)
    deletes_at = fields.DatetimeField(null=True)
    erased_at = fields.DatetimeField(null=True)
    has_test_clock = fields.BooleanField(default=False, db_default=False)

    class Meta:
        table = "workspaces"
