"""Senders of a workspace, and the routes that messages take to carriers."""

from __future__ import annotations

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id


class SenderKind(StrEnum):
    """The kind of a sender."""

    LONG_CODE = "long_code"
    TOLL_FREE = "toll_free"
    SHORT_CODE = "short_code"
    ALPHANUMERIC = "alphanumeric"


class Sender(Model):
    """A sender that a workspace owns; with `workspace_id` null the platform's own, which every workspace may use.

    Senders of one `skeleton` are taken for one another. `is_claimed`: the workspace took the name itself, by making it
    its default; all others are the operator's grant. `regions` are the ISO 3166-1 codes it sends to, none for all that
    its kind admits; `registration` is the reference of what the region's carriers want registered (10DLC campaign,
    toll-free verification, sender id).
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField(null=True)
    value = fields.CharField(max_length=16)
    skeleton = fields.CharField(max_length=16, db_default="")
    is_claimed = fields.BooleanField(default=False, db_default=False)
    kind = fields.CharEnumField(SenderKind, max_length=12)
    regions: fields.Field[list[str]] = fields.JSONField(default=list)
    registration = fields.CharField(max_length=100, null=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "senders"
        unique_together = (("workspace_id", "value"),)


class Route(Model):
    """A way for live messages to a carrier: of one workspace, or with `workspace_id` null of all that have none.

    It takes messages to `regions` (none: any) from `sender` or from senders of `sender_kind` (null: any). The lowest
    `preference` goes first, then the lowest `price` (currency units a segment).
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField(null=True, db_index=True)
    carrier = fields.CharField(max_length=30)
    regions: fields.Field[list[str]] = fields.JSONField(default=list)
    sender = fields.CharField(max_length=16, null=True)
    sender_kind = fields.CharEnumField(SenderKind, max_length=12, null=True)
    preference = fields.SmallIntField(default=100)
    price = fields.DecimalField(max_digits=10, decimal_places=5, null=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "routes"
