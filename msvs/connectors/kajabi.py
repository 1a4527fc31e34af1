"""Kajabi public API v1: sync the contacts of a site, or only those with a tag."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, TypeVar

import msgspec

from msvs.connectors.base import (
    Account,
    BadAnswer,
    Capabilities,
    Choice,
    Connection,
    Connector,
    CredentialsRefused,
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
from msvs.connectors.calls import Api, Concern, RequestRefused, read_time, texts

ORIGIN = "https://api.kajabi.com"
PAGE = 100
MAX_LISTED = 20


class _ContactAttributes(msgspec.Struct):
    name: str | None = None
    email: str | None = None
    phone_number: str | None = None
    mobile_phone_number: str | None = None
    business_number: str | None = None
    subscribed: bool | None = None
    address_city: str | None = None
    address_state: str | None = None
    address_country: str | None = None
    external_user_id: str | None = None
    custom_1: str | None = None
    custom_2: str | None = None
    custom_3: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class _Contact(msgspec.Struct):
    id: str
    attributes: _ContactAttributes


class _Meta(msgspec.Struct):
    total_pages: int
    total_count: int
    current_page: int


class _Contacts(msgspec.Struct):
    data: list[_Contact]
    meta: _Meta


class _OneContact(msgspec.Struct):
    data: _Contact


class _Named(msgspec.Struct):
    title: str | None = None
    name: str | None = None


class _Thing(msgspec.Struct, frozen=True):
    id: str
    attributes: _Named | None = None

    @property
    def label(self) -> str:
        """Return the title or name, or else the id."""
        named = self.attributes or _Named()
        return named.title or named.name or self.id


class _Things(msgspec.Struct):
    data: list[_Thing]


class _OneThing(msgspec.Struct):
    data: _Thing


class _Token(msgspec.Struct):
    access_token: str


class KajabiConnector(Connector):
    """Reads all contacts on every walk, since Kajabi cannot filter by change."""

    kind = "kajabi"
    label = "Kajabi"
    capabilities = Capabilities(looks_up=True, writes_opt_outs=True)
    opt_out_settings = ("opt_out_tag_id",)
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            "client_id",
            "Client ID",
            is_required=True,
            help="In Kajabi: Settings, Public API, Create User API Key.",
            pattern=r"[\w-]+",
            example="Jx4mG2qk",
        ),
        Setting(
            "client_secret", "Client secret", SettingKind.SECRET, is_required=True, help="Shown beside the client ID."
        ),
        Setting(
            "site_id",
            "Site",
            help="Required if the account has several sites.",
            pattern=r"[0-9]{1,18}",
            example="2147",
            is_listed=True,
        ),
        Setting(
            "tag_id",
            "Tag",
            help="Sync only contacts with this tag. Without a tag, all contacts are synced.",
            pattern=r"[0-9]{1,18}",
            example="914",
            is_listed=True,
        ),
        Setting(
            "opt_out_tag_id",
            "Tag for opt-outs",
            help="Added to contacts who opt out of text messages.",
            pattern=r"[0-9]{1,18}",
            example="915",
            is_listed=True,
        ),
    )

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._token = ""
        self._api = Api(connection, self.label, ORIGIN, Concern(credentials="client_secret"))

    async def check(self) -> Account:
        """Return the site's name, after checking that the tags exist."""
        sites = await self._sites()
        site = self._setting("site_id")
        if not site and len(sites) > 1:
            raise InvalidSetting("The account has several sites: choose one.", setting="site_id")
        chosen = next((each for each in sites if each.id == site or not site), None)
        if chosen is None:
            raise Gone("The site was not found at Kajabi.", setting="site_id")
        for setting in ("tag_id", "opt_out_tag_id"):
            await self._check_tag(setting)
        return Account(chosen.label, chosen.id)

    async def fields(self) -> list[Field]:
        """Return the fields of contacts. The API does not return the account's names for custom fields."""
        return [
            Field("phone_number", "Phone", target=Target.PHONE),
            Field("mobile_phone_number", "Mobile phone", target=Target.PHONE),
            Field("business_number", "Business number"),
            Field("name", "Name", target=Target.FULL_NAME),
            Field("email", "E-mail address", target=Target.EMAIL),
            Field("subscribed", "Subscribed to e-mail", FieldType.BOOLEAN),
            Field("address_city", "City"),
            Field("address_state", "State"),
            Field("address_country", "Country", target=Target.COUNTRY),
            Field("external_user_id", "External user ID"),
            *(Field(f"custom_{at}", f"Custom field {at}") for at in (1, 2, 3)),
            Field("created_at", "Created", FieldType.TIME),
        ]

    async def choices(self, setting: str) -> list[Choice]:
        """Return the sites of the account or the tags of the site."""
        if setting == "site_id":
            return [Choice(each.id, each.label) for each in await self._sites()]
        if setting not in ("tag_id", "opt_out_tag_id"):
            return []
        query = {"filter[site_id]": self._setting("site_id")} if self._setting("site_id") else {}
        return [Choice(each.id, each.label) for each in await self._things("/v1/contact_tags", query)]

    async def fetch_page(self, *, since: str | None = None, cursor: str | None = None) -> Page:
        """Return up to 100 contacts, oldest first.

        Pages are numbered, so contacts shift between pages when others are deleted or lose the tag. If the total falls
        during the walk, contacts may have been skipped, and the walk is not complete.
        """
        number, total = _read_cursor(cursor)
        if number == 1:
            await self._check_tag("tag_id")
        query: dict[str, str | int] = {"page[number]": number, "page[size]": PAGE, "sort": "created_at"}
        if site := self._setting("site_id"):
            query["filter[site_id]"] = site
        if tag := self._setting("tag_id"):
            query["filter[has_tag_id]"] = tag
        page = await self._get("/v1/contacts", _Contacts, query)
        if page.data and page.meta.current_page != number:
            raise BadAnswer("Kajabi returned a different page than requested.")
        least = page.meta.total_count if total is None else min(total, page.meta.total_count)
        has_shrunk = total is not None and (total < 0 or page.meta.total_count < total)
        people = [_person(each) for each in page.data]
        if number < page.meta.total_pages and people:
            return Page(people, cursor=f"{number + 1}:{-1 if has_shrunk else least}")
        # For a deleted tag Kajabi returns no contacts and no error, so check the tag before ending the walk.
        await self._check_tag("tag_id")
        return Page(people, bookmark=self._connection.now().isoformat(), is_complete=not has_shrunk)

    async def look_up(self, external_ids: Sequence[str]) -> dict[str, Person]:
        """Read contacts one by one, and check whether each has the tag."""
        return {external_id: await self._look_up(external_id) for external_id in external_ids}

    async def _look_up(self, external_id: str) -> Person:
        if not (external_id.isascii() and external_id.isdecimal()):
            return Person(external_id, state=PersonState.DELETED)
        path = f"/v1/contacts/{external_id}"
        try:
            found = (await self._get(path, _OneContact)).data
            tags = await self._get(f"{path}/relationships/tags", _Things) if self._setting("tag_id") else None
        except Gone:
            return Person(external_id, state=PersonState.DELETED)
        has_left = tags is not None and self._setting("tag_id") not in {each.id for each in tags.data}
        return _person(found, PersonState.LEFT if has_left else PersonState.MEMBER)

    async def write_opt_out(self, external_id: str, *, at: datetime) -> None:
        """Add the opt-out tag to the contact."""
        body = {"data": [{"type": "contact_tags", "id": self._setting("opt_out_tag_id")}]}
        path = f"/v1/contacts/{external_id}/relationships/tags"
        api = self._api.about(scope=None, thing="The contact")
        await api.send("POST", path, json=body, headers=await self._headers())

    async def _sites(self) -> list[_Thing]:
        return await self._things("/v1/sites", {})

    async def _check_tag(self, setting: str) -> None:
        if tag := self._setting(setting):
            api = self._api.about(scope=setting, thing="The tag")
            await api.get(f"/v1/contact_tags/{tag}", _OneThing, headers=await self._headers())

    async def _things(self, path: str, query: dict[str, str]) -> list[_Thing]:
        """Return all items of a short list, up to MAX_LISTED pages."""
        found: list[_Thing] = []
        for number in range(1, MAX_LISTED + 1):
            page = await self._get(path, _Things, {**query, "page[number]": number, "page[size]": PAGE})
            found += page.data
            if len(page.data) < PAGE:
                break
        return found

    async def _get(self, path: str, type: type[_T], query: dict[str, str | int] | None = None) -> _T:
        return await self._api.get(path, type, query=query or {}, headers=await self._headers())

    async def _headers(self) -> dict[str, str]:
        """Return the authorization header. The token is requested once and kept for the connector's lifetime."""
        if not self._token:
            form = {"client_id": self._setting("client_id"), "client_secret": self._setting("client_secret")}
            try:
                answer = await self._api.post_form(
                    "/v1/oauth/token", _Token, {"grant_type": "client_credentials", **form}
                )
            except RequestRefused:
                raise CredentialsRefused("Kajabi refuses the credentials.", setting="client_secret") from None
            self._token = answer.access_token
        return {"Authorization": f"Bearer {self._token}"}


_T = TypeVar("_T", _Contacts, _OneContact, _Things, _OneThing)


def _read_cursor(cursor: str | None) -> tuple[int, int | None]:
    """Return the page number and the initial total of contacts, which is -1 once contacts may have been skipped."""
    number, _, total = (cursor or "").partition(":")
    if not (number.isascii() and number.isdecimal() and len(number) < 10 and int(number) > 1):
        return 1, None
    try:
        return int(number), int(total)
    except ValueError:
        return 1, None


def _person(contact: _Contact, state: PersonState = PersonState.MEMBER) -> Person:
    own = contact.attributes
    values = {name: getattr(own, name) for name in own.__struct_fields__ if name != "updated_at"}
    is_unsubscribed = own.subscribed is False
    return Person(
        contact.id, texts(values), state=state, is_unsubscribed=is_unsubscribed, updated_at=read_time(own.updated_at)
    )
