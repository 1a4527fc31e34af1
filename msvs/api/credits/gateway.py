"""The gateway to Stripe: every network call of billing, never inside a transaction.

What Stripe answers is read into the few figures that the books need; nothing of the buyer is kept.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

import msgspec
import structlog

from msvs.api import ids
from msvs.api.context import Services
from msvs.api.errors import ErrorCode, Unavailable
from msvs.api.unit_of_work import is_in_transaction
from msvs.models import ReturnKind
from msvs.models.rows import PurchaseRow

if TYPE_CHECKING:
    from stripe import StripeClient

S = TypeVar("S", bound=msgspec.Struct)

log = structlog.get_logger(__name__)

PURCHASE = "pur"
STRIPE_URL = "https://api.stripe.com"
RETRIES = 2
CALL_SECONDS = 20.0
PAGE = 100
# What a refund of these states took is with the buyer, or on its way.
UNDONE_REFUNDS = frozenset(("failed", "canceled"))
# A dispute of these took no money, or gave it back; every `warning_…` is a question that took none.
UNDONE_DISPUTES = frozenset(("won", "prevented"))
EXPANDED = ("payment_intent.latest_charge", "invoice", "line_items")


class GatewayError(Unavailable):
    """503: Stripe cannot be asked now; another try may help unless it `is_final`."""

    default_code = ErrorCode.PAYMENTS_UNAVAILABLE

    def __init__(self, message: str, *, is_final: bool, reason: str) -> None:
        super().__init__(message, retry_after=None if is_final else 5)
        self.is_final = is_final
        self.reason = reason


class Charge(msgspec.Struct):
    """The details of a charge for the buyer."""

    receipt_url: str | None = None


class Intent(msgspec.Struct):
    """A payment."""

    id: str
    status: str = ""
    livemode: bool = False
    metadata: dict[str, str] = {}
    latest_charge: Charge | str | None = None


class Invoice(msgspec.Struct):
    """The invoice of a payment."""

    hosted_invoice_url: str | None = None


class Price(msgspec.Struct):
    """A price of Stripe's."""

    id: str


class Line(msgspec.Struct):
    """A line item of a session."""

    quantity: int | None = None
    price: Price | None = None


class Lines(msgspec.Struct):
    """All that was bought in a session."""

    data: list[Line] = []


class Totals(msgspec.Struct):
    """The tax in an amount."""

    amount_tax: int = 0


class Session(msgspec.Struct):
    """A checkout session."""

    id: str
    livemode: bool
    status: str | None = None
    payment_status: str = "unpaid"
    url: str | None = None
    expires_at: int | None = None
    client_reference_id: str | None = None
    metadata: dict[str, str] | None = None
    amount_subtotal: int | None = None
    amount_total: int | None = None
    currency: str | None = None
    customer: str | None = None
    payment_intent: Intent | str | None = None
    invoice: Invoice | str | None = None
    line_items: Lines | None = None
    total_details: Totals | None = None

    @property
    def purchase(self) -> str | None:
        """The id of the purchase that it was made for, if it was made here."""
        return (self.metadata or {}).get("purchase")


class Money(msgspec.Struct):
    """A refund or a dispute."""

    id: str
    amount: int
    created: int
    status: str | None = None
    payment_intent: str | None = None


@dataclass(frozen=True, slots=True)
class Return:
    """A refund or dispute as it stands: whether its money is the buyer's."""

    id: str
    kind: ReturnKind
    amount: int
    status: str
    created_at: datetime

    @property
    def is_taken(self) -> bool:
        """Whether its money went back, or is on its way."""
        if self.kind is ReturnKind.REFUND:
            return self.status not in UNDONE_REFUNDS
        return self.status not in UNDONE_DISPUTES and not self.status.startswith("warning_")


class _Page(msgspec.Struct):
    """A page of a list."""

    data: list[msgspec.Raw]
    has_more: bool


L = TypeVar("L", Session, Money)
SESSIONS = "/v1/checkout/sessions"
RETURNS = {ReturnKind.REFUND: "/v1/refunds", ReturnKind.DISPUTE: "/v1/disputes"}


class Kept:
    """The client that a process keeps, with the key that it was made for."""

    def __init__(self) -> None:
        self.client: StripeClient | None = None
        self.made_for: tuple[str | None, str | None] = (None, None)
        self.close: Callable[[], Awaitable[None]] | None = None


