"""Saved views: the filters of a page of the dashboard under a name."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.json_types import JSONObject
from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField


class SavedView(Model):
    """The filters of a page, by name, for all members of a workspace. One that names a person goes with the person."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    page = fields.CharField(max_length=20)
    name = fields.CharField(max_length=60)
    filters: fields.Field[JSONObject] = fields.JSONField()
    created_by = fields.CharField(max_length=40)
    created_at = DatetimeField(auto_now_add=True)
    updated_at = DatetimeField(auto_now=True)

    class Meta:
        table = "saved_views"
        unique_together = (("workspace_id", "livemode", "page", "name"),)
