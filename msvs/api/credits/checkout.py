"""Checkout: record a purchase with its price, then open its page at Stripe.

Writing it down is one transaction and asks nobody; opening asks Stripe, holds no transaction and may be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID

from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.context import Context, Services
from msvs.api.credits import gateway
from msvs.api.credits.charges import marks_of
from msvs.api.credits.gateway import PURCHASE, Session
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, PermissionDenied
from msvs.api.pages import Page, PageQuery, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import Resource, moment, optional_moment
from msvs.api.unit_of_work import unit_of_work
from msvs.database import execute, fetch_row
from msvs.fields import Request, about
from msvs.models import Purchase, PurchaseStatus, rows
from msvs.packs import Billing, Pack

MAX_URL = 2048
# Stripe takes from half an hour to a day; counted from the purchase, so that a second try asks for the same.
OPEN_FOR = timedelta(hours=23)
# When a session is looked at whose end nobody told.
LOOK_AFTER = timedelta(minutes=10)
SUCCESS_PATH = "/billing/success"
CANCEL_PATH = "/billing/cancel"
# Ends the idempotency key of a session whose customer is to be made.
NEW_CUSTOMER = ":new_customer"
SESSION_PLACE = "{CHECKOUT_SESSION_ID}"

PackIdField = Annotated[str, about("The id of the pack.", example="launch")]
Url = Annotated[str, about(example="https://app.cohortlabs.co/credits", maxLength=MAX_URL)]

MARK_OPEN = """
UPDATE purchases SET status = 'open', session_id = $3, url = $4, expires_at = $5, check_at = $6
WHERE id = $1 AND workspace_id = $2 AND status = 'opening'
"""
FIND_CUSTOMER = """
SELECT customer FROM purchases WHERE workspace_id = $1 AND takes_money = $2 AND status = 'paid' AND customer IS NOT NULL
ORDER BY id DESC LIMIT 1
"""


class PackResource(Resource, kw_only=True):
    """A pack of credits for sale."""

    id: PackIdField
    object: Literal["credit_pack"] = "credit_pack"
    label: Annotated[str, about("The label.", example="Launch")]
    credits: Annotated[int, about("The number of credits.", example=10000)]
    amount: Annotated[
        int, about("The price without tax, in the smallest unit of the currency: 14900 is 149.00.", example=14900)
    ]
    currency: Annotated[str, about("The currency, ISO 4217 in lower case.", example="usd")]
    badge: (
        Annotated[str, about("A label such as “most popular”; null if there is none.", example="Most popular")] | None
    )


class CreateCheckout(Request, frozen=True):
    """The pack to buy, and the page to return to."""

    pack: PackIdField
    success_url: (
        Annotated[Url, about("The page to which the buyer goes after payment; a page of the service if none is given.")]
        | None
    ) = None
    cancel_url: (
        Annotated[
            Url, about("The page to which the buyer goes after canceling; a page of the service if none is given.")
        ]
        | None
    ) = None
    save_card: Annotated[
        bool,
        about(
            "Keep the card at Stripe, so that automatic top-up may charge it; tell the buyer. If automatic top-up was"
            " turned off because a card was declined or its bank asked for the owner, it is turned on again.",
            example=False,
        ),
    ] = False


class CheckoutResource(Resource, kw_only=True):
    """A purchase of credits, with the price at the time of the sale."""

    id: str
    object: Literal["checkout"] = "checkout"
    url: (
        Annotated[
            str,
            about(
                "The payment page, to which you send the buyer. Null unless the purchase is open.",
                example="https://checkout.stripe.com/c/pay/cs_live_a1",
            ),
        ]
        | None
    )
    pack: PackIdField
    status: Annotated[
        str,
        about(
            "`opening` and `open` until it is paid or has `expired`; `pending` while a slow payment is on its way;"
            " `paid` once the credits are added; `failed`; or `review` if the payment does not match the order.",
            example="open",
            enum=[*PurchaseStatus],
        ),
    ]
    credits: Annotated[int, about("The number of credits.", example=10000)]
    amount: Annotated[int, about("The price without tax, in the smallest unit of the currency.", example=14900)]
    currency: Annotated[str, about("The currency, ISO 4217 in lower case.", example="usd")]
    total: Annotated[int, about("What was paid, with tax; null until it is paid.", example=14900)] | None
    tax: Annotated[int, about("The tax in `total`; null until it is paid.", example=0)] | None
    refunded_amount: Annotated[int, about("The refunded amount, in the smallest unit.", example=0)]
    disputed_amount: Annotated[int, about("The amount that the buyer's bank took back.", example=0)]
    returned_credits: Annotated[int, about("The credits that refunds and disputes took back.", example=0)]
    automatic: Annotated[bool, about("Whether automatic top-up bought it with the saved card.", example=False)]
    invoice_url: Annotated[str, about("The invoice; null if there is none.")] | None
    receipt_url: Annotated[str, about("The receipt; null until it is paid.")] | None
    created_at: Annotated[str, about("When the purchase was started.")]
    expires_at: Annotated[str, about("The time until which it can be paid; null before it is open.")] | None
    paid_at: Annotated[str, about("When it was paid; null until then.")] | None


def pack_resource(pack: Pack) -> PackResource:
    """Return the shape of a pack."""
    return PackResource(
        id=pack.id,
        label=pack.label,
        credits=pack.credits,
        amount=pack.amount,
        currency=pack.currency,
        badge=pack.badge,
    )


def shown_url(row: rows.PurchaseRow) -> str | None:
    """Return where a purchase can be paid, while it can."""
    return row.url if row.status == PurchaseStatus.OPEN else None


def checkout_resource(row: rows.PurchaseRow) -> CheckoutResource:
    """Return the shape of a purchase."""
    return CheckoutResource(
        id=ids.encode_id(PURCHASE, row.id),
        url=shown_url(row),
        pack=row.pack,
        status=PurchaseStatus(row.status).value,
        credits=row.credits,
        amount=row.amount,
        currency=row.currency,
        total=row.total,
        tax=row.tax,
        refunded_amount=row.refunded_amount,
        disputed_amount=row.disputed_amount,
        returned_credits=row.returned_credits,
        automatic=row.is_automatic,
        invoice_url=row.invoice_url,
        receipt_url=row.receipt_url,
        created_at=moment(row.created_at),
        expires_at=optional_moment(row.expires_at),
        paid_at=optional_moment(row.paid_at),
    )


async def list_packs(ctx: Context) -> Sequence[Pack]:
    """List the packs that are sold now; none where nothing is."""
    billing = ctx.services.billing
    return billing.offered if billing.is_open else []


async def create_checkout(ctx: Context, data: CreateCheckout) -> Purchase:
    """Write a purchase down. `open_checkout` opens its page, once this has been committed.

    Raises PermissionDenied code `live_only` in the sandbox, Conflict code `billing_closed`, InvalidRequest.
    """
    allow(ctx, Permission.CREDITS_BUY)
    if not ctx.livemode:
        raise PermissionDenied(
            "The sandbox needs no credits and buys none: use a live key, or live mode.", code=ErrorCode.LIVE_ONLY
        )
    billing = ctx.services.billing
    if not billing.is_open:
        raise Conflict("Credits are not sold here; ask the operator.", code=ErrorCode.BILLING_CLOSED)
    pack = billing.find(data.pack)
    if pack is None:
        raise InvalidRequest(
            f"No pack that is sold now has the id '{data.pack[:40]}'.", param="pack", code=ErrorCode.PACK_UNKNOWN
        )
    success_url = _read_url(data.success_url, "success_url")
    cancel_url = _read_url(data.cancel_url, "cancel_url")
    customer = await fetch_row(FIND_CUSTOMER, ctx.workspace_id, billing.takes_money)
    now = ctx.services.real_clock()
    return await Purchase.create(
        workspace_id=ctx.workspace_id,
        actor=ctx.actor,
        pack=pack.id,
        label=pack.label,
        credits=pack.credits,
        amount=pack.amount,
        currency=pack.currency,
        price=pack.price,
        takes_money=billing.takes_money,
        customer=None if customer is None else customer.customer,
        check_at=now + OPEN_FOR,
        created_at=now,
        success_url=success_url,
        cancel_url=cancel_url,
        saves_card=data.save_card,
    )


async def open_checkout(ctx: Context, id: UUID) -> Purchase:
    """Open the page where a purchase is paid, once; call it outside a transaction. Raises GatewayError, NotFound."""
    row = await get_checkout(ctx, id)
    if row.status != PurchaseStatus.OPENING:
        return row
    session = await _open_session(ctx.services, row)
    until = row.created_at + OPEN_FOR
    async with unit_of_work():
        await execute(MARK_OPEN, row.id, ctx.workspace_id, session.id, session.url, until, until + LOOK_AFTER)
    return await get_checkout(ctx, id)


async def _open_session(services: Services, row: rows.PurchaseRow) -> Session:
    """Open the session of a purchase: with the workspace's customer, or a new one if that was deleted at Stripe."""
    billing, key = services.billing, ids.encode_id(PURCHASE, row.id)
    if row.customer is not None:
        buyer: dict[str, object] = {"customer": row.customer}
        if billing.automatic_tax:
            buyer["customer_update"] = {"address": "auto"}
        session = await gateway.create_session(services, key, _asked(billing, services.base_url, row, buyer))
        if session is not None:
            return session
        # What was asked with the first key may not be asked differently.
        key = f"{key}{NEW_CUSTOMER}"
    opened = await gateway.create_session(
        services, key, _asked(billing, services.base_url, row, {"customer_creation": "always"})
    )
    assert opened is not None
    return opened


