"""Events: what happened, written in the transaction in which it happened."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField


class Event(Model):
    """One event; `data` is the JSON text of the resource as it stood then, delivered byte for byte."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    type = fields.CharField(max_length=40)
    resource_id = fields.UUIDField(null=True)
    data = fields.TextField()
    created_at = DatetimeField(auto_now_add=True)

    class Meta:
        table = "events"
        indexes = (("workspace_id", "livemode", "id"),)
