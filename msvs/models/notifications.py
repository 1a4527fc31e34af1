"""Notifications: what members of a workspace are told of."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.json_types import JSONObject
from msvs.models.identity import new_id


class Notification(Model):
    """What one member is told of; a row each, so that each reads it for themselves.

    `subject_id` is the public id of what it is about. `data` holds a name, a reason or a count, no phone number.
    What concerns the workspace as a whole is live's.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    user_id = fields.UUIDField()
    kind = fields.CharField(max_length=30)
    subject_id = fields.CharField(max_length=40, null=True)
    data: fields.Field[JSONObject] = fields.JSONField(default=dict)
    created_at = fields.DatetimeField()
    read_at = fields.DatetimeField(null=True)

    class Meta:
        table = "notifications"
        indexes = (("user_id", "workspace_id", "livemode", "id"), ("workspace_id", "livemode", "id"))
