"""Orders that Shopify and Stripe post: verify who posted them, and read what somebody bought or got back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import ClassVar, TypeVar

import msgspec

from msvs.connectors.base import HookCall, HookRefused
from msvs.connectors.signatures import verify
from msvs.packs import DIGITS

T = TypeVar("T")

MAX_ID = 100


@dataclass(frozen=True, slots=True)
class Order:
    """An order, with its amounts as decimal text in `currency`; `refunded` is all that was refunded so far.

    `is_paid` is false for news of a refund, which is of an order that was told before. `phones` and `emails` are the
    buyer's, the likeliest first. `is_test` tells an order of a shop's test mode. repr() omits who bought.
    """

    order_id: str
    currency: str
    value: str
    refunded: str
    is_paid: bool
    is_test: bool
    occurred_at: datetime | None
    phones: Sequence[str] = field(default=(), repr=False)
    emails: Sequence[str] = field(default=(), repr=False)


class OrderSource(ABC):
    """A service that posts orders."""

    kind: ClassVar[str]
    # The header that signs the body.
    header: ClassVar[str]

    def read(self, call: HookCall, secret: str) -> Order | None:
        """Return the order in a request; None where it tells of something else. Raises HookRefused."""
        verify(call.headers.get(self.header), call.body, secret, call.now)
        try:
            return self.order(call)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidOperation, OverflowError, OSError):
            raise HookRefused("the body is not the service's", status=400) from None

    @abstractmethod
    def order(self, call: HookCall) -> Order | None:
        """Return the order in a request that is the service's."""


def _decode(body: bytes, type: type[T]) -> T:
    return msgspec.json.decode(body, type=type)


def _given(texts: Sequence[str | None]) -> list[str]:
    """Return the texts that say something, each once."""
    return [*dict.fromkeys(text.strip() for text in texts if text and text.strip())]


class _Transaction(msgspec.Struct):
    kind: str | None = None
    status: str | None = None
    amount: str | float | None = None


class _Refund(msgspec.Struct):
    transactions: list[_Transaction] = []


class _Person(msgspec.Struct):
    phone: str | None = None
    email: str | None = None


class _ShopifyOrder(msgspec.Struct):
    id: int
    total_price: str | float
    currency: str
    processed_at: str | None = None
    created_at: str | None = None
    phone: str | None = None
    email: str | None = None
    contact_email: str | None = None
    test: bool | None = None
    customer: _Person | None = None
    billing_address: _Person | None = None
    shipping_address: _Person | None = None
    refunds: list[_Refund] = []


class ShopifyOrders(OrderSource):
    """Shopify's webhooks `orders/paid`, and `orders/updated` for refunds."""

    kind = "shopify"
    header = "x-shopify-hmac-sha256"
    paid: ClassVar[str] = "orders/paid"
    updated: ClassVar[str] = "orders/updated"

    def order(self, call: HookCall) -> Order | None:
        """Return an order that was paid, or changed since."""
        topic = call.headers.get("x-shopify-topic", "")
        if topic not in (self.paid, self.updated):
            return None
        told = _decode(call.body, _ShopifyOrder)
        refunds = [
            Decimal(str(each.amount))
            for refund in told.refunds
            for each in refund.transactions
            if each.kind == "refund" and each.status == "success" and each.amount is not None
        ]
        people = [each for each in (told.customer, told.billing_address, told.shipping_address) if each is not None]
        return Order(
            f"shopify-{told.id}",
            told.currency,
            str(told.total_price),
            str(sum(refunds, Decimal(0))),
            is_paid=topic == self.paid,
            is_test=bool(told.test),
            occurred_at=_time(told.processed_at or told.created_at),
            phones=_given([told.phone, *(each.phone for each in people)]),
            emails=_given([told.email, told.contact_email, *(each.email for each in people)]),
        )


def _time(text: str | None) -> datetime | None:
    """Return a time with its offset; None where the text is none."""
    try:
        found = datetime.fromisoformat((text or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


class _Shipping(msgspec.Struct):
    phone: str | None = None


class _StripeObject(msgspec.Struct):
    """What of a Checkout Session, a PaymentIntent or a Charge is read."""

    id: str
    currency: str | None = None
    created: int | None = None
    # Of a Checkout Session.
    amount_total: int | None = None
    payment_status: str | None = None
    payment_intent: str | None = None
    customer_details: _Person | None = None
    customer_email: str | None = None
    # Of a PaymentIntent.
    amount_received: int | None = None
    receipt_email: str | None = None
    shipping: _Shipping | None = None
    # Of a Charge.
    amount: int | None = None
    amount_refunded: int | None = None


class _StripeData(msgspec.Struct):
    object: msgspec.Raw


class _StripeEvent(msgspec.Struct):
    type: str
    livemode: bool
    data: _StripeData


class StripeOrders(OrderSource):
    """Stripe's events of a customer's own account: payments that succeeded, and charges that were refunded.

    A payment and the Checkout Session that it belongs to are one order: that of the PaymentIntent.
    """

    kind = "stripe"
    header = "stripe-signature"
    # Type of the event → the field that holds the amount; null amounts tell of no order.
    types: ClassVar[Mapping[str, str]] = {
        "checkout.session.completed": "amount_total",
        "checkout.session.async_payment_succeeded": "amount_total",
        "payment_intent.succeeded": "amount_received",
        "charge.refunded": "amount",
    }

    def order(self, call: HookCall) -> Order | None:
        """Return the payment or refund of an event."""
        event = _decode(call.body, _StripeEvent)
        if event.type not in self.types:
            return None
        told = msgspec.json.decode(event.data.object, type=_StripeObject)
        amount = getattr(told, self.types[event.type])
        if amount is None or told.currency is None or told.payment_status == "unpaid":
            return None
        person = told.customer_details or _Person()
        currency = told.currency.upper()
        return Order(
            (told.payment_intent or told.id)[:MAX_ID],
            currency,
            _decimal(amount, currency),
            _decimal(told.amount_refunded or 0, currency),
            is_paid=event.type != "charge.refunded",
            is_test=not event.livemode,
            occurred_at=None if told.created is None else datetime.fromtimestamp(told.created, UTC),
            phones=_given([person.phone, None if told.shipping is None else told.shipping.phone]),
            emails=_given([person.email, told.customer_email, told.receipt_email]),
        )


def _decimal(amount: int, currency: str) -> str:
    """Return an amount that Stripe counts in its own units as decimal text."""
    return f"{Decimal(amount).scaleb(-DIGITS.get(currency.lower(), 2)):f}"


ORDER_SOURCES: Mapping[str, OrderSource] = {each.kind: each for each in (ShopifyOrders(), StripeOrders())}
