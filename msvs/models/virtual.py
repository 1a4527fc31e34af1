"""The books of the virtual carrier: what it accepted, and what it will report."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id


class VirtualSubmission(Model):
    """One message the virtual carrier took. Append-only; not unique by message, so that a double send shows.

    `dedupe_key` is the message's id while the carrier plays one that knows an id again, else null.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    message_id = fields.UUIDField(db_index=True)
    dedupe_key = fields.UUIDField(null=True, unique=True)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    to_phone = fields.CharField(max_length=16)
    segments = fields.SmallIntField()
    accepted_at = fields.DatetimeField()

    class Meta:
        table = "virtual_submissions"


class VirtualEvent(Model):
    """A delivery report or reply that the virtual carrier will bring at `due_at`."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    message_id = fields.UUIDField()
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    kind = fields.CharField(max_length=10)
    error_code = fields.CharField(max_length=40, null=True)
    phone = fields.CharField(max_length=16)
    sender = fields.CharField(max_length=16)
    text = fields.TextField(default="")
    due_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "virtual_signals"
