"""Requests made with API keys, kept for a week."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id


class ApiRequest(Model):
    """One request of an API key as it was answered: never its body, its query or what was answered.

    An answer that is given again under an idempotency key names the `request_id` of the request it was first given to.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    api_key_id = fields.UUIDField()
    request_id = fields.CharField(max_length=40)
    method = fields.CharField(max_length=10)
    path = fields.CharField(max_length=200)
    status = fields.SmallIntField()
    error_code = fields.CharField(max_length=60, null=True)
    elapsed_ms = fields.IntField()
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "api_requests"
        indexes = (("workspace_id", "livemode", "id"),)