def client_of(services: Services) -> StripeClient:
    """Return the process's client of Stripe's API. Raises GatewayError where no key is set, or no library is there."""
    billing, kept = services.billing, services.keep(Kept)
    wanted = (billing.key, billing.api_url)
    if kept.client is not None and kept.made_for == wanted:
        return kept.client
    if billing.key is None:
        raise GatewayError("Credits are not sold here.", is_final=True, reason="no_key")
    try:
        import stripe
    except ImportError:
        log.error("the package stripe is not installed; install massivesms-server[billing]")
        raise GatewayError("Payments are not set up.", is_final=True, reason="no_package") from None
    # It tells of each call, with its parameters where it is told to say more.
    logging.getLogger("stripe").setLevel(logging.WARNING)
    http = stripe.AIOHTTPClient(timeout=CALL_SECONDS)
    kept.client = stripe.StripeClient(
        billing.key,
        max_network_retries=RETRIES,
        http_client=http,
        base_addresses={"api": (billing.api_url or STRIPE_URL).rstrip("/")},
    )
    kept.made_for, kept.close = wanted, http.close_async
    return kept.client


async def close(services: Services) -> None:
    """Close the connections to Stripe."""
    kept = services.keep(Kept)
    if kept.close is not None:
        await kept.close()
    kept.client = kept.close = None


async def _call(services: Services, method: str, path: str, params: Mapping[str, object] | None = None) -> str:
    """Ask Stripe; the answer's JSON. Raises GatewayError, and RuntimeError inside a transaction."""
    if is_in_transaction():
        raise RuntimeError("Stripe is asked outside transactions only")
    client = client_of(services)
    import stripe

    try:
        answer = await client.raw_request_async(method, path, **dict(params or {}))
    except stripe.StripeError as error:
        status = error.http_status
        is_final = status is not None and 400 <= status < 500 and status not in (408, 409, 429)
        reason = (error.code or type(error).__name__)[:60]
        log.warning("Stripe refused a call", status=status, reason=reason, request=error.request_id)
        raise GatewayError("The payment service cannot be reached now.", is_final=is_final, reason=reason) from None
    return str(answer.body)


async def create_session(services: Services, row: PurchaseRow, asked: Mapping[str, object]) -> Session:
    """Open a checkout session for a purchase; once, no matter how often it is asked for."""
    params = {**asked, "idempotency_key": ids.encode_id(PURCHASE, row.id)}
    return _read(Session, await _call(services, "post", SESSIONS, params))


async def read_session(services: Services, id: str) -> Session:
    """Return a session with its payment, invoice and lines."""
    return _read(Session, await _call(services, "get", f"{SESSIONS}/{quote(id)}", {"expand": list(EXPANDED)}))


async def read_intent(services: Services, id: str) -> Intent:
    """Return a payment."""
    return _read(Intent, await _call(services, "get", f"/v1/payment_intents/{quote(id)}"))


async def read_returns(services: Services, payment_intent: str) -> Sequence[Return]:
    """Return the refunds and disputes of a payment, all there are."""
    which = {"payment_intent": payment_intent}
    return [
        _return(kind, each)
        for kind, path in RETURNS.items()
        for each in [each async for each in _list(services, Money, path, which)]
    ]


async def recent_sessions(services: Services, since: datetime) -> AsyncIterator[Session]:
    """Walk the sessions that were made since a time."""
    async for session in _list(services, Session, SESSIONS, _since(since)):
        yield session


async def recent_returns(services: Services, since: datetime) -> AsyncIterator[Money]:
    """Walk the refunds and disputes that were made since a time."""
    for path in RETURNS.values():
        async for money in _list(services, Money, path, _since(since)):
            yield money


async def _list(services: Services, kind: type[L], path: str, which: Mapping[str, object]) -> AsyncIterator[L]:
    """Walk a list of Stripe's, page by page."""
    params = {**which, "limit": PAGE}
    while True:
        page = _read(_Page, await _call(services, "get", path, params))
        items = [_read(kind, each) for each in page.data]
        for item in items:
            yield item
        if not page.has_more or not items:
            return
        params["starting_after"] = items[-1].id


def _read(kind: type[S], text: str | msgspec.Raw) -> S:
    """Return what was answered. Raises GatewayError, a final one, where that is not what Stripe documents."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        log.error("an answer from Stripe cannot be read", what=kind.__name__, error=type(error).__name__)
        raise GatewayError(
            "The payment service answered with something unknown.", is_final=True, reason="unreadable"
        ) from None


def _since(time: datetime) -> Mapping[str, object]:
    return {"created": {"gte": int(time.timestamp())}}


def _return(kind: ReturnKind, money: Money) -> Return:
    return Return(money.id, kind, money.amount, money.status or "", datetime.fromtimestamp(money.created, UTC))
