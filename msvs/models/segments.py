"""Segments: saved filters over contacts."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.json_types import JSONObject
from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField


class Segment(Model):
    """A named filter, kept as the JSON it was given."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    name = fields.CharField(max_length=200)
    conditions: fields.Field[JSONObject] = fields.JSONField()
    created_at = DatetimeField(auto_now_add=True)
    updated_at = DatetimeField(auto_now=True)

    class Meta:
        table = "segments"
        indexes = (("workspace_id", "livemode", "id"),)
