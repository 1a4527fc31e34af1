"""Messages and the attempts to hand them to a carrier."""

from __future__ import annotations

from enum import StrEnum
from typing import NotRequired, TypeAlias, TypedDict

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField

# What a value of metadata may be; it is returned as it was given.
MetadataValue: TypeAlias = str | int | float | bool | None


class KeptWarning(TypedDict):
    """A warning about a message or campaign as it is kept."""

    code: str
    message: str
    param: NotRequired[str | None]


class MessageStatus(StrEnum):
    """The status of a message. `skipped` is a campaign recipient to whom nothing is sent."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    REPLIED = "replied"
    CANCELED = "canceled"
    SKIPPED = "skipped"


class MessageKind(StrEnum):
    """The kind of a message. `auto` is an automatic answer."""

    API = "api"
    CAMPAIGN = "campaign"
    AUTO = "auto"


class MessageOrigin(StrEnum):
    """The origin of a message. `automatic` are the service's own messages."""

    API = "api"
    CAMPAIGN = "campaign"
    AUTOMATIC = "automatic"
    DASHBOARD = "dashboard"


class OnUnknown(StrEnum):
    """What to do if the outcome of a hand-over cannot be found out: nothing, or repeat it once."""

    NEVER = "never"
    RESEND = "resend"


class Message(Model):
    """One SMS to one phone.

    `price` is what a segment of it costs, in credits, as it was when it was accepted. `credits_used` is what is
    reserved or captured for it, in credits; in the sandbox, what live would charge.
    `claim_token` and `lease_until` belong to the worker that is handing it over; a write that does not carry
    the token changes nothing. `handed_at` is when its latest hand-over was claimed. `warnings` are those it was
    accepted with, null if there are none. `is_by_user`: somebody who had logged in sent it. `variant` is that of its
    campaign, counted from 1; below 0 where it got the winner after the test.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    kind = fields.CharEnumField(MessageKind, max_length=10)
    campaign_id = fields.UUIDField(null=True)
    contact_id = fields.UUIDField(null=True)
    to_phone = fields.CharField(max_length=16)
    sender = fields.CharField(max_length=16)
    body = fields.TextField()
    encoding = fields.CharField(max_length=4)
    segments = fields.SmallIntField()
    credits_used = fields.SmallIntField(default=0)
    price = fields.SmallIntField(default=1, db_default=1)
    status = fields.CharEnumField(MessageStatus, max_length=10)
    delivery = fields.CharField(max_length=10, null=True)
    error_code = fields.CharField(max_length=40, null=True)
    metadata: fields.Field[dict[str, MetadataValue]] = fields.JSONField(default=dict)
    warnings: fields.Field[list[KeptWarning] | None] = fields.JSONField(null=True)
    due_at = fields.DatetimeField()
    scheduled_at = fields.DatetimeField(null=True)
    expires_at = fields.DatetimeField(null=True)
    created_at = DatetimeField(auto_now_add=True)
    sent_at = fields.DatetimeField(null=True)
    delivered_at = fields.DatetimeField(null=True)
    failed_at = fields.DatetimeField(null=True)
    canceled_at = fields.DatetimeField(null=True)
    replied_at = fields.DatetimeField(null=True)
    opted_out = fields.BooleanField(default=False)
    claim_token = fields.UUIDField(null=True)
    lease_until = fields.DatetimeField(null=True)
    attempt_count = fields.SmallIntField(default=0)
    handed_at = fields.DatetimeField(null=True)
    carrier = fields.CharField(max_length=30, null=True)
    carrier_ref = fields.CharField(max_length=100, null=True)
    on_unknown = fields.CharEnumField(OnUnknown, max_length=10, default=OnUnknown.NEVER, db_default="never")
    is_by_user = fields.BooleanField(default=False, db_default=False)
    variant = fields.SmallIntField(null=True)

    class Meta:
        table = "messages"
        indexes = (("workspace_id", "livemode", "id"),)


class MessageAttempt(Model):
    """One try to hand a message to a carrier: written before the network, concluded after it.

    `is_resend`: the outcome of an earlier one is unknown for good, and the message asked to be sent again then.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    message_id = fields.UUIDField(db_index=True)
    claim_token = fields.UUIDField()
    carrier = fields.CharField(max_length=30)
    outcome = fields.CharField(max_length=10, null=True)
    error_code = fields.CharField(max_length=40, null=True)
    is_resend = fields.BooleanField(default=False, db_default=False)
    started_at = fields.DatetimeField()
    ended_at = fields.DatetimeField(null=True)

    class Meta:
        table = "message_attempts"
