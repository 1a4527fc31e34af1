"""Buying credits over REST and GraphQL: who may, what is answered, and what a refusal leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from msvs.api import ids
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.api.credits import gateway
from msvs.local.pretend_stripe import PretendStripe, Refused
from msvs.models import Purchase
from tests.fakes.stripe import PACKS, bring, running_stripe
from tests.rest_compat.conftest import Client
from tests.rest_compat.contract import DOCUMENT
from tests.services import SERVICES

CHECKOUT = "/v1/credits/checkout"
CREATE = """
mutation ($input: CreateCheckoutInput!, $key: String) {
  createCheckout(input: $input, idempotencyKey: $key) {
    __typename
    ... on Checkout { id url status pack credits amount currency }
    ... on Error { code param }
  }
}
"""


@pytest.fixture
async def stripe(clean: None) -> AsyncIterator[PretendStripe]:
    with running_stripe(SERVICES) as account:
        yield account
        await gateway.close(SERVICES)


def code(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error.get("param")


async def mutate(http: httpx.AsyncClient, **variables: Any) -> dict[str, Any]:
    answer = await http.post("/graphql", json={"query": CREATE, "variables": variables})
    found: dict[str, Any] = answer.json()["data"]["createCheckout"]
    return found


async def test_a_live_key_buys(live_ctx: Context, client: Client, stripe: PretendStripe) -> None:
    http = await client(live_ctx)
    packs = (await http.get("/v1/credits/packs")).json()
    assert [pack["id"] for pack in packs["data"]] == ["starter", "odd", "priced"]
    assert packs["data"][0] == {
        "id": "starter",
        "object": "credit_pack",
        "label": "Starter",
        "credits": 1000,
        "amount": 1900,
        "currency": "usd",
        "badge": None,
    }
    answer = await http.post(CHECKOUT, json={"pack": "starter"})
    begun = answer.json()
    (session,) = stripe.sessions.values()
    assert answer.status_code == 201
    assert {name: begun[name] for name in ("object", "url", "pack", "status", "credits", "amount", "total")} == {
        "object": "checkout",
        "url": session["url"],
        "pack": "starter",
        "status": "open",
        "credits": 1000,
        "amount": 1900,
        "total": None,
    }
    stripe.pay(session["id"])
    await bring(SERVICES, stripe)
    paid = (await http.get(f"/v1/credits/checkouts/{begun['id']}")).json()
    assert (paid["status"], paid["total"], paid["url"], paid["receipt_url"] is not None) == ("paid", 1900, None, True)
    assert (await http.get("/v1/credits/checkouts")).json()["data"] == [paid]
    assert (await http.get("/v1/credits")).json()["balance"] == 11_000
    newest = (await http.get("/v1/credits/ledger")).json()["data"][0]
    assert (newest["kind"], newest["amount"], newest["reference"], newest["note"]) == (
        "purchase",
        1000,
        begun["id"],
        "Starter",
    )


async def test_the_example_of_the_document_buys(live_ctx: Context, client: Client, stripe: PretendStripe) -> None:
    http = await client(live_ctx)
    body = DOCUMENT["paths"][CHECKOUT]["post"]["requestBody"]["content"]["application/json"]["example"]
    answer = await http.post(CHECKOUT, json={**body, "pack": "starter"})
    assert (answer.status_code, answer.json()["status"]) == (201, "open")
    assert len(stripe.sessions) == 1


async def test_a_purchase_keeps_the_figures_it_was_sold_at(
    live_ctx: Context, client: Client, stripe: PretendStripe
) -> None:
    http = await client(live_ctx)
    begun = (await http.post(CHECKOUT, json={"pack": "starter"})).json()
    SERVICES.billing.packs = [replace_pack(pack) for pack in SERVICES.billing.packs]
    stripe.pay(next(iter(stripe.sessions)))
    await bring(SERVICES, stripe)
    paid = (await http.get(f"/v1/credits/checkouts/{begun['id']}")).json()
    assert (paid["status"], paid["credits"], paid["amount"]) == ("paid", 1000, 1900)
    assert (await http.get("/v1/credits")).json()["balance"] == 11_000


def replace_pack(pack: Any) -> Any:
    return type(pack)(pack.id, 7, 77, "eur", "Other")


async def test_the_same_key_is_one_purchase_and_one_session(
    live_ctx: Context, client: Client, stripe: PretendStripe
) -> None:
    http = await client(live_ctx)
    stripe.refusals.append(Refused(429, "rate_limit_error", "Too many requests"))
    sent = {"json": {"pack": "starter"}, "headers": {"Idempotency-Key": "buy-1"}}
    refused = await http.post(CHECKOUT, **sent)
    assert code(refused)[:2] == (503, "payments_unavailable")
    answers = [await http.post(CHECKOUT, **sent) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert (await Purchase.all().count(), len(stripe.sessions)) == (1, 1)
    over = await mutate(http, input={"pack": "starter"}, key="buy-2")
    again = await mutate(http, input={"pack": "starter"}, key="buy-2")
    assert over == again
    assert (over["__typename"], over["status"], over["pack"]) == ("Checkout", "OPEN", "starter")
    assert (await Purchase.all().count(), len(stripe.sessions)) == (2, 2)


async def test_fifty_at_once_with_one_key_are_one_purchase(
    live_ctx: Context, client: Client, stripe: PretendStripe
) -> None:
    """Those that come while the first is at work are told so, and get its answer when they ask again."""
    http = await client(live_ctx)
    sent: dict[str, Any] = {"json": {"pack": "starter"}, "headers": {"Idempotency-Key": "buy-1"}}
    answers = await asyncio.gather(*(http.post(CHECKOUT, **sent) for _ in range(50)))
    done = [answer for answer in answers if answer.status_code == 201]
    assert {code(answer)[:2] for answer in answers if answer not in done} <= {(409, "idempotency_key_in_use")}
    again = [await http.post(CHECKOUT, **sent) for _ in range(2)]
    assert len({answer.text for answer in (*done, *again)}) == 1
    assert (await Purchase.all().count(), len(stripe.sessions)) == (1, 1)
    other = await http.post(CHECKOUT, json={"pack": "odd"}, headers={"Idempotency-Key": "buy-1"})
    assert (code(other)[:2], await Purchase.all().count()) == ((400, "idempotency_key_reused"), 1)


async def test_a_key_that_may_buy_may_do_nothing_else(live_ctx: Context, client: Client, stripe: PretendStripe) -> None:
    http = await client(live_ctx)
    _, key = await create_key(live_ctx.workspace_id, livemode=True, scopes=["credits:buy"])
    http.headers["Authorization"] = f"Bearer {key}"
    begun = await http.post(CHECKOUT, json={"pack": "starter"})
    assert begun.status_code == 201
    for path in ("/v1/messages", "/v1/contacts", "/v1/campaigns", "/v1/webhooks", "/v1/credits", "/v1/credits/ledger"):
        assert code(await http.get(path)) == (403, "scope_missing", None), path
    sent = await http.post("/v1/messages", json={"to": "+14155550100", "body": "Hi"})
    assert code(sent) == (403, "scope_missing", None)


async def test_the_sandbox_buys_nothing(ctx: Context, client: Client, stripe: PretendStripe) -> None:
    http = await client(ctx)
    assert len((await http.get("/v1/credits/packs")).json()["data"]) == 3
    assert code(await http.post(CHECKOUT, json={"pack": "starter"})) == (403, "live_only", None)
    assert await mutate(http, input={"pack": "starter"}) == {
        "__typename": "PermissionError",
        "code": "live_only",
        "param": None,
    }
    assert (await Purchase.all().count(), stripe.calls) == (0, [])


async def test_a_key_needs_the_scope(live_ctx: Context, client: Client, stripe: PretendStripe) -> None:
    http = await client(live_ctx)
    _, key = await create_key(live_ctx.workspace_id, livemode=True, scopes=["credits:read"])
    http.headers["Authorization"] = f"Bearer {key}"
    assert code(await http.post(CHECKOUT, json={"pack": "starter"})) == (403, "scope_missing", None)
    assert (await mutate(http, input={"pack": "starter"}))["code"] == "scope_missing"
    assert (await Purchase.all().count(), stripe.calls) == (0, [])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"pack": "none"}, (400, "pack_unknown", "pack")),
        ({"pack": "gone"}, (400, "pack_unknown", "pack")),
        ({"pack": ""}, (400, "pack_unknown", "pack")),
        ({}, (400, "parameter_missing", "pack")),
        ({"pack": "starter", "amount": 1}, (400, "parameter_unknown", "amount")),
        ({"pack": "starter", "success_url": "javascript:alert(1)"}, (400, "url_invalid", "success_url")),
        ({"pack": "starter", "success_url": "https://"}, (400, "url_invalid", "success_url")),
        ({"pack": "starter", "cancel_url": "https://a@cohortlabs.co/"}, (400, "url_invalid", "cancel_url")),
        ({"pack": "starter", "cancel_url": "https://cohortlabs.co/\r\nX: 1"}, (400, "url_invalid", "cancel_url")),
        ({"pack": "starter", "cancel_url": "https://x.co/" + "a" * 2050}, (400, "url_invalid", "cancel_url")),
    ],
)
async def test_what_cannot_be_bought(
    live_ctx: Context,
    client: Client,
    stripe: PretendStripe,
    body: dict[str, Any],
    told: tuple[int, str, str | None],
) -> None:
    http = await client(live_ctx)
    assert code(await http.post(CHECKOUT, json=body)) == told
    assert (await Purchase.all().count(), stripe.calls) == (0, [])


async def test_nothing_is_sold_where_nothing_is_set_up(live_ctx: Context, client: Client) -> None:
    http = await client(live_ctx)
    billing = SERVICES.billing
    for packs, key in (((), "sk_test_1"), (PACKS, None)):
        billing.packs, billing.key = packs, key
        assert (await http.get("/v1/credits/packs")).json()["data"] == []
        assert code(await http.post(CHECKOUT, json={"pack": "starter"})) == (409, "billing_closed", None)
    assert await Purchase.all().count() == 0


async def test_the_purchase_of_another_workspace_is_not_there(
    live_ctx: Context, other_ctx: Context, client: Client, stripe: PretendStripe
) -> None:
    mine, theirs = await client(live_ctx), await client(replace(other_ctx, livemode=True))
    begun = (await mine.post(CHECKOUT, json={"pack": "starter"})).json()
    assert code(await theirs.get(f"/v1/credits/checkouts/{begun['id']}")) == (404, "resource_missing", "id")
    assert (await theirs.get("/v1/credits/checkouts")).json()["data"] == []
    asked = {"query": "query ($id: ID!) { checkout(id: $id) { id } }", "variables": {"id": begun["id"]}}
    answer = await theirs.post("/graphql", json=asked)
    assert answer.json()["data"] == {"checkout": None}
    unknown = ids.encode_id(gateway.PURCHASE, ids.new_id())
    assert code(await mine.get(f"/v1/credits/checkouts/{unknown}")) == (404, "resource_missing", "id")
