"""The interface of a connector, which reads the people of another service for a list that is kept in step with it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import BinaryIO, ClassVar, Protocol

from msvs.http_client import HttpClient

MAX_SETTING = 2048
# How many people a connector looks up in one call: some services take two calls for each, of 120 a minute.
MAX_LOOKED_UP = 25
# And how many it reads in one page.
MAX_PAGE = 1000
# A cursor and a bookmark are no longer.
MAX_CURSOR = 2000


class Target(StrEnum):
    """The part of a contact that a field can fill. A field that fills none becomes an attribute, or is left out."""

    PHONE = "phone"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    FULL_NAME = "full_name"
    EMAIL = "email"
    COUNTRY = "country"
    TIMEZONE = "timezone"


class FieldType(StrEnum):
    """The type of a field's values, which are text: a `time` is ISO 8601 with its offset, a `boolean` true or false."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Field:
    """A field that people of the service have; `key` is its key in `Person.fields`.

    `target` is what the mapping proposes for it.
    """

    key: str
    label: str
    type: FieldType = FieldType.TEXT
    target: Target | None = None


class ClaimStatus(StrEnum):
    """The consent to text messages that a service reports."""

    OPTED_IN = "opted_in"
    OPTED_OUT = "opted_out"


@dataclass(frozen=True, slots=True)
class ConsentClaim:
    """What a service says of a person's consent to text messages, never to e-mail.

    `at` is when it was given or withdrawn by the service's clock, `source` where it was collected, and `text` what else
    the service tells of it: its level, the words that the person saw. `ip` is the address that it came from.
    """

    status: ClaimStatus
    at: datetime | None
    source: str
    text: str | None = None
    ip: str | None = None


class PersonState(StrEnum):
    """Whether a person is on what the list is kept in step with.

    `left`: no longer there; `deleted`: the service no longer has the person. Neither says anything of consent.
    """

    MEMBER = "member"
    LEFT = "left"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Person:
    """A person as the service has them, under its own id.

    `fields` holds the values as text by the keys of their fields, the phone as it is written there; blank ones are left
    out. `is_unsubscribed`: from e-mail, which says nothing of text messages. `row` is the line of a file, and `problem`
    says why a row could not be read. Only the id is shown by repr(), and it is no phone and no e-mail address.
    """

    external_id: str
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    consent: ConsentClaim | None = field(default=None, repr=False)
    state: PersonState = PersonState.MEMBER
    is_unsubscribed: bool = False
    updated_at: datetime | None = None
    row: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """At most MAX_PAGE people of a walk.

    `cursor` goes on after this page, in another process too; it is None after the last page. That one has a `bookmark`:
    give it to the next walk as `since`, to read what changed. `is_complete`, on the last page, says that the walk
    brought everybody from its first page on, so who was not among them has left; where it is false, nobody has left by
    not being seen. The same person may come on several pages; the later one holds.
    """

    people: Sequence[Person] = field(repr=False)
    cursor: str | None = None
    bookmark: str | None = None
    is_complete: bool = False

    @property
    def is_last(self) -> bool:
        """Whether the walk ends with this page."""
        return self.cursor is None


# What it needs


class SettingKind(StrEnum):
    """How a form asks for a setting. A `secret` is sealed and never shown again; a `choice` has `choices`."""

    TEXT = "text"
    URL = "url"
    SECRET = "secret"  # noqa: S105 - a kind of setting
    CHOICE = "choice"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a setting, and how it is shown."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a connector, as forms ask for it.

    `choices` are its only values; `is_listed` says that `Connector.choices` finds them in the account. One that
    `is_granted` comes from OAuth and is never asked for.
    """

    name: str
    label: str
    kind: SettingKind = SettingKind.TEXT
    is_required: bool = False
    help: str = ""
    example: str | None = None
    pattern: str | None = None
    choices: tuple[Choice, ...] = ()
    is_listed: bool = False
    is_granted: bool = False

    @property
    def is_secret(self) -> bool:
        """Whether its value is sealed."""
        return self.kind is SettingKind.SECRET


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a connector can do.

    `pulls`: its people are read page by page, else they are posted to its hook alone. `incremental`: a walk with a
    bookmark reads changes alone. `sees_deletions`: such a walk also tells who left; else only a complete one does.
    `looks_up`: single people can be read by their ids. `writes_opt_outs`: with the settings of `opt_out_settings`.
    `hook`: it reads what the service posts to us; `signed_hook`: under a signature; `registers_hook`: it registers the
    address by itself. `oauth`: its secrets can be granted by OAuth. `sms_consent`: it reports consent to text messages.
    """

    pulls: bool = True
    incremental: bool = False
    sees_deletions: bool = False
    looks_up: bool = False
    writes_opt_outs: bool = False
    hook: bool = False
    signed_hook: bool = False
    registers_hook: bool = False
    oauth: bool = False
    sms_consent: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """The account that credentials belong to: its name for people, and its id where the service has one."""

    name: str
    id: str | None = None