async def get_checkout(ctx: Context, id: UUID) -> Purchase:
    """Return one purchase. Raises NotFound."""
    row = await Purchase.filter(workspace_id=ctx.workspace_id, id=id).first()
    if row is None:
        raise ids.missing("checkout", ids.encode_id(PURCHASE, id))
    return row


class ListCheckouts(PageQuery, frozen=True, kw_only=True):
    """Which purchases."""

    status: Annotated[str, about("Only purchases of this status.", enum=[*PurchaseStatus])] | None = None


async def list_checkouts(ctx: Context, page: PageRequest, *, status: str | None = None) -> Page[Purchase]:
    """List the purchases, newest first. They are the workspace's: the sandbox makes none.

    Raises InvalidRequest for what is no status.
    """
    return await fetch_page(checkouts_query(ctx, status), page)


def checkouts_query(ctx: Context, status: str | None) -> QuerySet[Purchase]:
    """Return the query of the purchases of a status, or of all. Raises InvalidRequest."""
    query = Purchase.filter(workspace_id=ctx.workspace_id)
    if status is None:
        return query
    if status not in set(PurchaseStatus):
        raise InvalidRequest(f"status must be one of {', '.join(PurchaseStatus)}.", param="status")
    return query.filter(status=PurchaseStatus(status))


