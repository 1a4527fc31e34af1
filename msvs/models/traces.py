"""Traces: which request a message or a campaign comes from, where tracing is on."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class KeptTrace(Model):
    """The span of the request that made a message or launched a campaign, by the W3C's Trace Context.

    `id` is that of the message or campaign. There is a row for what is sampled alone.
    """

    id = fields.UUIDField(primary_key=True)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    traceparent = fields.CharField(max_length=55)
    created_at = fields.DatetimeField()

    class Meta:
        table = "traces"