# What the service posts to us


@dataclass(frozen=True, slots=True)
class HookCall:
    """A request to a connector's hook, at the address that is its own. Header names are in lower case."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    now: datetime


@dataclass(frozen=True, slots=True)
class HookDelivery:
    """What a request to the hook brings.

    `delivery_id` is the same whenever the service brings it again. `people` are whole; of those in `external_ids` only
    the id is sure, and `Connector.look_up` reads them.
    """

    delivery_id: str
    people: Sequence[Person] = field(default=(), repr=False)
    external_ids: Sequence[str] = ()


# Errors


class ConnectorError(Exception):
    """A call failed. The message is for people and holds no secret, phone or e-mail address.

    `code` names the kind, `setting` the setting that it concerns, where it is one. `is_lasting`: somebody has to do
    something before it can work again.
    """

    code: ClassVar[str]
    is_lasting: ClassVar[bool] = False

    def __init__(self, message: str, *, setting: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.setting = setting


class InvalidSetting(ConnectorError):
    """A setting cannot be what it is."""

    code = "invalid_setting"
    is_lasting = True


class CredentialsRefused(ConnectorError):
    """The service refuses the credentials: they are wrong, expired, revoked, or not allowed to do this."""

    code = "credentials_refused"
    is_lasting = True


class Gone(ConnectorError):
    """What the list is kept in step with is no longer there: the tag, the list, the file. Nobody has left by that."""

    code = "gone"
    is_lasting = True


class RateLimited(ConnectorError):
    """The service wants to be left alone for `retry_after` seconds; the cursor stays good."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: float, setting: str | None = None) -> None:
        super().__init__(message, setting=setting)
        self.retry_after = retry_after


class Unavailable(ConnectorError):
    """The service cannot be reached, or fails for now; `retry_after` is what it asks for, in seconds."""

    code = "unavailable"

    def __init__(self, message: str, *, retry_after: float | None = None, setting: str | None = None) -> None:
        super().__init__(message, setting=setting)
        self.retry_after = retry_after


class BadAnswer(ConnectorError):
    """The service answered what cannot be read. It may pass; if it lasts, the connector needs a change."""

    code = "bad_answer"


class HookRefused(Exception):
    """A request to the hook is not the service's, too old, or not readable; `status` is the answer to it."""

    def __init__(self, reason: str, *, status: int = 403) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


# What it works with


class TableUnreadable(Exception):
    """A file is no table; the message says why, for people."""


class TableRow(Protocol):
    """A row of a table: the line that it begins on, and its cells."""

    @property
    def line(self) -> int: ...

    @property
    def cells(self) -> Sequence[str]: ...

    @property
    def is_cut(self) -> bool: ...


class OpenTable(Protocol):
    """A table as text: the titles of its columns, None if it has only a column of phones, and its rows.

    `fields` tells where the columns are that are known by their titles, such as `phone` and `email`.
    """

    @property
    def header(self) -> Sequence[str] | None: ...

    @property
    def fields(self) -> Mapping[str, Sequence[int]]: ...

    def rows(self) -> Iterator[TableRow]: ...


# Opens a file in any dialect and encoding. Raises TableUnreadable, while it is read too.
ReadTable = Callable[[BinaryIO], AbstractContextManager[OpenTable]]
# Keeps secrets in the place of those by the same names. They are committed when it returns.
KeepSecrets = Callable[[Mapping[str, str]], Awaitable[None]]


async def _keep_none(secrets: Mapping[str, str]) -> None:
    raise RuntimeError("nothing keeps the secrets of this connection")


def _no_table(file: BinaryIO) -> AbstractContextManager[OpenTable]:
    raise RuntimeError("nothing reads tables for this connection")


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Connection:
    """What a connector works with: its settings with the opened secrets, and what it may use.

    `http` judges every address by the policy. `origin` stands in the place of the service's own, in tests.
    """

    settings: Mapping[str, str] = field(repr=False)
    http: HttpClient = field(repr=False)
    keep_secrets: KeepSecrets = field(default=_keep_none, repr=False)
    read_table: ReadTable = field(default=_no_table, repr=False)
    now: Callable[[], datetime] = field(default=_utc_now, repr=False)
    origin: str | None = None


