"""Charges: purchases that a saved card pays, without a page and without its owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from msvs.api import ids
from msvs.api.context import Services
from msvs.api.credits import gateway
from msvs.api.credits.gateway import KEY_LASTS, PURCHASE, Charge, Decline, Facts, Intent, PaymentError
from msvs.database import fetch_value
from msvs.models import PurchaseStatus, rows

# Declines that pass by themselves; every other is hard.
SOFT_DECLINES = frozenset(
    (
        *("insufficient_funds", "processing_error", "try_again_later", "issuer_not_available", "reenter_transaction"),
        *("approve_with_id", "card_velocity_exceeded", "withdrawal_count_limit_exceeded", "not_charged"),
    )
)
WAITING = frozenset(("processing", "requires_capture"))
CARD_MISSING = Decline("card_missing", is_gone=True)
NOT_CHARGED = Decline("not_charged")
TURNED_OFF = Decline("turned_off")

# Checked again before each charge: since the purchase was opened, the owner may have removed or replaced the card,
# or turned automatic top-up off.
MAY_CHARGE = """
SELECT EXISTS (
    SELECT FROM auto_top_ups WHERE workspace_id = $1 AND is_enabled AND payment_method = $2 AND takes_money = $3
) AND NOT EXISTS (
    SELECT FROM workspaces WHERE id = $1 AND (suspended_at IS NOT NULL OR deletes_at IS NOT NULL)
)
"""


def marks_of(row: rows.PurchaseRow) -> Mapping[str, str]:
    """Return what a payment is marked with, by which its events, refunds and disputes find the purchase."""
    return {
        "purchase": ids.encode_id(PURCHASE, row.id),
        "workspace": ids.encode_id(ids.WORKSPACE, row.workspace_id),
        "pack": row.pack,
        "credits": str(row.credits),
    }


async def look(services: Services, row: rows.PurchaseRow, payment: str | None = None) -> Facts:
    """Charge a purchase, or read the outcome of its charge. Call it outside a transaction. Raises GatewayError.

    `payment` is a payment intent known from an event or an earlier try, for a purchase without one.
    """
    known = row.payment_intent or payment
    if known is not None:
        return await _facts(services, row, await gateway.read_intent(services, known))
    status = PurchaseStatus(row.status)
    if status is not PurchaseStatus.OPENING:
        return Facts(status, problem=row.problem)
    if not await fetch_value(MAY_CHARGE, row.workspace_id, row.payment_method, row.takes_money):
        # An earlier try may have charged the card before top-up was turned off.
        intent, missing = await gateway.find_intent(services, row), TURNED_OFF
    elif services.real_clock() < row.created_at + KEY_LASTS:
        charged = await gateway.charge(services, row, _asked(row))
        if isinstance(charged, PaymentError):
            return _declined(_decline_of(charged))
        intent, missing = charged, CARD_MISSING
    else:
        # The key may be forgotten by now: another call could charge again.
        intent, missing = await gateway.find_intent(services, row), NOT_CHARGED
    return _declined(missing) if intent is None else await _facts(services, row, intent)


def _declined(decline: Decline) -> Facts:
    """Return the facts of a purchase without a payment. TURNED_OFF does not count as a decline."""
    counts = None if decline is TURNED_OFF else decline
    return Facts(PurchaseStatus.FAILED, problem=decline.reason, decline=counts)


def _asked(row: rows.PurchaseRow) -> Mapping[str, object]:
    """Return what Stripe is asked for: of the purchase alone, so that a second try asks for the same."""
    return {
        "amount": row.amount,
        "currency": row.currency,
        "customer": row.customer,
        "payment_method": row.payment_method,
        "payment_method_types": ["card"],
        "off_session": True,
        "confirm": True,
        "description": f"{row.label}: {row.credits:,} SMS credits",
        "metadata": marks_of(row),
    }


async def _facts(services: Services, row: rows.PurchaseRow, intent: Intent) -> Facts:
    charge = intent.latest_charge if isinstance(intent.latest_charge, Charge) else None
    facts = Facts(
        PurchaseStatus.PENDING,
        intent.id,
        total=row.amount,
        tax=0,
        receipt_url=None if charge is None else charge.receipt_url,
    )
    if intent.status in WAITING:
        return facts
    if intent.status != "succeeded":
        decline = _decline(intent)
        return replace(facts, status=PurchaseStatus.FAILED, problem=decline.reason, total=None, decline=decline)
    if problem := _problem(services, row, intent):
        return replace(facts, status=PurchaseStatus.REVIEW, problem=problem, total=intent.amount_received)
    returns = await gateway.read_returns(services, intent.id)
    return replace(facts, status=PurchaseStatus.PAID, returns=returns)


def _decline(intent: Intent) -> Decline:
    if intent.status in ("requires_action", "requires_confirmation"):
        return Decline("authentication_required")
    if intent.last_payment_error is None:
        return Decline(intent.status[:40])
    return _decline_of(intent.last_payment_error)


def _decline_of(error: PaymentError) -> Decline:
    codes = tuple(filter(None, (error.code, error.decline_code)))
    if "authentication_required" in codes:
        return Decline("authentication_required")
    if not codes:
        return Decline("card_declined")
    reason = codes[-1]
    return Decline(reason[:40], is_hard=not SOFT_DECLINES.intersection(codes))


def _problem(services: Services, row: rows.PurchaseRow, intent: Intent) -> str | None:
    """Return why what was paid is not what was sold, if it is not."""
    if intent.livemode != row.takes_money or intent.livemode != services.billing.takes_money:
        return "other_mode"
    if intent.metadata.get("purchase") != ids.encode_id(PURCHASE, row.id):
        return "other_purchase"
    if intent.currency != row.currency:
        return "other_currency"
    if intent.amount_received != row.amount:
        return "other_amount"
    return None
