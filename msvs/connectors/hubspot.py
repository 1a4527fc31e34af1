"""HubSpot: sync the contacts of a list, with the selected properties."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

import msgspec

from msvs.connectors.base import (
    Account,
    BadAnswer,
    Capabilities,
    Choice,
    Connection,
    Connector,
    Field,
    FieldType,
    Gone,
    InvalidSetting,
    Page,
    Person,
    PersonState,
    Setting,
    SettingKind,
    Target,
)
from msvs.connectors.calls import Api, Concern, read_time, texts

ORIGIN = "https://api.hubapi.com"
# HubSpot's limit for one batch read of contacts.
PAGE = 100
MAX_PROPERTIES = 200
MAX_LISTED = 20
CONTACTS = "0-1"
OWN: dict[str, Target | None] = {
    "phone": Target.PHONE,
    "mobilephone": Target.PHONE,
    "email": Target.EMAIL,
    "firstname": Target.FIRST_NAME,
    "lastname": Target.LAST_NAME,
    "country": Target.COUNTRY,
    "city": None,
    "state": None,
    "zip": None,
    "company": None,
    "jobtitle": None,
    "lifecyclestage": None,
    "hs_language": None,
    "hs_timezone": None,
    "createdate": None,
}
UNSUBSCRIBED = "hs_email_optout"
TYPES = {
    "number": FieldType.NUMBER,
    "bool": FieldType.BOOLEAN,
    "date": FieldType.DATE,
    "datetime": FieldType.TIME,
}


class _Property(msgspec.Struct, rename="camel"):
    name: str
    label: str = ""
    type: str = "string"
    hubspot_defined: bool = False
    archived: bool = False


class _Properties(msgspec.Struct):
    results: list[_Property]


class _Next(msgspec.Struct):
    after: str


class _Paging(msgspec.Struct):
    next: _Next | None = None


class _Membership(msgspec.Struct, rename="camel"):
    record_id: str


class _Memberships(msgspec.Struct):
    results: list[_Membership]
    paging: _Paging | None = None


class _Contact(msgspec.Struct, rename="camel"):
    id: str
    properties: dict[str, str | None]
    updated_at: str | None = None
    archived: bool = False


class _Contacts(msgspec.Struct):
    results: list[_Contact]


class _List(msgspec.Struct, rename="camel"):
    list_id: str
    name: str = ""
    object_type_id: str = CONTACTS


class _OneList(msgspec.Struct):
    list: _List


class _Lists(msgspec.Struct, rename="camel"):
    lists: list[_List]
    has_more: bool = False
    offset: int = 0


class _ListOf(msgspec.Struct, rename="camel"):
    list_id: str


class _ListsOf(msgspec.Struct):
    results: list[_ListOf]


class _Portal(msgspec.Struct, rename="camel"):
    portal_id: int


class HubspotConnector(Connector):
    """Reads the contacts of a list, using a private app's token."""

    kind = "hubspot"
    label = "HubSpot"
    capabilities = Capabilities(looks_up=True, writes_opt_outs=True)
    opt_out_settings = ("opt_out_property",)
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            "access_token",
            "Access token",
            SettingKind.SECRET,
            is_required=True,
            help="From a private app with the scopes crm.lists.read, crm.objects.contacts.read and, for opt-outs,"
            " crm.objects.contacts.write.",
        ),
        Setting(
            "list_id",
            "List",
            is_required=True,
            help="A list (segment) of contacts, active or static.",
            pattern=r"[0-9]{1,18}",
            example="17",
            is_listed=True,
        ),
        Setting(
            "properties",
            "More properties",
            help="Internal names of additional HubSpot-defined properties. Your own properties are always read.",
            pattern=r"[a-z0-9_]{1,100}(?:\s*,\s*[a-z0-9_]{1,100}){0,50}",
            example="annualrevenue, industry",
        ),
        Setting(
            "opt_out_property",
            "Property for opt-outs",
            help="Set when a contact opts out of text messages: to the date, true, or `opted_out`, by its type.",
            pattern=r"[a-z0-9_]{1,100}",
            example="sms_opt_out",
            is_listed=True,
        ),
    )

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._headers = {"Authorization": f"Bearer {self._setting('access_token')}"}
        self._api = Api(connection, self.label, ORIGIN, Concern(credentials="access_token"))
        self._lists = self._api.about(scope="list_id", thing="The list")
        self._known: list[_Property] | None = None

    async def check(self) -> Account:
        """Return the account, after checking that the list holds contacts and that the properties exist."""
        portal = await self._api.get("/account-info/v3/details", _Portal, headers=self._headers)
        found = (await self._lists.get(self._list_path(), _OneList, headers=self._headers)).list
        if found.object_type_id != CONTACTS:
            raise InvalidSetting("The list does not hold contacts.", setting="list_id")
        names = {each.name for each in await self._properties()}
        if missing := [name for name in self._more() if name not in names]:
            raise InvalidSetting(f"HubSpot has no property {missing[0]}.", setting="properties")
        if (name := self._setting("opt_out_property")) and name not in names:
            raise Gone("The property for opt-outs was not found at HubSpot.", setting="opt_out_property")
        return Account(f"HubSpot account {portal.portal_id}", str(portal.portal_id))

    async def fields(self) -> list[Field]:
        """Return the properties that are read."""
        return [
            Field(each.name, each.label or each.name, TYPES.get(each.type, FieldType.TEXT), OWN.get(each.name))
            for each in await self._read_properties()
        ]

    async def choices(self, setting: str) -> list[Choice]:
        """Return the contact lists or the account's own properties."""
        if setting == "opt_out_property":
            return [Choice(each.name, each.label) for each in await self._properties() if not each.hubspot_defined]
        if setting != "list_id":
            return []
        found: list[Choice] = []
        offset = 0
        for _ in range(MAX_LISTED):
            body = {"query": "", "count": 250, "offset": offset}
            page = await self._api.post("/crm/v3/lists/search", _Lists, body, headers=self._headers, is_read=True)
            found += [Choice(each.list_id, each.name) for each in page.lists if each.object_type_id == CONTACTS]
            if not page.has_more or page.offset <= offset:
                break
            offset = page.offset
        return found

    async def fetch_page(self, *, since: str | None = None, cursor: str | None = None) -> Page:
        """Return up to 100 contacts of the list, in the order of their ids; every walk is complete."""
        query: dict[str, str | int] = {"limit": PAGE}
        if cursor:
            query["after"] = cursor
        path = f"{self._list_path()}/memberships"
        page = await self._lists.get(path, _Memberships, query=query, headers=self._headers)
        people = [_person(each) for each in await self._contacts([each.record_id for each in page.results])]
        following = None if page.paging is None or page.paging.next is None else page.paging.next.after
        if following is None:
            return Page(people, bookmark=self._connection.now().isoformat(), is_complete=True)
        if following == cursor:
            raise BadAnswer("HubSpot reports another page but gives no valid cursor for it.")
        return Page(people, cursor=following)

    async def look_up(self, external_ids: Sequence[str]) -> dict[str, Person]:
        """Read contacts by id, and check whether each is in the list."""
        valid = [each for each in external_ids if each.isascii() and each.isdecimal()]
        found = {each: Person(each, state=PersonState.DELETED) for each in external_ids}
        for contact in await self._contacts(valid):
            path = f"/crm/v3/lists/records/{CONTACTS}/{contact.id}/memberships"
            lists = await self._api.get(path, _ListsOf, headers=self._headers)
            is_member = self._setting("list_id") in {each.list_id for each in lists.results}
            found[contact.id] = _person(contact, PersonState.MEMBER if is_member else PersonState.LEFT)
        return found

    async def write_opt_out(self, external_id: str, *, at: datetime) -> None:
        """Set the property to a value that its type accepts."""
        name = self._setting("opt_out_property")
        api = self._api.about(scope="opt_out_property", thing="The property for opt-outs")
        kind = (await api.get(f"/crm/v3/properties/contacts/{name}", _Property, headers=self._headers)).type
        value = {"bool": "true", "enumeration": "opted_out", "number": "1"}.get(kind, f"{at:%Y-%m-%d}")
        if kind == "datetime":
            value = at.isoformat()
        path = f"/crm/v3/objects/contacts/{external_id}"
        await self._api.about(scope=None, thing="The contact").send(
            "PATCH", path, json={"properties": {name: value}}, headers=self._headers
        )

    def _list_path(self) -> str:
        return f"/crm/v3/lists/{self._setting('list_id')}"

    def _more(self) -> list[str]:
        return [name.strip() for name in self._setting("properties").split(",") if name.strip()]

    async def _properties(self) -> list[_Property]:
        if self._known is None:
            answer = await self._api.get("/crm/v3/properties/contacts", _Properties, headers=self._headers)
            self._known = [each for each in answer.results if not each.archived]
        return self._known

    async def _read_properties(self) -> list[_Property]:
        """Return the properties to read: the standard ones, those named in `properties`, and the account's own."""
        more = set(self._more())
        chosen = [
            each
            for each in await self._properties()
            if each.name in OWN or each.name in more or not each.hubspot_defined
        ]
        order = [*OWN, *more]
        return sorted(chosen, key=lambda each: order.index(each.name) if each.name in order else len(order))[
            :MAX_PROPERTIES
        ]

    async def _contacts(self, ids: Sequence[str]) -> list[_Contact]:
        if not ids:
            return []
        names = [each.name for each in await self._read_properties()]
        body = {"properties": [*names, UNSUBSCRIBED], "inputs": [{"id": each} for each in ids]}
        path = "/crm/v3/objects/contacts/batch/read"
        # HubSpot responds with 207 and omits contacts that do not exist.
        answer = await self._api.post(path, _Contacts, body, headers=self._headers, is_read=True)
        return [each for each in answer.results if not each.archived]


def _person(contact: _Contact, state: PersonState = PersonState.MEMBER) -> Person:
    values = {key: value for key, value in contact.properties.items() if key != UNSUBSCRIBED}
    return Person(
        contact.id,
        texts(values),
        state=state,
        is_unsubscribed=contact.properties.get(UNSUBSCRIBED) == "true",
        updated_at=read_time(contact.updated_at),
    )
