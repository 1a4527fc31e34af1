"""An in-memory service and its connectors, for the tests of synced lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar
from urllib.parse import urlencode

from msvs.connectors.base import (
    Account,
    Capabilities,
    Choice,
    Connector,
    CredentialsRefused,
    Field,
    Gone,
    InvalidSetting,
    Page,
    Person,
    PersonState,
    Setting,
    SettingKind,
    Target,
)
from msvs.connectors.registry import CONNECTORS

KIND = "fake"
SECRET = "a secret for the tests' sources"


@dataclass
class Service:
    """The state of the service: its people in order, its page size, and the errors to raise next."""

    people: dict[str, Person] = field(default_factory=dict)
    page_size: int = 2
    errors: list[Exception | None] = field(default_factory=list)
    opted_out: list[tuple[str, datetime]] = field(default_factory=list)
    pages: list[tuple[str | None, str | None]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    is_complete: bool = True
    # People that exist but are missing from list pages, as with an eventually consistent endpoint.
    lagging: set[str] = field(default_factory=set)
    token: str = "key-1"
    codes: set[str] = field(default_factory=lambda: {"code-1"})
    # The file that opt-outs are written into besides, for a process that is killed.
    book: str | None = None

    def put(self, id: str, phone: str, name: str | None = None, **values: object) -> None:
        """Add or replace a person."""
        fields = {"phone": phone, **({} if name is None else {"first": name})}
        self.people[id] = Person(id, fields, **values)  # type: ignore[arg-type]

    def stumble(self) -> None:
        """Raise the next queued error, if any."""
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error


service = Service()


class FakeConnector(Connector):
    """A connector that reads `service`."""

    kind = KIND
    label = "Fake"
    capabilities = Capabilities(incremental=True, looks_up=False, writes_opt_outs=True, hook=True)
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("api_key", "API key", SettingKind.SECRET, is_required=True),
        Setting("tag_id", "Tag", pattern="[0-9]+", example="1042"),
        Setting("opt_out_tag", "Tag for those who opted out"),
    )
    opt_out_settings = ("opt_out_tag",)

    async def check(self) -> Account:
        """Return the account."""
        service.stumble()
        return Account("Cohort Labs", "1")

    async def fields(self) -> list[Field]:
        """Return the fields."""
        return [
            Field("phone", "Phone", target=Target.PHONE),
            Field("first", "First", target=Target.FIRST_NAME),
            Field("tier", "Tier"),
        ]

    async def fetch_page(self, *, since: str | None = None, cursor: str | None = None) -> Page:
        """Return the next page. An incremental read returns the people with an id above the bookmark."""
        service.stumble()
        service.pages.append((since, cursor))
        found = [
            each for id, each in service.people.items() if id not in service.lagging and (since is None or id > since)
        ]
        start = int(cursor or 0)
        end = start + service.page_size
        if end < len(found):
            return Page(found[start:end], str(end))
        last = max(service.people, default=since)
        return Page(found[start:end], None, last, service.is_complete and since is None)

    async def look_up(self, external_ids: Sequence[str]) -> dict[str, Person]:
        """Return the current state of people."""
        service.stumble()
        service.asked += external_ids
        return {id: service.people.get(id) or Person(id, state=PersonState.DELETED) for id in external_ids}

    async def write_opt_out(self, external_id: str, *, at: datetime) -> None:
        """Record that a person opted out."""
        service.stumble()
        if external_id not in service.people:
            raise Gone("The person is no longer there.")
        service.opted_out.append((external_id, at))
        if service.book is not None:
            write_down(service.book, external_id)


def write_down(book: str, external_id: str) -> None:
    """Append a person to a file."""
    with open(book, "a") as file:
        file.write(f"{external_id}\n")


class LookingConnector(FakeConnector):
    """A connector that can look up single people."""

    kind = "looking"
    capabilities = Capabilities(incremental=True, looks_up=True, hook=True)


class RotatingConnector(FakeConnector):
    """A connector whose token is replaced, and the old one revoked, with every page."""

    kind = "rotating"

    async def fetch_page(self, *, since: str | None = None, cursor: str | None = None) -> Page:
        """Return the next page. Accept only the current token."""
        assert self._setting("api_key") == service.token or service.pages, "the current token is used"
        service.token = f"key-{len(service.pages) + 2}"
        await self._connection.keep_secrets({"api_key": service.token})
        return await super().fetch_page(since=since, cursor=cursor)


class GrantingConnector(FakeConnector):
    """A connector whose users grant access by OAuth, and choose one of the lists of their account."""

    kind = "granting"
    capabilities = Capabilities(oauth=True)
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("client_id", "Client ID"),
        Setting("client_secret", "Client secret", SettingKind.SECRET),
        Setting("access_token", "Access token", SettingKind.SECRET, is_granted=True),
        Setting("list_id", "List", is_required=True, is_listed=True),
    )
    opt_out_settings = ()

    @classmethod
    def needs_grant(cls, settings: Mapping[str, str]) -> bool:
        """Return whether there is no token yet."""
        if not settings.get("client_id"):
            raise InvalidSetting("Add an app.", setting="client_id")
        return not settings.get("access_token")

    async def check(self) -> Account:
        """Return the account, for the current token alone."""
        if self._setting("access_token") != service.token:
            raise CredentialsRefused("Refused.", setting="access_token")
        return await super().check()

    async def choices(self, setting: str) -> list[Choice]:
        """Return the lists."""
        return [Choice("7", "Cohort 07"), Choice("8", "C" * 300)]

    def authorize_url(self, *, redirect_uri: str, state: str) -> str:
        """Return the page of the service."""
        return f"https://service.example/authorize?{urlencode({'redirect_uri': redirect_uri, 'state': state})}"

    async def exchange_code(self, code: str, *, redirect_uri: str) -> Mapping[str, str]:
        """Exchange a code once."""
        service.stumble()
        service.asked.append(f"{code} {redirect_uri}")
        if code not in service.codes:
            raise CredentialsRefused("Refused.", setting="access_token")
        service.codes.remove(code)
        return {"access_token": service.token}


KINDS: Mapping[str, type[Connector]] = {
    each.kind: each for each in (FakeConnector, GrantingConnector, LookingConnector, RotatingConnector)
}


@asynccontextmanager
async def serving() -> AsyncIterator[Service]:
    """Register the connectors of an empty service for the duration of the context."""
    service.__init__()  # type: ignore[misc]
    assert isinstance(CONNECTORS, dict)
    CONNECTORS.update(KINDS)
    try:
        yield service
    finally:
        for kind in KINDS:
            del CONNECTORS[kind]
