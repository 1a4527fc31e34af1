"""Contact lists and their members."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField


class ContactList(Model):
    """A named collection of contacts. `contact_count` is kept by a trigger, so that reading it costs nothing."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    name = fields.CharField(max_length=200)
    kind = fields.CharField(max_length=10, default="static")
    contact_count = fields.IntField(default=0)
    created_at = DatetimeField(auto_now_add=True)
    updated_at = DatetimeField(auto_now=True)

    class Meta:
        table = "contact_lists"
        indexes = (("workspace_id", "livemode", "id"),)


class ListMember(Model):
    """A contact's place on a list."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    list_id = fields.UUIDField()
    contact_id = fields.UUIDField(db_index=True)
    created_at = DatetimeField(auto_now_add=True)

    class Meta:
        table = "list_members"
        unique_together = (("list_id", "contact_id"),)
