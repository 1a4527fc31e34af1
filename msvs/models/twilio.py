"""The Twilio-compatible data of a message, and its status callbacks."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField
from msvs.models.webhooks import DeliveryState


class TwilioMessage(Model):
    """What only Twilio's API asked for of a message: its messaging service, its callback, its deletion.

    `signatures` are those of every callback that may come, made while the caller's key was at hand; `retry_on` holds
    the kinds of failure after which a callback is made again, up to `retry_count` times.
    """

    message_id = fields.UUIDField(primary_key=True)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    service_sid = fields.CharField(max_length=34, null=True)
    callback_url = fields.CharField(max_length=2048, null=True)
    retry_count = fields.SmallIntField(default=0)
    retry_on: fields.Field[list[str]] = fields.JSONField(default=list)
    signatures: fields.Field[dict[str, str] | None] = fields.JSONField(null=True)
    deleted_at = fields.DatetimeField(null=True)
    created_at = DatetimeField(auto_now_add=True)

    class Meta:
        table = "twilio_messages"


class StatusCallback(Model):
    """One change of a message's status on its way to its callback."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    message_id = fields.UUIDField()
    status = fields.CharField(max_length=10)
    state = fields.CharEnumField(DeliveryState, max_length=10, default=DeliveryState.PENDING)
    attempt_count = fields.SmallIntField(default=0)
    next_attempt_at = fields.DatetimeField()
    lease_until = fields.DatetimeField(null=True)
    status_code = fields.SmallIntField(null=True)
    error = fields.CharField(max_length=40, null=True)
    created_at = DatetimeField(auto_now_add=True)
    ended_at = fields.DatetimeField(null=True)

    class Meta:
        table = "status_callbacks"
        unique_together = (("message_id", "status"),)
        indexes = (("created_at",),)
