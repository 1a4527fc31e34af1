"""Fulfillment: apply what Stripe reports about a purchase to the books, in one transaction.

Every way in ends here: the webhook, the success page, and the nightly comparison. Stripe is asked first, with no
transaction open; then the purchase is locked, and where somebody else has learned something meanwhile, what was read is
dropped and read again. So any order and any number of calls come to the same books.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from msvs.api import ids
from msvs.api.context import Services
from msvs.api.credits import charges, credits, gateway, top_ups
from msvs.api.credits.gateway import PURCHASE, Charge, Facts, Intent, Invoice, Method, Return, Session
from msvs.api.unit_of_work import in_unit_of_work
from msvs.database import execute, fetch, fetch_row
from msvs.models import LedgerKind, PurchaseStatus, ReturnKind, TopUpOff, rows

log = structlog.get_logger(__name__)

TRIES = 8
# How long after Stripe was asked about a payment on its way it is asked again.
PENDING_AFTER = timedelta(hours=6)
# Stripe may make the invoice of a payment a little after it: how often and for how long it is looked for.
INVOICE_AFTER, INVOICE_WITHIN = timedelta(minutes=10), timedelta(hours=1)
PAID = frozenset(("paid", "no_payment_required"))
# A payment in these ended without money, once its session is complete.
ENDED_INTENTS = frozenset(("requires_payment_method", "canceled"))
CLOSED = frozenset((PurchaseStatus.PAID, PurchaseStatus.EXPIRED, PurchaseStatus.FAILED))
ENDED = frozenset((PurchaseStatus.FAILED, PurchaseStatus.REVIEW))

LOCK_PURCHASE = "SELECT * FROM purchases WHERE id = $1 FOR UPDATE"
FIND_PURCHASE = "SELECT * FROM purchases WHERE id = $1"
FIND_BY_SESSION = "SELECT id FROM purchases WHERE session_id = $1"
FIND_BY_PAYMENT = "SELECT id FROM purchases WHERE payment_intent = $1"
# A session that was opened by a process which died before it could write so.
ADOPT_SESSION = """
UPDATE purchases SET session_id = $2, url = $3, status = 'open', check_at = $4, expires_at = $5
WHERE id = $1 AND session_id IS NULL AND status IN ('opening', 'expired')
"""
WRITE_PURCHASE = """
UPDATE purchases SET version = version + 1, status = $2::varchar, payment_intent = coalesce($3, payment_intent),
    customer = coalesce($4, customer), total = $5, tax = $6, invoice_url = $7, receipt_url = $8, problem = $9,
    check_at = $10, paid_at = $11
