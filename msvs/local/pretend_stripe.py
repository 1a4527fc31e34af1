"""A pretend Stripe for development and tests: the calls of billing, a payment page, and signed events.

No money moves. It keeps the shapes and the habits of the real one that matter here: idempotency keys, sessions that
expire, declines and slow payments, refunds and disputes, and events that are signed over the bytes that are sent.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from msvs.packs import shown_price

Object = dict[str, Any]

KEY = "sk_test_pretend"
KEPT_KINDS = ("sessions", "intents", "refunds", "disputes", "prices", "methods")
# The cards of the page: what each does, in the words of Stripe's test cards.
CARDS: Mapping[str, str] = {
    "4242": "pays",
    "0002": "is declined",
    "3155": "pays once its bank has asked for you",
    "0341": "pays slowly: the money comes later",
    "3184": "pays; once saved, its bank asks for you at every charge",
    "9995": "pays; once saved, it lacks the money",
    "0069": "pays; once saved, it has expired",
}
# The card that requires 3-D Secure on the payment page.
ASKING = "3155"
# Why a saved card is declined when it is charged without its owner: the code and the decline code.
LATER: Mapping[str, tuple[str, str]] = {
    "3184": ("authentication_required", "authentication_required"),
    "9995": ("card_declined", "insufficient_funds"),
    "0069": ("expired_card", "expired_card"),
}
DELIVERY_TRIES = 4
BANNER = "THIS IS A PRETEND CHECKOUT. NO CARD IS CHARGED, NO MONEY MOVES."
STYLE = (
    "body{margin:0;font:1rem/1.5 system-ui,sans-serif;background:#f4f6f6;color:#10201f}"
    "header{background:#b91c1c;color:#fff;font-size:1.6rem;font-weight:800;padding:1rem;text-align:center}"
    "main{max-width:30rem;margin:2rem auto;padding:1.5rem;background:#fff;border-radius:.9rem}"
    "button{display:block;width:100%;margin:.5rem 0;padding:.8rem;font:inherit;cursor:pointer}"
    "p.bad{color:#b91c1c}"
)


class Refused(Exception):
    """The call is refused as Stripe refuses it."""

    def __init__(self, status: int, type: str, message: str, code: str | None = None, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": type, "message": message, "code": code, **more}}


@dataclass
class PretendStripe:
    """The account: its objects by id, the events that were told, and where they are told."""

    key: str = KEY
    secrets: tuple[str, ...] = ()
    livemode: bool = False
    webhook_url: str | None = None
    path: Path | None = None
    clock: Callable[[], float] = time.time
    page_url: str = ""
    sessions: dict[str, Object] = field(default_factory=dict)
    intents: dict[str, Object] = field(default_factory=dict)
    refunds: dict[str, Object] = field(default_factory=dict)
    disputes: dict[str, Object] = field(default_factory=dict)
    prices: dict[str, Object] = field(default_factory=dict)
    # Saved cards, with their customer.
    methods: dict[str, Object] = field(default_factory=dict)
    # Whether an invoice is made by itself a while after its payment.
    invoices_are_late: bool = False
    # Customers that the operator has deleted.
    deleted: set[str] = field(default_factory=set)
    events: list[Object] = field(default_factory=list)
    calls: list[tuple[str, str, str | None]] = field(default_factory=list)
    # Raised in place of the next answers, the first first: what a bad day looks like.
    refusals: list[Refused] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    answered: dict[str, tuple[str, Object | Refused]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Read what an earlier process kept."""
        if self.path is not None and self.path.exists():
            with suppress(ValueError):
                kept = json.loads(self.path.read_text())
                for kind in KEPT_KINDS:
                    getattr(self, kind).update(kept.get(kind, {}))

    # What the API answers.

    def answer(self, method: str, path: str, params: Object, key: str | None) -> Object:
        """Answer a call. The same idempotency key answers the same. Raises Refused."""
        with self.lock:
            self.calls.append((method, path, key))
            if self.refusals:
                raise self.refusals.pop(0)
            asked = json.dumps([path, params], sort_keys=True)
            if key is not None and key in self.answered:
                before, answer = self.answered[key]
                if before != asked:
                    raise Refused(400, "idempotency_error", "Keys for idempotent requests can only be used once.")
                if isinstance(answer, Refused):
                    raise answer
                return answer
            try:
                found = self._route(method, path.strip("/").split("/")[1:], params)
            except Refused as refused:
                # What has begun, such as a charge, is answered the same again.
                if key is not None and refused.status in (400, 402):
                    self.answered[key] = (asked, refused)
                self._keep()
                raise
            if key is not None and method == "POST":
                self.answered[key] = (asked, found)
            self._keep()
            return found

    def _route(self, method: str, parts: list[str], params: Object) -> Object:
        match method, parts:
            case "POST", ["checkout", "sessions"]:
                return self._create_session(params)
            case "GET", ["checkout", "sessions"]:
                return self._list(self.sessions, params)
            case "GET", ["checkout", "sessions", id]:
                return self._expanded(self._find(self.sessions, id))
            case "GET", ["payment_intents", id]:
                return self._find(self.intents, id)
            case "GET", ["payment_intents"]:
                return self._list(self.intents, params)
            case "POST", ["payment_intents"]:
                return self._charge(params)
            case "GET", ["prices", id]:
                return {"active": True, "type": "one_time", **self._find(self.prices, id), "id": id, "object": "price"}
            case "GET", ["payment_methods", id]:
                return self._find(self.methods, id)
            case "POST", ["payment_methods", id, "detach"]:
                return self._detach(id)
            case "GET", ["refunds"]:
                return self._list(self.refunds, params)
            case "POST", ["refunds"]:
                amount = params.get("amount")
                return self.refund(params["payment_intent"], None if amount is None else int(amount))
            case "GET", ["disputes"]:
                return self._list(self.disputes, params)
        raise Refused(404, "invalid_request_error", "Unrecognized request URL.")

    def _find(self, kept: Mapping[str, Object], id: str) -> Object:
        if id not in kept:
            raise Refused(404, "invalid_request_error", f"No such object: '{id}'", "resource_missing")
        found = kept[id]
        if found.get("object") == "checkout.session" and found["status"] == "open" and self.now >= found["expires_at"]:
            self.expire(id)
        return found

    def _list(self, kept: Mapping[str, Object], params: Object) -> Object:
        since = int(params.get("created", {}).get("gte", 0))
        of = {name: params[name] for name in ("payment_intent", "customer") if name in params}
        found = [
            each
            for each in reversed(list(kept.values()))
            if each["created"] >= since and all(each[name] == value for name, value in of.items())
        ]
        ids = [each["id"] for each in found]
        after = params.get("starting_after")
        rest = found[ids.index(after) + 1 :] if after in ids else found
        limit = int(params.get("limit", 10))
        return {"object": "list", "url": "/v1/list", "has_more": len(rest) > limit, "data": rest[:limit]}

    def _create_session(self, params: Object) -> Object:
        item = params["line_items"]["0"]
        data = item.get("price_data")
        if data is None:
            if item["price"] not in self.prices:
                raise Refused(400, "invalid_request_error", f"No such price: '{item['price']}'", "resource_missing")
            data = self.prices[item["price"]]
        customer = params.get("customer")
        if customer in self.deleted:
            message = f"No such customer: '{customer}'"
            raise Refused(400, "invalid_request_error", message, "resource_missing", param="customer")
        id = f"cs_{'live' if self.livemode else 'test'}_{secrets.token_hex(29)}"
        amount = int(data["unit_amount"]) * int(item["quantity"])
        session: Object = {
            "id": id,
            "object": "checkout.session",
            "created": self.now,
            "livemode": self.livemode,
            "status": "open",
            "payment_status": "unpaid",
            "url": f"{self.page_url}/pay/{id}",
            "expires_at": int(params["expires_at"]),
            "client_reference_id": params.get("client_reference_id"),
            "metadata": dict(params.get("metadata", {})),
            "amount_subtotal": amount,
            "amount_total": amount,
            "currency": data["currency"],
            "customer": params.get("customer"),
            "payment_intent": None,
            "invoice": None,
            "total_details": {"amount_tax": 0},
            "success_url": params["success_url"],
            "cancel_url": params.get("cancel_url"),
            "_line": {"quantity": int(item["quantity"]), "price": {"id": item.get("price") or f"price_{id[-16:]}"}},
            "_asked": params,
            "_name": data.get("product_data", {}).get("name", "Credits"),
            "_payment_metadata": dict(params.get("payment_intent_data", {}).get("metadata", {})),
        }
        self.sessions[id] = session
        return session

    def _charge(self, params: Object) -> Object:
        """Charge a saved card without its owner."""
        method = self._find(self.methods, params["payment_method"])
        if method["customer"] != params["customer"]:
            raise Refused(400, "invalid_request_error", "The card is another customer's.", param="payment_method")
        id = f"pi_{secrets.token_hex(12)}"
        intent = self.new_intent(id, int(params["amount"]), params["currency"], method, params["metadata"])
        self.intents[id] = intent
        declined = LATER.get(method["card"]["last4"])
        if declined is None:
            self._tell("payment_intent.succeeded", intent)
            return intent
        code, decline_code = declined
        message = "Your card was declined."
        error = {"type": "card_error", "code": code, "decline_code": decline_code, "message": message}
        intent |= {"status": "requires_payment_method", "amount_received": 0, "last_payment_error": error}
        intent["latest_charge"] = None
        self._tell("payment_intent.payment_failed", intent)
        shown = json.loads(json.dumps(intent))
        raise Refused(402, "card_error", message, code, decline_code=decline_code, payment_intent=shown)

    def _detach(self, id: str) -> Object:
        """Take a saved card away from its customer, once."""
        method = self._find(self.methods, id)
        if method["customer"] is None:
            raise Refused(400, "invalid_request_error", "The payment method is not attached to a customer.")
        method["customer"] = None
        return method

    def new_intent(self, id: str, amount: int, currency: str, method: Object, metadata: Object) -> Object:
        """Make a payment that went through."""
        return {
            "id": id,
            "object": "payment_intent",
            "created": self.now,
            "livemode": self.livemode,
            "amount": amount,
            "amount_received": amount,
            "currency": currency,
            "customer": method["customer"],
            "payment_method": method,
            "status": "succeeded",
            "metadata": dict(metadata),
            "latest_charge": {"id": f"ch_{id[3:]}", "receipt_url": f"{self.page_url}/receipt/{id}"},
            "last_payment_error": None,
        }

    def go_through(self, payment_intent: str, *, status: str = "succeeded") -> None:
        """Change a declined payment's status, as when the owner authenticates on the bank's page later."""
        with self.lock:
            intent = self._find(self.intents, payment_intent)
            intent |= {"status": status, "last_payment_error": None}
            if status == "succeeded":
                charge = {"id": f"ch_{payment_intent[3:]}", "receipt_url": f"{self.page_url}/receipt/{payment_intent}"}
                intent |= {"amount_received": intent["amount"], "latest_charge": charge}
            self._tell(f"payment_intent.{status}", intent)

    def forget_card(self, method_id: str) -> None:
        """Remove a saved card, as the operator or its owner may at Stripe."""
        with self.lock:
            del self.methods[method_id]

    def _expanded(self, session: Object) -> Object:
        intent = self.intents.get(session["payment_intent"] or "")
        return {**session, "payment_intent": intent, "line_items": {"object": "list", "data": [session["_line"]]}}

    # What buyers, banks and the operator do.

    @property
    def now(self) -> int:
        """The time, in whole seconds."""
        return int(self.clock())

    def pay(self, session_id: str, *, slowly: bool = False, card: str = "4242") -> Object:
        """Pay a session; `slowly` leaves it unpaid until `arrive` or `bounce`. Return the payment."""
        with self.lock:
            session = self._find(self.sessions, session_id)
            if session["status"] != "open":
                raise Refused(400, "invalid_request_error", "The session is not open.")
            id = f"pi_{secrets.token_hex(12)}"
            session["customer"] = session["customer"] or f"cus_{secrets.token_hex(7)}"
            method: Object = {
                "id": f"pm_{secrets.token_hex(12)}",
                "object": "payment_method",
                "customer": session["customer"],
                "card": {"brand": "visa", "last4": card},
            }
            if session["_asked"].get("payment_intent_data", {}).get("setup_future_usage") == "off_session":
                self.methods[method["id"]] = method
            self.intents[id] = self.new_intent(
                id, session["amount_total"], session["currency"], method, session["_payment_metadata"]
            )
            if slowly:
                self.intents[id] |= {"status": "processing", "amount_received": 0}
            session |= {
                "status": "complete",
                "payment_status": "unpaid" if slowly else "paid",
                "payment_intent": id,
            }
            if "invoice_creation" in session["_asked"] and not self.invoices_are_late:
                self.make_invoice(session_id)
            self._tell("checkout.session.completed", session)
            return self.intents[id]

    def make_invoice(self, session_id: str) -> None:
        """Make the invoice of a payment that asked for one."""
        id = f"in_{secrets.token_hex(12)}"
        url = f"{self.page_url}/receipt/{id}"
        self.sessions[session_id]["invoice"] = {"id": id, "object": "invoice", "hosted_invoice_url": url}

    def arrive(self, session_id: str) -> None:
        """Have the money of a slow payment come."""
        self._end_slow(session_id, "paid", "succeeded", "checkout.session.async_payment_succeeded")

    def bounce(self, session_id: str) -> None:
        """Have the money of a slow payment never come."""
        self._end_slow(session_id, "unpaid", "requires_payment_method", "checkout.session.async_payment_failed")

    def _end_slow(self, session_id: str, paid: str, status: str, event: str) -> None:
        with self.lock:
            session = self.sessions[session_id]
            session["payment_status"] = paid
            self.intents[session["payment_intent"]]["status"] = status
            self._tell(event, session)

    def expire(self, session_id: str) -> None:
        """End a session that nobody paid."""
        with self.lock:
            session = self.sessions[session_id]
            session |= {"status": "expired", "url": None}
            self._tell("checkout.session.expired", session)

    def refund(self, payment_intent: str, amount: int | None = None, *, status: str = "succeeded") -> Object:
        """Give money of a payment back: all that is left, or an amount."""
        with self.lock:
            intent = self._find(self.intents, payment_intent)
            given = sum(
                each["amount"]
                for each in self.refunds.values()
                if each["payment_intent"] == payment_intent and each["status"] not in ("failed", "canceled")
            )
            left = intent["amount"] - given
            if not 0 < (left if amount is None else amount) <= left:
                raise Refused(400, "invalid_request_error", "Refund amount is greater than unrefunded amount.")
            refund = self._money("re", "refund", payment_intent, left if amount is None else amount, status)
            self.refunds[refund["id"]] = refund
            self._tell("refund.created", refund)
            charge = intent["latest_charge"]["id"]
            self._tell("charge.refunded", {"id": charge, "object": "charge", "payment_intent": payment_intent})
            return refund

    def end_refund(self, refund_id: str, status: str) -> None:
        """Change how a refund stands, such as to `failed`."""
        with self.lock:
            refund = self.refunds[refund_id]
            refund["status"] = status
            self._tell("refund.failed" if status == "failed" else "refund.updated", refund)

    def dispute(self, payment_intent: str, amount: int | None = None, *, status: str = "needs_response") -> Object:
        """Have the buyer's bank take money back; with a `warning_…` it only asks."""
        with self.lock:
            intent = self._find(self.intents, payment_intent)
            found = self._money("dp", "dispute", payment_intent, amount or intent["amount"], status)
            self.disputes[found["id"]] = found
            self._tell("charge.dispute.created", found)
            return found

    def close_dispute(self, dispute_id: str, status: str) -> None:
        """Close a dispute as `won` or `lost`."""
        with self.lock:
            found = self.disputes[dispute_id]
            found["status"] = status
            self._tell("charge.dispute.closed", found)

    def _money(self, prefix: str, kind: str, payment_intent: str, amount: int, status: str) -> Object:
        return {
            "id": f"{prefix}_{secrets.token_hex(12)}",
            "object": kind,
            "created": self.now,
            "amount": amount,
            "status": status,
            "payment_intent": payment_intent,
        }

    # Events.

    def _tell(self, type: str, of: Object) -> None:
        shown = {name: value for name, value in of.items() if not name.startswith("_")}
        event: Object = {
            "id": f"evt_{secrets.token_hex(12)}",
            "object": "event",
            "type": type,
            "created": self.now,
            "livemode": self.livemode,
            "data": {"object": shown},
        }
        self.events.append(json.loads(json.dumps(event)))
        self._keep()
        if self.webhook_url is not None:
            threading.Thread(target=self._deliver, args=(event,), daemon=True).start()

    def signed(self, event: Object, *, at: float | None = None) -> tuple[bytes, str]:
        """Return an event's bytes and the header that signs them, by each secret."""
        body = json.dumps(event, indent=2).encode()
        stamp = int(self.clock() if at is None else at)
        return body, signature_header(self.secrets, stamp, body)

    def _deliver(self, event: Object) -> None:
        """Bring an event to the webhook; a few times where nobody takes it."""
        for attempt in range(DELIVERY_TRIES):
            body, header = self.signed(event)
            request = urllib.request.Request(  # noqa: S310
                self.webhook_url or "", body, {"Content-Type": "application/json", "Stripe-Signature": header}
            )
            with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(request, timeout=10):  # noqa: S310
                return
            time.sleep(2**attempt)

    def _keep(self) -> None:
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f"{self.path.name}.draft")
        draft.write_text(json.dumps({kind: getattr(self, kind) for kind in KEPT_KINDS}))
        draft.replace(self.path)

    # The page.

    def page(self, session_id: str, told: str = "", *, asks: bool = False) -> str:
        """Return the payment page of a session; `asks` shows the 3-D Secure step."""
        session = self._find(self.sessions, session_id)
        price = shown_price(session["amount_total"], session["currency"])
        if session["status"] != "open":
            body = f"<p>This session is {escape(session['status'])}.</p>"
        elif asks:
            answers = (("confirm", "Yes, it is me: confirm the payment"), ("refuse", "No, refuse the payment"))
            buttons = "".join(f'<button name="bank" value="{answer}">{text}</button>' for answer, text in answers)
            hidden = f'<input type="hidden" name="card" value="{ASKING}">'
            body = f'<form method="post"><h2>Your bank asks: is it you?</h2>{hidden}{buttons}</form>'
        else:
            cards = "".join(
                f'<button name="card" value="{card}">Card that ends in {card} ({does})</button>'
                for card, does in CARDS.items()
            )
            back = escape(session["cancel_url"] or "#", quote=True)
            body = f'<form method="post">{cards}</form><p><a href="{back}">Turn back</a></p>'
        return (
            f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"><title>Pretend checkout</title>'
            f"<style>{STYLE}</style></head><body><header>{BANNER}</header><main><h1>{escape(session['_name'])}</h1>"
            f"<p><strong>{price}</strong></p>{told and f'<p class=bad role=alert>{escape(told)}</p>'}{body}</main>"
            "</body></html>"
        )

    def use_card(self, session_id: str, card: str, bank: str = "") -> str | None:
        """Pay with one of the cards. Return why it was declined, or None; `bank` answers the 3-D Secure step."""
        if card == ASKING and bank != "confirm":
            return "Your bank could not confirm that it is you. Choose another card."
        if card not in CARDS or card == "0002":
            return "Your card was declined."
        self.pay(session_id, slowly=card == "0341", card=card)
        return None


