"""Synced lists: the source of each list, and its syncs."""

from __future__ import annotations

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.json_types import JSONObject
from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField


class SourceStatus(StrEnum):
    """The status of a list's source."""

    CHECKING = "checking"
    CHECKED = "checked"
    ACTIVE = "active"
    STOPPED = "stopped"


class SyncStatus(StrEnum):
    """The status of a sync."""

    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class SyncTrigger(StrEnum):
    """What began a sync."""

    CREATED = "created"
    CONFIRMED = "confirmed"
    CHANGED = "changed"
    SCHEDULE = "schedule"
    MANUAL = "manual"
    HOOK = "hook"


class ListSource(Model):
    """The service that a list syncs from.

    `secrets` are sealed. `columns` are the fields of the service, and `mapping` maps their keys to contact fields.
    `choices` are the values that the account has for settings, such as its tags. The
    next incremental sync reads changes since `bookmark`; `walked_at` is when the last full sync completed.
    `next_sync_at` is when the next sync is due, or null. `hook_hash` is the hash of the token in the hook URL. A worker
    leases the source with `lease_token` until `lease_until`, so that only one worker uses its secrets at a time.
    `tries` counts the claims since the last progress.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    list_id = fields.UUIDField(unique=True)
    kind = fields.CharField(max_length=30)
    status = fields.CharEnumField(SourceStatus, max_length=10, default=SourceStatus.CHECKING)
    is_paused = fields.BooleanField(default=False)
    actor = fields.CharField(max_length=40)
    account = fields.CharField(max_length=200, null=True)
    settings: fields.Field[dict[str, str]] = fields.JSONField(default=dict)
    secrets = fields.CharField(max_length=16000, null=True)
    columns: fields.Field[list[JSONObject]] = fields.JSONField(default=list)
    mapping: fields.Field[dict[str, str]] = fields.JSONField(default=dict)
    options: fields.Field[JSONObject] = fields.JSONField(default=dict)
    choices: fields.Field[dict[str, list[dict[str, str]]]] = fields.JSONField(default=dict, db_default={})
    writes_opt_outs = fields.BooleanField(default=False)
    bookmark = fields.CharField(max_length=2048, null=True)
    walked_at = fields.DatetimeField(null=True)
    next_sync_at = fields.DatetimeField(null=True)
    failure_count = fields.IntField(default=0)
    error: fields.Field[JSONObject | None] = fields.JSONField(null=True)
    hook_hash = fields.CharField(max_length=64, null=True, unique=True)
    hook_registered_at = fields.DatetimeField(null=True)
    lease_token = fields.UUIDField(null=True)
    lease_until = fields.DatetimeField(null=True)
    tries = fields.SmallIntField(default=0, db_default=0)
    created_at = DatetimeField(auto_now_add=True)
    updated_at = DatetimeField(auto_now=True)

    class Meta:
        table = "list_sources"
        indexes = (("workspace_id", "livemode", "id"),)


class ListSync(Model):
    """One pass over the people of a source: its progress and its outcome.

    `cursor` is the next page to read; each page's changes commit with it. `is_walked` is set after the last page.
    `samples` are the first changed people, and `problems` the first that could not be read. `due_at` is when a worker
    may run the sync; a retry moves it forward.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    source_id = fields.UUIDField()
    list_id = fields.UUIDField(db_index=True)
    trigger = fields.CharEnumField(SyncTrigger, max_length=10)
    status = fields.CharEnumField(SyncStatus, max_length=10, default=SyncStatus.QUEUED)
    is_dry_run = fields.BooleanField(default=False)
    is_full = fields.BooleanField(default=True)
    since = fields.CharField(max_length=2048, null=True)
    cursor = fields.CharField(max_length=2048, null=True)
    bookmark = fields.CharField(max_length=2048, null=True)
    is_walked = fields.BooleanField(default=False)
    is_complete = fields.BooleanField(default=False)
    may_shrink = fields.BooleanField(default=False)
    counts: fields.Field[dict[str, int]] = fields.JSONField(default=dict)
    samples: fields.Field[list[JSONObject]] = fields.JSONField(default=list)
    problems: fields.Field[list[JSONObject]] = fields.JSONField(default=list)
    error: fields.Field[JSONObject | None] = fields.JSONField(null=True)
    attempt_count = fields.IntField(default=0)
    due_at = fields.DatetimeField()
    created_at = DatetimeField(auto_now_add=True)
    updated_at = DatetimeField(auto_now=True)
    started_at = fields.DatetimeField(null=True)
    ended_at = fields.DatetimeField(null=True)

    class Meta:
        table = "list_syncs"
        indexes = (("workspace_id", "livemode", "id"), ("source_id", "id"))
