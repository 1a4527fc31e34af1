"""The connector interface: read people from another service to sync them into a list."""

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
# People per `look_up` call: some services need two requests per person and allow only 120 a minute.
MAX_LOOKED_UP = 25
# People per page of a walk.
MAX_PAGE = 1000
# Maximum length of a cursor or bookmark.
MAX_CURSOR = 2000


class Target(StrEnum):
    """A contact property that a field can map to. An unmapped field becomes an attribute or is ignored."""

    PHONE = "phone"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    FULL_NAME = "full_name"
    EMAIL = "email"
    COUNTRY = "country"
    TIMEZONE = "timezone"


class FieldType(StrEnum):
    """The type of a field's values, all passed as text: `time` is ISO 8601 with an offset, `boolean` true or false."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the service's people; `key` is its key in `Person.fields`.

    `target` is the default proposed in the mapping.
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
    """A service's record of a person's consent to text messages, never to e-mail.

    `at` is when consent was given or withdrawn, by the service's clock. `source` is where it was collected, and `text`
    holds other evidence, such as the opt-in level or the wording shown. `ip` is the address the consent came from.
    """

    status: ClaimStatus
    at: datetime | None
    source: str
    text: str | None = None
    ip: str | None = None


class PersonState(StrEnum):
    """Whether a person belongs to the synced source, such as a tag or list.

    `left`: removed from the source; `deleted`: removed from the service. Neither implies anything about consent.
    """

    MEMBER = "member"
    LEFT = "left"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Person:
    """A person as stored by the service, under the service's own id.

    `fields` maps field keys to text values, with phones exactly as the service stores them; blank values are omitted.
    `is_unsubscribed` concerns e-mail and implies nothing about text messages. `row` is the line number in a file, and
    `problem` explains why a row could not be read. repr() omits personal data: ids are neither phones nor e-mails.
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
    """A page of a walk, with at most MAX_PAGE people.

    `cursor` resumes after this page, from any process; it is None on the last page. The last page has a `bookmark`:
    pass it to the next walk as `since` to read only changes. `is_complete`, on the last page, means that the walk
    returned every member since its first page, so people it did not return have left. Otherwise absence from the walk
    does not mean that a person left. The same person may appear on several pages; the last occurrence wins.
    """

    people: Sequence[Person] = field(repr=False)
    cursor: str | None = None
    bookmark: str | None = None
    is_complete: bool = False

    @property
    def is_last(self) -> bool:
        """Return whether this is the last page of the walk."""
        return self.cursor is None


# Settings and capabilities


class SettingKind(StrEnum):
    """The input type of a setting. A `secret` is encrypted and never shown again; a `choice` has `choices`."""

    TEXT = "text"
    URL = "url"
    SECRET = "secret"  # noqa: S105 - a kind of setting
    CHOICE = "choice"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Choice:
    """An allowed value of a setting and its label."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A connector setting, as declared to forms and the API.

    `choices` lists the allowed values; `is_listed` means that `Connector.choices` reads them from the account. An
    `is_granted` setting comes from OAuth or webhook registration and is never requested from the user.
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
        """Return whether the value is stored encrypted."""
        return self.kind is SettingKind.SECRET


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The features of a connector.

    `pulls`: people are read page by page; otherwise they arrive only through the hook. `incremental`: a walk with a
    bookmark reads only changes. `sees_deletions`: an incremental walk also reports people who left; otherwise only a
    complete walk does. `looks_up`: people can be read individually by id. `writes_opt_outs`: opt-outs are written back
    if one of `opt_out_settings` is set. `hook`: the service posts to us; `signed_hook`: with a signature;
    `registers_hook`: the connector registers the hook URL with the service. `oauth`: credentials can come from OAuth.
    `sms_consent`: the service reports consent to text messages.
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
    """The account that the credentials belong to: its display name, and its id if the service has one."""

    name: str
    id: str | None = None


# Inbound hooks


@dataclass(frozen=True, slots=True)
class HookCall:
    """A request to a connection's hook URL. Header names are in lower case."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    now: datetime


