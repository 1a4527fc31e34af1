"""Sequences: messages that a contact gets one after the other, each with its wait."""

from __future__ import annotations

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.json_types import JSONObject
from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField


class SequenceStatus(StrEnum):
    """The status of a sequence."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"


class EnrollmentState(StrEnum):
    """The state of an enrollment."""

    ACTIVE = "active"
    COMPLETED = "completed"
    LEFT = "left"


class LeaveReason(StrEnum):
    """Why a contact left a sequence before its end."""

    REPLIED = "replied"
    OPTED_OUT = "opted_out"
    GOAL = "goal"
    CONDITION = "condition"
    REMOVED = "removed"
    ARCHIVED = "archived"
    CONTACT_DELETED = "contact_deleted"


class MessageSequence(Model):
    """A sequence. `definition` is what is edited, `number` the version published last; 0 for none yet."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    name = fields.CharField(max_length=200)
    status = fields.CharEnumField(SequenceStatus, max_length=10, default=SequenceStatus.DRAFT)
    definition: fields.Field[JSONObject] = fields.JSONField()
    number = fields.IntField(default=0)
    changed_by = fields.CharField(max_length=40, null=True)
    published_at = fields.DatetimeField(null=True)
    archived_at = fields.DatetimeField(null=True)
    created_at = DatetimeField(auto_now_add=True)
    updated_at = DatetimeField(auto_now=True)

    class Meta:
        table = "sequences"
        indexes = (("workspace_id", "livemode", "id"),)


class SequenceVersion(Model):
    """A sequence as it was published; it never changes, and all who entered it stay on it.

    `campaign_ids` are the campaigns that its steps send their messages as, in the order of the steps. `retired_at` is
    when nobody was left in it, after a later one was published.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    sequence_id = fields.UUIDField()
    number = fields.IntField()
    definition: fields.Field[JSONObject] = fields.JSONField()
    campaign_ids: fields.Field[list[str]] = fields.JSONField()
    leaves_on_reply = fields.BooleanField()
    retired_at = fields.DatetimeField(null=True)
    created_at = DatetimeField(auto_now_add=True)

    class Meta:
        table = "sequence_versions"
        unique_together = (("sequence_id", "number"),)


class SequenceEnrollment(Model):
    """A contact's way through a version of a sequence. Its rows outlive the contact, and then name nobody.

    `number` counts a contact's enrollments in the sequence from 1. `step` is the place of the step to take next, from
    0; the wait before it ends at `wait_until`, and `due_at` is when the contact's local hours let it be taken.
    `leaving` is why it is about to leave: a worker ends it. `anchor_at` is the time that steps are counted from.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    sequence_id = fields.UUIDField()
    version_id = fields.UUIDField()
    contact_id = fields.UUIDField()
    number = fields.IntField()
    state = fields.CharEnumField(EnrollmentState, max_length=10, default=EnrollmentState.ACTIVE)
    leaving: fields.Field[LeaveReason | None] = fields.CharEnumField(  # type: ignore[assignment]
        LeaveReason, max_length=20, null=True
    )
    entered_by = fields.CharField(max_length=20)
    step = fields.SmallIntField(default=0)
    wait_until = fields.DatetimeField()
    due_at = fields.DatetimeField()
    anchor_at = fields.DatetimeField(null=True)
    ended_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "sequence_enrollments"
        unique_together = (("sequence_id", "contact_id", "number"),)
        indexes = (("sequence_id", "id"),)
