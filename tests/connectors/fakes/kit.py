"""Fake Kit API v4, after developers.kit.com: cursors, states, tags, custom fields, OAuth and webhooks."""

from __future__ import annotations

import hmac
import json
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from aiohttp import web

from tests.connectors.fakes.server import FakeService

API_KEY = "kit_key-of-the-tests-91c2"
CLIENT_SECRET = "kit_secret-of-the-tests-77ab"
WEBHOOK_SECRET = "whsec-kit-of-the-tests"
TAG, FORM, OPT_OUT_TAG = 5312, 1204, 5313


@dataclass
class Subscriber:
    """A subscriber; `lags` hides it from lists, which lag by up to five minutes at Kit."""

    id: int
    fields: dict[str, str | None] = field(default_factory=dict)
    first_name: str | None = None
    state: str = "active"
    tags: set[int] = field(default_factory=set)
    forms: set[int] = field(default_factory=set)
    updated_at: str = "2026-01-01T00:00:00Z"
    lags: bool = False

    def shown(self) -> dict[str, Any]:
        """Return the subscriber as JSON, as Kit does."""
        return {
            "id": self.id,
            "first_name": self.first_name,
            "email_address": f"person{self.id}@example.com",
            "state": self.state,
            "created_at": "2026-01-01T00:00:00Z",
            "fields": self.fields,
        }


