"""Conversions: what contacts bought, and the message that each is attributed to."""

from __future__ import annotations

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id
from msvs.models.messages import MetadataValue


class ConversionSource(StrEnum):
    """How a conversion came in."""

    API = "api"
    SHOPIFY = "shopify"
    STRIPE = "stripe"


class AttributedBy(StrEnum):
    """What a conversion is attributed to: a click on a link of the message, or its delivery."""

    CLICK = "click"
    MESSAGE = "message"


class Conversion(Model):
    """An order of a contact. What it was attributed to when it was recorded never changes.

    `value` and `refunded_value` are in the smallest unit of the currency. `attributed_at` is the time of the click or
    the delivery. `variant` is that of the message, and `sequence_step` the key of its step. Of somebody who was erased,
    `contact_id` is null and `order_id` names no order.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    order_id = fields.CharField(max_length=200)
    contact_id = fields.UUIDField(null=True)
    value = fields.BigIntField()
    currency = fields.CharField(max_length=3)
    refunded_value = fields.BigIntField(default=0, db_default=0)
    source = fields.CharEnumField(ConversionSource, max_length=10)
    metadata: fields.Field[dict[str, MetadataValue]] = fields.JSONField(default=dict)
    attributed_by: fields.Field[AttributedBy | None] = fields.CharEnumField(  # type: ignore[assignment]
        AttributedBy, max_length=10, null=True
    )
    attributed_at = fields.DatetimeField(null=True)
    message_id = fields.UUIDField(null=True)
    campaign_id = fields.UUIDField(null=True)
    variant = fields.SmallIntField(null=True)
    sequence_id = fields.UUIDField(null=True)
    sequence_step = fields.CharField(max_length=60, null=True)
    occurred_at = fields.DatetimeField()
    created_at = fields.DatetimeField()
    refunded_at = fields.DatetimeField(null=True)

    class Meta:
        table = "conversions"
        unique_together = (("workspace_id", "livemode", "order_id"),)
        indexes = (("workspace_id", "livemode", "id"),)


class OrderHook(Model):
    """An address to which a shop posts its orders. Its token is kept as a hash, and the shop's secret sealed.

    `recorded` counts orders and refunds, and `ignored` what tells of no contact.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    kind = fields.CharField(max_length=20)
    name = fields.CharField(max_length=100, null=True)
    token_hash = fields.CharField(max_length=64, unique=True)
    secret_sealed = fields.CharField(max_length=1000, null=True)
    recorded = fields.IntField(default=0, db_default=0)
    ignored = fields.IntField(default=0, db_default=0)
    last_order_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "order_hooks"
        indexes = (("workspace_id", "livemode", "id"),)