WHERE id = $1
"""
WRITE_RETURNS = """
UPDATE purchases SET refunded_amount = $2, disputed_amount = $3, returned_credits = $4 WHERE id = $1
"""
WRITE_RETURN = """
INSERT INTO purchase_returns (id, purchase_id, workspace_id, kind, amount, status, credits, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET amount = $5, status = $6, credits = $7, updated_at = $9
WHERE purchase_returns.purchase_id = $2
"""


async def fulfil(services: Services, session_id: str) -> PurchaseStatus | None:
    """Bring the books of the purchase behind a session up to date; None for a session that is not ours.

    Raises GatewayError.
    """
    row = await fetch_row(FIND_BY_SESSION, session_id)
    purchase_id = await _adopt(services, session_id) if row is None else row.id
    return None if purchase_id is None else await settle(services, purchase_id)


async def fulfil_payment(services: Services, payment_intent: str) -> PurchaseStatus | None:
    """Bring the books of the purchase behind a payment up to date; None for a payment that is not ours.

    Raises GatewayError.
    """
    row = await fetch_row(FIND_BY_PAYMENT, payment_intent)
    if row is not None:
        return await settle(services, row.id)
    # It may be told of before its session is.
    intent = await gateway.read_intent(services, payment_intent)
    purchase_id = ids.decode_id(PURCHASE, intent.metadata.get("purchase", ""))
    return None if purchase_id is None else await settle(services, purchase_id, payment_intent)


async def settle(services: Services, purchase_id: UUID, payment: str | None = None) -> PurchaseStatus | None:
    """Read a purchase's state from Stripe and record it. Return None for an unknown purchase. Raises GatewayError.

    `payment` is a payment intent marked with the purchase, such as a charge that succeeded after we gave up on it.
    """
    for _ in range(TRIES):
        row = await fetch_row(rows.PurchaseRow, FIND_PURCHASE, purchase_id)
        if row is None:
            return None
        facts = await _look(services, row, payment)
        written = await in_unit_of_work(partial(_write, services, row, facts))
        if written is not None:
            return PurchaseStatus(written)
        payment = facts.payment_intent or payment
    raise gateway.GatewayError("Many learn of this purchase at once.", is_final=False, reason="overtaken")


async def _adopt(services: Services, session_id: str) -> UUID | None:
    """Give an unknown session to the purchase that it was opened for, if one waits for it. Return the purchase."""
    session = await gateway.read_session(services, session_id)
    purchase_id = ids.decode_id(PURCHASE, session.purchase or "")
    if purchase_id is None or session.livemode != services.billing.takes_money:
        return None
    row = await fetch_row(rows.PurchaseRow, FIND_PURCHASE, purchase_id)
    if row is None or session.client_reference_id != session.purchase:
        return None
    until = row.created_at + timedelta(days=1)

    async def adopt() -> int:
        return await execute(ADOPT_SESSION, purchase_id, session.id, session.url, until, until)

    await in_unit_of_work(adopt)
    found = await fetch_row(FIND_BY_SESSION, session_id)
    return None if found is None else found.id


async def _look(services: Services, row: rows.PurchaseRow, payment: str | None) -> Facts:
    """Ask Stripe about a purchase; with no transaction open."""
    if row.takes_money != services.billing.takes_money:
        # The account changed between test and live: neither may move what the other sold.
        return Facts(PurchaseStatus(row.status), problem=row.problem)
    if row.is_automatic:
        return await charges.look(services, row, payment)
    if row.session_id is None:
        now = services.real_clock()
        is_over = now >= row.created_at + timedelta(days=1)
        return Facts(PurchaseStatus.EXPIRED if is_over else PurchaseStatus(row.status))
    session = await gateway.read_session(services, row.session_id)
    intent = session.payment_intent if isinstance(session.payment_intent, Intent) else None
    status = _status(session, intent)
    problem = _problem(services, row, session) if status is PurchaseStatus.PAID else None
    returns: Sequence[Return] = ()
    if intent is not None and status is PurchaseStatus.PAID:
        returns = await gateway.read_returns(services, intent.id)
    charge = intent.latest_charge if intent is not None and isinstance(intent.latest_charge, Charge) else None
    return Facts(
        PurchaseStatus.REVIEW if problem else status,
        None if intent is None else intent.id,
        session.customer,
        session.amount_total,
        None if session.total_details is None else session.total_details.amount_tax,
        session.invoice.hosted_invoice_url if isinstance(session.invoice, Invoice) else None,
        None if charge is None else charge.receipt_url,
        problem,
        returns,
        intent.payment_method if intent is not None and isinstance(intent.payment_method, Method) else None,
    )


def _status(session: Session, intent: Intent | None) -> PurchaseStatus:
    if session.status == "expired":
        return PurchaseStatus.EXPIRED
    if session.status != "complete":
        return PurchaseStatus.OPEN
    if session.payment_status in PAID:
        return PurchaseStatus.PAID
    if intent is not None and intent.status in ENDED_INTENTS:
        return PurchaseStatus.FAILED
    return PurchaseStatus.PENDING


def _problem(services: Services, row: rows.PurchaseRow, session: Session) -> str | None:
    """Return why what was paid is not what was sold, if it is not."""
    purchase = ids.encode_id(PURCHASE, row.id)
    if session.livemode != row.takes_money or session.livemode != services.billing.takes_money:
        return "other_mode"
    if session.client_reference_id != purchase or session.purchase != purchase:
        return "other_purchase"
    if session.currency != row.currency:
        return "other_currency"
    # A discount would leave the subtotal as it is, and take from the total.
    if session.amount_subtotal != row.amount or (session.amount_total or 0) < row.amount:
        return "other_amount"
    lines = [] if session.line_items is None else session.line_items.data
    if len(lines) != 1 or lines[0].quantity != 1:
        return "other_lines"
    if row.price is not None and (lines[0].price is None or lines[0].price.id != row.price):
        return "other_price"
    return None


async def _write(services: Services, seen: rows.PurchaseRow, facts: Facts) -> str | None:
    """Write what Stripe said, the credits with it. None if somebody has learned something since it was asked."""
    row = await fetch_row(rows.PurchaseRow, LOCK_PURCHASE, seen.id)
    if row is None or row.version != seen.version or row.session_id != seen.session_id:
        return None
    now = services.real_clock()
    was_paid = row.status == PurchaseStatus.PAID
    status = _status_after(row, facts)
    if status is PurchaseStatus.PAID and not was_paid:
        await credits.grant_credits(
            row.workspace_id,
            row.credits,
            kind=LedgerKind.PURCHASE,
            reference=ids.encode_id(PURCHASE, row.id),
            note=row.label,
        )
    if status is PurchaseStatus.REVIEW and facts.problem != row.problem:
        log.error("a payment is not what was sold", purchase=ids.encode_id(PURCHASE, row.id), problem=facts.problem)
    check_at = _check_at(row, facts.status if row.is_automatic and not was_paid else status, now)
    invoice_url = facts.invoice_url or row.invoice_url
    is_invoiced = services.billing.invoices and not row.is_automatic
    lacks_invoice = is_invoiced and status is PurchaseStatus.PAID and invoice_url is None
    await execute(
        WRITE_PURCHASE,
        row.id,
        status.value,
        facts.payment_intent,
        facts.customer,
        row.total if facts.total is None else facts.total,
        row.tax if facts.tax is None else facts.tax,
        invoice_url,
        facts.receipt_url or row.receipt_url,
        facts.problem,
        _invoice_at(row, now) if lacks_invoice else check_at,
        row.paid_at or (now if status is PurchaseStatus.PAID else None),
    )
    if status is PurchaseStatus.PAID:
        total = row.total if facts.total is None else facts.total
        await _write_returns(row, total or row.amount, facts.returns, now)
    await top_ups.note(row, status, facts, now)
    return status.value


def _status_after(row: rows.PurchaseRow, facts: Facts) -> PurchaseStatus:
    """Return the purchase's new status: a paid purchase stays paid, and a failed top-up never reopens."""
    if row.status == PurchaseStatus.PAID:
        return PurchaseStatus.PAID
    if row.is_automatic and row.status in ENDED and facts.status is PurchaseStatus.PENDING:
        # Only one top-up per workspace may be open, and another may have started: this one is paid or stays failed.
        return PurchaseStatus(row.status)
    return facts.status


def _check_at(row: rows.PurchaseRow, status: PurchaseStatus, now: datetime) -> datetime | None:
    if status in CLOSED or status is PurchaseStatus.REVIEW:
        return None
    if status is PurchaseStatus.PENDING:
        return now + PENDING_AFTER
    return max(row.check_at or now, now + timedelta(minutes=10))


def _invoice_at(row: rows.PurchaseRow, now: datetime) -> datetime | None:
    """Return when a paid purchase is looked at for its invoice; None once it is waited for no longer."""
    return now + INVOICE_AFTER if now < (row.paid_at or now) + INVOICE_WITHIN else None


async def _write_returns(row: rows.PurchaseRow, total: int, returns: Sequence[Return], now: datetime) -> None:
    """Take back the credits of the money that went back, in proportion; give back those of money that did not."""
    known = {
        each.id: each
        for each in await fetch(rows.PurchaseReturnRow, "SELECT * FROM purchase_returns WHERE purchase_id = $1", row.id)
    }
    if not returns and not known:
        return
    found = {each.id: each for each in returns}
    # What was known and is not listed now stays as it was.
    for id, each in known.items():
        found.setdefault(id, Return(id, ReturnKind(each.kind), each.amount, each.status, each.created_at))
    wanted = shares(row.credits, total, list(found.values()))
    changes = [(found[id], wanted[id] - (known[id].credits if id in known else 0)) for id in wanted]
    # What is given back first pays what the rest may owe.
    for change, delta in sorted(changes, key=lambda change: change[1]):
        await _move(row, change, delta, now)
        await execute(
            WRITE_RETURN,
            change.id,
            row.id,
            row.workspace_id,
            change.kind.value,
            change.amount,
            change.status,
            wanted[change.id],
            change.created_at,
            now,
        )
    if any(each.is_disputed and (id not in known or known[id].status != each.status) for id, each in found.items()):
        await top_ups.turn_off(row.workspace_id, TopUpOff.DISPUTE, now)
    taken = {
        kind: sum(each.amount for each in found.values() if each.kind is kind and each.is_taken) for kind in ReturnKind
    }
    await execute(WRITE_RETURNS, row.id, taken[ReturnKind.REFUND], taken[ReturnKind.DISPUTE], sum(wanted.values()))


async def _move(row: rows.PurchaseRow, each: Return, delta: int, now: datetime) -> None:
    # The version makes each change of a refund an entry of its own.
    reference = f"{each.id[:50]}:{row.version}"
    if delta > 0:
        await credits.take_back(
            row.workspace_id, delta, kind=LedgerKind(each.kind.value), reference=reference, note=row.label, now=now
        )
    elif delta < 0:
        await credits.restore_credits(row.workspace_id, -delta, reference=reference, note=row.label)


def shares(sold: int, total: int, returns: Sequence[Return]) -> Mapping[str, int]:
    """Return the credits that each refund and dispute takes of those sold, by its id.

    They take in proportion to the money, rounded down over all of them; the last cent takes the rest.
    """
    taken: dict[str, int] = {}
    money = 0
    for each in sorted(returns, key=lambda each: (each.created_at, each.id)):
        before = sold * money // total
        if each.is_taken:
            money = min(total, money + each.amount)
        taken[each.id] = sold * money // total - before
    return taken
