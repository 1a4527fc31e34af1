"""The gateway to Stripe: every network call of billing, never inside a transaction.

What Stripe answers is read into the few figures that the books need; nothing of the buyer is kept.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

import msgspec
import structlog

from msvs.api import ids
from msvs.api.context import Services
from msvs.api.errors import ErrorCode, Unavailable
from msvs.api.unit_of_work import is_in_transaction
from msvs.models import PurchaseStatus, ReturnKind
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
EXPANDED = ("payment_intent.latest_charge", "payment_intent.payment_method", "invoice", "line_items")
# How long Stripe surely knows the key of a call: a charge is not repeated later than that.
KEY_LASTS = timedelta(hours=23)
# What a charge answers whose card or customer is not there any more.
GONE_CODES = frozenset(("resource_missing", "payment_method_unexpected_state", "payment_method_invalid_parameter"))
GONE_PARAMS = frozenset(("payment_method", "customer"))


class GatewayError(Unavailable):
    """503: Stripe cannot be asked now; another try may help unless it `is_final`."""

    default_code = ErrorCode.PAYMENTS_UNAVAILABLE

    def __init__(
        self, message: str, *, is_final: bool, reason: str, param: str | None = None, body: bytes | str = b""
    ) -> None:
        super().__init__(message, retry_after=None if is_final else 5)
        self.is_final = is_final
        self.reason = reason
        # What was wrong by Stripe's names, and its answer: neither is shown.
        self.at = param
        self.body = body


class Charge(msgspec.Struct):
    """The details of a charge for the buyer."""

    receipt_url: str | None = None


class Card(msgspec.Struct):
    """What of a card may be shown."""

    brand: str | None = None
    last4: str | None = None


class Method(msgspec.Struct):
    """A card, or another way to pay, as it is kept at Stripe."""

    id: str
    card: Card | None = None


class _Attached(msgspec.Struct):
    """Whose a card is."""

    customer: str | None = None


class PaymentError(msgspec.Struct):
    """Why a payment did not go through."""

    type: str | None = None
    code: str | None = None
    decline_code: str | None = None


class Intent(msgspec.Struct):
    """A payment."""

    id: str
    status: str = ""
    livemode: bool = False
    metadata: dict[str, str] = {}
    latest_charge: Charge | str | None = None
    amount_received: int | None = None
    currency: str | None = None
    customer: str | None = None
    payment_method: Method | str | None = None
    last_payment_error: PaymentError | None = None


class _Declined(PaymentError):
    """The error of a call that was declined, with its payment as it stands."""

    payment_intent: Intent | None = None


class _Answer(msgspec.Struct):
    error: _Declined


class Invoice(msgspec.Struct):
    """The invoice of a payment."""

    hosted_invoice_url: str | None = None


class Price(msgspec.Struct):
    """A price of Stripe's."""

    id: str


class PriceFigures(msgspec.Struct):
    """What a price of Stripe's sells at."""

    id: str
    currency: str
    active: bool = True
    type: str = "one_time"
    unit_amount: int | None = None


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

    @property
    def is_disputed(self) -> bool:
        """Whether it is a dispute that took money."""
        return self.kind is ReturnKind.DISPUTE and self.is_taken


@dataclass(frozen=True, slots=True)
class Decline:
    """Why a saved card was not charged: for good (`is_hard`), or until its owner proves who they are to the bank."""

    reason: str
    is_hard: bool = False
    is_gone: bool = False

    @property
    def needs_owner(self) -> bool:
        """Whether only the card's owner can pay, by a page of the bank's."""
        return self.reason == "authentication_required"


@dataclass(frozen=True, slots=True)
class Facts:
    """What Stripe says of a purchase now; `problem` is why a payment is not what was sold."""

    status: PurchaseStatus
    payment_intent: str | None = None
    customer: str | None = None
    total: int | None = None
    tax: int | None = None
    invoice_url: str | None = None
    receipt_url: str | None = None
    problem: str | None = None
    returns: Sequence[Return] = ()
    method: Method | None = None
    decline: Decline | None = None


class _Item(msgspec.Struct):
    """What anything in a list has."""

    id: str


class _Page(msgspec.Struct):
    """A page of a list."""

    data: list[msgspec.Raw]
    has_more: bool


L = TypeVar("L", Session, Money, Intent)
SESSIONS = "/v1/checkout/sessions"
INTENTS = "/v1/payment_intents"
PRICES = "/v1/prices"
METHODS = "/v1/payment_methods"
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
        raise GatewayError(
            "The payment service cannot be reached now.",
            is_final=is_final,
            reason=reason,
            param=getattr(error, "param", None),
            body=error.http_body or b"",
        ) from None
    return str(answer.body)


