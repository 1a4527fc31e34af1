"""Repairs of rows that a migration cannot make in SQL."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class Repair(Model):
    """A repair that a migration asks for, and what came of it; `done_at` is null while it is due."""

    name = fields.CharField(max_length=40, primary_key=True)
    requested_at = fields.DatetimeField()
    done_at = fields.DatetimeField(null=True)
    changed_count = fields.IntField(null=True)

    class Meta:
        table = "repairs"
