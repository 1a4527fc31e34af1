"""The routes of /billing: what Stripe signed is kept once, and buyers come back to what the books say."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from stripe import SignatureVerificationError, WebhookSignature

from msvs import database as db
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.credits import gateway
from msvs.api.credits.gateway import PURCHASE
from msvs.billing.routes import MAX_BYTES
from msvs.local.pretend_stripe import PretendStripe, Refused, signature_header
from msvs.models import StripeEvent
from tests.apps import BASE_URL
from tests.fakes.stripe import SECRET, begin, books, reread, running_stripe, work
from tests.rest_compat.conftest import app
from tests.services import SERVICES

__all__ = ["app"]

OLDER = "whsec_the_secret_before_this_one"
HOOK = "/billing/stripe"


@pytest.fixture
async def stripe(clean: None) -> AsyncIterator[PretendStripe]:
    with running_stripe(SERVICES) as account:
        yield account
        await gateway.close(SERVICES)


@pytest.fixture
async def http(app: Starlette, clean: None) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL) as client:
        yield client


async def post(http: httpx.AsyncClient, body: bytes, header: str | None) -> tuple[int, str | None]:
    headers = {} if header is None else {"Stripe-Signature": header}
    answer = await http.post(HOOK, content=body, headers={"Content-Type": "application/json", **headers})
    return answer.status_code, answer.json().get("error", {}).get("code")


async def paid(ctx: Context, stripe: PretendStripe) -> dict[str, Any]:
    """An event of a session that was paid."""
    row = await begin(ctx)
    stripe.pay(row.session_id or "")
    return stripe.events[-1]


async def test_an_event_is_kept_once_and_worked_on(
    live_ctx: Context, stripe: PretendStripe, http: httpx.AsyncClient
) -> None:
    event = await paid(live_ctx, stripe)
    for _ in range(3):
        assert await post(http, *stripe.signed(event)) == (200, None)
    assert await StripeEvent.all().count() == 1
    assert await books(live_ctx.workspace_id) == (10_000, 10_000, 0)
    await work(SERVICES)
    assert await books(live_ctx.workspace_id) == (11_000, 11_000, 0)
    kept = await StripeEvent.get(id=event["id"])
    shown = {name: str(value) for name, value in dict(kept).items()}
    assert "cus_" not in json.dumps(shown), "nothing of the buyer is kept"


async def test_what_is_not_signed_as_it_came_is_refused(
    live_ctx: Context, stripe: PretendStripe, http: httpx.AsyncClient
) -> None:
    event = await paid(live_ctx, stripe)
    body, header = stripe.signed(event)
    now = stripe.clock()
    refused = [
        (body, None),
        (body, ""),
        (body, header.replace("v1=", "v0=")),
        (json.dumps(event).encode(), header),
        (body + b" ", header),
        stripe.signed(event, at=now - 301),
        stripe.signed(event, at=now + 330),
        (body, header.replace("t=", "t=1")),
    ]
    for each in refused:
        assert await post(http, *each) == (403, "callback_refused")
    assert await StripeEvent.all().count() == 0


async def test_two_secrets_count_while_one_is_rotated(
    live_ctx: Context, stripe: PretendStripe, http: httpx.AsyncClient
) -> None:
    first, second = await paid(live_ctx, stripe), await paid(live_ctx, stripe)
    SERVICES.billing.webhook_secrets = (SECRET, OLDER)
    stripe.secrets = (OLDER,)
    assert await post(http, *stripe.signed(first)) == (200, None)
    stripe.secrets = ("whsec_of_somebody_else_altogether", SECRET)
    assert await post(http, *stripe.signed(second)) == (200, None)
    SERVICES.billing.webhook_secrets = (SECRET,)
    stripe.secrets = (OLDER,)
    assert await post(http, *stripe.signed(first)) == (403, "callback_refused")
    assert await StripeEvent.all().count() == 2


async def test_without_a_secret_nothing_is_taken(
    live_ctx: Context, stripe: PretendStripe, http: httpx.AsyncClient
) -> None:
    event = await paid(live_ctx, stripe)
    SERVICES.billing.webhook_secrets = ()
    stripe.secrets = ("",)
    assert await post(http, *stripe.signed(event)) == (404, "resource_missing")


async def test_events_of_the_other_mode_and_of_other_kinds(
    live_ctx: Context, stripe: PretendStripe, http: httpx.AsyncClient
) -> None:
    event = await paid(live_ctx, stripe)
    assert await post(http, *stripe.signed({**event, "livemode": True})) == (403, "callback_refused")
    assert await post(http, *stripe.signed({**event, "type": "customer.created"})) == (200, None)
    assert await post(http, *stripe.signed({"id": "evt_1"})) == (400, "callback_invalid")
    assert await StripeEvent.all().count() == 0


@pytest.mark.parametrize(
    "change",
    [
        # Neither a balance nor an invoice to come has an id.
        {"type": "balance.available", "data": {"object": {"object": "balance", "pending": []}}},
        {"type": "invoice.upcoming", "data": {"object": {"object": "invoice"}}},
        # As Stripe's second API tells it: without its object.
        {"type": "v2.money_management.adjustment.created", "created": "2026-11-28T10:00:00.000Z", "data": None},
    ],
    ids=lambda change: str(change["type"]),
)
async def test_an_event_of_another_shape_is_answered_and_not_kept(
    live_ctx: Context, stripe: PretendStripe, http: httpx.AsyncClient, change: dict[str, Any]
) -> None:
    """An endpoint that fails too often is turned off by Stripe, with all that it was made for."""
    event = await paid(live_ctx, stripe)
    assert await post(http, *stripe.signed({**event, **change})) == (200, None)
    assert await post(http, *stripe.signed({**event, **change, "livemode": True})) == (403, "callback_refused")
    assert await StripeEvent.all().count() == 0


@pytest.mark.parametrize(
    "change", [{"created": 10**18}, {"created": -1}, {"data": None}, {"data": {"object": {}}}, {"id": 7}], ids=str
)
async def test_a_signed_event_that_cannot_be_read_is_refused(
    live_ctx: Context, stripe: PretendStripe, http: httpx.AsyncClient, change: dict[str, Any]
) -> None:
    event = await paid(live_ctx, stripe)
    assert await post(http, *stripe.signed({**event, **change})) == (400, "callback_invalid")
    assert await StripeEvent.all().count() == 0


async def test_what_is_sent_to_wear_the_webhook_out_is_refused_soon(
    live_ctx: Context, stripe: PretendStripe, http: httpx.AsyncClient
) -> None:
    body, header = stripe.signed(await paid(live_ctx, stripe))
    most = MAX_BYTES + 1

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(most // 1024 + 1):
            yield b"x" * 1024

    for content in (b"x" * most, pieces()):
        answer = await http.post(HOOK, content=content, headers={"Stripe-Signature": header})
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
    # What is compressed is not unpacked: the signature is that of the bytes.
    bomb = gzip.compress(b"0" * 50_000_000)
    assert len(bomb) < MAX_BYTES
    packed = {"Content-Encoding": "gzip", "Stripe-Signature": signature_header((SECRET,), int(stripe.clock()), bomb)}
    answer = await http.post(HOOK, content=bomb, headers=packed)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "callback_invalid")
    many = ",".join([header.partition(",")[0], *(f"v1={number:064x}" for number in range(500))])
    for forged in (many, "t=" + "9" * 5000 + ",v1=a", f"{header},{header}", "\xff".join("t=1,v1="), header.upper()):
        answer = await http.post(HOOK, content=body, headers={"Stripe-Signature": forged.encode("latin-1")})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "callback_refused")
    assert await StripeEvent.all().count() == 0
    # Only the signature counts: Stripe's own word for what it sends is as good as any.
    answer = await http.post(HOOK, content=body, headers={"Stripe-Signature": header, "Content-Type": "text/plain"})
    assert (answer.status_code, await StripeEvent.all().count()) == (200, 1)
    assert (await http.get(HOOK)).status_code == 405


async def test_stripes_own_verifier_and_ours_agree(
    live_ctx: Context, stripe: PretendStripe, http: httpx.AsyncClient
) -> None:
    event = await paid(live_ctx, stripe)
    body, header = stripe.signed(event)
    assert WebhookSignature.verify_header(body, header, SECRET, tolerance=300)
    with pytest.raises(SignatureVerificationError):
        WebhookSignature.verify_header(body + b" ", header, SECRET, tolerance=300)
    theirs = WebhookSignature.generate_signature_header(body.decode(), SECRET)
    assert await post(http, body, theirs) == (200, None)


async def test_the_success_page_comes_before_any_event(
    live_ctx: Context, stripe: PretendStripe, http: httpx.AsyncClient
) -> None:
    row = await begin(live_ctx)
    stripe.pay(row.session_id or "")
    for _ in range(2):
        page = await http.get("/billing/success", params={"session_id": row.session_id})
        assert (page.status_code, "1,000 credits are in your balance" in page.text) == (200, True)
    assert await books(live_ctx.workspace_id) == (11_000, 11_000, 0)
    assert (await reread(row.id)).status == "paid"


async def test_the_success_page_of_what_is_not_paid_gives_nothing(
    live_ctx: Context, stripe: PretendStripe, http: httpx.AsyncClient
) -> None:
    row = await begin(live_ctx)
    page = await http.get("/billing/success", params={"session_id": row.session_id})
    assert (page.status_code, "is being processed" in page.text) == (200, True)
    calls = len(stripe.calls)
    for unknown in ("cs_test_a1", "", "cs_test_'; --", "../x"):
        page = await http.get("/billing/success", params={"session_id": unknown})
        assert page.status_code == 404
    assert len(stripe.calls) == calls, "nobody makes us ask for sessions that are not ours"
    assert await books(live_ctx.workspace_id) == (10_000, 10_000, 0)


async def test_guesses_at_payments_are_limited(app: Starlette, live_ctx: Context, stripe: PretendStripe) -> None:
    """Neither the database nor Stripe is asked for a network that asks for what it was not given, or asks too often."""
    unpaid, paid_one = await begin(live_ctx), await begin(live_ctx)
    stripe.pay(paid_one.session_id or "")

    async def ask(network: str, session_id: str) -> int:
        transport = httpx.ASGITransport(app, client=(network, 4711))
        async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
            return (await client.get("/billing/success", params={"session_id": session_id})).status_code

    for network, session_id in (("198.51.100.7", None), ("192.0.2.7", unpaid.session_id)):
        statuses = [await ask(network, session_id or f"cs_test_guess{at}") for at in range(80)]
        assert (statuses[0], statuses[-1], set(statuses)) == (
            404 if session_id is None else 200,
            429,
            {statuses[0], 429},
        )
        before = len(stripe.calls)
        assert await ask(network, paid_one.session_id or "") == 429
        assert len(stripe.calls) == before
    assert len(stripe.calls) < 100
    assert await ask("203.0.113.9", paid_one.session_id or "") == 200
    assert (await reread(paid_one.id)).status == "paid"


async def test_the_success_page_while_stripe_is_away(
    live_ctx: Context, stripe: PretendStripe, http: httpx.AsyncClient
) -> None:
    row = await begin(live_ctx)
    stripe.pay(row.session_id or "")
    stripe.refusals.append(Refused(429, "rate_limit_error", "Too many requests"))
    page = await http.get("/billing/success", params={"session_id": row.session_id})
    assert (page.status_code, "is being processed" in page.text) == (200, True)


async def test_buyers_go_on_to_the_pages_that_were_named(
    live_ctx: Context, stripe: PretendStripe, http: httpx.AsyncClient
) -> None:
    urls = {"success_url": "https://app.cohortlabs.co/paid?a=1", "cancel_url": "https://app.cohortlabs.co/back"}
    row = await begin(live_ctx, **urls)
    stripe.pay(row.session_id or "")
    page = await http.get("/billing/success", params={"session_id": row.session_id})
    assert (page.status_code, page.headers["location"]) == (303, urls["success_url"])
    assert await books(live_ctx.workspace_id) == (11_000, 11_000, 0)
    assert stripe.sessions[row.session_id or ""]["cancel_url"] == urls["cancel_url"]


async def test_a_purchase_that_nobody_paid_leads_nobody_anywhere(
    live_ctx: Context, stripe: PretendStripe, http: httpx.AsyncClient
) -> None:
    """Who may buy may name any page: a link to it must not begin with the service's own address."""
    row = await begin(live_ctx, success_url="https://evil.example/login", cancel_url="https://evil.example/login")
    page = await http.get("/billing/success", params={"session_id": row.session_id})
    back = await http.get("/billing/cancel", params={"purchase": ids.encode_id(PURCHASE, row.id)})
    assert (page.status_code, back.status_code) == (200, 200)
    assert "evil" not in page.text + back.text
    plain = await begin(live_ctx)
    assert stripe.sessions[plain.session_id or ""]["cancel_url"] == f"{SERVICES.base_url}/billing/cancel"


