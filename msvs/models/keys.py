"""API keys: shown once, stored as a hash."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField


class ApiKey(Model):
    """A bearer key of one workspace and mode; `digest` is the SHA-256 of the whole key.

    `scopes` are what it may do, null for all that a key can; `allowed_ips` the networks it works from, null for all.
    `created_by` is the user or key that made it, or `system`; null in rows from before that was kept.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField(db_index=True)
    livemode = fields.BooleanField()
    name = fields.CharField(max_length=100, default="")
    digest = fields.CharField(max_length=64, unique=True)
    prefix = fields.CharField(max_length=16)
    last4 = fields.CharField(max_length=4)
    scopes: fields.Field[list[str] | None] = fields.JSONField(null=True)
    allowed_ips: fields.Field[list[str] | None] = fields.JSONField(null=True)
    created_by = fields.CharField(max_length=40, null=True)
    created_at = DatetimeField(auto_now_add=True)
    expires_at = fields.DatetimeField(null=True)
    revoked_at = fields.DatetimeField(null=True)
    last_used_at = fields.DatetimeField(null=True)

    class Meta:
        table = "api_keys"
