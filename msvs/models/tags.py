"""Tags of contacts, and which contacts have them."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField


class Tag(Model):
    """A word that contacts are marked with. `contact_count` is kept by a trigger, so that reading it costs nothing."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    name = fields.CharField(max_length=40)
    contact_count = fields.IntField(default=0)
    created_at = DatetimeField(auto_now_add=True)

    class Meta:
        table = "tags"
        unique_together = (("workspace_id", "livemode", "name"),)
        indexes = (("workspace_id", "livemode", "id"),)