async def test_the_pretend_page_says_what_it_is_and_takes_cards(live_ctx: Context, stripe: PretendStripe) -> None:
    row = await begin(live_ctx)
    async with httpx.AsyncClient() as browser:
        page = await browser.get(row.url or "")
        assert "NO CARD IS CHARGED, NO MONEY MOVES" in page.text
        assert 'name="viewport"' in page.text, "the letters are large on a phone too"
        declined = await browser.post(row.url or "", data={"card": "0002"})
        assert "Your card was declined" in declined.text
        assert stripe.sessions[row.session_id or ""]["status"] == "open"
        gone = await browser.post(row.url or "", data={"card": "4242"})
        assert gone.status_code == 303
        assert gone.headers["location"].endswith(f"/billing/success?session_id={row.session_id}")
    assert await db.fetch_value("SELECT count(*) FROM purchases WHERE status = 'paid'") == 0


async def test_the_pretend_bank_asks_before_its_card_pays(live_ctx: Context, stripe: PretendStripe) -> None:
    """3-D Secure: who refuses has paid nothing, and may choose again."""
    row = await begin(live_ctx)
    session = stripe.sessions[row.session_id or ""]
    async with httpx.AsyncClient() as browser:
        asked = await browser.post(row.url or "", data={"card": "3155"})
        assert (asked.status_code, "Your bank asks: is it you?" in asked.text) == (200, True)
        assert (session["status"], stripe.intents) == ("open", {})
        refused = await browser.post(row.url or "", data={"card": "3155", "bank": "refuse"})
        assert "could not confirm that it is you" in refused.text
        assert (session["status"], stripe.intents) == ("open", {})
        paid = await browser.post(row.url or "", data={"card": "3155", "bank": "confirm"})
        assert (paid.status_code, session["payment_status"]) == (303, "paid")