def signature_header(secrets: tuple[str, ...], stamp: int, body: bytes) -> str:
    """Return the header that signs a body by each secret, as Stripe does."""
    signatures = [hmac.new(each.encode(), b"%d." % stamp + body, sha256).hexdigest() for each in secrets]
    return ",".join([f"t={stamp}", *(f"v1={each}" for each in signatures)])


def read_form(text: str) -> Object:
    """Read a form whose names nest by brackets: `metadata[pack]`, `line_items[0][quantity]`."""
    found: Object = {}
    for name, value in urllib.parse.parse_qsl(text, keep_blank_values=True):
        *parents, last = name.replace("]", "").split("[")
        at = found
        for part in parents:
            at = at.setdefault(part, {})
        at[last] = value
    return found


class _Handler(BaseHTTPRequestHandler):
    """Answers the API's calls and the page's."""

    account: PretendStripe
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a call that reads, or show the page."""
        path, _, query = self.path.partition("?")
        if path.startswith("/pay/"):
            self._show(path.removeprefix("/pay/"))
        elif path.startswith("/receipt/"):
            self._send(200, f"<h1>{BANNER}</h1><p>A pretend receipt.</p>".encode(), "text/html; charset=utf-8")
        else:
            self._call("GET", path, query)

    def do_POST(self) -> None:
        """Answer a call that changes something, or pay at the page."""
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        path = self.path.partition("?")[0]
        if not path.startswith("/pay/"):
            self._call("POST", path, text)
            return
        session_id, form = path.removeprefix("/pay/"), read_form(text)
        card, bank = form.get("card", ""), form.get("bank", "")
        if card == ASKING and not bank:
            self._show(session_id, asks=True)
            return
        try:
            declined = self.account.use_card(session_id, card, bank)
        except Refused as error:
            declined = str(error)
        if declined is not None:
            self._show(session_id, declined)
            return
        url = self.account.sessions[session_id]["success_url"].replace("{CHECKOUT_SESSION_ID}", session_id)
        self._send(303, b"", "text/plain", {"Location": url})

    def _show(self, session_id: str, told: str = "", *, asks: bool = False) -> None:
        try:
            page = self.account.page(session_id, told, asks=asks)
        except Refused:
            self._send(404, b"No such session.", "text/plain")
            return
        self._send(200, page.encode(), "text/html; charset=utf-8")

    def _call(self, method: str, path: str, text: str) -> None:
        try:
            if self.headers.get("Authorization") != f"Bearer {self.account.key}":
                raise Refused(401, "invalid_request_error", "Invalid API Key provided.")
            found = self.account.answer(method, path, read_form(text), self.headers.get("Idempotency-Key"))
        except Refused as error:
            self._send(error.status, json.dumps(error.body).encode(), "application/json")
            return
        shown = json.dumps(found).encode()
        self._send(200, shown, "application/json", {"Request-Id": f"req_{secrets.token_hex(7)}"})

    def _send(self, status: int, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what is asked is the service's own."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def server_of(account: PretendStripe, address: tuple[str, int], shown_url: str | None = None) -> ThreadingHTTPServer:
    """Return a server of an account; `shown_url` is where a browser reaches its pages."""
    server = _Server(address, type("Handler", (_Handler,), {"account": account}))
    account.page_url = shown_url or f"http://{address[0]}:{server.server_address[1]}"
    return server


@contextmanager
def serving(account: PretendStripe) -> Iterator[str]:
    """Serve an account on a free port of this machine, from a thread; the URL of its API."""
    server = server_of(account, ("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield account.page_url
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def main() -> None:
    """Serve an account until a signal ends the process, as the supervisor's environment says."""
    environ = os.environ
    url = urllib.parse.urlsplit(environ["MSVS_STRIPE_URL"])
    host = environ["HOST"]
    near = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    account = PretendStripe(
        key=environ["MSVS_STRIPE_KEY"],
        secrets=tuple(environ["MSVS_STRIPE_WEBHOOK_SECRETS"].split(",")),
        webhook_url=None if host.startswith("unix:") else f"http://{near}:{environ['PORT']}/billing/stripe",
        path=Path(environ["DATA_DIR"]) / "pretend_stripe.json",
    )
    server_of(account, (url.hostname or "127.0.0.1", url.port or 0)).serve_forever()