@dataclass(frozen=True, slots=True)
class HookDelivery:
    """The people in a hook request.

    `delivery_id` is the same on every redelivery. `people` carry all their fields; for people in `external_ids`, only
    the id is reliable, and `Connector.look_up` must read the rest.
    """

    delivery_id: str
    people: Sequence[Person] = field(default=(), repr=False)
    external_ids: Sequence[str] = ()


# Errors


class ConnectorError(Exception):
    """A connector operation failed. The message is shown to users and holds no secret, phone or e-mail address.

    `code` is the error type, and `setting` the setting at fault, if any. `is_lasting`: retrying cannot help until a
    user fixes the cause.
    """

    code: ClassVar[str]
    is_lasting: ClassVar[bool] = False

    def __init__(self, message: str, *, setting: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.setting = setting


class InvalidSetting(ConnectorError):
    """A setting has an invalid value."""

    code = "invalid_setting"
    is_lasting = True


class CredentialsRefused(ConnectorError):
    """The service refuses the credentials: they are wrong, expired, revoked, or lack permission."""

    code = "credentials_refused"
    is_lasting = True


class Gone(ConnectorError):
    """The source itself (tag, list, file) or the requested person no longer exists. A missing source removes nobody."""

    code = "gone"
    is_lasting = True


class RateLimited(ConnectorError):
    """The service limits requests; retry after `retry_after` seconds. The cursor stays valid."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: float, setting: str | None = None) -> None:
        super().__init__(message, setting=setting)
        self.retry_after = retry_after


class Unavailable(ConnectorError):
    """The service cannot be reached or fails temporarily; `retry_after` is the delay it requests, in seconds."""

    code = "unavailable"

    def __init__(self, message: str, *, retry_after: float | None = None, setting: str | None = None) -> None:
        super().__init__(message, setting=setting)
        self.retry_after = retry_after


class BadAnswer(ConnectorError):
    """The service's response cannot be read. This may be temporary; if it persists, the connector needs a fix."""

    code = "bad_answer"


class HookRefused(Exception):
    """A hook request is not authentic, too old, or unreadable; respond with `status`."""

    def __init__(self, reason: str, *, status: int = 403) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


# Dependencies of a connector


class TableUnreadable(Exception):
    """A file cannot be read as a table; the message tells users why."""


class TableRow(Protocol):
    """A row of a table: its first line number and its cells. `is_cut`: the row was too long and is truncated."""

    @property
    def line(self) -> int: ...

    @property
    def cells(self) -> Sequence[str]: ...

    @property
    def is_cut(self) -> bool: ...


class OpenTable(Protocol):
    """A table of text cells. `header` holds the column titles, or None if the only column is phones without a title.

    `fields` maps recognized column titles, such as `phone` and `email`, to column indexes.
    """

    @property
    def header(self) -> Sequence[str] | None: ...

    @property
    def fields(self) -> Mapping[str, Sequence[int]]: ...

    def rows(self) -> Iterator[TableRow]: ...


# Opens a file in any dialect and encoding. Raises TableUnreadable, also while iterating over the rows.
ReadTable = Callable[[BinaryIO], AbstractContextManager[OpenTable]]
# Replaces the stored secrets of the same names. They are committed when it returns.
KeepSecrets = Callable[[Mapping[str, str]], Awaitable[None]]


async def _keep_none(secrets: Mapping[str, str]) -> None:
    raise RuntimeError("this connection cannot store secrets")


def _no_table(file: BinaryIO) -> AbstractContextManager[OpenTable]:
    raise RuntimeError("this connection cannot read tables")


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Connection:
    """The settings of a connector, with decrypted secrets, and its dependencies.

    `http` checks every address against the address policy. `origin` overrides the service's origin in tests.
    """

    settings: Mapping[str, str] = field(repr=False)
    http: HttpClient = field(repr=False)
    keep_secrets: KeepSecrets = field(default=_keep_none, repr=False)
    read_table: ReadTable = field(default=_no_table, repr=False)
    now: Callable[[], datetime] = field(default=_utc_now, repr=False)
    origin: str | None = None


class Connector(ABC):
    """Reads people from an account of another service, and writes opt-outs back if the service supports it.

    Any method may raise ConnectorError; no other exception reports a failure of the service. No method runs inside a
    transaction. Setting any of `opt_out_settings` turns on opt-out write-back.
    """

    kind: ClassVar[str]
    label: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]]
    capabilities: ClassVar[Capabilities]
    opt_out_settings: ClassVar[tuple[str, ...]] = ()

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    def needs_grant(cls, settings: Mapping[str, str]) -> bool:
        """Return whether the user must first grant access by OAuth. Raises InvalidSetting if no access is possible."""
        return False

    @abstractmethod
    async def check(self) -> Account:
        """Return the account that the credentials belong to, after checking that the source exists."""

    @abstractmethod
    async def fields(self) -> list[Field]:
        """Return the fields of people, each with its proposed target."""

    @abstractmethod
    async def fetch_page(self, *, since: str | None = None, cursor: str | None = None) -> Page:
        """Return the next page of a walk over all people or, if `since` is an earlier walk's bookmark, over changes.

        `cursor` comes from the previous page of a walk with the same `since`; None starts a walk. An invalid cursor
        restarts the walk, which can still be complete.
        """

    async def close(self) -> None:
        """Release the resources kept between pages. A later fetch reopens them."""
        return

    async def choices(self, setting: str) -> list[Choice]:
        """Return the account's values for an `is_listed` setting."""
        return []

    async def look_up(self, external_ids: Sequence[str]) -> dict[str, Person]:
        """Return the current state of at most MAX_LOOKED_UP people by id, including those who left or were deleted.

        The result has an entry for every requested id. It is authoritative; a walk may lag behind or miss people.
        """
        raise NotImplementedError(f"{self.kind} cannot look people up")

    async def write_opt_out(self, external_id: str, *, at: datetime) -> None:
        """Tell the service that a person opted out of text messages. Idempotent.

        Raises Gone if the person no longer exists.
        """
        raise NotImplementedError(f"{self.kind} does not accept opt-outs")

    def read_hook(self, call: HookCall) -> HookDelivery:
        """Return the people in a hook request. Raises HookRefused unless the request is authentic."""
        raise HookRefused(f"{self.kind} has no hook", status=404)

    async def register_hook(self, url: str) -> Mapping[str, str]:
        """Register `url` as a webhook with the service, and return the secrets to store."""
        raise NotImplementedError(f"{self.kind} cannot register webhooks")

    async def unregister_hook(self) -> None:
        """Remove the webhook from the service. Does nothing if it is already gone."""
        raise NotImplementedError(f"{self.kind} cannot register webhooks")

    def authorize_url(self, *, redirect_uri: str, state: str) -> str:
        """Return the OAuth authorization URL, which redirects to `redirect_uri` after the user grants access."""
        raise NotImplementedError(f"{self.kind} has no OAuth")

    async def exchange_code(self, code: str, *, redirect_uri: str) -> Mapping[str, str]:
        """Exchange an OAuth code for the secrets to store; a blank one replaces a setting that no longer applies."""
        raise NotImplementedError(f"{self.kind} has no OAuth")

    def __repr__(self) -> str:
        """Show only the class name, since settings hold secrets."""
        return f"{type(self).__name__}(…)"

    @property
    def values(self) -> Mapping[str, str]:
        """Return the settings with decrypted secrets."""
        return self._connection.settings

    def _setting(self, name: str) -> str:
        """Return a setting, or an empty string if it is not set."""
        return self._connection.settings.get(name, "")


def check_settings(connector: type[Connector], values: Mapping[str, str]) -> dict[str, str]:
    """Return the settings trimmed, without blank ones. Raises InvalidSetting for the first invalid one.

    Settings granted by OAuth may still be missing.
    """
    declared = {setting.name: setting for setting in connector.settings}
    for name in values:
        if name not in declared:
            raise InvalidSetting(f"{connector.label} has no setting with this name.", setting=name[:100])
    found = {name: text.strip() for name, text in values.items() if text.strip()}
    for setting in connector.settings:
        _check_setting(setting, found.get(setting.name))
    return found


def _check_setting(setting: Setting, text: str | None) -> None:
    if text is None:
        # What can be chosen once there is access is checked by the first sync.
        if setting.is_required and not setting.is_listed:
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
        like = "" if setting.example is None else f" Example: {setting.example}."
        raise InvalidSetting(f"{setting.label} is not valid.{like}", setting=setting.name)
