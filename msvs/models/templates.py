"""Texts that are kept for messages: templates of whole bodies, and snippets that bodies include."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id


class MessageTemplate(Model):
    """A body under a name, with its variables and snippets as they are written. `tags` are null if there are none."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    name = fields.CharField(max_length=100)
    body = fields.TextField()
    tags: fields.Field[list[str] | None] = fields.JSONField(null=True)
    archived_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)

    class Meta:
        table = "message_templates"
        unique_together = (("workspace_id", "livemode", "name"),)


class Snippet(Model):
    """A piece of text that bodies include by its name."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    name = fields.CharField(max_length=40)
    body = fields.TextField()
    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)

    class Meta:
        table = "snippets"
        unique_together = (("workspace_id", "livemode", "name"),)