async def create_session(services: Services, key: str, asked: Mapping[str, object]) -> Session | None:
    """Open a checkout session, once for a key, no matter how often it is asked for.

    Return None if its customer no longer exists. Raises GatewayError.
    """
    try:
        return _read(Session, await _call(services, "post", SESSIONS, {**asked, "idempotency_key": key}))
    except GatewayError as error:
        if "customer" in asked and error.is_final and error.at == "customer":
            return None
        raise


async def read_session(services: Services, id: str) -> Session:
    """Return a session with its payment, invoice and lines."""
    return _read(Session, await _call(services, "get", f"{SESSIONS}/{quote(id)}", {"expand": list(EXPANDED)}))


async def check_key(services: Services) -> None:
    """Return if Stripe can be asked with the key. Raises GatewayError."""
    await _call(services, "get", SESSIONS, {"limit": 1})


async def read_price(services: Services, id: str) -> PriceFigures:
    """Return what a price sells at. Raises GatewayError."""
    return _read(PriceFigures, await _call(services, "get", f"{PRICES}/{quote(id)}"))


async def read_intent(services: Services, id: str) -> Intent:
    """Return a payment, with its charge."""
    return _read(Intent, await _call(services, "get", f"{INTENTS}/{quote(id)}", {"expand": ["latest_charge"]}))


async def charge(services: Services, row: PurchaseRow, asked: Mapping[str, object]) -> Intent | PaymentError | None:
    """Charge a saved card for a purchase; once, no matter how often it is asked for, within KEY_LASTS.

    Return the payment, even if declined; the error of a decline without a payment; or None if the card or its customer
    no longer exists.
    """
    params = {**asked, "expand": ["latest_charge"], "idempotency_key": ids.encode_id(PURCHASE, row.id)}
    try:
        return _read(Intent, await _call(services, "post", INTENTS, params))
    except GatewayError as error:
        if not error.is_final or not error.body:
            raise
        if _is_gone(error):
            return None
        with suppress(msgspec.MsgspecError):
            declined = msgspec.json.decode(error.body, type=_Answer).error
            if declined.payment_intent is not None:
                declined.payment_intent.last_payment_error = declined
                return declined.payment_intent
            if declined.type == "card_error":
                return declined
            if declined.type == "idempotency_error" and (intent := await find_intent(services, row)) is not None:
                # An earlier request with this key already charged the card: return that payment.
                return intent
        raise


async def detach(services: Services, method: str) -> None:
    """Remove a saved card from its customer, so that nobody can charge it. Do nothing if that was done before.

    Raises GatewayError.
    """
    path = f"{METHODS}/{quote(method)}"
    try:
        await _call(services, "post", f"{path}/detach")
    except GatewayError as error:
        if not error.is_final or await _is_attached(services, path):
            raise


async def _is_attached(services: Services, path: str) -> bool:
    try:
        return _read(_Attached, await _call(services, "get", path)).customer is not None
    except GatewayError as error:
        if error.is_final and error.reason == "resource_missing":
            return False
        raise


def _is_gone(error: GatewayError) -> bool:
    """Return whether an error means that the card or its customer no longer exists."""
    return error.is_final and (error.reason in GONE_CODES or error.at in GONE_PARAMS)


async def find_intent(services: Services, row: PurchaseRow) -> Intent | None:
    """Return the payment that was made for a purchase, by what it is marked with; None where there is none."""
    mark = ids.encode_id(PURCHASE, row.id)
    which = {"customer": row.customer, **_since(row.created_at - timedelta(minutes=5))}
    try:
        async for intent in _list(services, Intent, INTENTS, which):
            if intent.metadata.get("purchase") == mark:
                return intent
    except GatewayError as error:
        if not _is_gone(error):
            raise
    return None


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
    async for session in _list(services, Session, SESSIONS, _since(since), skips=True):
        yield session


async def recent_intents(services: Services, since: datetime) -> AsyncIterator[Intent]:
    """Iterate over the payments created since a time."""
    async for intent in _list(services, Intent, INTENTS, _since(since), skips=True):
        yield intent


async def recent_returns(services: Services, since: datetime) -> AsyncIterator[Money]:
    """Walk the refunds and disputes that were made since a time."""
    for path in RETURNS.values():
        async for money in _list(services, Money, path, _since(since), skips=True):
            yield money


async def _list(
    services: Services, kind: type[L], path: str, which: Mapping[str, object], *, skips: bool = False
) -> AsyncIterator[L]:
    """Walk a list of Stripe's, page by page; where it `skips`, past what cannot be read, which is logged."""
    params = {**which, "limit": PAGE}
    while True:
        page = _read(_Page, await _call(services, "get", path, params))
        for each in page.data:
            try:
                item = _read(kind, each)
            except GatewayError:
                if not skips:
                    raise
                continue
            yield item
        if not page.has_more or not page.data:
            return
        params["starting_after"] = _read(_Item, page.data[-1]).id


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
