"""Answers kept for requests that carried an Idempotency-Key."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id


class IdempotencyRecord(Model):
    """The answer to the first request with this key, stored in the transaction of its effect."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    key = fields.CharField(max_length=255)
    fingerprint = fields.CharField(max_length=64)
    status_code = fields.SmallIntField()
    body = fields.TextField()
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "idempotency_records"
        unique_together = (("workspace_id", "livemode", "key"),)
        indexes = (("created_at",),)
