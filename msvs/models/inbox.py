"""The shared inbox: notes, assignments and canned answers."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField


class ContactNote(Model):
    """What somebody wrote down about a contact, for their own people alone. It goes with the contact."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    contact_id = fields.UUIDField()
    body = fields.TextField()
    author = fields.CharField(max_length=40)
    created_at = DatetimeField(auto_now_add=True)

    class Meta:
        table = "contact_notes"
        indexes = (("contact_id", "id"),)


class ThreadAssignment(Model):
    """The member who answers a contact's thread. It goes with the contact."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    contact_id = fields.UUIDField(unique=True)
    user_id = fields.UUIDField()
    assigned_by = fields.CharField(max_length=40)
    assigned_at = fields.DatetimeField()

    class Meta:
        table = "thread_assignments"
        indexes = (("workspace_id", "livemode", "user_id"),)


class CannedAnswer(Model):
    """A text that is answered often, by its name."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    name = fields.CharField(max_length=60)
    body = fields.TextField()
    created_at = DatetimeField(auto_now_add=True)
    updated_at = DatetimeField(auto_now=True)

    class Meta:
        table = "canned_answers"
        unique_together = (("workspace_id", "livemode", "name"),)
