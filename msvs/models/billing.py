"""Billing: purchases, refunds and disputes, and Stripe's events."""

from __future__ import annotations

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id


class PurchaseStatus(StrEnum):
    """The status of a purchase. Paid purchases stay paid; refunds and disputes are separate."""

    OPENING = "opening"
    OPEN = "open"
    PENDING = "pending"
    PAID = "paid"
    EXPIRED = "expired"
    FAILED = "failed"
    REVIEW = "review"


class ReturnKind(StrEnum):
    """How money is returned: refunded by the operator, or taken back by the buyer's bank."""

    REFUND = "refund"
    DISPUTE = "dispute"


class TopUpOff(StrEnum):
    """Why a workspace's automatic top-up is off; only a person turns it on again."""

    OWNER = "owner"
    DECLINED = "declined"
    AUTHENTICATION_REQUIRED = "authentication_required"
    CARD_MISSING = "card_missing"
    DISPUTE = "dispute"
    PACK_CHANGED = "pack_changed"
    REVIEW = "review"


class EventState(StrEnum):
    """The state of a Stripe event; `ignored` ones concern nothing of ours."""

    PENDING = "pending"
    DONE = "done"
    IGNORED = "ignored"
    FAILED = "failed"


class Purchase(Model):
    """A pack that somebody set out to buy, with the figures that it was sold at.

    Amounts are in the smallest unit of the currency; `total` is what was paid, with `tax`. `version` counts what was
    learned of it from Stripe, so that what was read earlier never overwrites what was read later. One that
    `is_automatic` is charged to a saved card, without a page; one that `saves_card` leaves its card for those.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    actor = fields.CharField(max_length=40)
    status = fields.CharEnumField(PurchaseStatus, max_length=10, default=PurchaseStatus.OPENING)
    pack = fields.CharField(max_length=40)
    label = fields.CharField(max_length=80)
    credits = fields.BigIntField()
    amount = fields.BigIntField()
    currency = fields.CharField(max_length=3)
    price = fields.CharField(max_length=110, null=True)
    takes_money = fields.BooleanField()
    success_url = fields.CharField(max_length=2048, null=True)
    cancel_url = fields.CharField(max_length=2048, null=True)
    session_id = fields.CharField(max_length=255, null=True, unique=True)
    url = fields.TextField(null=True)
    payment_intent = fields.CharField(max_length=255, null=True, unique=True)
    customer = fields.CharField(max_length=255, null=True)
    is_automatic = fields.BooleanField(default=False, db_default=False)
    saves_card = fields.BooleanField(default=False, db_default=False)
    payment_method = fields.CharField(max_length=255, null=True)
    total = fields.BigIntField(null=True)
    tax = fields.BigIntField(null=True)
    invoice_url = fields.TextField(null=True)
    receipt_url = fields.TextField(null=True)
    problem = fields.CharField(max_length=40, null=True)
    refunded_amount = fields.BigIntField(default=0)
    disputed_amount = fields.BigIntField(default=0)
    returned_credits = fields.BigIntField(default=0)
    version = fields.IntField(default=0)
    # When it is looked at without an event; null once there is nothing left to wait for.
    check_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(null=True)
    paid_at = fields.DatetimeField(null=True)

    class Meta:
        table = "purchases"
        indexes = (("workspace_id", "id"),)


class AutoTopUp(Model):
    """A workspace's saved card, and what is bought with it once the balance falls below the threshold.

    The figures are those that a person agreed to. `day_amount` and `month_amount` are what was charged, or is being
    charged, in the UTC day and the month that begin at `day` and `month`; `declined_count` and `hard_declined_count`
    are the declines of this card since its last payment that went through. `off_at` is when it went off last, `card_at`
    when the purchase was begun that saved the card, or when the card was forgotten. `limited_until` is the time until
    which the owners were last told that a limit allows no more.
    """

    workspace_id = fields.UUIDField(primary_key=True)
    takes_money = fields.BooleanField()
    customer = fields.CharField(max_length=255, null=True)
    payment_method = fields.CharField(max_length=255, null=True)
    card_brand = fields.CharField(max_length=40, null=True)
    card_last4 = fields.CharField(max_length=4, null=True)
    is_enabled = fields.BooleanField(default=False)
    off_reason = fields.CharEnumField(TopUpOff, max_length=30, null=True)
    off_at = fields.DatetimeField(null=True)
    card_at = fields.DatetimeField(null=True)
    pack = fields.CharField(max_length=40, null=True)
    credits = fields.BigIntField(null=True)
    amount = fields.BigIntField(null=True)
    currency = fields.CharField(max_length=3, null=True)
    threshold = fields.BigIntField(null=True)
    daily_limit = fields.BigIntField(default=0)
    monthly_limit = fields.BigIntField(default=0)
    day = fields.DateField(null=True)
    day_amount = fields.BigIntField(default=0)
    month = fields.DateField(null=True)
    month_amount = fields.BigIntField(default=0)
    declined_count = fields.IntField(default=0)
    hard_declined_count = fields.IntField(default=0)
    agreed_by = fields.CharField(max_length=40, null=True)
    agreed_at = fields.DatetimeField(null=True)
    limited_until = fields.DatetimeField(null=True)

    class Meta:
        table = "auto_top_ups"


class PurchaseReturn(Model):
    """A refund or dispute of a purchase by Stripe's id, and the credits that it has taken so far."""

    id = fields.CharField(primary_key=True, max_length=255)
    purchase_id = fields.UUIDField(db_index=True)
    workspace_id = fields.UUIDField()
    kind = fields.CharEnumField(ReturnKind, max_length=10)
    amount = fields.BigIntField()
    status = fields.CharField(max_length=40)
    credits = fields.BigIntField(default=0)
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()

    class Meta:
        table = "purchase_returns"


class StripeEvent(Model):
    """An event of Stripe's, once by its id: what it is about, and nothing of the buyer. The rest is asked of Stripe."""

    id = fields.CharField(primary_key=True, max_length=255)
    type = fields.CharField(max_length=80)
    object_id = fields.CharField(max_length=255)
    payment_intent = fields.CharField(max_length=255, null=True)
    state = fields.CharEnumField(EventState, max_length=10, default=EventState.PENDING)
    attempt_count = fields.IntField(default=0)
    next_attempt_at = fields.DatetimeField()
    lease_until = fields.DatetimeField(null=True)
    error = fields.CharField(max_length=100, null=True)
    created_at = fields.DatetimeField()
    received_at = fields.DatetimeField(db_index=True)
    handled_at = fields.DatetimeField(null=True)

    class Meta:
        table = "stripe_events"


class BillingDay(Model):
    """The nightly comparison with Stripe: one a day, by which process and until when, and what it found."""

    day = fields.DateField(primary_key=True)
    lease_until = fields.DatetimeField()
    ended_at = fields.DatetimeField(null=True)
    looked_count = fields.IntField(default=0)
    repaired_count = fields.IntField(default=0)

    class Meta:
        table = "billing_days"


class ForgottenCard(Model):
    """A card that is no longer kept here and has yet to be removed at Stripe; the row goes once it is.

    It belongs to no workspace: it outlives the one that it was saved for.
    """

    payment_method = fields.CharField(primary_key=True, max_length=255)
    takes_money = fields.BooleanField()
    attempt_count = fields.IntField(default=0)
    next_attempt_at = fields.DatetimeField(db_index=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "forgotten_cards"
