"""Order hooks from a shop's post to the conversion: signed, once, of contacts alone, and of one mode."""

from __future__ import annotations

import json
from typing import Any

import httpx

from msvs import database as db
from msvs.api.messages.order_hooks import MAX_HOOKS
from msvs.models import Conversion, Event, OrderHook
from tests.connectors.test_orders import REFUND, SECRET, SESSION, SHOPIFY, shopify, stripe
from tests.rest_compat.making import get, post, refused
from tests.services import SERVICES

CHARGE = {"id": "ch_1", "amount": 14900, "amount_refunded": 14900, "currency": "usd"}


async def make_hook(api: httpx.AsyncClient, type: str, **more: Any) -> tuple[dict[str, Any], str]:
    hook = await post(api, "/v1/order_hooks", type=type, signing_secret=SECRET, **more)
    return hook, hook["url"].removeprefix(SERVICES.base_url)


async def send(api: httpx.AsyncClient, path: str, call: Any) -> dict[str, Any]:
    answer = await api.post(path, content=call.body, headers=dict(call.headers))
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


async def test_shopify_orders_become_conversions_once(api: httpx.AsyncClient) -> None:
    hook, path = await make_hook(api, "shopify", name="Course shop")
    assert "signing_secret" not in hook
    assert (await send(api, path, shopify(SHOPIFY)))["status"] == "ignored"
    assert await Conversion.all().count() == 0
    contact = await post(api, "/v1/contacts", phone="+12125550123")
    assert (await send(api, path, shopify(SHOPIFY)))["status"] == "recorded"
    assert (await send(api, path, shopify(SHOPIFY)))["status"] == "known"
    (row,) = (await get(api, "/v1/conversions"))["data"]
    assert (row["contact_id"], row["value"], row["currency"]) == (contact["id"], 14900, "USD")
    assert (row["source"], row["order_id"]) == ("shopify", "shopify-820982911946154508")
    refund = shopify({**SHOPIFY, "refunds": [REFUND]}, "orders/updated")
    assert [(await send(api, path, refund))["status"] for _ in range(2)] == ["refunded", "known"]
    assert (await get(api, f"/v1/conversions/{row['id']}"))["refunded_value"] == 4900
    types = await db.fetch("SELECT type FROM events WHERE type LIKE 'conversion.%' ORDER BY id")
    assert [each.type for each in types] == ["conversion.created", "conversion.refunded"]
    (shown,) = (await get(api, "/v1/order_hooks"))["data"]
    assert (shown["recorded"], shown["ignored"], "url" in shown) == (2, 1, False)


async def test_a_session_and_its_payment_of_stripe_are_one_order(api: httpx.AsyncClient) -> None:
    _, path = await make_hook(api, "stripe")
    await post(api, "/v1/contacts", phone="+12125550124", email="maria@cohortlabs.co")
    at = SERVICES.clock()
    intent = {"id": "pi_1", "amount_received": 14900, "currency": "usd"}
    told = [
        stripe("payment_intent.succeeded", intent, at=at),
        stripe("checkout.session.completed", SESSION, at=at),
        stripe("payment_intent.succeeded", {**intent, "receipt_email": "maria@cohortlabs.co"}, at=at),
        stripe(
            "charge.refunded",
            {**CHARGE, "payment_intent": "pi_2"},
            at=at,
        ),
    ]
    assert [(await send(api, path, each))["status"] for each in told] == ["ignored", "recorded", "known", "ignored"]
    assert await Event.filter(type="conversion.created").count() == 1


async def test_what_a_stranger_posts_is_refused_and_leaves_nothing(api: httpx.AsyncClient) -> None:
    _, path = await make_hook(api, "shopify")
    await post(api, "/v1/contacts", phone="+12125550123")
    call = shopify(SHOPIFY)
    forged = await api.post(path, content=call.body + b" ", headers=dict(call.headers))
    assert (await refused(forged))[:2] == (403, "callback_refused")
    unknown = await api.post("/hooks/orders/nobody", content=call.body, headers=dict(call.headers))
    assert unknown.status_code == 404
    bare = await post(api, "/v1/order_hooks", type="shopify")
    assert not bare["has_secret"]
    early = await api.post(bare["url"].removeprefix(SERVICES.base_url), content=call.body, headers=dict(call.headers))
    assert (await refused(early))[:2] == (403, "callback_refused")
    assert await Conversion.all().count() == 0
    changed = await post(api, f"/v1/order_hooks/{bare['id']}", 200, signing_secret=SECRET, name="Late")
    assert (changed["has_secret"], changed["name"]) == (True, "Late")
    late = await api.post(bare["url"].removeprefix(SERVICES.base_url), content=call.body, headers=dict(call.headers))
    assert late.json()["status"] == "recorded"
    deleted = await api.delete(f"/v1/order_hooks/{bare['id']}")
    assert deleted.json()["deleted"]
    gone = await api.post(bare["url"].removeprefix(SERVICES.base_url), content=call.body, headers=dict(call.headers))
    assert gone.status_code == 404


async def test_secrets_are_sealed_and_addresses_hashed(api: httpx.AsyncClient) -> None:
    body, headers = {"type": "stripe", "signing_secret": SECRET}, {"Idempotency-Key": "hook-1"}
    made = await api.post("/v1/order_hooks", json=body, headers=headers)
    again = await api.post("/v1/order_hooks", json=body, headers=headers)
    hook = made.json()
    assert again.json() == hook
    path = hook["url"]
    rows = await db.fetch("SELECT row_to_json(order_hooks)::text AS text FROM order_hooks")
    token = path.rsplit("/", 1)[1]
    assert token not in rows[0].text
    assert SECRET not in rows[0].text
    kept = await db.fetch("SELECT body FROM idempotency_records")
    assert len(kept) == 1
    assert not any(token in each.body or SECRET in each.body for each in kept)
    row = await OrderHook.all().first()
    assert row is not None
    for values, param in (
        ({"type": "woo"}, "type"),
        ({"type": "stripe", "signing_secret": "short"}, "signing_secret"),
        ({"type": "stripe", "name": ""}, "name"),
    ):
        answer = await api.post("/v1/order_hooks", json=values)
        assert (answer.status_code, json.loads(answer.text)["error"]["param"]) == (400, param)
    assert await OrderHook.all().count() == 1
    assert hook["object"] == "order_hook"


async def test_there_are_at_most_so_many(api: httpx.AsyncClient) -> None:
    for number in range(MAX_HOOKS):
        await make_hook(api, "shopify", name=f"Shop {number}")
    response = await api.post("/v1/order_hooks", json={"type": "shopify", "signing_secret": SECRET})
    assert await refused(response) == (409, "order_hook_limit", None)
