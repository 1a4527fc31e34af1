"""The mail outbox: mails to write, which become letters when they are sent."""

from __future__ import annotations

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.json_types import JSONObject
from msvs.models.identity import new_id


class MailState(StrEnum):
    """The state of a mail."""

    PENDING = "pending"
    SENT = "sent"
    KEPT = "kept"
    DROPPED = "dropped"
    FAILED = "failed"


class Mail(Model):
    """A mail to be sent. `data` holds no secret: a token is made when the letter is, and its hash alone is kept.

    Without a mail server, in development, the letter stays here (`kept`) for the mailbox page.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    kind = fields.CharField(max_length=30)
    recipient = fields.CharField(max_length=254)
    subject_id = fields.UUIDField(null=True)
    language = fields.CharField(max_length=10)
    data: fields.Field[JSONObject] = fields.JSONField(default=dict)
    state = fields.CharEnumField(MailState, max_length=10, default=MailState.PENDING)
    attempt_count = fields.SmallIntField(default=0)
    next_attempt_at = fields.DatetimeField()
    lease_until = fields.DatetimeField(null=True)
    error = fields.CharField(max_length=100, null=True)
    letter: fields.Field[JSONObject | None] = fields.JSONField(null=True)
    created_at = fields.DatetimeField(db_index=True)
    ended_at = fields.DatetimeField(null=True)

    class Meta:
        table = "mails"
