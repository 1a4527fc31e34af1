"""Fake ActiveCampaign API v3, after developers.activecampaign.com: contacts of a list and their fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.connectors.fakes.server import FakeService

API_KEY = "ac-key-of-the-tests-c4e8"
LIST, OPT_OUT_FIELD = "3", "12"
FIELDS = {"11": ("Cohort", "text"), OPT_OUT_FIELD: ("SMS opt-out", "date"), "13": ("Topics", "checkbox")}


@dataclass
class Contact:
    """A contact and its status on each list: 1 active, 2 unsubscribed, 3 bounced."""

    id: int
    phone: str
    first_name: str = "Maria"
    lists: dict[str, str] = field(default_factory=lambda: {LIST: "1"})
    values: dict[str, str | None] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """Return the contact as JSON, as ActiveCampaign does."""
        return {
            "id": str(self.id),
            "email": f"person{self.id}@example.com",
            "phone": self.phone,
            "firstName": self.first_name,
            "lastName": "",
            "cdate": "2026-01-01T00:00:00-06:00",
            "udate": "2026-01-02T00:00:00-06:00",
        }

    def shown_values(self) -> list[dict[str, Any]]:
        """Return the contact's custom field values as JSON."""
        return [
            {"id": f"{self.id}{key}", "contact": str(self.id), "field": key, "value": value}
            for key, value in self.values.items()
        ]


class FakeActiveCampaign(FakeService):
    """An account. A deleted list returns no contacts and no error."""

    def __init__(self) -> None:
        super().__init__()
        self.people: dict[int, Contact] = {}
        self.lists = {LIST: "Cohort 06"}
        self.keys = {API_KEY}

    def route(self, application: web.Application) -> None:
        router = application.router
        router.add_get("/api/3/users/me", self.me)
        router.add_get("/api/3/lists", self.list_lists)
        router.add_get("/api/3/lists/{id}", self.get_list)
        router.add_get("/api/3/fields", self.list_fields)
        router.add_get("/api/3/contacts", self.list_contacts)
        router.add_get("/api/3/contacts/{id}", self.get_contact)
        router.add_post("/api/3/fieldValues", self.set_value)

    def add(self, id: int, phone: str, **fields: Any) -> Contact:
        """Add a contact to the list."""
        self.people[id] = Contact(id, phone, **fields)
        return self.people[id]

    def refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Api-Token") in self.keys:
            return None
        return web.json_response({"message": "You are not authorized to access this resource."}, status=403)

    async def me(self, request: web.Request) -> web.Response:
        return self.refusal(request) or web.json_response({"user": {"id": "1", "username": "owner"}})

    async def get_list(self, request: web.Request) -> web.Response:
        id = request.match_info["id"]
        if refusal := self.refusal(request):
            return refusal
        if id not in self.lists:
            return web.json_response({"message": f"No Result found for Subscriber list with id {id}"}, status=404)
        return web.json_response({"list": {"id": id, "name": self.lists[id]}})

    async def list_lists(self, request: web.Request) -> web.Response:
        rows = [{"id": id, "name": name} for id, name in self.lists.items()]
        return self.refusal(request) or web.json_response({"lists": rows[int(request.query["offset"]) :]})

    async def list_fields(self, request: web.Request) -> web.Response:
        rows = [{"id": id, "title": title, "type": kind} for id, (title, kind) in FIELDS.items()]
        return self.refusal(request) or web.json_response({"fields": rows[int(request.query["offset"]) :]})

    async def list_contacts(self, request: web.Request) -> web.Response:
        """Return the contacts after `id_greater`, at most 100."""
        if refusal := self.refusal(request):
            return refusal
        query = request.query
        assert query["orders[id]"] == "ASC"
        limit = min(int(query["limit"]), 100)
        found = [
            each
            for each in sorted(self.people.values(), key=lambda each: each.id)
            if query["listid"] in self.lists
            and each.lists.get(query["listid"]) == query["status"]
            and each.id > int(query["id_greater"])
        ]
        page = found[:limit]
        values = [value for each in page for value in each.shown_values()]
        rows = [each.shown() for each in page]
        return web.json_response({"contacts": rows, "fieldValues": values, "meta": {"total": str(len(found))}})

    async def get_contact(self, request: web.Request) -> web.Response:
        if refusal := self.refusal(request):
            return refusal
        person = self.people.get(int(request.match_info["id"]))
        if person is None:
            return web.json_response({"message": "No Result found"}, status=404)
        lists = [{"list": list, "status": status, "contact": str(person.id)} for list, status in person.lists.items()]
        body = {"contact": person.shown(), "contactLists": lists, "fieldValues": person.shown_values()}
        return web.json_response(body)

    async def set_value(self, request: web.Request) -> web.Response:
        """Set the value of a field, replacing the previous one."""
        if refusal := self.refusal(request):
            return refusal
        value = (await request.json())["fieldValue"]
        person = self.people.get(int(value["contact"]))
        if person is None or value["field"] not in FIELDS:
            return web.json_response({"message": "…"}, status=404)
        person.values[value["field"]] = value["value"]
        return web.json_response({"fieldValue": value, "contacts": [person.shown()]})
