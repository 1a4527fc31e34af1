"""Test harness for connectors: each connector with a fake service that tests control."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from msvs.api.contacts.import_files import read_table
from msvs.connectors.base import Connection, Connector, Page, Person
from msvs.connectors.registry import open_connector
from msvs.http_client import HttpClient
from tests.connectors.fakes import activecampaign, files, hubspot, kajabi, kit, shopify
from tests.connectors.fakes.activecampaign import FakeActiveCampaign
from tests.connectors.fakes.files import FakeFiles
from tests.connectors.fakes.hubspot import FakeHubspot
from tests.connectors.fakes.kajabi import FakeKajabi
from tests.connectors.fakes.kit import FakeKit
from tests.connectors.fakes.server import LOCAL, FakeService
from tests.connectors.fakes.shopify import FakeShopify

NAMES = ("João Ñandú", "Δημήτρης", "山田 太郎", "O'Brien", "👩‍🚀")


class Service(ABC):
    """A fake service, with methods to add and remove people. A new connector adds a subclass and a line in SERVICES.

    `settings` select the people that tests add. `scope` is the setting named by an error once the source is deleted,
    and `credentials` the one named once access is revoked. `secrets` must never appear in output. `page_size` is the
    connector's. `pages_shift`: pages are addressed by number or offset, so people move between pages.
    """

    kind: str
    settings: Mapping[str, str]
    secrets: tuple[str, ...]
    credentials: str | None
    scope: str | None
    page_size: int
    pages_shift = False

    def __init__(self) -> None:
        self.fake = self.make_fake()
        self.http = HttpClient(LOCAL)
        self.kept: list[dict[str, str]] = []
        self.now: datetime | None = None
        self._opened: list[Connector] = []

    @abstractmethod
    def make_fake(self) -> FakeService:
        """Return the fake server of the service."""

    @abstractmethod
    def add(self, number: int) -> str:
        """Add a person whose phone is `+1415555` and the four-digit number, and return their external id."""

    @abstractmethod
    def take_off(self, number: int) -> None:
        """Remove a person from the source."""

    @abstractmethod
    def withdraw(self) -> None:
        """Revoke the credentials."""

    @abstractmethod
    def delete_scope(self) -> None:
        """Delete the source, such as the tag or list."""

    @abstractmethod
    def phone_of(self, person: Person) -> str:
        """Return the phone of a person as read by the connector."""

    def open(self, settings: Mapping[str, str] | None = None) -> Connector:
        """Return a connector for the fake service, closed with the service."""

        async def keep(secrets: Mapping[str, str]) -> None:
            self.kept.append(dict(secrets))

        opened = open_connector(
            self.kind,
            Connection(
                self.settings if settings is None else settings,
                self.http,
                keep_secrets=keep,
                now=lambda: self.now or datetime.now(UTC),
                origin=self.fake.origin,
                **self.extras(),
            ),
        )
        self._opened.append(opened)
        return opened

    def extras(self) -> dict[str, Any]:
        """Return additional arguments for the connection."""
        return {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Service]:
        """Run the service, then close its connectors."""
        await self.fake.listen()
        try:
            yield self
        finally:
            for connector in self._opened:
                await connector.close()
            await self.http.close()
            await self.fake.go_away()


async def walk(connector: Connector, *, since: str | None = None, cursor: str | None = None) -> list[Page]:
    """Return every page of a walk."""
    pages: list[Page] = []
    while True:
        page = await connector.fetch_page(since=since, cursor=cursor)
        pages.append(page)
        if page.is_last:
            return pages
        cursor = page.cursor
        assert len(pages) < 1000


def people_of(pages: list[Page]) -> dict[str, Person]:
    """Return the people of a walk by id; the last occurrence wins."""
    return {person.external_id: person for page in pages for person in page.people}


class KitService(Service):
    kind = "kit"
    settings = {"api_key": kit.API_KEY, "tag_id": str(kit.TAG)}  # noqa: RUF012
    secrets = (kit.API_KEY,)
    credentials = "api_key"
    scope = "tag_id"
    page_size = 500
    fake: FakeKit

    def make_fake(self) -> FakeKit:
        return FakeKit()

    def add(self, number: int) -> str:
        self.fake.add(number, f"+1415555{number:04}", first_name=NAMES[number % len(NAMES)], tags={kit.TAG})
        return str(number)

    def take_off(self, number: int) -> None:
        self.fake.people[number].tags.discard(kit.TAG)

    def withdraw(self) -> None:
        self.fake.keys.clear()

    def delete_scope(self) -> None:
        del self.fake.tags[kit.TAG]

    def phone_of(self, person: Person) -> str:
        return person.fields["fields.phone"]


class CsvService(Service):
    kind = "csv"
    secrets = (files.TOKEN,)
    credentials = "url"
    scope = "url"
    page_size = 1000
    fake: FakeFiles

    @property
    def settings(self) -> Mapping[str, str]:  # type: ignore[override]
        return {"url": f"{self.fake.origin}/{files.TOKEN}/people.csv"}

    def make_fake(self) -> FakeFiles:
        return FakeFiles()

    def extras(self) -> dict[str, Any]:
        return {"read_table": read_table}

    def add(self, number: int) -> str:
        self.fake.rows[number] = (f"+1415555{number:04}", NAMES[number % len(NAMES)], "São Paulo")
        return sha256(f"id\0{f'1415555{number:04}'}".encode()).hexdigest()[:32]

    def take_off(self, number: int) -> None:
        del self.fake.rows[number]

    def withdraw(self) -> None:
        self.fake.is_private = True

    def delete_scope(self) -> None:
        self.fake.is_gone = True

    def phone_of(self, person: Person) -> str:
        return person.fields["Phone"]


class ShopifyService(Service):
    kind = "shopify"
    settings = {"shop": shopify.SHOP, "client_id": shopify.CLIENT_ID, "client_secret": shopify.CLIENT_SECRET}  # noqa: RUF012
    secrets = (shopify.CLIENT_SECRET, "granted-1")
    credentials = "client_secret"
    scope = "shop"
    page_size = 100
    fake: FakeShopify

    def make_fake(self) -> FakeShopify:
        return FakeShopify()

    def add(self, number: int) -> str:
        self.fake.add(number, f"+1415555{number:04}", first_name=NAMES[number % len(NAMES)])
        return str(number)

    def take_off(self, number: int) -> None:
        del self.fake.people[number]

    def withdraw(self) -> None:
        self.fake.secrets.clear()
        self.fake.tokens.clear()

    def delete_scope(self) -> None:
        self.fake.is_there = False

    def phone_of(self, person: Person) -> str:
        return person.fields["phone"]


class HubspotService(Service):
    kind = "hubspot"
    settings = {"access_token": hubspot.ACCESS_TOKEN, "list_id": hubspot.LIST}  # noqa: RUF012
    secrets = (hubspot.ACCESS_TOKEN,)
    credentials = "access_token"
    scope = "list_id"
    page_size = 100
    fake: FakeHubspot

    def make_fake(self) -> FakeHubspot:
        return FakeHubspot()

    def add(self, number: int) -> str:
        self.fake.add(number, f"+1415555{number:04}", firstname=NAMES[number % len(NAMES)])
        return str(number)

    def take_off(self, number: int) -> None:
        self.fake.people[number].lists.discard(hubspot.LIST)

    def withdraw(self) -> None:
        self.fake.tokens.clear()

    def delete_scope(self) -> None:
        del self.fake.lists[hubspot.LIST]

    def phone_of(self, person: Person) -> str:
        return person.fields["phone"]


class ActiveCampaignService(Service):
    kind = "activecampaign"
    settings = {  # noqa: RUF012
        "url": "https://cohortlabs.api-us1.com",
        "api_key": activecampaign.API_KEY,
        "list_id": activecampaign.LIST,
    }
    secrets = (activecampaign.API_KEY,)
    credentials = "api_key"
    scope = "list_id"
    page_size = 100
    fake: FakeActiveCampaign

    def make_fake(self) -> FakeActiveCampaign:
        return FakeActiveCampaign()

    def add(self, number: int) -> str:
        self.fake.add(number, f"+1415555{number:04}", first_name=NAMES[number % len(NAMES)])
        return str(number)

    def take_off(self, number: int) -> None:
        self.fake.people[number].lists[activecampaign.LIST] = "2"

    def withdraw(self) -> None:
        self.fake.keys.clear()

    def delete_scope(self) -> None:
        del self.fake.lists[activecampaign.LIST]

    def phone_of(self, person: Person) -> str:
        return person.fields["phone"]


class KajabiService(Service):
    kind = "kajabi"
    settings = {"client_id": kajabi.CLIENT_ID, "client_secret": kajabi.CLIENT_SECRET, "tag_id": kajabi.TAG}  # noqa: RUF012
    secrets = (kajabi.CLIENT_SECRET, "token-1")
    credentials = "client_secret"
    scope = "tag_id"
    page_size = 100
    pages_shift = True
    fake: FakeKajabi

    def make_fake(self) -> FakeKajabi:
        return FakeKajabi()

    def add(self, number: int) -> str:
        self.fake.add(number, f"+1415555{number:04}", name=NAMES[number % len(NAMES)])
        return str(number)

    def take_off(self, number: int) -> None:
        self.fake.people[number].tags.discard(kajabi.TAG)

    def withdraw(self) -> None:
        self.fake.secrets.clear()

    def delete_scope(self) -> None:
        del self.fake.tags[kajabi.TAG]

    def phone_of(self, person: Person) -> str:
        return person.fields["phone_number"]


SERVICES: tuple[type[Service], ...] = (
    KitService,
    CsvService,
    ShopifyService,
    HubspotService,
    ActiveCampaignService,
    KajabiService,
)