class Connector(ABC):
    """Reads the people of an account of another service, and writes opt-outs back where it can.

    Every method may raise ConnectorError, and nothing else for what the service does. None runs in a transaction.
    `opt_out_settings` are those that have opt-outs written back once one of them is set.
    """

    kind: ClassVar[str]
    label: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]]
    capabilities: ClassVar[Capabilities]
    opt_out_settings: ClassVar[tuple[str, ...]] = ()

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @abstractmethod
    async def check(self) -> Account:
        """Return the account that the credentials belong to; also confirms that what is to be read is there."""

    @abstractmethod
    async def fields(self) -> list[Field]:
        """Return the fields that people have, with what each is proposed to be."""

    @abstractmethod
    async def fetch_page(self, *, since: str | None = None, cursor: str | None = None) -> Page:
        """Return the next page of a walk over all people or, with the bookmark of an earlier walk, those that changed.

        `cursor` is that of the page before, of a walk with the same `since`; None begins. One that is no longer good
        begins from the start, and the walk is complete all the same.
        """

    async def close(self) -> None:
        """Release what was kept between two pages. A page that is fetched later gets it again."""
        return

    async def choices(self, setting: str) -> list[Choice]:
        """Return the values in the account of a setting that `is_listed`."""
        return []

    async def look_up(self, external_ids: Sequence[str]) -> dict[str, Person]:
        """Read at most MAX_LOOKED_UP people as they are now, each by its id, also those who left or were deleted.

        Each id that was asked for is in the answer. It is sure where a walk may lag behind or have missed somebody.
        """
        raise NotImplementedError(f"{self.kind} cannot look people up")

    async def write_opt_out(self, external_id: str, *, at: datetime) -> None:
        """Tell the service that a person opted out of text messages; may be called again for the same one.

        Raises Gone where the person no longer is.
        """
        raise NotImplementedError(f"{self.kind} takes no opt-outs")

    def read_hook(self, call: HookCall) -> HookDelivery:
        """Return what a request to the hook brings. Raises HookRefused unless it is the service's."""
        raise HookRefused(f"{self.kind} posts nothing", status=404)

    async def register_hook(self, url: str) -> Mapping[str, str]:
        """Have the service post to `url`, and return the secrets to keep for it."""
        raise NotImplementedError(f"{self.kind} registers no address")

    async def unregister_hook(self) -> None:
        """Have the service post to us no more; also where it no longer does."""
        raise NotImplementedError(f"{self.kind} registers no address")

    def authorize_url(self, *, redirect_uri: str, state: str) -> str:
        """Return where OAuth begins: the person grants access there and comes back to `redirect_uri`."""
        raise NotImplementedError(f"{self.kind} has no OAuth")

    async def exchange_code(self, code: str, *, redirect_uri: str) -> Mapping[str, str]:
        """Return the secrets that the code of OAuth stands for, to be kept."""
        raise NotImplementedError(f"{self.kind} has no OAuth")

    def __repr__(self) -> str:
        """Show the kind alone, as settings hold secrets."""
        return f"{type(self).__name__}(…)"

    def _setting(self, name: str) -> str:
        """Return a setting, blank where it is not set."""
        return self._connection.settings.get(name, "")


def check_settings(connector: type[Connector], values: Mapping[str, str]) -> dict[str, str]:
    """Return settings without the space around them and without blank ones. Raises InvalidSetting for the first fault.

    Those that OAuth grants need not be there yet.
    """
    declared = {setting.name: setting for setting in connector.settings}
    for name in values:
        if name not in declared:
            raise InvalidSetting(f"{connector.label} has no setting of this name.", setting=name[:100])
    found = {name: text.strip() for name, text in values.items() if text.strip()}
    for setting in connector.settings:
        _check_setting(setting, found.get(setting.name))
    return found


def _check_setting(setting: Setting, text: str | None) -> None:
    if text is None:
        if setting.is_required:
            raise InvalidSetting(f"{setting.label} is required.", setting=setting.name)
        return
    if len(text) > MAX_SETTING or not text.isprintable():
        raise InvalidSetting(f"{setting.label} is not valid.", setting=setting.name)
    if setting.kind is SettingKind.BOOLEAN and text not in ("true", "false"):
        raise InvalidSetting(f"{setting.label} must be true or false.", setting=setting.name)
    if setting.choices and text not in {choice.value for choice in setting.choices}:
        allowed = ", ".join(choice.value for choice in setting.choices)
        raise InvalidSetting(f"{setting.label} must be one of: {allowed}.", setting=setting.name)
    if setting.pattern is not None and not re.fullmatch(setting.pattern, text):
        like = "" if setting.example is None else f" It looks like {setting.example}."
        raise InvalidSetting(f"{setting.label} is not valid.{like}", setting=setting.name)
