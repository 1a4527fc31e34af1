"""Rates: what a segment costs by its destination, in credits, with all that it ever cost."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id


class CreditRate(Model):
    """What a segment to a region costs from a time on, until the next such time; one where a region has none."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    region = fields.CharField(max_length=2)
    credits = fields.SmallIntField()
    effective_at = fields.DatetimeField()
    created_at = fields.DatetimeField()

    class Meta:
        table = "credit_rates"
        unique_together = (("region", "effective_at"),)
