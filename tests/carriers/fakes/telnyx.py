"""Telnyx's messages and the events that it sends of them, on loopback."""

from __future__ import annotations

import json
import time
import uuid
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.carriers.fakes.server import PUBLIC_URL, Answer, FakeCarrier, Sent, Taken

API_KEY = "KEY-of-the-tests-7c21"
PRIVATE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = b64encode(PRIVATE_KEY.public_key().public_bytes_raw()).decode()


class FakeTelnyx(FakeCarrier):
    """An account of Telnyx's."""

    def route(self, application: web.Application) -> None:
        application.router.add_post("/v2/messages", self.receive)
        application.router.add_get("/v2/messaging_profiles", self.list_profiles)

    async def take(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {API_KEY}":
            return self.error("10009", 401).response()
        if request.content_type != "application/json":
            return self.error("10014", 415).response()
        body = await request.json()
        if body.keys() - {"from", "to", "text", "type", "webhook_url", "messaging_profile_id"}:
            return self.error("10015", 400).response()
        if not body.get("text") or body.get("type") != "SMS" or not body.get("from"):
            return self.error("10004", 422).response()
        if not str(body.get("to")).startswith("+"):
            return self.error("10016", 422).response()
        message_id = str(uuid.uuid4())
        self.taken.append(Taken(message_id, body["to"], body["from"], body["text"], body))
        data = {"id": message_id, "record_type": "message", "to": [{"phone_number": body["to"], "status": "queued"}]}
        return web.json_response({"data": {**data, "errors": [], "parts": 1}})

    async def list_profiles(self, request: web.Request) -> web.Response:
        """The account's messaging profiles."""
        if request.headers.get("Authorization") != f"Bearer {API_KEY}":
            return self.error("10009", 401).response()
        return web.json_response({"data": []})

    @staticmethod
    def error(code: str, status: int, headers: Mapping[str, str] | None = None) -> Answer:
        """An error of the API."""
        return Answer(status, {"errors": [{"code": code, "title": "…", "detail": "…"}]}, headers or {})

    def report(
        self, taken: Taken, status: str, *, codes: Sequence[str] = (), event_type: str = "message.finalized"
    ) -> Sent:
        """An event of a message, to the address that came with it."""
        payload = {
            "record_type": "message",
            "direction": "outbound",
            "id": taken.ref,
            "type": "SMS",
            "from": {"phone_number": taken.sender, "carrier": "Telnyx", "line_type": "Wireless"},
            "to": [{"phone_number": taken.to, "status": status, "carrier": "…", "line_type": "Wireless"}],
            "text": taken.body,
            "webhook_url": taken.fields["webhook_url"],
            "errors": [{"code": code, "title": "…"} for code in codes],
        }
        return self.send(taken.fields["webhook_url"], self.event(event_type, payload))

    def inbound(self, name: str, sender: str, to: str, text: str | None, *, message_id: str | None = None) -> Sent:
        """A message of a handset, to the messaging profile's address."""
        payload = {
            "record_type": "message",
            "direction": "inbound",
            "id": message_id or str(uuid.uuid4()),
            "type": "SMS",
            "from": {"phone_number": sender, "carrier": "…", "line_type": "Wireless"},
            "to": [{"phone_number": to, "status": "webhook_delivered"}],
            "text": text,
            "errors": [],
        }
        return self.send(f"{PUBLIC_URL}/carriers/{name}/inbound", self.event("message.received", payload))

    @staticmethod
    def event(event_type: str, payload: Mapping[str, Any]) -> bytes:
        """The body of an event."""
        data = {"event_type": event_type, "id": str(uuid.uuid4()), "record_type": "event", "payload": payload}
        return json.dumps({"data": {**data, "occurred_at": "2026-11-23T10:00:00Z"}, "meta": {"attempt": 1}}).encode()

    @staticmethod
    def send(url: str, body: bytes, *, at: float | None = None, key: Ed25519PrivateKey = PRIVATE_KEY) -> Sent:
        """A signed POST: Ed25519 over `{timestamp}|{body}`."""
        timestamp = str(int(time.time() if at is None else at))
        signature = b64encode(key.sign(timestamp.encode() + b"|" + body)).decode()
        headers = {
            "Content-Type": "application/json",
            "Telnyx-Signature-Ed25519": signature,
            "Telnyx-Timestamp": timestamp,
        }
        return Sent("POST", url, headers, body)
