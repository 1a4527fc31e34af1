"""Twilio's Messages resource, its status callbacks and its webhook for incoming messages, on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import uuid
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from tests.carriers.fakes.server import PUBLIC_URL, Answer, FakeCarrier, Sent, Taken

ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
AUTH_TOKEN = "a-token-of-the-tests-5d41"


def sign(url: str, fields: dict[str, str], auth_token: str = AUTH_TOKEN) -> str:
    """Twilio's recipe step by step: the URL, then each field's name and value in the order of names."""
    text = url
    for name in sorted(fields):
        text += name + fields[name]
    return base64.b64encode(hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()).decode()


class FakeTwilio(FakeCarrier):
    """An account of Twilio's."""

    def __init__(self, *, user: str = ACCOUNT_SID, password: str = AUTH_TOKEN) -> None:
        super().__init__()
        self._basic = base64.b64encode(f"{user}:{password}".encode()).decode()

    def route(self, application: web.Application) -> None:
        application.router.add_post(f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json", self.receive)
        application.router.add_get(f"/2010-04-01/Accounts/{ACCOUNT_SID}/IncomingPhoneNumbers.json", self.list_numbers)

    async def take(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Basic {self._basic}":
            return self.error(20003, 401).response()
        if request.content_type != "application/x-www-form-urlencoded":
            return self.error(20001, 400).response()
        form = {name: str(value) for name, value in (await request.post()).items()}
        unknown = form.keys() - {"To", "From", "Body", "StatusCallback", "MessagingServiceSid", "ValidityPeriod"}
        if unknown or not form.get("Body"):
            return self.error(21602, 400).response()
        if not re.fullmatch(r"\+[1-9][0-9]{6,14}", form.get("To", "")):
            return self.error(21211, 400).response()
        if not form.get("From") and not form.get("MessagingServiceSid"):
            return self.error(21603, 400).response()
        if urlsplit(form["StatusCallback"]).scheme not in ("http", "https"):
            return self.error(21609, 400).response()
        sid = f"SM{uuid.uuid4().hex}"
        self.taken.append(Taken(sid, form["To"], form.get("From", ""), form["Body"], form))
        answer = {"sid": sid, "status": "queued", "account_sid": ACCOUNT_SID, "to": form["To"], "error_code": None}
        return web.json_response(answer, status=201)

    async def list_numbers(self, request: web.Request) -> web.Response:
        """The account's numbers."""
        if request.headers.get("Authorization") != f"Basic {self._basic}":
            return self.error(20003, 401).response()
        return web.json_response({"incoming_phone_numbers": []})

    @staticmethod
    def error(code: int, status: int, **headers: str) -> Answer:
        """An error of the REST API."""
        body = {"code": code, "message": "…", "more_info": f"https://www.twilio.com/docs/errors/{code}"}
        return Answer(status, {**body, "status": status}, {name.replace("_", "-"): headers[name] for name in headers})

    def report(self, taken: Taken, status: str, *, error_code: int | None = None) -> Sent:
        """A status callback, to the address that came with the message."""
        fields = {
            "AccountSid": ACCOUNT_SID,
            "ApiVersion": "2010-04-01",
            "From": taken.sender,
            "MessageSid": taken.ref,
            "MessageStatus": status,
            "SmsSid": taken.ref,
            "SmsStatus": status,
            "To": taken.to,
        }
        if error_code is not None:
            fields["ErrorCode"] = str(error_code)
        return self.send(taken.fields["StatusCallback"], fields)

    def inbound(self, name: str, sender: str, to: str, text: str, *, sid: str | None = None) -> Sent:
        """A message of a handset, to the address that the operator entered."""
        sid = sid or f"SM{uuid.uuid4().hex}"
        fields = {
            "AccountSid": ACCOUNT_SID,
            "Body": text,
            "From": sender,
            "MessageSid": sid,
            "NumMedia": "0",
            "NumSegments": "1",
            "SmsStatus": "received",
            "To": to,
        }
        return self.send(f"{PUBLIC_URL}/carriers/{name}/inbound", fields)

    @staticmethod
    def send(url: str, fields: dict[str, Any], *, auth_token: str = AUTH_TOKEN) -> Sent:
        """A signed POST."""
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "X-Twilio-Signature": sign(url, fields, auth_token),
        }
        return Sent("POST", url, headers, urlencode(fields).encode())
