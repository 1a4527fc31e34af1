"""Exports of what a workspace has, as files."""

from __future__ import annotations

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.json_types import JSONObject
from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField


class ExportKind(StrEnum):
    """The kind of data in an export."""

    CONTACTS = "contacts"
    MESSAGES = "messages"
    CAMPAIGN_RESULTS = "campaign_results"
    SUPPRESSIONS = "suppressions"
    LEDGER = "ledger"
    EVENTS = "events"
    CONVERSIONS = "conversions"


class ExportStatus(StrEnum):
    """The status of an export."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELED = "canceled"
    FAILED = "failed"
    EXPIRED = "expired"


class Export(Model):
    """An export, how far it is, and its file, whose bytes are rows of `export_chunks` until it expires.

    A worker holds an export by `lease_token` until `lease_until`. All of a file is of one moment: a worker that takes
    over begins again. `tries` counts the beginnings.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    kind = fields.CharEnumField(ExportKind, max_length=20)
    status = fields.CharEnumField(ExportStatus, max_length=10, default=ExportStatus.QUEUED)
    actor = fields.CharField(max_length=40)
    options: fields.Field[JSONObject] = fields.JSONField(default=dict)
    rows_total = fields.BigIntField(null=True)
    rows_done = fields.BigIntField(default=0)
    file_size = fields.BigIntField(default=0)
    error: fields.Field[JSONObject | None] = fields.JSONField(null=True)
    lease_token = fields.UUIDField(null=True)
    lease_until = fields.DatetimeField(null=True)
    turn_at = fields.DatetimeField(null=True)
    tries = fields.SmallIntField(default=0, db_default=0)
    created_at = DatetimeField(auto_now_add=True)
    updated_at = DatetimeField(auto_now=True)
    started_at = fields.DatetimeField(null=True)
    ended_at = fields.DatetimeField(null=True)
    expires_at = fields.DatetimeField(null=True)

    class Meta:
        table = "exports"
        indexes = (("workspace_id", "livemode", "id"),)
