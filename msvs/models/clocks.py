"""Test clocks: the time in which a workspace's sandbox lives, where it has one of its own."""

from __future__ import annotations

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.json_types import JSONObject
from msvs.models.identity import new_id


class ClockStatus(StrEnum):
    """What a clock does."""

    READY = "ready"
    ADVANCING = "advancing"
    FAILED = "failed"


class SandboxClock(Model):
    """The clock of a workspace's sandbox. It stands at `frozen_at` and, while it advances, moves on to `target_at`.

    These two are times of the sandbox, all others real ones. A worker that moves it on, or looks after what is due,
    holds it by `lease_token` until `lease_until`. Once `is_ending`, it goes as soon as it is let go.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField(unique=True)
    status = fields.CharEnumField(ClockStatus, max_length=10)
    frozen_at = fields.DatetimeField()
    target_at = fields.DatetimeField(null=True)
    failure = fields.CharField(max_length=60, null=True)
    tries = fields.SmallIntField(default=0)
    lease_token = fields.UUIDField(null=True)
    lease_until = fields.DatetimeField(null=True)
    looked_at = fields.DatetimeField(null=True)
    is_ending = fields.BooleanField(default=False)
    created_at = fields.DatetimeField()

    class Meta:
        table = "test_clocks"


class CarrierScript(Model):
    """What the virtual carrier does to a workspace's sandbox: probabilities by name, drawn by a seed."""

    workspace_id = fields.UUIDField(primary_key=True)
    seed = fields.BigIntField()
    probabilities: fields.Field[JSONObject] = fields.JSONField()
    created_at = fields.DatetimeField()

    class Meta:
        table = "carrier_scripts"
