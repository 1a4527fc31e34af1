"""Credits: one balance a workspace, and the append-only ledger that explains it."""

from __future__ import annotations

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id


class LedgerKind(StrEnum):
    """What moved credits: grants and purchases add; a message reserves, then captures or releases.

    Refunds and disputes of purchases take credits back, or restore them; a debt is what later credits pay of the rest.
    """

    GRANT = "grant"
    PURCHASE = "purchase"
    RESERVE = "reserve"
    CAPTURE = "capture"
    RELEASE = "release"
    REFUND = "refund"
    DISPUTE = "dispute"
    RESTORE = "restore"
    DEBT = "debt"


class CreditBalance(Model):
    """The workspace's live balance, in credits. The database refuses a negative one.

    `debt` is what refunds and disputes took back of credits that were spent; who has one has no balance. A statement
    that spends below `top_up_below` sets `top_up_at`, when an automatic top-up is due; null where there is none.
    """

    workspace_id = fields.UUIDField(primary_key=True)
    balance = fields.BigIntField(default=0)
    debt = fields.BigIntField(default=0, db_default=0)
    total_lifetime = fields.BigIntField(default=0)
    low_balance_threshold = fields.BigIntField(default=1000)
    low_notified = fields.BooleanField(default=False)
    top_up_below = fields.BigIntField(null=True)
    top_up_at = fields.DatetimeField(null=True)

    class Meta:
        table = "credit_balances"


class LedgerEntry(Model):
    """One movement of credits, unique by kind and reference; the database refuses UPDATE and DELETE."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    kind = fields.CharEnumField(LedgerKind, max_length=10)
    reference = fields.CharField(max_length=64)
    amount = fields.BigIntField()
    note = fields.CharField(max_length=200, default="")
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "ledger_entries"
        unique_together = (("workspace_id", "kind", "reference"),)
