"""Charges: purchases that a saved card pays, without a page and without its owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from msvs.api import ids
from msvs.api.context import Services
from msvs.api.credits import gateway
from msvs.api.credits.gateway import KEY_LASTS, PURCHASE, Charge, Decline, Facts, Intent
from msvs.models import PurchaseStatus, rows

# Declines that pass by themselves; every other is hard.
SOFT_DECLINES = frozenset(
    (
        *("insufficient_funds", "processing_error", "try_again_later", "issuer_not_available", "reenter_transaction"),
        *("approve_with_id", "card_velocity_exceeded", "withdrawal_count_limit_exceeded", "not_charged"),
    )
)
WAITING = frozenset(("processing", "requires_capture"))


def marks_of(row: rows.PurchaseRow) -> Mapping[str, str]:
    """Return what a payment is marked with, by which its events, refunds and disputes find the purchase."""
    return {
        "purchase": ids.encode_id(PURCHASE, row.id),
        "workspace": ids.encode_id(ids.WORKSPACE, row.workspace_id),
        "pack": row.pack,
        "credits": str(row.credits),
    }


async def look(services: Services, row: rows.PurchaseRow) -> Facts:
    """Charge a purchase, or ask what became of its charge; with no transaction open. Raises GatewayError."""
    if row.payment_intent is not None:
        return await _facts(services, row, await gateway.read_intent(services, row.payment_intent))
    status = PurchaseStatus(row.status)
    if status is not PurchaseStatus.OPENING:
        return Facts(status, problem=row.problem)
    if services.clock() < row.created_at + KEY_LASTS:
        intent = await gateway.charge(services, row, _asked(row))
        missing = Decline("card_missing", is_gone=True)
    else:
        # The key may be forgotten by now: another call could charge again.
        intent = await gateway.find_intent(services, row)
        missing = Decline("not_charged")
    if intent is None:
        return Facts(PurchaseStatus.FAILED, problem=missing.reason, decline=missing)
    return await _facts(services, row, intent)


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
    error = intent.last_payment_error
    codes = () if error is None else tuple(filter(None, (error.code, error.decline_code)))
    if intent.status in ("requires_action", "requires_confirmation") or "authentication_required" in codes:
        return Decline("authentication_required")
    if not codes:
        return Decline(intent.status[:40])
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
