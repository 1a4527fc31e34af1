"""Fake Kajabi public API v1, after developers.kajabi.com: JSON:API, numbered pages, client credentials."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.connectors.fakes.server import FakeService

CLIENT_ID, CLIENT_SECRET = "Jx4mG2qk", "kjb-secret-of-the-tests-1fe0"
SITE, TAG, OPT_OUT_TAG = "2147", "914", "915"


@dataclass
class Contact:
    """A contact of the site."""

    id: int
    phone: str | None
    name: str = "Maria Silva"
    subscribed: bool = True
    tags: set[str] = field(default_factory=lambda: {TAG})
    custom_1: str | None = None

    def shown(self) -> dict[str, Any]:
        """Return the contact as JSON, as Kajabi does."""
        attributes = {
            "name": self.name,
            "email": f"person{self.id}@example.com",
            "phone_number": self.phone,
            "subscribed": self.subscribed,
            "custom_1": self.custom_1,
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-02T00:00:00Z",
        }
        return {"id": str(self.id), "type": "contacts", "attributes": attributes}


class FakeKajabi(FakeService):
    """An account. A deleted tag returns no contacts and no error."""

    def __init__(self) -> None:
        super().__init__()
        self.people: dict[int, Contact] = {}
        self.sites = {SITE: "Cohort Labs"}
        self.tags = {TAG: "Cohort 06", OPT_OUT_TAG: "SMS opted out"}
        self.secrets = {CLIENT_SECRET}
        self.granted = 0

    def route(self, application: web.Application) -> None:
        router = application.router
        router.add_post("/v1/oauth/token", self.token)
        router.add_get("/v1/sites", self.list_sites)
        router.add_get("/v1/contact_tags", self.list_tags)
        router.add_get("/v1/contact_tags/{id}", self.get_tag)
        router.add_get("/v1/contacts", self.list_contacts)
        router.add_get("/v1/contacts/{id}", self.get_contact)
        router.add_get("/v1/contacts/{id}/relationships/tags", self.tags_of)
        router.add_post("/v1/contacts/{id}/relationships/tags", self.add_tags)

    def add(self, id: int, phone: str | None, **fields: Any) -> Contact:
        """Add a contact with the tag."""
        self.people[id] = Contact(id, phone, **fields)
        return self.people[id]

    @staticmethod
    def error(status: int) -> web.Response:
        """Return an error in Kajabi's format."""
        return web.json_response({"errors": [{"status": str(status), "title": "…", "detail": "…"}]}, status=status)

    def refusal(self, request: web.Request) -> web.Response | None:
        if self.secrets and self.granted and request.headers.get("Authorization") == f"Bearer token-{self.granted}":
            return None
        return self.error(401)

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form["grant_type"] != "client_credentials" or form["client_secret"] not in self.secrets:
            return web.json_response({"error": "Invalid client credentials"}, status=401)
        self.granted += 1
        token = {"access_token": f"token-{self.granted}", "refresh_token": "…", "token_type": "Bearer"}
        return web.json_response({**token, "expires_in": 604800})

    def things(self, request: web.Request, kind: str, key: str, things: dict[str, str]) -> web.Response:
        """Return one page of sites or tags."""
        number, size = int(request.query["page[number]"]), int(request.query["page[size]"])
        rows = [{"id": id, "type": kind, "attributes": {key: name}} for id, name in things.items()]
        return self.refusal(request) or web.json_response({"data": rows[(number - 1) * size : number * size]})

    async def list_sites(self, request: web.Request) -> web.Response:
        return self.things(request, "sites", "title", self.sites)

    async def list_tags(self, request: web.Request) -> web.Response:
        return self.things(request, "contact_tags", "name", self.tags)

    async def get_tag(self, request: web.Request) -> web.Response:
        id = request.match_info["id"]
        if refusal := self.refusal(request):
            return refusal
        if id not in self.tags:
            return self.error(404)
        return web.json_response({"data": {"id": id, "type": "contact_tags", "attributes": {"name": self.tags[id]}}})

    async def list_contacts(self, request: web.Request) -> web.Response:
        """Return a numbered page of contacts, so that contacts shift when an earlier one is removed."""
        if refusal := self.refusal(request):
            return refusal
        query = request.query
        if len(self.sites) > 1 and "filter[site_id]" not in query:
            return self.error(422)
        number, size = int(query["page[number]"]), int(query["page[size]"])
        tag = query.get("filter[has_tag_id]")
        found = [
            each
            for each in sorted(self.people.values(), key=lambda each: each.id)
            if tag is None or (tag in self.tags and tag in each.tags)
        ]
        page = found[(number - 1) * size : number * size]
        meta = {"total_pages": -(-len(found) // size), "total_count": len(found), "current_page": number}
        return web.json_response({"data": [each.shown() for each in page], "links": {}, "meta": meta})

    async def get_contact(self, request: web.Request) -> web.Response:
        if refusal := self.refusal(request):
            return refusal
        person = self.people.get(int(request.match_info["id"]))
        return self.error(404) if person is None else web.json_response({"data": person.shown()})

    async def tags_of(self, request: web.Request) -> web.Response:
        if refusal := self.refusal(request):
            return refusal
        person = self.people[int(request.match_info["id"])]
        return web.json_response({"data": [{"id": tag, "type": "contact_tags"} for tag in sorted(person.tags)]})

    async def add_tags(self, request: web.Request) -> web.Response:
        if refusal := self.refusal(request):
            return refusal
        person = self.people.get(int(request.match_info["id"]))
        if person is None:
            return self.error(404)
        person.tags |= {each["id"] for each in (await request.json())["data"]}
        return web.Response(status=204)
