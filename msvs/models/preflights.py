"""Preflights: what a campaign was expected to be before it was created."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id


class Preflight(Model):
    """What a preflight of a campaign expected. It names nobody."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    recipient_count = fields.BigIntField()
    credits = fields.BigIntField()
    created_at = fields.DatetimeField()

    class Meta:
        table = "preflights"