class FakeKit(FakeService):
    """A Kit account with subscribers, two tags and a form."""

    def __init__(self) -> None:
        super().__init__()
        self.people: dict[int, Subscriber] = {}
        self.tags = {TAG: "Cohort 06", OPT_OUT_TAG: "SMS opted out"}
        self.forms = {FORM: "Waitlist"}
        self.keys = {API_KEY}
        self.refresh_tokens = {"refresh-0"}
        self.codes = {"code-1"}
        self.granted = 0
        self.webhooks: dict[str, Any] = {}

    def route(self, application: web.Application) -> None:
        router = application.router
        router.add_get("/v4/account", self.account)
        router.add_get("/v4/subscribers", self.list)
        router.add_get("/v4/tags/{tag}/subscribers", self.list)
        router.add_get("/v4/forms/{form}/subscribers", self.list)
        router.add_get("/v4/subscribers/{id}", self.get)
        router.add_put("/v4/subscribers/{id}", self.update)
        router.add_get("/v4/subscribers/{id}/tags", self.tags_of)
        router.add_post("/v4/tags/{tag}/subscribers/{id}", self.tag)
        router.add_get("/v4/tags", self.list_tags)
        router.add_get("/v4/forms", self.list_forms)
        router.add_get("/v4/custom_fields", self.list_fields)
        router.add_post("/v4/oauth/token", self.token)
        router.add_post("/v4/webhook_endpoints", self.create_webhook)
        router.add_delete("/v4/webhook_endpoints/{id}", self.delete_webhook)

    def add(self, id: int, phone: str | None = None, **fields: Any) -> Subscriber:
        """Add a subscriber with the phone in a custom field."""
        own = {"phone": phone, "last_name": "Silva", "city": None}
        self.people[id] = Subscriber(id, fields=own, **fields)
        return self.people[id]

    @staticmethod
    def error(status: int, text: str = "…") -> web.Response:
        """Return an error in Kit's format."""
        return web.json_response({"errors": [text]}, status=status)

    def refusal(self, request: web.Request) -> web.Response | None:
        """Return a 401 unless the request has valid credentials."""
        if request.headers.get("X-Kit-Api-Key") in self.keys:
            return None
        if self.granted and request.headers.get("Authorization") == f"Bearer access-{self.granted}":
            return None
        return self.error(401, "The access token is invalid")

    async def account(self, request: web.Request) -> web.Response:
        if refusal := self.refusal(request):
            return refusal
        user = {"email": "owner@example.com", "id": 1}
        return web.json_response({"user": user, "account": {"id": 42, "name": "Cohort Labs", "plan_type": "creator"}})

    async def list(self, request: web.Request) -> web.Response:
        """Return the subscribers of the account, a tag or a form after a cursor, ordered by id."""
        if refusal := self.refusal(request):
            return refusal
        tag, form = request.match_info.get("tag"), request.match_info.get("form")
        if (tag and int(tag) not in self.tags) or (form and int(form) not in self.forms):
            return self.error(404, "Not Found")
        query = request.query
        per_page = int(query.get("per_page", 500))
        status = query.get("status", "active")
        if per_page > 1000:
            return self.error(422)
        found = [
            person
            for person in sorted(self.people.values(), key=lambda each: each.id)
            if not person.lags
            and (status in ("all", person.state))
            and (tag is None or int(tag) in person.tags)
            and (form is None or int(form) in person.forms)
            # The documentation's example is a date, so compare only dates and exclude the given day.
            and ("updated_after" not in query or person.updated_at[:10] > query["updated_after"][:10])
            and person.id > int(query.get("after", 0))
        ]
        page = found[:per_page]
        pagination = {
            "has_previous_page": "after" in query,
            "has_next_page": len(found) > per_page,
            "start_cursor": str(page[0].id) if page else None,
            "end_cursor": str(page[-1].id) if page else None,
            "per_page": per_page,
        }
        return web.json_response({"subscribers": [each.shown() for each in page], "pagination": pagination})

    async def get(self, request: web.Request) -> web.Response:
        person = self.people.get(int(request.match_info["id"]))
        if refusal := self.refusal(request):
            return refusal
        return self.error(404) if person is None else web.json_response({"subscriber": person.shown()})

    async def update(self, request: web.Request) -> web.Response:
        if refusal := self.refusal(request):
            return refusal
        person = self.people.get(int(request.match_info["id"]))
        body = await request.json()
        if person is None:
            return self.error(404)
        if "email_address" not in body or set(body["fields"]) - {"phone", "last_name", "city", "sms_opt_out"}:
            return self.error(422)
        person.fields |= body["fields"]
        return web.json_response({"subscriber": person.shown()})

    async def tags_of(self, request: web.Request) -> web.Response:
        if refusal := self.refusal(request):
            return refusal
        person = self.people[int(request.match_info["id"])]
        return web.json_response({"tags": [{"id": tag, "name": self.tags[tag]} for tag in sorted(person.tags)]})

    async def tag(self, request: web.Request) -> web.Response:
        if refusal := self.refusal(request):
            return refusal
        tag, person = int(request.match_info["tag"]), self.people.get(int(request.match_info["id"]))
        if person is None or tag not in self.tags:
            return self.error(404)
        person.tags.add(tag)
        return web.json_response({"subscriber": person.shown()}, status=201)

    async def list_tags(self, request: web.Request) -> web.Response:
        return self.named(request, "tags", [{"id": id, "name": name} for id, name in self.tags.items()])

    async def list_forms(self, request: web.Request) -> web.Response:
        return self.named(request, "forms", [{"id": id, "name": name} for id, name in self.forms.items()])

    async def list_fields(self, request: web.Request) -> web.Response:
        keys = {"phone": "Phone", "last_name": "Last name", "city": "City", "sms_opt_out": "SMS opt-out"}
        rows = [
            {"id": at, "name": f"ck_field_{at}_{key}", "key": key, "label": keys[key]} for at, key in enumerate(keys)
        ]
        return self.named(request, "custom_fields", rows)

    def named(self, request: web.Request, name: str, rows: list[dict[str, Any]]) -> web.Response:
        """Return a short list with one row per page, so that clients must follow the cursor."""
        if refusal := self.refusal(request):
            return refusal
        at = int(request.query.get("after", 0))
        pagination = {"has_next_page": at + 1 < len(rows), "end_cursor": str(at + 1)}
        return web.json_response({name: rows[at : at + 1], "pagination": pagination})

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("client_secret") != CLIENT_SECRET:
            return web.json_response({"error": "invalid_client"}, status=401)
        valid = self.refresh_tokens if form["grant_type"] == "refresh_token" else self.codes
        given = str(form.get("refresh_token") or form.get("code"))
        if given not in valid:
            return web.json_response({"error": "invalid_grant"}, status=400)
        # Refresh tokens and codes are single-use.
        valid.discard(given)
        self.granted += 1
        self.refresh_tokens.add(f"refresh-{self.granted}")
        token = {"access_token": f"access-{self.granted}", "refresh_token": f"refresh-{self.granted}"}
        return web.json_response({**token, "token_type": "Bearer", "expires_in": 7200})

    async def create_webhook(self, request: web.Request) -> web.Response:
        if refusal := self.refusal(request):
            return refusal
        body = await request.json()
        if not str(body["url"]).startswith("https://") or "subscriber.tag_added" in body["events"]:
            return self.error(422)
        self.webhooks["71"] = body
        return web.json_response({"webhook_endpoint": {"id": 71, "secret": WEBHOOK_SECRET, **body}}, status=201)

    async def delete_webhook(self, request: web.Request) -> web.Response:
        if refusal := self.refusal(request):
            return refusal
        found = self.webhooks.pop(request.match_info["id"], None)
        return self.error(404) if found is None else web.Response(status=204)

    def delivery(
        self, *ids: int, secret: str = WEBHOOK_SECRET, at: float | None = None
    ) -> tuple[dict[str, str], bytes]:
        """Return the headers and body of a webhook delivery about subscribers."""
        events = [
            {"id": str(id), "type": "subscriber.created", "data": {"subscriber": self.people[id].shown()}} for id in ids
        ]
        body = json.dumps({"delivery_id": "dlv-1", "events": events}).encode()
        stamp = str(int(time.time() if at is None else at))
        signature = hmac.digest(secret.encode(), f"{stamp}.".encode() + body, sha256).hex()
        return {"x-kit-delivery": "dlv-1", "x-kit-signature": f"t={stamp},v1={signature}"}, body
