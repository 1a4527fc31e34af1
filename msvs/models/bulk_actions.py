"""Bulk actions on contacts."""

from __future__ import annotations

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.json_types import JSONObject
from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField


class BulkKind(StrEnum):
    """What is done to each contact."""

    OPT_OUT = "opt_out"
    DELETE = "delete"
    ERASE = "erase"
    TAG = "tag"
    UNTAG = "untag"
    ADD_TO_LIST = "add_to_list"
    REMOVE_FROM_LIST = "remove_from_list"


class BulkStatus(StrEnum):
    """How far a bulk action is."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELED = "canceled"
    FAILED = "failed"


class BulkAction(Model):
    """An action on all contacts that match conditions, and its progress.

    A worker holds it by `lease_token` until `lease_until`. Contacts are processed in id order up to `last_id`, which is
    above every id at creation; `done_id` is where the last committed batch ended. `postponed` counts the contacts of
    the current pass that could not be erased yet; `tries` counts the claims since the last progress.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    kind = fields.CharEnumField(BulkKind, max_length=20)
    status = fields.CharEnumField(BulkStatus, max_length=10, default=BulkStatus.QUEUED)
    actor = fields.CharField(max_length=40)
    options: fields.Field[JSONObject] = fields.JSONField(default=dict)
    matched = fields.BigIntField(default=0)
    changed = fields.BigIntField(default=0)
    done_id = fields.UUIDField()
    last_id = fields.UUIDField()
    error: fields.Field[JSONObject | None] = fields.JSONField(null=True)
    lease_token = fields.UUIDField(null=True)
    lease_until = fields.DatetimeField(null=True)
    turn_at = fields.DatetimeField(null=True)
    postponed = fields.IntField(default=0, db_default=0)
    tries = fields.SmallIntField(default=0, db_default=0)
    created_at = DatetimeField(auto_now_add=True)
    updated_at = DatetimeField(auto_now=True)
    started_at = fields.DatetimeField(null=True)
    ended_at = fields.DatetimeField(null=True)

    class Meta:
        table = "bulk_actions"
        indexes = (("workspace_id", "livemode", "id"),)
