"""Keywords that a recipient texts to join a list."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField


class Keyword(Model):
    """A word that opts its sender in and adds it to a list. `folded` is the word as replies are compared with it."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    word = fields.CharField(max_length=30)
    folded = fields.CharField(max_length=60)
    list_id = fields.UUIDField(db_index=True)
    reply = fields.TextField(null=True)
    created_at = DatetimeField(auto_now_add=True)

    class Meta:
        table = "keywords"
        unique_together = (("workspace_id", "livemode", "folded"),)
