"""Messages that recipients sent to us."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id


class InboundMessage(Model):
    """A reply. `dedupe_key` is the carrier's own id of it, so that a repeated delivery changes nothing.

    `intent` is `certain` or `likely` where the text asks to opt out in more than a keyword; `is_flagged` asks somebody
    to look at it: it is `likely`, or what the carrier brought could not surely be read. `read_at` is when somebody
    marked it read.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    from_phone = fields.CharField(max_length=16)
    to_sender = fields.CharField(max_length=16)
    body = fields.TextField()
    keyword = fields.CharField(max_length=10, null=True)
    intent = fields.CharField(max_length=10, null=True)
    is_flagged = fields.BooleanField(default=False, db_default=False)
    contact_id = fields.UUIDField(null=True)
    message_id = fields.UUIDField(null=True)
    dedupe_key = fields.CharField(max_length=240)
    received_at = fields.DatetimeField()
    read_at = fields.DatetimeField(null=True)

    class Meta:
        table = "inbound_messages"
        unique_together = (("workspace_id", "livemode", "dedupe_key"),)
        indexes = (("workspace_id", "livemode", "id"),)
