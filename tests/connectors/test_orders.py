"""Orders of Shopify and Stripe: who posted them, and what they say."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from msvs.connectors.base import HookCall, HookRefused
from msvs.connectors.orders import ORDER_SOURCES, Order

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
SECRET = "hush-hush-hush"
# As Shopify's documentation of the Order resource has it, shortened.
SHOPIFY: dict[str, Any] = {
    "id": 820982911946154508,
    "total_price": "149.00",
    "currency": "USD",
    "processed_at": "2026-11-30T06:30:00-05:00",
    "created_at": "2026-11-30T06:29:00-05:00",
    "phone": None,
    "email": "Maria@cohortlabs.co",
    "contact_email": "Maria@cohortlabs.co",
    "test": False,
    "customer": {"id": 115310627314723954, "email": "maria@cohortlabs.co", "phone": "+12125550123"},
    "billing_address": {"phone": "555-625-1199"},
    "shipping_address": None,
    "line_items": [{"id": 866550311766439020, "price": "149.00"}],
    "refunds": [],
}
REFUND = {
    "id": 929361464,
    "transactions": [
        {"kind": "refund", "status": "success", "amount": "49.00"},
        {"kind": "refund", "status": "failure", "amount": "100.00"},
        {"kind": "void", "status": "success", "amount": "1.00"},
    ],
}
SESSION: dict[str, Any] = {
    "id": "cs_test_a1",
    "object": "checkout.session",
    "amount_total": 14900,
    "currency": "usd",
    "created": 1796040000,
    "payment_status": "paid",
    "payment_intent": "pi_1",
    "customer_details": {"email": "maria@cohortlabs.co", "phone": "+12125550123", "name": "Maria"},
}


PAYMENT: dict[str, Any] = {"id": "pi_1", "amount_received": 100, "currency": "eur"}


def shopify(body: dict[str, Any], topic: str = "orders/paid") -> HookCall:
    text = json.dumps(body).encode()
    signed = b64encode(hmac.digest(SECRET.encode(), text, sha256)).decode()
    return HookCall({"x-shopify-topic": topic, "x-shopify-hmac-sha256": signed}, text, NOW)


def stripe(type: str, body: dict[str, Any], *, livemode: bool = True, at: datetime = NOW) -> HookCall:
    event = {"id": "evt_1", "type": type, "livemode": livemode, "data": {"object": body}}
    text = json.dumps(event).encode()
    time = str(int(at.timestamp()))
    signed = hmac.digest(SECRET.encode(), time.encode() + b"." + text, sha256).hex()
    return HookCall({"stripe-signature": f"t={time},v1={signed},v0=00"}, text, NOW)


def read(kind: str, call: HookCall) -> Order | None:
    return ORDER_SOURCES[kind].read(call, SECRET)


def test_a_paid_order_of_shopify() -> None:
    assert read("shopify", shopify(SHOPIFY)) == Order(
        "shopify-820982911946154508",
        "USD",
        "149.00",
        "0",
        is_paid=True,
        is_test=False,
        occurred_at=datetime.fromisoformat("2026-11-30T06:30:00-05:00"),
        phones=["+12125550123", "555-625-1199"],
        emails=["Maria@cohortlabs.co", "maria@cohortlabs.co"],
    )


def test_refunds_of_shopify_are_all_there_were() -> None:
    found = read("shopify", shopify({**SHOPIFY, "refunds": [REFUND, REFUND], "test": True}, "orders/updated"))
    assert found is not None
    assert (found.is_paid, found.refunded, found.is_test) == (False, "98.00", True)
    assert read("shopify", shopify(SHOPIFY, "products/update")) is None


@pytest.mark.parametrize(
    ("type", "body", "order_id", "value", "refunded", "is_paid"),
    [
        ("checkout.session.completed", SESSION, "pi_1", "149.00", "0.00", True),
        ("checkout.session.completed", {**SESSION, "payment_intent": None}, "cs_test_a1", "149.00", "0.00", True),
        ("checkout.session.completed", {**SESSION, "currency": "jpy"}, "pi_1", "14900", "0", True),
        ("checkout.session.completed", {**SESSION, "currency": "kwd"}, "pi_1", "14.900", "0.000", True),
        (
            "payment_intent.succeeded",
            {"id": "pi_1", "amount_received": 100, "currency": "eur"},
            "pi_1",
            "1.00",
            "0.00",
            True,
        ),
        (
            "charge.refunded",
            {"id": "ch_1", "payment_intent": "pi_1", "amount": 100, "amount_refunded": 40, "currency": "eur"},
            "pi_1",
            "1.00",
            "0.40",
            False,
        ),
    ],
)
def test_payments_and_refunds_of_stripe(
    type: str, body: dict[str, Any], order_id: str, value: str, refunded: str, is_paid: bool
) -> None:
    found = read("stripe", stripe(type, body))
    assert found is not None
    assert (found.order_id, found.value, found.refunded, found.is_paid) == (order_id, value, refunded, is_paid)
    assert not found.is_test


def test_what_tells_of_no_order_is_none() -> None:
    for type, body in (
        ("customer.created", {"id": "cus_1"}),
        ("checkout.session.completed", {**SESSION, "payment_status": "unpaid"}),
        ("checkout.session.completed", {**SESSION, "amount_total": None}),
    ):
        assert read("stripe", stripe(type, body)) is None
    found = read("stripe", stripe("checkout.session.completed", SESSION, livemode=False))
    assert found is not None
    assert found.is_test
    assert found.phones == ["+12125550123"]


def test_what_is_not_signed_or_too_old_is_refused() -> None:
    paid, session = shopify(SHOPIFY), stripe("checkout.session.completed", SESSION)
    for kind, call in (
        ("shopify", HookCall({}, paid.body, NOW)),
        ("shopify", HookCall(paid.headers, paid.body + b" ", NOW)),
        ("stripe", HookCall({}, session.body, NOW)),
        ("stripe", HookCall(session.headers, session.body + b" ", NOW)),
        ("stripe", stripe("checkout.session.completed", SESSION, at=datetime(2026, 11, 30, 11, 54, tzinfo=UTC))),
    ):
        with pytest.raises(HookRefused):
            read(kind, call)
    for text in (b"", b"[]", b'{"id": "x"}', b'{"id": 1, "total_price": {}, "currency": "USD"}', b"\xff"):
        signed = b64encode(hmac.digest(SECRET.encode(), text, sha256)).decode()
        call = HookCall({"x-shopify-topic": "orders/paid", "x-shopify-hmac-sha256": signed}, text, NOW)
        with pytest.raises(HookRefused) as refused:
            read("shopify", call)
        assert refused.value.status == 400


def test_who_bought_stands_in_no_representation() -> None:
    assert "maria" not in repr(read("shopify", shopify(SHOPIFY))).lower()
