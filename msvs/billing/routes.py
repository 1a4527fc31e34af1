"""The routes of /billing: store Stripe's events before answering, and show the pages to which buyers return."""

from __future__ import annotations

import re
from html import escape

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from msvs.api.context import Services
from msvs.api.credits import fulfilment
from msvs.api.credits.checkout import CANCEL_PATH, SUCCESS_PATH
from msvs.api.credits.gateway import GatewayError
from msvs.api.credits.stripe_events import keep_event, read_event
from msvs.api.limits import Limiter
from msvs.database import fetch_row
from msvs.http.body import read_body
from msvs.http.callers import address_of
from msvs.http.guesses import Guesses
from msvs.http.headers import header_text, read_headers
from msvs.http.html import NOT_STORED, PAGE_HEADERS, card_response, fill
from msvs.models import PurchaseStatus, rows

log = structlog.get_logger(__name__)

PACKAGE = "msvs.billing"
WEBHOOK_PATH = "/billing/stripe"
MAX_BYTES = 512 * 1024
SESSION_ID = re.compile(r"cs_(?:test|live)_[A-Za-z0-9]{1,200}")
HEADERS = {**PAGE_HEADERS, **NOT_STORED}

PURCHASE_OF_SESSION = "SELECT * FROM purchases WHERE session_id = $1"
# Only a buyer who has paid is sent on to the page that was named: a link to a purchase that nobody pays would lead
# anybody anywhere, from the service's own address.
COMPLETED = frozenset((PurchaseStatus.PAID, PurchaseStatus.PENDING, PurchaseStatus.REVIEW))


def billing_routes(services: Services, limiter: Limiter) -> list[BaseRoute]:
    """Return the routes, with their full paths."""
    pages = BuyerPages(services, limiter)
    return [
        Route(WEBHOOK_PATH, StripeWebhook(services), methods=["POST"]),
        Route(SUCCESS_PATH, pages.success),
        Route(CANCEL_PATH, pages.cancel),
    ]


class StripeWebhook:
    """Takes Stripe's events as an ASGI app: verified on the bytes as they came, kept once, answered at once."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one event; errors are raised for the middleware to render."""
        headers = read_headers(scope)
        body = await read_body(receive, headers, MAX_BYTES)
        signature = header_text(headers.get(b"stripe-signature")) or ""
        told = read_event(self._services, body, signature)
        if told is not None:
            await keep_event(self._services, told)
        await Response(b'{"received": true}', 200, NOT_STORED, media_type="application/json")(scope, receive, send)


class BuyerPages:
    """The pages to which Stripe returns the buyer, without a cookie; they show what the books say."""

    def __init__(self, services: Services, limiter: Limiter) -> None:
        self._services = services
        self._guesses = Guesses(limiter, "payments that are unknown or not made yet")

    async def success(self, request: Request) -> Response:
        """Fulfill the purchase that was paid, and go on to the page that its buyer named.

        Anybody may ask: a network that asks too often for what is unknown, or for what Stripe must be asked about, is
        refused before either is. Raises RateLimited.
        """
        ip = address_of(request.scope)
        self._guesses.check(ip)
        session_id = request.query_params.get("session_id", "")
        row = await self._find(session_id) if SESSION_ID.fullmatch(session_id) else None
        if row is None or row.status != PurchaseStatus.PAID:
            await self._guesses.count(ip)
        if row is None:
            return _page("Unknown payment", "unknown.html", 404, home=self._home())
        if row.status != PurchaseStatus.PAID:
            try:
                await fulfilment.fulfil(self._services, session_id)
            except GatewayError as error:
                # The event or the nightly comparison comes to the same.
                log.warning("a success page could not reach Stripe", reason=error.reason)
            row = await self._find(session_id) or row
        if row.success_url is not None and row.status in COMPLETED:
            return RedirectResponse(row.success_url, 303, HEADERS)
        words = PAID if row.status == PurchaseStatus.PAID else WAITING
        return _page(words[0], "done.html", 200, home=self._home(), text=escape(words[1].format(credits=row.credits)))

    async def cancel(self, request: Request) -> Response:
        """Tell the buyer who turned back that nothing was charged."""
        return _page("Nothing was charged", "done.html", 200, home=self._home(), text="You turned back before paying.")

    async def _find(self, session_id: str) -> rows.PurchaseRow | None:
        return await fetch_row(rows.PurchaseRow, PURCHASE_OF_SESSION, session_id)

    def _home(self) -> str:
        return escape(f"{self._services.base_url}/dashboard/credits")


PAID = ("Thank you", "{credits:,} credits are in your balance.")
WAITING = (
    "Thank you",
    "Your payment is being processed. {credits:,} credits come to your balance as soon as it has gone through.",
)


def _page(title: str, name: str, status: int, **values: str) -> Response:
    body = fill(PACKAGE, name, title=escape(title), **values)
    return card_response(PACKAGE, title=f"{title} · MassiveSMS", body=body, status=status)