def _asked(billing: Billing, base_url: str, row: rows.PurchaseRow, buyer: Mapping[str, object]) -> Mapping[str, object]:
    """Return what Stripe is asked for: of the purchase alone, so that a second try asks for the same."""
    purchase = ids.encode_id(PURCHASE, row.id)
    # A refund or dispute comes with the payment, which knows nothing of the session.
    marks = marks_of(row)
    payment: dict[str, object] = {"metadata": marks}
    if row.saves_card:
        payment["setup_future_usage"] = "off_session"
    return {
        "mode": "payment",
        "client_reference_id": purchase,
        "line_items": [{"quantity": 1, **_line(billing, row)}],
        "metadata": marks,
        "payment_intent_data": payment,
        "success_url": f"{base_url}{SUCCESS_PATH}?session_id={SESSION_PLACE}",
        # Not by way of a page of ours, which would lead anybody anywhere.
        "cancel_url": row.cancel_url or f"{base_url}{CANCEL_PATH}",
        "expires_at": int((row.created_at + OPEN_FOR).timestamp()),
        # In another currency it could not be told whether what was paid is what was sold.
        "adaptive_pricing": {"enabled": False},
        **({"automatic_tax": {"enabled": True}} if billing.automatic_tax else {}),
        **({"invoice_creation": {"enabled": True}} if billing.invoices else {}),
        **buyer,
    }


def _line(billing: Billing, row: rows.PurchaseRow) -> Mapping[str, object]:
    if row.price is not None:
        return {"price": row.price}
    product = {"name": f"{row.label}: {row.credits:,} SMS credits"}
    if billing.tax_code is not None:
        product["tax_code"] = billing.tax_code
    data: dict[str, object] = {"currency": row.currency, "unit_amount": row.amount, "product_data": product}
    if billing.tax_behavior is not None:
        data["tax_behavior"] = billing.tax_behavior
    return {"price_data": data}


def _read_url(text: str | None, param: str) -> str | None:
    """Return an address of the web, which a browser is sent to and we never ask. Raises InvalidRequest."""
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.username is None
        is_whole = is_whole and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or len(text) > MAX_URL or not text.isprintable() or " " in text or "\\" in text:
        raise InvalidRequest(
            f"{param} must be an address that begins with https:// or http://, of at most {MAX_URL} characters.",
            param=param,
            code=ErrorCode.URL_INVALID,
        )
    return text
