"""Fake Shopify GraphQL Admin API, after shopify.dev: customers, query cost, consent and webhooks."""

from __future__ import annotations

import hmac
import json
import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from aiohttp import web

from tests.connectors.fakes.server import FakeService

CLIENT_ID, CLIENT_SECRET = "8c1f0a", "shpss-of-the-tests-33d9"
ACCESS_TOKEN = "shpat-of-the-tests-90ae"
SHOP = "cohort-labs.myshopify.com"

_ids = re.compile(r"id:([0-9]+)")
_updated = re.compile(r"updated_at:>='([^']+)'").search
_tag = re.compile(r"tag:(\w+)").search


@dataclass
class Customer:
    """A customer; Shopify stores the SMS consent with the phone."""

    id: int
    phone: str | None
    first_name: str = "Maria"
    tag: str = "vip"
    sms_state: str = "NOT_SUBSCRIBED"
    sms_level: str | None = None
    sms_at: str | None = None
    sms_from: str | None = "SHOPIFY"
    email_state: str = "SUBSCRIBED"
    updated_at: str = "2026-01-01T00:00:00Z"

    def shown(self) -> dict[str, Any]:
        """Return the customer as JSON with the queried fields."""
        phone = {
            "phoneNumber": self.phone,
            "marketingState": self.sms_state,
            "marketingOptInLevel": self.sms_level,
            "marketingUpdatedAt": self.sms_at,
            "marketingCollectedFrom": self.sms_from,
        }
        return {
            "legacyResourceId": str(self.id),
            "firstName": self.first_name,
            "lastName": "Silva",
            "createdAt": "2026-01-01T00:00:00Z",
            "updatedAt": self.updated_at,
            "tags": [self.tag, "2026"],
            "numberOfOrders": "3",
            "state": "ENABLED",
            "locale": "pt-BR",
            "amountSpent": {"amount": "120.5"},
            "defaultEmailAddress": {"emailAddress": f"person{self.id}@example.com", "marketingState": self.email_state},
            "defaultPhoneNumber": phone if self.phone else None,
            "defaultAddress": {"phone": None, "city": "São Paulo", "countryCodeV2": "BR"},
        }


