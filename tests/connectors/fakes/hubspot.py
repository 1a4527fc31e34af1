"""Fake HubSpot CRM API, after developers.hubspot.com: lists, memberships, contacts and properties."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.connectors.fakes.server import FakeService

ACCESS_TOKEN = "pat-na1-of-the-tests-6b0f"
LIST, COMPANIES = "17", "18"
PROPERTIES = {
    "email": ("Email", "string", True),
    "phone": ("Phone Number", "string", True),
    "mobilephone": ("Mobile Phone Number", "string", True),
    "firstname": ("First Name", "string", True),
    "lastname": ("Last Name", "string", True),
    "annualrevenue": ("Annual Revenue", "number", True),
    "hs_email_optout": ("Unsubscribed from all email", "bool", True),
    "cohort": ("Cohort", "string", False),
    "joined_on": ("Joined on", "date", False),
    "sms_opt_out": ("SMS opt-out", "date", False),
    "sms_stopped": ("SMS stopped", "bool", False),
}


@dataclass
class Contact:
    """A contact and the lists it belongs to."""

    id: int
    properties: dict[str, str | None]
    lists: set[str] = field(default_factory=set)


class FakeHubspot(FakeService):
    """A HubSpot account."""

    def __init__(self) -> None:
        super().__init__()
        self.people: dict[int, Contact] = {}
        self.lists = {LIST: ("Cohort 06", "0-1"), COMPANIES: ("Partners", "0-2")}
        self.tokens = {ACCESS_TOKEN}
        self.read: list[list[str]] = []

    def route(self, application: web.Application) -> None:
        router = application.router
        router.add_get("/account-info/v3/details", self.details)
        router.add_get("/crm/v3/lists/{id}", self.get_list)
        router.add_get("/crm/v3/lists/{id}/memberships", self.memberships)
        router.add_get("/crm/v3/lists/records/0-1/{id}/memberships", self.lists_of)
        router.add_post("/crm/v3/lists/search", self.search)
        router.add_get("/crm/v3/properties/contacts", self.list_properties)
        router.add_get("/crm/v3/properties/contacts/{name}", self.get_property)
        router.add_post("/crm/v3/objects/contacts/batch/read", self.batch)
        router.add_patch("/crm/v3/objects/contacts/{id}", self.update)

    def add(self, id: int, phone: str | None, **properties: str | None) -> Contact:
        """Add a contact to the list."""
        own = {"phone": phone, "email": f"person{id}@example.com", "cohort": None, **properties}
        self.people[id] = Contact(id, own, {LIST})
        return self.people[id]

    def refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") in self.tokens:
            return None
        return self.error(401, "INVALID_AUTHENTICATION")

    @staticmethod
    def error(status: int, category: str = "OBJECT_NOT_FOUND") -> web.Response:
        """Return an error in HubSpot's format."""
        return web.json_response({"status": "error", "message": "…", "category": category}, status=status)

    async def details(self, request: web.Request) -> web.Response:
        return self.refusal(request) or web.json_response({"portalId": 62515, "accountType": "STANDARD"})

    async def get_list(self, request: web.Request) -> web.Response:
        if refusal := self.refusal(request):
            return refusal
        id = request.match_info["id"]
        return web.json_response({"list": self.shown(id)}) if id in self.lists else self.error(404)

    def shown(self, id: str) -> dict[str, str]:
        """Return a list as JSON, as HubSpot does."""
        name, kind = self.lists[id]
        return {"listId": id, "name": name, "objectTypeId": kind, "processingType": "DYNAMIC"}

    async def memberships(self, request: web.Request) -> web.Response:
        """Return the records in a list, ordered by id; the cursor is the last id."""
        if refusal := self.refusal(request):
            return refusal
        id = request.match_info["id"]
        if id not in self.lists:
            return self.error(404)
        after, limit = request.query.get("after", "0"), int(request.query["limit"])
        if not after.isdecimal() or limit > 250:
            return self.error(400, "VALIDATION_ERROR")
        found = [each for each in sorted(self.people) if id in self.people[each].lists and each > int(after)]
        page = found[:limit]
        results = [{"recordId": str(each), "membershipTimestamp": "2026-01-01T00:00:00Z"} for each in page]
        paging = {"paging": {"next": {"after": str(page[-1]), "link": "…"}}} if len(found) > limit else {}
        return web.json_response({"results": results, **paging})

    async def lists_of(self, request: web.Request) -> web.Response:
        if refusal := self.refusal(request):
            return refusal
        person = self.people[int(request.match_info["id"])]
        return web.json_response({"results": [{"listId": each, "listVersion": 1} for each in person.lists]})

    async def search(self, request: web.Request) -> web.Response:
        """Return one list per page."""
        if refusal := self.refusal(request):
            return refusal
        offset = (await request.json())["offset"]
        names = sorted(self.lists)[offset : offset + 1]
        has_more = offset + 1 < len(self.lists)
        return web.json_response(
            {"lists": [self.shown(each) for each in names], "hasMore": has_more, "offset": offset + 1}
        )

    @staticmethod
    def shown_property(name: str) -> dict[str, Any]:
        """Return a property as JSON, as HubSpot does."""
        label, kind, is_own = PROPERTIES[name]
        return {"name": name, "label": label, "type": kind, "fieldType": "text", "hubspotDefined": is_own}

    async def list_properties(self, request: web.Request) -> web.Response:
        results = [self.shown_property(name) for name in PROPERTIES]
        return self.refusal(request) or web.json_response({"results": results})

    async def get_property(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if refusal := self.refusal(request):
            return refusal
        return web.json_response(self.shown_property(name)) if name in PROPERTIES else self.error(404)

    async def batch(self, request: web.Request) -> web.Response:
        """Read contacts; missing ones are reported as errors next to the results."""
        if refusal := self.refusal(request):
            return refusal
        body = await request.json()
        ids = [int(each["id"]) for each in body["inputs"]]
        if len(ids) > 100:
            return self.error(400, "VALIDATION_ERROR")
        self.read.append(body["properties"])
        results = [
            {
                "id": str(id),
                "properties": {name: self.people[id].properties.get(name) for name in body["properties"]},
                "updatedAt": "2026-01-01T00:00:00Z",
                "archived": False,
            }
            for id in ids
            if id in self.people
        ]
        missing = len(ids) - len(results)
        errors = {"numErrors": missing, "errors": [{"category": "OBJECT_NOT_FOUND"}]} if missing else {}
        return web.json_response({"status": "COMPLETE", "results": results, **errors}, status=207 if missing else 200)

    async def update(self, request: web.Request) -> web.Response:
        if refusal := self.refusal(request):
            return refusal
        person = self.people.get(int(request.match_info["id"]))
        if person is None:
            return self.error(404)
        person.properties |= (await request.json())["properties"]
        return web.json_response({"id": str(person.id), "properties": {}})
