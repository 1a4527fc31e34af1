"""ActiveCampaign API v3: sync the active contacts of a list, with their custom fields."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar
from urllib.parse import urlsplit

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
    Page,
    Person,
    PersonState,
    Setting,
    SettingKind,
    Target,
)
from msvs.connectors.calls import Api, Concern, read_time, texts

# ActiveCampaign's maximum page size.
PAGE = 100
MAX_LISTED = 20
ACTIVE, UNSUBSCRIBED = "1", "2"
TYPES = {"date": FieldType.DATE, "datetime": FieldType.TIME, "number": FieldType.NUMBER, "currency": FieldType.NUMBER}


class _Contact(msgspec.Struct, rename="camel"):
    id: str
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    cdate: str | None = None
    udate: str | None = None


class _Value(msgspec.Struct):
    field: str
    contact: str
    value: object = None


class _Contacts(msgspec.Struct, rename="camel"):
    contacts: list[_Contact]
    field_values: list[_Value] = []


class _Membership(msgspec.Struct):
    list: str
    status: str | int = ""


class _OneContact(msgspec.Struct, rename="camel"):
    contact: _Contact
    field_values: list[_Value] = []
    contact_lists: list[_Membership] = []


class _List(msgspec.Struct):
    id: str
    name: str = ""


class _OneList(msgspec.Struct):
    list: _List


class _Lists(msgspec.Struct):
    lists: list[_List]


class _FieldOf(msgspec.Struct):
    id: str
    title: str = ""
    type: str = "text"


class _Fields(msgspec.Struct):
    fields: list[_FieldOf]


class _User(msgspec.Struct):
    username: str = ""
    id: str = ""


class _Me(msgspec.Struct):
    user: _User


class ActiveCampaignConnector(Connector):
    """Reads the active contacts of a list. A contact who unsubscribes from the list has left it."""

    kind = "activecampaign"
    label = "ActiveCampaign"
    capabilities = Capabilities(looks_up=True, writes_opt_outs=True)
    opt_out_settings = ("opt_out_field",)
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            "url",
            "API URL",
            SettingKind.URL,
            is_required=True,
            help="In ActiveCampaign: Settings, Developer.",
            pattern=r"https://[a-z0-9][a-z0-9-]{0,60}\.(?:api-[a-z]{2}[0-9]|activehosted)\.com/?",
            example="https://cohortlabs.api-us1.com",
        ),
        Setting(
            "api_key", "API key", SettingKind.SECRET, is_required=True, help="In ActiveCampaign: Settings, Developer."
        ),
        Setting("list_id", "List", is_required=True, pattern=r"[0-9]{1,12}", example="3", is_listed=True),
        Setting(
            "opt_out_field",
            "Custom field for opt-outs",
            help="Set to the date when a contact opts out of text messages.",
            pattern=r"[0-9]{1,12}",
            example="12",
            is_listed=True,
        ),
    )

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._headers = {"Api-Token": self._setting("api_key")}
        concern = Concern(credentials="api_key", scope="url", thing="The account", address="url")
        self._api = Api(connection, self.label, self._setting("url"), concern)
        self._lists = self._api.about(scope="list_id", thing="The list")

    async def check(self) -> Account:
        """Return the account's name, after checking that the list and the opt-out field exist."""
        await self._api.get("/api/3/users/me", _Me, headers=self._headers)
        await self._check_list()
        if (field := self._setting("opt_out_field")) and field not in {each.id for each in await self._fields()}:
            raise Gone("The custom field for opt-outs was not found at ActiveCampaign.", setting="opt_out_field")
        return Account((urlsplit(self._setting("url")).hostname or self.label).partition(".")[0])

    async def fields(self) -> list[Field]:
        """Return the standard contact fields and the account's custom fields."""
        return [
            Field("phone", "Phone", target=Target.PHONE),
            Field("email", "E-mail address", target=Target.EMAIL),
            Field("first_name", "First name", target=Target.FIRST_NAME),
            Field("last_name", "Last name", target=Target.LAST_NAME),
            Field("created_at", "Created", FieldType.TIME),
            *(
                Field(f"fields.{each.id}", each.title or each.id, TYPES.get(each.type, FieldType.TEXT))
                for each in await self._fields()
            ),
        ]

    async def choices(self, setting: str) -> list[Choice]:
        """Return the lists or the custom fields of the account."""
        if setting == "opt_out_field":
            return [Choice(each.id, each.title) for each in await self._fields()]
        if setting != "list_id":
            return []
        found: list[Choice] = []
        for at in range(MAX_LISTED):
            query = {"limit": PAGE, "offset": at * PAGE}
            page = await self._api.get("/api/3/lists", _Lists, query=query, headers=self._headers)
            found += [Choice(each.id, each.name) for each in page.lists]
            if len(page.lists) < PAGE:
                break
        return found

    async def fetch_page(self, *, since: str | None = None, cursor: str | None = None) -> Page:
        """Return up to 100 contacts in the order of their ids; every walk is complete."""
        after = int(cursor) if cursor and cursor.isascii() and cursor.isdecimal() and len(cursor) < 19 else 0
        if after == 0:
            await self._check_list()
        query: dict[str, str | int] = {
            "listid": self._setting("list_id"),
            "status": ACTIVE,
            "id_greater": after,
            "orders[id]": "ASC",
            "include": "fieldValues",
            "limit": PAGE,
        }
        page = await self._lists.get("/api/3/contacts", _Contacts, query=query, headers=self._headers)
        values = _by_contact(page.field_values)
        people = [_person(each, values.get(each.id, {})) for each in page.contacts]
        if len(page.contacts) == PAGE:
            last = max(int(each.id) for each in page.contacts if each.id.isdecimal())
            if last <= after:
                raise BadAnswer("ActiveCampaign returns the same contacts again and again.")
            return Page(people, cursor=str(last))
        # For a deleted list ActiveCampaign returns no contacts and no error, so check the list before ending the walk.
        await self._check_list()
        return Page(people, bookmark=self._connection.now().isoformat(), is_complete=True)

    async def look_up(self, external_ids: Sequence[str]) -> dict[str, Person]:
        """Read contacts one by one, and check whether each is active on the list."""
        return {external_id: await self._look_up(external_id) for external_id in external_ids}

    async def _look_up(self, external_id: str) -> Person:
        gone = Person(external_id, state=PersonState.DELETED)
        if not (external_id.isascii() and external_id.isdecimal()):
            return gone
        try:
            found = await self._api.get(f"/api/3/contacts/{external_id}", _OneContact, headers=self._headers)
        except Gone:
            return gone
        states = {each.list: str(each.status) for each in found.contact_lists}
        status = states.get(self._setting("list_id"))
        state = PersonState.MEMBER if status == ACTIVE else PersonState.LEFT
        values = _by_contact(found.field_values)
        return _person(found.contact, values.get(external_id, {}), state, is_unsubscribed=status == UNSUBSCRIBED)

    async def write_opt_out(self, external_id: str, *, at: datetime) -> None:
        """Set the custom field to the date, replacing its value."""
        value = {"contact": external_id, "field": self._setting("opt_out_field"), "value": f"{at:%Y-%m-%d}"}
        api = self._api.about(scope=None, thing="The contact")
        await api.send("POST", "/api/3/fieldValues", json={"fieldValue": value}, headers=self._headers)

    async def _check_list(self) -> None:
        await self._lists.get(f"/api/3/lists/{self._setting('list_id')}", _OneList, headers=self._headers)

    async def _fields(self) -> list[_FieldOf]:
        found: list[_FieldOf] = []
        for at in range(MAX_LISTED):
            query = {"limit": PAGE, "offset": at * PAGE}
            page = await self._api.get("/api/3/fields", _Fields, query=query, headers=self._headers)
            found += page.fields
            if len(page.fields) < PAGE:
                break
        return found


def _by_contact(values: Sequence[_Value]) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for each in values:
        # ActiveCampaign encodes multiple choices as ||one||two||.
        value = each.value
        if isinstance(value, str) and value.startswith("||"):
            value = ", ".join(filter(None, value.split("||")))
        found.setdefault(each.contact, {})[each.field] = value
    return found


def _person(
    contact: _Contact,
    values: dict[str, object],
    state: PersonState = PersonState.MEMBER,
    *,
    is_unsubscribed: bool = False,
) -> Person:
    own = {
        "phone": contact.phone,
        "email": contact.email,
        "first_name": contact.first_name,
        "last_name": contact.last_name,
        "created_at": contact.cdate,
    }
    return Person(
        contact.id,
        {**texts(own), **texts(values, "fields.")},
        state=state,
        is_unsubscribed=is_unsubscribed,
        updated_at=read_time(contact.udate),
    )
