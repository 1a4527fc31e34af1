"""Short links: what stands for a link in one message, and how often it was followed."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class ShortLink(Model):
    """A short link of one message. Its code is secret, as it tells who followed it; its target never changes.

    `position` counts the links of the message's body from 0. `clicks` are those of people, of which the first was at
    `first_clicked_at` and the last at `last_clicked_at`. `variant` is that of its message.
    """

    code = fields.CharField(max_length=12, primary_key=True)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    message_id = fields.UUIDField()
    campaign_id = fields.UUIDField(null=True)
    contact_id = fields.UUIDField(null=True)
    position = fields.SmallIntField()
    url = fields.TextField()
    variant = fields.SmallIntField(null=True)
    clicks = fields.IntField(default=0, db_default=0)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()
    first_clicked_at = fields.DatetimeField(null=True)
    last_clicked_at = fields.DatetimeField(null=True)

    class Meta:
        table = "short_links"