class FakeShopify(FakeService):
    """A shop."""

    def __init__(self) -> None:
        super().__init__()
        self.people: dict[int, Customer] = {}
        self.tokens = {ACCESS_TOKEN}
        self.secrets = {CLIENT_SECRET}
        self.is_there = True
        self.is_throttled = False
        self.is_denied = False
        self.webhooks: dict[str, tuple[str, str]] = {}
        self.granted = 0

    def route(self, application: web.Application) -> None:
        application.router.add_post("/admin/oauth/access_token", self.token)
        application.router.add_post("/admin/api/2026-01/graphql.json", self.answer)

    def add(self, id: int, phone: str | None, **fields: Any) -> Customer:
        """Add a customer."""
        self.people[id] = Customer(id, phone, **fields)
        return self.people[id]

    async def token(self, request: web.Request) -> web.Response:
        if not self.is_there:
            return web.Response(status=404)
        form = await request.post()
        if form["grant_type"] != "client_credentials" or form["client_secret"] not in self.secrets:
            return web.json_response({"error": "invalid_client"}, status=401)
        self.granted += 1
        self.tokens.add(f"granted-{self.granted}")
        return web.json_response(
            {"access_token": f"granted-{self.granted}", "scope": "read_customers", "expires_in": 86399}
        )

    async def answer(self, request: web.Request) -> web.Response:
        """Respond to a query; GraphQL errors have status 200."""
        if not self.is_there:
            return web.json_response({"errors": "Not Found"}, status=404)
        if request.headers.get("X-Shopify-Access-Token") not in self.tokens:
            return web.json_response({"errors": "[API] Invalid API key or access token"}, status=401)
        body = await request.json()
        variables = body["variables"]
        if self.is_throttled:
            self.is_throttled = False
            throttle = {"maximumAvailable": 1000.0, "currentlyAvailable": 52, "restoreRate": 50.0}
            cost = {"requestedQueryCost": 502, "actualQueryCost": None, "throttleStatus": throttle}
            errors = [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]
            return web.json_response({"errors": errors, "extensions": {"cost": cost}})
        name = re.match(r"\s*(?:query|mutation) (\w+)", body["query"])
        assert name is not None
        if self.is_denied and name[1] != "Shop":
            errors = [{"message": "Access denied", "extensions": {"code": "ACCESS_DENIED"}}]
            return web.json_response({"errors": errors, "data": None})
        data = getattr(self, f"answer_{name[1]}")(variables)
        return web.json_response({"data": data, "extensions": {"cost": {"requestedQueryCost": 2}}})

    def answer_Shop(self, variables: dict[str, Any]) -> Any:
        return {"shop": {"id": "gid://shopify/Shop/548", "name": "Cohort Labs"}}

    def answer_Customers(self, variables: dict[str, Any]) -> Any:
        query = variables.get("query") or ""
        first, after = variables["first"], variables.get("after")
        assert first <= 250
        # The cursor encodes the sort key, so that it stays valid when a customer is removed.
        by_time = variables.get("sortKey") == "UPDATED_AT"

        def key(each: Customer) -> list[Any]:
            return [each.updated_at, each.id] if by_time else [each.id]

        ids, since, tag = _ids.findall(query), _updated(query), _tag(query)
        found = [
            each
            for each in sorted(self.people.values(), key=key)
            if (not ids or str(each.id) in ids)
            and (since is None or each.updated_at >= since[1])
            and (tag is None or each.tag == tag[1])
            and (after is None or key(each) > json.loads(after))
        ]
        page = found[:first]
        info = {"hasNextPage": len(found) > first, "endCursor": json.dumps(key(page[-1])) if page else None}
        return {"customers": {"nodes": [each.shown() for each in page], "pageInfo": info}}

    def answer_Nodes(self, variables: dict[str, Any]) -> Any:
        people = [self.people.get(int(gid.rpartition("/")[2])) for gid in variables["ids"]]
        return {"nodes": [None if each is None else each.shown() for each in people]}

    def answer_Unsubscribe(self, variables: dict[str, Any]) -> Any:
        given = variables["input"]
        person = self.people.get(int(given["customerId"].rpartition("/")[2]))
        if person is None or person.phone is None:
            return {"customerSmsMarketingConsentUpdate": {"userErrors": [{"field": None, "message": "…"}]}}
        person.sms_state = given["smsMarketingConsent"]["marketingState"]
        person.sms_at = given["smsMarketingConsent"]["consentUpdatedAt"]
        return {"customerSmsMarketingConsentUpdate": {"userErrors": []}}

    def answer_SubscribeHook(self, variables: dict[str, Any]) -> Any:
        uri = variables["hook"]["uri"]
        if not uri.startswith("https://"):
            return {"webhookSubscriptionCreate": {"userErrors": [{"message": "…"}], "webhookSubscription": None}}
        id = f"gid://shopify/WebhookSubscription/{len(self.webhooks) + 1}"
        self.webhooks[id] = (variables["topic"], uri)
        return {"webhookSubscriptionCreate": {"userErrors": [], "webhookSubscription": {"id": id}}}

    def answer_DeleteHook(self, variables: dict[str, Any]) -> Any:
        found = self.webhooks.pop(variables["id"], None)
        return {"webhookSubscriptionDelete": {"userErrors": [] if found else [{"message": "…"}]}}

    @staticmethod
    def posted(id: int, secret: str = CLIENT_SECRET) -> tuple[dict[str, str], bytes]:
        """Return the headers and body of a webhook about a customer."""
        body = json.dumps({"id": id, "email": "x@example.com"}).encode()
        signature = b64encode(hmac.digest(secret.encode(), body, sha256)).decode()
        return {"x-shopify-hmac-sha256": signature, "x-shopify-webhook-id": "b54557e4"}, body
