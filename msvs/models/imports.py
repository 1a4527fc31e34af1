"""Imports of contacts from files."""

from __future__ import annotations

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.json_types import JSONObject
from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField


class ImportStatus(StrEnum):
    """The status of an import."""

    UPLOADING = "uploading"
    QUEUED = "queued"
    READING = "reading"
    NEEDS_MAPPING = "needs_mapping"
    CHECKING = "checking"
    CHECKED = "checked"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELED = "canceled"
    FAILED = "failed"
    EXPIRED = "expired"
    UNDOING = "undoing"
    UNDONE = "undone"


class ContactImport(Model):
    """An import of contacts from a file, how far it is, and what came of it.

    The file's bytes are rows of `import_chunks` until the import ends. What its rows say is in `import_rows`, under
    `reading_id`, for as long as the import can be undone; `old_readings` are left to be deleted. A worker holds an
    import by `lease_token` until `lease_until`. `rows_read` and `rows_done` say where it goes on. `erased` holds the
    hashes of phones that were erased while the file came or was read: their rows are left out. `tries` counts the
    claims since the last progress.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    status = fields.CharEnumField(ImportStatus, max_length=15, default=ImportStatus.UPLOADING)
    actor = fields.CharField(max_length=40)
    file_name = fields.CharField(max_length=200)
    file_size = fields.BigIntField(default=0)
    file_hash = fields.CharField(max_length=64, null=True)
    file_kind = fields.CharField(max_length=10, null=True)
    encoding = fields.CharField(max_length=30, null=True)
    delimiter = fields.CharField(max_length=1, null=True)
    columns: fields.Field[list[JSONObject]] = fields.JSONField(default=list)
    mapping: fields.Field[dict[str, str]] = fields.JSONField(default=dict)
    options: fields.Field[JSONObject] = fields.JSONField(default=dict)
    counts: fields.Field[dict[str, int]] = fields.JSONField(default=dict)
    rows_read = fields.BigIntField(default=0)
    rows_done = fields.BigIntField(default=0)
    is_read = fields.BooleanField(default=False)
    reading_id = fields.UUIDField(null=True)
    old_readings: fields.Field[list[str]] = fields.JSONField(default=list)
    erased: fields.Field[list[str]] = fields.JSONField(default=list, db_default=[])
    error: fields.Field[JSONObject | None] = fields.JSONField(null=True)
    lease_token = fields.UUIDField(null=True)
    lease_until = fields.DatetimeField(null=True)
    turn_at = fields.DatetimeField(null=True)
    tries = fields.SmallIntField(default=0, db_default=0)
    created_at = DatetimeField(auto_now_add=True)
    updated_at = DatetimeField(auto_now=True)
    started_at = fields.DatetimeField(null=True)
    ended_at = fields.DatetimeField(null=True)

    class Meta:
        table = "contact_imports"
        indexes = (("workspace_id", "livemode", "id"),)
