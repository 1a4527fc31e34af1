"""Vonage's SMS API, its delivery receipts and inbound messages, on loopback."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from tests.carriers.fakes.server import PUBLIC_URL, Answer, FakeCarrier, Sent, Taken

API_KEY = "abcd1234"
API_SECRET = "a-secret-of-the-tests-98fe"
SIGNATURE_SECRET = "a-signature-secret-of-the-tests-11aa"


def sign(fields: Mapping[str, str], method: str = "md5hash", secret: str = SIGNATURE_SECRET) -> str:
    """Vonage's recipe step by step."""
    text = ""
    for name in sorted(fields):
        text += f"&{name}={fields[name].replace('&', '_').replace('=', '_')}"
    if method == "md5hash":
        return hashlib.md5((text + secret).encode()).hexdigest()
    return hmac.new(secret.encode(), text.encode(), getattr(hashlib, method)).hexdigest()


class FakeVonage(FakeCarrier):
    """An account of Vonage's. `statuses` are those of a message's parts, in order; `method` is how it signs."""

    def __init__(self, method: str = "md5hash") -> None:
        super().__init__()
        self.method = method
        self.statuses: list[str] = ["0"]

    def route(self, application: web.Application) -> None:
        application.router.add_post("/sms/json", self.receive)
        application.router.add_get("/account/get-balance", self.show_balance)

    async def take(self, request: web.Request) -> web.Response:
        if request.content_type != "application/x-www-form-urlencoded":
            return self.error("2").response()
        form = {name: str(value) for name, value in (await request.post()).items()}
        if (form.get("api_key"), form.get("api_secret")) != (API_KEY, API_SECRET):
            return self.error("4").response()
        if not form.get("from") or not form.get("text") or form.get("type") not in ("text", "unicode"):
            return self.error("2").response()
        if not form.get("to", "").isdigit() or len(form.get("client-ref", "")) > 40:
            return self.error("3").response()
        parts = []
        for status in self.statuses:
            part = {"to": form["to"], "status": status}
            if status == "0":
                part["message-id"] = uuid.uuid4().hex[:16].upper()
            parts.append(part)
        refs = [part["message-id"] for part in parts if part["status"] == "0"]
        if refs:
            self.taken.append(Taken(refs[0], form["to"], form["from"], form["text"], {**form, "refs": refs}))
        return web.json_response({"message-count": str(len(parts)), "messages": parts})

    async def show_balance(self, request: web.Request) -> web.Response:
        """What is left of the account's money."""
        if (request.query.get("api_key"), request.query.get("api_secret")) != (API_KEY, API_SECRET):
            return web.json_response({"error-code": "401"}, status=401)
        return web.json_response({"value": 10.28, "autoReload": False})

    @staticmethod
    def error(status: str) -> Answer:
        """A refusal: the status is in the body of a 200."""
        part = {"to": "", "status": status, "error-text": "…"}
        return Answer(200, {"message-count": "1", "messages": [part]})

    def report(
        self, taken: Taken, status: str, *, err_code: str = "0", part: int = 0, form: str = "json", **fields: str
    ) -> Sent:
        """A delivery receipt of one part, to the address that came with the message."""
        receipt = {
            "msisdn": taken.to,
            "to": taken.sender,
            "network-code": "310260",
            "messageId": taken.fields["refs"][part],
            "price": "0.00800000",
            "status": status,
            "scts": "2611231000",
            "err-code": err_code,
            "api-key": API_KEY,
            "client-ref": taken.fields["client-ref"],
            "message-timestamp": "2026-11-23 10:00:00",
            **fields,
        }
        return self.send(taken.fields["callback"], receipt, form=form)

    def inbound(self, name: str, sender: str, to: str, text: str, *, form: str = "json", **fields: str) -> Sent:
        """A message of a handset, or a part of one, to the account's address."""
        message = {
            "msisdn": sender.removeprefix("+"),
            "to": to.removeprefix("+"),
            "messageId": uuid.uuid4().hex[:16].upper(),
            "text": text,
            "type": "text",
            "keyword": text.partition(" ")[0].upper(),
            "api-key": API_KEY,
            "message-timestamp": "2026-11-23 10:00:00",
            **fields,
        }
        return self.send(f"{PUBLIC_URL}/carriers/{name}/inbound", message, form=form)

    def send(
        self,
        url: str,
        fields: Mapping[str, Any],
        *,
        form: str = "json",
        at: float | None = None,
        secret: str | None = None,
    ) -> Sent:
        """A signed request: JSON, a form, or a GET with a query."""
        timed = {**fields, "timestamp": str(int(time.time() if at is None else at)), "nonce": uuid.uuid4().hex}
        signed = {**timed, "sig": sign(timed, self.method, secret or SIGNATURE_SECRET)}
        if form == "get":
            return Sent("GET", f"{url}?{urlencode(signed)}")
        if form == "form":
            kind = "application/x-www-form-urlencoded"
            return Sent("POST", url, {"Content-Type": kind}, urlencode(signed).encode())
        return Sent("POST", url, {"Content-Type": "application/json"}, json.dumps(signed).encode())
